//! From the bytes of a TensorFlow Lite model to the blob, in one call.

pub mod build_script;
pub(crate) mod error;

use no_std_infer::format::{Color, Fit, ImageInput, InputKind, Provenance};
use no_std_infer::{Cost, Model};

use crate::aligned::Aligned;
use crate::blob::emit::{self, Description, Emitted, Limits, emit_within};
use crate::compile::error::{Cause, Error};
use crate::graph::Shape;
use crate::import::float::{Normalisation, float};
use crate::import::kind::{InputChoice, input_kind};
use crate::import::lower::lower;
use crate::import::model::Network;
use crate::import::{self, Arithmetic};
use crate::layout::arena::Plan;
use crate::layout::schedule::schedule_graph;
use crate::quantise::noise::{LayerSqnr, agreeing};
use crate::quantise::search::{Best, Choice, best};
use crate::quantise::{Method, QuantModel};

/// What a run of a model may take at most where the caller says nothing else: a minute or so on a laptop, seconds of most
/// networks for pictures.
pub const RUN_AT_MOST: Cost = Cost { products: 10_000_000_000, bytes: 1_000_000_000 };

/// What a blob says made it, where the caller says nothing else.
const PRODUCER: &str = concat!("model-compiler ", env!("CARGO_PKG_VERSION"));

/// A TensorFlow Lite model on its way to a blob.
///
/// ```no_run
/// # fn main() -> Result<(), model_compiler::Error> {
/// use model_compiler::{Tflite, build_script};
///
/// let bytes = build_script::read("model.tflite")?;
/// Tflite::read(&bytes)?.labels(["cat", "dog"]).compile()?.write_to_out_dir("model.blob")?;
/// # Ok(())
/// # }
/// ```
pub struct Tflite<'a> {
    network: Network<'a>,
    arithmetic: Arithmetic,
    name: String,
    producer: &'a str,
    labels: Vec<String>,
    input: Option<InputChoice>,
    limits: Limits,
    run_at_most: Cost,
    calibration: Option<Calibration<'a>>,
}

/// Makes inputs for a network that reads tensors of this shape.
type MakeInputs<'a> = Box<dyn FnOnce(Shape) -> Result<Vec<Vec<i8>>, Cause> + 'a>;

struct Calibration<'a> {
    normalisation: Normalisation,
    inputs: MakeInputs<'a>,
}

/// A blob, and how it came about.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The blob, 16-byte aligned, ready for `Model::parse`.
    pub blob: Aligned<u8>,
    /// Where its tensors lie.
    pub plan: Plan,
    /// What the bytes of its input mean.
    pub input: InputKind,
    /// Operators that were left out, joined or added, and layers that became coarser, a sentence each.
    pub changes: Vec<String>,
    /// How a float model was quantised.
    pub quantisation: Option<Quantised>,
    /// What the blob was to take.
    pub limits: Limits,
}

/// How a float model was quantised, and how close the int8 model is to it.
#[derive(Clone, Debug)]
pub struct Quantised {
    /// How many inputs chose the ranges.
    pub calibrated: usize,
    /// How many others were classified by both models.
    pub checked: usize,
    /// How many of these both put into the same class.
    pub agreeing: usize,
    /// What was tried.
    pub choice: Choice,
    /// The noise of each layer.
    pub layers: Vec<LayerSqnr>,
}

