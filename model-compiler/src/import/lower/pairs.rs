//! Operators of two tensors that have no operator of their own: they are put together from others, or a table where one of
//! the two is a number.

use no_std_infer::fixed::Multiplier;
use no_std_infer::format::{ADD_SHIFT, Activation, Add, Clamp, Constant, Lookup, Mul, Op, Tensor};

use super::elementwise::multiplier_of_up_to;
use super::functions::{byte, steps};
use super::{Lowering, Table, fused};
use crate::import::Result;
use crate::import::model::Operator;
use crate::quantise::{Quantisation, add_multipliers};

/// All bytes.
pub(super) fn bytes() -> std::ops::RangeInclusive<i8> {
    i8::MIN..=i8::MAX
}

impl Lowering<'_> {
    /// SUB: a table where one input is a number, else the sum of the first and the second turned over.
    pub(super) fn add_difference(&mut self, op: &Operator) -> Result<()> {
        let index = self.output(op)?;
        let [a, b] = self.both(op)?;
        let to = self.quantisation(index)?;
        let activation = fused(op.options.activation, to)?;
        let difference = Difference::new([a, b], to, activation)?;
        if self.add_if_number(op, |a, b| difference.of(a, b))? {
            return Ok(());
        }
        ensure!(
            difference.is_a_sum(),
            OutOfRange,
            "with the scales of its inputs and its output a difference falls on a tie that sums round another way: write it by MUL \
             by -1 and ADD"
        );
        let first = self.activation(op, 0)?;
        let second = self.turned(op, 1)?;
        let output = self.declare(index)?;
        let [a_multiplier, b_multiplier, output_multiplier] = difference.multipliers;
        let (a, b, tables) = (first, second, [None; 2]);
        let sum = Add { a, b, output, a_multiplier, b_multiplier, output_multiplier, activation, tables };
        self.push(index, Op::Add(sum), self.network.tensors[index].name);
        Ok(())
    }

    /// PRELU: a table where one slope is shared, else slopes times what is negative, plus the rest.
    pub(super) fn add_prelu(&mut self, op: &Operator) -> Result<()> {
        let index = self.output(op)?;
        let [from, slopes] = self.both(op)?;
        let to = self.quantisation(index)?;
        let identity = multiplier_of_up_to(255, f64::from(from.scale / to.scale))?;
        let negative = multiplier_of_up_to(255 * 255, f64::from(from.scale * slopes.scale / to.scale))?;
        let positive = |steps: i32| identity.apply(steps.max(0));
        if let Some(slope) = self.number(op, 1, 0)? {
            let slope = i32::from(slope) - i32::from(slopes.zero_point);
            let table = steps(from)
                .map(|steps| byte(if steps < 0 { negative.apply(steps * slope) } else { positive(steps) }, to));
            return self.add_table(op, 0, &table);
        }
        let input = self.activation(op, 0)?;
        ensure!(
            self.sides(index)? == [input.height.into(), input.width.into(), input.channels as usize],
            Damaged,
            "its output has another shape than its input: the file is damaged"
        );
        let b = self.activation(op, 1)?;
        let name = self.network.tensors[index].name;
        let activation = Activation { min: i8::MIN, max: from.zero_point };
        let output = Tensor { offset: self.builder.tensors.len() as u32, ..input };
        self.builder.push(Op::Clamp(Clamp { input, output, activation }), format!("{name} (below 0)"));
        let (a, output, activation) = (output, self.declare(index)?, Activation::NONE);
        let product = Mul { a, b, output, multiplier: negative, activation };
        self.builder.push(Op::Mul(product), format!("{name} (slopes)"));
        let table = steps(from).map(|steps| byte(positive(steps), to) as u8);
        let (a, output) = (output, self.declare(index)?);
        let table = self.builder.add_constant(&table);
        self.builder.push(Op::Lookup(Lookup { input, output, table }), format!("{name} (above 0)"));
        // One of both is 0, so that the sum is exact.
        let [a_multiplier, b_multiplier, output_multiplier] = add_multipliers(to.scale, to.scale, to.scale)?;
        let (b, output, tables) = (output, self.declare(index)?, [None; 2]);
        let sum = Add { a, b, output, a_multiplier, b_multiplier, output_multiplier, activation, tables };
        self.push(index, Op::Add(sum), name);
        Ok(())
    }

    /// The quantisation of both inputs, which are int8 as the output is.
    pub(super) fn both(&self, op: &Operator) -> Result<[Quantisation; 2]> {
        self.check_int8(self.output(op)?)?;
        let [a, b] = [self.input(op, 0)?, self.input(op, 1)?];
        self.check_int8(a)?;
        self.check_int8(b)?;
        Ok([self.quantisation(a)?, self.quantisation(b)?])
    }

    /// Adds a table where one input is a number.
    pub(super) fn add_if_number(&mut self, op: &Operator, function: impl Fn(i8, i8) -> i8) -> Result<bool> {
        let table = |of: &dyn Fn(i8) -> i8| -> Table { std::array::from_fn(|index| of((index as u8 ^ 0x80) as i8)) };
        match (self.number(op, 0, 1)?, self.number(op, 1, 0)?) {
            (None, Some(b)) => self.add_table(op, 0, &table(&|a| function(a, b)))?,
            (Some(a), None) => self.add_table(op, 1, &table(&|b| function(a, b)))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// An input with the bits of each byte turned over, its zero point too: as many steps below it as it was above.
    fn turned(&mut self, op: &Operator, at: usize) -> Result<Tensor> {
        let index = self.input(op, at)?;
        let Quantisation { scale, zero_point } = self.quantisation(index)?;
        let quantisation = Quantisation { scale, zero_point: !zero_point };
        let tensor = &self.network.tensors[index];
        let name = format!("{} (negated)", tensor.name);
        let made = match tensor.data.filter(|_| self.values[index].is_none()) {
            Some(data) => {
                let output = self.place(index, self.sides(index)?, quantisation)?;
                let values: Vec<u8> = data.iter().map(|value| !value).collect();
                Op::Constant(Constant { output, values: self.builder.add_constant(&values) })
            }
            None => {
                let input = self.activation(op, at)?;
                let table = std::array::from_fn(|index| !((index as u8 ^ 0x80) as i8));
                let (input, table) = self.joined(op, input, &table)?;
                let sides = [input.height.into(), input.width.into(), input.channels as usize];
                let output = self.place(index, sides, quantisation)?;
                let table = self.builder.add_constant(&table.map(|value| value as u8));
                Op::Lookup(Lookup { input, output, table })
            }
        };
        self.builder.push(made, name);
        Ok(*made.output())
    }
}

/// LiteRT's SUB.
struct Difference {
    inputs: [Quantisation; 2],
    multipliers: [Multiplier; 3],
    to: Quantisation,
    activation: Activation,
}

impl Difference {
    fn new(inputs: [Quantisation; 2], to: Quantisation, activation: Activation) -> Result<Self> {
        let multipliers = add_multipliers(inputs[0].scale, inputs[1].scale, to.scale)?;
        Ok(Self { inputs, multipliers, to, activation })
    }

    /// So many steps of an input, shifted left and scaled.
    fn scaled(&self, at: usize, steps: i32) -> i32 {
        self.multipliers[at].apply(steps << ADD_SHIFT)
    }

    fn rounded(&self, sum: i32) -> i8 {
        let Activation { min, max } = self.activation;
        byte(self.multipliers[2].apply(sum), self.to).max(min).min(max)
    }

    fn steps(&self, at: usize, value: i8) -> i32 {
        i32::from(value) - i32::from(self.inputs[at].zero_point)
    }

    fn of(&self, a: i8, b: i8) -> i8 {
        self.rounded(self.scaled(0, self.steps(0, a)) - self.scaled(1, self.steps(1, b)))
    }

    /// Whether the sum of the first and the second below 0 is the same for all bytes. Ties are rounded up, so that scaling a
    /// negative number may give another magnitude.
    fn is_a_sum(&self) -> bool {
        bytes().all(|b| {
            let (plus, minus) = (self.scaled(1, self.steps(1, b)), self.scaled(1, -self.steps(1, b)));
            plus == -minus || bytes().all(|a| self.of(a, b) == self.rounded(self.scaled(0, self.steps(0, a)) + minus))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::lower::{Lowered, lower};
    use crate::import::model::{self, BuiltinOperator, Network, Options, TensorType};

    const A: Quantisation = Quantisation { scale: 0.05, zero_point: -10 };
    const B: Quantisation = Quantisation { scale: 0.02, zero_point: 7 };

    fn every_fifteenth(function: impl Fn(i8) -> i8) -> Vec<i8> {
        bytes().step_by(15).map(function).collect()
    }

    fn difference(inputs: [Quantisation; 2], scale: f32) -> Difference {
        Difference::new(inputs, Quantisation { scale, zero_point: 5 }, Activation::NONE).unwrap()
    }

    #[test]
    fn differences_are_those_of_litert_s_reference_kernels() {
        let expected = [-124, -112, -99, -87, -74, -62, -49, -37, -24, -12, 1, 13, 26, 38, 51, 63, 76, 88];
        let made = difference([A, B], 0.06);
        assert_eq!(every_fifteenth(|value| made.of(value, 100)), expected);
        let expected = [127, 122, 109, 97, 84, 72, 59, 47, 34, 22, 9, -3, -16, -28, -41, -53, -66, -78];
        let made = difference([B, A], 0.06);
        assert_eq!(every_fifteenth(|value| made.of(100, value)), expected);
    }

    #[test]
    fn a_difference_is_a_sum_unless_a_tie_tells_them_apart() {
        assert!(difference([A, B], 0.06).is_a_sum());
        let mut tied = difference([A, B], 0.06);
        // Half a step of what is scaled, which ties round up, and sums that are not divided.
        tied.multipliers = [1, 0, 0].map(|shift| Multiplier { mantissa: (1 << 30) + (1 << 10), shift: -shift });
        tied.multipliers[2].shift = -19;
        let ties = (0..256).filter(|&steps| tied.scaled(1, steps) != -tied.scaled(1, -steps)).count();
        assert!(ties > 0 && tied.is_a_sum(), "{ties} ties that the last rounding hides");
        tied.multipliers[2].shift = 0;
        assert!(!tied.is_a_sum());
    }

    /// One operator of `[1, 256]`: of the input, and of a constant or of the input again.
    fn lowered(
        code: BuiltinOperator,
        inputs: [Quantisation; 2],
        constant: Option<&[u8]>,
        scale: f32,
    ) -> Result<Lowered> {
        let tensor = |len, Quantisation { scale, zero_point }: Quantisation, data| {
            let quantisation =
                model::Quantisation { scales: vec![scale], zero_points: vec![zero_point.into()], axis: 0 };
            let (name, element, shape) = ("tensor", TensorType::Int8, vec![1, len]);
            model::Tensor { name, element, shape, dynamic: false, variable: false, quantisation, data }
        };
        let second = tensor(constant.map_or(256, <[u8]>::len), inputs[1], constant);
        let output = Quantisation { scale, zero_point: 20 };
        let tensors = vec![tensor(256, inputs[0], None), second, tensor(256, output, None)];
        let inputs = vec![Some(0), Some(if constant.is_some() { 1 } else { 0 })];
        let (kind, outputs, options) = (String::new(), vec![2], Options::default());
        let operators = vec![Operator { index: 0, code, kind, inputs, outputs, options }];
        lower(&Network { tensors, operators, input: 0, output: 2, changes: Vec::new() })
    }

    /// Every fifteenth entry of the one table that an operator becomes.
    fn table(code: BuiltinOperator, inputs: [Quantisation; 2], constant: &[u8], scale: f32) -> Vec<i8> {
        let model = lowered(code, inputs, Some(constant), scale).unwrap().model;
        let [Op::Lookup(lookup)] = model.ops[..] else { panic!("{:?}", model.ops) };
        let table = &model.constants[lookup.table as usize..][..256];
        table.iter().step_by(15).map(|&value| value as i8).collect()
    }

    #[test]
    fn with_a_number_operators_become_one_table() {
        use BuiltinOperator as Code;
        let slopes = Quantisation { scale: 0.01, zero_point: -3 };
        let expected = [-43, -35, -27, -19, -11, -3, 5, 13, 23, 41, 60, 79, 98, 116, 127, 127, 127, 127];
        assert_eq!(table(Code::Prelu, [A, slopes], &[40], 0.04), expected, "LiteRT's");
        assert_eq!(
            table(Code::Prelu, [A, slopes], &[40; 256], 0.04),
            expected,
            "one slope, however often it is written"
        );
        let expected: Vec<i8> = bytes().step_by(15).map(|value| value.max(20)).collect();
        assert_eq!(table(Code::Maximum, [A, A], &[20], A.scale), expected);
        let expected: Vec<i8> = bytes().step_by(15).map(|value| value.min(20)).collect();
        assert_eq!(table(Code::Minimum, [A, A], &[20; 256], A.scale), expected);
        let made = difference([A, B], 0.06);
        let to = Quantisation { zero_point: 20, ..made.to };
        let made = Difference { to, ..made };
        assert_eq!(table(Code::Sub, [A, B], &[100], 0.06), every_fifteenth(|value| made.of(value, 100)));
    }

    #[test]
    fn of_two_tensors_they_are_put_together_or_refused() {
        use BuiltinOperator as Code;
        let many: Vec<u8> = (0..=255).collect();
        let ops =
            |code, constant: Option<&[u8]>| lowered(code, [A, A], constant, 0.06).map(|lowered| lowered.model.ops);
        let made = ops(Code::Sub, None).unwrap();
        assert!(matches!(made[..], [Op::Lookup(_), Op::Add(_)]), "{made:?}");
        let made = ops(Code::Sub, Some(&many)).unwrap();
        assert!(matches!(made[..], [Op::Constant(_), Op::Add(_)]), "{made:?}");
        let mut made = ops(Code::Prelu, Some(&many)).unwrap();
        made.retain(|op| !matches!(op, Op::Constant(_)));
        let kinds =
            made.iter().filter(|op| matches!(op, Op::Clamp(_) | Op::Mul(_) | Op::Lookup(_) | Op::Add(_))).count();
        assert_eq!((kinds, made.len()), (4, 4), "{made:?}");
        let kinds = |ops: &[Op]| ops.iter().map(Op::name).collect::<Vec<_>>().join(" ");
        let same = Quantisation { scale: 0.06, zero_point: 20 };
        let extreme = |code, constant| lowered(code, [same, same], constant, same.scale).unwrap().model.ops;
        assert_eq!(kinds(&extreme(Code::Maximum, Some(&many))), "constant concat max_pool2d");
        assert_eq!(kinds(&extreme(Code::Minimum, None)), "lookup lookup concat max_pool2d lookup");
        let made = ops(Code::SquaredDifference, None).unwrap();
        assert_eq!(kinds(&made), "lookup add lookup lookup add lookup add");
        let error = lowered(Code::SquaredDifference, [A, B], Some(&many), 0.06).unwrap_err();
        let text = crate::compile::error::with_sources(&error);
        assert!(text.contains("cannot be imported") && text.contains("different scales"), "{text}");
    }
}
