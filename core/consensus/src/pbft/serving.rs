//! Keeping states, and sending them to peers that fetch one.
//!
//! Kept are the last two stable checkpoints and what was reached since, and one more while somebody
//! fetches it: a lease, which every question for it extends and which ends [`LEASE_WINDOWS_MAX`]
//! windows on at the latest. Application and client table keep the difference to the present state,
//! so a lease costs what is executed meanwhile.
//!
//! What a peer can cause is bounded: it has one question that waits, or is worked on, and a further
//! one is dropped and asked again, so no peer takes another's place; [`ASKS_MAX`] in all are worked
//! on at a time, the others wait in the order in which they came. What is read or sent for a peer
//! is its debt, which falls by [`PAID_BYTES`] an interval; who owes more is not answered, and asks
//! again. A replayed question is not answered; an answer is at most a slice.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::Digest;

use super::checkpoint::state_digest;
use super::config::{CheckedConfig, Config};
use super::journal::{Record, StableRecord};
use super::message::Message;
use super::repair::FORGET_INTERVALS;
use super::replica::Pbft;
use super::state_message::{
    FetchState, SLICE_BYTES_MAX, StateManifest, StateSlice, Tree, TreeParts, Wanted,
};
use super::transfer::{Listed, Manifest};
use crate::committee::Committee;
use crate::engine::{Outbox, Output, Recipients, STATE_WORK_MAX, StateAnswer, StateWork};
use crate::parts::{PARTS_MAX, StateRoot};
use crate::types::{Instant, ReplicaId, Seq};

/// The most questions worked on at a time.
const ASKS_MAX: usize = 4;
/// For how many status intervals a question keeps its checkpoint.
const LEASE_INTERVALS: u32 = 32;
/// How many windows on a lease ends in any case.
const LEASE_WINDOWS_MAX: u64 = 64;
/// What is read and sent for a peer in a status interval. An honest one asks for a part slice after
/// slice, so the part is read once; one that asks for another part each time costs a whole part at
/// each question, and waits for the next.
const PAID_BYTES: u64 = 32 << 20;
/// What a manifest counts: two trees of digests.
const MANIFEST_BYTES: u64 = 2 * 32 * PARTS_MAX as u64;
/// Parts that are kept because the next slice is mostly of the same.
const READ_MAX: usize = 4;

// The questions of peers, those of an own transfer, one query of clients; and, as no batch goes ahead
// before the results of the one before are back, two undone or confirmed.
const _: () = assert!(ASKS_MAX + 5 <= STATE_WORK_MAX);

/// The answering side of transfers.
#[derive(Debug)]
pub(super) struct Serving {
    /// The stable checkpoint before the last, and the last.
    stable: (Seq, Seq),
    lease: Option<(Seq, Instant)>,
    peers: Vec<Asker>,
    /// Questions that the application works on, oldest first; at most [`ASKS_MAX`].
    asks: VecDeque<FetchState>,
    /// Those that come after, oldest first. With `asks` at most one of each peer.
    waiting: VecDeque<FetchState>,
    /// The roots of the application at checkpoints that are reached and not stable yet.
    reached: BTreeMap<Seq, StateRoot>,
    /// The parts read last, the oldest first; at most [`READ_MAX`].
    read: VecDeque<(Place, Bytes)>,
}

/// A part of a checkpoint.
type Place = (Seq, Tree, u32);

/// What a peer has asked.
#[derive(Debug, Clone, Copy)]
struct Asker {
    /// The round of its last question.
    round: u64,
    /// When that came.
    at: Instant,
    /// The bytes that it was served and that have not been paid by time.
    debt: u64,
}

impl Asker {
    const NEW: Asker = Asker { round: 0, at: Instant::START, debt: 0 };

    /// Lowers the debt by what has passed since the last question.
    fn pay(&mut self, now: Instant, config: &Config) {
        let (passed, interval) =
            (now.since(self.at).as_nanos(), config.status_interval.as_nanos().max(1));
        let paid = u128::from(PAID_BYTES) * passed / interval;
        self.debt = self.debt.saturating_sub(u64::try_from(paid).unwrap_or(u64::MAX));
        self.at = now;
    }
}

