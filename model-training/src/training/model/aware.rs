//! Quantisation-aware forward pass: from now on weights and activations take the values that int8 has for them (Jacob et al.
//! 2018, arXiv:1712.05877, section 3).

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use model_compiler::quantise::NodeQuantisation;

use super::Net;
use super::blocks::Layer;
use super::export::joint_name;

impl Net {
    /// From now on what each layer makes is rounded to int8 as in the model that is exported, and so are weights and biases;
    /// batch-norm uses its running statistics. `quantisations` are by name of the graph's nodes.
    ///
    /// # Errors
    /// When a layer has none, or the first layer is no convolution.
    pub fn quantise_aware(&mut self, quantisations: &BTreeMap<String, NodeQuantisation>) -> Result<()> {
        let first = self.features.first().is_some_and(Layer::starts_with_convolution);
        ensure!(first, "quantize.aware needs a network whose first layer is a convolution");
        let of = |name: String| {
            let found = quantisations.get(&name).copied();
            found.with_context(|| format!("layer {name} has no range to be quantised with"))
        };
        for (name, unit) in self.convolutions() {
            unit.quantisation = Some(of(name)?);
        }
        for (index, layer) in self.features.iter_mut().enumerate() {
            if let Some(name) = joint_name(layer) {
                layer.quantisation = Some(of(format!("features.{index}.{name}"))?.output);
            }
        }
        for (index, dense) in self.head.iter_mut().enumerate() {
            dense.quantisation = Some(of(format!("head.{index}"))?);
        }
        self.freeze_batch_norm();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};
    use model_compiler::blob::emit::emit;
    use model_compiler::graph::{Shape, pixels_to_input};
    use model_compiler::quantise::calibrate::calibrate;
    use model_compiler::quantise::{Method, node_quantisations, quantise};
    use no_std_infer::Model;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rayon::prelude::*;

    use super::*;
    use crate::config::{Activation, Block, Head, ModelConfig, Padding};
    use crate::measure::evaluate::infer_all;
    use crate::samples::description;
    use crate::training::model::Task;

    fn conv(channels: usize, stride: usize, batch_norm: bool, activation: Activation) -> Block {
        Block::Conv { channels, kernel: 3, stride, padding: Padding::Same, batch_norm, activation }
    }

    /// Every block but those of depthwise residual networks, and pixels whose channels are normalised differently.
    #[test]
    fn the_forward_pass_is_that_of_the_int8_engine() {
        let first = conv(8, 2, true, Activation::Relu6);
        let separable = Block::Separable { channels: 8, stride: 1, activation: Activation::Relu };
        let residual = Block::Residual { channels: 12, stride: 2 };
        let (pool, mean) = (Block::MaxPool { size: 2 }, Block::GlobalAveragePool);
        let sigmoid = conv(6, 1, false, Activation::Sigmoid);
        check(vec![first.clone(), separable, pool, residual.clone(), mean.clone()]);
        check(vec![first, sigmoid, Block::AveragePool { size: 2 }, residual, mean]);
    }

    /// Distances from the int8 engine's logits of those of the float forward pass and of the aware one.
    fn check(features: Vec<Block>) {
        let head = Some(Head { hidden: vec![9], activation: Activation::Relu, dropout: 0.0 });
        let config = ModelConfig { features: Some(features), head, ..ModelConfig::default() };
        let shape = Shape { height: 18, width: 22, channels: 3 };
        let task = Task { input: shape, classes: 5, mean: [0.3, 0.5, 0.6], std: [0.2, 0.3, 0.1] };
        let device = Device::flex();
        let mut net = Net::new(&config, task, 4, &device).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let images: Vec<Vec<u8>> = (0..24).map(|_| (0..shape.len()).map(|_| rng.random()).collect()).collect();
        let inputs: Vec<Vec<i8>> = images.iter().map(|image| pixels_to_input(image)).collect();

        let graph = net.graph();
        let ranges = calibrate(&graph, &inputs, Method::MinMax).unwrap();
        let model = quantise(&graph, &ranges, 1.0).unwrap();
        let (scale, zero) = (model.logits.scale, f32::from(model.logits.zero_point));
        let blob = emit(&model, &description(&[])).unwrap().blob;
        let int8 = infer_all(&Model::parse(&blob).unwrap(), inputs.par_iter());
        let int8: Vec<f32> = int8.iter().flat_map(|output| &output.logits).map(|&q| f32::from(q) - zero).collect();

        let planes = crate::training::planes(images.len(), shape, |index| &images[index]);
        let pixels = TensorData::new(planes, [images.len(), shape.channels, shape.height, shape.width]);
        let distance = |net: &Net| {
            let logits = net.forward(Tensor::from_data(pixels.clone(), &device), None);
            let logits: Vec<f32> = logits.into_data().try_to_vec().unwrap();
            let sum: f32 = logits.iter().zip(&int8).map(|(logit, int8)| (logit / scale - int8).abs()).sum();
            sum / int8.len() as f32
        };
        let float = distance(&net);
        net.quantise_aware(&node_quantisations(&graph, &ranges).unwrap()).unwrap();
        let aware = distance(&net);
        assert!(float > 0.3 && aware < 0.3 * float, "{float} and {aware} steps of the logits on the mean");
    }
}
