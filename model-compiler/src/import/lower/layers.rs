//! Layers with weights, and poolings.

use no_std_infer::format::{Conv2d, Dense, Layout, Op, Pool2d, Tensor, Weights, Window};

use super::elementwise::multiplier_of_up_to;
use super::{Lowering, fused};
use crate::import::Result;
use crate::import::model::{self, BuiltinOperator, Operator, Options, TensorType, type_name};
use crate::quantise::{Kind, Quantisation, layer_factor};

/// Most by which the scales of a pooling's input and output may differ.
const POOL_SCALE_TOLERANCE: f32 = 1e-6;

/// Most bytes that the weights of a grouped convolution may grow to.
const SPREAD_MAX: usize = 1 << 26;

/// A layer's constants as the file has them.
struct Constants<'n> {
    name: &'n str,
    shape: &'n [usize],
    values: &'n [u8],
    /// One, or one an output channel.
    scales: &'n [f32],
    bias: Option<Vec<i32>>,
}

impl<'n> Constants<'n> {
    fn scale(&self, channel: usize) -> f32 {
        self.scales.get(channel).or(self.scales.first()).copied().unwrap_or(f32::NAN)
    }

    fn bias(&self, channel: usize) -> i32 {
        self.bias.as_ref().and_then(|bias| bias.get(channel)).copied().unwrap_or(0)
    }
}

/// How a layer's weights lie in the blob.
struct Rows {
    kind: Kind,
    outputs: usize,
    taps: usize,
}

impl Rows {
    fn index(&self, channel: usize, tap: usize) -> usize {
        match self.kind {
            Kind::Depthwise => tap * self.outputs + channel,
            Kind::Convolution | Kind::Dense => channel * self.taps + tap,
        }
    }
}

impl<'n> Lowering<'n> {
    pub(super) fn add_conv2d(&mut self, op: &Operator) -> Result<()> {
        let constants = self.constants(op, 4, 0)?;
        let &[outputs, kernel_h, kernel_w, depth] = constants.shape else { unreachable!("the rank is checked") };
        let input = self.activation(op, 0)?;
        let channels = input.channels as usize;
        let index = self.output(op)?;
        let output = self.declare(index)?;
        ensure!(
            channels.is_multiple_of(depth),
            Damaged,
            "{} has {depth} input channels, the input {channels}",
            constants.name
        );
        let groups = channels / depth;
        ensure!(outputs.is_multiple_of(groups), Damaged, "{groups} groups cannot make {outputs} channels");
        ensure!(
            constants.values.len() * groups <= SPREAD_MAX,
            OutOfRange,
            "its {groups} groups would take {} bytes of weights: use fewer groups, or a depthwise convolution",
            constants.values.len() * groups
        );
        let spread;
        let values = if groups == 1 {
            constants.values
        } else {
            self.changes
                .push(format!("{}: a convolution of {groups} groups, filled up with zeros", output_name(self, op)));
            spread = spread_groups(constants.values, [outputs, kernel_h * kernel_w, depth], groups);
            &spread
        };
        let rows = Rows { kind: Kind::Convolution, outputs, taps: kernel_h * kernel_w * channels };
        let window = window(&op.options, [kernel_h, kernel_w], &input, &output)?;
        self.add_convolution(op, index, [input, output], window, &constants, (values, &rows))
    }

    pub(super) fn add_depthwise(&mut self, op: &Operator) -> Result<()> {
        let constants = self.constants(op, 4, 3)?;
        let &[one, kernel_h, kernel_w, outputs] = constants.shape else { unreachable!("the rank is checked") };
        let input = self.activation(op, 0)?;
        let index = self.output(op)?;
        let output = self.declare(index)?;
        let channels = input.channels as usize;
        ensure!(
            one == 1 && outputs.is_multiple_of(channels),
            Damaged,
            "the shape {:?} of {} does not fit {channels} input channels",
            constants.shape,
            constants.name
        );
        let rows = Rows { kind: Kind::Depthwise, outputs, taps: kernel_h * kernel_w };
        let window = window(&op.options, [kernel_h, kernel_w], &input, &output)?;
        self.add_convolution(op, index, [input, output], window, &constants, (constants.values, &rows))
    }

    fn add_convolution(
        &mut self,
        op: &Operator,
        index: usize,
        [input, output]: [Tensor; 2],
        window: Window,
        constants: &Constants<'_>,
        (values, rows): (&[u8], &Rows),
    ) -> Result<()> {
        ensure!(
            output.channels as usize == rows.outputs,
            Damaged,
            "{} has {} outputs, the layer {}",
            constants.name,
            rows.outputs,
            output.channels
        );
        let [from, to] = self.quantisations(op)?;
        let weights = self.add_weights(constants, (values, rows), [from, to])?;
        let activation = fused(op.options.activation, to)?;
        let conv = Conv2d { input, output, window, weights, activation, scratch: 0 };
        let conv = if rows.kind == Kind::Depthwise { Op::DepthwiseConv2d(conv) } else { Op::Conv2d(conv) };
        self.push(index, conv, self.network.tensors[index].name);
        Ok(())
    }

