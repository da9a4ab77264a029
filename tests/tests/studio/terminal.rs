//! A board at a serial port, which is a pseudo-terminal: its other end is that of `script`, behind which a device in this process
//! answers.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use host_trainer::device::{Device, Link, Patience, Twin};
use no_std_infer::Model;
use tests::in_process::InProcess;
use tests::processes::call;

use crate::set::{Between, frames, shipped};
use crate::wrong::Lying;

/// How long the device waits for a request before it looks whether it has something to say.
const TURN: Duration = Duration::from_millis(1);
/// How long a frame is waited for.
const WAIT: Duration = Duration::from_secs(20);

/// Why there is no pseudo-terminal.
pub fn missing() -> Option<String> {
    let found =
        Command::new("script").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    (!found).then(|| "`script` makes pseudo-terminals: install util-linux, on Debian bsdutils".to_owned())
}

/// A board at a port, until this is dropped: then the port is gone.
struct Terminal {
    script: Child,
}

impl Terminal {
    /// A board with the shipped model at a port of this name, behind something.
    fn open(port: &Path, between: Between) -> Result<Self> {
        // What runs on the terminal only keeps it open; bytes pass as they are.
        let mut script = Command::new("script")
            .args(["-qfc", "stty raw -echo; tty; exec sleep 600", "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut from_host = BufReader::new(script.stdout.take().context("an output")?);
        let mut to_host = script.stdin.take().context("an input")?;
        let terminal = Self { script };
        let mut name = String::new();
        from_host.read_line(&mut name)?;
        ensure!(name.starts_with("/dev/"), "`script` names no terminal: {name}");
        // There is none the first time.
        let _ = fs::remove_file(port);
        symlink(name.trim(), port)?;
        let (send, requests) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(len) = from_host.read(&mut bytes) {
                if len == 0 || send.send(bytes[..len].to_vec()).is_err() {
                    break;
                }
            }
        });
        let blob = shipped()?;
        std::thread::spawn(move || -> Result<()> {
            let mut device = between(InProcess::start_with_camera(&blob, frames(&[20, 90, 160, 230, 120])));
            let mut answer = [0; 1024];
            loop {
                match requests.recv_timeout(TURN) {
                    Ok(request) => device.send(&request)?,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
                let len = device.receive(&mut answer, TURN)?;
                to_host.write_all(&answer[..len])?;
                to_host.flush()?;
            }
        });
        Ok(terminal)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What it runs ends with its terminal.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

pub fn a_port_that_goes_is_opened_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (port, blob) = (folder.path().join("port"), shipped()?);
    let open = || Terminal::open(&port, |inner| Box::new(inner));
    let link = Link::Serial { port: port.display().to_string(), baud: 115_200 };
    let mut terminal = Some(open()?);
    let mut device = Device::open(link.camera(None)?, Patience::default())?;
    device.expect(&blob)?;
    let (mut twin, mut absences) = (Twin::new(Model::parse(&blob)?), Vec::new());
    for round in 0..2 {
        if round > 0 {
            drop(terminal.take());
            terminal = Some(open()?);
        }
        let mut last = 0;
        for _ in 0..3 {
            let (seen, bytes) = device.see(last, WAIT, |_| ())?;
            let agreement = twin.compare(&seen, &bytes)?;
            ensure!(agreement.differing == 0 && agreement.compared == 8, "{agreement:?}");
            last = seen.sequence;
        }
        absences.push(device.absences().count);
    }
    drop(terminal);
    ensure!(absences == [0, 1], "it was away {absences:?} times");
    Ok(())
}

pub fn a_lying_board_misses_the_bound() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (port, blob) = (folder.path().join("port"), folder.path().join("shipped.blob"));
    fs::write(&blob, &*shipped()?)?;
    let (link, blob) = (format!("serial:{}", port.display()), blob.display().to_string());
    let watch = ["watch", "--link", &link, "--model", &blob, "--count", "3"];
    let honest = Terminal::open(&port, |inner| Box::new(inner))?;
    call(&watch)?;
    drop(honest);
    let _lying = Terminal::open(&port, Lying::between)?;
    let missed = call(&watch).err().context("a byte differs")?.to_string();
    ensure!(missed == format!("it ends with {:?}", std::process::ExitCode::from(2)), "{missed}");
    Ok(())
}
