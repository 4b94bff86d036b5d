//! What the key-value store answers.

use bytes::Bytes;
use quorumark_primitives::wire::{Encode, WireError};

const DONE: u8 = 0;
const ABSENT: u8 = 1;
const VALUE: u8 = 2;
const MISMATCH: u8 = 3;
const OUT_OF_RANGE: u8 = 4;
const FORBIDDEN: u8 = 5;
const MALFORMED: u8 = 6;
const FULL: u8 = 7;

/// The result of one operation. All but [`Outcome::Done`], and [`Outcome::Value`] of a
/// read-modify-write, left the state as it was.
///
/// The encoding is a tag byte, and for a value all that is left of the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<'a> {
    /// It was written.
    Done,
    /// The key has no value.
    Absent,
    /// The value of the key; of a read-modify-write, as it was before.
    Value(&'a [u8]),
    /// The value is not the one that a compare-and-swap expected. It is not told: the client may
    /// lack the right to read it.
    Mismatch,
    /// A patch reaches beyond the end of the value.
    OutOfRange,
    /// The client may not do this.
    Forbidden,
    /// The bytes are no operation.
    Malformed,
    /// There is no room for what would be written: see [`super::Limits`].
    Full,
}

impl<'a> Outcome<'a> {
    /// Reads the outcome that `bytes` are; it borrows from them and copies nothing.
    ///
    /// # Errors
    /// [`WireError`] when no outcome has this encoding.
    pub fn parse(bytes: &'a [u8]) -> Result<Outcome<'a>, WireError> {
        let (&tag, rest) = bytes.split_first().ok_or(WireError::Truncated { missing: 1 })?;
        let outcome = match tag {
            VALUE => return Ok(Outcome::Value(rest)),
            DONE => Outcome::Done,
            ABSENT => Outcome::Absent,
            MISMATCH => Outcome::Mismatch,
            OUT_OF_RANGE => Outcome::OutOfRange,
            FORBIDDEN => Outcome::Forbidden,
            MALFORMED => Outcome::Malformed,
            FULL => Outcome::Full,
            tag => return Err(WireError::Tag { tag, of: "outcome" }),
        };
        match rest.len() {
            0 => Ok(outcome),
            count => Err(WireError::Trailing { count }),
        }
    }

    /// The encoding as a result; only a value allocates.
    #[inline]
    pub(super) fn to_result(self) -> Bytes {
        match self {
            Outcome::Value(value) => {
                // Exact capacity: `Bytes` then takes the buffer over as it is.
                let mut frame = Vec::with_capacity(1 + value.len());
                Outcome::Value(value).encode(&mut frame);
                Bytes::from(frame)
            }
            Outcome::Done => Bytes::from_static(&[DONE]),
            Outcome::Absent => Bytes::from_static(&[ABSENT]),
            Outcome::Mismatch => Bytes::from_static(&[MISMATCH]),
            Outcome::OutOfRange => Bytes::from_static(&[OUT_OF_RANGE]),
            Outcome::Forbidden => Bytes::from_static(&[FORBIDDEN]),
            Outcome::Malformed => Bytes::from_static(&[MALFORMED]),
            Outcome::Full => Bytes::from_static(&[FULL]),
        }
    }
}

impl Encode for Outcome<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Outcome::Value(value) => {
                out.push(VALUE);
                out.extend_from_slice(value);
            }
            valueless => out.extend_from_slice(&valueless.to_result()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_reads_back_as_it_was_written() {
        let outcomes = [
            Outcome::Done,
            Outcome::Absent,
            Outcome::Value(b""),
            Outcome::Value(b"value"),
            Outcome::Mismatch,
            Outcome::OutOfRange,
            Outcome::Forbidden,
            Outcome::Malformed,
            Outcome::Full,
        ];
        for outcome in outcomes {
            assert_eq!(Outcome::parse(&outcome.to_frame()), Ok(outcome));
            assert_eq!(outcome.to_result(), outcome.to_frame());
        }
    }

    #[test]
    fn a_result_that_is_no_outcome_is_refused() {
        assert_eq!(Outcome::parse(&[]), Err(WireError::Truncated { missing: 1 }));
        assert_eq!(Outcome::parse(&[DONE, 0]), Err(WireError::Trailing { count: 1 }));
        assert_eq!(Outcome::parse(&[8]), Err(WireError::Tag { tag: 8, of: "outcome" }));
    }
}
