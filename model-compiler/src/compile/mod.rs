//! From the bytes of a TensorFlow Lite model to the blob, in one call.

pub mod build_script;
mod calibration;
pub(crate) mod error;

use no_std_infer::format::{InputKind, Provenance};
use no_std_infer::{Cost, Model};

use crate::aligned::Aligned;
use crate::blob::emit::{self, Description, Emitted, Limits, emit_within};
use crate::compile::calibration::{Calibration, Inputs};
use crate::compile::error::{Cause, Error};
use crate::graph::Shape;
use crate::import::float::{Normalisation, Translated, float};
use crate::import::kind::{InputChoice, input_kind};
use crate::import::lower::lower;
use crate::import::model::Network;
use crate::import::onnx::Onnx;
use crate::import::{self, Arithmetic};
use crate::layout::arena::Plan;
use crate::layout::schedule::schedule_graph;
use crate::quantise::noise::{LayerSqnr, agreeing, float_logits, logits_sqnr};
use crate::quantise::search::{Best, Choice, best};
use crate::quantise::{Ending, Method, QuantModel};

/// What a run of a model may take at most where the caller says nothing else: a minute or so on a laptop, seconds of most
/// networks for pictures.
pub const RUN_AT_MOST: Cost = Cost { products: 10_000_000_000, bytes: 1_000_000_000 };

/// What a blob says made it, where the caller says nothing else.
const PRODUCER: &str = concat!("model-compiler ", env!("CARGO_PKG_VERSION"));

/// A TensorFlow Lite model on its way to a blob, or an [`Onnx`] model in its operators.
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
    softmax: bool,
    calibration: Option<Calibration<'a>>,
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
    /// How many others were given to both models.
    pub checked: usize,
    /// How many of these both put into the same class; none where the model has no two classes.
    pub agreeing: Option<usize>,
    /// Signal-to-noise ratio in dB of what int8 makes of these others: of the outputs, or of the scores before a last softmax or
    /// sigmoid. None where they are exact.
    pub db: Option<f64>,
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
        Self::read_output(bytes, None)
    }

    /// Reads a file of several outputs, of which the one of this name is the blob's; what only the others need is left out.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), and when no output has this name.
    pub fn read_output(bytes: &'a [u8], output: Option<&str>) -> Result<Self, Error> {
        Self::of(import::read_output(bytes, output)?)
    }

    fn of(network: Network<'a>) -> Result<Self, Error> {
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
            softmax: false,
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

    /// Whether a softmax is added over the outputs of a model that ends with neither a softmax nor a sigmoid. Otherwise a model's
    /// last operator is what it is.
    #[must_use]
    pub fn softmax(self, softmax: bool) -> Self {
        Self { softmax, ..self }
    }

    /// What the input of an int8 model is; without it, its shape and scale tell. A float model reads what it is calibrated on.
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
        Self { calibration: Some(Calibration::Pictures(normalisation, Box::new(inputs))), ..self }
    }

    /// The same for a network that reads no pictures: on typical inputs, the numbers that it reads, in rows of channels. They
    /// choose the scale of the blob's input as well.
    #[must_use]
    pub fn calibrate_on_numbers(self, inputs: impl FnOnce(Shape) -> Result<Vec<Vec<f32>>, Cause> + 'a) -> Self {
        Self { calibration: Some(Calibration::Numbers(Box::new(inputs))), ..self }
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
        let (mut model, mut changes) = (lowered.model, lowered.changes);
        if self.softmax {
            let outputs = model.ops.last().is_some_and(|last| *last.output() == model.logits);
            let found = if outputs { Ending::Outputs } else { Ending::Sigmoid };
            let ending = self.ending(found, model.classes(), &mut changes)?;
            model = model.ended(ending)?;
        }
        self.check_cost(model.cost())?;
        self.check_labels(model.classes())?;
        let input = input_kind(&model.input, self.input)?;
        let Emitted { blob, plan } = self.emit(&model, input, self.limits)?;
        changes.extend(model.notes);
        Ok(Compiled { blob, plan, input, changes, quantisation: None, limits: self.limits })
    }

    fn compile_float(self, calibration: Calibration<'a>) -> Result<Compiled, Error> {
        let looked_at = calibration.normalisation()?;
        emit::check_arena(self.network.tensors[self.network.input].len())?;
        let Translated { graph, ending } = float(&self.network, looked_at)?;
        self.check_cost(graph.cost())?;
        // The float graph holds whole tensors, and the int8 model's arena its largest.
        emit::check_arena(graph.largest())?;
        let two = ending == Ending::Sigmoid && graph.classes() == 1;
        self.check_labels(if two { 2 } else { graph.classes() })?;
        let mut changes = self.network.changes.clone();
        let ending = self.ending(ending, graph.classes(), &mut changes)?;

        let Inputs { bytes, normalisation, kind, scale } = calibration.inputs(graph.input)?;
        let read = normalisation != looked_at;
        let graph = schedule_graph(if read { float(&self.network, normalisation)?.graph } else { graph });
        let [calibration, others] =
            [0, 1].map(|first| bytes.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>());
        let emit = |model: &QuantModel, limits: Limits| {
            let scaled = scale.map(|scale| model.clone().with_input_scale(scale));
            self.emit(scaled.as_ref().unwrap_or(model), kind, limits)
        };
        // Whole layers can be compared with the float graph's.
        let whole = Limits { arena: None, ..self.limits };
        let Best { choice, model, plain, layers } =
            best(&graph, &calibration, &Method::ALL, ending, |model| emit(model, whole))?;
        let Emitted { blob, plan } = if self.limits.arena.is_some() { emit(&model, self.limits)? } else { plain };
        let parsed = parse(&blob)?;
        let quantisation = Quantised {
            calibrated: calibration.len(),
            checked: others.len(),
            agreeing: agreeing(&graph, &parsed, &others),
            db: logits_sqnr(&float_logits(&graph, &others), &parsed, &others)?,
            choice,
            layers,
        };
        changes.extend(model.notes);
        Ok(Compiled { blob, plan, input: kind, changes, quantisation: Some(quantisation), limits: self.limits })
    }

    /// What a model ends with that ends so in the file: in a softmax instead where the caller asks for it.
    fn ending(&self, found: Ending, outputs: usize, changes: &mut Vec<String>) -> Result<Ending, Error> {
        match found {
            _ if !self.softmax => Ok(found),
            Ending::Outputs if outputs < 2 => Err(Error::OneOutput),
            Ending::Outputs => {
                changes.push("softmax: added over the outputs".to_owned());
                Ok(Ending::Softmax { temperature: 1.0 })
            }
            Ending::Sigmoid | Ending::Softmax { .. } => Err(Error::Ended),
        }
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

impl Onnx {
    /// The model on its way to a blob.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), model_compiler::Error> {
    /// use model_compiler::{Onnx, build_script};
    ///
    /// let bytes = build_script::read("model.onnx")?;
    /// Onnx::read(&bytes)?.model()?.labels(["cat", "dog"]).compile()?.write_to_out_dir("model.blob")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it is neither int8 nor float throughout.
    pub fn model(&self) -> Result<Tflite<'_>, Error> {
        Tflite::of(self.network())
    }
}

fn parse(blob: &Aligned<u8>) -> Result<Model<'_>, Error> {
    Model::parse(blob).map_err(|error| Error::Blob(error.into()))
}
