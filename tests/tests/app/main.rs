//! The camera application on the emulated boards, against the host's engine.

mod health;
mod sight;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use host_trainer::device::keys::{generate, read_key};
use host_trainer::device::signing::sign;
use host_trainer::device::{Core, Device, Loaded, Patience, Program, build, missing_for};
use libtest_mimic::Arguments;
use model_compiler::aligned::Aligned;
use model_compiler::blob::{repair_crc, with_calibration};
use model_training::data::dataset::{View, input_for, picture};
use model_training::data::faces::{CLASSES, PerClass, generate as generate_faces};
use model_training::measure::evaluate::{Int8Output, infer, input_config, int8_classes, read_blob};
use no_std_device::Smoother;
use no_std_device::link::{Message, Request, encode};
use no_std_infer::Model;
use no_std_infer::format::Calibration;
use no_std_infer::image::{Frame, PixelFormat, preprocess};
use tests::app::{App, SIDE, drawn_frame, rgb565};
use tests::needing::trial;

/// By how much the application smooths.
const SMOOTHING: u8 = 2;
/// Some of the frames below stay below it.
const CALIBRATION: Calibration = Calibration { threshold: 150, images: 40, coverage: 0.5, accuracy: 1.0 };

fn main() {
    let cores = [Core::M4, Core::M7];
    let mut trials = vec![trial("a_signature_costs_little", &missing_for(Core::M4), a_signature_costs_little)];
    let missing = missing_for(Core::M4);
    trials.push(trial("every_test_drawing_has_the_class_that_eval_finds", &missing, every_drawing_has_evals_class));
    trials.push(trial("frames_are_classified_beside_a_host_that_is_never_silent", &missing, classifies_beside_chatter));
    trials.extend(sight::trials(&missing));
    trials.extend(health::trials(&missing));
    for core in cores {
        let missing = missing_for(core);
        let title = core.title();
        trials.push(trial(&format!("{title}::prints_what_the_host_finds"), &missing, move || prints(core)));
        trials.push(trial(&format!("{title}::keeps_another_model"), &missing, move || keeps(core)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Faces that change class every third frame, so that smoothing matters.
fn frames(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|seed| drawn_frame(seed, (seed / 3) as usize % CLASSES.len())).collect()
}

/// What the application should print of each frame, but the latency.
fn expected(blob: &[u8], frames: &[Vec<u8>]) -> Result<Vec<String>> {
    let model = Model::parse(blob)?;
    let want = input_config(&model, Path::new("the blob under test"))?;
    let labels: Vec<&str> = model.labels().collect();
    let (mut arena, mut averages) = (Aligned::new(model.arena_len()), heapless::Vec::<_, 4>::new());
    let mut input = vec![0; model.info().input.tensor.len()];
    let mut smoother = Smoother::new(&mut averages, SMOOTHING);
    let mut lines = Vec::new();
    for bytes in frames {
        let frame = Frame::new(PixelFormat::Rgb565Be, SIDE, SIDE, bytes)?;
        preprocess(&frame, want.fit, &mut input, want.width, want.height, want.color)?;
        let Int8Output { logits, output, .. } = infer(&model, &mut arena, &input);
        let found = smoother.push(&logits, &output, model.threshold());
        let doubt = if found.sure { "" } else { "not sure, " };
        let (label, probability) = (labels[found.class], found.probability);
        lines.push(format!("model {:08x}: {doubt}{label}, {probability} of 256", model.crc()));
    }
    Ok(lines)
}

/// Compares as many lines as are expected; gives the largest latency.
fn compare(app: &App, expected: &[String]) -> Result<u64> {
    let mut largest = 0;
    for expected in expected {
        let line = app.line()?;
        let (found, latency) = line.rsplit_once(", ").with_context(|| line.clone())?;
        ensure!(found == expected, "the device prints `{line}` where the host finds `{expected}`");
        let latency: u64 = latency.strip_suffix(" instructions").with_context(|| line.clone())?.parse()?;
        largest = largest.max(latency);
    }
    Ok(largest)
}

fn shipped() -> Result<Aligned<u8>> {
    read_blob(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob"))
}

/// The test drawings of `demo`'s data set, as large as the camera's frames.
fn every_drawing_has_evals_class() -> Result<()> {
    let blob = shipped()?;
    let model = Model::parse(&blob)?;
    let input = input_config(&model, Path::new("the shipped blob"))?;
    let folder = tempfile::tempdir()?;
    let drawings = generate_faces(folder.path(), 1, &PerClass { train: 0, valid: 0, test: 150 }, SIDE)?.files;
    let mut arena = Aligned::new(model.arena_len());
    let (mut outputs, mut frames) = (Vec::new(), Vec::new());
    for path in drawings.keys().map(|name| folder.path().join(name)) {
        outputs.push(infer(&model, &mut arena, &input_for(&path, &input, View::Rgb565)?));
        frames.push(rgb565(&picture(&path)?));
    }
    let labels: Vec<&str> = model.labels().collect();
    let line = |(class, output): (usize, &Int8Output)| {
        let probability = output.output[class] as u8 ^ 0x80;
        format!("model {:08x}: {}, {probability} of 256", model.crc(), labels[class])
    };
    let expected: Vec<String> = int8_classes(&outputs).into_iter().zip(&outputs).map(line).collect();
    ensure!(expected.len() == 600, "{} drawings", expected.len());
    let elf = build(Program::App, &blob)?;
    let app = App::start_loaded(&elf, folder.path(), &frames, &[])?;
    compare(&app, &expected)?;
    Ok(())
}

fn prints(core: Core) -> Result<()> {
    let blob = with_calibration(&shipped()?, &CALIBRATION)?;
    let frames = frames(12);
    let expected = expected(&blob, &frames)?;
    let unsure = expected.iter().filter(|line| line.contains("not sure")).count();
    ensure!((1..expected.len()).contains(&unsure), "the threshold decides nothing: {expected:?}");
    let folder = tempfile::tempdir()?;
    let app = App::start(core, &build(Program::App, &blob)?, folder.path(), &frames.concat())?;
    let latency = compare(&app, &expected)?;
    let macs: u64 = Model::parse(&blob)?.ops().map(|op| op.macs()).sum();
    ensure!((macs / 2..macs * 3).contains(&latency), "{latency} instructions for {macs} multiply-accumulates");
    Ok(())
}

/// A host asks, and does not wait for answers, as fast as the link takes it: all frames are classified, and it is answered.
fn classifies_beside_chatter() -> Result<()> {
    let (blob, frames, folder) = (shipped()?, frames(3), tempfile::tempdir()?);
    let app = App::start(Core::M4, &build(Program::App, &blob)?, folder.path(), &frames.concat())?;
    let [mut asking, mut listening] = [app.stream()?, app.stream()?];
    let (asked, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for id in (1..).take_while(|_| !over.load(Ordering::Relaxed)) {
                let body = if id % 8 == 0 { Request::SelfTest } else { Request::Hello };
                let mut memory = [0; 32];
                let frame = encode(&Message { id, body }, &mut memory).expect("it is short");
                if asking.write_all(frame).is_err() {
                    break;
                }
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        threads.spawn(|| {
            let mut bytes = [0; 4096];
            // Ends with the board.
            while let Ok(len @ 1..) = listening.read(&mut bytes) {
                answered.fetch_add(bytes[..len].iter().filter(|&&byte| byte == 0).count(), Ordering::Relaxed);
            }
        });
        let compared = expected(&blob, &frames).and_then(|expected| compare(&app, &expected));
        over.store(true, Ordering::Relaxed);
        // A host that waits for room in the link goes on once the board is gone.
        drop(app);
        compared
    })?;
    let [asked, answered] = [asked, answered].map(AtomicUsize::into_inner);
    ensure!(asked > 50 && answered > 10, "{asked} requests were sent and {answered} answered meanwhile");
    println!("{asked} requests were sent and {answered} answered while {} frames were classified", frames.len());
    Ok(())
}

/// Prints what it costs to hash the shipped model, and to verify its signature: what a start costs where both are asked for.
fn a_signature_costs_little() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("key");
    generate(&path, false)?;
    let signed = sign(&shipped()?, &read_key(&path)?, 7)?;
    let program = Loaded::build("verify", Core::M4)?;
    let verdict = |blob: &[u8]| program.run(blob, &["-icount", "shift=0"]);
    let printed = verdict(&signed)?;
    println!("signature of {} bytes on a {}: {}", signed.len(), Core::M4.title(), printed.trim());
    let figures = printed.strip_prefix("valid: ").with_context(|| printed.clone())?;
    let figures: Vec<u64> = figures.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [instructions, stack, bytes, hashing, small_stack] = figures[..] else { bail!("five figures: `{printed}`") };
    ensure!(bytes as usize == signed.len(), "{bytes} bytes are hashed");
    ensure!((1_000_000..50_000_000).contains(&instructions) && (512..16 * 1024).contains(&stack), "{printed}");
    ensure!((10 * bytes..200 * bytes).contains(&hashing) && (64..1024).contains(&small_stack), "{printed}");

    let mut changed = signed.clone();
    let weights = Model::parse(&signed)?.weights().as_ptr() as usize - signed.as_ptr() as usize;
    changed[weights] ^= 1;
    repair_crc(&mut changed);
    let printed = verdict(&changed)?;
    ensure!(printed.starts_with("invalid: "), "a byte is another: {printed}");
    Ok(())
}

/// A model comes over the link while frames are classified, and is there when the board starts again.
fn keeps(core: Core) -> Result<()> {
    let built_in = shipped()?;
    let elf = build(Program::App, &built_in)?;
    let new = with_calibration(&built_in, &CALIBRATION)?;
    let frames = frames(60);
    let folder = tempfile::tempdir()?;
    {
        let app = App::start(core, &elf, folder.path(), &frames.concat())?;
        compare(&app, &expected(&built_in, &frames[..2])?)?;
        let mut device = Device::open(app.transport()?, Patience::default())?;
        device.expect(&built_in)?;
        device.update(&new, |_| {})?;
        device.expect(&new)?;
        ensure!(app.waiting_lines() > 0, "no frame was classified during the update");
    }
    let app = App::start(core, &elf, folder.path(), &frames[..6].concat())?;
    compare(&app, &expected(&new, &frames[..6])?)?;
    Ok(())
}
