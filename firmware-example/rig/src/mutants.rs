//! Blobs that a host has damaged: what becomes of them here is to be what became of them there.

use core::fmt::{self, Write};
use core::num::NonZeroU16;

use no_std_infer::{CRC32, Interpreter, Model};

use crate::checked::{ARENA_MAX, run_checked};

/// Bytes before and after the arena that must stay as they are.
const GUARD: usize = 64;
const GUARD_BYTE: i8 = 0x5A;
/// Blobs that share a line.
const LINE: u32 = 250;
/// Bytes of memory that [`run`] needs.
pub const MEMORY_LEN: usize = ARENA_MAX + 2 * GUARD;

/// Digests what becomes of blobs.
struct Sink<'a>(crc::Digest<'a, u32>);

impl Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// Parses the blobs in `bytes` and runs those that can be; prints a digest of every [`LINE`] of them, and how many there were.
/// `bytes` holds at multiples of 16 the length of a blob (u32), at the next one the blob, and so on, up to a length of 0.
/// `memory` is of [`MEMORY_LEN`] bytes, the first at a multiple of 16.
///
/// # Errors
/// Those of `console`.
pub fn run(bytes: &[u8], memory: &mut [i8], console: &mut impl Write) -> fmt::Result {
    let (mut sink, mut blobs, mut ran) = (Sink(CRC32.digest()), 0, 0);
    let mut rest = bytes;
    while let Some((header, after)) = rest.split_first_chunk::<16>()
        && let [a, b, c, d, ..] = *header
        && let len @ 1.. = u32::from_le_bytes([a, b, c, d]) as usize
        && let Some((blob, after)) = after.split_at_checked(len.next_multiple_of(16))
    {
        rest = after;
        blobs += 1;
        match Model::parse(&blob[..len]) {
            Ok(model) => {
                ran += 1;
                run_model(&model, blobs, memory, &mut sink)?;
            }
            Err(error) => write!(sink, "{error:?}")?,
        }
        if blobs % LINE == 0 {
            writeln!(console, "digest {:08x}", sink.0.finalize())?;
            sink.0 = CRC32.digest();
        }
    }
    writeln!(console, "digest {:08x}", sink.0.finalize())?;
    writeln!(console, "{blobs} blobs, {ran} ran")
}

/// Digests each operator's output, or what the model has done that it must not do.
fn run_model(model: &Model<'_>, blob: u32, memory: &mut [i8], Sink(digest): &mut Sink<'_>) -> fmt::Result {
    let memory = memory.get_mut(..model.arena_len() + 2 * GUARD).ok_or(fmt::Error)?;
    memory.fill(GUARD_BYTE);
    let end = memory.len() - GUARD;
    let mut interpreter = Interpreter::new(*model, &mut memory[GUARD..end]).map_err(|_| fmt::Error)?;
    for (slot, index) in interpreter.input_mut().iter_mut().zip(blob..) {
        *slot = index.wrapping_mul(37) as i8;
    }
    // Every other one takes as few rows a step as there can be.
    let rows = if blob.is_multiple_of(2) { NonZeroU16::MAX } else { NonZeroU16::MIN };
    let kept =
        run_checked(&mut interpreter, rows, |output| output.iter().for_each(|&value| digest.update(&[value as u8])));
    let guards = memory[..GUARD].iter().chain(&memory[end..]);
    if !kept || guards.into_iter().any(|&byte| byte != GUARD_BYTE) {
        digest.update(b"a byte was overwritten that must stay as it is");
    }
    Ok(())
}
