//! The proof-of-work scan: `N` nonces of one header side by side.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_cvtsi128_si32, _mm_setzero_si128,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_shuffle_epi32, _mm_slli_si128,
};
use core::array;

use super::super::Scan;
use super::super::constants::{INITIAL, ROUND, sigma0, sigma1};
use super::rounds::*;

/// Appends the nonces of the range whose hash has a small enough top word.
#[target_feature(enable = "sha,avx")]
pub(super) fn scan<const N: usize>(
    scan: &Scan,
    first_nonce: u32,
    count: u64,
    top_word_max: u32,
    hits: &mut Vec<u32>,
) {
    let header = Header::new(scan);
    for offset in (0..count).step_by(N) {
        let nonce = first_nonce.wrapping_add(offset as u32);
        let words = top_words::<N>(&header, nonce);
        if words.iter().any(|word| *word <= top_word_max) {
            for (n, word) in words.into_iter().enumerate() {
                // The last group may reach beyond the range.
                if word <= top_word_max && offset + (n as u64) < count {
                    hits.push(nonce.wrapping_add(n as u32));
                }
            }
        }
    }
}

/// What all nonces of a header share. Word 3 of the last block is the nonce, the words 5 to 14 are
/// zero; a quad is named after its first word.
struct Header {
    midstate: State,
    /// The state after the rounds 0 to 3 with nonce zero. Word 3 enters round 3 as a summand of the
    /// new `a` and the new `e` and nowhere else, so that adding a nonce to these two makes its state.
    after4: State,
    /// The quads 4, 8 and 12 with their constants.
    wk: [__m128i; 3],
    w12: __m128i,
    /// Quad 16 without what it owes to the nonce.
    w16: __m128i,
    /// The part of quad 20 that stems from the quads 4 and 8.
    w20: __m128i,
    /// The part of quad 28 that stems from quad 12 and word 16.
    w28: __m128i,
}

impl Header {
    #[target_feature(enable = "sha,avx")]
    fn new(scan: &Scan) -> Header {
        let w = scan.last_block();
        let wk = |t: usize| w[t].wrapping_add(ROUND[t]);
        let quad_wk = |q: usize| with_constants(quad(&w, 4 * q), &ROUND_QUADS[q]);
        let midstate = pack(&scan.midstate);
        let mut after4 = midstate;
        let wk0 = words(wk(3), wk(2), wk(1), wk(0));
        rounds2(&mut after4, wk0);
        rounds2_high(&mut after4, wk0);
        // FIPS 180-4 6.2.2: w[t] = sigma1(w[t-2]) + w[t-7] + sigma0(w[t-15]) + w[t-16]. Word 18
        // lacks sigma0 of the nonce, and word 19 the nonce.
        let w16 = sigma0(w[1]).wrapping_add(w[0]);
        let w17 = sigma1(w[15]).wrapping_add(sigma0(w[2])).wrapping_add(w[1]);
        let w18 = sigma1(w16).wrapping_add(w[2]);
        let w19 = sigma1(w17).wrapping_add(sigma0(w[4]));
        Header {
            midstate,
            after4,
            wk: [quad_wk(1), quad_wk(2), quad_wk(3)],
            w12: quad(&w, 12),
            w16: words(w19, w18, w17, w16),
            w20: words(0, 0, 0, w[4]),
            w28: words(w[15].wrapping_add(sigma0(w16)), sigma0(w[15]), 0, 0),
        }
    }
}

/// The most significant words of the double hashes of `N` nonces, from `nonce` on.
#[target_feature(enable = "sha,avx")]
#[inline]
fn top_words<const N: usize>(header: &Header, nonce: u32) -> [u32; N] {
    let first = first_hashes::<N>(header, nonce);
    let (mut s, mut w) = again32!(first);
    extended16!(s, w, 2);
    extended4::<N, 0>(&mut s, &mut w, &ROUND_QUADS[12]);
    extended4::<N, 1>(&mut s, &mut w, &ROUND_QUADS[13]);
    extended4::<N, 2>(&mut s, &mut w, &ROUND_QUADS[14]);
    // The digest's last word, h, is what e was three rounds before: the rounds 62 and 63 only move
    // it on. After round 61 it is f, the lowest lane of (a, b, e, f).
    array::from_fn(|n| {
        extend::<3>(&mut w[n]);
        rounds2(&mut s[n], with_constants(w[n][3], &ROUND_QUADS[15]));
        let f = _mm_cvtsi128_si32(s[n].cdgh) as u32;
        f.wrapping_add(INITIAL[7]).swap_bytes()
    })
}

/// The states after the header's hash, for `N` nonces from `nonce` on.
#[target_feature(enable = "sha,avx")]
#[inline]
fn first_hashes<const N: usize>(header: &Header, nonce: u32) -> [State; N] {
    let nonces: [__m128i; N] =
        array::from_fn(|n| words(0, 0, 0, nonce.wrapping_add(n as u32).swap_bytes()));
    let mut s = [header.after4; N];
    for n in 0..N {
        // To `a` and `e`, the lanes 3 and 1.
        s[n].abef = _mm_add_epi32(s[n].abef, _mm_shuffle_epi32(nonces[n], 0x11));
    }
    for wk in header.wk {
        rounds4_shared(&mut s, wk);
    }
    let mut w: [Words; N] = array::from_fn(|n| {
        // msg1 adds sigma0 of the next word to each: (0, 0, sigma0(nonce), nonce).
        let from_nonce = _mm_sha256msg1_epu32(_mm_slli_si128(nonces[n], 12), _mm_setzero_si128());
        let w16 = _mm_add_epi32(from_nonce, header.w16);
        let w20 = next(header.w20, header.w12, w16);
        let w24 = _mm_sha256msg2_epu32(_mm_alignr_epi8(w20, w16, 4), w20);
        [w16, w20, w24, next(header.w28, w20, w24)]
    });
    rounds4::<N, 0>(&mut s, &w, &ROUND_QUADS[4]);
    rounds4::<N, 1>(&mut s, &w, &ROUND_QUADS[5]);
    rounds4::<N, 2>(&mut s, &w, &ROUND_QUADS[6]);
    rounds4::<N, 3>(&mut s, &w, &ROUND_QUADS[7]);
    extended16!(s, w, 2);
    extended16!(s, w, 3);
    add(&mut s, &[header.midstate; N]);
    s
}
