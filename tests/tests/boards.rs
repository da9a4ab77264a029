//! What of the boards' firmware needs no board: the camera's registers and the way of its pixels, and the clock.

#[path = "../../firmware-example/boards/openmv-h7/src/ov7725.rs"]
mod ov7725;
#[path = "../../firmware-example/boards/openmv-h7/src/pixels.rs"]
mod pixels;
#[path = "../../firmware-example/parts/src/wrapping.rs"]
mod wrapping;

use embedded_hal::i2c::{ErrorType, I2c, Operation};
use no_std_infer::format::{Color, Fit};
use no_std_infer::image::{Frame, PixelFormat, preprocess};

const WIDTH: usize = pixels::WIDTH as usize;
const HEIGHT: usize = pixels::HEIGHT as usize;

/// The 5, 6 and 5 bits of the colour at a place: different in every channel, and in both directions.
fn color(x: usize, y: usize) -> [u16; 3] {
    [x % 32, y % 64, (x / 32 + y / 64) % 32].map(|bits| bits as u16)
}

/// What the data sheet's figure of RGB565 shows on the eight lines: for each pixel R4..R0 G5..G3, then G2..G0 B4..B0.
fn sent_by_the_sensor() -> Vec<u8> {
    let pixels = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| color(x, y)));
    pixels.flat_map(|[red, green, blue]| [(red << 3 | green >> 3) as u8, ((green & 7) << 5 | blue) as u8]).collect()
}

/// As ST's RM0433 describes the interface with 8 lines: the first of four bytes becomes bits 7 to 0 of a word, the last
/// bits 31 to 24; DMA stores whole words.
fn packed(bytes: &[u8]) -> Box<[u32; pixels::WORDS]> {
    let words = bytes.chunks(4).map(|bytes| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)));
    let words: Vec<u32> = words.collect();
    words.into_boxed_slice().try_into().expect("a frame's bytes fill its words")
}

#[test]
fn the_cameras_bytes_become_the_same_input_as_the_picture() {
    let words = packed(&sent_by_the_sensor());
    let frame = pixels::frame(&words).expect("the words are a frame");
    let picture: Vec<u8> = (0..WIDTH * HEIGHT)
        .flat_map(|pixel| {
            let [red, green, blue] = color(pixel % WIDTH, pixel / WIDTH);
            [red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2].map(|value| value as u8)
        })
        .collect();
    let picture = Frame::new(PixelFormat::Rgb888, pixels::WIDTH, pixels::HEIGHT, &picture).unwrap();
    for fit in [Fit::Crop, Fit::Stretch] {
        for (width, height) in [(64, 64), (96, 96), (320, 240)] {
            let input = |frame: &Frame<'_>| {
                let mut input = vec![0; usize::from(width) * usize::from(height) * 3];
                preprocess(frame, fit, &mut input, width, height, Color::Rgb).unwrap();
                input
            };
            assert!(input(&frame) == input(&picture), "{fit:?} to {width}x{height}");
        }
    }
}

/// A bus with one sensor, whose product number is given.
struct Bus {
    product: Option<u8>,
    selected: u8,
    written: Vec<(u8, u8)>,
}

impl Bus {
    fn new(product: Option<u8>) -> Self {
        Self { product, selected: 0, written: Vec::new() }
    }
}

#[derive(Debug)]
struct NoAnswer;

impl embedded_hal::i2c::Error for NoAnswer {
    fn kind(&self) -> embedded_hal::i2c::ErrorKind {
        embedded_hal::i2c::ErrorKind::Other
    }
}

impl ErrorType for Bus {
    type Error = NoAnswer;
}

impl I2c for Bus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), NoAnswer> {
        let product = self.product.filter(|_| address == ov7725::ADDRESS).ok_or(NoAnswer)?;
        match operations {
            [Operation::Write([register])] => self.selected = *register,
            [Operation::Write([register, value])] => self.written.push((*register, *value)),
            [Operation::Read([byte])] if self.selected == ov7725::PID => *byte = product,
            other => panic!("the sensor's bus has no such transaction: {other:?}"),
        }
        Ok(())
    }
}

#[test]
fn the_sensor_is_asked_for_frames_of_the_size_and_format_that_are_read() {
    let mut bus = Bus::new(Some(ov7725::PID_OV7725));
    let mut pauses = Vec::new();
    assert_eq!(ov7725::configure(&mut bus, |milliseconds| pauses.push(milliseconds)), Ok(()));
    assert_eq!(bus.written[0], (ov7725::COM7, 0x80), "a reset comes first");
    let last = |register| bus.written.iter().rev().find(|(found, _)| *found == register).expect("it is written").1;
    for (columns, rows) in [(ov7725::HSIZE, ov7725::VSIZE), (ov7725::HOUTSIZE, ov7725::VOUTSIZE)] {
        assert_eq!((u32::from(last(columns)) * 4, u32::from(last(rows)) * 2), (pixels::WIDTH, pixels::HEIGHT));
    }
    let com7 = last(ov7725::COM7);
    assert_eq!((com7 >> 7, com7 >> 6 & 1, com7 >> 2 & 3, com7 & 3), (0, 1, 1, 2), "QVGA, RGB565, RGB");
    assert_eq!(pauses.len(), 2, "after the reset and for the exposure");
}

#[test]
fn a_sensor_that_is_silent_or_another_is_named() {
    let configure = |product| ov7725::configure(&mut Bus::new(product), |_| ());
    assert_eq!(configure(None), Err(ov7725::Error::Silent));
    assert_eq!(configure(Some(0x26)), Err(ov7725::Error::Other(0x26)));
}

#[test]
fn a_clock_goes_on_when_its_counter_begins_again() {
    let mut now = 0;
    let mut expected = 0_u64;
    for step in [0, 1, 1 << 31, u64::from(u32::MAX), 5, 1 << 30, u64::from(u32::MAX)] {
        expected += step;
        now = wrapping::extend(now, expected as u32);
        assert_eq!(now, expected);
    }
}
