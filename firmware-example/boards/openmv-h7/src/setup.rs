//! The board's pins and clocks, as OpenMV's own definition of the board names them, and the tasks that run in an interrupt.

use cortex_m::asm;
use defmt::{error, info};
use embassy_executor::InterruptExecutor;
use embassy_stm32::dcmi::Dcmi;
use embassy_stm32::gpio::{Level, Output, OutputType, Speed};
use embassy_stm32::i2c::I2c;
use embassy_stm32::interrupt::{self, InterruptExt, Priority};
use embassy_stm32::peripherals::{DCMI, DMA2_CH1, USB_OTG_FS};
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Hse, HseMode, Hsi48Config, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk,
    VoltageScale, mux,
};
use embassy_stm32::time::Hertz;
use embassy_stm32::timer::low_level::CountingMode;
use embassy_stm32::timer::simple_pwm::{PwmPin, SimplePwm};
use embassy_stm32::{Config, bind_interrupts, dcmi, dma, i2c, usb};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::zerocopy_channel::Channel;
use no_std_device::link::Reset;
use parts::{Pipes, UsbLink, serve_usb};
use static_cell::StaticCell;

use crate::camera::{Buffer, Frames, capture};
use crate::led::Led;
use crate::ov7725;
use crate::slot::Slot;
use crate::watchdog;

/// The core's clock.
pub const HERTZ: u32 = 480_000_000;
/// Of the camera.
const CAMERA_CLOCK: Hertz = Hertz(12_000_000);
/// Of the camera's bus.
const BUS_CLOCK: Hertz = Hertz(100_000);
/// Milliseconds between changes of the camera's power and reset.
const POWER_TIME: u32 = 10;
/// Longest wait for the host to take bytes: a second.
pub const PATIENCE: u32 = HERTZ;

bind_interrupts!(struct Interrupts {
    DCMI => dcmi::InterruptHandler<DCMI>;
    DMA2_STREAM1 => dma::InterruptHandler<DMA2_CH1>;
    OTG_FS => usb::InterruptHandler<USB_OTG_FS>;
});

/// Runs the tasks in an interrupt that nothing else uses, above the application and below the devices.
static EXECUTOR: InterruptExecutor = InterruptExecutor::new();
static PIPES: Pipes = Pipes::new();

#[embassy_stm32::interrupt]
fn UART4() {
    // SAFETY: this is the interrupt that the executor is started with, and nothing else raises it.
    unsafe { EXECUTOR.on_interrupt() }
}

/// What the application gets of the hardware; `F` feeds the watchdog.
pub struct Hardware<F> {
    /// Frames.
    pub camera: Frames,
    /// To the host.
    pub link: UsbLink,
    /// The green light.
    pub indicator: Led,
    /// For models.
    pub slots: [Slot; 2],
    /// Feeds the watchdog.
    pub feed: F,
    /// Why the board started.
    pub reset: Reset,
}

