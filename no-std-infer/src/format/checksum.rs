//! The checksum of a blob, four bytes at a time.

/// What the last byte of a remainder becomes.
const TABLE: &[u32; 256] = {
    let [table] = crate::CRC32.table();
    table
};

/// CRC-32 (ISO-HDLC, as in zip and Ethernet) of `blob` without its bytes 12..16.
#[must_use]
pub fn blob_crc(blob: &[u8]) -> u32 {
    blob_crc_with(blob, usize::MAX, || ())
}

/// Like [`blob_crc`], and calls `after` after each `piece` bytes; a `piece` of 0 counts as 1.
#[must_use]
pub fn blob_crc_with(blob: &[u8], piece: usize, mut after: impl FnMut()) -> u32 {
    let mut remainder = update(u32::MAX, blob.get(..12).unwrap_or(&[]));
    for bytes in blob.get(16..).unwrap_or(&[]).chunks(piece.max(1)) {
        remainder = update(remainder, bytes);
        after();
    }
    !remainder
}

/// The remainder after more bytes. A word is added to it at once, and then divided byte by byte.
fn update(mut remainder: u32, bytes: &[u8]) -> u32 {
    let word = |remainder, word: [u8; 4]| divide(divide(divide(divide(remainder ^ u32::from_le_bytes(word)))));
    let (pairs, rest) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in pairs {
        remainder = word(word(remainder, [a, b, c, d]), [e, f, g, h]);
    }
    rest.iter().fold(remainder, |remainder, &byte| divide(remainder ^ u32::from(byte)))
}

/// The remainder after its last byte.
#[inline(always)]
fn divide(remainder: u32) -> u32 {
    let [last, ..] = remainder.to_le_bytes();
    TABLE[usize::from(last)] ^ remainder >> 8
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::CRC32;

    proptest! {
        #[test]
        fn it_is_the_crc_of_all_but_four_bytes(blob in proptest::collection::vec(any::<u8>(), 16..200), piece in 0_usize..40) {
            let counted: Vec<u8> = blob.iter().enumerate().filter(|(at, _)| !(12..16).contains(at)).map(|(_, &b)| b).collect();
            prop_assert_eq!(blob_crc(&blob), CRC32.checksum(&counted));
            let mut pieces = 0;
            prop_assert_eq!(blob_crc_with(&blob, piece, || pieces += 1), CRC32.checksum(&counted));
            prop_assert_eq!(pieces, blob.len().saturating_sub(16).div_ceil(piece.max(1)));
        }
    }
}
