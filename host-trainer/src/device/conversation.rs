//! Questions and answers over a way that may lose, double and damage them.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use no_std_device::link::{
    Failure, FrameError, Message, PROTOCOL, Picture, Receiver, Request, Response, Update, decode, encode,
    hello_protocol, max_frame_len,
};
use serde::Serialize;

use super::transport::Transport;
use super::way::Lost;

/// Longest answer that is understood, in bytes.
const ANSWER_LEN: usize = 64 * 1024;
/// Room for the fields of a request besides its bytes.
const REQUEST_FIELDS_LEN: usize = 48;
/// Room for what names a blob and shows who signed it.
const UPDATE_FIELDS_LEN: usize = 192;
/// How often a request is sent before the host gives up.
const ATTEMPTS: u32 = 24;
/// An answer may take so many times as long as the one before to the same kind of request.
const MARGIN: u32 = 3;

/// How long the host waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the first answer to a kind of request, before it is asked again; each silence doubles it.
    pub first: Duration,
    /// At least, however quick the answers were so far.
    pub least: Duration,
    /// In all, before the host gives up on a device.
    pub most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first: Duration::from_secs(2), least: Duration::from_millis(250), most: Duration::from_secs(180) }
    }
}

/// Why a question had to be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Silence,
    DamagedAnswer,
    DamagedRequest,
}

/// What went wrong on the way and was made good, by asking again or by dropping what came late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Answers that did not come in time.
    pub silences: u64,
    /// Answers that arrived damaged.
    pub damaged_answers: u64,
    /// Requests that reached the device damaged.
    pub damaged_requests: u64,
    /// Answers to earlier questions, dropped.
    pub stale_answers: u64,
}

impl Faults {
    /// How often a request was sent again.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.silences + self.damaged_answers + self.damaged_requests
    }

    fn count(&mut self, fault: Fault) {
        *match fault {
            Fault::Silence => &mut self.silences,
            Fault::DamagedAnswer => &mut self.damaged_answers,
            Fault::DamagedRequest => &mut self.damaged_requests,
        } += 1;
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { silences, damaged_answers, damaged_requests, stale_answers } = self;
        write!(
            f,
            "{} requests repeated ({silences} without an answer in time, {damaged_answers} answers and \
             {damaged_requests} requests damaged), {stale_answers} late or doubled answers dropped",
            self.repeats()
        )
    }
}

/// What a task of many requests may take in all, whatever the device answers.
#[derive(Debug)]
pub(super) struct Allowance {
    requests: u32,
    until: Instant,
}

impl Allowance {
    /// Takes one request of those that are left.
    ///
    /// # Errors
    /// When none is left, or the time is over.
    pub(super) fn take(&mut self) -> Result<()> {
        ensure!(self.requests > 0, "the device answers, but the work does not come to an end");
        ensure!(Instant::now() < self.until, "the device answers, but so slowly that the host gives up");
        self.requests -= 1;
        Ok(())
    }

    /// Waits as long as the device asks to be left alone, which takes nothing of the time for the work.
    pub(super) fn pause(&mut self, pause: Duration) {
        self.until += pause;
        std::thread::sleep(pause);
    }
}

/// Asks a device, one question at a time.
pub struct Conversation {
    transport: Box<dyn Transport>,
    patience: Patience,
    /// How long to wait for the answer to each [`kind`] of request.
    waits: [Duration; KINDS],
    id: u32,
    /// Received and not looked at yet.
    pending: VecDeque<u8>,
    memory: Box<heapless::Vec<u8, ANSWER_LEN>>,
    faults: Faults,
}

