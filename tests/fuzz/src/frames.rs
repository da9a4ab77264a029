//! The link's frames: whatever bytes come, a receiver gives named errors and the messages that were sent whole.

use std::fmt;

use fastrand::Rng;
use no_std_device::link::{
    Excerpt, FrameError, Identity, Message, Picture, Receiver, Request, Response, Shown, Update, decode, encode,
    hello_protocol, max_frame_len,
};
use no_std_infer::CRC32;

use crate::campaign::Tally;

/// Frames of an episode.
const FRAMES: u64 = 64;
/// Longest message in bytes.
const MESSAGE_MAX: usize = 600;
/// Memory of the receiver: some frames are too long for it.
const RECEIVED_MAX: usize = 400;

/// What became of frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    whole: u64,
    errors: [u64; 4],
    silent: u64,
}

const ERRORS: [FrameError; 4] =
    [FrameError::TooLong, FrameError::Truncated, FrameError::BadCrc, FrameError::BadMessage];

impl Tally for Counts {
    fn merge(&mut self, other: &Self) {
        self.whole += other.whole;
        self.silent += other.silent;
        self.errors.iter_mut().zip(other.errors).for_each(|(sum, count)| *sum += count);
    }

    fn shortcoming(&self, least: u64) -> Option<String> {
        let Self { whole, errors, .. } = *self;
        if whole < least {
            return Some(format!("{whole} whole messages"));
        }
        let rare = ERRORS.into_iter().zip(errors).find(|&(_, count)| count < least);
        rare.map(|(error, count)| format!("{error:?} {count} times only"))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whole, errors, silent } = self;
        write!(f, "{whole} whole messages, {silent} pieces without an answer")?;
        ERRORS.into_iter().zip(errors).try_for_each(|(error, count)| write!(f, ", {count} {error:?}"))?;
        writeln!(f)
    }
}

/// Runs the episode of a number; gives how many frames were sent.
///
/// # Panics
/// When a receiver does, or does not give what was sent whole.
pub fn episode(number: u64, counts: &mut Counts) -> u64 {
    let mut rng = Rng::with_seed(number);
    let mut memory = heapless::Vec::<u8, RECEIVED_MAX>::new();
    let mut receiver = Receiver::new(&mut memory);
    for _ in 0..FRAMES {
        let payload = bytes(&mut rng, MESSAGE_MAX);
        let id = rng.u32(..);
        let request = message(&payload, id, &mut rng);
        let mut buffer = [0; max_frame_len(MESSAGE_MAX + 64)];
        let frame = encode(&request, &mut buffer).expect("there is room");
        if rng.bool() {
            // What comes before a zero is lost, and nothing else.
            let zero = receive(&mut receiver, &[0], counts, |_| ());
            assert!(zero <= 1, "a zero ends one frame at most");
            let fits = frame.len() <= RECEIVED_MAX;
            let received = receive(&mut receiver, frame, counts, |found| {
                let found = found.map(|bytes| decode::<Request<'_>>(bytes).expect("it was one"));
                assert_eq!(found.ok(), Some(request).filter(|_| fits || found.is_ok()), "what was sent arrives");
            });
            assert_eq!(received, 1, "a frame is one message");
        } else {
            let damaged = damaged(frame, &request, &mut rng);
            receive(&mut receiver, &damaged, counts, |found| {
                if let Ok(bytes) = found {
                    understand(bytes);
                }
            });
        }
    }
    FRAMES
}

/// Gives the receiver bytes, and `then` what it makes of them; gives how often that was something.
fn receive(
    receiver: &mut Receiver<'_>,
    bytes: &[u8],
    counts: &mut Counts,
    mut then: impl FnMut(Result<&[u8], FrameError>),
) -> u32 {
    let mut received = 0;
    for &byte in bytes {
        let Some(found) = receiver.push(byte) else { continue };
        received += 1;
        let understood = found.and_then(|bytes| decode::<Request<'_>>(bytes).map(drop));
        match ERRORS.iter().position(|&error| understood == Err(error)) {
            Some(error) => counts.errors[error] += 1,
            None => counts.whole += 1,
        }
        then(found);
    }
    counts.silent += u64::from(received == 0);
    received
}

/// Reads a message as each of what it may be; what it is comes back when it is written again.
fn understand(bytes: &[u8]) {
    std::hint::black_box(hello_protocol(bytes));
    let mut buffer = [0; max_frame_len(2 * RECEIVED_MAX)];
    let mut memory = heapless::Vec::<u8, { 2 * RECEIVED_MAX }>::new();
    let again = |frame: &[u8], memory: &mut heapless::Vec<u8, { 2 * RECEIVED_MAX }>| {
        let mut receiver = Receiver::new(memory);
        frame.iter().filter_map(|&byte| receiver.push(byte).map(|found| found.is_ok())).eq([true])
    };
    if let Ok(request) = decode::<Request<'_>>(bytes) {
        assert!(again(encode(&request, &mut buffer).expect("there is room"), &mut memory));
        assert_eq!(decode(&memory[..memory.len() - 4]), Ok(request));
    }
    if let Ok(response) = decode::<Response<'_>>(bytes) {
        assert!(again(encode(&response, &mut buffer).expect("there is room"), &mut memory));
        assert_eq!(decode(&memory[..memory.len() - 4]), Ok(response));
    }
}

