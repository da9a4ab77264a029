//! What a board must be able to do.

use core::fmt;

use no_std_infer::link::Unit;

/// A board: a byte stream, a clock and a look at its stack.
pub trait Board {
    /// Its name.
    const NAME: &'static str;
    /// What its clock counts.
    const UNIT: Unit;

    /// The next byte from the host; waits for it.
    fn receive(&mut self) -> u8;

    /// Sends a byte to the host.
    fn send(&mut self, byte: u8);

    /// [`Self::UNIT`]s since the board started.
    fn now(&self) -> u64;

    /// Most bytes of stack in use at any time since the board started.
    fn stack_used(&self) -> u32;

    /// A text console on the byte stream.
    fn console(&mut self) -> Console<'_, Self>
    where
        Self: Sized,
    {
        Console(self)
    }
}

/// Writes text to a board's byte stream.
pub struct Console<'b, B>(&'b mut B);

impl<B: Board> fmt::Write for Console<'_, B> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.0.send(byte));
        Ok(())
    }
}
