//! Progress bars on the standard error; a line before what takes long where that is not a terminal.

use std::io::IsTerminal;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::data::dataset::{Dataset, Loaded, Reading};
use crate::system::log;
use crate::system::terminal::escaped;

/// Bytes of decoded images from which on it is told how many there are.
const MANY: u64 = 100_000_000;

/// A bar over `len` of `what`.
///
/// # Panics
/// When `what` holds braces.
#[must_use]
pub fn bar(len: usize, what: &str) -> ProgressBar {
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {what}  {{eta}} left");
    let style = ProgressStyle::with_template(&template).expect("the template has no braces of its own");
    visible(ProgressBar::new(len as u64)).with_style(style)
}

/// The bar, hidden where no bars are shown.
#[must_use]
pub fn visible(bar: ProgressBar) -> ProgressBar {
    if !log::shows_bars() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

/// Reads a data set's images behind a progress bar; tells on the standard error what the user should know about the folder
/// and which files were left out.
///
/// # Errors
/// Those of [`Dataset::load`].
pub fn load(dataset: &mut Dataset, reading: &Reading) -> Result<Loaded> {
    tell(dataset.train.len() + dataset.valid.len() + dataset.test.len(), "images");
    let bytes = dataset.decoded_bytes(reading);
    if bytes >= MANY {
        let place = if dataset.cache.is_some() { "the disk" } else { "memory" };
        tracing::info!("decoded, they take {} MB of {place}", bytes.div_ceil(1_000_000));
    }
    let bar = bar(0, "images");
    let loaded = log::stage("reading images", || dataset.load(reading, &|done, all| show(&bar, done, all)));
    bar.finish_and_clear();
    let loaded = loaded?;
    dataset.notes.iter().for_each(|note| tracing::warn!("{note}"));
    for (path, reason) in &dataset.skipped {
        tracing::info!("skipped: {} {reason}", escaped(&path.display().to_string()));
    }
    Ok(loaded)
}

/// Says what is read where no bar is shown.
pub fn tell(count: usize, what: &str) {
    say(&format!("reading {count} {what}"));
}

/// A bar over so many images that `engine` answers; a line where it is not shown. It goes when it is dropped.
///
/// # Panics
/// When `engine` holds braces.
#[must_use]
pub fn scoring(images: usize, engine: &str) -> ProgressBar {
    say(&format!("scoring {images} images with the {engine}"));
    bar(images, &format!("images with the {engine}")).with_finish(ProgressFinish::AndClear)
}

fn say(line: &str) {
    if !std::io::stderr().is_terminal() || !log::shows_bars() {
        tracing::info!("{line}");
    }
}

fn show(bar: &ProgressBar, done: usize, all: usize) {
    bar.set_length(all as u64);
    bar.set_position(done as u64);
}
