//! Carries a request out, or begins to, where the network must run for it.

use no_std_infer::golden::{self, SelfTestError};
use no_std_infer::{Interpreter, Model};

use super::answers::{Answers, hello, verdict};
use super::kept::Sight;
use super::{Device, Loaded};
use crate::app::Event;
use crate::board::{Camera, Clock, Link, MappedFlash};
use crate::inference::{Run, Source};
use crate::link::{Excerpt, Failure, Message, Picture, Receiver, Request, Response, decode};
use crate::signature::Trust;
use crate::update::Asked;

/// An inference, and what it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) run: Run,
    pub(super) purpose: Purpose,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// A frame of the board's camera.
    Frame,
    /// The request with this id.
    Infer(u32),
    /// The request with this id.
    SelfTest(u32, golden::SelfTest),
    /// The request with this id.
    Trace(u32),
    /// The request with this id.
    Excerpt(u32, Excerpt),
}

/// Whether the request whose end comes next cannot be carried out while the network runs. All others can, so that a model that
/// takes long, or for ever, can be replaced.
pub(super) fn needs_arena(receiver: &Receiver<'_>) -> bool {
    let Ok(Message { body, .. }) = decode::<Request<'_>>(receiver.message()) else { return false };
    matches!(body, Request::Infer(_) | Request::SelfTest | Request::Trace(_) | Request::Excerpt { .. })
}

impl<K: Clock, F: MappedFlash, T: Trust> Device<'_, '_, K, F, T> {
    /// Carries a request out and answers it; or begins to, where the network must run for it.
    #[inline(never)]
    pub(super) fn begin<C: Camera>(
        &mut self,
        link: &mut impl Link,
        answers: &mut Answers<'_>,
        Message { id, body }: Message<Request<'_>>,
        max_message: u32,
        sight: Sight<'_, C>,
    ) -> Result<Work, Event> {
        let mut event = Event::Served;
        let begun = match body {
            Request::Hello => Err(Response::Hello(hello(self, max_message, sight.kept.shape()))),
            Request::Infer(picture) | Request::Trace(picture) | Request::Excerpt { picture, .. } => {
                let purpose = match body {
                    Request::Trace(_) => Purpose::Trace(id),
                    Request::Excerpt { of, .. } => Purpose::Excerpt(id, of),
                    _ => Purpose::Infer(id),
                };
                self.infer(purpose, picture).map_err(Response::Error)
            }
            Request::SelfTest => match self.loaded {
                Some(Loaded { model, .. }) => self_test(id, model, self.arena).map_err(|error| verdict(Err(error))),
                None => Err(Response::Error(Failure::Model)),
            },
            Request::Update(step) => {
                let received = self.updater.step(step, self.loaded, self.arena, self.clock);
                if received.is_ok() && matches!(self.updater.asked(), Some(Asked::Switch | Asked::Rollback)) {
                    event = Event::Switched;
                }
                Err(match received {
                    Ok(received) => Response::Update { received },
                    Err(why) => Response::Error(Failure::Update(why)),
                })
            }
            Request::Look { .. } | Request::Read { .. } if !C::HAS_FRAMES => Err(Response::Error(Failure::NoCamera)),
            Request::Look { after } => Err(sight.look(after, self)),
            Request::Read { sequence, what, offset, len } => {
                let read = sight.read((sequence, what), (offset, len), self);
                Err(read.map_or_else(Response::Error, Response::Read))
            }
        };
        begun.map_err(|body| {
            answers.give(link, id, &body);
            event
        })
    }

    fn infer(&mut self, purpose: Purpose, picture: Picture<'_>) -> Result<Work, Failure> {
        let Loaded { model, .. } = self.loaded.ok_or(Failure::Model)?;
        let run = Run::begin(self.clock, model, self.arena, Source::of(picture)?)?;
        Ok(Work { run, purpose })
    }
}

/// Begins a self-test that the request with this id has asked for.
fn self_test(id: u32, model: &Model<'_>, arena: &mut [i8]) -> Result<Work, SelfTestError> {
    let mut interpreter = Interpreter::new(*model, arena).map_err(SelfTestError::Arena)?;
    let test = golden::SelfTest::begin(&mut interpreter)?;
    Ok(Work { run: Run::default(), purpose: Purpose::SelfTest(id, test) })
}
