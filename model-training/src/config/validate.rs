//! A configuration from its text, and refusing one that makes no sense before any work is done.

use std::fmt::Display;
use std::ops::RangeBounds;

use anyhow::{Result, bail, ensure};
use model_compiler::graph::Shape;

use super::{
    AugmentConfig, AwareConfig, Block, CameraConfig, ClassWeights, Config, CosineConfig, DataConfig,
    EarlyStoppingConfig, Head, InputConfig, KmeansConfig, ModelConfig, Normalization, PlateauConfig, QuantizeConfig,
    Recipe, TargetConfig, TrainConfig,
};

/// Most channels of a layer: MobileNetV1's four times wider.
const MAX_WIDTH: usize = 4096;
/// Largest width and height of the network's input in pixels.
const MAX_INPUT: u16 = 1024;
/// Most epochs, images or other things that are counted one by one: more are never reached.
const MAX_COUNT: usize = 1_000_000;
/// Largest change that a measured figure can be asked for.
const MAX_DELTA: f64 = 1e9;
/// Most KiB of a memory: a GiB.
const MAX_KIB: u32 = 1 << 20;
/// Largest seed: TOML's largest number.
const MAX_SEED: u64 = i64::MAX as u64;

impl Config {
    /// Takes a configuration from the text of a TOML file and checks it.
    ///
    /// # Errors
    /// When the text is not TOML, or has an unknown or impossible entry; the message names the line.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = before.matches('\n').count();
            // Serde's messages do not name the entry of a value of the wrong kind; its line does.
            let entry = text.lines().nth(line).unwrap_or_default().trim();
            anyhow::anyhow!("line {}, `{entry}`: {}", line + 1, error.message())
        })?;
        config.validate()?;
        Ok(config)
    }

    /// Checks every entry but how the model's blocks fit together, which is checked when the network is built.
    ///
    /// # Errors
    /// The first entry out of range, with its value and the range.
    pub fn validate(&self) -> Result<()> {
        check("seed", &self.seed, 0..=MAX_SEED, "0 to 9223372036854775807")?;
        self.check_left_open()?;
        self.data.validate()?;
        self.input.validate()?;
        self.normalization.as_ref().map_or(Ok(()), Normalization::validate)?;
        self.augment.validate()?;
        self.train.validate()?;
        self.model.validate()?;
        if let Some(kmeans) = &self.model.kmeans {
            kmeans.validate()?;
            ensure!(
                self.model.pretrained.is_none(),
                "`model.kmeans` and `model.pretrained` both are given: choose one"
            );
        }
        self.plateau.validate()?;
        self.cosine.validate()?;
        self.early_stopping.validate()?;
        self.quantize.validate()?;
        self.target.as_ref().map_or(Ok(()), TargetConfig::validate)
    }

    /// Refuses entries that an automatic recipe would choose.
    fn check_left_open(&self) -> Result<()> {
        if self.recipe == Recipe::Given {
            return Ok(());
        }
        let Self { recipe, seed, data, quantize, target, .. } = self.clone();
        let open = Self { recipe, seed, data, quantize, target, ..Self::default() };
        let given = open.changes(self);
        ensure!(
            given.is_empty(),
            "`recipe` is \"automatic\", which chooses what is given too: {}; leave these out, or the recipe",
            given.join(", ")
        );
        Ok(())
    }
}

/// Refuses a value outside of `range`, which `allowed` puts into words; NaN is outside of every range.
fn check<T: Display + PartialOrd>(entry: &str, value: &T, range: impl RangeBounds<T>, allowed: &str) -> Result<()> {
    ensure!(range.contains(value), "`{entry}` is {value}, but must be {allowed}");
    Ok(())
}

/// Refuses a pair that is not ascending or reaches out of `range`.
fn check_pair<T: Display + PartialOrd>(
    entry: &str,
    [low, high]: [T; 2],
    range: impl RangeBounds<T>,
    allowed: &str,
) -> Result<()> {
    ensure!(
        range.contains(&low) && range.contains(&high) && low <= high,
        "`{entry}` is [{low}, {high}], but must be the smaller and the larger end of a range, each {allowed}"
    );
    Ok(())
}

