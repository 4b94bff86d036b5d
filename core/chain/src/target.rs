//! Targets: the compact form in the header, the 256-bit number, and the work that it stands for.
//!
//! The rules are those of Bitcoin Core's `arith_uint256::SetCompact` and `GetCompact`, including
//! what they call negative and overflowing, and of `GetBlockProof` for work.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, Sub};
use core::str::FromStr;

use thiserror::Error;

use crate::id::BlockHash;
use crate::uint::U256;

/// The sign bit of a compact target's mantissa.
const SIGN: u32 = 0x0080_0000;
/// The mantissa of a compact target, without its sign.
const MANTISSA: u32 = 0x007f_ffff;

/// A target in the 32-bit form of the header: one byte of size, then a sign bit and 23 bits.
///
/// Its value is `mantissa * 256^(size - 3)`. Shown as eight hex digits, e.g. `1d00ffff`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CompactTarget(pub u32);

/// Why a compact target asks for nothing that a hash could meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TargetError {
    /// The sign bit is set on a value other than zero.
    #[error("bits {0} are negative")]
    Negative(CompactTarget),
    /// The value takes more than 256 bits.
    #[error("bits {0} overflow 256 bits")]
    Overflow(CompactTarget),
    /// The value is zero.
    #[error("bits {0} are zero")]
    Zero(CompactTarget),
    /// The value is easier than the network allows.
    #[error("bits {bits} are easier than the network's limit {limit}")]
    AboveLimit {
        /// The bits found.
        bits: CompactTarget,
        /// The easiest bits allowed.
        limit: CompactTarget,
    },
    /// The text is not eight hex digits.
    #[error("bits are eight hex digits, such as 1d00ffff")]
    Text,
}

impl CompactTarget {
    /// The target that the bits stand for.
    ///
    /// # Errors
    /// [`TargetError`] when they are negative, overflow, or are zero.
    pub fn target(self) -> Result<Target, TargetError> {
        let size = self.0 >> 24;
        // Bytes of the mantissa below the point are cut off before anything else is asked.
        let word = (self.0 & MANTISSA) >> (8 * 3u32.saturating_sub(size));
        if word != 0 && self.0 & SIGN != 0 {
            return Err(TargetError::Negative(self));
        }
        if word != 0 && size > 34 || word > 0xff && size > 33 || word > 0xffff && size > 32 {
            return Err(TargetError::Overflow(self));
        }
        let value = U256::from(u64::from(word)) << (8 * size.saturating_sub(3));
        if value == U256::ZERO { Err(TargetError::Zero(self)) } else { Ok(Target(value)) }
    }
}

impl fmt::Display for CompactTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for CompactTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for CompactTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<CompactTarget, TargetError> {
        if text.len() != 8 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(TargetError::Text);
        }
        u32::from_str_radix(text, 16).map(CompactTarget).map_err(|_| TargetError::Text)
    }
}

/// The number that a block hash must not exceed; never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(U256);

impl Target {
    /// The easiest target that there is: every hash meets it.
    pub const MAX: Target = Target(U256::MAX);

    /// A target of this value, or `None` for zero.
    pub fn new(value: U256) -> Option<Target> {
        (value != U256::ZERO).then_some(Target(value))
    }

    /// The number itself.
    pub fn value(self) -> U256 {
        self.0
    }

    /// The compact form; the digits below its 23 bits are cut off.
    pub fn compact(self) -> CompactTarget {
        let mut size = self.0.bits().div_ceil(8);
        let mut word = if size <= 3 {
            self.0.low_u64() << (8 * (3 - size))
        } else {
            (self.0 >> (8 * (size - 3))).low_u64()
        };
        // The mantissa's top bit is its sign, so a value that would set it moves down one byte.
        if word & u64::from(SIGN) != 0 {
            word >>= 8;
            size += 1;
        }
        assert!(word <= u64::from(MANTISSA) && size <= 33, "23 bits and a size stay positive");
        CompactTarget(word as u32 | size << 24)
    }

    /// Whether a hash is low enough: its little-endian number is at most the target.
    pub fn meets(self, hash: BlockHash) -> bool {
        U256::from_le_bytes(hash.0.0) <= self.0
    }

    /// The top 32 bits of the number: no hash with a larger top word meets the target.
    ///
    /// The scan kernels compare this word alone and leave the rest to [`Target::meets`].
    pub fn top_word(self) -> u32 {
        (self.0 >> (U256::BITS - 32)).low_u64() as u32
    }

