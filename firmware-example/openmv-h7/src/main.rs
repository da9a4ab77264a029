//! The classifier on an OpenMV Cam H7: frames of its camera, answers to a host over USB, models in the flash's second bank.
#![no_std]
#![no_main]

mod axi;
mod cache;
mod camera;
mod led;
mod ov7725;
mod pixels;
mod setup;
mod slot;

use cortex_m_rt::entry;
use defmt_rtt as _;
use no_std_device::{Board, Memory};
use no_std_infer::Arena;
use parts::CycleClock;
use setup::{HERTZ, Hardware};

/// The model that runs until a slot holds one.
const MODEL: &[u8] = no_std_infer::include_model!(concat!(env!("OUT_DIR"), "/model.blob"));
/// Length of the arena: a model that needs more is refused.
const ARENA_LEN: usize = 80 * 1024;
/// Operators, classes and outputs of 4 KiB in all fit.
const RESULTS_LEN: usize = 4 * 1024;
/// Room for all results as a frame.
const FRAME_LEN: usize = no_std_infer::link::max_frame_len(RESULTS_LEN + 64);

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<ARENA_LEN> = Arena::new();
    static mut RESULTS: [u8; RESULTS_LEN] = [0; RESULTS_LEN];
    static mut FRAME: [u8; FRAME_LEN] = [0; FRAME_LEN];

    let Some(mut core) = cortex_m::Peripherals::take() else { cortex_m::asm::udf() };
    // SAFETY: the peripherals are taken once, and this is called right after that.
    let axi::Memory { frames, request } = unsafe { axi::clear() };
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
    let Hardware { camera, link, indicator, slots } = setup::start(frames);
    let clock = CycleClock::<HERTZ>::start(core.DCB, core.DWT);
    let board = Board { name: "OpenMV Cam H7 (STM32H743VI, Cortex-M7)", camera, link, indicator, slots, clock };
    run(board, MODEL, ARENA, Memory { request, results: RESULTS, frame: FRAME })
}

fn run(
    mut board: Board<
        impl no_std_device::Camera,
        impl no_std_device::Link,
        impl embedded_hal::digital::OutputPin,
        impl no_std_device::MappedFlash,
        impl no_std_device::Clock,
    >,
    model: &[u8],
    arena: &mut [i8],
    memory: Memory<'_>,
) -> ! {
    use no_std_device::{Clock, Device, Loaded, Server};
    let loaded = Loaded::parse(model).ok();
    let mut device = Device { name: board.name, clock: &board.clock, loaded: loaded.as_ref(), arena };
    let mut server = Server::new(memory);
    loop {
        let _ = board.indicator.set_high();
        if board.camera.frame().is_some() {
            let _ = board.slots[0].erase(0, 5);
            let (a, b) = board.slots.split_at_mut(1);
            let _ = a[0].write(0, b[0].bytes());
            let mut x = [0; 8];
            let _ = board.slots[0].read(0, &mut x);
        }
        if !server.poll(&mut board.link, &mut device) {
            board.clock.idle();
        }
    }
}
