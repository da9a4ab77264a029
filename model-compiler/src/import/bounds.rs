//! What an import may make of a file: memory and time in proportion to its bytes.

use super::Result;
use super::model::{Operator, Tensor};

/// Most operators of a file, and of what is made of it: how they depend on one another is looked at pair by pair.
const OPERATORS_MAX: usize = 2048;
/// Most bytes that are made of each of a file's. A file may name one part from many places, and each of them is read.
const COPIES: usize = 16;
/// Most bytes of constants that operators read, each of them counted for each operator.
const CONSTANTS_MAX: usize = 1 << 28;

/// How many bytes may still be made of a file.
pub struct Room(usize);

impl Room {
    /// Nothing is made of these bytes yet.
    pub fn of(file: &[u8]) -> Self {
        Self(file.len().saturating_mul(COPIES))
    }

    /// Counts bytes that are made.
    ///
    /// # Errors
    /// When there are more than are left.
    pub fn take(&mut self, bytes: usize) -> Result<()> {
        let left = self.0.checked_sub(bytes);
        self.0 = left.ok_or_else(|| refused!(OutOfRange, "the file names its parts more than {COPIES} times each"))?;
        Ok(())
    }
}

/// Refuses more operators than can be looked at pair by pair in little time.
pub fn check_count(count: usize) -> Result<()> {
    ensure!(count <= OPERATORS_MAX, OutOfRange, "it has {count} operators, more than {OPERATORS_MAX}");
    Ok(())
}

/// Refuses operators that together read more constants than fit into memory: each gets its own.
pub fn check_constants(tensors: &[Tensor<'_>], operators: &[Operator]) -> Result<()> {
    let read = operators.iter().flat_map(|operator| operator.inputs.iter().flatten());
    let bytes = read.map(|&tensor| tensors[tensor].data.map_or(0, <[u8]>::len)).fold(0, usize::saturating_add);
    ensure!(
        bytes <= CONSTANTS_MAX,
        OutOfRange,
        "its operators read {bytes} bytes of constants, more than {CONSTANTS_MAX}"
    );
    Ok(())
}
