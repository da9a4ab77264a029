//! What a network will take once it is trained, known before that: weights change neither its size nor its time.

use anyhow::{Context, Result, bail};
use model_compiler::blob::emit::{Description, Emitted, Limits, emit_within};
use model_compiler::quantise::calibrate::calibrate;
use model_compiler::quantise::{Method, quantise};
use model_training::config::{Config, Normalization, Preset};
use model_training::training::untrained;
use no_std_infer::Model;
use no_std_infer::format::{Color, ImageInput, InputKind, Provenance};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::export::PRODUCER;
use crate::device::costs::Costs;
use crate::device::cycles::Caches;
use crate::device::target::{Target, TargetFit};

/// A digest's length in hexadecimal digits.
const DIGEST: [u8; 64] = [b'0'; 64];
/// Most networks that are named in place of one that does not fit.
const SHOWN: usize = 3;
/// Shares of the input's sides, in eighths, that are tried.
const SIDES: [u16; 5] = [8, 6, 4, 3, 2];
/// Widths of MobileNet that are tried.
const WIDTHS: [f64; 4] = [0.5, 0.25, 0.15, 0.1];
/// Smallest side of an input that is tried in pixels.
const SMALLEST: u16 = 16;

/// What a network takes on a target.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether it fits.
    pub fit: TargetFit,
    /// Multiply-accumulates of an inference.
    pub macs: u64,
    /// Instructions of a Cortex-M4 for an inference, by the cost tables; none where they lack a kernel.
    pub instructions: Option<u64>,
}

impl Plan {
    /// Of the network that a configuration describes, for classes of these names, with seeded weights in place of trained ones.
    ///
    /// # Errors
    /// When the configuration makes no network, or the tables lack what it needs.
    pub fn new(config: &Config, classes: &[String], target: &Target) -> Result<Self> {
        let graph = untrained(config, classes.len())?;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let input: Vec<i8> = (0..graph.input.len()).map(|_| rng.random_range(i8::MIN..=i8::MAX)).collect();
        let ranges = calibrate(&graph, &[input], Method::MinMax)?;
        let model = quantise(&graph, &ranges, 1.0)?;
        let Normalization { mean, std } =
            config.normalization.unwrap_or(Normalization { mean: [0.5; 3], std: [0.25; 3] });
        let image = ImageInput { color: config.input.color, fit: config.input.fit, mean, std };
        let digest = std::str::from_utf8(&DIGEST).context("digits are text")?;
        let provenance = Provenance { config: digest, dataset: digest, producer: PRODUCER, ..Provenance::default() };
        let input = InputKind::Image(image);
        let description = Description { name: "model", labels: classes, input, provenance };
        let emit = |limits| emit_within(&model, &description, limits);
        let plain: Emitted = emit(Limits::default())?;
        let Emitted { blob, .. } = emit(target.limits(&Model::parse(&plain.blob)?, plain.blob.len()))?;
        let model = Model::parse(&blob)?;
        // Caches change cycles, not instructions.
        let instructions = Costs::built_in()?.of_model(&model, Caches::default()).ok();
        let instructions = instructions.map(|modelled| modelled.instructions);
        Ok(Self { fit: target.fit(&model, blob.len())?, macs: model.ops().map(|op| op.macs()).sum(), instructions })
    }
}

/// Refuses a network that will not fit the configuration's target, where it has one, and says what would.
///
/// # Errors
/// When it does not fit, and those of [`Target::new`] and [`Plan::new`].
pub fn check_target(config: &Config, classes: &[String]) -> Result<()> {
    let Some(target) = &config.target else { return Ok(()) };
    let target = Target::new(target)?;
    let plan = Plan::new(config, classes, &target)?;
    if plan.fit.fits() {
        tracing::info!("{}", plan.fit.sentence());
        return Ok(());
    }
    let (mut fitting, mut others) = (Vec::new(), Vec::new());
    for line in neighbours(config) {
        for (config, said) in line {
            let Ok(plan) = Plan::new(&config, classes, &target) else { continue };
            let named = format!("  {said}: {}", plan.fit.figures());
            if plan.fit.fits() {
                fitting.push(named);
                break;
            }
            others.push((plan.macs, named));
        }
        if fitting.len() == SHOWN {
            break;
        }
    }
    if fitting.is_empty() {
        let (tried, smallest) = (others.len(), others.into_iter().min());
        let smallest = smallest.map_or_else(String::new, |(_, named)| format!(" The smallest was\n{named}"));
        bail!(
            "{} Of {tried} smaller networks that were tried none fits either: allow more, or choose another board.{smallest}",
            plan.fit.sentence()
        );
    }
    bail!("{} What would fit:\n{}", plan.fit.sentence(), fitting.join("\n"));
}

