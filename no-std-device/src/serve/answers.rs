//! What a host is answered, and the frame that is kept of it.

use heapless::VecView;

use crate::link::{
    Excerpt, Failure, Hello, Identity, Inference, Message, ModelInfo, PROTOCOL, Response, SelfTest, Shape, encode,
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

    /// Longest answer as a frame.
    pub(super) fn capacity(&self) -> usize {
        self.last.capacity()
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
    camera: Option<Shape>,
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
    let (unit, hz, reset) = (K::UNIT, K::HZ, device.clock.reset());
    Hello { protocol: PROTOCOL, board, kernel_set, max_message, unit, hz, model, slots, camera, reset }
}

/// Where in the results lies what the network has given: first a number for each operator, then logits, then output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    class: usize,
    logits: usize,
    output: usize,
    end: usize,
}

impl Given {
    /// Puts logits and output behind the numbers of the operators; `None` where something has no room.
    #[inline(never)]
    pub(super) fn put(interpreter: &Interpreter<'_, '_>, results: &mut VecView<u8>) -> Option<Self> {
        let (logits, mut fits) = (results.len(), results.len() == 4 * usize::from(interpreter.model().info().ops));
        let mut put = |values: &[i8]| values.iter().for_each(|&value| fits &= results.push(value as u8).is_ok());
        put(interpreter.logits());
        put(interpreter.output());
        let output = logits.saturating_add(interpreter.logits().len());
        fits.then_some(Self { class: interpreter.class(), logits, output, end: results.len() })
    }

    /// How long the results are.
    pub(super) fn end(self) -> usize {
        self.end
    }
}

/// What the network of this blob has given, its costs, and the stack used.
#[inline(never)]
pub(super) fn inference<'r>(
    Given { class, logits, output, end }: Given,
    identity: &Identity,
    (costs, stack): (Costs, u32),
    results: &'r [u8],
) -> Option<Inference<'r>> {
    let layers = results.get(..logits)?;
    let (logits, output) = (results.get(logits..output)?, results.get(output..end)?);
    Some(Inference {
        model: identity.short(),
        class: class as u32,
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
