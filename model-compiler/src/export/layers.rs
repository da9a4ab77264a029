//! Layers with weights, and poolings.

use std::iter::zip;

use no_std_infer::format::{Conv2d, Dense, Pool2d, Tensor, Window};
use no_std_infer::operators::{ChannelParams, DenseParams};
use oracle::weights::{Layer, dense_layer, depthwise_layer, layer};

use super::{Error, Exporter, Result, Value, four_sides, function};
use crate::import::lower::window_axis;
use crate::import::model::Options;
use crate::import::tflite::tflite::{
    BuiltinOperator, BuiltinOptions, Conv2DOptions, DepthwiseConv2DOptions, FullyConnectedOptions, Padding,
    Pool2DOptions, TensorType,
};
use crate::layout::pack::constant_value;
use crate::quantise::{layer_factor, multiplier};

/// A layer's weights as they are written.
struct Constants {
    /// The tensor's sides, and which of them has a scale for each index.
    shape: Vec<i32>,
    axis: i32,
    /// In the order of these sides.
    weights: Vec<u8>,
    scales: Vec<f32>,
    bias: Vec<i32>,
}

impl Exporter<'_> {
    pub(super) fn add_conv2d(&mut self, op: &Conv2d, name: &str) -> Result<()> {
        let input = self.find_with_four_sides(&op.input)?;
        let layer = layer(op, self.section, op.input.channels as usize);
        let w = &op.window;
        let constants = Constants {
            shape: vec![op.output.channels as i32, w.kernel_h.into(), w.kernel_w.into(), op.input.channels as i32],
            axis: 0,
            weights: bytes(layer.weights.as_slice().iter().flatten()),
            scales: scales(&layer, input.quantisation.scale, &op.output)?,
            bias: biases(&layer.weights, layer.channels.iter().map(|channel| channel.bias), &input)?,
        };
        let (padding, input) = self.padded(op, input, name)?;
        let options = BuiltinOptions::Conv2DOptions(Box::new(Conv2DOptions {
            padding,
            stride_w: w.stride_w.into(),
            stride_h: w.stride_h.into(),
            fused_activation_function: function(op.activation, &op.output)?,
            dilation_w_factor: w.dilation_w.into(),
            dilation_h_factor: w.dilation_h.into(),
        }));
        let output = (name, &op.output, four_sides(&op.output));
        self.add_layer(output, BuiltinOperator::Conv2d, &input, constants, options);
        Ok(())
    }

    pub(super) fn add_depthwise(&mut self, op: &Conv2d, name: &str) -> Result<()> {
        let input = self.find_with_four_sides(&op.input)?;
        let layer = depthwise_layer(op, self.section);
        let w = &op.window;
        let by_tap = (0..w.taps()).flat_map(|tap| layer.weights.iter().filter_map(move |taps| taps.get(tap)));
        let constants = Constants {
            shape: vec![1, w.kernel_h.into(), w.kernel_w.into(), op.output.channels as i32],
            axis: 3,
            weights: bytes(by_tap),
            scales: scales(&layer, input.quantisation.scale, &op.output)?,
            bias: biases(&layer.weights, layer.channels.iter().map(|channel| channel.bias), &input)?,
        };
        let (padding, input) = self.padded(op, input, name)?;
        let options = BuiltinOptions::DepthwiseConv2DOptions(Box::new(DepthwiseConv2DOptions {
            padding,
            stride_w: w.stride_w.into(),
            stride_h: w.stride_h.into(),
            depth_multiplier: (op.output.channels / op.input.channels) as i32,
            fused_activation_function: function(op.activation, &op.output)?,
            dilation_w_factor: w.dilation_w.into(),
            dilation_h_factor: w.dilation_h.into(),
        }));
        let output = (name, &op.output, four_sides(&op.output));
        self.add_layer(output, BuiltinOperator::DepthwiseConv2d, &input, constants, options);
        Ok(())
    }

    pub(super) fn add_dense(&mut self, op: &Dense, name: &str) -> Result<()> {
        let input = self.find(&op.input)?;
        let layer = dense_layer(op, self.section);
        let mut scales = dense_scales(&layer, [input.quantisation.scale, op.output.scale])?;
        if scales.iter().all(|scale| *scale == scales[0]) {
            scales.truncate(1);
        }
        let constants = Constants {
            shape: vec![op.output.channels as i32, op.inputs() as i32],
            axis: 0,
            weights: bytes(layer.weights.iter().flatten()),
            scales,
            bias: biases(&layer.weights, layer.channels.iter().map(|channel| channel.bias), &input)?,
        };
        let options = BuiltinOptions::FullyConnectedOptions(Box::new(FullyConnectedOptions {
            fused_activation_function: function(op.activation, &op.output)?,
            ..FullyConnectedOptions::default()
        }));
        // LiteRT takes the input as vectors, and gives as many.
        let vectors = i32::from(op.output.height) * i32::from(op.output.width);
        let output = (name, &op.output, vec![vectors, op.output.channels as i32]);
        self.add_layer(output, BuiltinOperator::FullyConnected, &input, constants, options);
        Ok(())
    }

    pub(super) fn add_pool(&mut self, op: &Pool2d, code: BuiltinOperator, name: &str) -> Result<()> {
        let input = self.find_with_four_sides(&op.input)?;
        let (padding, border) = padding(&op.window, &op.input, &op.output).ok_or(Error::Padding)?;
        if border != [[0; 2]; 2] {
            return Err(Error::Padding);
        }
        let w = &op.window;
        let options = BuiltinOptions::Pool2DOptions(Box::new(Pool2DOptions {
            padding,
            stride_w: w.stride_w.into(),
            stride_h: w.stride_h.into(),
            filter_width: w.kernel_w.into(),
            filter_height: w.kernel_h.into(),
            fused_activation_function: function(op.activation, &op.output)?,
        }));
        let output = self.make(name, op.output, four_sides(&op.output), input.quantisation);
        self.writer.op(code, &[input.index], output, Some(options));
        Ok(())
    }

    /// Adds an operator with a window. Where it makes fewer rows or columns than TensorFlow Lite's would, that makes them all, and a
    /// SLICE takes the first.
    pub(super) fn add_windowed(
        &mut self,
        (window, input, output): (&Window, &Tensor, &Tensor),
        name: &str,
        add: impl FnOnce(&mut Self, Tensor) -> Result<()>,
    ) -> Result<()> {
        let whole = whole(window, input, output);
        add(self, whole)?;
        if whole == *output {
            return Ok(());
        }
        let Some(made) = self.values.pop() else { return Ok(()) };
        let begin = self.integers(&format!("{name}: begin"), &[0; 4]);
        let size = self.integers(&format!("{name}: size"), &four_sides(output));
        let part = self.make(&format!("{name}: part"), *output, four_sides(output), made.quantisation);
        self.writer.op(BuiltinOperator::Slice, &[made.index, begin, size], part, None);
        Ok(())
    }

    fn add_layer(
        &mut self,
        output: (&str, &Tensor, Vec<i32>),
        code: BuiltinOperator,
        input: &Value,
        constants: Constants,
        options: BuiltinOptions,
    ) {
        let Constants { shape, axis, weights, scales, bias } = constants;
        let of_bias = scales.iter().map(|scale| input.quantisation.scale * scale).collect();
        let name = output.0;
        let kernel = self.writer.channelwise(&format!("{name}: weights"), &shape, TensorType::Int8, axis, scales);
        self.writer.fill(kernel, weights);
        let sides = [bias.len() as i32];
        let biases = self.writer.channelwise(&format!("{name}: bias"), &sides, TensorType::Int32, 0, of_bias);
        self.writer.fill(biases, bias.iter().flat_map(|bias| bias.to_le_bytes()).collect());
        self.push(output, code, &[input.index, kernel, biases], Some(options));
    }

    /// The padding of a convolution and what it reads: the input, or the input behind a PAD.
    fn padded(&mut self, op: &Conv2d, input: Value, name: &str) -> Result<(Padding, Value)> {
        let (padding, border) = padding(&op.window, &op.input, &op.output).ok_or(Error::Padding)?;
        if border == [[0; 2]; 2] {
            return Ok((padding, input));
        }
        let [[top, left], [bottom, right]] = border;
        let Value { place, quantisation, .. } = input;
        let shape = vec![
            1,
            i32::from(place.height) + top + bottom,
            i32::from(place.width) + left + right,
            place.channels as i32,
        ];
        let border = [0, 0, top, bottom, left, right, 0, 0];
        let border = self.writer.integers(&format!("{name}: border"), &[4, 2], &border);
        let index =
            self.writer.int8(&format!("{name}: padded"), &shape, quantisation.scale, quantisation.zero_point.into());
        self.writer.op(BuiltinOperator::Pad, &[input.index, border], index, None);
        Ok((padding, Value { place, index, shape, quantisation }))
    }
}

