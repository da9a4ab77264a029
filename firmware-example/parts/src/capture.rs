//! When a capture has failed: by what the interface to the sensor shows, or because it takes too long.

use no_std_device::CameraFault;

/// Words that may be on their way from the sensor to memory when a frame has ended: four in the interface, four in the DMA
/// (RM0433, DCMI and DMA: depth of the FIFOs).
const ON_THEIR_WAY: u32 = 8;

/// What an interface shows of the capture that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// It has lost bytes, or its step.
    pub failed: bool,
    /// The sensor has ended the frame.
    pub ended: bool,
    /// Words of the frame that are not in memory yet.
    pub left: u32,
}

impl Shown {
    /// Why the capture cannot come to its end; `None` while it can.
    #[must_use]
    pub fn fault(self) -> Option<CameraFault> {
        if self.failed {
            return Some(CameraFault::Damaged);
        }
        (self.ended && self.left > ON_THEIR_WAY).then_some(CameraFault::Short)
    }

    /// Why the capture has failed, when it is given up because it takes too long.
    #[must_use]
    pub fn given_up(self) -> CameraFault {
        self.fault().unwrap_or(if self.ended { CameraFault::Short } else { CameraFault::Silent })
    }
}

/// Says when a capture that something else carries out takes too long. Times are those of a counter of 32 bits, which may begin
/// again, and must be looked at more often than it does.
#[derive(Clone, Copy, Debug)]
pub struct Overseer {
    longest: u32,
    number: u32,
    since: u32,
}

impl Overseer {
    /// A capture may take so many counts.
    #[must_use]
    pub const fn new(longest: u32) -> Self {
        Self { longest, number: 0, since: 0 }
    }

    /// Whether the capture is to be given up. `number` goes up by one when a capture begins and when it ends, so that it is odd
    /// while one is under way. One that goes on nevertheless is to be given up again after the same time.
    pub fn is_overdue(&mut self, number: u32, now: u32) -> bool {
        if number != self.number || number.is_multiple_of(2) {
            (self.number, self.since) = (number, now);
            return false;
        }
        let overdue = now.wrapping_sub(self.since) >= self.longest;
        if overdue {
            self.since = now;
        }
        overdue
    }
}
