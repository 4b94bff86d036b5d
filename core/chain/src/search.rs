//! The parallel search for the lowest number that has a property.
//!
//! Threads take chunks from one counter, in rising order. A thread that hits lowers `best` to its
//! hit; a thread whose next chunk starts above `best` ends. Every chunk below a hit was taken
//! before the hit's own chunk and a chunk that was taken is always finished, so what is left in
//! `best` is the lowest hit of all, whatever the number of threads. Splitting the range in halves,
//! as rayon's iterators do, would search far above the answer while it is not yet known.
//!
//! All atomics are relaxed: each is one number that stands for itself, and the results are read
//! after the threads were joined.

mod chunks;

use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::ThreadPool;

use self::chunks::Chunks;

/// The end of the largest range that can be searched; threads overshoot a range's end by a chunk
/// each, and the counter must not wrap.
pub(crate) const NUMBERS_MAX: u64 = 1 << 63;

/// Ends searches from another thread. Clones share one flag, which stays set.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that is not set.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Ends every search that was given this flag, each within one chunk of work (less than 1 ms).
    pub fn stop(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether [`Stop::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The lowest answer.
    Found(T),
    /// The whole range holds no answer.
    Exhausted,
    /// The search was stopped before an answer was found.
    Stopped,
}

impl<T> Outcome<T> {
    /// The answer, if there is one.
    pub fn found(self) -> Option<T> {
        match self {
            Outcome::Found(answer) => Some(answer),
            Outcome::Exhausted | Outcome::Stopped => None,
        }
    }

    /// The same outcome with the answer converted.
    pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Outcome::Found(answer) => Outcome::Found(convert(answer)),
            Outcome::Exhausted => Outcome::Exhausted,
            Outcome::Stopped => Outcome::Stopped,
        }
    }
}

/// An outcome and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mined<T> {
    /// How the search ended.
    pub outcome: Outcome<T>,
    /// What it cost.
    pub statistics: Statistics,
}

/// What a search cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Hashes tried by each thread. Only the answer is the same in every run, not these.
    pub hashes_by_thread: Vec<u64>,
    /// Wall-clock time.
    pub elapsed: Duration,
}

impl Statistics {
    /// Hashes tried by all threads.
    pub fn hashes(&self) -> u64 {
        self.hashes_by_thread.iter().sum()
    }

    /// The hash rate of each thread, in hashes per second of the search's wall-clock time; 0 when
    /// no time went by.
    pub fn hashes_per_s_by_thread(&self) -> Vec<f64> {
        let seconds = self.elapsed.as_secs_f64();
        let rate = |hashes: &u64| if seconds > 0.0 { *hashes as f64 / seconds } else { 0.0 };
        self.hashes_by_thread.iter().map(rate).collect()
    }

    /// The hash rate of all threads together, in hashes per second of wall-clock time; 0 when no
    /// time went by.
    pub fn hashes_per_s(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.hashes() as f64 / seconds } else { 0.0 }
    }

    /// Adds the cost of a later search on the same threads.
    pub fn add(&mut self, later: &Statistics) {
        let threads = self.hashes_by_thread.len().max(later.hashes_by_thread.len());
        self.hashes_by_thread.resize(threads, 0);
        for (sum, hashes) in self.hashes_by_thread.iter_mut().zip(&later.hashes_by_thread) {
            *sum += hashes;
        }
        self.elapsed += later.elapsed;
    }
}

/// What one thread found in one chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk {
    /// The lowest hit of the chunk.
    pub(crate) hit: Option<u64>,
    /// Hashes tried.
    pub(crate) hashes: u64,
}

/// Searches `numbers` in chunks of `chunk` on all threads of `pool`.
///
/// `worker` makes one thread's own scan: it gets a part of the range, no longer than `chunk`.
pub(crate) fn lowest<W>(
    pool: &ThreadPool,
    numbers: Range<u64>,
    chunk: u64,
    stop: &Stop,
    worker: impl Fn() -> W + Sync,
) -> Mined<u64>
where
    W: FnMut(Range<u64>) -> Chunk,
{
    let started = Instant::now();
    let chunks = Chunks::new(numbers, chunk);
    let hashes_by_thread = pool.broadcast(|_| {
        let mut scan = worker();
        let mut hashes = 0;
        while !stop.is_stopped()
            && let Some(part) = chunks.take()
        {
            let found = scan(part);
            hashes += found.hashes;
            if let Some(hit) = found.hit {
                chunks.hit(hit);
            }
        }
        hashes
    });
    let outcome = chunks.outcome();
    assert!(
        outcome != Outcome::Stopped || stop.is_stopped(),
        "a search without an answer ends at its range's end, or because it was stopped"
    );
    Mined { outcome, statistics: Statistics { hashes_by_thread, elapsed: started.elapsed() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    fn search(threads: usize, numbers: Range<u64>, hit: impl Fn(u64) -> bool + Sync) -> Mined<u64> {
        lowest(&pool(threads), numbers, 7, &Stop::new(), || {
            |part: Range<u64>| Chunk {
                hashes: part.end - part.start,
                hit: part.into_iter().find(|number| hit(*number)),
            }
        })
    }

    #[test]
    fn the_lowest_hit_is_found_by_any_number_of_threads() {
        for threads in [1, 2, 4, 7] {
            for lowest in [10, 16, 17, 500, 999] {
                let mined = search(threads, 10..1000, |number| number >= lowest);
                assert_eq!(mined.outcome, Outcome::Found(lowest));
                assert_eq!(mined.statistics.hashes_by_thread.len(), threads);
                assert!(mined.statistics.hashes() >= lowest - 10);
            }
        }
    }

    #[test]
    fn a_range_without_a_hit_is_searched_once_and_exhausted() {
        for threads in [1, 3] {
            let mined = search(threads, 10..1000, |_| false);
            assert_eq!(mined.outcome, Outcome::Exhausted);
            assert_eq!(mined.statistics.hashes(), 990);
            assert_eq!(search(threads, 5..5, |_| true).outcome, Outcome::Exhausted);
        }
    }

    #[test]
    fn a_stopped_search_says_so() {
        let stop = Stop::new();
        let scan = || {
            |part: Range<u64>| {
                if part.start >= 700 {
                    stop.stop();
                }
                Chunk { hit: None, hashes: part.end - part.start }
            }
        };
        let mined = lowest(&pool(2), 0..u64::from(u32::MAX), 7, &stop, scan);
        assert_eq!(mined.outcome, Outcome::Stopped);
        assert!(mined.statistics.hashes() < 2000);
    }

    #[test]
    fn statistics_add_up_thread_by_thread() {
        let mut sum = Statistics::default();
        let one = Statistics { hashes_by_thread: vec![1, 2], elapsed: Duration::from_secs(1) };
        sum.add(&one);
        sum.add(&one);
        assert_eq!(sum.hashes_by_thread, [2, 4]);
        assert!((sum.hashes_per_s() - 3.0).abs() < 1e-9);
        assert_eq!(sum.hashes_per_s_by_thread(), [1.0, 2.0]);
        assert!(Statistics::default().hashes_per_s().abs() < 1e-9);
    }
}
