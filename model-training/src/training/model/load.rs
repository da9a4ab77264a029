//! Weights from elsewhere in place of the initial ones.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use burn::module::{Param, RunningState};
use burn::tensor::{Device, Tensor, TensorData};

use super::Net;
use super::blocks::{Conv, Dense};
use super::export::{to_vec, values};
use super::initialiser::param;
use crate::config::Block;
use crate::system::terminal::escaped;
use crate::training::pretrained::{LayerWeights, Offset, Pretrained};

/// What became of a network's layers.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Names of those that the file does not have.
    pub new: Vec<String>,
    /// Names of those with a batch-norm that only adds a bias, since the file has none:
    /// [`set_statistics`](Net::set_statistics) gives it statistics.
    pub folded: Vec<String>,
}

impl Net {
    /// Takes over all layers that a file has, and of a run's output layer the rows of the classes that are the same. `classes` are
    /// those of this network.
    ///
    /// # Errors
    /// When a layer does not fit, or the file has none of the convolutions.
    pub fn load_pretrained(&mut self, pretrained: &Pretrained, classes: &[String]) -> Result<Loaded> {
        let device = self.device();
        let (mut new, mut folded, mut loaded) = (Vec::new(), Vec::new(), 0);
        let flat = self.flat.height * self.flat.width == 1;
        for (index, (name, unit)) in self.convolutions().enumerate() {
            match pretrained.convolution(&name, index)? {
                Some(weights) => {
                    let adds = unit.norm.is_some() && matches!(weights.offset, Offset::Bias(_));
                    set_convolution(unit, weights, &device).with_context(|| pretrained.unfit(&name))?;
                    loaded += 1;
                    folded.extend(adds.then_some(name));
                }
                None => new.push(name),
            }
        }
        ensure!(loaded > 0, "{}", pretrained.unfit("the whole network"));
        let last = self.head.len() - 1;
        for (index, dense) in self.head.iter_mut().enumerate() {
            let name = format!("head.{index}");
            let Some(mut weights) = pretrained.dense(&name)? else {
                new.push(name);
                continue;
            };
            let theirs = pretrained.classes();
            if let Some(theirs) = theirs.filter(|_| index == last) {
                let rows = rows(dense, weights, theirs, classes).with_context(|| pretrained.unfit(&name))?;
                weights = rows.0;
                new.extend(rows.1.into_iter().map(|class| format!("{name} of the class {}", escaped(class))));
            }
            let is_ordered = theirs.is_some() || index > 0 || flat;
            set_dense(dense, weights, is_ordered).with_context(|| pretrained.unfit(&name))?;
        }
        Ok(Loaded { new, folded })
    }

    /// All layers by name, for another network to [start from](Self::load_pretrained).
    #[must_use]
    pub fn layers(&mut self) -> BTreeMap<String, LayerWeights> {
        let mut layers: BTreeMap<String, LayerWeights> =
            self.convolutions().map(|(name, unit)| (name, convolution(unit))).collect();
        layers.extend(self.head.iter().enumerate().map(|(index, dense)| (format!("head.{index}"), weights(dense))));
        layers
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

fn convolution(unit: &Conv) -> LayerWeights {
    let offset = match (&unit.norm, &unit.bias) {
        (Some(norm), _) => Offset::Norm {
            scale: values(&norm.gamma),
            offset: values(&norm.beta),
            mean: to_vec(norm.running_mean.value_sync()),
            variance: to_vec(norm.running_var.value_sync()),
        },
        (None, Some(bias)) => Offset::Bias(values(bias)),
        (None, None) => Offset::Bias(vec![0.0; unit.weight.dims()[0]]),
    };
    LayerWeights { shape: unit.weight.dims().to_vec(), values: values(&unit.weight), offset }
}

fn weights(dense: &Dense) -> LayerWeights {
    let [inputs, outputs] = dense.weight.dims();
    let values_by_output = to_vec(dense.weight.val().transpose());
    LayerWeights { shape: vec![outputs, inputs], values: values_by_output, offset: Offset::Bias(values(&dense.bias)) }
}

/// An output layer for `ours` with the rows that `weights` has for `theirs`, and its own for other classes, which are named.
fn rows<'a>(
    own: &Dense,
    weights: LayerWeights,
    theirs: &[String],
    ours: &'a [String],
) -> Result<(LayerWeights, Vec<&'a str>)> {
    let mut layer = self::weights(own);
    let [outputs, inputs] = layer.shape[..] else { bail!("it has {} sides instead of 2", layer.shape.len()) };
    let fits = outputs == ours.len() && weights.shape == [theirs.len(), inputs];
    ensure!(fits, "its weights are {:?}, and the network's are [{outputs}, {inputs}]", weights.shape);
    let (Offset::Bias(from), Offset::Bias(into)) = (&weights.offset, &mut layer.offset) else {
        bail!("it has a batch-norm, which a dense layer has not")
    };
    let mut new = Vec::new();
    for (row, class) in ours.iter().enumerate() {
        let Some(their) = theirs.iter().position(|name| name == class) else {
            new.push(class.as_str());
            continue;
        };
        layer.values[row * inputs..][..inputs].copy_from_slice(&weights.values[their * inputs..][..inputs]);
        into[row] = from[their];
    }
    Ok((layer, new))
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