impl Serving {
    pub(super) fn new(committee: Committee) -> Serving {
        Serving {
            stable: (Seq(0), Seq(0)),
            lease: None,
            peers: committee.members().map(|_| Asker::NEW).collect(),
            asks: VecDeque::new(),
            waiting: VecDeque::new(),
            reached: BTreeMap::new(),
            read: VecDeque::new(),
        }
    }

    /// The application's root at a checkpoint that was just executed.
    pub(super) fn reached(&mut self, seq: Seq, application: StateRoot) {
        self.reached.insert(seq, application);
    }

    fn keeps(&self, seq: Seq) -> bool {
        let (before, last) = self.stable;
        let leased = self.lease.is_some_and(|(leased, _)| leased == seq);
        seq > Seq(0) && (seq == before || seq == last || leased)
    }

    /// Whether a question is new, and its peer's turn.
    fn admit(&mut self, ask: &FetchState, now: Instant, config: &Config) -> bool {
        let busy = self.asks.iter().chain(&self.waiting).any(|other| other.replica == ask.replica);
        let Some(peer) = self.peers.get_mut(usize::from(ask.replica.0)) else { return false };
        // A round that fell: see `repair`, which forgets as soon.
        let forgets = now.since(peer.at) >= config.status_interval * FORGET_INTERVALS;
        if ask.round <= peer.round && !forgets {
            return false;
        }
        peer.round = ask.round;
        peer.pay(now, config);
        !busy && peer.debt <= PAID_BYTES
    }

    /// Something was read or sent for a peer.
    fn charge(&mut self, peer: ReplicaId, bytes: u64) {
        if let Some(peer) = self.peers.get_mut(usize::from(peer.0)) {
            peer.debt = peer.debt.saturating_add(bytes);
        }
    }

    fn part_read(&self, place: Place) -> Option<Bytes> {
        let same = self.read.iter().find(|(read, _)| *read == place);
        same.map(|(_, part)| part.clone())
    }

    fn keep_read(&mut self, place: Place, part: Bytes) {
        if self.read.len() >= READ_MAX {
            self.read.pop_front();
        }
        self.read.push_back((place, part));
    }
}

impl CheckedConfig {
    /// The digest that a checkpoint at `seq` with these trees has.
    pub(super) fn digest_of(&self, seq: Seq, manifest: &Manifest) -> Digest {
        state_digest(self, seq, manifest.application.state, manifest.clients.state)
    }
}

impl Pbft {
    /// A checkpoint became stable here: older ones are let go.
    pub(super) fn keep_state(&mut self, stable: Seq, out: &mut Outbox<Message>) {
        let (_, before) = self.serving.stable;
        self.serving.stable = (before, stable);
        self.record_stable(stable, out);
        let bound = LEASE_WINDOWS_MAX.saturating_mul(self.config.window);
        let now = self.now;
        let holds = |(seq, until): &(Seq, Instant)| *until > now && seq.plus(bound) >= stable;
        self.serving.lease = self.serving.lease.filter(holds);
        let leased = self.serving.lease.map(|(seq, _)| seq).filter(|seq| *seq < before);
        self.clients.retain(before, leased);
        let after = self.journal.position();
        out.push(Output::State(StateWork::Retain { from: before, leased, after }));
    }

    /// A state was fetched, or recovered: nothing older is kept.
    pub(super) fn keep_only(&mut self, seq: Seq, application: StateRoot) {
        self.serving.stable = (seq, seq);
        self.serving.lease = None;
        self.serving.read.clear();
        self.serving.reached.insert(seq, application);
    }

    /// Writes what a restart begins from.
    pub(super) fn record_stable(&mut self, stable: Seq, out: &mut Outbox<Message>) {
        let application = self.serving.reached.get(&stable).copied();
        self.serving.reached = self.serving.reached.split_off(&stable.next());
        let (Some(application), Some(clients)) = (application, self.clients.state_at(stable))
        else {
            return;
        };
        let (table, checkpoints) = (&self.clients, &self.checkpoints);
        self.journal.write(out, || {
            let certificate = checkpoints.proof(stable);
            let parts = table.parts(stable);
            Record::Stable(Arc::new(StableRecord { certificate, application, clients, parts }))
        });
    }

