//! What an operator has its kernel do: how often each of the kernel's loops runs, of the kernels for cores with the DSP extension.

use no_std_infer::format::{Add, Conv2d, DEPTHWISE_LEN, Dense, Layout, Mean, Op, PACKED_CHANNEL_LEN, Pool2d, Tensor};
use no_std_infer::operators::{DENSE_BLOCK, Form, PatchOrder, Strip, Winograd, rows_together};

use crate::device::cycles::Caches;

/// Pixels of a panel.
const PIXELS: usize = 4;
/// Pairs of elements that the matrix product's loop is unrolled by.
const UNROLLED: usize = 16;
/// Turns of that loop which a cache of a kilobyte holds beside the rest of it.
const TURNS: usize = 8;
/// Columns that a transform takes at a time.
const COLUMNS: u64 = 8;
/// Most pixels that are summed in 16 bits.
const SUM_MAX: usize = 256;

/// What an operator has its kernel do.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The kernel, or the way through it.
    pub kernel: &'static str,
    /// How often each of its loops runs, by what they go over.
    pub counts: Vec<(&'static str, f64)>,
    /// Bytes of constants that it reads one after the other.
    constants: usize,
    /// How often it reads them.
    passes: usize,
}

impl Work {
    /// Of an operator.
    #[must_use]
    pub fn of(op: &Op) -> Self {
        match op {
            Op::Conv2d(op) => match (Form::of(op.weights.layout), op.weights.layout) {
                (Some(form), _) => transformed(op, form),
                (None, Layout::Packed) => packed(op),
                _ => plain(op),
            },
            Op::DepthwiseConv2d(op) if op.weights.layout == Layout::Packed => packed_depthwise(op),
            Op::DepthwiseConv2d(op) => plain_depthwise(op),
            Op::Dense(op) => dense(op),
            Op::MaxPool2d(op) => pool("max_pool2d", "max_pool2d, few channels", "max_pool2d", op),
            Op::AveragePool2d(op) => {
                pool("average_pool2d", "average_pool2d, few channels", "average_pool2d, many pixels", op)
            }
            Op::Mean(op) => mean(op),
            Op::Add(op) => add(op),
            Op::Softmax(op) => elements("softmax", &op.output),
            Op::Clamp(op) => elements("clamp", &op.output),
            Op::Lookup(op) => elements("lookup", &op.output),
            Op::Reshape(op) => elements("reshape", &op.output),
            Op::Pad(op) => elements("pad", &op.output),
            Op::Concat(op) => elements("concat", &op.output),
            Op::Constant(op) => elements("constant", &op.output),
            Op::Mul(op) if is_even([&op.a, &op.b], &op.output) => elements("mul", &op.output),
            Op::Mul(op) => elements("mul, repeated", &op.output),
            Op::ReduceMax(op) => elements("reduce_max", &op.input),
        }
    }

    /// Lines of constants that a cache has to fetch, which drops what was used longest ago and holds none of them before.
    #[must_use]
    pub fn lines(&self, caches: Caches) -> f64 {
        if self.fits(caches) { self.lines_once(caches) } else { self.passes as f64 * self.lines_once(caches) }
    }

    /// The same where another run of the operator alone came before: none of constants that fit.
    pub(super) fn lines_again(&self, caches: Caches) -> f64 {
        if self.fits(caches) { 0.0 } else { self.lines(caches) }
    }

    fn fits(&self, caches: Caches) -> bool {
        self.constants <= caches.data_lines as usize * caches.line as usize
    }

    fn lines_once(&self, caches: Caches) -> f64 {
        self.constants as f64 / f64::from(caches.line)
    }

    pub(super) fn new(kernel: &'static str, counts: &[(&'static str, usize)]) -> Self {
        let counts = [("operator", 1)].iter().chain(counts).map(|&(name, count)| (name, count as f64)).collect();
        Self { kernel, counts, constants: 0, passes: 0 }
    }

    fn reading(self, constants: usize, passes: usize) -> Self {
        Self { constants, passes, ..self }
    }

    #[cfg(test)]
    pub(super) fn with(self, counts: Vec<(&'static str, f64)>) -> Self {
        Self { counts, ..self }
    }
}

