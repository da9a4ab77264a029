//! Ten thousand frames in one run, for which memory does not grow.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use host_trainer::collect::{Collection, Filing, Saved};
use host_trainer::device::{Device, Seen, Twin};
use no_std_infer::Model;
use tests::in_process::InProcess;
use tests::resident;

use super::camera::frames;
use super::{BLOB, QUICK};

const FRAMES: u32 = 10_000;
/// By then everything has been used that is used again.
const WARM: u32 = 1_000;
/// Frames that differ from each other: more than a collection remembers.
const DIFFERENT: u64 = 200;
/// Of so many frames one is saved.
const SAVED: u32 = 7;
/// Bytes by which memory may grow: the allocator's, and names of what was saved.
const GROWTH: u64 = 1 << 20;

/// Sees frames by a device in this process, whose memory counts too, and offers each to `save`.
fn run(mut save: impl FnMut(u32, &Seen, &[u8]) -> Result<()>) -> Result<()> {
    let mut device = Device::open(Box::new(InProcess::start_with_camera(&BLOB, frames(DIFFERENT))), QUICK)?;
    let (mut twin, mut last, mut before, start) = (Twin::new(Model::parse(&BLOB)?), 0, 0, Instant::now());
    for number in 1..=FRAMES {
        let (seen, bytes) = device.see(last, QUICK.most, |_| ())?;
        ensure!(twin.compare(&seen, &bytes)?.differing == 0, "frame {number}");
        last = seen.sequence;
        save(number, &seen, &bytes)?;
        if number == WARM {
            before = resident("self")?;
        }
    }
    let (seconds, now) = (start.elapsed().as_secs_f64(), resident("self")?);
    println!("{FRAMES} frames in {seconds:.0} s: {before} bytes of memory after {WARM}, {now} in the end");
    ensure!(now <= before + GROWTH, "memory grew from {before} to {now} bytes");
    Ok(())
}

#[test]
#[ignore = "a minute or two"]
fn ten_thousand_frames_are_seen() -> Result<()> {
    run(|_, _, _| Ok(()))
}

#[test]
#[ignore = "a minute or two"]
fn ten_thousand_frames_are_offered_and_some_saved() -> Result<()> {
    let (folder, mut saved) = (tempfile::tempdir()?, 0);
    let mut collection = Collection::open(folder.path())?;
    run(|number, seen, bytes| {
        if number % SAVED == 0 {
            let outcome = collection.save(
                &seen.shape.context("a camera")?,
                bytes,
                Filing { label: Some("some"), camera: 0, near: false },
            )?;
            saved += u32::from(outcome != Saved::Again);
        }
        Ok(())
    })?;
    let pictures = std::fs::read_dir(folder.path().join("some"))?;
    let pictures =
        pictures.filter(|file| file.as_ref().is_ok_and(|file| file.path().extension() == Some("png".as_ref())));
    ensure!(pictures.count() as u32 == saved && saved > 0, "{saved} were saved");
    println!("{saved} were saved");
    Ok(())
}
