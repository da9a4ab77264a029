//! How ranges are chosen.

use serde::{Deserialize, Serialize};

/// How activation ranges are chosen from calibration images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Smallest and largest value seen.
    #[serde(alias = "minmax")]
    MinMax,
    /// The range that leaves 0.05 % of the values out on each side.
    Percentile,
    /// The range with the least mean squared quantisation error.
    Mse,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MinMax, Self::Percentile, Self::Mse];

    /// The name in configurations and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Method::MinMax => "min-max",
            Method::Percentile => "percentile",
            Method::Mse => "mse",
        }
    }
}
