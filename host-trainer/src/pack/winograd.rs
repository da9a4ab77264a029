//! Weights transformed for Winograd's F(2x2, 3x3): which layers they are worth their flash in, and their bytes.

use no_std_infer::format::{Conv2d, Layout, Op, PACKED_CHANNEL_LEN};
use no_std_infer::ops::winograd::{is_possible, write_words};
use no_std_infer::ops::{PatchOrder, Winograd};

use super::{fast_constants, packed_channel};

/// Words and channel parameters of a convolution in [`Layout::Winograd2x2`], whose plain constants lie in `section`;
/// `None` when a condition does not hold.
#[must_use]
pub fn winograd_conv2d(op: &Conv2d, section: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if !is_possible(op) {
        return None;
    }
    let (weights, channels) = fast_constants(op, section)?;
    let (inputs, len) = (op.input.channels as usize, PatchOrder::conv2d(op).len());
    let mut entries = Vec::with_capacity(channels.len() * PACKED_CHANNEL_LEN);
    for (row, channel) in weights.chunks(len).zip(channels) {
        entries.extend(packed_channel(row, channel, op.output.zero_point)?.to_bytes());
    }
    let mut words = vec![0; Winograd::row_len(op) * (op.output.channels / 2) as usize];
    write_words(op, &mut words, |output, input| {
        let weight = |tap: usize| if input < inputs { weights[output * len + tap * inputs + input] as i8 } else { 0 };
        [0, 3, 6].map(|row| [weight(row), weight(row + 1), weight(row + 2)])
    });
    Some((words, entries))
}

/// Convolutions among packed operators that gain from transformed weights, each with the bytes these take more; that which
/// saves the most instructions a byte comes first.
pub fn best_first(ops: &[Op]) -> Vec<(usize, usize)> {
    let mut gains = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        let Op::Conv2d(op) = op else { continue };
        if op.weights.layout != Layout::Packed || !is_possible(op) {
            continue;
        }
        let pairs = (op.output.channels / 2) as usize;
        let extra = (Winograd::row_len(op) - PatchOrder::conv2d(op).pairs() * 4) * pairs;
        let saved = packed_instructions(op).saturating_sub(winograd_instructions(op));
        if saved > 0 {
            gains.push((saved as f64 / extra as f64, index, extra));
        }
    }
    gains.sort_by(|a, b| b.0.total_cmp(&a.0));
    gains.into_iter().map(|(_, index, extra)| (index, extra)).collect()
}

/// Instructions of a packed 3x3 convolution on a Cortex-M4: for four pixels, widening each pair for three columns, and for
/// each two output channels 12 a pair and a fixed part.
fn packed_instructions(op: &Conv2d) -> u64 {
    let (pairs, pixels) = (PatchOrder::conv2d(op).pairs() as u64, pixels(op).0 * pixels(op).1);
    pixels.div_ceil(4) * (6 * pairs + 100 + u64::from(op.output.channels / 2) * (12 * pairs + 75))
}

/// Instructions with transformed weights: for four tiles, transforming each pair of channels, and for each two output
/// channels 176 a pair and a fixed part.
fn winograd_instructions(op: &Conv2d) -> u64 {
    let (pairs, (rows, columns)) = ((op.input.channels.div_ceil(4) * 2) as u64, pixels(op));
    let groups = rows.div_ceil(2) * columns.div_ceil(8);
    groups * (270 * pairs + 300 + u64::from(op.output.channels / 2) * (176 * pairs + 500))
}

fn pixels(op: &Conv2d) -> (u64, u64) {
    (op.output.height.into(), op.output.width.into())
}
