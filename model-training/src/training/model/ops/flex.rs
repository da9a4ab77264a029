//! The operations on burn-flex.

use burn::backend::flex::FlexTensor;
use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, TensorData};

use super::direct::Sizes;
use super::norm::{self, Parameters, Planes};
use super::{NetOps, Norm};

/// What a convolution is to the processor.
enum Kind {
    /// Each channel by itself.
    Depthwise,
    /// A matrix times each pixel.
    Pointwise,
    /// All channels, by windows.
    Full,
}

/// Kind and sizes of a convolution; none with dilation, other groups of channels or windows that are not square, which are
/// left to burn.
fn kind(x: &FlexTensor, weight: &FlexTensor, options: &ConvOptions<2>) -> Option<(Kind, Sizes)> {
    let [images, inputs, height, width] = x.shape().dims();
    let [outputs, _, kernel, kernel_w] = weight.shape().dims();
    let [stride, stride_w] = options.stride;
    if options.dilation != [1, 1] || kernel != kernel_w || stride != stride_w {
        return None;
    }
    let kind = match options.groups {
        1 if kernel == 1 && stride == 1 && options.padding == [(0, 0); 2] => Kind::Pointwise,
        1 => Kind::Full,
        groups if groups == inputs && groups == outputs => Kind::Depthwise,
        _ => return None,
    };
    let (input, padding) = ([height, width], options.padding.map(|(before, _)| before));
    let output = [0, 1].map(|axis| {
        let (before, after) = options.padding[axis];
        (input[axis] + before + after - kernel) / stride + 1
    });
    Some((kind, Sizes { images, inputs, outputs, kernel, stride, padding, input, output }))
}

impl NetOps for Flex {
    fn net_conv2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, options: ConvOptions<2>) -> FloatTensor<Self> {
        let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
        let (output, sizes) = match kind(&x, &weight, &options) {
            Some((Kind::Depthwise, sizes)) => (sizes.convolve_depthwise(values(&x), values(&weight)), sizes),
            Some((Kind::Full, sizes)) => (sizes.convolve(values(&x), values(&weight)), sizes),
            Some((Kind::Pointwise, _)) | None => return Self::conv2d(x, weight, None, options),
        };
        tensor(output, [sizes.images, sizes.outputs, sizes.output[0], sizes.output[1]])
    }

    fn net_conv2d_x_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let [weight, grad] = [weight, grad].map(|tensor| tensor.to_contiguous());
        let x_grad = match kind(&x, &weight, &options) {
            Some((Kind::Depthwise, sizes)) => sizes.depthwise_input_grad(values(&grad), values(&weight)),
            Some((Kind::Pointwise, sizes)) => return pointwise_x_grad(&sizes, &weight, &grad),
            Some((Kind::Full, sizes)) => sizes.input_grad(values(&grad), values(&weight)),
            None => return Self::conv2d_x_backward(x, weight, grad, options),
        };
        tensor(x_grad, x.shape())
    }

    fn net_conv2d_weight_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let [x, grad] = [x, grad].map(|tensor| tensor.to_contiguous());
        let weight_grad = match kind(&x, &weight, &options) {
            Some((Kind::Depthwise, sizes)) => sizes.depthwise_weight_grad(values(&x), values(&grad)),
            Some((Kind::Pointwise, sizes)) => return pointwise_weight_grad(&sizes, &x, &grad).reshape(weight.shape()),
            Some((Kind::Full, sizes)) => sizes.weight_grad(values(&x), values(&grad)),
            None => return Self::conv2d_weight_backward(x, weight, grad, options),
        };
        tensor(weight_grad, weight.shape())
    }

    fn net_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [x, gamma, beta] = [x, gamma, beta].map(|tensor| tensor.to_contiguous());
        let statistics = norm::statistics(planes(&x));
        let parameters = Parameters { gamma: values(&gamma), beta: values(&beta), statistics: &statistics };
        let output = norm::forward(planes(&x), &parameters, norm);
        let of = |which: usize| tensor(statistics.iter().map(|both| both[which]).collect(), [statistics.len()]);
        (tensor(output, x.shape()), of(0), of(1))
    }

    fn net_norm_grad(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [x, gamma, beta, mean, variance, grad] =
            [x, gamma, beta, mean, variance, grad].map(|tensor| tensor.to_contiguous());
        let statistics: Vec<[f32; 2]> =
            values(&mean).iter().zip(values(&variance)).map(|(&mean, &variance)| [mean, variance]).collect();
        let parameters = Parameters { gamma: values(&gamma), beta: values(&beta), statistics: &statistics };
        let (x_grad, gamma_grad, beta_grad) = norm::backward(planes(&x), planes(&grad), &parameters, norm);
        let channels = [statistics.len()];
        (tensor(x_grad, x.shape()), tensor(gamma_grad, channels), tensor(beta_grad, channels))
    }
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The elements of a contiguous tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous tensor of f32")
}

fn planes(tensor: &FlexTensor) -> Planes<'_> {
    let [_, channels, height, width] = tensor.shape().dims();
    Planes { values: values(tensor), channels, len: height * width }
}

fn pointwise_x_grad(sizes: &Sizes, weight: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let Sizes { images, inputs, outputs, input: [height, width], .. } = *sizes;
    let transposed = weight.reshape([1, outputs, inputs].into()).transpose(1, 2);
    let grad = grad.reshape([images, outputs, height * width].into());
    Flex::float_matmul(transposed, grad).reshape([images, inputs, height, width].into())
}

/// `[1][out][in]`.
fn pointwise_weight_grad(sizes: &Sizes, x: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let Sizes { images, inputs, outputs, .. } = *sizes;
    let x = x.reshape([images, inputs, sizes.input_len()].into()).transpose(1, 2);
    let grad = grad.reshape([images, outputs, sizes.output_len()].into());
    Flex::float_sum_dim(Flex::float_matmul(grad, x), 0)
}
