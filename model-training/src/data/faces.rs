//! The built-in data set: drawn animal faces in four expressions.
//!
//! A drawing is decided by its seed and its class alone. Species, colours, background, light, size, place, turn,
//! things in the way, blur and noise are drawn independently of the class, so that only the expression tells the
//! classes apart.

mod canvas;
mod expression;
mod head;
mod scene;
mod shift;
mod species;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use image::{ImageFormat, RgbImage};
use model_compiler::graph::Shape;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::augment::Key;
use crate::system::atomic;
use crate::system::hexadecimal::hexadecimal;
use canvas::{Canvas, Dice};
use expression::{Expression, Mood};
use head::Head;
pub use shift::Shift;

/// Names of the classes, in the order of their indices.
pub const CLASSES: [&str; 4] = ["angry", "happy", "other", "sad"];

// Difficulty. Lengths are shares of the frame's side, or of the head's radius where they say so.

/// Width of the head.
const HEAD_WIDTH: [f32; 2] = [0.58, 0.95];
/// Tangent of half the largest turn of the head to either side: 25 degrees.
const MAX_TILT: f32 = 0.2217;
/// How far the inner end of a fully slanted brow lies from its middle, in head radii.
const BROW_SLANT: f32 = 0.145;
/// Largest slant of the brows in the class `other`, as a share of [`BROW_SLANT`].
const CALM_SLANT: f32 = 0.15;
/// Share of the faces with brows; the eyelids slant in the others.
const BROWS_SHOWN: f32 = 0.85;
/// Depth of the strongest smile, in head radii.
const MOUTH_CURVE: f32 = 0.14;
/// Share of the foreheads, and of the cheeks, with strokes that look like brows.
const STROKES: f32 = 0.25;
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
const NOISE: f32 = 0.035;
/// Largest blur radius.
const BLUR: f32 = 0.005;

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
    /// For the figures that are reported.
    pub test: usize,
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
    /// How the drawings differ from those that [`draw`] makes, where they do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shift: Option<Shift>,
    /// SHA-256 in hexadecimal of each file, by its path in the folder, parts separated by `/`.
    pub files: BTreeMap<String, String>,
}

/// Name of the file that lists the drawings and their hashes.
pub const MANIFEST: &str = "manifest.json";
/// Largest width and height of a drawing, in pixels.
pub const MAX_SIZE: u32 = 1024;
/// Largest number of drawings of one class in one split.
pub const MAX_PER_CLASS: usize = 10_000;

struct Drawing {
    path: String,
    seed: u64,
    class: usize,
}

/// Writes `size` by `size` pixel PNG files to `dir/{train,valid,test}/<class>/NNNN.png` and their list to
/// `dir/manifest.json`. No two drawings of a class share a seed, and the same arguments give the same bytes. A file is
/// complete or absent, and the manifest comes last. Drawings of an earlier call are overwritten.
///
/// # Errors
/// When `size` is 0 or above [`MAX_SIZE`], a count is above [`MAX_PER_CLASS`], a split folder holds a file that this
/// call would not write, or a file cannot be written.
pub fn generate(dir: &Path, seed: u64, per_class: &PerClass, size: u32) -> anyhow::Result<Summary> {
    generate_shifted(dir, seed, per_class, size, None)
}

/// The same, as another camera sees the drawings.
///
/// # Errors
/// Those of [`generate`].
pub fn generate_shifted(
    dir: &Path,
    seed: u64,
    per_class: &PerClass,
    size: u32,
    shift: Option<Shift>,
) -> anyhow::Result<Summary> {
    ensure!((1..=MAX_SIZE).contains(&size), "drawings of {size} pixels: the size must lie between 1 and {MAX_SIZE}");
    let drawings = plan(seed, per_class)?;
    prepare_folders(dir, &drawings)?;
    let files = drawings.par_iter().map(|drawing| {
        let mut png = Cursor::new(Vec::new());
        let picture = draw(drawing.seed, drawing.class, size);
        let picture = shift.map_or_else(|| picture.clone(), |shift| shifted(&picture, shift, drawing));
        picture.write_to(&mut png, ImageFormat::Png)?;
        atomic::write(&dir.join(&drawing.path), png.get_ref())?;
        Ok((drawing.path.clone(), hexadecimal(&Sha256::digest(png.get_ref()))))
    });
    let files = files.collect::<anyhow::Result<_>>()?;
    let summary = Summary { seed, size, per_class: *per_class, shift, files };
    let mut text = serde_json::to_string_pretty(&summary)?;
    text.push('\n');
    atomic::write(&dir.join(MANIFEST), text.as_bytes())?;
    Ok(summary)
}

