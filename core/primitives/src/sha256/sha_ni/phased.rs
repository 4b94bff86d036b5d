//! Double SHA-256 of many 64-byte messages, the streams in different phases of the hash.
//!
//! A double hash consists of three blocks: the message, the padding, whose schedule is a constant,
//! and the digest. Two of them fill all of the unit's pipes, since `sha256msg2` alone is four
//! operations; the padding needs `sha256rnds2` and nothing else, and that can start once a cycle.
//! Where all streams are in the same block, the one pipe or the others are idle. So here the 48
//! quads of rounds are cut into four phases of twelve, two streams are in each, and every step does
//! one quad of each phase. In every step two of the four extend a schedule and two do not:
//!
//! | phase | step 0 to 3 | 4 to 7 | 8 to 11 |
//! |---|---|---|---|
//! | 0 | message 0 to 3 (extends 3) | message 4 to 7 (extends) | message 8 to 11 (extends) |
//! | 1 | message 12 to 15 (extends) | padding 0 to 3 | padding 4 to 7 |
//! | 2 | padding 8 to 11 | padding 12 to 15 | digest 0 to 3 |
//! | 3 | digest 4 to 7 (extends) | digest 8 to 11 (extends) | digest 12 to 15 (extends) |
//!
//! After twelve steps a group leaves, the others move on and the next one enters. Eight streams do
//! not fit into sixteen registers; what that costs in loads and stores is less than what the idle
//! pipe cost. On Zen 3 a hash takes 142 cycles so, and 157 by four streams in step. Filling and
//! emptying the phases takes three turns, so below [`MESSAGES_MIN`] messages this is no gain.

#[cfg(not(miri))]
use core::arch::asm;
use core::arch::x86_64::__m128i;
use core::array;

use super::super::Message64;
use super::super::constants::Quad;
use super::load_words;
use super::rounds::*;
use crate::Digest;

/// The fewest messages for which the phases are worth filling.
pub(super) const MESSAGES_MIN: usize = 64;

/// Streams in each phase.
pub(super) const STREAMS: usize = 2;
/// Turns that a group takes after the one in which it enters.
const DELAY: usize = 3;

/// Four rounds with the quad `Q`, and the quad `X` after it: the next step's words are made while
/// this step's rounds wait for each other.
#[target_feature(enable = "sha,avx")]
#[inline]
fn rounds4_ahead<const N: usize, const Q: usize, const X: usize>(
    s: &mut [State; N],
    w: &mut [Words; N],
    k: &Quad,
) {
    for n in 0..N {
        let wk = with_constants(w[n][Q], k);
        rounds2(&mut s[n], wk);
        rounds2_high(&mut s[n], wk);
        extend::<X>(&mut w[n]);
    }
}

// Macros for the reason that `rounds` gives: a turn must be compiled as one piece.

/// The steps 0 to 3; `$start` is made of the states between the message and the padding.
macro_rules! first_steps {
    ($s0:ident $w0:ident, $s1:ident $w1:ident $start:ident,
     $s2:ident, $s3:ident $w3:ident $w8:ident) => {
        rounds4::<N, 0>(&mut $s0, &$w0, &ROUND_QUADS[0]);
        rounds4_ahead::<N, 0, 1>(&mut $s1, &mut $w1, &ROUND_QUADS[12]);
        rounds4_shared(&mut $s2, constant(&ROUND_PADDING_64_QUADS[8]));
        for n in 0..N {
            let wk = with_constants($w3[n][0], &ROUND_QUADS[4]);
            rounds2(&mut $s3[n], wk);
            rounds2_high(&mut $s3[n], wk);
            extend::<1>(&mut $w3[n]);
        }
        rounds4::<N, 1>(&mut $s0, &$w0, &ROUND_QUADS[1]);
        rounds4_ahead::<N, 1, 2>(&mut $s1, &mut $w1, &ROUND_QUADS[13]);
        rounds4_shared(&mut $s2, constant(&ROUND_PADDING_64_QUADS[9]));
        for n in 0..N {
            let wk = with_constants($w3[n][1], &ROUND_QUADS[5]);
            rounds2(&mut $s3[n], wk);
            rounds2_high(&mut $s3[n], wk);
            $w3[n][2] = next($w8, $w3[n][0], $w3[n][1]);
        }
        rounds4::<N, 2>(&mut $s0, &$w0, &ROUND_QUADS[2]);
        rounds4_ahead::<N, 2, 3>(&mut $s1, &mut $w1, &ROUND_QUADS[14]);
        rounds4_shared(&mut $s2, constant(&ROUND_PADDING_64_QUADS[10]));
        rounds4_ahead::<N, 2, 3>(&mut $s3, &mut $w3, &ROUND_QUADS[6]);
        rounds4_ahead::<N, 3, 0>(&mut $s0, &mut $w0, &ROUND_QUADS[3]);
        rounds4::<N, 3>(&mut $s1, &$w1, &ROUND_QUADS[15]);
        rounds4_shared(&mut $s2, constant(&ROUND_PADDING_64_QUADS[11]));
        add(&mut $s1, &[initial(); N]);
        let $start = $s1;
        rounds4_ahead::<N, 3, 0>(&mut $s3, &mut $w3, &ROUND_QUADS[7]);
    };
}

