//! Answers a host.

mod answers;
mod kept;
mod requests;

use core::num::NonZeroU16;

use heapless::{Vec, VecView};
use yoke_derive::Yokeable;

use crate::link::{CameraFaults, Failure, Identity, Message, Receiver, Request, Response, decode};
use no_std_infer::golden;
use no_std_infer::kernels::Linked;
use no_std_infer::{Decision, Error, Interpreter, Model, Step};

use crate::app::{Event, Report};
use crate::board::{Camera, Clock, Link, MappedFlash, NoCamera};
use crate::inference::Run;
use crate::signature::Trust;
use crate::update::Updater;
use answers::{Answers, Given, damaged, excerpt, inference, verdict};
pub use kept::{KEPT_AT_MOST_SECONDS, KEPT_SECONDS};
use kept::{Kept, Sight};
use requests::{Purpose, Work, needs_arena};

/// Bytes taken from the link at a time.
const CHUNK_LEN: usize = 64;

/// Memory of a [`Server`], for firmware to keep in a static: lengths in bytes.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Buffers<const REQUEST: usize, const RESULTS: usize, const ANSWER: usize> {
    request: Vec<u8, REQUEST>,
    results: Vec<u8, RESULTS>,
    answer: Vec<u8, ANSWER>,
}

impl<const REQUEST: usize, const RESULTS: usize, const ANSWER: usize> Buffers<REQUEST, RESULTS, ANSWER> {
    /// Nothing is in them.
    #[must_use]
    pub const fn new() -> Self {
        Self { request: Vec::new(), results: Vec::new(), answer: Vec::new() }
    }

    /// The memory.
    pub fn memory(&mut self) -> Memory<'_> {
        let Self { request, results, answer } = self;
        Memory { request, results, answer }
    }
}

/// Memory of a [`Server`], wherever it lies.
pub struct Memory<'a> {
    /// Holds one request: limits the length of an input or a camera's frame.
    pub request: &'a mut VecView<u8>,
    /// Holds what an answer refers to: 4 bytes an operator, 1 byte a logit, 1 byte an output; behind them a piece of the network's
    /// input, which a host that sees frames may read; or as many values of an operator's output as there is room for.
    pub results: &'a mut VecView<u8>,
    /// Holds one answer as a frame.
    pub answer: &'a mut VecView<u8>,
}

/// A blob that can be run.
#[derive(Clone, Copy, Debug, Yokeable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Loaded<'m> {
    /// The whole blob.
    pub blob: &'m [u8],
    /// What it holds.
    pub model: Model<'m>,
    /// Which blob it is.
    pub identity: Identity,
}

impl<'m> Loaded<'m> {
    /// Parses a blob that is to run on these kernels, and hashes it.
    ///
    /// # Errors
    /// Those of [`Model::parse_with`].
    pub fn parse(blob: &'m [u8], linked: &'static Linked) -> Result<Self, Error> {
        let model = Model::parse_with(blob, linked)?;
        Ok(Self { blob, model, identity: Identity::of(blob, &|| ()) })
    }
}

/// What requests are about.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Device<'x, 's, K, F, T> {
    /// Name of the board.
    pub name: &'static str,
    /// Measures costs.
    pub clock: &'x K,
    /// The model that runs; `None` where no blob can be run.
    pub loaded: Option<&'x Loaded<'x>>,
    /// The model's arena.
    pub arena: &'x mut [i8],
    /// Takes another blob.
    pub updater: &'x mut Updater<'s, F, T>,
}

/// Takes requests out of the link's bytes and answers them.
///
/// Alone, in firmware that neither has a camera nor takes updates:
///
/// ```
/// use no_std_device::{Anyone, Clock, Device, Link, Loaded, NoFlash, Server, Updater};
/// use no_std_infer::kernels::Linked;
///
/// fn serve(server: &mut Server<'_>, link: &mut impl Link, clock: &impl Clock, model: &Loaded<'_>, arena: &mut [i8]) {
///     let mut updater = Updater::<NoFlash, _>::new(Anyone, Linked::ALL);
///     let mut device = Device { name: "my board", clock, loaded: Some(model), arena, updater: &mut updater };
///     while server.poll(link, &mut device) {}
/// }
/// ```
pub struct Server<'a> {
    /// Bytes of the link that are not looked at yet, the last one first.
    waiting: Vec<u8, CHUNK_LEN>,
    receiver: Receiver<'a>,
    /// Longest message that it takes.
    // As it crosses the link; of memory, which these cores address in 32 bits.
    max_message: u32,
    answers: Answers<'a>,
    /// Costs or checksums of the operators that have run for a request, and then what the network has given.
    results: &'a mut VecView<u8>,
    /// What the network runs for.
    work: Option<Work>,
    kept: Kept,
    /// Frames that the camera has lost.
    faults: CameraFaults,
}

