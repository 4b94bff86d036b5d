//! The requests that a replica knows and that are not executed yet.
//!
//! The primary proposes them, oldest first. A backup keeps those that clients sent to it: the oldest
//! decides when it loses patience with the primary (PBFT 4.4), and if it is the next primary it
//! proposes them itself, so that no request is lost with a primary.
//!
//! Bounds, at every replica: `pending_max` and `pending_bytes_max` for what waits, `per_client_max`
//! for one client. What is above is refused; the client sends again.
//!
//! Both the queue and what is known of a client are rings whose memory stays: once they have grown, a
//! request that comes and goes allocates nothing here.

use alloc::collections::{BTreeMap, VecDeque};
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

/// A request and when it came.
type Arrival = (Instant, SignedRequest);

/// Requests waiting to be proposed, oldest first.
#[derive(Debug)]
pub(super) struct Batcher {
    waiting: Queue,
    waiting_bytes: usize,
    /// Waiting or proposed, not yet handed to execution, by client.
    unexecuted: BTreeMap<ClientId, OfClient>,
    /// How many these are.
    unexecuted_count: usize,
    limits: Limits,
}

impl Batcher {
    pub(super) fn new(limits: Limits) -> Batcher {
        Batcher {
            waiting: Queue::default(),
            waiting_bytes: 0,
            unexecuted: BTreeMap::new(),
            unexecuted_count: 0,
            limits,
        }
    }

    pub(super) fn admit(&mut self, now: Instant, request: Authentic<SignedRequest>) -> Admission {
        let request = request.into_inner();
        let (client, timestamp) = request.id();
        let known = self.unexecuted.get(&client);
        let place = known.map_or(Err(0), |of_client| of_client.place(timestamp));
        let Err(at) = place else { return Admission::Known };
        let bytes = self.waiting_bytes + request.size();
        let full = self.waiting.count >= self.limits.pending_max
            || bytes > self.limits.pending_bytes_max
            || known.map_or(0, |known| known.requests.len()) as u64 >= self.limits.per_client_max;
        if full {
            return Admission::Full;
        }
        let place = self.waiting.push((now, request));
        let of_client = self.unexecuted.entry(client).or_default();
        of_client.requests.insert(at, (timestamp, Whereabouts::Waiting(place)));
        self.unexecuted_count += 1;
        self.waiting_bytes = bytes;
        Admission::Waiting
    }

    /// Forgets a request that was handed to execution, or never will be.
    pub(super) fn executed(&mut self, (client, timestamp): RequestId) {
        // Only what clients sent to this replica is known here.
        let Some(of_client) = self.unexecuted.get_mut(&client) else { return };
        let Some(whereabouts) = of_client.remove(timestamp) else { return };
        if of_client.requests.is_empty() && self.unexecuted.len() > CLIENTS_KEPT {
            self.unexecuted.remove(&client);
        }
        self.unexecuted_count -= 1;
        self.leave_queue(whereabouts);
    }

    fn leave_queue(&mut self, whereabouts: Whereabouts) {
        if let Whereabouts::Waiting(place) = whereabouts
            && let Some((_, request)) = self.waiting.remove(place)
        {
            self.waiting_bytes -= request.size();
        }
    }

    /// Notes that a view orders a request: it waits no more.
    pub(super) fn ordered(&mut self, id: RequestId) {
        if let Some(whereabouts) = self.whereabouts_mut(id) {
            let before = core::mem::replace(whereabouts, Whereabouts::Ordered);
            self.leave_queue(before);
        }
    }

    fn whereabouts_mut(&mut self, (client, timestamp): RequestId) -> Option<&mut Whereabouts> {
        let of_client = self.unexecuted.get_mut(&client)?;
        let at = of_client.place(timestamp).ok()?;
        of_client.requests.get_mut(at).map(|(_, whereabouts)| whereabouts)
    }

    /// The view is left, and with it the order of what was proposed: those requests may be admitted
    /// again.
    pub(super) fn disorder(&mut self) {
        self.forget(|_, whereabouts| whereabouts == Whereabouts::Ordered);
    }

    /// A state was taken over: forgets what it has executed, or never will be. Of these no batch of
    /// the log tells any more, where this replica did not see their execution.
    pub(super) fn settle(&mut self, is_settled: impl Fn(RequestId) -> bool) {
        self.forget(|id, _| is_settled(id));
    }

    fn forget(&mut self, is_over: impl Fn(RequestId, Whereabouts) -> bool) {
        let ids = self.unexecuted.iter().flat_map(|(client, of_client)| {
            of_client.requests.iter().map(|(timestamp, at)| ((*client, *timestamp), *at))
        });
        let over: Vec<RequestId> =
            ids.filter(|(id, at)| is_over(*id, *at)).map(|(id, _)| id).collect();
        over.into_iter().for_each(|id| self.executed(id));
    }

