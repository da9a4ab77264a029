//! What went wrong on a device, as a host is told.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::board::CameraFault;

/// Frames that a camera has lost since the device started, by what became of them. The counts stay at their greatest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CameraFaults {
    /// [`CameraFault::Silent`].
    pub silent: u32,
    /// [`CameraFault::Short`].
    pub short: u32,
    /// [`CameraFault::Damaged`].
    pub damaged: u32,
}

impl CameraFaults {
    /// One more.
    pub fn count(&mut self, fault: CameraFault) {
        let count = match fault {
            CameraFault::Silent => &mut self.silent,
            CameraFault::Short => &mut self.short,
            CameraFault::Damaged => &mut self.damaged,
        };
        *count = count.saturating_add(1);
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.silent.saturating_add(self.short).saturating_add(self.damaged)
    }
}

/// What the counts are and what they usually mean, for people; nothing where no frame was lost.
impl fmt::Display for CameraFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.silent, "did not come in time (no power, no clock, or a loose line?)"),
            (self.short, "ended too early (a loose line, or a sensor that was reset?)"),
            (self.damaged, "came faster than memory took them, or out of step"),
        ];
        let mut separator = "";
        for (count, what) in kinds.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {what}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Why a device started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reset {
    /// The board cannot tell.
    #[default]
    Unknown,
    /// Power, a person, a debugger or the firmware itself, and not the watchdog.
    Other,
    /// The watchdog: the firmware had not fed it for too long.
    Watchdog,
}
