//! The way to a device that may go and come back: a port that vanishes, a board that is reset, an emulator that ends.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use no_std_device::link::{Identity, Request, Response};

use super::conversation::understand;
use super::{Device, Transport, greet};

/// How long a device may be away.
const ABSENCE: Duration = Duration::from_secs(60);
/// Between two attempts to reach a device that is away.
const PAUSE: Duration = Duration::from_millis(250);
/// How often a device may go in the course of one task.
pub(super) const RETURNS_MAX: u32 = 8;

/// Why the way to a device has ended.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct Lost(pub(super) anyhow::Error);

/// How a way is opened, again and again.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Transport>> + Send>;

/// A way to a device, and where it can be opened again, how.
pub struct Way {
    pub(super) transport: Box<dyn Transport>,
    pub(super) again: Option<Again>,
}

/// How a way is opened again, and for how long that is tried.
pub(super) struct Again {
    open: Opener,
    absence: Duration,
}

impl Way {
    /// Opens a way, which is opened again when it is lost; fails when the device stays away for a minute.
    ///
    /// # Errors
    /// When it cannot be opened for the first time.
    pub fn open(open: impl FnMut() -> Result<Box<dyn Transport>> + Send + 'static) -> Result<Self> {
        let mut open: Opener = Box::new(open);
        let transport = open()?;
        Ok(Self { transport, again: Some(Again { open, absence: ABSENCE }) })
    }

    /// The same way to a device that may be away for so long.
    #[must_use]
    pub fn within(mut self, absence: Duration) -> Self {
        self.again.iter_mut().for_each(|again| again.absence = absence);
        self
    }
}

/// Looks for a device until it is found: opens the way to it and greets it there, and asks after each failure whether to try again.
///
/// # Errors
/// The failure after which there is no other attempt.
pub fn find<T>(
    open: &mut Opener,
    mut greet: impl FnMut(Box<dyn Transport>) -> Result<T>,
    mut tries_again: impl FnMut(&anyhow::Error) -> bool,
) -> Result<T> {
    loop {
        match open().and_then(&mut greet) {
            Err(error) if tries_again(&error) => {}
            found => return found,
        }
    }
}

impl From<Box<dyn Transport>> for Way {
    fn from(transport: Box<dyn Transport>) -> Self {
        Self { transport, again: None }
    }
}

impl<T: Transport + 'static> From<Box<T>> for Way {
    fn from(transport: Box<T>) -> Self {
        Self { transport, again: None }
    }
}

/// How often a device was away, and for how long in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absences {
    /// Times.
    pub count: u32,
    /// Time in all.
    pub total: Duration,
}

impl Device {
    /// How often the device was away and came back.
    #[must_use]
    pub fn absences(&self) -> Absences {
        self.absences
    }

    /// Asks, and asks again once a device that was lost on the way has come back. For requests that a device answers as well
    /// after it was reset.
    pub(super) fn ask_patiently<T>(
        &mut self,
        request: &Request<'_>,
        then: impl FnOnce(Response<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut returns = 0..RETURNS_MAX;
        let answer = loop {
            match self.conversation.answer(request) {
                Err(error) if self.again.is_some() && error.is::<Lost>() && returns.next().is_some() => {
                    self.await_return(&error)?;
                }
                answer => break answer?,
            }
        };
        understand(&answer, then)
    }

    /// Waits until the device is back, and checks that it runs the model that it ran before.
    fn await_return(&mut self, lost: &anyhow::Error) -> Result<()> {
        let Again { open, absence } = self.again.as_mut().context("the way to the device cannot be opened again")?;
        let (absence, start) = (*absence, Instant::now());
        tracing::warn!("{lost:#}: waiting up to {} s for the device to come back", absence.as_secs());
        let conversation = RefCell::new(&mut self.conversation);
        // What is lost is closed first: an emulator holds its flash, and a port its name.
        let hang_up = || conversation.borrow_mut().hang_up();
        hang_up();
        let greet = |transport| {
            let mut conversation = conversation.borrow_mut();
            conversation.go_on_over(transport);
            greet(&mut conversation)
        };
        let waits = |error: &anyhow::Error| {
            hang_up();
            tracing::debug!("still away: {error:#}");
            let waits = start.elapsed() < absence;
            if waits {
                std::thread::sleep(PAUSE.min(absence));
            }
            waits
        };
        let description =
            find(open, greet, waits).with_context(|| format!("the device did not come back within {absence:?}"))?;
        let [before, now] = [&self.description, &description].map(|about| about.model.map(|model| model.blob));
        ensure!(
            before == now,
            "the device that came back runs {} where {} ran before",
            named(now.as_ref()),
            named(before.as_ref())
        );
        tracing::info!("the device is back after {:.1} s", start.elapsed().as_secs_f32());
        self.absences.count += 1;
        self.absences.total += start.elapsed();
        self.description = description;
        Ok(())
    }
}

fn named(blob: Option<&Identity>) -> String {
    blob.map_or_else(|| "no model".to_owned(), |blob| format!("model {blob}"))
}
