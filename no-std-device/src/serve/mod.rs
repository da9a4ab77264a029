//! Answers a host.

use core::num::NonZeroU16;

use heapless::{Vec, VecView};
use yoke_derive::Yokeable;

use crate::link::{
    Failure, FrameError, Hello, Inference, Message, ModelInfo, PROTOCOL, Picture, Receiver, Request, Response,
    SelfTest, decode, encode, encode_into, max_frame_len,
};
use no_std_infer::format::number;
use no_std_infer::golden::{self, SelfTestError};
use no_std_infer::kernels::Linked;
use no_std_infer::{Error, Interpreter, Model};

use crate::app::Event;
use crate::board::{Clock, Link, MappedFlash};
use crate::inference::{Costs, Run, Source};
use crate::signature::Trust;
use crate::update::Updater;

/// Bytes taken from the link at a time.
const CHUNK_LEN: usize = 64;
/// Room for the answer to a damaged frame: four bytes and their checksum, stuffed.
const DAMAGED_LEN: usize = max_frame_len(4);

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
    /// Holds what an answer refers to: 4 bytes an operator, 1 byte a logit, 1 byte an output.
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
}

impl<'m> Loaded<'m> {
    /// Parses a blob that is to run on these kernels.
    ///
    /// # Errors
    /// Those of [`Model::parse_with`].
    pub fn parse(blob: &'m [u8], linked: &'static Linked) -> Result<Self, Error> {
        Ok(Self { blob, model: Model::parse_with(blob, linked)? })
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
    answers: Answers<'a>,
    /// Costs of the operators that have run for a request, and then what the network has given.
    results: &'a mut VecView<u8>,
    /// What the network runs for.
    work: Option<Work>,
}

#[derive(Debug)]
struct Answers<'a> {
    max_message: u32,
    /// The answer that was given last to an intact request, as a frame.
    last: &'a mut VecView<u8>,
    /// Id of that request; 0 where there was none.
    last_id: u32,
}

/// An inference, and what it is for.
#[derive(Clone, Copy, Debug)]
struct Work {
    run: Run,
    purpose: Purpose,
}

#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// A frame of the board's camera.
    Frame,
    /// The request with this id.
    Infer(u32),
    /// The request with this id.
    SelfTest(u32, golden::SelfTest),
}

/// Id of a request, and what is answered.
type Answer<'r> = (u32, Result<Response<'r>, Failure>);

/// What has become of a request.
enum Begun {
    /// It was answered before: that answer is sent.
    Before,
    Answered(u32, Result<Response<'static>, Failure>, Event),
    /// The network must run for it.
    Working(Work),
}

impl<'a> Server<'a> {
    /// A server that has received nothing yet.
    #[must_use]
    pub fn new(memory: Memory<'a>) -> Self {
        let Memory { request, results, answer } = memory;
        answer.clear();
        let answers = Answers { max_message: request.capacity() as u32, last: answer, last_id: 0 };
        Self { waiting: Vec::new(), receiver: Receiver::new(request), answers, results, work: None }
    }

    /// Does the next piece of work; false when there was none. Takes bytes that wait, up to the end of a request, which it
    /// answers at once when the network need not run for it; and while it runs for one, runs its next operator. Takes about
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
        self.turn(link, device, None, |_, _| Event::Idle) != Event::Idle
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
        self.turn(link, device, Some(rows), |_, _| Event::Idle) != Event::Idle
    }

