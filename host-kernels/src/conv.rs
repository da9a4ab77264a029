//! Convolutions and fully connected layers: tiles of some output pixels by some vectors of output channels.

use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;

use no_std_infer::format::{Activation, Conv2d, Dense, Tensor};
use no_std_infer::operators::DenseParams;
use oracle::weights::{Layer, dense_layer, layer};

use crate::image::Image;
use crate::instructions::{Instructions, LANES_MAX, Task, Vectors, write_lane};
use crate::patches::Patches;
use crate::scaling::{Fast, Scaling, requantise, scale_each};

/// Bytes after an image that may be read: weights of 0 multiply them.
const BEYOND: usize = 4;

/// A layer prepared for some instructions.
pub(crate) struct Conv<I: Instructions> {
    isa: I,
    image: Image,
    patch: Patch,
    /// Where in the image the patch of each output pixel begins.
    starts: Vec<u32>,
    /// Output pixels and vectors of output channels that are computed together.
    tile: [usize; 2],
    /// For each block of output channels, for each group of a patch: a vector of weights for each of the block's.
    weights: Vec<I::Vector>,
    scaling: Scaling<I::Vector>,
    output: Tensor,
    activation: Activation,
}

/// The values that are multiplied for an output pixel. Bytes, from the first on.
struct Patch {
    /// Where runs of values begin that lie one after the other.
    runs: Vec<usize>,
    /// Groups of values in a run.
    groups: usize,
    /// One past the last byte that is read.
    len: usize,
}

impl Patch {
    /// Runs of `run` values each.
    fn new<I: Instructions>(runs: Vec<usize>, run: usize) -> Self {
        let groups = run.div_ceil(I::GROUP);
        let len = runs.iter().max().map_or(0, |last| last + 4 * groups);
        Self { runs, groups, len }
    }

    /// Groups in all.
    fn steps(&self) -> usize {
        self.runs.len() * self.groups
    }
}

impl<I: Instructions> Conv<I> {
    /// A convolution; `None` where its border is too large.
    pub fn new(isa: I, op: &Conv2d, section: &[u8]) -> Option<Self> {
        let (w, inputs) = (&op.window, op.input.channels as usize);
        let image = Image::new::<I>(op, 1, inputs)?;
        let pitch = image.pitch;
        let at = |row: usize, column: usize| (row * pitch + column * inputs) * I::ELEMENT;
        let (columns, run) = match w.dilation_w {
            1 => (1, usize::from(w.kernel_w) * inputs),
            _ => (usize::from(w.kernel_w), inputs),
        };
        let run_at = |row: usize| {
            (0..columns).map(move |column| at(row * usize::from(w.dilation_h), column * usize::from(w.dilation_w)))
        };
        let patch = Patch::new::<I>((0..usize::from(w.kernel_h)).flat_map(run_at).collect(), run);
        let row = |y: usize| {
            (0..usize::from(op.output.width))
                .map(move |x| at(y * usize::from(w.stride_h), x * usize::from(w.stride_w)) as u32)
        };
        let starts = (0..usize::from(op.output.height)).flat_map(row).collect();
        let Layer { weights, channels } = layer(op, section, inputs);
        let scaling = Scaling::new(isa, &channels, &weights, op.output.zero_point);
        Some(Self::prepared(isa, image, patch, starts, (&weights, run, scaling), (op.output, op.activation)))
    }

    /// A fully connected layer.
    pub fn dense(isa: I, op: &Dense, section: &[u8]) -> Option<Self> {
        let (image, run) = (Image::flat(&op.input), op.inputs());
        if image.len::<I>() > u32::MAX as usize {
            return None;
        }
        let starts = (0..op.input.len() / run).map(|vector| (vector * run * I::ELEMENT) as u32).collect();
        let Layer::<DenseParams> { weights, channels } = dense_layer(op, section);
        let scaling = Scaling::dense::<I>(&channels, &weights);
        let patch = Patch::new::<I>(vec![0], run);
        Some(Self::prepared(isa, image, patch, starts, (&weights, run, scaling), (op.output, op.activation)))
    }

