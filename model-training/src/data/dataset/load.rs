//! Reads images in parallel, each file once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};

use super::cache::Place;
use super::decode::{self, View};
use super::read::{Wanted, into_cache, into_memory};
use super::{Dataset, Images, Sample};
use crate::config::{Config, InputConfig};
use crate::system::hexadecimal::hexadecimal;
use crate::system::terminal::escaped;

/// What is read of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Size of the images: the network's input.
    pub input: InputConfig,
    /// A further size of the training images.
    pub source: Option<InputConfig>,
    /// Indices of the training images that are decoded; of the others only the digest is taken. All where there is none.
    pub train: Option<BTreeSet<usize>>,
    /// What is seen of each image.
    pub view: View,
}

impl Reading {
    /// All images at the network's input size.
    #[must_use]
    pub fn all(input: &InputConfig, view: View) -> Self {
        Self { input: input.clone(), source: None, train: None, view }
    }

    /// All images of a run: those to be learnt also at the size that augmentation samples, where it is another.
    #[must_use]
    pub fn of_run(config: &Config) -> Self {
        let source = config.augment.source(&config.input);
        let source = Some(source).filter(|source| *source != config.input);
        Self { source, ..Self::all(&config.input, View::Rgb888) }
    }

    /// All sizes: the first is every image's.
    fn sizes(&self) -> Vec<&InputConfig> {
        std::iter::once(&self.input).chain(&self.source).collect()
    }

    /// How many of [`Self::sizes`] a training image, or another, is decoded to.
    fn count(&self, training: Option<usize>) -> usize {
        match (training, &self.train) {
            (Some(index), Some(chosen)) if !chosen.contains(&index) => 0,
            (Some(_), _) => self.sizes().len(),
            (None, _) => 1,
        }
    }
}

/// The images of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The images of [`Dataset::train`].
    pub train: Images,
    /// The images of [`Dataset::valid`].
    pub valid: Images,
    /// The images of [`Dataset::test`].
    pub test: Images,
    /// The images of [`Dataset::train`] at [`Reading::source`]'s size, where there is one.
    pub source: Option<Images>,
    /// Identifies the data, in hexadecimal: SHA-256 over, for each image of all splits by name, the name's length (u64,
    /// little-endian), the name and the SHA-256 of the file.
    pub hash: String,
}

impl Loaded {
    /// Each split with its name.
    pub fn splits(&self) -> impl Iterator<Item = (&'static str, &Images)> {
        [("train", &self.train), ("validation", &self.valid), ("test", &self.test)].into_iter()
    }

    /// What augmentation samples: the training images, at a size of their own where there is one.
    #[must_use]
    pub fn source(&self) -> &Images {
        self.source.as_ref().unwrap_or(&self.train)
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
        text += &format!("  {} {reason}\n", escaped(&path.display().to_string()));
    }
    if files.len() > SHOWN {
        text += &format!("  and {} more\n", files.len() - SHOWN);
    }
    text + "repair or remove them, or pass `--skip-bad` to go on without them"
}

/// Called from any thread with the number of files read and of all files.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Reads some images, whose names are relative to `root`.
///
/// # Errors
/// [`BadFiles`] with all files that cannot be decoded; too little memory for all.
pub fn load(root: &Path, samples: &[Sample], input: &InputConfig, progress: Progress) -> Result<Images> {
    let wanted: Vec<_> = samples.iter().map(|sample| Wanted::new(root, sample, 1)).collect();
    let mut images = Images::new(input.shape());
    let mut files = Vec::new();
    for (sample, read) in samples.iter().zip(into_memory(&wanted, &[input], View::Rgb888, progress)?) {
        match read {
            Ok(read) => images.add(read.pixels.into_iter().next(), sample.label),
            Err(reason) => files.push((sample.path(root), reason)),
        }
    }
    if files.is_empty() { Ok(images) } else { Err(BadFiles { files }.into()) }
}

/// The network's input for one file: `pixel − 128`, HWC.
///
/// # Errors
/// When the file cannot be decoded.
pub fn input_for(path: &Path, input: &InputConfig, view: View) -> Result<Vec<i8>> {
    let (reduced, _) = decode::read(path, &[input], view)
        .map_err(|error| anyhow::anyhow!("{} {error:#}: give a JPEG, PNG, BMP or WebP file", path.display()))?;
    Ok(reduced.into_iter().next().expect("one size was asked for"))
}

impl Dataset {
    /// Bytes of all images once they are decoded.
    #[must_use]
    pub fn decoded_bytes(&self, reading: &Reading) -> u64 {
        let sizes: Vec<u64> = reading.sizes().into_iter().map(|size| size.shape().len() as u64).collect();
        let bytes = |count: usize| sizes.iter().take(count).sum::<u64>();
        let train: u64 = (0..self.train.len()).map(|index| bytes(reading.count(Some(index)))).sum();
        train + (self.valid.len() + self.test.len()) as u64 * bytes(reading.count(None))
    }

    /// Reads all images, and gives their samples the digests. With `skip_bad`, files that cannot be decoded move from the
    /// splits to [`Dataset::skipped`].
    ///
    /// # Errors
    /// Too little memory for all, or a folder of decoded images that cannot be written to; [`BadFiles`] with all files that cannot be decoded; with `skip_bad`, too few images left.
    pub fn load(&mut self, reading: &Reading, progress: Progress) -> Result<Loaded> {
        let train = self.train.iter().enumerate().map(|(index, sample)| (sample, reading.count(Some(index))));
        let others = [&self.valid, &self.test].into_iter().flatten().map(|sample| (sample, reading.count(None)));
        let wanted: Vec<_> =
            train.chain(others).map(|(sample, sizes)| Wanted::new(&self.root, sample, sizes)).collect();
        let (sizes, view) = (reading.sizes(), reading.view);
        let reads = match &self.cache {
            None => into_memory(&wanted, &sizes, view, progress)?,
            Some(dir) => {
                let places: Vec<_> = sizes.iter().map(|size| Place::new(dir, &self.root, size, view)).collect();
                into_cache(&wanted, (&sizes, &places), (&self.root, view), progress)?
            }
        };
        let bad = wanted
            .iter()
            .zip(&reads)
            .filter_map(|(wanted, read)| Some((wanted.path.clone(), read.as_ref().err()?.clone())));
        let mut files: Vec<_> = bad.collect();
        if !self.skip_bad && !files.is_empty() {
            return Err(BadFiles { files }.into());
        }
        self.skipped.append(&mut files);

        let mut reads = reads.into_iter();
        let mut by_name = Vec::new();
        let mut source = reading.source.as_ref().map(|size| Images::new(size.shape()));
        let mut side = |samples: &mut Vec<Sample>, mut source: Option<&mut Images>| {
            let mut images = Images::new(reading.input.shape());
            samples.retain_mut(|sample| {
                let Some(Ok(read)) = reads.next() else { return false };
                let mut pixels = read.pixels.into_iter();
                images.add(pixels.next(), sample.label);
                source.iter_mut().for_each(|source| source.add(pixels.next(), sample.label));
                sample.digest = Some(hexadecimal(&read.digest));
                by_name.push((sample.name.clone(), read.digest));
                true
            });
            images
        };
        let train = side(&mut self.train, source.as_mut());
        let [valid, test] = [&mut self.valid, &mut self.test].map(|samples| side(samples, None));
        ensure!(
            !by_name.is_empty(),
            "no image of {} can be decoded: give JPEG, PNG, BMP or WebP files",
            self.root.display()
        );
        if self.for_training {
            self.check_complete()?;
        }
        Ok(Loaded { train, valid, test, source, hash: hash(by_name) })
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
