//! Frames survive the way, damage is named, and the next frame arrives.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn frame(message: &Request<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    encode(message, &mut buffer).expect("fits").to_vec()
}

/// What a receiver with memory for `capacity` bytes makes of `stream`, each message encoded again.
fn receive(stream: &[u8], capacity: usize) -> Vec<Result<Vec<u8>, FrameError>> {
    let mut memory = vec![0; capacity];
    let mut receiver = Receiver::new(&mut memory);
    let events = stream.iter().filter_map(|&byte| Some(receiver.push::<Request>(byte)?.map(|m| frame(&m))));
    events.collect()
}

fn infer(id: u32, bytes: &[u8]) -> Request<'_> {
    Request::Infer { id, picture: Picture::Input(bytes) }
}

#[test]
fn the_encoding_is_fixed() {
    // Message 2 (SelfTest); CRC-32 of the one byte 02 is 3C0C8EA1.
    assert_eq!(frame(&Request::SelfTest), [6, 2, 0xA1, 0x8E, 0x0C, 0x3C, 0]);
}

#[test]
fn too_small_a_buffer_is_an_error() {
    let len = frame(&infer(7, &[1, 0, 2])).len();
    let mut buffer = vec![0; len];
    assert!(encode(&infer(7, &[1, 0, 2]), &mut buffer).is_ok());
    for short in 0..len {
        assert_eq!(encode(&infer(7, &[1, 0, 2]), &mut buffer[..short]), Err(FrameError::TooLong), "{short}");
    }
}

#[test]
fn too_long_a_message_is_an_error_and_the_next_frame_arrives() {
    let (long, short) = (frame(&infer(1, &[5; 100])), frame(&Request::Hello));
    let events = receive(&[long.clone(), short.clone(), long].concat(), 64);
    assert_eq!(events, [Err(FrameError::TooLong), Ok(short), Err(FrameError::TooLong)]);
}

#[test]
fn a_message_of_another_version_is_an_error() {
    let mut buffer = [0; 32];
    let unknown = encode(&99_u8, &mut buffer).expect("fits").to_vec();
    let mut buffer = [0; 32];
    let trailing = encode(&[2_u8, 0], &mut buffer).expect("fits").to_vec();
    for stream in [unknown, trailing] {
        assert_eq!(receive(&stream, 64), [Err(FrameError::BadMessage)]);
    }
}

#[test]
fn layer_costs_are_little_endian_words() {
    let layers = [1, 0, 0, 0, 0, 1, 0, 0];
    let inference = Inference {
        id: 0,
        class: 0,
        logits: &[],
        output: &[],
        layers: &layers,
        preprocessing: 0,
        total: 257,
        stack: 0,
    };
    assert!(inference.layer_costs().eq([1, 256]));
}

proptest! {
    #[test]
    fn what_is_sent_arrives(id: u32, bytes in prop::collection::vec(any::<u8>(), 0..1200), fill: bool) {
        let bytes = if fill { vec![id as u8; bytes.len()] } else { bytes };
        let sent = frame(&infer(id, &bytes));
        prop_assert!(sent.len() <= max_frame_len(1 + 5 + 1 + 2 + bytes.len()));
        prop_assert_eq!(sent.iter().position(|&byte| byte == 0), Some(sent.len() - 1));
        prop_assert_eq!(receive(&sent, 2048), [Ok(sent)]);
    }

    #[test]
    fn a_damaged_frame_is_an_error_and_the_next_one_arrives(
        bytes in prop::collection::vec(any::<u8>(), 0..600), at: prop::sample::Index, flip in 1_u8..,
    ) {
        let (mut damaged, next) = (frame(&infer(9, &bytes)), frame(&Request::Hello));
        let at = at.index(damaged.len());
        damaged[at] ^= flip;
        let events = receive(&[damaged, vec![0], next.clone()].concat(), 2048);
        let (last, before) = events.split_last().expect("the intact frame");
        prop_assert_eq!(last, &Ok(next));
        prop_assert!(!before.is_empty() && before.iter().all(Result::is_err), "{:?}", before);
    }

    #[test]
    fn a_cut_off_frame_is_an_error_and_the_next_one_arrives(
        bytes in prop::collection::vec(any::<u8>(), 0..600), cut: prop::sample::Index,
    ) {
        let (whole, next) = (frame(&infer(9, &bytes)), frame(&Request::Hello));
        let cut = cut.index(whole.len() - 1).max(1);
        let events = receive(&[&whole[..cut], &[0], &next].concat(), 2048);
        prop_assert_eq!(events.len(), 2);
        prop_assert!(events[0].is_err());
        prop_assert_eq!(&events[1], &Ok(next));
    }

    #[test]
    fn noise_never_panics_and_the_next_frame_arrives(
        noise in prop::collection::vec(any::<u8>(), 0..600), capacity in 0_usize..64,
    ) {
        let next = frame(&Request::Hello);
        let events = receive(&[&noise[..], &[0], &next].concat(), capacity.max(8));
        prop_assert_eq!(events.last(), Some(&Ok(next)));
    }
}
