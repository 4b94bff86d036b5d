//! Four points at once, two coordinates to a register: the formulas of `super::super::point` in lanes.
//!
//! Of the products of an addition two at a time do not depend on each other. So `x` and `y` share
//! registers, and so do `t` and `z`; an addition is four products and three times a difference
//! and a sum.

use core::arch::x86_64::{
    __m512i, _mm512_cmpeq_epi64_mask, _mm512_loadu_si512, _mm512_mask_blend_epi64,
    _mm512_mask_mov_epi64, _mm512_mask_shuffle_i64x2, _mm512_mask_sub_epi64,
    _mm512_permutex2var_epi64, _mm512_set1_epi64, _mm512_setr_epi64, _mm512_setzero_si512,
    _mm512_shuffle_i64x2, _mm512_srli_epi64, _mm512_ternarylogic_epi64, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};
use core::{array, iter};

use super::super::super::field::Fe;
use super::super::{HALF_BITS, Niels, Quad, Term};
use super::element::{Element, LOWER, two_p};

/// Four points in extended coordinates, all reduced.
pub(super) struct Points {
    /// `x`, and `y` in the upper half.
    xy: Element,
    /// `t`, and `z` in the upper half.
    tz: Element,
}

/// Two, as an element.
const TWO: Fe = Fe([2, 0, 0, 0, 0]);

impl Points {
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn load(quad: &Quad) -> Points {
        let [x, y, z, t] = &quad.0;
        Points { xy: Element::load(x, y), tz: Element::load(t, z) }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn store(&self, quad: &mut Quad) {
        let [x, y, z, t] = &mut quad.0;
        self.xy.store(x, y);
        self.tz.store(t, z);
    }

    /// Adds to each point its term.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn add_terms(&mut self, terms: &[Term<'_>; 4]) {
        let signs = [0, 1, 2, 3].map(|lane: usize| u8::from(terms[lane].negative) << lane);
        let points = [0, 1, 2, 3].map(|lane: usize| words(terms[lane].point));
        self.add_gathered(&gathered(points, signs.into_iter().sum()));
    }

    /// Adds to each point the multiple, of a row of eight, that its digit from -8 to 8 asks for.
    /// In constant time.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn add_secret(&mut self, rows: &[[Niels; 8]; 4], digits: &[i8; 4]) {
        let signs = [0, 1, 2, 3].map(|lane: usize| (digits[lane] as u8 >> 7) << lane);
        let points = [0, 1, 2, 3].map(|lane: usize| selected(&rows[lane], digits[lane]));
        self.add_gathered(&gathered(points, signs.into_iter().sum()));
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn add_gathered(&mut self, [minus_plus, xy2d_two]: &[Element; 2]) {
        let ab = self.xy.difference_and_sum().times(minus_plus);
        let cd = self.tz.times(xy2d_two);
        self.complete(&ab, &cd);
    }

    /// Adds four other points.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn add(&mut self, other: &Points) {
        let ab = self.xy.difference_and_sum().times(&other.xy.difference_and_sum());
        let cd = self.tz.times(&other.tz.times(&Element::splat(&Fe::D2, &TWO)));
        self.complete(&ab, &cd);
    }

    /// The sum from the four products of an addition, `a` and `b`, `c` and `d`.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn complete(&mut self, ab: &Element, cd: &Element) {
        let (eh, fg) = (ab.difference_and_sum(), cd.difference_and_sum());
        self.xy = eh.times(&fg);
        self.tz = eh.lower_halves(&fg).times(&eh.upper_halves(&fg));
    }
}

/// The sixteen words of a point.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn words(point: &Niels) -> [__m512i; 2] {
    let eights = point.0.as_chunks::<8>().0;
    // SAFETY: eight words are the 64 bytes that are read.
    array::from_fn(|i| unsafe { _mm512_loadu_si512(eights[i].as_ptr().cast()) })
}

