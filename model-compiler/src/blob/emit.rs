//! From a quantised model to the blob.

use anyhow::{Context, Result, ensure};
use no_std_infer::format::{Info, Input, InputKind, Provenance};

use crate::aligned::Aligned;
use crate::blob::{Parts, write_with_golden};
use crate::layout::arena::Plan;
use crate::layout::pack::pack;
use crate::layout::stripes::{Group, Layers, choose, program};
use crate::quantise::QuantModel;

/// Seed of the golden vector's input.
const GOLDEN_SEED: u32 = 0x2545_F491;

/// What the blob says about a model besides its operators.
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    /// Name of the model.
    pub name: &'a str,
    /// Names of the classes, in the order of the logits' channels; none when they have no names.
    pub labels: &'a [String],
    /// What the bytes of the input mean.
    pub input: InputKind,
    /// Where the model comes from.
    pub provenance: Provenance<'a>,
}

/// What a blob may take. The default: no flash beyond what the model needs, and as much RAM as whole tensors need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of weights and tables, or the least that the model needs: what the weights themselves leave goes to faster
    /// layouts.
    pub flash: usize,
    /// Most bytes of arena: operators go in stripes of rows where it would be longer, and less flash is spent where that does not
    /// suffice. 0 asks for the least that is found with all of the flash.
    pub arena: Option<u32>,
}

/// A blob and how its arena was planned.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// The blob, 16-byte aligned, ready for `Model::parse`.
    pub blob: Aligned<u8>,
    /// The arena.
    pub plan: Plan,
}

impl AsRef<[u8]> for Emitted {
    fn as_ref(&self) -> &[u8] {
        &self.blob
    }
}

/// Packs the layers that can be, plans the arena, lays out the blob and adds a golden vector made by running it. The same model gives the same bytes.
///
/// # Errors
/// When the labels or the colours do not fit the model, or the blob does not pass `Model::parse`.
pub fn emit(model: &QuantModel, description: &Description<'_>) -> Result<Emitted> {
    emit_within(model, description, Limits::default())
}

/// The same within limits.
///
/// # Errors
/// As [`emit`].
pub fn emit_within(model: &QuantModel, description: &Description<'_>, limits: Limits) -> Result<Emitted> {
    let emit = |flash: usize| {
        let model = pack(model, flash);
        let groups = limits.arena.map(|bytes| choose(&model, bytes)).unwrap_or_default();
        emit_in_stripes(&model, description, &groups)
    };
    let mut best = emit(limits.flash)?;
    // Transformed weights need memory to work in: where the arena is too long, less flash is spent on them.
    for quarters in (0..4).rev().filter(|_| limits.flash > 0) {
        if limits.arena.is_none_or(|arena| arena == 0 || best.plan.arena_len <= arena) {
            break;
        }
        let other = emit(limits.flash / 4 * quarters)?;
        if other.plan.arena_len < best.plan.arena_len {
            best = other;
        }
    }
    Ok(best)
}

/// Plans, lays out and runs a packed model whose operators of `groups` go in stripes.
///
/// # Errors
/// As [`emit`].
///
/// # Panics
/// As [`program`].
pub fn emit_in_stripes(model: &QuantModel, description: &Description<'_>, groups: &[Group]) -> Result<Emitted> {
    let Description { name, labels, input, provenance } = *description;
    let classes = model.logits.channels;
    ensure!(
        labels.is_empty() || labels.len() == classes as usize,
        "there are {} class names for {classes} logits",
        labels.len()
    );
    if let InputKind::Image(image) = input {
        let (channels, color) = (model.input.channels, image.color);
        ensure!(channels as usize == color.channels(), "the network reads {channels} channels, not {color:?}");
    }
    let program = program(model, groups);
    let counts = u16::try_from(labels.len()).is_ok() && u16::try_from(program.steps.len()).is_ok();
    ensure!(counts, "the format holds at most {} classes and as many operators", u16::MAX);
    let plan = Plan::of(&program);
    let info = Info {
        name,
        input: Input { tensor: plan.place(model.input), kind: input },
        logits: plan.place(model.logits),
        labels: 0,
        ops: 0,
        temperature: model.temperature,
        provenance,
    };
    let ops = plan.apply(&program);
    let parts = Parts { info, labels, ops: &ops, weights: &model.constants, layers: Layers::section(&program) };
    let blob = write_with_golden(&parts, GOLDEN_SEED).context("the blob that was made is not valid")?;
    Ok(Emitted { blob, plan })
}

#[cfg(test)]
mod tests {
    use no_std_infer::golden::self_test;
    use no_std_infer::{Model, format};

    use super::*;
    use crate::quantise::calibrate::calibrate;
    use crate::quantise::tests::{description, inputs, residual_network};
    use crate::quantise::{Method, quantise};

    fn emitted(labels: usize) -> Result<Emitted> {
        let graph = residual_network();
        let ranges = calibrate(&graph, &inputs(&graph, 8), Method::MinMax)?;
        let labels: Vec<String> = (0..labels).map(|i| format!("class {i}")).collect();
        emit(&quantise(&graph, &ranges, 1.5)?, &description(&labels))
    }

    #[test]
    fn the_same_graph_gives_the_same_bytes_which_parse_and_pass_the_self_test() {
        let [first, second] = [emitted(5).unwrap(), emitted(5).unwrap()];
        assert_eq!(*first.blob, *second.blob);
        let model = Model::parse(&first.blob).unwrap();
        assert_eq!(model.labels().collect::<Vec<_>>(), ["class 0", "class 1", "class 2", "class 3", "class 4"]);
        assert_eq!(model.info().temperature, 1.5);
        assert_eq!(format::arena_len(&first.blob), first.plan.arena_len as usize);
        let mut arena = Aligned::new(model.arena_len());
        self_test(&model, &mut arena).unwrap();
    }

    #[test]
    fn labels_must_fit_the_logits() {
        assert!(emitted(4).unwrap_err().to_string().contains("4 class names for 5 logits"));
    }
}
