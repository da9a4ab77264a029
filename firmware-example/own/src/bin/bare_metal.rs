//! The engine alone, in a bare loop.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embedded_io::Write;
use mps2::{ARENA_LEN, LINKED, MODEL, Mps2, exit};
use no_std_device::{Camera, load_frame};
use no_std_infer::{Arena, Interpreter, Model};
use own_firmware::{FRAMES, Picture};
use static_cell::ConstStaticCell;

#[entry]
fn main() -> ! {
    static ARENA: ConstStaticCell<Arena<ARENA_LEN>> = ConstStaticCell::new(Arena::new());

    let Mps2 { uarts: (mut console, ..), .. } = Mps2::start();
    // Checks the whole blob, once.
    let Ok(model) = Model::parse_with(MODEL, LINKED) else { exit(false) };
    let Ok(mut interpreter) = Interpreter::new(model, ARENA.take()) else { exit(false) };
    let mut camera = Picture::new();
    for _ in 0..FRAMES {
        let Some(frame) = camera.frame() else { exit(false) };
        // Crops and resizes, as training did.
        let Ok(()) = load_frame(&model, &frame, interpreter.input_mut()) else { exit(false) };
        // Cannot fail.
        interpreter.run();
        let label = model.labels().nth(interpreter.class()).unwrap_or("?");
        for text in [label, "\n"] {
            let _ = console.write_all(text.as_bytes());
        }
    }
    exit(true)
}
