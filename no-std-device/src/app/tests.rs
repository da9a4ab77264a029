use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::vec;
use std::vec::Vec;

use crate::link::{Failure, Message, Receiver, Request, Response, Unit, Update, UpdateError, decode, encode};
use embedded_hal::digital;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use no_std_infer::format::{HEADER_LEN, SECTION_LEN, Section, arena_len, blob_crc, section};
use no_std_infer::image::PixelFormat;
use no_std_infer::kernels::{Kernel, KernelSet, Linked};
use no_std_infer::{Arena, include_model};

use super::*;
use crate::board::NoFlash;
use crate::serve::Memory;
use crate::signature::{Anyone, Owner};
use crate::simulated::{Power, Simulated};

static FACES: &[u8] = include_model!("../../../data/faces.blob");
const ARENA_LEN: usize = arena_len(include_bytes!("../../../data/faces.blob"));
/// A camera's frame with a happy face.
const HAPPY: &[u8] = include_bytes!("../../../firmware-example/boards/mps2/src/bin/demo.rgb565");
const SIDE: u16 = 96;
const SMOOTHING: u8 = 2;
/// Bytes of an update in one request.
const CHUNK: usize = 2048;

type Flash = Simulated<256, 4096>;
type Simulation = Board<Film, Wire, Lamp, Flash, Steps>;

/// Plays frames, one for each second look.
#[derive(Default)]
struct Film {
    frames: VecDeque<Vec<u8>>,
    shown: Vec<u8>,
    looks: usize,
}

impl Camera for Film {
    fn frame(&mut self) -> Option<Frame<'_>> {
        self.looks += 1;
        if self.looks.is_multiple_of(2) {
            return None;
        }
        self.shown = self.frames.pop_front()?;
        Frame::new(PixelFormat::Rgb565Be, SIDE.into(), SIDE.into(), &self.shown).ok()
    }
}

/// A host that sends a request when the last one is answered, and not at once.
#[derive(Default)]
struct Wire {
    requests: VecDeque<Vec<u8>>,
    to_device: VecDeque<u8>,
    to_host: Vec<u8>,
    waits: bool,
    /// No two requests have the same.
    next_id: u32,
}

impl ErrorType for Wire {
    type Error = Infallible;
}

impl ReadReady for Wire {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        if self.to_device.is_empty() && !core::mem::take(&mut self.waits) {
            self.to_device.extend(self.requests.pop_front().unwrap_or_default());
        }
        Ok(!self.to_device.is_empty())
    }
}

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let len = bytes.len().min(self.to_device.len());
        bytes.iter_mut().zip(self.to_device.drain(..len)).for_each(|(slot, byte)| *slot = byte);
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.to_host.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        self.waits = true;
        Ok(())
    }
}

#[derive(Default)]
struct Lamp(Vec<bool>);

impl digital::ErrorType for Lamp {
    type Error = Infallible;
}

impl OutputPin for Lamp {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.push(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.push(true);
        Ok(())
    }
}

/// Goes on by 7 at each look.
#[derive(Default)]
struct Steps(Cell<u64>);

impl Clock for Steps {
    const UNIT: Unit = Unit::Cycles;
    const HZ: u32 = 1000;

    fn now(&self) -> u64 {
        self.0.set(self.0.get() + 7);
        self.0.get()
    }

    fn stack_used(&self) -> u32 {
        0
    }
}

/// What the host learns from an answer.
#[derive(Debug, PartialEq)]
enum Answer {
    /// CRC of the model that runs.
    Runs(Option<u32>),
    Received(u32),
    Refused(UpdateError),
}

fn simulation() -> Simulation {
    let power = Power::new(3);
    Board {
        name: "simulation",
        camera: Film::default(),
        link: Wire { next_id: 1, ..Wire::default() },
        indicator: Lamp::default(),
        slots: [0, 1].map(|_| Flash::new(&power, 96 * 1024)),
        clock: Steps::default(),
    }
}

