//! What a client can ask of the key-value store.

use bytes::Bytes;
use quorumark_primitives::wire::{Encode, WireError, encode_bytes};

use crate::permissions::Allowed;

/// The largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// The smallest operation that [`Operation::put_of_size`] makes, in bytes.
pub const PAYLOAD_BYTES_MIN: usize = 16;
/// The largest operation that [`Operation::put_of_size`] makes, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// Bytes of a put beside its value: the tag and the key.
const PUT_OVERHEAD: usize = 1 + size_of::<u64>();

const GET: u8 = 0;
const PUT: u8 = 1;
const COMPARE_AND_SWAP: u8 = 2;
const UPDATE: u8 = 3;
const READ_MODIFY_WRITE: u8 = 4;

/// One operation, borrowed from the request that carries it.
///
/// The encoding is a tag byte, the key in 8 bytes little-endian, the other fields, and last the
/// value or patch, which is all that is left of the frame and so needs no length. A put of any size
/// from 9 bytes up exists for that reason, and an operation is read with [`Operation::parse`] from
/// bytes that hold it alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation<'a> {
    /// Reads the value of `key`.
    Get {
        /// The key.
        key: u64,
    },
    /// Makes `value` the value of `key`.
    Put {
        /// The key.
        key: u64,
        /// At most [`VALUE_BYTES_MAX`] bytes.
        value: &'a [u8],
    },
    /// Makes `value` the value of `key` if that holds what the client expects.
    CompareAndSwap {
        /// The key.
        key: u64,
        /// The value that must be there; `None`: there must be none.
        expected: Option<&'a [u8]>,
        /// At most [`VALUE_BYTES_MAX`] bytes.
        value: &'a [u8],
    },
    /// Overwrites a part of the value of `key`: YCSB's update of one field of a record.
    Update {
        /// The key.
        key: u64,
        /// Where the patch begins in the value, in bytes.
        offset: u32,
        /// What it puts there; the value must reach to its end.
        patch: &'a [u8],
    },
    /// As [`Operation::Update`], and answers the value as it was before: YCSB's workload f, in one
    /// atomic step.
    ReadModifyWrite {
        /// The key.
        key: u64,
        /// Where the patch begins in the value, in bytes.
        offset: u32,
        /// What it puts there; the value must reach to its end.
        patch: &'a [u8],
    },
}

impl<'a> Operation<'a> {
    /// Reads the operation that `bytes` are; it borrows from them and copies nothing.
    ///
    /// # Errors
    /// [`WireError`] when no operation has this encoding.
    pub fn parse(bytes: &'a [u8]) -> Result<Operation<'a>, WireError> {
        let mut rest = bytes;
        let [tag] = array(&mut rest)?;
        let key = u64::from_le_bytes(array(&mut rest)?);
        match tag {
            GET if rest.is_empty() => Ok(Operation::Get { key }),
            GET => Err(WireError::Trailing { count: rest.len() }),
            PUT => Ok(Operation::Put { key, value: value(rest)? }),
            COMPARE_AND_SWAP => {
                let expected = expected(&mut rest)?;
                Ok(Operation::CompareAndSwap { key, expected, value: value(rest)? })
            }
            UPDATE => {
                let offset = u32::from_le_bytes(array(&mut rest)?);
                Ok(Operation::Update { key, offset, patch: value(rest)? })
            }
            READ_MODIFY_WRITE => {
                let offset = u32::from_le_bytes(array(&mut rest)?);
                Ok(Operation::ReadModifyWrite { key, offset, patch: value(rest)? })
            }
            tag => Err(WireError::Tag { tag, of: "operation" }),
        }
    }

    /// The key that an operation is about, if it is one: where it is looked for, before its turn, and written.
    #[inline]
    pub(super) fn key_of(bytes: &[u8]) -> Option<u64> {
        let key = bytes.get(1..)?.first_chunk()?;
        Some(u64::from_le_bytes(*key))
    }

    /// A put whose encoding has exactly `size` bytes: the payload of fixed-size workloads.
    ///
    /// The value repeats a mix of the key, so that equal arguments give equal bytes and different
    /// keys different values.
    ///
    /// # Panics
    /// When `size` is not within [`PAYLOAD_BYTES_MIN`] and [`PAYLOAD_BYTES_MAX`].
    pub fn put_of_size(key: u64, size: usize) -> Bytes {
        assert!(
            (PAYLOAD_BYTES_MIN..=PAYLOAD_BYTES_MAX).contains(&size),
            "a payload has {PAYLOAD_BYTES_MIN} to {PAYLOAD_BYTES_MAX} bytes, not {size}"
        );
        let filling = super::mix(key).to_le_bytes();
        let mut out = Vec::with_capacity(size);
        Operation::Put { key, value: &[] }.encode(&mut out);
        out.extend(filling.iter().cycle().take(size - PUT_OVERHEAD));
        assert_eq!(out.len(), size, "a payload has exactly the size that was asked for");
        Bytes::from(out)
    }

    /// What a client must be allowed for it.
    pub fn needs(&self) -> Allowed {
        match self {
            Operation::Get { .. } => Allowed::GET,
            Operation::Put { .. } | Operation::Update { .. } => Allowed::PUT,
            Operation::CompareAndSwap { .. } => Allowed::COMPARE_AND_SWAP,
            Operation::ReadModifyWrite { .. } => Allowed::GET.and(Allowed::PUT),
        }
    }
}

impl Encode for Operation<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut head = |tag: u8, key: u64| {
            out.push(tag);
            key.encode(out);
        };
        match *self {
            Operation::Get { key } => head(GET, key),
            Operation::Put { key, value } => {
                head(PUT, key);
                out.extend_from_slice(value);
            }
            Operation::CompareAndSwap { key, expected, value } => {
                head(COMPARE_AND_SWAP, key);
                expected.is_some().encode(out);
                if let Some(expected) = expected {
                    encode_bytes(expected, out);
                }
                out.extend_from_slice(value);
            }
            Operation::Update { key, offset, patch } => {
                head(UPDATE, key);
                offset.encode(out);
                out.extend_from_slice(patch);
            }
            Operation::ReadModifyWrite { key, offset, patch } => {
                head(READ_MODIFY_WRITE, key);
                offset.encode(out);
                out.extend_from_slice(patch);
            }
        }
    }
}

