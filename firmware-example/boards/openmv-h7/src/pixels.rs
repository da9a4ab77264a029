//! What the camera interface leaves in memory, as a frame.

use no_std_infer::image::{Frame, PixelFormat};

/// Pixels in a row: QVGA.
pub const WIDTH: u32 = 320;
/// Rows.
pub const HEIGHT: u32 = 240;
/// A frame's words, of two pixels each.
pub const WORDS: usize = (WIDTH * HEIGHT / 2) as usize;
/// The sensor sends a pixel's upper byte first, and the interface (DCMI) puts the first of four bytes into a word's lowest
/// byte, so that bytes lie in memory as they were sent.
pub const FORMAT: PixelFormat = PixelFormat::Rgb565Be;

/// The frame in memory.
#[must_use]
pub fn frame(words: &[u32; WORDS]) -> Option<Frame<'_>> {
    Frame::new(FORMAT, WIDTH, HEIGHT, bytemuck::try_cast_slice(words).ok()?).ok()
}
