//! The miner on real headers and on easy targets.

use quorumark_chain::miner::{CHUNK_NONCES_MAX, Miner, Outcome, Stop};
use quorumark_chain::{Block, CompactTarget, Header, Params, Target, U256};
use quorumark_primitives::sha256::Path;

use crate::data;

const ALL: core::ops::RangeInclusive<u32> = 0..=u32::MAX;

/// A target that one hash in `2^bits` meets.
fn one_in(bits: u32) -> Target {
    Target::new(U256::MAX >> bits).unwrap()
}

/// The lowest nonce, found by hashing one header after the other.
fn lowest_by_hashing(header: &Header, target: Target) -> u32 {
    let met = |nonce: &u32| target.meets(Header { nonce: *nonce, ..*header }.block_hash());
    ALL.into_iter().find(met).unwrap()
}

/// The whole range takes minutes; it is run by hand with `quorumark mine`.
#[test]
fn the_genesis_nonce_is_found_from_close_below_by_any_number_of_threads() {
    let genesis = Header { nonce: 0, ..Params::mainnet().genesis };
    for threads in [1, 2, 4] {
        let miner = Miner::new(threads).unwrap();
        let start = 2_083_236_893 - 50_000;
        let mined = miner.mine(&genesis, start..=u32::MAX, &Stop::new()).unwrap();
        let solved = mined.outcome.found().unwrap();
        assert_eq!(solved.nonce, 2_083_236_893);
        assert_eq!(solved.hash, Params::mainnet().genesis.block_hash());
        assert!(mined.statistics.hashes() > 50_000);
    }
}

#[test]
fn the_nonces_of_real_headers_are_found_again() {
    let miner = Miner::new(2).unwrap();
    for header in data::mainnet_headers().iter().step_by(2000) {
        let start = header.nonce.saturating_sub(3000);
        let mined = miner.mine(header, start..=header.nonce, &Stop::new()).unwrap();
        assert_eq!(mined.outcome.found().unwrap().nonce, header.nonce);
    }
}

/// Regtest's target is met by every second hash. The genesis block's own nonce, 2, is not the lowest.
#[test]
fn the_151_regtest_blocks_are_mined_again_from_their_headers_with_the_nonce_zeroed() {
    let text = data::text("floresta_regtest_blocks.txt");
    for path in [Path::available().next().unwrap(), Path::PORTABLE] {
        let miner = Miner::with_path(2, path).unwrap();
        let mut mined_again = 0;
        for line in text.lines() {
            let header = Block::from_file(line.as_bytes()).unwrap().header;
            let blank = Header { nonce: 0, ..header };
            let solved = miner.mine(&blank, ALL, &Stop::new()).unwrap().outcome.found().unwrap();
            let target = header.bits.target().unwrap();
            assert_eq!(solved.nonce, lowest_by_hashing(&blank, target), "{path}");
            assert!(solved.nonce <= header.nonce && target.meets(solved.hash), "{path}");
            mined_again += 1;
        }
        assert_eq!(mined_again, 151);
    }
}

/// A thread looks at the flag before each chunk, so what is left to do is one chunk a thread: under
/// a millisecond on every path.
#[test]
fn after_a_stop_no_thread_begins_another_chunk() {
    const { assert!(CHUNK_NONCES_MAX <= 1024, "half a millisecond at 2 million hashes a second") };
    let impossible = Header { bits: CompactTarget(0x0100_0000 | 0x01_0000), ..Header::default() };
    let stop = Stop::new();
    stop.stop();
    for threads in [1, 2] {
        let miner = Miner::with_path(threads, Path::PORTABLE).unwrap();
        let mined = miner.mine(&impossible, ALL, &stop).unwrap();
        assert_eq!((mined.outcome, mined.statistics.hashes()), (Outcome::Stopped, 0));
    }
}

