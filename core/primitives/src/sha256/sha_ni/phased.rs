//! Double SHA-256 of many 64-byte messages, the streams in different phases of the hash.
//!
//! A double hash consists of three blocks: the message, the padding, whose schedule is a constant,
//! and the digest. Two of them fill all of the unit's pipes, since `sha256msg2` alone is four
//! operations; the padding needs `sha256rnds2` and nothing else, and that can start once a cycle. Where
//! all streams are in the same block, the one pipe or the others are idle. So here the 48 quads of
//! rounds are cut into four phases of twelve, two streams are in each, and every step does one quad of
//! each phase. In every step two of the four then extend a schedule and two do not:
//!
//! | phase | step 0 to 3 | 4 to 7 | 8 to 11 |
//! |---|---|---|---|
//! | 0 | message 0 to 3 (extends 3) | message 4 to 7 (extends) | message 8 to 11 (extends) |
//! | 1 | message 12 to 15 (extends) | padding 0 to 3 | padding 4 to 7 |
//! | 2 | padding 8 to 11 | padding 12 to 15 | digest 0 to 3 |
//! | 3 | digest 4 to 7 (extends) | digest 8 to 11 (extends) | digest 12 to 15 (extends) |
//!
//! After twelve steps a group leaves, the others move on and the next one enters. Eight streams do not
//! fit into sixteen registers; what that costs in loads and stores is less than what the idle pipe
//! cost. On Zen 3 a hash takes 147 cycles so, and 157 by four streams in step. Filling and emptying
//! the phases takes three turns, so below [`MESSAGES_MIN`] messages this is no gain.

use core::arch::x86_64::__m128i;
use core::array;

use super::super::Message64;
use super::super::constants::Quad;
use super::rounds::*;
use super::{double_group, load_words};
use crate::Digest;

/// The fewest messages for which the phases are worth filling.
pub(super) const MESSAGES_MIN: usize = 96;

/// Streams in each phase.
const N: usize = 2;
/// Turns that a group takes after the one in which it enters.
const DELAY: usize = 3;

/// Four rounds with the quad `Q`, and the quad `X` after it: the next step's words are made while
/// this step's rounds wait for each other.
#[target_feature(enable = "sha,avx")]
#[inline]
fn rounds4_ahead<const Q: usize, const X: usize>(s: &mut [State; N], w: &mut [Words; N], k: &Quad) {
    for n in 0..N {
        let wk = with_constants(w[n][Q], k);
        rounds2(&mut s[n], wk);
        rounds2_high(&mut s[n], wk);
        extend::<X>(&mut w[n]);
    }
}

/// Four rounds of the block of padding.
#[target_feature(enable = "sha,avx")]
#[inline]
fn padding4<const Q: usize>(s: &mut [State; N]) {
    rounds4_shared(s, constant(&ROUND_PADDING_64_QUADS[Q]));
}

/// The rounds 16 to 23 of the digest's block, whose words 9 to 14 are zero.
#[target_feature(enable = "sha,avx")]
#[inline]
fn digest4<const Q: usize>(s: &mut [State; N], w: &mut [Words; N], w8: __m128i) {
    for n in 0..N {
        let wk = with_constants(w[n][Q], &ROUND_QUADS[4 + Q]);
        rounds2(&mut s[n], wk);
        rounds2_high(&mut s[n], wk);
        match Q {
            0 => extend::<1>(&mut w[n]),
            _ => w[n][2] = next(w8, w[n][0], w[n][1]),
        }
    }
}

// Macros for the reason that `rounds` gives: a turn must be compiled as one piece.

/// The steps 0 to 3; `$start` is made of the states between the message and the padding.
macro_rules! first_steps {
    ($s:ident, $w:ident, $start:ident, $w8:ident) => {
        rounds4::<N, 0>(&mut $s[0], &$w[0], &ROUND_QUADS[0]);
        rounds4_ahead::<0, 1>(&mut $s[1], &mut $w[1], &ROUND_QUADS[12]);
        padding4::<8>(&mut $s[2]);
        digest4::<0>(&mut $s[3], &mut $w[2], $w8);
        rounds4::<N, 1>(&mut $s[0], &$w[0], &ROUND_QUADS[1]);
        rounds4_ahead::<1, 2>(&mut $s[1], &mut $w[1], &ROUND_QUADS[13]);
        padding4::<9>(&mut $s[2]);
        digest4::<1>(&mut $s[3], &mut $w[2], $w8);
        rounds4::<N, 2>(&mut $s[0], &$w[0], &ROUND_QUADS[2]);
        rounds4_ahead::<2, 3>(&mut $s[1], &mut $w[1], &ROUND_QUADS[14]);
        padding4::<10>(&mut $s[2]);
        rounds4_ahead::<2, 3>(&mut $s[3], &mut $w[2], &ROUND_QUADS[6]);
        rounds4_ahead::<3, 0>(&mut $s[0], &mut $w[0], &ROUND_QUADS[3]);
        rounds4::<N, 3>(&mut $s[1], &$w[1], &ROUND_QUADS[15]);
        padding4::<11>(&mut $s[2]);
        add(&mut $s[1], &[initial(); N]);
        let $start = $s[1];
        rounds4_ahead::<3, 0>(&mut $s[3], &mut $w[2], &ROUND_QUADS[7]);
    };
}

