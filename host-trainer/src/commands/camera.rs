//! What `watch` and `collect` have in common: a board whose camera is seen, and the model on this machine.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use indicatif::ProgressBar;
use model_training::data::progress;
use model_training::run::known::Known;

use super::arguments::CostArgs;
use crate::collect::health::{self, diagnose};
use crate::device::{Camera, Device, Film, Link, Patience, Shot};

/// A frame that takes longer shows how far it has come.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct CameraArgs {
    /// The board: `serial:PORT` or `serial:PORT@BAUD`, as `ports` lists them, or `qemu:FILE`, an emulated board whose flash is a
    /// file and whose camera plays `--frames`.
    #[arg(long)]
    link: Link,
    #[command(flatten)]
    film: FilmArgs,
    /// The model that the board runs, a blob or the folder that `train` made: this machine computes each frame as well, and names
    /// classes by its labels.
    #[arg(long, value_name = "RUN|BLOB")]
    model: Option<PathBuf>,
    #[command(flatten)]
    cost: CostArgs,
}

/// What an emulated camera sees.
#[derive(Debug, Args)]
pub(super) struct FilmArgs {
    /// Folder of pictures that the emulated camera plays, again and again.
    #[arg(long, value_name = "DIR")]
    frames: Option<PathBuf>,
    /// Width and height of the emulated camera's frames.
    #[arg(long, value_name = "WxH", default_value = "320x240", value_parser = sides, requires = "frames")]
    size: [u16; 2],
}

impl FilmArgs {
    /// True where no camera plays frames.
    #[cfg(feature = "train")]
    pub(super) fn is_none(&self) -> bool {
        self.frames.is_none()
    }

    /// The pictures as frames, where there are any.
    pub(super) fn film(&self) -> Result<Option<Film>> {
        self.frames.as_deref().map(|folder| Film::of_folder(folder, self.size)).transpose()
    }
}

fn sides(text: &str) -> Result<[u16; 2]> {
    let (width, height) = text.split_once('x').context("width and height are two numbers, as in 320x240")?;
    let sides = [width.parse()?, height.parse()?];
    ensure!(!sides.contains(&0), "a frame has pixels");
    Ok(sides)
}

impl CameraArgs {
    /// The model, where one is given.
    pub(super) fn given(&self) -> Result<Option<Known>> {
        self.model.as_deref().map(Known::read).transpose()
    }

    /// Greets the board, which must run the model that is given.
    pub(super) fn open<'m>(&self, given: Option<&'m Known>) -> Result<Watched<'m>> {
        let model = given.map(Known::model).transpose()?;
        let device = Device::open(self.link.camera(self.film.film()?)?, Patience::default())?;
        if let (Some(given), Some(model)) = (given, &model) {
            self.cost.check(model)?;
            device.expect(given.blob())?;
        }
        Ok(Watched { camera: Camera::new(device, model), judged: Some(Vec::new()), complained: false })
    }
}

/// A camera that is watched in a terminal.
pub(super) struct Watched<'m> {
    pub(super) camera: Camera<'m>,
    /// Frames until they are judged.
    judged: Option<Vec<Vec<u8>>>,
    /// Whether lost frames were told.
    complained: bool,
}

impl Watched<'_> {
    /// The next frame; says once what is wrong with the first ones, and that some were lost.
    pub(super) fn next(&mut self) -> Result<Shot> {
        let (start, mut bar) = (Instant::now(), None);
        let shot = self.camera.next(|done, len| {
            if start.elapsed() > SLOW {
                bar.get_or_insert_with(|| progress::bar(len, "bytes of a frame")).set_position(done as u64);
            }
        })?;
        bar.iter().for_each(ProgressBar::finish_and_clear);
        self.judge(&shot)?;
        self.complain();
        Ok(shot)
    }

    /// The network's input of the next frame; says once that frames were lost.
    pub(super) fn next_input(&mut self) -> Result<Shot> {
        let shot = self.camera.next_input()?;
        self.complain();
        Ok(shot)
    }

    /// Says once that the camera loses frames.
    fn complain(&mut self) {
        if let Some(complaint) = self.camera.device().camera_complaint().filter(|_| !self.complained) {
            tracing::warn!("{complaint}");
            self.complained = true;
        }
    }

    /// Says what is wrong with the first frames, once there are enough.
    fn judge(&mut self, shot: &Shot) -> Result<()> {
        let (Some(frames), Some(shape)) = (&mut self.judged, shot.seen.shape) else { return Ok(()) };
        frames.push(shot.bytes.clone());
        if frames.len() < health::FRAMES {
            return Ok(());
        }
        let frames = self.judged.take().unwrap_or_default();
        for trouble in diagnose(&shape, &frames)? {
            let sure = if trouble.is_guess() { "a guess: " } else { "" };
            tracing::warn!("{sure}{trouble}");
        }
        Ok(())
    }
}
