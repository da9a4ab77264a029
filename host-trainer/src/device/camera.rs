//! A board whose frames are seen one after the other, beside the model that it runs on this machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use model_compiler::graph::Graph;
use model_training::measure::evaluate::{class_names, float_classes};
use no_std_device::link::{Shape, Shown};
use no_std_infer::Model;

use super::{Agreement, Device, Seen, Twin, frame_len};
use crate::collect::Thumbnail;
use crate::collect::rules::Candidate;

/// How long a frame is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A board whose frames are seen one after the other.
pub struct Camera<'m> {
    device: Device,
    model: Option<Model<'m>>,
    twin: Option<Twin<'m>>,
    labels: Vec<String>,
    /// Number of the last frame.
    last: u32,
}

/// A frame that has been seen.
#[derive(Clone, Debug)]
pub struct Shot {
    /// What the board made of it.
    pub seen: Seen,
    /// As the camera gave it.
    pub bytes: Vec<u8>,
    /// Whether this machine makes the same of it, where it has the model.
    pub agreement: Option<Agreement>,
    /// How long it took to come here.
    pub took: Duration,
}

impl Shot {
    /// What its pixels are.
    ///
    /// # Errors
    /// When the camera keeps no frames.
    pub fn shape(&self) -> Result<Shape> {
        self.seen.shape.context("the board's camera keeps no frames, so that none can be saved")
    }

    /// The frame, reduced, by which frames are compared.
    ///
    /// # Errors
    /// When the camera keeps no frames, or the bytes are none.
    pub fn thumbnail(&self) -> Result<Thumbnail> {
        Thumbnail::new(&self.shape()?, &self.bytes)
    }
}

impl<'m> Camera<'m> {
    /// The camera of a device; `model` is what that runs, where it is here as well.
    #[must_use]
    pub fn new(device: Device, model: Option<Model<'m>>) -> Self {
        let labels = model.as_ref().map(class_names).unwrap_or_default();
        Self { device, twin: model.map(Twin::new), model, labels, last: 0 }
    }

    /// The next frame; `progress` is told how many of how many bytes of it have come.
    ///
    /// # Errors
    /// Those of [`Device::see`] and [`Twin::compare`].
    pub fn next(&mut self, mut progress: impl FnMut(usize, usize)) -> Result<Shot> {
        let start = Instant::now();
        let len = self.device.description().camera.as_ref().map(frame_len).transpose()?.unwrap_or_default();
        let (seen, bytes) = self.device.see(self.last, PATIENCE, |done| progress(done, len))?;
        let agreement = self.twin.as_mut().map(|twin| twin.compare(&seen, &bytes)).transpose()?;
        self.last = seen.sequence;
        Ok(Shot { seen, bytes, agreement, took: start.elapsed() })
    }

    /// The next frame with the network's input in place of its bytes: fewer, for slow links. What is compared is the network, and not
    /// how its input was made.
    ///
    /// # Errors
    /// Those of [`Device::see_as`] and [`Twin::compare_input`].
    pub fn next_input(&mut self) -> Result<Shot> {
        let start = Instant::now();
        let (seen, bytes) = self.device.see_as(Shown::Input, self.last, PATIENCE, |_| ())?;
        let agreement = self.twin.as_mut().map(|twin| twin.compare_input(&seen, &bytes)).transpose()?;
        self.last = seen.sequence;
        Ok(Shot { seen, bytes, agreement, took: start.elapsed() })
    }

    /// What a rule is told of a frame that differs by `distance` from those that were saved; `graph` is the float network, where the
    /// rule asks for it.
    ///
    /// # Errors
    /// When the camera keeps no frames, or the bytes are none.
    pub fn candidate(&mut self, shot: &Shot, distance: f32, graph: Option<&Graph>) -> Result<Candidate> {
        let classes = match (&mut self.twin, graph) {
            (Some(twin), Some(graph)) => {
                let input = twin.input(&shot.shape()?, &shot.bytes)?.to_vec();
                let float = float_classes(&[graph.logits(&input)]);
                Some([shot.seen.result.class, float[0]])
            }
            _ => None,
        };
        Ok(Candidate { probability: shot.seen.probability, sure: shot.seen.sure, distance, classes })
    }

    /// A class by its name, or its number where the model is not known.
    #[must_use]
    pub fn name(&self, class: usize) -> String {
        self.labels.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
    }

    /// The classes' names; none where the model is not known.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The model, where it is known.
    #[must_use]
    pub fn model(&self) -> Option<&Model<'m>> {
        self.model.as_ref()
    }

    /// The model on this machine, where it is known.
    pub fn twin(&mut self) -> Option<&mut Twin<'m>> {
        self.twin.as_mut()
    }

    /// The board.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The board, which is watched no longer.
    #[must_use]
    pub fn into_device(self) -> Device {
        self.device
    }
}
