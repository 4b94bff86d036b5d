//! How long a batch takes to commit: at the first, the quorum-th and the last replica.
//!
//! The time runs from the real send of the batch's first executed request. That is what the client
//! waits for without the reply's way back; queueing before the send is left out, as in service time.

use core::sync::atomic::{AtomicU64, Ordering};

use quorumark_consensus::types::Instant;

use super::certificate::quorum;
use crate::latency::Latency;

/// Sends that are remembered: more than can be in flight.
const SENDS_KEPT: usize = 1 << 18;
const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// When the latest requests were sent, by number; written by the generator, read by the oracle.
///
/// One word a request, in the slot of the number's low bits: the upper 16 bits hold the number's
/// next bits, so that a reader tells an overwritten send from its own, the lower 48 the time in
/// nanoseconds (78 hours). Each word stands for itself and publishes nothing else, so relaxed
/// accesses do: a word is read after the commit of the request it tells of, which reached the reader
/// through channels, and these order the two.
#[derive(Debug)]
pub struct SendTimes {
    words: Box<[AtomicU64]>,
}

impl Default for SendTimes {
    fn default() -> Self {
        SendTimes { words: (0..SENDS_KEPT).map(|_| AtomicU64::new(u64::MAX)).collect() }
    }
}

impl SendTimes {
    /// Notes the send of request `number`.
    #[inline]
    pub fn record(&self, number: u64, at: Instant) {
        let (slot, tag) = place(number);
        self.words[slot].store(tag | at.0 & TIME_MASK, Ordering::Relaxed);
    }

    /// When request `number` was sent, if it is still known.
    pub fn of(&self, number: u64) -> Option<Instant> {
        let (slot, tag) = place(number);
        let word = self.words[slot].load(Ordering::Relaxed);
        (word & !TIME_MASK == tag && word != u64::MAX).then_some(Instant(word & TIME_MASK))
    }
}

fn place(number: u64) -> (usize, u64) {
    let kept = SENDS_KEPT as u64;
    ((number % kept) as usize, (number / kept) << TIME_BITS)
}

/// The measured span of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When the warm-up ends.
    pub start: Instant,
    /// When the cool-down begins.
    pub end: Instant,
}

impl Window {
    /// Whether `at` lies within.
    #[inline]
    pub fn contains(&self, at: Instant) -> bool {
        (self.start..self.end).contains(&at)
    }
}

/// Commit times of the batches whose first request was sent within the measured span.
#[derive(Debug, Default, Clone)]
pub struct CommitTimes {
    /// At the first replica.
    pub first: Latency,
    /// At the replica that completed a quorum.
    pub quorum: Latency,
    /// At the last replica that is not silent.
    pub last: Latency,
}

impl CommitTimes {
    /// Notes a batch that all live replicas of `n` have committed, at `times`.
    pub(super) fn note(&mut self, sent: Instant, times: &mut [Instant], n: usize) {
        times.sort_unstable();
        let nth = |nth: usize| times.get(nth).map(|at| at.since(sent));
        for (latency, time) in [
            (&mut self.first, nth(0)),
            (&mut self.quorum, nth(quorum(n) - 1)),
            (&mut self.last, nth(times.len().saturating_sub(1))),
        ] {
            if let Some(time) = time {
                latency.record(time);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_is_known_until_its_slot_is_taken_by_a_later_one() {
        let times = SendTimes::default();
        assert_eq!(times.of(0), None);
        times.record(5, Instant(77));
        assert_eq!(times.of(5), Some(Instant(77)));
        assert_eq!(times.of(5 + SENDS_KEPT as u64), None);
        times.record(5 + SENDS_KEPT as u64, Instant(78));
        assert_eq!(times.of(5), None);
        assert_eq!(times.of(5 + SENDS_KEPT as u64), Some(Instant(78)));
    }

    #[test]
    fn the_quorum_th_commit_of_four_is_the_third() {
        let mut times = CommitTimes::default();
        for _ in 0..30 {
            let mut at = [40, 10, 30, 20].map(|ns| Instant(100 + ns));
            times.note(Instant(100), &mut at, 4);
        }
        let p50 = |latency: &Latency| latency.quantile(0.5);
        let found = [p50(&times.first), p50(&times.quorum), p50(&times.last)];
        assert_eq!(found, [Some(10), Some(30), Some(40)]);
    }
}
