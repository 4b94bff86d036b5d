//! Rounds, blocks and the register layout, for `N` streams side by side.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_load_si128, _mm_loadu_si128,
    _mm_set_epi8, _mm_set_epi32, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_storeu_si128,
};

use super::super::constants::{INITIAL, Quad};
pub(super) use super::super::constants::{PADDING_32, ROUND_PADDING_64_QUADS, ROUND_QUADS};
use crate::Digest;

/// A state as the instructions want it.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) abef: __m128i,
    pub(super) cdgh: __m128i,
}

/// Sixteen words of a message schedule, four to a register.
pub(super) type Words = [__m128i; 4];

/// Two rounds; `wk` holds, in its low half, two words of the schedule plus their constants. The two
/// registers have then changed roles.
#[target_feature(enable = "sha,avx")]
#[inline]
pub(super) fn rounds2(s: &mut State, wk: __m128i) {
    s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, wk);
}

/// The two rounds after [`rounds2`], with the high half of `wk`: the registers' roles are restored.
#[target_feature(enable = "sha,avx")]
#[inline]
pub(super) fn rounds2_high(s: &mut State, wk: __m128i) {
    s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(wk, 0x0E));
}

/// Four rounds with words that all streams share, constants added.
///
/// Instruction by instruction across the streams: `sha256rnds2` takes `wk` in one fixed register,
/// which is then loaded twice in all and not twice for each stream.
#[target_feature(enable = "sha,avx")]
#[inline]
pub(super) fn rounds4_shared<const N: usize>(s: &mut [State; N], wk: __m128i) {
    for s in s.iter_mut() {
        rounds2(s, wk);
    }
    for s in s {
        rounds2_high(s, wk);
    }
}

/// Four rounds with the quad `Q` of each stream's words and the constants `k`.
///
/// Stream by stream, here and in [`extended4`]: the processor overlaps them all the same, and the
/// registers suffice. Instruction by instruction across four streams was 7 % slower.
#[target_feature(enable = "sha,avx")]
#[inline]
pub(super) fn rounds4<const N: usize, const Q: usize>(
    s: &mut [State; N],
    w: &[Words; N],
    k: &Quad,
) {
    for n in 0..N {
        let wk = with_constants(w[n][Q], k);
        rounds2(&mut s[n], wk);
        rounds2_high(&mut s[n], wk);
    }
}

/// The schedule's next quad after `w12`, the oldest two of the last four being summed up in `sum`
/// (FIPS 180-4 6.2.2: sigma0 of one word plus the word before it).
#[target_feature(enable = "sha,avx")]
#[inline]
pub(super) fn next(sum: __m128i, w8: __m128i, w12: __m128i) -> __m128i {
    _mm_sha256msg2_epu32(_mm_add_epi32(sum, _mm_alignr_epi8(w12, w8, 4)), w12)
}

/// The schedule's next quad where the words 9 to 12 before it are zero.
#[target_feature(enable = "sha,avx")]
#[inline]
pub(super) fn next_alone(w0: __m128i, w4: __m128i, w12: __m128i) -> __m128i {
    _mm_sha256msg2_epu32(_mm_sha256msg1_epu32(w0, w4), w12)
}

/// Replaces the quad `Q`, the oldest, by the schedule's next.
#[target_feature(enable = "sha,avx")]
#[inline]
pub(super) fn extend<const Q: usize>(w: &mut Words) {
    let sum = _mm_sha256msg1_epu32(w[Q], w[(Q + 1) % 4]);
    w[Q] = next(sum, w[(Q + 2) % 4], w[(Q + 3) % 4]);
}

/// Extends each stream's schedule by one quad, and its four rounds.
#[target_feature(enable = "sha,avx")]
#[inline]
pub(super) fn extended4<const N: usize, const Q: usize>(
    s: &mut [State; N],
    w: &mut [Words; N],
    k: &Quad,
) {
    for n in 0..N {
        extend::<Q>(&mut w[n]);
        let wk = with_constants(w[n][Q], k);
        rounds2(&mut s[n], wk);
        rounds2_high(&mut s[n], wk);
    }
}

// What follows are macros because whole blocks must be compiled as one piece: out of line, the
// states travel through memory between two blocks, which costs 15 % with two streams. The language
// has no forced inlining for functions with target features.

/// Sixteen rounds, the schedule extended quad by quad; the first is the round `16 * $b`.
macro_rules! extended16 {
    ($s:ident, $w:ident, $b:literal) => {
        extended4::<N, 0>(&mut $s, &mut $w, &ROUND_QUADS[4 * $b]);
        extended4::<N, 1>(&mut $s, &mut $w, &ROUND_QUADS[4 * $b + 1]);
        extended4::<N, 2>(&mut $s, &mut $w, &ROUND_QUADS[4 * $b + 2]);
        extended4::<N, 3>(&mut $s, &mut $w, &ROUND_QUADS[4 * $b + 3]);
    };
}

/// The compression function over the block `$words` of each stream.
macro_rules! compress {
    ($s:ident, $words:expr) => {
        let start = $s;
        let mut w: [Words; N] = $words;
        rounds4::<N, 0>(&mut $s, &w, &ROUND_QUADS[0]);
        rounds4::<N, 1>(&mut $s, &w, &ROUND_QUADS[1]);
        rounds4::<N, 2>(&mut $s, &w, &ROUND_QUADS[2]);
        rounds4::<N, 3>(&mut $s, &w, &ROUND_QUADS[3]);
        extended16!($s, w, 1);
        extended16!($s, w, 2);
        extended16!($s, w, 3);
        add(&mut $s, &start);
    };
}

