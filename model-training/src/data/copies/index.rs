//! Finds pictures that may be copies of one another without comparing each with each: by their strongest features.

use std::cmp::Reverse;

use rayon::prelude::*;

use super::features::{Description, Feature, NORM, mirrored};
use super::geometry::agreement;

/// Features of a picture that are looked up, the strongest. A copy has most of them, whatever was done to it: as many pairs of
/// `data/pets.md` are found as by all 200.
const STRONGEST: usize = 48;
/// Least number of places of the strongest features that agree in a pair that is worth a closer look. From 3 to 5 give the same
/// on the pets; fewer take longer.
const AGREEING: usize = 5;
/// Least cosine of two descriptions that look alike.
const ALIKE: f32 = 0.85;
/// Lists that are searched for a feature.
const PROBES: usize = 4;
/// Most features of one picture that look like one of another; more agree by chance.
const CLOSEST: usize = 2;
/// Most features of all pictures that look like one.
const MOST: usize = 12;

/// Two pictures that are worth a closer look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// Their indices, the lower first.
    pub pictures: [usize; 2],
    /// Whether one looks like the other in a mirror.
    pub mirrored: bool,
    /// Places of the strongest features that agree.
    pub places: Reverse<usize>,
}

/// Places in two pictures that look alike: the feature in each.
pub(super) fn alike([first, second]: [&[Feature]; 2], is_mirrored: bool) -> Vec<[u32; 2]> {
    let mut found = Vec::new();
    for (a, feature) in (0..).zip(first) {
        let seen = seen(&feature.description, is_mirrored);
        let mut best: Vec<(Reverse<u32>, u32)> = (0..)
            .zip(second)
            .map(|(b, other)| (Reverse(dot(&seen, &other.description)), b))
            .filter(|(cosine, _)| cosine.0 >= least())
            .collect();
        best.sort_unstable();
        found.extend(best.into_iter().take(CLOSEST).map(|(_, b)| [a, b]));
    }
    found
}

/// All pairs of pictures whose strongest features agree, in order.
pub(super) fn candidates(pictures: &[&[Feature]]) -> Vec<Candidate> {
    let index = Index::new(pictures);
    let mut candidates: Vec<Candidate> =
        (0..pictures.len()).into_par_iter().flat_map_iter(|picture| index.of_picture(pictures, picture)).collect();
    candidates.par_sort_unstable();
    candidates.dedup_by_key(|candidate| (candidate.pictures, candidate.mirrored));
    candidates
}

/// The strongest features of all pictures in lists by the pivot that is nearest. The pivots are spread over all of them.
struct Index {
    pivots: Vec<Description>,
    /// Where each list begins, and the last ends.
    starts: Vec<usize>,
    /// Of all lists, one after the other: the picture and the feature in it.
    places: Vec<[u32; 2]>,
    descriptions: Vec<Description>,
}

impl Index {
    fn new(pictures: &[&[Feature]]) -> Self {
        let describe = |[picture, feature]: [u32; 2]| &pictures[picture as usize][feature as usize].description;
        let all: Vec<[u32; 2]> = (0..)
            .zip(pictures)
            .flat_map(|(picture, features)| (0..features.len().min(STRONGEST) as u32).map(move |n| [picture, n]))
            .collect();
        let count = (2 * all.len().isqrt()).min(all.len());
        let pivots: Vec<Description> = (0..count).map(|pivot| *describe(all[pivot * all.len() / count])).collect();
        let mut listed: Vec<(u32, [u32; 2])> =
            all.par_iter().map(|&place| (best(&pivots, describe(place), 1)[0] as u32, place)).collect();
        listed.par_sort_unstable();
        let starts = (0..=count as u32).map(|list| listed.partition_point(|entry| entry.0 < list)).collect();
        let places: Vec<[u32; 2]> = listed.into_iter().map(|(_, place)| place).collect();
        let descriptions = places.iter().map(|&place| *describe(place)).collect();
        Self { pivots, starts, places, descriptions }
    }

    /// The pictures whose strongest features agree with those of one.
    fn of_picture(&self, pictures: &[&[Feature]], picture: usize) -> Vec<Candidate> {
        // The other picture, whether it is mirrored, and the feature in the earlier and in the later picture.
        let mut matches: Vec<(usize, bool, [u32; 2])> = Vec::new();
        for (feature, Feature { description, .. }) in (0..).zip(pictures[picture].iter().take(STRONGEST)) {
            for is_mirrored in [false, true] {
                self.look_up(picture as u32, &seen(description, is_mirrored), |[other, theirs]| {
                    let other = other as usize;
                    let features = if picture < other { [feature, theirs] } else { [theirs, feature] };
                    matches.push((other, is_mirrored, features));
                });
            }
        }
        matches.sort_unstable();
        matches
            .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
            .filter(|pair| pair.len() >= AGREEING)
            .filter_map(|pair| {
                let (other, mirrored, _) = pair[0];
                let ends = [picture.min(other), picture.max(other)];
                let features: Vec<[u32; 2]> = pair.iter().map(|found| found.2).collect();
                let (places, _) = agreement(ends.map(|end| pictures[end]), mirrored, &features);
                (places >= AGREEING).then_some(Candidate { pictures: ends, mirrored, places: Reverse(places) })
            })
            .collect()
    }

    /// Calls `found` for the [`MOST`] features of other pictures that look most alike.
    fn look_up(&self, picture: u32, description: &Description, mut found: impl FnMut([u32; 2])) {
        let mut alike: Vec<(Reverse<u32>, [u32; 2])> = best(&self.pivots, description, PROBES)
            .into_iter()
            .flat_map(|list| self.starts[list]..self.starts[list + 1])
            .map(|entry| (Reverse(dot(description, &self.descriptions[entry])), self.places[entry]))
            .filter(|(cosine, place)| cosine.0 >= least() && place[0] != picture)
            .collect();
        if alike.len() > MOST {
            alike.select_nth_unstable(MOST);
            alike.truncate(MOST);
        }
        alike.into_iter().for_each(|(_, place)| found(place));
    }
}

/// What of a description is looked for.
fn seen(description: &Description, is_mirrored: bool) -> Description {
    if is_mirrored { mirrored(description) } else { *description }
}

/// The product of two descriptions that look just alike enough.
fn least() -> u32 {
    (ALIKE * NORM * NORM) as u32
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
