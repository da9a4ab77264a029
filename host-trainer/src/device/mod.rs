//! The device: firmware with a blob in it, in QEMU or on a board, behind a framed link.
//!
//! Everything on the host that touches a device goes through here.

pub mod bench;
pub mod boards;
pub mod budget;
pub mod calls;
mod camera;
mod cargo;
mod conversation;
mod core;
pub mod costs;
pub mod cycles;
mod elf;
mod faulty;
mod film;
mod firmware;
pub mod keys;
mod link;
mod loaded;
mod look;
#[cfg(test)]
mod malicious;
pub mod measure;
mod parity;
mod parts;
pub mod ports;
mod qemu;
mod serial;
pub mod signing;
mod sources;
pub mod target;
mod trace;
mod transport;
mod update;
mod way;

use anyhow::{Result, bail, ensure};
use model_training::system::hexadecimal::hexadecimal;
use model_training::system::hints::program;
use no_std_device::link::{
    CameraFaults, Hello, Identity, Inference, ModelInfo, Picture, Request, Reset, Response, SelfTest, Shape, Slots,
    Unit,
};

pub use self::cargo::{cargo, missing_target};
pub use camera::{Camera, Shot};
pub use conversation::{Conversation, Faults, Patience};
pub use core::Core;
pub use elf::{Elf, Engine};
pub use faulty::Faulty;
pub use film::Film;
use firmware::build_sequences;
pub use firmware::{Program, QEMU, TARGET, build, build_app, missing, missing_for};
pub use link::{Link, Opened};
pub use loaded::Loaded;
pub use look::{Agreement, Seen, Twin, frame_len};
pub use parity::DeviceParity;
pub use parts::{Layout, Parts};
pub use qemu::{COUNTED, Emulated, FRAMES_AT, run_demo};
use qemu::{emulator, run_to_end};
pub use serial::Serial;
pub use sources::{engine_digest, folder};
pub use trace::OtherValue;
pub use transport::Transport;
pub use update::{check_update, identity};
use way::Again;
pub use way::{Absences, Lost, Opener, Way, find};

/// Room for the fields of a request besides its picture, and for its checksum, in bytes.
const REQUEST_FIELDS_LEN: usize = 32;

/// What a device says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Name of the board.
    pub board: String,
    /// Name of the kernel set that its firmware runs on.
    pub kernel_set: String,
    /// Longest request that it can receive, in bytes.
    pub max_message: usize,
    /// What its counts count.
    pub unit: Unit,
    /// Units in a second; 0 when that is not known.
    pub hz: u32,
    /// The model that it holds.
    pub model: Option<ModelInfo>,
    /// Where another blob can go.
    pub slots: Option<Slots>,
    /// What its camera's frames are, where it has given one.
    pub camera: Option<Shape>,
    /// Why it started.
    pub reset: Reset,
}

impl Description {
    fn new(hello: &Hello<'_>) -> Self {
        Self {
            board: hello.board.to_owned(),
            kernel_set: hello.kernel_set.to_owned(),
            max_message: hello.max_message as usize,
            unit: hello.unit,
            hz: hello.hz,
            model: hello.model,
            slots: hello.slots,
            camera: hello.camera,
            reset: hello.reset,
        }
    }

    /// What a person should know of how it started, where that is anything.
    #[must_use]
    pub fn complaint(&self) -> Option<&'static str> {
        (self.reset == Reset::Watchdog).then_some(
            "the board was reset by its watchdog: something kept its firmware busy or waiting for too long before it started anew",
        )
    }

    /// Whether the device runs this blob.
    #[must_use]
    pub fn runs(&self, blob: &Identity) -> bool {
        self.model.is_some_and(|model| model.blob == *blob)
    }
}

/// What a device makes of one picture, and the cost in [`Description::unit`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceResult {
    /// Index of the largest logit.
    pub class: usize,
    /// Logits: a classifier's are one a class.
    pub logits: Vec<i8>,
    /// The last operator's output: probabilities `(q + 128) / 256` when that is a softmax.
    pub output: Vec<i8>,
    /// Cost of each operator.
    pub layers: Vec<u32>,
    /// Cost of turning a camera's frame into the input; 0 when the input was sent as it is.
    pub preprocessing: u64,
    /// Cost of the network.
    pub total: u64,
    /// Most bytes of stack in use since the device started.
    pub stack: u32,
}

impl DeviceResult {
    /// What a device says that is to have run this model.
    ///
    /// # Errors
    /// When it ran another one.
    fn of(inference: &Inference<'_>, model: Option<[u8; 16]>) -> Result<Self> {
        same_model(model, inference.model)?;
        Ok(Self {
            class: inference.class as usize,
            logits: int8(inference.logits),
            output: int8(inference.output),
            layers: inference.of_operators().collect(),
            preprocessing: inference.preprocessing,
            total: inference.total,
            stack: inference.stack,
        })
    }
}