fn elements(kernel: &'static str, tensor: &Tensor) -> Work {
    let pixels = usize::from(tensor.height) * usize::from(tensor.width);
    Work::new(kernel, &[("row", tensor.height.into()), ("pixel", pixels), ("element", tensor.len())])
}

/// True where both operands have the output's shape.
fn is_even(operands: [&Tensor; 2], output: &Tensor) -> bool {
    operands.iter().all(|operand| operand.len() == output.len())
}

fn pixels(tensor: &Tensor) -> usize {
    usize::from(tensor.height) * usize::from(tensor.width)
}

/// Panels of four pixels are filled and multiplied: several at once where they begin at the start of one, or else one by one.
#[derive(Default)]
struct Panels {
    /// Calls that multiply several.
    runs: usize,
    /// Panels in these.
    several: usize,
    /// Calls that fill part of a panel.
    pieces: usize,
    /// Panels that were filled by these.
    single: usize,
    /// Pixels in the last panel, which is not full.
    left: usize,
}

impl Panels {
    /// Of `lines` lines of `count` pixels.
    fn new(lines: usize, count: usize, at_once: bool) -> Self {
        let mut panels = Self::default();
        for _ in 0..lines {
            let mut done = 0;
            while done < count {
                let whole = (count - done) / PIXELS;
                if panels.left == 0 && whole > 0 && at_once {
                    panels.runs += 1;
                    panels.several += whole;
                    done += whole * PIXELS;
                    continue;
                }
                let filled = (PIXELS - panels.left).min(count - done);
                panels.pieces += 1;
                done += filled;
                panels.left += filled;
                if panels.left == PIXELS {
                    panels.left = 0;
                    panels.single += 1;
                }
            }
        }
        panels
    }
}

fn packed(op: &Conv2d) -> Work {
    let (order, w) = (PatchOrder::conv2d(op), &op.window);
    let (pairs, channels) = (order.pairs(), op.output.channels as usize);
    let (rows, columns, inputs) =
        (usize::from(op.output.height), usize::from(op.output.width), op.input.channels as usize);
    let whole = w.taps() == 1 && w.stride_w == 1 && op.input.width == op.output.width && w.stride_h == 1;
    let (lines, count) = if whole { (1, rows * columns) } else { (rows, columns) };
    let dense = w.dilation_w == 1;
    let panels = Panels::new(lines, count, channels.is_multiple_of(2) && dense);
    let strip = Strip::new(op);
    let new_rows = usize::from(w.stride_h).min(strip.rows);
    let shared = order.run == usize::from(w.stride_w) * inputs * 3 && inputs.is_multiple_of(4) && dense;
    let widened = (panels.several + panels.single) * PIXELS + panels.left;
    let [pair, by_pieces] = match (order.runs, order.quads(), order.left_over()) {
        (3, 2, 1) => ["pair of three colours", "pair of three colours"],
        _ if shared => ["pair of shared columns", "pair"],
        _ if inputs.is_multiple_of(4) => ["pair", "pair"],
        _ => ["unaligned pair", "unaligned pair"],
    };
    let at_once = panels.several * PIXELS;
    // Where panels are filled line by line, a piece of four pixels shares columns too.
    let products = panels.several + panels.single;
    let even = channels / 2;
    let last_one = usize::from(panels.left == 1) * even;
    let through_buffer = products * (channels % 2)
        + match panels.left {
            0 => 0,
            1 => channels % 2,
            _ => channels.div_ceil(2),
        };
    Work::new(
        "conv2d, packed",
        &[
            ("row", lines),
            ("byte copied", rows * new_rows * strip.pitch),
            ("byte moved", rows * (strip.rows - new_rows) * strip.pitch),
            ("run of panels", panels.runs),
            ("piece of a panel", panels.pieces),
            (pair, at_once * pairs),
            (by_pieces, (widened - at_once) * pairs),
            ("run of a patch", widened * order.runs),
            ("element left over", widened * order.runs * order.left_over()),
            ("panel", products),
            ("output pair", products * even),
            // Every turn of the unrolled loop is code that a small cache has to hold, and longer patches go through all of it.
            ("output pair by the whole loop", if pairs > UNROLLED { products * even } else { 0 }),
            ("output pair and turn", if pairs > UNROLLED { 0 } else { products * even * pairs.saturating_sub(TURNS) }),
            ("output pair and block", products * even * pairs.div_ceil(UNROLLED)),
            ("output pair and pair", products * even * pairs),
            ("buffered output pair", through_buffer),
            ("buffered output pair and pair", through_buffer * pairs),
            ("output pair of one pixel", last_one),
            ("output pair and pair of one pixel", last_one * pairs),
        ],
    )
    .reading(channels.div_ceil(2) * (pairs * 4 + 2 * PACKED_CHANNEL_LEN), (rows * columns).div_ceil(PIXELS))
}

