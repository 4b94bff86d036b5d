//! Requests in flight, and when a result is accepted.

use std::collections::VecDeque;

use bytes::Bytes;
use quorumark_consensus::types::{Instant, ReplicaId, Seq, View};
use quorumark_pipeline::port::ReplyView;

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

/// What is told of a request that got its result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Landed {
    /// As [`Flight::intended`].
    pub(super) intended: Instant,
    /// As [`Flight::sent`].
    pub(super) sent: Option<Instant>,
    /// As [`Flight::reads`].
    pub(super) reads: bool,
    /// The replicas that have answered, whatever their results.
    pub(super) answered_by: Voters,
}

/// The replicas that answered one result for good, or tentatively in one view.
#[derive(Debug, Default)]
struct Ballot {
    result: Bytes,
    /// The view of tentative replies; `None` where replies are final.
    ahead: Option<View>,
    view: View,
    voters: Voters,
    count: usize,
}

/// How many equal replies make a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needed {
    /// Of replies that are not tentative.
    pub(super) committed: usize,
    /// Of replies to a read; and with tentative ones of one view, which never count for less.
    pub(super) quorum: usize,
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

    fn remove(&mut self, replica: ReplicaId) {
        self.0[usize::from(replica.0 / 64) % 4] &= !(1u64 << (replica.0 % 64));
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
    /// The reply's result is accepted: as many distinct replicas gave it as are needed, some of them
    /// perhaps tentatively.
    Accepted { landed: Landed, view: View, tentative: bool },
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
    needed: Needed,
    replicas: usize,
    spread_max: u64,
}

