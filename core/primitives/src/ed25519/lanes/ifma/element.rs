//! Eight field elements at once, each lane of 64 bits holding a limb of one.
//!
//! An element is `sum l_i 2^(51 i)` in five limbs, as `super::super::super::field` has it. The unit
//! multiplies 52 bits by 52 and adds the lower or the upper 52 bits of the product: an upper half
//! has the weight `2^52` where the next limb has `2^51`, so it counts twice.
//!
//! # Bounds
//! "Reduced" limbs are below `2^51 + 2^15`; products and [`Element::difference_and_sum`] leave them
//! below `2^51 + 2^11`. Factors are below `2^52`, since what passes 52 bits would not be seen: there
//! is no room for a sum. What [`Element::difference_and_sum`] takes is reduced. A column of a product
//! is at most `14 * 2^52`, and `267 * 2^52 < 2^61` once what passes `2^255` has come back
//! nineteenfold.

use core::arch::x86_64::{
    __m256i, __m512i, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_epi64, _mm512_and_si512,
    _mm512_castsi256_si512, _mm512_castsi512_si256, _mm512_extracti64x4_epi64, _mm512_inserti64x4,
    _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_sub_epi64,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shuffle_i64x2, _mm512_slli_epi64,
    _mm512_srli_epi64, _mm512_storeu_si512,
};
use core::array;

use super::super::super::field::Fe;
use super::super::super::point::HALF_BITS;
use super::super::Coordinate;
use super::super::vector::power;

/// Eight elements; register `i` holds the limbs `i`. Where four lanes are worked on, the lower half
/// of a register has one element of each and the upper half another.
#[derive(Clone, Copy)]
pub(super) struct Element(pub(super) [__m512i; 5]);

/// Bits of a limb, and of the lower of its halves.
const BITS: u32 = 51;
const LOW_BITS: u32 = HALF_BITS;
/// The lanes of the lower half of a register.
pub(super) const LOWER: u8 = 0x0f;

impl Element {
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn load(lower: &Coordinate, upper: &Coordinate) -> Element {
        Element(array::from_fn(|i| {
            let even = joined(row(&lower[2 * i]), row(&upper[2 * i]));
            let odd = joined(row(&lower[2 * i + 1]), row(&upper[2 * i + 1]));
            _mm512_add_epi64(even, _mm512_slli_epi64::<LOW_BITS>(odd))
        }))
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn store(&self, lower: &mut Coordinate, upper: &mut Coordinate) {
        let mask = _mm512_set1_epi64((1 << LOW_BITS) - 1);
        for (i, limbs) in self.0.into_iter().enumerate() {
            let halves = [_mm512_and_si512(limbs, mask), _mm512_srli_epi64::<LOW_BITS>(limbs)];
            for (half, values) in halves.into_iter().enumerate() {
                set_row(&mut lower[2 * i + half], _mm512_castsi512_si256(values));
                set_row(&mut upper[2 * i + half], _mm512_extracti64x4_epi64::<1>(values));
            }
        }
    }

    /// One element in each lane, reduced.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn gathered(elements: &[Fe; 8]) -> Element {
        Element(array::from_fn(|i| {
            let limbs: [u64; 8] = elements.map(|element| element.reduced().0[i]);
            // SAFETY: eight words are the 64 bytes that are read; `loadu` asks for no alignment.
            unsafe { _mm512_loadu_si512(limbs.as_ptr().cast()) }
        }))
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn scatter(&self, elements: &mut [Fe; 8]) {
        for (i, register) in self.0.into_iter().enumerate() {
            let mut limbs = [0u64; 8];
            // SAFETY: eight words are the 64 bytes that are written; `storeu` asks for no alignment.
            unsafe { _mm512_storeu_si512(limbs.as_mut_ptr().cast(), register) }
            for (element, limb) in elements.iter_mut().zip(limbs) {
                element.0[i] = limb;
            }
        }
    }

    /// The same two elements in all lanes of the lower and of the upper half.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn splat(lower: &Fe, upper: &Fe) -> Element {
        let limb = |i: usize| {
            let (lower, upper) = (lower.0[i] as i64, upper.0[i] as i64);
            _mm512_shuffle_i64x2::<0x44>(_mm512_set1_epi64(lower), _mm512_set1_epi64(upper))
        };
        Element(array::from_fn(limb))
    }

