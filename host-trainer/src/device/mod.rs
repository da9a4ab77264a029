//! The device: firmware with a blob in it, running in QEMU, behind a framed link.
//!
//! Everything on the host that touches a device goes through here.

mod core;
pub mod cycles;
mod elf;
mod firmware;
mod loaded;
pub mod measure;

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use no_std_infer::link::{
    Failure, Inference, ModelInfo, PROTOCOL, Picture, Receiver, Request, Response, SelfTest, Unit, encode,
    max_frame_len,
};

pub use core::Core;
pub use elf::{Elf, Engine};
use firmware::build_sequences;
pub use firmware::{Program, QEMU, TARGET, build, cargo, folder, missing, missing_for, missing_target};
pub use loaded::Loaded;

/// Lets the emulated clock count instructions.
const COUNTED: [&str; 2] = ["-icount", "shift=0"];
/// Longest time that QEMU may take to start and connect.
const START_TIME: Duration = Duration::from_secs(20);
/// Longest time that an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(180);
/// Longest time without a look at whether QEMU still runs.
const POLL_TIME: Duration = Duration::from_millis(200);
/// Longest answer that is understood, in bytes.
const ANSWER_LEN: usize = 64 * 1024;
/// Room for the fields of a request besides its picture.
const REQUEST_FIELDS_LEN: usize = 32;

/// What a device says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Name of the board.
    pub board: String,
    /// Longest request that it can receive, in bytes.
    pub max_message: usize,
    /// What its counts count.
    pub unit: Unit,
    /// The model that it holds.
    pub model: ModelInfo,
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
    fn new(inference: &Inference<'_>) -> Self {
        let int8 = |bytes: &[u8]| bytes.iter().map(|&byte| byte as i8).collect();
        Self {
            class: inference.class as usize,
            logits: int8(inference.logits),
            output: int8(inference.output),
            layers: inference.layer_costs().collect(),
            preprocessing: inference.preprocessing,
            total: inference.total,
            stack: inference.stack,
        }
    }
}

/// A device that answers; QEMU ends when it is dropped.
#[derive(Debug)]
pub struct Device {
    qemu: Qemu,
    link: TcpStream,
    description: Description,
    next_id: u32,
}

impl Device {
    /// Builds firmware with `blob` in it and starts it in QEMU.
    ///
    /// # Errors
    /// When something is not installed (the error says what and how), the firmware does not compile or does not answer,
    /// or it refuses the blob.
    pub fn start(blob: &[u8]) -> Result<Self> {
        let device = Self::boot(&build(Program::Link, blob)?)?;
        let crc = no_std_infer::format::blob_crc(blob);
        ensure!(device.description.model.crc == crc, "the device holds another blob than the one it was built with");
        Ok(device)
    }

    /// Starts firmware, an ELF file made by [`build`] for [`Program::Link`], in QEMU.
    ///
    /// # Errors
    /// When QEMU is not installed, or the firmware does not answer or cannot run its blob.
    pub fn boot(elf: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open a local port for QEMU")?;
        let port = listener.local_addr()?.port();
        let mut command = emulator(Core::M4, elf, &format!("tcp:127.0.0.1:{port}"));
        command.args(COUNTED);
        let mut qemu = Qemu::spawn(command, Stdio::null())?;
        let link = accept(&listener, &mut qemu)?;
        link.set_nodelay(true)?;
        link.set_read_timeout(Some(POLL_TIME))?;
        link.set_write_timeout(Some(ANSWER_TIME))?;
        let description = exchange(&mut qemu, &link, &frame(&Request::Hello)?, |answer| match answer {
            Response::Hello(hello) if hello.protocol != PROTOCOL => {
                bail!("the device speaks version {} of the link and this program version {PROTOCOL}", hello.protocol)
            }
            Response::Hello(hello) => Ok(Description {
                board: hello.board.to_owned(),
                max_message: hello.max_message as usize,
                unit: hello.unit,
                model: hello.model.context("the firmware cannot run its blob")?,
            }),
            other => refused(&other),
        })?;
        Ok(Self { qemu, link, description, next_id: 0 })
    }

    /// What the device says about itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Runs the network on an input, HWC, `pixel − 128`.
    ///
    /// # Errors
    /// When the input does not have the model's length or the device does not answer.
    pub fn infer(&mut self, input: &[i8]) -> Result<DeviceResult> {
        let bytes: Vec<u8> = input.iter().map(|&value| value as u8).collect();
        self.infer_picture(Picture::Input(&bytes))
    }

    /// Runs the network on an input or on a camera's frame, which the device crops and resizes itself.
    ///
    /// # Errors
    /// When the picture is too long for the device or not what it says, or the device does not answer.
    pub fn infer_picture(&mut self, picture: Picture<'_>) -> Result<DeviceResult> {
        self.next_id = self.next_id.wrapping_add(1);
        let id = self.next_id;
        let frame = frame(&Request::Infer { id, picture })?;
        let limit = max_frame_len(self.description.max_message.saturating_sub(size_of::<u32>()));
        ensure!(frame.len() <= limit, "the picture is longer than the {} bytes that the device takes", limit);
        self.exchange(&frame, |answer| match answer {
            Response::Inference(inference) if inference.id == id => Ok(DeviceResult::new(&inference)),
            Response::Inference(_) => bail!("the device answered another request than the one it was sent"),
            other => refused(&other),
        })
    }

    /// Runs the blob's golden vector on the device.
    ///
    /// # Errors
    /// When the device does not answer.
    pub fn self_test(&mut self) -> Result<SelfTest> {
        self.exchange(&frame(&Request::SelfTest)?, |answer| match answer {
            Response::SelfTest(outcome) => Ok(outcome),
            other => refused(&other),
        })
    }

