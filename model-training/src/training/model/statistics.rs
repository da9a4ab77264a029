//! Statistics for batch-norms of layers whose weights come from a file that has none, batch-norm folded into them.

use burn::module::RunningState;
use burn::tensor::{Tensor, TensorData};
use model_compiler::graph::{Clamp, FloatOp, Graph, Node};
use rayon::prelude::*;

use super::Net;
use super::export::values;
use super::initialiser::param;

/// Sums and sums of squares of each channel, and how many numbers are in each sum.
#[derive(Clone, Default)]
struct Moments {
    sums: Vec<[f64; 2]>,
    count: usize,
}

impl Net {
    /// Gives the batch-norms of the layers named, which only add a bias, the means and variances of what they read on some images
    /// (`pixel − 128`), and scales and offsets with which they compute what they did. Training normalises by each batch's own
    /// statistics: with these it starts from the features that the file has, and not from others.
    pub fn set_statistics(&mut self, names: &[String], images: &[Vec<i8>]) {
        let (moments, device) = (moments(&self.graph(), names, images), self.device());
        for (name, unit) in self.convolutions() {
            let found = names.iter().position(|other| *other == name).and_then(|at| moments.get(at));
            let (Some(norm), Some(Moments { sums, count })) = (&mut unit.norm, found) else { continue };
            let means: Vec<f64> = sums.iter().map(|[sum, _]| sum / *count as f64).collect();
            let variance = |([_, squares], mean): (&[f64; 2], &f64)| (squares / *count as f64 - mean * mean).max(0.0);
            let variances: Vec<f64> = sums.iter().zip(&means).map(variance).collect();
            // The moments are those of the sums with the bias.
            let biases = values(&norm.beta);
            let read = means.iter().zip(biases).map(|(mean, bias)| (mean - f64::from(bias)) as f32).collect();
            let state = |values: Vec<f32>| {
                let len = values.len();
                RunningState::new(Tensor::from_data(TensorData::new(values, [len]), &device))
            };
            norm.gamma =
                param(variances.iter().map(|&variance| (variance + norm.epsilon).sqrt() as f32).collect(), &device);
            norm.beta = param(means.iter().map(|&mean| mean as f32).collect(), &device);
            norm.running_mean = state(read);
            norm.running_var = state(variances.iter().map(|&variance| variance as f32).collect());
        }
    }
}

/// Of what the layers named make before their clamps, in the order of the names; without numbers for those that the graph lacks.
fn moments(graph: &Graph, names: &[String], images: &[Vec<i8>]) -> Vec<Moments> {
    let nodes: Vec<Option<Node>> = names.iter().map(|name| unclamped(graph, name)).collect();
    let of_image = |image: &Vec<i8>| -> Vec<Vec<[f64; 2]>> {
        let tensors = graph.run(image);
        let sums =
            |node: &Option<Node>| node.as_ref().map_or_else(Vec::new, |node| sums(node, &graph.output(node, &tensors)));
        nodes.iter().map(sums).collect()
    };
    let all: Vec<Vec<Vec<[f64; 2]>>> = images.par_iter().map(of_image).collect();
    let mut moments = vec![Moments::default(); names.len()];
    // In the order of the images, so that the number of threads changes nothing.
    for of_layers in &all {
        for ((moments, node), sums) in moments.iter_mut().zip(&nodes).zip(of_layers) {
            moments.sums.resize(sums.len(), [0.0; 2]);
            for (all, new) in moments.sums.iter_mut().zip(sums) {
                *all = [all[0] + new[0], all[1] + new[1]];
            }
            moments.count += node.as_ref().map_or(0, |node| node.output.height * node.output.width);
        }
    }
    moments
}

/// A node of the graph without its clamp.
fn unclamped(graph: &Graph, name: &str) -> Option<Node> {
    let mut node = graph.nodes.iter().find(|node| node.name == name)?.clone();
    if let FloatOp::Conv2d { clamp, .. } | FloatOp::DepthwiseConv2d { clamp, .. } = &mut node.op {
        *clamp = Clamp::None;
    }
    Some(node)
}

fn sums(node: &Node, made: &[f32]) -> Vec<[f64; 2]> {
    let mut sums = vec![[0.0; 2]; node.output.channels];
    for pixel in made.chunks_exact(node.output.channels) {
        for (sums, &value) in sums.iter_mut().zip(pixel) {
            let value = f64::from(value);
            *sums = [sums[0] + value, sums[1] + value * value];
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Device;
    use model_compiler::graph::{Shape, pixels_to_input};

    use super::*;
    use crate::config::{Block, Config};
    use crate::training::batch::pixels;
    use crate::training::model::Task;
    use crate::training::pretrained::{LayerWeights, Offset};

    const SHAPE: Shape = Shape { height: 9, width: 10, channels: 1 };
    const IMAGES: usize = 8;

    fn image(index: usize) -> Vec<u8> {
        (0..SHAPE.len()).map(|at| ((at * (31 + 2 * index) + 17 * index) % 256) as u8).collect()
    }

    /// How far apart the scores are by the batch's own statistics, as in training, and by those that are kept, as afterwards.
    fn apart(net: &Net) -> f32 {
        let scores = |net: &Net| {
            let input = pixels(IMAGES, SHAPE, &net.device(), image);
            net.forward(input, None).into_data().try_to_vec::<f32>().unwrap()
        };
        let (training, after) = (scores(net), scores(&net.valid()));
        training.iter().zip(&after).fold(0.0, |largest: f32, (one, other)| largest.max((one - other).abs()))
    }

    #[test]
    fn training_starts_from_the_features_of_the_file() {
        let mut config = Config::default();
        let conv = r#"{ "type": "conv", "channels": 6, "kernel": 3, "padding": "valid" }"#;
        config.model.features = Some(vec![serde_json::from_str(conv).unwrap(), Block::GlobalAveragePool]);
        config.model.head = Some(Default::default());
        let task = Task { input: SHAPE, classes: 2, mean: [0.4; 3], std: [0.3; 3] };
        let net = || {
            let mut net = Net::new(&config.model, task, 1, &Device::flex().autodiff()).unwrap();
            // Of other means and variances than those of identity.
            let values = (0..54).map(|at| (at as f32 * 0.7).sin() * (1.0 + (at / 9) as f32)).collect();
            let offset = Offset::Bias((0..6).map(|at| at as f32 - 2.0).collect());
            net.set_first_convolution(LayerWeights { shape: vec![6, 1, 3, 3], values, offset }).unwrap();
            net
        };
        // This one's statistics follow the batch's.
        let before = apart(&net());
        let mut net = net();
        let graph = net.graph();

        let images: Vec<Vec<i8>> = (0..IMAGES).map(|index| pixels_to_input(&image(index))).collect();
        net.set_statistics(&["features.0.conv".to_owned()], &images);
        for image in &images {
            for (one, other) in graph.logits(image).iter().zip(net.graph().logits(image)) {
                assert!((one - other).abs() < 1e-3, "the network computes what it did: {one} and {other}");
            }
        }
        let after = apart(&net);
        assert!(before > 0.2 && after < 0.01 * before, "{before} before, {after} after");
    }
}