    fn prepared(
        isa: I,
        image: Image,
        patch: Patch,
        starts: Vec<u32>,
        (weights, run, scaling): (&[Vec<i8>], usize, Scaling<I::Vector>),
        (output, activation): (Tensor, Activation),
    ) -> Self {
        let tile = tile::<I>(starts.len(), output.channels as usize);
        let weights = arranged(isa, weights, run, tile[1]);
        Self { isa, image, patch, starts, tile, weights, scaling, output, activation }
    }
}

/// How many pixels tiles may have.
const PIXELS: [usize; 9] = [1, 2, 3, 4, 5, 6, 8, 10, 12];

/// The tile with the fewest vector operations; the last one of a layer computes some pixels again.
fn tile<I: Instructions>(pixels: usize, channels: usize) -> [usize; 2] {
    let vectors = channels.div_ceil(I::LANES);
    let possible = [1, 2].into_iter().flat_map(|b| PIXELS.map(|p| [p, b]));
    let fits = |&[p, b]: &[usize; 2]| p * b <= I::SUMS && p <= pixels && b <= vectors;
    let cost = |&[p, b]: &[usize; 2]| pixels.div_ceil(p) * vectors.div_ceil(b) * (p * (b + 1) + b + 2);
    possible.filter(fits).min_by_key(cost).unwrap_or([1, 1])
}

/// Weights in the order in which they are read; `vectors` in a block.
fn arranged<I: Instructions>(isa: I, weights: &[Vec<i8>], run: usize, vectors: usize) -> Vec<I::Vector> {
    let len = weights.first().map_or(0, Vec::len);
    let mut arranged = Vec::new();
    for block in weights.chunks(I::LANES * vectors) {
        for (first, group) in (0..len)
            .step_by(run.max(1))
            .flat_map(|first| (0..run).step_by(I::GROUP).map(move |group| (first + group, I::GROUP.min(run - group))))
        {
            for vector in 0..vectors {
                let mut bytes = [0; 4 * LANES_MAX];
                let channels = block.iter().skip(vector * I::LANES).take(I::LANES);
                for (lane, weights) in bytes.chunks_exact_mut(4).zip(channels) {
                    write_lane::<I>(&weights[first..first + group], lane);
                }
                arranged.push(isa.load(&bytes));
            }
        }
    }
    arranged
}

impl<I: Instructions> Vectors for Conv<I> {
    fn scratch(&self) -> usize {
        let last = self.starts.iter().max().map_or(0, |&start| start as usize) + self.patch.len;
        self.image.len::<I>().max(last) + BEYOND
    }

    fn run(&self, arena: &mut [i8], scratch: &mut [u8]) {
        self.image.fill(self.isa, arena, &mut scratch[..self.image.len::<I>()]);
        let output = &mut arena[self.output.range()];
        // What registers cannot hold is not compiled.
        macro_rules! tiles {
            ($($pixels:literal)*) => {
                match self.tile {
                    $(
                        [$pixels, 1] if $pixels <= I::SUMS => {
                            self.isa.vectorize(Tiles::<I, $pixels, 1> { conv: self, image: scratch, output });
                        }
                        [$pixels, 2] if 2 * $pixels <= I::SUMS => {
                            self.isa.vectorize(Tiles::<I, $pixels, 2> { conv: self, image: scratch, output });
                        }
                    )*
                    [pixels, vectors] => unreachable!("no tile has {pixels} pixels and {vectors} vectors"),
                }
            };
        }
        tiles!(1 2 3 4 5 6 8 10 12);
    }
}

/// All tiles of a layer, each of `P` pixels and `B` vectors.
struct Tiles<'a, I: Instructions, const P: usize, const B: usize> {
    conv: &'a Conv<I>,
    image: &'a [u8],
    output: &'a mut [i8],
}

