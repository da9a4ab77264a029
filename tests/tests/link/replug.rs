//! Boards that go while their camera is seen, and come back: what was saved is whole, and what is seen goes on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use host_trainer::collect::{Collection, Filing, Saved, png};
use host_trainer::device::{Device, Transport, Twin, Way};
use model_compiler::aligned::Aligned;
use no_std_infer::Model;
use tests::in_process::InProcess;
use tests::residual;

use super::camera::frames;
use super::{BLOB, QUICK};

/// How long a board may be away; the host waits no longer between two attempts.
const ABSENCE: Duration = Duration::from_millis(100);

/// A board whose port vanishes after so many requests, or in the middle of an answer. It is reset with that.
struct Vanishing {
    device: InProcess,
    left: usize,
}

impl Transport for Vanishing {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.left = self.left.checked_sub(1).context("the port has gone")?;
        self.device.send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        if self.left == 0 {
            self.device.receive(&mut buffer[..10], patience)?;
            bail!("the port has gone");
        }
        self.device.receive(buffer, patience)
    }
}

/// A board that is there for so many requests each time, and at every other attempt to open its port is not.
fn going(blobs: Vec<Aligned<u8>>, frames: Vec<Vec<u8>>, left: Vec<usize>) -> Result<Way> {
    let (mut left, mut attempts, last) = (VecDeque::from(left), 0, blobs.len() - 1);
    let way = Way::open(move || {
        attempts += 1;
        ensure!(attempts % 2 == 1, "there is no such port");
        let device = InProcess::start_with_camera(&blobs[(attempts / 2).min(last)], frames.clone());
        Ok(Box::new(Vanishing { device, left: left.pop_front().unwrap_or(usize::MAX) }))
    })?;
    Ok(way.within(ABSENCE))
}

/// Sees frames until so many were saved; gives how often the board was away.
fn collect(left: Vec<usize>, count: usize) -> Result<u32> {
    let (frames, folder) = (frames(64), tempfile::tempdir()?);
    let mut collection = Collection::open(folder.path())?;
    let mut device = Device::open(going(vec![BLOB.clone()], frames.clone(), left)?, QUICK)?;
    let (mut twin, mut last, mut saved) = (Twin::new(Model::parse(&BLOB)?), 0, Vec::new());
    while saved.len() < count {
        let (seen, bytes) = device.see(last, QUICK.most, |_| ())?;
        ensure!(frames.contains(&bytes) && twin.compare(&seen, &bytes)?.differing == 0, "frame {}", seen.sequence);
        last = seen.sequence;
        let shape = seen.shape.context("a camera")?;
        if let Saved::New { path, .. } =
            collection.save(&shape, &bytes, Filing { label: Some("some"), camera: 0, near: false })?
        {
            saved.push((path, png(&shape, &bytes)?));
        }
    }
    let groups = std::fs::read_to_string(folder.path().join("groups.csv"))?;
    for (path, expected) in &saved {
        let name = path.file_name().and_then(|name| name.to_str()).context("a name")?;
        ensure!(std::fs::read(path)? == *expected && groups.contains(name), "{name} is not what was saved");
    }
    Ok(device.absences().count)
}

#[test]
fn a_board_that_goes_and_comes_back_is_seen_on() -> Result<()> {
    for first in [2, 3, 4, 8] {
        let away = collect(vec![first, first + 3, 2 * first], 12)?;
        ensure!(away == 3, "it was away {away} times");
    }
    Ok(())
}

#[test]
fn a_board_that_stays_away_is_given_up() -> Result<()> {
    let (absence, mut opened) = (Duration::from_millis(50), false);
    let way = Way::open(move || {
        ensure!(!std::mem::replace(&mut opened, true), "there is no such port");
        Ok(Box::new(Vanishing { device: InProcess::start_with_camera(&BLOB, frames(7)), left: 3 }))
    })?;
    let mut device = Device::open(way.within(absence), QUICK)?;
    let start = Instant::now();
    let error = device.see(0, QUICK.most, |_| ()).err().context("it is away")?;
    let text = format!("{error:#}");
    ensure!(text.contains("did not come back within 50ms") && text.contains("no such port"), "{text}");
    ensure!(start.elapsed() < QUICK.most, "it took {:?}", start.elapsed());
    Ok(())
}

#[test]
fn a_board_that_comes_back_with_another_model_is_refused() -> Result<()> {
    let other = residual::blob(2)?;
    let mut device = Device::open(going(vec![BLOB.clone(), other], frames(7), vec![3])?, QUICK)?;
    let error = device.see(0, QUICK.most, |_| ()).err().context("it runs another model")?.to_string();
    ensure!(error.contains("the device that came back runs model"), "{error}");
    Ok(())
}

#[test]
fn a_board_that_never_stays_is_given_up() -> Result<()> {
    // Each time it says hello and is gone.
    let mut device = Device::open(going(vec![BLOB.clone()], frames(7), vec![2; 100])?, QUICK)?;
    let error = device.see(0, QUICK.most, |_| ()).err().context("it never stays")?.to_string();
    ensure!(error.contains("the port has gone") && device.absences().count < 20, "{error}: {:?}", device.absences());
    Ok(())
}

#[test]
fn a_way_that_cannot_be_opened_again_ends() -> Result<()> {
    let vanishing = Vanishing { device: InProcess::start_with_camera(&BLOB, frames(7)), left: 3 };
    let mut device = Device::open(Box::new(vanishing), QUICK)?;
    let error = device.see(0, QUICK.most, |_| ()).err().context("the port has gone")?.to_string();
    ensure!(error == "the port has gone", "{error}");
    Ok(())
}
