//! One run: its state between steps, and an epoch.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use model_compiler::graph::class;
use rand_chacha::ChaCha8Rng;

use super::ahead::ahead;
use super::average::Average;
use super::aware::Aware;
use super::batch::{Use, generator, pixels, tensor};
use super::checkpoint::{Checkpoint, Within, fingerprint};
use super::examples::{Example, Examples};
use super::learner::Learner;
use super::loss::{Criterion, Mixture, certain};
use super::optimizer::{optimizer, restored};
use super::record::{load, save};
use super::{Batch, Epoch, Moment, Observer, Options, Outcome, TrainingData, check_new, initial};
use crate::config::{Config, Monitor, Schedule};
use crate::data::dataset::Images;
use crate::system::atomic;
use crate::system::files::{CONFIG_FILE, GRAPH_FILE, METRICS_FILE, RANGES_FILE};
use crate::training::cosine;
use crate::training::model::{Net, Task};
use crate::training::plateau::{EarlyStopping, Plateau, Verdict};

/// Images that validation runs through the network at once.
const VALIDATION_BATCH: usize = 64;

/// A run between two steps.
pub(super) struct Run<'a> {
    data: &'a TrainingData,
    config: &'a Config,
    run_dir: PathBuf,
    /// With autodiff.
    device: Device,
    learner: Learner,
    /// Of the network over the steps so far, where one is asked for; then it is what is measured and kept.
    average: Option<Average>,
    /// All that a checkpoint holds but the weights and the optimiser, which are those of when it was saved.
    state: Checkpoint,
    save_every: Duration,
    is_ending: fn() -> bool,
    /// When the epoch began, or was saved last.
    clock: Instant,
}

impl<'a> Run<'a> {
    /// A new run, or the one in `run_dir` as it was saved last.
    pub fn start(
        data: &'a TrainingData,
        config: &'a Config,
        run_dir: &Path,
        options: Options,
        observer: &dyn Observer,
    ) -> Result<Self> {
        config.validate()?;
        let TrainingData { train, source, valid, classes, mean, std } = data;
        for (name, images) in [("training", train), ("validation", valid)] {
            ensure!(!images.is_empty(), "there are no {name} images: add some, or change the split");
        }
        let device = options.device.open()?.autodiff();
        let task = Task { input: train.shape, classes: classes.len(), mean: *mean, std: *std };
        let learner = Learner::new(config, task, &train.labels, &device)?;
        let mut run = Self {
            average: None,
            state: Checkpoint {
                config: toml::to_string(config).context("cannot write the configuration as TOML")?,
                images: fingerprint([source, valid]),
                weights: Vec::new(),
                average: Vec::new(),
                optimizer: Vec::new(),
                best_weights: Vec::new(),
                best_epoch: 0,
                learning_rate: config.train.learning_rate,
                plateau: Plateau::new(&config.plateau),
                stopping: EarlyStopping::new(&config.early_stopping),
                stopped: false,
                aware: None,
                epochs: Vec::new(),
                within: Within::default(),
            },
            save_every: options.save_every,
            is_ending: options.is_ending,
            clock: Instant::now(),
            data,
            config,
            run_dir: run_dir.to_owned(),
            device,
            learner,
        };
        let saved = if options.resume {
            run.saved()?
        } else {
            run.claim_folder()?;
            None
        };
        if saved.is_none() {
            initial::initialise(&mut run.learner, data, config, observer)?;
        }
        initial::freeze(&mut run.learner.net, &config.train)?;
        run.average = (config.train.ema > 0.0).then(|| Average::new(config.train.ema, &run.learner.net));
        if let Some(saved) = saved {
            run.restore(saved)?;
        }
        observer.begin(&run.learner.net)?;
        Ok(run)
    }

    fn claim_folder(&self) -> Result<()> {
        let shown = self.run_dir.display();
        std::fs::create_dir_all(&self.run_dir)
            .with_context(|| format!("cannot create the run folder {shown}: choose one that may be written"))?;
        check_new(&self.run_dir)?;
        atomic::write(&self.run_dir.join(CONFIG_FILE), self.state.config.as_bytes())
    }

