//! What the board sees: the frames of its camera, what it made of each, and whether this machine makes the same of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use model_compiler::aligned::Aligned;
use model_training::measure::evaluate::{Int8Output, infer};
use no_std_device::link::{CameraFaults, Failure, Look, Request, Response, Shape, Shown};
use no_std_device::load_frame;
use no_std_infer::Model;
use no_std_infer::format::Color;
use no_std_infer::image::{Frame, Geometry, PixelFormat};
use serde::Serialize;

use super::way::RETURNS_MAX;
use super::{Absences, Device, DeviceResult, other_answer};

/// Longest frame or input of a network that is read, in bytes: 1920x1080 RGB888 fits.
const FRAME_MAX: usize = 8 << 20;
/// An answer brings so many bytes at least, or a row of the frame, or the rest.
const PIECE_LEAST: usize = 64;
/// Requests that may bring less.
const SPARE_REQUESTS: u32 = 16;
/// How often a frame may be gone before it was read.
const LOSSES_MAX: u32 = 8;

/// A frame of the board's camera, and what the device made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its number since the device started.
    pub sequence: u32,
    /// What its pixels are; `None` where the camera keeps no frame, which then cannot be read.
    pub shape: Option<Shape>,
    /// The class that the device shows, smoothed over several frames where it does that.
    pub class: usize,
    /// The probability that goes with it, in 256ths.
    pub probability: u8,
    /// Whether that reaches the model's threshold.
    pub sure: bool,
    /// What this very frame gave, and what that cost.
    pub result: DeviceResult,
}

impl Seen {
    /// What a device says that is to have run this model.
    fn of(look: &Look<'_>, model: Option<[u8; 16]>) -> Result<Self> {
        let Look { sequence, shape, decision, inference } = look;
        Ok(Self {
            sequence: *sequence,
            shape: *shape,
            class: decision.class as usize,
            probability: decision.probability,
            sure: decision.sure,
            result: DeviceResult::of(inference, model)?,
        })
    }
}

/// Bytes of a frame whose rows follow each other without gaps.
///
/// # Errors
/// When there is no such frame, or it is longer than this program reads.
pub fn frame_len(shape: &Shape) -> Result<usize> {
    let Shape { format, width, height } = *shape;
    let geometry = Geometry::new(format, width.into(), height.into());
    let len = geometry.map(|geometry| geometry.row_len() * usize::from(height));
    let len = len.with_context(|| format!("the device says that its frames are {width}x{height} {format:?}"))?;
    ensure!(
        len <= FRAME_MAX,
        "the device says that its frames have {len} bytes; this program reads {FRAME_MAX} at most"
    );
    Ok(len)
}

impl Device {
    /// The latest frame other than the one of this number, where there is one; does not wait. The device keeps it until a later
    /// one is asked for, or nothing is for [`KEPT_SECONDS`](no_std_device::KEPT_SECONDS).
    ///
    /// # Errors
    /// When the device has no camera or does not answer, runs another model than it has said, or was lost and does not come back.
    pub fn look(&mut self, after: u32) -> Result<Option<Seen>> {
        let model = self.model();
        let (seen, faults) = self.ask_patiently(&Request::Look { after }, |answer| match answer {
            Response::Look { frame, faults } => Ok((frame.map(|look| Seen::of(&look, model)).transpose()?, faults)),
            _ => other_answer(),
        })?;
        self.camera_faults = faults;
        Ok(seen)
    }

    /// Frames that its camera had lost by the last [`look`](Self::look), since the device started.
    #[must_use]
    pub fn camera_faults(&self) -> CameraFaults {
        self.camera_faults
    }

    /// The same for a person, where any were lost.
    #[must_use]
    pub fn camera_complaint(&self) -> Option<String> {
        let faults = self.camera_faults;
        (faults != CameraFaults::default())
            .then(|| format!("of the frames that the camera should have given since the board started, {faults}"))
    }

