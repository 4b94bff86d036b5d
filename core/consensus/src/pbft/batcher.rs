//! The requests that a replica knows and that are not executed yet.
//!
//! The primary proposes them, oldest first. A backup keeps those that clients sent to it: the oldest
//! decides when it loses patience with the primary (PBFT 4.4), and if it is the next primary it
//! proposes them itself, so that no request is lost with a primary.
//!
//! Bounds, at every replica: `pending_max` and `pending_bytes_max` for what waits, `per_client_max`
//! for one client. What is above is refused; the client sends again.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
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

/// Where a request stands that is not executed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    /// It waits at this place in the order of arrival.
    Waiting(u64),
    /// It stands in a batch of the log, in this view.
    Ordered,
}

type RequestId = (ClientId, Timestamp);

/// Requests waiting to be proposed, oldest first.
#[derive(Debug)]
pub(super) struct Batcher {
    /// By order of arrival, with the time of it.
    waiting: BTreeMap<u64, (Instant, Box<SignedRequest>)>,
    arrivals: u64,
    waiting_bytes: usize,
    /// Waiting or proposed, not yet handed to execution.
    unexecuted: BTreeMap<RequestId, Whereabouts>,
    /// How many of these each client has.
    by_client: BTreeMap<ClientId, u64>,
    limits: Limits,
}

impl Batcher {
    pub(super) fn new(limits: Limits) -> Batcher {
        Batcher {
            waiting: BTreeMap::new(),
            arrivals: 0,
            waiting_bytes: 0,
            unexecuted: BTreeMap::new(),
            by_client: BTreeMap::new(),
            limits,
        }
    }

    pub(super) fn admit(
        &mut self,
        now: Instant,
        request: Authentic<Box<SignedRequest>>,
    ) -> Admission {
        let request = request.into_inner();
        let id = request.id();
        if self.unexecuted.contains_key(&id) {
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
        self.arrivals += 1;
        self.unexecuted.insert(id, Whereabouts::Waiting(self.arrivals));
        self.by_client.insert(id.0, of_client + 1);
        self.waiting_bytes = bytes;
        self.waiting.insert(self.arrivals, (now, request));
        Admission::Waiting
    }

    /// Forgets a request that was handed to execution, or never will be.
    pub(super) fn executed(&mut self, id: RequestId) {
        let Some(whereabouts) = self.unexecuted.remove(&id) else {
            return; // Not known here: only what clients sent to this replica is.
        };
        if let Whereabouts::Waiting(place) = whereabouts {
            self.leave_queue(place);
        }
        if let Some(count) = self.by_client.get_mut(&id.0) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&id.0);
            }
        }
    }

    fn leave_queue(&mut self, place: u64) {
        if let Some((_, request)) = self.waiting.remove(&place) {
            self.waiting_bytes -= request.size();
        }
    }

    /// Notes that a new view orders a request again: it waits no more.
    pub(super) fn ordered(&mut self, id: RequestId) {
        if let Some(whereabouts) = self.unexecuted.get_mut(&id)
            && let Whereabouts::Waiting(place) =
                core::mem::replace(whereabouts, Whereabouts::Ordered)
        {
            self.leave_queue(place);
        }
    }

    /// The view is left, and with it the order of what was proposed: those requests may be admitted
    /// again.
    pub(super) fn disorder(&mut self) {
        let ordered = self.unexecuted.iter().filter(|(_, at)| **at == Whereabouts::Ordered);
        let ordered: Vec<RequestId> = ordered.map(|(id, _)| *id).collect();
        ordered.into_iter().for_each(|id| self.executed(id));
    }

    /// A state was taken over: forgets what it has executed, or never will be. Of these no batch of
    /// the log tells any more, where this replica did not see their execution.
    pub(super) fn settle(&mut self, is_settled: impl Fn(RequestId) -> bool) {
        let settled = self.unexecuted.keys().copied().filter(|id| is_settled(*id));
        let settled: Vec<RequestId> = settled.collect();
        settled.into_iter().for_each(|id| self.executed(id));
    }

    /// When the oldest waiting request has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.oldest().map(|(since, _)| *since + self.limits.linger)
    }

    /// The oldest waiting request, and when it came.
    pub(super) fn oldest(&self) -> Option<&(Instant, Box<SignedRequest>)> {
        self.waiting.first_key_value().map(|(_, oldest)| oldest)
    }

    /// Whether a request waits to be proposed.
    pub(super) fn waits(&self, id: RequestId) -> bool {
        matches!(self.unexecuted.get(&id), Some(Whereabouts::Waiting(_)))
    }

    /// The waiting requests, oldest first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &(Instant, Box<SignedRequest>)> {
        self.waiting.values()
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
        let fits = self.waiting.values().take(self.limits.size_max).take_while(|(_, request)| {
            bytes += request.size();
            bytes <= self.limits.bytes_max
        });
        let count = fits.count().max(1).min(self.waiting.len());
        let mut batch = Vec::with_capacity(count);
        while batch.len() < count
            && let Some((_, (_, request))) = self.waiting.pop_first()
        {
            self.waiting_bytes -= request.size();
            self.unexecuted.insert(request.id(), Whereabouts::Ordered);
            batch.push(*request);
        }
        batch
    }

    /// Bytes of the requests that wait.
    pub(super) fn bytes(&self) -> usize {
        self.waiting_bytes
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Requests that wait or stand in a batch.
    pub(super) fn unexecuted(&self) -> usize {
        self.unexecuted.len()
    }
}
