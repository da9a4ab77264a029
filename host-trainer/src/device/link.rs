//! Which device a command talks to.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use model_training::system::hints::{program, quoted};
use model_training::system::{atomic, read};
use no_std_device::{RECORD_LEN, Record};

use super::firmware::{build_app, build_for};
use super::{Core, Device, Emulated, Film, Opener, Patience, Program, Serial, Transport, Way};

/// Bits a second where a serial port's name says nothing else.
const BAUD: u32 = 115_200;

/// Where the int8 model runs besides this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// This machine only.
    Host,
    /// On a core in QEMU.
    Qemu(Core),
    /// On a Cortex-M4 with the camera application, whose flash is this file.
    QemuFlash(PathBuf),
    /// On a device at a serial port.
    Serial {
        /// The port's name: `/dev/ttyACM0`, `COM3`.
        port: String,
        /// Bits a second.
        baud: u32,
    },
}

impl FromStr for Link {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "host" => Ok(Self::Host),
            None if text == "qemu" => Ok(Self::Qemu(Core::default())),
            None if let Some(core) = text.strip_prefix("qemu-").and_then(|core| Core::from_str(core, false).ok()) => {
                Ok(Self::Qemu(core))
            }
            Some(("qemu", file)) if !file.is_empty() => Ok(Self::QemuFlash(file.into())),
            Some(("serial", port)) if !port.is_empty() => {
                let (port, baud) = port.rsplit_once('@').unwrap_or((port, ""));
                let baud = if baud.is_empty() { Ok(BAUD) } else { baud.parse() };
                let baud = baud.context("what follows the @ is no number of bits a second")?;
                ensure!(baud > 0, "0 bits a second are too few");
                Ok(Self::Serial { port: port.to_owned(), baud })
            }
            _ => bail!(
                "a link is `host`, `qemu`, `qemu-CORE` (m55 and others), `qemu:FLASH.bin`, `serial:PORT` or `serial:PORT@BAUD`"
            ),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Qemu(core) => match core.to_possible_value().filter(|_| *core != Core::default()) {
                Some(core) => write!(f, "qemu-{}", core.get_name()),
                None => f.write_str("qemu"),
            },
            Self::QemuFlash(file) => write!(f, "qemu:{}", file.display()),
            Self::Serial { port, baud } => write!(f, "serial:{port}@{baud}"),
        }
    }
}

/// A device that was not greeted yet.
pub struct Opened {
    /// The way to it.
    pub transport: Box<dyn Transport>,
    /// The ELF file that runs in an emulator; none of a board, whose firmware is not known here.
    pub firmware: Option<PathBuf>,
}

impl Link {
    /// Makes the file of an emulated flash, erased, where there is none yet. It begins with an erased record: the first model
    /// goes into the second slot, and a file that is written behind its end is filled with zeros.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_flash(&self) -> Result<()> {
        let Self::QemuFlash(file) = self else { return Ok(()) };
        if !file.exists() {
            atomic::create(file, &[0xFF; RECORD_LEN])?;
            tracing::info!("made {}, an emulated flash that is erased", file.display());
        }
        Ok(())
    }

    /// The way to a device; `None` where there is none. For [`Link::Qemu`] firmware is built that has `blob` in it.
    ///
    /// # Errors
    /// When something is not installed (the error says what and how), firmware does not compile, or there is no such port.
    pub fn transport(&self, blob: &[u8]) -> Result<Option<Box<dyn Transport>>> {
        Ok(self.open(blob)?.map(|opened| opened.transport))
    }

    /// The same, with the firmware where it was built for this.
    ///
    /// # Errors
    /// Those of [`Self::transport`].
    pub fn open(&self, blob: &[u8]) -> Result<Option<Opened>> {
        let (transport, firmware): (Box<dyn Transport>, _) = match self {
            Self::Host => return Ok(None),
            &Self::Qemu(core) => {
                let elf = build_for(Program::Link, blob, core)?;
                (Box::new(Emulated::boot(core, &elf)?), Some(elf))
            }
            Self::QemuFlash(file) => {
                check_flash(file)?;
                let elf = build_app(None)?;
                (Box::new(Emulated::boot_app(&elf, file, None)?), Some(elf))
            }
            Self::Serial { port, baud } => (Box::new(Serial::open(port, *baud)?), None),
        };
        Ok(Some(Opened { transport, firmware }))
    }

    /// The way to a device with a camera, which is emulated where a film says what it sees; it is opened again when it is lost.
    ///
    /// # Errors
    /// Those of [`transport`](Self::transport) and of [`opener`](Self::opener).
    pub fn camera(&self, film: Option<Film>) -> Result<Way> {
        Way::open(self.opener(film)?)
    }

    /// How such a way is opened. Firmware for an emulated board is built when that is done for the first time.
    ///
    /// # Errors
    /// When there is a film and no emulated camera, or there is no camera.
    pub fn opener(&self, film: Option<Film>) -> Result<Opener> {
        Ok(match self {
            Self::QemuFlash(file) => {
                let (file, film, mut built) = (file.clone(), film.map(Arc::new), None);
                Box::new(move || {
                    check_flash(&file)?;
                    let elf = match built.take() {
                        Some(elf) => elf,
                        None => build_app(None)?,
                    };
                    Ok(Box::new(Emulated::boot_app(built.insert(elf), &file, film.clone())?))
                })
            }
            _ if film.is_some() => bail!("only the emulated board of `--link qemu:FLASH` plays pictures as its camera"),
            Self::Serial { port, baud } => {
                let (port, baud) = (port.clone(), *baud);
                Box::new(move || Ok(Box::new(Serial::open(&port, baud)?)))
            }
            Self::Host | Self::Qemu(_) => {
                bail!("`{self}` has no camera: give `qemu:FLASH`, with `--frames`, or `serial:PORT`")
            }
        })
    }
}

