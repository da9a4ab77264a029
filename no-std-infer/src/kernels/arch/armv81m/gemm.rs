//! The matrix product: a panel of four patches times plain weights, requantised.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ops::Range;

#[cfg(nsi_armv81m)]
use super::panel::Fill;
use super::panel::Source;
use super::{inexact, single};
use crate::bounded::{Bounded, numbered};
use crate::fixed::clamp_i8;
use crate::format::CHANNEL_LEN;
use crate::operators::{ChannelParams, Conv2d, OutputParams, Patches, Plain};

/// Output pixels that are multiplied together.
pub const PIXELS: usize = 4;
/// Output channels that are.
const CHANNELS: usize = 4;

#[cfg(nsi_armv81m)]
#[repr(C)]
struct Arguments {
    panel: *const i8,
    weights: *const u8,
    parameters: *const u8,
    output: *mut i8,
    groups: usize,
    row: usize,
    pixel_stride: usize,
    vectors: usize,
    zero_point: i32,
    panels: usize,
    fill: *mut Fill,
}

#[cfg(nsi_armv81m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_mve_gemm_1_relu(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_2_relu(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_3_relu(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_4_relu(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_relu(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_1_any(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_2_any(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_3_any(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_4_any(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_any(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_3x3_relu(arguments: *mut Arguments);
    fn no_std_infer_mve_gemm_3x3_any(arguments: *mut Arguments);
}

/// A panel and the weights that it is multiplied with.
pub struct Gemm<'a> {
    /// Vector by vector of a patch the 16 bytes of four pixels; what is beyond the patch in the last one is 0.
    panel: &'a [Cell<i8>],
    patches: Patches,
    constants: Plain<'a>,
    /// Output channels.
    channels: usize,
    zero_point: i8,
    /// From the first to the last output channel that is computed one by one.
    single: Range<usize>,
}

impl<'a> Gemm<'a> {
    /// `None` where panel or weights are too short or not aligned.
    pub fn new(op: &Conv2d, patches: Patches, panel: &'a [Cell<i8>], constants: &Plain<'a>) -> Option<Self> {
        let (channels, row) = (op.output.channels as usize, patches.order.len());
        let parameters = constants.channels.bytes();
        let enough = panel.len() >= patches.panel_len()
            && constants.weights.len() >= row.times(channels)
            && parameters.len() >= channels.times(CHANNEL_LEN);
        let aligned = (parameters.as_ptr() as usize).is_multiple_of(4);
        let (zero_point, constants) = (op.output.zero_point, *constants);
        let single = inexact(parameters, zero_point);
        (row > 0 && enough && aligned).then_some(Self { panel, patches, constants, channels, zero_point, single })
    }