/// TensorFlow Lite's padding for a window, and a border that is put around the input before: rows above and columns to the left,
/// then below and to the right. `None` where rows or columns are left out that such a window would take.
fn padding(window: &Window, input: &Tensor, output: &Tensor) -> Option<(Padding, [[i32; 2]; 2])> {
    let before = [window.pad_top, window.pad_left].map(i32::from);
    let plain = Options {
        stride: [window.stride_h, window.stride_w].map(i32::from),
        dilation: [window.dilation_h, window.dilation_w].map(i32::from),
        ..Options::default()
    };
    let kernel = [window.kernel_h, window.kernel_w].map(usize::from);
    let [inputs, outputs] = [input, output].map(|tensor| [tensor.height, tensor.width].map(usize::from));
    let gives = |options: &Options| {
        (0..2).all(|at| {
            let axis = window_axis(options, at, kernel[at], inputs[at], outputs[at]);
            axis.is_ok_and(|[.., pad]| i32::from(pad) == before[at])
        })
    };
    if gives(&plain) {
        return Some((Padding::Valid, [[0; 2]; 2]));
    }
    if gives(&Options { same: true, ..plain }) {
        return Some((Padding::Same, [[0; 2]; 2]));
    }
    let after = |at: usize| {
        let reach = (kernel[at] as i64 - 1) * i64::from(plain.dilation[at]) + 1;
        let read = (outputs[at] as i64 - 1) * i64::from(plain.stride[at]) + reach;
        u16::try_from((read - inputs[at] as i64 - i64::from(before[at])).max(0)).ok().map(i32::from)
    };
    let border = [before, [after(0)?, after(1)?]];
    gives(&Options { border, ..plain }).then_some((Padding::Valid, border))
}

