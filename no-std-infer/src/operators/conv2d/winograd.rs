//! Weights that are transformed for Winograd's convolution in integers, with fewer products than there are weights and
//! outputs: F(2x2, 3x3), F(4x4, 3x3), and a form for stride 2 (Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks", 2016). See [`Form`].
//!
//! Of each pair of an output and an input channel the block `U` is stored, the transform of 3 x 3 weights; of a tile of inputs
//! `d`, `V = Bᵀ · d · B`; the sum `M` of all input channels' products `U · V`, element by element, gives the tile's sums of
//! products, `Aᵀ · M · A`, times a constant. Nothing is rounded:
//!
//! * U and V fit 16 bits whatever the weights and the inputs. F(2x2): |U| ≤ 9 · 128, |V| ≤ 4 · 128. F(4x4):
//!   |U| ≤ 144 · 128, |V| ≤ 100 · 128. Stride 2: |U| ≤ 4 · 128, |V| ≤ 4 · 128.
//! * F(2x2) gives four times the sums. They may wrap in 32 bits until `R = M · A`, a row of which is twice a sum of products
//!   of `G · g` and `Bᵀ · d`; it is below 2 · 3 · 384 · 256 times the number of input channels, and 2^31 for up to 64 of
//!   them. Its halves then wrap until twice the sum with its bias, which is below 2^31 as in every packed layer.
//! * F(4x4) gives the sums times 9 · 2^s, 2 ≤ s ≤ 6. Everything may wrap up to there; times the inverse of 9 modulo 2^32 that
//!   is the sum times 2^s, which does not wrap: of up to 64 input channels the sum is at most 64 · 9 · 2^14, below 2^25.
//! * Stride 2 gives the sums themselves, and everything may wrap up to twice the sum with its bias.

use core::marker::PhantomData;

pub use super::form::Form;
use super::form::Transform;
pub(in crate::operators) use super::form::{F2x2, F4x4, Stride2};
use super::packed::Strip;
use super::{Conv2d, check_convolution};
use crate::bounded::{Bounded, numbered};
use crate::error::OpError;
use crate::kernels::{Kernels, Memory, Shared};
use crate::operators::check::{check_packed_channel, check_packed_layer, ensure};
use crate::operators::params::PackedParams;
use crate::operators::{Activation, Channels, Code};

/// Tiles that are multiplied together.
pub(crate) const TILES: usize = 4;
/// Neighbouring output columns that are transformed together.
pub(crate) const COLUMNS: usize = 8;

/// The constants of a transformed layer.
#[derive(Clone, Copy, Debug)]
pub struct Winograd<'a> {
    /// Which transform.
    pub form: Form,
    /// Groups of four input channels; what is missing in the last has weights of 0.
    pub quads: usize,
    /// For each pair of output channels, for each element of a block, row by row, for each group, for input channels 0 and
    /// 2 and then 1 and 3, for both output channels: two elements.
    pub words: &'a [u8],
    /// One entry an output channel.
    pub channels: Channels<'a, PackedParams>,
}

impl<'a> Winograd<'a> {
    /// Bytes of a pair of output channels.
    #[must_use]
    pub const fn row_len(form: Form, op: &Conv2d) -> usize {
        row_len(form, quads(op))
    }

    /// Finds the constants in the weights section; `None` when they lie outside or the layer is not one of this kind.
    #[must_use]
    pub fn find(section: &'a [u8], op: &Conv2d, form: Form) -> Option<Self> {
        let outputs = op.output.channels as usize;
        let (start, quads) = (op.weights.weights as usize, quads(op));
        let len = if is_possible(form, op) { Self::row_len(form, op).checked_mul(outputs / 2)? } else { return None };
        let words = section.get(start..start.checked_add(len)?)?;
        Some(Self { form, quads, words, channels: Channels::find(section, op.weights.channels, outputs)? })
    }

