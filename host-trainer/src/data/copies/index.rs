//! Finds features that look alike among those of all pictures without comparing each with each.

use std::cmp::Reverse;

use rayon::prelude::*;

use super::features::{Description, Feature, NORM, mirrored};

/// Least cosine of two descriptions that look alike.
const ALIKE: f32 = 0.85;
/// Lists that are searched for a feature.
const PROBES: usize = 4;
/// Most features that look like one.
const MOST: usize = 12;

/// Two features that look alike: the first index is the picture's, the second that of the feature in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match {
    /// The earlier and the later picture.
    pub pictures: [u32; 2],
    /// Whether one looks like the other in a mirror.
    pub mirrored: bool,
    /// The feature in each.
    pub features: [u32; 2],
}

impl Match {
    /// The two pictures, and whether one is mirrored.
    pub(super) fn pair(&self) -> ([usize; 2], bool) {
        (self.pictures.map(|picture| picture as usize), self.mirrored)
    }
}

/// Descriptions in lists by the pivot that is nearest. The pivots are spread over all descriptions.
struct Index {
    pivots: Vec<Description>,
    lists: Vec<Vec<Entry>>,
}

struct Entry {
    picture: u32,
    feature: u32,
    description: Description,
}

/// All pairs of features of different pictures that look alike, in order.
pub(super) fn matches(pictures: &[&[Feature]]) -> Vec<Match> {
    let index = Index::new(pictures);
    let of_picture = |(picture, features): (usize, &&[Feature])| {
        let mut found = Vec::new();
        for (feature, Feature { description, .. }) in features.iter().enumerate() {
            for (seen, mirrored) in [(*description, false), (mirrored(description), true)] {
                index.look_up(picture as u32, &seen, |other| {
                    let mut ends = [(picture as u32, feature as u32), (other.picture, other.feature)];
                    ends.sort_unstable();
                    found.push(Match { pictures: ends.map(|end| end.0), mirrored, features: ends.map(|end| end.1) });
                });
            }
        }
        found
    };
    let mut matches: Vec<Match> = pictures.par_iter().enumerate().flat_map_iter(of_picture).collect();
    matches.par_sort_unstable();
    matches.dedup();
    matches
}

impl Index {
    fn new(pictures: &[&[Feature]]) -> Self {
        let all: Vec<Entry> = pictures
            .iter()
            .enumerate()
            .flat_map(|(picture, features)| {
                features.iter().enumerate().map(move |(feature, found)| Entry {
                    picture: picture as u32,
                    feature: feature as u32,
                    description: found.description,
                })
            })
            .collect();
        let count = (2 * all.len().isqrt()).clamp(1, all.len().max(1));
        let pivots: Vec<Description> =
            (0..count).filter_map(|pivot| Some(all.get(pivot * all.len() / count)?.description)).collect();
        let nearest: Vec<usize> =
            all.par_iter().map(|entry| best(&pivots, &entry.description, 1).first().copied().unwrap_or(0)).collect();
        let mut lists: Vec<Vec<Entry>> = pivots.iter().map(|_| Vec::new()).collect();
        for (entry, list) in all.into_iter().zip(nearest) {
            lists[list].push(entry);
        }
        Self { pivots, lists }
    }

    /// Calls `found` for the [`MOST`] features of other pictures that look most alike.
    fn look_up(&self, picture: u32, description: &Description, mut found: impl FnMut(&Entry)) {
        let least = (ALIKE * NORM * NORM) as u32;
        let mut alike: Vec<(u32, &Entry)> = best(&self.pivots, description, PROBES)
            .into_iter()
            .flat_map(|list| &self.lists[list])
            .filter(|entry| entry.picture != picture)
            .map(|entry| (dot(description, &entry.description), entry))
            .filter(|(cosine, _)| *cosine >= least)
            .collect();
        alike.sort_by_key(|(cosine, entry)| (Reverse(*cosine), entry.picture, entry.feature));
        alike.into_iter().take(MOST).for_each(|(_, entry)| found(entry));
    }
}

/// Indices of the `count` pivots that are nearest, the nearest first.
fn best(pivots: &[Description], description: &Description, count: usize) -> Vec<usize> {
    let mut nearest: Vec<(Reverse<u32>, usize)> = Vec::with_capacity(count + 1);
    for (index, pivot) in pivots.iter().enumerate() {
        let candidate = (Reverse(dot(pivot, description)), index);
        if nearest.len() < count || candidate < nearest[count - 1] {
            nearest.insert(nearest.partition_point(|known| *known < candidate), candidate);
            nearest.truncate(count);
        }
    }
    nearest.into_iter().map(|(_, index)| index).collect()
}

/// At most 128 · 255², so wrapping, which lets the compiler use vectors, changes nothing.
fn dot(a: &Description, b: &Description) -> u32 {
    a.iter().zip(b).fold(0_i32, |sum, (&a, &b)| sum.wrapping_add(i32::from(a).wrapping_mul(i32::from(b)))) as u32
}
