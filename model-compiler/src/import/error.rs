//! Why a TensorFlow Lite model is not imported.

use crate::graph;
use crate::quantise;

use super::model::{Network, Operator};

/// Why a TensorFlow Lite model is not imported. Its text and those of its sources say what is wrong, where, and what to do;
/// [`kind`](Self::kind) says the first to a program, [`Operator`](Self::Operator) the second.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operator cannot be imported, for the reason that is the source.
    #[error("operator {index} ({name}, which makes {output}) cannot be imported")]
    Operator {
        /// Its place in the file.
        index: usize,
        /// Its name in the schema: `CONV_2D`; of a custom operator `CUSTOM name`.
        name: String,
        /// Name of the tensor that it makes.
        output: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// Where the source was met: a tensor, an operator, a channel, a file.
    #[error("{text}")]
    Within {
        /// Where, in words.
        text: String,
        /// What is wrong there.
        source: Box<Error>,
    },
    /// What is wrong.
    #[error("{text}")]
    Refused {
        /// For programs.
        kind: Kind,
        /// In words.
        text: String,
    },
    /// A table of the file cannot be read.
    #[error(transparent)]
    Table(#[from] planus::Error),
    /// The float graph does not fit together.
    #[error(transparent)]
    Graph(#[from] graph::Error),
    /// A number cannot be represented in int8 arithmetic.
    #[error(transparent)]
    Quantise(#[from] quantise::Error),
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The bytes are no TensorFlow Lite model, or one of another version.
    NotTflite,
    /// The bytes are no ONNX model.
    NotOnnx,
    /// The file is cut off or damaged, or contradicts itself.
    Damaged,
    /// There is no operator of ours for one of the model's.
    UnsupportedOperator,
    /// A form of the model, or an option, a type, a shape or a quantisation of an operator, that is not supported.
    Unsupported,
    /// A number or a size that the arithmetic or the format does not hold.
    OutOfRange,
    /// What the caller says of the model does not fit it.
    Settings,
    /// A model in floats without inputs to calibrate on.
    NeedsCalibration,
}

impl Error {
    /// What the refusal is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Operator { source, .. } | Self::Within { source, .. } => source.kind(),
            Self::Refused { kind, .. } => *kind,
            Self::Table(_) | Self::Graph(_) => Kind::Damaged,
            Self::Quantise(_) => Kind::OutOfRange,
        }
    }

    /// The same, and where it was met.
    pub(super) fn within(self, text: impl Into<String>) -> Self {
        Self::Within { text: text.into(), source: Box::new(self) }
    }

    /// The same, as what is wrong with an operator.
    pub(super) fn of_operator(self, network: &Network<'_>, operator: &Operator) -> Self {
        let output = operator.outputs.first().map_or("nothing", |&tensor| network.tensors[tensor].name);
        let (name, output) = (operator.kind.clone(), output.to_owned());
        Self::Operator { index: operator.index, name, output, source: Box::new(self) }
    }

    /// Whether a table of the file cannot be read.
    pub(super) fn is_table(&self) -> bool {
        match self {
            Self::Operator { source, .. } | Self::Within { source, .. } => source.is_table(),
            _ => matches!(self, Self::Table(_)),
        }
    }
}

/// A refusal of a [`Kind`], with its text.
macro_rules! refused {
    ($kind:ident, $($text:tt)+) => {
        $crate::import::Error::Refused { kind: $crate::import::Kind::$kind, text: format!($($text)+) }
    };
}
