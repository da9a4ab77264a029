//! Parsing and running a model, and a panic handler that cannot be linked: the binary links exactly when the optimiser
//! has proved that neither can panic.
//!
//! It is linked, never run. The arguments of its functions come from nowhere, so nothing is known about the bytes.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use core::panic::PanicInfo;

use no_std_infer::{Interpreter, Model};

/// Parses `blob` into `slot`; 0 on success.
#[unsafe(no_mangle)]
extern "C" fn parse(blob: &'static &'static [u8], slot: &mut MaybeUninit<Model<'static>>) -> i32 {
    #[cfg(feature = "deliberate")]
    assert!(blob[7] != 1);
    match Model::parse(blob) {
        Ok(model) => {
            slot.write(model);
            0
        }
        Err(_) => 1,
    }
}

/// Runs `model` once; the class, or -1 when the arena does not fit, -2 when the model rather does not answer.
#[unsafe(no_mangle)]
extern "C" fn run(model: &Model<'static>, arena: &mut &mut [i8], input: &&[i8]) -> i32 {
    let Ok(mut interpreter) = Interpreter::new(*model, arena) else { return -1 };
    for (slot, &value) in interpreter.input_mut().iter_mut().zip(input.iter()) {
        *slot = value;
    }
    interpreter.run();
    interpreter.decision().map_or(-2, |class| class as i32)
}

unsafe extern "C" {
    /// Defined nowhere.
    safe fn a_panic_path_is_left() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    a_panic_path_is_left()
}
