//! Progress bars on the standard error; a line before what takes long where that is not a terminal.

use std::io::IsTerminal;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::config::InputConfig;
use crate::data::dataset::{Dataset, Images, Loaded, View, load as load_samples};
use crate::system::log;

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

/// Reads all images of a data set behind a progress bar; tells on the standard error what the user should know about the
/// folder and which files were left out.
///
/// # Errors
/// Those of [`Dataset::load`].
pub fn load(dataset: &mut Dataset, input: &InputConfig, view: View) -> Result<Loaded> {
    tell(dataset.train.len() + dataset.valid.len() + dataset.test.len(), "images");
    let bar = bar(0, "images");
    let loaded = log::stage("reading images", || dataset.load(input, view, &|done, all| show(&bar, done, all)));
    bar.finish_and_clear();
    let loaded = loaded?;
    dataset.notes.iter().for_each(|note| tracing::warn!("{note}"));
    for (path, reason) in &dataset.skipped {
        tracing::info!("skipped: {} {reason}", path.display());
    }
    Ok(loaded)
}

/// Reads the training images of a data set behind a progress bar.
///
/// # Errors
/// When a file cannot be decoded.
pub fn load_training(dataset: &Dataset, input: &InputConfig) -> Result<Images> {
    tell(dataset.train.len(), "training images");
    let bar = bar(0, "training images");
    let images = load_samples(&dataset.train, input, View::Rgb888, &|done, all| show(&bar, done, all));
    bar.finish_and_clear();
    images
}

/// Says what is read where no bar is shown.
pub fn tell(count: usize, what: &str) {
    if !std::io::stderr().is_terminal() || !log::shows_bars() {
        tracing::info!("reading {count} {what}");
    }
}

fn show(bar: &ProgressBar, done: usize, all: usize) {
    bar.set_length(all as u64);
    bar.set_position(done as u64);
}
