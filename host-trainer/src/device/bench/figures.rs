//! What others need for the same layers and models: `figures.toml`, which names its sources.

use anyhow::{Context, Result};
use model_compiler::quantise::QuantModel;
use serde::{Deserialize, Serialize};

use super::networks::SEED;
use super::synthetic::{Maker, Taps};
use crate::device::Core;

/// All figures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yardstick {
    /// Single layers.
    #[serde(rename = "layer")]
    pub layers: Vec<Layer>,
    /// Whole models.
    #[serde(rename = "model")]
    pub models: Vec<Whole>,
}

impl Yardstick {
    /// Reads the figures that are built in.
    ///
    /// # Errors
    /// When the file is not what this program was compiled with.
    pub fn read() -> Result<Self> {
        toml::from_str(include_str!("figures.toml")).context("figures.toml cannot be read")
    }
}

/// A layer and what others need for it.
#[derive(Clone, Debug, Deserialize)]
pub struct Layer {
    /// Its name.
    pub name: String,
    op: Kind,
    /// Height, width, channels.
    input: [u16; 3],
    /// What others need.
    #[serde(flatten)]
    pub figures: Figures,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Kind {
    Conv {
        kernel: u16,
        #[serde(default = "one")]
        stride: u16,
        outputs: u16,
    },
    Depthwise {
        kernel: u16,
    },
    Dense {
        outputs: u16,
    },
    MaxPool {
        kernel: u16,
        stride: u16,
    },
    AveragePool {
        kernel: u16,
    },
    Softmax,
    Add,
}

fn one() -> u16 {
    1
}

impl Layer {
    /// The layer as the last operator of a model with seeded weights.
    ///
    /// # Errors
    /// When it does not fit the format.
    pub fn model(&self) -> Result<QuantModel> {
        let mut maker = Maker::new(self.input, SEED);
        match self.op {
            Kind::Conv { kernel, stride, outputs } => {
                maker.conv(0, outputs, Taps::square(kernel, stride), true)?;
            }
            Kind::Depthwise { kernel } => {
                maker.depthwise(0, Taps::square(kernel, 1))?;
            }
            Kind::Dense { outputs } => {
                maker.dense(0, outputs)?;
            }
            Kind::MaxPool { kernel, stride } => {
                maker.max_pool(0, Taps::square(kernel, stride));
            }
            Kind::AveragePool { kernel } => {
                maker.average_pool(0, Taps::square(kernel, kernel));
            }
            Kind::Softmax => {
                maker.softmax(0)?;
            }
            Kind::Add => {
                let other = maker.depthwise(0, Taps::square(1, 1))?;
                maker.add(0, other)?;
            }
        }
        Ok(maker.finish())
    }
}

/// A model and what others need for it.
#[derive(Clone, Debug, Deserialize)]
pub struct Whole {
    /// Name of its [topology](super::networks::network).
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What others need.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What others need, in instructions where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// CMSIS-NN as its CMake file builds it.
    pub cmsis_default: Option<u64>,
    /// CMSIS-NN with the best flags.
    pub cmsis_best: Option<u64>,
    /// Modelled cycles of the same: low, nominal, high.
    pub cmsis_best_cycles: Option<[u64; 3]>,
    /// LiteRT Micro with CMSIS-NN, end to end.
    pub litert_micro: Option<u64>,
    /// Bytes of its arena.
    pub litert_micro_ram: Option<u64>,
    /// The best time that was published.
    pub published: Option<Published>,
    /// CMSIS-NN as its CMake file builds it, on other cores.
    #[serde(default)]
    pub cmsis_others: Vec<(Core, u64)>,
    /// Prototypes, from the smallest to the fastest.
    #[serde(default)]
    pub prototypes: Vec<Prototype>,
}

/// A time on silicon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The engine.
    pub engine: String,
    /// Its cycles.
    pub cycles: u64,
}

/// A kernel, or a choice of kernels, that was shown to be exact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prototype {
    /// How it computes.
    pub form: String,
    /// Instructions.
    pub instructions: u64,
    /// Bytes of weights, parameters and tables; not known of every prototype.
    pub flash: Option<u64>,
}

impl Figures {
    /// What of it holds on a core.
    #[must_use]
    pub fn of(&self, core: Core) -> Self {
        if core == Core::M4 {
            return self.clone();
        }
        let found = self.cmsis_others.iter().find(|(other, _)| *other == core);
        Self {
            cmsis_default: found.map(|&(_, instructions)| instructions),
            litert_micro_ram: self.litert_micro_ram,
            ..Self::default()
        }
    }

    /// The fastest prototype that takes about `flash` bytes of constants or fewer, or else the smallest.
    #[must_use]
    pub fn prototype(&self, flash: usize) -> Option<&Prototype> {
        let limit = flash as u64 + flash as u64 / 10;
        let fits = |prototype: &&Prototype| prototype.flash.is_none_or(|flash| flash <= limit);
        self.prototypes.iter().rfind(fits).or(self.prototypes.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_can_be_built_and_prototypes_get_faster() {
        let yardstick = Yardstick::read().unwrap();
        assert!(yardstick.layers.len() > 20 && yardstick.models.len() == 3);
        for layer in &yardstick.layers {
            layer.model().unwrap();
        }
        let models = yardstick.models.iter().map(|model| &model.figures);
        for figures in yardstick.layers.iter().map(|layer| &layer.figures).chain(models) {
            assert!(figures.cmsis_best.is_some());
            for pair in figures.prototypes.windows(2) {
                assert!(pair[0].instructions > pair[1].instructions && pair[0].flash < pair[1].flash);
            }
        }
    }

    #[test]
    fn the_prototype_of_about_the_same_size_counts() {
        let figures = &Yardstick::read().unwrap().layers[1].figures;
        let form = |flash| figures.prototype(flash).unwrap().form.clone();
        assert_eq!([2000, 2560, 8000, 1 << 20].map(form), ["direct", "direct", "F(2x2)", "F(4x4)"]);
    }
}