fn int8(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|&byte| byte as i8).collect()
}

fn same_model(expected: Option<[u8; 16]>, found: [u8; 16]) -> Result<()> {
    ensure!(
        expected == Some(found),
        "the device has begun to run another model, {}: it was updated or reset",
        hexadecimal(&found[..8])
    );
    Ok(())
}

/// A device that answers.
pub struct Device {
    conversation: Conversation,
    description: Description,
    /// How the way to it is opened again, where it can be.
    again: Option<Again>,
    absences: Absences,
    /// What it has said last.
    camera_faults: CameraFaults,
}

impl Device {
    /// Builds firmware with `blob` in it and starts it in QEMU.
    ///
    /// # Errors
    /// When something is not installed (the error says what and how), the firmware does not compile or does not answer,
    /// or it refuses the blob.
    pub fn start(blob: &[u8]) -> Result<Self> {
        Self::with_model(Box::new(Emulated::boot(Core::M4, &build(Program::Link, blob)?)?), blob)
    }

    /// Greets the device at the other end. While its camera's frames are seen, a way that can be opened again is, when it is lost.
    ///
    /// # Errors
    /// When it does not answer, or speaks another version of the link.
    pub fn open(way: impl Into<Way>, patience: Patience) -> Result<Self> {
        let Way { transport, again } = way.into();
        let mut conversation = Conversation::new(transport, patience);
        let description = greet(&mut conversation)?;
        let (absences, camera_faults) = Default::default();
        Ok(Self { conversation, description, again, absences, camera_faults })
    }

    /// What the device says about itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Checks that the device has said that it runs this blob, of which every byte counts.
    ///
    /// # Errors
    /// When it runs another one, or none.
    pub fn expect(&self, blob: &[u8]) -> Result<()> {
        let (expected, model) = (identity(blob), self.description.model.as_ref());
        let Some(found) = model.map(|model| model.blob) else { bail!("the device cannot run the blob that it holds") };
        ensure!(
            found == expected,
            "the device runs model {found} and not {expected}: send it by `{program} flash BLOB --link LINK`",
            program = program()
        );
        Ok(())
    }

    /// What went wrong on the way so far, and was made good.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.conversation.faults()
    }

    /// Runs the network on an input, HWC, `pixel − 128`.
    ///
    /// # Errors
    /// When the input does not have the model's length or the device does not answer.
    pub fn infer(&mut self, input: &[i8]) -> Result<DeviceResult> {
        let bytes: Vec<u8> = input.iter().map(|&value| value as u8).collect();
        self.infer_picture(Picture::Input(&bytes))
    }

    /// Refuses a picture of so many bytes that the device cannot receive.
    fn check_len(&self, len: usize) -> Result<()> {
        let limit = self.description.max_message.saturating_sub(REQUEST_FIELDS_LEN);
        ensure!(len <= limit, "the picture is longer than the {limit} bytes that the device takes");
        Ok(())
    }

    /// The first half of the digest of the blob that it has said that it runs.
    fn model(&self) -> Option<[u8; 16]> {
        self.description.model.map(|model| model.blob.short())
    }

    /// Runs the network on an input or on a camera's frame, which the device crops and resizes itself.
    ///
    /// # Errors
    /// When the picture is too long for the device or not what it says, or the device does not answer or has begun to
    /// run another model.
    pub fn infer_picture(&mut self, picture: Picture<'_>) -> Result<DeviceResult> {
        let (Picture::Input(bytes) | Picture::Frame { bytes, .. }) = picture;
        self.check_len(bytes.len())?;
        let model = self.model();
        self.conversation.ask(&Request::Infer(picture), |answer| match answer {
            Response::Inference(inference) => DeviceResult::of(&inference, model),
            _ => other_answer(),
        })
    }

    /// Runs the blob's golden vector on the device.
    ///
    /// # Errors
    /// When the device does not answer.
    pub fn self_test(&mut self) -> Result<SelfTest> {
        self.conversation.ask(&Request::SelfTest, |answer| match answer {
            Response::SelfTest(outcome) => Ok(outcome),
            _ => other_answer(),
        })
    }
}

fn greet(conversation: &mut Conversation) -> Result<Description> {
    let description = conversation.ask(&Request::Hello, |answer| match answer {
        Response::Hello(hello) => Ok(Description::new(&hello)),
        _ => other_answer(),
    })?;
    if let Some(complaint) = description.complaint() {
        tracing::warn!("{complaint}");
    }
    Ok(description)
}

fn other_answer<T>() -> Result<T> {
    bail!("the device answered another question than the one it was asked")
}
