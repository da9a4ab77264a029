//! A picture of what a model answers: some images of each class, each with the class that the int8 model gives it.

use std::path::Path;

use anyhow::{Context, Result};
use maud::{Markup, html};
use model_training::data::dataset::Images;
use model_training::measure::comparison::shorten;
use model_training::measure::evaluate::{Int8Output, class_probabilities};
use model_training::system::atomic;
use model_training::system::html::png_uri;
use no_std_infer::Model;

/// Images of each class.
const COLUMNS: usize = 6;
/// Most classes that are shown.
const ROWS: usize = 12;
/// Side of the square that an image is fitted into, in pixels.
const SIDE: usize = 96;
/// Between two squares.
const GAP: usize = 10;
/// Height of the line under an image.
const LINE: usize = 20;
/// Height of the title.
const TITLE: usize = 44;
/// Room on the left for the name of the true class.
const NAMES: usize = 110;
/// Longest class name; longer ones are cut.
const LONGEST_LABEL: usize = 12;

/// Writes an SVG with up to 6 images of each of the first 12 classes, spread over all images of the class. Under each
/// stands what the int8 model `said` and its probability; wrong answers are marked by a cross and by colour.
///
/// # Errors
/// When the file cannot be written.
///
/// # Panics
/// When the images do not have the size of the model's input, or a label is none of the model's.
pub fn predictions(
    path: &Path,
    title: &str,
    model: &Model<'_>,
    (images, said): (&Images, &[Int8Output]),
) -> Result<()> {
    let labels: Vec<&str> = model.labels().collect();
    let rows = labels.len().min(ROWS);
    let (width, height) = (NAMES + COLUMNS * (SIDE + GAP) + GAP, TITLE + rows * (SIDE + LINE + GAP));
    let row = |class: usize| row(model, (images, said), &labels, class);
    let rows: Vec<Markup> =
        (0..rows).map(row).collect::<Result<_>>().with_context(|| format!("cannot draw {}", path.display()))?;
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) }
            font-family="sans-serif" font-size="13" fill="#222" {
            rect width="100%" height="100%" fill="#fff" {}
            text x=(GAP) y="26" font-size="16" { (title) }
            @for row in &rows { (row) }
        }
    };
    atomic::write(path, (svg.into_string() + "\n").as_bytes())
}

/// Some images of a class with their answers.
fn row(model: &Model<'_>, (images, said): (&Images, &[Int8Output]), labels: &[&str], class: usize) -> Result<Markup> {
    let top = TITLE + class * (SIDE + LINE + GAP);
    let cell = |(column, index): (usize, usize)| -> Result<Markup> {
        let left = NAMES + column * (SIDE + GAP);
        let (answer, probability) = answer(model, &said[index]);
        let (color, mark) = if answer == class { ("#005a8c", "") } else { ("#d55e00", "✗ ") };
        let uri = png_uri(&images.image(index), images.shape.width, images.shape.height)?;
        let name = shorten(labels[answer], LONGEST_LABEL);
        Ok(html! {
            image x=(left) y=(top) width=(SIDE) height=(SIDE) href=(uri) {}
            text x=(left) y=(top + SIDE + 15) fill=(color) { (mark) (name) (format!(" {:.0} %", 100.0 * probability)) }
        })
    };
    let cells: Vec<Markup> = spread(images, class).into_iter().enumerate().map(cell).collect::<Result<_>>()?;
    Ok(html! {
        text x=(GAP) y=(top + SIDE / 2) font-weight="bold" { (shorten(labels[class], LONGEST_LABEL)) }
        @for cell in &cells { (cell) }
    })
}

/// Indices of up to [`COLUMNS`] images of a class, spread over all of them.
fn spread(images: &Images, class: usize) -> Vec<usize> {
    let all: Vec<usize> = (0..images.len()).filter(|&index| images.labels[index] == class).collect();
    let count = all.len().min(COLUMNS);
    (0..count).map(|column| all[column * all.len() / count]).collect()
}

/// The model's class and its probability.
fn answer(model: &Model<'_>, output: &Int8Output) -> (usize, f32) {
    (output.class, class_probabilities(model, &output.logits, &output.output)[output.class])
}

#[cfg(test)]
mod tests {
    use model_compiler::graph::Shape;
    use model_training::measure::evaluate::int8_outputs;

    use super::*;
    use crate::samples::blob;

    #[test]
    fn each_class_is_shown_with_the_models_answers() {
        let labels: Vec<String> = (0..5).map(|class| format!("<{class}>")).collect();
        let blob = blob(&labels, 1.0);
        let model = Model::parse(&blob).unwrap();
        let input = model.info().input.tensor;
        let shape = Shape {
            height: usize::from(input.height),
            width: usize::from(input.width),
            channels: input.channels as usize,
        };
        let pixels: Vec<u8> = (0..20 * input.len()).map(|index| (index * 37 % 251) as u8).collect();
        // Nine images of the first class, eleven of the second, none of the others.
        let labels: Vec<usize> = (0..20).map(|index| usize::from(index >= 9)).collect();
        let images = Images::of_pixels(shape, &pixels, &labels);
        let said = int8_outputs(&model, &images);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.svg");
        predictions(&path, "a & b", &model, (&images, &said)).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        assert_eq!(svg.matches("<image").count(), 12);
        assert!(svg.contains("a &amp; b") && svg.contains("&lt;4&gt;") && !svg.contains("<4>"));
        for index in spread(&images, 1) {
            let (class, probability) = answer(&model, &said[index]);
            let mark = if class == 1 { "" } else { "✗ " };
            assert!(svg.contains(&format!(">{mark}&lt;{class}&gt; {:.0} %<", 100.0 * probability)));
        }
        assert_eq!(spread(&images, 0), [0, 1, 3, 4, 6, 7]);
    }
}
