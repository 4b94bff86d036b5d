//! When requests are meant to be sent: fixed before the run, whatever the system under test does.
//!
//! A generator that waits for answers before it sends on would leave out just the requests that a
//! stall would have hit (coordinated omission); here they stay due, and their response time counts
//! from when they were due.

use quorumark_consensus::types::Instant;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::workload::uniform;

/// The law of the times between arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// All equal.
    Constant,
    /// Exponential: arrivals of many clients that know nothing of each other.
    Poisson,
}

/// Arrivals that are drawn one by one to be counted: 1 % of a second's work at most.
const WALK_MAX: u64 = 1 << 18;

/// The arrival times of an open loop, rising without end.
#[derive(Debug, Clone)]
pub struct Arrivals {
    law: Law,
    interval_ns: f64,
    /// Nanoseconds; an `f64` holds them exactly for 104 days.
    next_ns: f64,
    random: ChaCha8Rng,
}

impl Arrivals {
    /// Arrivals from `start` on, `rate` a second on average.
    ///
    /// # Panics
    /// When `rate` is not above 0.
    pub fn new(law: Law, rate: f64, start: Instant, seed: u64) -> Arrivals {
        assert!(rate > 0.0, "an open loop has a rate");
        let random = ChaCha8Rng::seed_from_u64(seed);
        Arrivals { law, interval_ns: 1e9 / rate, next_ns: start.0 as f64, random }
    }

    /// The next arrival.
    #[inline]
    pub fn next(&self) -> Instant {
        Instant(self.next_ns as u64)
    }

    /// Goes on to the first arrival at `until` or later; returns how many were skipped. Poisson
    /// arrivals beyond 2^18 are as many as their rate gives on average.
    pub fn skip(&mut self, until: Instant) -> u64 {
        let mut skipped = 0;
        let walk = if self.law == Law::Poisson { WALK_MAX } else { 0 };
        while skipped < walk && self.next() < until {
            self.advance();
            skipped += 1;
        }
        let left = ((until.0 as f64 - self.next_ns) / self.interval_ns).ceil().max(0.0);
        self.next_ns += left * self.interval_ns;
        skipped + left as u64
    }

    /// Goes on to the one after it.
    #[inline]
    pub fn advance(&mut self) {
        self.next_ns += match self.law {
            Law::Constant => self.interval_ns,
            Law::Poisson => -(1.0 - uniform(&mut self.random)).ln() * self.interval_ns,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(law: Law) -> Vec<f64> {
        let mut arrivals = Arrivals::new(law, 10_000.0, Instant(500), 3);
        let mut gap = || {
            let before = arrivals.next();
            arrivals.advance();
            arrivals.next().since(before).as_nanos() as f64
        };
        (0..50_000).map(|_| gap()).collect()
    }

    #[test]
    fn skipping_counts_what_walking_would_and_is_bounded() {
        for law in [Law::Constant, Law::Poisson] {
            let mut walked = Arrivals::new(law, 30_000.0, Instant(500), 3);
            let mut skipped = walked.clone();
            let until = Instant(700_000_123);
            let mut count = 0;
            while walked.next() < until {
                walked.advance();
                count += 1;
            }
            assert_eq!((skipped.skip(until), skipped.skip(until)), (count, 0), "{law:?}");
            assert!(skipped.next().since(walked.next()).as_nanos() <= 1, "{law:?}");
            // An hour at 100 million a second.
            let mut many = Arrivals::new(law, 1e8, Instant(0), 3);
            let count = many.skip(Instant(3_600_000_000_000)) as f64;
            assert!((count / 3.6e11 - 1.0).abs() < 0.001, "{law:?}: {count}");
        }
    }

    #[test]
    fn both_laws_have_the_rate_and_poisson_the_spread_of_an_exponential() {
        for law in [Law::Constant, Law::Poisson] {
            let gaps = gaps(law);
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
            let deviation = (variance / gaps.len() as f64).sqrt();
            assert!((mean / 100_000.0 - 1.0).abs() < 0.02, "{law:?}: {mean}");
            // The standard deviation of an exponential is its mean.
            let expected = if law == Law::Poisson { 100_000.0 } else { 0.0 };
            assert!((deviation - expected).abs() < 3000.0, "{law:?}: {deviation}");
        }
    }
}
