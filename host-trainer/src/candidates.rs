//! Quantises a graph by several methods and keeps the best.

use anyhow::{Context, Result};
use no_std_infer::Model;

use crate::calibrate::calibrate;
use crate::config::Method;
use crate::emit::Emitted;
use crate::graph::Graph;
use crate::quantise::{QuantModel, quantise};
use crate::sqnr::{LayerSqnr, layer_sqnr};

/// All methods.
pub const METHODS: [Method; 3] = [Method::MinMax, Method::Percentile, Method::Mse];

/// The method whose logits are closest to the float graph's, and what it made.
#[derive(Clone, Debug)]
pub struct Best {
    /// The method.
    pub method: Method,
    /// Every method tried, with the SQNR of its logits in dB.
    pub methods: Vec<(Method, Option<f64>)>,
    /// The model that it made.
    pub model: QuantModel,
    /// Its blob.
    pub plain: Emitted,
    /// SQNR of each of its layers.
    pub layers: Vec<LayerSqnr>,
}

/// Tries `methods` on calibration inputs (`pixel − 128`, HWC); `emit` writes a model's blob.
///
/// # Errors
/// When the graph cannot be calibrated or quantised, or no method is given.
pub fn best(
    graph: &Graph,
    inputs: &[Vec<i8>],
    methods: &[Method],
    temperature: f32,
    emit: impl Fn(&QuantModel) -> Result<Emitted>,
) -> Result<Best> {
    let mut tried = Vec::new();
    for &method in methods {
        let model = quantise(graph, &calibrate(graph, inputs, method)?, temperature)?;
        let plain = emit(&model)?;
        let layers = layer_sqnr(graph, &Model::parse(&plain.blob)?, inputs)?;
        tried.push(Best { method, methods: Vec::new(), model, plain, layers });
    }
    let methods: Vec<_> = tried.iter().map(|tried| (tried.method, tried.decibels())).collect();
    let exact = |tried: &Best| tried.decibels().unwrap_or(f64::INFINITY);
    let best = tried.into_iter().max_by(|a, b| exact(a).total_cmp(&exact(b)));
    Ok(Best { methods, ..best.context("no quantisation method was tried")? })
}

impl Best {
    /// SQNR of the logits: of the last layer but the softmax.
    fn decibels(&self) -> Option<f64> {
        self.layers.iter().rev().nth(1).and_then(|layer| layer.db)
    }
}
