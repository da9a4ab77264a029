//! Values and gradients on burn-flex beside those that burn's own operations give.

use burn::tensor::activation::relu;
use burn::tensor::{Device, TensorData};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn random<const D: usize>(rng: &mut ChaCha8Rng, dims: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = (0..dims.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::<D>::from_data(TensorData::new(values, dims), device).require_grad()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn assert_close(what: &str, ours: Vec<f32>, burns: Vec<f32>) {
    assert_eq!(ours.len(), burns.len(), "{what}");
    let largest = burns.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
    for (index, (ours, burns)) in ours.iter().zip(&burns).enumerate() {
        assert!((ours - burns).abs() <= 2e-5 * largest, "{what}[{index}]: {ours}, burn gives {burns}");
    }
}

/// Output, and gradients of both inputs for a random gradient of the output.
fn convolution(seed: u64, dims: [[usize; 4]; 2], forward: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>) -> [Vec<f32>; 3] {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let [x, weight] = dims.map(|dims| random(&mut rng, dims, &device));
    let output = forward(x.clone(), weight.clone());
    let grads = (output.clone() * random(&mut rng, output.dims(), &device)).sum().backward();
    [values(output), values(x.grad(&grads).unwrap()), values(weight.grad(&grads).unwrap())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn convolutions_have_burns_values_and_gradients(
        seed: u64,
        images in 1_usize..7,
        (inputs, outputs, depthwise) in (1_usize..5, 1_usize..20, any::<bool>()),
        (height, width) in (4_usize..12, 4_usize..25),
        (kernel, stride) in (1_usize..5, 1_usize..4),
        (before, after) in (0_usize..2, 0_usize..2),
    ) {
        let outputs = if depthwise { inputs } else { outputs };
        let groups = if depthwise { inputs } else { 1 };
        let dims = [[images, inputs, height, width], [outputs, inputs / groups, kernel, kernel]];
        let options = || ConvOptions::new_with_padding([stride; 2], [(before, after), (after, before)], [1, 1], groups);
        let ours = convolution(seed, dims, |x, weight| conv2d(x, weight, options()));
        let burns =
            convolution(seed, dims, |x, weight| burn::tensor::module::conv2d(x, weight, None, options()));
        for ((what, ours), burns) in ["output", "input gradient", "weight gradient"].into_iter().zip(ours).zip(burns) {
            assert_close(what, ours, burns);
        }
    }

    #[test]
    fn norms_have_burns_values_and_gradients(
        seed: u64,
        images in 1_usize..5,
        channels in 1_usize..4,
        (height, width) in (2_usize..6, 1_usize..25),
        activation in 0..3,
    ) {
        let device = Device::flex().autodiff();
        let bounds = match activation {
            0 => Bounds { min: f32::NEG_INFINITY, max: f32::INFINITY },
            1 => Bounds { min: 0.0, max: f32::INFINITY },
            _ => Bounds { min: 0.0, max: 0.6 },
        };
        let run = |fused: bool| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let x = random(&mut rng, [images, channels, height, width], &device);
            let [gamma, beta] = [(); 2].map(|()| random(&mut rng, [channels], &device));
            let (output, [mean, variance]) = if fused {
                norm(x.clone(), gamma.clone(), beta.clone(), Norm { epsilon: 1e-3, bounds })
            } else {
                let result = burn::tensor::module::batch_norm_train(x.clone(), gamma.clone(), beta.clone(), 1e-3);
                let output = match activation {
                    0 => result.output,
                    1 => relu(result.output),
                    _ => result.output.clamp(0.0, 0.6),
                };
                (output, [result.mean, result.variance])
            };
            let grads = (output.clone() * random(&mut rng, output.dims(), &device)).sum().backward();
            let grad = |tensor: &Tensor<1>| values(tensor.grad(&grads).unwrap());
            let x_grad = values(x.grad(&grads).unwrap());
            [values(output), values(mean), values(variance), x_grad, grad(&gamma), grad(&beta)]
        };
        let names = ["output", "mean", "variance", "input gradient", "gamma gradient", "beta gradient"];
        for ((what, ours), burns) in names.into_iter().zip(run(true)).zip(run(false)) {
            assert_close(what, ours, burns);
        }
    }
}

#[test]
fn other_back_ends_take_the_same_way_with_their_own_operations() {
    let devices = [Device::flex(), Device::ndarray()];
    let [flex, ndarray] = devices.map(|device| {
        let device = device.autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let [x, weight] = [[2, 3, 6, 5], [4, 3, 3, 3]].map(|dims| random(&mut rng, dims, &device));
        let [gamma, beta] = [(); 2].map(|()| random(&mut rng, [4], &device));
        let options = ConvOptions::new_with_padding([2, 2], [(0, 1), (1, 1)], [1, 1], 1);
        let bounds = Bounds { min: 0.0, max: 6.0 };
        let convolved = conv2d(x.clone(), weight.clone(), options);
        let (output, _) = norm(convolved, gamma.clone(), beta.clone(), Norm { epsilon: 1e-3, bounds });
        let grads = (output.clone() * output.clone()).sum().backward();
        let gradient = |tensor: &Tensor<4>| values(tensor.grad(&grads).unwrap());
        [values(output), gradient(&x), gradient(&weight), values(gamma.grad(&grads).unwrap())]
    });
    for ((what, flex), ndarray) in ["output", "input", "weight", "gamma"].into_iter().zip(flex).zip(ndarray) {
        assert_close(what, flex, ndarray);
    }
}
