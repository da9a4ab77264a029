//! The float network: built from the configuration, trained with burn, exported as a [`Graph`](model_compiler::graph::Graph).

mod aware;
mod blocks;
mod export;
mod freeze;
mod initialiser;
mod load;
mod ops;
mod rounding;
mod shapes;
mod statistics;

use anyhow::{Context, Result, bail, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use model_compiler::graph::Shape;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::config::{Activation, Block, Head, ModelConfig, Padding, Preset};
use blocks::{Dense, Layer};
use initialiser::Initialiser;
pub use load::Loaded;

/// Most weights of a network: hundreds of times what a microcontroller's flash holds, and some GB of memory in training.
const MAX_WEIGHTS: u64 = 1 << 27;
/// Channels at width 1 and stride of the separable blocks of MobileNetV1.
const MOBILENET: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// Channels at width 1, stride, expansion and number of blocks of the stages of MobileNetV2 that are taken.
const MOBILENET_V2: [(usize, usize, usize, usize); 5] =
    [(16, 1, 1, 1), (24, 2, 6, 2), (32, 2, 6, 3), (64, 2, 6, 4), (96, 1, 6, 3)];
/// Channels at width 1 of the convolution after these stages.
const MOBILENET_V2_LAST: usize = 512;
/// Channels at width 1 and stride of the stages of the depthwise ResNet.
const DWRESNET: [(usize, usize); 3] = [(64, 1), (128, 2), (256, 2)];
/// The engine's kernels compute so many channels at a time.
const TOGETHER: usize = 4;

impl ModelConfig {
    /// The convolutional part, block by block: the configuration's own, or the preset's.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        if let Some(features) = &self.features {
            return features.clone();
        }
        let conv = |channels, batch_norm| Block::Conv {
            channels,
            kernel: 3,
            stride: 1,
            padding: Padding::Same,
            batch_norm,
            activation: Activation::Relu,
        };
        match self.preset {
            Preset::Shallow => {
                vec![conv(16, false), Block::MaxPool { size: 4 }, conv(32, false), Block::MaxPool { size: 4 }]
            }
            Preset::Resnet8 => vec![
                conv(16, true),
                Block::Residual { channels: 16, stride: 1 },
                Block::Residual { channels: 32, stride: 2 },
                Block::Residual { channels: 64, stride: 2 },
                Block::GlobalAveragePool,
            ],
            Preset::Mobilenet => self.mobilenet(),
            Preset::Mobilenetv2 => self.mobilenet_v2(),
            Preset::Dwresnet => self.dwresnet(),
        }
    }

    /// Channels are rounded down, as in Keras.
    fn mobilenet(&self) -> Vec<Block> {
        let scaled = |channels: usize| ((channels as f64 * self.width) as usize).max(1);
        let activation = Activation::Relu6;
        let padding = Padding::Same;
        let stem = Block::Conv { channels: scaled(32), kernel: 3, stride: 2, padding, batch_norm: true, activation };
        let separable = MOBILENET.iter().map(|&(channels, stride)| Block::Separable {
            channels: scaled(channels),
            stride,
            activation,
        });
        [stem].into_iter().chain(separable).chain([Block::GlobalAveragePool]).collect()
    }

    /// Its stages up to a sixteenth of the input's sides: what follows takes most of the flash, at a single pixel.
    fn mobilenet_v2(&self) -> Vec<Block> {
        let activation = Activation::Relu6;
        let conv = |channels, kernel, stride| Block::Conv {
            channels: self.scaled(channels),
            kernel,
            stride,
            padding: Padding::Same,
            batch_norm: true,
            activation,
        };
        let stages = MOBILENET_V2.iter().flat_map(|&(channels, stride, expansion, blocks)| {
            let block = move |index| Block::InvertedResidual {
                channels: self.scaled(channels),
                expansion,
                stride: if index == 0 { stride } else { 1 },
                activation,
            };
            (0..blocks.min(self.depth)).map(block)
        });
        let last = [conv(MOBILENET_V2_LAST, 1, 1), Block::GlobalAveragePool];
        [conv(32, 3, 2)].into_iter().chain(stages).chain(last).collect()
    }

    fn dwresnet(&self) -> Vec<Block> {
        let stem = Block::Conv {
            channels: self.scaled(DWRESNET[0].0),
            kernel: 3,
            stride: 1,
            padding: Padding::Same,
            batch_norm: true,
            activation: Activation::Relu,
        };
        let stages = DWRESNET.iter().flat_map(|&(channels, stride)| {
            let block = move |index| Block::SeparableResidual {
                channels: self.scaled(channels),
                stride: if index == 0 { stride } else { 1 },
            };
            (0..self.depth).map(block)
        });
        [stem].into_iter().chain(stages).chain([Block::GlobalAveragePool]).collect()
    }

    /// So many channels at this width, as a multiple of those that are computed together.
    fn scaled(&self, channels: usize) -> usize {
        ((channels as f64 * self.width / TOGETHER as f64).round() as usize).max(1) * TOGETHER
    }

    /// What batch-norm adds to the variance: the configuration's own, or the preset's.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        let keras = self.features.is_none() && self.preset == Preset::Mobilenet;
        self.batch_norm_epsilon.unwrap_or(if keras { 1e-3 } else { 1e-5 })
    }

    /// The MLP: the configuration's own, or the preset's.
    #[must_use]
    pub fn mlp(&self) -> Head {
        match (&self.head, &self.features, self.preset) {
            (Some(head), ..) => head.clone(),
            (None, None, Preset::Shallow) => Head { hidden: vec![64], ..Head::default() },
            _ => Head::default(),
        }
    }
}

