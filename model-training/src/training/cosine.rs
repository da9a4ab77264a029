//! The learning rate from step to step: linear warm-up, then half a period of a cosine.

use crate::config::CosineConfig;

/// The share of the peak learning rate in `step` (from 0) of `steps`.
///
/// Over the first `warmup · steps` steps, rounded up, it rises evenly to 1; then it falls to `end` at the last step, as
/// in Loshchilov and Hutter 2017 without restarts.
#[must_use]
pub fn share(config: &CosineConfig, step: usize, steps: usize) -> f64 {
    let warm = (config.warmup * steps as f64).ceil() as usize;
    if step < warm {
        return (step + 1) as f64 / warm as f64;
    }
    let progress = (step + 1 - warm) as f64 / (steps - warm) as f64;
    config.end + (1.0 - config.end) * (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand() {
        let config = CosineConfig { warmup: 0.2, end: 0.1 };
        let shares: Vec<f64> = (0..10).map(|step| share(&config, step, 10)).collect();
        assert_eq!(shares[..2], [0.5, 1.0]);
        // A quarter, a half and all of the way down: cos(45°), cos(90°), cos(180°).
        for (step, expected) in [(3, 0.1 + 0.9 * (1.0 + 0.5f64.sqrt()) / 2.0), (5, 0.55), (9, 0.1)] {
            assert!((shares[step] - expected).abs() < 1e-12, "{step}: {shares:?}");
        }
        assert!(shares[1..].windows(2).all(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn runs_of_one_step_and_without_warm_up_have_shares() {
        assert_eq!(share(&CosineConfig::default(), 0, 1), 1.0);
        let config = CosineConfig { warmup: 0.0, end: 0.0 };
        assert!((share(&config, 0, 2) - 0.5).abs() < 1e-12);
        assert!(share(&config, 1, 2).abs() < 1e-12);
    }
}