impl Flights {
    /// None in flight. A result is accepted at `needed` equal replies of the `replicas`; numbers in
    /// flight lie within `spread_max`, at most [`SPREAD_MAX`].
    pub(super) fn new(needed: Needed, replicas: usize, spread_max: u64) -> Flights {
        let spread_max = spread_max.min(SPREAD_MAX);
        assert!(needed.committed > 0 && spread_max > 0, "{needed:?}, spread {spread_max}");
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
    pub(super) fn reply(&mut self, number: u64, reply: &ReplyView<'_>) -> Progress {
        let (needed, replicas) = (self.needed, self.replicas);
        let Some(flight) = self.get(number) else { return Progress::Late };
        if flight.reads != (reply.seq == Seq(0)) {
            return Progress::Late; // From when it was asked as a read.
        }
        if !flight.vote(reply) {
            return Progress::Repeated;
        }
        let Some((view, tentative)) = flight.decided(reply.result, needed) else {
            let split = flight.reads && !flight.can_agree(needed.quorum, replicas);
            return if split { Progress::Split } else { Progress::Counted };
        };
        let landed = flight.landed();
        // Dropped where it lies: a flight is large, and moving it took as long as counting its replies.
        self.slots[(number - self.base) as usize] = None;
        self.count -= 1;
        self.trim();
        Progress::Accepted { landed, view, tentative }
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
    fn landed(&self) -> Landed {
        let Flight { intended, sent, reads, ref ballot, ref others, .. } = *self;
        let answered_by = others.iter().fold(ballot.voters, |all, one| all.and(one.voters));
        Landed { intended, sent, reads, answered_by }
    }

    /// Whether one result may still get as many votes.
    fn can_agree(&self, needed: usize, replicas: usize) -> bool {
        let counts = || self.ballots().map(|ballot| ballot.count);
        let missing = replicas.saturating_sub(counts().sum());
        counts().max().unwrap_or(0) + missing >= needed
    }

    fn ballots(&self) -> impl Iterator<Item = &Ballot> {
        self.others.iter().chain([&self.ballot])
    }

    /// Counts a replica's reply; tells whether it was its first, or takes the place of a tentative
    /// one: a final reply does, and one of a later view.
    fn vote(&mut self, reply: &ReplyView<'_>) -> bool {
        let ahead = (reply.tentative && !self.reads).then_some(reply.view);
        let has_voted = |ballot: &&mut Ballot| ballot.voters.contains(reply.replica);
        let before = self.others.iter_mut().chain([&mut self.ballot]).find(has_voted);
        if let Some(before) = before {
            let gives_way = |was: View| ahead.is_none_or(|view| view > was);
            if !before.ahead.is_some_and(gives_way) {
                return false;
            }
            before.voters.remove(reply.replica);
            before.count -= 1;
        }
        let ballot = self.ballot_of(reply, ahead);
        ballot.view = ballot.view.max(reply.view);
        ballot.count += usize::from(ballot.voters.insert(reply.replica));
        true
    }

    /// The ballot of a result; one without a vote is used again, so there is at most one a replica.
    fn ballot_of(&mut self, reply: &ReplyView<'_>, ahead: Option<View>) -> &mut Ballot {
        let is = |ballot: &Ballot| {
            ballot.count > 0 && ballot.ahead == ahead && ballot.result == reply.result
        };
        let new = || Ballot { result: reply.result_bytes(), ahead, ..Ballot::default() };
        if is(&self.ballot) {
            return &mut self.ballot;
        }
        if let Some(place) = self.others.iter().position(is) {
            return &mut self.others[place];
        }
        if self.ballot.count == 0 {
            self.ballot = new();
            return &mut self.ballot;
        }
        let free = self.others.iter().position(|ballot| ballot.count == 0);
        let place = free.unwrap_or_else(|| {
            self.others.push(Ballot::default());
            self.others.len() - 1
        });
        self.others[place] = new();
        &mut self.others[place]
    }

    /// Whether a result has as many votes as it needs: the highest view among them, and whether
    /// tentative ones were needed.
    ///
    /// OSDI'99 5.1: a tentative reply never counts towards f + 1; with those of the same view, and
    /// with final ones, it does towards a quorum.
    fn decided(&self, result: &[u8], needed: Needed) -> Option<(View, bool)> {
        let alike = || self.ballots().filter(|ballot| ballot.count > 0 && ballot.result == result);
        let count = |ballot: &Ballot| ballot.count;
        let committed = alike().find(|ballot| ballot.ahead.is_none()).map_or(0, count);
        let ahead = alike().filter(|ballot| ballot.ahead.is_some()).map(count).max().unwrap_or(0);
        let least = if self.reads { needed.quorum } else { needed.committed };
        let tentative = committed < least;
        let view = alike().map(|ballot| ballot.view).max()?;
        (!tentative || committed + ahead >= needed.quorum).then_some((view, tentative))
    }
}

#[cfg(test)]
mod tests {
    use quorumark_consensus::request::Reply;
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

    fn heard(flights: &mut Flights, number: u64, reply: Reply) -> Progress {
        flights.reply(number, &ReplyView::from(&reply))
    }

    fn needed(committed: usize) -> Needed {
        Needed { committed, quorum: 3 }
    }

    #[test]
    fn osdi99_5_1_a_tentative_reply_is_never_counted_for_f_plus_one() {
        let ahead = |replica| Reply { tentative: true, ..reply(replica, b"a") };
        let mut flights = Flights::new(needed(2), 4, 16);
        let number = flights.launch(Instant(5), false);
        assert!(matches!(heard(&mut flights, number, ahead(0)), Progress::Counted));
        assert!(matches!(heard(&mut flights, number, ahead(1)), Progress::Counted));
        assert!(matches!(heard(&mut flights, number, ahead(1)), Progress::Repeated));
        assert!(matches!(heard(&mut flights, number, reply(0, b"a")), Progress::Counted));
        assert!(matches!(heard(&mut flights, number, ahead(0)), Progress::Repeated));
        let accepted = heard(&mut flights, number, reply(1, b"a"));
        assert!(matches!(accepted, Progress::Accepted { tentative: false, .. }), "{accepted:?}");
    }

    #[test]
    fn osdi99_5_1_tentative_replies_make_a_quorum_in_one_view_and_with_final_ones() {
        let ahead = |replica, view| {
            let view = View(view);
            Reply { view, tentative: true, ..reply(replica, b"a") }
        };
        let mut flights = Flights::new(needed(2), 4, 16);
        let number = flights.launch(Instant(5), false);
        for (replica, view) in [(0, 0), (1, 0), (2, 9)] {
            assert!(matches!(heard(&mut flights, number, ahead(replica, view)), Progress::Counted));
        }
        let accepted = heard(&mut flights, number, ahead(3, 0));
        assert!(matches!(accepted, Progress::Accepted { tentative: true, .. }), "{accepted:?}");
        let number = flights.launch(Instant(6), false);
        assert!(matches!(heard(&mut flights, number, ahead(0, 0)), Progress::Counted));
        assert!(matches!(heard(&mut flights, number, ahead(1, 1)), Progress::Counted));
        assert!(matches!(heard(&mut flights, number, reply(2, b"a")), Progress::Counted));
        // Replica 0 comes to view 1, and counts there alone; with another result it would not.
        let other = Reply { result: Bytes::from_static(b"b"), ..ahead(0, 1) };
        assert!(matches!(heard(&mut flights, number, other), Progress::Counted));
        let accepted = heard(&mut flights, number, ahead(0, 2));
        assert!(matches!(accepted, Progress::Counted), "{accepted:?}");
        let accepted = heard(&mut flights, number, ahead(1, 2));
        assert!(matches!(accepted, Progress::Accepted { view: View(2), .. }), "{accepted:?}");
    }

    #[test]
    fn a_result_is_accepted_at_f_plus_one_equal_replies_of_distinct_replicas() {
        let mut flights = Flights::new(needed(2), 4, 16);
        let number = flights.launch(Instant(5), false);
        assert!(matches!(heard(&mut flights, number, reply(3, b"a")), Progress::Counted));
        assert!(matches!(heard(&mut flights, number, reply(3, b"a")), Progress::Repeated));
        assert!(matches!(heard(&mut flights, number, reply(3, b"b")), Progress::Repeated));
        assert!(matches!(heard(&mut flights, number, reply(1, b"b")), Progress::Counted));
        let Progress::Accepted { landed, .. } = heard(&mut flights, number, reply(0, b"b")) else {
            panic!("two replicas said b")
        };
        assert_eq!(landed.intended, Instant(5));
        assert!(matches!(heard(&mut flights, number, reply(2, b"b")), Progress::Late));
        assert_eq!(flights.len(), 0);
    }

    #[test]
    fn osdi99_5_1_a_read_takes_a_quorum_and_is_given_up_once_none_can_agree() {
        let read = |replica, result| Reply { seq: Seq(0), ..reply(replica, result) };
        let mut flights = Flights::new(needed(3), 4, 16);
        let number = flights.launch(Instant(5), true);
        assert!(matches!(heard(&mut flights, number, read(0, b"a")), Progress::Counted));
        assert!(matches!(heard(&mut flights, number, read(1, b"b")), Progress::Counted));
        assert!(matches!(heard(&mut flights, number, read(2, b"a")), Progress::Counted));
        let Progress::Accepted { landed, .. } = heard(&mut flights, number, read(3, b"a")) else {
            panic!("three replicas said a")
        };
        assert!(landed.reads);
        let number = flights.launch(Instant(6), true);
        for (replica, result) in [(0, b"a"), (1, b"b"), (2, b"a")] {
            assert!(matches!(
                heard(&mut flights, number, read(replica, result)),
                Progress::Counted
            ));
        }
        assert!(matches!(heard(&mut flights, number, read(3, b"b")), Progress::Split));
        // From then on it is an ordinary request: what answers the read counts no more.
        flights.give_up_reading(number);
        assert!(matches!(heard(&mut flights, number, read(0, b"a")), Progress::Late));
        for replica in 0..2 {
            assert!(matches!(heard(&mut flights, number, reply(replica, b"a")), Progress::Counted));
        }
        let Progress::Accepted { landed, .. } = heard(&mut flights, number, reply(2, b"a")) else {
            panic!("three replicas said a")
        };
        assert!(!landed.reads);
    }

    #[test]
    fn numbers_in_flight_stay_within_their_spread_and_others_leave_no_hole() {
        let mut flights = Flights::new(needed(1), 4, 3);
        let oldest = flights.launch(Instant(0), false);
        flights.pass();
        let last = flights.launch(Instant(0), false);
        assert!(!flights.has_room());
        heard(&mut flights, last, reply(0, b"a"));
        assert!(!flights.has_room() && flights.len() == 1);
        heard(&mut flights, oldest, reply(0, b"a"));
        assert!(flights.has_room() && flights.len() == 0);
        assert_eq!((flights.next(), flights.pass(), flights.next()), (3, 3, 4));
    }

    #[test]
    fn what_was_sent_long_ago_is_due_again() {
        let mut flights = Flights::new(needed(1), 4, 16);
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