/// Takes the next `N` bytes. Slices and not a `Reader`: its views are counted references, which
/// cost more than a small operation itself.
fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], WireError> {
    let missing = N.saturating_sub(rest.len());
    let (array, after) = rest.split_first_chunk().ok_or(WireError::Truncated { missing })?;
    *rest = after;
    Ok(*array)
}

/// Takes what a compare-and-swap expects: an option of a byte string.
fn expected<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, WireError> {
    match array(rest)? {
        [0] => Ok(None),
        [1] => {
            let length = u32::from_le_bytes(array(rest)?) as usize;
            if length > VALUE_BYTES_MAX {
                return Err(WireError::Length { length, max: VALUE_BYTES_MAX, of: "value" });
            }
            let missing = length.saturating_sub(rest.len());
            let (value, after) =
                rest.split_at_checked(length).ok_or(WireError::Truncated { missing })?;
            *rest = after;
            Ok(Some(value))
        }
        [tag] => Err(WireError::Tag { tag, of: "option" }),
    }
}

/// What is left, as a value.
fn value(rest: &[u8]) -> Result<&[u8], WireError> {
    match rest.len() {
        0..=VALUE_BYTES_MAX => Ok(rest),
        length => Err(WireError::Length { length, max: VALUE_BYTES_MAX, of: "value" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_reads_back_as_it_was_written() {
        let operations = [
            Operation::Get { key: u64::MAX },
            Operation::Put { key: 0, value: b"" },
            Operation::Put { key: 1, value: b"value" },
            Operation::CompareAndSwap { key: 2, expected: None, value: b"new" },
            Operation::CompareAndSwap { key: 2, expected: Some(b""), value: b"" },
            Operation::CompareAndSwap { key: 2, expected: Some(b"old"), value: b"new" },
            Operation::Update { key: 3, offset: 7, patch: b"patch" },
            Operation::ReadModifyWrite { key: 4, offset: u32::MAX, patch: b"" },
        ];
        for operation in operations {
            assert_eq!(Operation::parse(&operation.to_frame()), Ok(operation));
        }
    }

    #[test]
    fn each_bad_encoding_is_named() {
        let cas = |tail: &[u8]| [&[COMPARE_AND_SWAP, 0, 0, 0, 0, 0, 0, 0, 0], tail].concat();
        let bad: [(Vec<u8>, WireError); 7] = [
            (vec![], WireError::Truncated { missing: 1 }),
            (vec![GET, 1, 2], WireError::Truncated { missing: 6 }),
            ([0; 11].to_vec(), WireError::Trailing { count: 2 }),
            ([9; 9].to_vec(), WireError::Tag { tag: 9, of: "operation" }),
            (cas(&[2]), WireError::Tag { tag: 2, of: "option" }),
            (cas(&[1, 5, 0, 0, 0, b'x']), WireError::Truncated { missing: 4 }),
            (
                cas(&[1, 255, 255, 255, 255]),
                WireError::Length { length: u32::MAX as usize, max: VALUE_BYTES_MAX, of: "value" },
            ),
        ];
        for (bytes, error) in bad {
            assert_eq!(Operation::parse(&bytes), Err(error), "{bytes:?}");
        }
        let long = vec![PUT; PUT_OVERHEAD + VALUE_BYTES_MAX + 1];
        assert!(matches!(Operation::parse(&long), Err(WireError::Length { .. })));
        assert!(Operation::parse(&long[1..]).is_ok());
    }

    #[test]
    fn a_put_of_a_size_has_exactly_that_size() {
        for size in [16, 17, 23, 24, 100, 128, 256, 1024, 4096, 16 << 10] {
            let payload = Operation::put_of_size(42, size);
            assert_eq!(payload.len(), size);
            let Ok(Operation::Put { key, value }) = Operation::parse(&payload) else {
                panic!("{size} bytes are no put")
            };
            assert_eq!((key, value.len()), (42, size - PUT_OVERHEAD));
        }
    }
}
