//! Which classes are taken for which, as far as that is no chance.

use std::cmp::Reverse;

use serde::Serialize;

use super::metrics::Confusion;

/// Largest probability that chance alone shows any such pair.
const CHANCE: f64 = 0.05;

/// Images of one class that are taken for another more often than mistakes are made on the average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The true class.
    pub truth: usize,
    /// What is said.
    pub said: usize,
    /// How many images.
    pub count: usize,
    /// Of so many of the true class.
    pub support: usize,
}

/// The pairs of classes that are confused more than others, the largest share of the true class first. A pair is one where more
/// images are taken so than if all mistakes were spread evenly: by the binomial distribution with a probability below 5 % for
/// all pairs together. Images of one of the `groups` are copies of one photograph, so as many images count as there are groups.
#[must_use]
pub fn confused(confusion: &Confusion, groups: usize) -> Vec<Taken> {
    let (classes, total) = (confusion.classes(), confusion.total());
    if classes < 2 || total == 0 {
        return Vec::new();
    }
    let wrong = total - confusion.accuracy().count;
    let usual = wrong as f64 / total as f64 / (classes - 1) as f64;
    let independent = (groups.min(total) as f64) / total as f64;
    let pairs = (classes * (classes - 1)) as f64;
    let taken = |(truth, said, count): (usize, usize, usize)| {
        let support: usize = confusion.counts[truth].iter().sum();
        let [of, hits] = [support, count].map(|images| (images as f64 * independent).floor() as usize);
        (at_least(hits, of, usual) * pairs < CHANCE).then_some(Taken { truth, said, count, support })
    };
    let mut found: Vec<Taken> = confusion.mistakes().into_iter().filter_map(taken).collect();
    found.sort_by_key(|taken| Reverse(taken.count * 1_000_000 / taken.support));
    found
}

/// The probability of at least so many hits in `of` draws that hit with `chance`.
fn at_least(hits: usize, of: usize, chance: f64) -> f64 {
    if hits == 0 || chance >= 1.0 {
        return 1.0;
    }
    if chance <= 0.0 {
        return 0.0;
    }
    let odds = (chance / (1.0 - chance)).ln();
    let mut logarithm = of as f64 * (1.0 - chance).ln();
    let mut sum = 0.0;
    for found in 0..=of {
        sum += if found >= hits { logarithm.exp() } else { 0.0 };
        logarithm += ((of - found) as f64 / (found + 1) as f64).ln() + odds;
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(counts: &[&[usize]]) -> Confusion {
        Confusion { counts: counts.iter().map(|row| row.to_vec()).collect() }
    }

    #[test]
    fn tails_are_those_of_the_binomial_distribution() {
        // Of 3 coins: at least 2 heads in 4 of 8 cases.
        assert!((at_least(2, 3, 0.5) - 0.5).abs() < 1e-12);
        assert!((at_least(1, 10, 0.1) - (1.0 - 0.9_f64.powi(10))).abs() < 1e-12);
        assert!((at_least(0, 5, 0.2), at_least(3, 5, 0.0), at_least(6, 5, 0.2)) == (1.0, 0.0, 0.0));
        // Summed by the logarithm of the gamma function.
        assert!((at_least(620, 20_000, 0.03) - 0.208_805).abs() < 1e-6, "{}", at_least(620, 20_000, 0.03));
    }

    #[test]
    fn a_pair_that_sticks_out_is_named_and_even_mistakes_are_not() {
        let sad = matrix(&[&[25, 2, 1, 2], &[1, 26, 2, 1], &[2, 1, 25, 2], &[12, 1, 1, 16]]);
        assert_eq!(confused(&sad, 120), [Taken { truth: 3, said: 0, count: 12, support: 30 }]);
        let even = matrix(&[&[24, 2, 2, 2], &[2, 24, 2, 2], &[2, 2, 24, 2], &[2, 2, 2, 24]]);
        assert!(confused(&even, 120).is_empty());
        assert!(confused(&matrix(&[&[30, 0], &[0, 30]]), 60).is_empty());
        assert!(confused(&matrix(&[&[0, 0], &[0, 0]]), 0).is_empty());
    }

    #[test]
    fn copies_of_a_few_photographs_show_less() {
        let sad = matrix(&[&[25, 2, 1, 2], &[1, 26, 2, 1], &[2, 1, 25, 2], &[12, 1, 1, 16]]);
        assert!(confused(&sad, 24).is_empty());
    }

    #[test]
    fn the_larger_share_comes_first() {
        let two = matrix(&[&[80, 40, 0], &[0, 120, 0], &[0, 30, 10]]);
        let found: Vec<_> = confused(&two, 280).into_iter().map(|taken| (taken.truth, taken.said)).collect();
        assert_eq!(found, [(2, 1), (0, 1)]);
    }
}