impl<I: Instructions, const P: usize, const B: usize> Task for Tiles<'_, I, P, B> {
    #[inline(always)]
    fn run(self) {
        let Self { conv, image, output } = self;
        let (channels, pixels) = (conv.output.channels as usize, conv.starts.len());
        let blocks = conv.weights.chunks_exact((conv.patch.steps() * B).max(1));
        for (index, weights) in blocks.enumerate() {
            let (first, weights) = (index * B * I::LANES, weights.as_chunks::<B>().0);
            for start in (0..pixels).step_by(P) {
                let start = start.min(pixels - P);
                let Some(starts) = conv.starts[start..].first_chunk::<P>() else { return };
                let sums = multiply::<I, P, B>(conv.isa, &conv.patch, image, starts, weights);
                // What is indexed by a variable lies in memory: this copy, and not the sums above.
                let sums = black_box(sums);
                let output = &mut output[start * channels..][..P * channels];
                finish(conv, &sums, first, output);
            }
        }
    }
}

/// The sums of products of a tile.
#[inline(always)]
fn multiply<I: Instructions, const P: usize, const B: usize>(
    isa: I,
    patch: &Patch,
    image: &[u8],
    starts: &[u32; P],
    weights: &[[I::Vector; B]],
) -> [[I::Vector; B]; P] {
    let patches = Patches::new(image, starts, patch.len);
    let mut sums = [[isa.broadcast(0); B]; P];
    let mut weights = weights.iter();
    for &run in &patch.runs {
        for (at, weights) in (run..).step_by(4).zip(weights.by_ref().take(patch.groups)) {
            for (sums, group) in sums.iter_mut().zip(patches.groups(at)) {
                let x = isa.broadcast(i32::from_le_bytes(*group));
                for (sum, &weights) in sums.iter_mut().zip(weights) {
                    *sum = isa.dot(*sum, x, weights);
                }
            }
        }
    }
    sums
}

/// The outputs of a tile's pixels from channel `first` on.
#[inline(always)]
fn finish<I: Instructions, const P: usize, const B: usize>(
    conv: &Conv<I>,
    sums: &[[I::Vector; B]; P],
    first: usize,
    output: &mut [i8],
) {
    let (isa, channels) = (conv.isa, conv.output.channels as usize);
    match &conv.scaling {
        Scaling::Fast(fast) => {
            let fast = &fast[first / I::LANES..];
            let clamp = [conv.activation.min, conv.activation.max];
            if let (Some(fast), true) = (fast.first_chunk::<B>(), first + B * I::LANES <= channels) {
                for (sums, pixel) in sums.iter().zip(output.chunks_exact_mut(channels)) {
                    let slots = pixel[first..][..B * I::LANES].chunks_exact_mut(I::LANES);
                    for ((&sum, fast), slot) in sums.iter().zip(fast).zip(slots) {
                        slot.copy_from_slice(&isa.narrow(requantise(isa, sum, fast), clamp)[..I::LANES]);
                    }
                }
            } else {
                for (sums, pixel) in sums.iter().zip(output.chunks_exact_mut(channels)) {
                    for ((&sum, fast), slot) in sums.iter().zip(fast).zip(pixel[first..].chunks_mut(I::LANES)) {
                        narrow_some(isa, sum, fast, clamp, slot);
                    }
                }
            }
        }
        Scaling::Each(each) => {
            for (sums, pixel) in sums.iter().zip(output.chunks_exact_mut(channels)) {
                let outputs = pixel[first..].chunks_mut(I::LANES).zip(each[first..].chunks(I::LANES));
                for (&sum, (slots, each)) in sums.iter().zip(outputs) {
                    scale_each(&isa.to_words(sum), each, slots, conv.output.zero_point, conv.activation);
                }
            }
        }
    }
}

/// Writes fewer outputs than a vector has.
#[inline(always)]
fn narrow_some<I: Instructions>(isa: I, sum: I::Vector, fast: &Fast<I::Vector>, clamp: [i8; 2], slots: &mut [i8]) {
    let bytes = isa.narrow(requantise(isa, sum, fast), clamp);
    slots.iter_mut().zip(&bytes[..I::LANES]).for_each(|(slot, &byte)| *slot = byte);
}
