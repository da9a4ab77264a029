//! Transformed weights: which layers they are worth their flash in, and their bytes.

use no_std_infer::format::{Conv2d, Layout, Op, PACKED_CHANNEL_LEN};
use no_std_infer::operators::winograd::{Form, is_possible, write_words};
use no_std_infer::operators::{PatchOrder, Winograd};

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

/// For each operator of a packed model the transform that its weights are stored in, if any: those that together save the most
/// instructions and take at most `flash` bytes more.
pub(super) fn choose(ops: &[Op], flash: usize) -> Vec<Option<Form>> {
    let options: Vec<Vec<Upgrade>> = ops.iter().map(upgrades).collect();
    let largest = |options: &Vec<Upgrade>| options.iter().map(|upgrade| upgrade.units).max().unwrap_or(0);
    let room = (flash / UNIT).min(options.iter().map(largest).sum());
    // The knapsack of several choices: after each operator the most that can be saved in so many units, and its upgrade there.
    let mut most = vec![0; room + 1];
    let mut taken = Vec::with_capacity(ops.len());
    for options in &options {
        let mut with = most.clone();
        let mut taking = vec![None; room + 1];
        for upgrade in options {
            for (units, &before) in (upgrade.units..=room).zip(&most) {
                if before + upgrade.saved > with[units] {
                    with[units] = before + upgrade.saved;
                    taking[units] = Some(*upgrade);
                }
            }
        }
        most = with;
        taken.push(taking);
    }
    let mut left = room;
    let mut chosen: Vec<Option<Form>> = taken
        .iter()
        .rev()
        .map(|taking| {
            let upgrade = taking[left]?;
            left -= upgrade.units;
            Some(upgrade.form)
        })
        .collect();
    chosen.reverse();
    chosen
}

/// Constants start at multiples of so many bytes.
const UNIT: usize = 16;

/// A transform instead of packed weights.
#[derive(Clone, Copy)]
struct Upgrade {
    form: Form,
    /// What it takes more, in units of [`UNIT`] bytes.
    units: usize,
    /// Instructions that it saves, 1 or more.
    saved: u64,
}

/// The transforms that are possible and save instructions.
fn upgrades(op: &Op) -> Vec<Upgrade> {
    let Op::Conv2d(op) = op else { return Vec::new() };
    let possible = |form: &Form| op.weights.layout == Layout::Packed && is_possible(*form, op);
    let upgrade = |form: Form| {
        let [packed, transformed] = [None, Some(form)].map(|form| Price::new(op, form));
        let [less, more] = [packed, transformed].map(|price| price.bytes.div_ceil(UNIT));
        let saved = packed.instructions.saturating_sub(transformed.instructions);
        (saved > 0).then_some(Upgrade { form, units: more.saturating_sub(less), saved })
    };
    Form::ALL.into_iter().filter(possible).filter_map(upgrade).collect()
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
    /// The estimates were fitted to what `dev device-bench` measures; a test holds them to 6 % of it. A packed convolution
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
            let group = 8 * pairs + 120 + outputs * (12 * pairs + 60);
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
