//! The host's side of the link against the server that firmware runs, over a way that loses, doubles, damages and delays:
//! the right answer or a named error in bounded time.

mod camera;
#[cfg(target_os = "linux")]
mod endurance;
mod replug;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use host_trainer::device::{Device, DeviceParity, Faulty, Patience, Transport, check_update};
use model_compiler::aligned::Aligned;
use model_training::measure::evaluate::infer;
use no_std_device::link::{
    Failure, FrameError, Message, PROTOCOL, Receiver, Request, Response, SelfTest, decode, encode,
};
use no_std_infer::Model;
use proptest::prelude::*;
use tests::in_process::InProcess;
use tests::residual;

static BLOB: LazyLock<Aligned<u8>> = LazyLock::new(|| residual::blob(1).expect("a small network can be exported"));

/// The device answers at once, or not at all.
const QUICK: Patience =
    Patience { first: Duration::from_millis(4), least: Duration::from_millis(2), most: Duration::from_millis(1200) };

/// Sends images over a way on which `share` of the frames suffer; gives how many did.
fn parity(seed: u64, share: f64, images: u64) -> Result<(DeviceParity, u64)> {
    let model = Model::parse(&BLOB)?;
    let mut arena = Aligned::new(model.arena_len());
    let (faulty, suffered) = Faulty::new(InProcess::start(&BLOB), seed, share);
    let mut device = Device::open(Box::new(faulty), QUICK)?;
    let mut parity = DeviceParity::new(&device);
    for image in 0..images {
        let input = residual::picture(image, model.info().input.tensor.len());
        let expected = infer(&model, &mut arena, &input);
        let class = parity.compare(&mut device, &input, &expected)?;
        ensure!(class == no_std_infer::argmax(&expected.logits), "image {image}: class {class}");
    }
    Ok((parity, suffered.get()))
}

#[test]
fn every_byte_is_the_hosts_and_nothing_is_repeated_on_a_clean_way() {
    let (parity, suffered) = parity(1, 0.0, 20).unwrap();
    assert_eq!((parity.differing_bytes, parity.images, suffered), (0, 20, 0));
    assert!(parity.compared_bytes >= 20 * 10, "{} bytes", parity.compared_bytes);
    assert_eq!((parity.faults.repeats(), parity.faults.stale_answers), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Up to one frame of three suffers, in each direction.
    #[test]
    fn whatever_happens_on_the_way_every_byte_is_the_hosts(seed: u64, share in 0.02..0.33) {
        let start = Instant::now();
        let (parity, suffered) = parity(seed, share, 30).map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        prop_assert_eq!((parity.differing_bytes, parity.images), (0, 30));
        // A doubled frame is no reason to repeat one; every repetition has a reason.
        let made_good = parity.faults.repeats() + parity.faults.stale_answers;
        prop_assert!(suffered == 0 || made_good > 0 || suffered <= 3, "{} frames suffered: {}", suffered, parity.faults);
        prop_assert!(start.elapsed() < Duration::from_secs(30));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]

    #[test]
    fn whatever_happens_on_the_way_an_update_arrives_whole(seed: u64, share in 0.0..0.25) {
        update(seed, share).map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
    }
}

/// Brings a device another model over a faulty way, and then the first one again.
fn update(seed: u64, share: f64) -> Result<()> {
    let other = residual::blob(2)?;
    let (faulty, suffered) = Faulty::new(InProcess::start(&BLOB), seed, share);
    let mut device = Device::open(Box::new(faulty), QUICK)?;
    for blob in [&other, &*BLOB] {
        let model = Model::parse(blob)?;
        check_update(blob, &model, device.description())?;
        let mut arrived = 0;
        let sent = device.update(blob, |received| arrived = received)?;
        ensure!(arrived == blob.len() && sent >= blob.len(), "{arrived} bytes arrived, {sent} were sent");
        device.expect(blob)?;
        ensure!(device.self_test()? == SelfTest::Passed);
        let input = residual::picture(seed, model.info().input.tensor.len());
        let expected = infer(&model, &mut Aligned::new(model.arena_len()), &input);
        let mut parity = DeviceParity::new(&device);
        parity.compare(&mut device, &input, &expected)?;
        ensure!(parity.differing_bytes == 0, "{parity}");
        ensure!(device.update(blob, |_| ())? == 0, "what runs already was sent");
    }
    ensure!(share < 0.1 || suffered.get() > 0, "nothing suffered");
    Ok(())
}

/// A cable that is pulled after so many requests.
struct Cable {
    device: Rc<RefCell<InProcess>>,
    left: usize,
}

impl Transport for Cable {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.left = self.left.checked_sub(1).context("the cable was pulled")?;
        self.device.borrow_mut().send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        self.device.borrow_mut().receive(buffer, patience)
    }
}

#[test]
fn an_update_goes_on_where_the_cable_was_pulled() -> Result<()> {
    let other = residual::blob(2)?;
    let device = Rc::new(RefCell::new(InProcess::start(&BLOB)));
    let plug = |left| Device::open(Box::new(Cable { device: Rc::clone(&device), left }), QUICK);
    // Hello, the beginning, and three writes.
    let mut arrived = 0;
    let error = plug(5)?.update(&other, |received| arrived = received).err().context("the cable was pulled")?;
    ensure!(error.to_string().contains("pulled"), "{error:#}");
    ensure!(0 < arrived && arrived < other.len(), "{arrived} of {} bytes had arrived", other.len());
    let mut device = plug(usize::MAX)?;
    let sent = device.update(&other, |_| ())?;
    ensure!(sent == other.len() - arrived, "{sent} bytes were sent after {arrived} of {}", other.len());
    device.expect(&other)
}

