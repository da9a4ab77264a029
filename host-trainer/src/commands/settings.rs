//! The usual settings of a training run as options, in place of the configuration's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_training::config::{Config, IMAGENET, Normalization, Preset, Recipe, TargetConfig};
use model_training::run::folder::load_config;
use no_std_infer::format::Color;

use super::named;

/// The colours of an input by their names.
const COLORS: [(Color, &str, &str); 2] =
    [(Color::Rgb, "rgb", "Red, green and blue"), (Color::Grey, "grey", "Brightness alone")];

/// A configuration: a file, and what options say in its place.
#[derive(Debug, Args)]
pub(super) struct ConfigurationArgs {
    /// Configuration; without it every entry has its default, or, where training finds no other setting than a seed and
    /// a board, the network and how it learns are chosen by what the pictures are and by validation.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingArgs,
}

impl ConfigurationArgs {
    /// The configuration that is asked for, checked.
    pub fn load(&self) -> Result<Config> {
        let mut config = self.config.as_deref().map_or_else(|| Ok(Config::default()), load_config)?;
        self.settings.apply(&mut config)?;
        Ok(config)
    }

    /// Puts the options' entries into a configuration that is there.
    ///
    /// # Errors
    /// A value that makes no sense, or has no effect; the message names the option.
    pub fn adjust(&self, config: &mut Config) -> Result<()> {
        self.settings.apply(config)
    }

    /// The same for a command that may choose: where nothing is given but a seed and a board, the recipe is automatic. `pretrained` names
    /// weights to start from; those in the program bring their network along where no other is given.
    pub fn load_or_choose(&self, pretrained: Option<&Path>) -> Result<Config> {
        let mut config = self.load()?;
        let network_is_open = self.config.is_none() && self.settings.preset.is_none();
        match pretrained {
            None if self.config.is_none() && self.settings.leaves_the_recipe_open() => {
                config.recipe = Recipe::Automatic
            }
            Some(file) if network_is_open && file == Path::new(IMAGENET) => {
                config.model.preset = Preset::Mobilenet;
                config.normalization = Some(Normalization { mean: [0.5; 3], std: [0.5; 3] });
            }
            _ => {}
        }
        config.model.start_from(pretrained);
        config.validate()?;
        Ok(config)
    }
}

/// Entries of the configuration that are changed most.
#[derive(Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Settings in place of the configuration's")]
pub(super) struct SettingArgs {
    /// Network, `model.preset`.
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Pixels across that the network sees, `input.width`.
    #[arg(long, value_name = "PIXELS")]
    input_width: Option<u16>,
    /// Pixels down that the network sees, `input.height`.
    #[arg(long, value_name = "PIXELS")]
    input_height: Option<u16>,
    /// Colour that the network sees, `input.color`.
    #[arg(long, value_parser = named(COLORS))]
    input_color: Option<Color>,
    /// Board that the model is to run on, `target.board`: a network that does not fit there is refused before it is trained.
    #[arg(long, value_name = "BOARD")]
    target: Option<String>,
    /// Largest number of passes over the training images, `train.epochs`.
    #[arg(long, value_name = "COUNT")]
    epochs: Option<usize>,
    /// Images a step, `train.batch_size`.
    #[arg(long, value_name = "COUNT")]
    batch_size: Option<usize>,
    /// Learning rate that the schedule starts from, `train.learning_rate`.
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Seed of the split, the initial weights, the order of the images and the augmentation, `seed`.
    #[arg(long)]
    seed: Option<u64>,
}

impl SettingArgs {
    /// Whether nothing is given besides a seed and a board.
    fn leaves_the_recipe_open(&self) -> bool {
        let (seed, target) = (self.seed, self.target.clone());
        *self == Self { seed, target, ..Self::default() }
    }

