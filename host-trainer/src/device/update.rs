//! Sends a device another blob.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use model_training::system::hints::program;
use no_std_device::credentials;
use no_std_device::link::{Failure, Identity, Request, Response, SelfTest, Slots, Update, UpdateError, WRITE_ALIGN};
use no_std_infer::Model;
use no_std_infer::kernels::KernelSet;

use super::conversation::Allowance;
use super::{Description, Device, REQUEST_FIELDS_LEN, greet, other_answer};
use crate::device::signing::{fingerprint, is_valid};

/// Most bytes that are sent at once: what is lost is soon sent again.
const CHUNK_LEN: usize = 2048;
/// How often an update begins anew, after a device that has forgotten about it.
const BEGINNINGS: usize = 4;
/// How often in a row a device may answer that it has no more bytes than it had before.
const STALLS: usize = 16;
/// Requests of an update that send no bytes of the blob.
const ENDS: usize = 2;
/// Longest that the host waits for such a device at a time, in seconds.
const PAUSE_MAX: u32 = 1200;
/// How often the host waits for a device that spares its flash.
const WAITS: usize = 2;

/// Checks on this machine what the device would refuse.
///
/// # Errors
/// Says what the device would, before anything is sent.
pub fn check_update(blob: &[u8], model: &Model<'_>, device: &Description) -> Result<()> {
    let slots = device.slots.ok_or(UpdateError::Unsupported)?;
    ensure!(blob.len() <= slots.len as usize, UpdateError::Length { slot: slots.len });
    let needed = model.arena_len() as u32;
    ensure!(needed <= slots.arena_len, UpdateError::Arena { needed, available: slots.arena_len });
    let missing = KernelSet::needed_by(blob).without(slots.kernels).iter().next();
    missing.map_or(Ok(()), |kernel| Err(UpdateError::NotLinked { kernel }))?;
    ensure!(model.golden().is_some(), UpdateError::NoGolden);
    let runs = device.runs(&identity(blob));
    check_signature(blob, &slots, if runs { None } else { slots.floor })
}

/// What tells this blob from all others.
#[must_use]
pub fn identity(blob: &[u8]) -> Identity {
    Identity::of(blob, &|| ())
}

/// Where the device has a key, the signature must be right and the number greater than `floor`.
fn check_signature(blob: &[u8], slots: &Slots, floor: Option<u32>) -> Result<()> {
    let Some(key) = slots.key else { return Ok(()) };
    let Some(signed) = credentials(blob, &|| ()) else {
        bail!(
            "{}: sign it with `{program} sign` and the key {}",
            UpdateError::Unsigned,
            fingerprint(&key),
            program = program()
        )
    };
    let (expected, found) = (fingerprint(&key), fingerprint(signed.key));
    ensure!(*signed.key == key, "{}: {found} in place of {expected}", UpdateError::OtherKey);
    ensure!(is_valid(blob.len(), &signed), UpdateError::Signature);
    match floor {
        Some(floor) if signed.number <= floor => Err(UpdateError::Number { found: signed.number, floor }.into()),
        _ => Ok(()),
    }
}

impl Device {
    /// Sends a blob, lets the device start with it, and confirms it when the device answers and says that it runs this very
    /// blob; gives how many bytes were sent. An update that was interrupted goes on where the device says. A model that runs
    /// tentatively is rolled back before. `progress` is told how many bytes have arrived.
    ///
    /// # Errors
    /// A [`Failure::Update`] when the device refuses the blob; it then goes on with its old model. Another error when it
    /// does not answer, forgets the update again and again, takes more requests or time than so many bytes need, or runs
    /// another blob in the end.
    pub fn update(&mut self, blob: &[u8], mut progress: impl FnMut(usize)) -> Result<usize> {
        let mut sent = 0;
        if self.is_tentative() && !self.description.runs(&identity(blob)) {
            tracing::warn!(
                "the model that runs has not proved itself: the one before it runs again, then comes this one"
            );
            self.rollback()?;
        }
        let requests = BEGINNINGS * (blob.len().div_ceil(self.chunk_len()?) + STALLS + ENDS + WAITS);
        let mut allowance = self.conversation.allowance(requests as u32, BEGINNINGS * blob.len());
        for _ in 0..BEGINNINGS {
            match self.send_blob(blob, &mut sent, &mut allowance, &mut progress) {
                Ok(()) => {
                    self.description = greet(&mut self.conversation)?;
                    self.expect(blob)?;
                    self.confirm()?;
                    return Ok(sent);
                }
                Err(error) if is_forgotten(&error) => {}
                Err(error) => return Err(error),
            }
        }
        bail!("the device has forgotten the update {BEGINNINGS} times: its power may fail, or another host is writing")
    }

