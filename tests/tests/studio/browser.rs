//! The program `studio` over the emulated board, with a person's hands in Chromium: the whole way from a camera that the model does not
//! know to one that it has learnt.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use host_trainer::collect::Collection;
use host_trainer::device::build_app;
use model_training::data::dataset::Dataset;
use model_training::data::faces::{PerClass, Shift};
use serde_json::{Value, json};
use tests::chromium::Chromium;
use tests::processes::{call, emulators, program, signal};

use crate::lamps::{CONFIG, LAMPS, SIDE, answers, draw};

/// How long a small network may learn.
const LESSON: Duration = Duration::from_secs(180);
/// How long the emulator has to end after the program.
const END: Duration = Duration::from_secs(10);
/// Fewest frames a second through the page; some two times as many come where little else runs.
const PACE: f64 = 3.0;
/// The board runs a model that this machine has, without other work, and both have computed the same of some frames.
const RUNS: &str = "document.getElementById('parity').className === 'agrees' && view.boards[0].doing === null && view.boards[0].compared > 2";

/// The program, and the address that it prints.
pub struct Studio {
    pub process: Child,
    pub address: String,
}

impl Studio {
    pub fn start(arguments: &[&str]) -> Result<Self> {
        let mut process = program(arguments)?.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("an output")?).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).with_context(|| format!("it prints `{line}`"))?;
        let address = told["address"].as_str().context("an address")?.to_owned();
        Ok(Self { process, address })
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// What CI runs.
pub fn short() -> Result<()> {
    goes_round(20)
}

/// 200 frames are labelled.
pub fn long() -> Result<()> {
    goes_round(100)
}

