//! The device against the host: every byte equal, damage survived.

mod certificate;
mod demo;
mod frames;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};
use host_trainer::device::{
    Core, Device, DeviceParity, DeviceResult, Emulated, Faulty, Link, Program, QEMU, build, missing, missing_for,
};
use libtest_mimic::{Arguments, Trial};
use model_compiler::aligned::Aligned;
use model_compiler::blob::repair_crc;
use model_training::data::faces::{CLASSES, draw};
use model_training::measure::evaluate::{Int8Output, infer, input_config, read_blob};
use model_training::measure::trace::Engine;
use no_std_device::link::{Picture, SelfTest};
use no_std_infer::Model;
use no_std_infer::format::InputKind;
use no_std_infer::golden::checksum;
use no_std_infer::image::{Frame, PixelFormat, preprocess};
use tests::needing::trial;
use tests::operators::without_names;
use tests::residual;

/// Images that go through the device.
const IMAGES: u64 = 200;
/// Images of which each operator's output is compared.
const TRACED_IMAGES: u64 = 3;
/// Images that go through a Cortex-M55.
const M55_IMAGES: u64 = 20;
/// Images that go through the device over a faulty link.
const FAULTY_IMAGES: u64 = 300;
/// Images that go through the device with the shipped model.
const SHIPPED_IMAGES: u64 = 12;

static BLOB: LazyLock<Aligned<u8>> = LazyLock::new(|| residual::blob(1).expect("a small network can be exported"));

