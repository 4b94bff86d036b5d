//! The canonical wire encoding: one value, one byte string, and back.
//!
//! Integers are little-endian and of fixed width, but where [`encode_varint`] writes them; a sequence
//! is its `u32` length and its elements; an enum is a tag byte and its fields; an option is 0, or 1 and its value. `decode(encode(x)) ==
//! x`, trailing bytes are refused, and every length is checked against the bytes that are left
//! before anything is allocated, so a hostile frame costs at most a small multiple of its own size.
//!
//! The codec is our own because byte strings are decoded as views of the received frame
//! ([`Reader::bytes`]): the field's derive-based codecs copy them.

use bytes::Bytes;
use thiserror::Error;

use crate::Digest;

/// The largest frame that a transport accepts, in bytes: 8 MiB.
pub const FRAME_BYTES_MAX: usize = 8 << 20;

/// Why bytes are not the encoding of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// The frame ends inside a value.
    #[error("frame ends {missing} bytes inside a value")]
    Truncated {
        /// Bytes that the value still needed.
        missing: usize,
    },
    /// Bytes follow the value.
    #[error("{count} bytes follow the value")]
    Trailing {
        /// Bytes left over.
        count: usize,
    },
    /// A tag byte names no variant.
    #[error("tag {tag} names no variant of {of}")]
    Tag {
        /// The byte found.
        tag: u8,
        /// The type that was expected.
        of: &'static str,
    },
    /// A length is above what its field may hold.
    #[error("{of} has length {length}, allowed are at most {max}")]
    Length {
        /// The length found, in elements.
        length: usize,
        /// The bound of the field.
        max: usize,
        /// The field.
        of: &'static str,
    },
    /// The bytes are a second spelling of a value that has a canonical one.
    #[error("{of} is not in canonical form")]
    NotCanonical {
        /// The field.
        of: &'static str,
    },
}

/// A value with a canonical encoding.
pub trait Encode {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// The encoding as a frame of its own.
    fn to_frame(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        self.encode(&mut out);
        Bytes::from(out)
    }
}

/// A value that can be read back from its encoding.
pub trait Decode: Sized {
    /// The fewest bytes that any value of the type takes; bounds how many elements a sequence can
    /// hold in the bytes that are left.
    const SIZE_MIN: usize;

    /// Reads one value and leaves the reader behind it.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not the canonical encoding of a value.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError>;

    /// Reads a whole frame.
    ///
    /// # Errors
    /// As [`Decode::decode`], and [`WireError::Trailing`] when bytes are left.
    fn from_frame(frame: &Bytes) -> Result<Self, WireError> {
        Reader::new(frame).whole()
    }

    /// Reads a whole frame that nobody keeps: byte strings are copied out of it.
    ///
    /// # Errors
    /// As [`Decode::from_frame`].
    fn from_slice(frame: &[u8]) -> Result<Self, WireError> {
        Reader::of_slice(frame).whole()
    }
}

