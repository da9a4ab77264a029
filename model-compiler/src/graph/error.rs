//! Why a float graph is refused.

use super::Shape;

/// Why a float graph is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input has no elements.
    #[error("the network's input {0} is empty")]
    EmptyInput(Shape),
    /// There is no node.
    #[error("the network has no layers")]
    NoLayers,
    /// The last node makes no vector.
    #[error("the last layer ({name}) makes {output} values, but logits are 1x1xclasses")]
    Logits {
        /// Its name.
        name: String,
        /// What it makes.
        output: Shape,
    },
    /// A node has a wrong input, shape, window or constant.
    #[error("layer {index} ({name}) is not valid")]
    Layer {
        /// Its place among the nodes.
        index: usize,
        /// Its name.
        name: String,
        /// What does not fit.
        source: Misfit,
    },
    /// The graph cannot be written as bytes.
    #[error("the float graph cannot be encoded")]
    Encoding(#[source] postcard::Error),
    /// Bytes are no graph.
    #[error("it is damaged or of another version: train again to make it anew")]
    Damaged(#[source] postcard::Error),
}

/// What of a node does not fit, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(pub(super) String);
