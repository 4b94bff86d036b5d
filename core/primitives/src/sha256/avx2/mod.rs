//! SHA-256 with AVX2, eight independent messages side by side: one to each 32-bit lane.
//!
//! For processors without the SHA extensions. A register holds the same word of eight messages, so
//! every operation of FIPS 180-4 is one instruction (a rotation three) for all eight, and the only
//! work beside the rounds is to turn rows of messages into columns of words and back. A lone message
//! goes by [`one`].

mod lanes;
mod one;
mod scan;

use core::array;
use std::is_x86_feature_detected;

use self::lanes::{LANES, Words, again, compress, digests, initial, load, padded_64, transpose};
use self::scan::scan;
use super::columns::fill;
use super::path::{Kernels, Run};
use super::{Message64, portable};
use crate::Digest;

pub(super) static EIGHT: Kernels = Kernels {
    name: "avx2-x8",
    lanes: LANES,
    // No processor has the first without the others, but a virtual machine may hide them.
    supported: || {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
    },
    sha256d_64: |input, out| {
        // SAFETY: needs avx2, and what falls short of a group bmi1 and bmi2. These kernels are
        // reached through a `Path` alone, and a `Path` to them is made only after `supported`
        // found all three.
        unsafe { double(input, out) }
    },
    sha256d_pairs: |input, out| {
        // SAFETY: as above.
        unsafe { double(input, out) }
    },
    tagged_pairs: |tag, input, out| {
        // SAFETY: as above.
        unsafe { tagged(tag, input, out) }
    },
    runs: |states, runs| {
        // SAFETY: as above.
        unsafe { each_run(states, runs) }
    },
    alike: None,
    long: |state, blocks| {
        // SAFETY: as above.
        unsafe { one::long(state, blocks) }
    },
    scan: |header, first_nonce, count, top_word_max, hits| {
        // SAFETY: as above.
        unsafe { scan(header, first_nonce, count, top_word_max, hits) }
    },
};

/// Fewer messages than these are hashed singly: eight lanes cost as much as two to three messages.
const MESSAGES_MIN: usize = 3;

/// Double SHA-256 of 64-byte messages.
#[target_feature(enable = "avx2")]
fn double<M: Message64>(input: &[M], out: &mut [Digest]) {
    for (messages, out) in input.chunks(LANES).zip(out.chunks_mut(LANES)) {
        if messages.len() < MESSAGES_MIN {
            portable::double(messages, out);
            continue;
        }
        let quarters: [_; LANES] = array::from_fn(|n| fill(messages, n).quarters());
        let state = padded_64(compress(initial(), load(&quarters)));
        out.copy_from_slice(&digests(again(state))[..out.len()]);
    }
}

/// SHA-256 of a tag byte and 64 bytes.
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn tagged(tag: u8, input: &[[Digest; 2]], out: &mut [Digest]) {
    for (pairs, out) in input.chunks(LANES).zip(out.chunks_mut(LANES)) {
        if pairs.len() < MESSAGES_MIN {
            one::tagged(tag, pairs, out);
            continue;
        }
        let padded: [_; LANES] = array::from_fn(|n| portable::tagged_blocks(tag, fill(pairs, n)));
        let first = load(&array::from_fn(|n| padded[n][0].quarters()));
        let second = load(&array::from_fn(|n| padded[n][1].quarters()));
        let state = compress(compress(initial(), first), second);
        out.copy_from_slice(&digests(state)[..out.len()]);
    }
}

/// Compresses each run of blocks into its state, which stays in columns meanwhile.
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn each_run(states: &mut [[u32; 8]], runs: &[Run<'_>]) {
    for (states, runs) in states.chunks_mut(LANES).zip(runs.chunks(LANES)) {
        if states.len() < MESSAGES_MIN {
            states.iter_mut().zip(runs).for_each(|(state, run)| one::long(state, run));
            continue;
        }
        let rows: [Words; LANES] = array::from_fn(|n| Words::of(fill(states, n)));
        let mut columns = transpose(rows);
        for i in 0..runs[0].len() {
            columns = compress(columns, load(&array::from_fn(|n| fill(runs, n)[i].quarters())));
        }
        for (state, row) in states.iter_mut().zip(transpose(columns)) {
            *state = row.list();
        }
    }
}