/// The words of the multiple that a digit's magnitude asks for. All of the row is read, by reads that
/// the compiler may neither leave out nor make depend on the mask; the wanted one is masked in.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn selected(row: &[Niels; 8], digit: i8) -> [__m512i; 2] {
    let sign = digit >> 7;
    let magnitude = _mm512_set1_epi64(i64::from((digit ^ sign) - sign));
    let mut selected = [_mm512_setzero_si512(); 2];
    let candidates = iter::once(&Niels::IDENTITY).chain(row);
    for (multiple, candidate) in candidates.enumerate() {
        let wanted = _mm512_cmpeq_epi64_mask(magnitude, _mm512_set1_epi64(multiple as i64));
        for (to, eight) in selected.iter_mut().zip(candidate.0.as_chunks::<8>().0) {
            let from: *const __m512i = eight.as_ptr().cast();
            // SAFETY: eight words are the 64 bytes that are read, and a point lies at a multiple of 64.
            let from = unsafe { from.read_volatile() };
            *to = _mm512_mask_mov_epi64(*to, wanted, from);
        }
    }
    selected
}

/// `y - x` and `y + x` of four points, and `2 d x y` beside the number two: of those to be
/// subtracted, whose bits `signs` has, as the negated point has them. Below `2^52`, which is what a
/// product takes; a negated limb may be more than reduced.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn gathered(points: [[__m512i; 2]; 4], signs: u8) -> [Element; 2] {
    // Register `i` of `a` holds the words i and i + 4, of `b` the words i + 8 and i + 12.
    let a = transposed(points.map(|words| words[0]));
    let b = transposed(points.map(|words| words[1]));
    let (two, none) = (_mm512_set1_epi64(2), _mm512_setzero_si512());
    let minus_plus = [
        upper_and_lower(a[1], a[0]),
        upper_and_lower(a[2], a[1]),
        upper_and_lower(a[3], a[2]),
        _mm512_shuffle_i64x2::<0x44>(b[0], a[3]),
        _mm512_mask_blend_epi64(LOWER, a[0], b[1]),
    ];
    let xy2d_two = [
        _mm512_mask_blend_epi64(LOWER, two, b[2]),
        _mm512_mask_blend_epi64(LOWER, none, b[3]),
        upper_and_lower(b[0], none),
        upper_and_lower(b[1], none),
        upper_and_lower(b[2], none),
    ];
    let swapped = |i: usize| {
        let limbs = limb(minus_plus[i]);
        _mm512_mask_shuffle_i64x2::<0x4e>(limbs, signs | signs << 4, limbs, limbs)
    };
    let negated = |i: usize| {
        let limbs = limb(xy2d_two[i]);
        _mm512_mask_sub_epi64(limbs, signs, two_p(i), limbs)
    };
    [Element(array::from_fn(swapped)), Element(array::from_fn(negated))]
}

/// The upper half of one register, and beside it the lower half of another.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn upper_and_lower(upper: __m512i, lower: __m512i) -> __m512i {
    _mm512_shuffle_i64x2::<0x4e>(upper, lower)
}

/// Limbs from words that hold them as two halves.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn limb(words: __m512i) -> __m512i {
    let low = _mm512_set1_epi64((1 << HALF_BITS) - 1);
    // Bit by bit: of the second where the first is set, else of the third.
    _mm512_ternarylogic_epi64::<0xca>(low, words, _mm512_srli_epi64::<{ 32 - HALF_BITS }>(words))
}

/// Eight words of four points, from a register for each point to one for two words, the first and
/// the fifth, and so on.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn transposed([r0, r1, r2, r3]: [__m512i; 4]) -> [__m512i; 4] {
    let even = [_mm512_unpacklo_epi64(r0, r1), _mm512_unpacklo_epi64(r2, r3)];
    let odd = [_mm512_unpackhi_epi64(r0, r1), _mm512_unpackhi_epi64(r2, r3)];
    let first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    let second = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    [
        _mm512_permutex2var_epi64(even[0], first, even[1]),
        _mm512_permutex2var_epi64(odd[0], first, odd[1]),
        _mm512_permutex2var_epi64(even[0], second, even[1]),
        _mm512_permutex2var_epi64(odd[0], second, odd[1]),
    ]
}
