//! Runs cargo for microcontrollers: shows what it compiles, finds the program, says what is missing.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use serde::Deserialize;

/// How often what is shown moves.
const TICK: Duration = Duration::from_millis(200);

/// A cargo for microcontrollers: `FIRMWARE_CARGO`, or else `cargo`. It runs in `folder`, and what the environment
/// says about building for the host does not reach it.
#[must_use]
pub fn cargo(folder: &Path) -> Command {
    let program = std::env::var_os("FIRMWARE_CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    command
}

/// What must be installed before anything can be compiled for `target`; `None` when nothing is missing.
/// A cargo named by `FIRMWARE_CARGO` is trusted to have every target.
#[must_use]
pub fn missing_target(target: &str) -> Option<String> {
    if std::env::var_os("FIRMWARE_CARGO").is_some() {
        return None;
    }
    let library = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    let path = library.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let installed = path.is_some_and(|path| Path::new(path.trim()).is_dir());
    (!installed).then(|| format!("install the target: rustup target add {target}"))
}

/// What is read of a line of cargo's messages.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    #[serde(other)]
    Other,
}

/// What cargo compiled.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
    /// Whether it was there already.
    fresh: bool,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Runs a cargo that builds for `target`; gives the file of what is named `wanted`, a program or a library.
///
/// # Errors
/// When the compiler fails; says what to install when a target or cargo is missing.
pub(super) fn compile(command: &mut Command, target: &str, wanted: &str) -> Result<PathBuf> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut diagnostics = tempfile::tempfile().context("cannot create a temporary file for cargo's messages")?;
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped()).stderr(diagnostics.try_clone()?);
    let mut cargo = match command.spawn() {
        Ok(cargo) => cargo,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{program} is not installed: get it from https://rustup.rs, or name another cargo in FIRMWARE_CARGO")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot run {program}")),
    };
    let messages = cargo.stdout.take().context("cargo has no output")?;
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(TICK);
    let built = follow(BufReader::new(messages), wanted, |count, name| {
        bar.set_message(format!("{count} crates compiled, the last is {name}"));
    });
    bar.finish_and_clear();
    let status = cargo.wait().with_context(|| format!("cannot wait for {program}"))?;
    let text = from_start(&mut diagnostics)?;
    let no_target = text.contains("can't find crate for `core`") || text.contains("target may not be installed");
    ensure!(!no_target, "the target is not installed: rustup target add {target}");
    ensure!(status.success(), "{program} failed ({status}):\n{text}");
    built?.with_context(|| format!("{program} does not say where {wanted} is"))
}

/// Reads cargo's messages to their end; tells how many crates were compiled by now, and the last one's name.
fn follow(messages: impl BufRead, wanted: &str, mut tell: impl FnMut(usize, &str)) -> Result<Option<PathBuf>> {
    let (mut built, mut count) = (None, 0);
    for line in messages.lines() {
        // Programs that cargo runs may print lines of their own.
        let Ok(Message::CompilerArtifact(artifact)) = serde_json::from_str(&line?) else { continue };
        if !artifact.fresh {
            count += 1;
            tell(count, &artifact.target.name);
        }
        if artifact.target.name == wanted {
            built = artifact.executable.or_else(|| artifact.filenames.into_iter().next()).or(built);
        }
    }
    Ok(built)
}

fn from_start(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).context("cannot read cargo's messages")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages_and_what_was_compiled_is_counted() {
        let artifact = |name: &str, file: &str, executable: &str, fresh: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"x","target":{{"kind":["bin"],"name":"{name}"}},"filenames":["{file}"],"executable":{executable},"fresh":{fresh}}}"#
            )
        };
        let lines = [
            artifact("cortex_m", "libcortex_m.rlib", "null", true),
            r#"{"reason":"build-script-executed","package_id":"x","linked_libs":[]}"#.to_owned(),
            artifact("mps2", "libmps2.rlib", "null", false),
            "a line of somebody else".to_owned(),
            artifact("app", "target/app", r#""target/app""#, false),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let mut told = Vec::new();
        let mut find = |wanted: &str| {
            follow(lines.join("\n").as_bytes(), wanted, |count, name| told.push((count, name.to_owned()))).unwrap()
        };
        assert_eq!(find("app"), Some("target/app".into()));
        assert_eq!(find("mps2"), Some("libmps2.rlib".into()));
        assert_eq!(find("link"), None);
        assert_eq!(told[..2], [(1, "mps2".to_owned()), (2, "app".to_owned())]);
    }

    #[test]
    fn what_fails_is_shown_and_a_missing_cargo_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = compile(Command::new("cargo").args(["build"]).current_dir(&folder), "none", "app").unwrap_err();
        assert!(format!("{error:#}").contains("Cargo.toml"), "{error:#}");
        let error = compile(&mut Command::new("cargo-that-is-not-there"), "none", "app").unwrap_err();
        assert!(format!("{error:#}").contains("rustup.rs"), "{error:#}");
    }
}
