//! The cores that QEMU's MPS2 and MPS3 boards have.

use clap::ValueEnum;
use model_compiler::layout::pack::Constants;
use serde::{Deserialize, Serialize};

/// By this variable firmware says which kernels it takes.
pub(super) const KERNELS: &str = "NO_STD_INFER_KERNELS";

/// A core to measure on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
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
    /// Cortex-M4, whose floating-point unit the code leaves alone.
    M4NoFpu,
    /// Cortex-M7.
    M7,
    /// Cortex-M23: its code, on a Cortex-M55.
    M23,
    /// Cortex-M33 with its DSP extension.
    M33,
    /// Cortex-M33 with its DSP extension and without a floating-point unit: its code, on a Cortex-M55.
    M33NoFpu,
    /// Cortex-M33 with neither: its code, on a Cortex-M55.
    M33NoDsp,
    /// Cortex-M55 with its vector extension.
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
            Core::M4NoFpu => "Cortex-M4",
            Core::M7 => "Cortex-M7",
            Core::M23 => "Cortex-M23",
            Core::M33 => "Cortex-M33",
            Core::M33NoFpu => "Cortex-M33 without FPU",
            Core::M33NoDsp => "Cortex-M33 without DSP extension",
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
            Core::M4NoFpu => "thumbv7em-none-eabi",
            Core::M23 => "thumbv8m.base-none-eabi",
            Core::M33 | Core::M55 => "thumbv8m.main-none-eabihf",
            Core::M33NoFpu | Core::M33NoDsp => "thumbv8m.main-none-eabi",
        }
    }

    /// The kernels that its firmware is to have.
    #[must_use]
    pub fn kernels(self) -> &'static str {
        match self {
            Core::M55 => "armv8.1m",
            Core::M4 | Core::M4NoFpu | Core::M7 | Core::M33 | Core::M33NoFpu => "armv7em",
            Core::M3 | Core::M33NoDsp => "armv7m",
            Core::M0Plus | Core::M23 => "armv6m",
        }
    }

    /// How constants are laid out for it.
    #[must_use]
    pub fn constants(self) -> Constants {
        if self == Core::M55 { Constants::Plain } else { Constants::Packed }
    }

    /// What the compiler is told besides, as variables of its environment.
    pub(super) fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Core::M33NoFpu => &[(KERNELS, "armv7em")],
            Core::M33NoDsp => &[(KERNELS, "armv7m")],
            Core::M55 => &[("RUSTFLAGS", "-Ctarget-cpu=cortex-m55")],
            Core::M0Plus | Core::M3 | Core::M4 | Core::M4NoFpu | Core::M7 | Core::M23 | Core::M33 => &[],
        }
    }

    /// QEMU's name of the board.
    #[must_use]
    pub fn machine(self) -> &'static str {
        self.board().machine
    }

    /// Part number of the emulated core.
    pub(super) fn part_number(self) -> u32 {
        self.board().part_number
    }

    /// Where firmware looks for what QEMU's loader put into memory: the board's PSRAM or DDR.
    pub(super) fn load_address(self) -> u32 {
        self.board().load_address
    }

    fn board(self) -> Board {
        let (machine, part_number, load_address) = match self {
            Core::M0Plus | Core::M3 => ("mps2-an385", 0xC23, 0x2100_0000),
            Core::M4 | Core::M4NoFpu => ("mps2-an386", 0xC24, 0x2100_0000),
            Core::M7 => ("mps2-an500", 0xC27, 0x6000_0000),
            Core::M33 => ("mps2-an505", 0xD21, 0x8000_0000),
            Core::M23 | Core::M33NoFpu | Core::M33NoDsp | Core::M55 => ("mps3-an547", 0xD22, 0x6100_0000),
        };
        Board { machine, part_number, load_address }
    }
}

/// A board that runs a core's code.
struct Board {
    machine: &'static str,
    part_number: u32,
    load_address: u32,
}