/// Networks that take less, each with what it changes, in words: lines of one preset and width each, from the largest input to
/// the smallest.
fn neighbours(config: &Config) -> Vec<Vec<(Config, String)>> {
    let mut presets = vec![(config.model.preset, config.model.width)];
    // Blocks of one's own and weights from elsewhere are not replaced.
    if config.model.features.is_none() && config.model.pretrained.is_none() {
        presets.extend(WIDTHS.map(|width| (Preset::Mobilenet, width)));
        presets.extend([Preset::Resnet8, Preset::Shallow].map(|preset| (preset, config.model.width)));
    }
    let mut known: Vec<Config> = vec![config.clone()];
    let mut line = |(preset, width)| {
        let (mut line, color) = (Vec::new(), config.input.color);
        for (share, color) in
            SIDES.into_iter().map(|share| (share, color)).chain([(SIDES[SIDES.len() - 1], Color::Grey)])
        {
            let mut other = config.clone();
            (other.model.preset, other.model.width, other.input.color) = (preset, width, color);
            let sides = [&mut other.input.width, &mut other.input.height];
            sides.into_iter().for_each(|side| *side = (*side * share / 8).max(SMALLEST.min(*side)));
            if !known.contains(&other) {
                line.push((other.clone(), config.changes(&other).join(", ")));
                known.push(other);
            }
        }
        line
    };
    presets.into_iter().map(&mut line).collect()
}

#[cfg(test)]
mod tests {
    use model_training::config::TargetConfig;

    use super::*;

    fn classes() -> Vec<String> {
        ["cat", "dog"].map(str::to_owned).to_vec()
    }

    fn config(side: u16, target: TargetConfig) -> Config {
        let mut config = Config { target: Some(target), ..Config::default() };
        (config.input.width, config.input.height) = (side, side);
        config
    }

    fn refusal(config: &Config) -> String {
        format!("{:#}", check_target(config, &classes()).expect_err("it does not fit"))
    }

    #[test]
    fn what_fits_is_let_through_and_what_does_not_is_refused_with_what_would() {
        let within = |flash, ram| TargetConfig { flash: Some(flash), ram: Some(ram), ..TargetConfig::default() };
        check_target(&config(32, within(100, 64)), &classes()).unwrap();
        let error = refusal(&config(32, within(60, 64)));
        assert!(error.contains("does not fit the target") && error.contains("of 60.0 KiB of flash"), "{error}");
        assert!(error.contains("What would fit:") && error.contains("model.preset was \"resnet8\" and is"), "{error}");
        let error = refusal(&config(32, within(1, 1)));
        assert!(error.contains("none fits either") && error.contains("The smallest was"), "{error}");
    }

    #[test]
    fn every_network_that_is_named_fits() {
        let target = TargetConfig { flash: Some(60), ram: Some(24), ..TargetConfig::default() };
        let config = config(32, target.clone());
        let error = refusal(&config);
        let target = Target::new(&target).unwrap();
        let named: Vec<_> = neighbours(&config)
            .into_iter()
            .flatten()
            .filter(|(_, said)| error.contains(&format!("  {said}: ")))
            .collect();
        assert!((2..=SHOWN).contains(&named.len()), "{error}");
        for (config, said) in named {
            assert!(Plan::new(&config, &classes(), &target).unwrap().fit.fits(), "{said}");
        }
    }

    #[test]
    fn a_board_that_does_not_exist_is_named_with_those_that_do() {
        let error = refusal(&config(32, TargetConfig { board: Some("abacus".into()), ..TargetConfig::default() }));
        assert!(error.contains("there is no board abacus") && error.contains("openmv-h7"), "{error}");
    }

    #[test]
    fn milliseconds_count() {
        let within = |milliseconds| TargetConfig {
            board: Some("nucleo-f446re".into()),
            milliseconds: Some(milliseconds),
            ..TargetConfig::default()
        };
        check_target(&config(32, within(1000.0)), &classes()).unwrap();
        let error = refusal(&config(32, within(5.0)));
        assert!(error.contains("of 5.0 ms") && error.contains("What would fit"), "{error}");
    }

    #[test]
    fn a_network_of_ones_own_keeps_its_blocks() {
        let mut own = config(32, TargetConfig { flash: Some(1), ..TargetConfig::default() });
        own.model.features = Some(own.model.blocks());
        let lines = neighbours(&own);
        assert!(lines.len() == 1 && lines[0].len() == 3);
        assert!(lines[0].iter().all(|(other, _)| other.model == own.model));
    }
}
