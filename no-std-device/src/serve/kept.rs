//! The frame that is kept for a host, which sees it.

use heapless::VecView;
use no_std_infer::Decision;

use super::answers::{Given, inference};
use super::{Device, Loaded};
use crate::board::{Camera, Clock, MappedFlash};
use crate::inference::{Costs, Run, Source};
use crate::link::{CameraFaults, Decided, Failure, Look, Response, Shape, Shown};

/// For so many seconds after what a host has asked about frames, one is kept for it.
pub const KEPT_SECONDS: u32 = 2;

/// For so many seconds a frame is kept at most, however often a host asks: then the next one is classified.
pub const KEPT_AT_MOST_SECONDS: u32 = 60;

/// Room for the fields of an answer besides its bytes, the checksum, and what stuffing adds to those.
const FIELDS_LEN: usize = 24;

/// The frame that was classified last, while the camera keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// Its number; 0 where there was none.
    // Goes round: two frames that a host confuses would lie 2^32 apart.
    sequence: u32,
    /// Whether nothing has taken the place of the frame or of what it gave.
    there: bool,
    /// Times, as the clock counts: until when a host is waited for, and until when the frame is kept at most.
    until: u64,
    at_most: u64,
    shape: Option<Shape>,
    decision: Decision,
    /// What it gave, in the results.
    given: Option<Given>,
    costs: Costs,
}

impl Kept {
    /// No frame was classified.
    pub(super) const NOTHING: Self = Self {
        sequence: 0,
        there: false,
        until: 0,
        at_most: 0,
        shape: None,
        decision: Decision { class: 0, probability: 0, sure: false },
        given: None,
        costs: Costs { preprocessing: 0, network: 0 },
    };

    /// What the camera's frames are, where it has given one that it keeps.
    pub(super) fn shape(&self) -> Option<Shape> {
        self.shape
    }

    /// A frame has been classified at this time.
    pub(super) fn classified<K: Clock>(
        &mut self,
        camera: &mut impl Camera,
        decision: Decision,
        (given, costs, now): (Option<Given>, Costs, u64),
    ) {
        let sequence = self.sequence.wrapping_add(1).max(1);
        let shape = camera.last().map(|frame| frame.geometry().into());
        let (there, at_most) = (now < self.until, after::<K>(now, KEPT_AT_MOST_SECONDS));
        *self = Self { sequence, there, at_most, shape, decision, given, costs, ..*self };
    }

    /// Whether a host may still ask for the frame: the camera must not be asked for another.
    pub(super) fn is_kept(&self, clock: &impl Clock) -> bool {
        // Most frames are kept for nobody, and the clock takes time.
        self.there && clock.now() < self.until.min(self.at_most)
    }

    /// Something else takes the place of what the frame gave.
    pub(super) fn lose(&mut self) {
        self.there = false;
    }
}

/// The time so many seconds later.
fn after<K: Clock>(now: u64, seconds: u32) -> u64 {
    now.saturating_add(u64::from(K::HZ).saturating_mul(seconds.into()))
}

/// What requests about frames are answered from.
pub(super) struct Sight<'x, C> {
    pub(super) camera: &'x mut C,
    pub(super) kept: &'x mut Kept,
    pub(super) faults: CameraFaults,
    /// Begin with what the frame gave.
    pub(super) results: &'x mut VecView<u8>,
    /// Bytes of memory for an answer.
    pub(super) answer_len: usize,
}

impl<'x, C: Camera> Sight<'x, C> {
    #[inline(never)]
    pub(super) fn look<K: Clock, F: MappedFlash, T>(self, seen: u32, device: &Device<'_, '_, K, F, T>) -> Response<'x> {
        let Some(loaded) = device.loaded else { return Response::Error(Failure::Model) };
        let Self { kept, results, faults, .. } = self;
        kept.there = kept.is_kept(device.clock) && kept.sequence != seen;
        kept.until = after::<K>(device.clock.now(), KEPT_SECONDS);
        if !kept.there {
            return Response::Look { frame: None, faults };
        }
        let (decision, cost) = (kept.decision, (kept.costs, device.clock.stack_used()));
        let Some(inference) = kept.given.and_then(|given| inference(given, &loaded.identity, cost, results)) else {
            return Response::Error(Failure::AnswerTooLong);
        };
        let frame = Some(Look {
            sequence: kept.sequence,
            shape: kept.shape,
            decision: Decided {
                // As many as the model has channels, which are 32 bits.
                class: decision.class as u32,
                probability: decision.probability,
                sure: decision.sure,
            },
            inference,
        });
        Response::Look { frame, faults }
    }

    #[inline(never)]
    pub(super) fn read<K: Clock, F: MappedFlash, T>(
        self,
        (sequence, what): (u32, Shown),
        (offset, len): (u32, u32),
        device: &mut Device<'_, '_, K, F, T>,
    ) -> Result<&'x [u8], Failure> {
        let Loaded { model, .. } = device.loaded.ok_or(Failure::Model)?;
        let Self { camera, kept, results, answer_len, .. } = self;
        let given = kept.given.filter(|_| kept.is_kept(device.clock) && kept.sequence == sequence);
        let (given, frame) = given.zip(camera.last()).ok_or(Failure::Gone)?;
        kept.until = after::<K>(device.clock.now(), KEPT_SECONDS);
        // Stuffing adds one byte to 254.
        let room = answer_len.saturating_sub(FIELDS_LEN);
        let (offset, len) = (offset as usize, (len as usize).min(room.saturating_sub(room >> 7)));
        let bytes = match what {
            Shown::Frame => frame.bytes_from(offset),
            Shown::Input => {
                let run = Run::begin(device.clock, model, device.arena, Source::Frame(frame))?;
                let mut interpreter = run.interpreter(model, device.arena)?;
                results.truncate(given.end());
                // What has no room is asked for again.
                let _ = interpreter.input_mut().iter().skip(offset).take(len).try_for_each(|&v| results.push(v as u8));
                results.get(given.end()..).unwrap_or_default()
            }
        };
        Ok(bytes.get(..len).unwrap_or(bytes))
    }
}
