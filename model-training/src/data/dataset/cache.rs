//! Decoded images in a file, so that they are decoded once for many commands and need not fit into memory.
//!
//! A file is for one folder and one size: a mark, the pixels of all images, then an index (what the file is for; name, length,
//! time and SHA-256 of each image's file, CRC-32 of its pixels), the index's length, and the mark again. It is written under
//! another name and put in place when it is whole, and never changed after that, so that jobs may share a folder. What is cut
//! off, damaged or of another version is made anew.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use crc::{CRC_32_ISO_HDLC, Crc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::View;
use super::pixels::{Pixels, Slot};
use crate::config::InputConfig;
use crate::system::hexadecimal::hexadecimal;
use crate::system::{atomic, read};

const MARK: [u8; 8] = *b"decoded1";
/// Bytes after the index: its length and the mark.
const FOOT: u64 = 16;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What tells a file from what it was when it was decoded: its length, and seconds since 1970 and nanoseconds of its last
/// change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp(u64, i64, u32);

impl Stamp {
    /// `None` where the file cannot be looked at.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        let (sign, time) = match metadata.modified().ok()?.duration_since(UNIX_EPOCH) {
            Ok(after) => (1, after),
            Err(before) => (-1, before.duration()),
        };
        Some(Self(metadata.len(), sign * time.as_secs() as i64, time.subsec_nanos()))
    }
}

/// Where the images of a folder of one size are kept.
pub(super) struct Place {
    path: PathBuf,
    /// What they are, for people and against a file that was renamed.
    of: String,
    /// Bytes of an image.
    len: usize,
}

impl Place {
    /// For the images of `root`, below `dir`.
    pub(super) fn new(dir: &Path, root: &Path, size: &InputConfig, view: View) -> Self {
        let root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        let of = format!("{size:?} {view:?} {}", root.display());
        let name = &hexadecimal(&Sha256::digest(&of))[..32];
        Self { path: dir.join(format!("{name}.images")), of, len: size.shape().len() }
    }
}

/// What a file says of one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The file's name below the folder.
    name: String,
    stamp: Stamp,
    /// SHA-256 of the file.
    digest: [u8; 32],
    /// Of the pixels.
    crc: u32,
}

/// A file of decoded images, whole and as its index says.
pub(super) struct Cache {
    by_name: HashMap<String, (Entry, Slot)>,
}

impl Cache {
    /// The file, if there is one that is whole.
    pub(super) fn open(place: &Place) -> Option<Self> {
        let file = read::open(&place.path).ok()?;
        let cache = Self::read(file, place);
        if cache.is_none() {
            let shown = place.path.display();
            tracing::warn!("the decoded images in {shown} are damaged or of another version: they are made anew");
        }
        cache
    }

    fn read(mut file: File, place: &Place) -> Option<Self> {
        let all = file.metadata().ok()?.len();
        let mut foot = [0; FOOT as usize];
        file.seek(SeekFrom::Start(all.checked_sub(FOOT)?)).ok()?;
        file.read_exact(&mut foot).ok()?;
        let (length, mark) = foot.split_first_chunk()?;
        let length = u64::from_le_bytes(*length);
        let start = (all - FOOT).checked_sub(length).filter(|_| *mark == MARK && length <= read::DATA)?;
        file.seek(SeekFrom::Start(start)).ok()?;
        let index = read::bounded(Read::take(&mut file, length), length, length).ok()?;
        let (of, entries): (String, Vec<Entry>) = postcard::from_bytes_crc32(&index, CRC.digest()).ok()?;
        let pixels = (entries.len() as u64).checked_mul(place.len as u64)?;
        (of == place.of && pixels.checked_add(MARK.len() as u64)? == start).then(|| Self::new(file, entries, place.len))
    }

    fn new(file: File, entries: Vec<Entry>, len: usize) -> Self {
        let slots = Pixels::in_file(file, MARK.len() as u64, len).slots(entries.len());
        let by_name = entries.into_iter().zip(slots).map(|(entry, slot)| (entry.name.clone(), (entry, slot))).collect();
        Self { by_name }
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The pixels of a file's image.
    pub(super) fn slot(&self, name: &str) -> Option<Slot> {
        Some(self.by_name.get(name)?.1.clone())
    }

    /// The same with the file's SHA-256, if the file has not changed and the pixels are as they were.
    pub(super) fn find(&self, name: &str, stamp: Stamp) -> Option<(Slot, [u8; 32])> {
        let (entry, slot) = self.by_name.get(name)?;
        let is_sound = entry.stamp == stamp && slot.read().is_ok_and(|pixels| CRC.checksum(&pixels) == entry.crc);
        is_sound.then(|| (slot.clone(), entry.digest))
    }
}

/// A file that is being written.
pub(super) struct Writer<'a> {
    place: &'a Place,
    file: BufWriter<NamedTempFile>,
    entries: Vec<Entry>,
}

impl<'a> Writer<'a> {
    /// Begins a file.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub(super) fn new(place: &'a Place) -> Result<Self> {
        let folder = place.path.parent().unwrap_or(Path::new("."));
        let begin = || {
            std::fs::create_dir_all(folder)?;
            let mut file = BufWriter::new(atomic::shared().tempfile_in(folder)?);
            file.write_all(&MARK)?;
            std::io::Result::Ok(file)
        };
        let file = begin().with_context(|| unwritable(&place.path))?;
        Ok(Self { place, file, entries: Vec::new() })
    }

    /// Adds an image.
    ///
    /// # Errors
    /// When the disk is full.
    pub(super) fn add(&mut self, name: &str, stamp: Stamp, digest: [u8; 32], pixels: &[u8]) -> Result<()> {
        self.file.write_all(pixels).with_context(|| unwritable(&self.place.path))?;
        self.entries.push(Entry { name: name.to_owned(), stamp, digest, crc: CRC.checksum(pixels) });
        Ok(())
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When the disk is full.
    pub(super) fn finish(self) -> Result<Cache> {
        let Self { place, mut file, entries } = self;
        let index = postcard::to_stdvec_crc32(&(&place.of, &entries), CRC.digest())?;
        let finish = || {
            file.write_all(&index)?;
            file.write_all(&(index.len() as u64).to_le_bytes())?;
            file.write_all(&MARK)?;
            let file = file.into_inner()?;
            file.as_file().sync_all()?;
            std::io::Result::Ok(file.persist(&place.path)?)
        };
        let file = finish().with_context(|| unwritable(&place.path))?;
        Ok(Cache::new(file, entries, place.len))
    }
}

fn unwritable(path: &Path) -> String {
    format!(
        "cannot write decoded images to {}; check that the folder is writable and that the disk has room, or give another \
         by `--cache`",
        path.display()
    )
}
