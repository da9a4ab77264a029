//! The recipes that are compared. Their numbers are those of the configurations in `data/`, which were found by hand.

use super::look::Look;
use crate::config::{
    AugmentConfig, Config, EarlyStoppingConfig, Head, IMAGENET, InputConfig, ModelConfig, Normalization, OptimizerKind,
    Preset, PretrainedConfig, Schedule, TrainConfig,
};
use no_std_infer::format::Color;

/// Photographs from which on a pretrained network may change more.
const MANY: usize = 1000;
/// Pictures that a network learns from in all epochs, where that makes neither few nor many.
const SEEN: usize = 16_000;
/// Pictures from which on none is seen at 128 x 128 pixels, which would take long.
const LARGE: usize = 2000;
/// Fewest and most epochs from scratch.
const EPOCHS: [usize; 2] = [12, 30];

/// What all recipes have in common.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    /// Seed, shares of the split, quantisation.
    pub base: &'a Config,
    /// What the pictures are like.
    pub look: &'a Look,
    /// Whether mirror images are of the same class.
    pub flips: bool,
}

/// Widths and heights at which a pretrained network is probed, the smallest first.
#[must_use]
pub fn sides(look: &Look) -> &'static [u16] {
    match look.side {
        0..=95 if look.side <= 40 || look.images > LARGE => &[64, 96],
        0..=95 => &[64, 96, 128],
        _ => &[96, 128],
    }
}

impl Common<'_> {
    /// MobileNetV1 as ImageNet has left it, and an output layer that is fitted to its features.
    #[must_use]
    pub fn frozen(&self, side: u16, l2: f64) -> Config {
        let train = TrainConfig {
            head_first: Some(l2),
            frozen: vec!["features".to_owned(), "head".to_owned()],
            epochs: 1,
            ..TrainConfig::default()
        };
        let augment = AugmentConfig { horizontal_flip: self.flip(), ..AugmentConfig::none() };
        Config { train, augment, ..self.pretrained(side, 0.0) }
    }

    /// The same, then all layers together: gently where there are few photographs.
    #[must_use]
    pub fn fine_tuned(&self, side: u16, l2: f64) -> Config {
        let many = self.look.photographs >= MANY;
        let train = TrainConfig {
            epochs: if many { 8 } else { 6 },
            head_first: Some(l2),
            optimizer: OptimizerKind::AdamW,
            schedule: Schedule::Cosine,
            learning_rate: if many { 1e-3 } else { 3e-4 },
            weight_decay: 0.05,
            label_smoothing: 0.1,
            ema: 0.99,
            frozen_batch_norm: true,
            ..TrainConfig::default()
        };
        let augment = AugmentConfig {
            horizontal_flip: self.flip(),
            source_scale: 1.125,
            crop_area: [0.5, 1.0],
            crop_aspect: [0.8333, 1.2],
            rotation: 15.0,
            brightness: 0.3,
            contrast: 0.3,
            saturation: if self.look.grey { 0.0 } else { 0.4 },
            ..AugmentConfig::none()
        };
        Config { train, augment, ..self.pretrained(side, 0.3) }
    }

    /// ResNet8 from random weights.
    #[must_use]
    pub fn scratch(&self) -> Config {
        let side = if self.look.side < 96 { 32 } else { 48 };
        let train = TrainConfig {
            epochs: (SEEN / self.look.images.max(1)).clamp(EPOCHS[0], EPOCHS[1]),
            optimizer: OptimizerKind::AdamW,
            schedule: Schedule::Cosine,
            learning_rate: 3e-3,
            weight_decay: 0.02,
            ..TrainConfig::default()
        };
        let augment = AugmentConfig {
            horizontal_flip: self.flip(),
            brightness: 0.2,
            contrast: 0.2,
            saturation: if self.look.grey { 0.0 } else { 0.2 },
            hue: if self.look.grey { 0.0 } else { 5.0 },
            rotation: 10.0,
            crop_area: [0.75, 1.0],
            ..AugmentConfig::none()
        };
        Config { train, augment, input: self.input(side), ..self.common() }
    }

    fn pretrained(&self, side: u16, dropout: f64) -> Config {
        let pretrained = PretrainedConfig { file: Some(IMAGENET.into()), ..PretrainedConfig::default() };
        let model = ModelConfig {
            preset: Preset::Mobilenet,
            width: 0.25,
            head: Some(Head { dropout, ..Head::default() }),
            pretrained: Some(pretrained),
            ..ModelConfig::default()
        };
        let normalization = Some(Normalization { mean: [0.5; 3], std: [0.5; 3] });
        Config { input: self.input(side), model, normalization, ..self.common() }
    }

    /// Nothing is chosen by validation but the recipe, so the last epoch's weights are kept.
    fn common(&self) -> Config {
        let Config { seed, data, quantize, target, .. } = self.base.clone();
        let early_stopping =
            EarlyStoppingConfig { restore_best: false, patience: 1000, ..EarlyStoppingConfig::default() };
        Config { seed, data, quantize, target, early_stopping, ..Config::default() }
    }

    fn input(&self, side: u16) -> InputConfig {
        let color = if self.look.grey { Color::Grey } else { Color::Rgb };
        InputConfig { width: side, height: side, color, ..InputConfig::default() }
    }

    fn flip(&self) -> f32 {
        if self.flips { 0.5 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_a_sound_configuration_for_pictures_of_any_kind() {
        let base = Config { seed: 7, ..Config::default() };
        for (images, side, grey) in [(1, 1, true), (1000, 224, false), (3000, 32, false), (200_000, 64, true)] {
            let look = Look { images, photographs: images, classes: 4, side, grey, drawn: false };
            for flips in [false, true] {
                let common = Common { base: &base, look: &look, flips };
                let sides =
                    sides(&look).iter().flat_map(|&side| [common.frozen(side, 6.0), common.fine_tuned(side, 0.1)]);
                for config in sides.chain([common.scratch()]) {
                    config.validate().unwrap();
                    assert_eq!(config.seed, 7);
                    assert_eq!(config.augment.horizontal_flip > 0.0, flips);
                    assert_eq!(config.input.color == Color::Grey, grey);
                    let text = toml::to_string(&config).unwrap();
                    assert_eq!(Config::from_toml(&text).unwrap(), config);
                }
            }
        }
    }
}