/// The compression function over the block that ends every 64-byte message.
macro_rules! compress_padding_64 {
    ($s:ident) => {
        let start = $s;
        for wk in &ROUND_PADDING_64_QUADS {
            rounds4_shared(&mut $s, constant(wk));
        }
        add(&mut $s, &start);
    };
}

/// The first 32 rounds of hashing the digests `$digests` again: states and schedule so far. Half of
/// the block is padding that never changes; what follows from it alone is not computed.
macro_rules! again32 {
    ($digests:expr) => {{
        let w8 = quad(&PADDING_32, 0);
        let w12 = quad(&PADDING_32, 4);
        let mut w: [Words; N] = array::from_fn(|n| {
            let [w0, w4] = in_order($digests[n]);
            [w0, w4, w8, w12]
        });
        let mut s = [initial(); N];
        rounds4::<N, 0>(&mut s, &w, &ROUND_QUADS[0]);
        rounds4::<N, 1>(&mut s, &w, &ROUND_QUADS[1]);
        rounds4_shared(&mut s, with_constants(w8, &ROUND_QUADS[2]));
        rounds4_shared(&mut s, with_constants(w12, &ROUND_QUADS[3]));
        for w in &mut w {
            // The words 9 to 12 are zero.
            w[0] = next_alone(w[0], w[1], w12);
        }
        rounds4::<N, 0>(&mut s, &w, &ROUND_QUADS[4]);
        extended4::<N, 1>(&mut s, &mut w, &ROUND_QUADS[5]);
        for w in &mut w {
            // Word 8 is the only one of 8 to 12 that is not zero.
            w[2] = next(w8, w[0], w[1]);
        }
        rounds4::<N, 2>(&mut s, &w, &ROUND_QUADS[6]);
        extended4::<N, 3>(&mut s, &mut w, &ROUND_QUADS[7]);
        (s, w)
    }};
}

pub(super) use {again32, compress, compress_padding_64, extended16};

/// Adds `t` to `s`, word by word.
#[target_feature(enable = "avx")]
#[inline]
pub(super) fn add<const N: usize>(s: &mut [State; N], t: &[State; N]) {
    for n in 0..N {
        s[n].abef = _mm_add_epi32(s[n].abef, t[n].abef);
        s[n].cdgh = _mm_add_epi32(s[n].cdgh, t[n].cdgh);
    }
}

/// The state before the first block.
#[target_feature(enable = "avx")]
#[inline]
pub(super) fn initial() -> State {
    pack(&INITIAL)
}

#[target_feature(enable = "avx")]
#[inline]
pub(super) fn pack(&[a, b, c, d, e, f, g, h]: &[u32; 8]) -> State {
    State { abef: words(a, b, e, f), cdgh: words(c, d, g, h) }
}

/// The reverse of [`pack`].
#[target_feature(enable = "avx")]
#[inline]
pub(super) fn unpack(s: State) -> [u32; 8] {
    let mut state = [0; 8];
    for (lanes, out) in in_order(s).into_iter().zip(state.as_chunks_mut::<4>().0) {
        // SAFETY: `out` is valid for 16 bytes; the instruction needs no alignment.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), lanes) };
    }
    state
}

/// The state's words `a` to `d` and `e` to `h`, the first in the lowest lane.
#[target_feature(enable = "avx")]
#[inline]
pub(super) fn in_order(s: State) -> [__m128i; 2] {
    let feba = _mm_shuffle_epi32(s.abef, 0x1B);
    let dchg = _mm_shuffle_epi32(s.cdgh, 0xB1);
    [_mm_blend_epi16(feba, dchg, 0xF0), _mm_alignr_epi8(dchg, feba, 8)]
}

/// A register of four words, the highest lane first.
#[target_feature(enable = "avx")]
#[inline]
pub(super) fn words(w3: u32, w2: u32, w1: u32, w0: u32) -> __m128i {
    _mm_set_epi32(w3 as i32, w2 as i32, w1 as i32, w0 as i32)
}

/// The four words of `list` from `first` on.
#[target_feature(enable = "avx")]
#[inline]
pub(super) fn quad(list: &[u32], first: usize) -> __m128i {
    words(list[first + 3], list[first + 2], list[first + 1], list[first])
}

/// Turns big-endian words into lanes, and back.
#[target_feature(enable = "avx")]
#[inline]
pub(super) fn swap_bytes(bytes: __m128i) -> __m128i {
    _mm_shuffle_epi8(bytes, _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3))
}

#[target_feature(enable = "avx")]
#[inline]
pub(super) fn constant(quad: &Quad) -> __m128i {
    // SAFETY: `quad` is valid for 16 bytes and its type is aligned to 16.
    unsafe { _mm_load_si128(quad.0.as_ptr().cast()) }
}

/// Four words of the schedule plus their constants.
#[target_feature(enable = "avx")]
#[inline]
pub(super) fn with_constants(w: __m128i, k: &Quad) -> __m128i {
    _mm_add_epi32(w, constant(k))
}

#[target_feature(enable = "avx")]
#[inline]
pub(super) fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: `bytes` is valid for 16 bytes; the instruction needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx")]
#[inline]
pub(super) fn store(s: State, out: &mut Digest) {
    for (lanes, out) in in_order(s).into_iter().zip(out.0.as_chunks_mut::<16>().0) {
        // SAFETY: `out` is valid for 16 bytes; the instruction needs no alignment.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), swap_bytes(lanes)) };
    }
}
