//! The optimisers and what they do to which parameter.

use anyhow::Result;
use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer};
use burn::tensor::Bytes;

use crate::config::{OptimizerKind, TrainConfig};

/// Paths of parameters that AdamW's weight decay leaves out: biases and batch-norm's scale and offset.
const WITHOUT_DECAY: &str = r"\.(bias|gamma|beta)$";

/// An optimiser before its first step.
pub(super) fn optimizer(config: &TrainConfig) -> ModuleOptimizer {
    let decay = config.weight_decay;
    match config.optimizer {
        OptimizerKind::Adam => AdamConfig::new()
            .with_epsilon(config.epsilon)
            .with_weight_decay((decay > 0.0).then(|| WeightDecayConfig::new(decay)))
            .init(),
        OptimizerKind::AdamW => {
            let with_decay = |decay| AdamWConfig::new().with_epsilon(config.epsilon).with_weight_decay(decay).build();
            let others = ParamGroup::from_regex(WITHOUT_DECAY).expect("the pattern is valid");
            ModuleOptimizer::from(with_decay(decay)).with_group(others, with_decay(0.0), None)
        }
    }
}

/// An optimiser with the state that a checkpoint holds.
pub(super) fn restored(config: &TrainConfig, state: Vec<u8>) -> Result<ModuleOptimizer> {
    Ok(optimizer(config).from_bytes(Bytes::from_bytes_vec(state))?)
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor, TensorData};
    use model_compiler::graph::{FloatOp, Shape};

    use super::*;
    use crate::config::ModelConfig;
    use crate::training::model::{Net, Task};

    /// Weight and bias of the first class after two steps on the gradients 0.5 and -1 at a learning rate of 0.1, from
    /// 1.
    fn two_steps(config: &TrainConfig) -> [f32; 2] {
        let device = Device::flex().autodiff();
        let input = Shape { height: 1, width: 1, channels: 1 };
        let task = Task { input, classes: 2, mean: [128.0 / 255.0; 3], std: [1.0 / 255.0; 3] };
        let model = ModelConfig { features: Some(Vec::new()), ..ModelConfig::default() };
        let mut net = Net::new(&model, task, 0, &device).unwrap();
        net.set_head(vec![1.0; 2], vec![1.0; 2]).unwrap();
        let mut optimizer = optimizer(config);
        for slope in [0.5f32, -1.0] {
            // A pixel of 129 is an input of 1, so weights and biases have the same gradient.
            let pixel = Tensor::from_data(TensorData::new(vec![1.0f32], [1, 1, 1, 1]), &device);
            let loss = (net.forward(pixel, None) * slope).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimizer.step(0.1, net, gradients);
            optimizer = restored(config, optimizer.into_bytes().unwrap().to_vec()).unwrap();
        }
        let graph = net.valid().graph();
        let FloatOp::Dense { weights, bias, .. } = &graph.nodes.last().unwrap().op else { panic!("a dense layer") };
        // The graph's weights read pixels less 128.
        [weights[0], bias[0]]
    }

    #[test]
    fn adamw_shrinks_weights_apart_from_the_gradient_and_leaves_biases() {
        let config = TrainConfig { optimizer: OptimizerKind::AdamW, weight_decay: 0.5, ..TrainConfig::default() };
        let [weight, bias] = two_steps(&config);
        // m = 0.05, then -0.055; v = 0.00025, then 0.00124975; with bias correction steps of 0.1 · 1 and 0.1 ·
        // -0.366101.
        let second = 0.1 * (0.055 / 0.19) / (0.001_249_75f32 / 0.001_999).sqrt();
        assert!((bias - (1.0 - 0.1 + second)).abs() < 1e-5, "{bias}");
        assert!((weight - ((1.0 * 0.95 - 0.1) * 0.95 + second)).abs() < 1e-5, "{weight}");
    }

    #[test]
    fn adam_adds_the_penalty_to_every_gradient() {
        let [weight, bias] = two_steps(&TrainConfig { weight_decay: 0.5, ..TrainConfig::default() });
        assert_eq!(weight, bias);
        // Gradients 0.5 + 0.5 · 1 and -1 + 0.5 · 0.9: m = 0.1, then 0.035; v = 0.001, then 0.0013015.
        let expected = 1.0 - 0.1 - 0.1 * (0.035 / 0.19) / (0.001_301_5f32 / 0.001_999).sqrt();
        assert!((weight - expected).abs() < 1e-5, "{weight} {expected}");
    }
}
