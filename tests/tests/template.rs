//! The template for new firmware: filled in, built, and run in QEMU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use host_trainer::device::{QEMU, TARGET, cargo, missing};
use libtest_mimic::{Arguments, Trial};
use tests::needing::trial;

/// What the built-in picture shows.
const CLASS: &str = "happy";
/// How often it is classified.
const FRAMES: usize = 3;

fn main() {
    let missing = missing();
    let on = |machine: &'static str| move || new_firmware_prints_the_class(machine);
    let trials: Vec<Trial> = vec![
        trial("new_firmware_prints_the_class_on_a_cortex_m4", &missing, on("mps2-an386")),
        trial("new_firmware_prints_the_class_on_a_cortex_m7", &missing, on("mps2-an500")),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn root() -> Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?)
}

/// Does what `cargo generate` does: copies all files but its own, and puts values in the place of names.
fn fill_in(from: &Path, to: &Path, values: &[(&str, &str)]) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let to = to.join(&name);
        if path.is_dir() {
            fill_in(&path, &to, values)?;
        } else if name == "frame.rgb565" {
            fs::copy(&path, &to)?;
        } else if name != "cargo-generate.toml" {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let filled =
                values.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value));
            ensure!(!filled.contains("{{"), "{} has a placeholder without a value", path.display());
            fs::write(&to, filled)?;
        }
    }
    Ok(())
}

fn new_firmware_prints_the_class(machine: &str) -> Result<()> {
    let root = root()?;
    let (checkout, blob) = (root.display().to_string(), root.join("data/faces.blob").display().to_string());
    let folder = tempfile::tempdir()?;
    let values = [("project-name", "my-camera"), ("checkout", &*checkout), ("blob", &*blob), ("machine", machine)];
    fill_in(&root.join("templates/firmware"), folder.path(), &values)?;
    let target = root.join("firmware-example/target/template");
    let built = cargo(folder.path()).args(["build", "--release", "--target-dir"]).arg(&target).output()?;
    ensure!(built.status.success(), "it does not build:\n{}", String::from_utf8_lossy(&built.stderr));

    let config = fs::read_to_string(folder.path().join(".cargo/config.toml"))?;
    let runner = config.lines().find_map(|line| line.strip_prefix("runner = ")).context("there is a runner")?;
    let mut runner = runner.trim_matches('"').split(' ');
    ensure!(runner.next() == Some(QEMU), "the runner is QEMU");
    let elf = target.join(TARGET).join("release/my-camera");
    let run = Command::new(QEMU).args(runner).arg(elf).stdin(Stdio::null()).output()?;
    let printed = String::from_utf8_lossy(&run.stdout);
    ensure!(run.status.success(), "it fails: {printed}{}", String::from_utf8_lossy(&run.stderr));
    let lines: Vec<&str> = printed.lines().collect();
    let right = lines.iter().all(|line| line.split(',').next() == Some(CLASS));
    ensure!(right && lines.len() == FRAMES, "it prints\n{printed}");
    Ok(())
}