impl<'a> Server<'a> {
    /// A server that has received nothing yet.
    #[must_use]
    pub fn new(memory: Memory<'a>) -> Self {
        let Memory { request, results, answer } = memory;
        let max_message = request.capacity() as u32;
        let (receiver, answers) = (Receiver::new(request), Answers::new(answer));
        Self {
            waiting: Vec::new(),
            receiver,
            max_message,
            answers,
            results,
            work: None,
            kept: Kept::NOTHING,
            faults: CameraFaults::default(),
        }
    }

    /// Does the next piece of work; false when there was none. Takes bytes that wait, up to the end of a request, which it
    /// answers at once when the network need not run for it, also while it runs for another one, which a commit ends without
    /// an answer; and while it runs for one, runs its next operator, however much a host sends. Takes about
    /// as many bytes as the memory for a request at most, so that noise without end does not keep it. An answer that the link
    /// does not take is lost: the host asks again.
    ///
    /// While it [is working](Self::is_working), `device` has the same model and the same arena, which nothing else writes to.
    pub fn poll<K, F, T>(&mut self, link: &mut impl Link, device: &mut Device<'_, '_, K, F, T>) -> bool
    where
        K: Clock,
        F: MappedFlash,
        T: Trust,
    {
        self.turn(link, &mut NoCamera, device, None, |_| NOTHING) != Event::Idle
    }

    /// The same, with at most so many rows of the operator's output, see [`step_rows`](no_std_infer::Interpreter::step_rows).
    pub fn poll_rows<K, F, T>(
        &mut self,
        link: &mut impl Link,
        device: &mut Device<'_, '_, K, F, T>,
        rows: NonZeroU16,
    ) -> bool
    where
        K: Clock,
        F: MappedFlash,
        T: Trust,
    {
        self.turn(link, &mut NoCamera, device, Some(rows), |_| NOTHING) != Event::Idle
    }

