//! Weights from elsewhere: the network with MobileNetV1's weights computes what the float `.tflite` model computes, and
//! those that ship say what these say.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use half::f16;
use libtest_mimic::{Arguments, Trial};
use model_compiler::graph::pixels_to_input;
use model_compiler::graph::{Graph, Shape};
use model_compiler::import::float::{Normalisation, float};
use model_compiler::import::read;
use model_training::config::{ModelConfig, PretrainedConfig};
use model_training::data::faces::{CLASSES, draw};
use model_training::run::folder::load_config;
use model_training::training::DeviceKind;
use model_training::training::model::{Net, Task};
use model_training::training::pretrained::Pretrained;
use safetensors::{Dtype, SafeTensors};
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
        trial(
            "weights_that_ship_are_the_nearest_of_half_precision",
            weights_that_ship_are_the_nearest_of_half_precision,
        ),
        trial(
            "features_of_the_weights_that_ship_are_the_originals",
            features_of_the_weights_that_ship_are_the_originals,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The network's names of layers and Keras's, with those of ImageNet's 1000 outputs.
const NAMES: [(&str, &str); 7] = [
    ("features.0.conv", "conv1"),
    ("features.0.conv.norm", "conv1_bn"),
    ("features.{}.depthwise", "conv_dw_{}"),
    ("features.{}.depthwise.norm", "conv_dw_{}_bn"),
    ("features.{}.pointwise", "conv_pw_{}"),
    ("features.{}.pointwise.norm", "conv_pw_{}_bn"),
    ("head.0", "conv_preds"),
];

/// The model of the pets' configuration, which starts from the weights that ship.
fn shipped() -> Result<ModelConfig> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/pets-transfer.toml");
    Ok(load_config(&path)?.model)
}

/// The network with the model's pretrained weights and 1000 outputs. Mid-grey is 0, as its padding is.
fn graph(model: &ModelConfig, channels: usize) -> Result<Graph> {
    let input = Shape { height: SIDE, width: SIDE, channels };
    let task = Task { input, classes: 1000, mean: [128.0 / 255.0; 3], std: [0.5; 3] };
    let mut net = Net::new(model, task, 1, &DeviceKind::Flex.open()?)?;
    let pretrained = model.pretrained.as_ref().context("there are pretrained weights")?;
    net.load_pretrained(&Pretrained::open(pretrained)?, &vec![String::new(); 1000])?;
    Ok(net.graph())
}

fn from_safetensors() -> Result<ModelConfig> {
    let names = NAMES.map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned())).into();
    let pretrained = Some(PretrainedConfig { file: Some(safetensors()), names });
    Ok(ModelConfig { pretrained, ..shipped()? })
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
    let theirs = float(&read(&bytes)?, Normalisation { mean: 128.0, std: 127.5 })?.graph;
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

fn weights_that_ship_are_the_nearest_of_half_precision() -> Result<()> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/pretrained/mobilenet_v1_0.25_imagenet.safetensors");
    let (ours, theirs) = (std::fs::read(ours)?, std::fs::read(safetensors())?);
    let (ours, theirs) = (SafeTensors::deserialize(&ours)?, SafeTensors::deserialize(&theirs)?);
    ensure!(ours.len() == 135 && ours.len() + 2 == theirs.len(), "{} and {} tensors", ours.len(), theirs.len());
    for (name, half) in ours.tensors() {
        let float = theirs.tensor(&name)?;
        ensure!(half.shape() == float.shape() && half.dtype() == Dtype::F16, "{name}");
        let nearest =
            float.data().as_chunks().0.iter().flat_map(|&bytes| f16::from_f32(f32::from_le_bytes(bytes)).to_le_bytes());
        ensure!(half.data().iter().copied().eq(nearest), "{name} is not rounded to the nearest");
    }
    Ok(())
}

/// Of 100 drawings, what the output layer reads: the mean over each of the last 256 planes.
fn features_of_the_weights_that_ship_are_the_originals() -> Result<()> {
    let mut original = from_safetensors()?;
    original.pretrained.get_or_insert_default().names.remove("head.0");
    let graphs = [graph(&shipped()?, 3)?, graph(&original, 3)?];
    for picture in 0..100 {
        let drawing = draw(picture, picture as usize % CLASSES.len(), SIDE as u32);
        let input = pixels_to_input(drawing.as_raw());
        let [ours, theirs] = graphs.each_ref().map(|graph| {
            let mut tensors = graph.run(&input);
            tensors.truncate(tensors.len() - 1);
            tensors.pop().expect("the output layer reads a tensor")
        });
        ensure!(ours.len() == 256 && theirs.len() == 256, "{} and {} features", ours.len(), theirs.len());
        let length = theirs.iter().map(|value| value * value).sum::<f32>().sqrt();
        let apart = ours.iter().zip(&theirs).map(|(ours, theirs)| (ours - theirs).powi(2)).sum::<f32>().sqrt();
        ensure!(length > 1.0 && apart < length * 0.02, "features of length {length} are {apart} apart");
    }
    Ok(())
}
