//! An exponential moving average of a network's weights and statistics.

use anyhow::Result;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;

use super::record::load;
use crate::training::model::Net;

/// The average network; it has no autodiff.
pub(super) struct Average {
    decay: f64,
    net: Net,
}

impl Average {
    /// Starts with a network as it is.
    pub fn new(decay: f64, net: &Net) -> Self {
        Self { decay, net: net.valid() }
    }

    /// The average.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Adds the network of step `step`, counted from 0 over all epochs. Every value moves by `1 − decay` of its
    /// distance; the decay is at most (1 + step) / (10 + step), so that the first steps do not weigh on the average for
    /// long, as with
    /// `num_updates` of TensorFlow's `ExponentialMovingAverage`.
    pub fn update(&mut self, net: &Net, step: usize) {
        let decay = self.decay.min((1 + step) as f64 / (10 + step) as f64);
        let mut values = Values(TensorContainer::new());
        net.valid().visit(&mut values);
        self.net = self.net.clone().map(&mut Approach { values, share: 1.0 - decay });
    }

    /// Goes on from a record of the average network.
    pub fn restore(&mut self, record: Vec<u8>) -> Result<()> {
        self.net = load(self.net.clone(), record)?;
        Ok(())
    }
}

/// A network's values by parameter.
struct Values(TensorContainer<ParamId>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val());
    }
}

/// Moves each value by a share of its distance to the other network's.
struct Approach {
    values: Values,
    share: f64,
}

impl ModuleMapper for Approach {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value: Option<Tensor<D>> = self.values.0.remove(&param.id);
        let value = value.expect("both networks have the same parameters");
        param.map(|average| average.clone() + (value - average) * self.share)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use model_compiler::graph::{FloatOp, Shape};

    use super::super::record::save;
    use super::*;
    use crate::config::ModelConfig;
    use crate::training::model::Task;

    /// A network of one dense layer whose weights and biases are all `value`.
    fn net(value: f32) -> Net {
        let config = ModelConfig { features: Some(Vec::new()), ..ModelConfig::default() };
        let input = Shape { height: 1, width: 2, channels: 1 };
        let task = Task { input, classes: 2, mean: [0.0; 3], std: [1.0; 3] };
        let mut net = Net::new(&config, task, 0, &Device::flex().autodiff()).unwrap();
        net.set_head(vec![value; 4], vec![value; 2]).unwrap();
        net
    }

    /// The value of all parameters.
    fn value(net: &Net) -> f32 {
        let graph = net.graph();
        let FloatOp::Dense { bias, .. } = &graph.nodes.last().unwrap().op else { panic!("a dense layer") };
        assert_eq!(bias[0], bias[1]);
        bias[0]
    }

    /// `net` with the value.
    fn with(net: &Net, value: f32) -> Net {
        struct Set(f32);
        impl ModuleMapper for Set {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|tensor| tensor.full_like(self.0))
            }
        }
        net.clone().map(&mut Set(value))
    }

    #[test]
    fn averages_by_hand() {
        let first = net(1.0);
        let mut average = Average::new(0.5, &first);
        average.update(&with(&first, 2.0), 0);
        // The decay of step 0 is 1/10.
        assert!((value(average.net()) - 1.9).abs() < 1e-6);
        average.update(&with(&first, 1.0), 1);
        // 2/11 at step 1.
        let second = 1.0 + 0.9 * 2.0 / 11.0;
        assert!((value(average.net()) - second).abs() < 1e-6);
        average.update(&with(&first, 3.0), 100);
        assert!((value(average.net()) - (second + 3.0) / 2.0).abs() < 1e-6);
        assert_eq!(value(&first), 1.0);
    }

    #[test]
    fn a_saved_average_goes_on_with_the_same_bits() {
        let first = net(1.0);
        let mut average = Average::new(0.9, &first);
        average.update(&with(&first, 2.0), 50);
        let mut restored = Average::new(0.9, &first);
        restored.restore(save(average.net().clone()).unwrap()).unwrap();
        [&mut average, &mut restored].into_iter().for_each(|average| average.update(&with(&first, 3.3), 51));
        assert_eq!(average.net().graph(), restored.net().graph());
    }
}
