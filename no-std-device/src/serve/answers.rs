//! What a host is answered, and the frame that is kept of it.

use heapless::VecView;

use crate::link::{
    Excerpt, Failure, Hello, Identity, Inference, Message, ModelInfo, PROTOCOL, Response, SelfTest, encode,
    encode_into, max_frame_len,
};
use no_std_infer::Interpreter;
use no_std_infer::format::number;
use no_std_infer::golden::{SelfTestError, checksum};
use no_std_infer::kernels::NATIVE_NAME;

use super::{Device, Loaded};
use crate::board::{Clock, Link, MappedFlash};
use crate::inference::Costs;
use crate::signature::Trust;
use crate::update::Running;

/// Room for the answer to a damaged frame: four bytes and their checksum, stuffed.
const DAMAGED_LEN: usize = max_frame_len(4);

/// The answer that was given last to an intact request.
#[derive(Debug)]
pub(super) struct Answers<'a> {
    /// As a frame.
    last: &'a mut VecView<u8>,
    /// Id of the request; 0 where there was none.
    // The host counts, and goes round. Nothing is added to it here.
    last_id: u32,
}

impl<'a> Answers<'a> {
    /// Nothing was answered.
    pub(super) fn new(memory: &'a mut VecView<u8>) -> Self {
        memory.clear();
        Self { last: memory, last_id: 0 }
    }

    /// Answers a request, and keeps that. An answer that the link does not take is lost: the host asks again.
    pub(super) fn give(&mut self, link: &mut impl Link, id: u32, body: &Response<'_>) {
        if encode_into(&Message { id, body }, self.last).is_err() {
            let body = &Response::Error(Failure::AnswerTooLong);
            // Memory that holds no answer at all leaves the host without one.
            let _ = encode_into(&Message { id, body }, self.last);
        }
        self.last_id = id;
        send(link, self.last);
    }

    /// Gives the last answer again when its request was sent again, whatever else arrived damaged in between; false when it
    /// was not.
    pub(super) fn repeat(&self, link: &mut impl Link, id: u32) -> bool {
        let again = id != 0 && id == self.last_id;
        if again {
            send(link, self.last);
        }
        again
    }
}

/// Answers what arrived damaged.
pub(super) fn damaged(link: &mut impl Link, why: Failure) {
    let answer = Message { id: 0, body: &Response::Error(why) };
    send(link, encode(&answer, &mut [0; DAMAGED_LEN]).unwrap_or_default());
}

fn send(link: &mut impl Link, frame: &[u8]) {
    let _ = link.write_all(frame).and_then(|()| link.flush());
}

/// What the device is and holds; it can receive messages of so many bytes.
pub(super) fn hello<K: Clock, F: MappedFlash, T: Trust>(
    device: &Device<'_, '_, K, F, T>,
    max_message: u32,
) -> Hello<'static> {
    let model = device.loaded.map(|Loaded { blob, model, identity }| {
        let info = model.info();
        ModelInfo {
            blob: *identity,
            tentative: device.updater.running() == Running::Tentative,
            arena_len: model.arena_len() as u32,
            input_len: info.input.tensor.len() as u32,
            classes: info.logits.channels,
            ops: info.ops,
            number: number(blob),
        }
    });
    let slots = device.updater.slots(device.arena.len());
    let (board, kernel_set) = (device.name, NATIVE_NAME);
    Hello { protocol: PROTOCOL, board, kernel_set, max_message, unit: K::UNIT, hz: K::HZ, model, slots }
}

/// What the network of this blob has given, its costs, and the stack used; a number for each operator is in `results`. `None` where
/// there is no room for it.
pub(super) fn inference<'r>(
    interpreter: &Interpreter<'_, '_>,
    identity: &Identity,
    (costs, stack): (Costs, u32),
    results: &'r mut VecView<u8>,
) -> Option<Inference<'r>> {
    let (model, layers_end) = (interpreter.model(), results.len());
    let (logits, output) = (interpreter.logits(), interpreter.output());
    let mut fits = layers_end == 4 * usize::from(model.info().ops);
    for &value in logits.iter().chain(output) {
        fits &= results.push(value as u8).is_ok();
    }
    if !fits {
        return None;
    }
    let (layers, results) = results.split_at_checked(layers_end).unwrap_or_default();
    let (logits, output) = results.split_at_checked(logits.len()).unwrap_or_default();
    Some(Inference {
        model: identity.short(),
        class: interpreter.class() as u32,
        logits,
        output,
        layers,
        preprocessing: costs.preprocessing,
        total: costs.network,
        stack,
    })
}

/// Some of what an operator has made, as much of it as there is room for in `results`.
pub(super) fn excerpt<'r>(
    interpreter: &Interpreter<'_, '_>,
    identity: &Identity,
    of: &Excerpt,
    results: &'r mut VecView<u8>,
) -> Response<'r> {
    let Some(values) = of.values(interpreter) else { return Response::Error(Failure::Excerpt) };
    // What has no room is asked for again, from there on.
    let _ = values.iter().try_for_each(|&value| results.push(value as u8));
    Response::Excerpt { model: identity.short(), checksum: checksum(values), values: results }
}

/// What a self-test has shown.
pub(super) fn verdict(outcome: Result<(), SelfTestError>) -> Response<'static> {
    Response::SelfTest(match outcome {
        Ok(()) => SelfTest::Passed,
        Err(SelfTestError::Layer(index)) => SelfTest::Layer(index),
        Err(SelfTestError::Logits) => SelfTest::Logits,
        Err(SelfTestError::NoGolden) => SelfTest::NoGolden,
        Err(_) => return Response::Error(Failure::Model),
    })
}
