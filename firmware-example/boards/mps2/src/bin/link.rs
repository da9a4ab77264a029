//! Answers a host over UART 0; the host's side is `host_trainer::device`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use mps2::{ARENA_LEN, LINKED, MODEL, Mps2, name};
use no_std_device::{Anyone, Application, Board, Memory, NoCamera, NoFlash, NoIndicator, Server};
use no_std_infer::Arena;

/// Longest request: a camera's frame of 320x240 RGB888 fits.
const REQUEST_LEN: usize = 256 * 1024;
/// Operators, classes and outputs of 16 KiB in all fit.
const RESULTS_LEN: usize = 16 * 1024;
/// Room for all results as a frame.
const FRAME_LEN: usize = no_std_device::link::max_frame_len(RESULTS_LEN + 64);

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<ARENA_LEN> = Arena::new();
    static mut REQUEST: [u8; REQUEST_LEN] = [0; REQUEST_LEN];
    static mut RESULTS: [u8; RESULTS_LEN] = [0; RESULTS_LEN];
    static mut FRAME: [u8; FRAME_LEN] = [0; FRAME_LEN];

    let Mps2 { uarts: (link, ..), clock, .. } = Mps2::start();
    let application = Application {
        factory: Some(MODEL),
        linked: LINKED,
        arena: ARENA,
        averages: &mut [],
        smoothing: 0,
        server: Server::new(Memory { request: REQUEST, results: RESULTS, frame: FRAME }),
        trust: Anyone,
    };
    let mut board = Board { name: name(), camera: NoCamera, link, indicator: NoIndicator, slots: [NoFlash; 2], clock };
    application.run(&mut board, |_, _| {})
}
