//! Drawings as another camera sees them, to test how a network takes pictures unlike those that it learnt from.

use serde::{Deserialize, Serialize};

use crate::data::augment::Camera;

/// How the pictures differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Shift {
    /// Two fifths of the light.
    Dark,
    /// Reddish light.
    Cast,
    /// Out of focus.
    Blur,
    /// A noisy sensor.
    Noise,
    /// Compressed strongly.
    Jpeg,
    /// All of that, each less.
    All,
    /// Dark, reddish and out of focus, each as much as above: a cheap camera in a badly lit room.
    Poor,
}

impl Shift {
    /// The camera.
    #[must_use]
    pub fn camera(self) -> Camera {
        let perfect = Camera::PERFECT;
        match self {
            Self::Dark => Camera { gains: [0.4; 3], ..perfect },
            Self::Cast => Camera { gains: [1.3, 0.95, 0.6], ..perfect },
            Self::Blur => Camera { blur: 0.03, ..perfect },
            Self::Noise => Camera { noise: 0.1, ..perfect },
            Self::Jpeg => Camera { jpeg: Some(8), ..perfect },
            Self::Poor => Camera { gains: [0.52, 0.38, 0.24], blur: 0.03, ..perfect },
            Self::All => Camera { blur: 0.015, gains: [0.7, 0.55, 0.4], noise: 0.04, jpeg: Some(25), ..perfect },
        }
    }
}
