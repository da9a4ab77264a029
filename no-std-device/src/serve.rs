//! Answers a host.

use heapless::{Deque, Vec, VecView};
use yoke_derive::Yokeable;

use crate::link::{
    Failure, FrameError, Hello, Inference, Message, ModelInfo, PROTOCOL, Picture, Receiver, Request, Response,
    SelfTest, Update, decode, encode, encode_into, max_frame_len,
};
use no_std_infer::format::number;
use no_std_infer::golden::{SelfTestError, self_test_with};
use no_std_infer::kernels::Linked;
use no_std_infer::{Error, Model};

use crate::board::{Clock, Link, MappedFlash};
use crate::inference::infer;
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
    /// Bytes of the link that follow the request that was answered last.
    waiting: Deque<u8, CHUNK_LEN>,
    receiver: Receiver<'a>,
    answers: Answers<'a>,
}

#[derive(Debug)]
struct Answers<'a> {
    max_message: u32,
    results: &'a mut VecView<u8>,
    /// The answer that was given last to an intact request, as a frame.
    last: &'a mut VecView<u8>,
    /// Id of that request; 0 where there was none.
    last_id: u32,
}

impl<'a> Server<'a> {
    /// A server that has received nothing yet.
    #[must_use]
    pub fn new(memory: Memory<'a>) -> Self {
        let Memory { request, results, answer } = memory;
        answer.clear();
        let answers = Answers { max_message: request.capacity() as u32, results, last: answer, last_id: 0 };
        Self { waiting: Deque::new(), receiver: Receiver::new(request), answers }
    }

    /// Takes bytes that wait, up to the end of a request, which it answers; true when there were any.
    /// Takes about as many as the memory for a request at most, so that noise without end does not keep it.
    /// An answer that the link does not take is lost: the host asks again.
    pub fn poll<K, F, T>(&mut self, link: &mut impl Link, device: &mut Device<'_, '_, K, F, T>) -> bool
    where
        K: Clock,
        F: MappedFlash,
        T: Trust,
    {
        let mut any = false;
        for _ in 0..=self.answers.max_message as usize / CHUNK_LEN {
            if self.waiting.is_empty() {
                receive(link, &mut self.waiting);
            }
            if self.waiting.is_empty() {
                break;
            }
            any = true;
            while let Some(byte) = self.waiting.pop_front() {
                if let Some(message) = self.receiver.push(byte) {
                    self.answers.answer(link, device, message.and_then(decode));
                    return true;
                }
            }
        }
        any
    }
}

/// Takes the bytes that the link has, as many as fit.
fn receive(link: &mut impl Link, waiting: &mut Deque<u8, CHUNK_LEN>) {
    let mut bytes = [0; CHUNK_LEN];
    if let Ok(true) = link.read_ready()
        && let Ok(len) = link.read(&mut bytes)
    {
        bytes.iter().take(len).for_each(|&byte| {
            let _ = waiting.push_back(byte);
        });
    }
}

impl Answers<'_> {
    /// Sends the answer to a request; the one that was given already when the request was sent again. That stays so whatever
    /// else arrives damaged in between.
    fn answer<K, F, T>(
        &mut self,
        link: &mut impl Link,
        device: &mut Device<'_, '_, K, F, T>,
        request: Result<Message<Request<'_>>, FrameError>,
    ) where
        K: Clock,
        F: MappedFlash,
        T: Trust,
    {
        let mut damaged = [0; DAMAGED_LEN];
        let frame = match request {
            Ok(request) => {
                if request.id == 0 || request.id != self.last_id {
                    self.make(device, request);
                }
                self.last.as_slice()
            }
            Err(error) => {
                let answer = Message { id: 0, body: Response::Error(Failure::Frame(error)) };
                encode(&answer, &mut damaged).unwrap_or_default()
            }
        };
        let _ = link.write_all(frame).and_then(|()| link.flush());
    }

    /// Carries a request out and makes the answer.
    fn make<K, F, T>(&mut self, device: &mut Device<'_, '_, K, F, T>, request: Message<Request<'_>>)
    where
        K: Clock,
        F: MappedFlash,
        T: Trust,
    {
        let Self { max_message, results, last, last_id } = self;
        let body = match request.body {
            Request::Hello => Ok(Response::Hello(hello(device, *max_message))),
            Request::Infer(picture) => answer(device, picture, results).map(Response::Inference),
            Request::SelfTest => test(device).map(Response::SelfTest),
            Request::Update(step) => device.update(step).map(|received| Response::Update { received }),
        };
        let id = request.id;
        let answer = Message { id, body: body.unwrap_or_else(Response::Error) };
        if encode_into(&answer, last).is_err() {
            let too_long = Message { id, body: Response::Error(Failure::AnswerTooLong) };
            // Memory that holds no answer at all leaves the host without one.
            let _ = encode_into(&too_long, last);
        }
        *last_id = id;
    }
}

impl<K: Clock, F: MappedFlash, T: Trust> Device<'_, '_, K, F, T> {
    fn update(&mut self, step: Update<'_>) -> Result<u32, Failure> {
        let clock = self.clock;
        self.updater.step(step, self.loaded, self.arena, &|| clock.feed()).map_err(Failure::Update)
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

fn answer<'r, K: Clock, F, T>(
    device: &mut Device<'_, '_, K, F, T>,
    picture: Picture<'_>,
    results: &'r mut VecView<u8>,
) -> Result<Inference<'r>, Failure> {
    let model = &device.loaded.ok_or(Failure::Model)?.model;
    results.clear();
    let mut fits = true;
    let (interpreter, costs) = infer(device.clock, model, device.arena, picture, |_, cost| {
        fits &= results.extend_from_slice(&cost.to_le_bytes()).is_ok();
    })?;
    let layers_end = results.len();
    fits &= append(results, interpreter.logits());
    let logits_end = results.len();
    fits &= append(results, interpreter.output());
    if !fits {
        return Err(Failure::AnswerTooLong);
    }
    let class = interpreter.class() as u32;
    let (results, output) = results.split_at_checked(logits_end).unwrap_or_default();
    let (layers, logits) = results.split_at_checked(layers_end).unwrap_or_default();
    Ok(Inference {
        model: model.crc(),
        class,
        logits,
        output,
        layers,
        preprocessing: costs.preprocessing,
        total: costs.network,
        stack: device.clock.stack_used(),
    })
}

/// Appends int8 values as bytes; false when they do not all fit.
fn append(memory: &mut VecView<u8>, values: &[i8]) -> bool {
    values.iter().all(|&value| memory.push(value as u8).is_ok())
}

fn test<K: Clock, F, T>(device: &mut Device<'_, '_, K, F, T>) -> Result<SelfTest, Failure> {
    let loaded = device.loaded.ok_or(Failure::Model)?;
    let clock = device.clock;
    match self_test_with(&loaded.model, device.arena, &|| clock.feed()) {
        Ok(()) => Ok(SelfTest::Passed),
        Err(SelfTestError::Layer(index)) => Ok(SelfTest::Layer(index)),
        Err(SelfTestError::Logits) => Ok(SelfTest::Logits),
        Err(SelfTestError::NoGolden) => Ok(SelfTest::NoGolden),
        Err(_) => Err(Failure::Model),
    }
}
