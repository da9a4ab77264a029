//! A network for tests that need some blob.

use no_std_infer::format::{Color, Fit, ImageInput, InputKind, Provenance};

use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, emit};
use model_compiler::graph::{Clamp, FloatOp, Graph, Node, Shape};
use model_compiler::quantise::calibrate::calibrate;
use model_compiler::quantise::{Method, quantise};

/// Number of classes.
const CLASSES: usize = 5;
/// Sides of the input.
const INPUT: Shape = Shape { height: 4, width: 5, channels: 3 };

/// What a blob says about itself.
pub fn description(labels: &[String]) -> Description<'_> {
    let image = ImageInput { color: Color::Rgb, fit: Fit::Stretch, mean: [0.5; 3], std: [0.25; 3] };
    Description { name: "test", labels, input: InputKind::Image(image), provenance: Provenance::default() }
}

/// Numbers that repeat after 251.
fn numbers(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(|index| index * 37 % 251)
}

/// Inputs of the network.
pub fn inputs() -> Vec<Vec<i8>> {
    let values: Vec<i8> = numbers(8 * INPUT.len()).map(|number| (number as i16 - 125) as i8).collect();
    values.chunks(INPUT.len()).map(<[i8]>::to_vec).collect()
}

/// One dense layer that tells five classes of pictures, and gives probabilities with a temperature.
pub fn blob(labels: &[String], temperature: f32) -> Aligned<u8> {
    let weights = numbers(CLASSES * INPUT.len()).map(|number| (number as f32 - 125.0) / 2000.0).collect();
    let op = FloatOp::Dense { weights, bias: vec![0.0; CLASSES], clamp: Clamp::None };
    let output = Shape { height: 1, width: 1, channels: CLASSES };
    let graph =
        Graph { input: INPUT, zero: 0, nodes: vec![Node { name: "dense".into(), op, inputs: vec![0], output }] };
    let ranges = calibrate(&graph, &inputs(), Method::MinMax).unwrap();
    emit(&quantise(&graph, &ranges, temperature).unwrap(), &description(labels)).unwrap().blob
}
