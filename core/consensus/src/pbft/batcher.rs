//! The primary's waiting requests, and when they become a batch.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use crate::request::{Authentic, SignedRequest};
use crate::types::{ClientId, Instant, Timestamp};

/// What became of a request that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It waits for the next batch.
    Waiting,
    /// It is waiting or ordered already.
    Known,
    /// As many wait as may.
    Full,
}

/// Requests waiting to be proposed, oldest first.
#[derive(Debug)]
pub(super) struct Batcher {
    waiting: VecDeque<(Instant, SignedRequest)>,
    /// Waiting or proposed, not yet handed to execution.
    unexecuted: BTreeSet<(ClientId, Timestamp)>,
    size_max: usize,
    bytes_max: usize,
    linger: Duration,
    pending_max: usize,
}

impl Batcher {
    pub(super) fn new(
        size_max: usize,
        bytes_max: usize,
        linger: Duration,
        pending_max: usize,
    ) -> Batcher {
        let (waiting, unexecuted) = (VecDeque::new(), BTreeSet::new());
        Batcher { waiting, unexecuted, size_max, bytes_max, linger, pending_max }
    }

    pub(super) fn admit(&mut self, now: Instant, request: Authentic<SignedRequest>) -> Admission {
        let request = request.into_inner();
        if self.waiting.len() >= self.pending_max {
            return Admission::Full;
        }
        if !self.unexecuted.insert(request.id()) {
            return Admission::Known;
        }
        self.waiting.push_back((now, request));
        Admission::Waiting
    }

    /// Forgets a request that was handed to execution.
    pub(super) fn executed(&mut self, id: (ClientId, Timestamp)) {
        self.unexecuted.remove(&id);
    }

    /// When the oldest waiting request has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(since, _)| *since + self.linger)
    }

    /// Whether a batch shall be proposed: it is full, or its oldest request has lingered.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.waiting.len() >= self.size_max
            || self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// The next batch: as many waiting requests as its size and its bytes allow, at least one.
    pub(super) fn take(&mut self) -> Vec<SignedRequest> {
        let mut bytes = 0;
        let fits = self.waiting.iter().take(self.size_max).take_while(|(_, request)| {
            bytes += request.size();
            bytes <= self.bytes_max
        });
        let count = fits.count().max(1).min(self.waiting.len());
        self.waiting.drain(..count).map(|(_, request)| request).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
