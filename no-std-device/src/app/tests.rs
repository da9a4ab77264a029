use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use crate::link::{Failure, Message, Receiver, Request, Response, SelfTest, Unit, Update, UpdateError, decode, encode};
use embedded_hal::digital;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use no_std_infer::format::{HEADER_LEN, SECTION_LEN, Section, arena_len, blob_crc, section};
use no_std_infer::image::PixelFormat;
use no_std_infer::kernels::{Kernel, KernelSet, Linked};
use no_std_infer::{Arena, include_model};

use super::*;
use crate::board::{NoCamera, NoFlash, NoIndicator};
use crate::serve::Buffers;
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
type Simulation = Board<Film, Wire, Lamp, Steps>;

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
struct Steps {
    time: Cell<u64>,
    feeds: Cell<u32>,
    power: Rc<Power>,
}

impl Clock for Steps {
    const UNIT: Unit = Unit::Cycles;
    const HZ: u32 = 1000;

    fn now(&self) -> u64 {
        self.time.set(self.time.get() + 7);
        self.time.get()
    }

    fn stack_used(&self) -> u32 {
        0
    }

    fn feed(&self) {
        self.feeds.set(self.feeds.get() + 1);
        self.power.feed();
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

/// A board, and two slots of flash.
fn simulation() -> (Simulation, [Flash; 2]) {
    let power = Power::new(3);
    let slots = [0, 1].map(|_| Flash::new(&power, 96 * 1024));
    let board = Board {
        name: "simulation",
        camera: Film::default(),
        link: Wire { next_id: 1, ..Wire::default() },
        indicator: Lamp::default(),
        clock: Steps { time: Cell::default(), feeds: Cell::default(), power },
    };
    (board, slots)
}

/// Polls the application so many times; gives what it reported.
fn turns(application: &mut Application<'_, Flash, impl Trust>, board: &mut Simulation, turns: usize) -> Vec<Report> {
    let events = (0..turns).map(|_| application.poll(board));
    events.filter_map(|event| if let Event::Classified(report) = event { Some(report) } else { None }).collect()
}

/// Sends bytes to the application, and gives the bytes of its answers.
fn exchange(application: &mut Application<'_, Flash, impl Trust>, board: &mut Simulation, bytes: &[u8]) -> Vec<u8> {
    board.link.to_device.extend(bytes);
    while application.poll(board) != Event::Idle {}
    core::mem::take(&mut board.link.to_host)
}

fn frame(id: u32, body: Request<'_>) -> Vec<u8> {
    encode(&Message { id, body }, &mut [0; 2 * CHUNK]).unwrap().to_vec()
}

/// Calls `then` with each answer.
fn answers(bytes: &[u8], mut then: impl FnMut(Message<Response<'_>>)) {
    let mut memory = heapless::Vec::<u8, 2048>::new();
    let mut receiver = Receiver::new(&mut memory);
    for &byte in bytes {
        if let Some(message) = receiver.push(byte) {
            then(decode(message.unwrap()).unwrap());
        }
    }
}

/// The host's requests and the device's answers, and how many frames it classified meanwhile.
fn converse(
    application: &mut Application<'_, Flash, impl Trust>,
    board: &mut Simulation,
    requests: &[Request<'_>],
) -> (Vec<Answer>, usize) {
    let first_id = board.link.next_id;
    board.link.requests.extend((first_id..).zip(requests).map(|(id, &body)| frame(id, body)));
    let frames = turns(application, board, 6 * requests.len()).len();
    let mut found = Vec::new();
    answers(&core::mem::take(&mut board.link.to_host), |Message { id, body }| {
        assert_eq!(id as usize, first_id as usize + found.len());
        found.push(match body {
            Response::Hello(hello) => Answer::Runs(hello.model.map(|model| model.crc)),
            Response::Update { received } => Answer::Received(received),
            Response::Error(Failure::Update(error)) => Answer::Refused(error),
            other => panic!("{other:?}"),
        });
    });
    board.link.next_id += requests.len() as u32;
    (found, frames)
}

/// The requests of a whole update.
fn update(blob: &[u8]) -> Vec<Request<'_>> {
    let writes = (0..).zip(blob.chunks(CHUNK));
    let writes = writes.map(|(index, bytes)| Update::Write { offset: index * CHUNK as u32, bytes });
    let steps = core::iter::once(Update::Begin { len: blob.len() as u32, crc: crc(blob) }).chain(writes);
    steps.chain([Update::Commit { crc: crc(blob) }]).map(Request::Update).collect()
}

/// What becomes of an update with this blob.
fn outcome(trust: impl Trust, blob: &[u8]) -> Answer {
    let (mut board, mut slots) = simulation();
    with_application(trust, &mut slots, |application| {
        let (mut answers, _) = converse(application, &mut board, &[&update(blob)[..], &[Request::Hello]].concat());
        let (runs, outcome) = (answers.pop().unwrap(), answers.pop().unwrap());
        let taken = matches!(outcome, Answer::Received(_));
        assert_eq!(runs, Answer::Runs(Some(if taken { crc(blob) } else { crc(FACES) })), "{outcome:?}");
        outcome
    })
}

/// Calls `then` with an application that has the shipped blob built in.
fn with_application<F: MappedFlash + 'static, T: Trust, O>(
    trust: T,
    slots: &mut [F; 2],
    then: impl FnOnce(&mut Application<'_, F, T>) -> O,
) -> O {
    with_limits((ARENA_LEN, Linked::ALL), trust, slots, then)
}

/// The same with an arena of another length and other kernels.
fn with_limits<F: MappedFlash + 'static, T: Trust, O>(
    (arena_len, linked): (usize, &'static Linked),
    trust: T,
    slots: &mut [F; 2],
    then: impl FnOnce(&mut Application<'_, F, T>) -> O,
) -> O {
    let mut arena = Arena::<ARENA_LEN>::new();
    let mut averages = heapless::Vec::<_, 4>::new();
    let mut buffers = Buffers::<{ 32 * 1024 }, 1024, 2048>::new();
    then(&mut Application::new(Parts {
        factory: Some(FACES),
        slots: slots.each_mut(),
        trust,
        linked,
        arena: &mut arena[..arena_len],
        averages: &mut averages,
        smoothing: SMOOTHING,
        memory: buffers.memory(),
    }))
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
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(7);
    let reports = with_application(Anyone, &mut slots, |application| turns(application, &mut board, 20));

    let model = Model::parse(FACES).unwrap();
    let (mut arena, mut averages) = (Arena::<ARENA_LEN>::new(), heapless::Vec::<_, 4>::new());
    let mut smoother = Smoother::new(&mut averages, SMOOTHING);
    let mut expected = Vec::new();
    for bytes in frames(7) {
        let mut interpreter = Interpreter::new(model, &mut arena).unwrap();
        let frame = Frame::new(PixelFormat::Rgb565Be, SIDE.into(), SIDE.into(), &bytes).unwrap();
        load_frame(&model, &frame, interpreter.input_mut()).unwrap();
        interpreter.run();
        expected.push(smoother.push(interpreter.logits(), interpreter.output(), model.threshold()));
    }
    let found: Vec<Decision> = reports.iter().map(|report| report.decision).collect();
    assert_eq!(found, expected);
    assert!(found.iter().any(|decision| decision.probability != found[0].probability), "{found:?}");
    assert_eq!(board.indicator.0, found.iter().map(|decision| decision.sure).collect::<Vec<_>>());
    assert!(reports.iter().all(|report| report.latency == 7), "from one look at the clock to the next");
}

#[test]
fn a_model_is_replaced_while_frames_go_on_and_stays_after_a_restart() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(1000);
    let new = another();
    let hello = [Request::Hello];
    let commit = [Request::Update(Update::Commit { crc: crc(&new) })];
    let begin = [Request::Update(Update::Begin { len: new.len() as u32, crc: crc(&new) })];
    let requests = [&hello, &update(&new)[..], &hello, &commit, &begin].concat();
    let (answers, frames) =
        with_application(Anyone, &mut slots, |application| converse(application, &mut board, &requests));
    let received = (1..).map(|count| Answer::Received((count * CHUNK).min(new.len()) as u32));
    let mut expected = vec![Answer::Runs(Some(crc(FACES))), Answer::Received(0)];
    expected.extend(received.take(new.len().div_ceil(CHUNK)));
    expected.push(Answer::Received(new.len() as u32));
    expected.push(Answer::Runs(Some(crc(&new))));
    // Both may be repeated when the model runs already.
    expected.extend([Answer::Received(new.len() as u32), Answer::Received(new.len() as u32)]);
    assert_eq!(answers, expected);
    assert!(frames > requests.len() / 2, "{frames} frames");

    with_application(Anyone, &mut slots, |application| {
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
        assert_eq!(outcome(Anyone, &blob), Answer::Refused(error));
    }
    assert_eq!(outcome(Owner([1; 32]), &new), Answer::Refused(UpdateError::Unsigned));
    assert_eq!(outcome(Anyone, &new), Answer::Received(new.len() as u32));
}

/// Where in the shipped blob the section table has its entry for a section.
fn table_entry(id: u32) -> usize {
    let index = Section::table(FACES).unwrap().position(|section| section.id == id).unwrap();
    HEADER_LEN + index * SECTION_LEN
}

#[test]
fn a_model_that_needs_more_memory_than_there_is_is_refused_and_does_not_run() {
    let (mut board, mut slots) = simulation();
    let available = ARENA_LEN - 16;
    with_limits((available, Linked::ALL), Anyone, &mut slots, |application| {
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
    let (mut board, mut slots) = simulation();
    with_limits((ARENA_LEN, LINKED), Anyone, &mut slots, |application| {
        let (answers, _) = converse(application, &mut board, &[Request::Hello]);
        assert_eq!(answers, [Answer::Runs(None)], "the built-in one");
        let (answers, _) = converse(application, &mut board, &update(&another()));
        let error = UpdateError::NotLinked { kernel: Kernel::AveragePool2d };
        assert_eq!(answers.last(), Some(&Answer::Refused(error)));
    });
}

#[test]
fn a_board_without_flash_refuses_updates() {
    let (Board { name, link, clock, .. }, _) = simulation();
    let mut board = Board { name, camera: NoCamera, link, indicator: NoIndicator, clock };
    board.link.to_device.extend(frame(1, Request::Update(Update::Begin { len: 1, crc: 2 })));
    with_application(Anyone, &mut [NoFlash; 2], |application| {
        assert_eq!([application.poll(&mut board), application.poll(&mut board)], [Event::Served, Event::Idle]);
    });
    answers(&board.link.to_host, |answer| {
        assert_eq!(answer.body, Response::Error(Failure::Update(UpdateError::Unsupported)));
    });
    assert!(!board.link.to_host.is_empty());
}

#[test]
fn a_request_that_is_repeated_after_damage_costs_nothing() {
    let (mut board, mut slots) = simulation();
    let request = frame(9, Request::SelfTest);
    let mut damaged = request.clone();
    damaged[1] ^= 0x55;
    let unknown = encode(&Message { id: 9, body: 99_u8 }, &mut [0; 16]).unwrap().to_vec();
    with_application(Anyone, &mut slots, |application| {
        let answer = exchange(application, &mut board, &request);
        answers(&answer, |answer| assert_eq!(answer.body, Response::SelfTest(SelfTest::Passed)));
        let feeds = board.clock.feeds.get();
        for damaged in [&damaged[..], &unknown, &[5, 1, 0]] {
            let mut refused = 0;
            answers(&exchange(application, &mut board, damaged), |Message { id, body }| {
                assert!(id == 0 && matches!(body, Response::Error(Failure::Frame(_))), "{id}: {body:?}");
                refused += 1;
            });
            assert!(refused > 0);
            assert_eq!(exchange(application, &mut board, &request), answer);
        }
        let operators = u32::from(application.model().unwrap().info().ops);
        assert!(board.clock.feeds.get() - feeds < operators, "the network ran again");
    });
}

/// The answer to a commit is kept over the switch, and what follows it is answered by the new model.
#[test]
fn a_commit_may_be_repeated_and_what_follows_it_is_the_new_models() {
    let (mut board, mut slots) = simulation();
    let new = another();
    let requests = update(&new);
    let (commit, before) = requests.split_last().unwrap();
    with_application(Anyone, &mut slots, |application| {
        converse(application, &mut board, before);
        let (commit, hello) = (frame(5000, *commit), frame(5001, Request::Hello));
        let both = exchange(application, &mut board, &[&commit[..], &hello].concat());
        let mut found = Vec::new();
        answers(&both, |Message { id, body }| {
            found.push(match body {
                Response::Update { received } => (id, received),
                Response::Hello(hello) => (id, hello.model.unwrap().crc),
                other => panic!("{other:?}"),
            });
        });
        assert_eq!(found, [(5000, new.len() as u32), (5001, crc(&new))]);
    });
    let (mut board, mut slots) = simulation();
    with_application(Anyone, &mut slots, |application| {
        converse(application, &mut board, before);
        let commit = frame(5000, *commit);
        let answer = exchange(application, &mut board, &commit);
        assert_eq!(application.model().unwrap().crc(), crc(&new));
        let feeds = board.clock.feeds.get();
        assert_eq!(exchange(application, &mut board, &commit), answer);
        assert_eq!(board.clock.feeds.get() - feeds, 2, "but for the feeds of two polls nothing was done");
    });
}

#[test]
fn the_watchdog_is_fed_between_all_pieces_of_an_update() {
    let (mut board, mut slots) = simulation();
    let new = another();
    let requests = update(&new);
    let (commit, before) = requests.split_last().unwrap();
    let power = Rc::clone(&board.clock.power);
    with_application(Anyone, &mut slots, |application| {
        let start = power.operations();
        let (_, frames) = converse(application, &mut board, before);
        assert_eq!(frames, 0);
        let pieces = new.len().div_ceil(CHUNK) + (crate::RECORD_SPACE + new.len()).div_ceil(4096);
        assert!(power.operations() - start >= pieces as u32, "each sector is erased and each write programmed");
        let feeds = board.clock.feeds.get();
        board.link.to_device.extend(frame(5000, *commit));
        assert_eq!(application.poll(&mut board), Event::Switched);
        let operators = usize::from(application.model().unwrap().info().ops);
        // The poll; the checksum; around parsing; each operator of the self-test; the record; around parsing for the switch.
        let expected = 1 + (new.len() - 16).div_ceil(crate::PIECE) + 2 + operators + 1 + 2;
        assert_eq!((board.clock.feeds.get() - feeds) as usize, expected);
    });
    assert_eq!(power.most_unfed(), 1, "operations of the flash between two feeds");
}

#[test]
fn the_watchdog_is_fed_at_each_poll_and_operator() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(1);
    with_application(Anyone, &mut slots, |application| {
        assert!(matches!(application.poll(&mut board), Event::Classified(_)));
        assert_eq!(board.clock.feeds.get(), 1 + u32::from(application.model().unwrap().info().ops));
    });
}