fn shifted(picture: &RgbImage, shift: Shift, drawing: &Drawing) -> RgbImage {
    let (width, height) = picture.dimensions();
    let shape = Shape { height: height as usize, width: width as usize, channels: 3 };
    let key = Key { seed: drawing.seed, epoch: 0, index: drawing.class as u64 };
    let taken = shift.camera().take(picture.as_raw().clone(), shape, key);
    RgbImage::from_raw(width, height, taken).expect("a picture of the same size")
}

/// Every drawing's path and seed. Split and index give the offset from one start, so no class has a seed twice.
fn plan(seed: u64, per_class: &PerClass) -> anyhow::Result<Vec<Drawing>> {
    let start = Dice::new(seed, 0).bits();
    let mut drawings = Vec::new();
    for (split, (folder, count)) in
        [("train", per_class.train), ("valid", per_class.valid), ("test", per_class.test)].into_iter().enumerate()
    {
        ensure!(count <= MAX_PER_CLASS, "{count} drawings of a class for {folder}: {MAX_PER_CLASS} is the most");
        for (class, name) in CLASSES.iter().enumerate() {
            drawings.extend((0..count).map(|index| Drawing {
                path: format!("{folder}/{name}/{index:04}.png"),
                seed: start.wrapping_add((split * MAX_PER_CLASS + index) as u64),
                class,
            }));
        }
    }
    Ok(drawings)
}

