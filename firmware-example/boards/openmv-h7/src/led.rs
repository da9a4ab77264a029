//! A light that is on while its pin is low.

use core::convert::Infallible;

use embassy_stm32::Peri;
use embassy_stm32::gpio::{AnyPin, Level, Output, Speed};
use embedded_hal::digital::{ErrorType, OutputPin};

/// A light: high is on.
pub struct Led(Output<'static>);

impl Led {
    /// The light at a pin.
    pub fn new(pin: Peri<'static, AnyPin>, on: bool) -> Self {
        Self(Output::new(pin, if on { Level::Low } else { Level::High }, Speed::Low))
    }
}

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.set_high();
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.set_low();
        Ok(())
    }
}
