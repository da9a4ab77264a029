//! A model that is here: a blob, or what a run has made.

use std::path::{Path, PathBuf};

use anyhow::Result;
use model_compiler::aligned::Aligned;
use model_compiler::graph::Graph;
use no_std_infer::Model;

use super::folder::RunDir;
use crate::measure::evaluate::{input_config, parse, read_blob};

/// A model's file and, where it is a run, its float network.
#[derive(Debug)]
pub struct Known {
    name: String,
    run: Option<RunDir>,
    path: PathBuf,
    blob: Aligned<u8>,
    graph: Option<Graph>,
}

impl Known {
    /// Reads a blob, or that of a run with its float network.
    ///
    /// # Errors
    /// When there is none, or the run has not ended.
    pub fn read(named: &Path) -> Result<Self> {
        let (run, path) = RunDir::or_blob(named);
        let name = if run.is_some() { named.file_name() } else { named.file_stem() };
        let name = name.map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
        let graph = run.as_ref().map(RunDir::graph).transpose()?;
        Ok(Self { name, run, blob: read_blob(&path)?, graph, path })
    }

    /// The run that it is of, where that was named.
    #[must_use]
    pub fn run(&self) -> Option<&Path> {
        self.run.as_ref().map(RunDir::path)
    }

    /// The model, which must read pictures.
    ///
    /// # Errors
    /// When the blob is none, or its model does something else.
    pub fn model(&self) -> Result<Model<'_>> {
        let model = parse(&self.blob, &self.path)?;
        input_config(&model, &self.path)?;
        Ok(model)
    }

    /// What a person calls it: the run's folder, or the blob's file without its ending.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The blob's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The blob.
    #[must_use]
    pub fn blob(&self) -> &Aligned<u8> {
        &self.blob
    }

    /// The float network, where it is known.
    #[must_use]
    pub fn graph(&self) -> Option<&Graph> {
        self.graph.as_ref()
    }
}
