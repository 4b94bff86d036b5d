//! Four points at once: the formulas of `super::super::point` in lanes.

use core::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_blendv_epi8, _mm256_cmpeq_epi64, _mm256_loadu_si256,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set_epi64x, _mm256_set1_epi64x,
    _mm256_srli_epi64, _mm256_sub_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};
use core::{array, iter};

use super::super::{Niels, Quad, Term};
use super::element::Element;

/// Four points in extended coordinates, all reduced.
pub(super) struct Points {
    x: Element,
    y: Element,
    z: Element,
    t: Element,
}

/// `2 d`, in limbs of 26 and 25 bits.
const D2: [i64; 10] = [
    45281625, 27714825, 36363642, 13898781, 229458, 15978800, 54557047, 27058993, 29715967, 9444199,
];

impl Points {
    #[target_feature(enable = "avx2")]
    pub(super) fn load(quad: &Quad) -> Points {
        let [x, y, z, t] = &quad.0;
        Points {
            x: Element::load(x),
            y: Element::load(y),
            z: Element::load(z),
            t: Element::load(t),
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn store(&self, quad: &mut Quad) {
        let [x, y, z, t] = &mut quad.0;
        self.x.store(x);
        self.y.store(y);
        self.z.store(z);
        self.t.store(t);
    }

    /// Adds to each point its term.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn add_terms(&mut self, terms: &[Term<'_>; 4]) {
        let sign = |lane: usize| -i64::from(terms[lane].negative);
        let signs = _mm256_set_epi64x(sign(3), sign(2), sign(1), sign(0));
        self.add_gathered(&gathered([0, 1, 2, 3].map(|lane| words(terms[lane].point)), signs));
    }

    /// Adds to each point the multiple, of a row of eight, that its digit from -8 to 8 asks for.
    /// In constant time.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn add_secret(&mut self, rows: &[[Niels; 8]; 4], digits: &[i8; 4]) {
        let [d0, d1, d2, d3] = digits.map(|digit| i64::from(digit >> 7));
        let signs = _mm256_set_epi64x(d3, d2, d1, d0);
        let selected = [0, 1, 2, 3].map(|lane: usize| selected(&rows[lane], digits[lane]));
        self.add_gathered(&gathered(selected, signs));
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn add_gathered(&mut self, [plus, minus, xy2d]: &[Element; 3]) {
        let a = self.y.minus(&self.x).times(minus);
        let b = self.y.plus(&self.x).times(plus);
        let c = self.t.times(xy2d);
        self.complete(&a, &b, &c, &self.z.plus(&self.z));
    }

    /// Adds four other points.
    #[target_feature(enable = "avx2")]
    pub(super) fn add(&mut self, other: &Points) {
        let a = self.y.minus(&self.x).times(&other.y.minus(&other.x));
        let b = self.y.plus(&self.x).times(&other.y.plus(&other.x));
        let c = self.t.times(&Element::splat(&D2)).times(&other.t);
        let d = self.z.times(&other.z);
        self.complete(&a, &b, &c, &d.plus(&d));
    }

    /// The sum from the four products of an addition: `a`, `b` and `c` reduced, `d` twice that.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn complete(&mut self, a: &Element, b: &Element, c: &Element, d: &Element) {
        let (e, f, g, h) = (b.minus(a), d.minus(c), d.plus(c), b.plus(a));
        // Of the four only f is fourfold: it has to be the left factor.
        self.x = f.times(&e);
        self.y = g.times(&h);
        self.z = f.times(&g);
        self.t = e.times(&h);
    }
}

/// The sixteen words of a point.
#[target_feature(enable = "avx2")]
#[inline]
fn words(point: &Niels) -> [__m256i; 4] {
    let fours = point.0.as_chunks::<4>().0;
    // SAFETY: four words are the 32 bytes that are read.
    array::from_fn(|i| unsafe { _mm256_loadu_si256(fours[i].as_ptr().cast()) })
}

/// The words of the multiple that a digit's magnitude asks for; all of the row is read, and the
/// wanted one is masked out.
#[target_feature(enable = "avx2")]
#[inline]
fn selected(row: &[Niels; 8], digit: i8) -> [__m256i; 4] {
    let sign = digit >> 7;
    let magnitude = _mm256_set1_epi64x(i64::from((digit ^ sign) - sign));
    let mut selected = [_mm256_set1_epi64x(0); 4];
    let candidates = iter::once(&Niels::IDENTITY).chain(row);
    for (multiple, candidate) in candidates.enumerate() {
        let wanted = _mm256_cmpeq_epi64(magnitude, _mm256_set1_epi64x(multiple as i64));
        for (to, from) in selected.iter_mut().zip(words(candidate)) {
            *to = _mm256_or_si256(*to, _mm256_and_si256(from, wanted));
        }
    }
    selected
}

/// The three elements of four points, those to be subtracted, by their `signs`, as the negated
/// point has them. Twice reduced, and with odd limbs left above the lower 32 bits of even ones,
/// which a product as its right factor does not see.
#[target_feature(enable = "avx2")]
#[inline]
fn gathered(points: [[__m256i; 4]; 4], signs: __m256i) -> [Element; 3] {
    let [w0, w1, w2, w3] = transposed(points.map(|words| words[0]));
    let [w4, w5, w6, w7] = transposed(points.map(|words| words[1]));
    let [w8, w9, w10, w11] = transposed(points.map(|words| words[2]));
    let [w12, w13, w14, _] = transposed(points.map(|words| words[3]));
    let (plus, minus) = ([w0, w1, w2, w3, w4], [w5, w6, w7, w8, w9]);
    let xy2d = [w10, w11, w12, w13, w14];
    let lowest = _mm256_set1_epi64x((((1 << 26) - 2) << 32) + (1 << 27) - 38);
    let others = _mm256_set1_epi64x((((1 << 26) - 2) << 32) + (1 << 27) - 2);
    let negated = |i: usize| _mm256_sub_epi32(if i == 0 { lowest } else { others }, xy2d[i]);
    [
        halves(array::from_fn(|i| _mm256_blendv_epi8(plus[i], minus[i], signs))),
        halves(array::from_fn(|i| _mm256_blendv_epi8(minus[i], plus[i], signs))),
        halves(array::from_fn(|i| _mm256_blendv_epi8(xy2d[i], negated(i), signs))),
    ]
}

/// Ten limbs from five words of two halves.
#[target_feature(enable = "avx2")]
#[inline]
fn halves(words: [__m256i; 5]) -> Element {
    let high = |i: usize| _mm256_srli_epi64::<32>(words[i]);
    Element([
        words[0],
        high(0),
        words[1],
        high(1),
        words[2],
        high(2),
        words[3],
        high(3),
        words[4],
        high(4),
    ])
}

/// Four words of four points, from a register for each point to a register for each word.
#[target_feature(enable = "avx2")]
#[inline]
fn transposed([r0, r1, r2, r3]: [__m256i; 4]) -> [__m256i; 4] {
    let (low01, high01) = (_mm256_unpacklo_epi64(r0, r1), _mm256_unpackhi_epi64(r0, r1));
    let (low23, high23) = (_mm256_unpacklo_epi64(r2, r3), _mm256_unpackhi_epi64(r2, r3));
    [
        _mm256_permute2x128_si256::<0x20>(low01, low23),
        _mm256_permute2x128_si256::<0x20>(high01, high23),
        _mm256_permute2x128_si256::<0x31>(low01, low23),
        _mm256_permute2x128_si256::<0x31>(high01, high23),
    ]
}
