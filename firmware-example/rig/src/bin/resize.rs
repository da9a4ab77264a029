//! Crops and resizes frames of every pixel format, prints what each cost and the CRC of the network's input, with vectors also for each
//! format the CRC of inputs from frames of many sizes, and ends QEMU.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::hint::black_box;

use cortex_m_rt::entry;
use mps2::{Mps2, exit};
use no_std_device::Clock;
use no_std_infer::CRC32;
use no_std_infer::format::{Color, Fit, Generator};
use no_std_infer::golden::generate;
use no_std_infer::image::{Frame, PixelFormat, preprocess};
use no_std_infer::kernels::NATIVE_NAME;
use rig::tensors::{SEED, crc};
use static_cell::ConstStaticCell;

/// Width and height of the frames, and side of the inputs.
const FRAME: (u32, u32) = (320, 240);
const SIDES: [u16; 3] = [32, 64, 96];

static BYTES: ConstStaticCell<[u8; 3 * 320 * 240]> = ConstStaticCell::new([0; 3 * 320 * 240]);
static INPUT: ConstStaticCell<[i8; 3 * 96 * 96]> = ConstStaticCell::new([0; 3 * 96 * 96]);

#[entry]
fn main() -> ! {
    let Mps2 { uarts: (mut console, ..), clock, .. } = Mps2::start();
    let (bytes, input) = (BYTES.take(), INPUT.take());
    generate(Generator::Xorshift32, SEED, input);
    bytes.iter_mut().zip(input.iter().cycle()).for_each(|(byte, &value)| *byte = value as u8);
    for (format, side) in PixelFormat::ALL.into_iter().flat_map(|format| SIDES.map(|side| (format, side))) {
        let (width, height) = FRAME;
        let len = (width * height) as usize * format.bytes_per_pixel();
        let pixels = usize::from(side) * usize::from(side);
        let (Some(bytes), Some(input)) = (bytes.get(..len), input.get_mut(..3 * pixels)) else { exit(false) };
        let Ok(frame) = Frame::new(format, width, height, bytes) else { exit(false) };
        let start = clock.now();
        let done = preprocess(black_box(&frame), Fit::Crop, input, side, side, Color::Rgb);
        let cost = clock.now() - start;
        if done.is_err() {
            exit(false)
        }
        let _ = writeln!(console, "{format:?} {side} {cost} {:08x}", crc(input));
    }
    let formats = if NATIVE_NAME == "armv8.1m" { &PixelFormat::ALL[..] } else { &[] };
    for &format in formats {
        let Some(crc) = other_sizes(format, bytes, input) else { exit(false) };
        let _ = writeln!(console, "{format:?} {crc:08x}");
    }
    let _ = writeln!(console, "end");
    exit(true)
}

/// The CRC of the inputs made of frames of many other sizes, which begin at any address.
fn other_sizes(format: PixelFormat, bytes: &[u8], input: &mut [i8]) -> Option<u32> {
    let mut digest = CRC32.digest();
    for index in 0..200_u16 {
        let (width, height) = (2 * (1 + u32::from(index) * 7 % 71), 1 + u32::from(index) * 11 % 29);
        let (out_width, out_height) = (1 + index * 5 % 43, 1 + index * 3 % 19);
        let fit = if index % 3 == 0 { Fit::Crop } else { Fit::Stretch };
        let color = if index % 5 == 0 { Color::Grey } else { Color::Rgb };
        let first = usize::from(index);
        let frame = bytes.get(first..first + (width * height) as usize * format.bytes_per_pixel())?;
        let frame = Frame::new(format, width, height, frame).ok()?;
        let input = input.get_mut(..usize::from(out_width) * usize::from(out_height) * color.channels())?;
        preprocess(&frame, fit, input, out_width, out_height, color).ok()?;
        input.iter().for_each(|&byte| digest.update(&[byte as u8]));
    }
    Some(digest.finalize())
}
