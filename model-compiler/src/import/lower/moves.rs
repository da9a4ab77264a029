//! Operators that only move elements: parts of a tensor (SLICE, STRIDED_SLICE, SPLIT, SPLIT_V, UNPACK), and several or the same
//! side by side (PACK, TILE, BROADCAST_TO).

use no_std_infer::format::Tensor;

use super::Lowering;
use crate::import::Result;
use crate::import::bounds::check_count;
use crate::import::model::{BuiltinOperator, Operator};

/// What is taken along one side of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Taken {
    start: usize,
    step: usize,
    count: usize,
}

impl Taken {
    fn all(side: usize) -> Self {
        Self { start: 0, step: 1, count: side }
    }

    /// Of a side, from `start` to before `end`.
    fn new(side: usize, [start, end, step]: [i64; 3]) -> Result<Self> {
        let number = |value: i64| usize::try_from(value).ok();
        let fits = number(start).zip(number(end)).zip(number(step));
        match fits {
            Some(((start, end), step)) if start < end && end <= side && step > 0 => {
                Ok(Self { start, step, count: (end - start).div_ceil(step) })
            }
            _ => Err(refused!(Damaged, "it takes {start} to {end} of a side of {side}: the file is damaged")),
        }
    }

    /// How far the first and the last element lie apart, both counted.
    fn reach(&self) -> usize {
        (self.count - 1) * self.step + 1
    }
}

/// The side that an axis names; negative counts from the last.
fn side(axis: i32, rank: usize) -> Result<usize> {
    let from_last = if axis < 0 { rank as i64 } else { 0 };
    let side = usize::try_from(i64::from(axis) + from_last).ok().filter(|&side| side < rank);
    side.ok_or_else(|| refused!(Damaged, "its side {axis} does not exist: the file is damaged"))
}

/// All elements before a side, along it, and after it.
fn around(shape: &[usize], side: usize) -> [usize; 3] {
    let product = |sides: Option<&[usize]>| sides.unwrap_or_default().iter().product();
    [product(shape.get(..side)), shape.get(side).copied().unwrap_or(1), product(shape.get(side + 1..))]
}

