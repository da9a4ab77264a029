//! Dilated convolutions as Keras exports them: SPACE_TO_BATCH_ND, a convolution without dilation, BATCH_TO_SPACE_ND.

use anyhow::{Context, Result, bail, ensure};

use super::Lowering;
use super::shapes::Padding;
use crate::import::model::{BuiltinOperator, Operator};

/// Block sides, and two numbers for each of height and width: borders or crops.
type Blocks = ([i32; 2], [[usize; 2]; 2]);

impl<'n> Lowering<'n> {
    /// Joins the operator and the one after the convolution to the convolution.
    pub(super) fn add_space_to_batch(&mut self, op: &Operator) -> Result<()> {
        let (source, index) = (self.input(op, 0)?, self.output(op)?);
        self.activation(op, 0)?;
        let (dilation, borders) = self.blocks(op)?;
        let alone = "only the pair around a convolution, which stands for its dilation, is supported";
        let convolution = self.only_reader(index).filter(|op| {
            let codes = [BuiltinOperator::Conv2d, BuiltinOperator::DepthwiseConv2d];
            codes.contains(&op.code) && !op.options.same && op.options.stride == [1, 1] && op.options.dilation == [1, 1]
        });
        let made = self.output(convolution.context(alone)?)?;
        let after = self.only_reader(made).filter(|op| op.code == BuiltinOperator::BatchToSpaceNd).context(alone)?;
        let (other, crops) = self.blocks(after)?;
        ensure!(dilation == other, "{alone}");
        let output = self.output(after)?;
        self.check_int8(output)?;
        ensure!(
            self.quantisation(source)? == self.quantisation(index)?
                && self.quantisation(made)? == self.quantisation(output)?,
            "its input and its output are quantised differently"
        );
        let less = |at: usize, end: usize| {
            let rest = borders[at][end].checked_sub(crops[at][end]);
            rest.with_context(|| format!("more is cut off after the convolution than was added: {alone}"))
        };
        let padding = Padding {
            source,
            before: [less(0, 0)?, less(1, 0)?],
            after: [less(0, 1)?, less(1, 1)?],
            dilated: Some((dilation, output)),
        };
        self.paddings[index] = Some(padding);
        let name = self.network.tensors[output].name;
        self.changes.push(format!("{name}: SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND became the convolution's dilation"));
        Ok(())
    }

    /// Checks that the convolution before it has done its work.
    pub(super) fn add_batch_to_space(&mut self, op: &Operator) -> Result<()> {
        let joined = self.values[self.output(op)?].is_some();
        ensure!(joined, "only the pair around a convolution, which stands for its dilation, is supported");
        Ok(())
    }

    fn blocks(&self, op: &Operator) -> Result<Blocks> {
        let block = self.network.tensors[self.input(op, 1)?].integers()?;
        let ends = self.network.tensors[self.input(op, 2)?].integers()?;
        let (&[height, width], &[top, bottom, left, right]) = (block.as_slice(), ends.as_slice()) else {
            bail!("it does not divide height and width");
        };
        let ends = [top, bottom, left, right].map(|end| usize::try_from(end).ok());
        let [Some(top), Some(bottom), Some(left), Some(right)] = ends else { bail!("a border is negative") };
        Ok(([height, width], [[top, bottom], [left, right]]))
    }

    /// The one operator that reads a tensor which is not the output.
    fn only_reader(&self, index: usize) -> Option<&'n Operator> {
        let mut readers = self.operators.iter().filter(|op| op.inputs.contains(&Some(index)));
        let reader = readers.next().filter(|_| index != self.network.output)?;
        readers.next().is_none().then_some(*reader)
    }
}
