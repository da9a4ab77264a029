//! Puts each layer's constants into the layout that runs fastest and that the layer's weights allow.

mod winograd;

use no_std_infer::fixed::{DoubleMultiplier, Multiplier, clamp_i8};
use no_std_infer::format::{Activation, Add, Conv2d, DENSE_BLOCK_LEN, DEPTHWISE_LEN, Dense, Layout, Op, Weights};
use no_std_infer::operators::{
    ChannelParams, DENSE_BLOCK, DenseParams, DensePlain, Form, OutputParams, PackedDepthwise, PackedParams, PatchOrder,
    Plain, dense_position, plain_depthwise_weights, plain_weights,
};

use crate::quantise::QuantModel;

pub use winograd::{Price, winograd_conv2d};

/// The same model with its layers packed where that is possible, so that it runs fast with at most `flash` bytes of
/// weights and tables. What it computes stays the same, byte for byte.
///
/// Packing takes hardly more than the weights themselves and is done whatever the budget. What is left of it goes to
/// convolutions whose transformed weights save instructions, to those that together save the most; see [`Price`].
#[must_use]
pub fn pack(model: &QuantModel, flash: usize) -> QuantModel {
    let with = |forms: &[Option<Form>]| {
        let mut constants = Section::default();
        let ops = model.ops.iter().zip(forms).map(|(op, &form)| constants.add(op, &model.constants, form)).collect();
        QuantModel { ops, constants: constants.0, ..model.clone() }
    };
    let smallest = with(&vec![None; model.ops.len()]);
    let left = flash.saturating_sub(smallest.constants.len());
    with(&winograd::choose(&smallest.ops, left))
}

/// How a model's constants are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Constants {
    /// [Packed](pack), for cores without vector instructions.
    #[default]
    Packed,
    /// [Plain](plain), for cores with them.
    Plain,
}

/// The same model with plain weights, and tables for its sums.
#[must_use]
pub fn plain(model: &QuantModel) -> QuantModel {
    let mut constants = Section::default();
    let ops = model.ops.iter().map(|op| constants.add_plain(op, &model.constants)).collect();
    QuantModel { ops, constants: constants.0, ..model.clone() }
}

/// A weights section that grows.
#[derive(Default)]
struct Section(Vec<u8>);

impl Section {
    /// An operator whose constants lie in `source`, with them in this section; a convolution's transformed if that is
    /// asked for and possible.
    fn add(&mut self, op: &Op, source: &[u8], form: Option<Form>) -> Op {
        let mut op = *op;
        match &mut op {
            Op::Conv2d(layer)
                if let Some(form) = form
                    && let Some((words, channels)) = winograd_conv2d(form, layer, source) =>
            {
                layer.weights = self.layer(form.layout(), &words, &channels);
            }
            Op::Conv2d(layer) if let Some((words, channels)) = packed_conv2d(layer, source) => {
                layer.weights = self.layer(Layout::Packed, &words, &channels);
            }
            Op::DepthwiseConv2d(layer) if let Some((weights, channels)) = packed_depthwise(layer, source) => {
                layer.weights = self.layer(Layout::Packed, &weights, &channels);
            }
            Op::Dense(layer) if let Some((weights, channels)) = packed_dense(layer, source) => {
                layer.weights = self.layer(Layout::Packed, &weights, &channels);
            }
            _ => return self.add_plain(&op, source),
        }
        op
    }

    /// The same with plain weights.
    fn add_plain(&mut self, op: &Op, source: &[u8]) -> Op {
        let mut op = *op;
        match &mut op {
            Op::Conv2d(layer) => layer.weights = self.copy_plain(conv2d(layer, source), layer.weights),
            Op::DepthwiseConv2d(layer) => layer.weights = self.copy_plain(depthwise(layer, source), layer.weights),
            Op::Dense(layer) => {
                if let Some(DensePlain { weights, channels }) = dense(layer, source) {
                    layer.weights = self.layer(Layout::Plain, weights, channels.bytes());
                }
            }
            Op::Add(add) => self.add_tables(add),
            Op::Lookup(lookup) => lookup.table = self.copy(source, lookup.table, 256),
            Op::Constant(constant) => constant.values = self.copy(source, constant.values, constant.output.len()),
            _ => {}
        }
        op
    }

    fn copy_plain(&mut self, constants: Option<Plain<'_>>, weights: Weights) -> Weights {
        match constants {
            Some(Plain { weights, channels }) => self.layer(Layout::Plain, weights, channels.bytes()),
            None => weights,
        }
    }

    fn copy(&mut self, source: &[u8], start: u32, len: usize) -> u32 {
        let start = start as usize;
        self.push(source.get(start..start + len).unwrap_or_default())
    }