/// Starts clocks, camera, USB, and last the watchdog. Where the camera does not answer, the red light goes on and there are no frames.
pub fn start(frames: &'static mut [Buffer; 2]) -> Hardware<impl Fn()> {
    static USB_MEMORY: StaticCell<[u8; 256]> = StaticCell::new();
    static CHANNEL: StaticCell<Channel<'static, CriticalSectionRawMutex, Buffer>> = StaticCell::new();

    let p = embassy_stm32::init(clocks());
    interrupt::UART4.set_priority(Priority::P6);
    let tasks = EXECUTOR.start(interrupt::UART4);
    let mut config = usb::Config::default();
    config.vbus_detection = false;
    let memory = USB_MEMORY.init([0; 256]);
    let driver = usb::Driver::new_fs(p.USB_OTG_FS, Interrupts, p.PA12, p.PA11, memory, config);
    if let Ok(task) = serve_link(driver) {
        tasks.spawn(task);
    }

    let pin = PwmPin::new(p.PA8, OutputType::PushPull);
    let mut clock = SimplePwm::new(p.TIM1, Some(pin), None, None, None, CAMERA_CLOCK, CountingMode::EdgeAlignedUp);
    clock.ch1().set_duty_cycle_fraction(1, 2);
    clock.ch1().enable();
    // The camera needs its clock for as long as the board runs.
    core::mem::forget(clock);
    let power_down = Output::new(p.PD7, Level::High, Speed::Low);
    let reset = Output::new(p.PA10, Level::Low, Speed::Low);
    let mut config = i2c::Config::default();
    config.frequency = BUS_CLOCK;
    power_up(power_down, reset);
    let mut bus = I2c::new_blocking(p.I2C1, p.PB8, p.PB9, config);
    let camera = match ov7725::configure(&mut bus, pause) {
        Ok(()) => {
            info!("the camera answers");
            let dcmi = Dcmi::new_8bit(
                p.DCMI,
                p.DMA2_CH1,
                Interrupts,
                p.PC6,
                p.PC7,
                p.PE0,
                p.PE1,
                p.PE4,
                p.PB6,
                p.PE5,
                p.PE6,
                p.PB7,
                p.PA4,
                p.PA6,
                dcmi::Config::default(),
            );
            let (free, filled) = CHANNEL.init(Channel::new(frames)).split();
            if let Ok(task) = capture(dcmi, free) {
                tasks.spawn(task);
            }
            Some(filled)
        }
        Err(ov7725::Error::Silent) => {
            error!("the camera does not answer");
            None
        }
        Err(ov7725::Error::Other(product)) => {
            error!("the camera is no OV7725: its product number is {=u8:#x}", product);
            None
        }
    };
    let failed = Led::new(p.PC0.into(), camera.is_none());
    core::mem::forget(failed);
    let (reset, feed) = watchdog::start(p.IWDG1);
    if reset == Reset::Watchdog {
        error!("the watchdog has reset the board");
    }
    Hardware {
        camera: Frames::new(camera),
        link: UsbLink::new(&PIPES, PATIENCE),
        indicator: Led::new(p.PC1.into(), false),
        slots: Slot::both(p.FLASH),
        feed,
        reset,
    }
}

/// 480 MHz out of the crystal of 12 MHz, and half and a quarter of that for the buses; USB has an oscillator of its own.
fn clocks() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.hse = Some(Hse { freq: Hertz(12_000_000), mode: HseMode::Oscillator });
    rcc.pll1 = Some(Pll {
        source: PllSource::HSE,
        prediv: PllPreDiv::DIV3,
        mul: PllMul::MUL240,
        fracn: None,
        divp: Some(PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    rcc.sys = Sysclk::PLL1_P;
    rcc.ahb_pre = AHBPrescaler::DIV2;
    rcc.apb1_pre = APBPrescaler::DIV2;
    rcc.apb2_pre = APBPrescaler::DIV2;
    rcc.apb3_pre = APBPrescaler::DIV2;
    rcc.apb4_pre = APBPrescaler::DIV2;
    rcc.voltage_scale = VoltageScale::Scale0;
    rcc.hsi48 = Some(Hsi48Config { sync_from_usb: true });
    rcc.mux.usbsel = mux::Usbsel::HSI48;
    config
}

/// Ends the camera's power-down and its reset, in this order.
fn power_up(mut power_down: Output<'static>, mut reset: Output<'static>) {
    pause(POWER_TIME);
    power_down.set_low();
    pause(POWER_TIME);
    reset.set_high();
    pause(POWER_TIME);
    core::mem::forget((power_down, reset));
}

fn pause(milliseconds: u32) {
    asm::delay(milliseconds * (HERTZ / 1000));
}

#[embassy_executor::task]
async fn serve_link(driver: usb::Driver<'static, USB_OTG_FS>) {
    serve_usb(driver, "OpenMV Cam H7", &PIPES).await;
}