    /// True when the network runs for a request: the arena is in use from one poll to the next.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.work.is_some()
    }

    /// Lets the network run for a frame that is in the arena, when it runs for nothing.
    pub(crate) fn classify(&mut self, run: Run) {
        self.work = Some(Work { run, purpose: Purpose::Frame });
    }

    /// The same as [`poll`](Self::poll), also where the network runs for a frame: then `classified` makes the event of the
    /// network and the time when it began.
    // Apart from its caller, which has a large frame of its own, it takes less code.
    #[inline(never)]
    pub(crate) fn turn<K, F, T>(
        &mut self,
        link: &mut impl Link,
        device: &mut Device<'_, '_, K, F, T>,
        rows: Option<NonZeroU16>,
        classified: impl FnOnce(&Interpreter<'_, '_>, u64) -> Event,
    ) -> Event
    where
        K: Clock,
        F: MappedFlash,
        T: Trust,
    {
        let Self { waiting, receiver, answers, results, work } = self;
        let (mut event, mut begun) = (Event::Idle, None);
        for _ in 0..=answers.max_message.saturating_add(CHUNK_LEN as u32) {
            if waiting.is_empty() {
                receive(link, waiting);
            }
            let Some(&byte) = waiting.last() else { break };
            event = Event::Served;
            if work.is_some() && byte == 0 && receiver.has_begun() {
                // The end of a request, which waits until the arena is free.
                break;
            }
            waiting.pop();
            if let Some(message) = receiver.push(byte) {
                begun = Some(answers.begin(link, device, message.and_then(decode)));
                break;
            }
        }
        let (now, answer) = match begun {
            Some(Begun::Before) => (None, None),
            Some(Begun::Answered(id, body, event)) => (Some(event), Some((id, body))),
            Some(Begun::Working(begun)) => {
                results.clear();
                *work = Some(begun);
                (Some(Event::Working), None)
            }
            None => go_on(work, device, rows, results, classified),
        };
        if let Some((id, body)) = answer {
            answers.keep(id, body);
            send(link, answers.last);
        }
        now.unwrap_or(event)
    }
}

/// Takes the next step of what the network runs for; gives what has happened, and when it is done for a request, its id and
/// answer. `None` when the network runs for nothing.
fn go_on<'r, K: Clock, F, T>(
    work: &mut Option<Work>,
    device: &mut Device<'_, '_, K, F, T>,
    rows: Option<NonZeroU16>,
    results: &'r mut VecView<u8>,
    classified: impl FnOnce(&Interpreter<'_, '_>, u64) -> Event,
) -> (Option<Event>, Option<Answer<'r>>) {
    let (Some(Work { run, mut purpose }), Some(Loaded { model, .. })) = (work.take(), device.loaded) else {
        return (None, None);
    };
    let clock = device.clock;
    if let Some((run, step, cost)) = run.step(clock, model, device.arena, rows) {
        match &mut purpose {
            Purpose::SelfTest(_, test) => {
                let _ = run.interpreter(model, device.arena).map(|interpreter| test.check(&interpreter, step));
            }
            Purpose::Infer(_) if step.complete => {
                // What has no room is found missing in the end.
                let _ = results.extend_from_slice(&cost.to_le_bytes());
            }
            Purpose::Infer(_) | Purpose::Frame => {}
        }
        *work = Some(Work { run, purpose });
        return (Some(Event::Working), None);
    }
    let Ok(interpreter) = run.interpreter(model, device.arena) else { return (None, None) };
    let (id, body) = match purpose {
        Purpose::Frame => return (Some(classified(&interpreter, run.start)), None),
        Purpose::Infer(id) => (id, inference(&interpreter, run.costs, clock, results).map(Response::Inference)),
        Purpose::SelfTest(id, test) => (id, verdict(test.outcome(&interpreter)).map(Response::SelfTest)),
    };
    (Some(Event::Served), Some((id, body)))
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

impl Answers<'_> {
    /// Carries a request out, or begins to. When it was sent again, that is sent which was given already, whatever else arrived
    /// damaged in between.
    fn begin<K: Clock, F: MappedFlash, T: Trust>(
        &self,
        link: &mut impl Link,
        device: &mut Device<'_, '_, K, F, T>,
        request: Result<Message<Request<'_>>, FrameError>,
    ) -> Begun {
        let mut damaged = [0; DAMAGED_LEN];
        let frame = match request {
            Ok(Message { id, body }) if id == 0 || id != self.last_id => {
                return device.begin(id, body, self.max_message);
            }
            Ok(_) => self.last,
            Err(error) => {
                let answer = Message { id: 0, body: Response::Error(Failure::Frame(error)) };
                encode(&answer, &mut damaged).unwrap_or_default()
            }
        };
        send(link, frame);
        Begun::Before
    }

    /// Keeps an answer as a frame.
    fn keep(&mut self, id: u32, body: Result<Response<'_>, Failure>) {
        let answer = Message { id, body: body.unwrap_or_else(Response::Error) };
        if encode_into(&answer, self.last).is_err() {
            let too_long = Message { id, body: Response::Error(Failure::AnswerTooLong) };
            // Memory that holds no answer at all leaves the host without one.
            let _ = encode_into(&too_long, self.last);
        }
        self.last_id = id;
    }
}