/// A network has learnt drawings, and sees them through another camera. A person labels `each` frames of each class, lets it learn
/// them, compares, sends it to the board and takes it back.
fn goes_round(each: usize) -> Result<()> {
    // Firmware that is compiled already does not keep the browser waiting.
    build_app(None)?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let text = |name: &str| at(name).display().to_string();
    let of = |train, valid, test| PerClass { train, valid, test };
    draw(&at("drawings"), 1, &of(120, 12, 20), None)?;
    // One frame more, which is deleted.
    draw(&at("camera"), 2, &of(each + 1, 0, 0), Some(Shift::Poor))?;
    draw(&at("held-out"), 3, &of(0, 0, 60), Some(Shift::Poor))?;
    fs::write(at("config.toml"), CONFIG)?;
    call(&["train", "--data", &text("drawings"), "--config", &text("config.toml"), "--out", &text("before")])?;
    let link = format!("qemu:{}", text("flash.bin"));
    call(&["flash", &text("before/model.blob"), "--link", &link])?;
    let (frames, size) = (text("camera/train"), format!("{SIDE}x{SIDE}"));
    let board = ["--link", &link, "--frames", &frames, "--size", &size];
    let (before, collected, runs, held_out) = (text("before"), text("collected"), text("runs"), text("held-out"));
    let kept = ["--model", &before, "--out", &collected, "--runs", &runs, "--held-out", &held_out];
    let mut studio = Studio::start(&[&["studio", "--json"], &board[..], &kept[..]].concat())?;
    let mut browser = Chromium::start()?;
    browser.visit(&studio.address)?;

    sees(&mut browser)?;
    let taken = call(&["watch", "--link", &link, "--count", "1"]).err().context("two boards on one flash")?;
    ensure!(taken.to_string().contains("runs already"), "{taken:#}");
    let mut person =
        Person { browser, answers: answers(&at("camera/train"))?, saved: HashSet::new(), collected: at("collected") };
    person.corrects()?;
    let knew = person.labels(2 * each)?;
    let verdict = person.teaches(&at("runs"))?;
    let knows = person.sends()?;
    println!("frames of the camera that the board had right: {knew:.2} before, {knows:.2} after; the page: {verdict}");
    let gain = gain(&verdict)?;
    ensure!(gain[1] > 0.0 && knows > knew, "{verdict}");
    person.cancels(&at("runs"))?;
    person.browser.expect_fit([1280, 800])?;
    person.browser.expect_silence()?;

    ensure!(emulators(&at("flash.bin"))?.len() == 1, "the emulator runs");
    let saved = person.saves_again()?;
    let start = Instant::now();
    signal(studio.process.id(), "KILL")?;
    studio.process.wait()?;
    is_whole(&at("collected"), saved)?;
    while !emulators(&at("flash.bin"))?.is_empty() {
        ensure!(start.elapsed() < END, "the emulator outlives the program");
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Points that the second model has more, with their interval, by the page's sentence.
fn gain(verdict: &str) -> Result<[f64; 3]> {
    let read = || {
        let (_, gain) = verdict.split_once("which is ")?;
        let (value, interval) = gain.split_once(" points (")?;
        let (low, high) = interval.split_once(')')?.0.split_once(" to ")?;
        Some([value.parse().ok()?, low.parse().ok()?, high.parse().ok()?])
    };
    read().with_context(|| format!("the page does not say that it is better: {verdict}"))
}

/// Frames come, so many a second, and the light is green.
fn sees(browser: &mut Chromium) -> Result<()> {
    browser.until(&format!("{RUNS} && view.boards[0].compared > 5"))?;
    browser.until(&format!("view.boards[0].pace >= {PACE}"))?;
    let facts = browser.evaluate("document.getElementById('facts').textContent")?;
    ensure!(facts.as_str().is_some_and(|facts| facts.contains("frames/s")), "{facts}");
    println!("the page says {facts}");
    ensure!(browser.evaluate("document.getElementById('frame').naturalWidth")? == u64::from(SIDE));
    ensure!(browser.evaluate("document.getElementById('input').naturalWidth")? == 24);
    let said = browser.evaluate("document.getElementById('parity').textContent")?;
    ensure!(said.as_str().is_some_and(|said| said.contains("byte for byte")), "{said}");
    // What the page is told of a board that computes something else is tested where there is one.
    let red = browser.evaluate(
        "(() => { showParity({ compared: 3, differing: 1, model: 0 }); \
         const told = [$('parity').className, $('parity').lastChild.textContent]; showParity(view.boards[0]); return told; })()",
    )?;
    ensure!(red == json!(["differs", "board and this machine differ on 1 of 3 frames"]), "{red}");
    let bars = browser.evaluate("document.getElementById('bars').children.length")?;
    ensure!(bars == LAMPS.len(), "{bars} classes");
    browser.press(" ", " ")?;
    browser.until("stopped && unanswered === 0 && view.boards[0].paused")
}

/// Of the pictures of a studio that was killed, so many at least are there, all whole and with their groups, and more can be saved.
fn is_whole(collected: &Path, saved: usize) -> Result<()> {
    Collection::open(collected)?;
    let dataset = Dataset::list(collected, Some(&collected.join("groups.csv")))?;
    let samples: Vec<_> = dataset.train.iter().chain(&dataset.valid).chain(&dataset.test).collect();
    ensure!(samples.len() >= saved, "{} of {saved} pictures are left", samples.len());
    for sample in samples {
        ensure!(sample.group.is_some(), "{} has no group", sample.name);
        image::open(sample.path(collected)).with_context(|| sample.name.clone())?;
    }
    Ok(())
}

/// What a person does who knows the classes of the frames.
struct Person {
    browser: Chromium,
    /// The class of each frame, by how the page shows it.
    answers: HashMap<String, &'static str>,
    /// The frames that are saved.
    saved: HashSet<String>,
    collected: PathBuf,
}

impl Person {
    /// The frame that the page shows, as it shows it, and whether the board says its class.
    fn looks(&mut self) -> Result<(String, bool)> {
        let shown = self.browser.evaluate("[sight.frame, sight.class]")?;
        let [frame, says]: [String; 2] = serde_json::from_value(shown)?;
        let right = says == self.class(&frame)?;
        Ok((frame, right))
    }

    fn class(&self, frame: &str) -> Result<&'static str> {
        self.answers.get(frame).copied().context("the page shows a frame that is none of the film's")
    }

    /// The key of a frame's class.
    fn key(&self, frame: &str) -> Result<&'static str> {
        Ok(if self.class(frame)? == LAMPS[0].0 { "1" } else { "2" })
    }

    /// Presses a key that has the next frame shown, or waits until something else is so.
    fn presses(&mut self, key: &str, until: &str) -> Result<()> {
        self.browser.evaluate("void (window.before = sight.number)")?;
        self.browser.press(key, if key.len() == 1 { key } else { "" })?;
        let done = self.browser.until(&format!("sight.number > before && {until}"));
        done.or_else(|error| {
            let state = "[sight.number, before, stopped, stepping, unanswered, view.classes, document.getElementById('said').textContent, \
                         view.boards[0].status, view.boards[0].why, view.boards[0].paused]";
            let state = self.browser.evaluate(state)?;
            Err(error.context(format!("the page and the board are at {state}")))
        })
    }

    /// Saves a frame under a class of its own and corrects that in the gallery, and saves one without a class and deletes it.
    fn corrects(&mut self) -> Result<()> {
        self.browser.press("n", "n")?;
        self.browser.until("document.activeElement.id === 'name'")?;
        self.browser.call("Input.insertText", json!({ "text": "odd" }))?;
        self.browser.press("Enter", "\r")?;
        self.browser.until("classes()[2] === 'odd' && document.activeElement.id !== 'name'")?;
        let (frame, _) = self.looks()?;
        let (class, key) = (self.class(&frame)?, self.key(&frame)?);
        self.saved.insert(frame);
        self.presses("3", "view.classes.some(([name, count]) => name === 'odd' && count === 1)")?;
        let shown = "document.getElementById('pictures').children";
        self.browser
            .until(&format!("shelf === 'odd' && {shown}.length === 1 && {shown}[0].firstChild.naturalWidth > 0"))?;
        let groups = fs::read_to_string(self.collected.join("groups.csv"))?;
        self.browser.evaluate(&format!("{shown}[0].focus()"))?;
        self.browser.press("Enter", "\r")?;
        self.browser.until("chosen.size === 1 && !document.getElementById('chosen').hidden")?;
        self.browser.press(key, key)?;
        self.browser.until(&format!("shelf === '{class}' && {shown}.length === 1 && chosen.size === 0"))?;
        ensure!(files(&self.collected.join(class)).len() == 1 && files(&self.collected.join("odd")).is_empty());
        let corrected = fs::read_to_string(self.collected.join("groups.csv"))?;
        ensure!(groups != corrected && groups.lines().count() == corrected.lines().count(), "{groups}\n{corrected}");
        self.presses("s", "view.classes.some(([name, count]) => name === UNLABELLED && count === 1)")?;
        self.browser.evaluate("document.querySelector('#shelves [data-key=unlabelled]').click()")?;
        // Shown, too: a picture that is deleted while the page asks for it is a request that is refused.
        let loaded = format!("{shown}[0].dataset.key.startsWith(UNLABELLED) && {shown}[0].firstChild.naturalWidth > 0");
        self.browser.until(&format!("{shown}.length === 1 && {loaded}"))?;
        self.browser.evaluate(&format!("{shown}[0].focus()"))?;
        self.browser.press("Enter", "\r")?;
        self.browser.until("chosen.size === 1")?;
        self.browser.press("Delete", "")?;
        self.browser.until("!view.classes.some(([name, count]) => name === UNLABELLED && count > 0)")?;
        ensure!(files(&self.collected.join("unlabelled")).is_empty(), "it is not deleted");
        self.browser.press("Escape", "")?;
        Ok(())
    }

    /// Gives all frames of the film their classes, so that so many have one; gives the share that the board had right.
    fn labels(&mut self, count: usize) -> Result<f64> {
        let labelled = "view.classes.reduce((sum, [, count]) => sum + count, 0)";
        let mut right = 0;
        while self.saved.len() < count {
            let (frame, agrees) = self.looks()?;
            let key = self.key(&frame)?;
            // A film goes round, and a frame that is saved already is not saved twice.
            right += usize::from(self.saved.insert(frame) && agrees);
            let saved = self.saved.len();
            self.presses(key, &format!("{labelled} === {saved}"))?;
        }
        for (class, _) in LAMPS {
            let labelled = files(&self.collected.join(class)).len();
            ensure!(labelled * 5 > count * 2, "{labelled} are {class}");
        }
        Ok(right as f64 / (count - 1) as f64)
    }

    /// Lets the model learn them; gives the sentence with which the page compares.
    fn teaches(&mut self, runs: &Path) -> Result<String> {
        self.browser.evaluate("document.getElementById('train').click()")?;
        let over = "!view.lesson.running && (view.lesson.failed !== null || view.lesson.said.length > 0)";
        self.browser.within(LESSON, over)?;
        let outcome = "[...document.getElementById('outcome').children].map((line) => line.textContent)";
        let outcome: Vec<String> = serde_json::from_value(self.browser.evaluate(outcome)?)?;
        ensure!(self.browser.evaluate("view.lesson.failed === null")? == true, "{outcome:?}");
        ensure!(self.browser.evaluate("document.getElementById('known').children.length")? == 2);
        let made = files(runs);
        let has = |name: &str| made.iter().all(|run| run.join(name).is_file());
        ensure!(made.len() == 1 && has("model.blob") && has("report.html"), "{made:?}");
        outcome.into_iter().next().context("an outcome")
    }

    /// Sends the new model, and looks at what the board makes of frames with it; then takes it back. Gives the share that it has right.
    fn sends(&mut self) -> Result<f64> {
        self.browser.press(" ", " ")?;
        self.browser.until("!stopped && unanswered === 0")?;
        self.browser.evaluate("document.querySelector('#known li:nth-child(2) button').click()")?;
        self.browser.until(&format!("view.boards[0].model === 1 && {RUNS}"))?;
        self.browser.press(" ", " ")?;
        self.browser.until("stopped && unanswered === 0 && view.boards[0].paused")?;
        let (mut right, frames) = (0, self.answers.len());
        for _ in 0..frames {
            right += usize::from(self.looks()?.1);
            self.presses("ArrowRight", "true")?;
        }
        self.browser.press(" ", " ")?;
        self.browser.until("!stopped && unanswered === 0")?;
        self.browser.evaluate("document.getElementById('back').click()")?;
        self.browser.until(&format!("view.boards[0].model === 0 && {RUNS}"))?;
        Ok(right as f64 / frames as f64)
    }

    /// Deletes the pictures of a class and begins a burst, which takes those frames anew; gives how many pictures there are in the
    /// middle of that.
    fn saves_again(&mut self) -> Result<usize> {
        let (class, _) = LAMPS[0];
        let name = |file: &PathBuf| file.file_name().map(|name| name.to_string_lossy().into_owned());
        let names: Vec<String> = files(&self.collected.join(class)).iter().filter_map(name).collect();
        let pictures: Vec<Value> = names.iter().map(|name| json!({ "class": class, "name": name })).collect();
        self.browser.evaluate(&format!("act({})", json!({ "do": "delete", "pictures": pictures })))?;
        let count = format!("(view.classes.find(([name]) => name === '{class}')?.[1] ?? 0)");
        self.browser.until(&format!("{count} === 0"))?;
        let burst = json!({ "do": "burst", "board": 0, "count": 1000, "class": class });
        self.browser.evaluate(&format!("act({burst})"))?;
        self.browser.until(&format!("{count} >= 3"))?;
        let saved = self.browser.evaluate("view.classes.reduce((sum, [, count]) => sum + count, 0)")?;
        saved.as_u64().map(|saved| saved as usize).context("a number of pictures")
    }

    /// Another training is ended in the middle: it has saved what it had learnt, and goes on by the command that the page names.
    fn cancels(&mut self, runs: &Path) -> Result<()> {
        let before = files(runs);
        self.browser.evaluate("document.getElementById('train').click()")?;
        self.browser.until("view.lesson.running && view.lesson.what.startsWith('epoch')")?;
        self.browser.evaluate("document.getElementById('cancel').click()")?;
        self.browser.until("!view.lesson.running && view.lesson.failed?.includes('cancelled') === true")?;
        ensure!(self.browser.evaluate("document.getElementById('known').children.length")? == 2);
        let left: Vec<PathBuf> = files(runs).into_iter().filter(|run| !before.contains(run)).collect();
        let [left] = &left[..] else { anyhow::bail!("one run is left, not {left:?}") };
        ensure!(!left.join("model.blob").exists(), "the training has come to its end");
        let resume = ["train", "--resume", left.to_str().context("a path of text")?];
        let said = self.browser.evaluate("document.getElementById('outcome').textContent")?;
        ensure!(said.as_str().is_some_and(|said| said.contains(&resume.join(" "))), "{said}");
        ensure!(left.join("checkpoint.postcard").is_file(), "nothing that was learnt is saved");
        call(&resume)?;
        ensure!(left.join("model.blob").is_file(), "no model is made");
        Ok(())
    }
}
