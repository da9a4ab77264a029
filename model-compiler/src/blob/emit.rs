//! From a quantised model to the blob.

mod error;

use no_std_infer::format::{Info, Input, InputKind, Provenance, Section, arena_len, section};

use crate::aligned::Aligned;
use crate::blob::{Parts, write_with_golden};
use crate::layout::arena::Plan;
use crate::layout::pack::{Constants, pack, plain};
use crate::layout::program::Program;
use crate::layout::stripes::{Group, Layers, choose, program};
use crate::quantise::QuantModel;

pub use error::{Error, Memory};

/// Seed of the golden vector's input.
const GOLDEN_SEED: u32 = 0x2545_F491;

/// Most bytes of arena that are laid out: as much RAM as any microcontroller is sold with.
pub const ARENA_MAX: u32 = 32 << 20;

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
    /// How constants are laid out.
    pub constants: Constants,
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

impl Limits {
    /// Checks that a blob takes no more than this. A limit of 0 asks for the least, so any blob keeps it.
    ///
    /// # Errors
    /// [`Error::Limit`] says by how much not.
    pub fn check(&self, blob: &[u8]) -> Result<(), Error> {
        let mut sections = Section::table(blob).into_iter().flatten();
        let weights = sections.find(|entry| entry.id == section::WEIGHTS).map_or(0, |entry| entry.len as usize);
        let arena = self.arena.map_or(0, |limit| limit as usize);
        for (memory, limit, least) in [(Memory::Flash, self.flash, weights), (Memory::Arena, arena, arena_len(blob))] {
            ensure!(limit == 0 || least <= limit, Error::Limit { memory, limit, least });
        }
        Ok(())
    }
}

/// Lays out constants, plans the arena, lays out the blob and adds a golden vector made by running it. The same
/// model gives the same bytes.
///
/// # Errors
/// When the labels or the colours do not fit the model, or the blob does not pass `Model::parse`.
pub fn emit(model: &QuantModel, description: &Description<'_>) -> Result<Emitted, Error> {
    emit_within(model, description, Limits::default())
}

/// The same within limits, as near to them as the search comes: [`Limits::check`] tells whether the blob keeps them.
///
/// # Errors
/// As [`emit`].
pub fn emit_within(model: &QuantModel, description: &Description<'_>, limits: Limits) -> Result<Emitted, Error> {
    let (model, planned) = plan_within(model, limits);
    planned.emit(&model, description)
}

/// Refuses an arena of more bytes than [`ARENA_MAX`].
pub(crate) fn check_arena(needed: usize) -> Result<(), Error> {
    ensure!(needed <= ARENA_MAX as usize, Error::Arena { needed });
    Ok(())
}

/// Plans, lays out and runs a packed model whose operators of `groups` go in stripes.
///
/// # Errors
/// As [`emit`].
///
/// # Panics
/// As [`program`].
pub fn emit_in_stripes(model: &QuantModel, description: &Description<'_>, groups: &[Group]) -> Result<Emitted, Error> {
    Planned::new(model, groups).emit(model, description)
}

/// A model packed and planned within limits.
fn plan_within(model: &QuantModel, limits: Limits) -> (QuantModel, Planned) {
    let plan = |flash: usize| {
        let model = match limits.constants {
            Constants::Packed => pack(model, flash),
            Constants::Plain => plain(model),
        };
        let groups = limits.arena.map(|bytes| choose(&model, bytes)).unwrap_or_default();
        let planned = Planned::new(&model, &groups);
        (model, planned)
    };
    let mut best = plan(limits.flash);
    // Transformed weights need memory to work in: where the arena is too long, less flash is spent on them.
    for quarters in (0..4).rev().filter(|_| limits.flash > 0 && limits.constants == Constants::Packed) {
        if limits.arena.is_none_or(|arena| arena == 0 || best.1.plan.arena_len <= arena) {
            break;
        }
        let other = plan(limits.flash / 4 * quarters);
        if other.1.plan.arena_len < best.1.plan.arena_len {
            best = other;
        }
    }
    best
}

/// What a packed model executes, and where it all lies.
struct Planned {
    program: Program,
    plan: Plan,
}

impl Planned {
    fn new(model: &QuantModel, groups: &[Group]) -> Self {
        let program = program(model, groups);
        Self { plan: Plan::of(&program), program }
    }

    /// Lays out and runs the packed model that this was planned for.
    fn emit(self, model: &QuantModel, description: &Description<'_>) -> Result<Emitted, Error> {
        let Description { name, labels, input, provenance } = *description;
        let Self { program, plan } = self;
        let (names, classes) = (labels.len(), model.classes());
        ensure!(names == 0 || names == classes, Error::Labels { names, classes });
        if let InputKind::Image(image) = input {
            let (channels, color) = (model.input.channels, image.color);
            ensure!(channels as usize == color.channels(), Error::Channels { channels, color });
        }
        check_arena(plan.arena_len as usize)?;
        let counts = u16::try_from(names).is_ok() && u16::try_from(program.steps.len()).is_ok();
        ensure!(counts, Error::Counts);
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
        let blob = write_with_golden(&parts, GOLDEN_SEED).map_err(|refusal| invalid(model, &program, refusal))?;
        Ok(Emitted { blob, plan })
    }
}

