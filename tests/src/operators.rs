//! Random models of a single operator, shapes with height ≠ width ≠ channels.

mod combine;
mod manifest;
mod packing;

use model_compiler::aligned::Aligned;
use model_compiler::blob::{Parts, write};
use no_std_infer::fixed::{DoubleMultiplier, Multiplier};
use no_std_infer::format::{
    Activation, CHANNEL_LEN, Clamp, Constant, Conv2d, Dense, Layout, Lookup, Mul, Op, PACKED_SHIFT_MAX, Pool2d,
    Reshape, Softmax, Tensor, Weights, Window,
};
use no_std_infer::operators::{ChannelParams, DenseParams, Form, Overlap};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use manifest::{ANY_IMAGE, info, without_names};

/// Operators that [`random`] can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Conv2d,
    DepthwiseConv2d,
    Dense,
    MaxPool2d,
    AveragePool2d,
    Add,
    Clamp,
    Lookup,
    Softmax,
    Reshape,
    Mul,
    Mean,
    Pad,
    Concat,
    Constant,
    ReduceMax,
    /// A convolution with weights transformed so.
    Winograd(Form),
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 19] = [
        Kind::Conv2d,
        Kind::DepthwiseConv2d,
        Kind::Dense,
        Kind::MaxPool2d,
        Kind::AveragePool2d,
        Kind::Add,
        Kind::Clamp,
        Kind::Lookup,
        Kind::Softmax,
        Kind::Reshape,
        Kind::Mul,
        Kind::Mean,
        Kind::Pad,
        Kind::Concat,
        Kind::Constant,
        Kind::ReduceMax,
        Kind::Winograd(Form::F2x2),
        Kind::Winograd(Form::F4x4),
        Kind::Winograd(Form::Stride2),
    ];
}

/// A model whose operator 2 is the one asked for. Operator 0 widens the image to the operator's input and operator 1
/// makes a second input, by a convolution when it has the first's shape, or else a constant; after it a dense layer gives
/// two logits.
pub struct Case {
    /// The model.
    pub blob: Aligned<u8>,
    /// Bytes for its input.
    pub input: Vec<i8>,
}

/// Makes the case of a seed.
#[must_use]
pub fn random(kind: Kind, seed: u64) -> Case {
    let mut maker = Maker { rng: ChaCha8Rng::seed_from_u64(seed), weights: Vec::new(), end: 0, packable: false };
    maker.case(kind)
}

struct Maker {
    rng: ChaCha8Rng,
    weights: Vec<u8>,
    end: u32,
    /// Whether the next layer's multipliers are to allow packing.
    packable: bool,
}

impl Maker {
    fn case(&mut self, kind: Kind) -> Case {
        let (height, width) = self.two_different(1, if matches!(kind, Kind::Winograd(_)) { 20 } else { 9 });
        // Vectors around the length from which on sums are taken in segments.
        let long = kind == Kind::Dense && self.rng.random_ratio(1, 8);
        let width = if long { 1 } else { width };
        let channels = match kind {
            Kind::Winograd(form) => self.winograd_channels(form),
            Kind::Dense if long => 4 * self.rng.random_range(63..=66),
            // Only vectors of a multiple of four are packed.
            Kind::Dense if self.rng.random() => 4 * self.rng.random_range(1..=16),
            _ => self.third_different(height, width),
        };
        let image = self.tensor(height, width, 3, 1.0, 0);
        if matches!(kind, Kind::Conv2d | Kind::Winograd(_)) {
            // Where an output may lie over a smaller input, it begins far before it.
            self.end += self.rng.random_range(0..2000);
        }
        let (scale, zero_point) = (0.05, self.any_i8());
        let a = self.tensor(height, width, channels, scale, zero_point);
        let b = self.second(kind, a);
        let even = (b.height, b.width, b.channels) == (height, width, channels);
        let second = if even { self.pointwise(image, b) } else { self.constant(b) };
        let ops = [self.pointwise(image, a), second];
        let (a, b) = if self.rng.random() { (a, b) } else { (b, a) };
        let tested = self.operator(kind, a, b);
        let tested = self.overlapping(tested);
        let logits = self.tensor(1, 1, 2, 0.1, 3);
        let dense = self.dense(*tested.output(), logits);
        let ops = [ops[0], ops[1], tested, dense];
        let info = info(image, logits);
        let labels = [String::from("no"), String::from("yes")];
        let blob = write(&Parts { info, labels: &labels, ops: &ops, weights: &self.weights, layers: None });
        let mut input = vec![0_u8; image.len()];
        self.rng.fill_bytes(&mut input);
        Case { blob, input: input.into_iter().map(|byte| byte as i8).collect() }
    }

