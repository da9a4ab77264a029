//! The classifier on a Raspberry Pi Pico 2: models and pictures come over USB.
#![no_std]
#![no_main]

mod slot;
mod watchdog;

use cortex_m_rt::entry;
use defmt::{error, info};
use defmt_rtt as _;
use embassy_executor::InterruptExecutor;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::interrupt::{self, InterruptExt, Priority};
use embassy_rp::peripherals::USB;
use embassy_rp::{bind_interrupts, usb};
use heapless::Vec;
use no_std_device::link::Reset;
use no_std_device::{Application, Average, Board, Buffers, NoCamera, Parts};
use no_std_infer::Arena;
use no_std_infer::kernels::Linked;
use parts::{CycleClock, Guarded, Pipes, UsbLink, serve_usb};
use static_cell::ConstStaticCell;

use slot::Slot;

/// The core's clock: what embassy sets up by default.
const HERTZ: u32 = 150_000_000;
/// Longest wait for the host to take bytes: a second.
const PATIENCE: u32 = HERTZ;
/// The model that runs until a slot holds one.
const MODEL: &[u8] = no_std_infer::include_model!(concat!(env!("OUT_DIR"), "/model.blob"));
/// Whose updates are taken: those of the owner of the public key that `MODEL_KEY` named when this was built.
#[cfg(model_key)]
const TRUST: no_std_device::Owner = no_std_device::Owner(*include_bytes!(concat!(env!("OUT_DIR"), "/model.key")));
/// Whose updates are taken: anyone's, since `MODEL_KEY` named no public key when this was built.
#[cfg(not(model_key))]
const TRUST: no_std_device::Anyone = no_std_device::Anyone;
/// Length of the arena: a model that needs more is refused.
const ARENA_LEN: usize = 192 * 1024;
/// Longest request: a camera's frame of 320x240 RGB565 fits.
const REQUEST_LEN: usize = 160 * 1024;
/// Operators, classes and outputs of 4 KiB in all fit.
const RESULTS_LEN: usize = 4 * 1024;
/// Most classes whose scores are smoothed.
const CLASSES: usize = 256;
/// Room for all results as a frame.
const ANSWER_LEN: usize = no_std_device::link::max_frame_len(RESULTS_LEN + 64);

bind_interrupts!(struct Interrupts {
    USBCTRL_IRQ => usb::InterruptHandler<USB>;
});

/// Runs the USB task in an interrupt that nothing else uses, above the application and below the devices.
static EXECUTOR: InterruptExecutor = InterruptExecutor::new();
static PIPES: Pipes = Pipes::new();

#[embassy_rp::interrupt]
fn SWI_IRQ_0() {
    // SAFETY: this is the interrupt that the executor is started with, and nothing else raises it.
    unsafe { EXECUTOR.on_interrupt() }
}

#[embassy_executor::task]
async fn serve_link(driver: usb::Driver<'static, USB>) {
    serve_usb(driver, "Raspberry Pi Pico 2", &PIPES).await;
}

#[entry]
fn main() -> ! {
    static ARENA: ConstStaticCell<Arena<ARENA_LEN>> = ConstStaticCell::new(Arena::new());
    static AVERAGES: ConstStaticCell<Vec<Average, CLASSES>> = ConstStaticCell::new(Vec::new());
    static BUFFERS: ConstStaticCell<Buffers<REQUEST_LEN, RESULTS_LEN, ANSWER_LEN>> =
        ConstStaticCell::new(Buffers::new());

    let Some(core) = cortex_m::Peripherals::take() else { cortex_m::asm::udf() };
    let p = embassy_rp::init(embassy_rp::config::Config::default());
    interrupt::SWI_IRQ_0.set_priority(Priority::P2);
    let tasks = EXECUTOR.start(interrupt::SWI_IRQ_0);
    if let Ok(task) = serve_link(usb::Driver::new(p.USB, Interrupts)) {
        tasks.spawn(task);
        info!("a host can connect over USB");
    }
    let mut slots = Slot::both(p.FLASH);
    let (reset, feed) = watchdog::start(p.WATCHDOG);
    if reset == Reset::Watchdog {
        error!("the watchdog has reset the board");
    }
    let mut board = Board {
        name: "Raspberry Pi Pico 2 (RP2350, Cortex-M33)",
        camera: NoCamera,
        link: UsbLink::new(&PIPES, PATIENCE),
        indicator: Output::new(p.PIN_25, Level::Low),
        clock: Guarded { clock: CycleClock::<HERTZ>::start(core.DCB, core.DWT), feed, reset },
    };
    let application = Application::new(Parts {
        factory: Some(MODEL),
        slots: slots.each_mut(),
        trust: TRUST,
        linked: Linked::ALL,
        arena: ARENA.take(),
        averages: AVERAGES.take(),
        smoothing: 0,
        memory: BUFFERS.take().memory(),
    });
    application.run(&mut board, |_, _| ())
}