/// A cursor over one received frame. It borrows the frame: what is copied out of it costs no count of
/// its references, and what is viewed counts one.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// What byte strings are views of; without it they are copies.
    frame: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `frame`.
    pub fn new(frame: &'a Bytes) -> Reader<'a> {
        Reader { rest: frame, frame: Some(frame) }
    }

    /// A reader at the start of a frame that nobody keeps: byte strings are copied out of it.
    pub fn of_slice(frame: &'a [u8]) -> Reader<'a> {
        Reader { rest: frame, frame: None }
    }

    fn whole<T: Decode>(mut self) -> Result<T, WireError> {
        let value = T::decode(&mut self)?;
        self.finish()?;
        Ok(value)
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not read yet.
    pub fn unread(&self) -> &'a [u8] {
        self.rest
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`WireError::Trailing`] when bytes are left.
    pub fn finish(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(WireError::Trailing { count }),
        }
    }

    /// The next `N` bytes, copied.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        match self.rest.split_first_chunk::<N>() {
            Some((array, rest)) => {
                self.rest = rest;
                Ok(*array)
            }
            None => Err(truncated(N - self.rest.len())),
        }
    }

    /// A number as [`encode_varint`] writes it; `of` names it in an error.
    ///
    /// # Errors
    /// [`WireError::Truncated`], and [`WireError::NotCanonical`] where fewer bytes would do or more than 64
    /// bits are there.
    #[inline]
    pub fn varint(&mut self, of: &'static str) -> Result<u64, WireError> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            let fits = shift < 63 || shift == 63 && bits <= 1;
            if !fits || byte == 0 && shift > 0 {
                return Err(WireError::NotCanonical { of });
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// A byte string of at most `max` bytes, as a view of the frame: no byte is copied, where the
    /// frame is one that can be kept.
    ///
    /// # Errors
    /// [`WireError::Length`] above `max`, [`WireError::Truncated`].
    pub fn bytes(&mut self, max: usize, of: &'static str) -> Result<Bytes, WireError> {
        let view = self.slice(max, of)?;
        Ok(self.keep(view))
    }

    /// Bytes that were read here, to be kept: as a view of the frame, or copied where that is not kept.
    ///
    /// # Panics
    /// When `read` is no part of the frame.
    pub fn keep(&self, read: &'a [u8]) -> Bytes {
        match self.frame {
            Some(frame) => frame.slice_ref(read),
            None => Bytes::copy_from_slice(read),
        }
    }

    /// As [`Reader::bytes`], for as long as the frame is there: no reference is counted.
    ///
    /// # Errors
    /// As [`Reader::bytes`].
    pub fn slice(&mut self, max: usize, of: &'static str) -> Result<&'a [u8], WireError> {
        let length = u32::decode(self)?;
        self.slice_of(length.into(), max, of)
    }

    /// The next `length` bytes, at most `max`, as [`Reader::slice`], for a length that was read otherwise;
    /// `of` names them in an error.
    ///
    /// # Errors
    /// As [`Reader::bytes`].
    #[inline]
    pub fn slice_of(
        &mut self,
        length: u64,
        max: usize,
        of: &'static str,
    ) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > max {
            return Err(WireError::Length { length, max, of });
        }
        match self.rest.split_at_checked(length) {
            Some((view, rest)) => {
                self.rest = rest;
                Ok(view)
            }
            None => Err(truncated(length - self.rest.len())),
        }
    }

    /// A sequence of at most `max` values.
    ///
    /// # Errors
    /// [`WireError::Length`] above `max` or above what the bytes left could hold, and what the
    /// elements refuse.
    pub fn sequence<T: Decode>(
        &mut self,
        max: usize,
        of: &'static str,
    ) -> Result<Vec<T>, WireError> {
        let length = self.count::<T>(max, of)?;
        let mut values = Vec::with_capacity(length);
        for _ in 0..length {
            values.push(T::decode(self)?);
        }
        Ok(values)
    }

    /// The number of values that a sequence of at most `max` begins with; the values follow.
    ///
    /// # Errors
    /// [`WireError::Length`] above `max` or above what the bytes left could hold.
    pub fn count<T: Decode>(&mut self, max: usize, of: &'static str) -> Result<usize, WireError> {
        let length = u32::decode(self)? as usize;
        let bound = max.min(self.remaining() / T::SIZE_MIN.max(1));
        if length > bound {
            return Err(WireError::Length { length, max: bound, of });
        }
        Ok(length)
    }
}

/// Apart, so that the way of frames that are whole holds none of it.
#[cold]
fn truncated(missing: usize) -> WireError {
    WireError::Truncated { missing }
}

/// Appends a number in as few bytes as it takes, 1 to 10: seven bits each, the lowest first, and the
/// eighth bit where more follow (LEB128, as in DWARF 5, 7.6).
#[inline]
pub fn encode_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a byte string: its `u32` length, then its bytes.
///
/// # Panics
/// When `bytes` is longer than [`FRAME_BYTES_MAX`]: no frame could carry it.
pub fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    assert!(bytes.len() <= FRAME_BYTES_MAX, "byte string of {} bytes", bytes.len());
    (bytes.len() as u32).encode(out);
    out.extend_from_slice(bytes);
}

/// Appends a sequence: its `u32` length, then its elements.
///
/// # Panics
/// When `values` has more elements than a frame has bytes.
pub fn encode_sequence<T: Encode>(values: &[T], out: &mut Vec<u8>) {
    assert!(values.len() <= FRAME_BYTES_MAX, "sequence of {} elements", values.len());
    (values.len() as u32).encode(out);
    values.iter().for_each(|value| value.encode(out));
}

macro_rules! integer {
    ($($int:ty),*) => {$(
        impl Encode for $int {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
        impl Decode for $int {
            const SIZE_MIN: usize = size_of::<$int>();
            fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
                reader.array().map(<$int>::from_le_bytes)
            }
        }
    )*};
}
integer!(u8, u16, u32, u64);

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::decode(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::NotCanonical { of: "bool" }),
        }
    }
}

impl Encode for Digest {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode for Digest {
    const SIZE_MIN: usize = 32;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array().map(Digest)
    }
}

