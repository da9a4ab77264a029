//! Answers a host over UART 0; the host's side is `host_trainer::device`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use heapless::Vec;
use mps2::{ARENA_LEN, LINKED, MODEL, Mps2, name};
use no_std_device::{Anyone, Application, Board, Buffers, NoCamera, NoFlash, NoIndicator, Parts};
use no_std_infer::Arena;
use static_cell::ConstStaticCell;

/// Longest request: a camera's frame of 320x240 RGB888 fits.
const REQUEST_LEN: usize = 256 * 1024;
/// Operators, classes and outputs of 16 KiB in all fit.
const RESULTS_LEN: usize = 16 * 1024;
/// Room for all results as a frame.
const FRAME_LEN: usize = no_std_device::link::max_frame_len(RESULTS_LEN + 64);

#[entry]
fn main() -> ! {
    static ARENA: ConstStaticCell<Arena<ARENA_LEN>> = ConstStaticCell::new(Arena::new());
    static BUFFERS: ConstStaticCell<Buffers<REQUEST_LEN, RESULTS_LEN, FRAME_LEN>> =
        ConstStaticCell::new(Buffers::new());

    let Mps2 { uarts: (link, ..), clock, watchdog, .. } = Mps2::start();
    watchdog.start();
    let (mut slots, mut averages) = ([NoFlash; 2], Vec::<_, 0>::new());
    let application = Application::new(Parts {
        factory: Some(MODEL),
        slots: slots.each_mut(),
        trust: Anyone,
        linked: LINKED,
        arena: ARENA.take(),
        averages: &mut averages,
        smoothing: 0,
        memory: BUFFERS.take().memory(),
    });
    let mut board = Board { name: name(), camera: NoCamera, link, indicator: NoIndicator, clock };
    application.run(&mut board, |_, _| {})
}