    /// A peer asks for a piece of a state.
    pub(super) fn on_fetch_state(&mut self, ask: FetchState, out: &mut Outbox<Message>) {
        let me = self.config.replica;
        if ask.replica == me || ask.peer != me || !self.serving.admit(&ask, self.now, &self.config)
        {
            return;
        }
        self.serving.waiting.push_back(ask);
        self.work_on_asks(out);
    }

    /// Works on questions as far as there is room.
    fn work_on_asks(&mut self, out: &mut Outbox<Message>) {
        while self.serving.asks.len() < ASKS_MAX
            && let Some(ask) = self.serving.waiting.pop_front()
        {
            self.work_on(ask, out);
        }
    }

    fn work_on(&mut self, ask: FetchState, out: &mut Outbox<Message>) {
        if !self.serving.keeps(ask.seq) {
            return self.say_gone(&ask, out);
        }
        let until = self.now + self.config.status_interval * LEASE_INTERVALS;
        let mine = |(seq, end): &(Seq, Instant)| *seq == ask.seq || *end <= self.now;
        if self.serving.lease.as_ref().is_none_or(mine) {
            self.serving.lease = Some((ask.seq, until));
        }
        match ask.wanted {
            Wanted::Manifest => {
                self.serving.asks.push_back(ask);
                out.push(Output::State(StateWork::Digests { at: Some(ask.seq) }));
            }
            Wanted::Slice { tree, nth, .. } => {
                let place = (ask.seq, tree, nth);
                match (self.serving.part_read(place), tree) {
                    (Some(part), _) => self.say_slice(&ask, &part, out),
                    (None, Tree::Clients) => {
                        self.read(ask, self.clients.part(ask.seq, nth), out);
                    }
                    (None, Tree::Application) => {
                        self.serving.asks.push_back(ask);
                        out.push(Output::State(StateWork::Read { seq: ask.seq, nth }));
                    }
                }
            }
        }
    }

    /// The state machine did what was asked of it.
    pub(super) fn on_state(&mut self, answer: StateAnswer, out: &mut Outbox<Message>) {
        match answer {
            StateAnswer::Digests { at: None, found } => self.on_own_digests(found),
            StateAnswer::Digests { at: Some(seq), found } => {
                let ask = self.serving.asks.pop_front().expect("an answer to a question");
                assert_eq!(ask.seq, seq, "answers come back in the order asked");
                match (found, self.clients.part_digests(Some(seq))) {
                    (Some(application), Some(clients)) => {
                        self.say_manifest(&ask, application, clients, out);
                    }
                    _ => self.say_gone(&ask, out),
                }
                self.work_on_asks(out);
            }
            StateAnswer::Part { seq, nth: _, found } => {
                let ask = self.serving.asks.pop_front().expect("an answer to a question");
                assert_eq!(ask.seq, seq, "answers come back in the order asked");
                self.read(ask, found, out);
                self.work_on_asks(out);
            }
            StateAnswer::Results { results } => self.on_results(results, out),
            StateAnswer::Root { seq, state } => self.on_root(seq, state, out),
            StateAnswer::Restored { seq, done } => self.on_restored(seq, done, out),
        }
    }

    fn read(&mut self, ask: FetchState, part: Option<Bytes>, out: &mut Outbox<Message>) {
        let Wanted::Slice { tree, nth, .. } = ask.wanted else { return };
        match part {
            Some(part) => {
                self.serving.charge(ask.replica, part.len() as u64);
                self.serving.keep_read((ask.seq, tree, nth), part.clone());
                self.say_slice(&ask, &part, out);
            }
            None => self.say_gone(&ask, out),
        }
    }

    fn say_slice(&mut self, ask: &FetchState, part: &Bytes, out: &mut Outbox<Message>) {
        let Wanted::Slice { tree, nth, offset } = ask.wanted else { return };
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(part.len());
        let end = begin.saturating_add(SLICE_BYTES_MAX).min(part.len());
        self.serving.charge(ask.replica, (end - begin) as u64);
        let (bytes, total) = (part.slice(begin..end), part.len() as u64);
        let place = (tree, nth, offset);
        let slice = StateSlice::blank(ask.seq, place, total, bytes, self.config.replica);
        self.counters.state_pieces_sent += 1;
        self.say_to(ask.replica, Message::StateSlice(Arc::new(slice)), out);
    }

