//! The model of the engine's doc examples: `no-std-infer/data/tiny.blob`, which the crate carries.

use anyhow::Result;
use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, emit};
use model_compiler::graph::{Clamp, FloatOp, Graph, Node, Shape};
use model_compiler::quantise::calibrate::calibrate;
use model_compiler::quantise::{Method, quantise};
use no_std_infer::format::{Color, Fit, ImageInput, InputKind, Provenance};

/// A blob that tells dark pictures of 4 x 4 grey pixels from bright ones, by the mean of the pixels.
///
/// # Errors
/// When a step of the export fails.
pub fn blob() -> Result<Aligned<u8>> {
    let input = Shape { height: 4, width: 4, channels: 1 };
    let output = Shape { height: 1, width: 1, channels: 2 };
    let weights = [-1.0 / 256.0, 1.0 / 256.0].iter().flat_map(|&weight| [weight; 16]).collect();
    let dense = FloatOp::Dense { weights, bias: vec![0.0; 2], clamp: Clamp::None };
    let node = Node { name: "difference".to_owned(), op: dense, inputs: vec![0], output };
    let graph = Graph { input, zero: 0, nodes: vec![node] };
    let ranges = calibrate(&graph, &[vec![i8::MIN; 16], vec![i8::MAX; 16]], Method::MinMax)?;
    let image = ImageInput { color: Color::Grey, fit: Fit::Crop, mean: [0.5; 3], std: [0.25; 3] };
    let description = Description {
        name: "tiny",
        labels: &["dark".to_owned(), "bright".to_owned()],
        input: InputKind::Image(image),
        provenance: Provenance::default(),
    };
    Ok(emit(&quantise(&graph, &ranges, 1.0)?, &description)?.blob)
}