fn transformed(op: &Conv2d, form: Form) -> Work {
    let (rows, columns) = (u64::from(op.output.height), u64::from(op.output.width));
    let tile = form.tile() as u64;
    let (outputs, pairs) = (op.output.channels as usize / 2, op.input.channels.div_ceil(4) as usize * 2);
    let spans = rows.div_ceil(tile) * columns.div_ceil(COLUMNS);
    let groups = (spans * 2).div_ceil(tile);
    let parts = groups.min(spans - rows / tile * (columns / COLUMNS));
    let [tile_rows, spans, groups, parts] = [rows.div_ceil(tile), spans, groups, parts].map(|count| count as usize);
    let (stride, height) = (form.stride() as usize, (form.tile() - 1) * form.stride() as usize + 3);
    let span = (op.output.width as usize).next_multiple_of(COLUMNS as usize) * stride + 2;
    let copied = (form.tile() * stride).min(height);
    let line = span * op.input.channels as usize;
    let kernel = match form {
        Form::F2x2 => "conv2d, F(2x2)",
        Form::F4x4 => "conv2d, F(4x4)",
        Form::Stride2 => "conv2d, polyphase",
    };
    Work::new(
        kernel,
        &[
            ("row of tiles", tile_rows),
            ("byte copied", tile_rows * copied * line),
            ("byte moved", tile_rows * (height - copied) * line),
            ("span", spans),
            ("span and pair", spans * pairs),
            ("group", groups),
            ("group and output pair", groups * outputs),
            ("group, output pair and pair", groups * outputs * pairs),
            ("part", parts),
            ("part and output pair", parts * outputs),
        ],
    )
    .reading(outputs * (Winograd::row_len(form, op) + 2 * PACKED_CHANNEL_LEN), groups)
}

fn packed_depthwise(op: &Conv2d) -> Work {
    let (channels, rows, columns) =
        (op.output.channels as usize, usize::from(op.output.height), usize::from(op.output.width));
    let together = rows_together(op, rows);
    let steps = rows.div_ceil(together);
    // Rows that are made, some of them twice.
    let made = channels * steps * together;
    let kernel = match op.window.stride_h {
        1 => "depthwise_conv2d, packed",
        _ => "depthwise_conv2d, packed, stride 2",
    };
    Work::new(
        kernel,
        &[
            ("channel", channels),
            ("row gathered", channels * usize::from(op.input.height)),
            ("element gathered", op.input.len()),
            ("rows together", channels * steps),
            ("pair of columns", made * (columns / 2)),
            ("odd column", made * (columns % 2)),
        ],
    )
    .reading(channels * (DEPTHWISE_LEN + PACKED_CHANNEL_LEN), 1)
}

