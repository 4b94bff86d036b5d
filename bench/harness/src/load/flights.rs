//! Requests in flight, and when a result is accepted.

use std::collections::VecDeque;

use bytes::Bytes;
use quorumark_consensus::request::Reply;
use quorumark_consensus::types::{Instant, ReplicaId, View};

/// The most request numbers between the oldest in flight and the next one.
pub const SPREAD_MAX: u64 = 1 << 17;

/// One request that waits for its result.
#[derive(Debug)]
pub(super) struct Flight {
    /// When it was meant to be sent.
    pub(super) intended: Instant,
    /// When it was sent first; `None` while the port took it not yet.
    pub(super) sent: Option<Instant>,
    /// When it is sent again.
    pub(super) again: Instant,
    ballot: Ballot,
    /// Other results than the first, where replicas disagree; empty in every correct run.
    others: Vec<Ballot>,
}

/// The replicas that answered one result.
#[derive(Debug, Default)]
struct Ballot {
    result: Bytes,
    view: View,
    voters: Voters,
    count: usize,
}

/// A set of replicas, one bit each.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Voters([u64; 4]);

impl Voters {
    /// Adds a replica; tells whether it is new. There are at most 256.
    pub(super) fn insert(&mut self, replica: ReplicaId) -> bool {
        let (word, bit) = (usize::from(replica.0 / 64) % 4, 1u64 << (replica.0 % 64));
        let fresh = self.0[word] & bit == 0;
        self.0[word] |= bit;
        fresh
    }

    fn contains(self, replica: ReplicaId) -> bool {
        self.0[usize::from(replica.0 / 64) % 4] >> (replica.0 % 64) & 1 == 1
    }

    fn and(self, other: Voters) -> Voters {
        Voters(core::array::from_fn(|word| self.0[word] | other.0[word]))
    }
}

/// What a reply did.
#[derive(Debug)]
pub(super) enum Progress {
    /// The result is accepted: f + 1 distinct replicas gave it.
    Accepted { flight: Flight, result: Bytes, view: View },
    /// Noted; more are needed.
    Counted,
    /// The replica has answered this request before.
    Repeated,
    /// The request is not in flight: it has its result, or was never sent.
    Late,
}

/// The requests in flight, by number.
#[derive(Debug)]
pub(super) struct Flights {
    base: u64,
    slots: VecDeque<Option<Flight>>,
    count: usize,
    weak_quorum: usize,
    spread_max: u64,
}

impl Flights {
    /// None in flight. A result is accepted at `weak_quorum` equal replies; numbers in flight lie
    /// within `spread_max`, at most [`SPREAD_MAX`].
    pub(super) fn new(weak_quorum: usize, spread_max: u64) -> Flights {
        let spread_max = spread_max.min(SPREAD_MAX);
        assert!(weak_quorum > 0 && spread_max > 0, "{weak_quorum} replies, spread {spread_max}");
        Flights { base: 0, slots: VecDeque::new(), count: 0, weak_quorum, spread_max }
    }

    /// The next request number.
    pub(super) fn next(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// Whether the next number may leave: the oldest in flight is near enough.
    pub(super) fn has_room(&self) -> bool {
        (self.slots.len() as u64) < self.spread_max
    }

    /// How many are in flight.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Takes the next number for a request that waits for a result.
    pub(super) fn launch(&mut self, intended: Instant) -> u64 {
        let number = self.next();
        self.slots.push_back(Some(Flight {
            intended,
            sent: None,
            again: Instant(u64::MAX),
            ballot: Ballot::default(),
            others: Vec::new(),
        }));
        self.count += 1;
        number
    }

    /// Takes the next number for a request that nobody answers.
    pub(super) fn pass(&mut self) -> u64 {
        let number = self.next();
        self.slots.push_back(None);
        self.trim();
        number
    }

    /// Notes that a request left at `now`, and when it is sent again.
    pub(super) fn sent(&mut self, number: u64, now: Instant, again: Instant) {
        if let Some(flight) = self.get(number) {
            flight.sent.get_or_insert(now);
            flight.again = again;
        }
    }

    fn get(&mut self, number: u64) -> Option<&mut Flight> {
        let place = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.slots.get_mut(place)?.as_mut()
    }

    /// Counts a reply to request `number`.
    pub(super) fn reply(&mut self, number: u64, reply: Reply) -> Progress {
        let weak_quorum = self.weak_quorum;
        let Some(flight) = self.get(number) else { return Progress::Late };
        let Some(ballot) = flight.ballot_of(&reply) else { return Progress::Repeated };
        ballot.view = ballot.view.max(reply.view);
        if ballot.count < weak_quorum {
            return Progress::Counted;
        }
        let (result, view) = (ballot.result.clone(), ballot.view);
        let place = (number - self.base) as usize;
        let flight = self.slots[place].take().expect("it was found a moment ago");
        self.count -= 1;
        self.trim();
        Progress::Accepted { flight, result, view }
    }

    /// Those that wait for their result.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Flight> {
        self.slots.iter().flatten()
    }

