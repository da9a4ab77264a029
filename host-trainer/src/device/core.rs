//! The cores that QEMU's MPS2 and MPS3 boards have.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A core to measure on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Core {
    /// Cortex-M0+: its code, counted on a Cortex-M3, which runs it instruction by instruction.
    #[value(name = "m0plus")]
    M0Plus,
    /// Cortex-M3.
    M3,
    /// Cortex-M4F.
    #[default]
    M4,
    /// Cortex-M7.
    M7,
    /// Cortex-M33 with its DSP extension.
    M33,
    /// Cortex-M55, without its vector extension.
    M55,
}

impl Core {
    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Core::M0Plus => "Cortex-M0+",
            Core::M3 => "Cortex-M3",
            Core::M4 => "Cortex-M4F",
            Core::M7 => "Cortex-M7",
            Core::M33 => "Cortex-M33",
            Core::M55 => "Cortex-M55",
        }
    }

    /// The target that its code is compiled for.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Core::M0Plus => "thumbv6m-none-eabi",
            Core::M3 => "thumbv7m-none-eabi",
            Core::M4 | Core::M7 => "thumbv7em-none-eabihf",
            Core::M33 => "thumbv8m.main-none-eabihf",
            Core::M55 => "thumbv8m.main-none-eabi",
        }
    }

    /// QEMU's name of the board.
    #[must_use]
    pub fn machine(self) -> &'static str {
        match self {
            Core::M0Plus | Core::M3 => "mps2-an385",
            Core::M4 => "mps2-an386",
            Core::M7 => "mps2-an500",
            Core::M33 => "mps2-an505",
            Core::M55 => "mps3-an547",
        }
    }

    /// Part number of the emulated core.
    pub(super) fn part_number(self) -> u32 {
        match self {
            Core::M0Plus | Core::M3 => 0xC23,
            Core::M4 => 0xC24,
            Core::M7 => 0xC27,
            Core::M33 => 0xD21,
            Core::M55 => 0xD22,
        }
    }

    /// Where firmware looks for what QEMU's loader put into memory: the board's PSRAM or DDR.
    pub(super) fn load_address(self) -> u32 {
        match self {
            Core::M0Plus | Core::M3 | Core::M4 => 0x2100_0000,
            Core::M7 => 0x6000_0000,
            Core::M33 => 0x8000_0000,
            Core::M55 => 0x6100_0000,
        }
    }
}
