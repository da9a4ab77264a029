//! The network before its first step: weights from elsewhere, filters learnt without labels, an output layer fitted
//! alone, layers that stay as they are.

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use model_compiler::quantise::calibrate::calibration_indices;

use super::batch::{Use, generator, pixels};
use super::learner::Learner;
use super::{Observer, TrainingData, start};
use crate::config::{Config, KmeansConfig, Normalization, TrainConfig};
use crate::data::dataset::Images;
use crate::training::kmeans;
use crate::training::logistic::{self, Effort, Linear, Samples};
use crate::training::model::{Loaded, Net};

/// Images that run through the network at once.
const BATCH: usize = 64;
/// Most images that statistics of batch-norms come from.
const STATISTICS: usize = 128;
/// Most values of the patches that k-means learns from: half a GB, twice.
const MAX_VALUES: usize = 1 << 27;

/// Takes over pretrained weights and fits the head, as far as the configuration asks for it.
pub(super) fn initialise(
    learner: &mut Learner,
    data: &TrainingData,
    config: &Config,
    observer: &dyn Observer,
) -> Result<()> {
    let Learner { net, criterion, .. } = learner;
    if let Some(pretrained) = &config.model.pretrained {
        let Loaded { new, folded } = net.load_pretrained(&start::open(pretrained)?, &data.classes)?;
        let new = if new.is_empty() { "none".to_owned() } else { new.join(", ") };
        observer.note(&format!("pretrained weights are loaded; layers that start anew: {new}"));
        if !folded.is_empty() {
            let images = calibration_indices(data.train.len(), STATISTICS).map(|index| data.train.input(index));
            let images: Vec<Vec<i8>> = images.collect();
            net.set_statistics(&folded, &images);
            observer.note(&format!(
                "the file has no batch-norm for {} layers: theirs takes its statistics from {} training images",
                folded.len(),
                images.len()
            ));
        }
    }
    if let Some(settings) = &config.model.kmeans {
        learn_filters(net, data, settings, config.seed)?;
        observer.note(&format!("the first convolution's filters are k-means of {} patches", settings.patches));
    }
    if let Some(l2) = config.train.head_first {
        let flipped = config.augment.horizontal_flip > 0.0;
        let head = fit_head(&net.valid(), data, flipped, l2, criterion.weights());
        net.set_head(head.weights, head.bias).context("train.head_first is not possible")?;
        observer.note("the head is fitted to the features as they are");
    }
    Ok(())
}

/// Replaces the first convolution's filters by those that k-means finds in the training images.
fn learn_filters(net: &mut Net, data: &TrainingData, settings: &KmeansConfig, seed: u64) -> Result<()> {
    let shape = data.train.shape;
    let dims = net.first_convolution().filter(|[_, _, height, width]| *height <= shape.height && *width <= shape.width);
    let [count, _, kernel, _] = dims.context(
        "model.kmeans is not possible: the network must start with a convolution whose kernel is not larger than its input",
    )?;
    let values = settings.patches * kernel * kernel * shape.channels;
    ensure!(
        values <= MAX_VALUES,
        "`model.kmeans.patches` is {}, which are {values} values, more than {MAX_VALUES}: choose fewer or a smaller kernel",
        settings.patches
    );
    let normal = Normalization { mean: data.mean, std: net.task().std };
    // Epochs are counted from 1, so no other draws from this generator.
    let mut rng = generator(seed, 0, Use::Order);
    net.set_first_convolution(kmeans::learn((&data.train, &normal), [count, kernel], settings, &mut rng))
}

/// Freezes what the configuration names.
pub(super) fn freeze(net: &mut Net, config: &TrainConfig) -> Result<()> {
    net.freeze_layers(&config.frozen)?;
    if config.frozen_batch_norm {
        net.freeze_batch_norm();
    }
    Ok(())
}

/// Logistic regression on what the head reads of the training images and, with `flipped`, of their mirror images.
fn fit_head(net: &Net, data: &TrainingData, flipped: bool, l2: f64, class_weights: &[f32]) -> Linear {
    let sides = [false, true].into_iter().take(1 + usize::from(flipped));
    let features: Vec<f32> = sides.clone().flat_map(|mirrored| features(net, &data.train, mirrored)).collect();
    let labels = sides.flat_map(|_| data.train.labels.clone()).collect::<Vec<_>>();
    let class_weights: Vec<f64> = class_weights.iter().map(|&weight| weight.into()).collect();
    let samples = Samples { features: &features, labels: &labels, class_weights: &class_weights };
    logistic::fit(samples, l2, Effort::FULL)
}

