//! The camera application in QEMU: frames go in, lines of text come out, and a host may speak to it.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use host_trainer::device::{Core, FRAMES_AT, QEMU, Transport};
use image::RgbImage;
use model_training::data::dataset;
use model_training::data::faces::draw;

/// Pixels across and down in the frames of `firmware-example`'s camera.
pub const SIDE: u32 = 96;
/// Longest time until QEMU has started, and until a line.
const WAIT: Duration = Duration::from_secs(120);

/// A drawn face as a camera would deliver it: RGB565, high byte first.
#[must_use]
pub fn drawn_frame(seed: u64, class: usize) -> Vec<u8> {
    rgb565(&draw(seed, class, SIDE))
}

/// A picture as a camera would deliver it: RGB565, high byte first.
#[must_use]
pub fn rgb565(pixels: &RgbImage) -> Vec<u8> {
    dataset::rgb565(pixels).as_chunks().0.iter().flat_map(|&[low, high]| [high, low]).collect()
}

/// The running application; its power is cut when it is dropped.
pub struct App {
    qemu: Child,
    lines: Receiver<String>,
    link: TcpStream,
}

impl App {
    /// Starts firmware built for [`Program::App`](host_trainer::device::Program::App). `folder` keeps its slots from one
    /// start to the next; the camera plays `frames` once.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start(core: Core, elf: &Path, folder: &Path, frames: &[u8]) -> Result<Self> {
        let camera = folder.join("camera");
        fs::write(camera.with_extension("in"), frames)?;
        Self::start_told(&[], core, elf, folder, &[])
    }

    /// Starts it on a Cortex-M4, without smoothing, over frames that lie in its memory: a UART takes a second for each.
    /// `words` are more of what its command line says.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start_loaded(elf: &Path, folder: &Path, frames: &[Vec<u8>], words: &[&str]) -> Result<Self> {
        let loaded = folder.join("frames");
        let header = [(frames.len() as u64).to_le_bytes(), [0; 8]].concat();
        fs::write(&loaded, [header, frames.concat()].concat())?;
        let loader = format!("loader,file={},addr={FRAMES_AT:#x},force-raw=on", loaded.display());
        fs::write(folder.join("camera.in"), [])?;
        let words = [&["smoothing=off", "frames=loaded"][..], words].concat();
        Self::start_told(&words, Core::M4, elf, folder, &["-device", &loader])
    }

    /// Starts it on a Cortex-M4, with these words on its command line, over a camera that gives no frames.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start_blind(elf: &Path, folder: &Path, words: &[&str]) -> Result<Self> {
        fs::write(folder.join("camera.in"), [])?;
        Self::start_told(words, Core::M4, elf, folder, &[])
    }

    fn start_told(words: &[&str], core: Core, elf: &Path, folder: &Path, options: &[&str]) -> Result<Self> {
        let camera = folder.join("camera");
        fs::write(camera.with_extension("out"), [])?;
        let words: String = words.iter().map(|word| format!("arg={word},")).collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut qemu = Command::new(QEMU)
            .args(["-M", core.machine(), "-icount", "shift=0", "-display", "none", "-monitor", "none"])
            .arg("-semihosting-config")
            .arg(format!("enable=on,target=native,arg=app,{words}arg=slots={}", folder.join("slots").display()))
            .args(["-serial", "stdio", "-serial", &format!("tcp:{}", listener.local_addr()?)])
            .arg("-chardev")
            .arg(format!("pipe,id=camera,path={}", camera.display()))
            .args(options)
            .args(["-serial", "chardev:camera", "-kernel"])
            .arg(elf)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("QEMU does not start")?;
        let console = BufReader::new(qemu.stdout.take().context("QEMU has an output")?);
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || console.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let link = accept(&listener, &mut qemu)?;
        Ok(Self { qemu, lines, link })
    }

    /// The next line of text.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn line(&self) -> Result<String> {
        self.lines.recv_timeout(WAIT).context("the application prints nothing more")
    }

    /// Lines that have been printed and not been asked for.
    pub fn waiting(&self) -> impl Iterator<Item = String> {
        self.lines.try_iter()
    }

    /// How many they are.
    pub fn waiting_lines(&self) -> usize {
        self.waiting().count()
    }

    /// The way to the device.
    ///
    /// # Errors
    /// When the system has no handles left.
    pub fn transport(&self) -> Result<Box<dyn Transport>> {
        Ok(Box::new(Link(self.stream()?)))
    }

    /// The same way, for whoever does not ask one question at a time.
    ///
    /// # Errors
    /// When the system has no handles left.
    pub fn stream(&self) -> Result<TcpStream> {
        Ok(self.link.try_clone()?)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn accept(listener: &TcpListener, qemu: &mut Child) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + WAIT;
    loop {
        match listener.accept() {
            Ok((link, _)) => {
                link.set_nonblocking(false)?;
                link.set_nodelay(true)?;
                return Ok(link);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("QEMU could not connect"),
        }
        ensure!(qemu.try_wait()?.is_none() && Instant::now() < deadline, "QEMU did not connect");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[derive(Debug)]
struct Link(TcpStream);

impl Transport for Link {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.write_all(bytes)?)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        self.0.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        match self.0.read(buffer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(0),
            outcome => Ok(outcome?),
        }
    }
}
