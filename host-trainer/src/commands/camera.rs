//! What `watch` and `collect` have in common: a board whose camera is seen, and the model on this machine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use indicatif::ProgressBar;
use model_compiler::aligned::Aligned;
use model_compiler::graph::Graph;
use no_std_infer::Model;

use super::arguments::CostArgs;
use crate::collect::health::{self, Trouble, diagnose};
use crate::data::progress;
use crate::device::{Agreement, Device, Film, Link, Patience, Seen, Twin, frame_len};
use crate::measure::evaluate::{class_names, input_config, parse, read_blob};
use crate::run::folder::RunDir;

/// How long a frame is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A frame that takes longer shows how far it has come.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct CameraArgs {
    /// The board: `serial:PORT` or `serial:PORT@BAUD`, as `ports` lists them, or `qemu:FILE`, an emulated board whose flash is a
    /// file and whose camera plays `--frames`.
    #[arg(long)]
    link: Link,
    /// Folder of pictures that the emulated camera plays, again and again.
    #[arg(long, value_name = "DIR")]
    frames: Option<PathBuf>,
    /// Width and height of the emulated camera's frames.
    #[arg(long, value_name = "WxH", default_value = "320x240", value_parser = sides, requires = "frames")]
    size: [u16; 2],
    /// The model that the board runs, a blob or the folder that `train` made: this machine computes each frame as well, and names
    /// classes by its labels.
    #[arg(long, value_name = "RUN|BLOB")]
    model: Option<PathBuf>,
    #[command(flatten)]
    cost: CostArgs,
}

fn sides(text: &str) -> Result<[u16; 2]> {
    let (width, height) = text.split_once('x').context("width and height are two numbers, as in 320x240")?;
    let sides = [width.parse()?, height.parse()?];
    ensure!(!sides.contains(&0), "a frame has pixels");
    Ok(sides)
}

/// The model's file and, where it is a run, its float network.
pub(super) struct Given {
    path: PathBuf,
    blob: Aligned<u8>,
    /// `None` where there is no such network.
    pub(super) graph: Option<Graph>,
}

impl Given {
    fn read(path: &Path) -> Result<Self> {
        let (run, path) = RunDir::or_blob(path);
        Ok(Self { blob: read_blob(&path)?, graph: run.map(|run| run.graph()).transpose()?, path })
    }
}

impl CameraArgs {
    /// The model, where one is given.
    pub(super) fn given(&self) -> Result<Option<Given>> {
        self.model.as_deref().map(Given::read).transpose()
    }

    /// Greets the board, which must run the model that is given.
    pub(super) fn open<'m>(&self, given: Option<&'m Given>) -> Result<Camera<'m>> {
        let model = given.map(|given| parse(&given.blob, &given.path)).transpose()?;
        let film = self.frames.as_deref().map(|folder| Film::of_folder(folder, self.size)).transpose()?;
        let device = Device::open(self.link.camera(film)?, Patience::default())?;
        if let (Some(given), Some(model)) = (given, &model) {
            self.cost.check(model)?;
            input_config(model, &given.path)?;
            device.expect(&given.blob)?;
        }
        let labels = model.as_ref().map(class_names).unwrap_or_default();
        Ok(Camera { device, twin: model.map(Twin::new), model, labels, last: 0, judged: Some(Vec::new()) })
    }
}

/// A board whose frames are seen one after the other.
pub(super) struct Camera<'m> {
    pub(super) device: Device,
    pub(super) twin: Option<Twin<'m>>,
    pub(super) model: Option<Model<'m>>,
    labels: Vec<String>,
    /// Number of the last frame.
    last: u32,
    /// Frames until they are judged.
    judged: Option<Vec<Vec<u8>>>,
}

/// A frame that has been seen.
pub(super) struct Shot {
    pub(super) seen: Seen,
    /// As the camera gave it.
    pub(super) bytes: Vec<u8>,
    /// Whether this machine makes the same of it, where it has the model.
    pub(super) agreement: Option<Agreement>,
    /// How long it took to come here.
    pub(super) took: Duration,
}

impl Camera<'_> {
    /// The next frame; says once what is wrong with the first ones.
    pub(super) fn next(&mut self) -> Result<Shot> {
        let start = Instant::now();
        let len = self.device.description().camera.as_ref().map(frame_len).transpose()?.unwrap_or_default();
        let mut bar = None;
        let (seen, bytes) = self.device.see(self.last, PATIENCE, |done| {
            if start.elapsed() > SLOW {
                bar.get_or_insert_with(|| progress::bar(len, "bytes of a frame")).set_position(done as u64);
            }
        })?;
        bar.iter().for_each(ProgressBar::finish_and_clear);
        let agreement = self.twin.as_mut().map(|twin| twin.compare(&seen, &bytes)).transpose()?;
        self.last = seen.sequence;
        let shot = Shot { seen, bytes, agreement, took: start.elapsed() };
        for trouble in self.judge(&shot)? {
            let sure = if trouble.is_guess() { "a guess: " } else { "" };
            tracing::warn!("{sure}{trouble}");
        }
        Ok(shot)
    }

    /// What is wrong with the first frames, once there are enough.
    fn judge(&mut self, shot: &Shot) -> Result<Vec<Trouble>> {
        let (Some(frames), Some(shape)) = (&mut self.judged, shot.seen.shape) else { return Ok(Vec::new()) };
        frames.push(shot.bytes.clone());
        if frames.len() < health::FRAMES {
            return Ok(Vec::new());
        }
        let frames = self.judged.take().unwrap_or_default();
        diagnose(&shape, &frames)
    }

    /// A class by its name, or its number where the model is not given.
    pub(super) fn name(&self, class: usize) -> String {
        self.labels.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
    }
}
