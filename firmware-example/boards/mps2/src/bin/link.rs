//! Answers a host over UART 0; the host's side is `host_trainer::device`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use mps2::{ARENA_LEN, LINKED, MODEL, Mps2, name};
use no_std_device::{Anyone, Application, Board, Memory, NoCamera, NoFlash, NoIndicator, Server};
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
    static REQUEST: ConstStaticCell<[u8; REQUEST_LEN]> = ConstStaticCell::new([0; REQUEST_LEN]);
    static RESULTS: ConstStaticCell<[u8; RESULTS_LEN]> = ConstStaticCell::new([0; RESULTS_LEN]);
    static FRAME: ConstStaticCell<[u8; FRAME_LEN]> = ConstStaticCell::new([0; FRAME_LEN]);

    let Mps2 { uarts: (link, ..), clock, .. } = Mps2::start();
    let application = Application {
        factory: Some(MODEL),
        linked: LINKED,
        arena: ARENA.take(),
        averages: &mut [],
        smoothing: 0,
        server: Server::new(Memory { request: REQUEST.take(), results: RESULTS.take(), frame: FRAME.take() }),
        trust: Anyone,
    };
    let mut board = Board { name: name(), camera: NoCamera, link, indicator: NoIndicator, slots: [NoFlash; 2], clock };
    application.run(&mut board, |_, _| {})
}
