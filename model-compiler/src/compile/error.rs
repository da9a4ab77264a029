//! Why a model is not compiled.

use std::fmt;
use std::iter::successors;
use std::path::PathBuf;

use no_std_infer::Cost;

use crate::blob::emit;
use crate::graph::Shape;
use crate::import::{self, NEEDS_CALIBRATION};
use crate::quantise;

/// What is behind an error of the caller's: its text and those of its sources say what is wrong, where, and what to do.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a model is not compiled. `Debug`, which is what a build script's `main` shows, gives its text and those of its sources.
///
/// ```no_run
/// use model_compiler::blob::emit::{self, Memory};
/// use model_compiler::import::{self, Kind};
/// use model_compiler::{Error, Tflite, build_script};
///
/// # fn main() -> Result<(), Error> {
/// let bytes = build_script::read("model.tflite")?;
/// let write = |compiled: model_compiler::Compiled| compiled.write_to_out_dir("model.blob");
/// match Tflite::read(&bytes).and_then(Tflite::compile).and_then(write) {
///     Err(Error::Model(import::Error::Operator { name, source, .. })) if source.kind() == Kind::UnsupportedOperator => {
///         println!("cargo::warning=there is no operator {name}");
///     }
///     Err(Error::Model(error)) if error.kind() == Kind::Damaged => println!("cargo::warning=fetch the model again"),
///     Err(Error::NeedsCalibration) => println!("cargo::warning=give the model pictures to calibrate on"),
///     Err(Error::Blob(emit::Error::Limit { memory: Memory::Arena, least, .. })) => {
///         println!("cargo::warning=the model needs {least} bytes of RAM");
///     }
///     other => return other.map(drop),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no TensorFlow Lite model, are damaged, or hold an operator, a type or an option that is not supported:
    /// [`import::Error::kind`] says which.
    #[error(transparent)]
    Model(#[from] import::Error),
    /// A model in floats without inputs to calibrate on.
    #[error("{NEEDS_CALIBRATION}")]
    NeedsCalibration,
    /// Inputs to calibrate an int8 model on, which has its ranges.
    #[error("it is an int8 model already: leave the calibration out")]
    AlreadyInt8,
    /// What pixels are to be divided by is no positive number.
    #[error("pixels are to be divided by {0}, which is no positive number")]
    Deviation(f64),
    /// A run of the model takes more than it may: [`Tflite::run_at_most`](crate::Tflite::run_at_most).
    #[error("a run of the model takes {needed}, and {most} are allowed at most: allow more, or make the model smaller")]
    Cost {
        /// What it takes.
        needed: Cost,
        /// What it may take.
        most: Cost,
    },
    /// There is not one name for each class.
    #[error(
        "there are {names} names of classes, but the model has {classes} outputs: give one name for each, in their order"
    )]
    Labels {
        /// How many names were given.
        names: usize,
        /// How many the model has outputs.
        classes: usize,
    },
    /// A softmax is to be added to a model that ends with a softmax or a sigmoid.
    #[error("the model ends with a softmax or a sigmoid already: add no other")]
    Ended,
    /// A softmax is to be added over one output.
    #[error("the model has one output, whose softmax is always 1: add none")]
    OneOutput,
    /// A network that is to be calibrated on pictures reads none.
    #[error("its input of {0} is no picture, which has one channel or three: calibrate it on numbers as it reads them")]
    NoPicture(Shape),
    /// Numbers to calibrate on are not finite.
    #[error("a number to calibrate on is not finite, or they are too far apart")]
    NotFinite,
    /// The caller could not make inputs to calibrate on.
    #[error(transparent)]
    Inputs(Cause),
    /// One input, or none: the first chooses the ranges, the second checks the result.
    #[error(
        "there are {0} inputs to calibrate on, but at least two are needed: the second checks what the first gives"
    )]
    FewInputs(usize),
    /// An input to calibrate on is no input of the network.
    #[error("an input to calibrate on has {found} values, but the network reads {expected}")]
    InputLength {
        /// How many values it has.
        found: usize,
        /// How many it needs.
        expected: usize,
    },
    /// The model cannot be quantised.
    #[error(transparent)]
    Quantisation(#[from] quantise::Error),
    /// The model does not fit into a blob, or not within the limits: [`emit::Error::Limit`].
    #[error(transparent)]
    Blob(#[from] emit::Error),
    /// A file cannot be read or written.
    #[error("cannot use the file {}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Cargo sets `OUT_DIR` for build scripts only.
    #[error("OUT_DIR is not set: only a build script has a folder for its outputs")]
    NoOutDir,
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_sources(self))
    }
}

/// The text of an error and those of its sources.
pub(crate) fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let texts: Vec<String> = successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    texts.join(": ")
}
