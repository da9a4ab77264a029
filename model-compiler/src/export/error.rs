//! Why a model is not exported.

use no_std_infer::format::Activation;

/// Why a model is not exported as a TensorFlow Lite file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operator has no form there, for the reason that is the source.
    #[error("operator {index} ({name}) cannot be exported to TensorFlow Lite")]
    Operator {
        /// Its place in the blob.
        index: usize,
        /// Its name.
        name: &'static str,
        /// Why.
        source: Box<Error>,
    },
    /// It is a stripe of a layer.
    #[error(
        "it works on some rows of a tensor, as a model does that was made to fit little RAM: quantise or import it again \
         without --ram-budget, and export that"
    )]
    Rows,
    /// The multiplier of a layer follows from no scale of its weights.
    #[error(
        "no scale of its weights gives the multiplier of output channel {channel}: the blob was not made by this project's \
         quantisation or import; quantise or import the model again"
    )]
    WeightScale {
        /// Which output channel.
        channel: usize,
    },
    /// A bias without the input's zero point does not fit.
    #[error(
        "the bias of output channel {channel} leaves 32 bits without the input's zero point: make the layer smaller"
    )]
    Bias {
        /// Which output channel.
        channel: usize,
    },
    /// A clamp is none of those that TensorFlow Lite fuses.
    #[error(
        "it clamps to {min}..={max}, which is no ReLU, ReLU6 or ReLU1 in its output's quantisation: make the clamp an operator \
         of its own", min = .0.min, max = .0.max
    )]
    Clamp(Activation),
    /// The padding of a pooling is neither of TensorFlow Lite's.
    #[error(
        "its padding is neither SAME nor VALID, and there is no other for it: pad the picture, or take another window"
    )]
    Padding,
    /// The multipliers of an operator do not follow from its tensors' scales.
    #[error("its multipliers do not follow from its tensors' scales: quantise or import the model again")]
    Multiplier,
    /// No scale and no beta give a softmax's multiplier.
    #[error("no scale of its input gives its multiplier: quantise the model again, with another temperature")]
    Softmax,
    /// A mean is taken along no side.
    #[error("it takes the mean along no side, which TensorFlow Lite does not do")]
    NoSide,
}

impl Error {
    /// The same, as what is wrong with an operator.
    pub(super) fn of_operator(self, index: usize, name: &'static str) -> Self {
        Self::Operator { index, name, source: Box::new(self) }
    }
}
