//! Runs on images made here: what they learn, that they are reproducible, and that they survive being killed.

use crate::system::files::{CONFIG_FILE, GRAPH_FILE, METRICS_FILE};
use std::sync::Mutex;

use model_compiler::blob::emit::emit;
use model_compiler::graph::{FloatOp, Shape};
use model_compiler::quantise::quantise;
use no_std_infer::Model;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::*;
use crate::config::{Activation, AugmentConfig, AwareConfig, Block, Head, Monitor, OptimizerKind, Padding, Schedule};
use crate::measure::evaluate::{infer_all, int8_classes};
use crate::run::folder::{RunDir, load_config};
use crate::samples::description;

mod cards;
mod killed;

use killed::{ALWAYS, Killer, NEVER, resumed};

/// Images of horizontal (class 0) and vertical (class 1) stripes with noise.
struct Stripes(Images);

impl Stripes {
    fn new(count: usize, height: usize, width: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let shape = Shape { height, width, channels: 3 };
        let labels: Vec<usize> = (0..count).map(|index| index % 2).collect();
        let mut pixels = Vec::new();
        for &label in &labels {
            let phase = rng.random_range(0..4);
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                let along = if label == 0 { y } else { x };
                let base = if (along + phase) % 4 < 2 { 90 } else { 160 };
                pixels.extend([(); 3].map(|()| base + rng.random_range(0..60)));
            }
        }
        Self(Images::of_pixels(shape, &pixels, &labels))
    }

    /// The last `valid` images watch, the others are learnt.
    fn data(&self, valid: usize) -> TrainingData {
        let indices: Vec<usize> = (0..self.0.len()).collect();
        let (train, valid) = indices.split_at(indices.len() - valid);
        let train = self.0.only(train);
        let source = train.clone();
        TrainingData { train, source, valid: self.0.only(valid), classes: classes(), mean: [0.6; 3], std: [0.2; 3] }
    }
}

fn classes() -> Vec<String> {
    ["across", "down"].map(str::to_owned).to_vec()
}

/// A small network with everything that has a state: batch-norm, dropout, a shortcut.
fn small(epochs: usize) -> Config {
    let mut config = Config { seed: 3, ..Config::default() };
    config.model.features = Some(vec![
        Block::Conv {
            channels: 4,
            kernel: 3,
            stride: 1,
            padding: Padding::Same,
            batch_norm: true,
            activation: Activation::Relu,
        },
        Block::Residual { channels: 6, stride: 2 },
        Block::GlobalAveragePool,
    ]);
    config.model.head = Some(Head { hidden: vec![8], activation: Activation::Relu, dropout: 0.2 });
    config.train.epochs = epochs;
    config.train.batch_size = 8;
    config.train.learning_rate = 0.01;
    config.train.label_smoothing = 0.1;
    config.plateau.patience = 1;
    config
}

fn options(threads: usize) -> Options {
    Options { threads, ..Options::default() }
}

/// Without the wall time.
fn timeless(outcome: &Outcome) -> Outcome {
    let epochs = outcome.epochs.iter().map(|epoch| Epoch { seconds: 0.0, ..*epoch }).collect();
    Outcome { epochs, ..outcome.clone() }
}

fn refusal(outcome: Result<Outcome>) -> String {
    format!("{:#}", outcome.map(|outcome| outcome.epochs).unwrap_err())
}

#[test]
fn a_tiny_network_learns_stripes_and_leaves_its_files() {
    let images = Stripes::new(120, 9, 11);
    let dir = tempfile::tempdir().unwrap();
    let run_dir = dir.path().join("runs").join("one");
    let mut config = small(8);
    config.augment = AugmentConfig { horizontal_flip: 0.5, brightness: 0.2, ..AugmentConfig::none() };
    let outcome = train(&images.data(40), &config, &run_dir, options(0), &Console::new()).unwrap();
    let best = outcome.epochs[outcome.best_epoch - 1];
    assert!(best.valid_accuracy >= 0.95, "{:?}", outcome.epochs);
    assert!(outcome.epochs.iter().all(|epoch| epoch.valid_loss >= best.valid_loss));

    // The graph is that of the best epoch: its own accuracy and loss are those measured then.
    let graph = RunDir::new(&run_dir).graph().unwrap();
    assert_eq!(graph, outcome.graph);
    let valid = images.data(40).valid;
    let mut loss = 0.0;
    for (index, &label) in valid.labels.iter().enumerate() {
        let logits = graph.logits(&valid.input(index));
        loss += f64::from((1.0 + (logits[1 - label] - logits[label]).exp()).ln()) / valid.labels.len() as f64;
    }
    assert!((loss - best.valid_loss).abs() < 1e-3, "{loss} {best:?}");

    assert_eq!(load_config(&run_dir.join(CONFIG_FILE)).unwrap(), config);
    let mut rows = csv::Reader::from_path(run_dir.join(METRICS_FILE)).unwrap();
    assert_eq!(rows.deserialize().collect::<Result<Vec<Epoch>, _>>().unwrap(), outcome.epochs);
    let message = refusal(train(&images.data(40), &config, &run_dir, options(0), &Silent));
    assert!(message.contains("holds a run already") && message.contains("one"), "{message}");
}