    /// The lower halves of two registers side by side.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn lower_halves(&self, other: &Element) -> Element {
        Element(array::from_fn(|i| _mm512_shuffle_i64x2::<0x44>(self.0[i], other.0[i])))
    }

    /// The upper halves of two registers side by side.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn upper_halves(&self, other: &Element) -> Element {
        Element(array::from_fn(|i| _mm512_shuffle_i64x2::<0xee>(self.0[i], other.0[i])))
    }

    /// The upper half less the lower one, and the sum of both: reduced, of what is reduced.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn difference_and_sum(&self) -> Element {
        let limb = |i: usize| {
            let limbs = self.0[i];
            let swapped = _mm512_shuffle_i64x2::<0x4e>(limbs, limbs);
            let signed = _mm512_mask_sub_epi64(limbs, LOWER, two_p(i), limbs);
            _mm512_add_epi64(swapped, signed)
        };
        carried(array::from_fn(limb))
    }

    /// The product, reduced.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn times(&self, right: &Element) -> Element {
        let mut c = [_mm512_setzero_si512(); 10];
        for i in 0..5 {
            for j in 0..5 {
                let column = &mut c[i + j + 1];
                *column = _mm512_madd52hi_epu64(*column, self.0[i], right.0[j]);
            }
        }
        double(&mut c);
        for i in 0..5 {
            for j in 0..5 {
                let column = &mut c[i + j];
                *column = _mm512_madd52lo_epu64(*column, self.0[i], right.0[j]);
            }
        }
        reduced(c)
    }

    /// The square, reduced. Every pair of different limbs is met once and counts twice.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn squared(&self) -> Element {
        let limbs = &self.0;
        let mut c = [_mm512_setzero_si512(); 10];
        for i in 0..5 {
            for j in i + 1..5 {
                let column = &mut c[i + j + 1];
                *column = _mm512_madd52hi_epu64(*column, limbs[i], limbs[j]);
            }
        }
        double(&mut c);
        for i in 0..5 {
            let column = &mut c[2 * i + 1];
            *column = _mm512_madd52hi_epu64(*column, limbs[i], limbs[i]);
            for j in i + 1..5 {
                let column = &mut c[i + j];
                *column = _mm512_madd52lo_epu64(*column, limbs[i], limbs[j]);
            }
        }
        double(&mut c);
        for i in 0..5 {
            c[2 * i] = _mm512_madd52lo_epu64(c[2 * i], limbs[i], limbs[i]);
        }
        reduced(c)
    }

    power!(needs "avx512f,avx512ifma");
}

/// Limb `i` of twice `p`, than which no reduced limb is larger.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
pub(super) fn two_p(i: usize) -> __m512i {
    _mm512_set1_epi64(if i == 0 { (1 << 52) - 38 } else { (1 << 52) - 2 })
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn double(columns: &mut [__m512i; 10]) {
    for column in columns {
        *column = _mm512_add_epi64(*column, *column);
    }
}

/// Brings ten columns, each at most `14 * 2^52`, to limbs.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn reduced(c: [__m512i; 10]) -> Element {
    carried(array::from_fn(|i| {
        // What passes 2^255 has up to 56 bits: too many for a multiplication, so 19 = 16 + 2 + 1.
        let over = c[i + 5];
        let threefold = _mm512_add_epi64(_mm512_add_epi64(over, over), over);
        let sixteenfold = _mm512_slli_epi64::<4>(over);
        _mm512_add_epi64(_mm512_add_epi64(c[i], threefold), sixteenfold)
    }))
}

/// Moves what limbs have above 51 bits to the next ones, all at once.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn carried(limbs: [__m512i; 5]) -> Element {
    let mask = _mm512_set1_epi64((1 << BITS) - 1);
    let carry = limbs.map(|limb| _mm512_srli_epi64::<BITS>(limb));
    let kept = limbs.map(|limb| _mm512_and_si512(limb, mask));
    Element([
        _mm512_madd52lo_epu64(kept[0], carry[4], _mm512_set1_epi64(19)),
        _mm512_add_epi64(kept[1], carry[0]),
        _mm512_add_epi64(kept[2], carry[1]),
        _mm512_add_epi64(kept[3], carry[2]),
        _mm512_add_epi64(kept[4], carry[3]),
    ])
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn joined(lower: __m256i, upper: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(lower), upper)
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn row(lanes: &[u64; 4]) -> __m256i {
    // SAFETY: four words are the 32 bytes that are read; `loadu` asks for no alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn set_row(lanes: &mut [u64; 4], values: __m256i) {
    // SAFETY: four words are the 32 bytes that are written; `storeu` asks for no alignment.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), values) }
}
