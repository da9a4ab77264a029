//! Byte for byte: what a device computes beside what this machine does.

use std::fmt;

use anyhow::Result;
use model_training::measure::evaluate::Int8Output;
use model_training::system::terminal::escaped;
use no_std_device::link::Unit;
use serde::Serialize;

use super::{Agreement, Device, Faults};

/// Images that went through a device, and what came of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeviceParity {
    /// Name of the board.
    pub board: String,
    /// Name of the kernel set that its firmware runs on.
    pub kernel_set: String,
    /// Images so far.
    pub images: usize,
    /// Bytes of logits and outputs.
    pub compared_bytes: usize,
    /// Those that are not this machine's.
    pub differing_bytes: usize,
    /// What [`Self::total`] counts.
    pub unit: String,
    /// Such units in a second; 0 when that is not known.
    pub hz: u32,
    /// Units that the last inference took.
    pub total: u64,
    /// Most bytes of stack in use.
    pub stack_bytes: u32,
    /// What the link had to make good.
    pub faults: Faults,
}

impl DeviceParity {
    /// Nothing has gone through the device yet.
    #[must_use]
    pub fn new(device: &Device) -> Self {
        let about = device.description();
        let (board, kernel_set) = (about.board.clone(), about.kernel_set.clone());
        Self { board, kernel_set, unit: about.unit.to_string(), hz: about.hz, ..Self::default() }
    }

    /// Runs an input on the device and compares its bytes with those of this machine; gives the device's class.
    ///
    /// # Errors
    /// When the device does not answer, or its outputs have another length.
    pub fn compare(&mut self, device: &mut Device, input: &[i8], expected: &Int8Output) -> Result<usize> {
        let result = device.infer(input)?;
        let Agreement { compared, differing } = Agreement::between(&result, expected)?;
        self.compared_bytes += compared;
        self.differing_bytes += differing;
        self.images += 1;
        self.total = result.total;
        self.stack_bytes = self.stack_bytes.max(result.stack);
        self.faults = device.faults();
        Ok(result.class)
    }
}

impl fmt::Display for DeviceParity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, kernel_set, images, compared_bytes, differing_bytes, unit, hz, total, stack_bytes, faults } =
            self;
        writeln!(f, "{}, kernels {}", escaped(board), escaped(kernel_set))?;
        writeln!(f, "{differing_bytes} of {compared_bytes} bytes of {images} images differ from the host's")?;
        write!(f, "{total} {unit} an inference")?;
        if *hz > 0 && *unit == Unit::Cycles.to_string() {
            write!(f, " ({:.1} ms)", *total as f64 * 1e3 / f64::from(*hz))?;
        }
        write!(f, ", {stack_bytes} bytes of stack\nlink: {faults}")
    }
}
