//! Answers a host.

use no_std_infer::Model;
use no_std_infer::golden::{SelfTestError, self_test};
use no_std_infer::link::{
    Failure, Hello, Inference, ModelInfo, PROTOCOL, Picture, Receiver, Request, Response, SelfTest, encode,
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
    loop {
        let byte = board.receive();
        let Some(request) = receiver.push(byte) else { continue };
        let answer = match request {
            Ok(Request::Hello) => Response::Hello(hello(board, model.as_ref(), blob, max_message)),
            Ok(Request::Infer { id, picture }) => match &model {
                Some(model) => answer(board, model, arena, id, picture, results).unwrap_or_else(Response::Error),
                None => Response::Error(Failure::Model),
            },
            Ok(Request::SelfTest) => model.as_ref().map_or(Response::Error(Failure::Model), |model| test(model, arena)),
            Err(error) => Response::Error(Failure::Frame(error)),
        };
        send(board, frame, &answer);
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
        }
    });
    Hello { protocol: PROTOCOL, board: B::NAME, max_message, unit: B::UNIT, model }
}

fn answer<'r>(
    board: &impl Board,
    model: &Model<'_>,
    arena: &mut [i8],
    id: u32,
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
        id,
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

fn test(model: &Model<'_>, arena: &mut [i8]) -> Response<'static> {
    match self_test(model, arena) {
        Ok(()) => Response::SelfTest(SelfTest::Passed),
        Err(SelfTestError::Layer(index)) => Response::SelfTest(SelfTest::Layer(index)),
        Err(SelfTestError::Logits) => Response::SelfTest(SelfTest::Logits),
        Err(SelfTestError::NoGolden) => Response::SelfTest(SelfTest::NoGolden),
        Err(SelfTestError::Arena(_)) => Response::Error(Failure::Model),
    }
}

fn send(board: &mut impl Board, memory: &mut [u8], answer: &Response<'_>) {
    let frame = match encode(answer, memory) {
        Ok(frame) => frame,
        Err(_) => encode(&Response::Error(Failure::AnswerTooLong), memory).unwrap_or_default(),
    };
    frame.iter().for_each(|&byte| board.send(byte));
}
