use std::rc::Rc;
use std::vec::Vec;

use no_std_infer::format::{HEADER_LEN, Header, blob_crc};

use super::*;
use crate::simulated::{Power, Simulated};

/// Bytes of a write from the host.
const CHUNK: usize = 4096;
/// Each operation is interrupted so many times, at random points within it.
const TEARS: u32 = 3;

/// Something like a blob: a header, and bytes for its checksum.
fn blob(seed: u32, len: usize) -> Vec<u8> {
    let mut blob: Vec<u8> = (0..len as u32).map(|index| (index.wrapping_mul(seed * 2 + 1) >> 3) as u8).collect();
    let mut header = Header { sections: 0, total_len: len as u32, crc: 0, arena_len: 0 };
    blob[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    header.crc = blob_crc(&blob);
    blob[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    blob
}

fn crc(blob: &[u8]) -> u32 {
    u32::from_le_bytes(blob[12..16].try_into().unwrap())
}

fn is_whole(blob: &[u8]) -> bool {
    blob.len() >= HEADER_LEN && blob_crc(blob) == crc(blob)
}

fn running<F: MappedFlash>(slots: &mut [F; 2]) -> Option<Vec<u8>> {
    SlotPair::open(slots.each_mut(), is_whole).blob().map(<[u8]>::to_vec)
}

/// What a host does to bring a blob, and the device for it.
fn update<F: MappedFlash>(slots: &mut [F; 2], blob: &[u8]) -> Result<(), UpdateError> {
    let SlotPair { mut idle, .. } = SlotPair::open(slots.each_mut(), is_whole);
    let mut received = idle.begin(blob.len() as u32, crc(blob))? as usize;
    while received < blob.len() {
        let end = blob.len().min(received + CHUNK);
        received = idle.write(received as u32, &blob[received..end], &|| ())? as usize;
    }
    let complete = idle.complete(crc(blob))?;
    if !is_whole(complete) {
        return Err(UpdateError::Crc);
    }
    idle.switch(crc(blob), &|| ())
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
    assert_eq!(running(&mut slots).as_ref(), Some(last));
    assert!(operations as usize > slot.min(last.len()) / ERASE + 1, "{operations} operations");

    let (mut old, mut new) = (0, 0);
    for operation in 0..operations {
        for tear in 0..TEARS {
            let (power, mut slots) = updated(operation * TEARS + tear);
            power.fail_after(operation);
            assert_eq!(update(&mut slots, last), Err(UpdateError::Flash), "operation {operation}");
            power.restore();
            let runs = running(&mut slots);
            if runs.as_ref() == Some(last) {
                // The record was complete when power failed.
                assert_eq!(operation + 1, operations);
                new += 1;
            } else {
                assert_eq!(runs.as_ref(), before.last(), "operation {operation} of {operations}");
                old += 1;
            }
            // The host goes on with the same update, or comes with another one.
            let next = if tear % 2 == 0 { last } else { &after };
            update(&mut slots, next).unwrap();
            assert_eq!(running(&mut slots).as_ref(), Some(next), "after operation {operation} of {operations}");
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
        let runs = running(&mut slots).unwrap();
        assert!(runs == first || runs == second);
    }
    assert_eq!(running(&mut slots), Some(second));
}

#[test]
fn an_update_is_repeated_step_by_step() {
    let power = Power::new(1);
    let mut slots = slots::<32, 4096>(&power, 8192);
    let blob = blob(3, 1000);
    let pair = SlotPair::open(slots.each_mut(), is_whole);
    assert_eq!(pair.blob(), None);
    let mut idle = pair.idle;
    assert_eq!(idle.write(0, &blob, &|| ()), Err(UpdateError::NotBegun));
    assert_eq!(idle.begin(0, 1), Err(UpdateError::Length { slot: 8192 - 256 }));
    assert_eq!(idle.begin(8192 - 255, 1), Err(UpdateError::Length { slot: 8192 - 256 }));
    assert_eq!(idle.begin(1000, crc(&blob)), Ok(0));
    assert_eq!(idle.write(0, &blob[..300], &|| ()), Ok(256), "the host sends the rest again");
    assert_eq!(idle.write(0, &blob[..512], &|| ()), Ok(256), "this has arrived already");
    assert_eq!(idle.write(512, &blob[512..768], &|| ()), Ok(256), "this comes too early");
    assert_eq!(idle.begin(1000, crc(&blob)), Ok(256));
    assert_eq!(idle.complete(crc(&blob)), Err(UpdateError::Incomplete { received: 256 }));
    assert_eq!(idle.write(256, &blob[256..], &|| ()), Ok(1000));
    assert_eq!(idle.write(1000, &[1, 2, 3], &|| ()), Ok(1000), "nothing follows");
    assert_eq!(idle.complete(7), Err(UpdateError::NotBegun));
    assert_eq!(idle.complete(crc(&blob)), Ok(&blob[..]));
    assert_eq!(idle.begin(1001, crc(&blob)), Ok(0), "another blob begins anew");
}

#[test]
fn a_blob_that_cannot_run_gives_way_to_the_other_slots() {
    let power = Power::new(1);
    let mut slots = slots::<32, 4096>(&power, 8192);
    let [first, second, third] = [1, 2, 3].map(|seed| blob(seed, 999));
    update(&mut slots, &first).unwrap();
    update(&mut slots, &second).unwrap();
    let pair = SlotPair::open(slots.each_mut(), |blob| blob == first);
    assert_eq!(pair.blob(), Some(&first[..]));
    let mut idle = pair.idle;
    idle.begin(999, crc(&third)).unwrap();
    idle.write(0, &third, &|| ()).unwrap();
    idle.switch(crc(&third), &|| ()).unwrap();
    assert_eq!(running(&mut slots), Some(third), "its number is higher than that of both");
    assert_eq!(SlotPair::open(slots.each_mut(), |_| false).blob(), None);
}

#[test]
fn erased_or_zeroed_flash_holds_no_record() {
    for byte in [0, 0xFF] {
        assert_eq!(Record::from_bytes(&[byte; RECORD_LEN]), None);
    }
    let record = Record { sequence: 1, len: 2, crc: 3 };
    let bytes = record.to_bytes();
    assert_eq!(Record::from_bytes(&bytes), Some(record));
    for bit in 0..8 * RECORD_LEN {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Record::from_bytes(&damaged), None, "bit {bit}");
    }
}
