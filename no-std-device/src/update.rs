//! Brings another model to the device while one runs.

use crate::link::{Slots, Update, UpdateError};
use no_std_infer::format::{blob_crc_with, number};
use no_std_infer::golden::{SelfTestError, self_test_with};
use no_std_infer::kernels::Linked;
use no_std_infer::{Error, Model};

use crate::board::MappedFlash;
use crate::serve::Loaded;
use crate::signature::Trust;
use crate::slots::Idle;

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
    switched: bool,
}

impl<'s, F: MappedFlash, T: Trust> Updater<'s, F, T> {
    /// There is no slot: all updates are refused. Those that are taken run on these kernels.
    pub fn new(trust: T, linked: &'static Linked) -> Self {
        Self { idle: None, trust, linked, switched: false }
    }

    /// Updates go to this slot from now on; none has begun.
    pub fn open(&mut self, idle: Idle<'s, F>) {
        self.idle = Some(idle);
        self.switched = false;
    }

    /// Gives the slot back; an update that has begun is forgotten.
    pub fn close(&mut self) -> Option<Idle<'s, F>> {
        self.idle.take()
    }

    /// True when a blob has been committed: the device is to start with it.
    pub fn switched(&self) -> bool {
        self.switched
    }

    /// What another blob must be like; `None` when there is no place for one.
    pub fn slots(&self, arena_len: usize) -> Option<Slots> {
        let len = self.idle.as_ref().map_or(0, Idle::blob_max);
        (len > 0).then(|| Slots { len, arena_len: arena_len as u32, key: self.trust.key(), kernels: self.linked.set() })
    }

    /// Carries out a step; gives how many bytes have arrived. `running` is the model that runs; `arena` is overwritten when
    /// a blob is committed. Calls `feed` between pieces of the work, see [`Clock::feed`](crate::Clock::feed).
    ///
    /// # Errors
    /// Says why the step is refused; the model that runs goes on.
    pub fn step(
        &mut self,
        step: Update<'_>,
        running: Option<&Loaded<'_>>,
        arena: &mut [i8],
        feed: &dyn Fn(),
    ) -> Result<u32, UpdateError> {
        let idle = self.idle.as_mut().filter(|idle| idle.blob_max() > 0).ok_or(UpdateError::Unsupported)?;
        let runs = |crc| running.filter(|running| running.model.crc() == crc).map(|running| running.blob.len() as u32);
        match step {
            Update::Begin { len, crc } if runs(crc) == Some(len) => Ok(len),
            Update::Begin { len, crc } => idle.begin(len, crc),
            Update::Write { offset, bytes } => idle.write(offset, bytes, feed),
            Update::Commit { crc } => match runs(crc) {
                Some(len) => Ok(len),
                None => {
                    let blob = idle.complete(crc)?;
                    let len = blob.len() as u32;
                    let running = running.and_then(|running| number(running.blob));
                    let examination = Examination { trust: &self.trust, running, linked: self.linked, feed };
                    if let Err(why) = examination.pass(blob, crc, arena) {
                        idle.abandon();
                        return Err(why);
                    }
                    idle.switch(crc, feed)?;
                    self.switched = true;
                    Ok(len)
                }
            },
        }
    }
}

/// What a blob that is to run must pass.
struct Examination<'x> {
    trust: &'x dyn Trust,
    /// Number of the model that runs.
    running: Option<u32>,
    linked: &'static Linked,
    feed: &'x dyn Fn(),
}

impl Examination<'_> {
    /// Checks that the blob is the one that was announced and trusted, that this device can run it, and that it computes with
    /// it what the host computed.
    fn pass(&self, blob: &[u8], crc: u32, arena: &mut [i8]) -> Result<(), UpdateError> {
        if blob_crc_with(blob, PIECE, self.feed) != crc {
            return Err(UpdateError::Crc);
        }
        self.trust.check(blob, self.running, self.feed)?;
        (self.feed)();
        let model = Model::parse_with(blob, self.linked).map_err(refusal)?;
        (self.feed)();
        let (needed, available) = (model.arena_len() as u32, arena.len() as u32);
        if needed > available {
            return Err(UpdateError::Arena { needed, available });
        }
        self_test_with(&model, arena, self.feed).map_err(|error| match error {
            SelfTestError::NoGolden => UpdateError::NoGolden,
            _ => UpdateError::SelfTest,
        })
    }
}

/// Why a blob that cannot be parsed is refused.
fn refusal(error: Error) -> UpdateError {
    match error {
        Error::BadCrc => UpdateError::Crc,
        Error::Version(version) => UpdateError::Version(version),
        Error::NotLinked { kernel, .. } => UpdateError::NotLinked { kernel },
        Error::Cost(needed) => UpdateError::Cost(needed),
        _ => UpdateError::Parse,
    }
}
