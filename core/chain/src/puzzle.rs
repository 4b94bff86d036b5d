//! The simple puzzle: a number that, hashed with the data, gives a digest with leading zeros.
//!
//! Exactly: `SHA-256(data followed by nonce)`, where the nonce is written in decimal ASCII digits
//! without leading zeros, directly behind the last byte of the data. It is solved when the first
//! `difficulty` hex digits of the digest, in the order of the hash function, are `0`. So the data
//! `hello` and nonce 42 hash the seven bytes `hello42`. The answer is the lowest nonce, from 0 on.
//!
//! Each digit of difficulty makes it 16 times harder. All difficulties up to 64 are allowed, but
//! about 10 is what one machine solves within a day.

use core::ops::Range;

use quorumark_primitives::Digest;
use quorumark_primitives::hash::Sha256;
use thiserror::Error;

use crate::miner::Miner;
use crate::search::{Chunk, Mined, NUMBERS_MAX, Stop, lowest};

/// Most leading zeros that can be asked for: all hex digits of the digest.
pub const DIFFICULTY_MAX: u32 = 64;
/// Most bytes of data.
pub const DATA_BYTES_MAX: usize = 1 << 20;
/// Nonces that may be tried: `0..NONCE_END`.
pub const NONCE_END: u64 = NUMBERS_MAX;
/// Nonces that a thread takes at a time, and the work after which a stop is noticed: less than a
/// millisecond at the 3 million hashes per second of a processor without SHA instructions.
const CHUNK_NONCES: u64 = 1 << 11;
/// Decimal digits of the largest `u64`.
const DIGITS_MAX: usize = 20;

/// Why a puzzle cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PuzzleError {
    /// More zeros than the digest has digits.
    #[error("difficulty {found}, a SHA-256 digest has {DIFFICULTY_MAX} hex digits")]
    Difficulty {
        /// Zeros asked for.
        found: u32,
    },
    /// The data is too long.
    #[error("{found} bytes of data, allowed are {DATA_BYTES_MAX}")]
    Data {
        /// Bytes found.
        found: usize,
    },
}

/// Data and a difficulty; see the module for the rule.
#[derive(Debug, Clone)]
pub struct Puzzle {
    /// The hash function after the data: every attempt begins with a copy.
    after_data: Sha256,
    difficulty: u32,
}

/// A nonce that solves a puzzle, and its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solution {
    /// The lowest nonce that solves the puzzle.
    pub nonce: u64,
    /// SHA-256 of the data and the nonce.
    pub digest: Digest,
}

impl Puzzle {
    /// The puzzle of `data` with `difficulty` leading hex zeros.
    ///
    /// # Errors
    /// [`PuzzleError`] above [`DIFFICULTY_MAX`] or [`DATA_BYTES_MAX`].
    pub fn new(data: &[u8], difficulty: u32) -> Result<Puzzle, PuzzleError> {
        if difficulty > DIFFICULTY_MAX {
            return Err(PuzzleError::Difficulty { found: difficulty });
        }
        if data.len() > DATA_BYTES_MAX {
            return Err(PuzzleError::Data { found: data.len() });
        }
        let mut after_data = Sha256::new();
        after_data.update(data);
        Ok(Puzzle { after_data, difficulty })
    }

    /// The digest of the data and `nonce`.
    pub fn digest(&self, nonce: u64) -> Digest {
        self.digest_of(Decimal::new(nonce).digits())
    }

    /// Whether `nonce` is an answer, though not necessarily the lowest.
    pub fn is_solved_by(&self, nonce: u64) -> bool {
        leading_zeros(&self.digest(nonce)) >= self.difficulty
    }