fn send(link: &mut impl Link, frame: &[u8]) {
    let _ = link.write_all(frame).and_then(|()| link.flush());
}

impl<K: Clock, F: MappedFlash, T: Trust> Device<'_, '_, K, F, T> {
    fn begin(&mut self, id: u32, request: Request<'_>, max_message: u32) -> Begun {
        let begun = match request {
            Request::Hello => Err(Ok(Response::Hello(hello(self, max_message)))),
            Request::Infer(picture) => self.infer(id, picture).map_err(Err),
            Request::SelfTest => self.self_test(id),
            Request::Update(step) => {
                let clock = self.clock;
                let received = self.updater.step(step, self.loaded, self.arena, &|| clock.feed());
                let switched = received.is_ok() && self.updater.switched();
                let body = received.map(|received| Response::Update { received }).map_err(Failure::Update);
                return Begun::Answered(id, body, if switched { Event::Switched } else { Event::Served });
            }
        };
        match begun {
            Ok(work) => Begun::Working(work),
            Err(body) => Begun::Answered(id, body, Event::Served),
        }
    }

    fn infer(&mut self, id: u32, picture: Picture<'_>) -> Result<Work, Failure> {
        let Loaded { model, .. } = self.loaded.ok_or(Failure::Model)?;
        let run = Run::begin(self.clock, model, self.arena, Source::of(picture)?)?;
        Ok(Work { run, purpose: Purpose::Infer(id) })
    }

    fn self_test(&mut self, id: u32) -> Result<Work, Result<Response<'static>, Failure>> {
        let Loaded { model, .. } = self.loaded.ok_or(Err(Failure::Model))?;
        let run = Run::default();
        let mut interpreter = run.interpreter(model, self.arena).map_err(Err)?;
        match golden::SelfTest::begin(&mut interpreter) {
            Ok(test) => Ok(Work { run, purpose: Purpose::SelfTest(id, test) }),
            Err(error) => Err(verdict(Err(error)).map(Response::SelfTest)),
        }
    }
}

fn hello<K: Clock, F: MappedFlash, T: Trust>(device: &Device<'_, '_, K, F, T>, max_message: u32) -> Hello<'static> {
    let model = device.loaded.map(|Loaded { blob, model }| {
        let info = model.info();
        ModelInfo {
            crc: model.crc(),
            blob_len: blob.len() as u32,
            arena_len: model.arena_len() as u32,
            input_len: info.input.tensor.len() as u32,
            classes: info.logits.channels,
            ops: info.ops,
            number: number(blob),
        }
    });
    let slots = device.updater.slots(device.arena.len());
    Hello { protocol: PROTOCOL, board: device.name, max_message, unit: K::UNIT, hz: K::HZ, model, slots }
}

/// What the network has given; the costs of its operators are in `results`.
fn inference<'r>(
    interpreter: &Interpreter<'_, '_>,
    costs: Costs,
    clock: &impl Clock,
    results: &'r mut VecView<u8>,
) -> Result<Inference<'r>, Failure> {
    let (model, layers_end) = (interpreter.model(), results.len());
    let (logits, output) = (interpreter.logits(), interpreter.output());
    let mut fits = layers_end == 4 * usize::from(model.info().ops);
    for &value in logits.iter().chain(output) {
        fits &= results.push(value as u8).is_ok();
    }
    if !fits {
        return Err(Failure::AnswerTooLong);
    }
    let (layers, results) = results.split_at_checked(layers_end).unwrap_or_default();
    let (logits, output) = results.split_at_checked(logits.len()).unwrap_or_default();
    Ok(Inference {
        model: model.crc(),
        class: interpreter.class() as u32,
        logits,
        output,
        layers,
        preprocessing: costs.preprocessing,
        total: costs.network,
        stack: clock.stack_used(),
    })
}

fn verdict(outcome: Result<(), SelfTestError>) -> Result<SelfTest, Failure> {
    match outcome {
        Ok(()) => Ok(SelfTest::Passed),
        Err(SelfTestError::Layer(index)) => Ok(SelfTest::Layer(index)),
        Err(SelfTestError::Logits) => Ok(SelfTest::Logits),
        Err(SelfTestError::NoGolden) => Ok(SelfTest::NoGolden),
        Err(_) => Err(Failure::Model),
    }
}
