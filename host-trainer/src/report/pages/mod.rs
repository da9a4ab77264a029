//! `report.html`: what a run, or a cross-validation, was given, did and found, as one self-contained page. Every page has
//! its parts in one order: the verdict, the result, the mistakes, how far probabilities can be believed, the boards, the data,
//! how it was changed, the course of the training, and what made it.

mod calibration;
mod certificate;
mod cv;
mod data;
mod mistakes;
mod run;
mod search;
mod suspects;
#[cfg(test)]
mod tests;
mod twin;
mod unfinished;

use anyhow::Result;
use image::RgbImage;
use maud::{Markup, html};
use model_compiler::graph::Shape;
use model_compiler::quantise::noise::LayerSqnr;
use model_training::system::html::{figure, jpeg_uri, png_uri, table};

pub use certificate::certificate;
pub use cv::cross_validation;
pub use run::{shown, training_run};
pub use search::search;
pub use suspects::{caution, in_words, suspected_labels};
pub(in crate::report) use twin::of_run as twin_of_run;
pub use twin::{SAMPLES, Sample, WASM, spread, twin};
pub use unfinished::Unfinished;

/// Name of the page in a run folder and in a folder of a cross-validation.
pub const REPORT_FILE: &str = "report.html";
/// Name of the twin's page in a run folder.
pub const TWIN_FILE: &str = "twin.html";
/// Sides up to which a picture is shown pixel by pixel; two may stand beside each other.
const EXACT: usize = 48;
/// Width or height, whichever is larger, to which larger pictures are reduced.
const REDUCED: u32 = 96;

/// Pixels of this shape, grey or colours, with a caption.
fn picture(pixels: &[u8], shape: Shape, alt: &str, caption: &Markup) -> Result<Markup> {
    let [width, height] = [shape.width, shape.height];
    if height <= EXACT && width <= 2 * EXACT {
        return Ok(figure(&png_uri(pixels, width, height)?, alt, caption));
    }
    let grey = shape.channels == 1;
    let colours = if grey { pixels.iter().flat_map(|&value| [value; 3]).collect() } else { pixels.to_vec() };
    let picture = RgbImage::from_raw(width as u32, height as u32, colours).unwrap_or_default();
    Ok(figure(&jpeg_uri(&picture, if width < 2 * height { REDUCED } else { 2 * REDUCED })?, alt, caption))
}

/// The first two sentences of a verdict, then the others.
fn verdict(sentences: &[String]) -> Markup {
    let (first, others) = sentences.split_at(sentences.len().min(2));
    html! {
        p.lead { (first.join(" ").replace(" %", "\u{a0}%")) }
        @if !others.is_empty() {
            ul { @for other in others { li { (other) } } }
        }
    }
}

/// SQNR by layer, in dB.
fn sqnr(layers: &[LayerSqnr]) -> Markup {
    let row = |layer: &LayerSqnr| {
        let shape = format!("{} x {} x {}", layer.shape.height, layer.shape.width, layer.shape.channels);
        let db = layer.db.map_or("exact".to_owned(), |db| format!("{db:.1}"));
        vec![layer.name.clone(), layer.op.clone(), shape, db]
    };
    let rows: Vec<Vec<String>> = layers.iter().map(row).collect();
    table(&["layer", "operator", "output", "SQNR, dB"], &rows)
}
