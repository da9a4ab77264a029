//! The operations on burn-flex.

use burn::backend::flex::FlexTensor;
use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, TensorData};
use rayon::prelude::*;

use super::norm::{self, Parameters, Planes};
use super::window::Window;
use super::{NetOps, Norm};

/// Images whose gradients of the weights are summed one after the other; the sums of such groups then follow in their
/// order, whatever the number of threads.
const GROUP: usize = 4;

/// What a convolution is to the processor.
enum Kind {
    /// Each channel by itself.
    Depthwise,
    /// A matrix times each pixel.
    Pointwise,
    /// All others: a matrix times the gathered inputs of each pixel.
    Gathered,
    /// With dilation, groups of channels or windows that are not square: left to burn.
    Other,
}

/// Sizes of a convolution.
struct Geometry {
    images: usize,
    inputs: usize,
    outputs: usize,
    window: Window,
    kind: Kind,
}

impl Geometry {
    fn new(x: &FlexTensor, weight: &FlexTensor, grad: &FlexTensor, options: &ConvOptions<2>) -> Self {
        let [images, inputs, height, width] = x.shape().dims();
        let [outputs, _, kernel, kernel_w] = weight.shape().dims();
        let [_, _, out_height, out_width] = grad.shape().dims();
        let [stride, stride_w] = options.stride;
        let padding = options.padding.map(|(before, _)| before);
        let window = Window { kernel, stride, padding, input: [height, width], output: [out_height, out_width] };
        let plain = options.dilation == [1, 1] && kernel == kernel_w && stride == stride_w;
        let kind = match options.groups {
            1 if plain && kernel == 1 && stride == 1 && options.padding == [(0, 0); 2] => Kind::Pointwise,
            1 if plain => Kind::Gathered,
            groups if plain && groups == inputs && groups == outputs => Kind::Depthwise,
            _ => Kind::Other,
        };
        Self { images, inputs, outputs, window, kind }
    }

    /// Elements of the matrix of gathered inputs: rows, columns.
    fn gathered(&self) -> [usize; 2] {
        [self.inputs * self.window.taps(), self.window.outputs()]
    }

    /// Planes of the input and its gradient.
    fn input_shape(&self) -> [usize; 4] {
        [self.images, self.inputs, self.window.input[0], self.window.input[1]]
    }
}

impl NetOps for Flex {
    fn net_conv2d_x_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let geometry = Geometry::new(&x, &weight, &grad, &options);
        match geometry.kind {
            Kind::Depthwise => depthwise_x_grad(&geometry, &weight, &grad),
            Kind::Pointwise => pointwise_x_grad(&geometry, &weight, &grad),
            Kind::Gathered => gathered_x_grad(&geometry, &weight, &grad),
            Kind::Other => Self::conv2d_x_backward(x, weight, grad, options),
        }
    }

    fn net_conv2d_weight_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let geometry = Geometry::new(&x, &weight, &grad, &options);
        let flat = match geometry.kind {
            Kind::Depthwise => depthwise_weight_grad(&geometry, &x, &grad),
            Kind::Pointwise => pointwise_weight_grad(&geometry, &x, &grad),
            Kind::Gathered => gathered_weight_grad(&geometry, &x, &grad),
            Kind::Other => return Self::conv2d_weight_backward(x, weight, grad, options),
        };
        flat.reshape(weight.shape())
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

fn depthwise_x_grad(geometry: &Geometry, weight: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let Geometry { inputs, window, .. } = *geometry;
    let [weight, grad] = [weight, grad].map(FlexTensor::to_contiguous);
    let mut x_grad = vec![0.0; geometry.images * inputs * window.inputs()];
    let planes = x_grad.par_chunks_mut(window.inputs()).zip(values(&grad).par_chunks(window.outputs()));
    planes.enumerate().for_each(|(plane, (x_grad, grad))| {
        let weights = &values(&weight)[plane % inputs * window.taps()..][..window.taps()];
        window.add_input_grad(weights, grad, x_grad);
    });
    tensor(x_grad, geometry.input_shape())
}