/// What a network reads and answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task {
    /// Size of the input images.
    pub input: Shape,
    /// Number of classes.
    pub classes: usize,
    /// Mean of the training pixels by channel, 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of the training pixels by channel; one below 1/255 counts as 1/255.
    pub std: [f32; 3],
}

/// A network with its weights. It reads pixels less 128 and answers logits.
///
/// Pixels outside the image count as 128, mid-grey; only then are pixels normalised by mean and deviation.
#[derive(Module, Debug)]
pub struct Net {
    features: Vec<Layer>,
    head: Vec<Dense>,
    dropout: f64,
    #[module(skip)]
    task: Task,
    /// Shape that the head flattens.
    #[module(skip)]
    flat: Shape,
}

impl Net {
    /// A network with He-initialised weights that depend on `seed` alone.
    ///
    /// # Errors
    /// When a block does not fit its input, or a size is out of range.
    pub fn new(config: &ModelConfig, task: Task, seed: u64, device: &Device) -> Result<Self> {
        let Shape { height, width, channels } = task.input;
        ensure!(height > 0 && width > 0, "the network's input is {width} x {height}: both must be 1 or more");
        ensure!((1..=3).contains(&channels), "the network's input has {channels} channels: 1 to 3 are possible");
        ensure!(task.classes >= 2, "a classifier needs 2 classes or more, not {}", task.classes);
        let task = Task { std: task.std.map(|std| std.max(1.0 / 255.0)), ..task };
        let mlp = config.mlp();
        config.validate()?;

        let mut init = Initialiser::new(seed, config.epsilon(), device);
        let mut shape = task.input;
        let mut features = Vec::new();
        let mut weights = 0;
        let mut count = |more: u64, what: &str| -> Result<()> {
            weights += more;
            ensure!(weights <= MAX_WEIGHTS, "{what} brings the network to {weights} weights, more than {MAX_WEIGHTS}");
            Ok(())
        };
        for (index, block) in config.blocks().iter().enumerate() {
            count(shapes::weights(block, shape.channels), &format!("model.features[{index}]"))?;
            let (layer, output) =
                Layer::new(block, shape, &mut init).with_context(|| format!("model.features[{index}] does not fit"))?;
            features.push(layer);
            shape = output;
        }
        let widths: Vec<usize> = [shape.height * shape.width * shape.channels].into_iter().chain(mlp.hidden).collect();
        let ends = widths.iter().skip(1).chain([&task.classes]);
        widths.iter().zip(ends).try_for_each(|(&from, &to)| count(from as u64 * to as u64, "model.head"))?;
        let mut head: Vec<Dense> =
            widths.windows(2).map(|pair| Dense::new(pair[0], pair[1], mlp.activation, &mut init)).collect();
        head.push(Dense::new(widths[widths.len() - 1], task.classes, Activation::Linear, &mut init));
        Ok(Self { features, head, dropout: mlp.dropout, task, flat: shape })
    }