/// A device that says the same whatever it is asked.
struct Parrot(Vec<u8>);

impl Transport for Parrot {
    fn send(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        if self.0.is_empty() {
            std::thread::sleep(patience);
        }
        let len = self.0.len().min(buffer.len());
        buffer[..len].copy_from_slice(&self.0[..len]);
        Ok(len)
    }
}

/// Why there is no device, which must show soon.
fn refusal(says: Vec<u8>) -> String {
    let start = Instant::now();
    let error = Device::open(Box::new(Parrot(says)), QUICK).err().expect("there is no device");
    assert!(start.elapsed() < QUICK.most, "it took {:?}", start.elapsed());
    format!("{error:#}")
}

#[test]
fn what_is_no_device_is_a_named_error_in_bounded_time() {
    let frame = |message: Message<Response<'_>>| encode(&message, &mut [0; 64]).expect("fits").to_vec();
    let damaged = Message { id: 0, body: Response::Error(Failure::Frame(FrameError::BadCrc)) };
    let stale = Message { id: 77, body: Response::Error(Failure::Model) };
    for (says, why) in [
        (Vec::new(), "does not answer"),
        (b"$GPGGA,123519,4807.038,N\r\n".to_vec(), "does not answer"),
        (vec![1, 2, 3, 0], "arrive damaged"),
        (frame(damaged), "reach the device damaged"),
        (frame(stale), "does not answer"),
    ] {
        let error = refusal(says);
        assert!(error.contains(why), "{error}");
    }
}

/// Answers every request as `Parrot` does, but under the request's id.
struct Versioned(u16, Vec<u8>);

impl Transport for Versioned {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let mut memory = heapless::Vec::<u8, 64>::new();
        let mut receiver = Receiver::new(&mut memory);
        for &byte in bytes {
            if let Some(message) = receiver.push(byte) {
                let id = decode::<Request<'_>>(message?)?.id;
                // What follows the version is another version's.
                self.1 = encode(&Message { id, body: (0_u8, self.0, 5_u8) }, &mut [0; 64])?.to_vec();
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Duration) -> Result<usize> {
        buffer[..self.1.len()].copy_from_slice(&self.1);
        Ok(self.1.len())
    }
}

#[test]
fn a_device_of_another_version_is_told_from_a_damaged_answer() {
    for (version, older) in [(PROTOCOL + 1, "this program is older"), (PROTOCOL - 1, "the firmware is older")] {
        let error = Device::open(Box::new(Versioned(version, Vec::new())), QUICK).err().expect("another version");
        let error = format!("{error:#}");
        assert!(error.contains(&format!("speaks version {version}")) && error.contains(older), "{error}");
    }
}

#[test]
fn a_refused_request_is_a_failure_and_not_repeated() {
    let mut device = Device::open(Box::new(InProcess::start(&BLOB)), QUICK).unwrap();
    let error = device.infer(&[0; 7]).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(Failure::InputLength { found: 7, .. })), "{error:#}");
    assert_eq!(device.faults().repeats(), 0);
}

/// Runs another model from the second inference on.
struct Switching {
    first: InProcess,
    second: InProcess,
    sent: usize,
}

impl Transport for Switching {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.sent += 1;
        if self.sent <= 2 { self.first.send(bytes) } else { self.second.send(bytes) }
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        if self.sent <= 2 { self.first.receive(buffer, patience) } else { self.second.receive(buffer, patience) }
    }
}

#[test]
fn a_device_that_changes_its_model_is_never_compared() -> Result<()> {
    let other = residual::blob(2)?;
    let switching = Switching { first: InProcess::start(&BLOB), second: InProcess::start(&other), sent: 0 };
    let mut device = Device::open(Box::new(switching), QUICK)?;
    let input = residual::picture(1, Model::parse(&BLOB)?.info().input.tensor.len());
    device.infer(&input)?;
    let error = device.infer(&input).err().context("another model")?.to_string();
    ensure!(error.contains("another model"), "{error}");
    Ok(())
}

/// Answers after a while.
struct Slow {
    inner: InProcess,
    delay: Duration,
    sent: Option<Instant>,
}

impl Transport for Slow {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.sent.get_or_insert_with(Instant::now);
        self.inner.send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        let left = self.sent.map_or(Duration::ZERO, |sent| self.delay.saturating_sub(sent.elapsed()));
        std::thread::sleep(left.min(patience));
        if left > patience {
            return Ok(0);
        }
        self.sent = None;
        self.inner.receive(buffer, patience - left)
    }
}

#[test]
fn a_long_inference_is_no_failure_and_soon_not_repeated() -> Result<()> {
    let slow = Slow { inner: InProcess::start(&BLOB), delay: Duration::from_millis(90), sent: None };
    let mut device = Device::open(Box::new(slow), QUICK)?;
    let input = residual::picture(1, Model::parse(&BLOB)?.info().input.tensor.len());
    let first = device.infer(&input)?;
    // What the host waits grows to what the device takes.
    for _ in 0..4 {
        ensure!(device.infer(&input)? == first);
    }
    let before = device.faults();
    for _ in 0..3 {
        ensure!(device.infer(&input)? == first);
    }
    ensure!(device.faults().silences == before.silences, "{} and then {}", before, device.faults());
    Ok(())
}
