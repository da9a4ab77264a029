//! Why a quantised model does not become a blob.

use std::fmt;

use no_std_infer::format::Color;

use super::ARENA_MAX;

/// Why a quantised model does not become a blob.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is not one name for each class.
    #[error("there are {names} class names for {classes} logits")]
    Labels {
        /// How many names there are.
        names: usize,
        /// How many classes.
        classes: usize,
    },
    /// The network reads another number of channels than its pictures have.
    #[error("the network reads {channels} channels, not {color:?}")]
    Channels {
        /// How many it reads.
        channels: u32,
        /// What its pictures are said to have.
        color: Color,
    },
    /// There are too many classes or operators.
    #[error("the format holds at most {max} classes and as many operators", max = u16::MAX)]
    Counts,
    /// An operator is out of the format's limits.
    #[error("the layer that makes {layer} is out of the format's limits")]
    Layer {
        /// Name of what it makes.
        layer: String,
        /// Why.
        source: Box<Error>,
    },
    /// `Model::parse` refuses the blob, for the reason that is the source.
    #[error("the blob that was made is not valid")]
    Invalid(#[from] no_std_infer::Error),
    /// The tensors need more memory than [`ARENA_MAX`](super::ARENA_MAX).
    #[error(
        "the model needs {needed} bytes for its tensors, more than the {ARENA_MAX} that a microcontroller may have: make its input or its layers smaller"
    )]
    Arena {
        /// How many they need at least.
        needed: usize,
    },
    /// The blob takes more than was asked for.
    #[error(
        "the model takes {least} bytes of {memory} at least, and at most {limit} were asked for: give it more, or make the model smaller"
    )]
    Limit {
        /// Of what.
        memory: Memory,
        /// Most bytes that were asked for.
        limit: usize,
        /// The fewest that were found.
        least: usize,
    },
}

/// What a blob takes memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Weights and tables.
    Flash,
    /// The arena.
    Arena,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flash => "flash for weights and tables",
            Self::Arena => "arena",
        })
    }
}
