//! How often slots may be rewritten, so that nobody who can speak to the device wears its flash out.

use crate::link::UpdateError;
use no_std_infer::bounded::Bounded;

/// So often at once.
pub(crate) const BURST: u32 = 8;
/// After that, once in so many seconds. A flash that bears 10,000 erasures then lasts for two months of nothing but that.
pub(crate) const PAUSE: u32 = 600;

/// Counts rewrites of slots: each erases a sector once at most.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Wear {
    /// How many have been allowed.
    // Saturates; at one in ten minutes, that takes 80,000 years.
    rewrites: u32,
    /// How many more are at once.
    // From 0 to `BURST`.
    left: u32,
    /// When the last one was added to those.
    // As the clock counts; never beyond its now.
    since: u64,
}

impl Wear {
    pub(crate) const fn new() -> Self {
        Self { rewrites: 0, left: BURST, since: 0 }
    }

    /// How many have been allowed since the start.
    pub(crate) fn rewrites(&self) -> u32 {
        self.rewrites
    }

    /// Allows a rewrite, by a clock that counts so many units a second.
    ///
    /// # Errors
    /// [`UpdateError::Wear`] when there were too many.
    pub(crate) fn allow(&mut self, now: u64, hz: u32) -> Result<(), UpdateError> {
        let second = u64::from(hz.max(1));
        let pause = second * u64::from(PAUSE);
        let passed = now.saturating_sub(self.since);
        let more = passed.checked_div(pause).unwrap_or(0);
        if more >= u64::from(BURST.minus(self.left)) {
            (self.left, self.since) = (BURST, now);
        } else {
            self.left = self.left.plus(more as u32);
            self.since = self.since.plus(more.times(pause));
        }
        let Some(left) = self.left.checked_sub(1) else {
            let missing = pause.saturating_sub(now.saturating_sub(self.since));
            return Err(UpdateError::Wear { seconds: missing.div_ceil(second) as u32 });
        };
        self.left = left;
        self.rewrites = self.rewrites.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u32 = 1000;
    const ONCE: u64 = HZ as u64 * PAUSE as u64;

    #[test]
    fn a_burst_is_allowed_and_then_one_in_a_while() {
        let mut wear = Wear::new();
        for _ in 0..BURST {
            assert_eq!(wear.allow(5, HZ), Ok(()));
        }
        let refused = |now: u64| Err(UpdateError::Wear { seconds: ((5 + ONCE - now).div_ceil(1000)) as u32 });
        for now in [5, 6, ONCE, ONCE + 4] {
            assert_eq!(wear.allow(now, HZ), refused(now), "{now}");
        }
        assert_eq!(wear.allow(5 + ONCE, HZ), Ok(()));
        assert_eq!(wear.allow(6 + ONCE, HZ), Err(UpdateError::Wear { seconds: PAUSE }));
        assert_eq!(wear.rewrites(), BURST + 1);
    }

    #[test]
    fn however_they_come_there_are_few_in_a_day() {
        for step in [1, 7, 99_991, 3_000_017] {
            let mut wear = Wear::new();
            let day = 24 * 3600 * u64::from(HZ);
            let taken = (0..day).step_by(step).filter(|&now| wear.allow(now, HZ).is_ok()).count() as u64;
            assert!(taken <= u64::from(BURST) + day / ONCE, "{taken} in a day, asked each {step}");
        }
        let mut wear = Wear::new();
        assert!((0..100).filter(|_| wear.allow(u64::MAX, 0).is_ok()).count() <= BURST as usize);
    }
}
