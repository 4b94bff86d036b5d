//! Four field elements at once, each lane of 64 bits holding a limb of one.
//!
//! An element is `sum l_i 2^ceil(25.5 i)`: even limbs have 26 bits, odd ones 25. The layout and the
//! carry chain are those of Bernstein's `ref10`, without signs: a difference adds a multiple of `p`
//! first.
//!
//! # Bounds
//! "Reduced" limbs are below `2^26` and `2^25`, the second and the sixth by up to `2^17` more. A
//! product takes a right factor with even limbs below `3 * 2^26` and odd ones below `3 * 2^25`, for
//! nineteen times a limb has to fit into 32 bits, and a left factor with limbs below `2^28` and
//! `2^27`. Then each column is below `1494 * 2^52 < 2^63`. Each method says what it takes and
//! gives, in multiples of the reduced bound.

#[cfg(not(miri))]
use core::arch::asm;
use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_loadu_si256, _mm256_mul_epu32,
    _mm256_set1_epi64x, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_storeu_si256,
    _mm256_sub_epi64,
};
use core::array;

use super::super::Coordinate;
use super::super::vector::power;

/// Four elements; register `i` holds the limbs `i`.
#[derive(Clone, Copy)]
pub(super) struct Element(pub(super) [__m256i; 10]);

/// Bits of the even and of the odd limbs.
const EVEN_BITS: i32 = 26;
const ODD_BITS: i32 = 25;

/// Twice `p`: its lowest limb, its other even ones and its odd ones.
const TWO_P_LOWEST: i64 = (1 << 27) - 38;
const TWO_P_EVEN: i64 = (1 << 27) - 2;
const TWO_P_ODD: i64 = (1 << 26) - 2;

/// Adds to ten columns the products of limb `$i` of the left factor with the limbs `$j` of the
/// right one. A column that passes `2^255` comes back nineteenfold, and two odd limbs meet half a
/// bit too high.
macro_rules! row {
    ($columns:ident, $left:ident, $right:ident, $right19:ident, $i:literal, $($j:literal)*) => {
        let single = $left[$i];
        let double = _mm256_add_epi64(single, single);
        $(
            let left = if $i % 2 == 1 && $j % 2 == 1 { double } else { single };
            let right = if $i + $j >= 10 { $right19 } else { $right };
            // The compiler, left alone, keeps the right factor in registers and the sums in memory.
            // SAFETY: it reads limb `$j`, 32 bytes, of ten; avx2 is enabled here.
            #[cfg(not(miri))]
            unsafe {
                asm!(
                    "vpmuludq {product}, {left}, ymmword ptr [{right} + {offset}]",
                    "vpaddq {sum}, {sum}, {product}",
                    product = out(ymm_reg) _,
                    left = in(ymm_reg) left,
                    right = in(reg) right.as_ptr(),
                    offset = const 32 * $j,
                    sum = inout(ymm_reg) $columns[($i + $j) % 10],
                    options(pure, readonly, nostack, preserves_flags),
                );
            }
            // Miri knows no assembly.
            #[cfg(miri)]
            {
                let column = &mut $columns[($i + $j) % 10];
                *column = _mm256_add_epi64(*column, _mm256_mul_epu32(left, right[$j]));
            }
        )*
    };
}

/// As `row`, of a square: every pair of different limbs is met once and counts twice.
macro_rules! square_row {
    ($columns:ident, $limbs:ident, $limbs19:ident, $i:literal) => {
        let single = $limbs[$i];
        let double = _mm256_add_epi64(single, single);
        let fourfold = _mm256_add_epi64(double, double);
        for j in $i..10 {
            let left = match ($i == j, $i % 2 == 1 && j % 2 == 1) {
                (true, false) => single,
                (true, true) | (false, false) => double,
                (false, true) => fourfold,
            };
            let right = if $i + j >= 10 { $limbs19[j] } else { $limbs[j] };
            let column = &mut $columns[($i + j) % 10];
            *column = _mm256_add_epi64(*column, _mm256_mul_epu32(left, right));
        }
    };
}

/// Moves what limb `$from` has above its bits to limb `$to`.
macro_rules! carry {
    ($c:ident, $from:literal, $to:literal, $bits:ident) => {
        let mask = _mm256_set1_epi64x((1 << $bits) - 1);
        $c[$to] = _mm256_add_epi64($c[$to], _mm256_srli_epi64::<$bits>($c[$from]));
        $c[$from] = _mm256_and_si256($c[$from], mask);
    };
}