    /// True when the network runs for a request: the arena is in use from one poll to the next.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.work.is_some()
    }

    /// Lets the network run for a frame that is in the arena, when it runs for nothing.
    pub(crate) fn classify(&mut self, run: Run) {
        self.results.clear();
        self.work = Some(Work { run, purpose: Purpose::Frame });
    }

    /// Whether a host sees the camera's last frame, so that the camera must not be asked for another.
    pub(crate) fn keeps_frame(&self, clock: &impl Clock) -> bool {
        self.kept.is_kept(clock)
    }

    /// Frames that the camera has lost since the start.
    pub(crate) fn faults(&self) -> CameraFaults {
        self.faults
    }

    /// Another model runs: what a frame gave is nothing that it would give.
    pub(crate) fn lose_frame(&mut self) {
        self.kept.lose();
    }

    /// The same as [`poll`](Self::poll), also where the network runs for a frame of the camera: then `classified` decides.
    // Apart from its caller, which has a large frame of its own, it takes less code.
    #[inline(never)]
    pub(crate) fn turn<C, K, F, T>(
        &mut self,
        link: &mut impl Link,
        camera: &mut C,
        device: &mut Device<'_, '_, K, F, T>,
        rows: Option<NonZeroU16>,
        classified: impl FnOnce(&Interpreter<'_, '_>) -> Decision,
    ) -> Event
    where
        C: Camera,
        K: Clock,
        F: MappedFlash,
        T: Trust,
    {
        let Self { waiting, receiver, max_message, answers, results, work, kept, faults } = self;
        if let Some(fault) = camera.fault() {
            faults.count(fault);
        }
        let mut event = Event::Idle;
        for _ in 0..=max_message.saturating_add(CHUNK_LEN as u32) {
            if waiting.is_empty() {
                receive(link, waiting);
            }
            let Some(&byte) = waiting.last() else { break };
            event = Event::Served;
            if work.is_some() && byte == 0 && receiver.has_begun() && needs_arena(receiver) {
                // The end of a request, which waits until the arena is free.
                break;
            }
            waiting.pop();
            let Some(message) = receiver.push(byte) else { continue };
            let request = match message.and_then(decode) {
                Err(error) => {
                    damaged(link, Failure::Frame(error));
                    break;
                }
                Ok(Message { id, .. }) if answers.repeat(link, id) => break,
                Ok(request) => request,
            };
            if matches!(request.body, Request::Update(step) if device.updater.needs_arena(&step)) {
                *work = None;
            }
            let sight = Sight { camera, kept, faults: *faults, results, answer_len: answers.capacity() };
            match device.begin(link, answers, request, *max_message, sight) {
                Ok(begun) => {
                    kept.lose();
                    results.clear();
                    *work = Some(begun);
                    return Event::Working;
                }
                Err(Event::Switched) => {
                    *work = None;
                    return Event::Switched;
                }
                Err(_) => break,
            }
        }
        // Whatever a host sends, and however much of it: what the network runs for comes to its end.
        self.go_on(link, camera, device, rows, classified).unwrap_or(event)
    }

    /// Takes the next step of what the network runs for; `None` when that is nothing.
    // Apart from its caller, so that the stack of an answer is not in use while an operator runs.
    #[inline(never)]
    fn go_on<K: Clock, F: MappedFlash, T: Trust>(
        &mut self,
        link: &mut impl Link,
        camera: &mut impl Camera,
        device: &mut Device<'_, '_, K, F, T>,
        rows: Option<NonZeroU16>,
        classified: impl FnOnce(&Interpreter<'_, '_>) -> Decision,
    ) -> Option<Event> {
        let (Work { run, mut purpose }, Loaded { model, .. }) = (self.work.take()?, device.loaded?);
        let Some((run, step, cost)) = run.step(device.clock, model, device.arena, rows) else {
            return self.finish(link, camera, device, Work { run, purpose }, classified);
        };
        match &mut purpose {
            Purpose::SelfTest(_, test) => check(test, run, step, model, device.arena),
            Purpose::Infer(_) | Purpose::Frame if step.complete => keep(self.results, cost),
            Purpose::Trace(_) if step.complete => keep(self.results, checksum(run, step, model, device.arena)),
            Purpose::Excerpt(_, of) if step.complete && step.operator == usize::from(of.operator) => {
                return self.finish(link, camera, device, Work { run, purpose }, classified);
            }
            Purpose::Infer(_) | Purpose::Frame | Purpose::Trace(_) | Purpose::Excerpt(..) => {}
        }
        self.work = Some(Work { run, purpose });
        Some(Event::Working)
    }

    /// Does what the network has run for.
    #[inline(never)]
    fn finish<C: Camera, K: Clock, F: MappedFlash, T: Trust>(
        &mut self,
        link: &mut impl Link,
        camera: &mut C,
        device: &mut Device<'_, '_, K, F, T>,
        Work { run, purpose }: Work,
        classified: impl FnOnce(&Interpreter<'_, '_>) -> Decision,
    ) -> Option<Event> {
        let Loaded { model, identity, .. } = device.loaded?;
        let interpreter = run.interpreter(model, device.arena).ok()?;
        let (id, body) = match purpose {
            Purpose::Frame => {
                if !C::HAS_FRAMES {
                    return None;
                }
                let (decision, given) = (classified(&interpreter), Given::put(&interpreter, self.results));
                let now = device.clock.now();
                self.kept.classified::<K>(camera, decision, (given, run.costs, now));
                return Some(Event::Classified(Report { decision, latency: now.saturating_sub(run.start) }));
            }
            Purpose::Infer(id) | Purpose::Trace(id) => {
                let given = Given::put(&interpreter, self.results);
                let costs = (run.costs, device.clock.stack_used());
                let body = match given.and_then(|given| inference(given, identity, costs, self.results)) {
                    Some(traced) if matches!(purpose, Purpose::Trace(_)) => Response::Trace(traced),
                    Some(inference) => Response::Inference(inference),
                    None => Response::Error(Failure::AnswerTooLong),
                };
                (id, body)
            }
            Purpose::SelfTest(id, test) => (id, verdict(test.outcome(&interpreter))),
            Purpose::Excerpt(id, of) => (id, excerpt(&interpreter, identity, &of, self.results)),
        };
        self.answers.give(link, id, &body);
        Some(Event::Served)
    }
}

/// What is decided where there is no camera.
const NOTHING: Decision = Decision { class: 0, probability: 0, sure: false };

/// Compares what a step has made with the golden vector.
#[inline(never)]
fn check(test: &mut golden::SelfTest, run: Run, step: Step, model: &Model<'_>, arena: &mut [i8]) {
    let _ = run.interpreter(model, arena).map(|interpreter| test.check(&interpreter, step));
}

/// The checksum of what an operator has made.
#[inline(never)]
fn checksum(run: Run, step: Step, model: &Model<'_>, arena: &mut [i8]) -> u32 {
    let interpreter = run.interpreter(model, arena);
    interpreter.map_or(0, |interpreter| golden::checksum(interpreter.output_of(step.operator)))
}

/// Keeps a number for an answer. What has no room is found missing in the end.
fn keep(results: &mut VecView<u8>, number: u32) {
    number.to_le_bytes().into_iter().for_each(|byte| _ = results.push(byte));
}

/// Takes the bytes that the link has, as many as fit, the last one first.
fn receive(link: &mut impl Link, waiting: &mut Vec<u8, CHUNK_LEN>) {
    let mut bytes = [0; CHUNK_LEN];
    if let Ok(true) = link.read_ready()
        && let Ok(len) = link.read(&mut bytes)
    {
        for &byte in bytes.get(..len).unwrap_or_default().iter().rev() {
            let _ = waiting.push(byte);
        }
    }
}