    /// When the oldest waiting request has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.oldest().map(|(since, _)| *since + self.limits.linger)
    }

    /// The oldest waiting request, and when it came.
    pub(super) fn oldest(&self) -> Option<&Arrival> {
        self.waiting.iter().next()
    }

    /// Whether a request waits to be proposed.
    pub(super) fn waits(&self, id: RequestId) -> bool {
        let of_client = self.unexecuted.get(&id.0);
        let at = of_client.and_then(|of_client| {
            of_client.requests.get(of_client.place(id.1).ok()?).map(|(_, whereabouts)| *whereabouts)
        });
        matches!(at, Some(Whereabouts::Waiting(_)))
    }

    /// The waiting requests, oldest first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Arrival> {
        self.waiting.iter()
    }

    /// Whether a full batch waits.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.count >= self.limits.size_max
    }

    /// Whether the oldest request that waits has lingered.
    pub(super) fn has_lingered(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// The next batch: as many waiting requests as its size and its bytes allow, at least one.
    pub(super) fn take(&mut self) -> Vec<SignedRequest> {
        let mut bytes = 0;
        let fits = self.waiting.iter().take(self.limits.size_max).take_while(|(_, request)| {
            bytes += request.size();
            bytes <= self.limits.bytes_max
        });
        let count = fits.count().max(1).min(self.waiting.count);
        let mut batch = Vec::with_capacity(count);
        while batch.len() < count
            && let Some((_, request)) = self.waiting.pop()
        {
            self.waiting_bytes -= request.size();
            if let Some(whereabouts) = self.whereabouts_mut(request.id()) {
                *whereabouts = Whereabouts::Ordered;
            }
            batch.push(request);
        }
        batch
    }

    /// Bytes of the requests that wait.
    pub(super) fn bytes(&self) -> usize {
        self.waiting_bytes
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.count
    }

    /// Requests that wait or stand in a batch.
    pub(super) fn unexecuted(&self) -> usize {
        self.unexecuted_count
    }
}

/// What one client has that is not executed, by timestamp, rising. Requests come and go in about that
/// order, so that either is at an end of the ring. An entry of a client that has nothing stays, for its
/// memory, while there are at most [`CLIENTS_KEPT`].
#[derive(Debug, Default)]
struct OfClient {
    requests: VecDeque<(Timestamp, Whereabouts)>,
}

/// Clients that are remembered while they have nothing: whoever may call itself as it likes cannot
/// fill the memory with names.
const CLIENTS_KEPT: usize = 4096;

/// Places that a client's ring keeps while it has nothing: a page of the client table, which it has
/// besides, is larger.
const RING_KEPT: usize = 64;

impl OfClient {
    /// Where a timestamp stands, or would. Clients count on, so it mostly stands as far from the first
    /// as it counts from there, or behind the last; only where numbers are missing it is searched for.
    fn place(&self, timestamp: Timestamp) -> Result<usize, usize> {
        let from_first = self.requests.front().and_then(|(first, _)| {
            let at = usize::try_from(timestamp.0.checked_sub(first.0)?).ok()?;
            self.requests.get(at).filter(|(there, _)| *there == timestamp).map(|_| at)
        });
        match (from_first, self.requests.back()) {
            (Some(at), _) => Ok(at),
            (None, Some((last, _))) if *last < timestamp => Err(self.requests.len()),
            _ => self.requests.binary_search_by_key(&timestamp, |(timestamp, _)| *timestamp),
        }
    }

    fn remove(&mut self, timestamp: Timestamp) -> Option<Whereabouts> {
        let (_, whereabouts) = self.requests.remove(self.place(timestamp).ok()?)?;
        if self.requests.is_empty() && self.requests.capacity() > RING_KEPT {
            self.requests.shrink_to(RING_KEPT);
        }
        Some(whereabouts)
    }
}

/// Requests in the order of arrival, each at a place that rises by one. Whoever leaves from the midst
/// leaves a hole: the first place is never one, and holes are closed before they are more than half.
#[derive(Debug, Default)]
struct Queue {
    places: VecDeque<(u64, Option<Arrival>)>,
    arrivals: u64,
    /// Places that are no holes.
    count: usize,
}

/// Holes that are left open, however few places there are besides.
const HOLES_KEPT: usize = 64;

impl Queue {
    /// Appends; returns the place.
    fn push(&mut self, arrival: Arrival) -> u64 {
        self.arrivals += 1;
        self.count += 1;
        self.places.push_back((self.arrivals, Some(arrival)));
        self.arrivals
    }

    #[inline]
    fn pop(&mut self) -> Option<Arrival> {
        let (_, first) = self.places.pop_front()?;
        self.count -= 1;
        self.tidy();
        first
    }

    fn remove(&mut self, place: u64) -> Option<Arrival> {
        let at = self.places.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        let arrival = self.places.get_mut(at)?.1.take()?;
        self.count -= 1;
        self.tidy();
        Some(arrival)
    }

    fn tidy(&mut self) {
        while let Some((_, None)) = self.places.front() {
            self.places.pop_front();
        }
        if self.places.len() > 2 * self.count + HOLES_KEPT {
            self.places.retain(|(_, arrival)| arrival.is_some());
        }
        debug_assert!(self.count <= self.places.len(), "what waits has a place");
    }

