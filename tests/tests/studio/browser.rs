//! The program `studio` over the emulated board, with a person's hands in Chromium.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use host_trainer::data::faces::{PerClass, generate};
use host_trainer::device::build_app;
use host_trainer::measure::evaluate::read_blob;
use model_compiler::blob::with_calibration;
use no_std_infer::format::Calibration;
use serde_json::{Value, json};
use tests::chromium::Chromium;

use crate::{ARGUMENTS, host_trainer};

/// How long a small network may learn.
const LESSON: Duration = Duration::from_secs(90);
/// How long the program has to end once it is told to.
const END: Duration = Duration::from_secs(10);

/// The program, and the address that it prints.
struct Program {
    process: Child,
    address: String,
}

impl Program {
    fn start(arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(ARGUMENTS, arguments.join("\n")).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("an output")?).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).with_context(|| format!("it prints `{line}`"))?;
        let address = told["address"].as_str().context("an address")?.to_owned();
        Ok(Self { process, address })
    }

    /// Ends it as a terminal does.
    fn terminate(&mut self) -> Result<()> {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status()?;
        let start = Instant::now();
        while told.success() && self.process.try_wait()?.is_none() && start.elapsed() < END {
            std::thread::sleep(Duration::from_millis(10));
        }
        ensure!(self.process.try_wait()?.is_some(), "the program does not end");
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Killed it would leave its emulator behind.
        let _ = self.terminate();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a process names this file among its arguments.
fn is_used(file: &Path) -> Result<bool> {
    let processes = fs::read_dir("/proc")?.flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let name = file.display().to_string();
    Ok(processes.into_iter().any(|line| String::from_utf8_lossy(&line).contains(&name)))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

pub fn a_person_does_all() -> Result<()> {
    // Firmware that is compiled already does not keep the browser waiting.
    build_app(None)?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    generate(&at("pictures"), 1, &PerClass { train: 0, valid: 0, test: 2 }, 120)?;
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob").canonicalize()?;
    let calibration = Calibration { threshold: 150, images: 40, coverage: 0.5, accuracy: 1.0 };
    fs::write(at("careful.blob"), &with_calibration(&read_blob(&built_in)?, &calibration)?[..])?;
    let text = |path: &Path| path.display().to_string();
    let link = format!("qemu:{}", text(&at("flash.bin")));
    let [pictures, careful, out] = ["pictures", "careful.blob", "collected"].map(|name| text(&at(name)));
    let arguments = [
        "studio",
        "--json",
        "--link",
        &link,
        "--frames",
        &pictures,
        "--size",
        "160x120",
        "--model",
        &text(&built_in),
        "--model",
        &careful,
        "--out",
        &out,
    ];
    let mut program = Program::start(&arguments.map(str::to_owned))?;
    let mut browser = Chromium::start()?;
    browser.visit(&program.address)?;
    sees(&mut browser)?;
    labels(&mut browser, &at("collected"))?;
    sends(&mut browser)?;
    browser.expect_fit([1280, 800])?;
    browser.expect_silence()?;
    ensure!(is_used(&at("flash.bin"))?, "the emulator runs");
    program.terminate()?;
    ensure!(!is_used(&at("flash.bin"))?, "the emulator outlives the program");
    Ok(())
}

/// Frames come, and the light is green.
fn sees(browser: &mut Chromium) -> Result<()> {
    browser.until("document.getElementById('parity').className === 'agrees' && view.boards[0].compared > 5")?;
    ensure!(browser.evaluate("document.getElementById('frame').naturalWidth")? == 160);
    ensure!(browser.evaluate("document.getElementById('input').naturalWidth")? == 32);
    let said = browser.evaluate("document.getElementById('parity').textContent")?;
    ensure!(said.as_str().is_some_and(|said| said.contains("byte for byte")), "{said}");
    let bars = browser.evaluate("document.getElementById('bars').children.length")?;
    ensure!(bars == 4, "{bars} classes");
    Ok(())
}

/// Four frames get classes by keys, one of another class, and one is corrected and one deleted in the gallery.
fn labels(browser: &mut Chromium, folder: &Path) -> Result<()> {
    browser.press(" ", " ")?;
    browser.until("stopped && unanswered === 0 && view.boards[0].paused")?;
    for (index, key) in ["1", "2", "3", "1"].into_iter().enumerate() {
        browser.evaluate("void (window.before = sight.number)")?;
        browser.press(key, key)?;
        browser.until(&format!(
            "sight.number > before && view.classes.reduce((sum, [, count]) => sum + count, 0) === {}",
            index + 1
        ))?;
    }
    browser.press("n", "n")?;
    browser.until("document.activeElement.id === 'name'")?;
    browser.call("Input.insertText", json!({ "text": "bored" }))?;
    browser.press("Enter", "\r")?;
    browser.until("classes().includes('bored') && document.activeElement.id !== 'name'")?;
    browser.press("5", "5")?;
    browser.until("view.classes.some(([name, count]) => name === 'bored' && count === 1)")?;
    let classes: Vec<String> = serde_json::from_value(browser.evaluate("classes()")?)?;
    ensure!(classes.len() == 5 && files(&folder.join(&classes[0])).len() == 2, "{classes:?}");

    let shown = "document.getElementById('pictures').children";
    browser.until(&format!(
        "shelf === classes()[0] && {shown}.length === 2 && {shown}[0].firstChild.naturalWidth === 160"
    ))?;
    let groups = fs::read_to_string(folder.join("groups.csv"))?;
    browser.evaluate(&format!("{shown}[0].focus()"))?;
    browser.press("Enter", "\r")?;
    browser.until("chosen.size === 1 && !document.getElementById('chosen').hidden")?;
    browser.press("2", "2")?;
    browser.until(&format!("{shown}.length === 1 && chosen.size === 0"))?;
    ensure!(files(&folder.join(&classes[1])).len() == 2 && files(&folder.join(&classes[0])).len() == 1);
    let corrected = fs::read_to_string(folder.join("groups.csv"))?;
    ensure!(groups != corrected && groups.lines().count() == corrected.lines().count(), "{groups}\n{corrected}");
    browser.press("Enter", "\r")?;
    browser.until("chosen.size === 1")?;
    browser.press("Delete", "")?;
    browser.until("!view.classes.some(([name, count]) => name === classes()[0] && count > 0)")?;
    ensure!(files(&folder.join(&classes[0])).is_empty(), "it is not deleted");
    Ok(())
}

/// Another model is sent, runs, and is taken back.
fn sends(browser: &mut Chromium) -> Result<()> {
    browser.press("Escape", "")?;
    browser.press(" ", " ")?;
    browser.until("!stopped && unanswered === 0")?;
    let ready = "view.boards[0].doing === null && view.boards[0].compared > 2 && document.getElementById('parity').className === 'agrees'";
    browser.evaluate("document.querySelector('#known li:nth-child(2) button').click()")?;
    browser.until(&format!("view.boards[0].model === 1 && {ready} && sight.threshold > 0.5"))?;
    browser.evaluate("document.getElementById('back').click()")?;
    browser.until(&format!("view.boards[0].model === 0 && {ready} && sight.threshold === 0"))?;
    Ok(())
}

/// A small network goes on with pictures that were collected, is compared and can be sent; another time the training is cancelled. There
/// is no board meanwhile.
pub fn a_person_trains() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let text = |name: &str| at(name).display().to_string();
    generate(&at("drawings"), 1, &PerClass { train: 40, valid: 6, test: 6 }, 16)?;
    generate(&at("others"), 2, &PerClass { train: 12, valid: 0, test: 0 }, 16)?;
    // The studio adds an empty file of groups to pictures that come from elsewhere.
    fs::rename(at("others/train"), at("collected"))?;
    fs::write(
        at("config.toml"),
        "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 1\n",
    )?;
    let train = ["train", "--data", &text("drawings"), "--config", &text("config.toml"), "--out", &text("first")];
    host_trainer(&train.map(str::to_owned))?;
    let arguments = [
        "studio",
        "--json",
        "--link",
        &format!("serial:{}", text("nowhere")),
        "--model",
        &text("first"),
        "--out",
        &text("collected"),
        "--runs",
        &text("runs"),
        "--held-out",
        &text("drawings"),
    ];
    let program = Program::start(&arguments.map(str::to_owned))?;
    let mut browser = Chromium::start()?;
    browser.visit(&program.address)?;
    browser.until("view.boards[0]?.status === 'lost' && !document.getElementById('train').disabled")?;
    browser.evaluate("document.getElementById('train').click()")?;
    browser.within(LESSON, "!view.lesson.running && (view.lesson.failed !== null || view.lesson.said.length > 0)")?;
    let outcome =
        browser.evaluate("[...document.getElementById('outcome').children].map((line) => line.textContent)")?;
    let outcome: Vec<String> = serde_json::from_value(outcome)?;
    let failed = browser.evaluate("view.lesson.failed")?;
    ensure!(failed.is_null(), "{failed}");
    ensure!(outcome.len() > 1 && outcome[0].contains("first"), "{outcome:?}");
    ensure!(browser.evaluate("document.getElementById('known').children.length")? == 2);
    let made = files(&at("runs"));
    ensure!(
        made.len() == 1 && made[0].join("model.blob").is_file() && made[0].join("report.html").is_file(),
        "{made:?}"
    );

    browser.evaluate("document.getElementById('train').click()")?;
    browser.within(LESSON, "view.lesson.running")?;
    browser.evaluate("document.getElementById('cancel').click()")?;
    browser.within(LESSON, "!view.lesson.running && view.lesson.failed?.includes('cancelled') === true")?;
    ensure!(browser.evaluate("document.getElementById('known').children.length")? == 2);
    browser.expect_silence()
}