/// Why a blob is not valid, with the name of the layer at fault.
fn invalid(model: &QuantModel, program: &Program, refusal: no_std_infer::Error) -> Error {
    let step = match refusal {
        no_std_infer::Error::Op { index, .. } => program.steps.get(usize::from(index)),
        _ => None,
    };
    let layer = step.and_then(|step| model.names.get(step.layer?));
    match layer {
        Some(layer) => Error::Layer { layer: layer.clone(), source: Box::new(refusal.into()) },
        None => refusal.into(),
    }
}

#[cfg(test)]
mod tests {
    use no_std_infer::Model;
    use no_std_infer::format::{Activation, Color, Fit, ImageInput, Op, Tensor};
    use no_std_infer::golden::self_test;

    use super::*;
    use crate::compile::error::with_sources;
    use crate::graph::Graph;
    use crate::quantise::calibrate::calibrate;
    use crate::quantise::tests::{convolutions, description, inputs, residual_network};
    use crate::quantise::{Method, quantise};

    fn quantised(graph: &Graph) -> QuantModel {
        let ranges = calibrate(graph, &inputs(graph, 8), Method::MinMax).unwrap();
        quantise(graph, &ranges, 1.5).unwrap()
    }

    fn emitted(labels: usize) -> Result<Emitted, Error> {
        let labels: Vec<String> = (0..labels).map(|i| format!("class {i}")).collect();
        emit(&quantised(&residual_network()), &description(&labels))
    }

    #[test]
    fn the_same_graph_gives_the_same_bytes_which_parse_and_pass_the_self_test() {
        let [first, second] = [emitted(5).unwrap(), emitted(5).unwrap()];
        assert_eq!(*first.blob, *second.blob);
        let model = Model::parse(&first.blob).unwrap();
        assert_eq!(model.labels().collect::<Vec<_>>(), ["class 0", "class 1", "class 2", "class 3", "class 4"]);
        assert_eq!(model.info().temperature, 1.5);
        assert_eq!(arena_len(&first.blob), first.plan.arena_len as usize);
        let mut arena = Aligned::new(model.arena_len());
        self_test(&model, &mut arena).unwrap();
    }

    #[test]
    fn what_makes_no_blob_is_told_apart() {
        assert!(matches!(emitted(4), Err(Error::Labels { names: 4, classes: 5 })));
        let model = quantised(&residual_network());
        let grey = ImageInput { color: Color::Grey, fit: Fit::Stretch, mean: [0.5; 3], std: [0.5; 3] };
        let described = Description { input: InputKind::Image(grey), ..description(&[]) };
        assert!(matches!(emit(&model, &described), Err(Error::Channels { channels: 3, color: Color::Grey })));
        let names = vec![String::new(); 1 << 16];
        let many = QuantModel { logits: Tensor { channels: 1 << 16, ..model.logits }, ..model.clone() };
        assert!(matches!(emit(&many, &description(&names)), Err(Error::Counts)));

        let cold = QuantModel { temperature: f32::NAN, ..model.clone() };
        let error = emit(&cold, &description(&[])).unwrap_err();
        assert!(matches!(error, Error::Invalid(no_std_infer::Error::BadInfo)), "{error}");
        let mut empty = model;
        let Op::Conv2d(conv) = &mut empty.ops[2] else { panic!("it is a convolution") };
        conv.activation = Activation { min: 1, max: 0 };
        let error = emit(&empty, &description(&[])).unwrap_err();
        assert!(matches!(&error, Error::Layer { layer, .. } if layer == "layer 2"), "{error}");
        assert!(with_sources(&error).contains("the blob that was made is not valid: operator 2: "));
    }

    #[test]
    fn limits_are_those_of_weights_and_of_the_arena() {
        let Emitted { blob, plan } = emitted(0).unwrap();
        let weights = Model::parse(&blob).unwrap().weights().len();
        let check = |flash: usize, arena: u32| Limits { flash, arena: Some(arena), ..Limits::default() }.check(&blob);
        let arena = plan.arena_len;
        assert!(check(weights, arena).is_ok() && check(0, 0).is_ok() && Limits::default().check(&blob).is_ok());
        let error = check(weights - 1, arena).unwrap_err();
        assert!(
            matches!(error, Error::Limit { memory: Memory::Flash, limit, least } if [limit, least] == [weights - 1, weights])
        );
        let error = check(weights, arena - 1).unwrap_err();
        assert!(error.to_string().starts_with(&format!("the model takes {arena} bytes of arena at least")), "{error}");
    }

    #[test]
    fn where_a_limit_is_missed_the_shortest_of_all_plans_is_laid_out() {
        let (model, flash) = (quantised(&convolutions()), 1 << 13);
        let description = description(&[]);
        for (arena, first_to_fit) in [(16, None), (4500, Some(1)), (6000, Some(0))] {
            let with = |quarters: usize| {
                let model = pack(&model, flash / 4 * quarters);
                emit_in_stripes(&model, &description, &choose(&model, arena)).unwrap()
            };
            let tried: Vec<Emitted> = (0..=4).rev().map(with).collect();
            let fits = tried.iter().position(|emitted| emitted.plan.arena_len <= arena);
            assert_eq!(fits, first_to_fit, "less flash needs less arena");
            let best = tried.iter().take(fits.map_or(5, |fits| fits + 1)).min_by_key(|emitted| emitted.plan.arena_len);
            let made =
                emit_within(&model, &description, Limits { flash, arena: Some(arena), ..Limits::default() }).unwrap();
            assert!(best.is_some_and(|best| *made.blob == *best.blob), "{arena}");
        }
    }
}
