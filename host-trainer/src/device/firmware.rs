//! Builds the firmware, and says what is missing for that.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use model_training::system::{atomic, log};
use no_std_infer::format::blob_crc;

use super::cargo::{cargo, compile};
use super::core::KERNELS;
use super::sources::folder;
use super::{Core, missing_target};

/// The target that the firmware is compiled for.
pub const TARGET: &str = "thumbv7em-none-eabihf";
/// The emulator that the firmware runs in.
pub const QEMU: &str = "qemu-system-arm";
/// What to do when it is not there.
pub(super) const INSTALL_QEMU: &str =
    "install qemu-system-arm (Debian: apt install qemu-system-arm; macOS: brew install qemu)";
/// The package of the programs that measure and check the engine.
const RIG: &str = "rig";
/// The program with sequences of instructions whose cycles are known.
const SEQUENCES: &str = "sequences";

/// What a user may start from: the programs of `firmware-example/boards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Classifies a camera's frames, answers a host and takes other models.
    App,
    /// Classifies a built-in picture and prints what it found.
    Demo,
    /// Answers a host.
    Link,
    /// The camera application on an OpenMV Cam H7.
    OpenMvH7,
    /// The application on a Raspberry Pi Pico 2.
    Pico2,
}

impl Program {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Program::App => "app",
            Program::Demo => "demo",
            Program::Link => "link",
            Program::OpenMvH7 => "openmv-h7",
            Program::Pico2 => "pico2",
        }
    }

    /// The package that it belongs to.
    fn package(self) -> &'static str {
        match self {
            Program::App | Program::Demo | Program::Link => "mps2",
            Program::OpenMvH7 | Program::Pico2 => self.name(),
        }
    }

    /// The target that it is compiled for.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Program::App | Program::Demo | Program::Link | Program::OpenMvH7 => TARGET,
            Program::Pico2 => "thumbv8m.main-none-eabihf",
        }
    }

    /// The emulated core that runs the same code.
    #[must_use]
    pub fn emulated(self) -> Core {
        match self {
            Program::App | Program::Demo | Program::Link | Program::OpenMvH7 => Core::M4,
            Program::Pico2 => Core::M33,
        }
    }

    /// The program for a board, by the board's name in `boards.toml`, where there is one.
    #[must_use]
    pub fn of_board(name: &str) -> Option<Self> {
        [Program::OpenMvH7, Program::Pico2].into_iter().find(|program| program.board() == Some(name))
    }

    /// The board that it is for, by its name in `boards.toml`; `None` for what runs in QEMU.
    #[must_use]
    pub fn board(self) -> Option<&'static str> {
        match self {
            Program::App | Program::Demo | Program::Link => None,
            Program::OpenMvH7 => Some("openmv-h7"),
            Program::Pico2 => Some("pico-2"),
        }
    }
}

/// What must be installed before firmware can be built and run; `None` when nothing is missing.
#[must_use]
pub fn missing() -> Option<String> {
    missing_for(Core::default())
}

/// The same for a core.
#[must_use]
pub fn missing_for(core: Core) -> Option<String> {
    missing_emulator().or_else(|| missing_target(core.target()))
}

pub(super) fn missing_emulator() -> Option<String> {
    let found = Command::new(QEMU).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = found.is_ok_and(|status| status.success());
    (!works).then(|| INSTALL_QEMU.to_owned())
}

/// Builds a program with a blob in it; gives the path of the ELF file, which other blobs' builds leave alone.
///
/// # Errors
/// When the compiler fails; says what to install when a target or cargo is missing.
pub fn build(program: Program, blob: &[u8]) -> Result<PathBuf> {
    build_for(program, blob, program.emulated())
}

/// The same for another core than the board's.
///
/// # Errors
/// Those of [`build`].
pub(super) fn build_for(program: Program, blob: &[u8], core: Core) -> Result<PathBuf> {
    build_with([program.package(), program.name()], blob, core)
}