    /// Puts what is given into a configuration that is sound.
    ///
    /// # Errors
    /// A value that makes no sense, or has no effect; the message names the option.
    pub fn apply(&self, config: &mut Config) -> Result<()> {
        ensure!(
            self.preset.is_none() || config.model.features.is_none(),
            "--preset cannot be used: the configuration lists the network's blocks (`model.features`), which count in its \
             place"
        );
        set(config, "--preset", self.preset, |config| &mut config.model.preset)?;
        set(config, "--input-width", self.input_width, |config| &mut config.input.width)?;
        set(config, "--input-height", self.input_height, |config| &mut config.input.height)?;
        set(config, "--input-color", self.input_color, |config| &mut config.input.color)?;
        set(config, "--target", self.target.clone().map(Some), |config| {
            &mut config.target.get_or_insert_with(TargetConfig::default).board
        })?;
        set(config, "--epochs", self.epochs, |config| &mut config.train.epochs)?;
        set(config, "--batch-size", self.batch_size, |config| &mut config.train.batch_size)?;
        set(config, "--learning-rate", self.learning_rate, |config| &mut config.train.learning_rate)?;
        set(config, "--seed", self.seed, |config| &mut config.seed)
    }
}

/// Changes an entry where its option is given, and checks the whole.
fn set<T>(
    config: &mut Config,
    option: &str,
    given: Option<T>,
    entry: impl FnOnce(&mut Config) -> &mut T,
) -> Result<()> {
    let Some(value) = given else { return Ok(()) };
    *entry(config) = value;
    config.validate().with_context(|| format!("{option} cannot be used"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        settings: SettingArgs,
    }

    fn applied(options: &str, file: &str) -> Result<Config> {
        let line = Line::try_parse_from(["program"].into_iter().chain(options.split_whitespace()))?;
        let mut config = Config::from_toml(file)?;
        line.settings.apply(&mut config)?;
        Ok(config)
    }

    #[test]
    fn every_option_changes_its_entry_alone() {
        for (option, change) in [
            ("--preset mobilenet", "model.preset was \"resnet8\" and is \"mobilenet\""),
            ("--input-width 48", "input.width was 64 and is 48"),
            ("--input-height 32", "input.height was 64 and is 32"),
            ("--input-color grey", "input.color was \"rgb\" and is \"grey\""),
            ("--target openmv-h7", "target.board was absent and is \"openmv-h7\""),
            ("--epochs 3", "train.epochs was 60 and is 3"),
            ("--batch-size 8", "train.batch_size was 32 and is 8"),
            ("--learning-rate 0.5", "train.learning_rate was 0.001 and is 0.5"),
            ("--seed 9", "seed was 0 and is 9"),
        ] {
            assert_eq!(Config::default().changes(&applied(option, "").unwrap()), [change], "{option}");
        }
        let both = applied("--epochs 3", "[train]\nepochs = 7\nbatch_size = 4").unwrap();
        assert_eq!((both.train.epochs, both.train.batch_size), (3, 4));
    }

    #[test]
    fn the_recipe_is_automatic_where_nothing_says_how_to_learn() {
        #[derive(Debug, Parser)]
        struct Whole {
            #[command(flatten)]
            configuration: ConfigurationArgs,
        }
        let config = |options: &str, pretrained: Option<&str>| {
            let line = Whole::parse_from(["program"].into_iter().chain(options.split_whitespace()));
            line.configuration.load_or_choose(pretrained.map(Path::new)).unwrap()
        };
        assert_eq!(config("--seed 3", None), Config { seed: 3, recipe: Recipe::Automatic, ..Config::default() });
        assert_eq!(config("--target openmv-h7", None).recipe, Recipe::Automatic);
        assert_eq!(config("--epochs 3", None).recipe, Recipe::Given);
        let imagenet = config("", Some("imagenet"));
        assert_eq!((imagenet.recipe, imagenet.model.preset), (Recipe::Given, Preset::Mobilenet));
        assert_eq!(config("--preset shallow", Some("imagenet")).model.preset, Preset::Shallow);
        assert_eq!(config("", Some("other.safetensors")).model.preset, Preset::Resnet8);
    }

    #[test]
    fn values_that_make_no_sense_are_refused_by_the_name_of_the_option() {
        for (option, value) in [
            ("--input-width", "0"),
            ("--input-height", "2000"),
            ("--epochs", "0"),
            ("--batch-size", "0"),
            ("--learning-rate", "0"),
        ] {
            let error = applied(&format!("{option} {value}"), "").unwrap_err();
            let error = format!("{error:#}");
            assert!(error.starts_with(option) && error.contains(value) && error.contains("must be"), "{error}");
        }
        let blocks = "[[model.features]]\ntype = \"conv\"\nchannels = 4";
        assert!(format!("{:#}", applied("--preset shallow", blocks).unwrap_err()).contains("model.features"));
        assert!(applied("--epochs 2", blocks).is_ok());
    }
}
