//! The application on a simulated board.

mod chatter;
mod chunks;
mod faults;
mod frames;
mod looks;
mod losses;
mod signed;
mod steps;
mod trace;
mod trial;
mod updates;

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use crate::link::{
    Failure, Identity, Inference, Message, Receiver, Request, Reset, Response, SelfTest, Unit, Update, UpdateError,
    decode, encode,
};
use embedded_hal::digital;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use no_std_infer::format::{HEADER_LEN, SECTION_LEN, Section, arena_len, blob_crc, section};
use no_std_infer::image::{Frame, PixelFormat};
use no_std_infer::kernels::{Kernel, KernelSet, Linked};
use no_std_infer::{Arena, Cost, Interpreter, include_model};

use super::*;
use crate::board::{CameraFault, NoCamera, NoFlash, NoIndicator};
use crate::inference::load_frame;
use crate::serve::Buffers;
use crate::signature::{Anyone, Owner, credentials};
use crate::simulated::{Power, Simulated};

static FACES: &[u8] = include_model!("../../../../data/faces.blob");
/// A model that takes little time to test.
static TINY: &[u8] = include_model!("../../../../no-std-infer/data/tiny.blob");
const ARENA_LEN: usize = arena_len(include_bytes!("../../../../data/faces.blob"));
/// A camera's frame with a happy face.
const HAPPY: &[u8] = include_bytes!("../../../../firmware-example/boards/mps2/src/bin/demo.rgb565");
const SIDE: u16 = 96;
const SMOOTHING: u8 = 2;
/// Longest request in bytes.
const REQUEST_LEN: usize = 32 * 1024;
/// Bytes of an update in one request.
const CHUNK: usize = 2048;

type Flash = Simulated<256, 4096>;
type Simulation = Board<Film, Wire, Lamp, Steps>;

/// Plays frames, one for each second look. One without bytes did not come in time, one with few ended too early.
#[derive(Default)]
struct Film {
    frames: VecDeque<Vec<u8>>,
    shown: Vec<u8>,
    looks: usize,
    /// It does not keep the last one.
    forgets: bool,
    faults: VecDeque<CameraFault>,
}

impl Camera for Film {
    fn frame(&mut self) -> Option<Frame<'_>> {
        self.looks += 1;
        self.shown.clear();
        if self.looks.is_multiple_of(2) {
            return None;
        }
        self.shown = self.frames.pop_front()?;
        if self.shown.len() < HAPPY.len() {
            self.faults.push_back(if self.shown.is_empty() { CameraFault::Silent } else { CameraFault::Short });
        }
        Frame::new(PixelFormat::Rgb565Be, SIDE.into(), SIDE.into(), &self.shown).ok()
    }

    fn last(&mut self) -> Option<Frame<'_>> {
        let kept = if self.forgets { &[] } else { &self.shown[..] };
        Frame::new(PixelFormat::Rgb565Be, SIDE.into(), SIDE.into(), kept).ok()
    }

    fn fault(&mut self) -> Option<CameraFault> {
        self.faults.pop_front()
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

/// Goes on by [`TICK`](Self::TICK) at each look.
struct Steps {
    time: Cell<u64>,
    feeds: Cell<u32>,
    power: Rc<Power>,
    reset: Reset,
}

impl Steps {
    const TICK: u64 = 7;
}

impl Clock for Steps {
    const UNIT: Unit = Unit::Cycles;
    const HZ: u32 = 1000;

    fn now(&self) -> u64 {
        self.time.set(self.time.get() + Self::TICK);
        self.time.get()
    }

    fn stack_used(&self) -> u32 {
        0
    }

    fn feed(&self) {
        self.feeds.set(self.feeds.get() + 1);
        self.power.feed();
    }

    fn reset(&self) -> Reset {
        self.reset
    }
}

/// What the host learns from an answer.
#[derive(Debug, PartialEq)]
enum Answer {
    /// The model that runs.
    Runs(Option<Identity>),
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
        clock: Steps { time: Cell::default(), feeds: Cell::default(), power, reset: Reset::Unknown },
    };
    (board, slots)
}

