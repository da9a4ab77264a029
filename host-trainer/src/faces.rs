//! The built-in data set: drawn animal faces in four expressions.
//!
//! A drawing is decided by its seed and its class alone. Species, colours, background, light, size, place, turn,
//! things in the way, blur and noise are drawn independently of the class, so that only the expression tells the
//! classes apart.

mod canvas;
mod expression;
mod head;
mod scene;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use image::{ImageFormat, RgbImage};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::atomic;
use canvas::{Canvas, Dice};
use expression::{Expression, Mood};
use head::Head;

/// Names of the classes, in the order of their indices.
pub const CLASSES: [&str; 4] = ["angry", "happy", "other", "sad"];

// Difficulty. Lengths are shares of the frame's side, or of the head's radius where they say so.

/// Width of the head.
const HEAD_WIDTH: [f32; 2] = [0.62, 0.95];
/// Tangent of half the largest turn of the head to either side: 25 degrees.
const MAX_TILT: f32 = 0.2217;
/// How far the inner end of a fully slanted brow lies from its middle, in head radii.
const BROW_SLANT: f32 = 0.16;
/// Largest slant of the brows in the class `other`, as a share of [`BROW_SLANT`].
const CALM_SLANT: f32 = 0.2;
/// Share of the faces with brows; the eyelids slant in the others.
const BROWS_SHOWN: f32 = 0.8;
/// Depth of the strongest smile, in head radii.
const MOUTH_CURVE: f32 = 0.16;
/// Share of the foreheads, and of the cheeks, with strokes that look like brows.
const STROKES: f32 = 0.1;
/// Largest number of shapes in the background.
const CLUTTER: usize = 8;
/// Share of the faces behind a hat, glasses, a paw or grass.
const OCCLUSION: f32 = 0.35;
/// Largest opacity of a shadow across the picture.
const SHADOW: f32 = 0.35;
/// Largest change of brightness and of contrast.
const EXPOSURE: f32 = 0.2;
/// Largest change of a colour channel.
const CAST: f32 = 0.15;
/// Largest amplitude of the noise, as a share of full scale.
const NOISE: f32 = 0.03;
/// Largest blur radius.
const BLUR: f32 = 0.004;

/// Largest width and height of a drawing in pixels.
pub const MAX_SIZE: u32 = 2048;

/// Draws one face of the class [`CLASSES`]`[class]`, `size` by `size` pixels. The same arguments give the same bytes.
///
/// # Panics
/// When `class` is not an index of [`CLASSES`], or `size` is 0.
#[must_use]
pub fn draw(seed: u64, class: usize, size: u32) -> RgbImage {
    let mut dice = Dice::new(seed, class as u64);
    let mut canvas = Canvas::new(size);
    scene::draw_background(&mut canvas, &mut dice);
    let head = Head::sample(&mut dice);
    let expression = Expression::sample(Mood::ALL[class], &mut dice);
    let radius = dice.within(HEAD_WIDTH) / 2.0;
    let slack = 0.5 - 0.7 * radius;
    let centre = [0.5 + dice.around_zero(slack), 0.54 + dice.around_zero(slack)];
    canvas.placed(centre, radius, dice.around_zero(MAX_TILT), |canvas| {
        head.draw(canvas, &mut dice);
        expression.draw(canvas, &head.coat, &mut dice);
        scene::draw_occlusion(canvas, &mut dice);
    });
    scene::draw_light(&mut canvas, &mut dice);
    let bytes = scene::expose(canvas.into_rgb(), size as usize, &mut dice);
    RgbImage::from_raw(size, size, bytes).expect("three bytes a pixel")
}

/// How many drawings each class has in each split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerClass {
    /// For training.
    pub train: usize,
    /// For choosing the best epoch.
    pub valid: usize,
    /// For the figures reported.
    pub test: usize,
}

impl PerClass {
    fn splits(&self) -> [(&'static str, usize); 3] {
        [("train", self.train), ("valid", self.valid), ("test", self.test)]
    }
}

/// What [`generate`] wrote; `manifest.json` holds the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// Pixels across and down.
    pub size: u32,
    /// Drawings of each class.
    pub per_class: PerClass,
    /// SHA-256 in hexadecimal of each file, by its path relative to the folder, parts separated by `/`.
    pub files: BTreeMap<String, String>,
}

/// Name of the file that lists the drawings and their hashes.
pub const MANIFEST: &str = "manifest.json";

/// Writes a data set of `size` by `size` PNG files to `dir/{train,valid,test}/<class>/NNNN.png` and lists them in
/// `dir/manifest.json`. No two drawings share a seed, and the same arguments give the same bytes. A file is complete
/// or absent; the manifest comes last.
///
/// # Errors
/// When `size` is 0 or above [`MAX_SIZE`], a split has more than 10,000 drawings a class, `dir` holds anything that
/// this call would not write, or a file cannot be written.
pub fn generate(dir: &Path, seed: u64, per_class: &PerClass, size: u32) -> anyhow::Result<Summary> {
    ensure!((1..=MAX_SIZE).contains(&size), "drawings of {size} pixels are not possible: choose 1 to {MAX_SIZE}");
    let mut jobs = Vec::new();
    for (split, count) in per_class.splits() {
        for (class, name) in CLASSES.iter().enumerate() {
            let path = |index| format!("{split}/{name}/{index:04}.png");
            jobs.extend((0..count).map(|index| (path(index), class)));
            let folder = dir.join(split).join(name);
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
    }
    let draw_one = |(number, (path, class)): (usize, (String, usize))| -> anyhow::Result<(String, String)> {
        let mut png = std::io::Cursor::new(Vec::new());
        draw(seed.wrapping_mul(1 << 32).wrapping_add(number as u64), class, size)
            .write_to(&mut png, ImageFormat::Png)?;
        let png = png.into_inner();
        atomic::write(&dir.join(&path), &png)?;
        let digest = Sha256::digest(&png).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((path, digest))
    };
    let files = jobs.into_par_iter().enumerate().map(draw_one).collect::<anyhow::Result<_>>()?;
    let summary = Summary { seed, size, per_class: *per_class, files };
    atomic::write(&dir.join(MANIFEST), serde_json::to_string_pretty(&summary)?.as_bytes())?;
    Ok(summary)
}
