//! The miner: the lowest nonce whose header meets its target, on all threads.
//!
//! The header's first 64 bytes are hashed once ([`Scan`]); the threads take ranges of nonces of
//! less than a millisecond's work, from one counter and without a lock, so that none waits for
//! another. The answer is the lowest nonce of the range, so it does not
//! depend on the number of threads. When all nonces are used up, the extra nonce in the coinbase
//! transaction gives a new Merkle root and with it a new range ([`Miner::mine_block`]).

use core::ops::{Range, RangeInclusive};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use quorumark_primitives::sha256::{Path, Scan, path};
use rayon::{ThreadPool, ThreadPoolBuilder};
use thiserror::Error;

use crate::header::Header;
use crate::id::BlockHash;
use crate::search::{Chunk, lowest};
pub use crate::search::{Mined, Outcome, Statistics, Stop};
use crate::target::{Target, TargetError};
use crate::template::{SolvedBlock, Template};

/// Most threads of one miner.
pub const THREADS_MAX: usize = 1024;
/// Nonces of the largest chunk that a thread takes. It is the work after which a stop is noticed:
/// half a millisecond at the 2 million hashes per second of the portable path, and 35 us at the 29
/// million of the fastest, beside which taking a chunk (0.1 us) is nothing.
pub const CHUNK_NONCES_MAX: u64 = 1 << 10;
/// Nonces of the smallest chunk: below, taking it would cost more than scanning it.
const CHUNK_NONCES_MIN: u64 = 1 << 8;

/// Why a miner cannot be built.
#[derive(Debug, Error)]
pub enum MinerError {
    /// No thread, or too many.
    #[error("{threads} threads, a miner has 1 to {THREADS_MAX}")]
    Threads {
        /// Threads asked for.
        threads: usize,
    },
    /// The system refused to start the threads.
    #[error("the miner's threads cannot be started: {0}")]
    Pool(#[from] rayon::ThreadPoolBuildError),
}

/// A nonce and the hash that it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SolvedHeader {
    /// The lowest nonce that meets the target.
    pub nonce: u32,
    /// The header's hash with this nonce.
    pub hash: BlockHash,
}

/// Every nonce of a range tried, whatever was found: the work of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashRate {
    /// Nonces that met the target.
    pub hits: u64,
    /// What it cost.
    pub statistics: Statistics,
    /// Whether the whole range was tried; false when it was stopped.
    pub complete: bool,
}

/// Threads that search, started once and kept.
#[derive(Debug)]
pub struct Miner {
    pool: ThreadPool,
    path: Path,
}

impl Miner {
    /// A miner of `threads` threads that hash on the path that the machine takes.
    ///
    /// # Errors
    /// [`MinerError`] for 0 or more than [`THREADS_MAX`] threads, or when they cannot be started.
    pub fn new(threads: usize) -> Result<Miner, MinerError> {
        Miner::with_path(threads, path())
    }

    /// A miner of `threads` threads that hash headers on the given path.
    ///
    /// # Errors
    /// As [`Miner::new`].
    pub fn with_path(threads: usize, path: Path) -> Result<Miner, MinerError> {
        if !(1..=THREADS_MAX).contains(&threads) {
            return Err(MinerError::Threads { threads });
        }
        let named = |index| format!("miner-{index}");
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(named).build()?;
        assert!(pool.current_num_threads() == threads, "the pool has the threads asked for");
        Ok(Miner { pool, path })
    }

    /// How many threads search.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// The kernel that hashes headers.
    pub fn path(&self) -> Path {
        self.path
    }

    /// The lowest of `nonces` with which `header` meets its own target. The nonce in the header is
    /// ignored.
    ///
    /// # Errors
    /// [`TargetError`] when the header's bits are no target.
    pub fn mine(
        &self,
        header: &Header,
        nonces: RangeInclusive<u32>,
        stop: &Stop,
    ) -> Result<Mined<SolvedHeader>, TargetError> {
        Ok(self.mine_for(header, header.bits.target()?, nonces, stop))
    }

    /// As [`Miner::mine`], for another target than the header's bits say, e.g. a pool's share.
    pub fn mine_for(
        &self,
        header: &Header,
        target: Target,
        nonces: RangeInclusive<u32>,
        stop: &Stop,
    ) -> Mined<SolvedHeader> {
        let job = Job::new(header, target, self.path);
        let mined = lowest(&self.pool, range(&nonces), chunk_nonces(target), stop, || {
            let (mut hits, job) = (Vec::new(), &job);
            move |part: Range<u64>| {
                let hashes = part.end - part.start;
                Chunk { hit: job.hits(&part, &mut hits).next().map(u64::from), hashes }
            }
        });
        let outcome = mined.outcome.map(|nonce| {
            assert!(nonces.contains(&(nonce as u32)), "the answer lies in the range searched");
            job.solved(nonce as u32)
        });
        Mined { outcome, statistics: mined.statistics }
    }

