//! What a camera does to training images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a camera does to a training image, each with its probability and its strength: first blur, then colour cast and gamma, noise,
/// JPEG's artefacts, and few bits a pixel. Strengths are those at the size of the network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CameraConfig {
    /// Probability of a blur.
    pub blur: f32,
    /// Largest standard deviation of a Gaussian blur, as a share of the longer side, 0 to 0.2: 0.02 is 2 pixels of 96.
    pub blur_sigma: f32,
    /// Probability of a colour cast, which a grey image does not have.
    pub cast: f32,
    /// Red, green and blue are multiplied by 1 ± this, each by a factor of its own; 0 to 0.9.
    pub cast_gain: f32,
    /// Probability of another gamma.
    pub gamma: f32,
    /// Largest exponent of a value of 0 to 1, and one over the smallest; 1 to 5. Above 1 the image becomes darker.
    pub gamma_exponent: f32,
    /// Probability of noise.
    pub noise: f32,
    /// Largest standard deviation of Gaussian noise, as a share of full scale, 0 to 1.
    pub noise_sigma: f32,
    /// Probability of JPEG's artefacts.
    pub jpeg: f32,
    /// Smallest and largest quality, each 1 to 100.
    pub jpeg_quality: [u8; 2],
    /// Probability that pixels keep 5, 6 and 5 bits.
    pub rgb565: f32,
}

impl Default for CameraConfig {
    fn default() -> Self {
        Self {
            blur: 0.0,
            blur_sigma: 0.03,
            cast: 0.0,
            cast_gain: 0.25,
            gamma: 0.0,
            gamma_exponent: 2.0,
            noise: 0.0,
            noise_sigma: 0.06,
            jpeg: 0.0,
            jpeg_quality: [20, 90],
            rgb565: 0.0,
        }
    }
}