impl Conversation {
    /// A conversation that has not begun.
    #[must_use]
    pub fn new(transport: Box<dyn Transport>, patience: Patience) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            transport,
            patience,
            waits: [patience.first; KINDS],
            id: now.subsec_nanos() ^ (now.as_secs() as u32).rotate_left(16),
            pending: VecDeque::new(),
            memory: Box::default(),
            faults: Faults::default(),
        }
    }

    /// What went wrong so far.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// What a task may take that needs at most so many requests with so many bytes in them: for each the least time that an
    /// answer is waited for, and once the time after which a silent device is given up. A request that is under way when the
    /// time is over is not broken off, and is bounded by [`Patience::most`] itself.
    pub(super) fn allowance(&self, requests: u32, bytes: usize) -> Allowance {
        let time = self.patience.most + self.patience.least * requests + self.transfer_time(bytes) * MARGIN;
        Allowance { requests, until: Instant::now() + time }
    }

    /// Asks until there is an answer, and hands it to `then`.
    ///
    /// # Errors
    /// A [`Failure`] when the device refuses the request. Another error when there is no intact answer after many
    /// attempts, the device speaks another version of the link or has gone, or `then` fails.
    pub fn ask<T>(&mut self, request: &Request<'_>, then: impl FnOnce(Response<'_>) -> Result<T>) -> Result<T> {
        let bytes = self.answer(request)?;
        understand(&bytes, then)
    }

    /// Ends the way to the device, which closes what it holds.
    pub(super) fn hang_up(&mut self) {
        self.transport = Box::new(Closed);
    }

    /// Goes on over another way to the same device.
    pub(super) fn go_on_over(&mut self, transport: Box<dyn Transport>) {
        self.pending.clear();
        self.transport = transport;
    }

    /// The bytes of the answer to a request.
    ///
    /// # Errors
    /// [`Lost`] when the way to the device has ended; otherwise those of [`ask`](Self::ask).
    pub(super) fn answer(&mut self, request: &Request<'_>) -> Result<Vec<u8>> {
        self.id = self.id.wrapping_add(1).max(1);
        let (kind, frame) = (kind(request), frame(self.id, request)?);
        let transfer = self.transfer_time(frame.len());
        let (start, mut wait, mut fault) = (Instant::now(), self.waits[kind], Fault::Silence);
        // Whether there is a device at all shows soon.
        let most = if kind == HELLO { self.patience.most / 12 } else { self.patience.most };
        for attempt in 0..ATTEMPTS {
            tracing::trace!(attempt, bytes = frame.len(), "sending request {}", self.id);
            self.transport.send(&frame).map_err(Lost)?;
            fault = match self.wait(wait + transfer, start + most)? {
                Ok(bytes) => {
                    // Only an answer that came at once tells how long answers take. After others a little of what the
                    // silences added is given up, since frames may have been lost and not late.
                    let quick = attempt == 0;
                    let next = if quick { start.elapsed().saturating_sub(transfer) * MARGIN } else { wait / 4 * 3 };
                    self.waits[kind] = next.max(self.patience.least);
                    return Ok(bytes);
                }
                Err(fault) => fault,
            };
            self.faults.count(fault);
            tracing::debug!(attempt, ?fault, ms = start.elapsed().as_millis(), "request {} is asked again", self.id);
            if start.elapsed() >= most {
                break;
            }
            if fault == Fault::Silence {
                wait *= 2;
            }
        }
        let (seconds, faults) = (start.elapsed().as_secs_f32(), self.faults);
        bail!(
            "{} after {seconds:.1} s: {faults}",
            match fault {
                Fault::Silence => "the device does not answer",
                Fault::DamagedAnswer => "the device's answers arrive damaged",
                Fault::DamagedRequest => "requests reach the device damaged",
            }
        )
    }

    /// Waits for the answer to the request that was sent last, and not beyond `until`; the outer error is final.
    fn wait(&mut self, patience: Duration, until: Instant) -> Result<Result<Vec<u8>, Fault>> {
        let mut deadline = Instant::now() + patience;
        let last = (deadline + patience.max(self.patience.least) * MARGIN).min(until);
        let mut receiver = Receiver::new(&mut *self.memory);
        let mut chunk = [0; 4096];
        loop {
            while let Some(byte) = self.pending.pop_front() {
                let Some(bytes) = receiver.push(byte) else { continue };
                let Ok(bytes) = bytes else { return Ok(Err(Fault::DamagedAnswer)) };
                match judge(self.id, bytes)? {
                    Verdict::Answer => return Ok(Ok(bytes.to_vec())),
                    Verdict::Again(fault) => return Ok(Err(fault)),
                    Verdict::Stale => {
                        tracing::debug!("dropped a late or doubled answer");
                        self.faults.stale_answers += 1;
                    }
                }
            }
            let now = Instant::now();
            if now >= deadline.min(last) {
                return Ok(Err(Fault::Silence));
            }
            let len = self.transport.receive(&mut chunk, deadline.min(last) - now).map_err(Lost)?;
            self.pending.extend(&chunk[..len]);
            if len > 0 {
                // It is talking: an answer that has begun may go on.
                deadline = deadline.max(Instant::now() + self.patience.least);
            }
        }
    }

    fn transfer_time(&self, len: usize) -> Duration {
        self.transport.rate().map_or(Duration::ZERO, |rate| Duration::from_secs_f64(len as f64 / f64::from(rate)))
    }
}

