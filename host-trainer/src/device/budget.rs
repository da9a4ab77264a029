//! What each firmware takes, and how many frames a second it would reach.

use anyhow::{Context, Result};
use model_compiler::aligned::Aligned;
use no_std_device::link::Picture;
use no_std_infer::image::PixelFormat;
use serde::Serialize;

use crate::device::boards::{Estimate, named};
use crate::device::calls::{Resident, residents};
use crate::device::measure::Bench;
use crate::device::{Core, Device, Elf, Layout, Parts, Program, build};

/// Width and height of the frames that are resized: what the OpenMV Cam's sensor is asked for.
const FRAME: (u16, u16) = (320, 240);

/// What one firmware takes.
#[derive(Clone, Debug, Serialize)]
pub struct Budget {
    /// Its name: that of the program.
    pub name: &'static str,
    /// What compiled it, version and all.
    pub compiler: String,
    /// Bytes of flash.
    pub flash: Parts,
    /// Bytes of RAM, without the stack.
    pub ram: Parts,
    /// Most bytes of stack in use while a frame was classified, where it was run: in QEMU.
    pub stack: Option<u32>,
    /// What in it formats text: nothing, where panics say nothing.
    pub formatting: Vec<String>,
    /// Its functions in RAM, which run while the flash cannot be read.
    pub residents: Vec<Resident>,
    /// Frames a second, where its board's clock is known.
    pub rate: Option<Rate>,
}

/// Frames a second, estimated.
#[derive(Clone, Debug, Serialize)]
pub struct Rate {
    /// The core's clock in MHz.
    pub clock_mhz: u64,
    /// Instructions of an inference.
    pub inference: u64,
    /// Instructions of cropping and resizing a frame of 320x240 pixels.
    pub preprocessing: u64,
    /// Cycles of both: low, nominal, high. Those of an inference on a Cortex-M4 are modelled; preprocessing and another core
    /// are taken to need as many an instruction.
    pub cycles: [u64; 3],
    /// Frames a second: at least, nominal, at most.
    pub frames_per_second: [f64; 3],
}

impl Rate {
    fn new(estimate: &Estimate, inference: u64, preprocessing: u64) -> Self {
        let share = (inference + preprocessing) as f64 / estimate.instructions as f64;
        let cycles = estimate.cycles.map(|cycles| (cycles as f64 * share) as u64);
        let clock_mhz = estimate.board.clock_mhz;
        let mut frames_per_second = cycles.map(|cycles| (clock_mhz * 1_000_000) as f64 / cycles as f64);
        frames_per_second.reverse();
        Self { clock_mhz, inference, preprocessing, cycles, frames_per_second }
    }
}

/// Builds each firmware with a blob, and measures it.
///
/// # Errors
/// When one cannot be built, or QEMU cannot be run.
pub fn measure(blob: &Aligned<u8>) -> Result<Vec<Budget>> {
    let emulated = Device::start(blob)?.infer_picture(Picture::Frame {
        format: PixelFormat::Rgb565Be,
        width: FRAME.0,
        height: FRAME.1,
        bytes: &vec![0; usize::from(FRAME.0) * usize::from(FRAME.1) * 2],
    })?;
    let bench = Bench::build(Core::M4)?;
    let measure = |program: Program| {
        let elf = build(program, blob)?;
        let Layout { flash, ram, formatting } = Layout::read(&elf, program.name(), blob)?;
        let rate = |name: &str| {
            let board = named(&[name.to_owned()])?.pop().context("the board has a description")?;
            let estimate = Estimate::new(&bench, blob, board)?;
            let inference = Bench::build(program.emulated())?.measure(blob)?.run;
            anyhow::Ok(Rate::new(&estimate, inference, emulated.preprocessing))
        };
        Ok(Budget {
            name: program.name(),
            compiler: Elf::read(&elf)?.compiler,
            flash,
            ram,
            stack: (program == Program::Link).then_some(emulated.stack),
            formatting,
            residents: residents(&elf)?,
            rate: program.board().map(rate).transpose()?,
        })
    };
    [Program::App, Program::Link, Program::OpenMvH7, Program::Pico2].into_iter().map(measure).collect()
}
