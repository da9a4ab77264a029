//! Devices that say whatever keeps a host busy: every conversation ends all the same.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use no_std_device::link::{
    CameraFaults, Decided, Failure, Hello, Identity, Inference, Look, Message, ModelInfo, PROTOCOL, Receiver, Request,
    Reset, Response, Shape, Shown, Slots, Unit, decode, encode, max_frame_len,
};
use no_std_infer::image::PixelFormat;
use no_std_infer::kernels::KernelSet;

use super::{Device, Patience, Transport};

const PATIENCE: Patience =
    Patience { first: Duration::from_millis(4), least: Duration::from_millis(2), most: Duration::from_millis(1200) };
/// Length of the blob, many requests long.
const LEN: usize = 64 * 1024;

/// Answers the greeting, and each other request by what `says` makes of its number, counted from 0.
struct Liar<F> {
    hello: Hello<'static>,
    says: F,
    requests: Rc<Cell<u32>>,
    answer: Vec<u8>,
    /// It sends bytes without an end.
    noise: bool,
}

/// What a liar says.
enum Lie {
    Received(u32),
    Look(Shape),
    /// There is no frame.
    NoFrame,
    /// So many bytes.
    Read(usize),
    Fail(Failure),
    Nothing,
    /// Bytes without an end, of which none ends a frame.
    Noise,
}

impl<F: FnMut(u32) -> Lie> Transport for Liar<F> {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let mut memory = heapless::Vec::<u8, 4096>::new();
        let mut receiver = Receiver::new(&mut memory);
        for &byte in bytes {
            let Some(message) = receiver.push(byte) else { continue };
            let Message { id, body } = decode::<Request<'_>>(message?)?;
            let number = || self.requests.replace(self.requests.get() + 1);
            let body = match body {
                Request::Hello => Response::Hello(self.hello),
                _ => match (self.says)(number()) {
                    Lie::Received(received) => Response::Update { received },
                    Lie::Look(shape) => {
                        Response::Look { frame: Some(Look { shape: Some(shape), ..LOOK }), faults: LOST }
                    }
                    Lie::NoFrame => Response::Look { frame: None, faults: LOST },
                    Lie::Read(len) => Response::Read(&[7; 4096][..len]),
                    Lie::Fail(failure) => Response::Error(failure),
                    Lie::Nothing => continue,
                    Lie::Noise => {
                        self.noise = true;
                        continue;
                    }
                },
            };
            self.answer = encode(&Message { id, body }, &mut [0; max_frame_len(8192)])?.to_vec();
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        if self.noise {
            buffer.fill(1);
            return Ok(buffer.len());
        }
        if self.answer.is_empty() {
            std::thread::sleep(patience);
        }
        let len = self.answer.len().min(buffer.len());
        buffer.iter_mut().zip(self.answer.drain(..len)).for_each(|(slot, byte)| *slot = byte);
        Ok(len)
    }
}

const HELLO: Hello<'static> = Hello {
    protocol: PROTOCOL,
    board: "liar",
    kernel_set: "none",
    max_message: 2048,
    unit: Unit::Cycles,
    hz: 0,
    model: Some(ModelInfo {
        blob: Identity { len: 0, sha256: [0; 32] },
        tentative: false,
        arena_len: 0,
        input_len: 3,
        classes: 1,
        ops: 1,
        number: None,
    }),
    slots: Some(Slots {
        len: LEN as u32,
        arena_len: 1024,
        key: None,
        kernels: KernelSet::NONE,
        floor: None,
        rewrites: 0,
    }),
    camera: None,
    reset: Reset::Unknown,
};

const LOST: CameraFaults = CameraFaults { silent: 3, short: 0, damaged: 1 };

const LOOK: Look<'static> = Look {
    sequence: 1,
    shape: None,
    decision: Decided { class: 0, probability: 0, sure: false },
    inference: Inference {
        model: [0; 16],
        class: 0,
        logits: &[],
        output: &[],
        layers: &[],
        preprocessing: 0,
        total: 0,
        stack: 0,
    },
};

/// Why an update by such a device fails, and after how many requests.
fn failure(received: impl FnMut(u32) -> u32 + 'static) -> (String, u32) {
    let mut received = received;
    let says = move |number| Lie::Received(received(number));
    disbelief(says, |device| device.update(&[0; LEN], |_| ()).map(drop))
}

/// Why a task with such a device fails, and after how many requests.
fn disbelief(says: impl FnMut(u32) -> Lie + 'static, task: impl FnOnce(&mut Device) -> Result<()>) -> (String, u32) {
    disbelief_of(HELLO, says, task)
}

/// The same where it has said something else at first.
fn disbelief_of(
    hello: Hello<'static>,
    says: impl FnMut(u32) -> Lie + 'static,
    task: impl FnOnce(&mut Device) -> Result<()>,
) -> (String, u32) {
    let (start, requests) = (Instant::now(), Rc::new(Cell::new(0)));
    let liar = Liar { hello, says, requests: Rc::clone(&requests), answer: Vec::new(), noise: false };
    let mut device = Device::open(Box::new(liar), PATIENCE).unwrap();
    let error = task(&mut device).expect_err("a liar was believed");
    let took = start.elapsed();
    assert!(took < PATIENCE.most * 3, "it took {took:?} and {} requests", requests.get());
    (format!("{error:#}"), requests.get())
}

