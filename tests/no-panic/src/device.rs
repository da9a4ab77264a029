//! The application of `no-std-device` over a board of which nothing is known.

use core::convert::Infallible;
use core::hint::black_box;
use core::num::NonZeroU16;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use embedded_storage::nor_flash::{self, NorFlash, NorFlashErrorKind, ReadNorFlash};
use heapless::VecView;
use no_std_device::link::{Message, Receiver, Request, Response, Unit, decode, encode};
use no_std_device::{
    Anyone, Application, Average, Board, Camera, CameraFault, Clock, MappedFlash, Memory, NoIndicator, Parts,
};
use no_std_infer::image::{Frame, PixelFormat};
use no_std_infer::kernels::Linked;

/// Takes bytes of the link; how many requests they hold.
#[unsafe(no_mangle)]
extern "C" fn receive(memory: &mut &mut VecView<u8>, bytes: &&[u8]) -> usize {
    let mut receiver = Receiver::new(memory);
    let mut requests = 0_usize;
    for &byte in bytes.iter() {
        if let Some(Ok(message)) = receiver.push(byte) {
            requests = requests.wrapping_add(decode::<Request<'_>>(message).iter().map(black_box).count());
        }
    }
    requests
}

/// Writes an answer as a frame; its length.
#[unsafe(no_mangle)]
extern "C" fn send(answer: &Message<Response<'static>>, frame: &mut &mut [u8]) -> usize {
    encode(answer, frame).map_or(0, <[u8]>::len)
}

/// What the application works in.
#[repr(C)]
struct Works {
    arena: &'static mut [i8],
    averages: &'static mut VecView<Average>,
    request: &'static mut VecView<u8>,
    results: &'static mut VecView<u8>,
    answer: &'static mut VecView<u8>,
    slots: [Flash; 2],
    wire: &'static [u8],
    factory: Option<&'static [u8]>,
    smoothing: u8,
}

/// Classifies frames, answers a host, takes other models.
#[unsafe(no_mangle)]
extern "C" fn application(works: &mut Works) -> ! {
    let (application, mut board) = start(works);
    application.run(&mut board, |report, model| {
        black_box((report, model));
    })
}

/// The same in steps of some rows.
#[unsafe(no_mangle)]
extern "C" fn steps(works: &mut Works, rows: NonZeroU16) -> ! {
    let (mut application, mut board) = start(works);
    loop {
        black_box(application.poll_rows(&mut board, rows));
    }
}

fn start(works: &mut Works) -> (Application<'_, Flash, Anyone>, Board<Eye, Wire<'_>, NoIndicator, Hourglass>) {
    let Works { arena, averages, request, results, answer, slots, wire, factory, smoothing } = works;
    let application = Application::new(Parts {
        factory: *factory,
        slots: slots.each_mut(),
        trust: Anyone,
        linked: Linked::ALL,
        arena,
        averages,
        smoothing: *smoothing,
        memory: Memory { request, results, answer },
    });
    let board = Board { name: "any", camera: Eye, link: Wire(wire), indicator: NoIndicator, clock: Hourglass };
    (application, board)
}

/// Any frames.
struct Eye;

impl Camera for Eye {
    fn frame(&mut self) -> Option<Frame<'_>> {
        let (format, width, height, bytes): (PixelFormat, u32, u32, &[u8]) =
            black_box((PixelFormat::Grey8, 1, 1, &[0]));
        Frame::new(format, width, height, bytes).ok()
    }

    fn last(&mut self) -> Option<Frame<'_>> {
        self.frame()
    }

    fn fault(&mut self) -> Option<CameraFault> {
        black_box(Some(CameraFault::Silent))
    }
}

/// Any bytes.
struct Wire<'a>(&'a [u8]);

impl ErrorType for Wire<'_> {
    type Error = Infallible;
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let len = self.0.len().min(buffer.len());
        let (bytes, rest) = self.0.split_at_checked(len).unwrap_or_default();
        buffer.iter_mut().zip(bytes).for_each(|(slot, &byte)| *slot = byte);
        self.0 = black_box(rest);
        Ok(bytes.len())
    }
}

impl ReadReady for Wire<'_> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.is_empty())
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        black_box(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Any time.
struct Hourglass;

impl Clock for Hourglass {
    const UNIT: Unit = Unit::Cycles;
    const HZ: u32 = 1;

    fn now(&self) -> u64 {
        black_box(0)
    }

    fn stack_used(&self) -> u32 {
        black_box(0)
    }
}

/// Flash that is memory, of any length.
struct Flash(&'static mut [u8]);

impl Flash {
    fn part(&mut self, start: u32, len: usize) -> Result<&mut [u8], NorFlashErrorKind> {
        self.0.get_mut(start as usize..).and_then(|bytes| bytes.get_mut(..len)).ok_or(NorFlashErrorKind::OutOfBounds)
    }
}

impl nor_flash::ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let from = self.part(offset, bytes.len())?;
        bytes.iter_mut().zip(from).for_each(|(slot, byte)| *slot = *byte);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.part(from, to.wrapping_sub(from) as usize)?.fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let to = self.part(offset, bytes.len())?;
        to.iter_mut().zip(bytes).for_each(|(slot, &byte)| *slot &= byte);
        Ok(())
    }
}

impl MappedFlash for Flash {
    fn bytes(&self) -> &[u8] {
        self.0
    }
}
