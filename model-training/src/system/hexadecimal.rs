//! Digests and keys as text.

/// Two lower-case hexadecimal digits a byte.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of such a text; `None` where it is none, or of another length.
#[must_use]
pub fn from_hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let lower = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
    if text.len() != 2 * N || !text.as_bytes().iter().all(lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_they_are_written_and_in_no_other_way() {
        let bytes = [0, 9, 0xA0, 0xFF];
        assert_eq!(from_hexadecimal(&hexadecimal(&bytes)), Some(bytes));
        for text in ["", "0009a0f", "0009a0ff0", "0009A0FF", "0009a0fg", "+009a0ff", "0009a0ö"] {
            assert_eq!(from_hexadecimal::<4>(text), None, "{text}");
        }
    }
}