    /// The numbers to send again at `now`, oldest first, at most `max`.
    pub(super) fn due(&self, now: Instant, max: usize) -> Vec<u64> {
        let flights = (self.base..).zip(&self.slots);
        let due = flights.filter(|(_, slot)| slot.as_ref().is_some_and(|f| f.again <= now));
        due.map(|(number, _)| number).take(max).collect()
    }

    fn trim(&mut self) {
        while self.slots.front().is_some_and(Option::is_none) {
            self.slots.pop_front();
            self.base += 1;
        }
    }
}

impl Flight {
    /// The replicas that have answered, whatever their results.
    pub(super) fn answered_by(&self) -> Voters {
        self.others.iter().fold(self.ballot.voters, |all, ballot| all.and(ballot.voters))
    }

    /// The ballot with the reply's result, the replica counted; `None` when it has voted before.
    fn ballot_of(&mut self, reply: &Reply) -> Option<&mut Ballot> {
        let voted = |ballot: &Ballot| ballot.voters.contains(reply.replica);
        if voted(&self.ballot) || self.others.iter().any(voted) {
            return None;
        }
        if self.ballot.count == 0 {
            self.ballot.result = reply.result.clone();
        }
        let ballot = if self.ballot.result == reply.result {
            &mut self.ballot
        } else {
            // At most one ballot a replica, since each votes once.
            let place = self.others.iter().position(|ballot| ballot.result == reply.result);
            let place = place.unwrap_or_else(|| {
                self.others.push(Ballot { result: reply.result.clone(), ..Ballot::default() });
                self.others.len() - 1
            });
            &mut self.others[place]
        };
        ballot.count += usize::from(ballot.voters.insert(reply.replica));
        Some(ballot)
    }
}

#[cfg(test)]
mod tests {
    use quorumark_consensus::types::{ClientId, Seq, Timestamp};

    use super::*;

    fn reply(replica: u16, result: &'static [u8]) -> Reply {
        Reply {
            view: View(0),
            seq: Seq(1),
            timestamp: Timestamp(1),
            client: ClientId(0),
            replica: ReplicaId(replica),
            result: Bytes::from_static(result),
            tentative: false,
        }
    }

    #[test]
    fn a_result_is_accepted_at_f_plus_one_equal_replies_of_distinct_replicas() {
        let mut flights = Flights::new(2, 16);
        let number = flights.launch(Instant(5));
        assert!(matches!(flights.reply(number, reply(3, b"a")), Progress::Counted));
        assert!(matches!(flights.reply(number, reply(3, b"a")), Progress::Repeated));
        assert!(matches!(flights.reply(number, reply(3, b"b")), Progress::Repeated));
        assert!(matches!(flights.reply(number, reply(1, b"b")), Progress::Counted));
        let Progress::Accepted { flight, result, .. } = flights.reply(number, reply(0, b"b"))
        else {
            panic!("two replicas said b")
        };
        assert_eq!((flight.intended, &result[..]), (Instant(5), &b"b"[..]));
        assert!(matches!(flights.reply(number, reply(2, b"b")), Progress::Late));
        assert_eq!(flights.len(), 0);
    }

    #[test]
    fn numbers_in_flight_stay_within_their_spread_and_others_leave_no_hole() {
        let mut flights = Flights::new(1, 3);
        let oldest = flights.launch(Instant(0));
        flights.pass();
        let last = flights.launch(Instant(0));
        assert!(!flights.has_room());
        flights.reply(last, reply(0, b"a"));
        assert!(!flights.has_room() && flights.len() == 1);
        flights.reply(oldest, reply(0, b"a"));
        assert!(flights.has_room() && flights.len() == 0);
        assert_eq!((flights.next(), flights.pass(), flights.next()), (3, 3, 4));
    }

    #[test]
    fn what_was_sent_long_ago_is_due_again() {
        let mut flights = Flights::new(1, 16);
        for at in [10, 20, 30] {
            let number = flights.launch(Instant(at));
            flights.sent(number, Instant(at), Instant(at + 100));
        }
        let unsent = flights.launch(Instant(40));
        assert_eq!(flights.due(Instant(120), 8), [0, 1]);
        assert_eq!(flights.due(Instant(1000), 8), [0, 1, 2]);
        flights.sent(0, Instant(120), Instant(220));
        assert_eq!(flights.due(Instant(120), 8), [1]);
        assert_eq!(flights.due(Instant(1000), 2), [0, 1]);
        assert_eq!(unsent, 3);
    }
}
