//! Random operators that combine tensors, move their elements or take their means.

use no_std_infer::fixed::Multiplier;
use no_std_infer::format::{Add, Concat, Mean, Op, Pad, ReduceMax, Tensor};
use rand::RngExt;

use super::{Kind, Maker};

impl Maker {
    /// A second input that fits the operator: its sides may differ from those of the first where the operator allows it.
    pub(super) fn second(&mut self, kind: Kind, a: Tensor) -> Tensor {
        let mut sides = [u32::from(a.height), u32::from(a.width), a.channels];
        let mut zero_point = self.any_i8();
        match kind {
            // Only sums of the same shape may have tables.
            Kind::Add if self.rng.random() => {}
            Kind::Add | Kind::Mul => {
                for side in &mut sides {
                    let other = if *side == 1 { self.rng.random_range(1..7) } else { 1 };
                    *side = if self.rng.random() { *side } else { other };
                }
            }
            Kind::Concat => {
                zero_point = a.zero_point;
                sides[self.rng.random_range(0..3)] = self.rng.random_range(1..12);
            }
            _ => {}
        }
        self.tensor(sides[0] as u16, sides[1] as u16, sides[2], a.scale, zero_point)
    }

    /// An output with the larger sides of both.
    pub(super) fn broadcast(&mut self, a: Tensor, b: Tensor) -> Tensor {
        let (height, width, channels) = (a.height.max(b.height), a.width.max(b.width), a.channels.max(b.channels));
        let zero_point = self.any_i8();
        self.tensor(height, width, channels, 0.07, zero_point)
    }

    pub(super) fn add(&mut self, a: Tensor, b: Tensor) -> Op {
        let output = self.broadcast(a, b);
        let mut summand = |usual| {
            let multiplier = self.multiplier(usual);
            Multiplier { shift: multiplier.shift.min(0), ..multiplier }
        };
        let (mut a_multiplier, mut b_multiplier) = (summand(0), summand(-3));
        let half = Multiplier { mantissa: 1 << 30, shift: 0 };
        match self.rng.random_range(0..4) {
            0 => a_multiplier = half,
            1 => b_multiplier = half,
            _ => {}
        }
        let (output_multiplier, activation) = (self.multiplier(-18), self.activation());
        let tables = [None; 2];
        let mut op = Add { a, b, output, a_multiplier, b_multiplier, output_multiplier, activation, tables };
        if let Some(need) = op.needs_tables() {
            for summand in (0..2).filter(|&summand| need[summand]) {
                let entries = (0..=u8::MAX).flat_map(|value| op.table_entry(need, summand, value as i8).to_le_bytes());
                op.tables[summand] = Some(self.append(&entries.collect::<Vec<u8>>()));
            }
        }
        Op::Add(op)
    }

    pub(super) fn mean(&mut self, input: Tensor) -> Op {
        let (over_rows, over_columns) = (self.rng.random_ratio(3, 4), self.rng.random_ratio(3, 4));
        let (height, width) = (if over_rows { 1 } else { input.height }, if over_columns { 1 } else { input.width });
        let zero_point = self.any_i8();
        let output = self.tensor(height, width, input.channels, 0.03, zero_point);
        let op = Mean { input, output, multiplier: Multiplier { mantissa: 0, shift: 0 } };
        let multiplier = self.multiplier(1 - op.count().ilog2() as i8);
        // The division by the number of elements leaves mantissas below 2^30.
        Op::Mean(Mean { multiplier: Multiplier { mantissa: multiplier.mantissa / 3 * 2, ..multiplier }, ..op })
    }

    pub(super) fn reduce_max(&mut self, input: Tensor) -> Op {
        let [over_rows, over_columns, over_channels] = std::array::from_fn(|_| self.rng.random());
        let (height, width) = (if over_rows { 1 } else { input.height }, if over_columns { 1 } else { input.width });
        let channels = if over_channels { 1 } else { input.channels };
        let output = self.tensor(height, width, channels, input.scale, input.zero_point);
        Op::ReduceMax(ReduceMax { input, output })
    }

    pub(super) fn pad(&mut self, input: Tensor) -> Op {
        let mut side = |most: u16| if self.rng.random() { 0 } else { self.rng.random_range(0..=most) };
        let (top, left, front) = (side(3), side(4), u32::from(side(5)));
        let (bottom, right, back) = (side(4), side(3), u32::from(side(6)));
        let (height, width) = (top + input.height + bottom, left + input.width + right);
        let output = self.tensor(height, width, front + input.channels + back, input.scale, input.zero_point);
        Op::Pad(Pad { input, output, top, left, front, value: self.any_i8() })
    }

    pub(super) fn concat(&mut self, a: Tensor, b: Tensor) -> Concat {
        let (mut height, mut width, mut channels) = (a.height, a.width, a.channels);
        if height != b.height {
            height += b.height;
        } else if width != b.width {
            width += b.width;
        } else {
            channels += b.channels;
        }
        Concat { a, b, output: self.tensor(height, width, channels, a.scale, a.zero_point) }
    }
}
