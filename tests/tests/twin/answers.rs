//! What the page says in words: the device's decision, each class's probability, where the model abstains, and what it takes.

use anyhow::{Context, Result, ensure};
use host_trainer::device::boards;
use host_trainer::report::pages::Sample;
use image::RgbImage;
use model_compiler::aligned::Aligned;
use model_compiler::blob::{repair_crc, with_calibration};
use model_training::data::faces::{CLASSES, draw};
use no_std_device::{Average, Decision, Smoother};
use no_std_infer::format::Calibration;
use no_std_infer::{Interpreter, Model};
use serde_json::{Value, json};
use tests::chromium::Chromium;

use crate::{FACES, SMOOTHING, input, open, picture, show};

/// Pictures that the page is shown.
const PICTURES: u64 = 6;

/// Faces, which are answered from this probability on, in 256ths.
pub fn calibrated(threshold: u8) -> Result<Aligned<u8>> {
    Ok(with_calibration(&FACES, &Calibration { threshold, images: 40, coverage: 0.5, accuracy: 1.0 })?)
}

/// A device's decision on a picture alone, and its probability of each class in 256ths.
fn decided(blob: &Aligned<u8>, picture: &RgbImage) -> Result<(Decision, Vec<u8>)> {
    let model = Model::parse(blob)?;
    let mut arena = Aligned::new(model.arena_len());
    let mut interpreter = Interpreter::new(model, &mut arena)?;
    let input = input(picture)?;
    interpreter.input_mut().iter_mut().zip(input).for_each(|(slot, byte)| *slot = byte as i8);
    interpreter.run();
    let mut averages = heapless::Vec::<Average, 16>::new();
    let mut smoother = Smoother::new(&mut averages, SMOOTHING);
    let decision = smoother.push(interpreter.logits(), interpreter.output(), model.threshold());
    Ok((decision, interpreter.output().iter().map(|&value| value as u8 ^ 0x80).collect()))
}

/// A number of 256ths as the page writes it, with so many digits behind the point.
fn percent(share: u8, digits: usize) -> String {
    let scale = 10_u32.pow(digits as u32);
    let rounded = (u32::from(share) * 100 * scale + 128) / 256;
    let (whole, rest) = (rounded / scale, rounded % scale);
    if digits == 0 { format!("{whole}\u{a0}%") } else { format!("{whole}.{rest:0digits$}\u{a0}%") }
}

/// Drawn faces and noise by turns: with the threshold at the highest of their probabilities, some have no answer.
pub fn the_page_says_what_the_device_decides() -> Result<()> {
    let drawn = |seed| draw(seed, seed as usize % CLASSES.len(), 96);
    let pictures: Vec<RgbImage> =
        (0..PICTURES).map(|seed| if seed % 2 == 0 { drawn(seed) } else { picture(40, 30, seed) }).collect();
    let mut highest = 0;
    for picture in &pictures {
        highest = highest.max(decided(&FACES, picture)?.0.probability);
    }
    let blob = calibrated(highest)?;
    let sample = |picture: &RgbImage| Sample { name: "a picture".to_owned(), pixels: picture.clone() };
    let mut browser = Chromium::start()?;
    let _folder = show(&mut browser, &blob, &pictures.iter().map(sample).collect::<Vec<_>>())?;
    let mut answered = 0;
    for (index, picture) in pictures.iter().enumerate() {
        browser.evaluate(&format!("sample(document.getElementById('samples').children[{index}])"))?;
        let (decision, shares) = decided(&blob, picture)?;
        let found = browser.evaluate(
            "({ input: Array.from(last), answer: document.getElementById('answer').textContent, \
             why: document.getElementById('why').textContent, \
             unsure: document.getElementById('says').classList.contains('unsure'), \
             best: [...document.getElementById('bars').children].findIndex((row) => row.classList.contains('best')), \
             bars: [...document.getElementById('bars').children].map((row) => [row.lastElementChild.textContent, \
             parseFloat(row.querySelector('i').style.width)]), \
             marks: [...document.querySelectorAll('#bars b')].map((mark) => parseFloat(mark.style.left)) })",
        )?;
        ensure!(found["input"] == json!(input(picture)?), "picture {index} is not the one that is shown");
        says(&found, &decision, &shares, highest).with_context(|| format!("picture {index}: {found}"))?;
        answered += u64::from(decision.sure);
    }
    ensure!(0 < answered && answered < PICTURES, "{answered} of {PICTURES} are answered");
    takes(&mut browser)?;
    browser.expect_silence()
}

