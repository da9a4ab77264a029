//! What a kernel gets: the bytes of its operator's tensors, found in the arena once.

use core::cell::Cell;
use core::ops::Range;

use crate::bounded::Bounded;
use crate::format::Tensor;

/// Input and output of an operator that must lie apart.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Apart<'a> {
    /// The input tensor.
    pub input: &'a [i8],
    /// Rows [`rows`](Self::rows) of the output.
    pub output: &'a mut [i8],
    /// The operator's scratch; as the part before has left it.
    pub scratch: &'a mut [i8],
    /// Which rows of the output are to be made.
    pub rows: Range<usize>,
}

/// Inputs and output of an operator whose output may lie over an input, as [`Overlap`](crate::operators::Overlap) allows.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shared<'a, const N: usize> {
    /// The input tensors, or the same rows of them where they have the output's shape and are read element by element.
    pub inputs: [&'a [Cell<i8>]; N],
    /// Rows [`rows`](Self::rows) of the output.
    pub output: &'a [Cell<i8>],
    /// The operator's scratch; as the part before has left it.
    pub scratch: &'a mut [i8],
    /// Which rows of the output are to be made.
    pub rows: Range<usize>,
}

/// The same bytes as cells.
#[inline(always)]
pub fn cells(bytes: &mut [i8]) -> &[Cell<i8>] {
    Cell::from_mut(bytes).as_slice_of_cells()
}

/// A part of an operator's work: rows of its output. Parts come in order, from the first row on, and scratch is left alone
/// between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Part {
    /// First row.
    pub start: u16,
    /// One past the last row, or any number beyond.
    pub end: u16,
}

impl Part {
    /// All rows.
    pub const ALL: Self = Self { start: 0, end: u16::MAX };

    /// Those of an output of so many rows.
    #[inline(always)]
    fn rows(self, height: u16) -> Range<usize> {
        usize::from(self.start.min(height))..usize::from(self.end.min(height))
    }
}

/// What each operator's kernel is told of a run besides where the arena is: put together once for all of them.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Run<'a> {
    /// The weights section.
    pub section: &'a [u8],
    /// What to do of each operator.
    pub part: Part,
}

/// Where the scratch of an operator lies in the arena: its first byte and its length.
pub type Scratch = (u32, usize);

/// Bytes of the arena: the first and how many.
type Region = (usize, usize);

/// What an operator works with. Its methods give views of the arena; `None` where a tensor lies outside, or tensors share
/// bytes that must not, which [`Model::parse`](crate::Model::parse) has ruled out.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Memory<'a> {
    arena: &'a mut [i8],
    /// The weights section.
    pub section: &'a [u8],
    part: Part,
}

impl<'a> Memory<'a> {
    /// The arena, and what to do in it.
    #[inline(always)]
    pub fn new(arena: &'a mut [i8], &Run { section, part }: &Run<'a>) -> Self {
        Self { arena, section, part }
    }

    /// The same where the first part is all of the work, and the others are none.
    #[inline(always)]
    pub fn undivided(self) -> Self {
        Self { part: if self.part.start == 0 { Part::ALL } else { Part { start: u16::MAX, ..self.part } }, ..self }
    }