impl Element {
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn load(lanes: &Coordinate) -> Element {
        // SAFETY: each row is 32 bytes that may be read; `loadu` asks for no alignment.
        Element(array::from_fn(|i| unsafe { _mm256_loadu_si256(lanes[i].as_ptr().cast()) }))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn store(&self, lanes: &mut Coordinate) {
        for (lanes, limbs) in lanes.iter_mut().zip(self.0) {
            // SAFETY: the row is 32 bytes that may be written; `storeu` asks for no alignment.
            unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), limbs) }
        }
    }

    /// The same element in each lane, from its limbs of 26 and 25 bits.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn splat(limbs: &[i64; 10]) -> Element {
        Element(array::from_fn(|i| _mm256_set1_epi64x(limbs[i])))
    }

    /// The sum, limb by limb: the bounds add up.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn plus(&self, other: &Element) -> Element {
        Element(array::from_fn(|i| _mm256_add_epi64(self.0[i], other.0[i])))
    }

    /// The difference to a reduced element: the bound grows by two.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn minus(&self, other: &Element) -> Element {
        let two_p = two_p();
        Element(array::from_fn(|i| {
            _mm256_sub_epi64(_mm256_add_epi64(self.0[i], two_p[i]), other.0[i])
        }))
    }

    /// The product, reduced. `self` is at most four times reduced, `right` at most three times.
    #[target_feature(enable = "avx2")]
    #[inline(never)] // seven of them in a row fill the instruction cache
    pub(super) fn times(&self, right: &Element) -> Element {
        let (left, right) = (&self.0, &right.0);
        let right19 = &nineteenfold(right);
        let mut c: [__m256i; 10] = array::from_fn(|j| _mm256_mul_epu32(left[0], right[j]));
        row!(c, left, right, right19, 1, 0 1 2 3 4 5 6 7 8 9);
        row!(c, left, right, right19, 2, 0 1 2 3 4 5 6 7 8 9);
        row!(c, left, right, right19, 3, 0 1 2 3 4 5 6 7 8 9);
        row!(c, left, right, right19, 4, 0 1 2 3 4 5 6 7 8 9);
        row!(c, left, right, right19, 5, 0 1 2 3 4 5 6 7 8 9);
        row!(c, left, right, right19, 6, 0 1 2 3 4 5 6 7 8 9);
        row!(c, left, right, right19, 7, 0 1 2 3 4 5 6 7 8 9);
        row!(c, left, right, right19, 8, 0 1 2 3 4 5 6 7 8 9);
        row!(c, left, right, right19, 9, 0 1 2 3 4 5 6 7 8 9);
        reduced(c)
    }

    /// The square, reduced, of an element that is at most three times reduced.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn squared(&self) -> Element {
        let limbs = &self.0;
        let limbs19 = nineteenfold(limbs);
        let mut c = [_mm256_set1_epi64x(0); 10];
        square_row!(c, limbs, limbs19, 0);
        square_row!(c, limbs, limbs19, 1);
        square_row!(c, limbs, limbs19, 2);
        square_row!(c, limbs, limbs19, 3);
        square_row!(c, limbs, limbs19, 4);
        square_row!(c, limbs, limbs19, 5);
        square_row!(c, limbs, limbs19, 6);
        square_row!(c, limbs, limbs19, 7);
        square_row!(c, limbs, limbs19, 8);
        square_row!(c, limbs, limbs19, 9);
        reduced(c)
    }

    power!(needs "avx2");
}

#[target_feature(enable = "avx2")]
#[inline]
fn two_p() -> [__m256i; 10] {
    let (even, odd) = (_mm256_set1_epi64x(TWO_P_EVEN), _mm256_set1_epi64x(TWO_P_ODD));
    let lowest = _mm256_set1_epi64x(TWO_P_LOWEST);
    [lowest, odd, even, odd, even, odd, even, odd, even, odd]
}

/// Nineteen times the lower 32 bits of each lane.
#[target_feature(enable = "avx2")]
#[inline]
fn nineteenfold(limbs: &[__m256i; 10]) -> [__m256i; 10] {
    let nineteen = _mm256_set1_epi64x(19);
    // Miri knows no assembly.
    #[cfg(miri)]
    return array::from_fn(|i| _mm256_mul_epu32(limbs[i], nineteen));
    #[cfg(not(miri))]
    array::from_fn(|i| {
        let product;
        // The intrinsic will not do: the compiler sees that only the lower 32 bits are used later
        // and makes a multiplication of 64 bits of it, five instructions for one.
        // SAFETY: it computes on registers alone; avx2 is enabled here.
        unsafe {
            asm!(
                "vpmuludq {product}, {limb}, {nineteen}",
                product = lateout(ymm_reg) product,
                limb = in(ymm_reg) limbs[i],
                nineteen = in(ymm_reg) nineteen,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        product
    })
}

/// Carries columns below `2^63` up, two chains side by side.
#[target_feature(enable = "avx2")]
#[inline]
fn reduced(mut c: [__m256i; 10]) -> Element {
    carry!(c, 0, 1, EVEN_BITS);
    carry!(c, 4, 5, EVEN_BITS);
    carry!(c, 1, 2, ODD_BITS);
    carry!(c, 5, 6, ODD_BITS);
    carry!(c, 2, 3, EVEN_BITS);
    carry!(c, 6, 7, EVEN_BITS);
    carry!(c, 3, 4, ODD_BITS);
    carry!(c, 7, 8, ODD_BITS);
    carry!(c, 4, 5, EVEN_BITS);
    carry!(c, 8, 9, EVEN_BITS);
    // What passes 2^255 has up to 38 bits: too many for a multiplication, so 19 = 16 + 2 + 1.
    let over = _mm256_srli_epi64::<ODD_BITS>(c[9]);
    let twice = _mm256_add_epi64(over, over);
    let over19 = _mm256_add_epi64(_mm256_add_epi64(over, twice), _mm256_slli_epi64::<4>(over));
    c[0] = _mm256_add_epi64(c[0], over19);
    c[9] = _mm256_and_si256(c[9], _mm256_set1_epi64x((1 << ODD_BITS) - 1));
    carry!(c, 0, 1, EVEN_BITS);
    Element(c)
}
