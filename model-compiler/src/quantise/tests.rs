//! Float graphs against the int8 models made from them, run by `no-std-infer`.

use no_std_infer::format::{Color, Fit, ImageInput, InputKind, Provenance, Window};
use no_std_infer::{Interpreter, Model, argmax};
use proptest::prelude::*;

use super::*;
use crate::aligned::Aligned;
use crate::blob::emit::{Description, emit};
use crate::compile::error::with_sources;
use crate::graph::{Function, class, same_window, softmax};
use crate::quantise::calibrate::calibrate;
use crate::quantise::noise::layer_sqnr;

/// Deterministic noise in −1..1.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn values(&mut self, count: usize, magnitude: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * magnitude).collect()
    }

    /// Multiples of 1/128 that int8 holds exactly: each channel has one weight of ±127/128, found by `first`.
    fn exact_weights(&mut self, count: usize, channels: usize, first: impl Fn(usize) -> usize) -> Vec<f32> {
        let mut weights: Vec<f32> = (0..count).map(|_| (self.next() * 127.0).round() / 128.0).collect();
        (0..channels).for_each(|channel| weights[first(channel)] = 127.0 / 128.0);
        weights
    }
}

/// Inputs of a network, the full range of pixels in them.
pub fn inputs(graph: &Graph, count: usize) -> Vec<Vec<i8>> {
    let mut noise = Noise(99);
    (0..count).map(|_| (0..graph.input.len()).map(|_| (noise.next() * 128.0).floor() as i8).collect()).collect()
}

pub fn description(labels: &[String]) -> Description<'_> {
    let image = ImageInput { color: Color::Rgb, fit: Fit::Stretch, mean: [0.5; 3], std: [0.25; 3] };
    Description { name: "test", labels, input: InputKind::Image(image), provenance: Provenance::default() }
}

fn blob(graph: &Graph, inputs: &[Vec<i8>], method: Method) -> Aligned<u8> {
    let ranges = calibrate(graph, inputs, method).unwrap();
    let labels: Vec<String> = (0..graph.classes()).map(|i| i.to_string()).collect();
    emit(&quantise(graph, &ranges, 1.0).unwrap(), &description(&labels)).unwrap().blob
}

/// All tensors of the int8 model but the input, as real numbers, each with its scale.
fn run_int8(model: &Model<'_>, input: &[i8]) -> Vec<(Vec<f32>, f32)> {
    let mut arena = Aligned::new(model.arena_len());
    let mut interpreter = Interpreter::new(*model, &mut arena).unwrap();
    interpreter.input_mut().copy_from_slice(input);
    let (mut tensors, mut ops) = (Vec::new(), model.ops());
    interpreter.run_profiled(|_, bytes| {
        let quantisation = quantisation(ops.next().unwrap().output());
        tensors.push((bytes.iter().map(|&byte| quantisation.real(byte)).collect(), quantisation.scale));
    });
    tensors
}

/// Appends nodes to a graph.
struct Network(Graph);

impl Network {
    fn new(height: usize, width: usize, channels: usize) -> Self {
        Self(Graph { input: Shape { height, width, channels }, zero: 0, nodes: Vec::new() })
    }

    fn last(&self) -> usize {
        self.0.nodes.len()
    }

    fn push(&mut self, op: FloatOp, inputs: Vec<usize>, output: Shape) -> usize {
        self.0.nodes.push(Node { name: format!("layer {}", self.0.nodes.len()), op, inputs, output });
        self.last()
    }

    fn conv(&mut self, noise: &mut Noise, input: usize, channels: usize, stride: u16, clamp: Clamp) -> usize {
        let shape = self.0.shape(input);
        let (window, output) = same_window(shape, 3, stride);
        let depth = 9 * shape.channels;
        let weights = noise.values(channels * depth, 1.7 / (depth as f32).sqrt());
        let bias = noise.values(channels, 0.5);
        self.push(FloatOp::Conv2d { window, weights, bias, clamp }, vec![input], Shape { channels, ..output })
    }

    fn global_average(&mut self) -> usize {
        let shape = self.0.shape(self.last());
        let window = Window { kernel_h: shape.height as u16, kernel_w: shape.width as u16, ..Window::square(1, 1) };
        self.push(FloatOp::AveragePool2d { window }, vec![self.last()], Shape { height: 1, width: 1, ..shape })
    }

    fn dense(&mut self, noise: &mut Noise, channels: usize, clamp: Clamp) -> usize {
        let inputs = self.0.shape(self.last()).len();
        let weights = noise.values(channels * inputs, 1.7 / (inputs as f32).sqrt());
        let op = FloatOp::Dense { weights, bias: noise.values(channels, 0.5), clamp };
        self.push(op, vec![self.last()], Shape { height: 1, width: 1, channels })
    }
}

