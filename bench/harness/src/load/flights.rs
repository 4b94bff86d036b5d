//! Requests in flight, and when a result is accepted.

use std::collections::VecDeque;

use bytes::Bytes;
use quorumark_consensus::request::Reply;
use quorumark_consensus::types::{Instant, ReplicaId, Seq, View};

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
    /// Whether it is asked as a read that is not ordered.
    pub(super) reads: bool,
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
    /// The result is accepted: as many distinct replicas gave it as are needed.
    Accepted { flight: Flight, result: Bytes, view: View },
    /// Noted; more are needed.
    Counted,
    /// A read can no longer get as many equal replies as it needs: it has to be ordered.
    Split,
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
    needed: usize,
    replicas: usize,
    spread_max: u64,
}

impl Flights {
    /// None in flight. A result is accepted at `needed` equal replies of the `replicas`; numbers in
    /// flight lie within `spread_max`, at most [`SPREAD_MAX`].
    pub(super) fn new(needed: usize, replicas: usize, spread_max: u64) -> Flights {
        let spread_max = spread_max.min(SPREAD_MAX);
        assert!(needed > 0 && spread_max > 0, "{needed} replies, spread {spread_max}");
        Flights { base: 0, slots: VecDeque::new(), count: 0, needed, replicas, spread_max }
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

    /// Takes the next number for a request that waits for a result; `reads` says that it is asked
    /// as a read.
    pub(super) fn launch(&mut self, intended: Instant, reads: bool) -> u64 {
        let number = self.next();
        self.slots.push_back(Some(Flight {
            intended,
            sent: None,
            again: Instant(u64::MAX),
            reads,
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

    /// Gives a read up: from now on it waits for its result as an ordinary request.
    pub(super) fn give_up_reading(&mut self, number: u64) {
        if let Some(flight) = self.get(number) {
            flight.reads = false;
            flight.ballot = Ballot::default();
            flight.others.clear();
        }
    }

    fn get(&mut self, number: u64) -> Option<&mut Flight> {
        let place = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.slots.get_mut(place)?.as_mut()
    }

    /// Counts a reply to request `number`.
    pub(super) fn reply(&mut self, number: u64, reply: Reply) -> Progress {
        let (needed, replicas) = (self.needed, self.replicas);
        let Some(flight) = self.get(number) else { return Progress::Late };
        if flight.reads != (reply.seq == Seq(0)) {
            return Progress::Late; // From when it was asked as a read.
        }
        let Some(ballot) = flight.ballot_of(&reply) else { return Progress::Repeated };
        ballot.view = ballot.view.max(reply.view);
        if ballot.count < needed {
            let split = flight.reads && !flight.can_agree(needed, replicas);
            return if split { Progress::Split } else { Progress::Counted };
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

    /// Whether one result may still get as many votes.
    fn can_agree(&self, needed: usize, replicas: usize) -> bool {
        let counts = || self.others.iter().chain([&self.ballot]).map(|ballot| ballot.count);
        let missing = replicas.saturating_sub(counts().sum());
        counts().max().unwrap_or(0) + missing >= needed
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
    use quorumark_consensus::types::{ClientId, Timestamp};

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
        let mut flights = Flights::new(2, 4, 16);
        let number = flights.launch(Instant(5), false);
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
    fn osdi99_5_1_a_read_takes_a_quorum_and_is_given_up_once_none_can_agree() {
        let read = |replica, result| Reply { seq: Seq(0), ..reply(replica, result) };
        let mut flights = Flights::new(3, 4, 16);
        let number = flights.launch(Instant(5), true);
        assert!(matches!(flights.reply(number, read(0, b"a")), Progress::Counted));
        assert!(matches!(flights.reply(number, read(1, b"b")), Progress::Counted));
        assert!(matches!(flights.reply(number, read(2, b"a")), Progress::Counted));
        let Progress::Accepted { flight, result, .. } = flights.reply(number, read(3, b"a")) else {
            panic!("three replicas said a")
        };
        assert_eq!((flight.reads, &result[..]), (true, &b"a"[..]));
        let number = flights.launch(Instant(6), true);
        for (replica, result) in [(0, b"a"), (1, b"b"), (2, b"a")] {
            assert!(matches!(flights.reply(number, read(replica, result)), Progress::Counted));
        }
        assert!(matches!(flights.reply(number, read(3, b"b")), Progress::Split));
        // From then on it is an ordinary request: what answers the read counts no more.
        flights.give_up_reading(number);
        assert!(matches!(flights.reply(number, read(0, b"a")), Progress::Late));
        for replica in 0..2 {
            assert!(matches!(flights.reply(number, reply(replica, b"a")), Progress::Counted));
        }
        let Progress::Accepted { flight, .. } = flights.reply(number, reply(2, b"a")) else {
            panic!("three replicas said a")
        };
        assert!(!flight.reads);
    }

    #[test]
    fn numbers_in_flight_stay_within_their_spread_and_others_leave_no_hole() {
        let mut flights = Flights::new(1, 4, 3);
        let oldest = flights.launch(Instant(0), false);
        flights.pass();
        let last = flights.launch(Instant(0), false);
        assert!(!flights.has_room());
        flights.reply(last, reply(0, b"a"));
        assert!(!flights.has_room() && flights.len() == 1);
        flights.reply(oldest, reply(0, b"a"));
        assert!(flights.has_room() && flights.len() == 0);
        assert_eq!((flights.next(), flights.pass(), flights.next()), (3, 3, 4));
    }

    #[test]
    fn what_was_sent_long_ago_is_due_again() {
        let mut flights = Flights::new(1, 4, 16);
        for at in [10, 20, 30] {
            let number = flights.launch(Instant(at), false);
            flights.sent(number, Instant(at), Instant(at + 100));
        }
        let unsent = flights.launch(Instant(40), false);
        assert_eq!(flights.due(Instant(120), 8), [0, 1]);
        assert_eq!(flights.due(Instant(1000), 8), [0, 1, 2]);
        flights.sent(0, Instant(120), Instant(220));
        assert_eq!(flights.due(Instant(120), 8), [1]);
        assert_eq!(flights.due(Instant(1000), 2), [0, 1]);
        assert_eq!(unsent, 3);
    }
}
