//! bitcoinj's 436 mainnet checkpoints: a header and its chain's work at every 2016th height.

use quorumark_chain::headers::Anchor;
use quorumark_chain::params::RETARGET_INTERVAL;
use quorumark_chain::{Header, HeaderChain, Params, Target, U256, Work};

use crate::data;

struct Checkpoint {
    height: u32,
    work: Work,
    header: Header,
}

/// One line: base64 of 12 bytes of work, 4 of height (both big-endian) and 80 of header.
fn parse(line: &str) -> Checkpoint {
    let bytes = base64(line);
    assert_eq!(bytes.len(), 96);
    let mut work = [0; 32];
    work[20..].copy_from_slice(&bytes[..12]);
    Checkpoint {
        height: u32::from_be_bytes(bytes[12..16].try_into().unwrap()),
        work: Work(U256::from_be_bytes(work)),
        header: Header::parse(&bytes[16..]).unwrap(),
    }
}

/// Standard base64 of a multiple of three bytes, without padding.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |byte: &u8| DIGITS.iter().position(|digit| digit == byte).unwrap() as u32;
    text.as_bytes()
        .chunks_exact(4)
        .map(|four| four.iter().fold(0, |word, byte| word << 6 | digit(byte)))
        .flat_map(|word: u32| word.to_be_bytes()[1..].to_vec())
        .collect()
}

fn checkpoints() -> Vec<Checkpoint> {
    data::text("bitcoinj_production_checkpoints.txt").lines().skip(3).map(parse).collect()
}

fn target(header: &Header) -> Target {
    Params::mainnet().target(header.bits).unwrap()
}

#[test]
fn each_of_the_436_checkpoints_meets_its_own_target() {
    let checkpoints = checkpoints();
    assert_eq!(checkpoints.len(), 436);
    for (i, checkpoint) in (1..).zip(&checkpoints) {
        assert_eq!(checkpoint.height, RETARGET_INTERVAL * i);
        assert!(target(&checkpoint.header).meets(checkpoint.header.block_hash()));
    }
}

/// A checkpoint is the first block of its interval. Its work counts itself, so that the next
/// checkpoint's work is larger by the 2015 other blocks of the interval, which share its bits, and
/// by the first block of the next interval, which has its own.
#[test]
fn the_work_of_all_436_checkpoints_agrees() {
    let others = std::iter::repeat_n;
    let mut before = Params::mainnet().genesis;
    let mut work = target(&before).work();
    for checkpoint in checkpoints() {
        let shared = others(target(&before).work(), RETARGET_INTERVAL as usize - 1);
        work = work + shared.sum() + target(&checkpoint.header).work();
        assert_eq!(checkpoint.work, work, "height {}", checkpoint.height);
        before = checkpoint.header;
    }
}

/// A retarget by any timespan moves the target by at most the factor 4.
#[test]
fn consecutive_checkpoints_differ_by_at_most_the_clamp() {
    let params = Params::mainnet();
    for pair in checkpoints().windows(2) {
        let (bits, next) = (pair[0].header.bits, target(&pair[1].header));
        let hardest = params.retarget(bits, 0, 0).unwrap().target().unwrap();
        let easiest = params.retarget(bits, 0, u32::MAX).unwrap().target().unwrap();
        assert!(hardest <= next && next <= easiest, "height {}", pair[1].height);
    }
}

#[test]
fn a_checkpoint_is_an_anchor_that_real_headers_extend() {
    let first = &checkpoints()[0];
    let headers = data::mainnet_headers();
    let anchor = Anchor {
        height: first.height,
        headers: &[first.header],
        interval_first_time: first.header.time,
        work: first.work,
    };
    let mut chain = HeaderChain::anchored(Params::mainnet(), &anchor).unwrap();
    chain.extend(&headers[2017..4033], u64::from(u32::MAX)).unwrap();
    assert_eq!(chain.work(), checkpoints()[1].work);
}

#[test]
fn a_checkpoint_with_one_field_changed_does_not_meet_its_target() {
    for checkpoint in checkpoints() {
        let encoded = checkpoint.header.encode();
        // One bit of version, previous, Merkle root, time, bits and nonce.
        for at in [0, 4, 36, 68, 72, 76] {
            let mut changed = encoded;
            changed[at] ^= 1;
            let met = Header::decode(&changed).meets_own_target();
            assert_eq!(met, Ok(false), "height {}, byte {at}", checkpoint.height);
        }
    }
}