#[test]
fn runs_are_bit_identical_with_any_number_of_threads() {
    let images = Stripes::new(90, 32, 32);
    let config =
        Config { train: crate::config::TrainConfig { epochs: 1, ..Config::default().train }, ..Config::default() };
    let outcomes = [1, 2, 2].map(|threads| {
        let dir = tempfile::tempdir().unwrap();
        timeless(&train(&images.data(20), &config, dir.path(), options(threads), &Silent).unwrap())
    });
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[1], outcomes[2]);
}

/// [`small`] with everything that transfer learning adds.
fn transfer(epochs: usize) -> Config {
    let mut config = small(epochs);
    config.train.optimizer = OptimizerKind::AdamW;
    config.train.weight_decay = 0.05;
    config.train.schedule = Schedule::Cosine;
    config.train.ema = 0.9;
    config.train.frozen = vec!["features.0".to_owned()];
    config.train.frozen_batch_norm = true;
    config.train.head_first = Some(0.1);
    config.model.head = Some(Head { dropout: 0.2, ..Head::default() });
    config.augment = AugmentConfig { horizontal_flip: 0.5, erase: 0.5, mixup: 0.4, ..AugmentConfig::none() };
    config.early_stopping.restore_best = false;
    config
}

/// Weights of a convolution of the graph.
fn weights(graph: &Graph, name: &str) -> Vec<f32> {
    let node = graph.nodes.iter().find(|node| node.name == name).unwrap();
    let FloatOp::Conv2d { weights, .. } = &node.op else { panic!("{name} is no convolution") };
    weights.clone()
}

#[test]
fn transfer_runs_do_not_depend_on_threads_and_resume_to_the_same_end() {
    let images = Stripes::new(60, 9, 10);
    let (data, config) = (images.data(20), transfer(3));
    let runs = [1, 2].map(|threads| {
        let dir = tempfile::tempdir().unwrap();
        timeless(&train(&data, &config, dir.path(), options(threads), &Silent).unwrap())
    });
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0].best_epoch, 3);
    for (moment, save_every) in [((1, 1), NEVER), ((2, 2), NEVER), ((1, 4), ALWAYS), ((3, 5), ALWAYS)] {
        assert_eq!(resumed(&data, &config, moment, save_every).0, runs[0], "{moment:?}");
    }
}

#[test]
fn runs_that_end_with_int8_s_values_measure_what_the_engine_gives_and_resume_to_the_same_end() {
    let images = Stripes::new(100, 9, 10);
    let mut config = transfer(2);
    config.quantize.aware = Some(AwareConfig { epochs: 2, learning_rate: 1e-3 });
    let data = images.data(60);
    let dir = tempfile::tempdir().unwrap();
    let whole = train(&data, &config, dir.path(), options(1), &Silent).unwrap();
    assert_eq!((whole.epochs.len(), whole.best_epoch), (4, 4));
    assert!(whole.epochs[2].learning_rate <= 1e-3 && whole.epochs[3].learning_rate < whole.epochs[2].learning_rate);

    let learnt = RunDir::new(dir.path()).ranges().unwrap().unwrap();
    let model = quantise(&whole.graph, &learnt.ranges, 1.0).unwrap();
    let blob = emit(&model, &description(&[])).unwrap().blob;
    let model = Model::parse(&blob).unwrap();
    let inputs = (0..60).map(|index| data.valid.input(index)).collect::<Vec<_>>();
    let classes = int8_classes(&infer_all(&model, inputs.par_iter()));
    let right = classes.iter().zip(&data.valid.labels).filter(|(class, label)| class == label).count();
    let measured = 60.0 * whole.epochs[3].valid_accuracy;
    assert!(right > 30 && (right as f64 - measured).abs() <= 1.0, "{right} {measured}");

    for (moment, save_every) in [((3, 1), NEVER), ((4, 2), NEVER), ((3, 3), ALWAYS)] {
        let (outcome, dir) = resumed(&data, &config, moment, save_every);
        assert_eq!(outcome, timeless(&whole), "{moment:?}");
        assert_eq!(RunDir::new(dir.path()).ranges().unwrap(), Some(learnt.clone()));
    }
}