/// `[channels · taps]`.
fn depthwise_weight_grad(geometry: &Geometry, x: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let Geometry { inputs, window, .. } = *geometry;
    let [x, grad] = [x, grad].map(FlexTensor::to_contiguous);
    let channel = |channel: usize| {
        let mut sums = vec![0.0f64; window.taps()];
        let planes = values(&x).chunks_exact(window.inputs()).zip(values(&grad).chunks_exact(window.outputs()));
        for (x, grad) in planes.skip(channel).step_by(inputs) {
            window.add_weight_grad(x, grad, &mut sums);
        }
        sums.into_iter().map(|sum| sum as f32).collect::<Vec<_>>()
    };
    let weights: Vec<f32> = (0..inputs).into_par_iter().flat_map_iter(channel).collect();
    let len = weights.len();
    tensor(weights, [len])
}

fn pointwise_x_grad(geometry: &Geometry, weight: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let Geometry { images, inputs, outputs, window, .. } = *geometry;
    let transposed = weight.to_contiguous().reshape([1, outputs, inputs].into()).transpose(1, 2);
    let grad = grad.to_contiguous().reshape([images, outputs, window.outputs()].into());
    Flex::float_matmul(transposed, grad).reshape(geometry.input_shape().into())
}

/// `[1][out][in]`.
fn pointwise_weight_grad(geometry: &Geometry, x: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let Geometry { images, inputs, outputs, window, .. } = *geometry;
    let x = x.to_contiguous().reshape([images, inputs, window.inputs()].into()).transpose(1, 2);
    let grad = grad.to_contiguous().reshape([images, outputs, window.outputs()].into());
    Flex::float_sum_dim(Flex::float_matmul(grad, x), 0)
}

fn gathered_x_grad(geometry: &Geometry, weight: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let Geometry { images, inputs, outputs, window, .. } = *geometry;
    let transposed = weight.to_contiguous().reshape([outputs, inputs * window.taps()].into()).transpose(0, 1);
    let grad = grad.to_contiguous().reshape([images, outputs, window.outputs()].into());
    let mut x_grad = vec![0.0; images * inputs * window.inputs()];
    x_grad.par_chunks_mut(inputs * window.inputs()).enumerate().for_each(|(image, x_grad)| {
        let grad = grad.narrow(0, image, 1).reshape([outputs, window.outputs()].into());
        let columns = Flex::float_matmul(transposed.clone(), grad);
        window.scatter(values(&columns), x_grad);
    });
    tensor(x_grad, geometry.input_shape())
}

/// `[out · in · taps]`.
fn gathered_weight_grad(geometry: &Geometry, x: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let Geometry { images, inputs, outputs, window, .. } = *geometry;
    let x = x.to_contiguous();
    let grad = grad.to_contiguous().reshape([images, outputs, window.outputs()].into());
    let of_image = |image: usize| {
        let mut columns = vec![0.0; geometry.gathered().iter().product()];
        window.gather(&values(&x)[image * inputs * window.inputs()..][..inputs * window.inputs()], &mut columns);
        let columns = tensor(columns, geometry.gathered()).transpose(0, 1);
        Flex::float_matmul(grad.narrow(0, image, 1).reshape([outputs, window.outputs()].into()), columns)
    };
    let add = |mut sum: Vec<f32>, more: &[f32]| {
        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        sum
    };
    let zeros = || vec![0.0; outputs * geometry.gathered()[0]];
    let groups: Vec<Vec<f32>> = (0..images.div_ceil(GROUP))
        .into_par_iter()
        .map(|group| {
            let members = group * GROUP..images.min((group + 1) * GROUP);
            members.fold(zeros(), |sum, image| add(sum, values(&of_image(image))))
        })
        .collect();
    let sum = groups.iter().fold(zeros(), |sum, group| add(sum, group));
    let len = sum.len();
    tensor(sum, [len])
}
