//! Answers a host.

use no_std_infer::Model;
use no_std_infer::format::number;
use no_std_infer::golden::{SelfTestError, self_test};
use no_std_infer::link::{
    Failure, Hello, Inference, Message, ModelInfo, PROTOCOL, Picture, Receiver, Request, Response, SelfTest,
    UpdateError, decode, encode,
};

use crate::{Board, infer};

/// Working memory of [`serve`].
pub struct Memory<'a> {
    /// The model's arena.
    pub arena: &'a mut [i8],
    /// Holds one request: limits the length of an input or a camera's frame.
    pub request: &'a mut [u8],
    /// Holds what an answer refers to: 4 bytes an operator, 1 byte a logit, 1 byte an output.
    pub results: &'a mut [u8],
    /// Holds one answer as a frame.
    pub frame: &'a mut [u8],
}

/// Answers requests for ever.
pub fn serve(board: &mut impl Board, blob: &[u8], memory: Memory<'_>) -> ! {
    let Memory { arena, request, results, frame } = memory;
    let model = Model::parse(blob).ok();
    let max_message = request.len() as u32;
    let mut receiver = Receiver::new(request);
    let (mut last_id, mut last_len) = (0, 0);
    loop {
        let byte = board.receive();
        let Some(bytes) = receiver.push(byte) else { continue };
        let (id, body) = match bytes.and_then(decode) {
            Ok(Message { id, body }) => (id, Ok(body)),
            Err(error) => (0, Err(Failure::Frame(error))),
        };
        if id == 0 || id != last_id {
            let answer = body.and_then(|request| match (request, &model) {
                (Request::Hello, _) => Ok(Response::Hello(hello(board, model.as_ref(), blob, max_message))),
                (Request::Infer(picture), Some(model)) => answer(board, model, arena, picture, results),
                (Request::SelfTest, Some(model)) => test(model, arena),
                (Request::Infer(_) | Request::SelfTest, None) => Err(Failure::Model),
                (Request::Update(_), _) => Err(Failure::Update(UpdateError::Unsupported)),
            });
            last_id = id;
            last_len = write(frame, Message { id, body: answer.unwrap_or_else(Response::Error) });
        }
        frame.iter().take(last_len).for_each(|&byte| board.send(byte));
    }
}

fn hello<B: Board>(_: &B, model: Option<&Model<'_>>, blob: &[u8], max_message: u32) -> Hello<'static> {
    let model = model.map(|model| {
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
    Hello { protocol: PROTOCOL, board: B::NAME, max_message, unit: B::UNIT, hz: 0, model, slots: None }
}

fn answer<'r>(
    board: &impl Board,
    model: &Model<'_>,
    arena: &mut [i8],
    picture: Picture<'_>,
    results: &'r mut [u8],
) -> Result<Response<'r>, Failure> {
    let ops = usize::from(model.info().ops) * size_of::<u32>();
    let (layers, results) = results.split_at_mut_checked(ops).ok_or(Failure::AnswerTooLong)?;
    let (slots, _) = layers.as_chunks_mut();
    let (interpreter, costs) = infer(board, model, arena, picture, |index, cost: u32| {
        if let Some(slot) = slots.get_mut(index) {
            *slot = cost.to_le_bytes();
        }
    })?;
    let (logits, results) = copy(results, interpreter.logits())?;
    let (output, _) = copy(results, interpreter.output())?;
    Ok(Response::Inference(Inference {
        model: model.crc(),
        class: interpreter.class() as u32,
        logits,
        output,
        layers,
        preprocessing: costs.preprocessing,
        total: costs.network,
        stack: board.stack_used(),
    }))
}

/// Copies `values` to the start of `memory`; gives the copy and the rest.
fn copy<'r>(memory: &'r mut [u8], values: &[i8]) -> Result<(&'r [u8], &'r mut [u8]), Failure> {
    let (target, rest) = memory.split_at_mut_checked(values.len()).ok_or(Failure::AnswerTooLong)?;
    for (slot, &value) in target.iter_mut().zip(values) {
        *slot = value as u8;
    }
    Ok((target, rest))
}

fn test(model: &Model<'_>, arena: &mut [i8]) -> Result<Response<'static>, Failure> {
    let outcome = match self_test(model, arena) {
        Ok(()) => SelfTest::Passed,
        Err(SelfTestError::Layer(index)) => SelfTest::Layer(index),
        Err(SelfTestError::Logits) => SelfTest::Logits,
        Err(SelfTestError::NoGolden) => SelfTest::NoGolden,
        Err(SelfTestError::Arena(_)) => return Err(Failure::Model),
    };
    Ok(Response::SelfTest(outcome))
}

/// Writes the answer as a frame to the start of `memory`; gives the frame's length.
fn write(memory: &mut [u8], answer: Message<Response<'_>>) -> usize {
    let too_long = Message { id: answer.id, body: Response::Error(Failure::AnswerTooLong) };
    encode(&answer, memory).map(<[u8]>::len).or_else(|_| encode(&too_long, memory).map(<[u8]>::len)).unwrap_or(0)
}
