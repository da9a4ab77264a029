//! Reads images in parallel, each file once.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use model_compiler::graph::Shape;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::decode::{self, View};
use super::{Dataset, Sample};
use crate::config::InputConfig;
use crate::system::hexadecimal::hexadecimal;

/// Images at the network's input size, in the order of their samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Of each image; 1 or 3 channels.
    pub shape: Shape,
    /// One image after the other, each HWC.
    pub pixels: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<usize>,
}

impl Images {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Bytes of one image.
    #[must_use]
    pub fn image_len(&self) -> usize {
        self.shape.len()
    }

    /// The pixels of one image, HWC.
    ///
    /// # Panics
    /// When there is no image of that index.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.image_len()..][..self.image_len()]
    }

    /// One image as the int8 network takes it: `pixel − 128`.
    ///
    /// # Panics
    /// When there is no image of that index.
    #[must_use]
    pub fn input(&self, index: usize) -> Vec<i8> {
        self.image(index).iter().map(|&pixel| (pixel ^ 0x80) as i8).collect()
    }

    /// Mean and standard deviation of each channel over all pixels of all images, from exact integer sums, so that the
    /// order of the images has no influence.
    #[must_use]
    pub fn statistics(&self) -> Vec<ChannelStatistics> {
        let mut sums = vec![(0_u64, 0_u64); self.shape.channels];
        for pixel in self.pixels.chunks_exact(self.shape.channels) {
            for ((sum, squares), &value) in sums.iter_mut().zip(pixel) {
                *sum += u64::from(value);
                *squares += u64::from(value).pow(2);
            }
        }
        let count = (self.len() * self.shape.height * self.shape.width).max(1);
        sums.into_iter()
            .map(|(sum, squares)| {
                let variance = count as u128 * u128::from(squares) - u128::from(sum).pow(2);
                let scale = count as f64 * 255.0;
                ChannelStatistics { mean: sum as f64 / scale, std: ((variance as f64).sqrt() / scale).max(1.0 / 255.0) }
            })
            .collect()
    }

    /// The images with these indices, in their order.
    ///
    /// # Panics
    /// When there is no image of an index.
    #[must_use]
    pub fn only(&self, indices: &[usize]) -> Self {
        let mut images = Self { shape: self.shape, pixels: Vec::new(), labels: Vec::new() };
        indices.iter().for_each(|&index| images.push(self.image(index), self.labels[index]));
        images
    }

    /// Adds an image, HWC.
    pub(crate) fn push(&mut self, pixels: &[u8], label: usize) {
        self.pixels.extend_from_slice(pixels);
        self.labels.push(label);
    }
}

/// Mean and standard deviation of one channel's pixels, where black is 0 and white is 1.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ChannelStatistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, at least 1/255, so that one can divide by it.
    pub std: f64,
}

/// All images of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The images of [`Dataset::train`].
    pub train: Images,
    /// The images of [`Dataset::valid`].
    pub valid: Images,
    /// The images of [`Dataset::test`].
    pub test: Images,
    /// SHA-256 of each file, in hexadecimal, of train, valid and test.
    pub digests: [Vec<String>; 3],
    /// Identifies the data, in hexadecimal: SHA-256 over, for each image of all splits by name, the name's length (u64,
    /// little-endian), the name and the SHA-256 of the file.
    pub hash: String,
}

impl Loaded {
    /// Each split with its name.
    pub fn splits(&self) -> impl Iterator<Item = (&'static str, &Images)> {
        [("train", &self.train), ("validation", &self.valid), ("test", &self.test)].into_iter()
    }
}

/// Files that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}", report(.files))]
pub struct BadFiles {
    /// Where each is and what is wrong with it.
    pub files: Vec<(PathBuf, String)>,
}

fn report(files: &[(PathBuf, String)]) -> String {
    const SHOWN: usize = 20;
    let plural = if files.len() == 1 { "file" } else { "files" };
    let mut text = format!("{} image {plural} cannot be used:\n", files.len());
    for (path, reason) in files.iter().take(SHOWN) {
        text += &format!("  {} {reason}\n", path.display());
    }
    if files.len() > SHOWN {
        text += &format!("  and {} more\n", files.len() - SHOWN);
    }
    text + "repair or remove them, or pass `--skip-bad` to go on without them"
}

