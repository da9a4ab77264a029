//! Finds pictures that were made from one photograph, whatever was done to them: mirrored, cropped, scaled, turned,
//! brightened.
//!
//! Local features of each picture are looked up among those of all others. Two pictures are copies when enough features
//! that look alike agree on one way in which one picture was made from the other, and when the pictures, laid over each
//! other that way, show the same. Groups are what is connected by such pairs.

mod features;
mod geometry;
mod index;
mod overlap;
mod page;
mod report;
mod union;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::RgbImage;
use image::imageops::{FilterType, resize};
use rayon::prelude::*;

use crate::data::dataset::{Progress, picture};
use features::{Feature, Plane, SIDE, features, grey};
use geometry::agreement;
use index::{Match, matches};
use overlap::{SMALL, correlation};
pub use page::page;
pub use report::{Group, Picture, Report, samples};
pub use union::{Score, groups, score};

/// Least number of places that agree. Chosen, as [`SAME`] was, on half of the groups of `data/pets.md`: from 6 to 16 give
/// the same there.
const AGREEING: usize = 8;
/// Least correlation of copies. In that half copies have 0.92 or more and shots of one scene 0.84 or less. Drawings of the
/// same few shapes reach it now and then: 71 of the 4,000 training drawings of `faces` are taken for copies.
const SAME: f32 = 0.88;

/// Two pictures that are copies of one photograph.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Their indices, the lower first.
    pub pictures: [usize; 2],
    /// Number of places that agree; 0 where the pictures are equal at the size at which they are compared.
    pub places: usize,
    /// Correlation of their brightness, −1 to 1: the median of small blocks.
    pub correlation: f32,
    /// Whether one is the mirror image of the other.
    pub mirrored: bool,
}

/// What is kept of a picture.
struct Look {
    features: Vec<Feature>,
    small: Plane,
}

impl Look {
    fn new(picture: &RgbImage) -> Self {
        let plane = grey(picture);
        let side = |n: u32| (n * SMALL).div_ceil(SIDE);
        let small = resize(&plane, side(plane.width()), side(plane.height()), FilterType::Triangle);
        Self { features: features(&plane), small }
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
    let look = |file: &PathBuf| {
        let look = picture(file).map(|picture| Look::new(&picture));
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
        look
    };
    let read: Vec<_> = files.par_iter().map(look).collect();
    let (mut found, mut looks) = (Found::default(), Vec::new());
    for (file, look) in files.iter().zip(read) {
        match look {
            Ok(look) => looks.push(look),
            Err(error) => found.bad.push((file.clone(), format!("{error:#}"))),
        }
    }
    found.links = links(&looks);
    found
}

fn links(looks: &[Look]) -> Vec<Link> {
    let described: Vec<&[Feature]> = looks.iter().map(|look| &look.features[..]).collect();
    let matches = matches(&described);
    let pairs: Vec<&[Match]> =
        matches.chunk_by(|a, b| a.pair() == b.pair()).filter(|pair| pair.len() >= AGREEING).collect();
    let mut links: Vec<Link> = pairs.par_iter().filter_map(|pair| link(looks, pair)).chain(equal(looks)).collect();
    links.par_sort_by(|a, b| a.pictures.cmp(&b.pictures).then(b.correlation.total_cmp(&a.correlation)));
    links.dedup_by_key(|link| link.pictures);
    links
}

/// The link that the matches of one pair of pictures prove, if they do.
fn link(looks: &[Look], matches: &[Match]) -> Option<Link> {
    let ([a, b], mirrored) = matches[0].pair();
    let features = matches.iter().map(|found| found.features).collect::<Vec<_>>();
    let (places, map) = agreement([&looks[a].features, &looks[b].features], mirrored, &features);
    let correlation = correlation(&looks[a].small, &looks[b].small, &map);
    (places >= AGREEING && correlation >= SAME).then_some(Link { pictures: [a, b], places, correlation, mirrored })
}

/// Links between neighbours among the pictures that look the same at [`SMALL`] pixels.
fn equal(looks: &[Look]) -> Vec<Link> {
    let bytes =
        |index: usize| (looks[index].small.dimensions(), looks[index].small.iter().map(|value| value.to_bits()));
    let mut order: Vec<usize> = (0..looks.len()).collect();
    let compare = |&a: &usize, &b: &usize| {
        let ((size_a, a), (size_b, b)) = (bytes(a), bytes(b));
        size_a.cmp(&size_b).then_with(|| a.cmp(b))
    };
    order.sort_by(compare);
    order
        .windows(2)
        .filter(|pair| compare(&pair[0], &pair[1]).is_eq())
        .map(|pair| Link { pictures: [pair[0], pair[1]], places: 0, correlation: 1.0, mirrored: false })
        .collect()
}

#[cfg(test)]
mod tests;
