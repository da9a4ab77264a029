//! Operators under supervision: what they may not write must stay as it was.

use core::num::NonZeroU16;

use no_std_infer::Interpreter;

/// Longest arena that can be supervised, in bytes.
pub const ARENA_MAX: usize = 384 * 1024;

/// Runs the network in steps of so many rows, and calls `hook(output bytes)` after each operator. False when one has written
/// outside its output and its scratch, or the arena is too long.
pub fn run_checked(interpreter: &mut Interpreter<'_, '_>, rows: NonZeroU16, mut hook: impl FnMut(&[i8])) -> bool {
    let ops = interpreter.model().ops();
    let mut before = [0; ARENA_MAX];
    let Some(before) = before.get_mut(..interpreter.arena().len()) else { return false };
    for op in ops {
        before.copy_from_slice(interpreter.arena());
        while interpreter.step_rows(rows).is_some_and(|step| !step.complete) {}
        let arena = interpreter.arena();
        let scratch = op.scratch_offset() as usize;
        for allowed in [op.output().range(), scratch..scratch + op.scratch_len() as usize] {
            before[allowed.clone()].copy_from_slice(&arena[allowed]);
        }
        if before != arena {
            return false;
        }
        hook(&arena[op.output().range()]);
    }
    true
}
