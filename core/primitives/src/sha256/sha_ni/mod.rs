//! SHA-256 with the x86 SHA extensions, several independent messages ("streams") side by side.
//!
//! `sha256rnds2` does two rounds and has a latency of four cycles, yet a core can start one every
//! cycle or two: a lone stream leaves the unit idle. Each step below is therefore written as a loop
//! over `N` streams, which the compiler unrolls. The instructions keep the state as two registers,
//! (a, b, e, f) and (c, d, g, h), with the first-named word in the highest lane.
//!
//! Reference: Intel, "SHA Extensions: New Instructions Supporting the Secure Hash Algorithm on
//! Intel Architecture Processors", 2013. Only 128-bit registers are used: beside live upper halves
//! of 256-bit registers these instructions cost hundreds of cycles. AVX is asked for because its
//! forms of the other instructions write to a third register: a move less for most of them is 1 to
//! 4 % of the time, and a tenth where another thread shares the core.

mod phased;
mod probe;
mod rounds;
mod scan;

use core::arch::x86_64::{
    _mm_alignr_epi8, _mm_or_si128, _mm_set_epi8, _mm_setzero_si128, _mm_slli_epi32, _mm_srli_si128,
};
use core::array;
use std::is_x86_feature_detected;

use self::rounds::*;
use self::scan::scan;
use super::Message64;
use super::path::{Kernels, Probes, Run};
use crate::Digest;

/// The kernels with a given number of streams; double hashes of 64 bytes by `$double`.
macro_rules! kernels {
    ($name:ident, $text:literal, $streams:literal, $double:path) => {
        pub(super) static $name: Kernels = Kernels {
            name: $text,
            lanes: $streams,
            supported,
            sha256d_64: |input, out| {
                // SAFETY: needs sha and avx. These kernels are reached through a `Path` to them, or to
                // those of AVX-512, and either is made only after `supported` found both.
                unsafe { $double(input, out) }
            },
            sha256d_pairs: |input, out| {
                // SAFETY: as above.
                unsafe { $double(input, out) }
            },
            tagged_pairs: |tag, input, out| {
                // SAFETY: as above.
                unsafe { tagged::<$streams, _>(tag, input, out) }
            },
            runs: |states, runs| {
                // SAFETY: as above.
                unsafe { each_run::<$streams>(states, runs) }
            },
            alike: None,
            long: |state, blocks| {
                // SAFETY: as above.
                unsafe { long(state, blocks) }
            },
            scan: |header, first_nonce, count, top_word_max, hits| {
                // SAFETY: as above.
                unsafe { scan::<$streams>(header, first_nonce, count, top_word_max, hits) }
            },
        };
    };
}

kernels!(ONE, "sha-ni-x1", 1, double::<1, _>);
kernels!(TWO, "sha-ni-x2", 2, double::<2, _>);
kernels!(THREE, "sha-ni-x3", 3, double::<3, _>);
kernels!(FOUR, "sha-ni-x4", 4, double::<4, _>);
kernels!(EIGHT, "sha-ni-x8", 4, double_phased);

/// What the unit can do, see `crate::limits`.
pub(super) static PROBES: Probes = Probes {
    supported,
    chain: |turns| {
        // SAFETY: needs sha and avx. The probes are reached through `limits::Probe::run` alone,
        // which asks `supported` first.
        unsafe { probe::chain(turns) }
    },
    rounds: |turns| {
        // SAFETY: as above.
        unsafe { probe::rounds(turns) }
    },
    rounds_with_words: |turns| {
        // SAFETY: as above.
        unsafe { probe::rounds_with_words(turns) }
    },
    extended: |turns| {
        // SAFETY: as above.
        unsafe { probe::extended(turns) }
    },
};

fn supported() -> bool {
    is_x86_feature_detected!("sha") && is_x86_feature_detected!("avx")
}

/// Double SHA-256 of 64-byte messages, `N` at a time and the rest singly.
#[target_feature(enable = "sha,avx")]
fn double<const N: usize, M: Message64>(input: &[M], out: &mut [Digest]) {
    let (groups, rest) = input.as_chunks::<N>();
    let (out, out_rest) = out.as_chunks_mut::<N>();
    for (messages, out) in groups.iter().zip(out) {
        double_group(messages, out);
    }
    for (message, out) in rest.iter().zip(out_rest) {
        double_group(array::from_ref(message), array::from_mut(out));
    }
}

