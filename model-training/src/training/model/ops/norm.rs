//! Batch-norm with the batch's statistics and a clamp, over planes in memory.

use macerator::{Simd, WithSimd};
use rayon::prelude::*;

use super::lanes::dispatch;
use super::{Bounds, Norm};

/// Values that are summed side by side, in an order that does not depend on the processor.
const LANES: usize = 16;

/// `[images][channels][plane]` values.
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    pub values: &'a [f32],
    pub channels: usize,
    /// Elements of a plane.
    pub len: usize,
}

impl<'a> Planes<'a> {
    #[inline(always)]
    fn of(self, channel: usize) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.len).skip(channel).step_by(self.channels)
    }

    /// Elements of an image.
    fn image(self) -> usize {
        self.channels * self.len
    }

    /// Elements of a channel.
    fn count(self) -> f64 {
        (self.values.len() / self.channels) as f64
    }

    /// Mean and biased variance of a channel, from the moments about its first value, which keeps them small.
    fn statistics(self, channel: usize) -> [f32; 2] {
        let centre = self.of(channel).next().map_or(0.0, |plane| plane[0]);
        let sums = dispatch(Moments { x: self, channel, centre });
        let [mean, square] = sums.map(|sum| sum / self.count());
        [(f64::from(centre) + mean) as f32, (square - mean * mean).max(0.0) as f32]
    }
}

/// What normalising does to a channel.
#[derive(Clone, Copy)]
struct Channel {
    mean: f32,
    /// 1 / sqrt(variance + epsilon).
    inverse: f32,
    gamma: f32,
    beta: f32,
    bounds: Bounds,
}

impl Channel {
    #[inline(always)]
    fn normal(self, x: f32) -> f32 {
        (x - self.mean) * self.inverse
    }

    #[inline(always)]
    fn scaled(self, x: f32) -> f32 {
        self.normal(x) * self.gamma + self.beta
    }

    /// What reaches the normalised value of the output's gradient.
    #[inline(always)]
    fn passing(self, x: f32, grad: f32) -> f32 {
        if self.bounds.passes(self.scaled(x)) { grad } else { 0.0 }
    }
}

/// Parameters of all channels.
pub(super) struct Parameters<'a> {
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    /// Mean and biased variance.
    pub statistics: &'a [[f32; 2]],
}

impl Parameters<'_> {
    fn channels(&self, norm: Norm) -> Vec<Channel> {
        let parameters = self.statistics.iter().zip(self.gamma).zip(self.beta);
        let channel = |((&[mean, variance], &gamma), &beta): ((&[f32; 2], &f32), &f32)| {
            let inverse = (1.0 / (f64::from(variance) + norm.epsilon).sqrt()) as f32;
            Channel { mean, inverse, gamma, beta, bounds: norm.bounds }
        };
        parameters.map(channel).collect()
    }
}

/// Mean and biased variance of each channel.
pub(super) fn statistics(x: Planes<'_>) -> Vec<[f32; 2]> {
    (0..x.channels).into_par_iter().map(|channel| x.statistics(channel)).collect()
}

/// Normalises, scales, shifts and clamps.
pub(super) fn forward(x: Planes<'_>, parameters: &Parameters<'_>, norm: Norm) -> Vec<f32> {
    let channels = &parameters.channels(norm)[..];
    let mut output = vec![0.0; x.values.len()];
    let images = output.par_chunks_mut(x.image()).zip(x.values.par_chunks(x.image()));
    images.for_each(|(output, values)| dispatch(Forward { channels, x: Planes { values, ..x }, output }));
    output
}

