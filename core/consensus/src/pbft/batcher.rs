//! The primary's waiting requests, and when they become a batch.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
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

/// What bounds the waiting requests, and makes them a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) size_max: usize,
    pub(super) bytes_max: usize,
    pub(super) linger: Duration,
    pub(super) pending_max: usize,
    pub(super) pending_bytes_max: usize,
    /// Waiting or ordered requests of one client: no client can take the whole queue.
    pub(super) per_client_max: u64,
}

/// Requests waiting to be proposed, oldest first.
#[derive(Debug)]
pub(super) struct Batcher {
    waiting: VecDeque<(Instant, SignedRequest)>,
    waiting_bytes: usize,
    /// Waiting or proposed, not yet handed to execution.
    unexecuted: BTreeSet<(ClientId, Timestamp)>,
    /// How many of these each client has.
    by_client: BTreeMap<ClientId, u64>,
    limits: Limits,
}

impl Batcher {
    pub(super) fn new(limits: Limits) -> Batcher {
        Batcher {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            unexecuted: BTreeSet::new(),
            by_client: BTreeMap::new(),
            limits,
        }
    }

    pub(super) fn admit(&mut self, now: Instant, request: Authentic<SignedRequest>) -> Admission {
        let request = request.into_inner();
        let id = request.id();
        if self.unexecuted.contains(&id) {
            return Admission::Known;
        }
        let bytes = self.waiting_bytes + request.size();
        let of_client = self.by_client.get(&id.0).copied().unwrap_or(0);
        let full = self.waiting.len() >= self.limits.pending_max
            || bytes > self.limits.pending_bytes_max
            || of_client >= self.limits.per_client_max;
        if full {
            return Admission::Full;
        }
        self.unexecuted.insert(id);
        self.by_client.insert(id.0, of_client + 1);
        self.waiting_bytes = bytes;
        self.waiting.push_back((now, request));
        Admission::Waiting
    }

    /// Forgets a request that was handed to execution.
    pub(super) fn executed(&mut self, id: (ClientId, Timestamp)) {
        if !self.unexecuted.remove(&id) {
            return; // Another replica's request: only the primary's own are counted.
        }
        if let Some(count) = self.by_client.get_mut(&id.0) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&id.0);
            }
        }
    }

    /// When the oldest waiting request has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(since, _)| *since + self.limits.linger)
    }

    /// Whether a batch shall be proposed: it has its number of requests, or the oldest of them has
    /// lingered.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.waiting.len() >= self.limits.size_max
            || self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// The next batch: as many waiting requests as its size and its bytes allow, at least one.
    pub(super) fn take(&mut self) -> Vec<SignedRequest> {
        let mut bytes = 0;
        let fits = self.waiting.iter().take(self.limits.size_max).take_while(|(_, request)| {
            bytes += request.size();
            bytes <= self.limits.bytes_max
        });
        let count = fits.count().max(1).min(self.waiting.len());
        let batch: Vec<_> = self.waiting.drain(..count).map(|(_, request)| request).collect();
        self.waiting_bytes -= batch.iter().map(SignedRequest::size).sum::<usize>();
        batch
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
