//! Rounds and blocks for sixteen lanes, and the way from rows of bytes to columns of words.

use core::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm_set_epi8, _mm256_storeu_si256, _mm512_add_epi32,
    _mm512_broadcast_i32x4, _mm512_castsi128_si512, _mm512_castsi512_si256, _mm512_inserti32x4,
    _mm512_loadu_si512, _mm512_maskz_loadu_epi8, _mm512_or_si512, _mm512_ror_epi32,
    _mm512_set1_epi32, _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_srli_epi32,
    _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use core::array;

use super::super::columns::{columns, sixteen};
use super::super::constants::{INITIAL, PADDING_32, ROUND, ROUND_PADDING_64};
use crate::Digest;

/// Messages side by side.
pub(super) const LANES: usize = 16;

/// Sixteen 32-bit words: the same word of sixteen messages, or a block of one.
#[derive(Clone, Copy)]
pub(super) struct Words(__m512i);

impl Words {
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn of(list: &[u32; 16]) -> Words {
        // SAFETY: `list` is valid for 64 bytes; the instruction needs no alignment.
        Words(unsafe { _mm512_loadu_si512(list.as_ptr().cast()) })
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn all(word: u32) -> Words {
        Words(_mm512_set1_epi32(word as i32))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn list(self) -> [u32; 16] {
        let mut list = [0; 16];
        // SAFETY: `list` is valid for 64 bytes; the instruction needs no alignment.
        unsafe { _mm512_storeu_si512(list.as_mut_ptr().cast(), self.0) };
        list
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn plus(self, other: Words) -> Words {
        Words(_mm512_add_epi32(self.0, other.0))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn xor3(x: Words, y: Words, z: Words) -> Words {
        Words(_mm512_ternarylogic_epi32::<0x96>(x.0, y.0, z.0))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn choice(e: Words, f: Words, g: Words) -> Words {
        Words(_mm512_ternarylogic_epi32::<0xCA>(e.0, f.0, g.0))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn majority(a: Words, b: Words, c: Words) -> Words {
        Words(_mm512_ternarylogic_epi32::<0xE8>(a.0, b.0, c.0))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn shift_right<const R: u32>(self) -> Words {
        Words(_mm512_srli_epi32::<R>(self.0))
    }

    /// Rotated right by `R` places; `L`, which is `32 - R`, is for who has no such instruction.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn rotate_right<const R: i32, const L: i32>(self) -> Words {
        Words(_mm512_ror_epi32::<R>(self.0))
    }

    /// Turns big-endian words into lanes, and back.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(super) fn swap_bytes(self) -> Words {
        let order = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
        Words(_mm512_shuffle_epi8(self.0, _mm512_broadcast_i32x4(order)))
    }

    /// The words of a block.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(super) fn row(block: &[u8; 64]) -> Words {
        // SAFETY: `block` is valid for 64 bytes; the instruction needs no alignment.
        Words(unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }).swap_bytes()
    }

    /// The words of a block whose first bytes, fewer than 64, are these, and whose others are zero.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(super) fn part(bytes: &[u8]) -> Words {
        let mask = (1 << bytes.len().min(63)) - 1;
        // SAFETY: the instruction reads the bytes that the mask names and no others, and `bytes` has those.
        let part = unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) };
        Words(part).swap_bytes()
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn or(self, other: Words) -> Words {
        Words(_mm512_or_si512(self.0, other.0))
    }

    /// The words of a block that is given by its quarters.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(super) fn row_of_quarters(quarters: [&[u8; 16]; 4]) -> Words {
        // SAFETY: each is valid for 16 bytes; the instruction needs no alignment.
        let [a, b, c, d] = quarters.map(|q| unsafe { _mm_loadu_si128(q.as_ptr().cast()) });
        let low = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
        Words(_mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(low, c), d)).swap_bytes()
    }
}

columns!("avx512f,avx512bw");

/// The digests that sixteen states stand for.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(super) fn digests(state: State) -> [Digest; LANES] {
    let mut columns = [Words::all(0); 16];
    columns[..8].copy_from_slice(&state.map(|column| column.swap_bytes()));
    transpose(columns).map(|row| {
        let mut digest = Digest::ZERO;
        // SAFETY: a digest is valid for 32 bytes; the instruction needs no alignment.
        unsafe { _mm256_storeu_si256(digest.0.as_mut_ptr().cast(), _mm512_castsi512_si256(row.0)) };
        digest
    })
}

/// Rows into columns: lane `n` of word `i` becomes lane `i` of word `n`. It is its own inverse.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn transpose(rows: [Words; 16]) -> [Words; 16] {
    let rows = rows.map(|row| row.0);
    // Within each quarter: pairs of rows by word, then fours of rows by two words.
    let twos: [__m512i; 16] = array::from_fn(|i| {
        let (x, y) = (rows[i & !1], rows[i | 1]);
        if i % 2 == 0 { _mm512_unpacklo_epi32(x, y) } else { _mm512_unpackhi_epi32(x, y) }
    });
    let fours: [__m512i; 16] = array::from_fn(|i| {
        let first = (i & !3) + (i % 4) / 2;
        let (x, y) = (twos[first], twos[first + 2]);
        if i % 2 == 0 { _mm512_unpacklo_epi64(x, y) } else { _mm512_unpackhi_epi64(x, y) }
    });
    // A quarter q of `fours[4 r + i]` has word 4 q + i of the rows 4 r to 4 r + 3: the quarters of
    // r = 0 to 3 come together, even ones and odd ones first.
    let eights: [__m512i; 16] = array::from_fn(|i| {
        let (x, y) = (fours[i % 4 + 8 * (i / 8)], fours[i % 4 + 8 * (i / 8) + 4]);
        if i % 8 < 4 {
            _mm512_shuffle_i32x4::<0x88>(x, y)
        } else {
            _mm512_shuffle_i32x4::<0xDD>(x, y)
        }
    });
    array::from_fn(|word| {
        let from = word % 4 + 4 * (word / 4 % 2);
        let (x, y) = (eights[from], eights[from + 8]);
        Words(if word < 8 {
            _mm512_shuffle_i32x4::<0x88>(x, y)
        } else {
            _mm512_shuffle_i32x4::<0xDD>(x, y)
        })
    })
}