/// What the head reads of each image, or of its mirror image: `[images][features]`.
pub(super) fn features(net: &Net, images: &Images, mirrored: bool) -> Vec<f32> {
    let shape = images.shape;
    let batch = |first: usize| {
        let image = |index: usize| {
            let image = images.image(first + index);
            if mirrored { mirror(&image, shape.width, shape.channels) } else { image.to_vec() }
        };
        let input = pixels(BATCH.min(images.len() - first), shape, &net.device(), image);
        net.features(input).into_data().try_to_vec::<f32>().expect("features are f32")
    };
    (0..images.len()).step_by(BATCH).flat_map(batch).collect()
}

/// An HWC image, left and right exchanged.
fn mirror(image: &[u8], width: usize, channels: usize) -> Vec<u8> {
    image.chunks_exact(width * channels).flat_map(|row| row.chunks_exact(channels).rev().flatten().copied()).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use model_compiler::graph::Shape;

    use super::*;
    use crate::config::{AugmentConfig, Block};
    use crate::training::Silent;
    use crate::training::model::Task;

    const SHAPE: Shape = Shape { height: 9, width: 10, channels: 1 };

    /// A network for two images, of a line across and of one down, as it is before its first step.
    fn initialised(config: &Config) -> Result<Net> {
        let across = (0..SHAPE.len()).map(|index| if index / 10 == 4 { 250 } else { 20 });
        let down = (0..SHAPE.len()).map(|index| if index % 10 == 4 { 250 } else { 20 });
        let pixels: Vec<u8> = across.chain(down).collect();
        let images = Images::of_pixels(SHAPE, &pixels, &[0, 1]);
        let (mean, std) = ([0.2; 3], [0.3; 3]);
        let data = TrainingData {
            train: images.clone(),
            source: images.clone(),
            valid: images,
            classes: vec![String::new(); 2],
            mean,
            std,
        };
        let task = Task { input: SHAPE, classes: 2, mean, std };
        let mut learner = Learner::new(config, task, &data.train.labels, &Device::flex().autodiff())?;
        initialise(&mut learner, &data, config, &Silent)?;
        Ok(learner.net.valid())
    }

    #[test]
    fn filters_of_kmeans_are_in_place_before_the_head_is_fitted() {
        let mut config = Config { augment: AugmentConfig::none(), ..Config::default() };
        let conv = r#"{ "type": "conv", "channels": 6, "kernel": 3, "padding": "valid", "batch_norm": false }"#;
        config.model.features = Some(vec![serde_json::from_str(conv).unwrap(), Block::GlobalAveragePool]);
        config.model.head = Some(Default::default());
        config.train.head_first = Some(1e-3);
        config.model.kmeans = Some(KmeansConfig::default());
        let net = initialised(&config).unwrap();
        let parameters = net.parameters();
        let (filters, rest) = parameters.split_at(6 * 9);
        assert!(filters.chunks(9).all(|filter| filter.iter().sum::<f32>().abs() < 1e-4), "{filters:?}");
        assert!(filters.iter().any(|weight| weight.abs() > 0.1));
        assert_eq!(rest[..6], [-0.5; 6]);
        // Lines across and down differ in these features, which random filters would have too, and the head knows it.
        let logits: Vec<f32> = [0, 1]
            .into_iter()
            .flat_map(|down| {
                let image = move |_| -> Vec<u8> {
                    (0..SHAPE.len()).map(|i| if [i / 10, i % 10][down] == 4 { 250 } else { 20 }).collect()
                };
                net.forward(pixels(1, SHAPE, &net.device(), image), None).into_data().try_to_vec::<f32>().unwrap()
            })
            .collect();
        assert!(logits[0] > logits[1] + 1.0 && logits[3] > logits[2] + 1.0, "{logits:?}");
    }

    #[test]
    fn kmeans_needs_a_first_convolution_that_fits() {
        let conv = r#"{ "type": "conv", "channels": 6, "kernel": 11 }"#;
        for first in [Block::MaxPool { size: 2 }, serde_json::from_str(conv).unwrap()] {
            let mut config = Config::default();
            config.model.features = Some(vec![first]);
            config.model.kmeans = Some(KmeansConfig::default());
            let error = initialised(&config).unwrap_err().to_string();
            assert!(error.contains("start with a convolution"), "{error}");
        }
    }

    #[test]
    fn more_patches_than_fit_into_memory_are_refused() {
        let mut config = Config::default();
        let conv = r#"{ "type": "conv", "channels": 6, "kernel": 9 }"#;
        config.model.features = Some(vec![serde_json::from_str(conv).unwrap()]);
        config.model.kmeans = Some(KmeansConfig { patches: 2_000_000, ..KmeansConfig::default() });
        let error = initialised(&config).unwrap_err().to_string();
        assert!(error.contains("`model.kmeans.patches` is 2000000, which are 162000000 values"), "{error}");
    }

    #[test]
    fn mirrors_exchange_pixels_in_each_row() {
        assert_eq!(mirror(&[1, 2, 3, 4, 5, 6, 7, 8], 2, 2), [3, 4, 1, 2, 7, 8, 5, 6]);
    }
}
