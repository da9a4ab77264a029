//! What a host sees of the emulated board's camera, for long, of several boards, and of one that is killed meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use host_trainer::device::{Device, Emulated, Film, Link, Patience, Twin, Way, build_app};
use libtest_mimic::Trial;
use model_training::data::faces::{PerClass, generate as generate_faces};
use no_std_device::link::Shown;
use no_std_infer::Model;
use no_std_infer::image::PixelFormat;
use tempfile::TempDir;
use tests::needing::trial;
use tests::processes::{call, emulators, signal};
use tests::{resident, residual};

use super::shipped;

/// How long a frame is waited for.
const WAIT: Duration = Duration::from_secs(60);
/// Frames of a long run, and those after which memory is to be as it stays.
const MANY: u32 = 10_000;
const WARM: u32 = 1_000;
/// Fewest frames of 320x240 a second, each computed again, over one round of the film: other tests run beside it. Some four times as many
/// come where little else runs.
const PACE: f64 = 3.0;
/// Bytes by which memory may grow: the allocator's.
const GROWTH: u64 = 1 << 20;

pub(super) fn trials(missing: &Option<String>) -> Vec<Trial> {
    let test = |name: &str, test: fn() -> Result<()>| trial(name, missing, test);
    vec![
        test("a_host_sees_each_frame_and_computes_the_same", sees),
        test("two_boards_are_seen_at_once", two_boards),
        test("a_board_that_is_killed_and_started_again_is_seen_on", killed),
        test("commands_go_on_with_a_board_that_is_killed_and_started_again", commands_go_on),
        test("ten_thousand_frames_leave_memory_flat", ten_thousand).with_ignored_flag(true),
    ]
}

/// Pictures and an erased flash.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new(seed: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        generate_faces(&folder.path().join("pictures"), seed, &PerClass { train: 0, valid: 0, test: 2 }, 240)?;
        let scene = Self { folder };
        Link::QemuFlash(scene.flash()).create_flash()?;
        Ok(scene)
    }

    fn flash(&self) -> PathBuf {
        self.folder.path().join("flash.bin")
    }

    fn film(&self, sides: [u16; 2]) -> Result<Film> {
        Film::of_folder(&self.folder.path().join("pictures"), sides)
    }

    /// The board whose camera plays the pictures.
    fn board(&self, sides: [u16; 2]) -> Result<Device> {
        let link = Link::QemuFlash(self.flash());
        Device::open(link.camera(Some(self.film(sides)?))?, Patience::default())
    }
}

/// Frames of 320x240 are read whole and computed again, fast enough; prints how many come in a second, and how many of the network's
/// input.
fn sees() -> Result<()> {
    let (blob, scene) = (shipped()?, Scene::new(1)?);
    let (mut device, count) = (scene.board([320, 240])?, scene.film([320, 240])?.len());
    device.expect(&blob)?;
    let (mut twin, mut last, mut seen) = (Twin::new(Model::parse(&blob)?), 0, Vec::new());
    let mut rounds = vec![Instant::now()];
    for number in 0..2 * count {
        let (frame, bytes) = device.see(last, WAIT, |_| ())?;
        let shape = frame.shape.context("the camera keeps frames")?;
        ensure!((shape.format, shape.width, shape.height) == (PixelFormat::Rgb565Be, 320, 240), "{shape:?}");
        let agreement = twin.compare(&frame, &bytes)?;
        ensure!(agreement.differing == 0 && agreement.compared == 8, "frame {number}: {agreement:?}");
        ensure!(frame.class == frame.result.class, "each picture decides for itself");
        last = frame.sequence;
        seen.push(bytes);
        if seen.len().is_multiple_of(count) {
            rounds.push(Instant::now());
        }
    }
    let rates = rounds.windows(2).map(|ends| count as f64 / ends[1].duration_since(ends[0]).as_secs_f64());
    let rate = rates.fold(0.0, f64::max);
    let start = Instant::now();
    for number in 0..count {
        let (frame, input) = device.see_as(Shown::Input, last, WAIT, |_| ())?;
        let agreement = twin.compare_input(&frame, &input)?;
        ensure!(agreement.differing == 0 && agreement.compared == 8, "input {number}: {agreement:?}");
        last = frame.sequence;
    }
    let inputs = count as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.1} frames a second of 320x240, {inputs:.1} of the network's input, each computed again");
    ensure!(rate >= PACE, "{rate:.1} frames a second are too few");
    let (first, again) = seen.split_at(count);
    ensure!(count == 8 && first.iter().all(|frame| again.contains(frame)), "the film is played again");
    ensure!(device.faults().damaged_answers == 0, "{}", device.faults());
    Ok(())
}

/// Two boards, each with a camera of its own, are asked by turns.
fn two_boards() -> Result<()> {
    let (blob, scenes) = (shipped()?, [Scene::new(1)?, Scene::new(2)?]);
    let mut twin = Twin::new(Model::parse(&blob)?);
    let mut boards = [(scenes[0].board([96, 96])?, 0, Vec::new()), (scenes[1].board([64, 48])?, 0, Vec::new())];
    for _ in 0..4 {
        for (device, last, seen) in &mut boards {
            let (frame, bytes) = device.see(*last, WAIT, |_| ())?;
            ensure!(twin.compare(&frame, &bytes)?.differing == 0, "frame {}", frame.sequence);
            *last = frame.sequence;
            seen.push(bytes.len());
        }
    }
    let lens = boards.map(|(_, _, seen)| seen);
    ensure!(lens == [vec![96 * 96 * 2; 4], vec![64 * 48 * 2; 4]], "{lens:?}");
    Ok(())
}

