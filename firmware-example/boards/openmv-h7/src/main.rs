//! The classifier on an OpenMV Cam H7: frames of its camera, answers to a host over USB, models in the flash's second bank.
#![no_std]
#![no_main]

mod axi;
mod cache;
mod camera;
mod led;
mod mpu;
mod ov7725;
mod pixels;
mod setup;
mod slot;
mod watchdog;

use cortex_m_rt::entry;
use defmt::info;
use defmt_rtt as _;
use heapless::Vec;
use no_std_device::{Application, Average, Board, Memory, Parts};
use no_std_infer::Arena;
use no_std_infer::kernels::Linked;
use parts::{CycleClock, Guarded};
use setup::{HERTZ, Hardware};
use static_cell::ConstStaticCell;

/// The model that runs until a slot holds one.
const MODEL: &[u8] = no_std_infer::include_model!(concat!(env!("OUT_DIR"), "/model.blob"));
/// Whose updates are taken: those of the owner of the public key that `MODEL_KEY` named when this was built.
#[cfg(model_key)]
const TRUST: no_std_device::Owner = no_std_device::Owner(*include_bytes!(concat!(env!("OUT_DIR"), "/model.key")));
/// Whose updates are taken: anyone's, since `MODEL_KEY` named no public key when this was built.
#[cfg(not(model_key))]
const TRUST: no_std_device::Anyone = no_std_device::Anyone;
/// Length of the arena: a model that needs more is refused.
const ARENA_LEN: usize = 80 * 1024;
/// Operators, classes and outputs of 4 KiB in all fit.
const RESULTS_LEN: usize = 4 * 1024;
/// Most classes whose scores are smoothed.
const CLASSES: usize = 256;
/// A score moves by a quarter of the distance with each frame.
const SMOOTHING: u8 = 2;
/// Room for all results as a frame.
const ANSWER_LEN: usize = no_std_device::link::max_frame_len(RESULTS_LEN + 64);

#[entry]
fn main() -> ! {
    static ARENA: ConstStaticCell<Arena<ARENA_LEN>> = ConstStaticCell::new(Arena::new());
    static AVERAGES: ConstStaticCell<Vec<Average, CLASSES>> = ConstStaticCell::new(Vec::new());
    static RESULTS: ConstStaticCell<Vec<u8, RESULTS_LEN>> = ConstStaticCell::new(Vec::new());
    static ANSWER: ConstStaticCell<Vec<u8, ANSWER_LEN>> = ConstStaticCell::new(Vec::new());

    let Some(mut core) = cortex_m::Peripherals::take() else { cortex_m::asm::udf() };
    let axi::Memory { frames, request } = axi::clear();
    mpu::guard_system_memory(&mut core.MPU);
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
    let clock = CycleClock::<HERTZ>::start(core.DCB, core.DWT);
    let Hardware { camera, link, indicator, mut slots, feed, reset } = setup::start(frames);
    let clock = Guarded { clock, feed, reset };
    let mut board = Board { name: "OpenMV Cam H7 (STM32H743VI, Cortex-M7)", camera, link, indicator, clock };
    let application = Application::new(Parts {
        factory: Some(MODEL),
        slots: slots.each_mut(),
        trust: TRUST,
        linked: Linked::ALL,
        arena: ARENA.take(),
        averages: AVERAGES.take(),
        smoothing: SMOOTHING,
        memory: Memory { request, results: RESULTS.take(), answer: ANSWER.take() },
    });
    application.run(&mut board, |report, model| {
        let decision = report.decision;
        let label = model.labels().nth(decision.class).unwrap_or("?");
        info!(
            "{=str} ({=u8} of 256, sure: {=bool}) after {=u64} cycles",
            label, decision.probability, decision.sure, report.latency
        );
    })
}