/// A step of 4 to 7.
macro_rules! middle_step {
    ($s0:ident $w0:ident, $s1:ident, $s2:ident, $s3:ident $w3:ident, $q:literal, $x:literal) => {
        rounds4_ahead::<N, $q, $x>(&mut $s0, &mut $w0, &ROUND_QUADS[4 + $q]);
        rounds4_shared(&mut $s1, constant(&ROUND_PADDING_64_QUADS[$q]));
        rounds4_shared(&mut $s2, constant(&ROUND_PADDING_64_QUADS[{ 12 + $q }]));
        rounds4_ahead::<N, $q, $x>(&mut $s3, &mut $w3, &ROUND_QUADS[8 + $q]);
    };
}

/// What phase 0 and phase 1 do in a step of 8 to 11.
macro_rules! last_step {
    ($s0:ident $w0:ident, $s1:ident, $q:literal, $x:literal) => {
        rounds4_ahead::<N, $q, $x>(&mut $s0, &mut $w0, &ROUND_QUADS[8 + $q]);
        rounds4_shared(&mut $s1, constant(&ROUND_PADDING_64_QUADS[{ 4 + $q }]));
    };
}

/// What phase 2 does in step 8 or 9: the first quads of the digest's block.
macro_rules! digest_step {
    ($s2:ident, $digests:ident, $q:literal) => {
        for n in 0..N {
            let wk = with_constants($digests[n][$q], &ROUND_QUADS[$q]);
            rounds2(&mut $s2[n], wk);
            rounds2_high(&mut $s2[n], wk);
        }
    };
}

/// Double SHA-256 of 64-byte messages, at least one group of them.
#[target_feature(enable = "sha,avx")]
pub(super) fn double<const N: usize, M: Message64>(groups: &[[M; N]], outs: &mut [[Digest; N]]) {
    assert!(!groups.is_empty() && groups.len() == outs.len(), "an output for each message");
    let begin = [initial(); N];
    let (w8, w12) = (quad(&PADDING_32, 0), quad(&PADDING_32, 4));
    // What is in the later phases before the first group arrives there is dropped.
    let (mut s1, mut w1) = (begin, [[w8; 4]; N]);
    let (mut s2, mut start2) = (begin, begin);
    let (mut s3, mut w3) = (begin, [[w8; 4]; N]);
    for turn in 0..groups.len() + DELAY {
        // Behind the last group it enters again and never arrives.
        let group = &groups[turn.min(groups.len() - 1)];
        let mut s0 = begin;
        let mut w0: [Words; N] = array::from_fn(|n| load_words(&group[n]));
        first_steps!(s0 w0, s1 w1 start1, s2, s3 w3 w8);
        middle_step!(s0 w0, s1, s2, s3 w3, 0, 1);
        middle_step!(s0 w0, s1, s2, s3 w3, 1, 2);
        middle_step!(s0 w0, s1, s2, s3 w3, 2, 3);
        middle_step!(s0 w0, s1, s2, s3 w3, 3, 0);
        add(&mut s2, &start2);
        let digests: [[__m128i; 2]; N] = array::from_fn(|n| in_order(s2[n]));
        s2 = begin;
        last_step!(s0 w0, s1, 0, 1);
        digest_step!(s2, digests, 0);
        rounds4_ahead::<N, 0, 1>(&mut s3, &mut w3, &ROUND_QUADS[12]);
        last_step!(s0 w0, s1, 1, 2);
        digest_step!(s2, digests, 1);
        rounds4_ahead::<N, 1, 2>(&mut s3, &mut w3, &ROUND_QUADS[13]);
        last_step!(s0 w0, s1, 2, 3);
        rounds4_shared(&mut s2, with_constants(w8, &ROUND_QUADS[2]));
        rounds4_ahead::<N, 2, 3>(&mut s3, &mut w3, &ROUND_QUADS[14]);
        last_step!(s0 w0, s1, 3, 0);
        rounds4_shared(&mut s2, with_constants(w12, &ROUND_QUADS[3]));
        rounds4::<N, 3>(&mut s3, &w3, &ROUND_QUADS[15]);
        add(&mut s3, &begin);
        for s in &mut s3 {
            *s = State { abef: computed(s.abef), cdgh: computed(s.cdgh) };
        }
        if turn >= DELAY {
            for n in 0..N {
                store(s3[n], &mut outs[turn - DELAY][n]);
            }
        }
        s3 = s2;
        w3 = array::from_fn(|n| {
            [next_alone(digests[n][0], digests[n][1], w12), digests[n][1], w8, w12]
        });
        (s2, start2) = (s1, start1);
        (s1, w1) = (s0, w0);
    }
}

/// The same words, computed here. The compiler would move what is needed behind a branch alone to
/// where the branch leads: the last phase would run after the others, and a hash take 173 cycles.
#[target_feature(enable = "sha,avx")]
#[inline]
fn computed(words: __m128i) -> __m128i {
    #[cfg_attr(miri, expect(unused_mut, reason = "assembly alone writes it"))]
    let mut same = words;
    // SAFETY: there is no instruction in it. Miri knows no assembly, and moves nothing.
    #[cfg(not(miri))]
    unsafe {
        asm!(
            "/* {words} */",
            words = inout(xmm_reg) same,
            options(nomem, nostack, preserves_flags),
        );
    }
    same
}