    fn add_tables(&mut self, add: &mut Add) {
        let Some(need) = add.needs_tables() else { return };
        for summand in (0..2).filter(|&summand| need[summand]) {
            let entries = (0..=u8::MAX).map(|value| add.table_entry(need, summand, value as i8));
            add.tables[summand] = Some(self.push(&entries.flat_map(i32::to_le_bytes).collect::<Vec<u8>>()));
        }
    }

    fn layer(&mut self, layout: Layout, weights: &[u8], channels: &[u8]) -> Weights {
        Weights { layout, weights: self.push(weights), channels: self.push(channels) }
    }

    /// Appends constants at a multiple of 16.
    fn push(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(16), 0);
        let start = self.0.len();
        self.0.extend(bytes);
        start as u32
    }
}

/// Words and channel parameters of a convolution in [`Layout::Packed`], whose plain constants lie in `section`; `None`
/// when a condition does not hold.
#[must_use]
pub fn packed_conv2d(op: &Conv2d, section: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let order = PatchOrder::conv2d(op);
    if op.activation != Activation::NONE || (op.window.dilation_w > 1 && order.left_over() > 0) {
        return None;
    }
    let zero_point = op.output.zero_point;
    let (weights, channels) = fast_constants(op, section)?;
    let (mut words, mut entries) = (Vec::new(), Vec::new());
    for (rows, channels) in weights.chunks(2 * order.len()).zip(channels.chunks(2)) {
        let (a, b) = rows.split_at(order.len());
        words.extend(packed_row(order, a, b)?);
        for (row, channel) in [a, b].into_iter().zip(channels) {
            entries.extend(packed_channel(row, *channel, zero_point)?.to_bytes());
        }
        if channels.len() == 1 {
            let none = ChannelParams { bias: 0, multiplier: Multiplier { mantissa: 0, shift: -1 } };
            entries.extend(PackedParams::new(none, zero_point)?.to_bytes());
        }
    }
    Some((words, entries))
}

/// The constants of a convolution, where they are plain.
fn conv2d<'a>(op: &Conv2d, section: &'a [u8]) -> Option<Plain<'a>> {
    if op.weights.layout == Layout::Plain { plain_weights(op, section) } else { None }
}

/// The same of a depthwise convolution.
fn depthwise<'a>(op: &Conv2d, section: &'a [u8]) -> Option<Plain<'a>> {
    if op.weights.layout == Layout::Plain { plain_depthwise_weights(op, section) } else { None }
}

/// The same of a fully connected layer.
fn dense<'a>(op: &Dense, section: &'a [u8]) -> Option<DensePlain<'a>> {
    if op.weights.layout == Layout::Plain { DensePlain::find(op, section) } else { None }
}

/// Plain weights and channel parameters of a convolution, those of constant channels replaced by ones that the fast
/// requantisation allows.
fn fast_constants(op: &Conv2d, section: &[u8]) -> Option<(Vec<u8>, Vec<ChannelParams>)> {
    let Plain { weights, channels } = conv2d(op, section)?;
    let (mut weights, mut channels): (Vec<u8>, Vec<ChannelParams>) = (weights.to_vec(), channels.iter().collect());
    for (row, channel) in weights.chunks_mut(PatchOrder::conv2d(op).len()).zip(&mut channels) {
        fold_constant(row, channel, op.output.zero_point);
    }
    Some((weights, channels))
}

/// Weights and channel parameters of a depthwise convolution in [`Layout::Packed`], whose plain constants lie in `section`;
/// `None` when a condition does not hold.
#[must_use]
pub fn packed_depthwise(op: &Conv2d, section: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let Plain { weights, channels } = depthwise(op, section)?;
    let single = op.input.channels == op.output.channels;
    if op.activation != Activation::NONE || !single || !op.window.is_packable_depthwise() {
        return None;
    }
    let outputs = op.output.channels as usize;
    let (mut bytes, mut entries) = (Vec::new(), Vec::new());
    for (c, mut channel) in channels.iter().enumerate() {
        let mut taps = PackedDepthwise::TAPS.map(|tap| weights[tap * outputs + c]);
        fold_constant(&mut taps, &mut channel, op.output.zero_point);
        entries.extend(packed_channel(&taps, channel, op.output.zero_point)?.to_bytes());
        bytes.extend(taps);
        bytes.resize((c + 1) * DEPTHWISE_LEN, 0);
    }
    Some((bytes, entries))
}