/// Double SHA-256 of 64-byte messages: of many in eight streams, of few in four.
#[target_feature(enable = "sha,avx")]
fn double_phased<M: Message64>(input: &[M], out: &mut [Digest]) {
    if input.len() < phased::MESSAGES_MIN {
        return double::<4, _>(input, out);
    }
    let (groups, rest) = input.as_chunks::<{ phased::STREAMS }>();
    let (out, out_rest) = out.as_chunks_mut();
    phased::double(groups, out);
    double::<1, _>(rest, out_rest);
}

#[target_feature(enable = "sha,avx")]
#[inline]
fn double_group<const N: usize, M: Message64>(messages: &[M; N], out: &mut [Digest; N]) {
    let mut s = [initial(); N];
    compress!(s, array::from_fn(|n| load_words(&messages[n])));
    compress_padding_64!(s);
    let (mut s, mut w) = again32!(s);
    extended16!(s, w, 2);
    extended16!(s, w, 3);
    add(&mut s, &[initial(); N]);
    for n in 0..N {
        store(s[n], &mut out[n]);
    }
}

/// The words of a message.
#[target_feature(enable = "sha,avx")]
#[inline]
fn load_words(message: &impl Message64) -> Words {
    message.quarters().map(|quarter| swap_bytes(load(quarter)))
}

/// SHA-256 of a tag byte and 64 bytes, `N` at a time and the rest singly.
#[target_feature(enable = "sha,avx")]
fn tagged<const N: usize, M: Message64>(tag: u8, input: &[M], out: &mut [Digest]) {
    let (groups, rest) = input.as_chunks::<N>();
    let (out, out_rest) = out.as_chunks_mut::<N>();
    for (messages, out) in groups.iter().zip(out) {
        tagged_group(tag, messages, out);
    }
    for (message, out) in rest.iter().zip(out_rest) {
        tagged_group(tag, array::from_ref(message), array::from_mut(out));
    }
}

/// The tag moves every quarter on by one byte; the last byte stands alone in the second block.
#[target_feature(enable = "sha,avx")]
#[inline]
fn tagged_group<const N: usize, M: Message64>(tag: u8, messages: &[M; N], out: &mut [Digest; N]) {
    let before = _mm_set_epi8(tag as i8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    let zero = _mm_setzero_si128();
    let mut first = [[zero; 4]; N];
    let mut second = [[zero, zero, zero, words(65 * 8, 0, 0, 0)]; N];
    for n in 0..N {
        let [a, b, c, d] = messages[n].quarters().map(|quarter| load(quarter));
        first[n] = [
            swap_bytes(_mm_alignr_epi8(a, before, 15)),
            swap_bytes(_mm_alignr_epi8(b, a, 15)),
            swap_bytes(_mm_alignr_epi8(c, b, 15)),
            swap_bytes(_mm_alignr_epi8(d, c, 15)),
        ];
        let last = _mm_slli_epi32(_mm_srli_si128(d, 15), 24);
        second[n][0] = _mm_or_si128(last, words(0, 0, 0, 0x0080_0000));
    }
    let mut s = [initial(); N];
    compress!(s, first);
    compress!(s, second);
    for n in 0..N {
        store(s[n], &mut out[n]);
    }
}

/// Compresses each run of blocks into its state, `N` at a time and the rest singly.
#[target_feature(enable = "sha,avx")]
fn each_run<const N: usize>(states: &mut [[u32; 8]], runs: &[Run<'_>]) {
    let (groups, rest) = runs.as_chunks::<N>();
    let (states, states_rest) = states.as_chunks_mut::<N>();
    for (states, runs) in states.iter_mut().zip(groups) {
        run_group(states, runs);
    }
    for (state, run) in states_rest.iter_mut().zip(rest) {
        long(state, run);
    }
}

#[target_feature(enable = "sha,avx")]
#[inline]
fn run_group<const N: usize>(states: &mut [[u32; 8]; N], runs: &[Run<'_>; N]) {
    let mut s: [State; N] = array::from_fn(|n| pack(&states[n]));
    let block = |n: usize, i: usize| &runs[n][i];
    for i in 0..runs[0].len() {
        compress!(s, array::from_fn(|n| load_words(block(n, i))));
    }
    for n in 0..N {
        states[n] = unpack(s[n]);
    }
}

/// Compresses all blocks into one state, which stays in its registers.
#[target_feature(enable = "sha,avx")]
fn long(state: &mut [u32; 8], blocks: &[[u8; 64]]) {
    const N: usize = 1;
    let mut s = [pack(state)];
    for block in blocks {
        compress!(s, [load_words(block)]);
    }
    *state = unpack(s[0]);
}
