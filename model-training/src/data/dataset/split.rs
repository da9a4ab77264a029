//! Stratified splitting that keeps groups together.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Sample;

/// Splits `samples` into training, validation and test images whose shares of each class are as near to `shares` as
/// the groups allow; exact to the image without groups. Each class that can gets a validation image.
pub(super) fn split(samples: Vec<Sample>, classes: usize, shares: [f64; 3], seed: u64) -> [Vec<Sample>; 3] {
    let sides: Vec<usize> = (0..3).filter(|&side| side == 0 || shares[side] > 0.0).collect();
    let wanted: Vec<Vec<usize>> = class_sizes(&samples, classes)
        .into_iter()
        .map(|count| sides.iter().map(|&side| quotas(count, shares)[side]).collect())
        .collect();
    let mut split: [Vec<Sample>; 3] = Default::default();
    for (side, samples) in sides.into_iter().zip(distribute(samples, &wanted, seed)) {
        split[side] = samples;
    }
    split
}

/// Number of images of each class.
pub(super) fn class_sizes(samples: &[Sample], classes: usize) -> Vec<usize> {
    let mut sizes = vec![0; classes];
    samples.iter().for_each(|sample| sizes[sample.label] += 1);
    sizes
}

/// Puts whole groups on sides so that side `s` gets about `wanted[class][s]` images of each class.
///
/// Groups go one after the other, the largest first and in an order drawn by `seed` among equals, to the side where the
/// sum over classes and sides of `(images still wanted)² / images wanted` becomes least. The order of `samples` has no
/// influence; each side comes back sorted by name.
pub(super) fn distribute(samples: Vec<Sample>, wanted: &[Vec<usize>], seed: u64) -> Vec<Vec<Sample>> {
    let mut units: BTreeMap<(bool, String), Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        let key = sample.group.clone().map_or_else(|| (false, sample.name.clone()), |group| (true, group));
        units.entry(key).or_default().push(sample);
    }
    let mut open: Vec<Vec<f64>> = wanted.iter().map(|sides| sides.iter().map(|&n| n as f64).collect()).collect();

    let mut order: Vec<_> = units.into_iter().collect();
    order.sort_by_cached_key(|((grouped, name), members)| {
        let draw = Sha256::new_with_prefix(seed.to_le_bytes()).chain_update([u8::from(*grouped)]).chain_update(name);
        (Reverse(members.len()), draw.finalize())
    });
    let mut sides = vec![Vec::new(); wanted.first().map_or(0, Vec::len)];
    for (_, members) in order {
        let mut of_class = BTreeMap::new();
        for member in &members {
            *of_class.entry(member.label).or_insert(0.0) += 1.0;
        }
        let gain = |side: usize| -> f64 {
            let class_gain = |(&class, &n): (&usize, &f64)| {
                (2.0 * open[class][side] - n) * n / (wanted[class][side] as f64).max(0.5)
            };
            of_class.iter().map(class_gain).sum()
        };
        let side = (0..sides.len()).rev().max_by(|&a, &b| gain(a).total_cmp(&gain(b))).unwrap_or(0);
        for (class, n) in of_class {
            open[class][side] -= n;
        }
        sides[side].extend(members);
    }
    for side in &mut sides {
        side.sort_by(|a, b| a.name.cmp(&b.name));
    }
    sides
}