/// A small residual network with every operator.
pub fn residual_network() -> Graph {
    random_residual_network(13, 10, 5)
}

/// Convolutions whose weights are worth transforming, one after the other.
pub fn convolutions() -> Graph {
    let (mut network, mut noise) = (Network::new(16, 16, 3), Noise(8));
    for input in 0..3 {
        network.conv(&mut noise, input, 8, 1, Clamp::Relu);
    }
    network.global_average();
    network.dense(&mut noise, 4, Clamp::None);
    network.0
}

fn random_residual_network(height: usize, width: usize, seed: u32) -> Graph {
    let (mut network, mut noise) = (Network::new(height, width, 3), Noise(seed));
    let stem = network.conv(&mut noise, 0, 6, 1, Clamp::Relu6);
    let left = network.conv(&mut noise, stem, 8, 2, Clamp::Relu);
    let left = network.conv(&mut noise, left, 8, 1, Clamp::None);
    let right = network.conv(&mut noise, stem, 8, 2, Clamp::None);
    let shape = network.0.shape(left);
    network.push(FloatOp::Add { clamp: Clamp::Relu }, vec![left, right], shape);
    let (window, shape) = same_window(shape, 3, 1);
    let (weights, bias) = (noise.values(9 * 8, 0.6), noise.values(8, 0.3));
    network.push(FloatOp::DepthwiseConv2d { window, weights, bias, clamp: Clamp::Relu }, vec![network.last()], shape);
    let output = Shape { height: shape.height / 2, width: shape.width / 2, channels: 8 };
    network.push(FloatOp::MaxPool2d { window: Window::square(2, 2) }, vec![network.last()], output);
    network.global_average();
    network.dense(&mut noise, 7, Clamp::None);
    let shape = network.0.shape(network.last());
    network.push(FloatOp::Map { functions: vec![Function::Sigmoid] }, vec![network.last()], shape);
    network.dense(&mut noise, 5, Clamp::None);
    network.0
}

/// Checks that each of the first nodes, the first of which reads the exact input, is everywhere within so many of its
/// steps of float.
fn assert_nodes(mut network: Network, steps: &[f32]) -> std::result::Result<(), TestCaseError> {
    network.global_average();
    let graph = network.0;
    let inputs = inputs(&graph, 4);
    let blob = blob(&graph, &inputs, Method::MinMax);
    let model = Model::parse(&blob).unwrap();
    for input in &inputs {
        let (float, int8) = (graph.run(input), run_int8(&model, input));
        for ((float, (int8, scale)), steps) in float[1..].iter().zip(&int8).zip(steps) {
            prop_assert_eq!(float.len(), int8.len());
            for (index, (float, int8)) in float.iter().zip(int8).enumerate() {
                let near = (float - int8).abs() <= steps * scale;
                prop_assert!(near, "element {}: {} {}, step {}", index, float, int8, scale);
            }
        }
    }
    Ok(())
}

prop_compose! {
    fn window()(
        kernel_h in 1_u16..5, kernel_w in 1_u16..5, stride_h in 1_u16..4, stride_w in 1_u16..4,
        dilation_h in 1_u16..3, dilation_w in 1_u16..3, pads in (0_u16..9, 0_u16..9),
    ) -> Window {
        let pad_top = pads.0 % ((kernel_h - 1) * dilation_h + 1);
        let pad_left = pads.1 % ((kernel_w - 1) * dilation_w + 1);
        Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left }
    }
}

/// The largest output whose windows all touch the input, so there is padding at every border.
fn largest_output(window: &Window, height: usize, width: usize, channels: usize) -> Shape {
    let outputs = |inputs: usize, stride: u16, pad: u16| (inputs + usize::from(pad) - 1) / usize::from(stride) + 1;
    Shape {
        height: outputs(height, window.stride_h, window.pad_top),
        width: outputs(width, window.stride_w, window.pad_left),
        channels,
    }
}

fn clamps() -> impl Strategy<Value = Clamp> {
    prop::sample::select(vec![Clamp::None, Clamp::Relu, Clamp::Relu6])
}

