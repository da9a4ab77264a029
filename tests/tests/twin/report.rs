//! The twin inside of a run's report.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use host_trainer::commands::{Cli, run};
use tests::chromium::Chromium;

use super::picture;

/// The report alone, in another folder than the rest of its run: the model in it proves itself once it is unfolded, and answers of a sample.
pub(super) fn a_runs_report_holds_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [pictures, out, moved] = ["pictures", "run", "moved.html"].map(|name| folder.path().join(name));
    for (class, first) in [("cat", 0), ("dog", 10)] {
        fs::create_dir_all(pictures.join(class))?;
        for seed in first..first + 10 {
            picture(16, 16, seed).save(pictures.join(class).join(format!("{seed}.png")))?;
        }
    }
    let config = folder.path().join("config.toml");
    fs::write(&config, "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 1\n")?;
    train(&pictures, &config, &out)?;
    fs::rename(out.join("report.html"), &moved)?;

    let mut browser = Chromium::start()?;
    browser.open(&moved)?;
    let page = "document.querySelector('#twin iframe').contentDocument";
    browser.evaluate("void (document.getElementById('twin').open = true)")?;
    browser.until(&format!("{page}?.getElementById('proof')?.textContent === '✓ self-test passed'"))?;
    browser
        .until(&format!("['cat', 'dog'].some((name) => {page}.getElementById('answer').textContent.includes(name))"))?;
    browser.expect_silence()
}

fn train(pictures: &Path, config: &Path, out: &Path) -> Result<()> {
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a temporary path is not UTF-8");
    let options = ["--data", &text(pictures)?, "--config", &text(config)?, "--out", &text(out)?].map(str::to_owned);
    let arguments = ["host-trainer", "train"].map(str::to_owned).into_iter().chain(options);
    run(Cli::try_parse_from(arguments)?)?;
    ensure!(out.join("report.html").exists(), "the run has no report");
    Ok(())
}
