//! Two buffers: one is filled by DMA while the network works on what is in the other.

use embassy_stm32::dcmi::Dcmi;
use embassy_stm32::peripherals::DCMI;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::zerocopy_channel::{Receiver, Sender};
use no_std_device::Camera;
use no_std_infer::image::Frame;

use crate::cache;
use crate::pixels::{self, WORDS};

/// The memory of a frame, in lines of the cache of its own: what is forgotten of the cache after DMA has written is nobody else's.
#[repr(C, align(32))]
pub struct Buffer([u32; WORDS]);

/// Bytes of a line of the cache.
const LINE: usize = align_of::<Buffer>();
const _: () = assert!(size_of::<Buffer>() == 4 * WORDS && (4 * WORDS).is_multiple_of(LINE));

/// Fills a free buffer with the next frame, again and again. A frame that was damaged on the way is dropped.
#[embassy_executor::task]
pub async fn capture(mut dcmi: Dcmi<'static, DCMI>, mut free: Sender<'static, CriticalSectionRawMutex, Buffer>) {
    loop {
        let buffer = free.send().await;
        if dcmi.capture(&mut buffer.0).await.is_ok() {
            free.send_done();
        }
    }
}

/// The application's end: whole frames, none of which is there where the sensor does not work.
pub struct Frames {
    filled: Option<Receiver<'static, CriticalSectionRawMutex, Buffer>>,
    in_use: bool,
}

impl Frames {
    /// Frames out of the channel that [`capture`] fills.
    pub fn new(filled: Option<Receiver<'static, CriticalSectionRawMutex, Buffer>>) -> Self {
        Self { filled, in_use: false }
    }
}

impl Camera for Frames {
    /// The frame that was captured while the application worked on the one before, whose buffer is free from now on.
    fn frame(&mut self) -> Option<Frame<'_>> {
        let filled = self.filled.as_mut()?;
        if core::mem::take(&mut self.in_use) {
            filled.receive_done();
        }
        let buffer = filled.try_receive()?;
        self.in_use = true;
        cache::forget(buffer.0.as_ptr().cast(), size_of_val(buffer));
        pixels::frame(&buffer.0)
    }

    /// The buffer that is not given back.
    fn last(&mut self) -> Option<Frame<'_>> {
        let filled = self.filled.as_mut().filter(|_| self.in_use)?;
        pixels::frame(&filled.try_receive()?.0)
    }
}