fn plain(op: &Conv2d) -> Work {
    let (pixels, patch, outputs) = (pixels(&op.output), PatchOrder::conv2d(op).len(), op.output.channels as usize);
    Work::new(
        "conv2d",
        &[
            ("pixel", pixels),
            ("tap", pixels * op.window.taps()),
            ("element of a patch", pixels * patch),
            ("output", pixels * outputs),
            ("product", pixels * outputs * patch),
        ],
    )
    .reading(outputs * patch, pixels)
}

fn plain_depthwise(op: &Conv2d) -> Work {
    let (pixels, outputs) = (pixels(&op.output), op.output.channels as usize);
    Work::new(
        "depthwise_conv2d",
        &[("pixel", pixels), ("output", pixels * outputs), ("product", pixels * outputs * op.window.taps())],
    )
    .reading(outputs * op.window.taps(), pixels)
}

fn dense(op: &Dense) -> Work {
    let (vectors, outputs, inputs) = (pixels(&op.output), op.output.channels as usize, op.inputs());
    if op.weights.layout != Layout::Packed {
        let counts = [("vector", vectors), ("output", vectors * outputs), ("product", vectors * outputs * inputs)];
        return Work::new("dense", &counts).reading(outputs * inputs, vectors);
    }
    let groups = outputs.div_ceil(DENSE_BLOCK);
    Work::new(
        "dense, packed",
        &[
            ("vector", vectors),
            ("four outputs", vectors * groups),
            ("output", vectors * outputs),
            ("block", vectors * groups * (inputs / DENSE_BLOCK)),
        ],
    )
    .reading(groups * DENSE_BLOCK * inputs, vectors)
}

fn pool(kernel: &'static str, few: &'static str, many: &'static str, op: &Pool2d) -> Work {
    let rows = usize::from(op.window.kernel_h.min(op.input.height));
    let columns = usize::from(op.window.kernel_w.min(op.input.width));
    let clamped = if op.activation == no_std_infer::format::Activation::NONE { 0 } else { op.output.len() };
    let work = windows([kernel, few, many], [&op.input, &op.output], [rows, columns]);
    Work { counts: work.counts.into_iter().chain([("element clamped", clamped as f64)]).collect(), ..work }
}

fn mean(op: &Mean) -> Work {
    let side = |input: u16, output: u16| if input == output { 1 } else { usize::from(input) };
    let sides = [side(op.input.height, op.output.height), side(op.input.width, op.output.width)];
    windows(["mean", "mean, few channels", "mean, many pixels"], [&op.input, &op.output], sides)
}

/// Windows of so many rows and columns: four channels at a time, eight where pixels lie at multiples of four.
fn windows([kernel, few, many]: [&'static str; 3], [input, output]: [&Tensor; 2], [rows, columns]: [usize; 2]) -> Work {
    let (pixels, channels) = (pixels(output), output.channels as usize);
    let (rows, columns) = if columns == usize::from(input.width) { (1, rows * columns) } else { (rows, columns) };
    let places = rows * columns;
    if channels < 4 {
        let values = pixels * channels * places;
        return Work::new(few, &[("row", output.height.into()), ("pixel", pixels), ("value", values)]);
    }
    let together = if channels.is_multiple_of(4) && places <= SUM_MAX { channels / 8 } else { 0 };
    let fours = (channels - together * 8).div_ceil(4);
    let groups = [("eight", together), ("four", fours)].map(|(name, groups)| (name, pixels * groups));
    let [(_, eights), (_, fours)] = groups;
    Work::new(
        if places > SUM_MAX { many } else { kernel },
        &[
            ("row", output.height.into()),
            ("pixel", pixels),
            ("eight channels", eights),
            ("eight channels and row", eights * rows),
            ("eight channels and place", eights * places),
            ("four channels", fours),
            ("four channels and row", fours * rows),
            ("four channels and place", fours * places),
        ],
    )
}

fn add(op: &Add) -> Work {
    let kernel = match op.tables {
        [None, None] if is_even([&op.a, &op.b], &op.output) => "add",
        [None, None] => "add, repeated",
        _ => "add, tables",
    };
    elements(kernel, &op.output)
}
