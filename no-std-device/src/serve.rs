//! Answers a host.

use crate::link::{
    Failure, FrameError, Hello, Inference, Message, ModelInfo, PROTOCOL, Picture, Receiver, Request, Response,
    SelfTest, decode, encode,
};
use no_std_infer::format::number;
use no_std_infer::golden::{SelfTestError, self_test};
use no_std_infer::kernels::Linked;
use no_std_infer::{Error, Model};

use crate::board::{Clock, Link, MappedFlash};
use crate::inference::infer;
use crate::signature::Trust;
use crate::update::Updater;

/// Bytes taken from the link at a time.
const CHUNK_LEN: usize = 64;

/// Memory of a [`Server`].
pub struct Memory<'a> {
    /// Holds one request: limits the length of an input or a camera's frame.
    pub request: &'a mut [u8],
    /// Holds what an answer refers to: 4 bytes an operator, 1 byte a logit, 1 byte an output.
    pub results: &'a mut [u8],
    /// Holds one answer as a frame.
    pub frame: &'a mut [u8],
}

/// A blob that can be run.
#[derive(Clone, Copy, Debug)]
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
pub struct Server<'a> {
    receiver: Receiver<'a>,
    answers: Answers<'a>,
}

struct Answers<'a> {
    max_message: u32,
    results: &'a mut [u8],
    frame: &'a mut [u8],
    /// Id of the answer that `frame` holds, and its length as a frame.
    last: (u32, usize),
}

impl<'a> Server<'a> {
    /// A server that has received nothing yet.
    #[must_use]
    pub fn new(memory: Memory<'a>) -> Self {
        let Memory { request, results, frame } = memory;
        let answers = Answers { max_message: request.len() as u32, results, frame, last: (0, 0) };
        Self { receiver: Receiver::new(request), answers }
    }

    /// Takes the bytes that wait, up to a request that brings another model, and answers the requests that they end; true
    /// when there were any.
    /// An answer that the link does not take is lost: the host asks again.
    pub fn poll<K, F, T>(&mut self, link: &mut impl Link, device: &mut Device<'_, '_, K, F, T>) -> bool
    where
        K: Clock,
        F: MappedFlash,
        T: Trust,
    {
        let mut any = false;
        while let (Ok(true), false) = (link.read_ready(), device.updater.switched()) {
            let mut bytes = [0; CHUNK_LEN];
            let Ok(len) = link.read(&mut bytes) else { break };
            for &byte in bytes.iter().take(len) {
                if let Some(message) = self.receiver.push(byte) {
                    let frame = self.answers.frame(device, message.and_then(decode));
                    let _ = link.write_all(frame).and_then(|()| link.flush());
                }
            }
            any = true;
        }
        any
    }
}

impl Answers<'_> {
    /// The answer to a request as a frame; the one that is there already when the request was sent again.
    fn frame<K, F, T>(
        &mut self,
        device: &mut Device<'_, '_, K, F, T>,
        request: Result<Message<Request<'_>>, FrameError>,
    ) -> &[u8]
    where
        K: Clock,
        F: MappedFlash,
        T: Trust,
    {
        let id = request.map_or(0, |request| request.id);
        if id == 0 || id != self.last.0 {
            let Self { max_message, results, .. } = self;
            let body = request.map_err(Failure::Frame).and_then(|request| match request.body {
                Request::Hello => Ok(Response::Hello(hello(device, *max_message))),
                Request::Infer(picture) => answer(device, picture, results).map(Response::Inference),
                Request::SelfTest => test(device).map(Response::SelfTest),
                Request::Update(step) => {
                    let received = device.updater.step(step, device.loaded, device.arena).map_err(Failure::Update)?;
                    Ok(Response::Update { received })
                }
            });
            let answer = Message { id, body: body.unwrap_or_else(Response::Error) };
            let too_long = Message { id, body: Response::Error(Failure::AnswerTooLong) };
            let len = encode(&answer, self.frame).map(<[u8]>::len);
            let len = len.or_else(|_| encode(&too_long, self.frame).map(<[u8]>::len));
            self.last = (id, len.unwrap_or(0));
        }
        self.frame.get(..self.last.1).unwrap_or_default()
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
    results: &'r mut [u8],
) -> Result<Inference<'r>, Failure> {
    let model = &device.loaded.ok_or(Failure::Model)?.model;
    let ops = usize::from(model.info().ops) * size_of::<u32>();
    let (layers, results) = results.split_at_mut_checked(ops).ok_or(Failure::AnswerTooLong)?;
    let (slots, _) = layers.as_chunks_mut();
    let (interpreter, costs) = infer(device.clock, model, device.arena, picture, |index, cost: u32| {
        if let Some(slot) = slots.get_mut(index) {
            *slot = cost.to_le_bytes();
        }
    })?;
    let (logits, results) = copy(results, interpreter.logits())?;
    let (output, _) = copy(results, interpreter.output())?;
    Ok(Inference {
        model: model.crc(),
        class: interpreter.class() as u32,
        logits,
        output,
        layers,
        preprocessing: costs.preprocessing,
        total: costs.network,
        stack: device.clock.stack_used(),
    })
}

/// Copies `values` to the start of `memory`; gives the copy and the rest.
fn copy<'r>(memory: &'r mut [u8], values: &[i8]) -> Result<(&'r [u8], &'r mut [u8]), Failure> {
    let (target, rest) = memory.split_at_mut_checked(values.len()).ok_or(Failure::AnswerTooLong)?;
    for (slot, &value) in target.iter_mut().zip(values) {
        *slot = value as u8;
    }
    Ok((target, rest))
}

fn test<K, F, T>(device: &mut Device<'_, '_, K, F, T>) -> Result<SelfTest, Failure> {
    let loaded = device.loaded.ok_or(Failure::Model)?;
    match self_test(&loaded.model, device.arena) {
        Ok(()) => Ok(SelfTest::Passed),
        Err(SelfTestError::Layer(index)) => Ok(SelfTest::Layer(index)),
        Err(SelfTestError::Logits) => Ok(SelfTest::Logits),
        Err(SelfTestError::NoGolden) => Ok(SelfTest::NoGolden),
        Err(_) => Err(Failure::Model),
    }
}
