//! What the model is to run on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the model is to run on: a network that does not fit there is refused before it is trained, and int8 weights lie where
/// they run fastest within it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetConfig {
    /// A board by the name that `estimate` has for it: its flash and RAM, less what this project's firmware takes of them, and
    /// its clock. `--target` gives it too.
    pub board: Option<String>,
    /// Most KiB of flash for the blob, in place of what the board leaves.
    pub flash: Option<u32>,
    /// Most KiB of RAM for the arena, in place of what the board leaves.
    pub ram: Option<u32>,
    /// Most milliseconds of an inference, as they are modelled for the board.
    pub milliseconds: Option<f64>,
}