fn main() {
    let missing = missing();
    let test = |name: &str, test: fn() -> Result<()>| trial(name, &missing, test);
    let trials: Vec<Trial> = vec![
        test("every_byte_of_every_image_is_the_hosts", every_byte_of_every_image_is_the_hosts),
        test("every_operator_s_output_is_the_hosts", every_operator_s_output_is_the_hosts),
        trial(
            "a_cortex_m55_gives_the_hosts_bytes_of_either_layout",
            &missing_for(Core::M55),
            a_cortex_m55_gives_the_hosts_bytes_of_either_layout,
        ),
        test("injected_faults_change_no_byte", injected_faults_change_no_byte),
        test("a_serial_port_leads_to_the_device", a_serial_port_leads_to_the_device),
        test("camera_frames_give_the_hosts_bytes", camera_frames_give_the_hosts_bytes),
        test("the_self_test_passes_and_finds_a_changed_weight", the_self_test_passes_and_finds_a_changed_weight),
        test("costs_are_reproducible_and_add_up", costs_are_reproducible_and_add_up),
        test(
            "damaged_frames_are_refused_and_the_next_is_answered",
            frames::damaged_frames_are_refused_and_the_next_is_answered,
        ),
        test(
            "a_repeated_request_gets_the_answer_again_without_another_run",
            frames::a_repeated_request_gets_the_answer_again_without_another_run,
        ),
        test("impossible_pictures_are_refused", impossible_pictures_are_refused),
        test("a_damaged_blob_is_refused", a_damaged_blob_is_refused),
        test("a_model_of_tensors_runs_and_refuses_pictures", a_model_of_tensors_runs_and_refuses_pictures),
        test("the_shipped_model_gives_the_hosts_bytes", the_shipped_model_gives_the_hosts_bytes),
        trial(
            "two_cores_are_certified_by_the_command",
            &missing_for(Core::M55),
            certificate::two_cores_are_certified_by_the_command,
        ),
        test("the_demo_prints_what_is_expected", demo::the_demo_prints_what_is_expected),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn input(model: &Model<'_>, seed: u64) -> Vec<i8> {
    residual::picture(seed, model.info().input.tensor.len())
}

/// A drawn face as the model's input; the seed decides its class too.
fn drawing(model: &Model<'_>, seed: u64) -> Result<Vec<i8>> {
    let picture = draw(seed, seed as usize % CLASSES.len(), 64);
    let frame = Frame::new(PixelFormat::Rgb888, picture.width(), picture.height(), picture.as_raw())?;
    model_input(model, &frame)
}

fn model_input(model: &Model<'_>, frame: &Frame<'_>) -> Result<Vec<i8>> {
    let want = input_config(model, Path::new("the blob under test"))?;
    let mut input = vec![0; model.info().input.tensor.len()];
    preprocess(frame, want.fit, &mut input, want.width, want.height, want.color)?;
    Ok(input)
}

fn same(device: &DeviceResult, host: &Int8Output) -> bool {
    device.logits == host.logits && device.output == host.output
}

fn every_byte_of_every_image_is_the_hosts() -> Result<()> {
    let model = Model::parse(&BLOB)?;
    let mut arena = Aligned::new(model.arena_len());
    let mut device = Device::start(&BLOB)?;
    let mut classes = vec![0; usize::from(model.info().labels)];
    for seed in 0..IMAGES {
        let input = drawing(&model, seed)?;
        let host = infer(&model, &mut arena, &input);
        let device = device.infer(&input)?;
        ensure!(same(&device, &host), "image {seed}: {device:?} on the device, {host:?} on the host");
        ensure!(device.class == no_std_infer::argmax(&host.logits), "image {seed}: class {}", device.class);
        classes[device.class] += 1;
    }
    ensure!(classes.iter().filter(|&&count| count > 0).count() > 1, "the images are all of one class: {classes:?}");
    Ok(())
}

fn every_operator_s_output_is_the_hosts() -> Result<()> {
    let model = Model::parse(&BLOB)?;
    let mut device = Device::start(&BLOB)?;
    for seed in 0..TRACED_IMAGES {
        let input = input(&model, seed);
        let outputs = Engine::Kernels.outputs(&model, &input);
        let (checksums, _) = device.trace(&input)?;
        ensure!(
            checksums.iter().eq(&outputs.iter().map(|output| checksum(output)).collect::<Vec<_>>()),
            "image {seed}"
        );
        for (operator, output) in (0..).zip(&outputs) {
            ensure!(device.first_other_value(&input, operator, output)?.is_none(), "image {seed}, operator {operator}");
        }
    }
    Ok(())
}

/// The board mps3-an547, whose kernels take plain weights and packed ones.
fn a_cortex_m55_gives_the_hosts_bytes_of_either_layout() -> Result<()> {
    for constants in [Core::M55.constants(), Core::M4.constants()] {
        let blob = residual::blob_with(1, constants)?;
        let model = Model::parse(&blob)?;
        let mut arena = Aligned::new(model.arena_len());
        let transport = "qemu-m55".parse::<Link>()?.transport(&blob)?.context("a core is a device")?;
        let mut device = Device::with_model(transport, &blob)?;
        let mut parity = DeviceParity::new(&device);
        for seed in 0..M55_IMAGES {
            let input = drawing(&model, seed)?;
            let host = infer(&model, &mut arena, &input);
            parity.compare(&mut device, &input, &host)?;
        }
        ensure!(parity.images as u64 == M55_IMAGES && parity.differing_bytes == 0, "{constants:?}: {parity}");
    }
    Ok(())
}

/// One frame of twelve is lost, doubled, damaged, cut off or late, in each direction.
fn injected_faults_change_no_byte() -> Result<()> {
    let model = Model::parse(&BLOB)?;
    let mut arena = Aligned::new(model.arena_len());
    let emulated = Emulated::boot(Core::M4, &build(Program::Link, &BLOB)?)?;
    let (faulty, suffered) = Faulty::new(emulated, 1, 1.0 / 12.0);
    let mut device = Device::with_model(Box::new(faulty), &BLOB)?;
    let mut parity = DeviceParity::new(&device);
    for seed in 0..FAULTY_IMAGES {
        let input = drawing(&model, seed)?;
        let host = infer(&model, &mut arena, &input);
        let class = parity.compare(&mut device, &input, &host)?;
        ensure!(class == no_std_infer::argmax(&host.logits), "image {seed}: class {class}");
    }
    ensure!(parity.images as u64 == FAULTY_IMAGES && parity.differing_bytes == 0, "{parity}");
    // Most of what is injected makes the host ask again.
    ensure!(suffered.get() > FAULTY_IMAGES / 10, "only {} frames suffered", suffered.get());
    ensure!(parity.faults.repeats() > suffered.get() / 2, "{} frames suffered: {parity}", suffered.get());
    Ok(())
}

/// QEMU's serial line is a pseudo-terminal, which programs see as a serial port.
fn a_serial_port_leads_to_the_device() -> Result<()> {
    let mut qemu = Command::new(QEMU);
    qemu.args(["-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "pty", "-icount", "shift=0"]);
    qemu.arg("-kernel").arg(build(Program::Link, &BLOB)?).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut qemu = Ended(qemu.spawn()?);
    let mut line = String::new();
    BufReader::new(qemu.0.stdout.take().context("QEMU has an output")?).read_line(&mut line)?;
    let port = line.split_whitespace().find(|word| word.starts_with("/dev/"));
    let port = port.with_context(|| format!("QEMU names no terminal: {line}"))?;
    let transport = format!("serial:{port}").parse::<Link>()?.transport(&BLOB)?.context("a port is a device")?;
    let mut device = Device::with_model(transport, &BLOB)?;
    let model = Model::parse(&BLOB)?;
    let mut arena = Aligned::new(model.arena_len());
    for seed in 0..3 {
        let input = drawing(&model, seed)?;
        let (device, host) = (device.infer(&input)?, infer(&model, &mut arena, &input));
        ensure!(same(&device, &host), "image {seed}: {device:?} on the device, {host:?} on the host");
    }
    Ok(())
}

/// A process that is killed when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn camera_frames_give_the_hosts_bytes() -> Result<()> {
    let model = Model::parse(&BLOB)?;
    let mut arena = Aligned::new(model.arena_len());
    let mut device = Device::start(&BLOB)?;
    for (seed, format) in (0..).zip(PixelFormat::ALL) {
        for (width, height) in [(96_u16, 64_u16), (20, 24), (14, 9)] {
            let len = usize::from(width) * usize::from(height) * format.bytes_per_pixel();
            let bytes: Vec<u8> = residual::picture(seed, len).iter().map(|&value| value as u8).collect();
            let frame = Frame::new(format, width.into(), height.into(), &bytes)?;
            let host = infer(&model, &mut arena, &model_input(&model, &frame)?);
            let device = device.infer_picture(Picture::Frame { format, width, height, bytes: &bytes })?;
            ensure!(
                same(&device, &host),
                "{format:?} {width}x{height}: {device:?} on the device, {host:?} on the host"
            );
            ensure!(device.preprocessing > 0, "preprocessing costs something");
        }
    }
    Ok(())
}

fn the_self_test_passes_and_finds_a_changed_weight() -> Result<()> {
    ensure!(Device::start(&BLOB)?.self_test()? == SelfTest::Passed);
    let mut changed = BLOB.clone();
    let weights = Model::parse(&BLOB)?.weights().as_ptr() as usize - BLOB.as_ptr() as usize;
    changed[weights] ^= 2;
    repair_crc(&mut changed);
    let outcome = Device::start(&changed)?.self_test()?;
    ensure!(outcome == SelfTest::Layer(0), "{outcome:?} where the first operator's weights were changed");
    Ok(())
}

/// An inference during which nothing was asked again: bytes that come while an operator runs interrupt it, and the interrupt
/// counts with it.
fn undisturbed(device: &mut Device, input: &[i8]) -> Result<DeviceResult> {
    for _ in 0..10 {
        let before = device.faults();
        let result = device.infer(input)?;
        if device.faults() == before {
            return Ok(result);
        }
    }
    bail!("this machine is so slow that every request is sent again: {}", device.faults())
}

fn costs_are_reproducible_and_add_up() -> Result<()> {
    let model = Model::parse(&BLOB)?;
    let mut device = Device::start(&BLOB)?;
    let input = input(&model, 3);
    let [first, second] = [undisturbed(&mut device, &input)?, undisturbed(&mut device, &input)?];
    ensure!(first.layers.len() == model.ops().count(), "{} layers", first.layers.len());
    let sum: u64 = first.layers.iter().map(|&cost| u64::from(cost)).sum();
    ensure!(sum <= first.total && first.total < sum + sum / 20, "{} in all, {sum} over the layers", first.total);
    ensure!(first.preprocessing == 0, "an input needs no preprocessing");
    // The clock's tick is 40 instructions, and where in one an operator's interval begins is not known.
    let ticks = 40 * first.layers.len() as u64;
    ensure!(first.total.abs_diff(second.total) <= ticks, "{} and {}", first.total, second.total);
    let macs: u64 = model.ops().map(|op| op.macs()).sum();
    ensure!(first.total > macs, "{} instructions for {macs} multiply-accumulates", first.total);
    ensure!((512..32 * 1024).contains(&first.stack), "{} bytes of stack", first.stack);
    Ok(())
}

fn impossible_pictures_are_refused() -> Result<()> {
    let mut device = Device::start(&BLOB)?;
    let error = device.infer(&[0; 7]).err().context("7 bytes are no input")?.to_string();
    ensure!(error.contains("7 bytes") && error.contains("1440"), "{error}");
    let picture = Picture::Frame { format: PixelFormat::Rgb888, width: 5, height: 5, bytes: &[0; 74] };
    let error = device.infer_picture(picture).err().context("a byte is missing")?.to_string();
    ensure!(error.contains("frame"), "{error}");
    let error = device.infer(&[0; 300_000]).err().context("300,000 bytes are too many")?.to_string();
    ensure!(error.contains("longer"), "{error}");
    ensure!(device.self_test()? == SelfTest::Passed, "no answer after refused pictures");
    Ok(())
}

fn a_model_of_tensors_runs_and_refuses_pictures() -> Result<()> {
    let blob = without_names(InputKind::Tensor, [6, 5, 7]);
    let model = Model::parse(&blob)?;
    let mut device = Device::start(&blob)?;
    let input = input(&model, 1);
    let (on_device, host) = (device.infer(&input)?, infer(&model, &mut Aligned::new(model.arena_len()), &input));
    ensure!(same(&on_device, &host), "{on_device:?} on the device, {host:?} on the host");
    ensure!(on_device.class == no_std_infer::argmax(&host.logits), "class {}", on_device.class);
    let picture = Picture::Frame { format: PixelFormat::Rgb888, width: 5, height: 5, bytes: &[0; 75] };
    let error = device.infer_picture(picture).err().context("the model reads no pictures")?.to_string();
    ensure!(error.contains("not pictures"), "{error}");
    Ok(())
}

fn a_damaged_blob_is_refused() -> Result<()> {
    let mut damaged = BLOB.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let error = Device::start(&damaged).err().context("the checksum does not match")?.to_string();
    ensure!(error.contains("cannot run the blob"), "{error}");
    Ok(())
}

fn the_shipped_model_gives_the_hosts_bytes() -> Result<()> {
    let blob = shipped_blob()?;
    let model = Model::parse(&blob)?;
    let mut arena = Aligned::new(model.arena_len());
    let mut device = Device::start(&blob)?;
    ensure!(device.self_test()? == SelfTest::Passed);
    for seed in 0..SHIPPED_IMAGES {
        let input = drawing(&model, seed)?;
        let (device, host) = (device.infer(&input)?, infer(&model, &mut arena, &input));
        ensure!(same(&device, &host), "drawing {seed}: {device:?} on the device, {host:?} on the host");
    }
    Ok(())
}

fn shipped_blob() -> Result<Aligned<u8>> {
    read_blob(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob"))
}
