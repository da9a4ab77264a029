//! Sums, products, and functions of one element, which become tables.

use no_std_infer::fixed::Multiplier;
use no_std_infer::format::{Activation, Add, Clamp, Lookup, Mul, Op, Tensor};
use no_std_infer::kernels::Linked;

use super::functions::function_table;
use super::{Lowering, Table, fused};
use crate::import::Result;
use crate::import::model::{BuiltinOperator, Operator};
use crate::quantise::{Quantisation, add_multipliers, multiplier, product_factor};

impl Lowering<'_> {
    pub(super) fn add_sum_or_product(&mut self, op: &Operator) -> Result<()> {
        let (a, b, index) = (self.input(op, 0)?, self.input(op, 1)?, self.output(op)?);
        self.check_int8(index)?;
        match (self.number(op, 0, 1)?, self.number(op, 1, 0)?) {
            (None, Some(value)) => return self.add_with_number(op, 0, (b, value)),
            (Some(value), None) => return self.add_with_number(op, 1, (a, value)),
            _ => {}
        }
        let (a, b) = (self.activation(op, 0)?, self.activation(op, 1)?);
        let output = self.declare(index)?;
        let made = self.sum_or_product(op, a, b, output)?;
        self.push(index, made, self.network.tensors[index].name);
        Ok(())
    }

    /// The one value of a constant input, whose other input has the output's shape: then the operator is a function of that.
    pub(super) fn number(&self, op: &Operator, constant: usize, other: usize) -> Result<Option<i8>> {
        let [constant, other] = [self.input(op, constant)?, self.input(op, other)?];
        let [constant, other, output] = [constant, other, self.output(op)?].map(|index| &self.network.tensors[index]);
        let Some((&first, rest)) = constant.data.and_then(|data| data.split_first()) else { return Ok(None) };
        let same = rest.iter().all(|&value| value == first) && other.len() == output.len();
        Ok(same.then_some(first as i8))
    }

    /// The operator on tensors of ours, which are given in the order of its inputs.
    fn sum_or_product(&self, op: &Operator, a: Tensor, b: Tensor, output: Tensor) -> Result<Op> {
        let to = self.quantisation(self.output(op)?)?;
        let a_scale = self.quantisation(self.input(op, 0)?)?.scale;
        let b_scale = self.quantisation(self.input(op, 1)?)?.scale;
        let activation = fused(op.options.activation, to)?;
        if op.code == BuiltinOperator::Mul {
            let multiplier = multiplier_of_up_to(255 * 255, product_factor(a_scale, b_scale, to.scale))?;
            return Ok(Op::Mul(Mul { a, b, output, multiplier, activation }));
        }
        let [a_multiplier, b_multiplier, output_multiplier] = add_multipliers(a_scale, b_scale, to.scale)?;
        Ok(Op::Add(Add { a, b, output, a_multiplier, b_multiplier, output_multiplier, activation, tables: [None; 2] }))
    }

    /// A sum or product whose other input is one constant: a table, made by running the operator on all inputs.
    fn add_with_number(&mut self, op: &Operator, at: usize, (number, value): (usize, i8)) -> Result<()> {
        let vector = |offset, channels, index| -> Result<Tensor> {
            let Quantisation { scale, zero_point } = self.quantisation(index)?;
            Ok(Tensor { offset, height: 1, width: 1, channels, scale, zero_point })
        };
        let index = self.output(op)?;
        self.check_int8(number)?;
        let input = vector(0, 256, self.input(op, at)?)?;
        let (output, number) = (vector(256, 256, index)?, vector(512, 1, number)?);
        let [a, b] = if at == 0 { [input, number] } else { [number, input] };
        let mut arena: Vec<i8> = (i8::MIN..=i8::MAX).chain([0; 256]).chain([value]).collect();
        Linked::ALL.run(&self.sum_or_product(op, a, b, output)?, &mut arena, &[]);
        let made = arena.get(output.range()).and_then(|values| values.first_chunk());
        let table = *made.ok_or_else(|| refused!(Unsupported, "the table has 256 entries"))?;
        self.add_table(op, at, &table)
    }

    pub(super) fn add_function(&mut self, op: &Operator) -> Result<()> {
        use BuiltinOperator as Code;
        let index = self.output(op)?;
        self.check_int8(index)?;
        let [from, to] = self.quantisations(op)?;
        let table = function_table(op.code, &op.options, from, to)?;
        if matches!(op.code, Code::Sqrt | Code::Rsqrt) && from.zero_point > i8::MIN {
            let name = self.network.tensors[index].name;
            self.changes.push(format!("{name}: LiteRT stops at an input below 0, which gives here what 0 gives"));
        }
        self.add_table(op, 0, &table)
    }

    /// A function of input `at`'s elements: a clamp where that is what it does, else a look-up.
    pub(super) fn add_table(&mut self, op: &Operator, at: usize, table: &Table) -> Result<()> {
        let input = self.activation(op, at)?;
        self.add_table_of(op, input, table)
    }

    /// [`add_table`](Self::add_table) of a tensor of ours.
    pub(super) fn add_table_of(&mut self, op: &Operator, input: Tensor, table: &Table) -> Result<()> {
        let index = self.output(op)?;
        let (input, table) = self.joined(op, input, table)?;
        let output = self.declare(index)?;
        let shape = |tensor: &Tensor| (tensor.height, tensor.width, tensor.channels);
        ensure!(
            shape(&input) == shape(&output),
            Damaged,
            "its output has another shape than its input: the file is damaged"
        );
        let activation = Activation { min: table[0], max: table[255] };
        let clamps = (i8::MIN..=i8::MAX).zip(table).all(|(x, y)| y == x.max(activation.min).min(activation.max));
        let made = if clamps && (input.scale, input.zero_point) == (output.scale, output.zero_point) {
            Op::Clamp(Clamp { input, output, activation })
        } else {
            let table = self.builder.add_constant(&table.map(|value| value as u8));
            Op::Lookup(Lookup { input, output, table })
        };
        self.push(index, made, self.network.tensors[index].name);
        Ok(())
    }

    /// A table and what it reads, joined to the table before it where only `op` reads that.
    pub(super) fn joined(&mut self, op: &Operator, input: Tensor, table: &Table) -> Result<(Tensor, Table)> {
        Ok(match self.take_table_before(op, &input)? {
            Some((input, first)) => (input, first.map(|value| table[(i16::from(value) + 128) as usize])),
            None => (input, *table),
        })
    }

    /// Takes the last operator back, where it is a look-up that only `op` reads: its input and its table.
    fn take_table_before(&mut self, op: &Operator, input: &Tensor) -> Result<Option<(Tensor, Table)>> {
        let Some(Op::Lookup(before)) = self.builder.ops.last().copied().filter(|last| last.output() == input) else {
            return Ok(None);
        };
        let is_input = |tensor: &usize| self.values[*tensor] == Some(*input);
        let mut reads = self.operators.iter().flat_map(|op| op.inputs.iter().flatten()).filter(|read| is_input(read));
        // What a last LOGISTIC reads are the scores.
        let read_once = reads.next().is_some() && reads.next().is_none() && op.code != BuiltinOperator::Logistic;
        let start = before.table as usize;
        let table = self.builder.constants.get(start..).and_then(|rest| <&[u8; 256]>::try_from(rest).ok()).copied();
        let Some(table) = table.filter(|_| read_once && !is_input(&self.network.output)) else { return Ok(None) };
        self.builder.constants.truncate(start);
        self.builder.tensors.pop();
        self.builder.ops.pop();
        let name = self.builder.names.pop().unwrap_or_default();
        self.changes.push(format!("{name}: joined to the function after it"));
        Ok(Some((before.input, table.map(|value| value as i8))))
    }
}

