//! A residual network with random weights that went the way of a trained one: calibrated, quantised, emitted.

use anyhow::Result;
use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, Limits, emit_within};
use model_compiler::graph::{Clamp, FloatOp, Function, Graph, Node, Shape, same_window};
use model_compiler::layout::pack::Constants;
use model_compiler::quantise::calibrate::calibrate;
use model_compiler::quantise::{Method, quantise};
use no_std_infer::format::{Color, Fit, ImageInput, InputKind, Provenance, Window};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Number of classes.
const CLASSES: usize = 5;

/// The blob of a residual network with 24 x 20 x 3 inputs, with every operator that the exporter makes.
///
/// # Errors
/// When a step of the export fails.
pub fn blob(seed: u64) -> Result<Aligned<u8>> {
    blob_with(seed, Constants::Packed)
}

/// The same with constants laid out so.
///
/// # Errors
/// When a step of the export fails.
pub fn blob_with(seed: u64, constants: Constants) -> Result<Aligned<u8>> {
    let input = Shape { height: 24, width: 20, channels: 3 };
    let mut maker = Maker { graph: Graph { input, zero: 0, nodes: Vec::new() }, rng: ChaCha8Rng::seed_from_u64(seed) };
    let stem = maker.conv(0, 8, 1, Clamp::Relu6);
    let left = maker.conv(stem, 12, 2, Clamp::Relu);
    let left = maker.conv(left, 12, 1, Clamp::None);
    let right = maker.conv(stem, 12, 2, Clamp::None);
    let sum = maker.push(FloatOp::Add { clamp: Clamp::Relu }, vec![left, right], maker.graph.shape(left));
    let depthwise = maker.depthwise(sum);
    let half = Shape { height: 6, width: 5, channels: 12 };
    let largest = maker.push(FloatOp::MaxPool2d { window: Window::square(2, 2) }, vec![depthwise], half);
    let window = Window { kernel_h: 6, kernel_w: 5, ..Window::square(1, 1) };
    let one = Shape { height: 1, width: 1, channels: 12 };
    let mean = maker.push(FloatOp::AveragePool2d { window }, vec![largest], one);
    let hidden = maker.dense(mean, 9);
    let hidden =
        maker.push(FloatOp::Map { functions: vec![Function::Sigmoid] }, vec![hidden], maker.graph.shape(hidden));
    maker.dense(hidden, CLASSES);
    let inputs: Vec<Vec<i8>> = (0..8).map(|image| picture(seed ^ image, input.len())).collect();
    let ranges = calibrate(&maker.graph, &inputs, Method::MinMax)?;
    let labels: Vec<String> = (0..CLASSES).map(|class| format!("class {class}")).collect();
    let image = ImageInput { color: Color::Rgb, fit: Fit::Crop, mean: [0.5; 3], std: [0.25; 3] };
    let description = Description {
        name: "random",
        labels: &labels,
        input: InputKind::Image(image),
        provenance: Provenance::default(),
    };
    let limits = Limits { constants, ..Limits::default() };
    Ok(emit_within(&quantise(&maker.graph, &ranges, 1.0)?, &description, limits)?.blob)
}

/// A picture of `len` bytes, RGB: noise around a tint, both of which the seed decides.
#[must_use]
pub fn picture(seed: u64, len: usize) -> Vec<i8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let tint: [i32; 3] = std::array::from_fn(|_| rng.random_range(-120..=120));
    let contrast = rng.random_range(1..=100);
    let mut value = |byte: usize| tint[byte % 3] + rng.random_range(-contrast..=contrast);
    (0..len).map(|byte| value(byte).clamp(-128, 127) as i8).collect()
}

struct Maker {
    graph: Graph,
    rng: ChaCha8Rng,
}

impl Maker {
    /// Adds a node; gives the tensor that it makes.
    fn push(&mut self, op: FloatOp, inputs: Vec<usize>, output: Shape) -> usize {
        let name = format!("node {}", self.graph.nodes.len());
        self.graph.nodes.push(Node { name, op, inputs, output });
        self.graph.nodes.len()
    }

    fn values(&mut self, len: usize, limit: f32) -> Vec<f32> {
        (0..len).map(|_| self.rng.random_range(-limit..limit)).collect()
    }

    fn conv(&mut self, input: usize, channels: usize, stride: u16, clamp: Clamp) -> usize {
        let shape = self.graph.shape(input);
        let (window, output) = same_window(shape, 3, stride);
        // The picture's values are about a hundred times those of later tensors.
        let limit = if input == 0 { 0.01 } else { 0.3 };
        let weights = self.values(channels * window.taps() * shape.channels, limit);
        let bias = self.values(channels, 0.3);
        self.push(FloatOp::Conv2d { window, weights, bias, clamp }, vec![input], Shape { channels, ..output })
    }

    fn depthwise(&mut self, input: usize) -> usize {
        let (window, output) = same_window(self.graph.shape(input), 3, 1);
        let weights = self.values(window.taps() * output.channels, 0.6);
        let bias = self.values(output.channels, 0.3);
        self.push(FloatOp::DepthwiseConv2d { window, weights, bias, clamp: Clamp::Relu }, vec![input], output)
    }

    fn dense(&mut self, input: usize, channels: usize) -> usize {
        let weights = self.values(self.graph.shape(input).len() * channels, 4.0);
        let bias = vec![0.0; channels];
        let output = Shape { height: 1, width: 1, channels };
        self.push(FloatOp::Dense { weights, bias, clamp: Clamp::None }, vec![input], output)
    }
}

#[cfg(test)]
mod tests {
    use model_training::measure::evaluate::infer;
    use no_std_infer::Model;

    use super::*;

    #[test]
    fn pictures_are_of_several_classes() {
        let blob = blob(1).unwrap();
        let model = Model::parse(&blob).unwrap();
        let mut arena = Aligned::new(model.arena_len());
        let mut logits = |seed| infer(&model, &mut arena, &picture(seed, model.info().input.tensor.len())).logits;
        let classes: std::collections::BTreeSet<usize> =
            (0..200).map(|seed| no_std_infer::argmax(&logits(seed))).collect();
        assert!(classes.len() > 2, "{classes:?}");
    }
}
