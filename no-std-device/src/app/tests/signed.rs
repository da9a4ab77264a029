//! Models of an owner: what is refused before anything is erased, and the numbers that never come back.

use std::boxed::Box;

use ed25519_dalek::{Signer, SigningKey};
use no_std_infer::format::{ALIGN, Header, SIGNATURE_LEN, number};

use super::*;
use crate::signature::AtEachStart;

const LIMITS: (usize, &Linked) = (ARENA_LEN, Linked::ALL);

fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32])
}

fn owner() -> Owner {
    Owner(key(1).verifying_key().to_bytes())
}

/// The blob with this number, signed.
fn signed(blob: &[u8], key: &SigningKey, model_number: u32) -> Vec<u8> {
    const GAP: usize = 2 * ALIGN;
    let mut sections: Vec<Section> = Section::table(blob).unwrap().collect();
    let start = sections.iter().map(|section| section.offset).min().unwrap() as usize;
    sections.iter_mut().for_each(|section| section.offset += GAP as u32);
    let at_number = (blob.len() + GAP).next_multiple_of(ALIGN);
    let (at_signature, len) = (at_number + ALIGN, at_number + ALIGN + SIGNATURE_LEN);
    for (id, offset, len) in [(section::NUMBER, at_number, 4), (section::SIGNATURE, at_signature, SIGNATURE_LEN)] {
        sections.push(Section { id, offset: offset as u32, len: len as u32 });
    }
    let header =
        Header { sections: sections.len() as u16, total_len: len as u32, crc: 0, arena_len: arena_len(blob) as u32 };
    let mut signed = header.to_bytes().to_vec();
    signed.extend(sections.iter().flat_map(|section| section.to_bytes()));
    signed.resize(start + GAP, 0);
    signed.extend(&blob[start..]);
    signed.resize(at_number, 0);
    signed.extend(model_number.to_le_bytes());
    signed.resize(len, 0);
    let statement = credentials(&signed, &|| ()).unwrap().statement(len as u32).to_bytes();
    let [public, signature] = [&key.verifying_key().to_bytes()[..], &key.sign(&statement).to_bytes()];
    signed[at_signature..].copy_from_slice(&[public, signature].concat());
    let crc = blob_crc(&signed);
    signed[12..16].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(number(&signed), Some(model_number));
    signed
}

/// What becomes of an update.
fn take<T: Trust>(application: &mut Application<'_, Flash, T>, board: &mut Simulation, blob: &[u8]) -> Answer {
    let (answers, _) = converse(application, board, &requests_of(blob));
    let mut answers: VecDeque<Answer> = answers.into();
    let (kept, _) = converse(application, board, &[Request::Update(Update::Confirm)]);
    assert_eq!(kept.len(), 1);
    let refused = answers.iter().position(|answer| matches!(answer, Answer::Refused(_)));
    answers.remove(refused.unwrap_or(answers.len() - 1)).unwrap()
}

/// The same bytes where a blob may lie that is built in.
fn at_a_multiple_of_16(blob: &[u8]) -> &'static [u8] {
    #[repr(align(16))]
    struct Place([u8; 1024]);
    let Place(bytes) = Box::leak(Box::new(Place([0; 1024])));
    let bytes = &mut bytes[..blob.len()];
    bytes.copy_from_slice(blob);
    bytes
}

fn taken(blob: &[u8]) -> Answer {
    Answer::Received(blob.len() as u32)
}

#[test]
fn what_its_owner_has_not_signed_erases_nothing() {
    let (mut board, mut slots) = simulation();
    let power = Rc::clone(&board.clock.power);
    let good = signed(TINY, &key(1), 7);
    let announced = credentials(&good, &|| ()).unwrap();
    let others = signed(TINY, &key(2), 7);
    let forged = [
        (None, UpdateError::Unsigned),
        (credentials(&others, &|| ()), UpdateError::OtherKey),
        (Some(crate::link::Credentials { number: 8, ..announced }), UpdateError::Signature),
        (Some(crate::link::Credentials { content: [0; 32], ..announced }), UpdateError::Signature),
        (Some(crate::link::Credentials { signature: &[1; 64], ..announced }), UpdateError::Signature),
    ];
    with_application(owner(), &mut slots, |application| {
        for (credentials, why) in forged {
            let begin = Update::Begin { blob: identity(&good), credentials };
            let write = Update::Write { offset: 0, bytes: &good[..256] };
            let (answers, _) = converse(application, &mut board, &[begin, write].map(Request::Update));
            assert_eq!(answers, [Answer::Refused(why), Answer::Refused(UpdateError::NotBegun)]);
        }
        assert_eq!(power.operations(), 0);
        // Good credentials for other bytes: the blob itself says whose it is.
        let other = signed(TINY, &key(2), 9);
        let mut requests = requests_of(&other);
        assert_eq!(other.len(), good.len());
        requests[0] = Request::Update(Update::Begin { blob: identity(&other), credentials: Some(announced) });
        let (answers, _) = converse(application, &mut board, &requests);
        assert_eq!(answers.last(), Some(&Answer::Refused(UpdateError::OtherKey)));
        assert_eq!(take(application, &mut board, &good), taken(&good));
        assert_eq!(application.running(), Some(identity(&good)));
    });
}

