//! The device that QEMU emulates.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use model_training::system::claim::{Claim, claim_file};
use model_training::system::interrupt::Owned;

use super::transport::{Transport, read_within};
use super::{Core, Film, QEMU, firmware};

/// Lets the emulated clock count instructions.
pub const COUNTED: [&str; 2] = ["-icount", "shift=0"];
/// Where the camera application looks for frames that QEMU's loader put into memory: in the PSRAM, behind its slots.
pub const FRAMES_AT: u32 = 0x2120_0000;
/// Longest time that QEMU may take to start and connect.
const START_TIME: Duration = Duration::from_secs(20);
/// Longest time that firmware may take to end.
const RUN_TIME: Duration = Duration::from_secs(180);

/// Firmware in QEMU and the sockets that lead to it; QEMU ends when it is dropped.
#[derive(Debug)]
pub struct Emulated {
    qemu: Qemu,
    requests: TcpStream,
    answers: TcpStream,
    /// What the camera plays, until QEMU has ended.
    _film: Option<Arc<Film>>,
    /// The file of its flash, which is its own until then.
    _flash: Option<Claim>,
}

impl Emulated {
    /// Starts firmware on a core, an ELF file made by [`build`](super::build) for [`Program::Link`](super::Program::Link). Its
    /// serial line leads both ways.
    ///
    /// # Errors
    /// When QEMU is not installed or does not start.
    pub fn boot(core: Core, elf: &Path) -> Result<Self> {
        let line = Port::open()?;
        let mut qemu = Qemu::counting(emulator(core, elf, &line.serial))?;
        let requests = line.accept(&mut qemu)?;
        let answers = requests.try_clone().context("the system has no handles left")?;
        Ok(Self { qemu, requests, answers, _film: None, _flash: None })
    }

    /// Starts the camera application with its slots in a file, which is created when there is none. Its camera plays a film, whose
    /// pictures have nothing to do with each other, so that each decides for itself; without one it has no frames.
    ///
    /// Its serial line takes requests. Answers come by semihosting's console, in blocks: for a frame of the camera QEMU's serial
    /// line takes most of a second.
    ///
    /// # Errors
    /// When QEMU is not installed or does not start, or another board has the file as its flash.
    pub fn boot_app(elf: &Path, slots: &Path, film: Option<Arc<Film>>) -> Result<Self> {
        let slots = std::path::absolute(slots).context("the folder of the flash's file is not there")?;
        let claim = claim_file(&slots)?.with_context(|| {
            format!(
                "{} is the flash of an emulated board that runs already: end that, or name another file",
                slots.display()
            )
        })?;
        let told = if film.is_some() { ",arg=frames=loaded,arg=smoothing=off" } else { "" };
        let (line, console) = (Port::open()?, Port::open()?);
        let arguments = format!(",chardev=console,arg=app,arg=answers=blocks{told},arg=slots={}", escaped(&slots));
        let mut command = machine(Core::M4, elf, &arguments);
        command.args(["-chardev", &console.chardev("console")]);
        if let Some(film) = &film {
            let loader = format!("loader,file={},addr={FRAMES_AT:#x},force-raw=on", escaped(film.path()));
            command.args(["-device", &loader]);
        }
        command.args(["-serial", "null", "-serial", &line.serial, "-serial", "null"]);
        let mut qemu = Qemu::counting(command)?;
        let [requests, answers] = [line.accept(&mut qemu)?, console.accept(&mut qemu)?];
        Ok(Self { qemu, requests, answers, _film: film, _flash: Some(claim) })
    }

    /// The number by which the system knows QEMU.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.qemu.child.get().id()
    }
}

/// A port of this machine to which QEMU connects.
struct Port {
    listener: TcpListener,
    number: u16,
    /// As a serial line of QEMU's.
    serial: String,
}

impl Port {
    fn open() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open a local port for QEMU")?;
        let number = listener.local_addr()?.port();
        Ok(Self { listener, number, serial: format!("tcp:127.0.0.1:{number}") })
    }

    /// As a device of QEMU's for characters.
    fn chardev(&self, id: &str) -> String {
        format!("socket,id={id},host=127.0.0.1,port={}", self.number)
    }

    /// Waits until QEMU has connected.
    fn accept(&self, qemu: &mut Qemu) -> Result<TcpStream> {
        let link = accept(&self.listener, qemu)?;
        link.set_nodelay(true)?;
        link.set_write_timeout(Some(RUN_TIME))?;
        Ok(link)
    }
}

impl Transport for Emulated {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.requests.write_all(bytes).with_context(|| format!("cannot send to the device{}", self.qemu.last_words()))
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        self.answers.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        match read_within(&mut self.answers, buffer) {
            Ok(Some(0)) => bail!("QEMU ended{}", self.qemu.last_words()),
            Ok(len) => Ok(len.unwrap_or(0)),
            Err(error) => Err(error).with_context(|| format!("QEMU hung up{}", self.qemu.last_words())),
        }
    }
}

/// Runs an ELF file made by [`build`](super::build) for [`Program::Demo`](super::Program::Demo) until it ends; gives what it
/// printed.
///
/// # Errors
/// When QEMU is not installed, the firmware fails, or it does not end in time.
pub fn run_demo(elf: &Path) -> Result<String> {
    let mut command = emulator(Core::M4, elf, "stdio");
    command.args(COUNTED);
    run_to_end(command)
}

/// Runs an emulator, whose serial line is its output, until the firmware ends it; gives what it printed.
pub(super) fn run_to_end(command: Command) -> Result<String> {
    let mut qemu = Qemu::spawn(command, Stdio::piped())?;
    let mut stdout = qemu.child.get().stdout.take().context("QEMU has no output")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + RUN_TIME;
    let status = loop {
        if let Some(status) = qemu.child.try_wait()? {
            break status;
        }
        ensure!(Instant::now() < deadline, "the firmware did not end within {RUN_TIME:?}");
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = reader.join().ok().context("the thread that reads QEMU's output failed")??;
    ensure!(status.success(), "the firmware failed ({status}): {text}{}", qemu.last_words());
    Ok(text)
}

/// A path within an option of QEMU's.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
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
pub(super) fn emulator(core: Core, elf: &Path, serial: &str) -> Command {
    let mut command = machine(core, elf, "");
    command.args(["-serial", serial]);
    command
}

/// An emulator with firmware in it, without serial lines; `arguments` are more of semihosting's options.
fn machine(core: Core, elf: &Path, arguments: &str) -> Command {
    let mut command = Command::new(QEMU);
    command.args(["-M", core.machine(), "-display", "none", "-monitor", "none"]);
    command.args(["-semihosting-config", &format!("enable=on,target=native{arguments}")]);
    command.arg("-kernel").arg(elf);
    command
}

/// A running emulator, which is killed when dropped.
#[derive(Debug)]
struct Qemu {
    child: Owned,
    stderr: File,
}

impl Qemu {
    /// Starts an emulator whose clock counts instructions.
    fn counting(mut command: Command) -> Result<Self> {
        command.args(COUNTED);
        Self::spawn(command, Stdio::null())
    }

    fn spawn(mut command: Command, stdout: Stdio) -> Result<Self> {
        let stderr = tempfile::tempfile().context("cannot create a temporary file for QEMU's messages")?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr.try_clone()?);
        let child = Owned::start(command).map_err(|error| match firmware::missing_emulator() {
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
