//! Mixup: every image is blended with another, and so are their labels (Zhang et al. 2018).

use rand::RngExt;
use rand_distr::{Beta, Distribution};

use super::Key;

/// How an image is mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Index of the other image.
    pub other: usize,
    /// Share of the image itself, 0 to 1.
    pub share: f32,
}

impl Mix {
    /// Draws the other of `count` images and a share from Beta(`alpha`, `alpha`); the same key draws the same.
    ///
    /// # Panics
    /// When `alpha` is not above 0 or `count` is 0.
    #[must_use]
    pub fn new(alpha: f64, count: usize, key: Key) -> Self {
        let mut rng = key.rng(b"mixup...");
        let share = Beta::new(alpha, alpha).expect("alpha is above 0").sample(&mut rng) as f32;
        Self { other: rng.random_range(0..count), share }
    }
}

/// `share` of `pixels` and the rest of `other`, rounded.
pub fn mix(pixels: &mut [u8], other: &[u8], share: f32) {
    for (pixel, other) in pixels.iter_mut().zip(other) {
        *pixel = (share * f32::from(*pixel) + (1.0 - share) * f32::from(*other) + 0.5) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_follow_from_seed_epoch_and_index() {
        let key = Key { seed: 1, epoch: 2, index: 3 };
        let first = Mix::new(0.4, 1000, key);
        assert_eq!(first, Mix::new(0.4, 1000, key));
        for key in [Key { seed: 2, ..key }, Key { epoch: 3, ..key }, Key { index: 4, ..key }] {
            assert_ne!(first, Mix::new(0.4, 1000, key));
        }
    }

    #[test]
    fn shares_have_the_moments_of_beta_and_partners_are_even() {
        let mixes: Vec<Mix> = (0..4000).map(|index| Mix::new(0.5, 4, Key { seed: 0, epoch: 1, index })).collect();
        let mean = |of: &dyn Fn(&Mix) -> f64| mixes.iter().map(of).sum::<f64>() / 4000.0;
        // Variance of Beta(a, a): 1 / (4 (2a + 1)).
        assert!((mean(&|mix| f64::from(mix.share)) - 0.5).abs() < 0.02);
        assert!((mean(&|mix| (f64::from(mix.share) - 0.5).powi(2)) - 0.125).abs() < 0.005);
        assert!((0..4).all(|other| (900..1100).contains(&mixes.iter().filter(|mix| mix.other == other).count())));
    }

    #[test]
    fn blends_by_hand() {
        let mut pixels = [0, 100, 255];
        mix(&mut pixels, &[100, 0, 255], 0.75);
        assert_eq!(pixels, [25, 75, 255]);
    }
}
