//! Digests and the hash functions that make them.
//!
//! One message at a time. Many small messages at once, and proof of work, are in [`crate::sha256`],
//! which is two to three times faster where it applies.

mod tag;

use core::{array, fmt};

use blake3::IncrementCounter;
use blake3::platform::{Platform, words_from_le_bytes_32};

pub use self::tag::Tag;
use crate::check::Check;
use crate::sha256::compress;
use crate::sha256::constants::INITIAL;

/// Pairs that are handed to BLAKE3 at once: as many as its widest vectors have lanes.
const BLAKE3_LANES: usize = 16;
/// Flags of a compression (BLAKE3 2.1, table 3). The crate's many-message function is not part of
/// its documented interface; the tests hold it against the documented one.
const BLAKE3_CHUNK_START: u8 = 1;
const BLAKE3_CHUNK_END: u8 = 1 << 1;
const BLAKE3_ROOT: u8 = 1 << 3;
const BLAKE3_KEYED_HASH: u8 = 1 << 4;

/// A 32-byte digest, in the byte order in which the hash function writes it.
///
/// Bitcoin shows digests reversed; the `chain` crate does that where it prints, not here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Thirty-two zero bytes: the digest of the null request, and of no block.
    pub const ZERO: Digest = Digest([0; 32]);
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

/// SHA-256 of `message` (FIPS 180-4).
pub fn sha256(message: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(message);
    hash.finish()
}

/// Double SHA-256 of `message`: SHA-256 of its SHA-256, Bitcoin's hash of headers and transactions.
pub fn sha256d(message: &[u8]) -> Digest {
    sha256(&sha256(message).0)
}

/// BLAKE3 of `message`, 32 bytes.
pub fn blake3(message: &[u8]) -> Digest {
    Digest(*blake3::hash(message).as_bytes())
}

/// Keyed BLAKE3 of `message`: a MAC, and with a public constant as key a domain of its own.
pub fn blake3_keyed(key: &[u8; 32], message: &[u8]) -> Digest {
    Digest(*blake3::keyed_hash(key, message).as_bytes())
}

/// Keyed BLAKE3 of each pair of digests, one after the other: [`blake3_keyed`] of 64 bytes, as many
/// side by side as the processor's vectors have lanes.
///
/// # Panics
/// When the slices differ in length.
pub fn blake3_keyed_pairs(key: &[u8; 32], input: &[[Digest; 2]], out: &mut [Digest]) {
    assert_eq!(input.len(), out.len(), "one digest for each pair");
    let (platform, key) = (Platform::detect(), words_from_le_bytes_32(key));
    for (pairs, out) in input.chunks(BLAKE3_LANES).zip(out.chunks_mut(BLAKE3_LANES)) {
        let mut messages = [[0; 64]; BLAKE3_LANES];
        for ([left, right], message) in pairs.iter().zip(&mut messages) {
            message[..32].copy_from_slice(&left.0);
            message[32..].copy_from_slice(&right.0);
        }
        let mut inputs = [&[0; 64]; BLAKE3_LANES];
        for (input, message) in inputs.iter_mut().zip(&messages) {
            *input = message;
        }
        let mut bytes = [0; 32 * BLAKE3_LANES];
        // A message of 64 bytes is one block, the first and the last of the only chunk, which is
        // the root: its counter is 0 and its chaining value is the digest (BLAKE3 2.4 to 2.6).
        platform.hash_many(
            &inputs[..pairs.len()],
            &key,
            0,
            IncrementCounter::No,
            BLAKE3_KEYED_HASH | BLAKE3_ROOT,
            BLAKE3_CHUNK_START,
            BLAKE3_CHUNK_END,
            &mut bytes,
        );
        for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
            *out = Digest(*bytes);
        }
    }
}

/// SHA-256 of a message that arrives in pieces.
#[derive(Clone)]
pub struct Sha256 {
    state: [u32; 8],
    /// What is read and not compressed stands at its beginning.
    block: [u8; BLOCK],
    /// Bytes that were read.
    length: u64,
}

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// Where the bit length stands in the last block (FIPS 180-4 5.1.1).
const LENGTH_AT: usize = BLOCK - size_of::<u64>();

