//! A camera's frames over such ways: each is seen whole, and computed again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use host_trainer::device::{Device, Faulty, Transport, Twin};
use no_std_device::link::Shown;
use no_std_infer::Model;
use proptest::prelude::*;
use tests::in_process::{FRAME, InProcess};
use tests::residual;

use super::{BLOB, QUICK};

/// Frames of a camera, as bytes.
pub(super) fn frames(count: u64) -> Vec<Vec<u8>> {
    let (format, width, height) = FRAME;
    let len = usize::from(width) * usize::from(height) * format.bytes_per_pixel();
    (0..count).map(|seed| residual::picture(seed, len).iter().map(|&value| value as u8).collect()).collect()
}

/// Sees so many frames over a way on which `share` of what is said suffers; gives how much did.
fn watch(seed: u64, share: f64, count: u32) -> Result<u64> {
    let frames = frames(7);
    let (faulty, suffered) = Faulty::new(InProcess::start_with_camera(&BLOB, frames.clone()), seed, share);
    let mut device = Device::open(Box::new(faulty), QUICK)?;
    let mut twin = Twin::new(Model::parse(&BLOB)?);
    let mut last = 0;
    for number in 1..=count {
        let (seen, bytes) = device.see(last, QUICK.most, |_| ())?;
        let agreement = twin.compare(&seen, &bytes)?;
        ensure!(agreement.differing == 0 && agreement.compared >= 10, "frame {number}: {agreement:?}");
        // Some may have passed before the host began to look, and none afterwards.
        ensure!(last == 0 || seen.sequence == last + 1, "frame {} comes after {last}", seen.sequence);
        ensure!(frames.contains(&bytes), "frame {number} is none of the camera's");
        ensure!(seen.class == seen.result.class, "it does not smooth");
        let (shape, preview) = (seen.shape.context("a camera")?, device.read(&seen, Shown::Input, |_| ())?);
        let here: Vec<u8> = twin.input(&shape, &bytes)?.iter().map(|&value| value as u8).collect();
        ensure!(preview == here, "the network's input of frame {number} is another");
        last = seen.sequence;
    }
    Ok(suffered.get())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]

    #[test]
    fn whatever_happens_on_the_way_each_frame_is_seen_whole(seed: u64, share in 0.02..0.25) {
        let suffered = watch(seed, share, 12).map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        prop_assert!(suffered > 0 || share < 0.05);
    }
}

#[test]
fn hundreds_of_frames_are_seen_on_a_clean_way() -> Result<()> {
    ensure!(watch(1, 0.0, 300)? == 0);
    Ok(())
}

/// A board that is reset, and begins to count again, after so many requests.
struct Resetting {
    device: InProcess,
    left: u32,
}

impl Transport for Resetting {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            (self.device, self.left) = (InProcess::start_with_camera(&BLOB, frames(7)), 40);
        }
        self.device.send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        self.device.receive(buffer, patience)
    }
}

#[test]
fn a_frame_that_a_reset_takes_away_gives_way_to_another() -> Result<()> {
    let frames = frames(7);
    for left in 2..12 {
        let device = InProcess::start_with_camera(&BLOB, frames.clone());
        let mut device = Device::open(Box::new(Resetting { device, left }), QUICK)?;
        let mut twin = Twin::new(Model::parse(&BLOB)?);
        let mut last = 0;
        for _ in 0..12 {
            let (seen, bytes) = device.see(last, QUICK.most, |_| ())?;
            ensure!(frames.contains(&bytes) && twin.compare(&seen, &bytes)?.differing == 0, "after {left} requests");
            last = seen.sequence;
        }
    }
    Ok(())
}
