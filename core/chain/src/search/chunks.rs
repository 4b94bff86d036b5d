//! The parts of a search that its threads share.
//!
//! Under `--cfg loom` the atomics are loom's, and the test below goes through every order in which
//! two threads can interleave and every value that a relaxed load may see.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use core::ops::Range;
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{NUMBERS_MAX, Outcome};

/// Numbers in chunks, of which each is given out once, in rising order.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Where the next chunk starts; past the end when there is none.
    next: AtomicU64,
    /// The lowest hit so far; the largest number when there is none.
    best: AtomicU64,
    end: u64,
    size: u64,
}

impl Chunks {
    /// # Panics
    /// When the counter of chunks could wrap.
    pub(super) fn new(numbers: Range<u64>, size: u64) -> Chunks {
        assert!(size > 0 && size <= 1 << 32, "a chunk is a small part of the numbers");
        assert!(numbers.end <= NUMBERS_MAX, "the counter of chunks must not wrap");
        let (next, best) = (AtomicU64::new(numbers.start), AtomicU64::new(u64::MAX));
        Chunks { next, best, end: numbers.end, size }
    }

    /// The next chunk. None when there is none left, or it lies above a hit.
    pub(super) fn take(&self) -> Option<Range<u64>> {
        let start = self.next.fetch_add(self.size, Relaxed);
        // An old value of `best` is at worst too high: then a chunk is searched for nothing.
        let worth = start < self.end && start <= self.best.load(Relaxed);
        worth.then(|| start..self.end.min(start + self.size))
    }

    /// Notes a hit in a chunk that was taken.
    pub(super) fn hit(&self, number: u64) {
        self.best.fetch_min(number, Relaxed);
    }

    /// What the search came to, after its threads were joined.
    pub(super) fn outcome(&self) -> Outcome<u64> {
        match self.best.load(Relaxed) {
            u64::MAX if self.next.load(Relaxed) < self.end => Outcome::Stopped,
            u64::MAX => Outcome::Exhausted,
            lowest => Outcome::Found(lowest),
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// Numbers of the searched range.
    const NUMBERS: u64 = 4;

    /// One thread's search of single numbers; those it scanned, as bits.
    fn search(chunks: &Chunks, hits: u64) -> u64 {
        let mut scanned = 0;
        while let Some(part) = chunks.take() {
            for number in part {
                scanned |= 1 << number;
                if hits >> number & 1 == 1 {
                    chunks.hit(number);
                }
            }
        }
        scanned
    }

    #[test]
    fn in_every_interleaving_the_lowest_hit_is_found_and_nothing_below_it_is_left_out() {
        for hits in 0..1u64 << NUMBERS {
            loom::model(move || {
                let chunks = Arc::new(Chunks::new(0..NUMBERS, 1));
                let other = Arc::clone(&chunks);
                let second = thread::spawn(move || search(&other, hits));
                let mine = search(&chunks, hits);
                let theirs = second.join().expect("the second thread does not panic");
                assert_eq!(mine & theirs, 0, "no number is given out twice");
                let lowest = hits.trailing_zeros();
                let found =
                    if hits == 0 { Outcome::Exhausted } else { Outcome::Found(u64::from(lowest)) };
                assert_eq!(chunks.outcome(), found);
                let below = (1u64 << lowest.min(NUMBERS as u32)) - 1;
                assert_eq!((mine | theirs) & below, below, "all below the hit was scanned");
            });
        }
    }
}