/// Weights and channel parameters of a dense layer in [`Layout::Packed`], whose plain constants lie in `section`; `None`
/// when a condition does not hold.
#[must_use]
pub fn packed_dense(op: &Dense, section: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let DensePlain { weights, channels } = dense(op, section)?;
    let (inputs, outputs) = (op.inputs(), op.output.channels as usize);
    if op.activation != Activation::NONE || !inputs.is_multiple_of(DENSE_BLOCK) {
        return None;
    }
    let padded = outputs.next_multiple_of(DENSE_BLOCK);
    let weight = |output, input| if output < outputs { i32::from(weights[output * inputs + input] as i8) } else { 0 };
    let mut bytes = Vec::with_capacity(padded * inputs);
    for (output, input) in steps(padded).flat_map(|output| steps(inputs).map(move |input| (output, input))) {
        let mut halfwords = [0_i16; DENSE_BLOCK_LEN / 2];
        for (pair, within) in [0, 2].into_iter().flat_map(|pair| (0..DENSE_BLOCK).map(move |within| (pair, within))) {
            let [even, odd] = [0, 1].map(|odd| weight(output + pair + odd, input + within));
            halfwords[dense_position(pair, within)] = i16::try_from(even + 256 * odd).ok()?;
        }
        bytes.extend(halfwords.into_iter().flat_map(i16::to_le_bytes));
    }
    let mut channels = channels.bytes().to_vec();
    let none = DenseParams { bias: 0, multiplier: DoubleMultiplier { bits: 1_f64.to_bits() } };
    channels.extend(none.to_bytes().repeat(padded - outputs));
    Some((bytes, channels))
}

/// Where the blocks of packed dense weights begin along an axis.
fn steps(len: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by(DENSE_BLOCK)
}

/// Gives an output channel that is the same for every input weights of 0 and parameters of the same value.
fn fold_constant(weights: &mut [u8], channel: &mut ChannelParams, zero_point: i8) {
    if let Some(value) = constant_value(weights.iter().map(|&weight| weight as i8), *channel, zero_point) {
        weights.fill(0);
        *channel = constant_channel(value, zero_point);
    }
}

/// The value of an output channel that is the same for every input, clamped to int8.
///
/// Batch normalisation leaves such channels behind: their weights are tiny, their multipliers too small for the fast
/// requantisation. Outputs grow with the sum, so that it is enough to look at its smallest and its largest value.
#[must_use]
pub fn constant_value(row: impl Iterator<Item = i8>, channel: ChannelParams, zero_point: i8) -> Option<i8> {
    let (mut smallest, mut largest) = (i64::from(channel.bias), i64::from(channel.bias));
    for weight in row.map(i64::from) {
        smallest += (weight * -128).min(weight * 127);
        largest += (weight * -128).max(weight * 127);
    }
    let value = |sum: i64| {
        let scaled = channel.multiplier.apply(i32::try_from(sum).ok()?);
        Some(clamp_i8(scaled.saturating_add(zero_point.into()), i8::MIN, i8::MAX))
    };
    let value_of_smallest = value(smallest)?;
    (value(largest)? == value_of_smallest).then_some(value_of_smallest)
}

/// The parameters that make `value` of a sum of 0.
#[must_use]
pub fn constant_channel(value: i8, zero_point: i8) -> ChannelParams {
    let quarter = Multiplier { mantissa: 1 << 30, shift: -1 };
    ChannelParams { bias: 4 * (i32::from(value) - i32::from(zero_point)), multiplier: quarter }
}

/// The words of a pair of output channels; `b` is empty when the pair has one channel only.
fn packed_row(order: PatchOrder, a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let magnitude: u32 = b.iter().map(|&weight| u32::from((weight as i8).unsigned_abs())).sum();
    let mut halfwords = vec![0_i16; order.pairs() * 2];
    for (index, &a) in a.iter().enumerate() {
        let b = b.get(index).map_or(0, |&weight| i32::from(weight as i8));
        halfwords[order.position(index)] = i16::try_from(i32::from(a as i8) + 256 * b).ok()?;
    }
    (magnitude < 1 << 16).then(|| halfwords.into_iter().flat_map(i16::to_le_bytes).collect())
}

/// The parameters for the fast requantisation, where the layer's largest sum allows it.
fn packed_channel(row: &[u8], channel: ChannelParams, zero_point: i8) -> Option<PackedParams> {
    let magnitude: u64 = row.iter().map(|&weight| u64::from((weight as i8).unsigned_abs())).sum();
    let largest = u64::from(channel.bias().unsigned_abs()) + magnitude * 128;
    if largest < 1 << 30 { PackedParams::new(channel, zero_point) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_constant_channel_keeps_its_value_and_others_are_left_alone() {
        let tiny = Multiplier { mantissa: 1 << 30, shift: -28 };
        let channel = ChannelParams { bias: 1_900_000_000, multiplier: tiny };
        assert_eq!(constant_value([3, -2].into_iter(), channel, -128), Some(-124));
        let live = ChannelParams { bias: 0, multiplier: Multiplier { shift: -7, ..tiny } };
        assert_eq!(constant_value([3, -2].into_iter(), live, -128), None);
    }

    proptest! {
        #[test]
        fn the_parameters_of_a_constant_make_it(value: i8, zero_point: i8) {
            let channel = constant_channel(value, zero_point);
            prop_assert_eq!(constant_value(std::iter::empty(), channel, zero_point), Some(value));
        }
    }
}
