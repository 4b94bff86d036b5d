//! What the SHA unit can do: the instructions of [`super::rounds`] in loops, with nothing around.
//!
//! The compiler would move
//! out of a loop what each turn computes anew from the same words, so the words pass through an
//! empty piece of assembly, of which it has to believe that it changes them.

use core::arch::asm;
use core::arch::x86_64::{__m128i, _mm_xor_si128};
use core::array;
use core::hint::black_box;

use super::rounds::*;

/// Streams side by side.
const N: usize = 4;
/// Groups of four rounds of one stream in a turn of a loop.
const GROUPS_PER_TURN: u64 = 4;

/// `turns` times 16 rounds of one stream, each after the one before it; returns the groups done.
#[target_feature(enable = "sha,avx")]
pub(super) fn chain(turns: u32) -> u64 {
    let mut s = [initial()];
    let wk = constant(&ROUND_QUADS[0]);
    for _ in 0..turns {
        for _ in 0..GROUPS_PER_TURN {
            rounds4_shared(&mut s, wk);
        }
    }
    keep(&s);
    u64::from(turns) * GROUPS_PER_TURN
}

/// As [`chain`], in four streams: the rounds alone.
#[target_feature(enable = "sha,avx")]
pub(super) fn rounds(turns: u32) -> u64 {
    let mut s = [initial(); N];
    let wk = constant(&ROUND_QUADS[0]);
    for _ in 0..turns {
        for _ in 0..GROUPS_PER_TURN {
            rounds4_shared(&mut s, wk);
        }
    }
    keep(&s);
    u64::from(turns) * GROUPS_PER_TURN * N as u64
}

/// The rounds, each group with words of its own stream, to which the constants are added.
#[target_feature(enable = "sha,avx")]
pub(super) fn rounds_with_words(turns: u32) -> u64 {
    let mut s = [initial(); N];
    let mut w: [Words; N] = array::from_fn(|n| [constant(&ROUND_QUADS[n]); 4]);
    for _ in 0..turns {
        for w in w.as_flattened_mut() {
            *w = renewed(*w);
        }
        rounds4::<N, 0>(&mut s, &w, &ROUND_QUADS[0]);
        rounds4::<N, 1>(&mut s, &w, &ROUND_QUADS[1]);
        rounds4::<N, 2>(&mut s, &w, &ROUND_QUADS[2]);
        rounds4::<N, 3>(&mut s, &w, &ROUND_QUADS[3]);
    }
    keep(&s);
    u64::from(turns) * GROUPS_PER_TURN * N as u64
}

/// The rounds, each group with a quad that the schedule was extended by.
///
/// Four streams do not fit into sixteen registers, and what a kernel pays for that is not the
/// unit's limit. So three states take turns with the words of two schedules: the instructions of
/// a hash, without a value of one.
#[target_feature(enable = "sha,avx")]
pub(super) fn extended(turns: u32) -> u64 {
    let mut s = [initial(); 3];
    let mut w: [Words; 2] = array::from_fn(|n| array::from_fn(|q| constant(&ROUND_QUADS[n + q])));
    let groups = u64::from(turns) * GROUPS_PER_TURN * N as u64;
    for _ in 0..groups.div_ceil(EXTENDED_PER_TURN) {
        pair::<0>(&mut s, &mut w, [0, 1]);
        pair::<1>(&mut s, &mut w, [2, 0]);
        pair::<2>(&mut s, &mut w, [1, 2]);
        pair::<3>(&mut s, &mut w, [0, 1]);
        pair::<0>(&mut s, &mut w, [2, 0]);
        pair::<1>(&mut s, &mut w, [1, 2]);
        pair::<2>(&mut s, &mut w, [0, 1]);
        pair::<3>(&mut s, &mut w, [2, 0]);
        pair::<0>(&mut s, &mut w, [1, 2]);
        pair::<1>(&mut s, &mut w, [0, 1]);
        pair::<2>(&mut s, &mut w, [2, 0]);
        pair::<3>(&mut s, &mut w, [1, 2]);
    }
    keep(&s);
    groups.div_ceil(EXTENDED_PER_TURN) * EXTENDED_PER_TURN
}

/// Groups in a turn of [`extended`]: after so many, states, schedules and quads meet again.
const EXTENDED_PER_TURN: u64 = 24;

/// Extends both schedules by the quad `Q`, and four rounds of a state with each.
#[target_feature(enable = "sha,avx")]
#[inline]
fn pair<const Q: usize>(s: &mut [State; 3], w: &mut [Words; 2], states: [usize; 2]) {
    for (w, state) in w.iter_mut().zip(states) {
        extend::<Q>(w);
        let wk = with_constants(w[Q], &ROUND_QUADS[Q]);
        rounds2(&mut s[state], wk);
        rounds2_high(&mut s[state], wk);
    }
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
    let mut renewed = words;
    // SAFETY: there is no instruction in it.
    unsafe {
        asm!(
            "/* {words} */",
            words = inout(xmm_reg) renewed,
            options(nomem, nostack, preserves_flags),
        );
    }
    renewed
}
