//! Brings another model to the device while one runs.

use crate::link::{Identity, Slots, Update, UpdateError};
use no_std_infer::format::number;
use no_std_infer::golden::{SelfTestError, self_test_with};
use no_std_infer::kernels::Linked;
use no_std_infer::{Error, Model};

use crate::board::{Clock, MappedFlash};
use crate::serve::Loaded;
use crate::signature::{Trust, credentials};
use crate::slots::{Idle, Wear};

/// Most bytes that are programmed or hashed at a time, between two calls of [`Clock::feed`](crate::Clock::feed). A multiple
/// of any flash's word.
pub const PIECE: usize = 4096;

/// Carries out the steps of an update in the slot that does not run.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Updater<'s, F, T> {
    idle: Option<Idle<'s, F>>,
    trust: T,
    linked: &'static Linked,
    wear: Wear,
    /// Whether the model that runs lies in a slot, and has not proved itself yet.
    running: Running,
    asked: Option<Asked>,
}

/// Where the model comes from that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Running {
    /// It is built in, or there is none.
    BuiltIn,
    /// From a slot; it has not proved itself.
    Tentative,
    /// From a slot; it has proved itself.
    Confirmed,
}

/// What has been asked for and acknowledged, and is to be done before any other step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Asked {
    /// To start with the blob that was committed.
    Switch,
    /// To note that the model that runs has proved itself.
    Confirm,
    /// To note that the model that runs is rejected, and to start with the one before.
    Rollback,
}

impl<'s, F: MappedFlash, T: Trust> Updater<'s, F, T> {
    /// There is no slot: all updates are refused. Those that are taken run on these kernels.
    pub fn new(trust: T, linked: &'static Linked) -> Self {
        Self { idle: None, trust, linked, wear: Wear::new(), running: Running::BuiltIn, asked: None }
    }

    /// Updates go to this slot from now on; none has begun.
    pub fn open(&mut self, idle: Idle<'s, F>, running: Running) {
        self.idle = Some(idle);
        self.running = running;
        self.asked = None;
    }