    /// The hashes that a block of this target is expected to have cost: `2^256 / (target + 1)`.
    ///
    /// Source: Bitcoin Core `GetBlockProof`, which computes `~target / (target + 1) + 1`, because
    /// 2^256 itself does not fit.
    pub fn work(self) -> Work {
        let Some(above) = self.0.checked_add(U256::ONE) else {
            return Work(U256::ONE);
        };
        let work = (!self.0).divide(above).checked_add(U256::ONE);
        Work(work.expect("the target is at least one, so the quotient is below 2^255"))
    }

    /// How many times harder this is than the easiest target of mainnet; for display only.
    pub fn difficulty(self) -> f64 {
        const DIFFICULTY_ONE: u64 = 0xffff;
        (U256::from(DIFFICULTY_ONE) << 208).to_f64() / self.0.to_f64()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Expected hashes behind a header or a chain of them.
///
/// Sums saturate: no chain reaches 2^256 expected hashes, and one that claimed to would not be
/// made less than another by wrapping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Work(pub U256);

impl Work {
    /// No work at all.
    pub const ZERO: Work = Work(U256::ZERO);
}

impl Add for Work {
    type Output = Work;
    fn add(self, other: Work) -> Work {
        Work(self.0.checked_add(other.0).unwrap_or(U256::MAX))
    }
}

impl Sub for Work {
    type Output = Work;
    fn sub(self, other: Work) -> Work {
        Work(self.0.checked_sub(other.0).unwrap_or(U256::ZERO))
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Work>>(works: I) -> Work {
        works.fold(Work::ZERO, Add::add)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(bits: u32) -> Result<Target, TargetError> {
        CompactTarget(bits).target()
    }

    /// The table of Bitcoin Core's `arith_uint256_tests`, bignum_SetCompact.
    #[test]
    fn compact_targets_read_as_in_bitcoin_core() {
        for zero in [
            0u32,
            0x0012_3456,
            0x0100_3456,
            0x0200_0056,
            0x0300_0000,
            0x0400_0000,
            0x0092_3456,
            0x0180_3456,
            0x0280_0056,
            0x0380_0000,
            0x0480_0000,
        ] {
            assert_eq!(target(zero), Err(TargetError::Zero(CompactTarget(zero))));
        }
        for (bits, value, back) in [
            (0x0112_3456u32, 0x12u64, 0x0112_0000u32),
            (0x0200_8000, 0x80, 0x0200_8000),
            (0x0212_3456, 0x1234, 0x0212_3400),
            (0x0312_3456, 0x12_3456, 0x0312_3456),
            (0x0412_3456, 0x1234_5600, 0x0412_3456),
            (0x0500_9234, 0x9234_0000, 0x0500_9234),
        ] {
            let read = target(bits).unwrap();
            assert_eq!(read.value(), U256::from(value));
            assert_eq!(read.compact(), CompactTarget(back));
        }
        assert_eq!(target(0x2012_3456).unwrap().compact(), CompactTarget(0x2012_3456));
        for negative in [0x01fe_dcba, 0x0492_3456] {
            assert_eq!(target(negative), Err(TargetError::Negative(CompactTarget(negative))));
        }
        for overflow in [0xff12_3456, 0x2300_0001, 0x2200_0100, 0x2101_0000] {
            assert_eq!(target(overflow), Err(TargetError::Overflow(CompactTarget(overflow))));
        }
        assert_eq!(target(0x2200_00ff).unwrap().value(), U256::from(0xff) << 248);
    }

    #[test]
    fn work_of_the_first_difficulty_is_a_little_over_two_to_the_32() {
        assert_eq!(target(0x1d00_ffff).unwrap().work(), Work(U256::from(0x1_0001_0001)));
        assert_eq!(target(0x207f_ffff).unwrap().work(), Work(U256::from(2)));
        assert_eq!(Target::MAX.work(), Work(U256::ONE));
    }

    #[test]
    fn sums_of_work_saturate() {
        assert_eq!(Work(U256::MAX) + Work(U256::ONE), Work(U256::MAX));
        assert_eq!(Work::ZERO - Work(U256::ONE), Work::ZERO);
    }

    #[test]
    fn bits_are_read_from_eight_hex_digits_alone() {
        assert_eq!("1d00ffff".parse(), Ok(CompactTarget(0x1d00_ffff)));
        for bad in ["", "1d00fff", "1d00ffff0", "+d00ffff", "1d00fffg"] {
            assert_eq!(bad.parse::<CompactTarget>(), Err(TargetError::Text));
        }
    }

    proptest! {
        #[test]
        fn a_compact_target_never_exceeds_its_target(bytes in proptest::array::uniform32(0u8..)) {
            let Some(full) = Target::new(U256::from_le_bytes(bytes)) else { return Ok(()) };
            let cut = full.compact().target().unwrap();
            prop_assert!(cut <= full);
            prop_assert_eq!(cut.compact(), full.compact());
        }
    }
}