    /// What the network reads and answers.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// Where the weights are.
    #[must_use]
    pub fn device(&self) -> Device {
        self.head[0].bias.device()
    }

    /// Logits `[images][classes]` of pixels less 128, `[images][channels][height][width]`.
    ///
    /// `dropout` makes the masks of a training step; without it nothing is dropped. Batch-norm uses the
    /// batch's statistics on an autodiff device and the running ones elsewhere.
    #[must_use]
    pub fn forward(&self, pixels: Tensor<4>, mut dropout: Option<&mut ChaCha8Rng>) -> Tensor<2> {
        let x = self.features(pixels);
        self.head.iter().fold(x, |x, dense| dense.forward(self.drop(x, dropout.as_deref_mut())))
    }

    /// What the head reads, `[images][features]`, of pixels less 128.
    #[must_use]
    pub fn features(&self, pixels: Tensor<4>) -> Tensor<2> {
        let (x, rest) = match self.features.split_first() {
            Some((first, rest)) if first.starts_with_convolution() => {
                (first.forward_pixels(pixels, |x| self.normalise(x)), rest)
            }
            _ => (self.normalise(pixels), &self.features[..]),
        };
        rest.iter().fold(x, |x, layer| layer.forward(x)).flatten(1, 3)
    }

    /// Replaces the head, which must be one layer, by `weights` `[features][classes]` and `bias` `[classes]`.
    ///
    /// # Errors
    /// When the head has hidden layers.
    pub fn set_head(&mut self, weights: Vec<f32>, bias: Vec<f32>) -> Result<()> {
        let [dense] = &mut self.head[..] else {
            bail!(
                "the head has hidden layers, so it cannot be fitted first: leave `model.head.hidden` or \
                 `train.head_first` out"
            );
        };
        dense.set(weights, bias);
        Ok(())
    }

