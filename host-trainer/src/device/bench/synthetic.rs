//! Int8 models of any topology with seeded weights: what a model costs does not depend on what it was trained for.

use anyhow::{Context, Result};
use no_std_infer::format::{Activation, Add, Conv2d, Dense, Layout, Op, Pool2d, Softmax, Tensor, Weights, Window};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use model_compiler::quantise::{
    Builder, Kind, QuantModel, Quantisation, add_multipliers, quantisation, quantise_channel, softmax_parameters,
};

/// Standard deviations of a sum that an output's half range covers.
const DEVIATIONS: f32 = 3.0;
/// Largest bias, as a share of the sum's standard deviation.
const BIAS: f32 = 0.1;

/// A model while it is made. Tensors are named by their index, the input's is 0.
pub struct Maker {
    builder: Builder,
    rng: ChaCha8Rng,
    /// Root mean square of each tensor's real values.
    spread: Vec<f32>,
}

/// Height and width of a window, and its stride.
#[derive(Clone, Copy, Debug)]
pub struct Taps {
    /// Rows and columns.
    pub kernel: [u16; 2],
    /// Of both directions.
    pub stride: u16,
}

impl Taps {
    /// A square window.
    #[must_use]
    pub fn square(kernel: u16, stride: u16) -> Self {
        Self { kernel: [kernel; 2], stride }
    }
}

impl Maker {
    /// A model that reads a tensor of this height, width and number of channels.
    #[must_use]
    pub fn new([height, width, channels]: [u16; 3], seed: u64) -> Self {
        let quantised = Quantisation { scale: 1.0 / 128.0, zero_point: -3 };
        let input = tensor(0, [height, width], channels.into(), quantised);
        let builder = Builder { tensors: vec![input], ..Builder::default() };
        // Of values spread evenly over −1..1.
        Self { builder, rng: ChaCha8Rng::seed_from_u64(seed), spread: vec![0.58] }
    }

    /// A tensor's shape and quantisation.
    #[must_use]
    pub fn tensor(&self, index: usize) -> Tensor {
        self.builder.tensors[index]
    }

    /// A convolution with the padding that TensorFlow calls SAME, and a fused ReLU where asked for.
    ///
    /// # Errors
    /// When the layer is too large for the format.
    pub fn conv(&mut self, from: usize, channels: u16, taps: Taps, relu: bool) -> Result<usize> {
        self.convolution(from, channels.into(), taps, relu, Kind::Convolution)
    }

    /// A depthwise convolution like [`conv`](Self::conv), with ReLU.
    ///
    /// # Errors
    /// When the layer is too large for the format.
    pub fn depthwise(&mut self, from: usize, taps: Taps) -> Result<usize> {
        self.convolution(from, self.tensor(from).channels, taps, true, Kind::Depthwise)
    }

    fn convolution(&mut self, from: usize, channels: u32, taps: Taps, relu: bool, kind: Kind) -> Result<usize> {
        let input = self.tensor(from);
        let (window, sides) = same_window(&input, taps);
        let depth = if kind == Kind::Depthwise { 1 } else { input.channels as usize };
        let (weights, output) = self.layer(from, sides, channels, window.taps() * depth, relu, kind)?;
        let conv = Conv2d { input, output, window, weights, activation: Activation::NONE, scratch: 0 };
        Ok(self.push(if kind == Kind::Depthwise { Op::DepthwiseConv2d(conv) } else { Op::Conv2d(conv) }))
    }

    /// A dense layer over the whole input.
    ///
    /// # Errors
    /// When the layer is too large for the format.
    pub fn dense(&mut self, from: usize, channels: u16) -> Result<usize> {
        let input = self.tensor(from);
        let (weights, output) = self.layer(from, [1, 1], channels.into(), input.len(), false, Kind::Dense)?;
        Ok(self.push(Op::Dense(Dense { input, output, weights, activation: Activation::NONE })))
    }

    /// Largest values in windows that do not overlap the border.
    pub fn max_pool(&mut self, from: usize, taps: Taps) -> usize {
        let pool = self.pool(from, taps);
        self.push(Op::MaxPool2d(pool))
    }

    /// Means of windows that do not overlap the border.
    pub fn average_pool(&mut self, from: usize, taps: Taps) -> usize {
        let pool = self.pool(from, taps);
        self.push(Op::AveragePool2d(pool))
    }

    fn pool(&mut self, from: usize, Taps { kernel: [kernel_h, kernel_w], stride }: Taps) -> Pool2d {
        let input = self.tensor(from);
        let window = Window { kernel_h, kernel_w, ..Window::square(1, stride) };
        let sides = [(input.height - kernel_h) / stride + 1, (input.width - kernel_w) / stride + 1];
        let output = tensor(self.builder.tensors.len(), sides, input.channels, quantisation(&input));
        self.spread.push(self.spread[from]);
        Pool2d { input, output, window, activation: Activation::NONE }
    }

    /// The sum of two tensors of one shape, with ReLU.
    ///
    /// # Errors
    /// When the scales are out of all proportion.
    pub fn add(&mut self, a: usize, b: usize) -> Result<usize> {
        let spread = self.spread[a].hypot(self.spread[b]);
        let output = self.output(&self.tensor(a), spread, true);
        let (a, b) = (self.tensor(a), self.tensor(b));
        let [a_multiplier, b_multiplier, output_multiplier] = add_multipliers(a.scale, b.scale, output.scale)?;
        let (activation, tables) = (Activation::NONE, [None; 2]);
        Ok(self.push(Op::Add(Add { a, b, output, a_multiplier, b_multiplier, output_multiplier, activation, tables })))
    }

