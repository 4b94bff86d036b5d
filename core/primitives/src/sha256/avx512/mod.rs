//! SHA-256 with AVX-512, sixteen independent messages side by side: one to each 32-bit lane.
//!
//! A rotation is one instruction here, and so is each function of three words (FIPS 180-4 4.1.2). On a
//! Xeon of 2023 (Sapphire Rapids) a block of sixteen messages costs each 25 ns where the SHA unit takes
//! 45. Older processors with these instructions lower their clock for them, and have no SHA unit: there
//! the path is not offered. What falls short of a group goes to the SHA unit.

mod lanes;
mod scan;

use core::array;
use std::is_x86_feature_detected;

use self::lanes::{
    LANES, State, Words, again, broadcast, compress, digests, initial, padded_64, transpose,
};
use self::scan::scan;
use super::columns::fill;
use super::each::Start;
use super::path::{Kernels, Run};
use super::{Message64, portable, sha_ni};
use crate::Digest;
use crate::prefetch::prefetch;

pub(super) static SIXTEEN: Kernels = Kernels {
    name: "avx512-x16",
    lanes: LANES,
    supported: || {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && (sha_ni::EIGHT.supported)()
    },
    sha256d_64: |input, out| {
        // SAFETY: needs avx512f and avx512bw. These kernels are reached through a `Path` alone, and a
        // `Path` to them is made only after `supported` found both, and what the SHA unit's need.
        unsafe { double(input, out, sha_ni::EIGHT.sha256d_64) }
    },
    sha256d_pairs: |input, out| {
        // SAFETY: as above.
        unsafe { double(input, out, sha_ni::EIGHT.sha256d_pairs) }
    },
    tagged_pairs: |tag, input, out| {
        // SAFETY: as above.
        unsafe { tagged(tag, input, out) }
    },
    runs: |states, runs| {
        // SAFETY: as above.
        unsafe { each_run(states, runs) }
    },
    alike: Some(|start, messages, out| {
        // SAFETY: as above.
        unsafe { alike(start, messages, out) }
    }),
    // The SHA unit's, here and for few messages: `supported` found what they need.
    long: |state, blocks| (sha_ni::EIGHT.long)(state, blocks),
    scan: |header, first_nonce, count, top_word_max, hits| {
        // SAFETY: as above.
        unsafe { scan(header, first_nonce, count, top_word_max, hits) }
    },
};

/// Fewer messages than these go to the SHA unit: sixteen lanes cost as much as nine messages there.
const MESSAGES_MIN: usize = 9;

/// Double SHA-256 of 64-byte messages.
#[target_feature(enable = "avx512f,avx512bw")]
fn double<M: Message64>(input: &[M], out: &mut [Digest], few: fn(&[M], &mut [Digest])) {
    for (messages, out) in input.chunks(LANES).zip(out.chunks_mut(LANES)) {
        if messages.len() < MESSAGES_MIN {
            few(messages, out);
            continue;
        }
        let row = |n| Words::row_of_quarters(fill(messages, n).quarters());
        let state = padded_64(compress(initial(), transpose(array::from_fn(row))));
        out.copy_from_slice(&digests(again(state))[..out.len()]);
    }
}

/// SHA-256 of a tag byte and 64 bytes.
#[target_feature(enable = "avx512f,avx512bw")]
fn tagged(tag: u8, input: &[[Digest; 2]], out: &mut [Digest]) {
    for (pairs, out) in input.chunks(LANES).zip(out.chunks_mut(LANES)) {
        if pairs.len() < MESSAGES_MIN {
            (sha_ni::EIGHT.tagged_pairs)(tag, pairs, out);
            continue;
        }
        let padded: [_; LANES] = array::from_fn(|n| portable::tagged_blocks(tag, fill(pairs, n)));
        let block = |i: usize| transpose(array::from_fn(|n| Words::row(&padded[n][i])));
        let state = compress(compress(initial(), block(0)), block(1));
        out.copy_from_slice(&digests(state)[..out.len()]);
    }
}

/// The digests of sixteen messages of one length: what pads one pads all (FIPS 180-4 5.1.1).
#[target_feature(enable = "avx512f,avx512bw")]
fn alike(start: Start, messages: &[&[u8]], out: &mut [Digest]) {
    let length = messages[0].len();
    assert!(messages.len() == LANES && out.len() == LANES, "sixteen messages and digests");
    debug_assert!(messages.iter().all(|message| message.len() == length), "of one length");
    let messages: [(Run<'_>, &[u8]); LANES] = array::from_fn(|n| messages[n].as_chunks::<64>());
    let (blocks, rest) = (length / 64, length % 64);
    let mut state = broadcast(&start.state);
    for i in 0..blocks {
        let rows = array::from_fn(|n| Words::row(&messages[n].0[i]));
        // Sixteen streams of a few blocks are more than a core foresees by itself.
        messages.iter().filter_map(|(blocks, _)| blocks.get(i + 1)).for_each(prefetch);
        state = compress(state, transpose(rows));
    }
    let mut padding = [[0; 64]; 2];
    padding[0][rest] = 0x80;
    let ending = usize::from(rest >= 64 - 8);
    padding[ending][56..].copy_from_slice(&((start.length + length as u64) * 8).to_be_bytes());
    let first = Words::row(&padding[0]);
    let rows = array::from_fn(|n| Words::part(messages[n].1).or(first));
    state = compress(state, transpose(rows));
    if ending == 1 {
        let words = padding[1].as_chunks::<4>().0;
        state = compress(state, array::from_fn(|i| Words::all(u32::from_be_bytes(words[i]))));
    }
    out.copy_from_slice(&digests(state));
}

/// Compresses each run of blocks into its state, which stays in columns meanwhile.
#[target_feature(enable = "avx512f,avx512bw")]
fn each_run(states: &mut [[u32; 8]], runs: &[Run<'_>]) {
    for (states, runs) in states.chunks_mut(LANES).zip(runs.chunks(LANES)) {
        if states.len() < MESSAGES_MIN {
            (sha_ni::EIGHT.runs)(states, runs);
            continue;
        }
        let mut columns: State =
            array::from_fn(|i| Words::of(&array::from_fn(|n| fill(states, n)[i])));
        for i in 0..runs[0].len() {
            let rows = array::from_fn(|n| Words::row(&fill(runs, n)[i]));
            // Sixteen streams of a few blocks are more than a core foresees by itself.
            runs.iter().filter_map(|run| run.get(i + 1)).for_each(prefetch);
            columns = compress(columns, transpose(rows));
        }
        let columns = columns.map(|column| column.list());
        for (n, state) in states.iter_mut().enumerate() {
            *state = columns.map(|column| column[n]);
        }
    }
}
