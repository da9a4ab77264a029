//! Damage that gets far: most of it leaves a blob whole but for a value or two.

use fastrand::Rng;
use no_std_infer::format::{RECORD_LEN, Section, section};

use crate::repair;

/// Numbers at the ends of what fields hold.
const EDGES: [u32; 10] = [0, 1, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, u32::MAX];

/// A damaged copy of a good blob, checksum repaired.
#[must_use]
pub fn mutant(blob: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut mutant = blob.to_vec();
    for _ in 0..rng.u8(1..=3) {
        let records = place(&mutant, section::OPERATORS);
        match rng.u8(0..8) {
            0..4 => replace_everywhere(&mut mutant[records], rng),
            4 | 5 => change(&mut mutant[records], rng),
            6 => exchange(&mut mutant[records], rng),
            _ => change(&mut mutant, rng),
        }
    }
    repair(&mut mutant);
    mutant
}

/// The bytes of a section; none where there is no such section.
fn place(blob: &[u8], id: u32) -> std::ops::Range<usize> {
    let entry = Section::table(blob).and_then(|mut entries| entries.find(|entry| entry.id == id));
    let place =
        entry.map_or(0..0, |entry| entry.offset as usize..(entry.offset as usize).saturating_add(entry.len as usize));
    if place.end <= blob.len() { place } else { 0..0 }
}

/// Changes a number wherever it stands at the same place of a tensor: so a tensor keeps its shape and its place in all
/// operators that it joins.
fn replace_everywhere(bytes: &mut [u8], rng: &mut Rng) {
    let width = if rng.bool() { 2 } else { 4 };
    let Some(last) = bytes.len().checked_sub(width) else { return };
    let at = rng.usize(0..=last);
    let old = bytes[at..at + width].to_vec();
    let new = other(&old, rng);
    for start in 0..=last {
        if bytes[start..start + width] == old {
            bytes[start..start + width].copy_from_slice(&new);
        }
    }
}

/// Changes a number.
fn change(bytes: &mut [u8], rng: &mut Rng) {
    let width = [1, 2, 4][rng.usize(0..3)];
    let Some(last) = bytes.len().checked_sub(width) else { return };
    let at = rng.usize(0..=last);
    let new = other(&bytes[at..at + width], rng);
    bytes[at..at + width].copy_from_slice(&new);
}

/// Swaps two operators, or lets one take another's place.
fn exchange(bytes: &mut [u8], rng: &mut Rng) {
    let (records, _) = bytes.as_chunks_mut::<RECORD_LEN>();
    if records.is_empty() {
        return;
    }
    let [a, b] = [(); 2].map(|()| rng.usize(0..records.len()));
    if rng.bool() { records.swap(a, b) } else { records[a] = records[b] }
}

/// A number near a little-endian one, a multiple or a part of it, one at the end of a field's range, or any.
fn other(old: &[u8], rng: &mut Rng) -> Vec<u8> {
    let value = old.iter().rev().fold(0_u32, |value, &byte| value << 8 | u32::from(byte));
    let new = match rng.u8(0..8) {
        0 => value.wrapping_add(1),
        1 => value.wrapping_sub(1),
        2 => value.wrapping_add(rng.u32(0..64)),
        3 => value.wrapping_sub(16 * rng.u32(0..16)),
        4 => value.wrapping_mul(2),
        5 => value / 2,
        6 => EDGES[rng.usize(0..EDGES.len())],
        _ => rng.u32(..),
    };
    new.to_le_bytes()[..old.len()].to_vec()
}