/// Called from any thread with the number of files read and of all files.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

struct Read {
    pixels: Vec<u8>,
    digest: [u8; 32],
}

fn read_all(samples: &[&Sample], input: &InputConfig, view: View, progress: Progress) -> Vec<Result<Read, String>> {
    let done = AtomicUsize::new(0);
    samples
        .par_iter()
        .map(|sample| {
            let read = decode::read(&sample.path, input, view);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, samples.len());
            let (reduced, digest) = read.map_err(|error| format!("{error:#}"))?;
            Ok(Read { pixels: reduced.into_iter().map(|byte| byte as u8 ^ 0x80).collect(), digest })
        })
        .collect()
}

fn no_images(input: &InputConfig) -> Images {
    Images { shape: input.shape(), pixels: Vec::new(), labels: Vec::new() }
}

/// Reads some images.
///
/// # Errors
/// [`BadFiles`] with all files that cannot be decoded.
pub fn load(samples: &[Sample], input: &InputConfig, view: View, progress: Progress) -> Result<Images> {
    let samples: Vec<_> = samples.iter().collect();
    let mut images = no_images(input);
    let mut files = Vec::new();
    for (sample, read) in samples.iter().zip(read_all(&samples, input, view, progress)) {
        match read {
            Ok(read) => images.push(&read.pixels, sample.label),
            Err(reason) => files.push((sample.path.clone(), reason)),
        }
    }
    if files.is_empty() { Ok(images) } else { Err(BadFiles { files }.into()) }
}

/// The network's input for one file: `pixel − 128`, HWC.
///
/// # Errors
/// When the file cannot be decoded.
pub fn input_for(path: &Path, input: &InputConfig, view: View) -> Result<Vec<i8>> {
    let (reduced, _) = decode::read(path, input, view)
        .map_err(|error| anyhow::anyhow!("{} {error:#}: give a JPEG, PNG, BMP or WebP file", path.display()))?;
    Ok(reduced)
}

impl Dataset {
    /// Reads all images. With `skip_bad`, files that cannot be decoded move from the splits to [`Dataset::skipped`].
    ///
    /// # Errors
    /// [`BadFiles`] with all files that cannot be decoded; with `skip_bad`, too few images left.
    pub fn load(&mut self, input: &InputConfig, view: View, progress: Progress) -> Result<Loaded> {
        let samples: Vec<_> = [&self.train, &self.valid, &self.test].into_iter().flatten().collect();
        let reads = read_all(&samples, input, view, progress);
        let bad = samples
            .iter()
            .zip(&reads)
            .filter_map(|(sample, read)| Some((sample.path.clone(), read.as_ref().err()?.clone())));
        let mut files: Vec<_> = bad.collect();
        if !self.skip_bad && !files.is_empty() {
            return Err(BadFiles { files }.into());
        }
        self.skipped.append(&mut files);

        let mut reads = reads.into_iter();
        let mut by_name = Vec::new();
        let sides = [&mut self.train, &mut self.valid, &mut self.test].map(|split| {
            let (mut images, mut digests) = (no_images(input), Vec::new());
            split.retain(|sample| {
                let Some(Ok(read)) = reads.next() else { return false };
                images.push(&read.pixels, sample.label);
                digests.push(hexadecimal(&read.digest));
                by_name.push((sample.name.clone(), read.digest));
                true
            });
            (images, digests)
        });
        ensure!(
            !by_name.is_empty(),
            "no image of {} can be decoded: give JPEG, PNG, BMP or WebP files",
            self.root.display()
        );
        if self.for_training {
            self.check_complete()?;
        }
        let [(train, of_train), (valid, of_valid), (test, of_test)] = sides;
        Ok(Loaded { train, valid, test, digests: [of_train, of_valid, of_test], hash: hash(by_name) })
    }
}

fn hash(mut files: Vec<(String, [u8; 32])>) -> String {
    files.sort();
    let mut hash = Sha256::new();
    for (name, digest) in files {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(digest);
    }
    hexadecimal(&hash.finalize())
}
