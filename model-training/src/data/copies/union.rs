//! From pairs to groups, and how well groups agree with others.

use std::collections::HashMap;
use std::hash::Hash;

use serde::Serialize;

/// The group of each of `count` pictures, numbered from 0 in the order of their first pictures; what pairs connect is one
/// group.
///
/// # Panics
/// When a pair names a picture that is not there.
#[must_use]
pub fn groups(count: usize, pairs: impl IntoIterator<Item = [usize; 2]>) -> Vec<usize> {
    let mut union = Union::new(count);
    pairs.into_iter().for_each(|pair| union.join(pair));
    let mut numbers = HashMap::new();
    (0..count)
        .map(|picture| {
            let next = numbers.len();
            *numbers.entry(union.root(picture)).or_insert(next)
        })
        .collect()
}

/// What is connected so far: each picture's parent, and at last the first picture of its group.
pub(super) struct Union(Vec<usize>);

impl Union {
    pub(super) fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    pub(super) fn join(&mut self, pair: [usize; 2]) {
        let [a, b] = pair.map(|picture| self.root(picture));
        self.0[a.max(b)] = a.min(b);
    }

    /// Whether the two are connected.
    pub(super) fn has(&mut self, pair: [usize; 2]) -> bool {
        let [a, b] = pair.map(|picture| self.root(picture));
        a == b
    }

    fn root(&mut self, mut picture: usize) -> usize {
        let parents = &mut self.0;
        while parents[picture] != picture {
            parents[picture] = parents[parents[picture]];
            picture = parents[picture];
        }
        picture
    }
}

/// Pairs of pictures in one group, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    /// In one group by both.
    pub both: usize,
    /// In one group as found only.
    pub found_only: usize,
    /// In one group as known only.
    pub known_only: usize,
}

impl Score {
    /// Share of the known pairs that were found; 1 where none is known.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.both, self.known_only)
    }

    /// Share of the found pairs that are known; 1 where none was found.
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.both, self.found_only)
    }
}

fn share(part: usize, rest: usize) -> f64 {
    if part + rest == 0 { 1.0 } else { part as f64 / (part + rest) as f64 }
}

/// Compares the groups found with those known, both in the order of the pictures.
#[must_use]
pub fn score<F: Eq + Hash + Copy, K: Eq + Hash + Copy>(found: &[F], known: &[K]) -> Score {
    let both: Vec<(F, K)> = found.iter().copied().zip(known.iter().copied()).collect();
    let (both, found, known) = (pairs(&both), pairs(found), pairs(known));
    Score { both, found_only: found - both, known_only: known - both }
}

/// Pairs of equal elements.
fn pairs<T: Eq + Hash>(groups: &[T]) -> usize {
    let mut sizes: HashMap<&T, usize> = HashMap::new();
    groups.iter().for_each(|group| *sizes.entry(group).or_default() += 1);
    sizes.values().map(|size| size * (size - 1) / 2).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_connected_is_one_group() {
        assert_eq!(groups(7, [[5, 3], [1, 3], [6, 0]]), [0, 1, 2, 1, 3, 1, 0]);
        assert!(groups(0, []).is_empty());
    }

    #[test]
    fn pairs_are_counted() {
        let score = score(&[0, 0, 0, 1, 2], &["a", "a", "b", "b", "c"]);
        assert_eq!(score, Score { both: 1, found_only: 2, known_only: 1 });
        assert_eq!((score.recall(), score.precision()), (0.5, 1.0 / 3.0));
        assert_eq!(super::score(&[0, 1], &[3, 4]).recall(), 1.0);
    }
}
