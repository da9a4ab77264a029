//! The last epochs of a run that learn with int8's values: the float network of the best epoch is calibrated once, and its
//! ranges stay as they are, so that the export has the same.

use anyhow::{Context, Result};
use burn::module::Module;
use model_compiler::quantise::calibrate::{Calibrated, calibrate, calibration_indices};
use model_compiler::quantise::{Method, Range, node_quantisations};
use serde::{Deserialize, Serialize};

use super::Observer;
use super::average::Average;
use super::optimizer::optimizer;
use super::run::{Run, load};
use crate::training::cosine;
use crate::training::model::Net;
use crate::training::plateau::EarlyStopping;

/// How the ranges are chosen where the configuration does not say.
const METHOD: Method = Method::Percentile;

/// Since when, and with which ranges, a run learns with int8's values.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Aware {
    /// Ranges of the graph's tensors.
    pub calibrated: Calibrated,
    /// Number of epochs before.
    pub after: usize,
}

impl Run<'_> {
    /// Whether the next epoch is the first that learns with int8's values.
    pub(super) fn becomes_aware(&self) -> bool {
        self.config.quantize.aware.is_some() && self.state.aware.is_none() && self.float_is_over()
    }

    /// Goes on from the best float network, with a new optimiser, average and early stopping.
    pub(super) fn become_aware(&mut self, observer: &dyn Observer) -> Result<()> {
        let net = load(self.learner.net.clone(), self.state.best_weights.clone())?;
        let graph = net.valid().graph();
        let train = &self.data.train;
        let images = calibration_indices(train.len(), self.config.quantize.images(self.data.classes.len()));
        let inputs: Vec<Vec<i8>> = images.map(|index| train.input(index)).collect();
        let method = self.config.quantize.method.unwrap_or(METHOD);
        let ranges = calibrate(&graph, &inputs, method)?;
        observer.note("the float network is calibrated; now it learns with the values that int8 has");

        self.learner.net = net;
        quantise_aware(&mut self.learner.net, &ranges)?;
        self.learner.optimizer = optimizer(&self.config.train);
        self.average = self.average.take().map(|_| Average::new(self.config.train.ema, &self.learner.net));
        self.state.stopping = EarlyStopping::new(&self.config.early_stopping);
        self.state.aware = Some(Aware { calibrated: Calibrated { method, ranges }, after: self.state.epochs.len() });
        Ok(())
    }

    /// The learning rate of a step, counted from 0 over all epochs that learn with int8's values, where there are any.
    pub(super) fn aware_learning_rate(&self, step: usize) -> Option<f64> {
        let (settings, _) = (self.config.quantize.aware.as_ref()?, self.state.aware.as_ref()?);
        let steps = settings.epochs * self.steps_of_epoch();
        Some(settings.learning_rate * cosine::share(&self.config.cosine, step, steps))
    }
}

/// Makes a network aware of the quantisation that the export has.
pub(super) fn quantise_aware(net: &mut Net, ranges: &[Range]) -> Result<()> {
    let quantisations = node_quantisations(&net.valid().graph(), ranges);
    net.quantise_aware(&quantisations.context("the ranges do not fit the network")?)
}
