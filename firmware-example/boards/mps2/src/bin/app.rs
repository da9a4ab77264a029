//! The camera application: prints a line for each frame, serves a host, takes other models. Console on UART 0, link on
//! UART 1, camera on UART 2, slots in the file that QEMU's command line names. Other words there:
//!
//! - `smoothing=off`: each frame decides by itself;
//! - `frames=loaded`: QEMU's loader has put the frames into memory; with `camera=loses`, one is lost before each;
//! - `unfed=shown`: the console says for how long the watchdog was not fed at the start, and since then, whenever that was longer
//!   than before;
//! - `hang=once`: the application stands still after a frame, unless the watchdog has reset the board.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embedded_io::Write;
use heapless::Vec;
use mps2::camera::{FRAME_LEN, Loaded, Recording, Source};
use mps2::host_flash::{HostFlash, is_told};
use mps2::{HostLink, MODEL, Mps2, TRUST, Uart, name, watchdog};
use no_std_device::link::Reset;
use no_std_device::{Application, Average, Board, Buffers, Clock, Event, NoIndicator, Parts, Report};
use no_std_infer::kernels::Linked;
use no_std_infer::{Arena, Model};
use static_cell::ConstStaticCell;

/// Longest arena of a model in bytes.
const ARENA_LEN: usize = 256 * 1024;
/// Most classes whose scores are smoothed.
const CLASSES: usize = 1024;
/// A score moves by a quarter of the distance with each frame.
const SMOOTHING: u8 = 2;
/// Longest request: a camera's frame of 320x240 RGB888 fits.
const REQUEST_LEN: usize = 256 * 1024;
/// Operators, classes and outputs of 16 KiB in all fit.
const RESULTS_LEN: usize = 16 * 1024;
/// Room for all results as a frame.
const ANSWER_LEN: usize = no_std_device::link::max_frame_len(RESULTS_LEN + 64);

#[entry]
fn main() -> ! {
    static ARENA: ConstStaticCell<Arena<ARENA_LEN>> = ConstStaticCell::new(Arena::new());
    static AVERAGES: ConstStaticCell<Vec<Average, CLASSES>> = ConstStaticCell::new(Vec::new());
    static BUFFERS: ConstStaticCell<Buffers<REQUEST_LEN, RESULTS_LEN, ANSWER_LEN>> =
        ConstStaticCell::new(Buffers::new());
    static FRAMES: ConstStaticCell<[[u8; FRAME_LEN]; 2]> = ConstStaticCell::new([[0; FRAME_LEN]; 2]);

    let Mps2 { uarts: (mut console, link, camera), clock, psram, watchdog } = Mps2::start();
    watchdog.start();
    let [first, second] = FRAMES.take();
    let (mut slots, loaded) = HostFlash::open(psram);
    let camera = if is_told(b"frames=loaded") {
        let frames = Loaded::new(loaded);
        Source::Loaded(if is_told(b"camera=loses") { frames.losing() } else { frames })
    } else {
        Source::Recording(Recording::new(camera, [first, second]))
    };
    let mut board = Board { name: name(), camera, link: HostLink::new(link), indicator: NoIndicator, clock };
    let (shows, hangs) = (is_told(b"unfed=shown"), is_told(b"hang=once") && board.clock.reset() != Reset::Watchdog);
    let mut application = Application::new(Parts {
        factory: Some(MODEL),
        slots: slots.each_mut(),
        trust: TRUST,
        linked: Linked::ALL,
        arena: ARENA.take(),
        averages: AVERAGES.take(),
        smoothing: if is_told(b"smoothing=off") { 0 } else { SMOOTHING },
        memory: BUFFERS.take().memory(),
    });
    if shows {
        board.clock.feed();
        tell(&mut console, "started unfed", watchdog::take_longest_unfed());
    }
    let mut longest = 0;
    loop {
        match (application.poll(&mut board), application.model()) {
            (Event::Classified(report), Some(model)) => {
                print(&mut console, &report, model);
                if hangs {
                    loop {
                        cortex_m::asm::wfi();
                    }
                }
            }
            (Event::Idle, _) => board.clock.idle(),
            _ => {}
        }
        let unfed = if shows { watchdog::take_longest_unfed() } else { 0 };
        if unfed > longest {
            longest = unfed;
            tell(&mut console, "unfed", unfed);
        }
    }
}

/// A line such as `model b662d877: happy, 251 of 256, 11427600 instructions`, with `not sure, ` before a class that is
/// below the threshold. No formatting of the core library: it would take several KiB of flash.
fn print(console: &mut Uart<0>, report: &Report, model: &Model<'_>) {
    let Report { decision, latency, .. } = report;
    let mut digits = [itoa::Buffer::new(), itoa::Buffer::new(), itoa::Buffer::new()];
    let [class, probability, latency] = {
        let [class, probability, cost] = &mut digits;
        [class.format(decision.class), probability.format(decision.probability), cost.format(*latency)]
    };
    let label = model.labels().nth(decision.class).unwrap_or(class);
    let doubt = if decision.sure { "" } else { "not sure, " };
    let crc = hexadecimal(model.crc());
    for bytes in [b"model ", &crc[..], b": "] {
        let _ = console.write_all(bytes);
    }
    for text in [doubt, label, ", ", probability, " of 256, ", latency, " instructions\n"] {
        let _ = console.write_all(text.as_bytes());
    }
}

/// A line such as `unfed 9829120 instructions`.
fn tell(console: &mut Uart<0>, what: &str, instructions: u64) {
    for text in [what, " ", itoa::Buffer::new().format(instructions), " instructions\n"] {
        let _ = console.write_all(text.as_bytes());
    }
}

fn hexadecimal(number: u32) -> [u8; 8] {
    let digit = |index: u32| (number >> (28 - 4 * index)) as u8 & 0xF;
    core::array::from_fn(|index| match digit(index as u32) {
        digit @ 0..=9 => b'0' + digit,
        digit => b'a' + digit - 10,
    })
}
