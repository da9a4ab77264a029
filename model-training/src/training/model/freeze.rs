//! Layers by name, and those that training leaves alone.

use anyhow::{Result, bail};
use burn::module::Module;

use super::Net;
use super::blocks::Conv;

impl Net {
    /// Convolutions with their names, as in the graph: `features.2.conv1`.
    pub(super) fn convolutions(&mut self) -> impl Iterator<Item = (String, &mut Conv)> {
        self.features.iter_mut().enumerate().flat_map(|(index, layer)| {
            let names = layer.unit_names();
            layer.units.iter_mut().zip(names).map(move |(unit, name)| (format!("features.{index}.{name}"), unit))
        })
    }

    /// Keeps the weights of the layers named, and of those below a name: `features.0` stands for `features.0.conv`,
    /// `head` for all its layers. A frozen layer's batch-norm uses its running statistics.
    ///
    /// # Errors
    /// When a name stands for no layer.
    pub fn freeze_layers(&mut self, names: &[String]) -> Result<()> {
        let mut used = vec![false; names.len()];
        let mut all = Vec::new();
        let mut frozen = |layer: String| {
            let below = |name: &String| {
                layer.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            let matches: Vec<bool> = names.iter().map(below).collect();
            used.iter_mut().zip(&matches).for_each(|(used, matches)| *used |= matches);
            all.push(layer);
            matches.contains(&true)
        };
        for (name, unit) in self.convolutions() {
            if frozen(name) {
                *unit = unit.clone().freeze();
            }
        }
        for (index, dense) in self.head.iter_mut().enumerate() {
            if frozen(format!("head.{index}")) {
                *dense = dense.clone().freeze();
            }
        }
        if let Some(unused) = used.iter().position(|used| !used) {
            bail!("train.frozen names {}, which is no layer: the network has {}", names[unused], all.join(", "));
        }
        Ok(())
    }

    /// Whether no layer learns.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        let mut convolutions = self.features.iter().flat_map(|layer| &layer.units);
        let learns = convolutions.any(|unit| unit.weight.val().is_require_grad());
        !learns && !self.head.iter().any(|dense| dense.weight.val().is_require_grad())
    }

    /// Makes batch-norm use its running statistics, and keep them, in training too; its scale and offset go on
    /// learning.
    pub fn freeze_batch_norm(&mut self) {
        for (_, unit) in self.convolutions() {
            if let Some(norm) = &mut unit.norm {
                norm.training = norm.training.clone().with_value(false);
            }
        }
    }
}