impl DataConfig {
    /// Checks every entry.
    ///
    /// # Errors
    /// A share that leaves nothing to train on, or nothing to validate with.
    pub fn validate(&self) -> Result<()> {
        check("data.valid", &self.valid, 1e-6..1.0, "more than 0 and less than 1: validation images are needed")?;
        check("data.test", &self.test, 0.0..1.0, "from 0 to less than 1")?;
        check("data.valid + data.test", &(self.valid + self.test), 0.0..1.0, "less than 1, to leave images to train on")
    }
}

impl InputConfig {
    /// Shape of the network's input.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape { height: self.height.into(), width: self.width.into(), channels: self.color.channels() }
    }

    /// Checks every entry.
    ///
    /// # Errors
    /// A side of 0 or of more than 1024 pixels.
    pub fn validate(&self) -> Result<()> {
        let allowed = format!("1 to {MAX_INPUT} pixels");
        check("input.width", &self.width, 1..=MAX_INPUT, &allowed)?;
        check("input.height", &self.height, 1..=MAX_INPUT, &allowed)
    }
}

impl Normalization {
    /// Checks every entry.
    ///
    /// # Errors
    /// A mean that no pixel has, or a deviation that cannot be divided by.
    pub fn validate(&self) -> Result<()> {
        self.mean
            .iter()
            .try_for_each(|mean| check("normalization.mean", mean, 0.0..=1.0, "three numbers of 0 to 1"))?;
        let deviations = 1.0 / 255.0..=255.0;
        self.std
            .iter()
            .try_for_each(|std| check("normalization.std", std, deviations.clone(), "three numbers of 1/255 to 255"))
    }
}

impl AugmentConfig {
    /// Checks every entry.
    ///
    /// # Errors
    /// An entry out of the range that its documentation states.
    pub fn validate(&self) -> Result<()> {
        let amount = "0 (off) to 1";
        let degrees = "0 (off) to 180 degrees";
        check("augment.horizontal_flip", &self.horizontal_flip, 0.0..=1.0, "a probability, 0 (off) to 1")?;
        check("augment.brightness", &self.brightness, 0.0..=1.0, amount)?;
        check("augment.contrast", &self.contrast, 0.0..=1.0, amount)?;
        check("augment.saturation", &self.saturation, 0.0..=1.0, amount)?;
        check("augment.hue", &self.hue, 0.0..=180.0, degrees)?;
        check("augment.rotation", &self.rotation, 0.0..=180.0, degrees)?;
        check("augment.source_scale", &self.source_scale, 1.0..=4.0, "1 (the input's size) to 4")?;
        check_pair("augment.crop_area", self.crop_area, 0.01..=1.0, "from 0.01 to 1 (the whole image)")?;
        check_pair("augment.crop_aspect", self.crop_aspect, 0.1..=10.0, "from 0.1 to 10 (1 keeps the aspect ratio)")?;
        check("augment.erase", &self.erase, 0.0..=1.0, "a probability, 0 (off) to 1")?;
        check_pair("augment.erase_area", self.erase_area, 0.001..=1.0, "from 0.001 to 1 (the whole image)")?;
        check("augment.mixup", &self.mixup, 0.0..=10.0, "0 (off) to 10")?;
        self.camera.validate()
    }
}

impl CameraConfig {
    /// Checks every entry.
    ///
    /// # Errors
    /// An entry out of the range that its documentation states.
    pub fn validate(&self) -> Result<()> {
        let Self { blur, cast, gamma, noise, jpeg, rgb565, .. } = self;
        let chances = [("blur", blur), ("cast", cast), ("gamma", gamma), ("noise", noise), ("jpeg", jpeg)];
        for (entry, chance) in chances.into_iter().chain([("rgb565", rgb565)]) {
            check(&format!("augment.camera.{entry}"), chance, 0.0..=1.0, "a probability, 0 (off) to 1")?;
        }
        let side = "0 to 0.2 of the longer side";
        check("augment.camera.blur_sigma", &self.blur_sigma, 0.0..=0.2, side)?;
        check("augment.camera.cast_gain", &self.cast_gain, 0.0..=0.9, "0 to 0.9")?;
        check("augment.camera.gamma_exponent", &self.gamma_exponent, 1.0..=5.0, "1 to 5")?;
        check("augment.camera.noise_sigma", &self.noise_sigma, 0.0..=1.0, "0 to 1 (full scale)")?;
        check_pair("augment.camera.jpeg_quality", self.jpeg_quality, 1..=100, "from 1 to 100")
    }
}