    pub(super) fn add_fully_connected(&mut self, op: &Operator) -> Result<()> {
        ensure!(
            !op.options.shuffled,
            Unsupported,
            "its weights are shuffled for one processor: export the plain format"
        );
        let constants = self.constants(op, 2, 0)?;
        let &[outputs, depth] = constants.shape else { unreachable!("the rank is checked") };
        let input = self.activation(op, 0)?;
        let index = self.output(op)?;
        let output = self.declare(index)?;
        let vectors = input.len() / depth;
        ensure!(
            input.len() == vectors * depth && output.len() == vectors * outputs && output.channels as usize == outputs,
            Damaged,
            "its shapes do not fit: {} inputs, weights {:?}, {} outputs",
            input.len(),
            constants.shape,
            output.len()
        );
        let rows = Rows { kind: Kind::Dense, outputs, taps: depth };
        let [from, to] = self.quantisations(op)?;
        let activation = fused(op.options.activation, to)?;
        let weights = self.add_weights(&constants, (constants.values, &rows), [from, to])?;
        let dense = Op::Dense(Dense { input, output, weights, activation });
        self.push(index, dense, self.network.tensors[index].name);
        Ok(())
    }

    pub(super) fn add_pool(&mut self, op: &Operator) -> Result<()> {
        let (input, index, [from, to]) = self.one_input(op)?;
        ensure!(
            (from.scale - to.scale).abs() <= POOL_SCALE_TOLERANCE && from.zero_point == to.zero_point,
            Unsupported,
            "its input and its output are quantised differently, and a pooling does not rescale"
        );
        let output = Tensor { scale: input.scale, zero_point: input.zero_point, ..self.declare(index)? };
        let filter = op.options.filter.map(|side| usize::try_from(side).unwrap_or(0));
        let window = window(&op.options, filter, &input, &output)?;
        let pool = Pool2d { input, output, window, activation: fused(op.options.activation, to)? };
        let pool = if op.code == BuiltinOperator::MaxPool2d { Op::MaxPool2d(pool) } else { Op::AveragePool2d(pool) };
        self.push(index, pool, self.network.tensors[index].name);
        Ok(())
    }

    /// Our tensor for the first input, the network's tensor that is made, and the quantisation of both.
    pub(super) fn one_input(&mut self, op: &Operator) -> Result<(Tensor, usize, [Quantisation; 2])> {
        let input = self.activation(op, 0)?;
        let index = self.output(op)?;
        self.check_int8(index)?;
        Ok((input, index, self.quantisations(op)?))
    }

    /// Quantisation of the first input and of the output.
    pub(super) fn quantisations(&self, op: &Operator) -> Result<[Quantisation; 2]> {
        let (input, output) = (self.input(op, 0)?, self.output(op)?);
        Ok([self.quantisation(input)?, self.quantisation(output)?])
    }

    /// Weights and bias: inputs 1 and 2. `axis` is the weights' side of outputs.
    fn constants(&self, op: &Operator, rank: usize, axis: usize) -> Result<Constants<'n>> {
        let output = self.output(op)?;
        self.check_int8(output)?;
        let weights = &self.network.tensors[self.input(op, 1)?];
        let model::Tensor { name, shape, quantisation, data, .. } = weights;
        let values =
            data.ok_or_else(|| refused!(Unsupported, "its weights {name} are computed: only constants are supported"))?;
        ensure!(
            weights.element == TensorType::Int8,
            Unsupported,
            "its weights {name} are of type {}, not INT8: export the model with int8 weights",
            type_name(weights.element)
        );
        ensure!(
            shape.len() == rank && !values.is_empty(),
            Damaged,
            "the shape {shape:?} of its weights {name} is not valid"
        );
        let outputs = shape.get(axis).copied().unwrap_or(0);
        let scales = quantisation.scales.as_slice();
        // The side that the file names for them counts for nothing, as with TensorFlow Lite's kernels.
        ensure!(
            scales.len() == 1 || scales.len() == outputs,
            Damaged,
            "its weights {name} have {} scales for {outputs} outputs",
            scales.len()
        );
        ensure!(
            quantisation.zero_points.iter().all(|&zero_point| zero_point == 0),
            Unsupported,
            "its weights {name} have zero points: export the model with symmetric weights"
        );
        ensure!(
            scales.iter().all(|scale| scale.is_finite() && *scale >= 0.0),
            Damaged,
            "a scale of its weights {name} is not a positive number"
        );
        let bias = match op.inputs.get(2).copied().flatten() {
            Some(bias) => {
                let tensor = &self.network.tensors[bias];
                ensure!(
                    tensor.element == TensorType::Int32 && tensor.len() == outputs,
                    Unsupported,
                    "its bias {} is {:?} of {}, not {outputs} of INT32",
                    tensor.name,
                    tensor.shape,
                    type_name(tensor.element)
                );
                Some(tensor.integers()?)
            }
            None => None,
        };
        Ok(Constants { name, shape, values, scales, bias })
    }

    /// Puts weights and channel parameters into the weights section.
    fn add_weights(
        &mut self,
        constants: &Constants<'_>,
        (values, rows): (&[u8], &Rows),
        [from, to]: [Quantisation; 2],
    ) -> Result<Weights> {
        let mut parameters = Vec::new();
        for channel in 0..rows.outputs {
            let weights = (0..rows.taps).filter_map(|tap| values.get(rows.index(channel, tap)));
            let weights = weights.map(|&weight| i64::from(weight as i8));
            let sum: i64 = weights.clone().sum();
            let folded = i64::from(constants.bias(channel)) - i64::from(from.zero_point) * sum;
            let bias = i32::try_from(folded).map_err(|_| {
                refused!(
                    OutOfRange,
                    "the sums of its output channel {channel} could overflow 32 bits: make the layer smaller"
                )
            })?;
            let factor = layer_factor(from.scale, constants.scale(channel), to.scale);
            if rows.kind != Kind::Dense {
                let (largest, smallest) = weights.fold((folded, folded), |(largest, smallest), weight| {
                    (largest + (127 * weight).max(-128 * weight), smallest + (127 * weight).min(-128 * weight))
                });
                multiplier_of_up_to(largest.unsigned_abs().max(smallest.unsigned_abs()), factor)
                    .map_err(|error| error.within(format!("output channel {channel}")))?;
            }
            let entry = rows.kind.parameters(bias, factor);
            let out_of_range =
                || refused!(OutOfRange, "the multiplier {factor:e} of its output channel {channel} is out of range");
            parameters.extend(entry.ok_or_else(out_of_range)?);
        }
        let weights = self.builder.add_constant(values);
        Ok(Weights { layout: Layout::Plain, weights, channels: self.builder.add_constant(&parameters) })
    }
}

