//! Pictures that are the same, or nearly: the same file twice, coded again, scaled. A hash finds them in a fraction of the time
//! that features take.

use std::collections::{HashMap, HashSet};

use image::GrayImage;
use image::imageops::{FilterType, resize};
use sha2::{Digest, Sha256};

use super::geometry::Affine;
use super::overlap::correlation;
use super::to_plane;

/// Columns and rows of differences in a hash.
const SIDE: u32 = 8;
/// Parts of a hash, of 16 bits each. Two hashes with fewer different bits than parts have one part in common.
const PARTS: u32 = 4;
/// Most pictures that one is compared with, those of the nearest hashes.
const MOST: usize = 8;
/// Least correlation, place by place. Copies that features find are joined from 0.88 on.
const SAME: f32 = 0.98;

/// The pictures so far, none of which is nearly another.
#[derive(Default)]
pub(super) struct Near {
    exact: HashMap<[u8; 32], usize>,
    parts: HashMap<(u32, u16), Vec<usize>>,
    hashes: Vec<u64>,
}

impl Near {
    /// The picture among `known` that this one nearly is, and their correlation; otherwise it is the next one.
    pub(super) fn find_or_add<'a>(
        &mut self,
        small: &GrayImage,
        known: impl Fn(usize) -> &'a GrayImage,
    ) -> Option<(usize, f32)> {
        let exact = digest(small);
        if let Some(&same) = self.exact.get(&exact) {
            return Some((same, 1.0));
        }
        let hash = hash(small);
        let near = self.nearest(hash).into_iter().map(|other| (other, identity(small, known(other))));
        let best = near.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).filter(|(_, same)| *same >= SAME);
        if best.is_none() {
            let index = self.hashes.len();
            self.exact.insert(exact, index);
            parts(hash).for_each(|part| self.parts.entry(part).or_default().push(index));
            self.hashes.push(hash);
        }
        best
    }

    fn nearest(&self, hash: u64) -> Vec<usize> {
        let sharing: HashSet<usize> = parts(hash).filter_map(|part| self.parts.get(&part)).flatten().copied().collect();
        let mut near: Vec<(u32, usize)> = sharing
            .into_iter()
            .map(|index| ((self.hashes[index] ^ hash).count_ones(), index))
            .filter(|(bits, _)| *bits < PARTS)
            .collect();
        near.sort_unstable();
        near.into_iter().take(MOST).map(|(_, index)| index).collect()
    }
}

fn digest(small: &GrayImage) -> [u8; 32] {
    let (width, height) = small.dimensions();
    Sha256::new()
        .chain_update([width, height].map(u32::to_le_bytes).concat())
        .chain_update(small.as_raw())
        .finalize()
        .into()
}

/// Whether it becomes brighter from left to right, place by place.
fn hash(small: &GrayImage) -> u64 {
    let tiny = resize(small, SIDE + 1, SIDE, FilterType::Triangle);
    let places = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| [x, y]));
    places.fold(0, |hash, [x, y]| hash << 1 | u64::from(tiny[(x + 1, y)].0 > tiny[(x, y)].0))
}

fn parts(hash: u64) -> impl Iterator<Item = (u32, u16)> {
    (0..PARTS).map(move |part| (part, (hash >> (16 * part)) as u16))
}

/// Correlation of two pictures as they lie; 0 where they differ in shape or have little texture.
fn identity(first: &GrayImage, second: &GrayImage) -> f32 {
    if first.dimensions() != second.dimensions() {
        return 0.0;
    }
    correlation(&to_plane(first), &to_plane(second), &Affine([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
}