impl TrainConfig {
    /// Checks every entry.
    ///
    /// # Errors
    /// An entry with which no training is possible. How many class weights are needed is known with the data only.
    pub fn validate(&self) -> Result<()> {
        check("train.epochs", &self.epochs, 1..=MAX_COUNT, "1 to 1000000")?;
        check("train.batch_size", &self.batch_size, 1..=65_536, "1 to 65536")?;
        check("train.learning_rate", &self.learning_rate, f64::MIN_POSITIVE..=10.0, "more than 0 and at most 10")?;
        check("train.epsilon", &self.epsilon, f32::MIN_POSITIVE..=1.0, "more than 0 and at most 1")?;
        check("train.weight_decay", &self.weight_decay, 0.0..=1.0, "0 (none) to 1")?;
        if let Some(penalty) = &self.head_first {
            check("train.head_first", penalty, 1e-9..=1e9, "an L2 penalty of 1e-9 to 1e9")?;
        }
        check("train.ema", &self.ema, 0.0..1.0, "from 0 (none) to less than 1")?;
        check("train.label_smoothing", &self.label_smoothing, 0.0..1.0, "from 0 (none) to less than 1")?;
        self.repeat.values().try_for_each(|times| check("train.repeat", times, 1..=100, "1 to 100"))?;
        if let ClassWeights::Each(weights) = &self.class_weights {
            for weight in weights {
                check("train.class_weights", weight, f32::MIN_POSITIVE..=1e6, "a list of weights above 0")?;
            }
            if weights.is_empty() {
                bail!("`train.class_weights` is an empty list, but must be `none`, `balanced` or one weight a class");
            }
        }
        Ok(())
    }
}

impl KmeansConfig {
    /// Checks every entry.
    ///
    /// # Errors
    /// No patch, no iteration, or a number that is none.
    pub fn validate(&self) -> Result<()> {
        check("model.kmeans.patches", &self.patches, 1..=1_000_000, "1 to 1000000")?;
        check("model.kmeans.iterations", &self.iterations, 1..=1000, "1 to 1000")?;
        check("model.kmeans.regularization", &self.regularization, 1e-9..=1e3, "1e-9 to 1000")?;
        check("model.kmeans.threshold", &self.threshold, -100.0..=100.0, "-100 to 100")
    }
}

impl ModelConfig {
    /// Checks every entry.
    ///
    /// # Errors
    /// A layer without channels or of more than 4096, or another size with which there is no layer.
    pub fn validate(&self) -> Result<()> {
        check("model.width", &self.width, 0.01..=4.0, "0.01 to 4")?;
        check("model.depth", &self.depth, 1..=8, "1 to 8")?;
        if let Some(epsilon) = &self.batch_norm_epsilon {
            check("model.batch_norm_epsilon", epsilon, 1e-12..=1.0, "1e-12 to 1")?;
        }
        self.features.iter().flatten().try_for_each(Block::validate)?;
        let Some(Head { hidden, dropout, .. }) = &self.head else { return Ok(()) };
        check("model.head.dropout", dropout, 0.0..1.0, "from 0 (none) to less than 1")?;
        hidden.iter().try_for_each(|width| check("model.head.hidden", width, 1..=MAX_WIDTH, "numbers of 1 to 4096"))
    }
}

