//! Random networks with some of their layers in stripes of rows.

use std::ops::Range;

use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, emit_in_stripes};
use model_compiler::layout::pack::pack;
use model_compiler::layout::stripes::{Group, goes_in_stripes};
use model_compiler::quantise::QuantModel;
use no_std_infer::format::{InputKind, Provenance};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::networks;

/// A network whole and in stripes.
pub struct Striped {
    /// Each layer is one operator.
    pub whole: Aligned<u8>,
    /// The same layers, some of them in stripes.
    pub stripes: Aligned<u8>,
    /// An input.
    pub input: Vec<i8>,
}

/// A random network with plain weights, packed ones or all the transforms, and stripes of any height of a part of each run of
/// layers that can have them.
#[must_use]
pub fn random(seed: u64) -> Striped {
    let networks::Network { model, inputs, .. } = networks::random(seed);
    let model = match seed % 3 {
        0 => model,
        1 => pack(&model, 0),
        _ => pack(&model, usize::MAX),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let group = |run: Range<usize>| {
        let first = rng.random_range(run.start..run.end - 1);
        let last = rng.random_range(first + 1..run.end);
        Group { first, last, rows: rng.random_range(1..=model.ops[last].output().height) }
    };
    let groups: Vec<Group> = runs(&model).into_iter().map(group).collect();
    Striped { whole: blob(&model, &[]), stripes: blob(&model, &groups), input: inputs[0].clone() }
}

/// The runs of at least two operators that can go in stripes.
fn runs(model: &QuantModel) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, _) in model.ops.iter().enumerate().filter(|(_, op)| goes_in_stripes(op)) {
        match runs.last_mut() {
            Some(run) if run.end == index => run.end += 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs.retain(|run| run.len() > 1);
    runs
}

/// The blob of a model with some of its operators in stripes.
///
/// # Panics
/// When it is not valid.
#[must_use]
pub fn blob(model: &QuantModel, groups: &[Group]) -> Aligned<u8> {
    emit_in_stripes(model, &DESCRIPTION, groups).unwrap_or_else(|error| panic!("{groups:?}: {error:#}")).blob
}

/// Of a model that reads raw values.
pub const DESCRIPTION: Description<'_> = Description {
    name: "stripes",
    labels: &[],
    input: InputKind::Tensor,
    provenance: Provenance {
        config: "",
        dataset: "",
        producer: "",
        images: 0,
        float_accuracy: 0.0,
        int8_accuracy: 0.0,
    },
};
