//! What each operator of a model makes of an input on this machine: by the kernels that int8 figures come from, and by the
//! specification.

use host_kernels::{Prepared, Runner};
use no_std_infer::golden::checksum;
use no_std_infer::{CRC32, Model};
use rayon::prelude::*;

use crate::data::dataset::Images;
use crate::data::progress;
use crate::measure::evaluate::Int8Output;

/// The checksum of each operator's output for one input.
pub type Checksums = Vec<u32>;

/// What computes on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The kernels of this program.
    Kernels,
    /// The specification: each operator as naive loops over wide integers.
    Oracle,
}

impl Engine {
    /// Every operator's output for an input.
    ///
    /// # Panics
    /// When `input` has another length than the model's input.
    #[must_use]
    pub fn outputs(self, model: &Model<'_>, input: &[i8]) -> Vec<Vec<i8>> {
        match self {
            Self::Kernels => {
                let mut outputs = Vec::new();
                Prepared::new(model).runner().run_profiled(input, |_, output| outputs.push(output.to_vec()));
                outputs
            }
            Self::Oracle => oracle::outputs(model, input),
        }
    }
}

/// What this program's kernels make of each image, behind a progress bar.
///
/// # Panics
/// When the images do not have the size of the model's input.
#[must_use]
pub fn traces(model: &Model<'_>, images: &Images) -> Vec<(Checksums, Int8Output)> {
    let bar = progress::scoring(images.len(), "int8 model");
    let prepared = Prepared::new(model);
    let traced = |runner: &mut Runner<'_, '_>, index: usize| {
        let mut checksums = Checksums::new();
        let done = runner.run_profiled(&images.input(index), |_, output| checksums.push(checksum(output)));
        let output = Int8Output::of(&done);
        bar.inc(1);
        (checksums, output)
    };
    (0..images.len()).into_par_iter().map_init(|| prepared.runner(), traced).collect()
}

/// What the specification says of each input, behind a progress bar.
///
/// # Panics
/// When an input has another length than the model's input.
#[must_use]
pub fn specified(model: &Model<'_>, inputs: &[Vec<i8>]) -> Vec<Checksums> {
    let bar = progress::scoring(inputs.len(), "specification");
    let checksums = |input: &Vec<i8>| {
        bar.inc(1);
        Engine::Oracle.outputs(model, input).iter().map(|output| checksum(output)).collect()
    };
    inputs.par_iter().map(checksums).collect()
}

/// For each operator the CRC-32 of its checksums for all inputs, in their order, little-endian.
#[must_use]
pub fn joined<'t>(traces: impl IntoIterator<Item = &'t Checksums>) -> Checksums {
    let mut digests = Vec::new();
    for checksums in traces {
        digests.resize_with(checksums.len(), || CRC32.digest());
        digests.iter_mut().zip(checksums).for_each(|(digest, checksum)| digest.update(&checksum.to_le_bytes()));
    }
    digests.into_iter().map(|digest| digest.finalize()).collect()
}

#[cfg(test)]
mod tests {
    use model_compiler::aligned::Aligned;
    use model_compiler::graph::Shape;

    use super::*;
    use crate::measure::evaluate::infer;
    use crate::samples;

    #[test]
    fn kernels_and_specification_give_the_same_checksums() {
        let (blob, inputs) = (samples::blob(&[], 1.0), samples::inputs());
        let model = Model::parse(&blob).unwrap();
        let pixels: Vec<u8> = inputs.iter().flatten().map(|&value| value as u8 ^ 0x80).collect();
        let shape = Shape { height: 4, width: 5, channels: 3 };
        let found = traces(&model, &Images::of_pixels(shape, &pixels, &vec![0; inputs.len()]));
        let checksums: Vec<Checksums> = found.iter().map(|(checksums, _)| checksums.clone()).collect();
        assert_eq!(specified(&model, &inputs), checksums);
        for (input, (checksums, output)) in inputs.iter().zip(&found) {
            assert_eq!(checksums.len(), usize::from(model.info().ops));
            assert_eq!(*output, infer(&model, &mut Aligned::new(model.arena_len()), input));
        }
    }

    #[test]
    fn one_checksum_of_many_depends_on_each_and_on_their_order() {
        let (a, b) = (vec![1, 2], vec![3, 4]);
        let both = joined([&a, &b]);
        assert_eq!(both[0], CRC32.checksum(&[1, 0, 0, 0, 3, 0, 0, 0]));
        assert_eq!(both[1], CRC32.checksum(&[2, 0, 0, 0, 4, 0, 0, 0]));
        assert_ne!(joined([&b, &a]), both);
        assert!(joined([]).is_empty());
    }
}
