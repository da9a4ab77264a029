//! Decodes files, each once whatever sizes are asked for, into memory or into files of decoded images.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use rayon::prelude::*;

use super::Sample;
use super::cache::{Cache, Place, Stamp, Writer};
use super::decode::{self, View};
use super::load::Progress;
use super::pixels::{Pixels, Slot, check_room, free, room};
use crate::config::InputConfig;

/// Images that are decoded at once before they are written.
const BATCH: usize = 256;

/// A file, and how many of the sizes it is wanted at.
pub(super) struct Wanted<'a> {
    name: &'a str,
    pub path: PathBuf,
    sizes: usize,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(root: &Path, sample: &'a Sample, sizes: usize) -> Self {
        Self { name: &sample.name, path: sample.path(root), sizes }
    }
}

/// What was read of one file.
pub(super) struct Read {
    /// At each size that was asked for.
    pub pixels: Vec<Slot>,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
}

/// A file's image at the sizes that were asked for, and the file's SHA-256; or what is wrong with it.
type Decoded = Result<(Vec<Vec<u8>>, [u8; 32]), String>;

fn decoded(path: &Path, sizes: &[&InputConfig], view: View) -> Decoded {
    let (reduced, digest) = decode::read(path, sizes, view).map_err(|error| format!("{error:#}"))?;
    let pixels = |input: Vec<i8>| input.into_iter().map(|byte| byte as u8 ^ 0x80).collect();
    Ok((reduced.into_iter().map(pixels).collect(), digest))
}

/// Reads into one piece of memory for each size.
///
/// # Errors
/// When there is too little memory for all. Files that cannot be decoded are errors of their own.
pub(super) fn into_memory(
    wanted: &[Wanted],
    sizes: &[&InputConfig],
    view: View,
    progress: Progress,
) -> Result<Vec<Result<Read, String>>> {
    let lens: Vec<usize> = sizes.iter().map(|size| size.shape().len()).collect();
    let counts: Vec<usize> =
        (0..sizes.len()).map(|size| wanted.iter().filter(|wanted| wanted.sizes > size).count()).collect();
    check_room(counts[0], counts.iter().zip(&lens).map(|(&count, &len)| count as u64 * len as u64).sum(), free())?;
    let mut rooms = counts.iter().zip(&lens).map(|(&count, &len)| room(count, len)).collect::<Result<Vec<_>>>()?;
    let places: Vec<Vec<&mut [u8]>> = {
        let mut rooms: Vec<_> = rooms.iter_mut().zip(&lens).map(|(room, &len)| room.chunks_exact_mut(len)).collect();
        wanted.iter().map(|wanted| rooms.iter_mut().take(wanted.sizes).flat_map(Iterator::next).collect()).collect()
    };
    let done = AtomicUsize::new(0);
    let one = |(file, places): (&Wanted, Vec<&mut [u8]>)| {
        let read = decoded(&file.path, &sizes[..file.sizes], view);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, wanted.len());
        let (pixels, digest) = read?;
        places.into_iter().zip(pixels).for_each(|(place, pixels)| place.copy_from_slice(&pixels));
        Ok(digest)
    };
    let digests: Vec<Result<[u8; 32], String>> = wanted.par_iter().zip(places).map(one).collect();
    let all = rooms.into_iter().zip(&lens).zip(&counts);
    let mut slots: Vec<_> = all.map(|((room, &len), &count)| Pixels::of(room, len).slots(count)).collect();
    let read = |(wanted, digest): (&Wanted, Result<[u8; 32], String>)| {
        let pixels = slots.iter_mut().take(wanted.sizes).flat_map(Iterator::next).collect();
        Ok(Read { pixels, digest: digest? })
    };
    Ok(wanted.iter().zip(digests).map(read).collect())
}

/// What a file of decoded images has of a file: the image, and the file's SHA-256.
type Found = Option<(Slot, [u8; 32])>;

