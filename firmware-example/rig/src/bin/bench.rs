//! Measures the blob that QEMU's loader put into memory, operator by operator, prints the figures and ends QEMU; the
//! host's side is `host_trainer::device::measure`.
//!
//! One figure a line, `name value`; `op` lines are `op index cost CRC-32`. The last line is `end`.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

use cortex_m_rt::entry;
use mps2::{Count, Mps2, Ticks, Uart, exit, part_number};
use no_std_device::Clock;
use no_std_infer::format::Generator;
use no_std_infer::golden::{SelfTestError, generate, self_test};
use no_std_infer::kernels::{KernelSet, Linked, NATIVE_NAME};
use no_std_infer::{Arena, Cost, Interpreter, Model};
use rig::region::{region_begins, region_ends};
use rig::tensors::{SEED, crc};
use static_cell::ConstStaticCell;

/// What the blob needs that this was built with; all kernels where none was named. However long it runs: that is measured.
const LINKED: &Linked = if cfg!(model_blob) { mps2::LINKED } else { &Linked::new(KernelSet::ALL).at_most(Cost::ANY) };
/// Longest arena in bytes.
const ARENA_LEN: usize = 3 << 20;
/// Most operators.
const OPS: usize = 1024;

/// Cost and CRC-32 of an operator's output.
type Layer = (Count, u32);

#[entry]
fn main() -> ! {
    static ARENA: ConstStaticCell<Arena<ARENA_LEN>> = ConstStaticCell::new(Arena::new());
    static LAYERS: ConstStaticCell<[Layer; OPS]> = ConstStaticCell::new([(Count::ZERO, 0); OPS]);
    let Mps2 { uarts: (mut console, ..), clock, psram, .. } = Mps2::start();
    let outcome = measure(&mut console, &clock, psram.into_blob(), ARENA.take(), LAYERS.take());
    exit(outcome.is_ok())
}

fn measure(console: &mut Uart<0>, clock: &Ticks, blob: &[u8], arena: &mut [i8], layers: &mut [Layer]) -> fmt::Result {
    writeln!(console, "core {:x}", part_number())?;
    writeln!(console, "kernels {NATIVE_NAME}")?;
    let start = clock.next_tick();
    let parsed = parse(blob);
    let parse = clock.ticks().since(start).instructions();
    // Where it is: a copy would count as the engine's stack.
    let model = match &parsed {
        Ok(model) => model,
        Err(error) => return writeln!(console, "error the blob cannot be run: {error}"),
    };
    if usize::from(model.info().ops) > layers.len() {
        return writeln!(console, "error the model has more than {} operators", layers.len());
    }
    let run = match run(clock, model, arena) {
        Ok(run) => run,
        Err(error) => return writeln!(console, "error the arena does not fit: {error}"),
    };
    let stack = clock.stack_used();
    profile(clock, model, arena, layers);
    writeln!(console, "crc {:08x}", model.crc())?;
    writeln!(console, "parse {parse}")?;
    writeln!(console, "run {run}")?;
    writeln!(console, "arena {}", model.arena_len())?;
    writeln!(console, "model {}", size_of::<Model<'_>>())?;
    writeln!(console, "stack {stack}")?;
    for (index, (cost, crc)) in layers.iter().take(model.info().ops.into()).enumerate() {
        writeln!(console, "op {index} {} {crc:08x}", cost.instructions())?;
    }
    report_self_test(console, self_test(model, arena))?;
    writeln!(console, "end")
}

// Apart from the run whose stack is measured.
#[inline(never)]
fn parse(blob: &[u8]) -> Result<Model<'_>, no_std_infer::Error> {
    Model::parse_with(blob, LINKED)
}

/// The cost of a whole run.
fn run(clock: &Ticks, model: &Model<'_>, arena: &mut [i8]) -> Result<u64, no_std_infer::Error> {
    let mut interpreter = Interpreter::new(*model, arena)?;
    fill(model, interpreter.input_mut());
    let start = clock.next_tick();
    region_begins();
    interpreter.run();
    region_ends();
    Ok(clock.ticks().since(start).instructions())
}

/// Cost and output of each operator.
// Apart from the run whose stack is measured.
#[inline(never)]
fn profile(clock: &Ticks, model: &Model<'_>, arena: &mut [i8], layers: &mut [Layer]) {
    let Ok(mut interpreter) = Interpreter::new(*model, arena) else { return };
    fill(model, interpreter.input_mut());
    let mut start = clock.next_tick();
    region_begins();
    interpreter.run_profiled(|index, output| {
        region_ends();
        let cost = clock.ticks().since(start);
        if let Some(layer) = layers.get_mut(index) {
            *layer = (cost, crc(output));
        }
        start = clock.next_tick();
        region_begins();
    });
}

/// The golden vector's input, or else that of a fixed seed.
fn fill(model: &Model<'_>, input: &mut [i8]) {
    match model.golden() {
        Some(golden) => generate(golden.generator, golden.seed, input),
        None => generate(Generator::Xorshift32, SEED, input),
    }
}

fn report_self_test(console: &mut impl Write, outcome: Result<(), SelfTestError>) -> fmt::Result {
    match outcome {
        Ok(()) => writeln!(console, "self-test passed"),
        Err(SelfTestError::NoGolden) => writeln!(console, "self-test none"),
        Err(error) => writeln!(console, "self-test {error}"),
    }
}
