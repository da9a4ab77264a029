//! Frames survive the way, damage is named, and the next frame arrives.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use serde::Serialize;

use super::*;

type Asked<'a> = Message<Request<'a>>;

fn frame<T: Serialize>(message: &Message<T>) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    encode(message, &mut buffer).expect("fits").to_vec()
}

/// What a receiver with memory for `CAPACITY` bytes makes of `stream`, each message encoded again.
fn receive<const CAPACITY: usize>(stream: &[u8]) -> Vec<Result<Vec<u8>, FrameError>> {
    let mut memory = heapless::Vec::<u8, CAPACITY>::new();
    let mut receiver = Receiver::new(&mut memory);
    let events = stream.iter().filter_map(|&byte| {
        let bytes = receiver.push(byte)?;
        Some(bytes.and_then(decode::<Request>).map(|message| frame(&message)))
    });
    events.collect()
}

fn infer(id: u32, bytes: &[u8]) -> Asked<'_> {
    Message { id, body: Request::Infer(Picture::Input(bytes)) }
}

const HELLO: Asked<'static> = Message { id: 3, body: Request::Hello };

#[test]
fn the_encoding_is_fixed() {
    // The example in docs/link.md: id 5, request 2; the CRC-32 of these two bytes is D2A08796.
    let sent = frame(&Message { id: 5, body: Request::SelfTest });
    assert_eq!(sent, [7, 5, 2, 0x96, 0x87, 0xA0, 0xD2, 0]);
}

#[test]
fn too_small_a_buffer_is_an_error() {
    let len = frame(&infer(7, &[1, 0, 2])).len();
    let mut buffer = vec![0; len];
    assert!(encode(&infer(7, &[1, 0, 2]), &mut buffer).is_ok());
    for short in 0..len {
        assert_eq!(encode(&infer(7, &[1, 0, 2]), &mut buffer[..short]), Err(FrameError::TooLong), "{short}");
    }
    let mut memory = heapless::Vec::<u8, 8>::new();
    assert_eq!(encode_into(&HELLO, &mut memory), Ok(()));
    assert_eq!(memory[..], frame(&HELLO));
    assert_eq!(encode_into(&infer(7, &[1, 0, 2]), &mut memory), Err(FrameError::TooLong));
    assert!(memory.is_empty());
}

#[test]
fn too_long_a_message_is_an_error_and_the_next_frame_arrives() {
    let (long, short) = (frame(&infer(1, &[5; 100])), frame(&HELLO));
    let events = receive::<64>(&[long.clone(), short.clone(), long].concat());
    assert_eq!(events, [Err(FrameError::TooLong), Ok(short), Err(FrameError::TooLong)]);
}

#[test]
fn a_message_of_another_version_is_an_error() {
    let unknown = frame(&Message { id: 1, body: 99_u8 });
    let trailing = frame(&Message { id: 1, body: [2_u8, 0] });
    for stream in [unknown, trailing] {
        assert_eq!(receive::<64>(&stream), [Err(FrameError::BadMessage)]);
    }
}

#[test]
fn the_version_is_found_in_an_answer_of_any_version() {
    let hello = Hello {
        protocol: 900,
        board: "b",
        kernel_set: "k",
        max_message: 1,
        unit: Unit::Cycles,
        hz: 0,
        model: None,
        slots: None,
        camera: None,
        reset: Reset::Unknown,
    };
    let mut memory = heapless::Vec::<u8, 64>::new();
    let mut receiver = Receiver::new(&mut memory);
    for sent in
        [frame(&Message { id: 300, body: Response::Hello(hello) }), frame(&Message { id: 1, body: (0_u8, 900_u16) })]
    {
        let (last, rest) = sent.split_last().expect("a zero");
        assert!(rest.iter().all(|&byte| receiver.push(byte).is_none()));
        let bytes = receiver.push(*last).expect("a frame").expect("intact");
        assert_eq!(hello_protocol(bytes), Some(900));
    }
    assert_eq!(hello_protocol(&[1, 3, 3]), None);
    assert_eq!(hello_protocol(&[1]), None);
}

#[test]
fn numbers_of_operators_are_little_endian_words() {
    let layers = [1, 0, 0, 0, 0, 1, 0, 0];
    let inference = Inference {
        model: [0; 16],
        class: 0,
        logits: &[],
        output: &[],
        layers: &layers,
        preprocessing: 0,
        total: 257,
        stack: 0,
    };
    assert!(inference.of_operators().eq([1, 256]));
}

proptest! {
    #[test]
    fn what_is_sent_arrives(id: u32, bytes in prop::collection::vec(any::<u8>(), 0..1200), fill: bool) {
        let bytes = if fill { vec![id as u8; bytes.len()] } else { bytes };
        let sent = frame(&infer(id, &bytes));
        prop_assert!(sent.len() <= max_frame_len(5 + 1 + 1 + 2 + bytes.len()));
        prop_assert_eq!(sent.iter().position(|&byte| byte == 0), Some(sent.len() - 1));
        let mut memory = heapless::Vec::<u8, 2048>::new();
        prop_assert_eq!(encode_into(&infer(id, &bytes), &mut memory), Ok(()));
        prop_assert_eq!(&memory[..], &sent);
        let message_len = postcard::to_slice(&infer(id, &bytes), &mut [0; 2048]).expect("fits").len();
        let mut enough = vec![0; max_frame_len(message_len)];
        prop_assert_eq!(encode(&infer(id, &bytes), &mut enough), Ok(&sent[..]));
        prop_assert_eq!(receive::<2048>(&sent), [Ok(sent)]);
    }

    #[test]
    fn a_damaged_frame_is_an_error_and_the_next_one_arrives(
        bytes in prop::collection::vec(any::<u8>(), 0..600), at: prop::sample::Index, flip in 1_u8..,
    ) {
        let (mut damaged, next) = (frame(&infer(9, &bytes)), frame(&HELLO));
        let at = at.index(damaged.len());
        damaged[at] ^= flip;
        let events = receive::<2048>(&[damaged, vec![0], next.clone()].concat());
        let (last, before) = events.split_last().expect("the intact frame");
        prop_assert_eq!(last, &Ok(next));
        prop_assert!(!before.is_empty() && before.iter().all(Result::is_err), "{:?}", before);
    }

    #[test]
    fn a_cut_off_frame_is_an_error_and_the_next_one_arrives(
        bytes in prop::collection::vec(any::<u8>(), 0..600), cut: prop::sample::Index,
    ) {
        let (whole, next) = (frame(&infer(9, &bytes)), frame(&HELLO));
        let cut = cut.index(whole.len() - 1).max(1);
        let events = receive::<2048>(&[&whole[..cut], &[0], &next].concat());
        prop_assert_eq!(events.len(), 2);
        prop_assert!(events[0].is_err());
        prop_assert_eq!(&events[1], &Ok(next));
    }

    #[test]
    fn noise_never_panics_and_the_next_frame_arrives(
        noise in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let next = frame(&HELLO);
        let stream = [&noise[..], &[0], &next].concat();
        for events in [receive::<8>(&stream), receive::<9>(&stream), receive::<64>(&stream)] {
            prop_assert_eq!(events.last(), Some(&Ok(next.clone())));
        }
    }
}