    /// The checkpoint of the same run, or `None` when it was never saved.
    fn saved(&self) -> Result<Option<Checkpoint>> {
        let shown = self.run_dir.display();
        let Some(saved) = Checkpoint::load(&self.run_dir)? else {
            ensure!(self.run_dir.join(CONFIG_FILE).exists(), "there is no run to resume in {shown}: start a new one");
            return Ok(None);
        };
        let begun = Config::from_toml(&saved.config)
            .with_context(|| format!("the run in {shown} began with a configuration that this version cannot read"))?;
        let changes = begun.changes(self.config);
        ensure!(
            changes.is_empty(),
            "the run in {shown} cannot go on with another configuration than it began with: {}; restore {}, or start a \
             new run with it",
            changes.join(", "),
            self.run_dir.join(CONFIG_FILE).display()
        );
        ensure!(
            saved.images == self.state.images,
            "the images are not those that the run in {shown} started with: restore them, or start a new run"
        );
        Ok(Some(saved))
    }

    fn restore(&mut self, mut saved: Checkpoint) -> Result<()> {
        let shown = self.run_dir.display();
        let damaged =
            || format!("the checkpoint in {shown} does not fit the network: remove it, and the run starts over");
        let learner = &mut self.learner;
        if let Some(aware) = &saved.aware {
            aware.apply(&mut learner.net)?;
            self.average = self.average.take().map(|_| Average::new(self.config.train.ema, &learner.net));
        }
        learner.net = load(learner.net.clone(), std::mem::take(&mut saved.weights)).with_context(damaged)?;
        learner.optimizer = restored(&self.config.train, std::mem::take(&mut saved.optimizer)).with_context(damaged)?;
        if let Some(average) = &mut self.average {
            average.restore(std::mem::take(&mut saved.average)).with_context(damaged)?;
        }
        self.state = saved;
        self.write_metrics()
    }

    pub fn finished(&self) -> bool {
        match (&self.config.quantize.aware, &self.state.aware) {
            (None, _) => self.float_is_over(),
            (Some(_), None) => false,
            (Some(settings), Some(begun)) => self.state.epochs.len() >= begun.after + settings.epochs,
        }
    }

    /// Whether the epochs that learn without int8's values are over.
    fn float_is_over(&self) -> bool {
        self.state.stopped || self.state.epochs.len() >= self.config.train.epochs
    }

    /// Trains an epoch, or what is left of it, measures it, and adjusts the schedule.
    pub fn epoch(&mut self, observer: &dyn Observer) -> Result<&Epoch> {
        self.clock = Instant::now();
        if self.config.quantize.aware.is_some() && self.state.aware.is_none() && self.float_is_over() {
            self.become_aware(observer)?;
        }
        let epoch = self.state.epochs.len() + 1;
        let (train_loss, train_accuracy) = self.steps(epoch, observer)?;
        let net = self.result();
        let (valid_loss, valid_accuracy) = evaluate(&net, self.data.classes.len(), &self.data.valid);
        ensure!(valid_loss.is_finite(), self.diverged(epoch, "validation"));
        let learning_rate = self.learning_rate(epoch, self.steps_of_epoch() - 1);

        let state = &mut self.state;
        let value = |monitor| match monitor {
            Monitor::ValidLoss => valid_loss,
            Monitor::ValidAccuracy => valid_accuracy,
            Monitor::TrainLoss => train_loss,
        };
        state.learning_rate = state.plateau.step(value(self.config.plateau.monitor), state.learning_rate);
        let verdict = state.stopping.step(value(self.config.early_stopping.monitor));
        state.stopped = verdict == Verdict::Stop;
        if verdict == Verdict::Best || !self.config.early_stopping.restore_best {
            (state.best_epoch, state.best_weights) = (epoch, save(net)?);
        }
        let seconds = std::mem::take(&mut state.within).seconds + self.clock.elapsed().as_secs_f64();
        let measured = Epoch { epoch, learning_rate, train_loss, train_accuracy, valid_loss, valid_accuracy, seconds };
        state.epochs.push(measured);
        self.save()?;
        self.write_metrics()?;
        Ok(&self.state.epochs[epoch - 1])
    }