/// Reads from files of decoded images, one for each size, after it has added what they lack.
///
/// # Errors
/// When they cannot be written. Files that cannot be decoded are errors of their own.
pub(super) fn into_cache(
    wanted: &[Wanted],
    (sizes, places): (&[&InputConfig], &[Place]),
    (root, view): (&Path, View),
    progress: Progress,
) -> Result<Vec<Result<Read, String>>> {
    let caches: Vec<Option<Cache>> = places.iter().map(Cache::open).collect();
    let done = AtomicUsize::new(0);
    let one_done = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, wanted.len());
    let look_up = |wanted: &Wanted| {
        let stamp = Stamp::of(&wanted.path).unwrap_or_default();
        // The first also knows the digest of what is wanted at no size.
        let caches = caches.iter().take(wanted.sizes.max(1));
        let found: Vec<Found> = caches.map(|cache| cache.as_ref()?.find(wanted.name, stamp)).collect();
        if found.iter().all(Option::is_some) {
            one_done();
        }
        (stamp, found)
    };
    let known: Vec<(Stamp, Vec<Found>)> = wanted.par_iter().map(look_up).collect();
    // Files that cannot be decoded are no reason to write all anew.
    let can_be_decoded = |wanted: &Wanted| decoded(&wanted.path, &sizes[..1], view).is_ok();
    let lacks = |size: usize| {
        let mut both = wanted.iter().zip(&known);
        both.any(|(wanted, (_, found))| wanted.sizes > size && found[size].is_none() && can_be_decoded(wanted))
    };
    let writers = places.iter().enumerate().map(|(size, place)| lacks(size).then(|| Writer::new(place)).transpose());
    let mut writers = writers.collect::<Result<Vec<Option<Writer>>>>()?;
    let mut digests: Vec<Result<[u8; 32], String>> = Vec::with_capacity(wanted.len());
    for (wanted, known) in wanted.chunks(BATCH).zip(known.chunks(BATCH)) {
        let read = |(wanted, (_, found)): (&Wanted, &(Stamp, Vec<Found>))| {
            if found.iter().all(Option::is_some) {
                return None;
            }
            let decoded = decoded(&wanted.path, &sizes[..wanted.sizes], view);
            one_done();
            Some(decoded)
        };
        let fresh: Vec<Option<Decoded>> = wanted.par_iter().zip(known).map(read).collect();
        for ((wanted, (stamp, found)), fresh) in wanted.iter().zip(known).zip(fresh) {
            digests.push(add(&mut writers, (wanted, *stamp), found, fresh)?);
        }
    }
    let finished = keep_others(writers, &caches, (root, wanted))?;
    let caches: Vec<Option<Cache>> = finished.into_iter().zip(caches).map(|(new, old)| new.or(old)).collect();
    let read = |(wanted, digest): (&Wanted, Result<[u8; 32], String>)| {
        let slots = caches.iter().take(wanted.sizes).flatten();
        Ok(Read { digest: digest?, pixels: slots.filter_map(|cache| cache.slot(wanted.name)).collect() })
    };
    Ok(wanted.iter().zip(digests).map(read).collect())
}

/// Writes an image at each of its sizes that is being written, as it was found or decoded anew.
fn add(
    writers: &mut [Option<Writer>],
    (wanted, stamp): (&Wanted, Stamp),
    found: &[Found],
    fresh: Option<Decoded>,
) -> Result<Result<[u8; 32], String>> {
    let (pixels, digest) = match fresh {
        None => (None, found[0].as_ref().map(|found| found.1).unwrap_or_default()),
        Some(Ok((pixels, digest))) => (Some(pixels), digest),
        Some(Err(reason)) => return Ok(Err(reason)),
    };
    for (size, writer) in writers.iter_mut().enumerate().take(wanted.sizes) {
        let Some(writer) = writer else { continue };
        match (&pixels, &found[size]) {
            (Some(pixels), _) => writer.add(wanted.name, stamp, digest, &pixels[size])?,
            (None, Some((slot, _))) => writer.add(wanted.name, stamp, digest, &slot.read()?)?,
            (None, None) => {}
        }
    }
    Ok(Ok(digest))
}

/// Ends the files that are being written, with what those before had of images that are not wanted now.
fn keep_others(
    writers: Vec<Option<Writer>>,
    caches: &[Option<Cache>],
    (root, wanted): (&Path, &[Wanted]),
) -> Result<Vec<Option<Cache>>> {
    let mut finished = Vec::new();
    for (size, (writer, cache)) in writers.into_iter().zip(caches).enumerate() {
        let Some(mut writer) = writer else {
            finished.push(None);
            continue;
        };
        let added: HashSet<&str> =
            wanted.iter().filter(|wanted| wanted.sizes > size).map(|wanted| wanted.name).collect();
        let mut others: Vec<&str> = cache.iter().flat_map(Cache::names).filter(|name| !added.contains(name)).collect();
        others.sort_unstable();
        for name in others {
            let stamp = Stamp::of(&root.join(name));
            let found = stamp.and_then(|stamp| Some((stamp, cache.as_ref()?.find(name, stamp)?)));
            if let Some((stamp, (slot, digest))) = found {
                writer.add(name, stamp, digest, &slot.read()?)?;
            }
        }
        finished.push(Some(writer.finish()?));
    }
    Ok(finished)
}
