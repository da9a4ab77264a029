//! Operators that move elements, and those along sides of a tensor.

use no_std_infer::format::{Concat, Constant, Mean, Pad, ReduceMax, Reshape, Tensor};

use super::{Error, Exporter, Result, Value, four_sides, quantisation};
use crate::import::tflite::tflite::{BuiltinOperator, BuiltinOptions, ConcatenationOptions};
use crate::quantise::mean_multiplier;

impl Exporter<'_> {
    pub(super) fn add_reshape(&mut self, op: &Reshape, name: &str) -> Result<()> {
        let input = self.find(&op.input)?;
        let vector = op.output.height == 1 && op.output.width == 1;
        let shape = if vector { vec![1, op.output.channels as i32] } else { four_sides(&op.output) };
        let sides = self.integers(&format!("{name}: shape"), &shape);
        let output = self.make(name, op.output, shape, input.quantisation);
        self.writer.op(BuiltinOperator::Reshape, &[input.index, sides], output, None);
        Ok(())
    }

    pub(super) fn add_constant(&mut self, op: &Constant, name: &str) -> Result<()> {
        let constant = self.make(name, op.output, four_sides(&op.output), quantisation(&op.output));
        let values = self.section[op.values as usize..][..op.output.len()].to_vec();
        self.writer.fill(constant, values);
        Ok(())
    }

    pub(super) fn add_mean(&mut self, op: &Mean, name: &str) -> Result<()> {
        let input = self.find_with_four_sides(&op.input)?;
        let ratio = f64::from(input.quantisation.scale) / f64::from(op.output.scale);
        if mean_multiplier(ratio, op.count()) != Some(op.multiplier) {
            return Err(Error::Multiplier);
        }
        let sides = [op.output.height == 1, op.output.width == 1, false];
        self.add_reduction(BuiltinOperator::Mean, &input, &op.output, sides, name)
    }

    pub(super) fn add_reduce_max(&mut self, op: &ReduceMax, name: &str) -> Result<()> {
        let input = self.find_with_four_sides(&op.input)?;
        let sides = [op.output.height == 1, op.output.width == 1, op.output.channels == 1];
        self.add_reduction(BuiltinOperator::ReduceMax, &input, &op.output, sides, name)
    }

    /// A reduction along some of height, width and channels, whose output does not have these sides.
    fn add_reduction(
        &mut self,
        code: BuiltinOperator,
        input: &Value,
        output: &Tensor,
        reduced: [bool; 3],
        name: &str,
    ) -> Result<()> {
        let sides = (1..4).zip(reduced);
        let axes: Vec<i32> = sides.clone().filter(|(_, reduced)| *reduced).map(|(axis, _)| axis).collect();
        let kept = sides.filter(|(_, reduced)| !reduced).map(|(axis, _)| axis as usize);
        let all = four_sides(output);
        let shape = [0].into_iter().chain(kept).map(|axis| all[axis]).collect();
        if axes.is_empty() {
            return Err(Error::NoSide);
        }
        let axes = self.integers(&format!("{name}: axes"), &axes);
        self.push((name, output, shape), code, &[input.index, axes], None);
        Ok(())
    }

    pub(super) fn add_pad(&mut self, op: &Pad, name: &str) -> Result<()> {
        let input = self.find_with_four_sides(&op.input)?;
        let [before, inside, whole] = [
            [0, op.top.into(), op.left.into(), op.front as i32],
            [0, 1, 2, 3].map(|side| four_sides(&op.input)[side]),
            [0, 1, 2, 3].map(|side| four_sides(&op.output)[side]),
        ];
        let borders = (0..4).flat_map(|side| [before[side], whole[side] - before[side] - inside[side]]);
        let borders: Vec<i32> = borders.collect();
        let border = self.writer.integers(&format!("{name}: border"), &[4, 2], &borders);
        let output = self.make(name, op.output, four_sides(&op.output), input.quantisation);
        if op.value == op.output.zero_point {
            self.writer.op(BuiltinOperator::Pad, &[input.index, border], output, None);
            return Ok(());
        }
        let (scale, zero_point) = (input.quantisation.scale, input.quantisation.zero_point.into());
        let value = self.writer.int8(&format!("{name}: value"), &[1], scale, zero_point);
        self.writer.fill(value, vec![op.value as u8]);
        self.writer.op(BuiltinOperator::Padv2, &[input.index, border, value], output, None);
        Ok(())
    }

    pub(super) fn add_concat(&mut self, op: &Concat, name: &str) -> Result<()> {
        let inputs = [self.find_with_four_sides(&op.a)?, self.find_with_four_sides(&op.b)?];
        let axis = if op.output.height > op.a.height {
            1
        } else if op.output.width > op.a.width {
            2
        } else {
            3
        };
        let options = ConcatenationOptions { axis, ..ConcatenationOptions::default() };
        let options = BuiltinOptions::ConcatenationOptions(Box::new(options));
        let inputs = inputs.map(|input| input.index);
        let output = (name, &op.output, four_sides(&op.output));
        self.push(output, BuiltinOperator::Concatenation, &inputs, Some(options));
        Ok(())
    }
}
