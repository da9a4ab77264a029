//! The convolutions of a float `.tflite` file.

use anyhow::{Context, Result, ensure};
use model_compiler::graph::FloatOp;
use model_compiler::import::float::{Normalisation, float};
use model_compiler::import::{Arithmetic, arithmetic, read};

use super::{LayerWeights, Offset};

/// With which the importer leaves the first layer's constants as they are.
const UNCHANGED: Normalisation = Normalisation { mean: 128.0, std: 1.0 };

/// All convolutions in the order in which they are computed, weights OIHW, batch-norm folded as the file has it.
pub(super) fn convolutions(bytes: &[u8]) -> Result<Vec<LayerWeights>> {
    let network = read(bytes)?;
    ensure!(arithmetic(&network)? == Arithmetic::Float, "its weights are int8: give the float model");
    let graph = float(&network, UNCHANGED).context("it cannot be translated")?.graph;
    let layer = |op| match op {
        FloatOp::Conv2d { window, weights, bias, .. } => {
            let (outputs, taps) = (bias.len(), window.taps());
            let inputs = weights.len() / outputs / taps;
            let values = (0..weights.len())
                .map(|at| weights[(at / (inputs * taps) * taps + at % taps) * inputs + at / taps % inputs])
                .collect();
            let shape = vec![outputs, inputs, window.kernel_h.into(), window.kernel_w.into()];
            Some(LayerWeights { shape, values, offset: Offset::Bias(bias) })
        }
        FloatOp::DepthwiseConv2d { window, weights, bias, .. } => {
            let (channels, taps) = (bias.len(), window.taps());
            let values = (0..weights.len()).map(|at| weights[at % taps * channels + at / taps]).collect();
            let shape = vec![channels, 1, window.kernel_h.into(), window.kernel_w.into()];
            Some(LayerWeights { shape, values, offset: Offset::Bias(bias) })
        }
        _ => None,
    };
    Ok(graph.nodes.into_iter().filter_map(|node| layer(node.op)).collect())
}
