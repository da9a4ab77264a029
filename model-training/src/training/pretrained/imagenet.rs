//! MobileNetV1 at width 0.25, trained on ImageNet: the weights that are in the program.

use std::collections::BTreeMap;

/// A safetensors file in half precision, without the output layer; `data/pretrained/README.md` says where it comes from.
pub(super) const BYTES: &[u8] = include_bytes!("../../../../data/pretrained/mobilenet_v1_0.25_imagenet.safetensors");
/// Names of the preset `mobilenet`'s layers, and what Keras calls them.
const NAMES: [(&str, &str); 6] = [
    ("features.0.conv", "conv1"),
    ("features.0.conv.norm", "conv1_bn"),
    ("features.{}.depthwise", "conv_dw_{}"),
    ("features.{}.depthwise.norm", "conv_dw_{}_bn"),
    ("features.{}.pointwise", "conv_pw_{}"),
    ("features.{}.pointwise.norm", "conv_pw_{}_bn"),
];

/// The map of names, where the configuration has none of its own.
pub(super) fn names(given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    if given.is_empty() {
        NAMES.map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned())).into()
    } else {
        given.clone()
    }
}
