//! What became of how many blobs.

use std::fmt;

use no_std_infer::kernels::{Kernel, KernelSet};

use super::check::Outcome;
use crate::campaign::Tally;

/// How many damaged blobs were refused, parsed, and run; and on which kernels.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    refused: u64,
    parsed: u64,
    ran: u64,
    kernels: [u64; Kernel::ALL.len()],
}

impl Counts {
    /// Counts a blob.
    pub fn add(&mut self, blob: &[u8], outcome: Outcome) {
        match outcome {
            Outcome::Refused(_) => self.refused += 1,
            Outcome::Parsed => self.parsed += 1,
            Outcome::Ran => {
                self.ran += 1;
                let needed = KernelSet::needed_by(blob);
                for (kernel, count) in Kernel::ALL.into_iter().zip(&mut self.kernels) {
                    *count += u64::from(needed.has(kernel));
                }
            }
        }
    }

    /// Blobs that were parsed without an error.
    fn accepted(&self) -> u64 {
        self.parsed + self.ran
    }
}

impl Tally for Counts {
    fn merge(&mut self, other: &Self) {
        self.refused += other.refused;
        self.parsed += other.parsed;
        self.ran += other.ran;
        self.kernels.iter_mut().zip(other.kernels).for_each(|(sum, count)| *sum += count);
    }

    fn shortcoming(&self, least: u64) -> Option<String> {
        let blobs = self.accepted() + self.refused;
        if self.accepted() * 5 < blobs {
            return Some(format!("only {} of {blobs} blobs were accepted", self.accepted()));
        }
        let rare = Kernel::ALL.into_iter().zip(self.kernels).find(|&(_, count)| count < least);
        rare.map(|(kernel, count)| format!("`{}` ran in {count} blobs only", kernel.name()))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refused, parsed, ran, kernels } = self;
        let blobs = (self.accepted() + refused).max(1);
        let percent = self.accepted() as f64 * 100.0 / blobs as f64;
        writeln!(
            f,
            "{blobs} blobs: {refused} refused, {} accepted ({percent:.1} %), of which {ran} ran on all kernel sets",
            parsed + ran
        )?;
        for (kernel, count) in Kernel::ALL.into_iter().zip(kernels) {
            writeln!(f, "{count:>12} ran `{}`", kernel.name())?;
        }
        Ok(())
    }
}
