//! Frames of the link that are written by hand: damaged ones, and requests that come twice.

use std::time::Duration;

use anyhow::{Result, ensure};
use host_trainer::device::{Core, Emulated, Program, Transport, build};
use no_std_device::link::{
    Failure, FrameError, Message, Picture, Receiver, Request, Response, SelfTest, decode, encode,
};
use no_std_infer::Model;

use super::{BLOB, input};

pub(super) fn damaged_frames_are_refused_and_the_next_is_answered() -> Result<()> {
    let mut link = Emulated::boot(Core::M4, &build(Program::Link, &BLOB)?)?;
    let mut memory = [0; 64];
    let request = Request::Infer(Picture::Input(&[1, 2, 0, 4]));
    let frame = encode(&Message { id: 1, body: request }, &mut memory)?.to_vec();
    // Byte 4 is no length of COBS's, which would make the frame end early.
    let flipped = [&frame[..4], &[frame[4] ^ 0x10], &frame[5..]].concat();
    let cut = [&frame[..6], &[0]].concat();
    let mut memory = [0; 64];
    let unknown = encode(&Message { id: 1, body: 200_u8 }, &mut memory)?.to_vec();
    let long = [&[0xFF; 300_000][..], &[0]].concat();
    let cases = [
        (flipped, FrameError::BadCrc),
        (cut, FrameError::Truncated),
        (unknown, FrameError::BadMessage),
        (long, FrameError::TooLong),
    ];
    let passed = Message { id: 2, body: Response::SelfTest(SelfTest::Passed) };
    for (bytes, why) in cases {
        expect(&mut link, &bytes, Message { id: 0, body: Response::Error(Failure::Frame(why)) })?;
        let next = encode(&Message { id: 2, body: Request::SelfTest }, &mut memory)?;
        expect(&mut link, next, passed)?;
    }
    Ok(())
}

pub(super) fn a_repeated_request_gets_the_answer_again_without_another_run() -> Result<()> {
    let model = Model::parse(&BLOB)?;
    let mut link = Emulated::boot(Core::M4, &build(Program::Link, &BLOB)?)?;
    let input: Vec<u8> = input(&model, 1).iter().map(|&value| value as u8).collect();
    let mut memory = vec![0; input.len() + 64];
    let frame = encode(&Message { id: 9, body: Request::Infer(Picture::Input(&input)) }, &mut memory)?;
    let first = exchange(&mut link, frame)?;
    // The clock's tick is 40 instructions: two runs seldom count the same in every layer.
    for _ in 0..3 {
        ensure!(exchange(&mut link, &[&[0], frame].concat())? == first, "another answer to the same request");
    }
    let mut memory = vec![0; input.len() + 64];
    let next = encode(&Message { id: 10, body: Request::Infer(Picture::Input(&input)) }, &mut memory)?;
    ensure!(decode::<Response<'_>>(&exchange(&mut link, next)?)?.id == 10, "an old answer to a new request");
    Ok(())
}

/// Sends bytes and compares the answer.
fn expect(link: &mut Emulated, bytes: &[u8], expected: Message<Response<'_>>) -> Result<()> {
    let answer = exchange(link, bytes)?;
    let answer = decode::<Response<'_>>(&answer)?;
    ensure!(answer == expected, "{answer:?} where {expected:?} was expected");
    Ok(())
}

/// Sends bytes; gives the bytes of the answer's message.
fn exchange(link: &mut Emulated, bytes: &[u8]) -> Result<Vec<u8>> {
    link.send(bytes)?;
    let mut memory = heapless::Vec::<u8, 4096>::new();
    let mut receiver = Receiver::new(&mut memory);
    let mut chunk = [0; 256];
    loop {
        let len = link.receive(&mut chunk, Duration::from_secs(60))?;
        ensure!(len > 0, "no answer");
        for &byte in &chunk[..len] {
            if let Some(answer) = receiver.push(byte) {
                return Ok(answer?.to_vec());
            }
        }
    }
}
