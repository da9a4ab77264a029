//! Fully connected layers with packed weights, four outputs at a time.
#![allow(unsafe_code)]

use crate::format::CHANNEL_LEN;
use crate::kernels::portable::dense::{Block, Group, finish, for_each_vector};
use crate::ops::{DENSE_BLOCK, DenseLayer};

/// Parameters of four outputs.
type Entries = [u8; DENSE_BLOCK * CHANNEL_LEN];

#[cfg(dsp)]
assembly!(include_str!("dense.s"));

/// What is left to do.
#[cfg(dsp)]
#[repr(C)]
struct Rest {
    entries: *const Entries,
    groups: usize,
    output: *mut Group,
    zero_point: i32,
    sums: [i32; DENSE_BLOCK],
}

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_dense(vector: *const i8, blocks: *const Block, end: *const i8, rest: *mut Rest);
}

/// A layer with packed weights; does nothing when these or the parameters are not aligned to 4 bytes.
pub fn packed(arena: &mut [i8], layer: &DenseLayer<'_>, blocks: &[Block]) {
    let entries = layer.channels.bytes();
    if !(blocks.as_ptr() as usize | entries.as_ptr() as usize).is_multiple_of(4) {
        return;
    }
    let entries = entries.as_chunks().0;
    for_each_vector(arena, layer, |input, output| {
        let (groups, rest) = output.as_chunks_mut();
        multiply(layer, input, (blocks, entries), groups, 0);
        if !rest.is_empty() {
            let (mut results, first) = ([[0; DENSE_BLOCK]], groups.len());
            multiply(layer, input, (blocks, entries), &mut results, first);
            rest.iter_mut().zip(results.as_flattened()).for_each(|(out, &result)| *out = result);
        }
    });
}

/// The results of groups of four outputs from `first` on, as many as `output` holds; does nothing when there are no constants
/// for them. `blocks` and `entries`, of all groups, are aligned to 4 bytes.
fn multiply(
    layer: &DenseLayer<'_>,
    input: &[i8],
    (blocks, entries): (&[Block], &[Entries]),
    output: &mut [Group],
    first: usize,
) {
    let (row, count) = (input.len() / DENSE_BLOCK, output.len());
    let Some(blocks) = blocks.get(row * first..row * (first + count)) else { return };
    let Some(entries) = entries.get(first..first + count) else { return };
    #[cfg(dsp)]
    if row > 0 {
        let (vector, mut done) = (input.as_ptr(), 0);
        while done < count {
            let mut rest = Rest {
                entries: entries.as_ptr().wrapping_add(done),
                groups: count - done,
                output: output.as_mut_ptr().wrapping_add(done),
                zero_point: layer.op.output.zero_point.into(),
                sums: [0; DENSE_BLOCK],
            };
            // SAFETY: it reads `row` groups of four bytes of the vector, one or more, without alignment, and for each of
            // `count - done` groups of outputs, one or more, as many blocks and an entry, all of which the slices hold; words
            // of these lie at multiples of 4, as the caller says. It writes four bytes a group, inside `output`, and what
            // changes in `rest`. It keeps the calling convention.
            unsafe {
                let blocks = blocks.as_ptr().wrapping_add(row * done);
                no_std_infer_dense(vector, blocks, vector.wrapping_add(row * DENSE_BLOCK), &mut rest);
            }
            done = count.saturating_sub(rest.groups);
            if let Some(output) = output.get_mut(done) {
                finish(layer, (first + done) * DENSE_BLOCK, output, rest.sums);
                done += 1;
            }
        }
    }
    #[cfg(not(dsp))]
    for ((group, output), blocks) in (first..).zip(output).zip(blocks.chunks_exact(row.max(1))) {
        let _ = entries;
        finish(layer, group * DENSE_BLOCK, output, crate::kernels::portable::dense::products(input, blocks));
    }
}
