//! BATCH_MATMUL with one constant matrix: a convolution of one tap.

use no_std_infer::format::{Activation, Conv2d, Layout, Op, Weights, Window};

use super::Lowering;
use super::elementwise::multiplier_of_up_to;
use crate::import::Result;
use crate::import::model::Operator;
use crate::quantise::Kind;

impl Lowering<'_> {
    pub(super) fn add_batch_matmul(&mut self, op: &Operator) -> Result<()> {
        let (factor, index) = (self.input(op, 1)?, self.output(op)?);
        self.check_int8(factor)?;
        let tensor = &self.network.tensors[factor];
        let name = tensor.name;
        let data = tensor.data.filter(|_| self.network.tensors[op.inputs[0].unwrap_or(factor)].data.is_none());
        let data = data.ok_or_else(|| {
            refused!(
                Unsupported,
                "of two tensors that are computed, as in attention, it is not supported, only where the second is a constant"
            )
        })?;
        let [exchanged, second_exchanged] = op.options.exchanged;
        ensure!(!exchanged, Unsupported, "its first factor is exchanged first: write that as TRANSPOSE");
        let sides @ [batch, rows, columns] = tensor.sides()?;
        ensure!(
            batch == 1,
            Unsupported,
            "{name} has the shape {sides:?}: only one matrix for all of the batch is supported"
        );
        let [depth, outputs] = if second_exchanged { [columns, rows] } else { [rows, columns] };
        let (input, _, [from, to]) = self.one_input(op)?;
        let second = self.quantisation(factor)?;
        let output = self.declare(index)?;
        let fits = input.channels as usize == depth && output.channels as usize == outputs;
        ensure!(
            fits && (input.height, input.width) == (output.height, output.width),
            Damaged,
            "its shapes do not fit: {} inputs, a matrix of {depth} by {outputs}, {} outputs",
            input.channels,
            output.channels
        );
        // LiteRT multiplies both scales as floats.
        let factor = f64::from(from.scale * second.scale) / f64::from(to.scale);
        let (mut values, mut parameters) = (Vec::new(), Vec::new());
        for column in 0..outputs {
            let at = |row: usize| if second_exchanged { column * depth + row } else { row * outputs + column };
            let weights = (0..depth).map(|row| i64::from(data[at(row)] as i8) - i64::from(second.zero_point));
            let (mut sum, mut largest) = (0, 0);
            for weight in weights {
                let weight = i8::try_from(weight).map_err(|_| {
                    refused!(
                        Unsupported,
                        "{name} has a zero point, less which its numbers do not fit int8: export the model with symmetric weights"
                    )
                })?;
                values.push(weight as u8);
                sum += i64::from(weight);
                largest += 255 * u64::from(weight.unsigned_abs());
            }
            let too_large = || refused!(OutOfRange, "the sums of its column {column} could overflow 32 bits");
            multiplier_of_up_to(largest, factor)?;
            let bias = i32::try_from(-i64::from(from.zero_point) * sum).map_err(|_| too_large())?;
            parameters.extend(Kind::Convolution.parameters(bias, factor).ok_or_else(too_large)?);
        }
        let weights = self.builder.add_constant(&values);
        let weights = Weights { layout: Layout::Plain, weights, channels: self.builder.add_constant(&parameters) };
        let (window, activation) = (Window::square(1, 1), Activation::NONE);
        let conv = Conv2d { input, output, window, weights, activation, scratch: 0 };
        self.push(index, Op::Conv2d(conv), self.network.tensors[index].name);
        Ok(())
    }
}
