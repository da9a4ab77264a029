//! Classifies what the camera sees and prints the class.
#![no_std]
#![no_main]

mod board;

use cortex_m_rt::entry;
use embedded_io::Write;
use heapless::Vec;
use no_std_device::{Anyone, Application, Average, Buffers, NoFlash, Parts, Report};
use no_std_infer::format::arena_len;
use no_std_infer::kernels::{KernelSet, Linked};
use no_std_infer::{Arena, Model};
use static_cell::ConstStaticCell;

use board::{Console, exit, start};

/// The blob, which stays in flash.
const MODEL: &[u8] = no_std_infer::include_model!(concat!(env!("OUT_DIR"), "/model.blob"));
/// The kernels that this model needs; firmware that takes other models links `Linked::ALL`, or those of a wider set.
const LINKED: &Linked = &Linked::new(KernelSet::needed_by(MODEL));
/// Length of the arena in bytes: what this model needs. Firmware that takes other models needs room for theirs.
const ARENA_LEN: usize = arena_len(MODEL);
/// Most classes whose scores are smoothed over time.
const CLASSES: usize = 64;
/// A score moves by half of the distance with each frame.
const SMOOTHING: u8 = 1;
/// Longest request of a host: a frame of 96x96 RGB565 fits.
const REQUEST_LEN: usize = 32 * 1024;
/// Operators, classes and outputs of 2 KiB in all fit into an answer.
const RESULTS_LEN: usize = 2 * 1024;
const ANSWER_LEN: usize = no_std_device::link::max_frame_len(RESULTS_LEN + 64);
/// Frames after which QEMU ends.
const FRAMES: u32 = 3;

#[entry]
fn main() -> ! {
    static ARENA: ConstStaticCell<Arena<ARENA_LEN>> = ConstStaticCell::new(Arena::new());
    static AVERAGES: ConstStaticCell<Vec<Average, CLASSES>> = ConstStaticCell::new(Vec::new());
    static BUFFERS: ConstStaticCell<Buffers<REQUEST_LEN, RESULTS_LEN, ANSWER_LEN>> =
        ConstStaticCell::new(Buffers::new());

    let (mut board, mut console) = start();
    let mut slots = [NoFlash; 2];
    let application = Application::new(Parts {
        factory: Some(MODEL),
        slots: slots.each_mut(),
        trust: Anyone,
        linked: LINKED,
        arena: ARENA.take(),
        averages: AVERAGES.take(),
        smoothing: SMOOTHING,
        memory: BUFFERS.take().memory(),
    });
    let mut frames = 0;
    application.run(&mut board, |report, model| {
        print(&mut console, report, model);
        frames += 1;
        if frames == FRAMES {
            exit(true);
        }
    })
}

/// Prints a line such as `happy, 255 of 256, 11427600 instructions`. Text without the core library's formatting saves several
/// KiB of flash.
fn print(console: &mut Console, report: &Report, model: &Model<'_>) {
    let Report { decision, latency, .. } = report;
    let label = model.labels().nth(decision.class).unwrap_or("a class without a name");
    let doubt = if decision.sure { "" } else { "not sure, " };
    let (mut probability, mut cost) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (probability, cost) = (probability.format(decision.probability), cost.format(*latency));
    for text in [doubt, label, ", ", probability, " of 256, ", cost, " instructions\n"] {
        let _ = console.write_all(text.as_bytes());
    }
}