/// The output with all rows and columns of a window without padding, where it has fewer.
fn whole(window: &Window, input: &Tensor, output: &Tensor) -> Tensor {
    let side = |[inputs, outputs]: [u16; 2], [kernel, stride, dilation, pad]: [u16; 4]| {
        let reach = (u32::from(kernel) - 1) * u32::from(dilation) + 1;
        let room = u32::from(inputs).checked_sub(reach).filter(|_| pad == 0);
        room.map_or(outputs, |room| outputs.max((room / u32::from(stride) + 1) as u16))
    };
    let w = window;
    Tensor {
        height: side([input.height, output.height], [w.kernel_h, w.stride_h, w.dilation_h, w.pad_top]),
        width: side([input.width, output.width], [w.kernel_w, w.stride_w, w.dilation_w, w.pad_left]),
        ..*output
    }
}

fn bytes<'w>(weights: impl Iterator<Item = &'w i8>) -> Vec<u8> {
    weights.map(|&weight| weight as u8).collect()
}

/// The biases before the input's zero point was folded in.
fn biases(weights: &[Vec<i8>], folded: impl Iterator<Item = i32>, input: &Value) -> Result<Vec<i32>> {
    let zero_point = i64::from(input.quantisation.zero_point);
    let bias = |(channel, (weights, folded)): (usize, (&Vec<i8>, i32))| {
        let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        i32::try_from(i64::from(folded) + zero_point * sum).map_err(|_| Error::Bias { channel })
    };
    zip(weights, folded).enumerate().map(bias).collect()
}

/// The scales of weights that give each channel's multiplier, or the value of a channel that is the same for every input.
fn scales(layer: &Layer<ChannelParams>, input: f32, output: &Tensor) -> Result<Vec<f32>> {
    let scale = |(channel, (params, row)): (usize, (&ChannelParams, &Vec<i8>))| {
        let wanted = params.multiplier;
        let constant = |multiplier| {
            constant_value(row.iter().copied(), ChannelParams { multiplier, ..*params }, output.zero_point)
        };
        let value = constant(wanted);
        let fits = |given| given == wanted || (value.is_some() && constant(given) == value);
        let factor = f64::from(wanted.mantissa) * 2.0_f64.powi(i32::from(wanted.shift) - 31);
        weight_scale(factor, [input, output.scale], |factor| multiplier(factor).is_some_and(fits))
            .ok_or(Error::WeightScale { channel })
    };
    zip(&layer.channels, &layer.weights).enumerate().map(scale).collect()
}

/// The same of a fully connected layer.
fn dense_scales(layer: &Layer<DenseParams>, [input, output]: [f32; 2]) -> Result<Vec<f32>> {
    let scale = |(channel, params): (usize, &DenseParams)| {
        let wanted = params.multiplier.bits;
        weight_scale(f64::from_bits(wanted), [input, output], |factor| factor.to_bits() == wanted)
            .ok_or(Error::WeightScale { channel })
    };
    layer.channels.iter().enumerate().map(scale).collect()
}

/// The scale of weights from which a factor follows that fits.
fn weight_scale(factor: f64, [input, output]: [f32; 2], fits: impl Fn(f64) -> bool) -> Option<f32> {
    let nearest = (factor * f64::from(output) / f64::from(input)) as f32;
    let around = [nearest, nearest.next_up(), nearest.next_down()];
    around.into_iter().find(|&scale| scale.is_finite() && scale >= 0.0 && fits(layer_factor(input, scale, output)))
}
