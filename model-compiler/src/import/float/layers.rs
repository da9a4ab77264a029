//! Layers with weights, poolings, means and paddings of float models.

use no_std_infer::format::Window;

use super::{Normalisation, Translation, clamp, shape};
use crate::graph::{FloatOp, WeightOrder};
use crate::import::Result;
use crate::import::lower::window_axis;
use crate::import::model::{ActivationFunctionType, BuiltinOperator, Operator};
use crate::import::padding::Borders;

/// Most weights that a depthwise convolution of several outputs a channel may grow to.
const SPREAD_MAX: usize = 1 << 24;

impl Translation<'_> {
    /// Weights and bias; those of a layer that reads the picture with its normalisation.
    fn constants(&mut self, op: &Operator, order: WeightOrder, outputs: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let mut weights = self.network.tensors[self.input(op, 1)?].reals()?;
        // Weights lie in the file, while a number of outputs is only claimed: nothing is made of it before both agree.
        ensure!(
            !weights.is_empty() && weights.len().is_multiple_of(outputs),
            Damaged,
            "its {} weights do not fit {outputs} outputs",
            weights.len()
        );
        let bias = op.inputs.get(2).copied().flatten();
        let mut bias = bias.map_or(Ok(vec![0.0; outputs]), |bias| self.network.tensors[bias].reals())?;
        ensure!(bias.len() == outputs, Damaged, "its {} biases do not fit {outputs} outputs", bias.len());
        if let Some(normalisation) = self.inputs[self.input(op, 0)?] {
            self.fold(normalisation, (&mut weights, &mut bias), order)?;
        }
        Ok((weights, bias))
    }

    /// Changes a layer's constants so that it reads `pixel − 128 − zero`.
    pub(super) fn fold(
        &mut self,
        normalisation: Normalisation,
        (weights, bias): (&mut [f32], &mut [f32]),
        order: WeightOrder,
    ) -> Result<()> {
        let Normalisation { mean, std } = normalisation;
        ensure!(
            (0.0..=255.0).contains(&mean) && std.is_finite() && std > 0.0,
            Settings,
            "its input is (pixel - {mean}) / {std}, and no pixel gives 0: correct --mean and --std, which \
             are 0 and 1 for a network that rescales pixels itself"
        );
        ensure!(
            self.folded.is_none_or(|folded| folded == normalisation),
            Unsupported,
            "two layers want the picture normalised in different ways"
        );
        self.folded = Some(normalisation);
        let zero = (mean - 128.0).round();
        self.graph.zero = zero as i8;
        let rest = zero + 128.0 - mean;
        let (count, outputs) = (weights.len(), bias.len());
        for (index, weight) in weights.iter_mut().enumerate() {
            let scaled = f64::from(*weight) / std;
            let bias = &mut bias[order.output(index, count, outputs)];
            *bias = (f64::from(*bias) + scaled * rest) as f32;
            *weight = scaled as f32;
        }
        Ok(())
    }

    pub(super) fn add_convolution(&mut self, op: &Operator) -> Result<()> {
        let index = self.input(op, 1)?;
        let &[first, kernel_h, kernel_w, last] = self.network.tensors[index].shape.as_slice() else {
            return Err(refused!(Unsupported, "its weights do not have four sides"));
        };
        let value = self.shaped(op, 0)?;
        let (input, output) = (self.graph.shape(value), shape(self.network, self.output(op)?)?);
        let axis = |at: usize, kernel: usize, inputs: usize, outputs: usize| {
            window_axis(&op.options, at, kernel, inputs, outputs)
        };
        let [kernel_h, stride_h, dilation_h, pad_top] = axis(0, kernel_h, input.height, output.height)?;
        let [kernel_w, stride_w, dilation_w, pad_left] = axis(1, kernel_w, input.width, output.width)?;
        let window = Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left };
        let clamp = clamp(op.options.activation)?;
        let made = if op.code == BuiltinOperator::Conv2d {
            ensure!(
                last == input.channels && first == output.channels,
                Unsupported,
                "grouped convolutions are not supported"
            );
            let (weights, bias) = self.constants(op, WeightOrder::OutputFirst, first)?;
            FloatOp::Conv2d { window, weights, bias, clamp }
        } else {
            ensure!(first == 1 && last == output.channels, Damaged, "its weights do not fit");
            let (weights, bias) = self.constants(op, WeightOrder::ChannelLast, last)?;
            if last == input.channels {
                FloatOp::DepthwiseConv2d { window, weights, bias, clamp }
            } else {
                ensure!(
                    last.is_multiple_of(input.channels),
                    Damaged,
                    "its weights do not fit {} channels",
                    input.channels
                );
                ensure!(weights.len() * input.channels <= SPREAD_MAX, OutOfRange, "its weights are too many");
                FloatOp::Conv2d { window, weights: spread_depthwise(&weights, last, input.channels), bias, clamp }
            }
        };
        self.push(op, made, vec![value])
    }

    pub(super) fn add_dense(&mut self, op: &Operator) -> Result<()> {
        let value = self.source(op, 0)?;
        let output = shape(self.network, self.output(op)?)?;
        let depth = self.graph.shape(value).len();
        ensure!(
            output.len() == output.channels,
            Unsupported,
            "several vectors through one dense layer are not supported"
        );
        let (weights, bias) = self.constants(op, WeightOrder::OutputFirst, output.channels)?;
        ensure!(weights.len() == depth * output.channels, Damaged, "its weights do not fit {depth} inputs");
        let clamp = clamp(op.options.activation)?;
        self.push(op, FloatOp::Dense { weights, bias, clamp }, vec![value])
    }

    pub(super) fn add_pool(&mut self, op: &Operator) -> Result<()> {
        ensure!(
            op.options.activation == ActivationFunctionType::None,
            Unsupported,
            "a function is fused into it: make it an operator of its own"
        );
        let value = self.activation(op, 0)?;
        let (input, output) = (self.graph.shape(value), shape(self.network, self.output(op)?)?);
        let filter = op.options.filter.map(|side| usize::try_from(side).unwrap_or(0));
        let [kernel_h, stride_h, _, pad_top] = window_axis(&op.options, 0, filter[0], input.height, output.height)?;
        let [kernel_w, stride_w, _, pad_left] = window_axis(&op.options, 1, filter[1], input.width, output.width)?;
        let window = Window { kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, ..Window::square(1, 1) };
        let made = if op.code == BuiltinOperator::MaxPool2d {
            FloatOp::MaxPool2d { window }
        } else {
            FloatOp::AveragePool2d { window }
        };
        self.push(op, made, vec![value])
    }

    /// A mean or largest value over height and width is a pooling.
    pub(super) fn add_reduction(&mut self, op: &Operator) -> Result<()> {
        let value = self.activation(op, 0)?;
        let rank = self.network.tensors[self.input(op, 0)?].shape.len() as i32;
        let mut axes = self.network.tensors[self.input(op, 1)?].integers()?;
        axes.iter_mut().for_each(|axis| *axis += if *axis < 0 { rank } else { 0 });
        axes.sort_unstable();
        ensure!(rank == 4 && axes == [1, 2], Unsupported, "only a mean or maximum over height and width is supported");
        let input = self.graph.shape(value);
        let side = |side: usize| {
            u16::try_from(side).map_err(|_| refused!(OutOfRange, "its input has more than 65,535 rows or columns"))
        };
        let window = Window { kernel_h: side(input.height)?, kernel_w: side(input.width)?, ..Window::square(1, 1) };
        let largest = op.code == BuiltinOperator::ReduceMax;
        let made = if largest { FloatOp::MaxPool2d { window } } else { FloatOp::AveragePool2d { window } };
        self.push(op, made, vec![value])
    }

    pub(super) fn add_pad(&mut self, op: &Operator) -> Result<()> {
        let [top, left, front] = Borders::of(self.network, op)?.before;
        if op.code == BuiltinOperator::Padv2 {
            let value = self.network.tensors[self.input(op, 2)?].reals()?;
            ensure!(value == [0.0], Unsupported, "it pads with {value:?}: only zeros are supported");
        }
        let value = self.activation(op, 0)?;
        self.push(op, FloatOp::Pad { top, left, front }, vec![value])
    }
}

/// Depthwise weights `[taps][outputs]` of several outputs a channel as those of a convolution, `[outputs][taps][channels]`.
fn spread_depthwise(weights: &[f32], outputs: usize, channels: usize) -> Vec<f32> {
    let taps = weights.len() / outputs;
    let mut spread = vec![0.0; outputs * taps * channels];
    for (index, &weight) in weights.iter().enumerate() {
        let (tap, output) = (index / outputs, index % outputs);
        spread[(output * taps + tap) * channels + output / (outputs / channels)] = weight;
    }
    spread
}
