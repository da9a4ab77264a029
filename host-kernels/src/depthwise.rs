//! Depthwise convolutions: the rows under an output row become one row of groups, which the weights of a column meet.

use alloc::vec::Vec;

use no_std_infer::format::Conv2d;
use oracle::weights::{Layer, depthwise_layer};

use crate::image::Image;
use crate::instructions::{Instructions, LANES_MAX, Task, Vectors, write_lane};
use crate::patches::Patches;
use crate::scaling::{Scaling, requantise, scale_each};

/// A layer prepared for some instructions.
pub(crate) struct Depthwise<I: Instructions> {
    isa: I,
    op: Conv2d,
    image: Image,
    /// Vectors of channels.
    blocks: usize,
    /// Groups of kernel rows.
    groups: usize,
    /// Where in the groups each column of each group of kernel rows lies, for the first pixel of a row.
    taps: Vec<u32>,
    /// For each vector of channels, for each of these.
    weights: Vec<I::Vector>,
    scaling: Scaling<I::Vector>,
}

impl<I: Instructions> Depthwise<I> {
    /// `None` where the border is too large.
    pub fn new(isa: I, op: &Conv2d, section: &[u8]) -> Option<Self> {
        let outputs = op.output.channels as usize;
        let blocks = outputs.div_ceil(I::LANES);
        let times = outputs / op.input.channels as usize;
        let image = Image::new::<I>(op, times, blocks * I::LANES)?;
        let (rows, columns) = (usize::from(op.window.kernel_h), usize::from(op.window.kernel_w));
        let groups = rows.div_ceil(I::GROUP);
        let Layer { weights, channels } = depthwise_layer(op, section);
        let mut arranged = Vec::new();
        for channels in weights.chunks(I::LANES) {
            for (group, column) in (0..groups).flat_map(|group| (0..columns).map(move |column| (group, column))) {
                let mut bytes = [0; 4 * LANES_MAX];
                for (lane, taps) in bytes.chunks_exact_mut(4).zip(channels) {
                    let below = taps.iter().skip(group * I::GROUP * columns + column).step_by(columns);
                    let taps: Vec<i8> = below.take(I::GROUP).copied().collect();
                    write_lane::<I>(&taps, lane);
                }
                arranged.push(isa.load(&bytes));
            }
        }
        let scaling = Scaling::new(isa, &channels, &weights, op.output.zero_point);
        let step = usize::from(op.window.dilation_w) * blocks * I::LANES;
        let at = |group: usize| (0..columns).map(move |column| (4 * (group * image.pitch + column * step)) as u32);
        let taps = (0..groups).flat_map(at).collect();
        Some(Self { isa, op: *op, image, blocks, groups, taps, weights: arranged, scaling })
    }

    /// Bytes of the groups of all columns, for one group of kernel rows.
    fn line(&self) -> usize {
        4 * self.image.pitch
    }
}

impl<I: Instructions> Vectors for Depthwise<I> {
    fn scratch(&self) -> usize {
        self.image.len::<I>() + self.groups * self.line()
    }

    fn run(&self, arena: &mut [i8], scratch: &mut [u8]) {
        let (image, rest) = scratch.split_at_mut(self.image.len::<I>());
        self.image.fill(self.isa, arena, image);
        let lines = &mut rest[..self.groups * self.line()];
        self.isa.vectorize(Rows { layer: self, image, lines, output: &mut arena[self.op.output.range()] });
    }
}

struct Rows<'a, I: Instructions> {
    layer: &'a Depthwise<I>,
    image: &'a [u8],
    lines: &'a mut [u8],
    output: &'a mut [i8],
}

impl<I: Instructions> Task for Rows<'_, I> {
    #[inline(always)]
    fn run(self) {
        let Self { layer, image, lines, output } = self;
        for (y, output) in output.chunks_exact_mut(layer.op.output.row_len()).enumerate() {
            for (group, line) in lines.chunks_exact_mut(layer.line()).enumerate() {
                interleave(layer, image, y, group, line);
            }
            // The sizes of most kernels are known when this is compiled, so that their weights stay in registers.
            match layer.taps.len() {
                3 => layer.row::<3>(lines, output),
                6 => layer.row::<6>(lines, output),
                _ => layer.row_of_any(lines, output),
            }
        }
    }
}

/// Joins the rows of the image under a group of kernel rows. What has no row has weights of 0.
#[inline(always)]
fn interleave<I: Instructions>(layer: &Depthwise<I>, image: &[u8], y: usize, group: usize, line: &mut [u8]) {
    let (window, pitch) = (&layer.op.window, layer.image.pitch * I::ELEMENT);
    let rows: [&[u8]; 4] = core::array::from_fn(|row| {
        let tap = (group * I::GROUP + row).min(usize::from(window.kernel_h) - 1);
        &image[(y * usize::from(window.stride_h) + tap * usize::from(window.dilation_h)) * pitch..][..pitch]
    });
    let len = I::LANES * I::ELEMENT;
    for (at, slot) in (0..pitch).step_by(len).zip(line.chunks_exact_mut(4 * I::LANES)) {
        layer.isa.store(layer.isa.interleave(rows.map(|row| &row[at..][..len])), slot);
    }
}

