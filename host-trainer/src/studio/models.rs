//! The models that are here, known by their blobs.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use model_compiler::layout::stripes::Layers;
use model_training::run::known::Known;
use no_std_device::link::Identity;
use no_std_infer::Model;

use super::lock;
use crate::device::identity;

/// A model, and what tells it from others.
pub(super) struct Entry {
    pub known: Known,
    pub identity: Identity,
}

/// All of them, in the order in which they came.
pub(super) struct Models(Mutex<Vec<Arc<Entry>>>);

impl Models {
    /// Checks them.
    pub(super) fn new(known: Vec<Known>) -> Result<Self> {
        let models = Self(Mutex::default());
        for known in known {
            models.add(known)?;
        }
        Ok(models)
    }

    /// Takes one more; one whose blob is there already comes in its place.
    pub(super) fn add(&self, known: Known) -> Result<()> {
        known.model()?;
        let identity = identity(known.blob());
        let entry = Arc::new(Entry { known, identity });
        let mut models = lock(&self.0);
        match models.iter_mut().find(|other| other.identity == identity) {
            Some(same) => *same = entry,
            None => models.push(entry),
        }
        Ok(())
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        lock(&self.0).clone()
    }

    pub(super) fn get(&self, index: usize) -> Result<Arc<Entry>> {
        lock(&self.0).get(index).cloned().context("there is no such model any more: look at the list again")
    }

    /// The one of this blob.
    pub(super) fn of(&self, identity: &Identity) -> Option<Arc<Entry>> {
        lock(&self.0).iter().find(|entry| entry.identity == *identity).cloned()
    }
}

/// The layers of a model, by which a board's costs are told.
pub(super) struct Costs {
    layers: Layers,
    names: Vec<String>,
}

impl Costs {
    /// By the float network's names, or by what the layers do.
    pub(super) fn of(known: &Known, model: &Model<'_>) -> Result<Self> {
        let layers = Layers::of(known.blob(), model)?;
        let nodes = known.graph().map_or(&[][..], |graph| &graph.nodes);
        let whole = layers.whole(model);
        let name =
            |index: usize| nodes.get(index).map_or_else(|| whole[index].name().to_owned(), |node| node.name.clone());
        let names = (0..whole.len()).map(name).collect();
        Ok(Self { layers, names })
    }

    /// What each layer has cost, of what the operators have.
    pub(super) fn by_layer(&self, operators: &[u32]) -> Vec<(String, u64)> {
        let costs: Vec<u64> = operators.iter().map(|&cost| cost.into()).collect();
        self.names.iter().cloned().zip(self.layers.join(&costs, |whole, cost| *whole += cost)).collect()
    }
}