    /// Whether the model that runs is on trial: after some resets the device would fall back to the one before.
    #[must_use]
    pub fn is_tentative(&self) -> bool {
        self.description.model.is_some_and(|model| model.tentative)
    }

    /// Ends the trial of the model that runs, when it passes its self-test once more, now between frames and under the
    /// firmware's watchdog: it stays. Does nothing where there is no trial.
    ///
    /// # Errors
    /// When the device does not answer, fails the self-test, or still says afterwards that the model is on trial.
    pub fn confirm(&mut self) -> Result<()> {
        if self.is_tentative() {
            let outcome = self.self_test()?;
            ensure!(outcome == SelfTest::Passed, "the new model does not pass its self-test, and stays on trial");
            self.ask_step(Update::Confirm)?;
            self.description = greet(&mut self.conversation)?;
            ensure!(!self.is_tentative(), "the device could not note that the model has proved itself");
        }
        Ok(())
    }

    /// Lets the device start with the model before the one that runs.
    ///
    /// # Errors
    /// [`UpdateError::BuiltIn`] when there is none, [`UpdateError::Confirmed`] when the device takes no older one; when it
    /// does not answer, or goes on with the same model.
    pub fn rollback(&mut self) -> Result<()> {
        let before = self.description.model.map(|model| model.blob);
        self.ask_step(Update::Rollback)?;
        self.description = greet(&mut self.conversation)?;
        let now = self.description.model.map(|model| model.blob);
        ensure!(now != before, "the device goes on with the same model");
        Ok(())
    }

    /// Most bytes of a blob in a request.
    fn chunk_len(&self) -> Result<usize> {
        let limit = self.description.max_message.saturating_sub(REQUEST_FIELDS_LEN).min(CHUNK_LEN);
        let chunk = limit / WRITE_ALIGN * WRITE_ALIGN;
        ensure!(chunk > 0, "the device takes no messages of {WRITE_ALIGN} bytes, as an update needs");
        Ok(chunk)
    }

    fn send_blob(
        &mut self,
        blob: &[u8],
        sent: &mut usize,
        allowance: &mut Allowance,
        progress: &mut impl FnMut(usize),
    ) -> Result<()> {
        let (len, identity) = (blob.len() as u32, identity(blob));
        let chunk = self.chunk_len()?;
        let begin = Update::Begin { blob: identity, credentials: credentials(blob, &|| ()) };
        let mut received = self.step(allowance, begin)?;
        let (mut most, mut stalls, mut waits) = (received, 0, 0);
        while received < len {
            progress(received as usize);
            let rest = &blob[received as usize..];
            let bytes = &rest[..rest.len().min(chunk)];
            let now = match self.step(allowance, Update::Write { offset: received, bytes }) {
                Err(error) if waits < WAITS => {
                    let Some(pause) = pause(&error) else { return Err(error) };
                    waits += 1;
                    tracing::warn!("{error:#}; waiting for {} s", pause.as_secs());
                    allowance.pause(pause);
                    continue;
                }
                answer => answer?,
            };
            *sent += bytes.len();
            received = now;
            stalls = if received > most { 0 } else { stalls + 1 };
            most = most.max(received);
            ensure!(received <= len && stalls < STALLS, "the device says that it has {received} bytes of {len}");
        }
        progress(received as usize);
        self.step(allowance, Update::Commit { blob: identity }).map(drop)
    }

    /// Asks for a step of an update; gives how many bytes have arrived.
    fn step(&mut self, allowance: &mut Allowance, step: Update<'_>) -> Result<u32> {
        allowance.take()?;
        self.ask_step(step)
    }

    /// The same for a step that stands alone.
    fn ask_step(&mut self, step: Update<'_>) -> Result<u32> {
        self.conversation.ask(&Request::Update(step), |answer| match answer {
            Response::Update { received } => Ok(received),
            _ => other_answer(),
        })
    }
}

/// How long the device wants to be left alone, so that its flash does not wear out.
fn pause(error: &anyhow::Error) -> Option<Duration> {
    match error.downcast_ref() {
        Some(&Failure::Update(UpdateError::Wear { seconds })) => {
            Some(Duration::from_secs(seconds.min(PAUSE_MAX).into()))
        }
        _ => None,
    }
}

/// Whether the update has to begin anew.
fn is_forgotten(error: &anyhow::Error) -> bool {
    let failure = error.downcast_ref();
    matches!(failure, Some(Failure::Update(UpdateError::NotBegun | UpdateError::Incomplete { .. })))
}
