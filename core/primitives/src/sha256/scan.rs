//! The proof-of-work scan: one header, many nonces.

use super::constants::INITIAL;
use super::path::{Path, path};
use super::portable::{compress, words};

/// An 80-byte block header, ready to be hashed with any nonce.
///
/// Its first 64 bytes are compressed once (the midstate); the last block holds twelve bytes of the
/// header, the nonce (bytes 76 to 79, little-endian) and the padding.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The state after the header's first 64 bytes.
    pub(super) midstate: [u32; 8],
    /// The big-endian words of the bytes 64 to 75.
    pub(super) tail: [u32; 3],
}

impl Scan {
    /// Prepares `header`; its own nonce is ignored.
    pub fn new(header: &[u8; 80]) -> Scan {
        let (blocks, rest) = header.as_chunks::<64>();
        let tail = rest.as_chunks::<4>().0;
        assert!(blocks.len() == 1 && tail.len() == 4, "a header is one block and four words");
        Scan {
            midstate: compress(INITIAL, words(&blocks[0])),
            tail: core::array::from_fn(|i| u32::from_be_bytes(tail[i])),
        }
    }

    /// Tries the `count` nonces from `first_nonce` on and appends to `hits`, in rising order, those
    /// whose double SHA-256, read as a little-endian 256-bit number, has a most significant 32-bit
    /// word of at most `top_word_max`.
    ///
    /// The caller compares the whole hash of a hit with its target, and bounds `hits` by the range:
    /// about `count * (top_word_max + 1) / 2^32` nonces are appended.
    ///
    /// # Panics
    /// When the range goes beyond the last nonce, `2^32 - 1`.
    pub fn scan(&self, first_nonce: u32, count: u64, top_word_max: u32, hits: &mut Vec<u32>) {
        self.scan_with(path(), first_nonce, count, top_word_max, hits);
    }

    /// [`Scan::scan`] on a given path.
    ///
    /// # Panics
    /// As [`Scan::scan`].
    pub fn scan_with(
        &self,
        path: Path,
        first_nonce: u32,
        count: u64,
        top_word_max: u32,
        hits: &mut Vec<u32>,
    ) {
        let left = (1 << 32) - u64::from(first_nonce);
        assert!(count <= left, "{count} nonces from {first_nonce} on, but only {left} are left");
        (path.kernels().scan)(self, first_nonce, count, top_word_max, hits);
    }

    /// The header's last block as words, with nonce zero: word 3 is the nonce, byte-swapped.
    pub(super) fn last_block(&self) -> [u32; 16] {
        let [w0, w1, w2] = self.tail;
        [w0, w1, w2, 0, 0x8000_0000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 640]
    }
}
