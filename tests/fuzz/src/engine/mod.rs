//! The engine under blobs that are valid, nearly valid, or neither.

mod check;
mod counts;
mod mutate;
mod parts;
mod seeds;

use fastrand::Rng;
use no_std_infer::Error;

pub use check::{Outcome, check};
pub use counts::Counts;
pub use parts::{Parts, repair};
pub use seeds::Seeds;

/// Damaged blobs that take more operations are parsed and not run.
const OPERATIONS: u64 = 30_000;
/// Blobs of an episode.
const STEPS: u64 = 64;

/// Runs the episode of a number; gives how many blobs were executed. A blob that fails is left in the file `failed.blob`.
///
/// # Panics
/// When the engine does, or breaks its promise.
pub fn episode(seeds: &Seeds<'_>, number: u64, counts: &mut Counts) -> u64 {
    let mut walk = Walk::new(seeds, number);
    for step in 0..STEPS {
        walk.step();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk.check()));
        let outcome = outcome.unwrap_or_else(|_| {
            let kept = std::fs::write("failed.blob", walk.blob());
            panic!("step {step}; failed.blob: {kept:?}");
        });
        counts.add(walk.blob(), outcome);
    }
    STEPS
}

/// A walk from one seed: each step changes the blob of an earlier step that ran.
pub struct Walk<'s> {
    seeds: &'s Seeds<'s>,
    current: Parts<'s>,
    next: Parts<'s>,
    blob: Vec<u8>,
    damaged: bool,
    rng: Rng,
}

impl<'s> Walk<'s> {
    /// The walk of a number.
    #[must_use]
    pub fn new(seeds: &'s Seeds<'s>, number: u64) -> Self {
        let mut rng = Rng::with_seed(number);
        let current = seeds.any(&mut rng).clone();
        Self { seeds, next: current.clone(), current, blob: Vec::new(), damaged: false, rng }
    }

    /// The blob of the step that was taken last.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Makes the next blob.
    pub fn step(&mut self) {
        let Self { seeds, current, next, blob, damaged, rng } = self;
        next.clone_from(current);
        for _ in 0..rng.u8(1..=3) {
            mutate::mutate(next, seeds.any(rng), rng);
        }
        next.write(blob);
        *damaged = rng.u8(..16) == 0;
        if *damaged {
            mutate::damage(blob, rng);
        }
    }

    /// Checks the blob, and again with an arena as long as it needs where that is all that is wrong. Goes on from it where it ran.
    ///
    /// # Panics
    /// Where [`check`] does.
    pub fn check(&mut self) -> Outcome {
        let mut outcome = check(&self.blob, OPERATIONS, &mut self.rng);
        if let Outcome::Refused(Error::ArenaMismatch { needed }) = outcome {
            self.next.arena_len = needed;
            self.blob[16..20].copy_from_slice(&needed.to_le_bytes());
            repair(&mut self.blob);
            outcome = check(&self.blob, OPERATIONS, &mut self.rng);
        }
        if outcome == Outcome::Ran && !self.damaged {
            std::mem::swap(&mut self.current, &mut self.next);
        }
        outcome
    }
}
