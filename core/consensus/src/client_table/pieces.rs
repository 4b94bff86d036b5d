//! A byte string in pieces, of which most are shared with the table.

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;
use quorumark_primitives::wire::{Encode, FRAME_BYTES_MAX};

/// A byte string that lies in pieces: what the table holds encoded already is shared, not copied.
#[derive(Debug, Clone, Default)]
pub struct Pieces(Vec<Bytes>);

impl Pieces {
    /// Its length in bytes.
    pub fn size(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// The byte string in one piece.
    pub fn joined(&self) -> Bytes {
        let mut all = Vec::with_capacity(self.size());
        self.append_to(&mut all);
        Bytes::from(all)
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|piece| out.extend_from_slice(piece));
    }
}

/// By what they hold, wherever it is cut.
impl PartialEq for Pieces {
    fn eq(&self, other: &Pieces) -> bool {
        self.joined() == other.joined()
    }
}

impl Eq for Pieces {}

/// As a byte string: its `u32` length, then its bytes.
impl Encode for Pieces {
    fn encode(&self, out: &mut Vec<u8>) {
        let size = self.size();
        assert!(size <= FRAME_BYTES_MAX, "byte string of {size} bytes");
        (size as u32).encode(out);
        self.append_to(out);
    }
}

/// Puts [`Pieces`] together.
#[derive(Debug, Default)]
pub(super) struct Piecing {
    pieces: Vec<Bytes>,
    own: Vec<u8>,
}

impl Piecing {
    /// Where bytes are written that nobody has.
    pub(super) fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Appends bytes that somebody holds.
    pub(super) fn share(&mut self, piece: &Bytes) {
        self.close();
        self.pieces.push(piece.clone());
    }

    pub(super) fn finish(mut self) -> Pieces {
        self.close();
        Pieces(self.pieces)
    }

    fn close(&mut self) {
        if !self.own.is_empty() {
            self.pieces.push(Bytes::from(mem::take(&mut self.own)));
        }
    }
}

#[cfg(test)]
mod tests {
    use quorumark_primitives::wire::encode_bytes;

    use super::*;

    #[test]
    fn what_pieces_hold_does_not_depend_on_where_they_are_cut() {
        let whole = Bytes::from_static(b"a part of the table");
        let mut piecing = Piecing::default();
        piecing.own().extend_from_slice(&whole[..3]);
        piecing.share(&whole.slice(3..9));
        piecing.share(&whole.slice(9..10));
        piecing.own().extend_from_slice(&whole[10..]);
        let cut = piecing.finish();
        let mut piecing = Piecing::default();
        piecing.share(&whole);
        assert_eq!(cut, piecing.finish());
        assert_eq!(cut.joined(), whole);
        assert_ne!(cut, Piecing::default().finish());
        let (mut pieces, mut bytes) = (Vec::new(), Vec::new());
        cut.encode(&mut pieces);
        encode_bytes(&whole, &mut bytes);
        assert_eq!(pieces, bytes);
    }
}
