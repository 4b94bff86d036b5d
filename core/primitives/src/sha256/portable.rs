//! SHA-256 in plain integer code: the path of every machine, and the one that counts instructions
//! the same everywhere.
//!
//! It shares no code with the `sha2` crate, which the tests hold it against.

use super::constants::{
    INITIAL, PADDING_32, ROUND, ROUND_PADDING_64, schedule, sigma0, sigma1, sum,
};
use super::path::{Kernels, Run};
use super::{Message64, Scan};
use crate::Digest;

pub(super) static KERNELS: Kernels = Kernels {
    name: "portable",
    lanes: 1,
    supported: || true,
    sha256d_64: double,
    sha256d_pairs: double,
    tagged_pairs: tagged,
    runs,
    alike: None,
    long,
    scan,
};

/// The compression function (FIPS 180-4 6.2.2) over one block of big-endian words.
pub(super) fn compress(state: [u32; 8], block: [u32; 16]) -> [u32; 8] {
    add(state, rounds(state, block, 0))
}

/// A block's sixteen words, from its bytes.
pub(super) fn words(block: &[u8; 64]) -> [u32; 16] {
    let (quarters, rest) = block.as_chunks::<4>();
    assert!(rest.is_empty(), "64 is a multiple of 4");
    core::array::from_fn(|i| u32::from_be_bytes(quarters[i]))
}

/// The rounds `first` to 63 of one block, without the final addition of the state.
fn rounds(mut state: [u32; 8], mut w: [u32; 16], first: usize) -> [u32; 8] {
    for i in first..16 {
        state = round(state, w[i].wrapping_add(ROUND[i]));
    }
    for constants in &ROUND.as_chunks::<16>().0[1..] {
        for i in 0..16 {
            w[i] = w[i]
                .wrapping_add(sigma0(w[(i + 1) % 16]))
                .wrapping_add(w[(i + 9) % 16])
                .wrapping_add(sigma1(w[(i + 14) % 16]));
            state = round(state, w[i].wrapping_add(constants[i]));
        }
    }
    state
}

/// One round; `wk` is the schedule's word plus the round's constant (FIPS 180-4 6.2.2, step 3). The
/// terms that wait for no other round come first in each sum.
#[inline(always)]
pub(super) const fn round([a, b, c, d, e, f, g, h]: [u32; 8], wk: u32) -> [u32; 8] {
    let sum1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    // No bit is in both: their sum is their union, and one term of a longer sum.
    let choice = (e & f).wrapping_add(!e & g);
    let t1 = h.wrapping_add(wk).wrapping_add(choice).wrapping_add(sum1);
    let sum0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    let majority = b ^ ((a ^ b) & (b ^ c));
    [t1.wrapping_add(sum0.wrapping_add(majority)), a, b, c, d.wrapping_add(t1), e, f, g]
}

/// The state after one more block, for what the compiler computes (FIPS 180-4 6.2.2).
pub(crate) const fn compressed(before: [u32; 8], block: [u32; 16]) -> [u32; 8] {
    let sums = sum(&ROUND, &schedule(&block));
    let mut state = before;
    let mut t = 0;
    while t < 64 {
        state = round(state, sums[t]);
        t += 1;
    }
    let mut i = 0;
    while i < 8 {
        state[i] = state[i].wrapping_add(before[i]);
        i += 1;
    }
    state
}

fn add(x: [u32; 8], y: [u32; 8]) -> [u32; 8] {
    core::array::from_fn(|i| x[i].wrapping_add(y[i]))
}

/// The state after a 64-byte message that is not over yet.
fn first_block<M: Message64>(message: &M) -> [u32; 8] {
    let quarters = message.quarters();
    let word = |i: usize| quarters[i / 4].as_chunks::<4>().0[i % 4];
    compress(INITIAL, core::array::from_fn(|i| u32::from_be_bytes(word(i))))
}

/// SHA-256 of the 32 bytes that `state` stands for, as words.
fn again(state: [u32; 8]) -> [u32; 8] {
    let block = core::array::from_fn(|i| if i < 8 { state[i] } else { PADDING_32[i - 8] });
    compress(INITIAL, block)
}

/// The bytes of a digest whose words these are.
pub(super) fn digest(state: [u32; 8]) -> Digest {
    let mut bytes = [0; 32];
    for (quarter, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *quarter = word.to_be_bytes();
    }
    Digest(bytes)
}

/// Double SHA-256 of 64-byte messages.
pub(super) fn double<M: Message64>(input: &[M], out: &mut [Digest]) {
    for (message, out) in input.iter().zip(out) {
        let state = first_block(message);
        let padded = ROUND_PADDING_64.iter().fold(state, |state, wk| round(state, *wk));
        *out = digest(again(add(state, padded)));
    }
}

/// SHA-256 of a tag byte and 64 bytes.
pub(super) fn tagged(tag: u8, input: &[[Digest; 2]], out: &mut [Digest]) {
    for (pair, out) in input.iter().zip(out) {
        let mut state = INITIAL;
        long(&mut state, &tagged_blocks(tag, pair));
        *out = digest(state);
    }
}

/// The blocks of the message that is a tag byte and a pair: its 65th byte stands in the second.
pub(super) fn tagged_blocks(tag: u8, [left, right]: &[Digest; 2]) -> [[u8; 64]; 2] {
    let mut blocks = [[0; 64]; 2];
    blocks[0][0] = tag;
    blocks[0][1..33].copy_from_slice(&left.0);
    blocks[0][33..].copy_from_slice(&right.0[..31]);
    blocks[1][0] = right.0[31];
    blocks[1][1] = 0x80;
    blocks[1][62..].copy_from_slice(&(65u16 * 8).to_be_bytes());
    blocks
}

/// Compresses each run of blocks into its state.
pub(super) fn runs(states: &mut [[u32; 8]], runs: &[Run<'_>]) {
    states.iter_mut().zip(runs).for_each(|(state, run)| long(state, run));
}

/// Compresses all blocks into one state, in their order.
pub(super) fn long(state: &mut [u32; 8], blocks: &[[u8; 64]]) {
    *state = blocks.iter().fold(*state, |state, block| compress(state, words(block)));
}

fn scan(scan: &Scan, first_nonce: u32, count: u64, top_word_max: u32, hits: &mut Vec<u32>) {
    let mut block = scan.last_block();
    // Rounds 0 to 2 take the three words before the nonce: once for the whole range.
    let three = (0..3).fold(scan.midstate, |s, i| round(s, block[i].wrapping_add(ROUND[i])));
    for offset in 0..count {
        let nonce = first_nonce.wrapping_add(offset as u32);
        block[3] = nonce.swap_bytes();
        let state = again(add(scan.midstate, rounds(three, block, 3)));
        if state[7].swap_bytes() <= top_word_max {
            hits.push(nonce);
        }
    }
}
