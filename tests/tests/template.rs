//! The template for new firmware: filled in, built, and run in QEMU.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use host_trainer::device::{Core, Program, QEMU, TARGET, build as build_firmware, cargo, missing};
use libtest_mimic::{Arguments, Trial};
use model_compiler::Tflite;
use model_compiler::aligned::Aligned;
use model_training::measure::evaluate::read_blob;
use no_std_device::link::{Failure, Message, Picture, Receiver, Request, Response, decode, encode};
use no_std_infer::image::{Frame, PixelFormat, preprocess};
use no_std_infer::{Interpreter, Model, argmax};
use serde_json::Value;
use tempfile::TempDir;
use tests::app::App;
use tests::needing::trial;
use tests::tflite::{ENDS, classifier};

/// What the built-in picture shows.
const CLASS: &str = "happy";
/// How often it is classified.
const FRAMES: usize = 3;
/// Length of an input that a host sends: more bytes than the link's queue holds, and no network's input.
const INPUT_LEN: usize = 400;
/// Tries to connect to the emulator, which starts meanwhile.
const CONNECTING: usize = 12_000;
/// Share by which a count that a page shows may differ from today's.
const TOLERANCE: f64 = 0.02;

fn main() {
    let missing = missing();
    let trials: Vec<Trial> = vec![
        trial("new_firmware_prints_what_its_page_shows", &missing, new_firmware_prints_what_its_page_shows),
        trial("new_firmware_prints_the_class_on_a_cortex_m7", &missing, new_firmware_prints_the_class_on_a_cortex_m7),
        trial("the_application_prints_what_its_page_shows", &missing, the_application_prints_what_its_page_shows),
        trial("new_firmware_compiles_a_tflite_file", &missing, new_firmware_compiles_a_tflite_file),
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

/// Fills the template in.
fn new_firmware(name: &str, machine: &str, model: &Path) -> Result<TempDir> {
    let root = root()?;
    let (checkout, model) = (root.display().to_string(), model.display().to_string());
    let folder = tempfile::tempdir()?;
    let values = [("project-name", name), ("checkout", &*checkout), ("model", &*model), ("machine", machine)];
    fill_in(&root.join("templates/firmware"), folder.path(), &values)?;
    Ok(folder)
}

/// Builds the template with the project's own model; gives the command that its runner is.
fn build(name: &str, machine: &str) -> Result<Command> {
    let folder = new_firmware(name, machine, &root()?.join("data/faces.blob"))?;
    Ok(build_in(folder.path(), name)?.0)
}

/// Builds a firmware in a folder; gives the command that its runner is, and the folder of its build script's outputs.
fn build_in(folder: &Path, name: &str) -> Result<(Command, PathBuf)> {
    let target = root()?.join("firmware-example/target/template");
    let mut build = cargo(folder);
    build.args(["build", "--release", "--message-format=json-render-diagnostics", "--target-dir"]).arg(&target);
    let built = build.output()?;
    ensure!(built.status.success(), "it does not build:\n{}", String::from_utf8_lossy(&built.stderr));
    let outputs = String::from_utf8_lossy(&built.stdout).lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message["reason"] == "build-script-executed" && message["package_id"].as_str()?.contains(name);
        ours.then(|| message["out_dir"].as_str().map(PathBuf::from))?
    });
    let outputs = outputs.context("cargo ran the firmware's build script")?;

    let config = fs::read_to_string(folder.join(".cargo/config.toml"))?;
    let runner = config.lines().find_map(|line| line.strip_prefix("runner = ")).context("there is a runner")?;
    let mut runner = runner.trim_matches('"').split(' ');
    ensure!(runner.next() == Some(QEMU), "the runner is QEMU");
    let mut command = Command::new(QEMU);
    command.args(runner).arg(target.join(TARGET).join("release").join(name)).stdin(Stdio::null());
    Ok((command, outputs))
}

/// Runs the firmware until it ends; it must print a class each frame. Gives the first line.
fn run(mut firmware: Command, class: &str) -> Result<String> {
    let run = firmware.output()?;
    let printed = String::from_utf8_lossy(&run.stdout);
    ensure!(run.status.success(), "it fails: {printed}{}", String::from_utf8_lossy(&run.stderr));
    let lines: Vec<&str> = printed.lines().collect();
    let right = lines.iter().all(|line| line.split(',').next() == Some(class));
    ensure!(right && lines.len() == FRAMES, "it prints\n{printed}");
    Ok(lines[0].to_owned())
}

/// What was found and what it cost, of a line such as `happy, 255 of 256, 11427600 instructions`.
fn found_at_cost(line: &str) -> Option<(&str, f64)> {
    let (found, cost) = line.strip_suffix(" instructions")?.rsplit_once(", ")?;
    Some((found, cost.parse().ok()?))
}

