//! Hex text, as files and command lines hold it.

use core::fmt::{self, Write};

use thiserror::Error;

/// Why a text is not the hex of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HexError {
    /// A character is no hex digit.
    #[error("character {position} is no hex digit")]
    Digit {
        /// Its place, counted from one.
        position: usize,
    },
    /// The digits do not pair up to bytes.
    #[error("{digits} hex digits are an odd number")]
    Odd {
        /// Digits found.
        digits: usize,
    },
    /// The text has another length than the field.
    #[error("{digits} hex digits, expected {expected}")]
    Length {
        /// Digits found.
        digits: usize,
        /// Digits that the field has.
        expected: usize,
    },
}

/// The bytes that hex digits stand for. White space is ignored wherever it stands, because tools
/// break long lines.
///
/// # Errors
/// [`HexError`] on another character or an odd number of digits.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, HexError> {
    let mut digits = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if byte.is_ascii_hexdigit() => digits.push(nibble(*byte)),
            _ if byte.is_ascii_whitespace() => {}
            _ => return Err(HexError::Digit { position: at + 1 }),
        }
    }
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(HexError::Odd { digits: digits.len() });
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// The `N` bytes of a field, from exactly `2 * N` hex digits; white space at the two ends alone is
/// ignored.
///
/// # Errors
/// [`HexError`] on another character or another number of digits.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let text = text.trim_ascii();
    if let Some(at) = text.bytes().position(|byte| !byte.is_ascii_hexdigit()) {
        return Err(HexError::Digit { position: at + 1 });
    }
    if text.len() != 2 * N {
        return Err(HexError::Length { digits: text.len(), expected: 2 * N });
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        *byte = nibble(*high) << 4 | nibble(*low);
    }
    Ok(bytes)
}

/// The lower-case hex of bytes.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    write(bytes.iter(), &mut text).expect("a string takes all that is written to it");
    text
}

/// Writes bytes as lower-case hex, in the order given.
pub(crate) fn write<'a>(
    mut bytes: impl Iterator<Item = &'a u8>,
    out: &mut impl Write,
) -> fmt::Result {
    bytes.try_for_each(|byte| write!(out, "{byte:02x}"))
}

fn nibble(digit: u8) -> u8 {
    assert!(digit.is_ascii_hexdigit(), "only checked digits are converted");
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_in_either_case() {
        assert_eq!(decode(b" 00fF\na5\n"), Ok(vec![0, 255, 0xa5]));
        assert_eq!(decode_array(" 00fFa5\n"), Ok([0, 255, 0xa5]));
        assert_eq!(encode(&[0, 255, 0xa5]), "00ffa5");
    }

    #[test]
    fn each_fault_is_named() {
        assert_eq!(decode(b" 0x"), Err(HexError::Digit { position: 3 }));
        assert_eq!(decode(b"abc"), Err(HexError::Odd { digits: 3 }));
        assert_eq!(decode_array::<2>("abcdef"), Err(HexError::Length { digits: 6, expected: 4 }));
        assert_eq!(decode_array::<2>("ab cd"), Err(HexError::Digit { position: 3 }));
    }
}
