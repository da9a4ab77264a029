//! The last epochs of a run that learn with int8's values: the float network of the best epoch is calibrated once, and its
//! ranges stay as they are, so that the export has the same.

use anyhow::{Context, Result};
use burn::module::Module;
use model_compiler::quantise::calibrate::{Calibrated, calibrate, calibration_indices};
use model_compiler::quantise::{Method, node_quantisations};
use serde::{Deserialize, Serialize};

use super::TrainingData;
use crate::config::QuantizeConfig;
use crate::training::model::Net;

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

impl Aware {
    /// The ranges of a network without autodiff, on training images, after so many epochs.
    pub fn of(net: &Net, data: &TrainingData, settings: &QuantizeConfig, after: usize) -> Result<Self> {
        let train = &data.train;
        let images = calibration_indices(train.len(), settings.images(data.classes.len()));
        let inputs: Vec<Vec<i8>> = images.map(|index| train.input(index)).collect();
        let method = settings.method.unwrap_or(METHOD);
        let ranges = calibrate(&net.graph(), &inputs, method)?;
        Ok(Self { calibrated: Calibrated { method, ranges }, after })
    }

    /// Makes a network, one with autodiff, aware of the quantisation that the export has.
    pub fn apply(&self, net: &mut Net) -> Result<()> {
        let quantisations = node_quantisations(&net.valid().graph(), &self.calibrated.ranges);
        net.quantise_aware(&quantisations.context("the ranges do not fit the network")?)
    }
}