impl Default for Sha256 {
    fn default() -> Sha256 {
        Sha256::new()
    }
}

impl Sha256 {
    /// A hasher that has read nothing.
    pub fn new() -> Sha256 {
        Sha256 { state: INITIAL, block: [0; BLOCK], length: 0 }
    }

    /// Reads the next piece of the message.
    pub fn update(&mut self, mut piece: &[u8]) {
        let filled = self.filled();
        self.length += piece.len() as u64;
        if filled > 0 {
            let taken = piece.len().min(BLOCK - filled);
            let (first, rest) = piece.split_at(taken);
            self.block[filled..filled + taken].copy_from_slice(first);
            if filled + taken < BLOCK {
                return;
            }
            compress(&mut self.state, array::from_ref(&self.block));
            piece = rest;
        }
        let (whole, rest) = piece.as_chunks::<BLOCK>();
        if !whole.is_empty() {
            compress(&mut self.state, whole);
        }
        self.block[..rest.len()].copy_from_slice(rest);
    }

    /// SHA-256 of what was read.
    pub fn finish(mut self) -> Digest {
        let filled = self.filled();
        self.block[filled] = 0x80;
        self.block[filled + 1..].fill(0);
        if filled >= LENGTH_AT {
            compress(&mut self.state, array::from_ref(&self.block));
            self.block = [0; BLOCK];
        }
        let bits = self.length.wrapping_mul(8);
        self.block[LENGTH_AT..].copy_from_slice(&bits.to_be_bytes());
        compress(&mut self.state, array::from_ref(&self.block));
        let mut digest = Digest::ZERO;
        for (bytes, word) in digest.0.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    fn filled(&self) -> usize {
        (self.length % BLOCK as u64) as usize
    }

    /// Double SHA-256 of what was read.
    pub fn finish_double(self) -> Digest {
        sha256(&self.finish().0)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256")
    }
}

/// BLAKE3 of a message that arrives in pieces; long pieces are hashed several chunks at once.
#[derive(Clone, Default)]
pub struct Blake3(blake3::Hasher);

impl Blake3 {
    /// A hasher that has read nothing.
    pub fn new() -> Blake3 {
        Blake3::default()
    }

    /// Reads the next piece of the message.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// BLAKE3 of what was read, 32 bytes.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

impl fmt::Debug for Blake3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blake3")
    }
}

/// Holds the hash functions against published answers: FIPS 180-4's `abc` for SHA-256, its double,
/// and the BLAKE3 authors' vector of length 1 (a zero byte), plain and keyed.
pub fn self_check() -> Vec<Check> {
    let key = b"whats the Elvish word for friend";
    let answers = [
        (
            "hash::sha256/message=abc",
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            "hash::sha256d/message=abc",
            sha256d(b"abc"),
            "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358",
        ),
        (
            "hash::blake3/size=1",
            blake3(&[0]),
            "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
        ),
        (
            "hash::blake3_keyed/size=1",
            blake3_keyed(key, &[0]),
            "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
        ),
    ];
    let check = |(name, found, expected): (&str, Digest, &str)| {
        Check::new(name, found.to_string() == expected)
    };
    answers.into_iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    #[test]
    fn a_message_in_pieces_has_the_hash_of_the_whole() {
        let message: Vec<u8> = (0..300u16).map(|i| (i % 251) as u8).collect();
        for cut in 0..=message.len() {
            let mut hasher = Sha256::new();
            hasher.update(&message[..cut]);
            assert_eq!(hasher.clone().finish().0, *sha2::Sha256::digest(&message[..cut]));
            hasher.update(&message[cut..]);
            assert_eq!(hasher.clone().finish(), sha256(&message));
            assert_eq!(hasher.finish_double(), sha256d(&message));
            let mut hasher = Blake3::new();
            hasher.update(&message[..cut]);
            hasher.update(&message[cut..]);
            assert_eq!(hasher.finish(), blake3(&message));
        }
    }

    #[test]
    fn the_published_answers_are_met() {
        assert!(self_check().iter().all(|check| check.passed), "{:?}", self_check());
    }
}
