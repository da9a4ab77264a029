//! Which layers a blob's operators belong to: the other direction of [`Program`].

use no_std_infer::Model;
use no_std_infer::format::{Op, Section, section};

use crate::layout::Error;
use crate::layout::program::Program;

/// Stands for no layer.
const NONE: u16 = u16::MAX;

/// The layer that each operator of a blob makes rows of, or none where it only moves rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers(Vec<Option<usize>>);

impl Layers {
    /// Those of a blob; where it says nothing, each operator is a layer.
    ///
    /// # Errors
    /// When the section has not an entry for each operator, or a layer is left out or not in order.
    pub fn of(blob: &[u8], model: &Model<'_>) -> Result<Self, Error> {
        let count = model.ops().count();
        let mut sections = Section::table(blob).into_iter().flatten();
        let Some(entry) = sections.find(|entry| entry.id == section::LAYERS) else {
            return Ok(Self((0..count).map(Some).collect()));
        };
        let (entries, rest) = entry.bytes(blob).unwrap_or_default().as_chunks();
        ensure!(entries.len() == count && rest.is_empty(), Error::Entries);
        let layer = |entry: &[u8; 2]| Some(u16::from_le_bytes(*entry)).filter(|&layer| layer != NONE).map(usize::from);
        let layers = Self(entries.iter().map(layer).collect());
        let all = (0..layers.count()).all(|layer| layers.0.contains(&Some(layer)));
        ensure!(all && layers.count() <= count, Error::LeftOut);
        Ok(layers)
    }

    /// The section's bytes for a program; `None` where each operator is a layer.
    #[must_use]
    pub fn section(program: &Program) -> Option<Vec<u8>> {
        let layers = || program.steps.iter().map(|step| step.layer);
        let entry = |layer: Option<usize>| layer.map_or(NONE, |layer| layer as u16).to_le_bytes();
        let whole = layers().eq((0..program.steps.len()).map(Some));
        (!whole).then(|| layers().flat_map(entry).collect())
    }

    /// How many layers there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().flatten().max().map_or(0, |last| last + 1)
    }

    /// The layer of operator `index`.
    #[must_use]
    pub fn layer(&self, index: usize) -> Option<usize> {
        self.0.get(index).copied().flatten()
    }

    /// The layer of each operator.
    #[must_use]
    pub fn of_operators(&self) -> &[Option<usize>] {
        &self.0
    }

    /// For each layer what `join` makes of what its operators have; what those have that only move rows is left out.
    pub fn join<T: Clone>(&self, values: &[T], join: impl Fn(&mut T, &T)) -> Vec<T> {
        let mut joined: Vec<Option<T>> = vec![None; self.count()];
        for (value, layer) in values.iter().zip(&self.0).filter_map(|(value, layer)| Some((value, (*layer)?))) {
            match &mut joined[layer] {
                Some(whole) => join(whole, value),
                slot => *slot = Some(value.clone()),
            }
        }
        joined.into_iter().flatten().collect()
    }

    /// The layers' outputs from those of the operators.
    #[must_use]
    pub fn outputs(&self, outputs: &[Vec<i8>]) -> Vec<Vec<i8>> {
        self.join(outputs, |whole, rows| whole.extend(rows))
    }

    /// The layers as operators: each the first of its own, with the height of all. Their inputs are the first stripe's.
    #[must_use]
    pub fn whole(&self, model: &Model<'_>) -> Vec<Op> {
        let ops: Vec<Op> = model.ops().collect();
        self.join(&ops, |whole, op| {
            let mut tensors = 1 + whole.inputs().count();
            whole.map_tensors(|tensor| {
                tensors -= 1;
                tensor.height += if tensors == 0 { op.output().height } else { 0 };
            });
        })
    }
}
