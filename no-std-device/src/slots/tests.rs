use std::rc::Rc;
use std::vec::Vec;

use embedded_storage::nor_flash::NorFlash;

use super::*;
use crate::simulated::{Power, Simulated};

/// Bytes of a write from the host.
const CHUNK: usize = 4096;
/// Each operation is interrupted so many times, at random points within it.
const TEARS: u32 = 3;

/// Bytes of a blob.
fn blob(seed: u32, len: usize) -> Vec<u8> {
    (0..len as u32).map(|index| (index.wrapping_mul(seed * 2 + 1) >> 3) as u8).collect()
}

fn identity(blob: &[u8]) -> Identity {
    Identity::of(blob, &|| ())
}

fn running_now<F: MappedFlash>(slots: &mut [F; 2]) -> Option<Vec<u8>> {
    SlotPair::open(slots.each_mut(), &|| (), |_| true).blob().map(<[u8]>::to_vec)
}

/// What a host does to bring a blob, and the device for it.
fn update<F: MappedFlash>(slots: &mut [F; 2], blob: &[u8]) -> Result<(), UpdateError> {
    let SlotPair { mut idle, .. } = SlotPair::open(slots.each_mut(), &|| (), |_| true);
    let mut received = idle.begin(identity(blob))? as usize;
    while received < blob.len() {
        let end = blob.len().min(received + CHUNK);
        received = idle.write(received as u32, &blob[received..end], &|| ())? as usize;
    }
    let identity = identity(blob);
    assert_eq!(idle.whole(&identity, &|| ())?, blob);
    idle.switch(&identity, None, &|| ())?;
    let SlotPair { running, tentative, .. } = SlotPair::open(slots.each_mut(), &|| (), |_| true);
    if tentative && confirm(running) { Ok(()) } else { Err(UpdateError::Flash) }
}

fn slots<const WRITE: usize, const ERASE: usize>(power: &Rc<Power>, len: usize) -> [Simulated<WRITE, ERASE>; 2] {
    [0, 1].map(|_| Simulated::new(power, len))
}

/// Interrupts the last of `blobs.len()` updates, then looks what runs, and updates again.
fn interrupt_everywhere<const WRITE: usize, const ERASE: usize>(slot: usize, blobs: &[Vec<u8>]) {
    let [before @ .., last] = blobs else { panic!("there is an update") };
    let after = blob(99, last.len() / 2 + 7);
    let updated = |seed: u32| {
        let power = Power::new(seed);
        let mut slots = slots::<WRITE, ERASE>(&power, slot);
        before.iter().for_each(|blob| update(&mut slots, blob).unwrap());
        (power, slots)
    };
    let (power, mut slots) = updated(0);
    let start = power.operations();
    update(&mut slots, last).unwrap();
    let operations = power.operations() - start;
    assert_eq!(running_now(&mut slots).as_ref(), Some(last));
    assert!(operations as usize > slot.min(last.len()) / ERASE + 1, "{operations} operations");

    let (mut old, mut new) = (0, 0);
    for operation in 0..operations {
        for tear in 0..TEARS {
            let (power, mut slots) = updated(operation * TEARS + tear);
            power.fail_after(operation);
            assert_eq!(update(&mut slots, last), Err(UpdateError::Flash), "operation {operation}");
            assert!(power.has_failed(), "operation {operation}");
            power.restore();
            let runs = running_now(&mut slots);
            if runs.as_ref() == Some(last) {
                // The record was complete when power failed, or the trial had begun.
                assert!(operation + 3 >= operations);
                new += 1;
            } else {
                assert_eq!(runs.as_ref(), before.last(), "operation {operation} of {operations}");
                old += 1;
            }
            // The host goes on with the same update, or comes with another one.
            let next = if tear % 2 == 0 { last } else { &after };
            update(&mut slots, next).unwrap();
            assert_eq!(running_now(&mut slots).as_ref(), Some(next), "after operation {operation} of {operations}");
        }
    }
    assert!(old > new, "{old} interruptions left the old blob, {new} the new one");
}

fn blobs(count: u32) -> Vec<Vec<u8>> {
    // Different lengths, no multiples of anything.
    (1..=count).map(|seed| blob(seed, 30_001 + 977 * seed as usize)).collect()
}

#[test]
fn power_may_fail_at_any_moment() {
    for count in 1..=3 {
        // QEMU's slots, the RP2350's flash, and the STM32H7's.
        interrupt_everywhere::<1, 4096>(40 * 1024, &blobs(count));
        interrupt_everywhere::<256, 4096>(40 * 1024, &blobs(count));
        interrupt_everywhere::<32, { 128 * 1024 }>(128 * 1024, &blobs(count));
    }
}

