//! Two buffers: one is filled by DMA while the network works on what is in the other. A frame that does not come, ends too early or
//! is damaged is told and makes room for the next: the interface starts anew, so that it never waits for what is gone.

use core::future::poll_fn;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Poll;

use cortex_m::peripheral::DWT;
use defmt::warn;
use embassy_futures::select::{Either3, select3};
use embassy_stm32::dcmi::Dcmi;
use embassy_stm32::pac;
use embassy_stm32::pac::dcmi::regs::Cr;
use embassy_stm32::peripherals::DCMI;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use embassy_sync::zerocopy_channel::{Receiver, Sender};
use no_std_device::{Camera, CameraFault};
use no_std_infer::image::Frame;
use parts::capture::{Overseer, Shown};

use crate::cache;
use crate::pixels::{self, WORDS};
use crate::setup::HERTZ;

/// Longest time for a frame, in cycles: a second, in which the sensor sends many.
const LONGEST: u32 = HERTZ;
/// Stream of the DMA that carries frames, as [`setup`](crate::setup) connects it.
const STREAM: usize = 1;

/// The memory of a frame, in lines of the cache of its own: what is forgotten of the cache after DMA has written is nobody else's.
#[repr(C, align(32))]
pub struct Buffer([u32; WORDS]);

/// Bytes of a line of the cache.
const LINE: usize = align_of::<Buffer>();
const _: () = assert!(size_of::<Buffer>() == 4 * WORDS && (4 * WORDS).is_multiple_of(LINE));

/// Goes up by one when a capture begins and when it ends.
static CAPTURES: AtomicU32 = AtomicU32::new(0);
/// From the application: the capture takes too long.
static GIVE_UP: Signal<CriticalSectionRawMutex, ()> = Signal::new();
/// What the application has not been told yet. It asks more often than frames come; what has no room is not counted.
static FAULTS: Channel<CriticalSectionRawMutex, CameraFault, 8> = Channel::new();

/// Fills a free buffer with the next frame, again and again.
#[embassy_executor::task]
pub async fn capture(mut dcmi: Dcmi<'static, DCMI>, mut free: Sender<'static, CriticalSectionRawMutex, Buffer>) {
    let control = pac::DCMI.cr().read();
    loop {
        let buffer = free.send().await;
        GIVE_UP.reset();
        CAPTURES.fetch_add(1, Ordering::Relaxed);
        // What is dropped with the capture stops the DMA.
        let outcome = select3(dcmi.capture(&mut buffer.0), failure(), GIVE_UP.wait()).await;
        let fault = match outcome {
            Either3::First(Ok(())) => None,
            Either3::First(Err(_)) => Some(CameraFault::Damaged),
            Either3::Second(fault) => Some(fault),
            Either3::Third(()) => Some(shown().given_up()),
        };
        CAPTURES.fetch_add(1, Ordering::Relaxed);
        match fault {
            None => free.send_done(),
            Some(fault) => {
                start_anew(control);
                warn!("a frame is lost: {}", fault);
                let _ = FAULTS.try_send(fault);
            }
        }
    }
}

/// Ends when the capture that has just been started cannot end. It is woken with it, by the interface's interrupt.
async fn failure() -> CameraFault {
    poll_fn(|_| shown().fault().map_or(Poll::Pending, Poll::Ready)).await
}

/// What the interface shows. Its interrupts are enabled when a capture begins, and each is disabled by the driver when it was raised.
fn shown() -> Shown {
    let waits = pac::DCMI.ier().read();
    let left = pac::DMA2.st(STREAM).ndtr().read().ndt().into();
    Shown { failed: !waits.ovr_ie() || !waits.err_ie(), ended: !waits.frame_ie(), left }
}

/// Resets the interface, with what is left in it of a frame, and configures it as it was.
fn start_anew(control: Cr) {
    pac::RCC.ahb2rstr().modify(|reset| reset.set_dcmirst(true));
    pac::RCC.ahb2rstr().modify(|reset| reset.set_dcmirst(false));
    pac::DCMI.cr().write_value(control);
}

/// The application's end: whole frames, none of which is there where the sensor does not work.
pub struct Frames {
    filled: Option<Receiver<'static, CriticalSectionRawMutex, Buffer>>,
    in_use: bool,
    overseer: Overseer,
}

impl Frames {
    /// Frames out of the channel that [`capture`] fills.
    pub fn new(filled: Option<Receiver<'static, CriticalSectionRawMutex, Buffer>>) -> Self {
        Self { filled, in_use: false, overseer: Overseer::new(LONGEST) }
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

    /// Gives up a capture that takes too long, and tells what became of earlier ones.
    fn fault(&mut self) -> Option<CameraFault> {
        if self.overseer.is_overdue(CAPTURES.load(Ordering::Relaxed), DWT::cycle_count()) {
            GIVE_UP.signal(());
        }
        FAULTS.try_receive().ok()
    }
}