    /// `((pixel / 255) − mean) / std`, given pixels less 128.
    fn normalise(&self, pixels: Tensor<4>) -> Tensor<4> {
        let Task { input, mean, std, .. } = self.task;
        let by_channel = |value: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = (0..input.channels).map(value).collect();
            Tensor::from_data(TensorData::new(values, [1, input.channels, 1, 1]), &pixels.device())
        };
        let scale = by_channel(&|c| 1.0 / (255.0 * std[c]));
        let offset = by_channel(&|c| (128.0 / 255.0 - mean[c]) / std[c]);
        pixels * scale + offset
    }

    fn drop(&self, x: Tensor<2>, rng: Option<&mut ChaCha8Rng>) -> Tensor<2> {
        let Some(rng) = rng.filter(|_| self.dropout > 0.0) else { return x };
        let keep = 1.0 - self.dropout;
        let dims = x.dims();
        let mask: Vec<f32> =
            (0..dims[0] * dims[1]).map(|_| if rng.random_bool(keep) { (1.0 / keep) as f32 } else { 0.0 }).collect();
        let mask = Tensor::from_data(TensorData::new(mask, dims), &x.device());
        x * mask
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn task(classes: usize) -> Task {
        Task { input: Shape { height: 8, width: 6, channels: 3 }, classes, mean: [0.5; 3], std: [0.2; 3] }
    }

    #[test]
    fn initial_weights_follow_from_the_seed_alone() {
        let graph = |seed| Net::new(&ModelConfig::default(), task(4), seed, &Device::flex()).unwrap().graph();
        let first = graph(7);
        Device::flex().seed(1);
        assert_eq!(graph(7), first);
        assert_ne!(graph(8), first);
    }

    #[test]
    fn networks_that_do_not_fit_are_refused() {
        let refusal = |config: &ModelConfig, classes| {
            format!("{:#}", Net::new(config, task(classes), 0, &Device::flex()).map(|_| ()).unwrap_err())
        };
        let shallow = ModelConfig { preset: Preset::Shallow, ..ModelConfig::default() };
        let message = refusal(&shallow, 4);
        assert!(message.contains("model.features[3]") && message.contains("1 x 2"), "{message}");
        let wide = r#"{ "type": "conv", "channels": 4096, "kernel": 255 }"#;
        let features = Some(vec![serde_json::from_str(wide).unwrap(), serde_json::from_str(wide).unwrap()]);
        let message = refusal(&ModelConfig { features, ..ModelConfig::default() }, 4);
        assert!(message.contains("model.features[0]") && message.contains("799027200 weights"), "{message}");
        let head = Some(Head { hidden: vec![4096; 10], ..Head::default() });
        let message = refusal(&ModelConfig { head, ..ModelConfig::default() }, 2);
        assert!(message.contains("model.head brings") && message.contains("weights"), "{message}");
        assert!(refusal(&ModelConfig::default(), 1).contains("2 classes"));
        let head = Some(Head { hidden: vec![0], ..Head::default() });
        assert!(refusal(&ModelConfig { head, ..ModelConfig::default() }, 2).contains("`model.head.hidden` is 0"));
    }

    #[test]
    fn mobilenet_is_that_of_keras() {
        let config = ModelConfig { preset: Preset::Mobilenet, ..ModelConfig::default() };
        let input = Shape { height: 128, width: 128, channels: 3 };
        let net = Net::new(&config, Task { input, ..task(1000) }, 0, &Device::flex()).unwrap();
        // The number of parameters of keras.applications.MobileNet(alpha=0.25), moving statistics included.
        assert_eq!(net.num_params(), 475_544);
        assert_eq!(net.flat, Shape { height: 1, width: 1, channels: 256 });
    }

    #[test]
    fn width_and_depth_change_the_presets_that_have_them() {
        let config = |preset, width, depth| ModelConfig { preset, width, depth, ..ModelConfig::default() };
        let channels = |config: &ModelConfig| -> Vec<usize> {
            let of = |block: &Block| match *block {
                Block::Conv { channels, .. }
                | Block::InvertedResidual { channels, .. }
                | Block::SeparableResidual { channels, .. } => Some(channels),
                _ => None,
            };
            config.blocks().iter().filter_map(of).collect()
        };
        assert_eq!(channels(&config(Preset::Dwresnet, 0.25, 1)), [16, 16, 32, 64]);
        assert_eq!(channels(&config(Preset::Dwresnet, 0.5, 2)), [32, 32, 32, 64, 64, 128, 128]);
        assert_eq!(channels(&config(Preset::Mobilenetv2, 0.25, 1)), [8, 4, 8, 8, 16, 24, 128]);
        let whole = channels(&config(Preset::Mobilenetv2, 1.0, 4));
        assert_eq!(whole, [32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 512]);
        assert_eq!(config(Preset::Resnet8, 1.0, 4).blocks(), config(Preset::Resnet8, 0.25, 1).blocks());
    }

    #[test]
    fn dropout_keeps_the_mean_and_drops_its_share() {
        let head = Some(Head { dropout: 0.25, ..Head::default() });
        let net = Net::new(&ModelConfig { head, ..ModelConfig::default() }, task(2), 0, &Device::flex()).unwrap();
        let ones = || Tensor::ones([100, 100], &Device::flex());
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let dropped: Vec<f32> = net.drop(ones(), Some(&mut rng)).into_data().try_to_vec().unwrap();
        let zeros = dropped.iter().filter(|&&value| value == 0.0).count();
        assert!((2300..2700).contains(&zeros), "{zeros}");
        assert!(dropped.iter().all(|&value| value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6));
        let kept: Vec<f32> = net.drop(ones(), None).into_data().try_to_vec().unwrap();
        assert!(kept.iter().all(|&value| value == 1.0));
    }
}
