//! Damaged files for what reads them on the host: `hostile_files tflite SECONDS`, `hostile_files onnx SECONDS` and
//! `hostile_files pictures SECONDS`. Each is read, or refused by name, in bounded time and memory. `docs/fuzzing.md` says what runs where.

use std::fmt;
use std::io::Cursor;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use fuzz::campaign::{Campaign, Tally};
use image::{DynamicImage, ImageFormat, RgbImage};
use model_compiler::{Normalisation, Onnx, Tflite};
use model_training::data::dataset::picture;
use no_std_infer::{CRC32, Model};
use tests::corpus::{committed, read};
use tests::tflite::{ENDS, FLOAT_ENDS, classifier, float_classifier};

/// Models of the corpus that damage begins with: the smallest.
const MODELS: usize = 200;
/// How often the float model is among them.
const FLOATS: usize = 10;
/// Files of an episode.
const FILES: u64 = 16;
/// Most pixels of the inputs that a damaged float model is calibrated with.
const PIXELS_MAX: usize = 1 << 16;

/// Most bytes that the process may hold at once while it reads damaged models, and damaged pictures, whatever they claim.
const MEMORY_MAX: [u64; 2] = [64 << 20, 600 << 20];

/// What became of damaged files.
#[derive(Clone, Default)]
struct Counts {
    read: u64,
    refused: u64,
}

impl Tally for Counts {
    fn merge(&mut self, other: &Self) {
        self.read += other.read;
        self.refused += other.refused;
    }

    fn shortcoming(&self, least: u64) -> Option<String> {
        let Self { read, refused } = *self;
        let files = read + refused;
        (read * 10 < files || refused < least).then(|| format!("{read} of {files} files were read"))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} files read, {} refused by name", self.read, self.refused)
    }
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, seconds] = &arguments[..] else { anyhow::bail!("hostile_files tflite|onnx|pictures SECONDS") };
    let time = Duration::from_secs(seconds.parse()?);
    let campaign = Campaign { first: 0, time, executions: u64::MAX, threads: 1, least: 100 };
    let [most, most_with_pictures] = MEMORY_MAX;
    let passed = if target == "tflite" {
        let models = models()?;
        campaign.run(|number, counts| episode((&models, most), number, counts, damage, |bytes| import(bytes).is_ok()))
    } else if target == "onnx" {
        let models = onnx_models()?;
        campaign
            .run(|number, counts| episode((&models, most), number, counts, damage, |bytes| import_onnx(bytes).is_ok()))
    } else {
        let (pictures, folder) = (pictures()?, tempfile::tempdir()?);
        let file = folder.path().join("picture");
        campaign.run(|number, counts| {
            episode((&pictures, most_with_pictures), number, counts, damage_picture, |bytes| {
                std::fs::write(&file, bytes).expect("the temporary folder can be written");
                named(picture(&file)).is_ok()
            })
        })
    };
    peak().iter().for_each(|peak| println!("{peak} bytes of memory at most"));
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Fails the episode after which the process has held more bytes of memory at once than these.
fn check_memory(most: u64) {
    let peak = peak().unwrap_or(0);
    assert!(peak <= most, "{peak} bytes of memory were held at once, of {most}");
}

/// The most bytes of memory that the process has held at once, where the system says so.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    Some(kibibytes.parse::<u64>().ok()? << 10)
}

/// Damages a file again and again, and reads it, while the process holds no more than so many bytes of memory.
fn episode(
    (files, most): (&[Vec<u8>], u64),
    number: u64,
    counts: &mut Counts,
    damage: impl Fn(&mut Vec<u8>, &mut Rng),
    read: impl Fn(&[u8]) -> bool,
) -> u64 {
    let mut rng = Rng::with_seed(number);
    let file = rng.choice(files).expect("there are files");
    for _ in 0..FILES {
        let mut damaged = file.clone();
        for _ in 0..rng.choice([1, 1, 1, 1, 2, 3]).unwrap_or(1) {
            damage(&mut damaged, &mut rng);
        }
        *if read(&damaged) { &mut counts.read } else { &mut counts.refused } += 1;
    }
    check_memory(most);
    FILES
}

/// What was read, or an error that says something.
fn named<T, E: Into<anyhow::Error>>(read: Result<T, E>) -> Result<T> {
    read.map_err(|error| {
        let error = error.into();
        assert!(!format!("{error:#}").is_empty(), "an error says what is wrong");
        error
    })
}

