//! MAXIMUM and MINIMUM. LiteRT compares bytes, whatever they stand for.

use no_std_infer::format::{Activation, Lookup, Op, Pool2d, Tensor, Window};

use super::Lowering;
use super::views::sides;
use crate::import::Result;
use crate::import::model::{BuiltinOperator, Operator};
use crate::quantise::{Quantisation, quantisation};

impl Lowering<'_> {
    /// A table where one input is a number, else the largest of both side by side; the smallest is that of the bytes turned over,
    /// turned over again.
    pub(super) fn add_extreme(&mut self, op: &Operator) -> Result<()> {
        let index = self.output(op)?;
        self.both(op)?;
        let smallest = op.code == BuiltinOperator::Minimum;
        if self.add_if_number(op, if smallest { i8::min } else { i8::max })? {
            return Ok(());
        }
        let whole = self.sides(index)?;
        let to = self.quantisation(index)?;
        let [height, width, channels] = whole;
        let mut parts = Vec::new();
        for at in 0..2 {
            let mut part = self.activation(op, at)?;
            let mut own = sides(&part);
            let fits = (0..3).all(|side| own[side] == whole[side] || own[side] == 1);
            ensure!(fits, Damaged, "its input {own:?} cannot become {whole:?}: the file is damaged");
            if smallest {
                part = self.negated(index, part)?;
            }
            for side in (0..3).rev() {
                if own[side] != whole[side] {
                    let outer = own[..side].iter().product();
                    part = self.repeated(index, part, [outer, 1, own[side + 1..].iter().product()], whole[side])?;
                    own[side] = whole[side];
                }
            }
            let marked = if smallest { Quantisation { zero_point: !to.zero_point, ..to } } else { to };
            part = self.marked(index, part, marked)?;
            parts.push(self.viewed(index, part, [height, 1, width * channels])?);
        }
        let input = self.beside(index, parts[0], parts[1])?;
        let output = self.place(index, [height, 1, width * channels], quantisation(&input))?;
        let window = Window { kernel_w: 2, stride_w: 2, ..Window::square(1, 1) };
        let pool = Pool2d { input, output, window, activation: Activation::NONE };
        self.builder.push(Op::MaxPool2d(pool), format!("{} (largest)", self.network.tensors[index].name));
        let made = if smallest { self.negated(index, output)? } else { output };
        self.settle(index, made)
    }

    /// A tensor with the bits of each byte turned over, its zero point too: as many steps below it as it was above.
    pub(super) fn negated(&mut self, index: usize, input: Tensor) -> Result<Tensor> {
        let quantisation = Quantisation { scale: input.scale, zero_point: !input.zero_point };
        let table = std::array::from_fn(|at| !(at as u8 ^ 0x80));
        self.through(index, input, quantisation, &table, "negated")
    }

    /// A tensor whose bytes stand for other numbers.
    fn marked(&mut self, index: usize, input: Tensor, as_if: Quantisation) -> Result<Tensor> {
        if quantisation(&input) == as_if {
            return Ok(input);
        }
        self.through(index, input, as_if, &std::array::from_fn(|at| at as u8 ^ 0x80), "as they are")
    }

    fn through(
        &mut self,
        index: usize,
        input: Tensor,
        quantisation: Quantisation,
        table: &[u8; 256],
        what: &str,
    ) -> Result<Tensor> {
        let output = self.place(index, sides(&input), quantisation)?;
        let table = self.builder.add_constant(table);
        let name = format!("{} ({what})", self.network.tensors[index].name);
        self.builder.push(Op::Lookup(Lookup { input, output, table }), name);
        Ok(output)
    }
}