/// How many of `count` images each side gets: rounded shares, with one for training, then one for validation, then one
/// for the test where there are so many.
fn quotas(count: usize, [_, valid, test]: [f64; 3]) -> [usize; 3] {
    let share = |share: f64, least: usize, most: usize| {
        if share <= 0.0 { 0 } else { ((share * count as f64).round() as usize).max(least).min(most) }
    };
    let valid = share(valid, 1, count.saturating_sub(1));
    let test = share(test, 1, count.saturating_sub(1 + valid));
    [count - valid - test, valid, test]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn sample(label: usize, number: usize, group: Option<usize>) -> Sample {
        let name = format!("{label}/{number:04}.png");
        Sample { name, label, group: group.map(|group| group.to_string()), digest: None }
    }

    fn names(side: &[Sample]) -> BTreeSet<&str> {
        side.iter().map(|sample| sample.name.as_str()).collect()
    }

    #[test]
    fn quotas_leave_something_for_each_side_that_can_have_it() {
        let shares = [0.7, 0.15, 0.15];
        let expected = [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (20, [14, 3, 3]), (100, [70, 15, 15])];
        for (count, quota) in expected {
            assert_eq!(quotas(count, shares), quota, "{count} images");
        }
        assert_eq!(quotas(10, [0.9, 0.1, 0.0]), [9, 1, 0]);
        assert_eq!(quotas(10, [0.02, 0.49, 0.49]), [1, 5, 4]);
    }

    #[test]
    fn another_seed_gives_another_split() {
        let samples: Vec<_> = (0..100).map(|number| sample(number % 2, number, None)).collect();
        let [_, first, _] = split(samples.clone(), 2, [0.7, 0.15, 0.15], 1);
        let [_, second, _] = split(samples, 2, [0.7, 0.15, 0.15], 2);
        assert_ne!(first, second);
    }

    proptest! {
        #[test]
        fn without_groups_each_class_is_split_to_the_image(
            sizes in prop::collection::vec(2_usize..60, 2..5),
            valid in 0.05_f64..0.4,
            test in 0.0_f64..0.4,
            seed: u64,
        ) {
            let shares = [1.0 - valid - test, valid, test];
            let samples: Vec<_> =
                sizes.iter().enumerate().flat_map(|(label, &n)| (0..n).map(move |i| sample(label, i, None))).collect();
            let sides = split(samples, sizes.len(), shares, seed);
            for (label, &size) in sizes.iter().enumerate() {
                let got = sides.each_ref().map(|side| side.iter().filter(|s| s.label == label).count());
                prop_assert_eq!(got, quotas(size, shares));
            }
        }

        #[test]
        fn groups_stay_whole_and_order_does_not_matter(
            drawn in prop::collection::vec((0_usize..3, prop::option::of(0_usize..12)), 3..120),
            seed: u64,
            turn in 0_usize..120,
        ) {
            let samples: Vec<_> =
                drawn.iter().enumerate().map(|(number, &(label, group))| sample(label, number, group)).collect();
            let sides = split(samples.clone(), 3, [0.6, 0.2, 0.2], seed);

            let mut all: Vec<_> = sides.iter().flatten().cloned().collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            let mut expected = samples.clone();
            expected.sort_by(|a, b| a.name.cmp(&b.name));
            prop_assert_eq!(all, expected);

            let groups = sides.each_ref().map(|side| side.iter().filter_map(|s| s.group.clone()).collect::<BTreeSet<_>>());
            for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                prop_assert!(groups[a].is_disjoint(&groups[b]));
            }

            let mut turned = samples;
            let middle = turn % turned.len();
            turned.rotate_left(middle);
            turned.reverse();
            let again = split(turned, 3, [0.6, 0.2, 0.2], seed);
            for (first, second) in sides.iter().zip(&again) {
                prop_assert_eq!(names(first), names(second));
            }
        }

        #[test]
        fn with_small_groups_no_side_is_far_from_its_share(size in 1_usize..5, seed: u64) {
            let samples: Vec<_> =
                (0..400).map(|i| sample(i % 2, i, Some(i % 2 + 2 * (i / 2 / size)))).collect();
            let sides = split(samples, 2, [0.6, 0.2, 0.2], seed);
            for (side, wanted) in sides.iter().zip([120, 40, 40]) {
                for label in 0..2 {
                    let got = side.iter().filter(|s| s.label == label).count();
                    prop_assert!(got.abs_diff(wanted) <= size, "{got} of class {label}, wanted {wanted}");
                }
            }
        }
    }
}
