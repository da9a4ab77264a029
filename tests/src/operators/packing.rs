//! Random convolutions in the layouts that kernels prefer.

use model_compiler::layout::pack::{packed_conv2d, packed_dense, packed_depthwise, winograd_conv2d};
use no_std_infer::format::{Activation, CHANNEL_LEN, Conv2d, Dense, Layout, Op, Tensor, Weights, Window};
use no_std_infer::operators::Form;
use rand::RngExt;

use super::Maker;

impl Maker {
    /// A convolution like those of usual networks: square, often of 1x1, over the whole input.
    pub(super) fn square_conv2d(&mut self, input: Tensor) -> Op {
        let (kernel, stride) =
            (if self.rng.random() { 1 } else { self.rng.random_range(2..=4) }, self.rng.random_range(1..=2));
        let [pad_top, pad_left] = [0; 2].map(|_: u16| self.rng.random_range(0..kernel));
        let [height, width] = [input.height, input.width].map(|side| side.div_ceil(stride));
        let channels = if self.rng.random() { input.channels } else { self.third_different(height, width) };
        let output = self.tensor(height, width, channels, 0.02, 7);
        self.conv2d(input, output, Window { pad_top, pad_left, ..Window::square(kernel, stride) })
    }

    /// Packs a convolution where its multipliers and its activation allow it.
    pub(super) fn pack(&mut self, op: &mut Conv2d) {
        self.keep_above_least(op.weights, op.window.taps() * (op.input.channels * op.output.channels) as usize);
        if let Some((words, channels)) = packed_conv2d(op, &self.weights) {
            let [weights, channels] = [words, channels].map(|bytes| self.append(&bytes));
            op.weights = Weights { layout: Layout::Packed, weights, channels };
        }
    }

    /// Packs a dense layer where its vectors and its activation allow it, sometimes with weights of the largest magnitude, and
    /// with other parameters for the outputs that fill the last block up, which a kernel may compute.
    pub(super) fn pack_dense(&mut self, op: &mut Dense) {
        let len = op.inputs() * op.output.channels as usize;
        if self.rng.random_ratio(1, 4) {
            let extreme = [127, -127][self.rng.random_range(0..2)];
            self.weights[op.weights.weights as usize..][..len].fill(extreme as u8);
        }
        self.keep_above_least(op.weights, len);
        if let Some((weights, mut channels)) = packed_dense(op, &self.weights) {
            let (first, rest) = channels.split_at_mut(CHANNEL_LEN);
            let filling = &mut rest[(op.output.channels as usize - 1) * CHANNEL_LEN..];
            if self.rng.random() {
                filling.chunks_exact_mut(CHANNEL_LEN).for_each(|entry| entry.copy_from_slice(first));
            }
            let [weights, channels] = [weights, channels].map(|bytes| self.append(&bytes));
            op.weights = Weights { layout: Layout::Packed, weights, channels };
        }
    }

    /// Makes -127 of weights of -128, which do not go into one halfword with any other.
    fn keep_above_least(&mut self, weights: Weights, len: usize) {
        for weight in &mut self.weights[weights.weights as usize..][..len] {
            *weight = (*weight as i8).max(-127) as u8;
        }
    }

    /// 3, or a multiple of 4 up to the most that are allowed, mostly of few.
    pub(super) fn winograd_channels(&mut self, form: Form) -> u32 {
        let quads = if self.rng.random() { 4 } else { form.channels_max() / 4 };
        [3, 4 * self.rng.random_range(1..=quads)][usize::from(self.rng.random_ratio(3, 4))]
    }

    /// A convolution with transformed weights, sometimes of the largest magnitude.
    pub(super) fn winograd(&mut self, form: Form, input: Tensor) -> Op {
        let [pad_top, pad_left] = [0; 2].map(|_: u16| self.rng.random_range(0..=2));
        let [height, width] = [(input.height, pad_top), (input.width, pad_left)].map(|(inputs, pad)| {
            let most = (inputs + pad - 1) / form.stride() + 1;
            if self.rng.random() { inputs.min(most) } else { self.rng.random_range(1..=most) }
        });
        let zero_point = self.any_i8();
        let same = (height, width) == (input.height, input.width) && self.rng.random();
        let channels = if same { input.channels } else { 2 * self.rng.random_range(1..12) };
        let output = self.tensor(height, width, channels, 0.02, zero_point);
        let products = 9 * input.channels;
        self.packable = true;
        let weights = self.constants(products * channels, channels, products);
        self.packable = false;
        // Without -128 as nearly all real weights, or anything.
        let least = [-127, -128][usize::from(self.rng.random_ratio(1, 4))];
        for weight in &mut self.weights[weights.weights as usize..][..(products * channels) as usize] {
            *weight = (*weight as i8).max(least) as u8;
        }
        if self.rng.random_ratio(1, 4) {
            let extremes = [[127, -127], [-128, 127], [-128, -128]][self.rng.random_range(0..3)];
            for weight in &mut self.weights[weights.weights as usize..][..(products * channels) as usize] {
                *weight = extremes[self.rng.random_range(0..2)] as u8;
            }
        }
        let window = Window { pad_top, pad_left, ..Window::square(3, form.stride()) };
        let scratch = self.end.next_multiple_of(16);
        let mut op = Conv2d { input, output, window, weights, activation: Activation::NONE, scratch };
        if let Some((words, channels)) = winograd_conv2d(form, &op, &self.weights) {
            let [weights, channels] = [words, channels].map(|bytes| self.append(&bytes));
            op.weights = Weights { layout: form.layout(), weights, channels };
        }
        let op = Op::Conv2d(op);
        self.end = scratch + op.scratch_len();
        op
    }

    /// A depthwise convolution that can be packed where its parameters allow it.
    pub(super) fn packed_depthwise(&mut self, input: Tensor) -> Op {
        let stride = self.rng.random_range(1..=2);
        let [pad_top, pad_left] = [0; 2].map(|_: u16| self.rng.random_range(0..=2));
        let window = Window { pad_top, pad_left, ..Window::square(3, stride) };
        let [height, width] = [(input.height, pad_top), (input.width, pad_left)].map(|(inputs, pad)| {
            let most = (inputs + pad - 1) / stride + 1;
            if most >= inputs && self.rng.random() { inputs } else { self.rng.random_range(1..=most) }
        });
        let zero_point = self.any_i8();
        let output = self.tensor(height, width, input.channels, 0.02, zero_point);
        self.packable = self.rng.random_ratio(15, 16);
        let weights = self.constants(9 * input.channels, input.channels, 9);
        self.packable = false;
        let mut op = Conv2d { input, output, window, weights, activation: Activation::NONE, scratch: 0 };
        if let Some((weights, channels)) = packed_depthwise(&op, &self.weights) {
            let [weights, channels] = [weights, channels].map(|bytes| self.append(&bytes));
            op.weights = Weights { layout: Layout::Packed, weights, channels };
        }
        op.scratch = self.end.next_multiple_of(16);
        let op = Op::DepthwiseConv2d(op);
        if op.scratch_len() > 0 {
            self.end = op.scratch_offset() + op.scratch_len();
        }
        op
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> u32 {
        let start = self.bytes(bytes.len() as u32);
        self.weights[start as usize..].copy_from_slice(bytes);
        start
    }
}
