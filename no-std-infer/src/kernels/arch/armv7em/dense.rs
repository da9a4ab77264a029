//! Fully connected layers with packed weights, four outputs at a time. Their model is the generic kernel.
#![allow(unsafe_code)]

use core::slice;

use crate::format::CHANNEL_LEN;
use crate::kernels::Apart;
use crate::kernels::generic::dense::{Block, finish};
use crate::operators::{Activation, Channels, DENSE_BLOCK, Dense, DensePacked, ENTRIES_IN_BLOCKS, groups};

/// Parameters of four outputs.
type Entries = [u8; DENSE_BLOCK * CHANNEL_LEN];

/// What is left to do of a vector.
#[repr(C)]
struct Rest {
    sums: [i32; DENSE_BLOCK],
    blocks: *const Block,
    entries: *const Entries,
    zero_point: i32,
    outputs: usize,
    output: *mut i8,
}

crate::kernels::arch::assembly! {
    fn no_std_infer_dense(vector: *const i8, rest: *mut Rest, len: usize);
}

/// A layer with packed weights, of which there are enough, aligned to 4 bytes like their parameters.
#[inline(always)]
pub fn packed(op: &Dense, constants: &DensePacked<'_>, views: Apart<'_>) {
    let DensePacked { blocks, entries } = *constants;
    let (row, outputs) = (op.inputs() / DENSE_BLOCK, op.output.channels as usize);
    let groups = groups(outputs);
    let needed = row.checked_mul(groups).filter(|&needed| needed > 0 && needed <= blocks.len());
    let enough = needed.is_some() && groups * ENTRIES_IN_BLOCKS <= entries.len();
    let aligned = (blocks.as_ptr() as usize | entries.as_ptr() as usize).is_multiple_of(4);
    if !aligned || !enough {
        return debug_assert!(false, "constants are aligned, and there are enough of them");
    }
    let mut vector = views.input.as_ptr();
    let mut vectors = usize::from(op.output.height) * usize::from(op.output.width);
    let mut rest = Rest {
        sums: [0; DENSE_BLOCK],
        blocks: blocks.as_ptr(),
        entries: entries.as_ptr().cast(),
        zero_point: op.output.zero_point.into(),
        outputs,
        output: views.output.as_mut_ptr(),
    };
    loop {
        // SAFETY: it reads `row` groups of four bytes of the vector, one or more, without alignment: no longer than the vectors
        // together is `input`. It writes the outputs that are left, one or more, inside `output`, which has
        // `outputs` for each vector, and `rest`. For each four of these outputs it reads `row` blocks and an entry at
        // multiples of 4 bytes: both slices hold what `groups` need, which are `outputs` in fours (had the sum in `groups`
        // wrapped, none would be needed; the product with entries cannot, since there are no more groups than blocks), and
        // `rest` is past those of the outputs done. It keeps the calling convention.
        unsafe { no_std_infer_dense(vector, &mut rest, row * DENSE_BLOCK) };
        if rest.outputs > 0 {
            // SAFETY: the outputs that are left and their entries are where it ended, as above.
            unsafe { rest.decide() };
        }
        if rest.outputs == 0 {
            vectors = vectors.wrapping_sub(1);
            if vectors == 0 {
                return;
            }
            vector = vector.wrapping_add(row * DENSE_BLOCK);
            rest.start_again(blocks, entries, outputs);
        }
    }
}

impl Rest {
    /// Goes on with another vector of so many outputs.
    #[cold]
    #[inline(never)]
    fn start_again(&mut self, blocks: &[Block], entries: &[Block], outputs: usize) {
        self.sums = [0; DENSE_BLOCK];
        (self.blocks, self.entries, self.outputs) = (blocks.as_ptr(), entries.as_ptr().cast(), outputs);
    }

    /// The results of four outputs, before which the assembly ended.
    ///
    /// # Safety
    /// `output` has room for the outputs that are left, and `entries` holds the parameters of the first four; nothing else
    /// refers to the output.
    #[cold]
    #[inline(never)]
    unsafe fn decide(&mut self) {
        let count = self.outputs.min(DENSE_BLOCK);
        // SAFETY: what the caller promises.
        let (entries, output) = unsafe { (&*self.entries, slice::from_raw_parts_mut(self.output, count)) };
        finish(Channels::new(entries), self.zero_point as i8, Activation::NONE, output, self.sums);
        self.sums = [0; DENSE_BLOCK];
        self.entries = self.entries.wrapping_add(1);
        self.output = self.output.wrapping_add(count);
        self.outputs -= count;
    }
}
