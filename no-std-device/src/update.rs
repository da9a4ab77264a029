//! Brings another model to the device while one runs.

use crate::link::{Slots, Update, UpdateError};
use no_std_infer::format::{blob_crc, number};
use no_std_infer::golden::{SelfTestError, self_test};
use no_std_infer::kernels::Linked;
use no_std_infer::{Error, Model};

use crate::board::MappedFlash;
use crate::serve::Loaded;
use crate::signature::Trust;
use crate::slots::Idle;

/// Carries out the steps of an update in the slot that does not run.
#[derive(Debug)]
pub struct Updater<'s, F, T> {
    idle: Idle<'s, F>,
    trust: &'s T,
    linked: &'static Linked,
    switched: bool,
}

impl<'s, F: MappedFlash, T: Trust> Updater<'s, F, T> {
    /// No update has begun; what comes will run on these kernels.
    pub fn new(idle: Idle<'s, F>, trust: &'s T, linked: &'static Linked) -> Self {
        Self { idle, trust, linked, switched: false }
    }

    /// True when a blob has been committed: the device is to start with it.
    pub fn switched(&self) -> bool {
        self.switched
    }

    /// What another blob must be like; `None` when there is no place for one.
    pub fn slots(&self, arena_len: usize) -> Option<Slots> {
        let len = self.idle.blob_max();
        (len > 0).then(|| Slots { len, arena_len: arena_len as u32, key: self.trust.key(), kernels: self.linked.set() })
    }

    /// Carries out a step; gives how many bytes have arrived. `running` is the model that runs; `arena` is overwritten when
    /// a blob is committed.
    ///
    /// # Errors
    /// Says why the step is refused; the model that runs goes on.
    pub fn step(
        &mut self,
        step: Update<'_>,
        running: Option<&Loaded<'_>>,
        arena: &mut [i8],
    ) -> Result<u32, UpdateError> {
        if self.idle.blob_max() == 0 {
            return Err(UpdateError::Unsupported);
        }
        let runs = |crc| running.filter(|running| running.model.crc() == crc).map(|running| running.blob.len() as u32);
        match step {
            Update::Begin { len, crc } if runs(crc) == Some(len) => Ok(len),
            Update::Begin { len, crc } => self.idle.begin(len, crc),
            Update::Write { offset, bytes } => self.idle.write(offset, bytes),
            Update::Commit { crc } => match runs(crc) {
                Some(len) => Ok(len),
                None => self.commit(crc, running, arena),
            },
        }
    }

    fn commit(&mut self, crc: u32, running: Option<&Loaded<'_>>, arena: &mut [i8]) -> Result<u32, UpdateError> {
        let blob = self.idle.complete(crc)?;
        let len = blob.len() as u32;
        let accepted = if blob_crc(blob) == crc {
            let trusted = self.trust.check(blob, running.and_then(|running| number(running.blob)));
            trusted.and_then(|()| prove(blob, self.linked, arena))
        } else {
            Err(UpdateError::Crc)
        };
        if let Err(why) = accepted {
            self.idle.abandon();
            return Err(why);
        }
        self.idle.switch(crc)?;
        self.switched = true;
        Ok(len)
    }
}

/// Checks that this device can run a blob, and computes with it what the host computed.
fn prove(blob: &[u8], linked: &'static Linked, arena: &mut [i8]) -> Result<(), UpdateError> {
    let model = Model::parse_with(blob, linked).map_err(|error| match error {
        Error::BadCrc => UpdateError::Crc,
        Error::Version(version) => UpdateError::Version(version),
        Error::NotLinked { kernel, .. } => UpdateError::NotLinked { kernel },
        _ => UpdateError::Parse,
    })?;
    let (needed, available) = (model.arena_len() as u32, arena.len() as u32);
    if needed > available {
        return Err(UpdateError::Arena { needed, available });
    }
    self_test(&model, arena).map_err(|error| match error {
        SelfTestError::NoGolden => UpdateError::NoGolden,
        _ => UpdateError::SelfTest,
    })
}