    /// Goes on from the best float network with the values that int8 has, and with a new optimiser, average and early stopping.
    fn become_aware(&mut self, observer: &dyn Observer) -> Result<()> {
        let net = load(self.learner.net.clone(), self.state.best_weights.clone())?;
        let aware = Aware::of(&net.valid(), self.data, &self.config.quantize, self.state.epochs.len())?;
        observer.note("the float network is calibrated; now it learns with the values that int8 has");
        self.learner.net = net;
        aware.apply(&mut self.learner.net)?;
        self.learner.optimizer = optimizer(&self.config.train);
        self.average = self.average.take().map(|_| Average::new(self.config.train.ema, &self.learner.net));
        self.state.stopping = EarlyStopping::new(&self.config.early_stopping);
        self.state.aware = Some(aware);
        Ok(())
    }

    /// The network that is measured and kept, without autodiff.
    fn result(&self) -> Net {
        self.average.as_ref().map_or_else(|| self.learner.net.valid(), |average| average.net().clone())
    }

    /// Steps before a step, counted from 0, of an epoch, since the run began or became aware of its quantisation.
    fn steps_before(&self, epoch: usize, step: usize) -> usize {
        let after = self.state.aware.as_ref().map_or(0, |aware| aware.after);
        (epoch - 1 - after) * self.steps_of_epoch() + step
    }

    fn steps_of_epoch(&self) -> usize {
        self.data.train.labels.len().div_ceil(self.config.train.batch_size)
    }

    /// The learning rate of a step, counted from 0, of an epoch.
    fn learning_rate(&self, epoch: usize, step: usize) -> f64 {
        let (settings, step) = (&self.config.train, self.steps_before(epoch, step));
        let falling = |epochs: usize, first: f64| {
            first * cosine::share(&self.config.cosine, step, epochs * self.steps_of_epoch())
        };
        match (&self.config.quantize.aware, &self.state.aware, settings.schedule) {
            (Some(aware), Some(_), _) => falling(aware.epochs, aware.learning_rate),
            (.., Schedule::Plateau) => self.state.learning_rate,
            (.., Schedule::Cosine) => falling(settings.epochs, settings.learning_rate),
        }
    }

    /// Takes the steps of an epoch that are left; loss and accuracy on the way.
    fn steps(&mut self, epoch: usize, observer: &dyn Observer) -> Result<(f64, f64)> {
        let examples = Examples::new(self.data, self.config, epoch);
        let mut dropout = generator(self.config.seed, epoch, Use::Dropout);
        dropout.set_word_pos(self.state.within.dropout);
        ahead(
            self.state.within.steps..self.steps_of_epoch(),
            |step| examples.of_step(step),
            |step, example| self.step((epoch, step), example, &mut dropout, observer),
        )?;
        Ok((self.state.within.loss(), self.state.within.accuracy()))
    }