impl Lowering<'_> {
    /// SLICE.
    pub(super) fn add_slice(&mut self, op: &Operator) -> Result<()> {
        let shape = self.shape(op, 0)?;
        let [begins, lengths] = [self.integers(op, 1)?, self.integers(op, 2)?];
        ensure!(
            begins.len() == shape.len() && lengths.len() == shape.len(),
            Damaged,
            "it names {} and {} of {} sides: the file is damaged",
            begins.len(),
            lengths.len(),
            shape.len()
        );
        let taken = shape.iter().zip(begins).zip(lengths).map(|((&side, begin), length)| {
            let begin = i64::from(begin);
            let end = if length == -1 { side as i64 } else { begin + i64::from(length) };
            Taken::new(side, [begin, end, 1])
        });
        let taken: Vec<Taken> = taken.collect::<Result<_>>()?;
        self.add_part(op, 0, self.output(op)?, &taken)
    }

    /// STRIDED_SLICE, as Python slices.
    pub(super) fn add_strided_slice(&mut self, op: &Operator) -> Result<()> {
        let shape = self.shape(op, 0)?;
        let [begins, ends, steps] = [self.integers(op, 1)?, self.integers(op, 2)?, self.integers(op, 3)?];
        let masks = op.options.masks;
        ensure!(
            !masks.others,
            Unsupported,
            "it adds sides, or leaves some out by an ellipsis: write it as one slice a side, and RESHAPE"
        );
        let named = begins.len();
        ensure!(
            named <= shape.len() && ends.len() == named && steps.len() == named,
            Damaged,
            "it names {named} of {} sides: the file is damaged",
            shape.len()
        );
        let mut taken = Vec::new();
        for (at, &side) in shape.iter().enumerate() {
            let (Some(&begin), Some(&end), Some(&step)) = (begins.get(at), ends.get(at), steps.get(at)) else {
                taken.push(Taken::all(side));
                continue;
            };
            ensure!(step > 0, Unsupported, "it goes backwards along side {at}, which is not supported");
            let masked = |mask: i32| mask >> at & 1 == 1;
            let within =
                |value: i32| (i64::from(value) + if value < 0 { side as i64 } else { 0 }).clamp(0, side as i64);
            let start = if masked(masks.begin) { 0 } else { within(begin) };
            let end = match (masked(masks.shrink), masked(masks.end)) {
                (true, _) => start + 1,
                (false, true) => side as i64,
                (false, false) => within(end),
            };
            taken.push(Taken::new(side, [start, end, step.into()])?);
        }
        self.add_part(op, 0, self.output(op)?, &taken)
    }

    /// SPLIT and SPLIT_V: of equal parts, and of parts whose lengths are given.
    pub(super) fn add_split(&mut self, op: &Operator) -> Result<()> {
        let equal = op.code == BuiltinOperator::Split;
        let (value, axis) = if equal { (1, 0) } else { (0, 2) };
        let (shape, axis) = (self.shape(op, value)?, self.integers(op, axis)?);
        let &[axis] = axis.as_slice() else { return Err(refused!(Damaged, "it has {} axes", axis.len())) };
        let side = side(axis, shape.len())?;
        let parts = op.outputs.len();
        check_count(parts)?;
        let lengths = if equal {
            ensure!(shape[side].is_multiple_of(parts), Damaged, "{} cannot be {parts} equal parts", shape[side]);
            vec![(shape[side] / parts) as i32; parts]
        } else {
            self.integers(op, 1)?
        };
        ensure!(lengths.len() == parts, Damaged, "it has {parts} outputs and {} lengths", lengths.len());
        let known: i64 = lengths.iter().filter(|&&length| length >= 0).map(|&length| i64::from(length)).sum();
        let mut start = 0;
        for (&index, length) in op.outputs.iter().zip(lengths) {
            // One length may be the rest.
            let length = if length < 0 { shape[side] as i64 - known } else { length.into() };
            self.add_part_along(op, value, index, (side, [start, start + length, 1]))?;
            start += length;
        }
        Ok(())
    }

    /// UNPACK: an output for each index along a side.
    pub(super) fn add_unpack(&mut self, op: &Operator) -> Result<()> {
        let side = side(op.options.axis, self.shape(op, 0)?.len())?;
        check_count(op.outputs.len())?;
        for (start, &index) in (0..).zip(&op.outputs) {
            self.add_part_along(op, 0, index, (side, [start, start + 1, 1]))?;
        }
        Ok(())
    }

    /// Makes an output of a part along one side, where something reads it.
    fn add_part_along(&mut self, op: &Operator, at: usize, index: usize, along: (usize, [i64; 3])) -> Result<()> {
        let read = self.operators.iter().any(|op| op.inputs.contains(&Some(index)));
        if !read && index != self.network.output {
            return Ok(());
        }
        let shape = self.shape(op, at)?;
        let (side, bounds) = along;
        let mut taken: Vec<Taken> = shape.iter().map(|&side| Taken::all(side)).collect();
        taken[side] = Taken::new(shape[side], bounds)?;
        self.add_part(op, at, index, &taken)
    }

    /// Makes the network's tensor `index` of a part of an input, taken side by side.
    fn add_part(&mut self, op: &Operator, at: usize, index: usize, taken: &[Taken]) -> Result<()> {
        let mut made = self.moved(op, at, index)?;
        let mut shape = self.shape(op, at)?;
        for (side, taken) in taken.iter().enumerate() {
            if *taken == Taken::all(shape[side]) {
                continue;
            }
            made = self.cut(index, made, around(&shape, side), (taken.start, taken.reach()))?;
            shape[side] = taken.reach();
            if taken.step > 1 {
                made = self.every(index, made, around(&shape, side), (taken.step, taken.count))?;
            }
            shape[side] = taken.count;
        }
        self.settle(index, made)
    }

    /// PACK: tensors along a side that they do not have.
    pub(super) fn add_pack(&mut self, op: &Operator) -> Result<()> {
        let index = self.output(op)?;
        let shape = &self.network.tensors[index].shape;
        let side = side(op.options.axis, shape.len())?;
        let [outer, parts, inner] = around(shape, side);
        ensure!(parts == op.inputs.len(), Damaged, "it has {} inputs and makes {parts} parts", op.inputs.len());
        check_count(parts)?;
        let mut made = None;
        for at in 0..parts {
            let part = self.moved(op, at, index)?;
            let part = self.viewed(index, part, [outer, 1, inner])?;
            made = Some(match made {
                Some(made) => self.beside(index, made, part)?,
                None => part,
            });
        }
        self.settle(index, made.ok_or_else(|| refused!(Damaged, "it has no inputs"))?)
    }

    /// TILE and BROADCAST_TO: the tensor again and again along some of its sides.
    pub(super) fn add_repetition(&mut self, op: &Operator) -> Result<()> {
        let index = self.output(op)?;
        let (mut shape, whole) = (self.shape(op, 0)?, &self.network.tensors[index].shape);
        // Sides that an input of BROADCAST_TO lacks come first.
        let lacking = whole.len().saturating_sub(shape.len());
        shape.splice(0..0, std::iter::repeat_n(1, lacking));
        ensure!(shape.len() == whole.len(), Damaged, "{shape:?} cannot become {whole:?}: the file is damaged");
        let mut made = self.moved(op, 0, index)?;
        for (side, &length) in whole.iter().enumerate().rev() {
            let times = length.checked_div(shape[side]).unwrap_or(0);
            let broadcast = op.code == BuiltinOperator::Tile || shape[side] == 1 || times == 1;
            ensure!(times * shape[side] == length && broadcast, Damaged, "{shape:?} cannot become {whole:?}");
            if times > 1 {
                made = self.repeated(index, made, around(&shape, side), times)?;
                shape[side] = length;
            }
        }
        self.settle(index, made)
    }

    /// Our tensor for an input whose elements are moved to the network's tensor `index`.
    pub(super) fn moved(&mut self, op: &Operator, at: usize, index: usize) -> Result<Tensor> {
        self.check_int8(index)?;
        let input = self.activation(op, at)?;
        ensure!(
            self.quantisation(self.input(op, at)?)? == self.quantisation(index)?,
            Unsupported,
            "its input and its output are quantised differently"
        );
        Ok(input)
    }

    /// All sides of an input.
    pub(super) fn shape(&self, op: &Operator, at: usize) -> Result<Vec<usize>> {
        Ok(self.network.tensors[self.input(op, at)?].shape.clone())
    }

    /// An input that is a constant of integers.
    pub(super) fn integers(&self, op: &Operator, at: usize) -> Result<Vec<i32>> {
        self.network.tensors[self.input(op, at)?].integers()
    }
}
