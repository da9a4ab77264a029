//! Two emulated boards on one page, with a person's hands in Chromium.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use host_trainer::collect::pictures;
use host_trainer::device::build_app;
use model_training::data::dataset::Dataset;
use model_training::data::faces::{PerClass, generate};
use tests::chromium::Chromium;
use tests::residual;

use crate::browser::Studio;

/// Fewest frames a second of 320x240 through the page, while the other board's camera is stopped.
const PACE: f64 = 3.0;
/// How long an update may take, and frames until they come as fast as they can.
const UPDATE: Duration = Duration::from_secs(60);
/// Frames of the board that is shown come, and are computed again.
const SEEN: &str =
    "sight.number > 0 && document.getElementById('parity').className === 'agrees' && view.boards[board].compared > 2";

/// Turns to a board, whose frames come then.
fn choose(browser: &mut Chromium, board: usize) -> Result<()> {
    browser.evaluate(&format!("document.querySelectorAll('#boards button')[{board}].click()"))?;
    let pressed =
        format!("document.querySelectorAll('#boards button')[{board}].getAttribute('aria-pressed') === 'true'");
    browser.until(&format!("board === {board} && {pressed} && {SEEN}"))?;
    browser.until("document.getElementById('frame').naturalWidth === 320")
}

/// Stops the camera of the board that is shown and saves a frame, another than this one, by a class's key; gives it.
fn saves(browser: &mut Chromium, [key, class]: [&str; 2], other: &str) -> Result<String> {
    browser.press(" ", " ")?;
    browser.until("stopped && unanswered === 0 && view.boards[board].paused")?;
    while browser.evaluate("sight.frame")? == other {
        browser.evaluate("void (window.before = sight.number)")?;
        browser.press("ArrowRight", "")?;
        browser.until("sight.number > before")?;
    }
    let frame = browser.evaluate("sight.frame")?.as_str().context("a frame")?.to_owned();
    browser.press(key, key)?;
    browser.until(&format!("view.classes.some(([name, count]) => name === '{class}' && count === 1)"))?;
    Ok(frame)
}

/// Both are seen and computed again; each has its own model and its own camera, and frames of either are saved.
pub fn two_boards() -> Result<()> {
    build_app(None)?;
    let folder = tempfile::tempdir()?;
    let text = |name: &str| folder.path().join(name).display().to_string();
    generate(&folder.path().join("film"), 1, &PerClass { train: 0, valid: 0, test: 2 }, 240)?;
    let (first, second) = (concat!(env!("CARGO_MANIFEST_DIR"), "/../data/faces.blob"), text("second.blob"));
    fs::write(&second, &*residual::blob(1)?)?;
    let film = ["--frames", &text("film"), "--size", "320x240"];
    let kept = ["--model", first, "--model", &second, "--out", &text("collected")];
    let studio =
        Studio::start(&[&["studio", "--json", "--link", "qemu", "--link", "qemu"], &film[..], &kept].concat())?;
    let mut browser = Chromium::start()?;
    browser.visit(&studio.address)?;
    browser.until(
        "document.querySelectorAll('#boards button').length === 2 && !document.getElementById('boards').hidden",
    )?;
    let names = "new Set([...document.querySelectorAll('#boards button')].map((button) => button.textContent)).size";
    ensure!(browser.evaluate(names)? == 2, "a person cannot tell the boards apart");

    choose(&mut browser, 1)?;
    choose(&mut browser, 0)?;
    let of_first = saves(&mut browser, ["1", "angry"], "")?;
    choose(&mut browser, 1)?;
    ensure!(browser.evaluate("!stopped && !view.boards[1].paused")? == true, "the other camera is stopped, too");
    browser.evaluate("document.querySelector('#known li:nth-child(2) button').click()")?;
    browser.within(UPDATE, &format!("view.boards[1].model === 1 && view.boards[1].doing === null && {SEEN}"))?;
    ensure!(browser.evaluate("view.boards[0].model")? == 0, "the other board has got a model, too");
    browser.within(UPDATE, &format!("view.boards[1].pace >= {PACE}"))?;
    println!("{} frames a second of 320x240 through the page", browser.evaluate("view.boards[1].pace.toFixed(1)")?);
    let of_second = saves(&mut browser, ["2", "happy"], &of_first)?;
    ensure!(browser.evaluate("view.boards.every((state) => state.differing === 0 && state.compared > 2)")? == true);

    let collected = Path::new(&text("collected")).to_owned();
    for (class, shown) in [("angry", of_first), ("happy", of_second)] {
        let saved = pictures(&collected, class)?;
        let bytes = fs::read(collected.join(class).join(&saved.first().context("a picture")?.name))?;
        let saved = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes));
        ensure!(saved == shown, "what is saved as {class} is not what was shown");
    }
    let dataset = Dataset::list(&collected, Some(&collected.join("groups.csv")))?;
    let samples = dataset.train.iter().chain(&dataset.valid).chain(&dataset.test);
    let groups: BTreeSet<_> = samples.map(|sample| sample.group.clone()).collect();
    ensure!(groups.len() == 2 && !groups.contains(&None), "{groups:?}");
    browser.expect_fit([1280, 800])?;
    browser.expect_silence()
}
