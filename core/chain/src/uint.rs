//! A 256-bit unsigned integer, as large as targets and work need and no larger.

use core::cmp::Ordering;
use core::fmt;
use core::ops::{Not, Shl, Shr};

/// A 256-bit unsigned integer.
///
/// Limbs are least significant first. Only what proof of work needs is here: comparison, shifts,
/// addition, subtraction, scaling by a fraction of two words, and division.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct U256([u64; 4]);

impl U256 {
    /// Zero.
    pub const ZERO: U256 = U256([0; 4]);
    /// One.
    pub const ONE: U256 = U256([1, 0, 0, 0]);
    /// 2^256 - 1.
    pub const MAX: U256 = U256([u64::MAX; 4]);
    /// Bits of the type.
    pub const BITS: u32 = 256;

    /// The integer whose little-endian bytes are `bytes`.
    ///
    /// A Bitcoin hash is compared to a target in this reading.
    pub fn from_le_bytes(bytes: [u8; 32]) -> U256 {
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
            *limb = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        U256(limbs)
    }

    /// The integer whose big-endian bytes are `bytes`.
    pub fn from_be_bytes(mut bytes: [u8; 32]) -> U256 {
        bytes.reverse();
        U256::from_le_bytes(bytes)
    }

    /// The bytes, least significant first.
    pub fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }

    /// The bytes, most significant first.
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = self.to_le_bytes();
        bytes.reverse();
        bytes
    }

    /// How many bits the number takes; 0 for zero.
    pub fn bits(self) -> u32 {
        (0..4).rev().find(|&i| self.0[i] != 0).map_or(0, |i| {
            let bits = 64 * (i as u32 + 1) - self.0[i].leading_zeros();
            assert!(bits <= U256::BITS, "a 256-bit number has at most 256 bits");
            bits
        })
    }

    /// The lowest 64 bits.
    pub fn low_u64(self) -> u64 {
        self.0[0]
    }

    /// `self + other`, or `None` above 2^256 - 1.
    pub fn checked_add(self, other: U256) -> Option<U256> {
        let mut sum = [0; 4];
        let mut carry = false;
        for (i, limb) in sum.iter_mut().enumerate() {
            let (partial, over) = self.0[i].overflowing_add(other.0[i]);
            let (total, over_again) = partial.overflowing_add(u64::from(carry));
            *limb = total;
            carry = over || over_again;
        }
        (!carry).then_some(U256(sum))
    }

    /// `self - other`, or `None` below zero.
    pub fn checked_sub(self, other: U256) -> Option<U256> {
        let mut difference = [0; 4];
        let mut borrow = false;
        for (i, limb) in difference.iter_mut().enumerate() {
            let (partial, under) = self.0[i].overflowing_sub(other.0[i]);
            let (total, under_again) = partial.overflowing_sub(u64::from(borrow));
            *limb = total;
            borrow = under || under_again;
        }
        (!borrow).then_some(U256(difference))
    }

    /// `floor(self * multiplier / divisor)` without losing the bits above 2^256 in between, or
    /// `None` when the result itself does not fit.
    ///
    /// # Panics
    /// When `divisor` is zero.
    pub fn checked_mul_div(self, multiplier: u64, divisor: u64) -> Option<U256> {
        assert!(divisor != 0, "a number is never scaled by a fraction over zero");
        let mut product = [0u64; 5];
        let mut carry = 0u128;
        for (limb, word) in product.iter_mut().zip(self.0.into_iter().chain([0])) {
            carry += u128::from(word) * u128::from(multiplier);
            *limb = carry as u64;
            carry >>= 64;
        }
        assert!(carry == 0, "256 bits times 64 bits fit 320 bits");
        let mut remainder = 0u128;
        for limb in product.iter_mut().rev() {
            let dividend = remainder << 64 | u128::from(*limb);
            *limb = (dividend / u128::from(divisor)) as u64;
            remainder = dividend % u128::from(divisor);
        }
        let [a, b, c, d, above] = product;
        (above == 0).then_some(U256([a, b, c, d]))
    }

    /// `floor(self / divisor)`, by long division in base two.
    ///
    /// # Panics
    /// When `divisor` is zero.
    pub fn divide(self, divisor: U256) -> U256 {
        assert!(divisor != U256::ZERO, "no 256-bit number is divided by zero");
        let Some(shift) = self.bits().checked_sub(divisor.bits()) else {
            return U256::ZERO;
        };
        let mut remainder = self;
        let mut quotient = U256::ZERO;
        for bit in (0..=shift).rev() {
            if let Some(rest) = remainder.checked_sub(divisor << bit) {
                remainder = rest;
                quotient.0[bit as usize / 64] |= 1 << (bit % 64);
            }
        }
        assert!(remainder < divisor, "a division ends when less than the divisor is left");
        quotient
    }

    /// The nearest floating-point number; for display only, never for a decision.
    pub fn to_f64(self) -> f64 {
        self.0.iter().rev().fold(0.0, |sum, limb| sum * 2f64.powi(64) + *limb as f64)
    }
}