    /// An input and an output that share no byte. Scratch of no bytes lies nowhere, whatever its place.
    #[inline(always)]
    pub fn apart(self, input: &Tensor, output: &Tensor, (start, len): Scratch) -> Option<Apart<'a>> {
        let rows = self.part.rows(output.height);
        let start = if len > 0 { start as usize } else { 0 };
        let regions = [whole(input), lines(output, &rows), (start, len)].map(range);
        let [input, output, scratch] = self.arena.get_disjoint_mut(regions).ok()?;
        Some(Apart { input, output, scratch, rows })
    }

    /// The same without scratch.
    #[inline(always)]
    pub fn pair(self, input: &Tensor, output: &Tensor) -> Option<Apart<'a>> {
        let rows = self.part.rows(output.height);
        let (input, output) = disjoint(self.arena, whole(input), lines(output, &rows))?;
        Some(Apart { input, output, scratch: &mut [], rows })
    }

    /// The same for an operator that is not divided.
    #[inline(always)]
    pub fn whole(self, input: &Tensor, output: &Tensor) -> Option<Apart<'a>> {
        let rows = 0..usize::from(output.height);
        let (input, output) = disjoint(self.arena, whole(input), whole(output))?;
        Some(Apart { input, output, scratch: &mut [], rows })
    }

    /// The output of an operator that reads no tensor and is not divided.
    #[inline(always)]
    pub fn output(self, output: &Tensor) -> Option<&'a mut [i8]> {
        self.arena.get_mut(output.range())
    }

    /// Inputs and an output that may share bytes.
    #[inline(always)]
    pub fn shared<const N: usize>(self, inputs: [&Tensor; N], output: &Tensor) -> Option<Shared<'a, N>> {
        let rows = self.part.rows(output.height);
        let arena = cells(self.arena);
        let inputs = found(inputs.map(|input| arena.get(input.range())))?;
        Some(Shared { inputs, output: arena.get(range(lines(output, &rows)))?, scratch: &mut [], rows })
    }

    /// The same rows of inputs and output, which all have one shape.
    #[inline(always)]
    pub fn lined_up<const N: usize>(self, inputs: [&Tensor; N], output: &Tensor) -> Option<Shared<'a, N>> {
        let rows = self.part.rows(output.height);
        let arena = cells(self.arena);
        let find = |tensor: &Tensor| {
            let (first, count) = lines(&Tensor { offset: tensor.offset, ..*output }, &rows);
            arena.get(first..)?.get(..count)
        };
        let inputs = found(inputs.map(find))?;
        Some(Shared { inputs, output: find(output)?, scratch: &mut [], rows })
    }

    /// The same with scratch, which shares no byte with them.
    #[inline(always)]
    pub fn shared_with(self, input: &Tensor, output: &Tensor, scratch: Scratch) -> Option<Shared<'a, 1>> {
        let rows = self.part.rows(output.height);
        self.around([whole(input), lines(output, &rows)], scratch, rows)
    }

    /// The same for an operator that can also be divided by channels, and the channels of this part: all of them where the
    /// tensors share no byte, and otherwise some of them for all rows.
    #[inline(always)]
    pub fn shared_by_channels(
        self,
        input: &Tensor,
        output: &Tensor,
        scratch: Scratch,
    ) -> Option<(Shared<'a, 1>, Range<usize>)> {
        let (rows, channels) = (self.part.rows(output.height), output.channels as usize);
        if !input.overlaps(output) {
            return Some((self.around([whole(input), lines(output, &rows)], scratch, rows)?, 0..channels));
        }
        let height = usize::from(output.height);
        let share = |row: usize| channels.times(row).checked_div(height);
        let channels = share(rows.start)?..share(rows.end)?;
        Some((self.around([whole(input), whole(output)], scratch, 0..height)?, channels))
    }

    /// Views of what lies before or after the scratch.
    #[inline(always)]
    fn around(self, [input, output]: [Region; 2], (start, len): Scratch, rows: Range<usize>) -> Option<Shared<'a, 1>> {
        let start = start as usize;
        let (before, rest) = self.arena.split_at_mut_checked(start)?;
        let (scratch, after) = rest.split_at_mut_checked(len)?;
        let (before, after) = (cells(before), cells(after));
        let find = |(first, count): Region| match first.checked_sub(start.plus(len)) {
            Some(first) => after.get(first..)?.get(..count),
            None => before.get(first..)?.get(..count),
        };
        Some(Shared { inputs: [find(input)?], output: find(output)?, scratch, rows })
    }
}

/// Two regions of the arena; `None` where they share a byte or one lies outside. Shorter than `get_disjoint_mut`, which compares
/// any number of them in a loop.
#[inline(always)]
fn disjoint(arena: &mut [i8], input: Region, output: Region) -> Option<(&[i8], &mut [i8])> {
    if input.0 < output.0 {
        let (before, rest) = arena.split_at_mut_checked(output.0)?;
        Some((before.get(input.0..)?.get(..input.1)?, rest.get_mut(..output.1)?))
    } else {
        let (before, rest) = arena.split_at_mut_checked(input.0)?;
        Some((rest.get(..input.1)?, before.get_mut(output.0..)?.get_mut(..output.1)?))
    }
}

/// All of them, where none is missing.
#[inline(always)]
fn found<T: Copy + Default, const N: usize>(views: [Option<T>; N]) -> Option<[T; N]> {
    views.iter().all(Option::is_some).then(|| views.map(Option::unwrap_or_default))
}

/// Where a tensor lies in the arena.
#[inline(always)]
fn whole(tensor: &Tensor) -> Region {
    (tensor.offset as usize, tensor.len())
}

/// Where rows of a tensor lie.
#[inline(always)]
fn lines(tensor: &Tensor, rows: &Range<usize>) -> Region {
    let line = tensor.row_len();
    ((tensor.offset as usize).wrapping_add(rows.start.wrapping_mul(line)), rows.len().wrapping_mul(line))
}

/// From the first byte to one past the last.
#[inline(always)]
fn range((start, len): Region) -> Range<usize> {
    start..start.wrapping_add(len)
}
