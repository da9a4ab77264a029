//! Convolution, and batch-norm with the activation after it, as operations with gradients of their own.
//!
//! Every back end computes them from burn's own operations; burn-flex, where most training happens, by the loops of
//! [`direct`] and [`norm`], which copy and allocate less. What they compute is the same up to rounding.
#![expect(deprecated, reason = "burn deprecates ndarray in favour of flex; it stays the choice that is compared")]

mod direct;
mod flex;
mod lanes;
mod norm;
mod product;
mod spread;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, NdArray, Scalar, TensorMetadata, backend_extension,
    get_or_init_device_settings,
};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

/// Smallest and largest value of an activation that clamps, and of none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    pub min: f32,
    pub max: f32,
}

impl Bounds {
    /// What reaches the input of the output's gradient: all where the input `x` lies between the bounds, else nothing.
    #[inline(always)]
    fn passes(self, x: f32) -> bool {
        self.min < x && x < self.max
    }
}

/// How a batch is normalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Norm {
    /// Added to the variance.
    pub epsilon: f64,
    /// Of the activation that follows.
    pub bounds: Bounds,
}

/// Kinds of tensors as burn's macro wants them: `[images][channels][height][width]`, weights
/// `[out][in / groups][kernel][kernel]`, parameters of batch-norm `[channels]`.
#[backend_extension(Flex, NdArray, Cube: cfg(any(feature = "wgpu", feature = "cuda")), Autodiff)]
pub(super) trait NetOps: Backend {
    /// Convolution without bias.
    fn net_conv2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, options: ConvOptions<2>) -> FloatTensor<Self> {
        Self::conv2d(x, weight, None, options)
    }

    /// Gradient of the input of [`NetOps::net_conv2d`].
    fn net_conv2d_x_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        Self::conv2d_x_backward(x, weight, grad, options)
    }

    /// Gradient of the weights of [`NetOps::net_conv2d`].
    fn net_conv2d_weight_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        Self::conv2d_weight_backward(x, weight, grad, options)
    }

    /// Normalises by the batch's statistics, then clamps: output, mean and biased variance.
    fn net_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let result = Self::batch_norm_train(x, gamma, beta, norm.epsilon);
        let Bounds { min, max } = norm.bounds;
        let output = Self::float_clamp(result.output, Scalar::from(min), Scalar::from(max));
        (output, result.mean, result.variance)
    }

    /// Gradients of input, gamma and beta of [`NetOps::net_norm`], whose statistics are given.
    fn net_norm_grad(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let Bounds { min, max } = norm.bounds;
        let kind = get_or_init_device_settings::<Self>(&x.device()).bool_dtype;
        let normal = Self::batch_norm(x.clone(), gamma.clone(), beta, mean.clone(), variance.clone(), norm.epsilon);
        let below = Self::float_lower_equal_elem(normal.clone(), Scalar::from(min), kind);
        let above = Self::float_greater_equal_elem(normal, Scalar::from(max), kind);
        let grad = Self::float_mask_fill(grad, below, Scalar::from(0.0f32));
        let grad = Self::float_mask_fill(grad, above, Scalar::from(0.0f32));
        let grads = Self::batch_norm_train_backward(x, gamma, mean, variance, norm.epsilon, grad);
        (grads.x_grad, grads.gamma_grad, grads.beta_grad)
    }
}

impl NetOps for NdArray {}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl NetOps for burn::backend::Cube {}

#[derive(Debug)]
struct Conv;

impl<B: NetOps> Backward<B, 2> for Conv {
    /// Input, weights, geometry.
    type State = (FloatTensor<B>, FloatTensor<B>, ConvOptions<2>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, weight_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (x, weight, options) = ops.state;
        if let Some(node) = weight_node {
            let grad = B::net_conv2d_weight_grad(x.clone(), weight.clone(), grad.clone(), options.clone());
            grads.register::<B>(node.id, grad);
        }
        if let Some(node) = x_node {
            grads.register::<B>(node.id, B::net_conv2d_x_grad(x, weight, grad, options));
        }
    }
}

#[derive(Debug)]
struct NormBackward;

impl<B: NetOps> Backward<B, 3> for NormBackward {
    /// Input, gamma, beta, mean, variance, and how it is normalised.
    type State = ([FloatTensor<B>; 5], Norm);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let ([x, gamma, beta, mean, variance], norm) = ops.state;
        let (x, gamma, beta) = B::net_norm_grad(x, gamma, beta, mean, variance, grad, norm);
        for (node, grad) in ops.parents.into_iter().zip([x, gamma, beta]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

impl<B: NetOps, C: CheckpointStrategy> NetOps for Autodiff<B, C> {
    fn net_conv2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, options: ConvOptions<2>) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let output = B::net_conv2d(x.clone(), weight.clone(), options.clone());
        match Backward::<B, 2>::prepare::<C>(Conv, [x_node, weight_node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, weight, options), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn net_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (x, x_node) = x.into_parts();
        let (gamma, gamma_node) = gamma.into_parts();
        let (beta, beta_node) = beta.into_parts();
        let (output, mean, variance) = B::net_norm(x.clone(), gamma.clone(), beta.clone(), norm);
        let nodes = [x_node, gamma_node, beta_node];
        let output = match Backward::<B, 3>::prepare::<C>(NormBackward, nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                prepared.finish(([x, gamma, beta, mean.clone(), variance.clone()], norm), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        (output, Self::from_inner(mean), Self::from_inner(variance))
    }
}

/// Convolution without bias; `x` is `[images][channels][height][width]`, `weight` `[out][in / groups][kernel][kernel]`.
pub(super) fn conv2d(x: Tensor<4>, weight: Tensor<4>, options: ConvOptions<2>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as NetOps>::net_conv2d(x.into_dispatch(), weight.into_dispatch(), options))
}

/// Normalises each channel by the batch's mean and biased variance, scales by `gamma`, adds `beta` and clamps; with the
/// statistics.
pub(super) fn norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, norm: Norm) -> (Tensor<4>, [Tensor<1>; 2]) {
    let (output, mean, variance) =
        <Dispatch as NetOps>::net_norm(x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch(), norm);
    (Tensor::from_dispatch(output), [mean, variance].map(Tensor::from_dispatch))
}

#[cfg(test)]
mod tests;
