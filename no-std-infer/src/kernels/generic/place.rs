//! Tensors that become parts of larger ones.

use core::cell::Cell;
use core::ops::Range;

use crate::bounded::Bounded;
use crate::format::Tensor;
use crate::kernels::Shared;
use crate::kernels::copy::copy;
use crate::operators::{Concat, Pad};

/// The input with a border.
pub fn pad(op: &Pad, views: Shared<'_, 1>) {
    views.output.iter().for_each(|out| out.set(op.value));
    let corner = [usize::from(op.top), usize::from(op.left), op.front as usize];
    let [input] = views.inputs;
    place([&op.input, &op.output], [input, views.output], corner, views.rows);
}

/// Two tensors side by side.
pub fn concat(op: &Concat, views: Shared<'_, 2>) {
    let corner = [
        usize::from(op.output.height.saturating_sub(op.b.height)),
        usize::from(op.output.width.saturating_sub(op.b.width)),
        op.output.channels.saturating_sub(op.b.channels) as usize,
    ];
    let [a, b] = views.inputs;
    place([&op.a, &op.output], [a, views.output], [0; 3], views.rows.clone());
    place([&op.b, &op.output], [b, views.output], corner, views.rows);
}

/// Copies the input, whose bytes come first in `views`, into rows `rows` of the output, which follow; its first element goes to
/// row, column and channel `corner` of the output.
fn place([input, output]: [&Tensor; 2], views: [&[Cell<i8>]; 2], corner: [usize; 3], rows: Range<usize>) {
    let [top, left, front] = corner;
    // With all channels of the output a row is one run of elements.
    let run = if input.channels == output.channels { input.row_len() } else { input.channels as usize };
    let lines = views[1].chunks((output.row_len()).max(1)).zip(rows).filter(|&(_, y)| y >= top);
    for (line, y) in lines {
        let source = views[0].get(y.minus(top).times(input.row_len())..).and_then(|rest| rest.get(..input.row_len()));
        let Some(source) = source else { return };
        let target = line.get(left.times(output.channels as usize).plus(front)..).unwrap_or_default();
        let targets =
            target.chunks(if input.channels == output.channels { run } else { output.channels as usize }.max(1));
        for (source, target) in source.chunks(run.max(1)).zip(targets) {
            copy(source, target);
        }
    }
}
