//! What goes wrong on the emulated board, and what a host is told of it: a hang, which the watchdog ends, from whose time all work stays
//! far; and frames that the camera loses.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use host_trainer::device::keys::{generate, read_key};
use host_trainer::device::signing::sign;
use host_trainer::device::{Device, Patience, Program, build, build_app};
use libtest_mimic::Trial;
use no_std_device::link::{CameraFaults, Reset, SelfTest};
use no_std_device::{START_UNFED, WORK_UNFED};
use tests::app::App;
use tests::needing::trial;

use super::{compare, expected, frames, shipped};

pub(super) fn trials(missing: &Option<String>) -> Vec<Trial> {
    let test = |name: &str, test: fn() -> Result<()>| trial(name, missing, test);
    vec![
        test("the_watchdog_ends_a_hang_and_a_host_is_told", ends_a_hang),
        test("lost_frames_are_counted_and_a_host_is_told", loses_frames),
        test("no_work_is_near_the_watchdogs_time", stays_far_from_its_time),
    ]
}

/// The application stands still after a frame until the watchdog resets it. A board that hangs no more is not reset, though it has
/// nothing to do for longer than the watchdog's time.
fn ends_a_hang() -> Result<()> {
    let (elf, folder, frames) = (build(Program::App, &shipped()?)?, tempfile::tempdir()?, frames(2));
    for (hang, reset) in [(&[][..], Reset::Other), (&["hang=once"][..], Reset::Watchdog)] {
        let app = App::start_loaded(&elf, folder.path(), &frames, hang)?;
        let class = |line: String| line.rsplit_once(", ").map(|(class, _)| class.to_owned());
        let first = class(app.line()?);
        if reset == Reset::Watchdog {
            ensure!(class(app.line()?) == first, "it starts anew with the first frame");
        }
        app.line()?;
        // Longer than the watchdog's time.
        std::thread::sleep(Duration::from_millis(2500));
        let device = Device::open(app.transport()?, Patience::default())?;
        let about = device.description();
        ensure!(about.reset == reset && about.complaint().is_some() == (reset == Reset::Watchdog), "{about:?}");
        ensure!(app.waiting_lines() == 0, "it has started once more");
    }
    Ok(())
}

/// Before each frame the camera loses one, in one of three ways.
fn loses_frames() -> Result<()> {
    let (blob, folder, frames) = (shipped()?, tempfile::tempdir()?, frames(3));
    let app = App::start_loaded(&build(Program::App, &blob)?, folder.path(), &frames, &["camera=loses"])?;
    for frame in &frames {
        // Each decides by itself, without smoothing.
        compare(&app, &expected(&blob, std::slice::from_ref(frame))?)?;
    }
    let mut device = Device::open(app.transport()?, Patience::default())?;
    ensure!(device.camera_complaint().is_none(), "it has not been asked");
    ensure!(device.look(0)?.is_none(), "no frame is kept for a host that did not look before");
    let (faults, complaint) = (device.camera_faults(), device.camera_complaint().context("it complains")?);
    ensure!(faults == CameraFaults { silent: 1, short: 1, damaged: 1 } && complaint.contains("1 ended too early"));
    Ok(())
}

/// A start, and an update with its signature, proofs, self-test, and flash that is erased and programmed.
fn stays_far_from_its_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("key");
    generate(&key, false)?;
    let elf = build_app(Some(&key.with_extension("pub")))?;
    let app = App::start_blind(&elf, folder.path(), &["unfed=shown"])?;
    let signed = sign(&shipped()?, &read_key(&key)?, 7)?;
    let mut device = Device::open(app.transport()?, Patience::default())?;
    device.update(&signed, |_| ())?;
    ensure!(device.self_test()? == SelfTest::Passed);
    let figure = |line: &str, before: &str| -> Result<u32> {
        let figure = line.strip_prefix(before).and_then(|line| line.strip_suffix(" instructions"));
        figure.with_context(|| line.to_owned())?.parse::<u32>().with_context(|| line.to_owned())
    };
    let start = figure(&app.line()?, "started unfed ")?;
    let mut work = 0;
    for line in app.waiting() {
        work = figure(&line, "unfed ")?;
    }
    println!("longest time without feeding: {start} instructions at the start, {work} since then");
    ensure!((1..=START_UNFED).contains(&start), "the start takes {start} instructions, and {START_UNFED} at most");
    ensure!((1_000_000..=WORK_UNFED).contains(&work), "work takes {work} instructions, and {WORK_UNFED} at most");
    Ok(())
}
