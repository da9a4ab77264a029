//! Sums of two tensors of one shape.

use no_std_infer::fixed::Multiplier;
use no_std_infer::operators::{ADD_SHIFT, Add};

use crate::instructions::{Instructions, LANES_MAX, SHIFT_MAX, Task, Vectors};

/// A sum prepared for some instructions.
pub(crate) struct Sum<I: Instructions> {
    isa: I,
    op: Add,
    /// What the zero points of the summands take off, and that of the sum adds.
    zero_points: [I::Vector; 3],
    multipliers: [Scale<I::Vector>; 3],
}

/// A multiplier that shifts right or not at all, of what is twice the number.
#[derive(Clone, Copy)]
struct Scale<V> {
    mantissa: V,
    /// What is added before the shift, and by how many bits.
    shift: Option<[V; 2]>,
}

impl<V: Copy> Scale<V> {
    /// `None` for one that shifts left, or further than vectors do.
    fn new<I: Instructions<Vector = V>>(isa: I, multiplier: Multiplier) -> Option<Self> {
        let bits = u32::try_from(-i32::from(multiplier.shift)).ok().filter(|&bits| bits <= SHIFT_MAX)?;
        let shift = bits.checked_sub(1).map(|half| [isa.broadcast(1 << half), isa.shifts(isa.broadcast(bits as i32))]);
        Some(Self { mantissa: isa.broadcast(multiplier.mantissa), shift })
    }

    #[inline(always)]
    fn apply<I: Instructions<Vector = V>>(&self, isa: I, doubled: V) -> V {
        let scaled = isa.high(doubled, self.mantissa);
        match self.shift {
            None => scaled,
            // Ties go away from zero: a negative number is taken as one less.
            Some([half, bits]) => isa.shift_right(isa.add(isa.add(scaled, isa.sign(scaled)), half), bits),
        }
    }

    /// A summand: shifted once more, since twice the number is scaled.
    #[inline(always)]
    fn summand<I: Instructions<Vector = V>>(&self, isa: I, values: &[i8], zero: V) -> V {
        self.apply(isa, isa.shift_left(isa.add(isa.widen(values), zero), ADD_SHIFT + 1))
    }
}

impl<I: Instructions> Sum<I> {
    /// `None` where elements of a summand are repeated or the sum's multiplier is above 1.
    pub fn new(isa: I, op: &Add) -> Option<Self> {
        let even = op.a.len() == op.output.len() && op.b.len() == op.output.len();
        let [a, b, sum] = [op.a_multiplier, op.b_multiplier, op.output_multiplier].map(|m| Scale::new(isa, m));
        let zero_points = [-i32::from(op.a.zero_point), -i32::from(op.b.zero_point), op.output.zero_point.into()];
        let multipliers = if even { [a?, b?, sum?] } else { return None };
        Some(Self { isa, op: *op, zero_points: zero_points.map(|zero| isa.broadcast(zero)), multipliers })
    }

    /// The sums of as many elements as a vector has lanes.
    #[inline(always)]
    fn sums(&self, a: &[i8], b: &[i8]) -> [i8; LANES_MAX] {
        let Self { isa, multipliers: [a_scale, b_scale, sum_scale], zero_points: [a_zero, b_zero, zero], .. } = self;
        let a = a_scale.summand(*isa, a, *a_zero);
        let b = b_scale.summand(*isa, b, *b_zero);
        let sum = isa.add(a, b);
        let sum = isa.add(sum_scale.apply(*isa, isa.add(sum, sum)), *zero);
        isa.narrow(sum, [self.op.activation.min, self.op.activation.max])
    }
}

impl<I: Instructions> Vectors for Sum<I> {
    fn run(&self, arena: &mut [i8], _: &mut [u8]) {
        self.isa.vectorize(Elements { sum: self, arena });
    }
}

/// All elements from the first on, since the sum may lie over a summand or below it.
struct Elements<'a, I: Instructions> {
    sum: &'a Sum<I>,
    arena: &'a mut [i8],
}

impl<I: Instructions> Task for Elements<'_, I> {
    #[inline(always)]
    fn run(self) {
        let Self { sum, arena } = self;
        let [a, b, output] = [&sum.op.a, &sum.op.b, &sum.op.output].map(|tensor| tensor.offset as usize);
        let len = sum.op.output.len();
        let whole = len - len % I::LANES;
        for at in (0..whole).step_by(I::LANES) {
            let sums = sum.sums(&arena[a + at..][..I::LANES], &arena[b + at..][..I::LANES]);
            arena[output + at..][..I::LANES].copy_from_slice(&sums[..I::LANES]);
        }
        let [mut left, mut right] = [[0; LANES_MAX]; 2];
        let rest = len - whole;
        left[..rest].copy_from_slice(&arena[a + whole..][..rest]);
        right[..rest].copy_from_slice(&arena[b + whole..][..rest]);
        arena[output + whole..][..rest].copy_from_slice(&sum.sums(&left, &right)[..rest]);
    }
}