/// The page's words, bars and marks are those of the decision.
fn says(found: &Value, decision: &Decision, shares: &[u8], threshold: u8) -> Result<()> {
    let class = CLASSES[decision.class];
    let (with, from) = (percent(decision.probability, 0), percent(threshold, 0));
    let (answer, why) = if decision.sure {
        (class, format!("with {with}; it answers from {from} on"))
    } else {
        ("no answer", format!("rather {class}, but with {with}; it answers from {from} on"))
    };
    ensure!(found["answer"] == answer && found["why"] == why, "not {answer}: {why}");
    ensure!(found["unsure"] == !decision.sure && found["best"] == decision.class, "another class or no doubt");
    let bars: Vec<Value> = shares
        .iter()
        .map(|&share| percent(share, 1))
        .map(|text| json!([text, text.split('\u{a0}').next().and_then(|number| number.parse::<f64>().ok())]))
        .collect();
    for (bar, wanted) in found["bars"].as_array().context("bars")?.iter().zip(&bars) {
        ensure!(bar[0] == wanted[0] && bar[1].as_f64() == wanted[1].as_f64(), "a bar is not {wanted}");
    }
    let marks = found["marks"].as_array().context("marks")?;
    let at = f64::from(threshold) / 2.56;
    let right = marks.iter().all(|mark| mark.as_f64().is_some_and(|mark| (mark - at).abs() < 0.01));
    ensure!(marks.len() == shares.len() && bars.len() == shares.len() && right, "the threshold is not at {at} %");
    Ok(())
}

/// The page says how long an inference takes here, and on each board.
fn takes(browser: &mut Chromium) -> Result<()> {
    let time = browser.evaluate("document.getElementById('time').textContent")?;
    let time = time.as_str().context("a text")?;
    let (network, resize) = time.split_once(" ms, and ").with_context(|| time.to_owned())?;
    let resize = resize.strip_suffix(" ms to resize").with_context(|| time.to_owned())?;
    ensure!(network.parse::<f64>()? > 0.0 && resize.parse::<f64>()? >= 0.0, "{time}");
    let rows = "[...document.querySelectorAll('table tr')].slice(1).map((row) => [...row.children].map((cell) => cell.textContent))";
    let rows: Vec<Vec<String>> = serde_json::from_value(browser.evaluate(rows)?)?;
    ensure!(rows.len() == boards::all()?.len() && rows.len() > 1, "{rows:?}");
    for row in &rows {
        let [board, core, clock, milliseconds, range, fits] = &row[..] else { anyhow::bail!("{row:?}") };
        ensure!(![board, core, range].iter().any(|text| text.is_empty()), "{row:?}");
        ensure!(clock.parse::<f64>()? > 0.0 && milliseconds.parse::<f64>()? > 0.0, "{row:?}");
        ensure!(["yes", "no"].contains(&fits.as_str()), "{row:?}");
    }
    Ok(())
}

pub fn a_golden_vector_that_is_not_met_shows() -> Result<()> {
    let mut blob = FACES.clone();
    let golden = Model::parse(&blob)?.golden().context("a golden vector")?.layers.as_ptr() as usize;
    let at = golden - blob.as_ptr() as usize;
    blob[at] ^= 1;
    repair_crc(&mut blob);
    let mut browser = Chromium::start()?;
    let (_folder, proof) = open(&mut browser, &blob, &[])?;
    ensure!(proof == "✗ self-test failed: operator 0 gives other bytes than on the host", "{proof}");
    let looks = browser.evaluate("document.getElementById('proof').className")?;
    ensure!(looks == "bad", "{looks}");
    browser.expect_silence()
}
