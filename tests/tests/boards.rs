//! What of the boards' firmware needs no board: the camera's registers and the way of its pixels, when a capture has failed, and the
//! clock.

#[path = "../../firmware-example/parts/src/capture.rs"]
mod capture;
#[path = "../../firmware-example/boards/openmv-h7/src/ov7725.rs"]
mod ov7725;
#[path = "../../firmware-example/boards/openmv-h7/src/pixels.rs"]
mod pixels;
#[path = "../../firmware-example/parts/src/wrapping.rs"]
mod wrapping;

use capture::{Overseer, Shown};
use embedded_hal::i2c::{ErrorType, I2c, Operation};
use no_std_device::CameraFault;
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

#[test]
fn a_capture_that_cannot_end_is_told_from_one_that_goes_on() {
    let (words, none) = (pixels::WORDS as u32, Shown { failed: false, ended: false, left: pixels::WORDS as u32 });
    assert_eq!(none.fault(), None, "the sensor has not begun");
    assert_eq!(Shown { left: words / 2, ..none }.fault(), None, "half of the frame has come");
    assert_eq!(Shown { ended: true, left: 8, ..none }.fault(), None, "the last words are on their way");
    for left in [9, words / 2, words] {
        assert_eq!(Shown { ended: true, left, ..none }.fault(), Some(CameraFault::Short), "{left} words are missing");
    }
    for (ended, left) in [(false, words), (true, 0)] {
        assert_eq!(Shown { failed: true, ended, left }.fault(), Some(CameraFault::Damaged));
    }
    let given_up = [none, Shown { ended: true, left: 1, ..none }, Shown { failed: true, ..none }].map(Shown::given_up);
    assert_eq!(given_up, [CameraFault::Silent, CameraFault::Short, CameraFault::Damaged]);
}

/// The sensor gives a frame each 100 counts, loses some, and stands still for a while; the counter begins again meanwhile.
#[test]
fn captures_that_take_too_long_are_given_up_and_begun_again() {
    const LONGEST: u32 = 1000;
    let mut overseer = Overseer::new(LONGEST);
    let (mut captures, mut begun, mut given_up) = (0_u32, 0, Vec::new());
    for time in 0..20_000_u32 {
        let now = (u32::MAX - 5000).wrapping_add(time);
        let silent = (2000..7050).contains(&time);
        match captures % 2 {
            0 => (captures, begun) = (captures + 1, time),
            _ if time - begun >= 100 && !silent => captures += 1,
            _ => {}
        }
        if overseer.is_overdue(captures, now) {
            given_up.push(time);
            captures += 1;
        }
    }
    // The capture that waited as the sensor fell silent, and those after it.
    let first = given_up[0];
    assert!((2000 - 100 + LONGEST..=2000 + LONGEST + 1).contains(&first), "{given_up:?}");
    assert!(given_up.windows(2).all(|pair| (LONGEST..=LONGEST + 2).contains(&(pair[1] - pair[0]))), "{given_up:?}");
    assert_eq!(given_up.len(), 5, "and none once frames come again: {given_up:?}");
    assert!(captures > 2 * (20_000 - 7050) / 102, "frames come again: {captures}");
}

#[test]
fn a_capture_that_goes_on_is_given_up_again_and_none_is_while_no_buffer_is_free() {
    let mut overseer = Overseer::new(10);
    let found: Vec<u32> = (0..35).filter(|&now| overseer.is_overdue(1, now)).collect();
    assert_eq!(found, [10, 20, 30]);
    assert!((35..1000).all(|now| !overseer.is_overdue(2, now)));
    assert!(!overseer.is_overdue(3, 1000) && !overseer.is_overdue(3, 1009) && overseer.is_overdue(3, 1010));
}
