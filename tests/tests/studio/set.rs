//! A studio over devices in this process, and what lies around it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use host_trainer::device::{Opener, Transport};
use host_trainer::studio::{Options, Studio};
use model_compiler::aligned::Aligned;
use model_compiler::blob::with_calibration;
use model_training::data::dataset::Dataset;
use model_training::run::known::Known;
use no_std_infer::format::Calibration;
use serde_json::Value;
use tempfile::TempDir;
use tests::in_process::{FRAME, InProcess};
use tests::networks::noise;

/// How long something is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Another model than the one that is built in: it abstains now and then.
const CALIBRATION: Calibration = Calibration { threshold: 150, images: 40, coverage: 0.5, accuracy: 1.0 };

/// A studio over boards that run the shipped model, and what lies around it. The studio knows that model, a second one, and others
/// that a test names.
pub struct Set {
    pub studio: Studio,
    pub folder: TempDir,
    /// Requests that the boards still answer before they are gone; they come back as new ones.
    pub lives: Arc<AtomicI64>,
}

/// What stands between the host and a board.
pub type Between = fn(InProcess) -> Box<dyn Transport>;

/// A way to a device that goes away.
struct Mortal {
    inner: Box<dyn Transport>,
    lives: Arc<AtomicI64>,
}

impl Transport for Mortal {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        ensure!(self.lives.fetch_sub(1, Ordering::Relaxed) != 0, "the cable was pulled");
        self.inner.send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        self.inner.receive(buffer, patience)
    }
}

/// The shipped model.
pub fn shipped() -> Result<Aligned<u8>> {
    Ok(Aligned::copy_of(&fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob"))?))
}

/// Pictures of one brightness each, with a little noise.
pub fn frames(levels: &[u8]) -> Vec<Vec<u8>> {
    let (_, width, height) = FRAME;
    let len = 2 * usize::from(width) * usize::from(height);
    let frame = |(seed, &level): (usize, &u8)| {
        let speckled = |value: i8| level.saturating_add((value as u8) >> 6);
        noise(seed as u64, len).into_iter().map(speckled).collect()
    };
    levels.iter().enumerate().map(frame).collect()
}

impl Set {
    /// A board that sees these brightnesses.
    pub fn new(levels: &[u8]) -> Result<Self> {
        Self::over(vec![frames(levels)], &shipped()?, &[], |inner| Box::new(inner))
    }

    /// Boards that see these frames and have this model built in, each behind something.
    pub fn over(
        films: Vec<Vec<Vec<u8>>>,
        built_in: &Aligned<u8>,
        more: &[&Aligned<u8>],
        between: Between,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let other = with_calibration(built_in, &CALIBRATION)?;
        let names =
            ["first", "second"].map(str::to_owned).into_iter().chain((0..).map(|index| format!("model {index}")));
        let mut models = Vec::new();
        for (name, bytes) in names.zip([built_in, &other].into_iter().chain(more.iter().copied())) {
            let path = folder.path().join(name + ".blob");
            fs::write(&path, &**bytes)?;
            models.push(Known::read(&path)?);
        }
        Self::within(folder, films, built_in, models, between)
    }

    /// The same with these models, where everything lies in this folder.
    pub fn within(
        folder: TempDir,
        films: Vec<Vec<Vec<u8>>>,
        built_in: &Aligned<u8>,
        models: Vec<Known>,
        between: Between,
    ) -> Result<Self> {
        let lives = Arc::new(AtomicI64::new(-1));
        let board = |(index, frames): (usize, Vec<Vec<u8>>)| {
            let (of_board, built_in) = (Arc::clone(&lives), built_in.clone());
            let open: Opener = Box::new(move || {
                let inner = between(InProcess::start_with_camera(&built_in, frames.clone()));
                Ok(Box::new(Mortal { inner, lives: Arc::clone(&of_board) }))
            });
            (format!("board {index} in this process"), open)
        };
        let boards = films.into_iter().enumerate().map(board).collect();
        let studio = Studio::open(Options { boards, folder: folder.path().join("pictures"), models, teaching: None })?;
        Ok(Self { studio, folder, lives })
    }

    pub fn view(&self) -> Result<Value> {
        self.view_of(0)
    }

    /// What a page is told that shows this board.
    pub fn view_of(&self, board: usize) -> Result<Value> {
        Ok(serde_json::from_str(&self.studio.view(board, 0)?)?)
    }

    /// The first view of which something is true.
    pub fn until(&self, what: impl FnMut(&Value) -> bool) -> Result<Value> {
        self.until_of(0, what)
    }

    /// The same of another board.
    pub fn until_of(&self, board: usize, mut what: impl FnMut(&Value) -> bool) -> Result<Value> {
        let start = Instant::now();
        loop {
            let view = self.view_of(board)?;
            if what(&view) {
                return Ok(view);
            }
            ensure!(start.elapsed() < PATIENCE, "in vain: {}", without_pictures(view));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn act(&self, action: Value) -> Result<String> {
        Ok(self.studio.act(serde_json::from_value(action)?)?.said)
    }

    pub fn refusal(&self, action: Value) -> Result<String> {
        match self.act(action) {
            Ok(said) => bail!("it is not refused: {said}"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    /// The pictures that training would read, and their groups.
    pub fn pictures(&self) -> Result<BTreeMap<String, Option<String>>> {
        let folder = self.folder.path().join("pictures");
        let dataset = Dataset::list(&folder, Some(&folder.join("groups.csv")))?;
        let samples = dataset.train.into_iter().chain(dataset.valid).chain(dataset.test);
        Ok(samples.map(|sample| (sample.name, sample.group)).collect())
    }
}

pub fn without_pictures(mut view: Value) -> Value {
    if let Some(sight) = view["sight"].as_object_mut() {
        sight.remove("frame");
        sight.remove("input");
    }
    view
}

pub fn sequence(view: &Value) -> u64 {
    view["sight"]["number"].as_u64().unwrap_or_default()
}

pub fn count(view: &Value, class: &str) -> u64 {
    let classes = view["classes"].as_array().into_iter().flatten();
    classes.filter(|entry| entry[0] == class).filter_map(|entry| entry[1].as_u64()).sum()
}
