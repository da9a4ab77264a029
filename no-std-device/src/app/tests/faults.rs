//! Flash that is damaged, unreadable or unsteady: a model runs all the same.

use super::*;
use crate::slots::{Record, confirm, record_space};

/// A byte of a blob, counted from the start of its slot: it is neither in the record nor in the blob's header.
const AT: usize = record_space::<Flash>() + 1000;

/// Two slots of which one holds another model, which has proved itself, and that one's index.
fn updated() -> ([Flash; 2], usize) {
    let (mut board, mut slots) = simulation();
    with_application(Anyone, &mut slots, |application| converse(application, &mut board, &requests_of(&another())));
    let holds = slots.iter_mut().position(|slot| Record::read(slot).is_some()).unwrap();
    assert!(confirm(&mut slots[holds]));
    (slots, holds)
}

/// The checksum in a blob's header.
fn crc(blob: &[u8]) -> u32 {
    u32::from_le_bytes(blob[12..16].try_into().unwrap())
}

/// Checksum of the model that runs after a start.
fn runs(slots: &mut [Flash; 2]) -> u32 {
    with_application(Anyone, slots, |application| application.model().expect("a model is built in").crc())
}

#[test]
fn a_damaged_word_lets_the_built_in_model_run() {
    let (mut slots, holds) = updated();
    assert_eq!(runs(&mut slots), crc(&another()));
    slots[holds].damage(AT, 4);
    assert_eq!(runs(&mut slots), crc(FACES));
}

/// A processor that reads such a word itself stops, at each start anew.
#[test]
fn a_word_that_cannot_be_read_lets_the_built_in_model_run() {
    let (mut slots, holds) = updated();
    slots[holds].lose(AT);
    assert_eq!(runs(&mut slots), crc(FACES));
}

/// A look that finds the blob whole may be followed by one that does not.
#[test]
fn a_blob_that_reads_differently_the_second_time_lets_the_built_in_model_run() {
    let (mut slots, holds) = updated();
    slots[holds].unsettle(AT, 4);
    let found: Vec<u32> = (0..64).map(|_| runs(&mut slots)).collect();
    for model in [crc(FACES), crc(&another())] {
        assert!(found.contains(&model), "{model:08x} never runs");
    }
    slots[holds].unsettle(AT, 0);
    assert_eq!(runs(&mut slots), crc(&another()));
}

#[test]
fn a_record_that_cannot_be_read_lets_the_built_in_model_run() {
    let (mut slots, holds) = updated();
    slots[holds].make_unreadable(true);
    let found: Vec<u32> = (0..16).map(|_| runs(&mut slots)).collect();
    for model in [crc(FACES), crc(&another())] {
        assert!(found.contains(&model), "{model:08x} never runs");
    }
}

#[test]
fn what_was_written_and_cannot_be_read_back_is_not_granted() {
    let (mut granted, mut refused) = (0, 0);
    for seed in 0..16 {
        let (mut board, _) = simulation();
        let power = Power::new(seed);
        let mut slots = [0, 1].map(|_| Flash::new(&power, 96 * 1024));
        slots.iter_mut().for_each(|slot| slot.make_unreadable(true));
        let outcome = with_application(Anyone, &mut slots, |application| {
            let (answers, _) = converse(application, &mut board, &requests_of(&another()));
            let runs = application.model().expect("a model is built in").crc();
            assert!([crc(FACES), crc(&another())].contains(&runs));
            answers.last().map(|answer| *answer == Answer::Refused(UpdateError::Flash))
        });
        if outcome == Some(true) { refused += 1 } else { granted += 1 }
    }
    assert!(granted > 0 && refused > 0, "{granted} granted, {refused} refused");
}
