//! Classifies the built-in picture, prints class, probabilities and costs, and ends QEMU.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

use cortex_m_rt::entry;
use mps2::{ARENA_LEN, LINKED, MODEL, Mps2, Ticks, exit, name};
use no_std_device::link::Picture;
use no_std_device::{Clock, Costs, infer};
use no_std_infer::image::PixelFormat;
use no_std_infer::{Arena, Interpreter, Model};
use static_cell::ConstStaticCell;

/// A camera's frame.
const PICTURE: Picture<'_> =
    Picture::Frame { format: PixelFormat::Rgb565Be, width: 96, height: 96, bytes: include_bytes!("demo.rgb565") };
/// Most operators whose cost is printed.
const LAYERS: usize = 64;

#[entry]
fn main() -> ! {
    static ARENA: ConstStaticCell<Arena<ARENA_LEN>> = ConstStaticCell::new(Arena::new());
    let mut board = Mps2::start();
    exit(demo(&mut board, ARENA.take()).is_ok())
}

fn demo(board: &mut Mps2, arena: &mut [i8]) -> fmt::Result {
    let model = match Model::parse_with(MODEL, LINKED) {
        Ok(model) => model,
        Err(error) => {
            writeln!(board.uarts.0, "the blob cannot be run: {error}")?;
            return Err(fmt::Error);
        }
    };
    let mut layers = [0; LAYERS];
    let outcome = infer(&board.clock, &model, arena, PICTURE, |index, cost| {
        if let Some(slot) = layers.get_mut(index) {
            *slot = cost;
        }
    });
    match outcome {
        Ok((interpreter, costs)) => print(board, &interpreter, &layers, costs),
        Err(failure) => {
            writeln!(board.uarts.0, "the built-in picture cannot be classified: {failure}")?;
            Err(fmt::Error)
        }
    }
}

fn print(board: &mut Mps2, interpreter: &Interpreter<'_, '_>, layers: &[u32], costs: Costs) -> fmt::Result {
    let (model, stack) = (interpreter.model(), board.clock.stack_used());
    let console = &mut board.uarts.0;
    writeln!(console, "board {}", name())?;
    writeln!(console, "model {} {:08x}", model.info().name, model.crc())?;
    writeln!(console, "flash {} bytes, arena {} bytes, stack {stack} bytes", MODEL.len(), model.arena_len())?;
    let (mut labels, scores) = (model.labels(), interpreter.scores());
    for (class, &score) in scores.output().iter().enumerate() {
        // Of 1000, rounded; a softmax's or a sigmoid's output is (q + 128) / 256.
        let permille = ((i32::from(score) + 128) * 1000 + 128) / 256;
        let mark = if class == interpreter.class() { '>' } else { ' ' };
        write!(console, "{mark} {:3}.{} % ", permille / 10, permille % 10)?;
        match labels.next() {
            Some(label) => writeln!(console, "{label}")?,
            None => writeln!(console, "{class}")?,
        }
    }
    for (op, cost) in model.ops().zip(layers) {
        writeln!(console, "{cost:>12} {} {}", Ticks::UNIT, op.name())?;
    }
    writeln!(console, "{:>12} {} in all", costs.network, Ticks::UNIT)?;
    writeln!(console, "{:>12} {} for preprocessing", costs.preprocessing, Ticks::UNIT)
}