/// Builds a program, named after its package, with a blob.
fn build_with(program: [&str; 2], blob: &[u8], core: Core) -> Result<PathBuf> {
    let folder = Folder::lock()?;
    let image = format!("{:08x}-{}-{core:?}", blob_crc(blob), program[1]);
    let path = folder.images().join(&image).with_extension("blob");
    // Cargo goes by the file's time and would build again.
    if fs::read(&path).ok().as_deref() != Some(blob) {
        atomic::write(&path, blob)?;
    }
    folder.build(program, &image, core, &[("MODEL_BLOB", path.as_os_str())])
}

/// Builds the camera application with the model that ships; it takes others over the link, with a public key's file only
/// signed ones. Without, `MODEL_KEY` in the environment may name such a file. Gives the path of the ELF file.
///
/// # Errors
/// Those of [`build`].
pub fn build_app(key: Option<&Path>) -> Result<PathBuf> {
    let key = key.map(|path| path.canonicalize().with_context(|| format!("cannot read the key {}", path.display())));
    let key = key.transpose()?;
    let (image, variables) = match &key {
        Some(key) => ("app-signed", &[("MODEL_KEY", key.as_os_str())][..]),
        None => ("app", &[][..]),
    };
    Folder::lock()?.build([Program::App.package(), Program::App.name()], image, Core::M4, variables)
}

/// Builds the program that runs short sequences of instructions; gives the path of the ELF file.
///
/// # Errors
/// Those of [`build`].
pub(super) fn build_sequences() -> Result<PathBuf> {
    build_without_blob(SEQUENCES, Core::M4)
}

/// Builds a program of the rig that holds no blob; gives the path of the ELF file.
///
/// # Errors
/// Those of [`build`].
pub(super) fn build_without_blob(program: &str, core: Core) -> Result<PathBuf> {
    Folder::lock()?.build([RIG, program], &format!("{program}-{core:?}"), core, &[])
}

/// Builds a program of the rig that holds no blob but only the kernels that this one needs; gives the path of the ELF file.
///
/// # Errors
/// Those of [`build`].
pub(super) fn build_for_kernels_of(program: &str, core: Core, blob: &[u8]) -> Result<PathBuf> {
    build_with([RIG, program], blob, core)
}

/// The firmware's folder, in which no other process builds.
struct Folder {
    sources: PathBuf,
    target: PathBuf,
    _lock: File,
}

impl Folder {
    fn lock() -> Result<Self> {
        let sources = folder()?;
        let target = sources.join("target");
        let images = target.join("images");
        fs::create_dir_all(&images).with_context(|| format!("cannot create the folder {}", images.display()))?;
        let path = target.join("build.lock");
        let lock = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if lock.try_lock().is_err() {
            tracing::info!("waiting for another build of the firmware to end");
            lock.lock().context("cannot wait for another build of the firmware to end")?;
        }
        Ok(Self { sources, target, _lock: lock })
    }

    fn images(&self) -> PathBuf {
        self.target.join("images")
    }

    /// Builds a program, named after its package, for a core; `variables` tell the build what to put in.
    fn build(
        &self,
        [package, program]: [&str; 2],
        image: &str,
        core: Core,
        variables: &[(&str, &OsStr)],
    ) -> Result<PathBuf> {
        let target = core.target();
        let mut command = cargo(&self.sources);
        command
            .args(["build", "--release", "--package", package, "--bin", program, "--target", target])
            .arg("--target-dir")
            .arg(&self.target)
            .env_remove("MODEL_BLOB")
            .env_remove(KERNELS)
            .envs(core.variables().iter().copied())
            .envs(variables.iter().copied());
        tracing::info!("building the firmware {program} for {target}; the first time takes minutes");
        tracing::debug!("{command:?}");
        let built = log::stage("building the firmware", || compile(&mut command, target, program))?;
        let elf = self.images().join(image).with_extension("elf");
        let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
        atomic::write(&elf, &bytes)?;
        Ok(elf)
    }
}
