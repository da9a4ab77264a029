//! Filters for the first convolution, learnt from images without their labels: spherical k-means over whitened patches
//! (Coates and Ng 2012, *Learning Feature Representations with K-Means*).

use model_compiler::graph::Shape;
use nalgebra::DMatrix;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::config::{KmeansConfig, Normalization};
use crate::data::dataset::Images;
use crate::training::pretrained::{LayerWeights, Offset};

/// `count` filters of `kernel` rows and columns, `[count][channels][kernel][kernel]`, for the images' pixels normalised by
/// mean and deviation. Each adds up to 0, so that the brightness of a patch does not matter.
///
/// # Panics
/// When there is no image, or the kernel is 0 or larger than an image.
#[must_use]
pub fn learn(
    (images, normal): (&Images, &Normalization),
    [count, kernel]: [usize; 2],
    settings: &KmeansConfig,
    rng: &mut ChaCha8Rng,
) -> LayerWeights {
    let patches = draw((images, normal), kernel, settings.patches, rng);
    let whitening = whitening(&patches, settings.regularization);
    let centroids = cluster(&(&whitening * patches), count, settings.iterations, rng);
    // A centroid's product with a whitened patch, as a filter of the patch itself; one filter a column.
    let mut filters = whitening.transpose() * centroids;
    filters.column_iter_mut().for_each(|mut filter| filter.add_scalar_mut(-filter.mean()));
    LayerWeights {
        shape: vec![count, images.shape.channels, kernel, kernel],
        values: filters.as_slice().to_vec(),
        offset: Offset::Bias(vec![-settings.threshold; count]),
    }
}

/// Normalised patches, each less its mean, as columns; within one, channels come first, then rows.
fn draw(
    (images, normal): (&Images, &Normalization),
    kernel: usize,
    patches: usize,
    rng: &mut ChaCha8Rng,
) -> DMatrix<f32> {
    let Shape { height, width, channels } = images.shape;
    let Normalization { mean, std } = normal;
    let mut columns = DMatrix::zeros(channels * kernel * kernel, patches);
    for mut column in columns.column_iter_mut() {
        let image = images.image(rng.random_range(0..images.len()));
        let [top, left] = [height, width].map(|size| rng.random_range(0..=size - kernel));
        for (index, value) in column.iter_mut().enumerate() {
            let (channel, row, x) = (index / (kernel * kernel), index / kernel % kernel, index % kernel);
            let pixel = image[((top + row) * width + left + x) * channels + channel];
            *value = (f32::from(pixel) / 255.0 - mean[channel]) / std[channel];
        }
        column.add_scalar_mut(-column.mean());
    }
    columns
}

/// `L⁻¹` of the Cholesky decomposition `L·Lᵀ` of the patches' covariance with `regularization` on its diagonal. It makes
/// their covariance the identity; any matrix that does so is this one, turned, and turning changes no product.
fn whitening(patches: &DMatrix<f32>, regularization: f64) -> DMatrix<f32> {
    let len = patches.nrows();
    let covariance = patches * patches.transpose() / patches.ncols() as f32;
    let regular = covariance.cast::<f64>() + DMatrix::identity(len, len) * regularization;
    let factor = regular.cholesky().expect("a covariance and a positive diagonal are positive definite").unpack();
    factor.solve_lower_triangular(&DMatrix::identity(len, len)).expect("its diagonal is positive").cast()
}