/// Runs the application for so many turns or until it takes another model; gives what it reported.
fn turns(application: &mut Application<'_, impl Trust>, board: &mut Simulation, turns: usize) -> Vec<Report> {
    let mut reports = Vec::new();
    let mut report = |report: &Report, _: &Model<'_>| reports.push(*report);
    application.session(board, &mut report, core::iter::repeat_n((), turns));
    reports
}

/// The host's requests and the device's answers, and how many frames it classified meanwhile.
fn converse(
    application: &mut Application<'_, impl Trust>,
    board: &mut Simulation,
    requests: &[Request<'_>],
) -> (Vec<Answer>, usize) {
    let mut memory = vec![0; 2 * CHUNK];
    let first_id = board.link.next_id;
    for (id, &body) in (first_id..).zip(requests) {
        board.link.requests.push_back(encode(&Message { id, body }, &mut memory).unwrap().to_vec());
    }
    let mut frames = 0;
    // The first of these ends when another model is taken.
    for _ in 0..2 {
        frames += turns(application, board, 3 * requests.len()).len();
    }
    let mut receiver = Receiver::new(&mut memory);
    let mut answers = Vec::new();
    for byte in core::mem::take(&mut board.link.to_host) {
        let Some(message) = receiver.push(byte) else { continue };
        let Message { id, body } = decode(message.unwrap()).unwrap();
        assert_eq!(id as usize, first_id as usize + answers.len());
        answers.push(match body {
            Response::Hello(hello) => Answer::Runs(hello.model.map(|model| model.crc)),
            Response::Update { received } => Answer::Received(received),
            Response::Error(Failure::Update(error)) => Answer::Refused(error),
            other => panic!("{other:?}"),
        });
    }
    board.link.next_id += requests.len() as u32;
    (answers, frames)
}

/// The requests of a whole update.
fn update(blob: &[u8]) -> Vec<Request<'_>> {
    let writes = (0..).zip(blob.chunks(CHUNK));
    let writes = writes.map(|(index, bytes)| Update::Write { offset: index * CHUNK as u32, bytes });
    let steps = core::iter::once(Update::Begin { len: blob.len() as u32, crc: crc(blob) }).chain(writes);
    steps.chain([Update::Commit { crc: crc(blob) }]).map(Request::Update).collect()
}

/// What becomes of an update with this blob.
fn outcome(trust: impl Trust, arena_len: usize, blob: &[u8]) -> Answer {
    let mut board = simulation();
    with_application(trust, arena_len, |application| {
        let (mut answers, _) = converse(application, &mut board, &[&update(blob)[..], &[Request::Hello]].concat());
        let (runs, outcome) = (answers.pop().unwrap(), answers.pop().unwrap());
        let taken = matches!(outcome, Answer::Received(_));
        assert_eq!(runs, Answer::Runs(Some(if taken { crc(blob) } else { crc(FACES) })), "{outcome:?}");
        outcome
    })
}

