//! Every number of a configuration at the ends of its type: named where it is refused, harmless where it is not.

use std::fmt::Write;

use toml::Value;

use super::*;
use crate::config::{Activation, Padding};
use crate::data::augment::{Key, augment};

/// A configuration in which every entry is there.
fn full() -> Config {
    let mut config =
        Config { normalization: Some(Normalization { mean: [0.5; 3], std: [0.25; 3] }), ..Config::default() };
    let same = Padding::Same;
    let activation = Activation::Relu;
    config.model.features = Some(vec![
        Block::Conv { channels: 8, kernel: 3, stride: 2, padding: same, batch_norm: true, activation },
        Block::Separable { channels: 8, stride: 2, activation },
        Block::Residual { channels: 8, stride: 2 },
        Block::SeparableResidual { channels: 8, stride: 2 },
        Block::InvertedResidual { channels: 8, expansion: 2, stride: 2, activation },
        Block::MaxPool { size: 2 },
        Block::AveragePool { size: 2 },
    ]);
    let chance = 1.0;
    config.augment.camera = CameraConfig {
        blur: chance,
        cast: chance,
        gamma: chance,
        noise: chance,
        jpeg: chance,
        rgb565: chance,
        ..CameraConfig::default()
    };
    config.model.head = Some(Head { hidden: vec![8], dropout: 0.5, ..Head::default() });
    config.model.batch_norm_epsilon = Some(1e-3);
    config.model.kmeans = Some(KmeansConfig::default());
    config.train.head_first = Some(1.0);
    config.train.class_weights = ClassWeights::Each(vec![1.0, 2.0]);
    config.quantize.aware = Some(AwareConfig::default());
    config.validate().unwrap();
    config
}

/// Where each number is, and one of its kind.
fn numbers(value: &Value, at: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => table.iter().for_each(|(key, value)| numbers(value, &format!("{at}/{key}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| numbers(value, &format!("{at}/{index}"), found));
        }
        Value::Integer(_) | Value::Float(_) => found.push((at[1..].to_owned(), value.clone())),
        _ => {}
    }
}

fn set(value: &mut Value, at: &str, number: Value) {
    let place = at.split('/').fold(value, |value, key| match value {
        Value::Array(list) => &mut list[key.parse::<usize>().unwrap()],
        table => &mut table[key],
    });
    *place = number;
}

/// The name that a refusal gives: without the places in lists.
fn name(at: &str) -> String {
    at.split('/').filter(|part| part.parse::<usize>().is_err()).collect::<Vec<_>>().join(".")
}

/// Does what needs no network with a configuration that was accepted.
fn exercise(config: &Config) {
    assert!(config.epochs() <= 2 * MAX_COUNT);
    assert_eq!(Config::from_toml(&toml::to_string(config).unwrap()).unwrap(), *config);
    let source = config.augment.source(&config.input);
    let most = 4 * usize::from(MAX_INPUT);
    assert!(source.shape().len() <= most * most * 3);
    // Where that is a small picture, as the configuration changes it.
    if source.shape().len() < 1 << 20 {
        let pixels = vec![77; source.shape().len()];
        let key = Key { seed: config.seed, epoch: u64::MAX, index: u64::MAX };
        let changed = augment(&pixels, source.shape(), config.input.shape(), &config.augment, key);
        assert_eq!(changed.len(), config.input.shape().len());
    }
}

#[test]
fn every_number_at_its_ends_is_refused_by_name_or_harmless() {
    let full = Value::try_from(full()).unwrap();
    let mut entries = Vec::new();
    numbers(&full, "", &mut entries);
    assert!(entries.len() > 50, "{} numbers", entries.len());
    let integers = [0, 1, i64::MAX, -1, i64::MIN, 256, 65_536, 1 << 32].map(Value::Integer);
    let floats =
        [0.0, 1.0, f64::MAX, f64::MIN_POSITIVE, 1e-320, -1.0, f64::MIN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let floats = floats.map(Value::Float);
    let mut accepted = String::new();
    for (at, kind) in &entries {
        for number in if kind.is_integer() { integers.iter() } else { floats.iter() } {
            let mut changed = full.clone();
            set(&mut changed, at, number.clone());
            match Config::from_toml(&toml::to_string(&changed).unwrap()) {
                Ok(config) => {
                    exercise(&config);
                    writeln!(accepted, "{} = {number}", name(at)).unwrap();
                }
                Err(error) => {
                    let (error, name) = (format!("{error:#}"), name(at));
                    let (table, entry) = name.rsplit_once('.').unwrap_or(("", &name));
                    // Of what is no number of its type in a block, only the list of blocks is named.
                    let named = error.contains(entry) || (table == "model.features" && error.contains(table));
                    assert!(named, "{at} = {number}: {error}");
                }
            }
        }
    }
    let never = ["nan", "inf", &i64::MAX.to_string(), &i64::MIN.to_string(), &format!("{:?}", f64::MAX)];
    for line in accepted.lines().filter(|line| !line.starts_with("seed =")) {
        assert!(!never.iter().any(|number| line.ends_with(number)), "{line} is accepted");
        assert!(!line.contains("= -") || line.starts_with("model.kmeans.threshold ="), "{line} is accepted");
    }
}

#[test]
fn counts_that_no_file_can_hold_are_refused_too() {
    let refused = |change: fn(&mut Config), entry: &str| {
        let mut config = full();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(&format!("`{entry}` is 18446744073709551615")), "{error}");
    };
    const MOST: usize = usize::MAX;
    refused(|config| config.seed = u64::MAX, "seed");
    refused(|config| config.train.epochs = MOST, "train.epochs");
    refused(|config| config.train.batch_size = MOST, "train.batch_size");
    refused(|config| config.plateau.patience = MOST, "plateau.patience");
    refused(|config| config.plateau.cooldown = MOST, "plateau.cooldown");
    refused(|config| config.early_stopping.patience = MOST, "early_stopping.patience");
    refused(|config| config.quantize.images = Some(MOST), "quantize.images");
    refused(
        |config| config.quantize.aware = Some(AwareConfig { epochs: MOST, ..AwareConfig::default() }),
        "quantize.aware.epochs",
    );
}

#[test]
fn a_number_that_toml_cannot_hold_is_an_error_that_shows_its_line() {
    let error = format!("{:#}", Config::from_toml("[train]\nepochs = 18446744073709551615").unwrap_err());
    assert!(error.contains("epochs"), "{error}");
}