    fn operator(&mut self, kind: Kind, a: Tensor, b: Tensor) -> Op {
        match kind {
            Kind::Conv2d if self.rng.random() => self.square_conv2d(a),
            Kind::Conv2d => {
                let channels = self.third_different(a.height, a.width);
                let (output, window) = self.windowed(a, channels, true);
                self.conv2d(a, output, window)
            }
            Kind::Winograd(form) => self.winograd(form, a),
            Kind::DepthwiseConv2d if self.rng.random() => self.packed_depthwise(a),
            Kind::DepthwiseConv2d => {
                let multiplier = self.rng.random_range(1..=3);
                let (output, window) = self.windowed(a, a.channels * multiplier, true);
                let taps = window.taps() as u32;
                let weights = self.constants(taps * output.channels, output.channels, taps);
                let activation = self.activation();
                let scratch = self.end.next_multiple_of(16);
                let op = Op::DepthwiseConv2d(Conv2d { input: a, output, window, weights, activation, scratch });
                if op.scratch_len() > 0 {
                    self.end = scratch + op.scratch_len();
                }
                op
            }
            Kind::Dense => {
                let channels = self.rng.random_range(1..40);
                let height = if self.rng.random() { a.height } else { 1 };
                let output = self.tensor(height, 1, channels, 0.1, -5);
                self.dense(a, output)
            }
            Kind::MaxPool2d => Op::MaxPool2d(self.pool(a)),
            Kind::AveragePool2d => Op::AveragePool2d(self.pool(a)),
            Kind::Add => self.add(a, b),
            Kind::Clamp => Op::Clamp(Clamp { input: a, output: self.like(a), activation: self.activation() }),
            Kind::Lookup => {
                let table = self.bytes(256);
                let output = self.like(a);
                Op::Lookup(Lookup { input: a, output: Tensor { scale: 0.3, zero_point: 9, ..output }, table })
            }
            Kind::Softmax => {
                let shift = self.rng.random_range(10..28);
                let multiplier = Multiplier { mantissa: self.rng.random_range(1 << 30..=i32::MAX), shift };
                let diff_min = -self.rng.random_range(0..300);
                let output = self.tensor(a.height, a.width, a.channels, 1.0 / 256.0, -128);
                Op::Softmax(Softmax { input: a, output, multiplier, diff_min })
            }
            Kind::Reshape => {
                let output = self.like(a);
                let flat = Tensor { height: 1, width: 1, channels: a.len() as u32, ..output };
                Op::Reshape(Reshape { input: a, output: flat })
            }
            Kind::Mul => {
                let output = self.broadcast(a, b);
                let (multiplier, activation) = (self.multiplier(-8), self.activation());
                Op::Mul(Mul { a, b, output, multiplier, activation })
            }
            Kind::Mean => self.mean(a),
            Kind::ReduceMax => self.reduce_max(a),
            Kind::Pad => self.pad(a),
            Kind::Concat => Op::Concat(self.concat(a, b)),
            Kind::Constant => {
                let (height, width) = self.two_different(1, 9);
                let channels = self.third_different(height, width);
                let output = self.tensor(height, width, channels, 0.4, -7);
                self.constant(output)
            }
        }
    }

    fn tensor(&mut self, height: u16, width: u16, channels: u32, scale: f32, zero_point: i8) -> Tensor {
        let tensor = Tensor { offset: self.end, height, width, channels, scale, zero_point };
        self.end += tensor.len() as u32 + self.rng.random_range(0..5);
        tensor
    }

    fn any_i8(&mut self) -> i8 {
        *[i8::MIN, -1, 0, 1, i8::MAX, self.rng.random()].get(self.rng.random_range(0..6)).expect("six choices")
    }

