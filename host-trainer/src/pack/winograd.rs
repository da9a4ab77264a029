//! Transformed weights: which layers they are worth their flash in, and their bytes.

use no_std_infer::format::{Conv2d, Layout, Op, PACKED_CHANNEL_LEN};
use no_std_infer::ops::winograd::{Form, is_possible, write_words};
use no_std_infer::ops::{PatchOrder, Winograd};

use super::{fast_constants, packed_channel};

/// Words and channel parameters of a convolution in a transform's layout, whose plain constants lie in `section`; `None`
/// when a condition does not hold.
#[must_use]
pub fn winograd_conv2d(form: Form, op: &Conv2d, section: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if !is_possible(form, op) {
        return None;
    }
    let (weights, channels) = fast_constants(op, section)?;
    let (inputs, len) = (op.input.channels as usize, PatchOrder::conv2d(op).len());
    let mut entries = Vec::with_capacity(channels.len() * PACKED_CHANNEL_LEN);
    for (row, channel) in weights.chunks(len).zip(channels) {
        entries.extend(packed_channel(row, channel, op.output.zero_point)?.to_bytes());
    }
    let mut words = vec![0; Winograd::row_len(form, op) * (op.output.channels / 2) as usize];
    write_words(form, op, &mut words, |output, input| {
        let weight = |tap: usize| if input < inputs { weights[output * len + tap * inputs + input] as i8 } else { 0 };
        [0, 3, 6].map(|row| [weight(row), weight(row + 1), weight(row + 2)])
    });
    Some((words, entries))
}

/// For each operator of a packed model the transform that its weights are stored in, if any, with at most `flash` bytes more.
///
/// The change that saves the most instructions a byte comes first; changing one transform for another counts by what it saves
/// and takes beyond the first.
pub(super) fn choose(ops: &[Op], flash: usize) -> Vec<Option<Form>> {
    // Constants start at multiples of 16.
    let room = |price: Price| price.bytes.next_multiple_of(16);
    let (mut chosen, mut left) = (vec![None; ops.len()], flash);
    loop {
        let mut best: Option<(f64, usize, Form, usize)> = None;
        for (index, op) in ops.iter().enumerate() {
            let Op::Conv2d(op) = op else { continue };
            for form in
                Form::ALL.into_iter().filter(|&form| op.weights.layout == Layout::Packed && is_possible(form, op))
            {
                let [now, then] = [chosen[index], Some(form)].map(|form| Price::new(op, form));
                let (Some(saved), Some(bytes)) =
                    (now.instructions.checked_sub(then.instructions), room(then).checked_sub(room(now)))
                else {
                    continue;
                };
                let gain = saved as f64 / bytes.max(1) as f64;
                if saved > 0 && bytes <= left && best.is_none_or(|(most, ..)| gain > most) {
                    best = Some((gain, index, form, bytes));
                }
            }
        }
        let Some((_, index, form, bytes)) = best else { return chosen };
        chosen[index] = Some(form);
        left -= bytes;
    }
}

/// What a convolution costs in a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Bytes of weights.
    pub bytes: usize,
    /// Estimated instructions of an inference on a Cortex-M4.
    pub instructions: u64,
}

impl Price {
    /// Of a packed layer, or of one with transformed weights.
    ///
    /// The estimates were fitted to what `device-bench` measures; a test holds them to 8 % of it. A packed convolution
    /// works on four pixels at a time: it widens each pair of elements, and takes for each two output channels 12 instructions
    /// a pair and some for the results. A transformed one works on four tiles: it transforms each pair of input channels, and
    /// takes for each two output channels 11 instructions a pair and element and some for the way back, more where tiles reach
    /// beyond the output.
    #[must_use]
    pub fn new(op: &Conv2d, form: Option<Form>) -> Self {
        let (rows, columns) = (u64::from(op.output.height), u64::from(op.output.width));
        let outputs = u64::from(op.output.channels.div_ceil(2));
        let Some(form) = form else {
            let pairs = PatchOrder::conv2d(op).pairs() as u64;
            let group = 8 * pairs + 120 + outputs * (12 * pairs + 85);
            return Self { bytes: (pairs * 4 * outputs) as usize, instructions: (rows * columns).div_ceil(4) * group };
        };
        let [spread, gather] = match form {
            Form::F2x2 => [290, 460],
            Form::F4x4 => [763, 2582],
            Form::Stride2 => [437, 440],
        };
        let (tile, elements) = (form.tile() as u64, form.elements() as u64);
        let pairs = u64::from(op.input.channels.div_ceil(4) * 2);
        // Eight columns of a row of tiles; where tiles are larger, two of these make a group.
        let spans = rows.div_ceil(tile) * columns.div_ceil(8);
        let groups = (spans * 2).div_ceil(tile);
        let parts = groups.min(spans - rows / tile * (columns / 8));
        let products = outputs * (11 * elements * pairs + gather);
        Self {
            bytes: Winograd::row_len(form, op) * outputs as usize,
            instructions: spans * spread * pairs + groups * (250 + products) + parts * outputs * 48 * tile * tile,
        }
    }
}