fn output_name<'n>(lowering: &Lowering<'n>, op: &Operator) -> &'n str {
    op.outputs.first().map_or("", |&tensor| lowering.network.tensors[tensor].name)
}

/// Weights `[out][taps][depth]` of a grouped convolution as those of an ordinary one, `[out][taps][groups · depth]`.
fn spread_groups(values: &[u8], [outputs, taps, depth]: [usize; 3], groups: usize) -> Vec<u8> {
    let mut spread = vec![0; values.len() * groups];
    let runs = values.chunks_exact(depth).zip(spread.chunks_exact_mut(depth * groups));
    for (pixel, (run, slot)) in runs.enumerate() {
        let group = pixel / taps / (outputs / groups);
        slot.chunks_exact_mut(depth).skip(group).take(1).for_each(|slot| slot.copy_from_slice(run));
    }
    spread
}

/// The window of an operator that makes `output` from `input`.
fn window(options: &Options, kernel: [usize; 2], input: &Tensor, output: &Tensor) -> Result<Window> {
    let sides = |tensor: &Tensor| [usize::from(tensor.height), usize::from(tensor.width)];
    let axis = |at: usize| window_axis(options, at, kernel[at], sides(input)[at], sides(output)[at]);
    let [[kernel_h, stride_h, dilation_h, pad_top], [kernel_w, stride_w, dilation_w, pad_left]] = [axis(0)?, axis(1)?];
    Ok(Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left })
}

/// Kernel, stride, dilation and padding before the input, along height (`at` 0) or width (1).
///
/// # Errors
/// When the outputs do not follow from the inputs, or a number is above 65,535.
pub fn window_axis(options: &Options, at: usize, kernel: usize, inputs: usize, outputs: usize) -> Result<[u16; 4]> {
    let positive = |value: i32, what: &str| {
        let value = usize::try_from(value).ok().filter(|&value| value > 0);
        value.ok_or_else(|| refused!(Damaged, "its {what} is not positive"))
    };
    let stride = positive(options.stride[at], "stride")?;
    let dilation = positive(options.dilation[at], "dilation")?;
    ensure!(kernel > 0, Damaged, "its window is empty");
    let reach = (kernel - 1) * dilation + 1;
    let zeros = |border: [i32; 2]| usize::try_from(border[at]).map_err(|_| refused!(Damaged, "its border is negative"));
    let [before, after] = [zeros(options.border[0])?, zeros(options.border[1])?];
    let (expected, pad) = if options.same {
        let expected = inputs.div_ceil(stride);
        (expected, ((expected - 1) * stride + reach).saturating_sub(inputs) / 2)
    } else {
        ((inputs + before + after + stride).saturating_sub(reach) / stride, before)
    };
    ensure!(
        outputs == expected,
        Damaged,
        "an output of {outputs} rows or columns does not follow from {inputs} with its window: the file is damaged"
    );
    let number = |value: usize, what: &str| {
        u16::try_from(value).map_err(|_| refused!(OutOfRange, "its {what} of {value} is above 65,535"))
    };
    Ok([number(kernel, "window")?, number(stride, "stride")?, number(dilation, "dilation")?, number(pad, "padding")?])
}