fn bytes(rng: &mut Rng, most: usize) -> Vec<u8> {
    let len = rng.usize(..most);
    // Zeros and long runs without one are what stuffing is about.
    if rng.bool() { vec![rng.u8(..2); len] } else { (0..len).map(|_| rng.u8(..)).collect() }
}

fn message<'p>(payload: &'p [u8], id: u32, rng: &mut Rng) -> Message<Request<'p>> {
    let body = match rng.u8(..9) {
        0 => Request::Hello,
        1 => Request::SelfTest,
        2 => Request::Infer(Picture::Input(payload)),
        3 => Request::Update(Update::Write { offset: rng.u32(..), bytes: payload }),
        4 => Request::Look { after: rng.u32(..) },
        5 => Request::Read { sequence: rng.u32(..), what: Shown::Input, offset: rng.u32(..), len: rng.u32(..) },
        6 => Request::Trace(Picture::Input(payload)),
        7 => {
            let of = Excerpt { operator: rng.u16(..), offset: rng.u32(..), len: rng.u32(..) };
            Request::Excerpt { of, picture: Picture::Input(payload) }
        }
        _ => Request::Update(Update::Commit { blob: Identity { len: rng.u32(..), sha256: [rng.u8(..); 32] } }),
    };
    Message { id, body }
}

/// A frame that was damaged on its way, or one of a damaged message with the right checksum.
fn damaged(frame: &[u8], request: &Message<Request<'_>>, rng: &mut Rng) -> Vec<u8> {
    let mut damaged = frame.to_vec();
    match rng.u8(..4) {
        0 => {
            let at = rng.usize(..damaged.len());
            damaged[at] ^= rng.u8(1..);
        }
        1 => damaged.truncate(rng.usize(..=damaged.len())),
        _ => {
            let mut message = [0; MESSAGE_MAX + 64];
            let len = postcard::to_slice(request, &mut message).expect("there is room").len();
            let at = rng.usize(..len.min(12));
            message[at] = rng.u8(..);
            let len = if rng.bool() { rng.usize(..=len) } else { len };
            return stuffed(&message[..len]);
        }
    }
    damaged
}

/// A message with its checksum as a frame.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let sealed = [message, &CRC32.checksum(message).to_le_bytes()].concat();
    let mut frame = Vec::new();
    // A block is up to 254 bytes without a zero; shorter ones stand for a zero behind them.
    for part in sealed.split(|&byte| byte == 0) {
        let mut rest = part;
        while rest.len() >= 254 {
            frame.push(255);
            frame.extend_from_slice(&rest[..254]);
            rest = &rest[254..];
        }
        frame.push(rest.len() as u8 + 1);
        frame.extend_from_slice(rest);
    }
    frame.push(0);
    frame
}
