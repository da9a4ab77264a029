//! SQUARED_DIFFERENCE: a table where one input is a number, else tables of what each input is above the other.

use no_std_infer::fixed::Multiplier;
use no_std_infer::format::{Activation, Add, Lookup, Op};

use super::Lowering;
use super::functions::{byte, steps};
use super::pairs::bytes;
use crate::import::Result;
use crate::import::model::Operator;
use crate::quantise::{Quantisation, add_multipliers, multiplier};

impl Lowering<'_> {
    /// Of tensors of one scale it is the square of what the first is above the second plus that of what it is below, one of which
    /// is 0.
    pub(super) fn add_squared_difference(&mut self, op: &Operator) -> Result<()> {
        let index = self.output(op)?;
        let inputs = self.both(op)?;
        let to = self.quantisation(index)?;
        let square = SquaredDifference::new(inputs, to)?;
        if self.add_if_number(op, |a, b| square.of(a, b))? {
            return Ok(());
        }
        ensure!(
            square.is_of_the_difference(),
            Unsupported,
            "of two tensors with different scales it is not supported, only of one and a number: replace it in the model by MUL of the \
             difference with itself"
        );
        let name = self.network.tensors[index].name;
        let [a, b] = [self.activation(op, 0)?, self.activation(op, 1)?];
        let tables = [None; 2];
        let mut squares = Vec::new();
        for ([more, less], what) in [([a, b], "above"), ([b, a], "below")] {
            let less = self.negated(index, less)?;
            let above = Quantisation { scale: a.scale, zero_point: i8::MIN };
            let [a_multiplier, b_multiplier, output_multiplier] = add_multipliers(a.scale, a.scale, a.scale)?;
            let (a, b, output, activation) =
                (more, less, self.place(index, self.sides(index)?, above)?, Activation::NONE);
            let sum = Add { a, b, output, a_multiplier, b_multiplier, output_multiplier, activation, tables };
            self.builder.push(Op::Add(sum), format!("{name} ({what})"));
            let table = self.builder.add_constant(&steps(above).map(|steps| square.of_steps(steps) as u8));
            let (input, output) = (output, self.declare(index)?);
            self.builder.push(Op::Lookup(Lookup { input, output, table }), format!("{name} ({what}, squared)"));
            squares.push(output);
        }
        let [a_multiplier, b_multiplier, output_multiplier] = add_multipliers(to.scale, to.scale, to.scale)?;
        let (a, b, output, activation) = (squares[0], squares[1], self.declare(index)?, Activation::NONE);
        let sum = Add { a, b, output, a_multiplier, b_multiplier, output_multiplier, activation, tables };
        self.push(index, Op::Add(sum), name);
        Ok(())
    }
}

/// LiteRT's SQUARED_DIFFERENCE.
struct SquaredDifference {
    inputs: [Quantisation; 2],
    multipliers: [Multiplier; 3],
    to: Quantisation,
}

impl SquaredDifference {
    /// Left shift of both inputs.
    const SHIFT: u32 = 7;

    fn new(inputs: [Quantisation; 2], to: Quantisation) -> Result<Self> {
        let [a, b] = inputs.map(|input| input.scale);
        let twice_largest = f64::from(2.0 * a.max(b));
        let square = twice_largest * twice_largest / f64::from((1_u32 << (2 * Self::SHIFT)) as f32 * to.scale);
        let real = [f64::from(a) / twice_largest, f64::from(b) / twice_largest, square];
        let multipliers = real.map(|real| multiplier(real).filter(|multiplier| real > 0.0 && multiplier.shift <= 0));
        let [Some(a), Some(b), Some(square)] = multipliers else {
            return Err(refused!(OutOfRange, "the scales of its inputs and its output are out of all proportion"));
        };
        Ok(Self { inputs, multipliers: [a, b, square], to })
    }

    fn of(&self, a: i8, b: i8) -> i8 {
        let scaled = |at: usize, value: i8| {
            self.multipliers[at].apply((i32::from(value) - i32::from(self.inputs[at].zero_point)) << Self::SHIFT)
        };
        let difference = scaled(0, a) - scaled(1, b);
        byte(self.multipliers[2].apply(difference * difference), self.to)
    }

    /// What so many steps of the first input make, if the second is 0.
    fn of_steps(&self, steps: i32) -> i8 {
        let difference = self.multipliers[0].apply(steps << Self::SHIFT);
        byte(self.multipliers[2].apply(difference * difference), self.to)
    }

    /// Whether it is a function of how many steps lie between both inputs, of which 255 are as good as more.
    fn is_of_the_difference(&self) -> bool {
        let [first, second] = self.inputs;
        let steps = |a: i8, b: i8| {
            (i32::from(a) - i32::from(first.zero_point) - i32::from(b) + i32::from(second.zero_point)).abs().min(255)
        };
        first.scale == second.scale && bytes().all(|a| bytes().all(|b| self.of(a, b) == self.of_steps(steps(a, b))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Quantisation = Quantisation { scale: 0.05, zero_point: -10 };
    const B: Quantisation = Quantisation { scale: 0.02, zero_point: 7 };

    #[test]
    fn squares_are_those_of_litert_s_reference_kernel() {
        let expected = [127, 118, 68, 24, -15, -48, -75, -96, -113, -123, -128, -127, -120, -108, -90, -67, -38, -4];
        let square = SquaredDifference::new([A, B], Quantisation { scale: 0.2, zero_point: -128 }).unwrap();
        assert_eq!(bytes().step_by(15).map(|value| square.of(value, 100)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_squared_difference_is_that_of_both_directions_unless_it_reaches_further_than_bytes() {
        let square = |second: Quantisation, scale: f32| {
            SquaredDifference::new([A, second], Quantisation { scale, zero_point: -128 }).unwrap()
        };
        assert!(square(A, 0.1).is_of_the_difference());
        assert!(!square(B, 0.1).is_of_the_difference(), "another scale");
        let further = Quantisation { zero_point: 100, ..A };
        assert!(square(further, 0.1).is_of_the_difference(), "more than 255 steps are at the bound");
        assert!(!square(further, 10.0).is_of_the_difference(), "more than 255 steps are told apart");
    }
}
