//! Weights from elsewhere in place of the initial ones.

use anyhow::{Context, Result, bail, ensure};
use burn::module::{Param, RunningState};
use burn::tensor::{Device, Tensor, TensorData};

use super::Net;
use super::blocks::{Conv, Dense, param};
use crate::config::Block;
use crate::training::pretrained::{LayerWeights, Offset, Pretrained};

impl Net {
    /// Takes over all layers that a file has; gives the names of the others.
    ///
    /// # Errors
    /// When a layer does not fit, or the file has none of the convolutions.
    pub fn load_pretrained(&mut self, pretrained: &Pretrained) -> Result<Vec<String>> {
        let device = self.device();
        let (mut new, mut loaded) = (Vec::new(), 0);
        let flat = self.flat.height * self.flat.width == 1;
        for (index, (name, unit)) in self.convolutions().enumerate() {
            match pretrained.convolution(&name, index)? {
                Some(weights) => {
                    set_convolution(unit, weights, &device).with_context(|| pretrained.unfit(&name))?;
                    loaded += 1;
                }
                None => new.push(name),
            }
        }
        ensure!(loaded > 0, "{}", pretrained.unfit("the whole network"));
        for (index, dense) in self.head.iter_mut().enumerate() {
            let name = format!("head.{index}");
            match pretrained.dense(&name)? {
                Some(weights) => {
                    set_dense(dense, weights, index > 0 || flat).with_context(|| pretrained.unfit(&name))?
                }
                None => new.push(name),
            }
        }
        Ok(new)
    }

    /// `[out][in][height][width]` of the weights of a convolution that alone reads the input; `None` where the network
    /// starts otherwise.
    #[must_use]
    pub fn first_convolution(&self) -> Option<[usize; 4]> {
        let first = self.features.first().filter(|first| matches!(first.block, Block::Conv { .. }))?;
        first.units.first().map(|unit| unit.weight.dims())
    }

    /// Replaces the weights of the first convolution.
    ///
    /// # Errors
    /// When they have another shape.
    pub fn set_first_convolution(&mut self, weights: LayerWeights) -> Result<()> {
        let device = self.device();
        let (_, unit) = self.convolutions().next().context("the network has no convolution")?;
        set_convolution(unit, weights, &device)
    }
}

fn set_convolution(unit: &mut Conv, weights: LayerWeights, device: &Device) -> Result<()> {
    let dims = unit.weight.dims();
    let LayerWeights { shape, mut values, offset } = weights;
    let [outputs, inputs, height, width] = shape[..] else { bail!("it has {} sides instead of 4", shape.len()) };
    let grey = inputs == 3 && dims[1] == 1 && !unit.depthwise;
    if grey {
        values = sum_colors(&values, height * width);
    }
    let found = [outputs, if grey { 1 } else { inputs }, height, width];
    ensure!(found == dims, "its weights are {found:?}, and the network's are {dims:?}");
    unit.weight = Param::from_data(TensorData::new(values, dims), device);
    match (offset, &mut unit.norm, &mut unit.bias) {
        (Offset::Norm { scale, offset, mean, variance }, Some(norm), _) => {
            (norm.gamma, norm.beta) = (param(scale, device), param(offset, device));
            let state = |values: Vec<f32>| {
                let len = values.len();
                RunningState::new(Tensor::from_data(TensorData::new(values, [len]), device))
            };
            (norm.running_mean, norm.running_var) = (state(mean), state(variance));
        }
        // A batch-norm that adds the bias and does nothing else.
        (Offset::Bias(bias), Some(norm), _) => {
            let variance = (1.0 - norm.epsilon) as f32;
            norm.running_var = RunningState::new(Tensor::full([outputs], variance, device));
            norm.beta = param(bias, device);
        }
        (Offset::Bias(bias), None, Some(own)) => *own = param(bias, device),
        _ => bail!("it has a batch-norm, and the network's layer has none: give the block `batch_norm = true`"),
    }
    Ok(())
}

/// `[out][colours][taps]` summed over three colours.
fn sum_colors(values: &[f32], taps: usize) -> Vec<f32> {
    let sums = |kernel: &[f32]| (0..taps).map(|tap| kernel[tap..].iter().step_by(taps).sum()).collect::<Vec<f32>>();
    values.chunks_exact(3 * taps).flat_map(sums).collect()
}

fn set_dense(dense: &mut Dense, weights: LayerWeights, flat: bool) -> Result<()> {
    let [inputs, outputs] = dense.weight.dims();
    ensure!(flat, "it reads a feature map of several pixels, whose order is not known");
    let fits = weights.shape.first() == Some(&outputs) && weights.values.len() == inputs * outputs;
    ensure!(fits, "its weights are {:?}, and the network's are [{outputs}, {inputs}]", weights.shape);
    let Offset::Bias(bias) = weights.offset else { bail!("it has a batch-norm, which a dense layer has not") };
    let transposed = (0..inputs * outputs).map(|at| weights.values[at % outputs * inputs + at / outputs]).collect();
    dense.set(transposed, bias);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_summed_tap_by_tap() {
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        assert_eq!(sum_colors(&values, 2), [0.0 + 2.0 + 4.0, 1.0 + 3.0 + 5.0, 6.0 + 8.0 + 10.0, 7.0 + 9.0 + 11.0]);
    }
}