impl From<u64> for U256 {
    fn from(word: u64) -> U256 {
        U256([word, 0, 0, 0])
    }
}

impl Ord for U256 {
    fn cmp(&self, other: &U256) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl PartialOrd for U256 {
    fn partial_cmp(&self, other: &U256) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Not for U256 {
    type Output = U256;
    fn not(self) -> U256 {
        U256(self.0.map(|limb| !limb))
    }
}

impl Shl<u32> for U256 {
    type Output = U256;
    /// Bits above the top are lost; a shift of 256 or more leaves zero.
    fn shl(self, count: u32) -> U256 {
        let (words, bits) = (count as usize / 64, count % 64);
        let mut shifted = [0; 4];
        for (i, limb) in shifted.iter_mut().enumerate().skip(words) {
            *limb = self.0[i - words] << bits;
            if bits > 0 && i > words {
                *limb |= self.0[i - words - 1] >> (64 - bits);
            }
        }
        U256(shifted)
    }
}

impl Shr<u32> for U256 {
    type Output = U256;
    /// Bits below the bottom are lost; a shift of 256 or more leaves zero.
    fn shr(self, count: u32) -> U256 {
        let (words, bits) = (count as usize / 64, count % 64);
        let mut shifted = [0; 4];
        for (i, limb) in self.0.iter().enumerate().skip(words) {
            shifted[i - words] = limb >> bits;
            if bits > 0 && i + 1 < 4 {
                shifted[i - words] |= self.0[i + 1] << (64 - bits);
            }
        }
        U256(shifted)
    }
}

/// Sixty-four hex digits, most significant first.
impl fmt::Display for U256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|limb| write!(f, "{limb:016x}"))
    }
}

impl fmt::Debug for U256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{self}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any() -> impl Strategy<Value = U256> {
        (any_limbs(), 0u32..256).prop_map(|(limbs, shift)| U256(limbs) >> shift)
    }

    fn any_limbs() -> impl Strategy<Value = [u64; 4]> {
        proptest::array::uniform4(proptest::num::u64::ANY)
    }

    proptest! {
        #[test]
        fn bytes_round_trip_in_both_orders(value in any()) {
            prop_assert_eq!(U256::from_le_bytes(value.to_le_bytes()), value);
            prop_assert_eq!(U256::from_be_bytes(value.to_be_bytes()), value);
        }

        #[test]
        fn division_agrees_with_scaling_by_a_word(value in any(), divisor in 1u64..) {
            let scaled = value.checked_mul_div(1, divisor).unwrap();
            prop_assert_eq!(value.divide(U256::from(divisor)), scaled);
        }

        #[test]
        fn addition_is_undone_by_subtraction(a in any(), b in any()) {
            match a.checked_add(b) {
                Some(sum) => prop_assert_eq!(sum.checked_sub(b), Some(a)),
                None => prop_assert!(!a < b),
            }
        }

        #[test]
        fn a_shift_is_a_product_or_a_quotient(value in any(), count in 0u32..64) {
            let power = 1u64 << count;
            let kept = value << 64 >> 64;
            prop_assert_eq!(Some(kept << count), kept.checked_mul_div(power, 1));
            prop_assert_eq!(value >> count, value.divide(U256::from(power)));
        }
    }

    #[test]
    fn the_extremes_hold() {
        assert_eq!(U256::ZERO.bits(), 0);
        assert_eq!(U256::MAX.bits(), 256);
        assert_eq!(U256::MAX.checked_add(U256::ONE), None);
        assert_eq!(U256::MAX.checked_mul_div(2, 1), None);
        assert_eq!(U256::MAX.checked_mul_div(u64::MAX, u64::MAX), Some(U256::MAX));
        assert_eq!(U256::MAX << 256, U256::ZERO);
        assert_eq!(U256::MAX >> 256, U256::ZERO);
        assert_eq!(U256::MAX >> 192, U256::from(u64::MAX));
    }
}
