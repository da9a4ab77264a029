//! The input of a layer with its border, in the form in which it is multiplied.

use core::ops::Range;

use no_std_infer::format::{Conv2d, Tensor};

use crate::instructions::{Instructions, Task};

/// Most bytes of an image: a layer with a border beyond all sense runs the engine's kernel.
const BYTES_MAX: usize = 1 << 26;

/// Where the values of an input go. Lengths and distances count values, but for [`len`](Self::len).
pub(crate) struct Image {
    input: Range<usize>,
    zero_point: i8,
    /// Values in a row of the input.
    row: usize,
    /// Rows above the input.
    top: usize,
    /// Values left of the input.
    left: usize,
    rows: usize,
    /// Values from a row of the image to the next.
    pub pitch: usize,
    /// How pixels are spread, where they do not stay as they are.
    spread: Option<Spread>,
}

/// Pixels whose channels are repeated and followed by others that count nothing.
#[derive(Clone, Copy)]
struct Spread {
    channels: usize,
    /// How often a channel is repeated.
    times: usize,
    /// Values of a pixel in the image.
    pixel: usize,
}

impl Image {
    /// The input of a convolution, whose pixels have `pixel` values in the image: those of all channels, each `times` times, and
    /// any others. `None` when it is too large.
    pub fn new<I: Instructions>(op: &Conv2d, times: usize, pixel: usize) -> Option<Self> {
        let (w, channels) = (&op.window, op.input.channels as usize);
        let side = |outputs: u16, stride: u16, kernel: u16, dilation: u16| {
            (usize::from(outputs) - 1) * usize::from(stride) + (usize::from(kernel) - 1) * usize::from(dilation) + 1
        };
        let rows = side(op.output.height, w.stride_h, w.kernel_h, w.dilation_h);
        let pitch = side(op.output.width, w.stride_w, w.kernel_w, w.dilation_w).checked_mul(pixel)?;
        let bytes = rows.checked_mul(pitch)?.checked_mul(I::ELEMENT)?;
        let spread = (pixel != channels).then_some(Spread { channels, times, pixel });
        let (top, left) = (w.pad_top.into(), usize::from(w.pad_left) * pixel);
        let row = op.input.row_len();
        let (input, zero_point) = (op.input.range(), op.input.zero_point);
        (bytes <= BYTES_MAX).then_some(Self { input, zero_point, row, top, left, rows, pitch, spread })
    }

    /// All values of a tensor, in a row.
    pub fn flat(tensor: &Tensor) -> Self {
        let (row, zero_point) = (tensor.len(), tensor.zero_point);
        Self { input: tensor.range(), zero_point, row, top: 0, left: 0, rows: 1, pitch: row, spread: None }
    }

    /// Bytes of the image.
    pub fn len<I: Instructions>(&self) -> usize {
        self.rows * self.pitch * I::ELEMENT
    }

    /// Makes the image of an arena.
    pub fn fill<I: Instructions>(&self, isa: I, arena: &[i8], target: &mut [u8]) {
        isa.vectorize(Fill { isa, image: self, input: &arena[self.input.clone()], target });
    }
}

struct Fill<'a, I> {
    isa: I,
    image: &'a Image,
    input: &'a [i8],
    target: &'a mut [u8],
}

impl<I: Instructions> Task for Fill<'_, I> {
    #[inline(always)]
    fn run(self) {
        let Self { isa, image, input, target } = self;
        let moved = image.top > 0 || image.left > 0 || image.pitch != image.row;
        if !moved && image.rows * image.pitch == input.len() && image.spread.is_none() {
            encode(isa, input, target);
            return;
        }
        let inputs = input.chunks_exact(image.row);
        let (above, rest) = target.split_at_mut(image.top * image.pitch * I::ELEMENT);
        border(isa, above, image.zero_point);
        let mut below = image.rows.saturating_sub(image.top);
        let mut rows = rest.chunks_exact_mut(image.pitch * I::ELEMENT);
        for (input, row) in inputs.take(below).zip(rows.by_ref()) {
            let (left, rest) = row.split_at_mut(image.left * I::ELEMENT);
            border(isa, left, image.zero_point);
            let written = match image.spread {
                None => encode(isa, input, rest),
                Some(spread) => spread_row(isa, spread, input, image.zero_point, rest),
            };
            border(isa, &mut rest[written..], image.zero_point);
            below -= 1;
        }
        rows.take(below).for_each(|row| border(isa, row, image.zero_point));
    }
}

/// Writes values as they are multiplied, as many as there is room for; gives the bytes.
#[inline(always)]
fn encode<I: Instructions>(_: I, values: &[i8], target: &mut [u8]) -> usize {
    if I::ELEMENT == 1 {
        target.iter_mut().zip(values).for_each(|(target, &value)| *target = value as u8 ^ 0x80);
    } else {
        let slots = target.as_chunks_mut::<2>().0;
        slots.iter_mut().zip(values).for_each(|(slot, &value)| *slot = i16::from(value).to_le_bytes());
    }
    target.len().min(values.len() * I::ELEMENT)
}

/// Fills memory with one value.
#[inline(always)]
fn border<I: Instructions>(_: I, target: &mut [u8], value: i8) {
    if I::ELEMENT == 1 {
        target.fill(value as u8 ^ 0x80);
    } else {
        target.as_chunks_mut::<2>().0.fill(i16::from(value).to_le_bytes());
    }
}

/// Writes the pixels of a row one by one; gives the bytes.
#[inline(always)]
fn spread_row<I: Instructions>(isa: I, spread: Spread, input: &[i8], zero_point: i8, target: &mut [u8]) -> usize {
    let pixel = spread.pixel * I::ELEMENT;
    let mut written = 0;
    for (target, values) in target.chunks_exact_mut(pixel).zip(input.chunks_exact(spread.channels)) {
        let end = if spread.times == 1 {
            encode(isa, values, target)
        } else {
            let slots = target.chunks_exact_mut(spread.times * I::ELEMENT).zip(values);
            slots.for_each(|(slots, &value)| border(isa, slots, value));
            spread.times * values.len() * I::ELEMENT
        };
        border(isa, &mut target[end..], zero_point);
        written += pixel;
    }
    written
}