/// Makes the folders, after a check that the splits hold nothing but these drawings.
fn prepare_folders(dir: &Path, drawings: &[Drawing]) -> anyhow::Result<()> {
    let ours: HashSet<PathBuf> = drawings.iter().map(|drawing| dir.join(&drawing.path)).collect();
    let folders: BTreeSet<&Path> = ours.iter().filter_map(|path| path.parent()).collect();
    for folder in ["train", "valid", "test"].iter().flat_map(|split| CLASSES.map(|name| dir.join(split).join(name))) {
        if !folder.is_dir() {
            continue;
        }
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            ensure!(
                hidden || ours.contains(&path),
                "{} is not one of the drawings to be written and would mix with them: choose an empty folder",
                path.display()
            );
        }
    }
    for folder in folders {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: PerClass = PerClass { train: 3, valid: 1, test: 2 };

    #[test]
    fn a_seed_gives_the_same_drawing_again() {
        for class in 0..CLASSES.len() {
            assert_eq!(draw(7, class, 48), draw(7, class, 48));
            assert_ne!(draw(7, class, 48), draw(8, class, 48));
        }
    }

    #[test]
    fn classes_differ_at_the_same_seed() {
        let drawings: Vec<_> = (0..CLASSES.len()).map(|class| draw(3, class, 48).into_raw()).collect();
        let different: HashSet<_> = drawings.iter().collect();
        assert_eq!(different.len(), CLASSES.len());
    }

    /// The expression alone tells the classes apart: their mean brightness does not.
    #[test]
    fn brightness_does_not_tell_the_classes_apart() {
        let mean = |class| {
            let sum: f64 = (0..200)
                .into_par_iter()
                .map(|seed| draw(seed, class, 16).as_raw().iter().map(|&p| f64::from(p)).sum::<f64>())
                .collect::<Vec<_>>()
                .iter()
                .sum();
            sum / (200.0 * 16.0 * 16.0 * 3.0)
        };
        let means: Vec<f64> = (0..CLASSES.len()).map(mean).collect();
        let spread = means.iter().fold(0.0_f64, |worst, m| worst.max((m - means[0]).abs()));
        assert!(spread < 8.0, "{means:?}");
    }

    #[test]
    fn any_size_is_drawn() {
        for size in [1, 2, 17, 32, 200] {
            let drawing = draw(1, 0, size);
            assert_eq!(drawing.dimensions(), (size, size));
        }
    }

    #[test]
    fn seeds_are_disjoint_between_the_splits() {
        let drawings = plan(5, &PerClass { train: 50, valid: 20, test: 30 }).unwrap();
        let seeds: HashSet<(usize, u64)> = drawings.iter().map(|drawing| (drawing.class, drawing.seed)).collect();
        assert_eq!(seeds.len(), 400);
    }

    #[test]
    fn folders_are_balanced_and_the_manifest_is_true() {
        let dir = tempfile::tempdir().unwrap();
        let summary = generate(dir.path(), 1, &FEW, 24).unwrap();
        for (split, count) in [("train", 3), ("valid", 1), ("test", 2)] {
            for name in CLASSES {
                assert_eq!(fs::read_dir(dir.path().join(split).join(name)).unwrap().count(), count, "{split}/{name}");
            }
        }
        let manifest = fs::read_to_string(dir.path().join(MANIFEST)).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&manifest).unwrap(), summary);
        assert_eq!(summary.files.len(), 24);
        for (path, hash) in &summary.files {
            let bytes = fs::read(dir.path().join(path)).unwrap();
            assert_eq!(&hexadecimal(&Sha256::digest(&bytes)), hash, "{path}");
            assert_eq!(image::load_from_memory(&bytes).unwrap().to_rgb8().dimensions(), (24, 24));
        }
        let distinct: HashSet<&String> = summary.files.values().collect();
        assert_eq!(distinct.len(), 24);
    }

    #[test]
    fn a_second_run_writes_the_same_bytes_over_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = generate(dir.path(), 1, &FEW, 24).unwrap();
        assert_eq!(generate(dir.path(), 1, &FEW, 24).unwrap(), first);
        assert_ne!(generate(dir.path(), 2, &FEW, 24).unwrap().files, first.files);
    }

    #[test]
    fn shifted_drawings_are_the_same_ones_through_another_camera() {
        let dir = tempfile::tempdir().unwrap();
        generate(&dir.path().join("plain"), 1, &FEW, 24).unwrap();
        let read = |folder: &str| image::open(dir.path().join(folder).join("test/sad/0001.png")).unwrap().into_rgb8();
        let mean =
            |picture: &RgbImage| picture.iter().map(|&value| f64::from(value)).sum::<f64>() / (24.0 * 24.0 * 3.0);
        let plain = read("plain");
        for (name, shift) in [("dark", Shift::Dark), ("noise", Shift::Noise), ("all", Shift::All)] {
            let summary = generate_shifted(&dir.path().join(name), 1, &FEW, 24, Some(shift)).unwrap();
            assert_eq!(generate_shifted(&dir.path().join(name), 1, &FEW, 24, Some(shift)).unwrap(), summary);
            let manifest = fs::read_to_string(dir.path().join(name).join(MANIFEST)).unwrap();
            assert_eq!(serde_json::from_str::<Summary>(&manifest).unwrap().shift, Some(shift));
            assert_ne!(read(name), plain, "{name}");
        }
        assert!((mean(&read("dark")) - 0.4 * mean(&plain)).abs() < 1.0);
    }

    #[test]
    fn foreign_files_are_named_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("train/sad")).unwrap();
        fs::write(dir.path().join("train/sad/mine.jpg"), b"mine").unwrap();
        let error = generate(dir.path(), 1, &FEW, 24).unwrap_err().to_string();
        assert!(error.contains("mine.jpg"), "{error}");
        assert!(!dir.path().join("train/angry").exists());
    }

    #[test]
    fn impossible_requests_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for size in [0, MAX_SIZE + 1] {
            assert!(generate(dir.path(), 1, &FEW, size).is_err());
        }
        let many = PerClass { train: MAX_PER_CLASS + 1, ..FEW };
        assert!(generate(dir.path(), 1, &many, 24).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