impl Block {
    /// Checks every entry. Whether the block fits its input shows when the network is built.
    ///
    /// # Errors
    /// No channel, more than 4096, or a window or stride that is not 1 to 255.
    pub fn validate(&self) -> Result<()> {
        let channels = |channels| check("model.features.channels", channels, 1..=MAX_WIDTH, "1 to 4096");
        let side = |entry: &str, side| check(&format!("model.features.{entry}"), side, 1..=255, "1 to 255");
        match self {
            Self::Conv { channels: count, kernel, stride, .. } => {
                channels(count)?;
                side("kernel", kernel)?;
                side("stride", stride)
            }
            Self::Separable { channels: count, stride, .. }
            | Self::Residual { channels: count, stride }
            | Self::SeparableResidual { channels: count, stride } => {
                channels(count)?;
                side("stride", stride)
            }
            Self::InvertedResidual { channels: count, expansion, stride, .. } => {
                channels(count)?;
                check("model.features.expansion", expansion, 1..=64, "1 to 64")?;
                side("stride", stride)
            }
            Self::MaxPool { size } | Self::AveragePool { size } => side("size", size),
            Self::GlobalAveragePool => Ok(()),
        }
    }
}

impl PlateauConfig {
    /// Checks every entry.
    ///
    /// # Errors
    /// A factor that does not reduce, or a negative threshold.
    pub fn validate(&self) -> Result<()> {
        check("plateau.factor", &self.factor, f64::MIN_POSITIVE..1.0, "more than 0 and less than 1")?;
        check("plateau.patience", &self.patience, 0..=MAX_COUNT, "0 to 1000000")?;
        check("plateau.cooldown", &self.cooldown, 0..=MAX_COUNT, "0 to 1000000")?;
        check("plateau.min_delta", &self.min_delta, 0.0..=MAX_DELTA, "0 to 1e9")?;
        check("plateau.min_lr", &self.min_lr, 0.0..=10.0, "0 to 10")
    }
}

impl CosineConfig {
    /// Checks every entry.
    ///
    /// # Errors
    /// A share that is none.
    pub fn validate(&self) -> Result<()> {
        check("cosine.warmup", &self.warmup, 0.0..1.0, "from 0 (none) to less than 1")?;
        check("cosine.end", &self.end, 0.0..=1.0, "0 to 1")
    }
}

impl EarlyStoppingConfig {
    /// Checks every entry.
    ///
    /// # Errors
    /// A negative threshold, or a patience of 0, which would stop at the first epoch that is no better.
    pub fn validate(&self) -> Result<()> {
        check("early_stopping.patience", &self.patience, 1..=MAX_COUNT, "1 to 1000000")?;
        check("early_stopping.min_delta", &self.min_delta, 0.0..=MAX_DELTA, "0 to 1e9")
    }
}

impl QuantizeConfig {
    /// Checks every entry.
    ///
    /// # Errors
    /// No image to calibrate on, or an epoch that learns nothing.
    pub fn validate(&self) -> Result<()> {
        if let Some(images) = &self.images {
            check("quantize.images", images, 1..=MAX_COUNT, "1 to 1000000")?;
        }
        let Some(AwareConfig { epochs, learning_rate }) = &self.aware else { return Ok(()) };
        check("quantize.aware.epochs", epochs, 1..=MAX_COUNT, "1 to 1000000")?;
        check("quantize.aware.learning_rate", learning_rate, f64::MIN_POSITIVE..=10.0, "more than 0 and at most 10")
    }
}

impl TargetConfig {
    /// Checks every entry. Whether there is such a board is known where boards are.
    ///
    /// # Errors
    /// No entry at all, nothing to take, or milliseconds of no board.
    pub fn validate(&self) -> Result<()> {
        let Self { board, flash, ram, milliseconds } = self;
        for (entry, kib) in [("target.flash", flash), ("target.ram", ram)] {
            kib.as_ref().map_or(Ok(()), |kib| check(entry, kib, 1..=MAX_KIB, "1 to 1048576 KiB"))?;
        }
        if let Some(milliseconds) = milliseconds {
            check("target.milliseconds", milliseconds, 1e-3..=1e6, "0.001 to 1000000")?;
            ensure!(board.is_some(), "`target.milliseconds` needs `target.board`, whose clock it is counted by");
        }
        ensure!(
            board.is_some() || flash.is_some() || ram.is_some(),
            "`target` is empty, but must name a `board`, or `flash` or `ram` in KiB"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
