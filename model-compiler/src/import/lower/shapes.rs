//! Operators that move elements, and those along sides of a tensor: padding, reshaping, concatenation, mean, softmax.

use no_std_infer::fixed::Multiplier;
use no_std_infer::format::{Activation, Concat, Mean, Op, Pad, Pool2d, ReduceMax, Reshape, Softmax, Tensor, Window};

use super::{Lowering, fused};
use crate::import::Result;
use crate::import::model::{BuiltinOperator, Operator};
use crate::import::padding::Borders;
use crate::quantise::{Quantisation, mean_multiplier, softmax_parameters_of_step};

/// Most by which the scale of a RESHAPE's output may differ, as a share of it: LiteRT moves bytes and looks at no scale, and
/// what reads them computes with the output's.
const RESHAPE_SCALE_TOLERANCE: f32 = 1e-3;

impl Lowering<'_> {
    pub(super) fn add_pad(&mut self, op: &Operator) -> Result<()> {
        let (input, index, [from, to]) = self.one_input(op)?;
        ensure!(from == to, Unsupported, "its input and its output are quantised differently");
        let value = if op.code == BuiltinOperator::Pad { to.zero_point } else { self.pad_value(op)? };
        let [top, left, front] = Borders::of(self.network, op)?.before;
        let output = self.declare(index)?;
        let too_wide = |_| refused!(OutOfRange, "its border is too wide");
        let side = |value: usize| u16::try_from(value).map_err(too_wide);
        let pad = Pad {
            input,
            output,
            top: side(top)?,
            left: side(left)?,
            front: u32::try_from(front).map_err(too_wide)?,
            value,
        };
        self.push(index, Op::Pad(pad), self.network.tensors[index].name);
        Ok(())
    }

    fn pad_value(&self, op: &Operator) -> Result<i8> {
        let (index, output) = (self.input(op, 2)?, self.output(op)?);
        self.check_int8(index)?;
        let tensor = &self.network.tensors[index];
        ensure!(
            self.quantisation(index)? == self.quantisation(output)?,
            Unsupported,
            "its value {} is quantised otherwise than its output",
            tensor.name
        );
        let value = tensor.data.and_then(|data| data.first());
        let value = value.map(|&value| value as i8);
        value.ok_or_else(|| refused!(Unsupported, "its value {} is not a constant", tensor.name))
    }

    pub(super) fn add_reshape(&mut self, op: &Operator) -> Result<()> {
        let (input, index, [from, to]) = self.one_input(op)?;
        let close = (from.scale - to.scale).abs() <= RESHAPE_SCALE_TOLERANCE * from.scale;
        ensure!(
            close && from.zero_point == to.zero_point,
            Unsupported,
            "its input and its output are quantised differently"
        );
        let output = self.declare(index)?;
        ensure!(input.len() == output.len(), Damaged, "{} elements become {}", input.len(), output.len());
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
            fused(op.options.activation, to)? == Activation::NONE,
            Unsupported,
            "a function is fused into it: make it an operator of its own"
        );
        let rank = self.network.tensors[index].shape.len();
        let axis = i64::from(op.options.axis) + if op.options.axis < 0 { rank as i64 } else { 0 };
        let side = usize::try_from(axis + 3 - rank as i64).ok().filter(|&side| side < 3);
        let side = side.ok_or_else(|| refused!(Unsupported, "its axis {axis} is the batch or does not exist"))?;
        let mut parts = Vec::new();
        for at in 0..op.inputs.len() {
            let part = self.activation(op, at)?;
            let same = self.quantisation(self.input(op, at)?)? == to;
            ensure!(same, Unsupported, "input {at} is quantised otherwise than the output, which LiteRT refuses too");
            ensure!(
                self.network.tensors[self.input(op, at)?].shape.len() == rank,
                Damaged,
                "its inputs differ in rank"
            );
            parts.push(part);
        }
        let sides = |tensor: &Tensor| [tensor.height.into(), tensor.width.into(), tensor.channels as usize];
        let Some((&first, rest)) = parts.split_first() else { return Err(refused!(Damaged, "it has no inputs")) };
        let mut whole = first;
        for (part, left) in rest.iter().zip((0..rest.len()).rev()) {
            let (mut joined, other) = (sides(&whole), sides(part));
            let fits = (0..3).all(|at| at == side || joined[at] == other[at]);
            ensure!(fits, Damaged, "its inputs {joined:?} and {other:?} do not fit together");
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
        ensure!(sides(&whole) == self.sides(index)?, Damaged, "its inputs do not make its output: the file is damaged");
        Ok(())
    }

    pub(super) fn add_mean(&mut self, op: &Operator) -> Result<()> {
        let (input, index, [from, to]) = self.one_input(op)?;
        let sides = self.reduced(op, &input)?;
        ensure!(
            sides[2] == input.channels as usize,
            Unsupported,
            "it takes the mean over channels: only height and width are supported"
        );
        let output = self.place(index, sides, to)?;
        let real = f64::from(from.scale) / f64::from(to.scale);
        let mean = Mean { input, output, multiplier: Multiplier { mantissa: 0, shift: 0 } };
        let multiplier = mean_multiplier(real, mean.count());
        let multiplier = multiplier.ok_or_else(|| refused!(OutOfRange, "its multiplier {real:e} is out of range"))?;
        let mean = Mean { multiplier, ..mean };
        self.push_reduced(index, Op::Mean(mean), to)
    }

    pub(super) fn add_reduce_max(&mut self, op: &Operator) -> Result<()> {
        let (input, index, [from, to]) = self.one_input(op)?;
        ensure!(from == to, Unsupported, "its output is quantised otherwise than its input, which LiteRT refuses too");
        let sides @ [height, width, channels] = self.reduced(op, &input)?;
        let output = self.place(index, sides, to)?;
        // Cores have kernels of their own for a pooling.
        let reduction = if channels == output.channels as usize && channels == input.channels as usize {
            let side = |from: u16, to: usize| if usize::from(from) == to { 1 } else { from };
            let [kernel_h, kernel_w] = [side(input.height, height), side(input.width, width)];
            let window = Window { kernel_h, kernel_w, stride_h: kernel_h, stride_w: kernel_w, ..Window::square(1, 1) };
            Op::MaxPool2d(Pool2d { input, output, window, activation: Activation::NONE })
        } else {
            Op::ReduceMax(ReduceMax { input, output })
        };
        self.push_reduced(index, reduction, to)
    }

    /// Height, width and channels of a tensor, 1 where an operator reduces it.
    fn reduced(&self, op: &Operator, input: &Tensor) -> Result<[usize; 3]> {
        let rank = self.network.tensors[self.input(op, 0)?].shape.len() as i64;
        let mut sides = [usize::from(input.height), usize::from(input.width), input.channels as usize];
        for axis in self.network.tensors[self.input(op, 1)?].integers()? {
            let axis = i64::from(axis) + if axis < 0 { rank } else { 0 };
            match usize::try_from(axis + 3 - rank) {
                Ok(side @ 0..3) => sides[side] = 1,
                _ => ensure!(
                    (0..rank - 3).contains(&axis),
                    Damaged,
                    "its side {axis} does not exist: the file is damaged"
                ),
            }
        }
        Ok(sides)
    }

    /// Adds a reduction; its output loses the sides of 1 where the network's tensor has none.
    fn push_reduced(&mut self, index: usize, reduction: Op, quantisation: Quantisation) -> Result<()> {
        let (name, made, kept) = (self.network.tensors[index].name, *reduction.output(), self.sides(index)?);
        self.push(index, reduction, name);
        ensure!(kept.iter().product::<usize>() == made.len(), Damaged, "its output has the wrong shape");
        let sides = [usize::from(made.height), usize::from(made.width), made.channels as usize];
        if kept != sides {
            let output = self.place(index, kept, quantisation)?;
            self.push(index, Op::Reshape(Reshape { input: made, output }), name);
        }
        Ok(())
    }

    pub(super) fn add_softmax(&mut self, op: &Operator) -> Result<()> {
        let (input, index, [from, to]) = self.one_input(op)?;
        ensure!(
            to.scale == 1.0 / 256.0 && to.zero_point == -128,
            Unsupported,
            "its output has scale {} and zero point {}, but LiteRT asks for 1/256 and -128",
            to.scale,
            to.zero_point
        );
        let scale = f64::from(op.options.beta) * f64::from(from.scale);
        let parameters = softmax_parameters_of_step(scale);
        let (multiplier, diff_min) =
            parameters.ok_or_else(|| refused!(OutOfRange, "the scale {scale:e} of its input is out of range"))?;
        let output = self.declare(index)?;
        self.push(
            index,
            Op::Softmax(Softmax { input, output, multiplier, diff_min }),
            self.network.tensors[index].name,
        );
        Ok(())
    }
}