/// The one line of this form in a page of the documentation is what was printed, but for a little of the cost.
fn check_page(name: &str, printed: &str) -> Result<()> {
    let page = root()?.join("docs").join(name);
    let text = fs::read_to_string(&page)?;
    let lines: Vec<&str> = text.lines().filter(|line| found_at_cost(line).is_some()).collect();
    let [line] = lines[..] else { bail!("{name} has {} lines with a class and its cost", lines.len()) };
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return Ok(fs::write(&page, text.replace(line, printed))?);
    }
    let (found, cost) = found_at_cost(printed).with_context(|| format!("it prints `{printed}`"))?;
    let same = found_at_cost(line).is_some_and(|(shown, old)| shown == found && (cost - old).abs() <= TOLERANCE * old);
    ensure!(same, "{name} shows `{line}`, printed is `{printed}`: `UPDATE_DOCS=1 cargo test -p tests --test template`");
    Ok(())
}

fn new_firmware_prints_what_its_page_shows() -> Result<()> {
    check_page("new-firmware.md", &run(build("camera-m4", "mps2-an386")?, CLASS)?)
}

fn new_firmware_prints_the_class_on_a_cortex_m7() -> Result<()> {
    run(build("camera-m7", "mps2-an500")?, CLASS)?;
    Ok(())
}

/// As the page has it: the application of `firmware-example`, and the demo's picture through the pipe.
fn the_application_prints_what_its_page_shows() -> Result<()> {
    let (root, folder) = (root()?, tempfile::tempdir()?);
    let elf = build_firmware(Program::App, &read_blob(&root.join("data/faces.blob"))?)?;
    let picture = fs::read(root.join("firmware-example/boards/mps2/src/bin/demo.rgb565"))?;
    let app = App::start(Core::M4, &elf, folder.path(), &picture)?;
    check_page("updating.md", &app.line()?)
}

/// A file beside the firmware becomes the blob that `Tflite` makes of it on the host, whose answer is the host's.
fn new_firmware_compiles_a_tflite_file() -> Result<()> {
    let labels = ["cat", "dog", "owl"];
    let bytes = classifier().finish(ENDS[0], ENDS[1]);
    let folder = new_firmware("camera-tflite", "mps2-an386", Path::new("model.tflite"))?;
    fs::write(folder.path().join("model.tflite"), &bytes)?;
    let script = folder.path().join("build.rs");
    let text = fs::read_to_string(&script)?;
    let named = text.replace("LABELS: &[&str] = &[]", &format!("LABELS: &[&str] = &{labels:?}"));
    ensure!(named != text, "the script has a place for the names of classes");
    fs::write(&script, named)?;
    let (firmware, outputs) = build_in(folder.path(), "camera-tflite")?;

    let blob = Tflite::read(&bytes)?.labels(labels).compile()?.blob;
    ensure!(fs::read(outputs.join("model.blob"))? == *blob, "the build script makes other bytes than the host");
    let told =
        fs::read_to_string(outputs.with_file_name("output")).context("cargo keeps what a build script tells it")?;
    ensure!(told.lines().any(|line| line == "cargo::rerun-if-changed=model.tflite"), "cargo is told\n{told}");
    let model = Model::parse(&blob)?;
    let image = model.info().input.kind.image().context("the model reads pictures")?;
    let frame = fs::read(folder.path().join("src/frame.rgb565"))?;
    let mut arena = Aligned::new(model.arena_len());
    let mut interpreter = Interpreter::new(model, &mut arena)?;
    let frame = Frame::new(PixelFormat::Rgb565Be, 96, 96, &frame)?;
    let shape = model.info().input.tensor;
    preprocess(&frame, image.fit, interpreter.input_mut(), shape.width, shape.height, image.color)?;
    interpreter.run();
    run(firmware, labels[argmax(interpreter.logits())])?;
    Ok(())
}

/// A request arrives whole though the firmware asks for the link's bytes only between frames, of which there are few, and the
/// UART holds one byte.
fn a_host_is_heard_while_the_network_runs() -> Result<()> {
    let mut firmware = build("camera-link", "mps2-an386")?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("link");
    // The emulator starts once somebody has connected, so that the request is there early, however busy the machine is.
    firmware.args(["-serial", &format!("unix:{},server=on,wait=on", socket.display())]);
    let host = std::thread::spawn(move || -> Result<Vec<u8>> {
        let mut link = connect(&socket)?;
        let request = Message { id: 1, body: Request::Infer(Picture::Input(&[0xA5; INPUT_LEN])) };
        link.write_all(encode(&request, &mut [0; 2 * INPUT_LEN])?)?;
        let mut answers = Vec::new();
        link.read_to_end(&mut answers)?;
        Ok(answers)
    });
    run(firmware, CLASS)?;
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

/// Connects to a socket as soon as it is there.
fn connect(socket: &Path) -> Result<UnixStream> {
    for _ in 0..CONNECTING {
        if let Ok(link) = UnixStream::connect(socket) {
            return Ok(link);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("the emulator does not listen")
}

/// What the firmware answers to an input of this length.
fn refusal() -> Result<Response<'static>> {
    let blob = read_blob(&root()?.join("data/faces.blob"))?;
    let expected = Model::parse(&blob)?.info().input.tensor.len() as u32;
    Ok(Response::Error(Failure::InputLength { expected, found: INPUT_LEN as u32 }))
}