    fn two_different(&mut self, from: u16, to: u16) -> (u16, u16) {
        let first = self.rng.random_range(from..=to);
        let second = self.rng.random_range(from..to);
        (first, if second >= first { second + 1 } else { second })
    }

    fn third_different(&mut self, height: u16, width: u16) -> u32 {
        loop {
            let channels = self.rng.random_range(1..40);
            if channels != u32::from(height) && channels != u32::from(width) {
                return channels;
            }
        }
    }

    fn activation(&mut self) -> Activation {
        let (a, b) = (self.any_i8(), self.any_i8());
        if self.rng.random() { Activation::NONE } else { Activation { min: a.min(b), max: a.max(b) } }
    }

    fn bytes(&mut self, len: u32) -> u32 {
        let start = self.weights.len().next_multiple_of(4);
        self.weights.resize(start + len as usize, 0);
        self.rng.fill_bytes(&mut self.weights[start..]);
        start as u32
    }

    /// Weights over all of i8 and parameters that keep most outputs in range but reach every branch of the rounding.
    fn constants(&mut self, len: u32, outputs: u32, products: u32) -> Weights {
        self.layer_constants(len, outputs, products, |maker, spread| {
            let mantissa = maker.rng.random_range(1 << 30..=i32::MAX);
            let usual = -((spread as f64 / 100.0).log2() as i8);
            let range = if maker.packable { -PACKED_SHIFT_MAX..=-1 } else { -31..=30 };
            let shift = if maker.rng.random_ratio(1, 8) { maker.rng.random_range(range) } else { usual };
            let multiplier = Multiplier { mantissa, shift };
            ChannelParams { bias: maker.rng.random_range(-spread..=spread), multiplier }.to_bytes()
        })
    }

    fn dense_constants(&mut self, len: u32, outputs: u32, products: u32) -> Weights {
        self.layer_constants(len, outputs, products, |maker, spread| {
            // Whole divisors make ties.
            let usual = 100.0 / f64::from(spread);
            let divisor = 24.0 * f64::from(maker.rng.random_range(1..10));
            let far = maker.rng.random_range(1.0..2.0) * 2_f64.powi(maker.rng.random_range(-70..70));
            let factor = [usual * maker.rng.random_range(0.5..1.0), 1.0 / divisor, far][maker.rng.random_range(0..3)];
            let multiplier = DoubleMultiplier { bits: factor.to_bits() };
            DenseParams { bias: maker.rng.random_range(-spread..=spread), multiplier }.to_bytes()
        })
    }

    /// Weights, then an entry for each output; `entry` is told how far sums of `products` products usually spread.
    fn layer_constants(
        &mut self,
        len: u32,
        outputs: u32,
        products: u32,
        entry: impl Fn(&mut Self, i32) -> [u8; CHANNEL_LEN],
    ) -> Weights {
        let weights = self.bytes(len);
        let channels = self.weights.len().next_multiple_of(4);
        self.weights.resize(channels, 0);
        let spread = (f64::from(products).sqrt() * 5000.0) as i32;
        for _ in 0..outputs {
            let bytes = entry(self, spread);
            self.weights.extend(bytes);
        }
        Weights { layout: Layout::Plain, weights, channels: channels as u32 }
    }

    fn pointwise(&mut self, input: Tensor, output: Tensor) -> Op {
        self.conv2d(input, output, Window::square(1, 1))
    }

    fn conv2d(&mut self, input: Tensor, output: Tensor, window: Window) -> Op {
        let products = window.taps() as u32 * input.channels;
        self.packable = self.rng.random();
        let weights = self.constants(products * output.channels, output.channels, products);
        let activation = if self.packable || window.taps() == 1 { Activation::NONE } else { self.activation() };
        let scratch = self.end.next_multiple_of(16);
        let mut op = Conv2d { input, output, window, weights, activation, scratch };
        if self.packable {
            self.pack(&mut op);
        }
        self.packable = false;
        let op = Op::Conv2d(op);
        self.end = scratch + op.scratch_len();
        op
    }

    fn dense(&mut self, input: Tensor, output: Tensor) -> Op {
        let products = input.len() as u32 / u32::from(output.height);
        let weights = self.dense_constants(products * output.channels, output.channels, products);
        let activation = if self.rng.random_ratio(1, 8) { self.activation() } else { Activation::NONE };
        let mut op = Dense { input, output, weights, activation };
        if self.rng.random() {
            self.pack_dense(&mut op);
        }
        Op::Dense(op)
    }