impl<'a> Tflite<'a> {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// When they are no TensorFlow Lite model, are damaged, or hold a model that is neither int8 nor float throughout.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let network = import::read(bytes)?;
        let arithmetic = import::arithmetic(&network)?;
        Ok(Self {
            network,
            arithmetic,
            name: "model".to_owned(),
            producer: PRODUCER,
            labels: Vec::new(),
            input: None,
            limits: Limits::default(),
            run_at_most: RUN_AT_MOST,
            calibration: None,
        })
    }

    /// What the blob calls the model; without it `model`.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// What the blob says made it; without it this crate and its version.
    #[must_use]
    pub fn producer(self, producer: &'a str) -> Self {
        Self { producer, ..self }
    }

    /// Names of the classes, in the order of the outputs; without them, or with none, classes have numbers.
    #[must_use]
    pub fn labels<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        Self { labels: labels.into_iter().map(Into::into).collect(), ..self }
    }

    /// What the input of an int8 model is; without it, its shape and scale tell. A float model reads pictures.
    #[must_use]
    pub fn input(self, input: InputChoice) -> Self {
        Self { input: Some(input), ..self }
    }

    /// What the blob may take. A model that needs more is compiled to the least that is found;
    /// [`Compiled::write_to_out_dir`] refuses that, and so does [`Limits::check`].
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What a run may take at most; without it [`RUN_AT_MOST`]. A model that takes more is refused before it runs, for
    /// compiling runs it: once where it is int8, many times on each input to calibrate on where it is float.
    #[must_use]
    pub fn run_at_most(self, most: Cost) -> Self {
        Self { run_at_most: most, ..self }
    }

    /// Quantises a float model on typical pictures, two or more: every other one chooses the ranges, the rest tell how
    /// often int8 and float agree. `inputs` is asked for them once the shape of the network's input is known: each is
    /// `pixel - 128` in rows of pixels of interleaved channels, stretched to the input's height and width, and not
    /// normalised.
    #[must_use]
    pub fn calibrate(
        self,
        normalisation: Normalisation,
        inputs: impl FnOnce(Shape) -> Result<Vec<Vec<i8>>, Cause> + 'a,
    ) -> Self {
        Self { calibration: Some(Calibration { normalisation, inputs: Box::new(inputs) }), ..self }
    }

    /// Makes the blob. The same model and settings give the same bytes.
    ///
    /// # Errors
    /// When the model has what is not supported, does not fit the settings, or is out of the blob's limits.
    pub fn compile(mut self) -> Result<Compiled, Error> {
        match (self.arithmetic, self.calibration.take()) {
            (Arithmetic::Int8, None) => self.compile_int8(),
            (Arithmetic::Float, Some(calibration)) => self.compile_float(calibration),
            (Arithmetic::Int8, Some(_)) => Err(Error::AlreadyInt8),
            (Arithmetic::Float, None) => Err(Error::NeedsCalibration),
        }
    }

    fn compile_int8(self) -> Result<Compiled, Error> {
        let lowered = lower(&self.network)?;
        self.check_cost(lowered.model.cost())?;
        self.check_labels(lowered.model.logits.channels as usize)?;
        let input = input_kind(&lowered.model.input, self.input)?;
        let Emitted { blob, plan } = self.emit(&lowered.model, input, self.limits)?;
        let changes = lowered.changes.into_iter().chain(lowered.model.notes).collect();
        Ok(Compiled { blob, plan, input, changes, quantisation: None, limits: self.limits })
    }

    fn compile_float(self, Calibration { normalisation, inputs }: Calibration<'a>) -> Result<Compiled, Error> {
        let Normalisation { mean, std } = normalisation;
        if !(std.is_finite() && std > 0.0) {
            return Err(Error::Deviation(std));
        }
        let graph = float(&self.network, normalisation)?;
        self.check_cost(graph.cost())?;
        // The float graph holds whole tensors, and the int8 model's arena its largest.
        emit::check_arena(graph.largest())?;
        let graph = schedule_graph(graph);
        self.check_labels(graph.classes())?;
        let color = if graph.input.channels == 1 { Color::Grey } else { Color::Rgb };
        let [mean, std] = [mean, std].map(|value| [(value / 255.0) as f32; 3]);
        let input = InputKind::Image(ImageInput { color, fit: Fit::Stretch, mean, std });

        let inputs = inputs(graph.input).map_err(Error::Inputs)?;
        if inputs.len() < 2 {
            return Err(Error::FewInputs(inputs.len()));
        }
        let len = graph.input.len();
        if let Some(wrong) = inputs.iter().find(|input| input.len() != len) {
            return Err(Error::InputLength { found: wrong.len(), expected: len });
        }
        let [calibration, others] =
            [0, 1].map(|first| inputs.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>());
        // Whole layers can be compared with the float graph's.
        let whole = Limits { arena: None, ..self.limits };
        let emit = |model: &QuantModel| self.emit(model, input, whole);
        let Best { choice, model, plain, layers } = best(&graph, &calibration, &Method::ALL, 1.0, emit)?;
        let Emitted { blob, plan } =
            if self.limits.arena.is_some() { self.emit(&model, input, self.limits)? } else { plain };
        let quantisation = Quantised {
            calibrated: calibration.len(),
            checked: others.len(),
            agreeing: agreeing(&graph, &parse(&blob)?, &others),
            choice,
            layers,
        };
        let changes = self.network.changes.into_iter().chain(model.notes).collect();
        Ok(Compiled { blob, plan, input, changes, quantisation: Some(quantisation), limits: self.limits })
    }

    /// Refuses a run that takes more than it may.
    fn check_cost(&self, needed: Option<Cost>) -> Result<(), Error> {
        let (needed, most) = (needed.unwrap_or(Cost::ANY), self.run_at_most);
        if needed.is_within(most) && needed != Cost::ANY { Ok(()) } else { Err(Error::Cost { needed, most }) }
    }

    /// Refuses another number of names than there are classes.
    fn check_labels(&self, classes: usize) -> Result<(), Error> {
        let names = self.labels.len();
        if names == 0 || names == classes { Ok(()) } else { Err(Error::Labels { names, classes }) }
    }

    fn emit(&self, model: &QuantModel, input: InputKind, limits: Limits) -> Result<Emitted, Error> {
        let provenance = Provenance { producer: self.producer, ..Provenance::default() };
        let description = Description { name: &self.name, labels: &self.labels, input, provenance };
        Ok(emit_within(model, &description, limits)?)
    }
}

fn parse(blob: &Aligned<u8>) -> Result<Model<'_>, Error> {
    Model::parse(blob).map_err(|error| Error::Blob(error.into()))
}