impl<I: Instructions> Depthwise<I> {
    /// Bytes from the groups of a pixel to those under the next output.
    fn stride(&self) -> usize {
        usize::from(self.op.window.stride_w) * self.blocks * 4 * I::LANES
    }

    /// One row of outputs of a kernel of `N` taps.
    #[inline(always)]
    fn row<const N: usize>(&self, lines: &[u8], output: &mut [i8]) {
        let Some(taps) = self.taps.first_chunk::<N>() else { return };
        let (isa, stride) = (self.isa, self.stride());
        let reach = (usize::from(self.op.output.width) - 1) * stride + 4 * I::LANES;
        for (block, &weights) in self.weights.as_chunks::<N>().0.iter().enumerate() {
            let patches = Patches::new(&lines[block * 4 * I::LANES..], taps, reach);
            self.pixels(block, output, Known { isa, patches, weights, stride });
        }
    }

    /// The same of any kernel.
    #[inline(always)]
    fn row_of_any(&self, lines: &[u8], output: &mut [i8]) {
        let (isa, taps, stride) = (self.isa, &*self.taps, self.stride());
        for (block, weights) in self.weights.chunks_exact(taps.len()).enumerate() {
            let lines = &lines[block * 4 * I::LANES..];
            self.pixels(block, output, Any { isa, lines, taps, weights, stride });
        }
    }

    /// Writes a vector of channels of each pixel of a row.
    #[inline(always)]
    fn pixels(&self, block: usize, output: &mut [i8], sums: impl Sums<I>) {
        let (isa, channels) = (self.isa, self.op.output.channels as usize);
        let first = block * I::LANES;
        let some = I::LANES.min(channels - first);
        let pixels = output.chunks_exact_mut(channels).enumerate();
        let clamp = [self.op.activation.min, self.op.activation.max];
        match &self.scaling {
            Scaling::Fast(fast) if some == I::LANES => {
                let fast = fast[block];
                for (x, pixel) in pixels {
                    let bytes = isa.narrow(requantise(isa, sums.of(x), &fast), clamp);
                    pixel[first..][..I::LANES].copy_from_slice(&bytes[..I::LANES]);
                }
            }
            Scaling::Fast(fast) => {
                for (x, pixel) in pixels {
                    let bytes = isa.narrow(requantise(isa, sums.of(x), &fast[block]), clamp);
                    pixel[first..].iter_mut().zip(&bytes[..some]).for_each(|(slot, &byte)| *slot = byte);
                }
            }
            Scaling::Each(each) => {
                let (zero_point, activation) = (self.op.output.zero_point, self.op.activation);
                for (x, pixel) in pixels {
                    scale_each(
                        &isa.to_words(sums.of(x)),
                        &each[first..],
                        &mut pixel[first..][..some],
                        zero_point,
                        activation,
                    );
                }
            }
        }
    }
}

/// The sums of products of some channels of the pixels of a row.
trait Sums<I: Instructions> {
    /// Those of one pixel.
    fn of(&self, x: usize) -> I::Vector;
}

/// Of a kernel whose size is known when this is compiled.
struct Known<'a, I: Instructions, const N: usize> {
    isa: I,
    patches: Patches<'a, N>,
    weights: [I::Vector; N],
    stride: usize,
}

impl<I: Instructions, const N: usize> Sums<I> for Known<'_, I, N> {
    #[inline(always)]
    fn of(&self, x: usize) -> I::Vector {
        let mut sums = self.isa.broadcast(0);
        for (bytes, weights) in self.patches.bytes(x * self.stride, 4 * I::LANES).into_iter().zip(self.weights) {
            sums = self.isa.dot(sums, self.isa.load(bytes), weights);
        }
        sums
    }
}

/// Of any kernel.
struct Any<'a, I: Instructions> {
    isa: I,
    lines: &'a [u8],
    taps: &'a [u32],
    weights: &'a [I::Vector],
    stride: usize,
}

impl<I: Instructions> Sums<I> for Any<'_, I> {
    #[inline(always)]
    fn of(&self, x: usize) -> I::Vector {
        let mut sums = self.isa.broadcast(0);
        for (&tap, &weights) in self.taps.iter().zip(self.weights) {
            sums = self.isa.dot(sums, self.isa.load(&self.lines[tap as usize + x * self.stride..]), weights);
        }
        sums
    }
}
