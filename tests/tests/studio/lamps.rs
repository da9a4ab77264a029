//! Drawn faces in warm and in cold light: which of them a small network learns in seconds, and does not see through a camera whose
//! own light is reddish, until it has learnt some of that one's frames.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use host_trainer::collect::png;
use model_training::data::dataset::{image_files, rgb565};
use model_training::data::faces::{PerClass, Shift, generate_shifted};
use no_std_device::link::Shape;
use no_std_infer::image::PixelFormat;

/// The classes, in the order of their indices, and what each light leaves of red, green and blue, in 255ths.
pub const LAMPS: [(&str, [u16; 3]); 2] = [("cold", [180, 205, 255]), ("warm", [255, 205, 180])];
/// Width and height of pictures and frames.
pub const SIDE: u16 = 48;
/// A small network that learns quickly.
pub const CONFIG: &str = "\
[model]
preset = \"shallow\"
[input]
width = 24
height = 24
[augment]
horizontal_flip = 0.5
[train]
epochs = 12
learning_rate = 4e-3
";

/// Draws faces, as many of each class and split, into folders of a split and a class below `dir`.
pub fn draw(dir: &Path, seed: u64, each: &PerClass, shift: Option<Shift>) -> Result<()> {
    let drawings = dir.join("drawings");
    let moods = |lamps: usize| lamps.div_ceil(2);
    let per_mood = PerClass { train: moods(each.train), valid: moods(each.valid), test: moods(each.test) };
    generate_shifted(&drawings, seed, &per_mood, SIDE.into(), shift)?;
    for (split, count) in [("train", each.train), ("valid", each.valid), ("test", each.test)] {
        let files = if count > 0 { image_files(&drawings.join(split))? } else { Vec::new() };
        for (index, file) in files.iter().enumerate() {
            // Each light falls on faces of all moods.
            let (class, light) = LAMPS[index % 2];
            if index / 2 >= count {
                break;
            }
            let mut picture = image::open(file)?.to_rgb8();
            for pixel in picture.pixels_mut() {
                pixel
                    .0
                    .iter_mut()
                    .zip(light)
                    .for_each(|(value, light)| *value = (u16::from(*value) * light / 255) as u8);
            }
            let folder = dir.join(split).join(class);
            fs::create_dir_all(&folder)?;
            picture.save(folder.join(format!("{index:04}.png")))?;
        }
    }
    fs::remove_dir_all(drawings)?;
    Ok(())
}

/// Each frame that the emulated board's camera plays, as the page shows it, with its class.
pub fn answers(film: &Path) -> Result<HashMap<String, &'static str>> {
    let shape = Shape { format: PixelFormat::Rgb565Le, width: SIDE, height: SIDE };
    let mut answers = HashMap::new();
    for (class, _) in LAMPS {
        for file in image_files(&film.join(class))? {
            let pixels = image::open(&file).with_context(|| file.display().to_string())?.to_rgb8();
            let frame = BASE64_STANDARD.encode(png(&shape, &rgb565(&pixels))?);
            let before = answers.insert(format!("data:image/png;base64,{frame}"), class);
            ensure!(before.is_none(), "two frames of the film are equal");
        }
    }
    Ok(answers)
}
