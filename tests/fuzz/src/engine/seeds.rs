//! What mutations begin with.

use fastrand::Rng;
use no_std_infer::Model;
use no_std_infer::kernels::{Kernel, KernelSet};

use super::check::work;
use super::parts::Parts;

/// Small valid blobs that need all kernels between them.
pub struct Seeds<'s>(Vec<Parts<'s>>);

impl<'s> Seeds<'s> {
    /// Of the valid ones among these blobs, so many for each kernel: those that are the shortest and run the fastest. Their
    /// first bytes lie at multiples of 16.
    #[must_use]
    pub fn choose(blobs: impl IntoIterator<Item = &'s [u8]>, each: usize) -> Self {
        let cost = |blob: &[u8]| Model::parse(blob).ok().map(|model| blob.len() as u64 + work(&model));
        let mut blobs: Vec<_> = blobs.into_iter().filter_map(|blob| Some((cost(blob)?, blob))).collect();
        blobs.sort_by_key(|&(cost, _)| cost);
        let needs = |kernel| move |(_, blob): &&(u64, &[u8])| KernelSet::needed_by(blob).has(kernel);
        let mut chosen: Vec<&[u8]> = Vec::new();
        for kernel in Kernel::ALL {
            let cheapest = blobs.iter().filter(needs(kernel)).take(each).map(|&(_, blob)| blob);
            chosen.extend(cheapest);
        }
        Self(chosen.into_iter().filter_map(Parts::of).collect())
    }

    /// How many there are, one for each kernel that it was chosen for.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// One of them.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn any(&self, rng: &mut Rng) -> &Parts<'s> {
        rng.choice(&self.0).expect("there are seeds")
    }
}
