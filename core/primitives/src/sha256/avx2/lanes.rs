//! Rounds and blocks for eight lanes, and the way from rows of bytes to columns of words.

use core::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm_set_epi8, _mm256_add_epi32, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_loadu_si256, _mm256_permute2x128_si256, _mm256_set_m128i,
    _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32,
    _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};
use core::array;

use super::super::columns::{columns, sixteen};
use super::super::constants::{INITIAL, PADDING_32, ROUND, ROUND_PADDING_64};
use crate::Digest;

/// Messages side by side.
pub(super) const LANES: usize = 8;

/// Eight 32-bit words: the same word of eight messages, or eight words of one.
#[derive(Clone, Copy)]
pub(super) struct Words(__m256i);

impl Words {
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn of(list: &[u32; 8]) -> Words {
        // SAFETY: `list` is valid for 32 bytes; the instruction needs no alignment.
        Words(unsafe { _mm256_loadu_si256(list.as_ptr().cast()) })
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn all(word: u32) -> Words {
        Words(_mm256_set1_epi32(word as i32))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn list(self) -> [u32; 8] {
        let mut list = [0; 8];
        // SAFETY: `list` is valid for 32 bytes; the instruction needs no alignment.
        unsafe { _mm256_storeu_si256(list.as_mut_ptr().cast(), self.0) };
        list
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn plus(self, other: Words) -> Words {
        Words(_mm256_add_epi32(self.0, other.0))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn xor(self, other: Words) -> Words {
        Words(_mm256_xor_si256(self.0, other.0))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn and(self, other: Words) -> Words {
        Words(_mm256_and_si256(self.0, other.0))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn xor3(x: Words, y: Words, z: Words) -> Words {
        x.xor(y).xor(z)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn choice(e: Words, f: Words, g: Words) -> Words {
        g.xor(e.and(f.xor(g)))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn majority(a: Words, b: Words, c: Words) -> Words {
        b.xor(a.xor(b).and(b.xor(c)))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn shift_right<const R: i32>(self) -> Words {
        Words(_mm256_srli_epi32(self.0, R))
    }

    /// Rotated right by `R` places; `L` is `32 - R`.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn rotate_right<const R: i32, const L: i32>(self) -> Words {
        const { assert!(R + L == 32, "what leaves on the right enters on the left") };
        self.shift_right::<R>().xor(Words(_mm256_slli_epi32(self.0, L)))
    }

    /// Turns big-endian words into lanes, and back.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn swap_bytes(self) -> Words {
        let order = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
        Words(_mm256_shuffle_epi8(self.0, _mm256_broadcastsi128_si256(order)))
    }
}

columns!("avx2");

/// The sixteen words of eight blocks, each given by its quarters.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn load(blocks: &[[&[u8; 16]; 4]; LANES]) -> Schedule {
    let half = |low: usize| transpose(array::from_fn(|n| row(blocks[n][low], blocks[n][low + 1])));
    let (first, second) = (half(0), half(2));
    array::from_fn(|i| if i < 8 { first[i] } else { second[i - 8] })
}

#[target_feature(enable = "avx2")]
#[inline]
fn row(low: &[u8; 16], high: &[u8; 16]) -> Words {
    // SAFETY: both are valid for 16 bytes; the instruction needs no alignment.
    let (low, high) =
        unsafe { (_mm_loadu_si128(low.as_ptr().cast()), _mm_loadu_si128(high.as_ptr().cast())) };
    Words(_mm256_set_m128i(high, low)).swap_bytes()
}

/// The digests that eight states stand for.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn digests(state: State) -> [Digest; LANES] {
    let rows = transpose(state);
    let mut digests = [Digest::ZERO; LANES];
    for (row, digest) in rows.into_iter().zip(&mut digests) {
        // SAFETY: a digest is valid for 32 bytes; the instruction needs no alignment.
        unsafe { _mm256_storeu_si256(digest.0.as_mut_ptr().cast(), row.swap_bytes().0) };
    }
    digests
}

/// Rows into columns: lane `n` of word `i` becomes lane `i` of word `n`. It is its own inverse.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn transpose(rows: [Words; 8]) -> [Words; 8] {
    let [a, b, c, d, e, f, g, h] = rows.map(|row| row.0);
    let pairs = |x, y| [_mm256_unpacklo_epi32(x, y), _mm256_unpackhi_epi32(x, y)];
    let ([ab0, ab2], [cd0, cd2]) = (pairs(a, b), pairs(c, d));
    let ([ef0, ef2], [gh0, gh2]) = (pairs(e, f), pairs(g, h));
    let fours = |x, y| [_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y)];
    let [low0, low1] = fours(ab0, cd0);
    let [low2, low3] = fours(ab2, cd2);
    let [high0, high1] = fours(ef0, gh0);
    let [high2, high3] = fours(ef2, gh2);
    // Word i of the rows a to d, then of e to h; its second half is word i + 4.
    let first = |low, high| Words(_mm256_permute2x128_si256(low, high, 0x20));
    let second = |low, high| Words(_mm256_permute2x128_si256(low, high, 0x31));
    [
        first(low0, high0),
        first(low1, high1),
        first(low2, high2),
        first(low3, high3),
        second(low0, high0),
        second(low1, high1),
        second(low2, high2),
        second(low3, high3),
    ]
}
