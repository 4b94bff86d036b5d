//! The proof-of-work scan: double SHA-256 of one header with many nonces.
//!
//! Timed: `scan`, the kernel on one thread, with the genesis target's top word; `mine`, the miner's
//! whole search over the range by its threads, which were started before, each hit compared with
//! the target. Throughput is in nonces, which are hashes.

use std::hint::black_box;

use criterion::Throughput;
use quorumark_chain::miner::{Miner, Stop};
use quorumark_micro::Id;
use quorumark_micro::fixtures::nonces::genesis;
use quorumark_primitives::sha256::Scan;

use crate::hash::path;
use crate::suite::{Bench, Routine};

pub(crate) const ROUTINES: &[Routine] = &[("pow::scan", scan), ("pow::mine", mine)];

fn scan(id: &Id, bench: Bench<'_, '_>) {
    let (count, path) = (id.number("nonces") as u64, path(id));
    let (header, nonces) = genesis(count as u32);
    let top_word = header.bits.target().expect("the genesis target is one").top_word();
    let fixture = || {
        let (scan, mut hits) = (Scan::new(&header.encode()), Vec::new());
        scan.scan_with(path, *nonces.start(), count, top_word, &mut hits);
        assert!(hits.contains(&header.nonce), "the solution is missed on {path}");
        (scan, hits)
    };
    bench.measure(Throughput::Elements(count), fixture, |(scan, hits)| {
        hits.clear();
        scan.scan_with(path, black_box(*nonces.start()), count, top_word, hits);
    });
}

fn mine(id: &Id, bench: Bench<'_, '_>) {
    let count = id.number("nonces");
    let (header, nonces) = genesis(count as u32);
    let hits = |miner: &Miner| {
        let rate = miner.hash_rate(black_box(&header), nonces.clone(), &Stop::new());
        rate.expect("the genesis target is one").hits
    };
    let fixture = || {
        let miner = Miner::with_path(id.number("threads"), path(id)).expect("the threads start");
        assert_eq!(hits(&miner), 1, "the range has one solution");
        miner
    };
    bench.measure(Throughput::Elements(count as u64), fixture, |miner| hits(miner));
}