    fn windowed(&mut self, input: Tensor, channels: u32, dilated: bool) -> (Tensor, Window) {
        // A few windows have more taps along one axis than a byte can count.
        let long: u32 = self.rng.random_range(0..200);
        let (height, kernel_h, stride_h, dilation_h, pad_top) = self.axis(input.height, dilated, long == 0);
        let (width, kernel_w, stride_w, dilation_w, pad_left) = self.axis(input.width, dilated, long == 1);
        let window = Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left };
        let zero_point = if dilated { self.any_i8() } else { input.zero_point };
        let scale = if dilated { 0.02 } else { input.scale };
        (self.tensor(height, width, channels, scale, zero_point), window)
    }

    /// Output size, kernel, stride, dilation and leading padding along one axis.
    fn axis(&mut self, inputs: u16, dilated: bool, long: bool) -> (u16, u16, u16, u16, u16) {
        let kernel: u16 = if long { self.rng.random_range(250..=300) } else { self.rng.random_range(1..=4) };
        let stride: u16 = self.rng.random_range(1..=3);
        let dilation: u16 = if dilated { self.rng.random_range(1..=2) } else { 1 };
        let pad = self.rng.random_range(0..=(kernel - 1) * dilation);
        let most = (inputs + pad - 1) / stride + 1;
        (self.rng.random_range(1..=most), kernel, stride, dilation, pad)
    }

    fn pool(&mut self, input: Tensor) -> Pool2d {
        let (output, window) = self.windowed(input, input.channels, false);
        Pool2d { input, output, window, activation: self.activation() }
    }

    /// Mostly the usual shift, sometimes any.
    fn multiplier(&mut self, usual: i8) -> Multiplier {
        let shift = if self.rng.random_ratio(1, 8) { self.rng.random_range(-31..=30) } else { usual };
        let mantissa = self.rng.random_range(1 << 30..=i32::MAX);
        Multiplier { mantissa: if self.rng.random_ratio(1, 16) { 0 } else { mantissa }, shift }
    }

    fn constant(&mut self, output: Tensor) -> Op {
        Op::Constant(Constant { output, values: self.bytes(output.len() as u32) })
    }

    fn like(&mut self, input: Tensor) -> Tensor {
        self.tensor(input.height, input.width, input.channels, input.scale, input.zero_point)
    }

    /// The same operator, often with its output over an input where that is allowed: as far up as may be, or anywhere.
    fn overlapping(&mut self, op: Op) -> Op {
        let inputs: Vec<Tensor> = op.inputs().copied().filter(|input| op.overlap(input).is_some()).collect();
        if inputs.is_empty() || self.rng.random() {
            return op;
        }
        let input = inputs[self.rng.random_range(0..inputs.len())];
        let Some(Overlap { most, step }) = op.overlap(&input) else { return op };
        let (most, step) = (most.min(input.len() as i64 - 1), i64::from(step));
        let down = if self.rng.random() { 0 } else { self.rng.random_range(0..input.len() as i64) };
        let distance = (most - down).div_euclid(step) * step;
        let moved = u32::try_from(i64::from(input.offset) + distance).ok().and_then(|offset| with_output(op, offset));
        let fine = |moved: &Op| {
            op.inputs().all(|input| {
                let distance = i64::from(moved.output().offset) - i64::from(input.offset);
                !input.overlaps(moved.output()) || op.overlap(input).is_some_and(|overlap| overlap.allows(distance))
            })
        };
        moved.filter(fine).unwrap_or(op)
    }
}

/// An operator that may overlap its input, with its output at another offset.
fn with_output(mut op: Op, offset: u32) -> Option<Op> {
    let output = match &mut op {
        Op::Conv2d(op) | Op::DepthwiseConv2d(op) => &mut op.output,
        Op::Add(op) => &mut op.output,
        Op::Mul(op) => &mut op.output,
        Op::Clamp(op) => &mut op.output,
        Op::Lookup(op) => &mut op.output,
        Op::Reshape(op) => &mut op.output,
        _ => return None,
    };
    output.offset = offset;
    Some(op)
}