    /// The weights that became the block of an output and an input channel.
    fn gather<T: Transform<N>, const N: usize>(&self, output: usize, input: usize) -> [[i8; 3]; 3] {
        let mut block = [[0; N]; N];
        self.read(output, input, block.as_flattened_mut());
        T::weights(|row, column| block.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0))
    }

    /// Reads a block; one function serves blocks of all sizes.
    #[inline(never)]
    fn read(&self, output: usize, input: usize, block: &mut [i32]) {
        let (start, stride) = position(self.quads, block.len(), output, input);
        let elements = self.words.as_chunks::<2>().0.get(start..).unwrap_or_default().iter();
        for (slot, &bytes) in block.iter_mut().zip(elements.step_by(stride.max(1))) {
            *slot = i16::from_le_bytes(bytes).into();
        }
    }

    /// The weights of an output and an input channel.
    #[must_use]
    pub fn weights(&self, output: usize, input: usize) -> [[i8; 3]; 3] {
        match self.form {
            Form::F2x2 => self.gather::<F2x2, 4>(output, input),
            Form::F4x4 => self.gather::<F4x4, 6>(output, input),
            Form::Stride2 => self.gather::<Stride2, 5>(output, input),
        }
    }

    /// Proves the blocks of an output channel and input channels `input` and `input + 2`, of which each word holds an element,
    /// to be those of int8 weights, and gives the sums of the absolute weights.
    fn magnitudes<T: Transform<N>, const N: usize>(&self, output: usize, input: usize) -> Option<[u32; 2]> {
        let (start, stride) = position(self.quads, N * N, output, input);
        let words = self.words.as_chunks::<4>().0.get(start / 2..).unwrap_or_default();
        T::magnitudes(words, stride / 2)
    }
}

/// Bytes of a pair of output channels, for so many groups of four input channels.
pub(crate) const fn row_len(form: Form, quads: usize) -> usize {
    // Layers that are possible have 16 groups at most.
    quads.wrapping_mul(16 * form.elements())
}

/// Where the block of an output and an input channel starts, and from there to the next element: in halfwords.
fn position(quads: usize, elements: usize, output: usize, input: usize) -> (usize, usize) {
    let step = (output / 2).times(elements).times(quads).plus(input / 4).times(2).plus(input & 1);
    (step.times(2).plus(output & 1).times(2).plus(input >> 1 & 1), quads.times(8))
}

/// Writes [`Winograd::words`], of as many pairs of output channels as there is room for; `weights` gives those of an
/// output and an input channel, and zeros beyond the last.
pub fn write_words(form: Form, op: &Conv2d, words: &mut [u8], weights: impl Fn(usize, usize) -> [[i8; 3]; 3]) {
    match form {
        Form::F2x2 => write::<F2x2, 4>(op, words, weights),
        Form::F4x4 => write::<F4x4, 6>(op, words, weights),
        Form::Stride2 => write::<Stride2, 5>(op, words, weights),
    }
}

fn write<T: Transform<N>, const N: usize>(
    op: &Conv2d,
    words: &mut [u8],
    weights: impl Fn(usize, usize) -> [[i8; 3]; 3],
) {
    let quads = quads(op);
    let outputs = words.len().checked_div(quads * 16 * N * N).unwrap_or(0) * 2;
    let halfwords = words.as_chunks_mut::<2>().0;
    for (output, input) in (0..outputs).flat_map(|output| (0..quads * 4).map(move |input| (output, input))) {
        let (start, stride) = position(quads, N * N, output, input);
        let slots = halfwords.get_mut(start..).unwrap_or_default().iter_mut().step_by(stride.max(1));
        let block = T::block(&weights(output, input));
        slots.zip(block.as_flattened()).for_each(|(slot, element)| *slot = element.to_le_bytes());
    }
}

/// True when a convolution's shape allows a transform's [layout](Form::layout).
#[must_use]
pub fn is_possible(form: Form, op: &Conv2d) -> bool {
    let (w, inputs) = (&op.window, op.input.channels);
    let kernel = w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h == form.stride() && w.stride_w == form.stride();
    let dense = w.dilation_h == 1 && w.dilation_w == 1 && op.activation == Activation::NONE;
    let channels = inputs == 3 || (inputs.is_multiple_of(4) && inputs <= form.channels_max());
    kernel && dense && channels && op.output.channels.is_multiple_of(2)
}

/// Groups of four input channels.
const fn quads(op: &Conv2d) -> usize {
    op.input.channels.div_ceil(4) as usize
}

