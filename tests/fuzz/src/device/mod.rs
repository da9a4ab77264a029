//! Devices in conversation with hosts that may say anything, cut anywhere, while power fails at any operation of the flash.
//!
//! What must hold: a device with a model built in always runs one, whatever has become of its flash; while the flash is sound,
//! the model of an update runs from when it was granted on, unless it is on trial and has had all its starts, or the host asked
//! for the one before; a device that takes signed models only never runs another, nor one of a smaller number than one that has
//! proved itself; no word of flash is read that power left half-written, which the simulated flash asserts.

mod boot;
mod counts;
mod expected;
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
use expected::Expected;
use host::{Burst, Host, Wish};
use models::{FACTORY, crc, owner};
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
    expected: Expected,
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
    let expected = Expected::new(build.factory.then(|| crc(FACTORY)));
    let with_faults = rng.u8(..4) == 0;
    let mut device = Device { build, signed_only: rng.bool(), power, expected, rng };
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
        self.expected.fault();
        counts.faults += 1;
    }

    /// Serves a host until power fails, the firmware is to start anew, or someone resets it.
    fn converse(&mut self, host: &mut Host, turns: &mut dyn Turns, counts: &mut Counts) {
        self.expected.start();
        self.expected.check(turns.runs(), self.build.factory, self.signed_only);
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
            let wishes: Vec<Wish> = burst.wishes.iter().map(|&(_, wish)| wish).collect();
            self.expected.learn(&granted, &wishes, self.power.has_failed());
            if self.power.has_failed() {
                counts.failures += 1;
                return;
            }
            self.power.restore();
            if !goes_on {
                return;
            }
            if self.build.application {
                self.expected.check(turns.runs(), self.build.factory, self.signed_only);
            }
        }
    }
}

/// What a device's answers granted, in their order.
fn granted(burst: &Burst, answers: &[u8], counts: &mut Counts) -> Vec<Wish> {
    let mut memory = heapless::Vec::<u8, 512>::new();
    let mut receiver = Receiver::new(&mut memory);
    let (mut granted, mut last) = (Vec::new(), 0);
    for &byte in answers {
        let Some(message) = receiver.push(byte) else { continue };
        let answer: Message<Response<'_>> = message.and_then(decode).expect("a device's answers are whole");
        counts.answer(&answer);
        let wish = burst.wishes.iter().find(|&&(id, _)| id == answer.id && id != last);
        // The answer to what is asked for again is given again, and nothing else is done.
        last = answer.id;
        if let (Response::Update { .. }, Some(&(_, wish))) = (answer.body, wish) {
            counts.grant(wish);
            granted.push(wish);
        }
    }
    granted
}
