//! Loads images and shows how far it is.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::InputConfig;
use crate::dataset::{Dataset, Loaded, View};

/// Reads all images of a data set behind a progress bar; tells on the standard error what the user should know about the
/// folder and which files were left out.
///
/// # Errors
/// Those of [`Dataset::load`].
pub fn load(dataset: &mut Dataset, input: &InputConfig, view: View) -> Result<Loaded> {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} images  {eta} left").expect("a valid template");
    let bar = ProgressBar::new(0).with_style(style);
    let loaded = dataset.load(input, view, &|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let loaded = loaded?;
    dataset.notes.iter().for_each(|note| eprintln!("note: {note}"));
    for (path, reason) in &dataset.skipped {
        eprintln!("skipped: {} {reason}", path.display());
    }
    Ok(loaded)
}
