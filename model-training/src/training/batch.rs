//! From images to tensors.

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use model_compiler::graph::Shape;

/// What a generator is for; each use has streams of its own.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Order,
    Dropout,
}

/// The generator of an epoch, whatever was drawn in those before.
pub(super) fn generator(seed: u64, epoch: usize, purpose: Use) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(1 + 2 * epoch as u64 + purpose as u64);
    rng
}

/// The order in which an epoch sees `count` images.
pub(super) fn order(seed: u64, epoch: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut generator(seed, epoch, Use::Order));
    order
}

/// Pixels less 128 as `[images][channels][height][width]`; `image(i)` gives the HWC pixels of the `i`-th image.
pub(super) fn pixels<P: AsRef<[u8]>>(
    count: usize,
    shape: Shape,
    device: &Device,
    image: impl Fn(usize) -> P + Sync,
) -> Tensor<4> {
    tensor(planes(count, shape, image), count, shape, device)
}

/// The values that [`planes`] gave of `count` images.
pub(super) fn tensor(values: Vec<f32>, count: usize, shape: Shape, device: &Device) -> Tensor<4> {
    let dims = [count, shape.channels, shape.height, shape.width];
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// The values of `pixels`.
pub fn planes<P: AsRef<[u8]>>(count: usize, shape: Shape, image: impl Fn(usize) -> P + Sync) -> Vec<f32> {
    let Shape { height, width, channels } = shape;
    let mut values = vec![0.0f32; count * shape.len()];
    values.par_chunks_exact_mut(shape.len()).enumerate().for_each(|(index, planes)| {
        let image = image(index);
        for (channel, plane) in planes.chunks_exact_mut(height * width).enumerate() {
            let pixels = image.as_ref()[channel..].iter().step_by(channels);
            plane.iter_mut().zip(pixels).for_each(|(value, &pixel)| *value = f32::from(pixel) - 128.0);
        }
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_planes() {
        let shape = Shape { height: 1, width: 2, channels: 3 };
        let images = [[0u8, 1, 2, 3, 4, 5], [250, 251, 252, 253, 254, 255]];
        let tensor = pixels(2, shape, &Device::flex(), |index| &images[index]);
        assert_eq!(tensor.dims(), [2, 3, 1, 2]);
        let values: Vec<f32> = tensor.into_data().try_to_vec().unwrap();
        let expected = [0, 3, 1, 4, 2, 5, 250, 253, 251, 254, 252, 255];
        assert_eq!(values, expected.map(|pixel| pixel as f32 - 128.0));
    }

    #[test]
    fn orders_are_permutations_that_differ_by_epoch_and_seed() {
        let mut sorted = order(1, 1, 50);
        assert_eq!(sorted, order(1, 1, 50));
        assert_ne!(sorted, order(1, 2, 50));
        assert_ne!(sorted, order(2, 1, 50));
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..50));
    }
}