    /// The next frame other than the one of this number: asks until there is one.
    ///
    /// # Errors
    /// Those of [`look`](Self::look), and when none comes within `patience` while the device is there.
    pub fn next_frame(&mut self, after: u32, patience: Duration) -> Result<Seen> {
        let (start, before) = (Instant::now(), self.absences);
        loop {
            if let Some(seen) = self.look(after)? {
                return Ok(seen);
            }
            let Absences { count, total } = self.absences;
            ensure!(count - before.count <= RETURNS_MAX, "the device goes and comes back again and again");
            let patience = patience + total - before.total;
            if start.elapsed() >= patience {
                let why = self.camera_complaint().map_or_else(String::new, |why| format!("; {why}"));
                bail!("the board's camera gives no frame: none came within {patience:?}{why}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The bytes of a frame that the device keeps, or of the input that the network was given; `progress` is told how many have
    /// come.
    ///
    /// # Errors
    /// [`Failure::Gone`] when the device does not keep it any more. Other errors when it keeps no frames at all, does not answer,
    /// or answers in a way that comes to no end.
    pub fn read(&mut self, seen: &Seen, what: Shown, mut progress: impl FnMut(usize)) -> Result<Vec<u8>> {
        let shape = seen.shape.context("the board's camera keeps no frames, so that none can be read")?;
        let len = match what {
            Shown::Frame => frame_len(&shape)?,
            Shown::Input => self.description.model.context("the device runs no model")?.input_len as usize,
        };
        ensure!(len <= FRAME_MAX, "the device says that its network reads {len} bytes");
        let requests = (len / PIECE_LEAST) as u32 + u32::from(shape.height) + SPARE_REQUESTS;
        let mut allowance = self.conversation.allowance(requests, len);
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            allowance.take()?;
            let (offset, left) = (bytes.len(), len - bytes.len());
            let request = Request::Read { sequence: seen.sequence, what, offset: offset as u32, len: left as u32 };
            self.ask_patiently(&request, |answer| match answer {
                Response::Read(more) if (1..=left).contains(&more.len()) => {
                    bytes.extend_from_slice(more);
                    Ok(())
                }
                Response::Read(more) => bail!("the device gives {} bytes of {left} at {offset}", more.len()),
                _ => other_answer(),
            })?;
            progress(bytes.len());
        }
        Ok(bytes)
    }

    /// The next frame other than the one of this number, with its bytes. A frame that is gone before it was read gives way to
    /// the one after it.
    ///
    /// # Errors
    /// Those of [`next_frame`](Self::next_frame) and [`read`](Self::read).
    pub fn see(&mut self, after: u32, patience: Duration, progress: impl FnMut(usize)) -> Result<(Seen, Vec<u8>)> {
        self.see_as(Shown::Frame, after, patience, progress)
    }

    /// The same, with its bytes or those of the network's input, which are fewer.
    ///
    /// # Errors
    /// Those of [`see`](Self::see).
    pub fn see_as(
        &mut self,
        what: Shown,
        after: u32,
        patience: Duration,
        mut progress: impl FnMut(usize),
    ) -> Result<(Seen, Vec<u8>)> {
        for _ in 0..LOSSES_MAX {
            let seen = self.next_frame(after, patience)?;
            match self.read(&seen, what, &mut progress) {
                Err(error) if matches!(error.downcast_ref(), Some(Failure::Gone)) => {
                    tracing::debug!("frame {} was gone before it was read", seen.sequence);
                }
                bytes => return Ok((seen, bytes?)),
            }
        }
        bail!(
            "{LOSSES_MAX} frames in a row were gone before they were read: the device was reset again and again, or the link is too \
             slow for frames of this size"
        )
    }
}

/// Whether a device and this machine made the same of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Bytes of logits and output that were compared.
    pub compared: usize,
    /// Those that differ.
    pub differing: usize,
}

impl Agreement {
    /// Compares what a device gave with what this machine has computed.
    ///
    /// # Errors
    /// When the device gave another number of values.
    pub(super) fn between(result: &DeviceResult, here: &Int8Output) -> Result<Self> {
        let mut agreement = Self::default();
        for (found, expected) in [(&result.logits, &here.logits), (&result.output, &here.output)] {
            ensure!(found.len() == expected.len(), "the device gives {} values of {}", found.len(), expected.len());
            agreement.compared += found.len();
            agreement.differing += found.iter().zip(expected).filter(|(a, b)| a != b).count();
        }
        Ok(agreement)
    }
}

/// The device's model on this machine.
#[derive(Debug)]
pub struct Twin<'m> {
    model: Model<'m>,
    arena: Aligned<i8>,
    input: Vec<i8>,
}

impl<'m> Twin<'m> {
    /// Runs this model, whose input is a picture.
    #[must_use]
    pub fn new(model: Model<'m>) -> Self {
        Self { model, arena: Aligned::new(model.arena_len()), input: vec![0; model.info().input.tensor.len()] }
    }

    /// The network's input, made of a frame's bytes as the device makes it, HWC.
    ///
    /// # Errors
    /// When these are not a frame's bytes, or the model reads no pictures.
    pub fn input(&mut self, shape: &Shape, bytes: &[u8]) -> Result<&[i8]> {
        let frame = Frame::new(shape.format, shape.width.into(), shape.height.into(), bytes)?;
        load_frame(&self.model, &frame, &mut self.input)?;
        Ok(&self.input)
    }

    /// The network's input as pixels and what they are: RGB888 or grey, as large as the model reads them.
    ///
    /// # Errors
    /// When the input has another length, or the model reads no pictures.
    pub fn pixels(&self, input: &[u8]) -> Result<(Shape, Vec<u8>)> {
        let tensor = self.model.info().input.tensor;
        ensure!(input.len() == tensor.len(), "an input of {} bytes is not the model's", input.len());
        let image = self.model.info().input.kind.image().context("the model reads no pictures")?;
        let format = match image.color {
            Color::Grey => PixelFormat::Grey8,
            Color::Rgb => PixelFormat::Rgb888,
        };
        let shape = Shape { format, width: tensor.width, height: tensor.height };
        Ok((shape, input.iter().map(|byte| byte ^ 0x80).collect()))
    }

    /// Computes the frame here and compares with what the device gave for it.
    ///
    /// # Errors
    /// Those of [`input`](Self::input), and when the device gave another number of values.
    pub fn compare(&mut self, seen: &Seen, bytes: &[u8]) -> Result<Agreement> {
        self.input(&seen.shape.context("there is no frame to compare by")?, bytes)?;
        self.agreement(seen)
    }

    /// Computes the network here, from the input as the device gave it to its own, and compares with what that gave.
    ///
    /// # Errors
    /// When the input has another length, or the device gave another number of values.
    pub fn compare_input(&mut self, seen: &Seen, input: &[u8]) -> Result<Agreement> {
        ensure!(input.len() == self.input.len(), "an input of {} bytes is not the model's", input.len());
        self.input.iter_mut().zip(input).for_each(|(slot, &byte)| *slot = byte as i8);
        self.agreement(seen)
    }

    fn agreement(&mut self, seen: &Seen) -> Result<Agreement> {
        let here = infer(&self.model, &mut self.arena, &self.input);
        Agreement::between(&seen.result, &here)
    }
}
