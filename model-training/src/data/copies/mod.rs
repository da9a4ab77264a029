//! Finds pictures that were made from one photograph, whatever was done to them: mirrored, cropped, scaled, turned,
//! brightened.
//!
//! A picture that is nearly one before, by a hash, is its copy, and needs no closer look. Of each other, the strongest local
//! features are looked up among those of all others. Two pictures are copies when enough features that look alike agree on one
//! way in which one picture was made from the other, and when the pictures, laid over each other that way, show the same.
//! Groups are what is connected by such pairs.

mod features;
mod geometry;
mod index;
mod near;
mod overlap;
mod page;
mod report;
mod union;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use image::imageops::{FilterType, resize};
use image::{GrayImage, ImageBuffer, Luma, RgbImage};
use rayon::prelude::*;

use crate::data::dataset::{Progress, picture};
use features::{Feature, Plane, SIDE, features, grey};
use geometry::agreement;
use index::{Candidate, alike, candidates};
use near::Near;
use overlap::{SMALL, correlation};
pub use page::page;
pub use report::{Group, Picture, Report, samples};
use union::Union;
pub use union::{Score, groups, score};

/// Least number of places that agree. On `data/pets.md` 8 and 12 give the same; with 8, more drawings are taken for copies.
const AGREEING: usize = 12;
/// Least correlation of copies. In half of the groups of `data/pets.md` copies have 0.92 or more and shots of one scene 0.84 or
/// less. Drawings of the same few shapes reach it now and then.
const SAME: f32 = 0.88;
/// Pictures that are in memory at once before they are described.
const BATCH: usize = 128;
/// Pairs of pictures that are looked at before it is known which of them are connected.
const ROUND: usize = 512;

/// Two pictures that are copies of one photograph.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Their indices, the lower first.
    pub pictures: [usize; 2],
    /// Number of places that agree; 0 where a hash found that the pictures are nearly equal.
    pub places: usize,
    /// Correlation of their brightness, −1 to 1: the median of small blocks.
    pub correlation: f32,
    /// Whether one is the mirror image of the other.
    pub mirrored: bool,
}

/// A picture at the two sizes at which it is looked at.
struct Reduced {
    plane: Plane,
    small: GrayImage,
}

impl Reduced {
    fn new(picture: &RgbImage) -> Self {
        let plane = grey(picture);
        let side = |n: u32| (n * SMALL).div_ceil(SIDE);
        let small = resize(&plane, side(plane.width()), side(plane.height()), FilterType::Triangle);
        let round = |value: f32| (value * 255.0).round() as u8;
        Self {
            plane,
            small: ImageBuffer::from_fn(small.width(), small.height(), |x, y| Luma([round(small[(x, y)][0])])),
        }
    }
}

fn to_plane(small: &GrayImage) -> Plane {
    ImageBuffer::from_fn(small.width(), small.height(), |x, y| Luma([f32::from(small[(x, y)][0]) / 255.0]))
}

/// What is kept of a picture that is not nearly one before.
struct Look {
    index: usize,
    features: Box<[Feature]>,
    small: GrayImage,
}

/// The pictures so far.
#[derive(Default)]
struct Looks {
    count: usize,
    near: Near,
    looks: Vec<Look>,
    /// From pictures to those that are nearly the same.
    links: Vec<Link>,
}

impl Looks {
    /// Adds pictures in their order; `done` is called for each, from any thread.
    fn add(&mut self, batch: Vec<Reduced>, done: impl Fn() + Sync) {
        let first = self.looks.len();
        let mut planes = Vec::new();
        for Reduced { plane, small } in batch {
            let index = self.count;
            self.count += 1;
            if let Some((near, correlation)) = self.near.find_or_add(&small, |known| &self.looks[known].small) {
                let pictures = [self.looks[near].index, index];
                self.links.push(Link { pictures, places: 0, correlation, mirrored: false });
                done();
            } else {
                self.looks.push(Look { index, features: Box::default(), small });
                planes.push(plane);
            }
        }
        self.looks[first..].par_iter_mut().zip(planes).for_each(|(look, plane)| {
            look.features = features(&plane).into();
            done();
        });
    }

    /// The pairs that connect all copies, in order.
    fn links(mut self) -> Vec<Link> {
        let described: Vec<&[Feature]> = self.looks.iter().map(|look| &look.features[..]).collect();
        let mut candidates = candidates(&described);
        candidates.sort_by_key(|candidate| candidate.places);
        let mut connected = Union::new(self.looks.len());
        for round in candidates.chunks(ROUND) {
            let apart: Vec<_> = round.iter().filter(|pair| !connected.has(pair.pictures)).collect();
            let found: Vec<_> =
                apart.into_par_iter().filter_map(|pair| Some((pair.pictures, self.link(pair)?))).collect();
            for (pictures, link) in found {
                connected.join(pictures);
                self.links.push(link);
            }
        }
        self.links.sort_by(|a, b| a.pictures.cmp(&b.pictures).then(b.correlation.total_cmp(&a.correlation)));
        self.links.dedup_by_key(|link| link.pictures);
        self.links
    }

    /// The link of a pair, if a closer look proves it.
    fn link(&self, &Candidate { pictures, mirrored, .. }: &Candidate) -> Option<Link> {
        let [a, b] = pictures.map(|picture| &self.looks[picture]);
        let features = [&a.features[..], &b.features[..]];
        let (places, map) = agreement(features, mirrored, &alike(features, mirrored));
        let correlation = || correlation(&to_plane(&a.small), &to_plane(&b.small), &map);
        let correlation = (places >= AGREEING).then(correlation).filter(|same| *same >= SAME)?;
        Some(Link { pictures: [a.index, b.index], places, correlation, mirrored })
    }
}

/// What [`find`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Pairs of copies, in order. Their indices count the files that can be decoded only.
    pub links: Vec<Link>,
    /// Files that cannot be decoded, with the reason.
    pub bad: Vec<(PathBuf, String)>,
}

/// Reads the pictures and finds the copies among them. The result does not depend on the number of threads.
/// Pictures with little texture, such as a clear sky, are only found where they are equal.
#[must_use]
pub fn find(files: &[PathBuf], progress: Progress) -> Found {
    let done = AtomicUsize::new(0);
    let one_done = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
    let (mut bad, mut looks) = (Vec::new(), Looks::default());
    for batch in files.chunks(BATCH) {
        let read: Vec<Result<Reduced>> =
            batch.par_iter().map(|file| picture(file).map(|picture| Reduced::new(&picture))).collect();
        let mut reduced = Vec::new();
        for (file, read) in batch.iter().zip(read) {
            match read {
                Ok(read) => reduced.push(read),
                Err(error) => {
                    bad.push((file.clone(), format!("{error:#}")));
                    one_done();
                }
            }
        }
        looks.add(reduced, one_done);
    }
    Found { links: looks.links(), bad }
}

#[cfg(test)]
mod tests;
