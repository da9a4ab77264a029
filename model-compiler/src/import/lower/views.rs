//! Moves of elements by operators that the engine has: a reshape gives the same bytes other sides, a window of one tap copies a
//! part of them, a concatenation puts parts side by side. Parts are taken and joined along the middle one of three sides.

use no_std_infer::format::{Activation, Concat, Conv2d, Layout, Op, Pool2d, Reshape, Tensor, Weights, Window};

use super::Lowering;
use crate::import::Result;
use crate::quantise::{Kind, quantisation};

/// The weight that copies: such sums are small enough for the fast kernels, and dividing by it rounds nothing.
pub(super) const COPY: u8 = 4;
/// Most channels of a copied part: each takes constants.
const RUN_MAX: usize = 64;

/// Height, width and channels.
pub(super) fn sides(tensor: &Tensor) -> [usize; 3] {
    [tensor.height.into(), tensor.width.into(), tensor.channels as usize]
}

impl Lowering<'_> {
    /// A name for what is made on the way to the network's tensor `index`.
    fn part_name(&self, index: usize, what: &str) -> String {
        format!("{} ({what})", self.network.tensors[index].name)
    }

    /// A tensor's bytes with other sides.
    pub(super) fn viewed(&mut self, index: usize, input: Tensor, other: [usize; 3]) -> Result<Tensor> {
        if sides(&input) == other {
            return Ok(input);
        }
        let output = self.place(index, other, quantisation(&input))?;
        ensure!(input.len() == output.len(), Damaged, "{} elements become {}", input.len(), output.len());
        self.builder.push(Op::Reshape(Reshape { input, output }), self.part_name(index, "reshaped"));
        Ok(output)
    }

    /// Makes a tensor the network's tensor `index`, with its sides.
    pub(super) fn settle(&mut self, index: usize, made: Tensor) -> Result<()> {
        let (last, name) = (self.builder.ops.last(), self.network.tensors[index].name);
        let own = last.is_some_and(|last| *last.output() == made) && !self.values.contains(&Some(made));
        if own && sides(&made) == self.sides(index)? {
            self.values[index] = Some(made);
            self.builder.names.pop();
            self.builder.names.push(name.to_owned());
            return Ok(());
        }
        let output = self.place(index, self.sides(index)?, quantisation(&made))?;
        ensure!(
            made.len() == output.len(),
            Damaged,
            "{} elements become {}: the file is damaged",
            made.len(),
            output.len()
        );
        self.push(index, Op::Reshape(Reshape { input: made, output }), name);
        Ok(())
    }

    /// `len` elements from `start` on along the middle one of a tensor's sides, taken as `[outer, all, inner]`.
    pub(super) fn cut(
        &mut self,
        index: usize,
        input: Tensor,
        [outer, all, inner]: [usize; 3],
        (start, len): (usize, usize),
    ) -> Result<Tensor> {
        if len == all {
            return self.viewed(index, input, [outer, all, inner]);
        }
        // Neighbours that are copied together are channels.
        let lengths = [start, len, all].map(|length| length * inner);
        let run = (1..=RUN_MAX).rev().find(|&run| lengths.iter().all(|length| length.is_multiple_of(run))).unwrap_or(1);
        let [start, len, all] = lengths.map(|length| length / run);
        let input = self.viewed(index, input, [outer, all, run])?;
        let output = self.place(index, [outer, len, run], quantisation(&input))?;
        let op = if start == 0 {
            Op::MaxPool2d(Pool2d { input, output, window: Window::square(1, 1), activation: Activation::NONE })
        } else {
            // Of two taps that lie so far apart the second.
            let dilation_w = u16::try_from(start).map_err(|_| refused!(OutOfRange, "it skips {start} elements"))?;
            let window = Window { kernel_w: 2, dilation_w, ..Window::square(1, 1) };
            let taps: Vec<u8> = [[0], [COPY]].iter().flat_map(|tap| tap.repeat(run)).collect();
            let weights = self.copying(Kind::Depthwise, &taps, &output)?;
            Op::DepthwiseConv2d(Conv2d { input, output, window, weights, activation: Activation::NONE, scratch: 0 })
        };
        self.builder.push(op, self.part_name(index, "part"));
        Ok(output)
    }

    /// Every `step`-th element along the middle one of a tensor's sides, `count` of them.
    pub(super) fn every(
        &mut self,
        index: usize,
        input: Tensor,
        [outer, all, inner]: [usize; 3],
        (step, count): (usize, usize),
    ) -> Result<Tensor> {
        let input = self.viewed(index, input, [outer, all, inner])?;
        let output = self.place(index, [outer, count, inner], quantisation(&input))?;
        let stride_w = u16::try_from(step).map_err(|_| refused!(OutOfRange, "its stride {step} is above 65,535"))?;
        let window = Window { stride_w, ..Window::square(1, 1) };
        let pool = Pool2d { input, output, window, activation: Activation::NONE };
        self.builder.push(Op::MaxPool2d(pool), self.part_name(index, "every so many"));
        Ok(output)
    }

    /// Two tensors side by side, along their width.
    pub(super) fn beside(&mut self, index: usize, a: Tensor, b: Tensor) -> Result<Tensor> {
        let ([height, first, channels], [_, second, _]) = (sides(&a), sides(&b));
        let fits = sides(&b) == [height, second, channels];
        ensure!(fits, Damaged, "its inputs {:?} and {:?} do not fit together", sides(&a), sides(&b));
        let output = self.place(index, [height, first + second, channels], quantisation(&a))?;
        self.builder.push(Op::Concat(Concat { a, b, output }), self.part_name(index, "side by side"));
        Ok(output)
    }

    /// All elements along the middle one of a tensor's sides again and again. Halves are joined, so that a number takes no more than
    /// two operators for each of its binary digits.
    pub(super) fn repeated(
        &mut self,
        index: usize,
        input: Tensor,
        [outer, all, inner]: [usize; 3],
        times: usize,
    ) -> Result<Tensor> {
        let once = self.viewed(index, input, [outer, 1, all * inner])?;
        let mut made = once;
        for digit in (0..times.max(1).ilog2()).rev() {
            made = self.beside(index, made, made)?;
            if times >> digit & 1 == 1 {
                made = self.beside(index, made, once)?;
            }
        }
        Ok(made)
    }

    /// The constants of a layer that copies elements: each output has one weight of [`COPY`], the others are 0.
    pub(super) fn copying(&mut self, kind: Kind, weights: &[u8], output: &Tensor) -> Result<Weights> {
        let entry = kind.parameters(-i32::from(COPY) * i32::from(output.zero_point), 1.0 / f64::from(COPY));
        let entry = entry.ok_or_else(|| refused!(OutOfRange, "it cannot be copied"))?;
        let parameters = entry.repeat(output.channels as usize);
        let weights = self.builder.add_constant(weights);
        Ok(Weights { layout: Layout::Plain, weights, channels: self.builder.add_constant(&parameters) })
    }
}
