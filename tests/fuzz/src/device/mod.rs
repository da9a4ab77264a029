//! Devices in conversation with hosts that may say anything, cut anywhere, while power fails at any operation of the flash.
//!
//! What must hold: a device with a model built in always runs one, whatever has become of its flash; while the flash is sound,
//! the model of an update runs after it was granted, and until then the one before; a device that takes signed models only never runs another, nor one with a smaller number than it was granted;
//! no word of flash is read that power left half-written, which the simulated flash asserts.

mod boot;
mod counts;
mod host;
mod models;
mod wire;

use std::rc::Rc;

use fastrand::Rng;
use no_std_device::link::{Message, Receiver, Response, decode};
use no_std_device::{Anyone, Owner};

use crate::simulated::{Power, Simulated};
use boot::{Build, Turns, boot};
pub use counts::Counts;
use host::{Burst, Host};
use models::{Brought, FACTORY, all, crc, owner};
use wire::Wire;

/// Starts of an episode.
const STARTS: usize = 6;
/// Most bursts of requests between two starts.
const BURSTS: usize = 12;
/// Bytes of a slot.
const SLOT_LEN: usize = 2048;

type Flash = Simulated<32, 256>;

/// A device over its starts, and what is known of it.
struct Device {
    build: Build,
    signed_only: bool,
    power: Rc<Power>,
    /// Checksums of what may run.
    allowed: Vec<Option<u32>>,
    /// The largest number that it was granted.
    number: u32,
    /// Its flash has failed otherwise than by a failure of power: any of the models that it was ever allowed to run may run.
    faulty: bool,
    rng: Rng,
}

/// Runs the episode of a number; gives how many requests were sent.
///
/// # Panics
/// When a device does, or breaks its promise.
pub fn episode(number: u64, counts: &mut Counts) -> u64 {
    let mut rng = Rng::with_seed(number);
    let power = Power::new(rng.u32(..1 << 30));
    let mut slots = [0, 1].map(|_| Flash::new(&power, SLOT_LEN));
    let build = Build { application: rng.bool(), factory: rng.bool() };
    let mut host = Host::new(rng.fork());
    let mut link = Wire { to_device: Default::default(), to_host: Vec::new(), rng: rng.fork() };
    let allowed = vec![build.factory.then(|| crc(FACTORY))];
    let with_faults = rng.u8(..4) == 0;
    let mut device = Device { build, signed_only: rng.bool(), power, allowed, number: 0, faulty: false, rng };
    for _ in 0..STARTS {
        device.power.restore();
        link.to_device.clear();
        link.to_host.clear();
        counts.starts += 1;
        let signed_only = device.signed_only;
        if with_faults && device.rng.bool() {
            device.fault(&mut slots, counts);
        }
        let mut then = |turns: &mut dyn Turns| device.converse(&mut host, turns, counts);
        if signed_only {
            boot(build, Owner(owner()), &mut slots, &mut link, &mut then);
        } else {
            boot(build, Anyone, &mut slots, &mut link, &mut then);
        }
    }
    counts.requests
}

impl Device {
    /// Damages one of the slots, makes it unreadable or unsteady, or lets it be well again.
    fn fault(&mut self, slots: &mut [Flash; 2], counts: &mut Counts) {
        let slot = &mut slots[self.rng.usize(..2)];
        let (at, bits) = (self.rng.usize(..SLOT_LEN / 2), 1 << self.rng.u8(..8));
        match self.rng.u8(..5) {
            0 | 1 => slot.damage(at, bits),
            2 => slot.unsettle(at, bits),
            3 => slot.make_unreadable(true),
            _ => {
                slot.unsettle(0, 0);
                slot.make_unreadable(false);
            }
        }
        (self.faulty, counts.faults) = (true, counts.faults + 1);
    }

    /// Serves a host until power fails, the firmware is to start anew, or someone resets it.
    fn converse(&mut self, host: &mut Host, turns: &mut dyn Turns, counts: &mut Counts) {
        self.check(turns.runs());
        host.start_again();
        for _ in 0..self.rng.usize(1..=BURSTS) {
            let burst = host.burst();
            if self.rng.u8(..8) == 0 {
                self.power.fail_after(self.rng.u32(..12));
            }
            turns.link().to_device.extend(&burst.bytes);
            let goes_on = turns.turn();
            counts.requests += burst.requests;
            let granted = granted(&burst, &std::mem::take(&mut turns.link().to_host), counts);
            self.learn(&burst, granted);
            if self.power.has_failed() {
                counts.failures += 1;
                return;
            }
            self.power.restore();
            if !goes_on {
                return;
            }
            if self.build.application {
                self.check(turns.runs());
            }
        }
    }

    /// What may run after a burst of requests, of which the device granted this one last.
    fn learn(&mut self, burst: &Burst, granted: Option<u32>) {
        if let Some(crc) = granted {
            self.allowed = vec![Some(crc)];
            self.number = self.number.max(number(crc));
        }
        if self.power.has_failed() {
            // An answer may be lost.
            self.allowed.extend(burst.commits.iter().map(|&(_, crc)| Some(crc)));
        }
    }

    /// Compares what runs with what may run.
    fn check(&mut self, runs: Option<u32>) {
        assert!(runs.is_some() || !self.build.factory, "no model runs, though one is built in");
        if self.faulty {
            self.number = 0;
        } else {
            assert!(self.allowed.contains(&runs), "{runs:08x?} runs and not one of {:08x?}", self.allowed);
        }
        self.allowed = vec![runs];
        let Some(runs) = runs.filter(|&runs| runs != crc(FACTORY)) else { return };
        let brought = find(runs).expect("somebody brought it");
        assert!(brought.may_run(self.signed_only), "a model runs that should not");
        if self.signed_only {
            assert!(number(runs) >= self.number, "model {} runs after model {}", number(runs), self.number);
        }
    }
}

/// The model with this checksum.
fn find(crc: u32) -> Option<&'static Brought> {
    all().iter().find(|brought| brought.crc() == crc)
}

/// Its number, or 0.
fn number(crc: u32) -> u32 {
    find(crc).and_then(|brought| brought.number).unwrap_or(0)
}

/// The model that a device's answers granted last.
fn granted(burst: &Burst, answers: &[u8], counts: &mut Counts) -> Option<u32> {
    let mut memory = heapless::Vec::<u8, 512>::new();
    let mut receiver = Receiver::new(&mut memory);
    let mut granted = None;
    for &byte in answers {
        let Some(message) = receiver.push(byte) else { continue };
        let answer: Message<Response<'_>> = message.and_then(decode).expect("a device's answers are whole");
        counts.answer(&answer);
        let commit = burst.commits.iter().find(|&&(id, _)| id == answer.id);
        if let (Response::Update { .. }, Some(&(_, crc))) = (answer.body, commit) {
            counts.commits += 1;
            granted = Some(crc);
        }
    }
    granted
}