/// Polls the application until the network has run, if it runs for anything.
fn turn(application: &mut Application<'_, Flash, impl Trust>, board: &mut Simulation) -> Event {
    loop {
        match application.poll(board) {
            Event::Working => {}
            event => return event,
        }
    }
}

/// So many turns; gives what the application reported.
fn turns(application: &mut Application<'_, Flash, impl Trust>, board: &mut Simulation, turns: usize) -> Vec<Report> {
    let events = (0..turns).map(|_| turn(application, board));
    events.filter_map(|event| if let Event::Classified(report) = event { Some(report) } else { None }).collect()
}

/// Sends bytes to the application, and gives the bytes of its answers.
fn exchange(application: &mut Application<'_, Flash, impl Trust>, board: &mut Simulation, bytes: &[u8]) -> Vec<u8> {
    board.link.to_device.extend(bytes);
    while application.poll(board) != Event::Idle {}
    core::mem::take(&mut board.link.to_host)
}

fn frame(id: u32, body: Request<'_>) -> Vec<u8> {
    encode(&Message { id, body }, &mut vec![0; REQUEST_LEN]).unwrap().to_vec()
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
            Response::Hello(hello) => Answer::Runs(hello.model.map(|model| model.blob)),
            Response::Update { received } => Answer::Received(received),
            Response::Error(Failure::Update(error)) => Answer::Refused(error),
            other => panic!("{other:?}"),
        });
    });
    board.link.next_id += requests.len() as u32;
    (found, frames)
}

/// The requests of a whole update.
fn requests_of(blob: &[u8]) -> Vec<Request<'_>> {
    let writes = (0..).zip(blob.chunks(CHUNK));
    let writes = writes.map(|(index, bytes)| Update::Write { offset: index * CHUNK as u32, bytes });
    let steps = core::iter::once(begin(blob)).chain(writes);
    steps.chain([Update::Commit { blob: identity(blob) }]).map(Request::Update).collect()
}

/// What becomes of an update with this blob.
fn outcome(trust: impl Trust, blob: &[u8]) -> Answer {
    let (mut board, mut slots) = simulation();
    with_application(trust, &mut slots, |application| {
        let (mut answers, _) = converse(application, &mut board, &[&requests_of(blob)[..], &[Request::Hello]].concat());
        let (runs, last) = (answers.pop().unwrap(), answers.pop().unwrap());
        let refused = answers.into_iter().find(|answer| matches!(answer, Answer::Refused(_)));
        let outcome = refused.unwrap_or(last);
        let taken = matches!(outcome, Answer::Received(_));
        assert_eq!(runs, Answer::Runs(Some(identity(if taken { blob } else { FACES }))), "{outcome:?}");
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
    with_built_in(FACES, (arena_len, linked), trust, slots, then)
}

/// The same with another blob built in.
fn with_built_in<F: MappedFlash + 'static, T: Trust, O>(
    built_in: &'static [u8],
    (arena_len, linked): (usize, &'static Linked),
    trust: T,
    slots: &mut [F; 2],
    then: impl FnOnce(&mut Application<'_, F, T>) -> O,
) -> O {
    let mut arena = Arena::<ARENA_LEN>::new();
    let mut averages = heapless::Vec::<_, 4>::new();
    let mut buffers = Buffers::<REQUEST_LEN, 1024, 2048>::new();
    then(&mut Application::new(Parts {
        factory: Some(built_in),
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

fn identity(blob: &[u8]) -> Identity {
    Identity::of(blob, &|| ())
}

/// Announces a blob, with what it says about itself.
fn begin(blob: &[u8]) -> Update<'_> {
    Update::Begin { blob: identity(blob), credentials: credentials(blob, &|| ()) }
}

impl<F: MappedFlash + 'static, T: Trust> Application<'_, F, T> {
    /// Which blob runs.
    fn running(&self) -> Option<Identity> {
        loaded(&self.running).map(|loaded| loaded.identity)
    }
}

fn frames(count: usize) -> VecDeque<Vec<u8>> {
    // The face, and the same upside down.
    let turned: Vec<u8> = HAPPY.as_chunks::<2>().0.iter().rev().flatten().copied().collect();
    (0..count).map(|index| if index % 3 == 2 { turned.clone() } else { HAPPY.to_vec() }).collect()
}
