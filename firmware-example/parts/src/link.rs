//! The link to the host over USB, as a serial port (CDC ACM).

use core::convert::Infallible;

use cortex_m::peripheral::DWT;
use embassy_futures::join::join3;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_usb::class::cdc_acm::{CdcAcmClass, Receiver, Sender, State};
use embassy_usb::driver::{Driver, EndpointError};
use embassy_usb::{Builder, Config};
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use static_cell::StaticCell;

/// USB's identifier for tests, from <https://pid.codes/1209/0001>: a product needs one of its own.
const VENDOR: u16 = 0x1209;
const PRODUCT: u16 = 0x0001;
/// Longest packet of USB at full speed.
const PACKET_LEN: usize = 64;
/// Bytes that may wait in each direction.
const PIPE_LEN: usize = 2048;

type Bytes = Pipe<CriticalSectionRawMutex, PIPE_LEN>;

/// The bytes between the USB task, which runs in an interrupt, and the application, which does not.
pub struct Pipes {
    received: Bytes,
    sent: Bytes,
}

impl Pipes {
    /// Empty pipes.
    #[must_use]
    pub const fn new() -> Self {
        Self { received: Pipe::new(), sent: Pipe::new() }
    }
}

impl Default for Pipes {
    fn default() -> Self {
        Self::new()
    }
}

/// The application's end of the link.
pub struct UsbLink {
    pipes: &'static Pipes,
    patience: u32,
    /// When the first of the bytes was sent that are not flushed.
    since: Option<u32>,
}

impl UsbLink {
    /// A link that waits at most `patience` cycles for a host to take an answer, which a flush ends.
    #[must_use]
    pub fn new(pipes: &'static Pipes, patience: u32) -> Self {
        Self { pipes, patience, since: None }
    }
}

impl ErrorType for UsbLink {
    type Error = ErrorKind;
}

impl ReadReady for UsbLink {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.pipes.received.is_empty())
    }
}

impl Read for UsbLink {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        if bytes.is_empty() {
            return Ok(0);
        }
        loop {
            if let Ok(len) = self.pipes.received.try_read(bytes) {
                return Ok(len);
            }
        }
    }
}

impl Write for UsbLink {
    /// Waits for room; what waits already is dropped when the host takes too long.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let start = *self.since.get_or_insert_with(DWT::cycle_count);
        while DWT::cycle_count().wrapping_sub(start) < self.patience {
            if let Ok(len) = self.pipes.sent.try_write(bytes) {
                return Ok(len);
            }
        }
        self.pipes.sent.clear();
        self.since = None;
        Err(ErrorKind::TimedOut)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.since = None;
        Ok(())
    }
}

/// Memory of the USB device.
struct Buffers {
    configuration: [u8; 128],
    bos: [u8; 16],
    control: [u8; 64],
    state: State<'static>,
}

/// Carries bytes between host and pipes; runs as a task, once.
pub async fn serve_usb<D: Driver<'static>>(driver: D, product: &'static str, pipes: &'static Pipes) -> Infallible {
    static BUFFERS: StaticCell<Buffers> = StaticCell::new();
    let buffers =
        BUFFERS.init(Buffers { configuration: [0; 128], bos: [0; 16], control: [0; 64], state: State::new() });
    let mut config = Config::new(VENDOR, PRODUCT);
    config.product = Some(product);
    let Buffers { configuration, bos, control, state } = buffers;
    let mut builder = Builder::new(driver, config, configuration, bos, &mut [], control);
    let (mut sender, mut receiver) = CdcAcmClass::new(&mut builder, state, PACKET_LEN as u16).split();
    let mut device = builder.build();
    join3(device.run(), receive(&mut receiver, &pipes.received), send(&mut sender, &pipes.sent)).await.0
}

async fn receive<D: Driver<'static>>(usb: &mut Receiver<'static, D>, received: &Bytes) -> Infallible {
    let mut packet = [0; PACKET_LEN];
    loop {
        usb.wait_connection().await;
        while let Ok(len) = usb.read_packet(&mut packet).await {
            let mut rest = packet.get(..len).unwrap_or_default();
            while !rest.is_empty() {
                let written = received.write(rest).await;
                rest = rest.get(written..).unwrap_or_default();
            }
        }
    }
}

async fn send<D: Driver<'static>>(usb: &mut Sender<'static, D>, sent: &Bytes) -> Infallible {
    loop {
        usb.wait_connection().await;
        while send_packet(usb, sent).await.is_ok() {}
    }
}

/// Sends what waits, at most a packet. A host takes a packet of full length as a part: an empty one ends what it is of.
async fn send_packet<D: Driver<'static>>(usb: &mut Sender<'static, D>, sent: &Bytes) -> Result<(), EndpointError> {
    let mut packet = [0; PACKET_LEN];
    let len = sent.read(&mut packet).await;
    usb.write_packet(packet.get(..len).unwrap_or_default()).await?;
    if len == PACKET_LEN && sent.is_empty() { usb.write_packet(&[]).await } else { Ok(()) }
}
