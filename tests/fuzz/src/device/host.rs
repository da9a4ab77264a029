//! What hosts say, in order and out of it.

use fastrand::Rng;
use no_std_device::link::{
    Excerpt, Identity, Message, Picture, Request, Shown, Update, WRITE_ALIGN, encode, max_frame_len,
};

use super::models::{Brought, all};

/// Longest request that is made, in bytes.
pub const REQUEST_LEN: usize = 2048;

/// A host that brings one model, but for what it says in between.
pub struct Host {
    brings: &'static Brought,
    /// What it says next: 0 begins, a multiple of [`WRITE_ALIGN`] brings bytes, the blob's length ends.
    at: Option<u32>,
    /// Whether it is still to say that the model runs well.
    confirms: bool,
    next_id: u32,
    rng: Rng,
}

/// Requests, as they cross the link.
#[derive(Default)]
pub struct Burst {
    /// Their bytes, and what lies between.
    pub bytes: Vec<u8>,
    /// How many requests there are.
    pub requests: u64,
    /// Identifiers of those that decide what runs, and what is asked for.
    pub wishes: Vec<(u32, Wish)>,
}

/// What a host wants to run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wish {
    /// The model with this checksum.
    Switch(u32),
    /// The model that runs, for good.
    Confirm,
    /// The model before.
    Rollback,
}

impl Host {
    /// One that has said nothing yet.
    #[must_use]
    pub fn new(mut rng: Rng) -> Self {
        let brings = rng.choice(all()).expect("there are models");
        Self { brings, at: None, confirms: false, next_id: rng.u32(1..), rng }
    }

    /// What it has said is lost: it begins again, perhaps with another model.
    pub fn start_again(&mut self) {
        self.at = None;
        if self.rng.bool() {
            self.brings = self.rng.choice(all()).expect("there are models");
        }
    }

    /// What it says next.
    pub fn burst(&mut self) -> Burst {
        let mut burst = Burst::default();
        for _ in 0..self.rng.u8(1..=8) {
            if self.rng.u8(..6) == 0 { self.interjection(&mut burst) } else { self.proper(&mut burst) }
        }
        match self.rng.u8(..16) {
            0 => {
                let at = self.rng.usize(..burst.bytes.len());
                burst.bytes[at] ^= self.rng.u8(1..);
            }
            1 => {
                let (at, len) = (self.rng.usize(..burst.bytes.len()), self.rng.usize(..80));
                let noise: Vec<u8> = (0..len).map(|_| self.rng.u8(..)).collect();
                burst.bytes.splice(at..at, noise);
            }
            _ => {}
        }
        burst
    }

    /// The next step of an update.
    fn proper(&mut self, burst: &mut Burst) {
        if std::mem::take(&mut self.confirms) && self.rng.u8(..8) > 0 {
            return self.say(burst, Request::Update(Update::Confirm));
        }
        let Brought { blob, identity, credentials, .. } = *self.brings;
        let len = identity.len;
        match self.at {
            None => {
                self.say(burst, Request::Update(Update::Begin { blob: identity, credentials }));
                self.at = Some(0);
            }
            Some(at) if at < len => {
                let end = len.min(at + WRITE_ALIGN as u32 * self.rng.u32(1..=3));
                let bytes = &blob[at as usize..end as usize];
                self.say(burst, Request::Update(Update::Write { offset: at, bytes }));
                self.at = Some(end);
            }
            Some(_) => {
                self.say(burst, Request::Update(Update::Commit { blob: identity }));
                self.start_again();
                self.confirms = true;
            }
        }
    }

    /// Something that does not belong there.
    fn interjection(&mut self, burst: &mut Burst) {
        let [other, another] = [(); 2].map(|()| self.rng.choice(all()).expect("there are models"));
        let (bytes, identity) = (other.blob, other.identity);
        let offset = self.rng.u32(..bytes.len() as u32 + 9);
        let request = match self.rng.u8(..21) {
            0 => Request::Hello,
            1 => Request::SelfTest,
            2 => Request::Infer(Picture::Input(&bytes[..self.rng.usize(..32)])),
            3 => {
                let blob = Identity { len: self.rng.u32(..5000), ..identity };
                Request::Update(Update::Begin { blob, credentials: another.credentials })
            }
            4 => Request::Update(Update::Begin { blob: identity, credentials: another.credentials }),
            5 | 6 => Request::Update(Update::Begin { blob: identity, credentials: other.credentials }),
            7 | 8 => Request::Update(Update::Write { offset, bytes: &bytes[(offset as usize).min(bytes.len())..] }),
            9 => Request::Update(Update::Write { offset: 0, bytes: &bytes[..self.rng.usize(..bytes.len())] }),
            10 => Request::Update(Update::Confirm),
            11 => Request::Update(Update::Rollback),
            12..15 => Request::Look { after: self.rng.u32(..3) },
            15..18 => {
                let what = if self.rng.bool() { Shown::Frame } else { Shown::Input };
                let len = if self.rng.bool() { u32::MAX } else { self.rng.u32(..64) };
                Request::Read { sequence: self.rng.u32(..4), what, offset: self.rng.u32(..120), len }
            }
            18 => Request::Trace(Picture::Input(&bytes[..self.rng.usize(..32)])),
            19 => {
                let of = Excerpt { operator: self.rng.u16(..4), offset: self.rng.u32(..9), len: self.rng.u32(..600) };
                Request::Excerpt { of, picture: Picture::Input(&bytes[..self.rng.usize(..32)]) }
            }
            _ => Request::Update(Update::Commit { blob: identity }),
        };
        self.say(burst, request);
    }

    fn say(&mut self, burst: &mut Burst, request: Request<'_>) {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        let message = Message { id: self.next_id, body: request };
        let mut memory = [0; max_frame_len(REQUEST_LEN)];
        let frame = encode(&message, &mut memory).expect("there is room");
        // Sometimes it is sent again.
        for _ in 0..=u8::from(self.rng.u8(..16) == 0) {
            burst.bytes.extend_from_slice(frame);
            burst.requests += 1;
        }
        let wish = match request {
            Request::Update(Update::Commit { blob }) => {
                let brought = all().iter().find(|brought| brought.identity == blob);
                brought.map(|brought| Wish::Switch(brought.crc()))
            }
            Request::Update(Update::Confirm) => Some(Wish::Confirm),
            Request::Update(Update::Rollback) => Some(Wish::Rollback),
            _ => None,
        };
        burst.wishes.extend(wish.map(|wish| (message.id, wish)));
    }
}