    /// Takes one step, and saves the run where that is due.
    fn step(
        &mut self,
        (epoch, step): (usize, usize),
        Example { pixels, labels, mixtures }: Example,
        dropout: &mut ChaCha8Rng,
        observer: &dyn Observer,
    ) -> Result<()> {
        let input = tensor(pixels, labels.len(), self.data.train.shape, &self.device);
        let learning_rate = self.learning_rate(epoch, step);
        let targets = self.learner.criterion.targets(&mixtures);
        observer.batch(&Batch { pixels: &input, targets: &targets, learning_rate })?;
        let learned = self.learner.step(input, &mixtures, Some(dropout), learning_rate);
        ensure!(learned.loss.is_finite(), self.diverged(epoch, "training"));
        let steps_before = self.steps_before(epoch, step);
        if let Some(average) = &mut self.average {
            average.update(&self.learner.net, steps_before);
        }

        let within = &mut self.state.within;
        within.steps = step + 1;
        within.loss_sum += learned.loss * learned.weight;
        within.weight_sum += learned.weight;
        within.right += hits(learned.logits, &labels);
        within.seen += labels.len();
        let (loss, accuracy) = (within.loss(), within.accuracy());
        let (epochs, steps) = (self.config.epochs(), self.steps_of_epoch());
        observer.step(&Moment { epoch, epochs, step: step + 1, steps, learning_rate, loss, accuracy });
        let (elapsed, is_ending) = (self.clock.elapsed(), (self.is_ending)());
        if elapsed >= self.save_every || is_ending {
            self.clock = Instant::now();
            self.state.within.seconds += elapsed.as_secs_f64();
            self.state.within.dropout = dropout.get_word_pos();
            self.save()?;
        }
        ensure!(!is_ending, "the program is told to end, and the run is saved");
        Ok(())
    }

    /// Replaces the checkpoint.
    fn save(&mut self) -> Result<()> {
        self.state.weights = save(self.learner.net.valid())?;
        if let Some(average) = &self.average {
            self.state.average = save(average.net().clone())?;
        }
        self.state.optimizer = self.learner.optimizer.into_bytes()?.to_vec();
        self.state.save(&self.run_dir)
    }

    fn diverged(&self, epoch: usize, which: &str) -> String {
        format!(
            "the {which} loss is no longer a finite number in epoch {epoch}: the learning rate {:e} is too high; \
             start again with a lower train.learning_rate, for example {:e}",
            self.learning_rate(epoch, self.steps_of_epoch() - 1),
            self.config.train.learning_rate / 10.0
        )
    }

    fn write_metrics(&self) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for epoch in &self.state.epochs {
            writer.serialize(epoch)?;
        }
        atomic::write(&self.run_dir.join(METRICS_FILE), &writer.into_inner()?)
    }

    /// Writes the graph of the weights that are kept, and before it the ranges that they have learnt.
    pub fn finish(self) -> Result<Outcome> {
        if let Some(aware) = &self.state.aware {
            let ranges = serde_json::to_string_pretty(&aware.calibrated)?;
            atomic::write(&self.run_dir.join(RANGES_FILE), ranges.as_bytes())?;
        }
        let graph = load(self.learner.net.valid(), self.state.best_weights)?.graph();
        atomic::write(&self.run_dir.join(GRAPH_FILE), &graph.to_bytes()?)?;
        Ok(Outcome { graph, best_epoch: self.state.best_epoch, epochs: self.state.epochs })
    }
}

/// Plain cross-entropy and accuracy of a network without autodiff.
fn evaluate(net: &Net, classes: usize, images: &Images) -> (f64, f64) {
    let criterion = Criterion::plain(classes);
    let (mut loss_sum, mut correct) = (0.0, 0);
    for (batch, labels) in images.labels.chunks(VALIDATION_BATCH).enumerate() {
        let first = batch * VALIDATION_BATCH;
        let input = pixels(labels.len(), images.shape, &net.device(), |index| images.image(first + index));
        let logits = net.forward(input, None);
        let images: Vec<Mixture> = labels.iter().map(|&label| certain(label)).collect();
        let (loss, weight) = criterion.loss(logits.clone(), &images);
        loss_sum += f64::from(loss.into_scalar::<f32>()) * weight;
        correct += hits(logits, labels);
    }
    let count = images.len() as f64;
    (loss_sum / count, correct as f64 / count)
}

/// Images whose label has the largest logit; the first of several equal ones counts.
fn hits(logits: Tensor<2>, labels: &[usize]) -> usize {
    let classes = logits.dims()[1];
    let values: Vec<f32> = logits.into_data().try_to_vec().expect("logits are f32");
    values.chunks_exact(classes).zip(labels).filter(|(row, label)| class(row) == **label).count()
}
