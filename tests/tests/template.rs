//! The template for new firmware: filled in, built, and run in QEMU.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use host_trainer::device::{QEMU, TARGET, cargo, missing};
use host_trainer::evaluate::read_blob;
use libtest_mimic::{Arguments, Trial};
use no_std_device::link::{Failure, Message, Picture, Receiver, Request, Response, decode, encode};
use no_std_infer::Model;
use tests::needing::trial;

/// What the built-in picture shows.
const CLASS: &str = "happy";
/// How often it is classified.
const FRAMES: usize = 3;
/// Length of an input that a host sends: more bytes than the link's queue holds, and no network's input.
const INPUT_LEN: usize = 400;

fn main() {
    let missing = missing();
    let on = |name, machine: &'static str| move || new_firmware_prints_the_class(name, machine);
    let trials: Vec<Trial> = vec![
        trial("new_firmware_prints_the_class_on_a_cortex_m4", &missing, on("camera-m4", "mps2-an386")),
        trial("new_firmware_prints_the_class_on_a_cortex_m7", &missing, on("camera-m7", "mps2-an500")),
        trial("a_host_is_heard_while_the_network_runs", &missing, a_host_is_heard_while_the_network_runs),
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

/// Fills the template in and builds it; gives the command that its runner is.
fn build(name: &str, machine: &str) -> Result<Command> {
    let root = root()?;
    let (checkout, blob) = (root.display().to_string(), root.join("data/faces.blob").display().to_string());
    let folder = tempfile::tempdir()?;
    let values = [("project-name", name), ("checkout", &*checkout), ("blob", &*blob), ("machine", machine)];
    fill_in(&root.join("templates/firmware"), folder.path(), &values)?;
    let target = root.join("firmware-example/target/template");
    let built = cargo(folder.path()).args(["build", "--release", "--target-dir"]).arg(&target).output()?;
    ensure!(built.status.success(), "it does not build:\n{}", String::from_utf8_lossy(&built.stderr));

    let config = fs::read_to_string(folder.path().join(".cargo/config.toml"))?;
    let runner = config.lines().find_map(|line| line.strip_prefix("runner = ")).context("there is a runner")?;
    let mut runner = runner.trim_matches('"').split(' ');
    ensure!(runner.next() == Some(QEMU), "the runner is QEMU");
    let mut command = Command::new(QEMU);
    command.args(runner).arg(target.join(TARGET).join("release").join(name)).stdin(Stdio::null());
    Ok(command)
}

/// Runs the firmware until it ends, and looks at what it prints.
fn run(mut firmware: Command) -> Result<()> {
    let run = firmware.output()?;
    let printed = String::from_utf8_lossy(&run.stdout);
    ensure!(run.status.success(), "it fails: {printed}{}", String::from_utf8_lossy(&run.stderr));
    let lines: Vec<&str> = printed.lines().collect();
    let right = lines.iter().all(|line| line.split(',').next() == Some(CLASS));
    ensure!(right && lines.len() == FRAMES, "it prints\n{printed}");
    Ok(())
}

fn new_firmware_prints_the_class(name: &str, machine: &str) -> Result<()> {
    run(build(name, machine)?)
}

/// A request arrives whole though the firmware asks for the link's bytes only between frames, of which there are few, and the
/// UART holds one byte.
fn a_host_is_heard_while_the_network_runs() -> Result<()> {
    let mut firmware = build("camera-link", "mps2-an386")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    firmware.args(["-serial", &format!("tcp:{}", listener.local_addr()?)]);
    let host = std::thread::spawn(move || -> Result<Vec<u8>> {
        let mut link = listener.accept()?.0;
        let request = Message { id: 1, body: Request::Infer(Picture::Input(&[0xA5; INPUT_LEN])) };
        link.write_all(encode(&request, &mut [0; 2 * INPUT_LEN])?)?;
        let mut answers = Vec::new();
        link.read_to_end(&mut answers)?;
        Ok(answers)
    });
    run(firmware)?;
    let bytes = host.join().ok().context("the host's thread failed")??;
    let mut memory = heapless::Vec::<u8, 256>::new();
    let mut receiver = Receiver::new(&mut memory);
    let mut found = None;
    for &byte in &bytes {
        if let Some(answer) = receiver.push(byte) {
            found = Some(decode::<Response<'_>>(answer?)?.body == refusal()?);
        }
    }
    ensure!(found == Some(true), "the request was not answered: {bytes:?}");
    Ok(())
}

/// What the firmware answers to an input of this length.
fn refusal() -> Result<Response<'static>> {
    let blob = read_blob(&root()?.join("data/faces.blob"))?;
    let expected = Model::parse(&blob)?.info().input.tensor.len() as u32;
    Ok(Response::Error(Failure::InputLength { expected, found: INPUT_LEN as u32 }))
}