#[test]
fn the_answer_is_the_lowest_nonce_for_any_number_of_threads_on_every_path() {
    for path in Path::available() {
        for threads in [1, 2, 4] {
            let miner = Miner::with_path(threads, path).unwrap();
            for (i, bits) in [0, 1, 4, 8, 12].into_iter().enumerate() {
                let header = data::mainnet_headers()[i];
                let mined = miner.mine_for(&header, one_in(bits), ALL, &Stop::new());
                let solved = mined.outcome.found().unwrap();
                assert_eq!(solved.nonce, lowest_by_hashing(&header, one_in(bits)), "{path}");
            }
        }
    }
}

/// Below 32 bits the kernel's top word decides alone; this target has a second word that counts.
#[test]
fn a_hash_above_the_target_in_its_lower_words_is_no_answer() {
    let header = data::mainnet_headers()[7];
    let loose = one_in(8);
    let first = lowest_by_hashing(&header, loose);
    let hash = Header { nonce: first, ..header }.block_hash();
    let value = U256::from_le_bytes(hash.0.0);
    let miner = Miner::new(2).unwrap();
    let mine = |value| {
        let target = Target::new(value).unwrap();
        let mined = miner.mine_for(&header, target, 0..=first, &Stop::new());
        mined.outcome.found().map(|solved| solved.nonce)
    };
    assert_eq!(mine(value), Some(first));
    assert_eq!(mine(value.checked_sub(U256::ONE).unwrap()), None);
}

#[test]
fn a_range_without_an_answer_is_exhausted_and_counted_once() {
    let genesis = Params::mainnet().genesis;
    for threads in [1, 2, 4] {
        let miner = Miner::new(threads).unwrap();
        let mined = miner.mine(&genesis, 100..=100_099, &Stop::new()).unwrap();
        assert_eq!(mined.outcome, Outcome::Exhausted);
        assert_eq!(mined.statistics.hashes(), 100_000);
        assert_eq!(mined.statistics.hashes_by_thread.len(), threads);
    }
    let last = Miner::new(2).unwrap().mine(&genesis, u32::MAX..=u32::MAX, &Stop::new()).unwrap();
    assert_eq!(last.statistics.hashes(), 1);
}

#[test]
fn a_stop_from_another_thread_ends_the_search() {
    let impossible = Header { bits: CompactTarget(0x0100_0000 | 0x01_0000), ..Header::default() };
    let (miner, stop) = (Miner::new(2).unwrap(), Stop::new());
    let handle = stop.clone();
    let mined = std::thread::scope(|scope| {
        scope.spawn(move || handle.stop());
        miner.mine(&impossible, ALL, &stop).unwrap()
    });
    assert_eq!(mined.outcome, Outcome::Stopped);
    let again = miner.mine(&impossible, ALL, &stop).unwrap();
    assert_eq!((again.outcome, again.statistics.hashes()), (Outcome::Stopped, 0));
}

#[test]
fn the_hash_rate_tries_every_nonce_and_counts_every_hit() {
    let header = Header { bits: one_in(6).compact(), ..data::mainnet_headers()[3] };
    let target = header.bits.target().unwrap();
    let nonces = 1000..=50_999u32;
    let met = |nonce: &u32| target.meets(Header { nonce: *nonce, ..header }.block_hash());
    let expected = nonces.clone().filter(met).count() as u64;
    assert!(expected > 0);
    for threads in [1, 2] {
        let miner = Miner::new(threads).unwrap();
        let rate = miner.hash_rate(&header, nonces.clone(), &Stop::new()).unwrap();
        assert_eq!((rate.hits, rate.statistics.hashes()), (expected, 50_000));
        assert!(rate.complete && rate.statistics.hashes_per_s() > 0.0);
    }
}

#[test]
fn bits_that_are_no_target_cannot_be_mined() {
    let header = Header { bits: CompactTarget(0), ..Header::default() };
    let refused = Miner::new(1).unwrap().mine(&header, ALL, &Stop::new()).unwrap_err();
    assert_eq!(refused.to_string(), "bits 00000000 are zero");
}