    fn iter(&self) -> impl Iterator<Item = &Arrival> {
        self.places.iter().filter_map(|(_, arrival)| arrival.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::request::{ClientProof, Request};

    const LIMITS: Limits = Limits {
        size_max: 8,
        bytes_max: 1 << 20,
        linger: Duration::ZERO,
        pending_max: 10_000,
        pending_bytes_max: 1 << 20,
        per_client_max: 1024,
    };

    fn admit(batcher: &mut Batcher, client: u32, timestamp: u64) -> Admission {
        let (client, timestamp) = (ClientId(client), Timestamp(timestamp));
        let request = Request { client, timestamp, operation: Bytes::new() };
        let signed = SignedRequest::new(request, ClientProof::None);
        let authentic = Authentic::<SignedRequest>::by_own_check(signed).unwrap();
        batcher.admit(Instant::START, authentic)
    }

    fn waiting(batcher: &Batcher) -> Vec<(u32, u64)> {
        batcher.waiting().map(|(_, r)| (r.client().0, r.timestamp().0)).collect()
    }

    #[test]
    fn whoever_leaves_from_the_midst_changes_no_order_and_leaves_no_memory() {
        let mut batcher = Batcher::new(LIMITS);
        admit(&mut batcher, 0, 7);
        // The first waits on while 5,000 come and go behind it, in either order.
        for round in 0..500 {
            let mut ids: Vec<(u32, u64)> =
                (0..10).map(|n| (n % 3, 10 + round * 10 + u64::from(n))).collect();
            ids.iter().for_each(|(client, timestamp)| {
                assert_eq!(admit(&mut batcher, *client, *timestamp), Admission::Waiting);
            });
            if round % 2 == 0 {
                ids.reverse();
            }
            assert_eq!(batcher.len(), 11);
            ids.iter().for_each(|(client, timestamp)| {
                batcher.executed((ClientId(*client), Timestamp(*timestamp)));
            });
            assert_eq!(
                (batcher.len(), batcher.unexecuted(), waiting(&batcher)),
                (1, 1, vec![(0, 7)])
            );
        }
        assert!(batcher.waiting.places.len() <= 2 + HOLES_KEPT, "holes are closed");
        assert!(batcher.unexecuted.values().all(|ring| ring.requests.capacity() <= 2 * RING_KEPT));
    }

    #[test]
    fn names_that_come_once_and_names_that_are_refused_leave_nothing() {
        let mut batcher = Batcher::new(Limits { pending_max: 1, ..LIMITS });
        for client in 0..3 * CLIENTS_KEPT as u32 {
            assert_eq!(admit(&mut batcher, client, 1), Admission::Waiting);
            assert_eq!(admit(&mut batcher, u32::MAX - client, 1), Admission::Full);
            batcher.executed((ClientId(client), Timestamp(1)));
        }
        assert!(batcher.unexecuted.len() <= CLIENTS_KEPT, "{}", batcher.unexecuted.len());
        assert_eq!((batcher.len(), batcher.unexecuted()), (0, 0));
    }

    #[test]
    fn timestamps_of_a_client_come_in_any_order_and_each_is_known_until_it_is_executed() {
        let mut batcher = Batcher::new(LIMITS);
        for timestamp in [5, 2, 9, 4] {
            assert_eq!(admit(&mut batcher, 1, timestamp), Admission::Waiting);
            assert_eq!(admit(&mut batcher, 1, timestamp), Admission::Known);
        }
        assert_eq!(waiting(&batcher), [(1, 5), (1, 2), (1, 9), (1, 4)], "in the order of arrival");
        batcher.ordered((ClientId(1), Timestamp(2)));
        assert!(!batcher.waits((ClientId(1), Timestamp(2))));
        assert!(batcher.waits((ClientId(1), Timestamp(4))));
        let taken: Vec<u64> = batcher.take().iter().map(|r| r.timestamp().0).collect();
        assert_eq!((taken, batcher.bytes()), (vec![5, 9, 4], 0));
        assert_eq!((batcher.len(), batcher.unexecuted()), (0, 4));
        assert_eq!(admit(&mut batcher, 1, 9), Admission::Known);
        batcher.disorder();
        assert_eq!(batcher.unexecuted(), 0);
        assert_eq!(admit(&mut batcher, 1, 9), Admission::Waiting);
    }

    #[test]
    fn a_client_that_has_much_outstanding_is_refused_and_keeps_little_once_it_is_done() {
        let mut batcher = Batcher::new(LIMITS);
        assert!((0..1024).all(|timestamp| admit(&mut batcher, 3, timestamp) == Admission::Waiting));
        assert_eq!(admit(&mut batcher, 3, 1024), Admission::Full);
        batcher.settle(|(_, timestamp)| timestamp.0 < 1024);
        assert_eq!((batcher.len(), batcher.bytes(), batcher.unexecuted()), (0, 0, 0));
        assert!(batcher.unexecuted[&ClientId(3)].requests.capacity() <= 2 * RING_KEPT);
    }
}
