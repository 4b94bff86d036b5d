//! Values over a stream, each behind its `u32` length.

use std::io::{self, BufRead, ErrorKind, Read, Write};

use bytes::Bytes;
use quorumark_primitives::wire::{Decode, Encode, FRAME_BYTES_MAX};

/// Writes one value; flushing is the caller's.
///
/// # Errors
/// What the stream says.
///
/// # Panics
/// When the value does not fit a frame.
pub(super) fn write(out: &mut impl Write, value: &impl Encode) -> io::Result<()> {
    let frame = value.to_frame();
    assert!(frame.len() <= FRAME_BYTES_MAX, "a frame of {} bytes", frame.len());
    out.write_all(&(frame.len() as u32).to_le_bytes())?;
    out.write_all(&frame)
}

/// Reads one value; `None` at the end of the stream.
///
/// # Errors
/// What the stream says; [`ErrorKind::InvalidData`] for a length that no frame has, before anything is
/// allocated, and for bytes that are no value; [`ErrorKind::UnexpectedEof`] within a frame.
pub(super) fn read<T: Decode>(input: &mut impl BufRead) -> io::Result<Option<T>> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        let text = format!("a frame of {length} bytes, at most {FRAME_BYTES_MAX} are taken");
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    let mut frame = Vec::new();
    // Grows with what comes: a length alone allocates nothing.
    if input.take(length as u64).read_to_end(&mut frame)? < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let value = T::from_frame(&Bytes::from(frame));
    value.map(Some).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::super::message::{Answer, Order};
    use super::*;

    #[test]
    fn values_are_read_in_order_and_the_end_is_told_from_a_torn_frame() {
        let mut stream = Vec::new();
        write(&mut stream, &Order::Look).unwrap();
        write(&mut stream, &Order::Stop).unwrap();
        let mut input = stream.as_slice();
        assert_eq!(read::<Order>(&mut input).unwrap(), Some(Order::Look));
        assert_eq!(read::<Order>(&mut input).unwrap(), Some(Order::Stop));
        assert_eq!(read::<Order>(&mut input).unwrap(), None);
        let torn = read::<Order>(&mut &stream[..stream.len() - 1][5..]).unwrap_err();
        assert_eq!(torn.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_hostile_length_and_bytes_that_are_no_value_are_refused() {
        let huge = u32::MAX.to_le_bytes();
        let refused = read::<Answer>(&mut huge.as_slice()).unwrap_err();
        assert!(refused.to_string().contains("at most"), "{refused}");
        for bytes in [&[1, 0, 0, 0, 200][..], &[2, 0, 0, 0, 1, 7], &[0, 0, 0, 0]] {
            let refused = read::<Answer>(&mut &bytes[..]).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidData, "{bytes:?}");
        }
    }
}