/// A step of 4 to 7.
macro_rules! middle_step {
    ($s:ident, $w:ident, $q:literal, $x:literal) => {
        rounds4_ahead::<$q, $x>(&mut $s[0], &mut $w[0], &ROUND_QUADS[4 + $q]);
        padding4::<$q>(&mut $s[1]);
        padding4::<{ 12 + $q }>(&mut $s[2]);
        rounds4_ahead::<$q, $x>(&mut $s[3], &mut $w[2], &ROUND_QUADS[8 + $q]);
    };
}

/// What phase 0 and phase 1 do in a step of 8 to 11.
macro_rules! last_step {
    ($s:ident, $w:ident, $q:literal, $x:literal) => {
        rounds4_ahead::<$q, $x>(&mut $s[0], &mut $w[0], &ROUND_QUADS[8 + $q]);
        padding4::<{ 4 + $q }>(&mut $s[1]);
    };
}

/// Double SHA-256 of 64-byte messages, at least one group of them.
#[target_feature(enable = "sha,avx")]
pub(super) fn double<M: Message64>(input: &[M], out: &mut [Digest]) {
    let (groups, rest) = input.as_chunks::<N>();
    let (outs, out_rest) = out.as_chunks_mut::<N>();
    assert!(!groups.is_empty() && groups.len() == outs.len(), "an output for each message");
    let begin = [initial(); N];
    let (w8, w12) = (quad(&PADDING_32, 0), quad(&PADDING_32, 4));
    // The states of the four phases, and the words of all but the padding's. What is in the later
    // phases before the first group arrives there is never stored.
    let mut s = [begin; 4];
    let mut w = [[[w8; 4]; N]; 3];
    let mut before_padding = begin;
    for turn in 0..groups.len() + DELAY {
        // Behind the last group it enters again and never arrives.
        let group = &groups[turn.min(groups.len() - 1)];
        s[0] = begin;
        w[0] = array::from_fn(|n| load_words(&group[n]));
        first_steps!(s, w, after_message, w8);
        middle_step!(s, w, 0, 1);
        middle_step!(s, w, 1, 2);
        middle_step!(s, w, 2, 3);
        middle_step!(s, w, 3, 0);
        add(&mut s[2], &before_padding);
        let digests: [[__m128i; 2]; N] = array::from_fn(|n| in_order(s[2][n]));
        s[2] = begin;
        last_step!(s, w, 0, 1);
        rounds4_first::<0>(&mut s[2], &digests);
        rounds4_ahead::<0, 1>(&mut s[3], &mut w[2], &ROUND_QUADS[12]);
        last_step!(s, w, 1, 2);
        rounds4_first::<1>(&mut s[2], &digests);
        rounds4_ahead::<1, 2>(&mut s[3], &mut w[2], &ROUND_QUADS[13]);
        last_step!(s, w, 2, 3);
        rounds4_shared(&mut s[2], with_constants(w8, &ROUND_QUADS[2]));
        rounds4_ahead::<2, 3>(&mut s[3], &mut w[2], &ROUND_QUADS[14]);
        last_step!(s, w, 3, 0);
        rounds4_shared(&mut s[2], with_constants(w12, &ROUND_QUADS[3]));
        rounds4::<N, 3>(&mut s[3], &w[2], &ROUND_QUADS[15]);
        add(&mut s[3], &begin);
        if let Some(out) = turn.checked_sub(DELAY).and_then(|arrived| outs.get_mut(arrived)) {
            (0..N).for_each(|n| store(s[3][n], &mut out[n]));
        }
        w[2] = array::from_fn(|n| {
            let [w0, w4] = digests[n];
            [next_alone(w0, w4, w12), w4, w8, w12]
        });
        w[1] = w[0];
        before_padding = after_message;
        s = [begin, s[0], s[1], s[2]];
    }
    for (message, out) in rest.iter().zip(out_rest) {
        double_group(array::from_ref(message), array::from_mut(out));
    }
}

/// The rounds 0 to 3 or 4 to 7 of the digest's block.
#[target_feature(enable = "sha,avx")]
#[inline]
fn rounds4_first<const Q: usize>(s: &mut [State; N], digests: &[[__m128i; 2]; N]) {
    for n in 0..N {
        let wk = with_constants(digests[n][Q], &ROUND_QUADS[Q]);
        rounds2(&mut s[n], wk);
        rounds2_high(&mut s[n], wk);
    }
}