    /// The sum of a tensor and one whose height and width are 1, without ReLU.
    ///
    /// # Errors
    /// When the scales are out of all proportion.
    pub fn repeated_add(&mut self, a: usize, b: usize) -> Result<usize> {
        let (a, b) = (self.tensor(a), self.tensor(b));
        let output = self.output(&a, self.spread[0], false);
        let [a_multiplier, b_multiplier, output_multiplier] = add_multipliers(a.scale, b.scale, output.scale)?;
        let (activation, tables) = (Activation::NONE, [None; 2]);
        Ok(self.push(Op::Add(Add { a, b, output, a_multiplier, b_multiplier, output_multiplier, activation, tables })))
    }

    /// Any other operator of a tensor, which keeps its quantisation: of height, width and channels of what it makes.
    pub fn other(
        &mut self,
        from: usize,
        [height, width, channels]: [u16; 3],
        op: impl FnOnce(Tensor, Tensor) -> Op,
    ) -> usize {
        let input = self.tensor(from);
        let output = tensor(self.builder.tensors.len(), [height, width], channels.into(), quantisation(&input));
        self.spread.push(self.spread[from]);
        self.push(op(input, output))
    }

    /// A table that negates, for a look-up: its place among the constants.
    pub fn table(&mut self) -> u32 {
        let negated: Vec<u8> = (0..=u8::MAX).map(|value| 255 - value).collect();
        self.builder.add_constant(&negated)
    }

    /// Softmax.
    ///
    /// # Errors
    /// When the input's scale is too small.
    pub fn softmax(&mut self, from: usize) -> Result<usize> {
        let input = self.tensor(from);
        let (multiplier, diff_min) = softmax_parameters(input.scale, 1.0).context("the logits' scale is too small")?;
        let sides = [input.height, input.width];
        let output = tensor(self.builder.tensors.len(), sides, input.channels, Quantisation::PROBABILITY);
        self.spread.push(1.0);
        Ok(self.push(Op::Softmax(Softmax { input, output, multiplier, diff_min })))
    }

    /// The model, whose logits are what a last softmax reads, or else what the last operator makes.
    ///
    /// # Panics
    /// When no operator was added.
    #[must_use]
    pub fn finish(self) -> QuantModel {
        let Builder { tensors, ops, names, constants, notes } = self.builder;
        let logits = match ops[ops.len() - 1] {
            Op::Softmax(op) => op.input,
            op => *op.output(),
        };
        QuantModel { ops, names, constants, input: tensors[0], logits, temperature: 1.0, notes }
    }

    fn push(&mut self, op: Op) -> usize {
        self.builder.push(op, format!("{} {}", self.builder.ops.len(), op.name()));
        self.builder.ops.len()
    }

    /// Weights spread evenly over −1..1, and the output that they make.
    fn layer(
        &mut self,
        from: usize,
        [height, width]: [u16; 2],
        channels: u32,
        taps: usize,
        relu: bool,
        kind: Kind,
    ) -> Result<(Weights, Tensor)> {
        let input = self.tensor(from);
        let spread = self.spread[from] * (taps as f32 / 3.0).sqrt();
        let output = self.output(&Tensor { height, width, channels, ..input }, spread, relu);
        let outputs = channels as usize;
        let mut weights = vec![0; outputs * taps];
        let mut parameters = Vec::new();
        for channel in 0..outputs {
            let row: Vec<f32> = (0..taps).map(|_| self.rng.random_range(-1.0..1.0)).collect();
            let bias = self.rng.random_range(-BIAS..BIAS) * spread;
            let quantised = quantise_channel(&row, bias, quantisation(&input), quantisation(&output))?;
            for (tap, &weight) in quantised.weights.iter().enumerate() {
                let index = if kind == Kind::Depthwise { tap * outputs + channel } else { channel * taps + tap };
                weights[index] = weight as u8;
            }
            let entry = kind.parameters(quantised.bias, quantised.factor);
            parameters.extend(entry.context("a multiplier is out of range")?);
        }
        let weights = self.builder.add_constant(&weights);
        let channels = self.builder.add_constant(&parameters);
        Ok((Weights { layout: Layout::Plain, weights, channels }, output))
    }

    /// The tensor of the next operator, with the shape of `like` and the range of values that spread so far.
    fn output(&mut self, like: &Tensor, spread: f32, relu: bool) -> Tensor {
        let quantised = if relu {
            Quantisation { scale: DEVIATIONS * spread / 255.0, zero_point: -128 }
        } else {
            Quantisation { scale: DEVIATIONS * spread / 128.0, zero_point: 5 }
        };
        self.spread.push(if relu { spread * 0.5_f32.sqrt() } else { spread });
        tensor(self.builder.tensors.len(), [like.height, like.width], like.channels, quantised)
    }
}

fn tensor(index: usize, [height, width]: [u16; 2], channels: u32, quantised: Quantisation) -> Tensor {
    let Quantisation { scale, zero_point } = quantised;
    Tensor { offset: index as u32, height, width, channels, scale, zero_point }
}

/// The window with SAME padding, and height and width of the output.
fn same_window(input: &Tensor, Taps { kernel: [kernel_h, kernel_w], stride }: Taps) -> (Window, [u16; 2]) {
    let axis = |input: u16, kernel: u16| {
        let output = input.div_ceil(stride);
        (output, ((output - 1) * stride + kernel).saturating_sub(input) / 2)
    };
    let [(height, pad_top), (width, pad_left)] = [axis(input.height, kernel_h), axis(input.width, kernel_w)];
    (Window { kernel_h, kernel_w, pad_top, pad_left, ..Window::square(1, stride) }, [height, width])
}