/// Two values, one after the other.
impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    const SIZE_MIN: usize = A::SIZE_MIN + B::SIZE_MIN;
    fn decode(reader: &mut Reader<'_>) -> Result<(A, B), WireError> {
        Ok((A::decode(reader)?, B::decode(reader)?))
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::decode(reader)? {
            0 => Ok(None),
            1 => T::decode(reader).map(Some),
            tag => Err(WireError::Tag { tag, of: "option" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: &[u8]) -> Bytes {
        Bytes::copy_from_slice(bytes)
    }

    #[test]
    fn a_length_is_refused_before_anything_is_allocated() {
        let huge = frame(&u32::MAX.to_le_bytes());
        let refused = Reader::new(&huge).sequence::<u64>(usize::MAX, "test").unwrap_err();
        assert_eq!(refused, WireError::Length { length: u32::MAX as usize, max: 0, of: "test" });
        assert!(matches!(Reader::new(&huge).bytes(8, "test"), Err(WireError::Length { .. })));
    }

    #[test]
    fn trailing_and_missing_bytes_are_refused() {
        let mut out = Vec::new();
        7u64.encode(&mut out);
        let frame = Bytes::from(out);
        assert_eq!(u64::from_frame(&frame), Ok(7));
        assert_eq!(u32::from_frame(&frame), Err(WireError::Trailing { count: 4 }));
        assert_eq!(u64::from_frame(&frame.slice(..6)), Err(WireError::Truncated { missing: 2 }));
    }

    #[test]
    fn a_varint_has_one_spelling_and_no_more_than_64_bits() {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit]).chain([u64::MAX]);
        for value in edges {
            let mut out = Vec::new();
            encode_varint(value, &mut out);
            let bits = (64 - value.leading_zeros()).max(1);
            assert_eq!(out.len(), bits.div_ceil(7) as usize, "{value}");
            let mut reader = Reader::of_slice(&out);
            assert_eq!((reader.varint("test"), reader.remaining()), (Ok(value), 0));
            let cut = &out[..out.len() - 1];
            let missing = WireError::Truncated { missing: 1 };
            assert_eq!(Reader::of_slice(cut).varint("test"), Err(missing));
            // The same with a zero behind it.
            *out.last_mut().unwrap() |= 0x80;
            out.push(0);
            let not_canonical = WireError::NotCanonical { of: "test" };
            assert_eq!(Reader::of_slice(&out).varint("test"), Err(not_canonical));
        }
        for last in [2, 0x7f, 0x81, 0xff] {
            let beyond = [&[0xff; 9][..], &[last, 1]].concat();
            assert!(Reader::of_slice(&beyond).varint("test").is_err(), "{last}");
        }
    }

    #[test]
    fn a_bool_and_an_option_have_one_spelling() {
        let not_canonical = Err(WireError::NotCanonical { of: "bool" });
        assert_eq!(bool::from_frame(&frame(&[2])), not_canonical);
        assert!(Option::<u8>::from_frame(&frame(&[2, 0])).is_err());
        assert_eq!(Option::<u8>::from_frame(&frame(&[1, 9])), Ok(Some(9)));
    }

    #[test]
    fn a_pair_is_one_value_after_the_other_and_a_sequence_of_pairs_is_bounded_by_both() {
        let pairs = [(1u8, 2u64), (3, 4)];
        let mut out = Vec::new();
        encode_sequence(&pairs, &mut out);
        assert_eq!(out.len(), 4 + 2 * <(u8, u64)>::SIZE_MIN);
        let read = Reader::new(&frame(&out)).sequence::<(u8, u64)>(2, "test");
        assert_eq!(read, Ok(pairs.to_vec()));
        let short = frame(&out[..4 + 9 + 8]);
        let short = Reader::new(&short).sequence::<(u8, u64)>(2, "test");
        assert_eq!(short, Err(WireError::Length { length: 2, max: 1, of: "test" }));
    }

    #[test]
    fn byte_strings_are_views_of_the_frame_where_it_can_be_kept() {
        let mut out = Vec::new();
        encode_bytes(b"operation", &mut out);
        let frame = Bytes::from(out);
        let view = Reader::new(&frame).bytes(64, "test").unwrap();
        assert_eq!(view.as_ptr(), frame[4..].as_ptr());
        let copy = Reader::of_slice(&frame).bytes(64, "test").unwrap();
        assert!(copy == view && copy.as_ptr() != view.as_ptr(), "a copy, where nobody keeps it");
    }
}