/// Gradients of the input, of gamma and of beta, given that of the output.
pub(super) fn backward(
    x: Planes<'_>,
    grad: Planes<'_>,
    parameters: &Parameters<'_>,
    norm: Norm,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let channels = &parameters.channels(norm)[..];
    let sums: Vec<[f64; 2]> =
        (0..x.channels).into_par_iter().map(|index| dispatch(Sums { channels, x, grad, index })).collect();
    let means: Vec<[f32; 2]> = sums.iter().map(|sums| sums.map(|sum| (sum / x.count()) as f32)).collect();
    let mut x_grad = vec![0.0; x.values.len()];
    let images = x.values.par_chunks(x.image()).zip(grad.values.par_chunks(x.image()));
    x_grad.par_chunks_mut(x.image()).zip(images).for_each(|(x_grad, (values, grad))| {
        dispatch(Backward { channels, means: &means, x: Planes { values, ..x }, grad, x_grad });
    });
    let of = |which: usize| sums.iter().map(|sums| sums[which] as f32).collect();
    (x_grad, of(1), of(0))
}

/// Sums of a channel's distances from `centre` and of their squares.
struct Moments<'a> {
    x: Planes<'a>,
    channel: usize,
    centre: f32,
}

impl WithSimd for Moments<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self) -> [f64; 2] {
        let centre = self.centre;
        let planes = self.x.of(self.channel);
        planes.fold([0.0; 2], |sum, x| add(sum, sums([x, x], |x, _| [x - centre, (x - centre) * (x - centre)])))
    }
}

/// The output of an image.
struct Forward<'a> {
    channels: &'a [Channel],
    x: Planes<'a>,
    output: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let planes = self.output.chunks_exact_mut(self.x.len).zip(self.x.values.chunks_exact(self.x.len));
        for ((output, x), &channel) in planes.zip(self.channels) {
            for (output, &x) in output.iter_mut().zip(x) {
                *output = channel.scaled(x).max(channel.bounds.min).min(channel.bounds.max);
            }
        }
    }
}

/// Of a channel: sums of the gradients that pass the clamp, and of their products with the normalised values.
struct Sums<'a> {
    channels: &'a [Channel],
    x: Planes<'a>,
    grad: Planes<'a>,
    index: usize,
}

impl WithSimd for Sums<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self) -> [f64; 2] {
        let channel = self.channels[self.index];
        let of_pair = |x: f32, grad: f32| {
            let grad = channel.passing(x, grad);
            [grad, grad * channel.normal(x)]
        };
        let planes = self.x.of(self.index).zip(self.grad.of(self.index));
        planes.fold([0.0; 2], |sum, (x, grad)| add(sum, sums([x, grad], of_pair)))
    }
}

/// The gradient of an image.
struct Backward<'a> {
    channels: &'a [Channel],
    /// Of what [`Sums`] sums.
    means: &'a [[f32; 2]],
    x: Planes<'a>,
    grad: &'a [f32],
    x_grad: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Planes { values, len, .. } = self.x;
        let planes = values.chunks_exact(len).zip(self.grad.chunks_exact(len)).zip(self.x_grad.chunks_exact_mut(len));
        for (((x, grad), x_grad), (&channel, &[mean_grad, mean_product])) in
            planes.zip(self.channels.iter().zip(self.means))
        {
            let scale = channel.gamma * channel.inverse;
            for ((x_grad, &x), &grad) in x_grad.iter_mut().zip(x).zip(grad) {
                *x_grad = scale * (channel.passing(x, grad) - mean_grad - channel.normal(x) * mean_product);
            }
        }
    }
}

/// Sums of both results of `f` over pairs of values.
#[inline(always)]
fn sums([a, b]: [&[f32]; 2], f: impl Fn(f32, f32) -> [f32; 2]) -> [f64; 2] {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sum = a_rest.iter().zip(b_rest).map(|(&a, &b)| f(a, b).map(f64::from)).fold([0.0; 2], add);
    if !a.is_empty() {
        let mut lanes = [[0.0f32; LANES]; 2];
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                let [first, second] = f(a[lane], b[lane]);
                lanes[0][lane] += first;
                lanes[1][lane] += second;
            }
        }
        sum = add(sum, lanes.map(|lanes| lanes.into_iter().map(f64::from).sum()));
    }
    sum
}

#[inline(always)]
fn add(sum: [f64; 2], more: [f64; 2]) -> [f64; 2] {
    [sum[0] + more[0], sum[1] + more[1]]
}
