//! What the SHA unit can do: the instructions of [`super::rounds`] in loops, with nothing around.
//!
//! But for [`chain`] no group waits for another: four states take turns, and every group begins with
//! the same words, so that all fits into registers. A hash whose words depend on each other and
//! whose streams do not fit can only be slower, whatever the order of its instructions. (Loops over
//! whole streams took 4.4 cycles for an extended group on Zen 3, these take 3.7: what a schedule's
//! dependences cost is not the unit's limit.)
//!
//! The compiler would move out of a loop what each turn computes anew from the same words, so the
//! words pass through an empty piece of assembly, of which it has to believe that it changes them.

#[cfg(not(miri))]
use core::arch::asm;
use core::arch::x86_64::{
    __m128i, _mm_sha256msg1_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi32, _mm_xor_si128,
};
use core::hint::black_box;

use super::rounds::*;

/// States that take turns: as many as the latency of two rounds needs.
const STATES: usize = 4;
/// Groups in a turn of a loop.
const GROUPS: u64 = 16;

/// `turns` times 16 groups of one stream, each after the one before it; returns the groups done.
#[target_feature(enable = "sha,avx")]
pub(super) fn chain(turns: u32) -> u64 {
    let mut s = [initial()];
    let wk = constant(&ROUND_QUADS[0]);
    for _ in 0..turns {
        for _ in 0..GROUPS {
            rounds4_shared(&mut s, wk);
        }
    }
    keep(&s);
    u64::from(turns) * GROUPS
}

/// Groups of the rounds alone.
#[target_feature(enable = "sha,avx")]
pub(super) fn rounds(turns: u32) -> u64 {
    let wk = constant(&ROUND_QUADS[0]);
    let mut s = [initial(); STATES];
    for _ in 0..turns {
        for _ in 0..GROUPS / STATES as u64 {
            rounds4_shared(&mut s, wk);
        }
    }
    keep(&s);
    u64::from(turns) * GROUPS
}

/// Groups of the rounds with words of their own, to which the constants are added.
#[target_feature(enable = "sha,avx")]
pub(super) fn rounds_with_words(turns: u32) -> u64 {
    let words = constant(&ROUND_QUADS[0]);
    let mut s = [initial(); STATES];
    for _ in 0..turns {
        for k in ROUND_QUADS.as_chunks::<STATES>().0 {
            for n in 0..STATES {
                apart(&mut s[n], words, with_constants(renewed(words), &k[n]));
            }
        }
    }
    keep(&s);
    u64::from(turns) * GROUPS
}

/// Groups of the rounds with a quad that the schedule was extended by.
#[target_feature(enable = "sha,avx")]
pub(super) fn extended(turns: u32) -> u64 {
    let words = constant(&ROUND_QUADS[0]);
    let mut s = [initial(); STATES];
    for _ in 0..turns {
        for k in ROUND_QUADS.as_chunks::<STATES>().0 {
            for n in 0..STATES {
                let sum = _mm_sha256msg1_epu32(renewed(words), words);
                let extended = next(sum, renewed(words), words);
                apart(&mut s[n], words, with_constants(extended, &k[n]));
            }
        }
    }
    keep(&s);
    u64::from(turns) * GROUPS
}

/// Four rounds whose two halves wait for the state's last ones and not for each other.
#[target_feature(enable = "sha,avx")]
#[inline]
fn apart(s: &mut State, other: __m128i, wk: __m128i) {
    s.abef = _mm_sha256rnds2_epu32(s.abef, other, wk);
    s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, other, _mm_shuffle_epi32(wk, 0x0E));
}

/// Says that the states are used, all of them.
#[target_feature(enable = "sha,avx")]
fn keep<const N: usize>(states: &[State; N]) {
    let mixed = states.iter().fold(states[0].abef, |mixed, state| {
        _mm_xor_si128(mixed, _mm_xor_si128(state.abef, state.cdgh))
    });
    black_box(mixed);
}

/// The same words, and the compiler does not know it.
#[target_feature(enable = "sha,avx")]
#[inline]
fn renewed(words: __m128i) -> __m128i {
    #[cfg_attr(miri, expect(unused_mut, reason = "assembly alone writes it"))]
    let mut renewed = words;
    // SAFETY: there is no instruction in it. Miri knows no assembly, and moves nothing.
    #[cfg(not(miri))]
    unsafe {
        asm!(
            "/* {words} */",
            words = inout(xmm_reg) renewed,
            options(nomem, nostack, preserves_flags),
        );
    }
    renewed
}