/// Hands an answer's bytes to `then`, unless they say that the device refuses the request.
pub(super) fn understand<T>(bytes: &[u8], then: impl FnOnce(Response<'_>) -> Result<T>) -> Result<T> {
    match decode(bytes)?.body {
        Response::Error(failure) => Err(failure.into()),
        answer => then(answer),
    }
}

/// A way that leads nowhere.
struct Closed;

impl Transport for Closed {
    fn send(&mut self, _: &[u8]) -> Result<()> {
        bail!("the way to the device is closed")
    }

    fn receive(&mut self, _: &mut [u8], _: Duration) -> Result<usize> {
        bail!("the way to the device is closed")
    }
}

/// What an intact frame is.
enum Verdict {
    /// The answer.
    Answer,
    /// No answer; the question must be asked again.
    Again(Fault),
    /// The answer to an earlier question.
    Stale,
}

fn judge(id: u32, bytes: &[u8]) -> Result<Verdict> {
    Ok(match decode::<Response<'_>>(bytes) {
        Ok(Message { id: 0, body: Response::Error(Failure::Frame(FrameError::BadMessage)) }) => {
            bail!("the device does not know the request: its firmware is older than this program")
        }
        Ok(Message { id: 0, .. }) => Verdict::Again(Fault::DamagedRequest),
        Ok(Message { id: found, .. }) if found != id => Verdict::Stale,
        Ok(Message { body: Response::Hello(hello), .. }) => same_version(hello.protocol)?,
        Ok(_) => Verdict::Answer,
        Err(_) => match hello_protocol(bytes) {
            Some(protocol) if protocol != PROTOCOL => same_version(protocol)?,
            _ => Verdict::Again(Fault::DamagedAnswer),
        },
    })
}

fn same_version(protocol: u16) -> Result<Verdict> {
    let older = match protocol.cmp(&PROTOCOL) {
        Ordering::Equal => return Ok(Verdict::Answer),
        Ordering::Less => "the firmware is older",
        Ordering::Greater => "this program is older",
    };
    bail!("the device speaks version {protocol} of the link and this program version {PROTOCOL}: {older}")
}

/// Number of kinds of requests.
const KINDS: usize = 11;
const HELLO: usize = 0;

/// Requests of one kind take about the same time.
fn kind(request: &Request<'_>) -> usize {
    match request {
        Request::Hello => HELLO,
        Request::Infer(_) => 1,
        Request::SelfTest => 2,
        Request::Update(Update::Begin { .. }) => 3,
        Request::Update(Update::Write { .. }) => 4,
        Request::Update(Update::Commit { .. }) => 5,
        Request::Update(Update::Confirm | Update::Rollback) => 6,
        Request::Look { .. } => 7,
        Request::Read { .. } => 8,
        Request::Trace(_) => 9,
        Request::Excerpt { .. } => 10,
    }
}

/// A request as a frame, after a zero that ends what the device may have received of another one.
fn frame(id: u32, request: &Request<'_>) -> Result<Vec<u8>> {
    let bytes = match request {
        Request::Infer(picture) | Request::Trace(picture) | Request::Excerpt { picture, .. } => {
            let (Picture::Input(bytes) | Picture::Frame { bytes, .. }) = picture;
            bytes.len()
        }
        Request::Update(Update::Write { bytes, .. }) => bytes.len(),
        Request::Update(Update::Begin { .. } | Update::Commit { .. }) => UPDATE_FIELDS_LEN,
        Request::Update(Update::Confirm | Update::Rollback) => 0,
        Request::Hello | Request::SelfTest | Request::Look { .. } | Request::Read { .. } => 0,
    };
    let mut memory = vec![0; 1 + max_frame_len(REQUEST_FIELDS_LEN + bytes)];
    let len = encode(&Message { id, body: *request }, &mut memory[1..])?.len();
    memory.truncate(1 + len);
    Ok(memory)
}