    /// Gives the slot back; an update that has begun is forgotten.
    pub fn close(&mut self) -> Option<Idle<'s, F>> {
        self.idle.take()
    }

    /// What has been acknowledged and is to be done: no further step is taken until [`open`](Self::open).
    pub fn asked(&self) -> Option<Asked> {
        self.asked
    }

    /// Asks that the model that runs be kept: it has proved itself.
    pub(crate) fn keep(&mut self) {
        self.asked.get_or_insert(Asked::Confirm);
    }

    /// Where the model comes from that runs.
    pub fn running(&self) -> Running {
        self.running
    }

    /// What another blob must be like; `None` when there is no place for one.
    pub fn slots(&self, arena_len: usize) -> Option<Slots> {
        let idle = self.idle.as_ref().filter(|idle| idle.blob_max() > 0)?;
        Some(Slots {
            len: idle.blob_max(),
            arena_len: arena_len as u32,
            key: self.trust.key(),
            kernels: self.linked.set(),
            floor: idle.floor(),
            rewrites: self.wear.rewrites(),
        })
    }

    /// Whether a blob that lies in a slot may run: where the signature is checked at each start, whether it is right; and
    /// where models are signed, whether one that is built in has no greater number. Calls `feed` after each [`PIECE`] bytes.
    pub(crate) fn admits(&self, blob: &[u8], built_in: Option<u32>, feed: &dyn Fn()) -> bool {
        if self.trust.key().is_none() {
            return true;
        }
        let signed = || self.trust.check(blob.len() as u32, credentials(blob, feed).as_ref(), None).is_ok();
        number(blob) >= built_in && (!self.trust.at_start() || signed())
    }

    /// Whether a step overwrites the arena: it commits a blob that has come.
    pub(crate) fn needs_arena(&self, step: &Update<'_>) -> bool {
        let complete = |blob| self.idle.as_ref().is_some_and(|idle| idle.complete(blob).is_ok());
        matches!(step, Update::Commit { blob } if self.asked.is_none() && complete(blob))
    }

    /// Carries out a step; gives how many bytes have arrived. `running` is the model that runs; `arena` is overwritten when
    /// a blob is committed. Calls [`Clock::feed`] between pieces of the work.
    ///
    /// # Errors
    /// Says why the step is refused; the model that runs goes on. Once something [was asked for](Self::asked) that is
    /// [`UpdateError::Switched`], whatever the step: nothing touches the slot that has just been taken.
    pub fn step<K: Clock>(
        &mut self,
        step: Update<'_>,
        running: Option<&Loaded<'_>>,
        arena: &mut [i8],
        clock: &K,
    ) -> Result<u32, UpdateError> {
        if self.asked.is_some() {
            return Err(UpdateError::Switched);
        }
        let idle = self.idle.as_mut().filter(|idle| idle.blob_max() > 0).ok_or(UpdateError::Unsupported)?;
        let feed = &|| clock.feed();
        let runs = |blob: &Identity| running.is_some_and(|running| running.identity == *blob);
        // The slot that is idle during a trial holds what the device falls back to.
        let in_trial = self.running == Running::Tentative;
        match step {
            Update::Begin { blob, .. } | Update::Commit { blob } if runs(&blob) => Ok(blob.len),
            Update::Begin { .. } | Update::Write { .. } | Update::Commit { .. } if in_trial => {
                Err(UpdateError::Tentative)
            }
            Update::Confirm | Update::Rollback if self.running == Running::BuiltIn => Err(UpdateError::BuiltIn),
            Update::Rollback if !in_trial && self.trust.key().is_some() => Err(UpdateError::Confirmed),
            Update::Confirm if !in_trial => Ok(0),
            Update::Confirm => {
                self.asked = Some(Asked::Confirm);
                Ok(0)
            }
            Update::Rollback => {
                self.asked = Some(Asked::Rollback);
                Ok(0)
            }
            Update::Begin { blob, credentials } => {
                self.trust.check(blob.len, credentials.as_ref(), idle.floor())?;
                feed();
                idle.begin(blob)
            }
            Update::Write { offset, bytes } => {
                if idle.would_rewrite(offset, bytes) {
                    self.wear.allow(clock.now(), K::HZ)?;
                }
                idle.write(offset, bytes, feed)
            }
            Update::Commit { blob } => {
                idle.complete(&blob)?;
                let examination = Examination { trust: &self.trust, floor: idle.floor(), linked: self.linked, feed };
                let passed = idle.whole(&blob, feed).and_then(|bytes| examination.pass(bytes, arena));
                match passed {
                    Ok(number) => idle.switch(&blob, number, feed)?,
                    Err(why) => {
                        idle.abandon();
                        return Err(why);
                    }
                }
                self.asked = Some(Asked::Switch);
                Ok(blob.len)
            }
        }
    }
}

/// What a blob that is to run must pass.
struct Examination<'x> {
    trust: &'x dyn Trust,
    /// The greatest number that a model had so far.
    floor: Option<u32>,
    linked: &'static Linked,
    feed: &'x dyn Fn(),
}

impl Examination<'_> {
    /// Checks that the blob is trusted, that this device can run it, and that it computes with it what the host computed. Gives
    /// its number.
    fn pass(&self, blob: &[u8], arena: &mut [i8]) -> Result<Option<u32>, UpdateError> {
        self.is_trusted(blob)?;
        let model = Model::parse_with(blob, self.linked).map_err(refusal)?;
        (self.feed)();
        let (needed, available) = (model.arena_len() as u32, arena.len() as u32);
        if needed > available {
            return Err(UpdateError::Arena { needed, available });
        }
        self_test_with(&model, arena, self.feed).map_err(|error| match error {
            SelfTestError::NoGolden => UpdateError::NoGolden,
            _ => UpdateError::SelfTest,
        })?;
        Ok(number(blob))
    }

    /// Checks what the blob itself says about who signed it, whatever was announced.
    fn is_trusted(&self, blob: &[u8]) -> Result<(), UpdateError> {
        if self.trust.key().is_some() {
            let credentials = credentials(blob, self.feed);
            self.trust.check(blob.len() as u32, credentials.as_ref(), self.floor)?;
            (self.feed)();
        }
        Ok(())
    }
}

/// Why a blob that cannot be parsed is refused.
fn refusal(error: Error) -> UpdateError {
    match error {
        Error::BadCrc => UpdateError::Crc,
        Error::Version(version) => UpdateError::Version(version),
        Error::NotLinked { kernel, .. } => UpdateError::NotLinked { kernel },
        Error::Cost { mebi } => UpdateError::Cost { mebi },
        _ => UpdateError::Parse,
    }
}
