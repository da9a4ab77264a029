//! Operators that move elements, and those along sides of a tensor: padding, reshaping, concatenation, mean, softmax.

use anyhow::{Context, Result, ensure};
use no_std_infer::fixed::Multiplier;
use no_std_infer::format::{Concat, Mean, Op, Pad, Reshape, Softmax, Tensor};

use super::Lowering;
use crate::import::model::{BuiltinOperator, Operator};
use crate::quantise::{mean_multiplier, softmax_parameters_of_step};

/// Zeros around a tensor that a convolution's window takes in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Padding {
    /// The network's tensor without them.
    source: usize,
    /// Rows above, columns to the left.
    pub(super) before: [usize; 2],
    /// Rows below, columns to the right.
    pub(super) after: [usize; 2],
}

/// What a padding adds before and after height, width and channels.
struct Borders {
    before: [usize; 3],
    after: [usize; 3],
}

impl Lowering<'_> {
    /// A convolution's input, and the padding that was joined to the convolution.
    pub(super) fn padded_activation(&mut self, op: &Operator) -> Result<(Tensor, Padding)> {
        let joined = self.paddings[self.input(op, 0)?];
        let Some(padding) = joined else { return Ok((self.activation(op, 0)?, Padding::default())) };
        let value = self.values[padding.source].context("a padding's input is read before it is made")?;
        Ok((value, padding))
    }

    pub(super) fn add_pad(&mut self, op: &Operator) -> Result<()> {
        let (source, index) = (self.input(op, 0)?, self.output(op)?);
        let input = self.activation(op, 0)?;
        self.check_int8(index)?;
        let [from, to] = self.quantisations(op)?;
        ensure!(from == to, "its input and its output are quantised differently");
        let value = if op.code == BuiltinOperator::Pad { to.zero_point } else { self.pad_value(op)? };
        let borders = self.borders(op)?;
        let (inner, outer) = (self.sides(source)?, self.sides(index)?);
        let fits = (0..3).all(|at| borders.before[at] + inner[at] + borders.after[at] == outer[at]);
        ensure!(fits, "{inner:?} and its borders do not make {outer:?}: the file is damaged");
        let name = self.network.tensors[index].name;
        let [top, left, front] = borders.before;
        let padding = Padding { source, before: [top, left], after: [borders.after[0], borders.after[1]] };
        let only_rows_and_columns = front == 0 && borders.after[2] == 0;
        if value == to.zero_point && only_rows_and_columns && self.fits_the_convolution(index, padding) {
            self.paddings[index] = Some(padding);
            self.changes.push(format!("{name}: joined to the convolution after it"));
            return Ok(());
        }
        let output = self.declare(index)?;
        let side = |value: usize| u16::try_from(value).context("its border is too wide");
        let pad = Pad { input, output, top: side(top)?, left: side(left)?, front: u32::try_from(front)?, value };
        self.push(index, Op::Pad(pad), name);
        Ok(())
    }

    fn pad_value(&self, op: &Operator) -> Result<i8> {
        let (index, output) = (self.input(op, 2)?, self.output(op)?);
        self.check_int8(index)?;
        let tensor = &self.network.tensors[index];
        ensure!(
            self.quantisation(index)? == self.quantisation(output)?,
            "its value {} is quantised otherwise than its output",
            tensor.name
        );
        let value = tensor.data.and_then(|data| data.first());
        value.map(|&value| value as i8).with_context(|| format!("its value {} is not a constant", tensor.name))
    }

    fn borders(&self, op: &Operator) -> Result<Borders> {
        let values = self.network.tensors[self.input(op, 1)?].integers()?;
        let rank = self.network.tensors[self.input(op, 0)?].shape.len();
        ensure!(values.len() == 2 * rank, "it has {} borders for {rank} sides", values.len());
        let mut borders = Borders { before: [0; 3], after: [0; 3] };
        for (at, pair) in values.chunks_exact(2).rev().enumerate() {
            let &[before, after] = pair else { continue };
            let widths = usize::try_from(before).ok().zip(usize::try_from(after).ok());
            let (before, after) = widths.context("a border is negative")?;
            match 2_usize.checked_sub(at) {
                Some(side) => (borders.before[side], borders.after[side]) = (before, after),
                None => ensure!(before == 0 && after == 0, "it pads the batch"),
            }
        }
        Ok(borders)
    }

    /// True when one convolution without padding of its own reads the tensor, and its windows can take the zeros in.
    fn fits_the_convolution(&self, index: usize, padding: Padding) -> bool {
        let reads = |op: &&&Operator| op.inputs.contains(&Some(index));
        let mut readers = self.operators.iter().filter(reads);
        let (Some(reader), None) = (readers.next(), readers.next()) else { return false };
        let convolution = matches!(reader.code, BuiltinOperator::Conv2d | BuiltinOperator::DepthwiseConv2d);
        let weights = reader.inputs.get(1).copied().flatten();
        let (Some(weights), false) = (weights, self.network.output == index || reader.options.same) else {
            return false;
        };
        // What is wrong with the convolution is told where it is translated.
        let sides = self.output(reader).and_then(|output| Ok([self.sides(padding.source)?, self.sides(output)?]));
        let Ok([inner, output]) = sides else { return false };
        let fits = |at: usize| {
            let kernel = self.network.tensors[weights].shape.get(at + 1).copied().unwrap_or(0);
            let [stride, dilation] =
                [reader.options.stride[at], reader.options.dilation[at]].map(|n| usize::try_from(n).unwrap_or(0));
            padding.before[at] <= kernel.saturating_sub(1) * dilation
                && (output[at] - 1) * stride < inner[at] + padding.before[at]
        };
        convolution && fits(0) && fits(1)
    }

    pub(super) fn add_reshape(&mut self, op: &Operator) -> Result<()> {
        let (input, index, [from, to]) = self.one_input(op)?;
        ensure!(from == to, "its input and its output are quantised differently");
        let output = self.declare(index)?;
        ensure!(input.len() == output.len(), "{} elements become {}", input.len(), output.len());
        let output = Tensor { scale: input.scale, zero_point: input.zero_point, ..output };
        self.push(index, Op::Reshape(Reshape { input, output }), self.network.tensors[index].name);
        Ok(())
    }

    pub(super) fn add_concatenation(&mut self, op: &Operator) -> Result<()> {
        let index = self.output(op)?;
        self.check_int8(index)?;
        let name = self.network.tensors[index].name;
        let to = self.quantisation(index)?;
        ensure!(
            self.clamp(op.options.activation, to)? == no_std_infer::format::Activation::NONE,
            "a function is fused into it: make it an operator of its own"
        );
        let rank = self.network.tensors[index].shape.len();
        let axis = i64::from(op.options.axis) + if op.options.axis < 0 { rank as i64 } else { 0 };
        let side = usize::try_from(axis + 3 - rank as i64).ok().filter(|&side| side < 3);
        let side = side.with_context(|| format!("its axis {axis} is the batch or does not exist"))?;
        let mut parts = Vec::new();
        for at in 0..op.inputs.len() {
            let part = self.activation(op, at)?;
            let same = self.quantisation(self.input(op, at)?)? == to;
            ensure!(same, "input {at} is quantised otherwise than the output, which LiteRT refuses too");
            ensure!(self.network.tensors[self.input(op, at)?].shape.len() == rank, "its inputs differ in rank");
            parts.push(part);
        }
        let sides = |tensor: &Tensor| [tensor.height.into(), tensor.width.into(), tensor.channels as usize];
        let Some((&first, rest)) = parts.split_first() else { anyhow::bail!("it has no inputs") };
        let mut whole = first;
        for (part, left) in rest.iter().zip((0..rest.len()).rev()) {
            let (mut joined, other) = (sides(&whole), sides(part));
            let fits = (0..3).all(|at| at == side || joined[at] == other[at]);
            ensure!(fits, "its inputs {joined:?} and {other:?} do not fit together");
            joined[side] += other[side];
            let output = self.place(index, joined, to)?;
            let op = Op::Concat(Concat { a: whole, b: *part, output });
            if left == 0 {
                self.push(index, op, name);
            } else {
                self.builder.push(op, format!("{name} ({left} to follow)"));
            }
            whole = output;
        }
        self.values[index] = Some(whole);
        ensure!(sides(&whole) == self.sides(index)?, "its inputs do not make its output: the file is damaged");
        Ok(())
    }

    pub(super) fn add_mean(&mut self, op: &Operator) -> Result<()> {
        let (input, index, [from, to]) = self.one_input(op)?;
        let rank = self.network.tensors[self.input(op, 0)?].shape.len() as i64;
        let mut sides = [usize::from(input.height), usize::from(input.width), input.channels as usize];
        for axis in self.network.tensors[self.input(op, 1)?].integers()? {
            let axis = i64::from(axis) + if axis < 0 { rank } else { 0 };
            match usize::try_from(axis + 3 - rank) {
                Ok(side @ (0 | 1)) => sides[side] = 1,
                _ => ensure!(
                    (0..rank - 3).contains(&axis),
                    "it takes the mean over side {axis}: only height and width are supported"
                ),
            }
        }
        let [height, width, channels] = sides;
        let output = self.place(index, sides, to)?;
        let real = f64::from(from.scale) / f64::from(to.scale);
        let mean = Mean { input, output, multiplier: Multiplier { mantissa: 0, shift: 0 } };
        let multiplier = mean_multiplier(real, mean.count());
        let multiplier = multiplier.with_context(|| format!("its multiplier {real:e} is out of range"))?;
        let mean = Mean { multiplier, ..mean };
        let name = self.network.tensors[index].name;
        self.push(index, Op::Mean(mean), name);
        let kept = self.sides(index)?;
        ensure!(kept.iter().product::<usize>() == height * width * channels, "its output has the wrong shape");
        if kept != sides {
            let output = self.place(index, kept, to)?;
            self.push(index, Op::Reshape(Reshape { input: mean.output, output }), name);
        }
        Ok(())
    }

    pub(super) fn add_softmax(&mut self, op: &Operator) -> Result<()> {
        let (input, index, [from, to]) = self.one_input(op)?;
        ensure!(
            to.scale == 1.0 / 256.0 && to.zero_point == -128,
            "its output has scale {} and zero point {}, but LiteRT asks for 1/256 and -128",
            to.scale,
            to.zero_point
        );
        let scale = f64::from(op.options.beta) * f64::from(from.scale);
        let parameters = softmax_parameters_of_step(scale);
        let (multiplier, diff_min) =
            parameters.with_context(|| format!("the scale {scale:e} of its input is out of range"))?;
        let output = self.declare(index)?;
        self.push(
            index,
            Op::Softmax(Softmax { input, output, multiplier, diff_min }),
            self.network.tensors[index].name,
        );
        Ok(())
    }
}