/// Refuses a file that is no image of the emulated flash: of that the first slot begins with its record, or is erased.
fn check_flash(path: &Path) -> Result<()> {
    let shown = path.display();
    ensure!(
        path.exists(),
        "there is no {shown}: `{program} flash BLOB --link qemu:{}` makes it",
        quoted(path),
        program = program()
    );
    let mut start = Vec::new();
    let read = read::open(path).and_then(|file| file.take(RECORD_LEN as u64).read_to_end(&mut start));
    let of_flash = || start.is_empty() || start == [0xFF; RECORD_LEN] || start[..].try_into().is_ok_and(is_record);
    ensure!(
        read.is_ok() && of_flash(),
        "{shown} is no image of a flash, and is left as it is: give one that `flash` has made, or a new name"
    );
    Ok(())
}

fn is_record(bytes: &[u8; RECORD_LEN]) -> bool {
    Record::from_bytes(bytes).is_some()
}

impl Device {
    /// Greets a device that must run `blob`.
    ///
    /// # Errors
    /// When it does not answer, cannot run its model, or runs another one.
    pub fn with_model(transport: Box<dyn Transport>, blob: &[u8]) -> Result<Self> {
        let device = Self::open(transport, Patience::default())?;
        device.expect(blob)?;
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    #[test]
    fn a_flash_whose_second_slot_was_written_first_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("flash.bin");
        Link::QemuFlash(file.clone()).create_flash().unwrap();
        check_flash(&file).unwrap();
        let mut flash = File::options().write(true).open(&file).unwrap();
        flash.seek(SeekFrom::Start(1 << 20)).unwrap();
        flash.write_all(b"a record and a blob").unwrap();
        check_flash(&file).unwrap();
    }

    #[test]
    fn links_are_read_as_they_are_shown() {
        for text in
            ["host", "qemu", "qemu-m55", "qemu:runs/flash.bin", "serial:/dev/ttyACM0@9600", "serial:COM3@115200"]
        {
            assert_eq!(text.parse::<Link>().unwrap().to_string(), text);
        }
        assert_eq!("qemu-m4".parse::<Link>().unwrap().to_string(), "qemu");
        let default = "serial:/dev/ttyUSB1".parse::<Link>().unwrap();
        assert_eq!(default, Link::Serial { port: "/dev/ttyUSB1".to_owned(), baud: BAUD });
    }

    #[test]
    fn other_links_are_refused() {
        for text in [
            "",
            "Qemu",
            "qemu-",
            "qemu-m56",
            "qemu:",
            "serial",
            "serial:",
            "serial:COM3@fast",
            "serial:COM3@0",
            "tcp:COM3",
        ] {
            assert!(text.parse::<Link>().is_err(), "{text}");
        }
    }
}
