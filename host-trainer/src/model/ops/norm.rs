//! Batch-norm with the batch's statistics and a clamp, over planes in memory.

use pulp::Arch;
use rayon::prelude::*;

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
    fn of(self, channel: usize) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.len).skip(channel).step_by(self.channels)
    }

    /// Elements of a channel.
    fn count(self) -> f64 {
        (self.values.len() / self.channels) as f64
    }

    /// Mean and biased variance of a channel.
    fn statistics(self, channel: usize) -> [f32; 2] {
        let mean = self.of(channel).map(|plane| sum([plane, plane], |x, _| x)).sum::<f64>() / self.count();
        let centre = mean as f32;
        let squares = self.of(channel).map(|plane| sum([plane, plane], |x, _| (x - centre) * (x - centre)));
        [centre, (squares.sum::<f64>() / self.count()) as f32]
    }
}

/// What normalising does to a channel: `x · scale + shift`, of values centred by `mean` and scaled by `inverse`.
#[derive(Clone, Copy)]
struct Channel {
    mean: f32,
    /// 1 / sqrt(variance + epsilon).
    inverse: f32,
    gamma: f32,
    beta: f32,
}

impl Channel {
    fn normal(self, x: f32) -> f32 {
        (x - self.mean) * self.inverse
    }

    fn scaled(self, normal: f32) -> f32 {
        normal * self.gamma + self.beta
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
    fn channel(&self, channel: usize, norm: Norm) -> Channel {
        let [mean, variance] = self.statistics[channel];
        let inverse = (1.0 / (f64::from(variance) + norm.epsilon).sqrt()) as f32;
        Channel { mean, inverse, gamma: self.gamma[channel], beta: self.beta[channel] }
    }
}

/// Mean and biased variance of each channel.
pub(super) fn statistics(x: Planes<'_>) -> Vec<[f32; 2]> {
    (0..x.channels).into_par_iter().map(|channel| x.statistics(channel)).collect()
}

/// Normalises, scales, shifts and clamps.
pub(super) fn forward(x: Planes<'_>, parameters: &Parameters<'_>, norm: Norm) -> Vec<f32> {
    let Bounds { min, max } = norm.bounds;
    let mut output = vec![0.0; x.values.len()];
    output.par_chunks_mut(x.len).zip(x.values.par_chunks(x.len)).enumerate().for_each(|(plane, (output, x_plane))| {
        let channel = parameters.channel(plane % x.channels, norm);
        Arch::new().dispatch(|| {
            for (output, &x) in output.iter_mut().zip(x_plane) {
                *output = channel.scaled(channel.normal(x)).max(min).min(max);
            }
        });
    });
    output
}

/// Gradients of the input, of gamma and of beta, given that of the output.
pub(super) fn backward(
    x: Planes<'_>,
    grad: Planes<'_>,
    parameters: &Parameters<'_>,
    norm: Norm,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    // Of each channel: sum of the gradients that pass the clamp, and of their products with the normalised values.
    let sums: Vec<[f64; 2]> = (0..x.channels)
        .into_par_iter()
        .map(|index| {
            let channel = parameters.channel(index, norm);
            let planes = || x.of(index).zip(grad.of(index));
            let passing = |x: f32, grad: f32| passing(channel, norm.bounds, x, grad);
            let beta = planes().map(|(x, grad)| sum([x, grad], passing)).sum();
            let gamma = planes().map(|(x, grad)| sum([x, grad], |x, grad| passing(x, grad) * channel.normal(x))).sum();
            [beta, gamma]
        })
        .collect();
    let mut x_grad = vec![0.0; x.values.len()];
    let planes = x.values.par_chunks(x.len).zip(grad.values.par_chunks(x.len));
    x_grad.par_chunks_mut(x.len).zip(planes).enumerate().for_each(|(plane, (x_grad, (x_plane, grad_plane)))| {
        let index = plane % x.channels;
        let channel = parameters.channel(index, norm);
        let [mean_grad, mean_product] = sums[index].map(|sum| (sum / x.count()) as f32);
        let scale = channel.gamma * channel.inverse;
        Arch::new().dispatch(|| {
            for ((x_grad, &x), &grad) in x_grad.iter_mut().zip(x_plane).zip(grad_plane) {
                let grad = passing(channel, norm.bounds, x, grad);
                *x_grad = scale * (grad - mean_grad - channel.normal(x) * mean_product);
            }
        });
    });
    let of = |which: usize| sums.iter().map(|sums| sums[which] as f32).collect();
    (x_grad, of(1), of(0))
}

/// What reaches the normalised value of the output's gradient.
#[inline(always)]
fn passing(channel: Channel, bounds: Bounds, x: f32, grad: f32) -> f32 {
    if bounds.passes(channel.scaled(channel.normal(x))) { grad } else { 0.0 }
}

/// Sum of `f` over pairs of values.
fn sum([a, b]: [&[f32]; 2], f: impl Fn(f32, f32) -> f32) -> f64 {
    Arch::new().dispatch(|| {
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let mut lanes = [0.0f32; LANES];
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                lanes[lane] += f(a[lane], b[lane]);
            }
        }
        let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(f(a, b))).sum();
        lanes.iter().copied().map(f64::from).sum::<f64>() + rest
    })
}