// With exact weights and input, what differs is the rounding of the bias and of the output: one step at most.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn convolution_is_within_one_step(
        window in window(), height in 1_usize..9, width in 1_usize..9, channels in 1_usize..12, clamp in clamps(), seed: u32,
    ) {
        let (mut network, mut noise) = (Network::new(height, width, 3), Noise(seed));
        let depth = window.taps() * 3;
        let weights = noise.exact_weights(channels * depth, channels, |channel| channel * depth);
        let op = FloatOp::Conv2d { window, weights, bias: noise.values(channels, 40.0), clamp };
        network.push(op, vec![0], largest_output(&window, height, width, channels));
        assert_nodes(network, &[1.0])?;
    }

    #[test]
    fn depthwise_convolution_is_within_one_step(
        window in window(), height in 1_usize..9, width in 1_usize..9, clamp in clamps(), seed: u32,
    ) {
        let (mut network, mut noise) = (Network::new(height, width, 3), Noise(seed));
        let weights = noise.exact_weights(window.taps() * 3, 3, |channel| channel);
        let op = FloatOp::DepthwiseConv2d { window, weights, bias: noise.values(3, 40.0), clamp };
        network.push(op, vec![0], largest_output(&window, height, width, 3));
        assert_nodes(network, &[1.0])?;
    }

    #[test]
    fn dense_is_within_one_step(
        height in 1_usize..9, width in 1_usize..9, channels in 1_usize..12, clamp in clamps(), seed: u32,
    ) {
        let (mut network, mut noise) = (Network::new(height, width, 3), Noise(seed));
        let inputs = height * width * 3;
        let weights = noise.exact_weights(channels * inputs, channels, |channel| channel * inputs);
        let op = FloatOp::Dense { weights, bias: noise.values(channels, 40.0), clamp };
        network.push(op, vec![0], Shape { height: 1, width: 1, channels });
        assert_nodes(network, &[1.0])?;
    }

    #[test]
    fn pools_round_to_the_nearest(window in window(), height in 1_usize..9, width in 1_usize..9) {
        let window = Window { dilation_h: 1, dilation_w: 1, ..window };
        let window = Window { pad_top: window.pad_top % window.kernel_h, pad_left: window.pad_left % window.kernel_w, ..window };
        let output = largest_output(&window, height, width, 3);
        let mut network = Network::new(height, width, 3);
        network.push(FloatOp::MaxPool2d { window }, vec![0], output);
        assert_nodes(network, &[0.0])?;
        let mut network = Network::new(height, width, 3);
        network.push(FloatOp::AveragePool2d { window }, vec![0], output);
        assert_nodes(network, &[0.501])?;
    }

    #[test]
    fn add_is_within_one_step_of_summands_of_different_scales(
        height in 1_usize..9, width in 1_usize..9, weight in 1_u8..100, swap: bool, relu: bool,
    ) {
        let shape = Shape { height, width, channels: 3 };
        let mut network = Network::new(height, width, 3);
        let weights = vec![f32::from(weight) / 100.0; 3];
        let op = FloatOp::DepthwiseConv2d { window: Window::square(1, 1), weights, bias: vec![0.0; 3], clamp: Clamp::None };
        network.push(op, vec![0], shape);
        let clamp = if relu { Clamp::Relu } else { Clamp::None };
        network.push(FloatOp::Add { clamp }, if swap { vec![1, 0] } else { vec![0, 1] }, shape);
        // The summand's own error and the sum's rounding.
        assert_nodes(network, &[1.0, 1.5])?;
    }

    #[test]
    fn a_product_with_one_factor_a_channel_is_within_two_steps(
        height in 1_usize..9, width in 1_usize..9, weight in 1_u8..100, swap: bool, relu: bool,
    ) {
        let shape = Shape { height, width, channels: 3 };
        let mut network = Network::new(height, width, 3);
        let window = Window { kernel_h: height as u16, kernel_w: width as u16, ..Window::square(1, 1) };
        let weights = vec![f32::from(weight) / 100.0; 3 * height * width];
        let op = FloatOp::DepthwiseConv2d { window, weights, bias: vec![0.0; 3], clamp: Clamp::None };
        network.push(op, vec![0], Shape { height: 1, width: 1, channels: 3 });
        let clamp = if relu { Clamp::Relu } else { Clamp::None };
        network.push(FloatOp::Mul { clamp }, if swap { vec![1, 0] } else { vec![0, 1] }, shape);
        // The factor's own error and the product's rounding.
        assert_nodes(network, &[1.0, 2.0])?;
    }

    #[test]
    fn what_is_padded_and_concatenated_stays_within_one_step(
        height in 1_usize..9, width in 1_usize..9, weight in 1_u8..100, axis in 0_usize..3,
    ) {
        let shape = Shape { height, width, channels: 3 };
        let mut network = Network::new(height, width, 3);
        for weight in [1.0, f32::from(weight) / 100.0] {
            let weights = vec![weight; 3];
            let op = FloatOp::DepthwiseConv2d { window: Window::square(1, 1), weights, bias: vec![3.0; 3], clamp: Clamp::None };
            network.push(op, vec![0], shape);
        }
        let mut joined = [height, width, 3];
        joined[axis] *= 2;
        let [height, width, channels] = joined;
        let joined = Shape { height, width, channels };
        network.push(FloatOp::Concat, vec![1, 2], joined);
        let padded = Shape { height: height + 2, width: width + 3, channels: channels + 1 };
        network.push(FloatOp::Pad { top: 1, left: 0, front: 1 }, vec![3], padded);
        assert_nodes(network, &[1.0; 4])?;
    }

    #[test]
    fn sigmoid_is_within_one_step(height in 1_usize..9, width in 1_usize..9) {
        let mut network = Network::new(height, width, 3);
        network.push(FloatOp::Map { functions: vec![Function::Sigmoid] }, vec![0], Shape { height, width, channels: 3 });
        assert_nodes(network, &[1.0])?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn residual_networks_of_any_size_stay_close_to_float(height in 3_usize..20, width in 3_usize..20, seed: u32) {
        let graph = random_residual_network(height, width, seed);
        let inputs = inputs(&graph, 6);
        let blob = blob(&graph, &inputs, Method::MinMax);
        for layer in layer_sqnr(&graph, &Model::parse(&blob).unwrap(), &inputs).unwrap() {
            prop_assert!(layer.db.is_none_or(|db| db > 18.0), "{layer:?}");
        }
    }
}