/// QEMU is killed while a host sees its camera, and started again on the same flash, into which a model was sent: it runs on.
fn killed() -> Result<()> {
    let (blob, scene) = (residual::blob(1)?, Scene::new(1)?);
    let (elf, film, flash) = (build_app(None)?, Arc::new(scene.film([64, 48])?), scene.flash());
    let running = Arc::new(AtomicU32::new(0));
    let started = Arc::clone(&running);
    let way = Way::open(move || {
        let emulated = Emulated::boot_app(&elf, &flash, Some(Arc::clone(&film)))?;
        started.store(emulated.process_id(), Ordering::Relaxed);
        Ok(Box::new(emulated))
    })?;
    let mut device = Device::open(way, Patience::default())?;
    device.update(&blob, |_| ())?;
    let (mut twin, mut last) = (Twin::new(Model::parse(&blob)?), 0);
    for number in 0..9 {
        if number % 3 == 2 {
            signal(running.load(Ordering::Relaxed), "KILL")?;
        }
        let (frame, bytes) = device.see(last, WAIT, |_| ())?;
        ensure!(twin.compare(&frame, &bytes)?.differing == 0, "frame {number}");
        last = frame.sequence;
    }
    ensure!(device.absences().count == 3, "{:?}", device.absences());
    device.expect(&blob)
}

/// QEMU is killed while `collect` and `watch` see its camera: they end as if nothing had happened, and nothing is lost.
fn commands_go_on() -> Result<()> {
    // Firmware that is compiled already does not keep the commands waiting.
    build_app(None)?;
    let scene = Scene::new(1)?;
    let at = |name: &str| scene.folder.path().join(name);
    let text = |path: PathBuf| path.display().to_string();
    let (link, pictures, collected) = (format!("qemu:{}", text(scene.flash())), text(at("pictures")), at("collected"));
    let camera = ["--link", &link, "--frames", &pictures, "--size", "64x48"];
    let saved = || std::fs::read_dir(collected.join("some")).map_or(0, |files| files.count());
    let (out, count) = (text(collected.clone()), 8);
    let collect = ["collect", "--label", "some", "--out", &out, "--count", &count.to_string()];
    killed_meanwhile(&[&collect, &camera[..]].concat(), &scene.flash(), || saved() > 1)?;
    let groups = std::fs::read_to_string(collected.join("groups.csv"))?;
    ensure!(saved() == count && groups.lines().count() == 1 + count, "{} of {count} saved\n{groups}", saved());
    let (preview, blob) = (at("preview.png"), Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob"));
    let (shown, model) = (text(preview.clone()), text(blob));
    let watch = ["watch", "--model", &model, "--preview", &shown, "--count", "8"];
    killed_meanwhile(&[&watch, &camera[..]].concat(), &scene.flash(), || preview.exists())
}

/// Runs a command, and kills its emulator once it has `begun`; another one takes its place.
fn killed_meanwhile(command: &[&str], flash: &Path, begun: impl Fn() -> bool) -> Result<()> {
    std::thread::scope(|scope| {
        let command = scope.spawn(|| call(command));
        let until = |what: &str, is_so: &dyn Fn() -> Result<bool>| {
            let start = Instant::now();
            while !is_so()? {
                ensure!(!command.is_finished() && start.elapsed() < WAIT, "in vain waited for {what}");
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(())
        };
        until("its first frames", &|| Ok(begun()))?;
        let first = *emulators(flash)?.first().context("it has an emulator")?;
        signal(first, "KILL")?;
        until("another emulator", &|| Ok(emulators(flash)?.iter().any(|&other| other != first)))?;
        command.join().ok().context("the command panics")?
    })
}

/// A small network and small frames, so that a run is short; prints how long it took.
fn ten_thousand() -> Result<()> {
    let (blob, scene) = (residual::blob(1)?, Scene::new(1)?);
    let emulated = Emulated::boot_app(&build_app(None)?, &scene.flash(), Some(Arc::new(scene.film([32, 24])?)))?;
    let processes = ["self".to_owned(), emulated.process_id().to_string()];
    let mut device = Device::open(Box::new(emulated), Patience::default())?;
    device.update(&blob, |_| ())?;
    let (mut twin, mut last, start) = (Twin::new(Model::parse(&blob)?), 0, Instant::now());
    let memory = || -> Result<Vec<u64>> { processes.iter().map(|process| resident(process)).collect() };
    let mut before = Vec::new();
    for number in 1..=MANY {
        let (frame, bytes) = device.see(last, WAIT, |_| ())?;
        ensure!(twin.compare(&frame, &bytes)?.differing == 0, "frame {number}");
        last = frame.sequence;
        if number == WARM {
            before = memory()?;
        }
    }
    let (now, seconds) = (memory()?, start.elapsed().as_secs_f64());
    println!("{MANY} frames in {seconds:.0} s: host and QEMU have {before:?} bytes after {WARM}, {now:?} in the end");
    ensure!(now.iter().zip(&before).all(|(now, before)| *now <= before + GROWTH), "memory grew");
    Ok(())
}