    /// Sends bytes that end in a zero, whatever they are, and hands the answer to `then`.
    ///
    /// # Errors
    /// When there is no answer in time, QEMU ends, the answer is damaged, or `then` fails.
    pub fn exchange<T>(&mut self, frame: &[u8], then: impl FnOnce(Response<'_>) -> Result<T>) -> Result<T> {
        exchange(&mut self.qemu, &self.link, frame, then)
    }
}

/// Runs an ELF file made by [`build`] for [`Program::Demo`] until it ends; gives what it printed.
///
/// # Errors
/// When QEMU is not installed, the firmware fails, or it does not end in time.
pub fn run_demo(elf: &Path) -> Result<String> {
    let mut command = emulator(Core::M4, elf, "stdio");
    command.args(COUNTED);
    run_to_end(command)
}

/// Runs an emulator, whose serial line is its output, until the firmware ends it; gives what it printed.
fn run_to_end(command: Command) -> Result<String> {
    let mut qemu = Qemu::spawn(command, Stdio::piped())?;
    let mut stdout = qemu.child.stdout.take().context("QEMU has no output")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + ANSWER_TIME;
    let status = loop {
        if let Some(status) = qemu.child.try_wait()? {
            break status;
        }
        ensure!(Instant::now() < deadline, "the firmware did not end within {ANSWER_TIME:?}");
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = reader.join().ok().context("the thread that reads QEMU's output failed")??;
    ensure!(status.success(), "the firmware failed ({status}): {text}{}", qemu.last_words());
    Ok(text)
}

fn frame(request: &Request<'_>) -> Result<Vec<u8>> {
    let picture = match request {
        Request::Infer { picture: Picture::Input(bytes) | Picture::Frame { bytes, .. }, .. } => bytes.len(),
        Request::Hello | Request::SelfTest => 0,
    };
    let mut memory = vec![0; max_frame_len(REQUEST_FIELDS_LEN + picture)];
    let len = encode(request, &mut memory)?.len();
    memory.truncate(len);
    Ok(memory)
}

/// Turns an answer that is none to the request into an error.
fn refused<T>(answer: &Response<'_>) -> Result<T> {
    match answer {
        Response::Error(Failure::Frame(error)) => bail!("the request reached the device damaged: {error}"),
        Response::Error(failure) => bail!("the device refused the request: {failure}"),
        _ => bail!("the device answered another question than the one it was asked"),
    }
}

fn exchange<T>(
    qemu: &mut Qemu,
    mut link: &TcpStream,
    frame: &[u8],
    then: impl FnOnce(Response<'_>) -> Result<T>,
) -> Result<T> {
    link.write_all(frame).with_context(|| format!("cannot send to the device{}", qemu.last_words()))?;
    let deadline = Instant::now() + ANSWER_TIME;
    let mut memory = vec![0; ANSWER_LEN];
    let mut receiver = Receiver::new(&mut memory);
    let mut bytes = [0; 4096];
    loop {
        let len = match link.read(&mut bytes) {
            Ok(0) => bail!("QEMU ended{}", qemu.last_words()),
            Ok(len) => len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(error) => return Err(error).with_context(|| format!("QEMU hung up{}", qemu.last_words())),
        };
        for &byte in &bytes[..len] {
            if let Some(answer) = receiver.push(byte) {
                return then(answer.context("the device's answer arrived damaged")?);
            }
        }
        ensure!(Instant::now() < deadline, "the device did not answer within {ANSWER_TIME:?}{}", qemu.last_words());
    }
}

fn accept(listener: &TcpListener, qemu: &mut Qemu) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + START_TIME;
    loop {
        match listener.accept() {
            Ok((link, _)) => {
                link.set_nonblocking(false)?;
                return Ok(link);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("QEMU could not connect"),
        }
        if let Some(status) = qemu.child.try_wait()? {
            bail!("QEMU ended at once ({status}){}", qemu.last_words());
        }
        ensure!(Instant::now() < deadline, "QEMU did not connect within {START_TIME:?}{}", qemu.last_words());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An emulator with firmware in it and its serial line where `serial` says.
fn emulator(core: Core, elf: &Path, serial: &str) -> Command {
    let mut command = Command::new(QEMU);
    command.args(["-M", core.machine(), "-display", "none", "-monitor", "none"]);
    command.args(["-semihosting-config", "enable=on,target=native", "-serial", serial]);
    command.arg("-kernel").arg(elf);
    command
}

/// A running emulator, which is killed when dropped.
#[derive(Debug)]
struct Qemu {
    child: Child,
    stderr: File,
}

impl Qemu {
    fn spawn(mut command: Command, stdout: Stdio) -> Result<Self> {
        let stderr = tempfile::tempfile().context("cannot create a temporary file for QEMU's messages")?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr.try_clone()?);
        let child = command.spawn().map_err(|error| match firmware::missing_emulator() {
            Some(remedy) => anyhow::anyhow!("{QEMU} cannot be run: {remedy}"),
            None => anyhow::anyhow!("{QEMU} cannot be run: {error}"),
        })?;
        Ok(Self { child, stderr })
    }

    /// What QEMU printed as it failed, for the end of an error message.
    fn last_words(&mut self) -> String {
        let mut text = String::new();
        let read = self.stderr.rewind().and_then(|()| self.stderr.read_to_string(&mut text));
        if read.is_ok() && !text.is_empty() { format!(": {}", text.trim()) } else { String::new() }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