#[test]
fn power_may_fail_again_and_again() {
    let power = Power::new(5);
    let mut slots = slots::<256, 4096>(&power, 40 * 1024);
    let [first, second] = [blob(1, 30_000), blob(2, 31_000)];
    update(&mut slots, &first).unwrap();
    for operation in 0.. {
        power.fail_after(operation);
        if update(&mut slots, &second).is_ok() {
            break;
        }
        power.restore();
        let runs = running_now(&mut slots).unwrap();
        assert!(runs == first || runs == second);
    }
    assert_eq!(running_now(&mut slots), Some(second));
}

#[test]
fn an_update_is_repeated_step_by_step() {
    let power = Power::new(1);
    let mut slots = slots::<32, 4096>(&power, 8192);
    let blob = blob(3, 1000);
    let pair = SlotPair::open(slots.each_mut(), &|| (), |_| true);
    assert_eq!(pair.blob(), None);
    let mut idle = pair.idle;
    assert_eq!(idle.write(0, &blob, &|| ()), Err(UpdateError::NotBegun));
    assert_eq!(idle.begin(Identity { len: 0, sha256: [1; 32] }), Err(UpdateError::Length { slot: 8192 - 256 }));
    assert_eq!(
        idle.begin(Identity { len: 8192 - 255, sha256: [1; 32] }),
        Err(UpdateError::Length { slot: 8192 - 256 })
    );
    assert_eq!(idle.begin(identity(&blob)), Ok(0));
    assert_eq!(idle.write(0, &blob[..300], &|| ()), Ok(256), "the host sends the rest again");
    assert_eq!(idle.write(0, &blob[..512], &|| ()), Ok(256), "this has arrived already");
    assert_eq!(idle.write(512, &blob[512..768], &|| ()), Ok(256), "this comes too early");
    assert_eq!(idle.begin(identity(&blob)), Ok(256));
    assert_eq!(idle.complete(&identity(&blob)), Err(UpdateError::Incomplete { received: 256 }));
    assert_eq!(idle.write(256, &blob[256..], &|| ()), Ok(1000));
    assert_eq!(idle.write(1000, &[1, 2, 3], &|| ()), Ok(1000), "nothing follows");
    assert_eq!(idle.complete(&identity(&[7])), Err(UpdateError::NotBegun));
    assert_eq!(idle.whole(&identity(&blob), &|| ()), Ok(&blob[..]));
    assert_eq!(idle.begin(Identity { len: 1001, ..identity(&blob) }), Ok(0), "another blob begins anew");
}

#[test]
fn a_blob_that_cannot_run_gives_way_to_the_other_slots() {
    let power = Power::new(1);
    let mut slots = slots::<32, 4096>(&power, 8192);
    let [first, second, third] = [1, 2, 3].map(|seed| blob(seed, 999));
    update(&mut slots, &first).unwrap();
    update(&mut slots, &second).unwrap();
    let pair = SlotPair::open(slots.each_mut(), &|| (), |blob| blob == first);
    assert_eq!(pair.blob(), Some(&first[..]));
    let mut idle = pair.idle;
    idle.begin(identity(&third)).unwrap();
    idle.write(0, &third, &|| ()).unwrap();
    idle.switch(&identity(&third), None, &|| ()).unwrap();
    assert_eq!(running_now(&mut slots), Some(third), "its number is higher than that of both");
    assert_eq!(SlotPair::open(slots.each_mut(), &|| (), |_| false).blob(), None);
}

#[test]
fn erased_or_zeroed_flash_holds_no_record() {
    for byte in [0, 0xFF] {
        assert_eq!(Record::from_bytes(&[byte; RECORD_LEN]), None);
    }
    let blob = Identity { len: 2, sha256: [3; 32] };
    for (number, floor) in [(None, None), (Some(0), Some(u32::MAX)), (Some(u32::MAX), Some(0)), (Some(7), None)] {
        let record = Record { sequence: 1, blob, number, floor };
        assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record));
    }
    let bytes = Record { sequence: 1, blob, number: Some(4), floor: Some(5) }.to_bytes();
    for bit in 0..8 * RECORD_LEN {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Record::from_bytes(&damaged), None, "bit {bit}");
    }
}

fn record(sequence: u32) -> Record {
    Record { sequence, blob: Identity { len: 1, sha256: [0; 32] }, number: None, floor: None }
}

/// All pairs of numbers of eight bits, in the upper bits, where arithmetic is that of eight bits.
#[test]
fn of_two_records_the_one_that_follows_is_newer_wherever_numbers_go_round() {
    let newer = |first: u8, second: u8| record(u32::from(first) << 24).is_newer(&record(u32::from(second) << 24));
    for first in 0..=u8::MAX {
        for second in 0..=u8::MAX {
            let ahead = first.wrapping_sub(second);
            assert_eq!(newer(first, second), (1..=127).contains(&ahead), "{first} and {second}");
            assert!(!(newer(first, second) && newer(second, first)), "{first} and {second}");
        }
        assert!(newer(first.wrapping_add(1), first) && !newer(first, first.wrapping_add(1)));
    }
    assert!(record(0).is_newer(&record(u32::MAX)) && !record(u32::MAX).is_newer(&record(0)));
}