    /// The panel.
    pub fn panel(&self) -> &'a [Cell<i8>] {
        self.panel
    }

    /// Multiplies the panel with all output channels, and writes those of its first `pixels` pixels one after the other to
    /// `output`, which holds as many.
    pub fn multiply(&self, output: &[Cell<i8>], pixels: usize) {
        let groups = self.channels / CHANNELS;
        if pixels == PIXELS && self.is_direct(output) {
            self.multiply_groups(0..groups, output, self.channels);
            return self.multiply_single(self.single.clone(), output, pixels);
        }
        let results = Results([const { Cell::new(0) }; PIXELS * CHANNELS]);
        for group in 0..groups {
            self.multiply_groups(group..group.plus(1), &results.0, CHANNELS);
            for (pixel, results) in
                output.chunks_exact(self.channels.max(1)).take(pixels).zip(results.0.chunks_exact(CHANNELS))
            {
                for (out, result) in pixel.iter().skip(group.times(CHANNELS)).zip(results) {
                    out.set(result.get());
                }
            }
        }
        self.multiply_single(self.single.clone(), output, pixels);
        self.multiply_single(groups.times(CHANNELS)..self.channels, output, pixels);
    }

    /// Multiplies the panel's first `pixels` pixels with those of the output channels that the loops do not compute.
    #[inline(always)]
    fn multiply_single(&self, channels: Range<usize>, output: &[Cell<i8>], pixels: usize) {
        if !channels.is_empty() {
            self.multiply_each(channels, output, pixels);
        }
    }

    #[inline(never)]
    fn multiply_each(&self, channels: Range<usize>, output: &[Cell<i8>], pixels: usize) {
        let computed = self.channels.minus(self.channels % CHANNELS);
        for channel in channels {
            let channels = self.constants.channels;
            let parameters = if channel < computed {
                single(channels, channel, self.zero_point)
            } else {
                channels.skip(channel).iter().next()
            };
            let Some(parameters) = parameters else { continue };
            for (pixel, out) in numbered(output.iter().skip(channel).step_by(self.channels.max(1)).take(pixels)) {
                out.set(self.single(channel, parameters, pixel));
            }
        }
    }

    /// One output.
    fn single(&self, channel: usize, parameters: ChannelParams, pixel: usize) -> i8 {
        let weights = self.row(channel);
        let mut sum = 0_i32;
        for (weights, vectors) in weights.chunks(Patches::VECTOR).zip(self.panel.chunks_exact(PIXELS * Patches::VECTOR))
        {
            let vector = vectors.get(pixel.times(Patches::VECTOR)..).unwrap_or_default();
            for (&weight, value) in weights.iter().zip(vector) {
                sum = sum.wrapping_add(i32::from(weight as i8) * i32::from(value.get()));
            }
        }
        let scaled = parameters.scale(sum.wrapping_add(parameters.bias));
        clamp_i8(scaled.saturating_add(i32::from(self.zero_point)), i8::MIN, i8::MAX)
    }

    /// The weights of an output channel.
    fn row(&self, channel: usize) -> &'a [u8] {
        let len = self.patches.order.len();
        self.constants.weights.get(channel.times(len)..).and_then(|rest| rest.get(..len)).unwrap_or_default()
    }

    /// Multiplies the panel with groups of four output channels, and writes the results of four pixels, `pixel_stride` bytes
    /// apart, a multiple of 4 as the output's address is. Does nothing when there are no such groups or the output is too short.
    fn multiply_groups(&self, groups: Range<usize>, output: &[Cell<i8>], pixel_stride: usize) {
        let enough = output.len() >= pixel_stride.times(PIXELS - 1).plus(groups.len().times(CHANNELS));
        let aligned = (pixel_stride | output.as_ptr() as usize).is_multiple_of(4);
        if groups.is_empty() || groups.end > self.channels / CHANNELS || !enough || !aligned {
            return debug_assert!(groups.is_empty(), "the output holds four pixels");
        }
        #[cfg(nsi_armv81m)]
        // SAFETY: there are such groups, and the output holds theirs, as checked above.
        unsafe {
            self.product(groups, output.as_ptr().cast_mut().cast(), pixel_stride).run();
        }
        #[cfg(not(nsi_armv81m))]
        self.model(groups, output, pixel_stride);
    }

    /// How the panel, which is full, is multiplied with groups of output channels that there are.
    #[cfg(nsi_armv81m)]
    fn product(&self, groups: Range<usize>, output: *mut i8, pixel_stride: usize) -> Loop {
        let first = groups.start.times(CHANNELS);
        let arguments = Arguments {
            panel: self.panel.as_ptr().cast(),
            weights: self.row(first).as_ptr(),
            parameters: self.constants.channels.skip(first).bytes().as_ptr(),
            output,
            groups: groups.len(),
            row: self.patches.order.len(),
            pixel_stride,
            vectors: self.patches.vectors,
            zero_point: self.zero_point.into(),
            panels: 1,
            fill: core::ptr::null_mut(),
        };
        let function = match (self.patches.vectors, self.zero_point) {
            (1, i8::MIN) => no_std_infer_mve_gemm_1_relu,
            (2, i8::MIN) => no_std_infer_mve_gemm_2_relu,
            (3, i8::MIN) => no_std_infer_mve_gemm_3_relu,
            (4, i8::MIN) => no_std_infer_mve_gemm_4_relu,
            (_, i8::MIN) => no_std_infer_mve_gemm_relu,
            (1, _) => no_std_infer_mve_gemm_1_any,
            (2, _) => no_std_infer_mve_gemm_2_any,
            (3, _) => no_std_infer_mve_gemm_3_any,
            (4, _) => no_std_infer_mve_gemm_4_any,
            (..) => no_std_infer_mve_gemm_any,
        };
        Loop { function, arguments }
    }

    /// Whether whole groups of channels can be written where they belong.
    pub fn is_direct(&self, output: &[Cell<i8>]) -> bool {
        (self.channels | output.as_ptr() as usize).is_multiple_of(4)
    }

    /// Convolves `quads` times four neighbouring pixels whose patches start at the beginning of `source`, and writes all output
    /// channels one pixel after the other, where that is [direct](Self::is_direct). Does nothing when a slice is too short.
    pub fn convolve(&self, patches: &Source<'_>, source: &[Cell<i8>], quads: usize, output: &[Cell<i8>]) {
        let (pixels, quad) = (quads.times(PIXELS), self.channels.times(PIXELS));
        let fits = patches.fits(source.len(), pixels, self.panel) && output.len() >= quads.times(quad);
        if !fits || quad == 0 || !self.is_direct(output) {
            return debug_assert!(quads == 0, "the output holds {pixels} pixels");
        }
        #[cfg(nsi_armv81m)]
        {
            let groups = 0..self.channels / CHANNELS;
            let mut fill = patches.fill(source.as_ptr().cast(), self.panel.as_ptr().cast_mut().cast(), PIXELS);
            let mut product = self.product(groups, output.as_ptr().cast_mut().cast(), self.channels);
            product.arguments.fill = &mut fill;
            if patches.is_3x3_of_vectors() && self.single.is_empty() {
                product.multiply_in_place(source.as_ptr().cast(), self.zero_point);
            }
            // Where channels are computed one by one, each panel is needed before the next one takes its place.
            let together = if self.single.is_empty() { quads } else { 1 };
            product.arguments.panels = together;
            for output in output.chunks_exact(quad.times(together).max(1)).take(quads / together.max(1)) {
                product.arguments.output = output.as_ptr().cast_mut().cast();
                // SAFETY: the patches of all pixels lie in the source, and the output holds all of their channels.
                unsafe { product.run() };
                self.multiply_single(self.single.clone(), output, PIXELS);
            }
        }
        #[cfg(not(nsi_armv81m))]
        for (quad, output) in output.chunks_exact(quad).take(quads).enumerate() {
            patches.put(&source[quad * PIXELS * patches.pixel_stride..], 0, PIXELS, self.panel);
            self.multiply(output, PIXELS);
        }
    }

    #[cfg(not(nsi_armv81m))]
    fn model(&self, groups: Range<usize>, output: &[Cell<i8>], pixel_stride: usize) {
        let first = groups.start * CHANNELS;
        let len = self.patches.order.len();
        for (index, parameters) in self.constants.channels.skip(first).iter().take(groups.len() * CHANNELS).enumerate()
        {
            // To the end of the last vector, where there is as much: the panel has zeros there.
            let weights = self.constants.weights.get((first + index) * len..).unwrap_or_default();
            let weights = weights.get(..self.patches.vectors * Patches::VECTOR).unwrap_or(weights);
            for pixel in 0..PIXELS {
                let mut sum = parameters.bias;
                for (weights, vectors) in
                    weights.chunks(Patches::VECTOR).zip(self.panel.chunks(PIXELS * Patches::VECTOR))
                {
                    let values = &vectors[pixel * Patches::VECTOR..];
                    let products = weights.iter().zip(values).map(|(&w, x)| i32::from(w as i8) * i32::from(x.get()));
                    sum = sum.wrapping_add(products.sum());
                }
                let shift = -i32::from(parameters.multiplier.shift);
                let result = super::insn::requantise(sum, parameters.multiplier.mantissa, shift, self.zero_point);
                output[pixel * pixel_stride + index].set(result);
            }
        }
    }
}