#[test]
fn a_device_whose_bytes_come_and_go_is_given_up() {
    for period in [2, 3, 16, 17, 40] {
        let (error, requests) = failure(move |number| number % period * 256);
        assert!(error.contains("bytes of 65536") && requests < 100, "{requests} requests: {error}");
    }
}

#[test]
fn a_device_that_has_hardly_more_bytes_each_time_is_given_up() {
    let (error, requests) = failure(|number| number / 15);
    assert!(error.contains("does not come to an end") && requests < 500, "{requests} requests: {error}");
}

#[test]
fn a_device_that_takes_its_time_for_each_answer_is_given_up() {
    let (error, requests) = failure(|number| {
        std::thread::sleep(PATIENCE.most / 40);
        number
    });
    assert!(error.contains("so slowly"), "{requests} requests: {error}");
}

#[test]
fn a_device_whose_frames_have_no_end_is_given_up() {
    let small = Shape { format: PixelFormat::Grey8, width: 64, height: 48 };
    let see = |device: &mut Device| device.see(0, PATIENCE.most / 4, |_| ()).map(drop);
    let reads = move |bytes: usize| move |number| if number == 0 { Lie::Look(small) } else { Lie::Read(bytes) };
    let huge = Shape { format: PixelFormat::Rgb888, width: u16::MAX, height: u16::MAX };
    let (error, requests) = disbelief(move |_| Lie::Look(huge), see);
    assert!(error.contains("12884508675 bytes") && requests == 1, "{requests} requests: {error}");
    let (error, requests) = disbelief(reads(0), see);
    assert!(error.contains("gives 0 bytes") && requests == 2, "{requests} requests: {error}");
    let (error, requests) = disbelief(reads(64 * 48 + 1), see);
    assert!(error.contains("gives 3073 bytes of 3072") && requests == 2, "{requests} requests: {error}");
    let (error, requests) = disbelief(reads(1), see);
    assert!(error.contains("does not come to an end") && requests < 200, "{requests} requests: {error}");
    let gone = move |number| if number % 2 == 0 { Lie::Look(small) } else { Lie::Fail(Failure::Gone) };
    let (error, requests) = disbelief(gone, see);
    assert!(error.contains("gone before they were read") && requests < 50, "{requests} requests: {error}");
    let odd = Shape { format: PixelFormat::Uyvy422, width: 3, height: 1 };
    let (error, _) = disbelief(move |_| Lie::Look(odd), see);
    assert!(error.contains("3x1 Uyvy422"), "{error}");
    let (error, _) = disbelief(|_| Lie::Fail(Failure::NoCamera), see);
    assert!(error.contains("no camera"), "{error}");
}

#[test]
fn a_device_that_falls_silent_or_babbles_while_it_is_seen_is_given_up() {
    let small = Shape { format: PixelFormat::Grey8, width: 64, height: 48 };
    let see = |device: &mut Device| device.see(0, PATIENCE.most / 4, |_| ()).map(drop);
    let after = |answers: u32, last: fn() -> Lie| {
        move |number| match number {
            number if number >= answers => last(),
            0 => Lie::Look(small),
            _ => Lie::Read(64),
        }
    };
    for answers in [0, 1, 5] {
        let (error, requests) = disbelief(after(answers, || Lie::Nothing), see);
        assert!(error.contains("does not answer") && requests < 50, "{requests} requests: {error}");
        let (error, requests) = disbelief(after(answers, || Lie::Noise), see);
        assert!(error.contains("does not answer") && requests < 50, "{requests} requests: {error}");
    }
    let (error, _) = disbelief(|_| Lie::NoFrame, see);
    assert!(error.contains("gives no frame"), "{error}");
    assert!(error.contains("3 did not come in time") && error.contains(", 1 came faster"), "{error}");
}

#[test]
fn an_input_without_bounds_is_not_read() {
    let small = Shape { format: PixelFormat::Grey8, width: 64, height: 48 };
    let model = HELLO.model.map(|model| ModelInfo { input_len: u32::MAX, ..model });
    let see = |device: &mut Device| device.see_as(Shown::Input, 0, PATIENCE.most / 4, |_| ()).map(drop);
    let (error, requests) = disbelief_of(Hello { model, ..HELLO }, move |_| Lie::Look(small), see);
    assert!(error.contains("reads 4294967295 bytes") && requests == 1, "{requests} requests: {error}");
}

#[test]
fn a_device_that_never_stops_talking_is_given_up() {
    struct Talker(Vec<u8>);
    impl Transport for Talker {
        fn send(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }

        fn receive(&mut self, buffer: &mut [u8], _: Duration) -> Result<usize> {
            std::thread::sleep(Duration::from_millis(1));
            buffer[..self.0.len()].copy_from_slice(&self.0);
            Ok(self.0.len())
        }
    }
    let stale = Message { id: 77, body: Response::Update { received: 0 } };
    let start = Instant::now();
    for says in [encode(&stale, &mut [0; 64]).unwrap().to_vec(), vec![1, 2]] {
        let error = Device::open(Box::new(Talker(says)), PATIENCE).err().expect("there is no device");
        assert!(error.to_string().contains("does not answer"), "{error:#}");
    }
    assert!(start.elapsed() < PATIENCE.most, "it took {:?}", start.elapsed());
}