    fn say_manifest(
        &mut self,
        ask: &FetchState,
        application: (u64, Vec<Digest>),
        clients: (u64, Vec<Digest>),
        out: &mut Outbox<Message>,
    ) {
        self.serving.charge(ask.replica, MANIFEST_BYTES);
        let parts = |(leaves, digests)| TreeParts { leaves, digests };
        let (application, clients) = (parts(application), parts(clients));
        let manifest = StateManifest::blank(ask.seq, application, clients, self.config.replica);
        self.counters.state_pieces_sent += 1;
        self.say_to(ask.replica, Message::StateManifest(Arc::new(manifest)), out);
    }

    /// The checkpoint is not kept here: the peer learns of the newest that is.
    fn say_gone(&mut self, ask: &FetchState, out: &mut Outbox<Message>) {
        let place = match ask.wanted {
            Wanted::Manifest => (Tree::Application, 0, 0),
            Wanted::Slice { tree, nth, offset } => (tree, nth, offset),
        };
        let gone = StateSlice::blank(ask.seq, place, 0, Bytes::new(), self.config.replica);
        if self.log.low() > ask.seq {
            let newest = Message::Stable(Arc::new(self.checkpoints.proof(self.log.low())));
            self.relay(Recipients::One(ask.replica), newest, out);
        }
        self.say_to(ask.replica, Message::StateSlice(Arc::new(gone)), out);
    }

    fn say_to(&self, peer: ReplicaId, message: Message, out: &mut Outbox<Message>) {
        let after = self.journal.position();
        out.push(Output::Say { to: Recipients::One(peer), message, after });
    }

    /// A peer sent the list of parts that it was asked for, or was not.
    pub(super) fn on_manifest(&mut self, manifest: &StateManifest) {
        let said = manifest.signed.body;
        if said.replica == self.config.replica {
            return;
        }
        let listed = |parts: &TreeParts| {
            let (cut, state) = parts.summary()?;
            Some(Listed { cut, state, digests: parts.digests.clone() })
        };
        let trees = (listed(&manifest.application), listed(&manifest.clients));
        let manifest = match trees {
            (Some(application), Some(clients)) => Some(Manifest { application, clients }),
            _ => None,
        };
        self.on_listed(said.replica, said.seq, manifest);
    }

    /// A peer sent a piece of a part, or says that it cannot.
    pub(super) fn on_state_slice(&mut self, slice: &StateSlice, out: &mut Outbox<Message>) {
        let said = slice.signed.body;
        if said.replica == self.config.replica {
            return;
        }
        if slice.total == 0 {
            return self.on_gone(said.replica, said.seq, (slice.tree, slice.nth));
        }
        let piece = (slice.tree, slice.nth, slice.offset);
        self.on_slice(said.replica, said.seq, piece, slice.total, &slice.bytes, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_has_much_read_for_it_waits_and_the_others_do_not() {
        let committee = Committee::new(4).unwrap();
        let config = Config::new(committee, ReplicaId(0));
        let mut serving = Serving::new(committee);
        let asks = |serving: &mut Serving, replica, intervals: u32| {
            let (peer, seq, wanted) = (ReplicaId(0), Seq(2), Wanted::Manifest);
            let replica = ReplicaId(replica);
            let ask = FetchState { round: intervals.into(), peer, seq, wanted, replica };
            let now = Instant::START + config.status_interval * intervals;
            serving.admit(&ask, now, &config)
        };
        assert!(asks(&mut serving, 1, 1));
        serving.charge(ReplicaId(1), 4 * PAID_BYTES);
        assert!(!asks(&mut serving, 1, 2), "it owes three intervals");
        assert!(asks(&mut serving, 2, 2));
        assert!(!asks(&mut serving, 1, 3), "two");
        assert!(asks(&mut serving, 1, 4), "slices may come as fast as a network is");
    }
}