#[test]
fn frozen_layers_keep_their_weights_and_others_learn() {
    let images = Stripes::new(60, 9, 10);
    let after = |epochs, frozen: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let mut config = transfer(epochs);
        config.train.ema = 0.0;
        config.train.frozen = frozen.iter().map(ToString::to_string).collect();
        train(&images.data(20), &config, dir.path(), options(1), &Silent).unwrap().graph
    };
    assert_eq!(after(1, &["features", "head"]), after(2, &["features", "head"]));
    let (one, two) = (after(1, &["features.0"]), after(2, &["features.0"]));
    assert_eq!(weights(&one, "features.0.conv"), weights(&two, "features.0.conv"));
    for name in ["features.1.conv1", "features.1.shortcut"] {
        assert_ne!(weights(&one, name), weights(&two, name), "{name}");
    }
}

#[test]
fn a_head_fitted_first_knows_more_than_a_random_one() {
    let images = Stripes::new(120, 9, 10);
    let accuracy = |head_first| {
        let dir = tempfile::tempdir().unwrap();
        let mut config = transfer(1);
        config.train.head_first = head_first;
        // The rest stays as it was drawn.
        config.train.learning_rate = 1e-12;
        train(&images.data(40), &config, dir.path(), options(1), &Silent).unwrap().epochs[0].valid_accuracy
    };
    let (random, fitted) = (accuracy(None), accuracy(Some(1e-3)));
    assert!(fitted > random + 0.1, "{fitted} {random}");
}

#[test]
fn layers_that_do_not_exist_cannot_be_frozen() {
    let images = Stripes::new(30, 8, 10);
    let dir = tempfile::tempdir().unwrap();
    let mut config = transfer(1);
    config.train.frozen = vec!["features.0".to_owned(), "features.9".to_owned()];
    let message = refusal(train(&images.data(10), &config, dir.path(), options(1), &Silent));
    assert!(message.contains("features.9") && message.contains("features.1.shortcut, head.0"), "{message}");
}

#[test]
fn early_stopping_restores_the_best_epoch() {
    let images = Stripes::new(40, 8, 10);
    let dir = tempfile::tempdir().unwrap();
    let mut config = small(20);
    // Nothing improves by 2, so the first epoch stays the best.
    config.early_stopping.monitor = Monitor::ValidAccuracy;
    config.early_stopping.min_delta = 2.0;
    config.early_stopping.patience = 3;
    let outcome = train(&images.data(10), &config, dir.path(), options(1), &Silent).unwrap();
    assert_eq!((outcome.best_epoch, outcome.epochs.len()), (1, 4));
    config.train.epochs = 1;
    let first_dir = tempfile::tempdir().unwrap();
    let first = train(&images.data(10), &config, first_dir.path(), options(1), &Silent).unwrap();
    assert_eq!(first.graph, outcome.graph);
}

/// Notes the loss of every step.
#[derive(Default)]
struct Losses(Mutex<Vec<f64>>);

impl Observer for Losses {
    fn step(&self, moment: &Moment) {
        self.0.lock().unwrap().push(moment.loss);
    }
}

#[test]
fn flex_and_ndarray_have_the_same_losses_for_20_steps() {
    let images = Stripes::new(170, 16, 12);
    let [flex, ndarray] = [DeviceKind::Flex, DeviceKind::Ndarray].map(|device| {
        let dir = tempfile::tempdir().unwrap();
        let losses = Losses::default();
        train(&images.data(10), &small(1), dir.path(), Options { device, ..options(2) }, &losses).unwrap();
        losses.0.into_inner().unwrap()
    });
    assert_eq!((flex.len(), ndarray.len()), (20, 20));
    for (flex, ndarray) in flex.iter().zip(&ndarray) {
        assert!((flex - ndarray).abs() < 1e-4 * flex, "{flex} {ndarray}");
    }
    assert!(flex[19] < flex[0]);
}

#[test]
fn losses_that_are_not_finite_end_the_run_with_the_remedy() {
    let images = Stripes::new(40, 4, 5);
    let dir = tempfile::tempdir().unwrap();
    let conv = Block::Conv {
        channels: 4,
        kernel: 1,
        stride: 1,
        padding: Padding::Same,
        batch_norm: false,
        activation: Activation::Linear,
    };
    let mut config = small(3);
    config.model.features = Some(vec![conv; 40]);
    config.train.learning_rate = 10.0;
    let message = refusal(train(&images.data(10), &config, dir.path(), options(1), &Silent));
    assert!(message.contains("lower train.learning_rate") && message.contains("epoch 1"), "{message}");
    assert!(!dir.path().join(GRAPH_FILE).exists());
}

#[test]
fn unusable_folders_and_splits_are_named() {
    let images = Stripes::new(20, 4, 5);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let message = refusal(train(&images.data(5), &small(1), &file.join("run"), options(1), &Silent));
    assert!(message.contains(&file.display().to_string()), "{message}");
    let message = refusal(train(&images.data(0), &small(1), dir.path(), options(1), &Silent));
    assert!(message.contains("no validation images"), "{message}");
}
