//! Weights from elsewhere: the network with MobileNetV1's weights computes what the float `.tflite` model computes.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use host_trainer::config::{ModelConfig, PretrainedConfig};
use host_trainer::run::folder::load_config;
use host_trainer::training::DeviceKind;
use host_trainer::training::model::{Net, Task};
use host_trainer::training::pretrained::Pretrained;
use libtest_mimic::{Arguments, Trial};
use model_compiler::graph::{Graph, Shape};
use model_compiler::import::float::{Normalisation, float};
use model_compiler::import::read;
use tests::pretrained::{missing, safetensors, tflite};

const SIDE: usize = 128;
/// Largest difference of a logit.
const TOLERANCE: f32 = 1e-4;

fn main() {
    let missing = missing();
    let trial = |name: &str, test: fn() -> Result<()>| {
        let trial = Trial::test(name, move || test().map_err(|error| format!("{error:#}").into()));
        trial.with_ignored_flag(missing.is_some()).with_kind(missing.clone().unwrap_or_default())
    };
    let trials = vec![
        trial("safetensors_give_the_logits_of_the_tflite_model", safetensors_give_the_logits_of_the_tflite_model),
        trial("tflite_gives_the_features_of_the_safetensors", tflite_gives_the_features_of_the_safetensors),
        trial("grey_pictures_give_the_logits_of_colourless_ones", grey_pictures_give_the_logits_of_colourless_ones),
        trial("what_does_not_fit_is_named", what_does_not_fit_is_named),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The model of the pets' configuration, with the names of ImageNet's 1000 outputs.
fn model() -> Result<ModelConfig> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/pets-transfer.toml");
    let mut model = load_config(&path)?.model;
    let pretrained = model.pretrained.as_mut().context("the configuration names layers")?;
    pretrained.names.insert("head.0".to_owned(), "conv_preds".to_owned());
    Ok(model)
}

/// The network with the model's pretrained weights and 1000 outputs. Mid-grey is 0, as its padding is.
fn graph(model: &ModelConfig, channels: usize) -> Result<Graph> {
    let input = Shape { height: SIDE, width: SIDE, channels };
    let task = Task { input, classes: 1000, mean: [128.0 / 255.0; 3], std: [0.5; 3] };
    let mut net = Net::new(model, task, 1, &DeviceKind::Flex.open()?)?;
    let pretrained = model.pretrained.as_ref().context("there are pretrained weights")?;
    net.load_pretrained(&Pretrained::open(pretrained)?)?;
    Ok(net.graph())
}

fn from_safetensors() -> Result<ModelConfig> {
    let mut model = model()?;
    model.start_from(Some(&safetensors()));
    Ok(model)
}

/// Smooth with some noise.
fn picture(seed: usize) -> Vec<i8> {
    let pixel = |i: usize| {
        let (y, x, c) = (i / 3 / SIDE, i / 3 % SIDE, i % 3);
        ((x * (seed + 1) / 2 + y * (3 - seed) + c * 40 + i * 73 % 31) % 256) as u8 as i8
    };
    (0..SIDE * SIDE * 3).map(pixel).collect()
}

fn ensure_near(made: &[f32], expected: &[f32]) -> Result<()> {
    ensure!(made.len() == 1000 && expected.len() == 1000, "{} and {} logits", made.len(), expected.len());
    let spread = expected.iter().fold(0.0_f32, |max, logit| max.max(logit.abs()));
    let apart = made.iter().zip(expected).fold(0.0_f32, |max, (made, expected)| max.max((made - expected).abs()));
    ensure!(spread > 1.0 && apart < TOLERANCE, "logits of up to {spread} are {apart} apart");
    Ok(())
}

fn safetensors_give_the_logits_of_the_tflite_model() -> Result<()> {
    let ours = graph(&from_safetensors()?, 3)?;
    let bytes = std::fs::read(tflite())?;
    let theirs = float(&read(&bytes)?, Normalisation { mean: 128.0, std: 127.5 })?;
    (0..3).try_for_each(|seed| ensure_near(&ours.logits(&picture(seed)), &theirs.logits(&picture(seed))))
}

fn tflite_gives_the_features_of_the_safetensors() -> Result<()> {
    let mut model = from_safetensors()?;
    // The head stays as the seed draws it, in both.
    model.pretrained.as_mut().context("there are pretrained weights")?.names.remove("head.0");
    let expected = graph(&model, 3)?;
    model.pretrained = Some(PretrainedConfig { file: Some(tflite()), ..PretrainedConfig::default() });
    let made = graph(&model, 3)?;
    ensure_near(&made.logits(&picture(0)), &expected.logits(&picture(0)))
}

fn grey_pictures_give_the_logits_of_colourless_ones() -> Result<()> {
    let model = from_safetensors()?;
    let grey: Vec<i8> = picture(1).into_iter().step_by(3).collect();
    let colourless: Vec<i8> = grey.iter().flat_map(|&pixel| [pixel; 3]).collect();
    ensure_near(&graph(&model, 1)?.logits(&grey), &graph(&model, 3)?.logits(&colourless))
}

fn what_does_not_fit_is_named() -> Result<()> {
    let refusal = |change: fn(&mut ModelConfig)| -> Result<String> {
        let mut model = from_safetensors()?;
        change(&mut model);
        let error = graph(&model, 3).map(|_| ()).err().context("it must be refused")?;
        Ok(format!("{error:#}"))
    };
    let missing = refusal(|model| {
        let names = &mut model.pretrained.get_or_insert_default().names;
        names.insert("features.0.conv".to_owned(), "stem".to_owned());
    })?;
    let cases: [(String, &[&str]); 3] = [
        (refusal(|model| model.width = 0.5)?, &["features.0.conv", "[8, 3, 3, 3]", "[16, 3, 3, 3]"]),
        (missing, &["no tensor stem.weight", "conv_pw_13.weight"]),
        (refusal(|model| model.pretrained.get_or_insert_default().names.clear())?, &["features.0.conv.weight"]),
    ];
    for (message, words) in cases {
        words.iter().try_for_each(|word| {
            ensure!(message.contains(word), "{word} is not in: {message}");
            Ok(())
        })?;
    }
    Ok(())
}