    /// The lowest of `nonces` that solves the puzzle, on all threads of `miner`. Nonces from
    /// [`NONCE_END`] on are left out.
    pub fn solve(&self, miner: &Miner, nonces: Range<u64>, stop: &Stop) -> Mined<Solution> {
        let nonces = nonces.start.min(NONCE_END)..nonces.end.min(NONCE_END);
        let mined = lowest(miner.pool(), nonces, CHUNK_NONCES, stop, || |part| self.scan(part));
        let outcome = mined.outcome.map(|nonce| {
            assert!(self.is_solved_by(nonce), "an answer holds when it is hashed again");
            Solution { nonce, digest: self.digest(nonce) }
        });
        Mined { outcome, statistics: mined.statistics }
    }

    fn scan(&self, part: Range<u64>) -> Chunk {
        let mut decimal = Decimal::new(part.start);
        for nonce in part.clone() {
            if leading_zeros(&self.digest_of(decimal.digits())) >= self.difficulty {
                return Chunk { hit: Some(nonce), hashes: nonce - part.start + 1 };
            }
            decimal.increment();
        }
        Chunk { hit: None, hashes: part.end - part.start }
    }

    fn digest_of(&self, digits: &[u8]) -> Digest {
        let mut hasher = self.after_data.clone();
        hasher.update(digits);
        hasher.finish()
    }
}

/// Hex digits `0` at the start of a digest.
fn leading_zeros(digest: &Digest) -> u32 {
    let zero_bytes = digest.0.iter().take_while(|byte| **byte == 0).count();
    let half = digest.0.get(zero_bytes).is_some_and(|byte| *byte < 0x10);
    2 * zero_bytes as u32 + u32::from(half)
}

/// A number in decimal ASCII that counts up without being divided again.
#[derive(Debug)]
struct Decimal {
    /// The digits stand at the end.
    buffer: [u8; DIGITS_MAX],
    /// Index of the first digit.
    start: usize,
}

impl Decimal {
    fn new(mut number: u64) -> Decimal {
        let mut decimal = Decimal { buffer: [b'0'; DIGITS_MAX], start: DIGITS_MAX - 1 };
        for (i, digit) in decimal.buffer.iter_mut().enumerate().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            decimal.start = i;
            if number == 0 {
                break;
            }
        }
        decimal
    }

    fn digits(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn increment(&mut self) {
        for (i, digit) in self.buffer.iter_mut().enumerate().rev() {
            self.start = self.start.min(i);
            if *digit != b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        unreachable!("numbers below 2^63 have at most 19 digits");
    }
}

#[cfg(test)]
mod tests {
    use quorumark_primitives::hash::sha256;

    use super::*;

    #[test]
    fn a_decimal_counts_as_numbers_are_printed() {
        for start in [0, 7, 98, 9_990, 18_446_744_073_709_551_600] {
            let mut decimal = Decimal::new(start);
            for number in start..start + 15 {
                assert_eq!(decimal.digits(), number.to_string().as_bytes());
                decimal.increment();
            }
        }
    }

    #[test]
    fn the_digest_is_that_of_the_data_and_then_the_decimal_nonce() {
        let puzzle = Puzzle::new(b"hello", 1).unwrap();
        assert_eq!(puzzle.digest(42), sha256(b"hello42"));
        assert_eq!(puzzle.digest(0), sha256(b"hello0"));
    }

    #[test]
    fn leading_zeros_are_counted_in_hex_digits() {
        let mut bytes = [0; 32];
        assert_eq!(leading_zeros(&Digest(bytes)), 64);
        bytes[31] = 1;
        assert_eq!(leading_zeros(&Digest(bytes)), 63);
        bytes[2] = 0x10;
        assert_eq!(leading_zeros(&Digest(bytes)), 4);
        bytes[2] = 0x0f;
        assert_eq!(leading_zeros(&Digest(bytes)), 5);
    }

    #[test]
    fn a_puzzle_beyond_its_bounds_is_refused() {
        assert_eq!(Puzzle::new(b"", 65).unwrap_err(), PuzzleError::Difficulty { found: 65 });
        let long = vec![0; DATA_BYTES_MAX + 1];
        assert_eq!(Puzzle::new(&long, 1).unwrap_err(), PuzzleError::Data { found: long.len() });
        assert!(Puzzle::new(b"", 64).is_ok());
    }
}