/// Results of four channels at four pixels, each pixel's in a word.
#[repr(align(4))]
struct Results([Cell<i8>; PIXELS * CHANNELS]);

/// A loop that multiplies, and its arguments.
#[cfg(nsi_armv81m)]
struct Loop {
    function: unsafe extern "C" fn(*mut Arguments),
    arguments: Arguments,
}

#[cfg(nsi_armv81m)]
impl Loop {
    /// Reads patches of three runs of three vectors, and a vector from pixel to pixel, where they lie: they need no panel.
    fn multiply_in_place(&mut self, source: *const i8, zero_point: i8) {
        self.arguments.panel = source;
        self.function =
            if zero_point == i8::MIN { no_std_infer_mve_gemm_3x3_relu } else { no_std_infer_mve_gemm_3x3_any };
    }

    /// Runs it.
    ///
    /// # Safety
    /// There are such groups, and the output holds a word for each of them at four places `pixel_stride` bytes apart, both
    /// multiples of 4, for each of the panels. If there is something to fill them with, all of it may be filled in; patches that are read in place lie there. It reads `vectors` times 64 bytes of the panel, and a row of weights and 12 bytes of parameters for each of
    /// the channels, all inside the slices, as [`Gemm::new`] has checked: what is beyond a row in its last vector lies in the next
    /// row, or is not loaded. Words of parameters are aligned. It keeps the calling convention.
    unsafe fn run(&mut self) {
        // SAFETY: as the caller promises.
        unsafe { (self.function)(&mut self.arguments) }
    }
}