/// Calls `then` with an application that has the shipped blob built in.
fn with_application<T: Trust, O>(trust: T, arena_len: usize, then: impl FnOnce(&mut Application<'_, T>) -> O) -> O {
    let (mut arena, mut averages) = (Arena::<ARENA_LEN>::new(), [0; 4]);
    let (mut request, mut results, mut frame) = (vec![0; 32 * 1024], [0; 1024], [0; 2048]);
    let server = Server::new(Memory { request: &mut request, results: &mut results, frame: &mut frame });
    then(&mut Application {
        factory: Some(FACES),
        linked: Linked::ALL,
        arena: &mut arena[..arena_len],
        averages: &mut averages,
        smoothing: SMOOTHING,
        server,
        trust,
    })
}

/// The blob with a byte changed, and the checksum made right.
fn changed(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut blob = FACES.to_vec();
    change(&mut blob);
    let crc = blob_crc(&blob);
    blob[12..16].copy_from_slice(&crc.to_le_bytes());
    blob
}

/// A model that differs in its provenance only.
fn another() -> Vec<u8> {
    let config = Model::parse(FACES).unwrap().info().provenance.config.as_ptr() as usize;
    changed(|blob| blob[config - FACES.as_ptr() as usize] ^= 1)
}

fn crc(blob: &[u8]) -> u32 {
    u32::from_le_bytes(blob[12..16].try_into().unwrap())
}

fn frames(count: usize) -> VecDeque<Vec<u8>> {
    // The face, and the same upside down.
    let turned: Vec<u8> = HAPPY.as_chunks::<2>().0.iter().rev().flatten().copied().collect();
    (0..count).map(|index| if index % 3 == 2 { turned.clone() } else { HAPPY.to_vec() }).collect()
}

#[test]
fn frames_are_classified_smoothed_and_shown() {
    let mut board = simulation();
    board.camera.frames = frames(7);
    let reports = with_application(Anyone, ARENA_LEN, |application| turns(application, &mut board, 20));

    let model = Model::parse(FACES).unwrap();
    let (mut arena, mut averages) = (Arena::<ARENA_LEN>::new(), [0; 4]);
    let mut smoother = Smoother::new(&mut averages, SMOOTHING);
    let mut expected = Vec::new();
    for bytes in frames(7) {
        let mut interpreter = Interpreter::new(model, &mut arena).unwrap();
        let frame = Frame::new(PixelFormat::Rgb565Be, SIDE.into(), SIDE.into(), &bytes).unwrap();
        load_frame(&model, &frame, interpreter.input_mut()).unwrap();
        interpreter.run();
        let threshold = model.calibration().map_or(0, |calibration| calibration.threshold);
        expected.push(smoother.push(interpreter.output(), threshold));
    }
    let found: Vec<Decision> = reports.iter().map(|report| report.decision).collect();
    assert_eq!(found, expected);
    assert!(found.iter().any(|decision| decision.probability != found[0].probability), "{found:?}");
    assert_eq!(board.indicator.0, found.iter().map(|decision| decision.sure).collect::<Vec<_>>());
    assert!(reports.iter().all(|report| report.latency == 7), "from one look at the clock to the next");
}

#[test]
fn a_model_is_replaced_while_frames_go_on_and_stays_after_a_restart() {
    let mut board = simulation();
    board.camera.frames = frames(1000);
    let new = another();
    let hello = [Request::Hello];
    let commit = [Request::Update(Update::Commit { crc: crc(&new) })];
    let begin = [Request::Update(Update::Begin { len: new.len() as u32, crc: crc(&new) })];
    let requests = [&hello, &update(&new)[..], &hello, &commit, &begin].concat();
    let (answers, frames) =
        with_application(Anyone, ARENA_LEN, |application| converse(application, &mut board, &requests));
    let received = (1..).map(|count| Answer::Received((count * CHUNK).min(new.len()) as u32));
    let mut expected = vec![Answer::Runs(Some(crc(FACES))), Answer::Received(0)];
    expected.extend(received.take(new.len().div_ceil(CHUNK)));
    expected.push(Answer::Received(new.len() as u32));
    expected.push(Answer::Runs(Some(crc(&new))));
    // Both may be repeated when the model runs already.
    expected.extend([Answer::Received(new.len() as u32), Answer::Received(new.len() as u32)]);
    assert_eq!(answers, expected);
    assert!(frames > requests.len() / 2, "{frames} frames");

    with_application(Anyone, ARENA_LEN, |application| {
        let (answers, _) = converse(application, &mut board, &hello);
        assert_eq!(answers, [Answer::Runs(Some(crc(&new)))], "after a restart");
        let (answers, _) = converse(application, &mut board, &commit);
        assert_eq!(answers, [Answer::Received(new.len() as u32)], "the host may not know");
    });
}

#[test]
fn blobs_that_would_not_work_are_refused_by_name() {
    let new = another();
    let weights = Model::parse(FACES).unwrap().weights().as_ptr() as usize - FACES.as_ptr() as usize;
    let golden = table_entry(section::GOLDEN);
    let mut damaged = new.clone();
    damaged[weights] ^= 2;
    let cases = [
        (damaged, UpdateError::Crc),
        (changed(|blob| blob[weights] ^= 2), UpdateError::SelfTest),
        (changed(|blob| blob[4] = 3), UpdateError::Version(3)),
        (changed(|blob| blob[16] ^= 16), UpdateError::Parse),
        // Of an id that may be skipped.
        (changed(|blob| blob[golden] = 200), UpdateError::NoGolden),
    ];
    for (blob, error) in cases {
        assert_eq!(outcome(Anyone, ARENA_LEN, &blob), Answer::Refused(error));
    }
    assert_eq!(outcome(Owner([1; 32]), ARENA_LEN, &new), Answer::Refused(UpdateError::Unsigned));
    assert_eq!(outcome(Anyone, ARENA_LEN, &new), Answer::Received(new.len() as u32));
}

/// Where in the shipped blob the section table has its entry for a section.
fn table_entry(id: u32) -> usize {
    let index = Section::table(FACES).unwrap().position(|section| section.id == id).unwrap();
    HEADER_LEN + index * SECTION_LEN
}

#[test]
fn a_model_that_needs_more_memory_than_there_is_is_refused_and_does_not_run() {
    let mut board = simulation();
    let available = ARENA_LEN - 16;
    with_application(Anyone, available, |application| {
        let (answers, _) = converse(application, &mut board, &[Request::Hello]);
        assert_eq!(answers, [Answer::Runs(None)], "the built-in one");
        let new = another();
        let (answers, _) = converse(application, &mut board, &update(&new));
        let error = UpdateError::Arena { needed: ARENA_LEN as u32, available: available as u32 };
        assert_eq!(answers.last(), Some(&Answer::Refused(error)));
    });
}

#[test]
fn a_model_that_needs_a_kernel_that_is_not_linked_is_refused_by_name() {
    const LINKED: &Linked =
        &Linked::new(KernelSet::needed_by(FACES).without(KernelSet::NONE.with(Kernel::AveragePool2d)));
    let mut board = simulation();
    with_application(Anyone, ARENA_LEN, |application| {
        application.linked = LINKED;
        let (answers, _) = converse(application, &mut board, &[Request::Hello]);
        assert_eq!(answers, [Answer::Runs(None)], "the built-in one");
        let (answers, _) = converse(application, &mut board, &update(&another()));
        let error = UpdateError::NotLinked { kernel: Kernel::AveragePool2d };
        assert_eq!(answers.last(), Some(&Answer::Refused(error)));
    });
}

#[test]
fn a_board_without_flash_refuses_updates() {
    let Board { name, camera, link, indicator, clock, .. } = simulation();
    let mut board = Board { name, camera, link, indicator, clock, slots: [NoFlash; 2] };
    let mut memory = [0; 64];
    let body = Request::Update(Update::Begin { len: 1, crc: 2 });
    board.link.requests.push_back(encode(&Message { id: 1, body }, &mut memory).unwrap().to_vec());
    with_application(Anyone, ARENA_LEN, |application| {
        application.session(&mut board, &mut |_, _| {}, core::iter::repeat_n((), 2));
    });
    let mut receiver = Receiver::new(&mut memory);
    let mut answer =
        board.link.to_host.iter().find_map(|&byte| receiver.push(byte).map(|frame| frame.unwrap().to_vec()));
    let Message { body, .. } = decode::<Response<'_>>(answer.as_mut().unwrap()).unwrap();
    assert_eq!(body, Response::Error(Failure::Update(UpdateError::Unsupported)));
}
