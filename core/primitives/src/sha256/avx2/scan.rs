//! The proof-of-work scan: eight nonces of one header side by side.

use core::array;

use super::super::Scan;
use super::super::constants::{INITIAL, ROUND};
use super::super::portable;
use super::lanes::{LANES, Schedule, State, Words, add, block_of, broadcast, initial, rounds};

/// Appends the nonces of the range whose hash has a small enough top word.
#[target_feature(enable = "avx2")]
pub(super) fn scan(
    scan: &Scan,
    first_nonce: u32,
    count: u64,
    top_word_max: u32,
    hits: &mut Vec<u32>,
) {
    let header = Header::new(scan);
    for offset in (0..count).step_by(LANES) {
        let nonce = first_nonce.wrapping_add(offset as u32);
        let words = top_words(&header, nonce);
        for (n, word) in words.into_iter().enumerate() {
            // The last group may reach beyond the range.
            if word <= top_word_max && offset + (n as u64) < count {
                hits.push(nonce.wrapping_add(n as u32));
            }
        }
    }
}

/// What all nonces of a header share.
struct Header {
    midstate: State,
    /// The state after the rounds 0 to 2, which the nonce does not reach.
    after3: State,
    /// The last block with nonce zero; the nonce is word 3.
    block: Schedule,
}

impl Header {
    #[target_feature(enable = "avx2")]
    fn new(scan: &Scan) -> Header {
        let block = scan.last_block();
        let after = |state, i: usize| portable::round(state, block[i].wrapping_add(ROUND[i]));
        let after3 = (0..3).fold(scan.midstate, after);
        Header {
            midstate: broadcast(&scan.midstate),
            after3: broadcast(&after3),
            block: array::from_fn(|i| Words::all(block[i])),
        }
    }
}

/// The most significant words of the double hashes of eight nonces, from `nonce` on.
#[target_feature(enable = "avx2")]
#[inline]
fn top_words(header: &Header, nonce: u32) -> [u32; LANES] {
    let nonces: [u32; LANES] = array::from_fn(|n| nonce.wrapping_add(n as u32));
    let mut w = header.block;
    w[3] = Words::of(&nonces).swap_bytes();
    let first = add(header.midstate, rounds::<3, 64>(header.after3, w));
    // The digest's last word is what `e` is after round 60: the last three rounds only move it on.
    let [_, _, _, _, e, ..] = rounds::<0, 61>(initial(), block_of(first));
    e.plus(Words::all(INITIAL[7])).swap_bytes().list()
}
