//! The page over many frames: neither the program nor the emulator nor the page's own memory grows with them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use host_trainer::device::build_app;
use tests::chromium::Chromium;
use tests::processes::{call, emulators};
use tests::resident;

use crate::browser::Studio;
use crate::lamps::{SIDE, draw};

/// Frames in all.
const FRAMES: u64 = 10_000;
/// Frames after which everything is in memory that is needed.
const WARM: u64 = 1_000;
/// Bytes by which each may grow from then on.
const GROWTH: u64 = 8 << 20;
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(7_200);

/// Shows frames of the emulated board's camera in a page, and looks at memory.
pub fn ten_thousand() -> Result<()> {
    build_app(None)?;
    let folder = tempfile::tempdir()?;
    let text = |name: &str| folder.path().join(name).display().to_string();
    draw(folder.path(), 1, &model_training::data::faces::PerClass { train: 60, valid: 0, test: 0 }, None)?;
    let (link, size) = (format!("qemu:{}", text("flash.bin")), format!("{SIDE}x{SIDE}"));
    let blob = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/faces.blob");
    call(&["flash", blob, "--link", &link])?;
    let board = ["studio", "--json", "--link", &link, "--frames", &text("train"), "--size", &size];
    let studio = Studio::start(&[&board[..], &["--model", blob, "--out", &text("collected")]].concat())?;
    let mut browser = Chromium::start_for(2 * PATIENCE)?;
    browser.visit(&studio.address)?;
    let emulator = *emulators(&folder.path().join("flash.bin"))?.first().context("an emulator")?;
    let start = Instant::now();
    let mut memory = |frames: u64| -> Result<[u64; 3]> {
        browser.within(PATIENCE, &format!("view.boards[0]?.compared >= {frames}"))?;
        browser.call("HeapProfiler.collectGarbage", serde_json::json!({}))?;
        let page = browser.evaluate("performance.memory.usedJSHeapSize")?.as_u64().context("a number of bytes")?;
        Ok([resident(&studio.process.id().to_string())?, resident(&emulator.to_string())?, page])
    };
    let (warm, end) = (memory(WARM)?, memory(FRAMES)?);
    let rate = FRAMES as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.1} frames a second; program, emulator, page: {warm:?} bytes after {WARM}, {end:?} after {FRAMES}");
    ensure!(warm.iter().zip(&end).all(|(warm, end)| *end <= warm + GROWTH), "memory grows");
    ensure!(browser.evaluate("view.boards[0].differing")? == 0, "frames differ");
    browser.expect_silence()
}
