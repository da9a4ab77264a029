//! The image sensor OV7725: which registers make it send QVGA frames in RGB565. Numbers and meanings are those of OmniVision's
//! data sheet, version 1.1; what is not written keeps the value that a reset gives it, automatic gain, white balance and
//! exposure among it.

use embedded_hal::i2c::I2c;

use crate::pixels::{HEIGHT, WIDTH};

/// Its address on the bus, of 7 bits.
pub const ADDRESS: u8 = 0x21;

/// Upper byte of the product's number.
pub const PID: u8 = 0x0A;
/// What an OV7725 has there.
pub const PID_OV7725: u8 = 0x77;

/// Common control 7: bit 7 resets, bit 6 chooses QVGA, bits 3 and 2 are 01 for RGB565, bits 1 and 0 are 10 for RGB.
pub const COM7: u8 = 0x12;
const COM7_RESET: u8 = 0x80;
const COM7_QVGA_RGB565: u8 = 0x40 | 0x04 | 0x02;

/// Common control 4: bits 7 and 6 are 01 for a PLL of four times the clock.
const COM4: u8 = 0x0D;
const COM4_PLL_4X: u8 = 0x41;
/// The internal clock is that of the PLL, divided by twice this number plus one.
const CLKRC: u8 = 0x11;
const CLKRC_BY_4: u8 = 0x01;

/// The window on the sensor: first column and row, in units that the data sheet gives for QVGA, and size, in units of 4
/// columns and 2 rows.
const HSTART: u8 = 0x17;
pub const HSIZE: u8 = 0x18;
const VSTRT: u8 = 0x19;
pub const VSIZE: u8 = 0x1A;
/// The size that is sent, in the same units.
pub const HOUTSIZE: u8 = 0x29;
pub const VOUTSIZE: u8 = 0x2C;

const REGISTERS: [(u8, u8); 9] = [
    (COM4, COM4_PLL_4X),
    (CLKRC, CLKRC_BY_4),
    (COM7, COM7_QVGA_RGB565),
    (HSTART, 0x3F),
    (HSIZE, (WIDTH / 4) as u8),
    (VSTRT, 0x03),
    (VSIZE, (HEIGHT / 2) as u8),
    (HOUTSIZE, (WIDTH / 4) as u8),
    (VOUTSIZE, (HEIGHT / 2) as u8),
];

/// Milliseconds that a reset takes.
const RESET_TIME: u32 = 5;
/// Milliseconds for gain, white balance and exposure to settle.
const SETTLING_TIME: u32 = 300;

/// Why the sensor does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not answer on the bus.
    Silent,
    /// Something else has its address: its product number.
    Other(u8),
}

/// Starts the sensor, which needs its clock by now; `pause` waits for milliseconds.
///
/// # Errors
/// When the sensor does not answer, or is another one.
pub fn configure(bus: &mut impl I2c, mut pause: impl FnMut(u32)) -> Result<(), Error> {
    // The sensor's bus (SCCB) knows no start without a stop before it, so this is no `write_read`.
    let mut product = [0];
    bus.write(ADDRESS, &[PID]).map_err(|_| Error::Silent)?;
    bus.read(ADDRESS, &mut product).map_err(|_| Error::Silent)?;
    if product != [PID_OV7725] {
        return Err(Error::Other(product[0]));
    }
    bus.write(ADDRESS, &[COM7, COM7_RESET]).map_err(|_| Error::Silent)?;
    pause(RESET_TIME);
    for (register, value) in REGISTERS {
        bus.write(ADDRESS, &[register, value]).map_err(|_| Error::Silent)?;
    }
    pause(SETTLING_TIME);
    Ok(())
}