/// The multiplier for integers of a magnitude up to `magnitude`. LiteRT shifts them left first, and is not defined where
/// that leaves 32 bits.
pub(super) fn multiplier_of_up_to(magnitude: u64, real: f64) -> Result<Multiplier> {
    let multiplier = multiplier(real).ok_or_else(|| refused!(OutOfRange, "its multiplier {real:e} is out of range"))?;
    let shift = multiplier.shift.max(0).unsigned_abs();
    ensure!(
        magnitude.checked_shl(shift.into()).is_some_and(|shifted| shifted >> shift == magnitude && shifted <= 1 << 31),
        OutOfRange,
        "its sums of up to {magnitude} times its multiplier {real:e} could overflow 32 bits: the scales of its inputs and \
         its output are out of all proportion"
    );
    Ok(multiplier)
}

/// The table of a change of scale and zero point by the factor `real`, followed by a clamp.
pub(super) fn requantisation(from: Quantisation, to: Quantisation, real: f64, activation: Activation) -> Result<Table> {
    let multiplier = multiplier_of_up_to(255, real)?;
    Ok(std::array::from_fn(|index| {
        let steps = index as i32 - 128 - i32::from(from.zero_point);
        let scaled = multiplier.apply(steps).saturating_add(i32::from(to.zero_point));
        scaled.clamp(-128, 127).max(activation.min.into()).min(activation.max.into()) as i8
    }))
}
