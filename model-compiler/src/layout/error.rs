//! Why a blob's list of layers is refused.

/// Why the section that says which layers a blob's operators make is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It has not one entry for each operator.
    #[error("the blob's list of layers does not fit its operators")]
    Entries,
    /// A layer has no operator.
    #[error("the blob's list of layers leaves one out")]
    LeftOut,
}
