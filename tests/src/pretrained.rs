//! MobileNetV1-0.25 with weights from ImageNet, twice: as safetensors and as a float `.tflite` file.
//!
//! They are not part of the repository. They are looked for in `$PRETRAINED`, then in `../shared/data/pretrained`.

use std::path::{Path, PathBuf};

/// Where the files are looked for.
#[must_use]
pub fn folder() -> PathBuf {
    let shared = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/pretrained");
    std::env::var_os("PRETRAINED").map_or_else(shared, PathBuf::from)
}

/// The weights with batch-norm apart.
#[must_use]
pub fn safetensors() -> PathBuf {
    folder().join("mobilenet_v1_0.25_imagenet.safetensors")
}

/// The model at 128 x 128 pixels with batch-norm folded.
#[must_use]
pub fn tflite() -> PathBuf {
    folder().join("mobilenet_v1_0.25_128_imagenet_float.tflite")
}

/// What to do when the files are not there.
#[must_use]
pub fn missing() -> Option<String> {
    let found = safetensors().exists() && tflite().exists();
    (!found).then(|| "needs MobileNetV1's weights: set PRETRAINED to their folder".to_owned())
}