/// Centroids of length 1, one a column. Each patch belongs to the centroid whose product with it is largest, whatever its
/// sign, and pulls it by as much; centroids that none belongs to stay.
fn cluster(patches: &DMatrix<f32>, count: usize, iterations: usize, rng: &mut ChaCha8Rng) -> DMatrix<f32> {
    let mut centroids = DMatrix::from_fn(patches.nrows(), count, |_, _| StandardNormal.sample(rng));
    centroids.column_iter_mut().for_each(|mut centroid| _ = centroid.normalize_mut());
    for _ in 0..iterations {
        let products = centroids.transpose() * patches;
        for (patch, products) in patches.column_iter().zip(products.column_iter()) {
            let nearest = products.iamax();
            centroids.column_mut(nearest).axpy(products[nearest], &patch, 1.0);
        }
        centroids.column_iter_mut().for_each(|mut centroid| _ = centroid.normalize_mut());
    }
    centroids
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const SHAPE: Shape = Shape { height: 8, width: 9, channels: 2 };

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(1)
    }

    const NORMAL: Normalization = Normalization { mean: [0.5, 0.4, 0.0], std: [0.3, 0.2, 1.0] };

    fn images(pixels: &[u8]) -> Images {
        Images::of_pixels(SHAPE, pixels, &vec![0; pixels.len() / SHAPE.len()])
    }

    fn noise(count: usize) -> Images {
        let mut rng = rng();
        images(&(0..count * SHAPE.len()).map(|_| rng.random()).collect::<Vec<u8>>())
    }

    #[test]
    fn patches_are_cut_channel_by_channel_and_have_no_mean() {
        let pixels: Vec<u8> = (0..SHAPE.len()).map(|index| index as u8).collect();
        let patches = draw((&images(&pixels), &NORMAL), 8, 20, &mut rng());
        for patch in patches.column_iter() {
            // Neighbours are two bytes apart, rows 18; of the second channel the deviation is smaller.
            let steps = [patch[1] - patch[0], patch[8] - patch[0], patch[65] - patch[64], patch[72] - patch[64]];
            let expected = [2.0 / 0.3, 18.0 / 0.3, 2.0 / 0.2, 18.0 / 0.2].map(|step: f32| step / 255.0);
            assert!(steps.iter().zip(expected).all(|(step, expected)| (step - expected).abs() < 1e-5), "{steps:?}");
            assert!(patch.mean().abs() < 1e-5);
        }
    }

    #[test]
    fn whitened_patches_have_the_identity_as_their_covariance() {
        let mut rng = rng();
        let mut patches = DMatrix::from_fn(5, 4000, |_, _| StandardNormal.sample(&mut rng));
        let mixed = patches.row(0) * 3.0 + patches.row(1) * 0.5;
        patches.set_row(1, &mixed);
        let white = whitening(&patches, 1e-6) * &patches;
        let covariance = &white * white.transpose() / 4000.0;
        assert!((covariance - DMatrix::identity(5, 5)).amax() < 1e-2);
    }

    #[test]
    fn centroids_are_the_directions_that_patches_have_whatever_their_sign() {
        let mut rng = rng();
        let patches = DMatrix::from_fn(6, 300, |row, column| {
            let size = if column % 2 == 0 { 2.0 } else { -1.0 };
            let noise: f32 = StandardNormal.sample(&mut rng);
            if row == column % 3 { size } else { 0.01 * noise }
        });
        let centroids = cluster(&patches, 12, 10, &mut rng);
        for axis in 0..3 {
            assert!(centroids.row(axis).amax() > 0.99, "{centroids}");
        }
        assert!(centroids.column_iter().all(|centroid| (centroid.norm() - 1.0).abs() < 1e-5));
    }

    #[test]
    fn filters_ignore_brightness_and_follow_from_the_generator() {
        let settings = KmeansConfig { patches: 500, ..KmeansConfig::default() };
        let learn = |images: &Images| learn((images, &NORMAL), [7, 3], &settings, &mut rng());
        let learnt = learn(&noise(10));
        assert_eq!(learnt.shape, [7, 2, 3, 3]);
        assert_eq!(learnt.offset, Offset::Bias(vec![-settings.threshold; 7]));
        assert!(learnt.values.chunks(18).all(|filter| filter.iter().sum::<f32>().abs() < 1e-4));
        assert_eq!(learnt, learn(&noise(10)));
        assert_ne!(learnt, learn(&noise(11)));
    }
}
