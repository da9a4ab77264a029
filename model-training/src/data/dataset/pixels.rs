//! Where the pixels of decoded images lie: one after the other, in a single piece of memory or in a file.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::system::memory::{self, Free};

/// Pixels of images of one size, one image after the other.
pub(super) struct Pixels {
    store: Store,
    /// Bytes of each image.
    len: usize,
}

enum Store {
    Memory(Vec<u8>),
    /// With the place of the first image. Reading by position takes the memory of what is read only.
    File(Mutex<File>, u64),
}

/// The pixels of one image.
#[derive(Clone)]
pub(super) struct Slot {
    pixels: Arc<Pixels>,
    number: u32,
}

impl Pixels {
    /// Images that are there already.
    pub(super) fn of(bytes: Vec<u8>, len: usize) -> Self {
        Self { store: Store::Memory(bytes), len }
    }

    /// Images in a file that nobody changes, from `start` on.
    pub(super) fn in_file(file: File, start: u64, len: usize) -> Self {
        Self { store: Store::File(Mutex::new(file), start), len }
    }

    /// The first `count` images.
    pub(super) fn slots(self, count: usize) -> impl Iterator<Item = Slot> {
        let pixels = Arc::new(self);
        (0..count as u32).map(move |number| Slot { pixels: pixels.clone(), number })
    }
}

/// Room for some images of `len` bytes each.
///
/// # Errors
/// When there is not as much memory.
pub(super) fn room(images: usize, len: usize) -> Result<Vec<u8>> {
    let all = images.checked_mul(len).context("the images are too large for this machine's addresses")?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(all).map_err(|_| anyhow::anyhow!("{}", short(images, all as u64, None)))?;
    bytes.resize(all, 0);
    Ok(bytes)
}

impl Slot {
    /// The pixels.
    ///
    /// # Errors
    /// When a file cannot be read any more.
    pub(super) fn read(&self) -> io::Result<Cow<'_, [u8]>> {
        let Pixels { store, len } = &*self.pixels;
        let number = self.number as usize;
        match store {
            Store::Memory(bytes) => Ok(Cow::Borrowed(&bytes[number * len..][..*len])),
            Store::File(file, start) => {
                let mut pixels = vec![0; *len];
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(start + (number * len) as u64))?;
                file.read_exact(&mut pixels)?;
                Ok(Cow::Owned(pixels))
            }
        }
    }
}

impl PartialEq for Slot {
    fn eq(&self, other: &Self) -> bool {
        matches!((self.read(), other.read()), (Ok(own), Ok(others)) if own == others)
    }
}

impl Eq for Slot {}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.number).finish()
    }
}

/// Refuses what `free` memory cannot hold: `images` images of `needed` bytes together.
///
/// # Errors
/// When it cannot.
pub(super) fn check_room(images: usize, needed: u64, free: Option<Free>) -> Result<()> {
    if free.is_some_and(|free| needed > free.bytes) {
        bail!("{}", short(images, needed, free));
    }
    Ok(())
}

/// The memory that is free, where the system says it.
pub(super) fn free() -> Option<Free> {
    memory::free()
}

fn short(images: usize, needed: u64, free: Option<Free>) -> String {
    let found = free.map_or_else(
        || "there is less".to_owned(),
        |Free { bytes, bound }| format!("{} are free {bound}", megabytes(bytes)),
    );
    format!(
        "the {images} images take {} of memory once they are decoded, and {found}: choose a smaller `input.width` and \
         `input.height`, or `input.color = \"grey\"`, which takes a third; take fewer images; keep them in a file, \
         which commands do that are given `--cache DIR`; or give this program more memory",
        megabytes(needed)
    )
}

/// Rounded up, in steps that a person can compare.
fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_both_figures() {
        let free = |bytes| Some(Free { bytes, bound: "of the machine" });
        assert!(check_room(10, 1000, None).is_ok() && check_room(10, 1000, free(1000)).is_ok());
        let error = check_room(100_000, 1_228_800_000, free(800_000_000)).unwrap_err().to_string();
        let expected =
            "the 100000 images take 1229 MB of memory once they are decoded, and 800 MB are free of the machine";
        assert!(error.starts_with(expected), "{error}");
        assert!(room(usize::MAX, 2).is_err());
        let error = room(1 << 32, 1 << 30).unwrap_err().to_string();
        assert!(error.contains("and there is less: choose a smaller"), "{error}");
    }
}