/// Imports a model, a float one with calibration, and parses the blob.
fn import(bytes: &[u8]) -> Result<()> {
    let tflite = named(Tflite::read(bytes))?;
    let compiled = named(tflite.compile());
    let compiled = match compiled {
        Err(error) if matches!(error.downcast_ref(), Some(model_compiler::Error::NeedsCalibration)) => {
            let normalisation = Normalisation { mean: 0.0, std: 1.0 };
            let calibrated = Tflite::read(bytes)?.calibrate(normalisation, |shape| {
                let small = shape.len() <= PIXELS_MAX;
                Ok(if small { [0, 90].map(|value| vec![value; shape.len()]).to_vec() } else { Vec::new() })
            });
            named(calibrated.compile())?
        }
        compiled => compiled?,
    };
    Model::parse(&compiled.blob).expect("what is compiled can be run");
    Ok(())
}

/// Imports an ONNX model, and parses the blob of an int8 one.
fn import_onnx(bytes: &[u8]) -> Result<()> {
    let onnx = named(Onnx::read(bytes))?;
    match named(named(onnx.model())?.compile()) {
        Ok(compiled) => drop(Model::parse(&compiled.blob).expect("what is compiled can be run")),
        Err(error) if matches!(error.downcast_ref(), Some(model_compiler::Error::NeedsCalibration)) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The small models that are compared with ONNX Runtime.
fn onnx_models() -> Result<Vec<Vec<u8>>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../model-compiler/tests/onnx/models");
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    paths.sort();
    paths.iter().map(|path| Ok(std::fs::read(path)?)).collect()
}

/// The smallest models of the differential corpus, and classifiers in int8 and float.
fn models() -> Result<Vec<Vec<u8>>> {
    let mut models: Vec<Vec<u8>> = read(&committed())?.into_iter().map(|case| case.model).collect();
    models.sort_by_key(Vec::len);
    models.truncate(MODELS);
    models.push(classifier().finish(ENDS[0], ENDS[1]));
    models.extend((0..FLOATS).map(|_| float_classifier().finish(FLOAT_ENDS[0], FLOAT_ENDS[1])));
    Ok(models)
}

/// Small pictures in each format that is read.
fn pictures() -> Result<Vec<Vec<u8>>> {
    let picture = RgbImage::from_fn(13, 9, |x, y| image::Rgb([(x * 19) as u8, (y * 27) as u8, (x * y) as u8]));
    let pictures: [DynamicImage; 3] = [
        picture.clone().into(),
        DynamicImage::from(picture.clone()).into_luma8().into(),
        DynamicImage::from(picture).into_rgba8().into(),
    ];
    let mut files = Vec::new();
    for picture in pictures {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::WebP] {
            let mut bytes = Cursor::new(Vec::new());
            // JPEG has no transparency, WebP no grey.
            if picture.write_to(&mut bytes, format).is_ok() {
                files.push(bytes.into_inner());
            }
        }
    }
    Ok(files)
}

/// Changes one number, where numbers of such files stand.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) {
    const EDGES: [u32; 8] = [0, 1, 2, 127, 255, 0x7FFF, 0x7FFF_FFFF, u32::MAX];
    let at = 4 * rng.usize(..bytes.len() / 4);
    let word = &mut bytes[at..at + 4];
    match rng.u8(..8) {
        0 => word.copy_from_slice(&EDGES[rng.usize(..EDGES.len())].to_le_bytes()),
        1 => word[0] = word[0].wrapping_add(1),
        2 => word[0] = word[0].wrapping_sub(1),
        3 => word[rng.usize(..4)] ^= 1 << rng.u8(..8),
        4 => word[rng.usize(..4)] = rng.u8(..),
        5 => {
            let other = 4 * rng.usize(..bytes.len() / 4);
            bytes.copy_within(other..other + 4, at);
        }
        6 => bytes[at] = bytes[at].wrapping_mul(2),
        _ => bytes.truncate(bytes.len().max(64) - rng.usize(..8)),
    }
}

/// The same, mostly in the header; the checksums of a PNG's chunks are made right.
fn damage_picture(bytes: &mut Vec<u8>, rng: &mut Rng) {
    if rng.u8(..4) == 0 {
        damage(bytes, rng);
    } else {
        let at = rng.usize(..bytes.len().min(64));
        bytes[at] = rng.choice([0, 1, 2, 3, 4, 8, 16, 127, 255, rng.clone().u8(..)]).expect("there are numbers");
    }
    let mut at = 8;
    while bytes.starts_with(b"\x89PNG")
        && let Some(len) = bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).map(u32::from_be_bytes)
        && let Some(end) = (at + 8).checked_add(len as usize)
        && end + 4 <= bytes.len()
    {
        let crc = CRC32.checksum(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
        at = end + 4;
    }
}