    /// Tries every one of `nonces` and counts those that meet the header's target: a fixed amount
    /// of work, for measuring.
    ///
    /// # Errors
    /// [`TargetError`] when the header's bits are no target.
    pub fn hash_rate(
        &self,
        header: &Header,
        nonces: RangeInclusive<u32>,
        stop: &Stop,
    ) -> Result<HashRate, TargetError> {
        let target = header.bits.target()?;
        let job = Job::new(header, target, self.path);
        let all_hits = AtomicU64::new(0);
        let numbers = range(&nonces);
        let mined = lowest(&self.pool, numbers.clone(), CHUNK_NONCES_MAX, stop, || {
            let (mut hits, job, all_hits) = (Vec::new(), &job, &all_hits);
            move |part: Range<u64>| {
                let count = job.hits(&part, &mut hits).count() as u64;
                all_hits.fetch_add(count, Relaxed);
                Chunk { hit: None, hashes: part.end - part.start }
            }
        });
        let hits = all_hits.into_inner();
        assert!(hits <= mined.statistics.hashes(), "a hash hits at most once");
        let complete = mined.outcome == Outcome::Exhausted;
        Ok(HashRate { hits, statistics: mined.statistics, complete })
    }

    /// Mines a block: for each extra nonce in turn all of `nonces`, until a header meets its
    /// target. The answer is the lowest extra nonce, and the lowest nonce with it.
    ///
    /// Extra nonces that do not fit the template's bytes are left out.
    ///
    /// # Errors
    /// [`TargetError`] when the template's bits are no target.
    pub fn mine_block(
        &self,
        template: &Template,
        extra_nonces: RangeInclusive<u64>,
        nonces: RangeInclusive<u32>,
        stop: &Stop,
    ) -> Result<Mined<SolvedBlock>, TargetError> {
        let last = template.extra_nonce_max().min(*extra_nonces.end());
        let mut statistics = Statistics::default();
        for extra_nonce in *extra_nonces.start()..=last {
            let candidate = template.candidate(extra_nonce);
            let mined = self.mine(&candidate.header, nonces.clone(), stop)?;
            statistics.add(&mined.statistics);
            match mined.outcome {
                Outcome::Exhausted => {}
                Outcome::Stopped => return Ok(Mined { outcome: Outcome::Stopped, statistics }),
                Outcome::Found(solved) => {
                    let outcome = Outcome::Found(candidate.solved(extra_nonce, solved));
                    return Ok(Mined { outcome, statistics });
                }
            }
        }
        Ok(Mined { outcome: Outcome::Exhausted, statistics })
    }

    /// The threads, for the other search of this crate.
    pub(crate) fn pool(&self) -> &ThreadPool {
        &self.pool
    }
}

/// One header and target, as all threads share them.
#[derive(Debug)]
struct Job {
    header: Header,
    target: Target,
    scan: Scan,
    path: Path,
}

impl Job {
    fn new(header: &Header, target: Target, path: Path) -> Job {
        Job { header: *header, target, scan: Scan::new(&header.encode()), path }
    }

    /// The nonces of a chunk that meet the target, in rising order; `hits` is scratch space.
    fn hits<'a>(
        &'a self,
        part: &Range<u64>,
        hits: &'a mut Vec<u32>,
    ) -> impl Iterator<Item = u32> + 'a {
        assert!(part.end <= 1 << 32 && part.end - part.start <= CHUNK_NONCES_MAX, "{part:?}");
        hits.clear();
        let count = part.end - part.start;
        self.scan.scan_with(self.path, part.start as u32, count, self.target.top_word(), hits);
        // The kernel has compared the top word alone.
        hits.iter().copied().filter(|nonce| self.target.meets(self.solved(*nonce).hash))
    }

    fn solved(&self, nonce: u32) -> SolvedHeader {
        SolvedHeader { nonce, hash: Header { nonce, ..self.header }.block_hash() }
    }
}

/// The half-open range of the same nonces.
fn range(nonces: &RangeInclusive<u32>) -> Range<u64> {
    if nonces.is_empty() {
        return 0..0;
    }
    u64::from(*nonces.start())..u64::from(*nonces.end()) + 1
}

/// Nonces that a thread takes at a time: an easy target is met long before a full chunk is scanned.
fn chunk_nonces(target: Target) -> u64 {
    let expected = target.work().0;
    let expected = if expected.bits() > 64 { u64::MAX } else { expected.low_u64() };
    expected.clamp(CHUNK_NONCES_MIN, CHUNK_NONCES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Params;

    #[test]
    fn a_miner_has_at_least_one_thread_and_a_bounded_number() {
        assert!(matches!(Miner::new(0), Err(MinerError::Threads { threads: 0 })));
        assert!(matches!(Miner::new(THREADS_MAX + 1), Err(MinerError::Threads { .. })));
        assert_eq!(Miner::new(3).unwrap().threads(), 3);
    }

    #[test]
    fn easy_targets_are_searched_in_small_chunks() {
        assert_eq!(chunk_nonces(Params::regtest().limit_target()), CHUNK_NONCES_MIN);
        assert_eq!(chunk_nonces(Params::mainnet().limit_target()), CHUNK_NONCES_MAX);
        assert_eq!(chunk_nonces(Target::new(crate::U256::ONE).unwrap()), CHUNK_NONCES_MAX);
    }

    #[test]
    fn an_empty_range_is_exhausted_at_once() {
        let (first, last) = (5, 4);
        let genesis = Params::mainnet().genesis;
        let mined = Miner::new(2).unwrap().mine(&genesis, first..=last, &Stop::new()).unwrap();
        assert_eq!(mined.outcome, Outcome::Exhausted);
        assert_eq!(mined.statistics.hashes(), 0);
    }
}