#[test]
fn the_number_of_the_built_in_model_counts() {
    let (mut board, mut slots) = simulation();
    let [old, built_in, newer] = [8, 9, 10].map(|number| signed(TINY, &key(1), number));
    let built_in = at_a_multiple_of_16(&built_in);
    with_application(owner(), &mut slots, |application| {
        assert_eq!(take(application, &mut board, &old), taken(&old));
    });
    with_built_in(built_in, LIMITS, owner(), &mut slots, |application| {
        assert_eq!(application.running(), Some(identity(built_in)), "what the slot holds is older");
        let refused = |found| Answer::Refused(UpdateError::Number { found, floor: 9 });
        let another = changed(|_| ());
        assert_eq!(take(application, &mut board, &signed(&another, &key(1), 9)), refused(9));
        assert_eq!(take(application, &mut board, &old), refused(8));
        assert_eq!(take(application, &mut board, &newer), taken(&newer));
    });
    with_built_in(built_in, LIMITS, owner(), &mut slots, |application| {
        assert_eq!(application.running(), Some(identity(&newer)));
    });
}

/// A blob that new firmware can no longer run has had its number all the same.
#[test]
fn a_number_counts_also_where_its_blob_cannot_be_used() {
    let (mut board, mut slots) = simulation();
    let [first, between] = [7, 9].map(|number| signed(TINY, &key(1), number));
    let large = signed(FACES, &key(1), 12);
    with_application(owner(), &mut slots, |application| {
        assert_eq!(take(application, &mut board, &first), taken(&first));
        assert_eq!(take(application, &mut board, &large), taken(&large));
    });
    let limits = (ARENA_LEN - 16, Linked::ALL);
    for _ in 0..2 {
        with_limits(limits, owner(), &mut slots, |application| {
            assert_eq!(application.running(), Some(identity(&first)));
            let refused = Answer::Refused(UpdateError::Number { found: 9, floor: 12 });
            assert_eq!(take(application, &mut board, &between), refused);
        });
    }
}

#[test]
fn signatures_are_checked_at_each_start_where_that_is_asked_for() {
    let (mut board, mut slots) = simulation();
    with_application(Anyone, &mut slots, |application| {
        assert_eq!(take(application, &mut board, TINY), taken(TINY));
    });
    with_application(owner(), &mut slots, |application| assert_eq!(application.running(), Some(identity(TINY))));
    let mut with_signature = |expected: &[u8]| {
        with_application(AtEachStart(owner()), &mut slots, |application| {
            assert_eq!(application.running(), Some(identity(expected)));
            let good = signed(TINY, &key(1), 3);
            if expected == FACES {
                assert_eq!(take(application, &mut board, &good), taken(&good));
            }
        });
    };
    with_signature(FACES);
    with_signature(&signed(TINY, &key(1), 3));
}

#[test]
fn slots_are_not_rewritten_again_and_again() {
    let (mut board, mut slots) = simulation();
    let power = Rc::clone(&board.clock.power);
    with_application(Anyone, &mut slots, |application| {
        let mut rewrite = |board: &mut Simulation, byte: u8| {
            let begin = Update::Begin { blob: Identity { len: 999, sha256: [byte; 32] }, credentials: None };
            let write = Update::Write { offset: 0, bytes: &[0; 256] };
            converse(application, board, &[begin, write].map(Request::Update)).0.pop().unwrap()
        };
        for byte in 0..8 {
            assert_eq!(rewrite(&mut board, byte), Answer::Received(256));
        }
        let before = power.operations();
        for byte in 8..100 {
            let refused = rewrite(&mut board, byte);
            assert!(matches!(refused, Answer::Refused(UpdateError::Wear { seconds: 590..=600 })), "{refused:?}");
        }
        assert_eq!(power.operations(), before, "nothing is erased or written");
        board.clock.time.set(board.clock.time.get() + 600 * u64::from(Steps::HZ));
        assert_eq!(rewrite(&mut board, 100), Answer::Received(256));
    });
}

/// What was rolled back has not proved itself, and its number may come again; what has proved itself stays.
#[test]
fn with_a_key_only_a_model_on_trial_is_rolled_back() {
    let (mut board, mut slots) = simulation();
    let model = signed(TINY, &key(1), 7);
    let rollback = [Request::Update(Update::Rollback)];
    with_application(owner(), &mut slots, |application| {
        converse(application, &mut board, &requests_of(&model));
        assert_eq!(application.running(), Some(identity(&model)));
        assert_eq!(converse(application, &mut board, &rollback).0, [Answer::Received(0)]);
        assert_eq!(application.running(), Some(identity(FACES)));
        assert_eq!(take(application, &mut board, &model), taken(&model));
        let refused = Answer::Refused(UpdateError::Confirmed);
        assert_eq!(converse(application, &mut board, &rollback).0, [refused]);
        assert_eq!(application.running(), Some(identity(&model)));
    });
}