/// Bytes of scratch: a panel of all elements of four tiles, what becomes it, and the rows of the input under a row of tiles.
pub(crate) fn scratch_len(form: Form, op: &Conv2d) -> usize {
    let tiles = panel_len(form, quads(op)).saturating_add(columns_len(form, quads(op)));
    tiles.saturating_add(strip(form, op).len()).checked_next_multiple_of(16).unwrap_or(usize::MAX)
}

/// Bytes of the panel: for each element, for each two of so many groups of four input channels, a pair for each tile.
pub(crate) const fn panel_len(form: Form, quads: usize) -> usize {
    quads.saturating_mul(2 * 4 * TILES * form.elements())
}

/// Bytes of the columns under tiles side by side, transformed vertically: two words a column for each element and group of four
/// input channels, of which only F(2x2) keeps all.
pub(crate) const fn columns_len(form: Form, quads: usize) -> usize {
    let group = 2 * 4 * form.side() * span(form);
    match form {
        Form::F2x2 => quads.saturating_mul(group),
        Form::F4x4 | Form::Stride2 => group,
    }
}

/// Input rows under a row of tiles.
pub(crate) const fn tile_rows(form: Form) -> usize {
    (form.tile() - 1) * form.stride() as usize + 3
}

/// Input columns under [`COLUMNS`] output columns.
pub(crate) const fn span(form: Form) -> usize {
    (COLUMNS - 1) * form.stride() as usize + 3
}

/// The rows of the input under a row of tiles. A column is read four channels at a time, beyond its end if it has three.
pub(crate) fn strip(form: Form, op: &Conv2d) -> Strip {
    let stride = usize::from(form.stride());
    let columns = (usize::from(op.output.width).plus(COLUMNS - 1) & !(COLUMNS - 1)).saturating_sub(1) * stride + 3;
    let pitch = columns.saturating_mul(op.input.channels as usize).saturating_add(op.input.channels as usize % 4);
    let pitch = pitch.checked_next_multiple_of(4).unwrap_or(usize::MAX);
    Strip { rows: tile_rows(form), pitch }
}

/// With transformed weights.
pub(in crate::operators) struct Transformed<T, const N: usize>(PhantomData<T>);

impl<T: Transform<N>, const N: usize> Code for Transformed<T, N> {
    type Operator = Conv2d;

    /// Proves that transformed weights are those of int8 weights, and the conditions of the fast requantisation.
    fn check(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
        check(op, section, T::FORM, Winograd::magnitudes::<T, N>)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Conv2d, memory: Memory<'_>) -> Option<()> {
        let memory = if K::DIVIDES_TRANSFORMED { memory } else { memory.undivided() };
        let (constants, views) = find(op, memory, T::FORM)?;
        // The form is known when this is compiled, so that the loops of no other one are linked.
        K::conv2d_winograd(op, &Winograd { form: T::FORM, ..constants }, views);
        Some(())
    }
}

/// What the kernel works with.
#[inline(never)]
fn find<'a>(op: &Conv2d, memory: Memory<'a>, form: Form) -> Option<(Winograd<'a>, Shared<'a, 1>)> {
    let constants = Winograd::find(memory.section, op, form)?;
    let views = memory.shared_with(&op.input, &op.output, (op.scratch, scratch_len(form, op)))?;
    Some((constants, views))
}

/// [`Winograd::magnitudes`] of a transform.
type Prove<'a> = fn(&Winograd<'a>, usize, usize) -> Option<[u32; 2]>;

fn check<'a>(op: &Conv2d, section: &'a [u8], form: Form, prove: Prove<'a>) -> Result<(), OpError> {
    check_convolution(op)?;
    let winograd = Winograd::find(section, op, form).ok_or(OpError::Constants)?;
    check_packed_layer(op)?;
    let inputs = op.input.channels as usize;
    for (output, channel) in numbered(winograd.channels.iter()) {
        // At most 64 input channels of nine weights of 128 each.
        let mut magnitude = 0_u32;
        for half in 0..winograd.quads.times(2) {
            let input = (half / 2).times(4).plus(half % 2);
            let [first, second] = prove(&winograd, output, input).ok_or(OpError::Transform)?;
            ensure(first == 0 || input < inputs, OpError::Transform)?;
            ensure(second == 0 || input.plus(2) < inputs, OpError::Transform)?;
            magnitude = magnitude.plus(first).plus(second);
        }
        check_packed_channel(op, channel, magnitude)?;
    }
    Ok(())
}