/// Whatever sequence number a record has, also one that its device would not have given, the next update takes effect.
#[test]
fn an_update_takes_effect_after_any_sequence_number() {
    let [first, second] = [blob(1, 999), blob(2, 998)];
    for sequence in [0, 1, 0x7FFF_FFFF, 0x8000_0000, u32::MAX - 1, u32::MAX] {
        for usable in [true, false] {
            let mut slots = slots::<32, 4096>(&Power::new(1), 8192);
            update(&mut slots, &first).unwrap();
            let SlotPair { running, .. } = SlotPair::open(slots.each_mut(), &|| (), |_| true);
            running.erase(0, 4096).unwrap();
            let written = Record { sequence, blob: identity(if usable { &first } else { &second }), ..record(0) };
            running.write(0, &written.to_bytes()).unwrap();
            running.write(256, &[&first[..], &[0; 25]].concat()).unwrap();
            for next in [&second, &first, &second] {
                update(&mut slots, next).unwrap();
                assert_eq!(running_now(&mut slots).as_ref(), Some(next), "{sequence}");
            }
        }
    }
}

/// The greatest number counts, wherever its record is and whether or not its blob can be used, and is in the next record.
#[test]
fn the_greatest_number_is_kept_over_all_updates() {
    let mut slots = slots::<32, 4096>(&Power::new(1), 8192);
    for (step, number) in [Some(5), Some(9), None, Some(7), None, None].into_iter().enumerate() {
        for usable in [true, false] {
            let SlotPair { mut idle, .. } = SlotPair::open(slots.each_mut(), &|| (), |_| usable);
            let floor = [None, Some(5), Some(9)][step.min(2)];
            assert_eq!(idle.floor(), floor, "before update {step}");
            if usable {
                continue;
            }
            let blob = blob(step as u32, 999);
            idle.begin(identity(&blob)).unwrap();
            idle.write(0, &blob, &|| ()).unwrap();
            idle.switch(&identity(&blob), number, &|| ()).unwrap();
            assert!(confirm(SlotPair::open(slots.each_mut(), &|| (), |_| true).running));
        }
    }
    let SlotPair { mut idle, .. } = SlotPair::open(slots.each_mut(), &|| (), |_| true);
    idle.raise_floor(Some(8));
    assert_eq!(idle.floor(), Some(9));
    idle.raise_floor(Some(10));
    assert_eq!(idle.floor(), Some(10));
}

#[test]
fn nothing_is_erased_before_bytes_arrive() {
    let power = Power::new(1);
    let mut slots = slots::<32, 4096>(&power, 4 * 4096);
    let blob = blob(3, 3 * 4096);
    let SlotPair { mut idle, .. } = SlotPair::open(slots.each_mut(), &|| (), |_| true);
    for _ in 0..100 {
        idle.begin(identity(&blob)).unwrap();
        for bytes in [&[][..], &blob[..255]] {
            assert!(!idle.would_rewrite(0, bytes));
            assert_eq!(idle.write(0, bytes, &|| ()), Ok(0));
        }
    }
    assert_eq!(power.operations(), 0);
    assert!(idle.would_rewrite(0, &blob[..256]) && !idle.would_rewrite(256, &blob[..256]));
    assert_eq!(idle.write(0, &blob[..256], &|| ()), Ok(256));
    assert_eq!(power.operations(), 2, "a sector is erased, and some of it written");
    assert!(!idle.would_rewrite(256, &blob[256..]));
}

#[test]
fn a_word_that_is_lost_on_the_way_is_found_by_the_flash_and_not_by_the_core() {
    let power = Power::new(3);
    let (blob, mut slots) = (blob(7, 5000), slots::<32, 1024>(&power, 16 * 1024));
    let SlotPair { mut idle, .. } = SlotPair::open(slots.each_mut(), &|| (), |_| true);
    assert_eq!(idle.begin(identity(&blob)), Ok(0));
    for (offset, bytes) in (0..).step_by(CHUNK).zip(blob.chunks(CHUNK)) {
        idle.write(offset, bytes, &|| ()).unwrap();
    }
    assert_eq!(idle.whole(&identity(&blob), &|| ()), Ok(&*blob));
    idle.slot.lose(record_space::<Simulated<32, 1024>>() + 4321);
    assert_eq!(idle.whole(&identity(&blob), &|| ()), Err(UpdateError::Digest));
}