#[test]
fn a_residual_network_agrees_with_float_by_every_method() {
    let graph = residual_network();
    let inputs = inputs(&graph, 200);
    for method in [Method::MinMax, Method::Percentile, Method::Mse] {
        let blob = blob(&graph, &inputs[..50], method);
        let model = Model::parse(&blob).unwrap();
        let layers = layer_sqnr(&graph, &model, &inputs[50..]).unwrap();
        assert_eq!(layers.len(), graph.nodes.len() + 1);
        for layer in &layers {
            assert!(layer.db.unwrap() > 20.0, "{method:?} {layer:?}");
        }
        let agreeing = inputs[50..]
            .iter()
            .filter(|input| {
                let float = graph.logits(input);
                let mut arena = Aligned::new(model.arena_len());
                let mut interpreter = Interpreter::new(model, &mut arena).unwrap();
                interpreter.input_mut().copy_from_slice(input);
                interpreter.run();
                argmax(interpreter.logits()) == class(&float)
            })
            .count();
        assert!(agreeing >= 140, "{method:?}: {agreeing} of 150");
    }
}

#[test]
fn probabilities_are_those_of_float() {
    let graph = residual_network();
    let inputs = inputs(&graph, 20);
    let ranges = calibrate(&graph, &inputs, Method::MinMax).unwrap();
    let labels: Vec<String> = (0..5).map(|i| i.to_string()).collect();
    let blob = emit(&quantise(&graph, &ranges, 0.5).unwrap(), &description(&labels)).unwrap().blob;
    let model = Model::parse(&blob).unwrap();
    for input in &inputs {
        let tensors = run_int8(&model, input);
        let [.., (logits, _), (probabilities, _)] = tensors.as_slice() else { unreachable!() };
        for (share, &probability) in softmax(logits, 0.5).into_iter().zip(probabilities) {
            assert!((share - f64::from(probability)).abs() <= 1.5 / 256.0, "{share} {probability}");
        }
    }
}

#[test]
fn a_layer_out_of_proportion_is_named() {
    let graph = residual_network();
    let mut ranges = calibrate(&graph, &inputs(&graph, 4), Method::MinMax).unwrap();
    ranges[3] = Range::new(0.0, 1e-28);
    let error = with_sources(&quantise(&graph, &ranges, 1.0).unwrap_err());
    assert!(error.contains("layer 2 cannot be quantised: output channel 0"), "{error}");
}

#[test]
fn coarser_weights_are_reported() {
    let mut network = Network::new(1, 1, 3);
    let op = FloatOp::Dense { weights: vec![0.01; 6], bias: vec![1e9, 0.0], clamp: Clamp::None };
    network.push(op, vec![0], Shape { height: 1, width: 1, channels: 2 });
    let ranges = [Range::new(0.0, 0.0), Range::new(-1.0, 1.0)];
    let model = quantise(&network.0, &ranges, 1.0).unwrap();
    assert_eq!(model.notes.len(), 1);
    assert!(model.notes[0].starts_with("layer 0: weights up to"), "{:?}", model.notes);
}
