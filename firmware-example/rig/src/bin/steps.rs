//! Runs the blob that QEMU's loader put into memory step by step, prints how long the longest step took, and ends QEMU.
//!
//! A line for whole operators and one for each bound of rows: `rows N steps N longest N operator N output CRC-32`, of which the
//! first has 65535 rows and the longest is in instructions.
#![no_std]
#![no_main]

use core::fmt::{self, Write};
use core::num::NonZeroU16;

use cortex_m_rt::entry;
use mps2::{Mps2, Ticks, Uart, exit};
use no_std_infer::format::Generator;
use no_std_infer::golden::generate;
use no_std_infer::kernels::Linked;
use no_std_infer::{Arena, Interpreter, Model};
use rig::tensors::{SEED, crc};
use static_cell::ConstStaticCell;

/// Longest arena in bytes.
const ARENA_LEN: usize = 3 << 20;
/// Most rows of an output a step.
const ROWS: [NonZeroU16; 2] = [NonZeroU16::MAX, NonZeroU16::MIN];

#[entry]
fn main() -> ! {
    static ARENA: ConstStaticCell<Arena<ARENA_LEN>> = ConstStaticCell::new(Arena::new());
    let Mps2 { uarts: (mut console, ..), clock, psram, .. } = Mps2::start();
    let outcome = measure(&mut console, &clock, psram.into_blob(), ARENA.take());
    exit(outcome.is_ok())
}

fn measure(console: &mut Uart<0>, clock: &Ticks, blob: &[u8], arena: &mut [i8]) -> fmt::Result {
    let model = match Model::parse_with(blob, Linked::ALL) {
        Ok(model) => model,
        Err(error) => return writeln!(console, "error the blob cannot be run: {error}"),
    };
    for rows in ROWS {
        let mut interpreter = match Interpreter::new(model, arena) {
            Ok(interpreter) => interpreter,
            Err(error) => return writeln!(console, "error the arena does not fit: {error}"),
        };
        generate(Generator::Xorshift32, SEED, interpreter.input_mut());
        let (mut steps, mut longest) = (0_u32, (0, 0));
        loop {
            let start = clock.next_tick();
            let Some(step) = interpreter.step_rows(rows) else { break };
            let cost = clock.ticks().since(start).instructions();
            longest = longest.max((cost, step.operator));
            steps += 1;
        }
        let ((cost, operator), output) = (longest, crc(interpreter.output()));
        writeln!(console, "rows {rows} steps {steps} longest {cost} operator {operator} output {output:08x}")?;
    }
    writeln!(console, "end")
}
