//! Fetching a state that messages cannot bring this replica up to (PBFT 4.3; TOCS'02 5.3).
//!
//! It begins with a certificate: a quorum signed a checkpoint that this replica cannot reach from
//! its log, or can no longer hope to. From then on nothing more is executed until the state is here.
//!
//! 1. *Manifest*: one peer lists the digests of all parts. It is good if it hashes to the certified
//!    digest, whoever sent it.
//! 2. *Compare*: parts that this replica has already are not fetched.
//! 3. *Parts*: several peers at once send one part each, in slices. A part that does not have its
//!    digest came from one peer alone; that peer is asked no more in this transfer.
//!    One that is late (each slice has a deadline, and so has the part) is asked of another peer, and
//!    nobody is blamed: a slow link is no lie.
//! 4. *Restore*: the application takes the parts over, and the replica goes on from the checkpoint.
//!
//! When f + 1 peers no longer keep the checkpoint, or do not answer, the target moves to the newest
//! that is certified; f faulty ones cannot move it. Verified parts stay, and count again where the
//! new manifest has the same digests.
//!
//! Bounds: one flight a peer and [`FLIGHTS_MAX`] in all, each at most a part; verified parts at most
//! a state; one vote a replica for checkpoints beyond reach; a question a peer that failed waits
//! twice as long for the next, up to sixteen times.

mod own;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::signed::Signed;

use super::certificate::{CheckpointCertificate, Voucher};
use super::message::Message;
use super::replica::Pbft;
use super::state_message::{FetchState, SLICE_BYTES_MAX, Tree, Wanted};
use super::statement::Checkpoint;
use crate::client_table::{self, ClientTable};
use crate::committee::Committee;
use crate::engine::{Outbox, Output, Recipients};
use crate::parts::{Cut, PART_BYTES_MAX, StateRoot};
use crate::types::{Instant, ReplicaId, Seq};

/// The most questions on their way at once.
const FLIGHTS_MAX: usize = 8;
/// How often a question is asked again before another peer is asked.
const TRIES_MAX: u32 = 3;
/// How many status intervals a whole part gets, slice after slice. It doubles with each part that is
/// late, so that a link too slow for it is slow alone, and not a failure for ever.
const PART_INTERVALS: u32 = 64;
/// The most often that it doubles.
const PART_DOUBLINGS_MAX: u32 = 8;
/// By how much a peer's failures can lengthen its pause.
const PAUSE_FACTOR_MAX: u32 = 16;
/// Statuses said in vain after which messages are given up.
const VAIN_STATUSES_MAX: u64 = 4;

/// The asking side of a transfer.
#[derive(Debug)]
pub(super) struct Transfer {
    peers: Vec<Peer>,
    round: u64,
    /// By replica, its highest vote for a checkpoint further ahead than anything is kept.
    beyond: Vec<Option<Signed<Checkpoint>>>,
    /// The highest certified checkpoint that this replica knows of and has not executed.
    pub(super) newest: Option<CheckpointCertificate>,
    /// Since it knows of one: what it had executed when it last moved on, and how many statuses it
    /// had said by then.
    moved_on: Option<(Seq, u64)>,
    pub(super) target: Option<Target>,
    pub(super) verified: BTreeMap<(Tree, u32), (Digest, Bytes)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Peer {
    /// It sent a piece that it could not have had.
    bad: bool,
    /// It did not have the target's state, or did not answer.
    gone: bool,
    failures: u32,
    not_before: Instant,
}

/// What is being fetched.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) certificate: CheckpointCertificate,
    pub(super) step: Step,
    flights: Vec<Flight>,
    /// Parts that were not whole in time.
    slow_parts: u32,
}

/// How far a transfer is.
#[derive(Debug)]
pub(super) enum Step {
    Manifest,
    Compare { manifest: Manifest, asked: bool },
    Parts { manifest: Manifest, missing: BTreeSet<(Tree, u32)> },
    Restore { table: ClientTable, application: StateRoot },
}

/// A manifest that hashes to the certified digest.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) application: Listed,
    pub(super) clients: Listed,
}

/// One tree of it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) cut: Cut,
    pub(super) state: StateRoot,
    pub(super) digests: Vec<Digest>,
}

impl Manifest {
    pub(super) fn tree(&self, tree: Tree) -> &Listed {
        match tree {
            Tree::Application => &self.application,
            Tree::Clients => &self.clients,
        }
    }

    fn digest(&self, (tree, nth): (Tree, u32)) -> Option<Digest> {
        self.tree(tree).digests.get(nth as usize).copied()
    }

    /// The most bytes that a part can have: no honest peer has more of it.
    fn bytes_max(&self, (tree, nth): (Tree, u32)) -> u64 {
        let leaves = self.tree(tree).cut.leaves_of(nth);
        match tree {
            Tree::Application => PART_BYTES_MAX,
            Tree::Clients => client_table::part_bytes_max(leaves.end - leaves.start),
        }
    }
}

/// A question that was asked of a peer.
#[derive(Debug)]
struct Flight {
    peer: ReplicaId,
    wanted: Wanted,
    /// What came of the part so far.
    bytes: Vec<u8>,
    total: Option<u64>,
    deadline: Instant,
    tries: u32,
    /// When the whole part is to be here.
    part_deadline: Instant,
}

impl Target {
    fn new(certificate: CheckpointCertificate) -> Target {
        Target { certificate, step: Step::Manifest, flights: Vec::new(), slow_parts: 0 }
    }

    /// How many status intervals a whole part gets.
    fn part_intervals(&self) -> u32 {
        PART_INTERVALS << self.slow_parts.min(PART_DOUBLINGS_MAX)
    }
}

impl Transfer {
    pub(super) fn new(committee: Committee) -> Transfer {
        Transfer {
            peers: committee.members().map(|_| Peer::default()).collect(),
            round: 0,
            beyond: committee.members().map(|_| None).collect(),
            newest: None,
            moved_on: None,
            target: None,
            verified: BTreeMap::new(),
        }
    }

    /// Whether this replica knows of a state that it lacks, or fetches one: else there is nothing to
    /// be done.
    pub(super) fn is_wanted(&self) -> bool {
        self.newest.is_some() || self.is_under_way()
    }

    /// Whether a state is being fetched: nothing is executed meanwhile.
    pub(super) fn is_under_way(&self) -> bool {
        self.target.is_some()
    }

    /// Takes a vote for a checkpoint that is further ahead than anything is kept; the certificate,
    /// once a quorum of the replicas' highest votes is equal.
    pub(super) fn cast(
        &mut self,
        vote: Signed<Checkpoint>,
        committee: Committee,
    ) -> Option<CheckpointCertificate> {
        let place = self.beyond.get_mut(usize::from(vote.body.replica.0))?;
        if place.is_some_and(|kept| kept.body.seq >= vote.body.seq) {
            return None;
        }
        *place = Some(vote);
        let Checkpoint { seq, state, .. } = vote.body;
        let equal = self.beyond.iter().flatten();
        let equal = equal.filter(|kept| kept.body.seq == seq && kept.body.state == state);
        let votes = equal.take(committee.quorum());
        let votes: Vec<_> = votes
            .map(|kept| Voucher { replica: kept.body.replica, signature: kept.signature })
            .collect();
        let enough = votes.len() == committee.quorum();
        enough.then_some(CheckpointCertificate { seq, state, votes })
    }

    fn is_flying(&self, peer: ReplicaId) -> bool {
        let flights = self.target.iter().flat_map(|target| &target.flights);
        flights.into_iter().any(|flight| flight.peer == peer)
    }

    fn peer_mut(&mut self, peer: ReplicaId) -> Option<&mut Peer> {
        self.peers.get_mut(usize::from(peer.0))
    }

    /// The peer to ask next: one that has not failed before one that has, and in turn.
    fn pick(&self, me: ReplicaId, now: Instant) -> Option<ReplicaId> {
        let count = self.peers.len() as u64;
        let free = (0u16..).map(ReplicaId).zip(&self.peers).filter(|(id, peer)| {
            *id != me && !peer.bad && peer.not_before <= now && !self.is_flying(*id)
        });
        let turn = |id: ReplicaId| (u64::from(id.0) + count - self.round % count) % count;
        free.min_by_key(|(id, peer)| (peer.gone, peer.failures, turn(*id))).map(|(id, _)| id)
    }

    /// What is still to be asked: of the parts those that are on no flight.
    fn next_wanted(&self) -> Option<Wanted> {
        let target = self.target.as_ref()?;
        match &target.step {
            Step::Manifest => target.flights.is_empty().then_some(Wanted::Manifest),
            Step::Parts { missing, .. } => {
                let flying = |part: &(Tree, u32)| {
                    target.flights.iter().any(|flight| flight.part() == Some(*part))
                };
                let next = missing.iter().find(|part| !flying(part));
                next.map(|(tree, nth)| Wanted::Slice { tree: *tree, nth: *nth, offset: 0 })
            }
            Step::Compare { .. } | Step::Restore { .. } => None,
        }
    }

    /// When a question has been out too long, or a peer may be asked again.
    pub(super) fn deadline(&self, me: ReplicaId) -> Option<Instant> {
        let target = self.target.as_ref()?;
        let due = target.flights.iter().map(|flight| flight.deadline).min();
        let waits = self.next_wanted().is_some() && target.flights.len() < FLIGHTS_MAX;
        let usable = (0u16..).map(ReplicaId).zip(&self.peers);
        let usable =
            usable.filter(|(id, peer)| waits && *id != me && !peer.bad && !self.is_flying(*id));
        let rested = usable.map(|(_, peer)| peer.not_before).filter(|at| *at > Instant::START);
        due.into_iter().chain(rested.min()).min()
    }
}

impl Flight {
    fn part(&self) -> Option<(Tree, u32)> {
        match self.wanted {
            Wanted::Manifest => None,
            Wanted::Slice { tree, nth, .. } => Some((tree, nth)),
        }
    }
}

impl Pbft {
    /// Takes notice of a certified checkpoint; fetches its state, if messages cannot bring this
    /// replica there. A certificate that is not valid, or tells nothing new, changes nothing.
    pub(super) fn consider_state(
        &mut self,
        certificate: &CheckpointCertificate,
        out: &mut Outbox<Message>,
    ) {
        // The verifier has checked the signatures; who signed, and how many, is checked here.
        if !certificate.is_valid(self.config.committee, self.config.checkpoint_interval) {
            self.counters.messages_improper += 1;
            return;
        }
        let known = self.transfer.newest.as_ref().map_or(self.cursor.executed, |newest| newest.seq);
        if certificate.seq > known.max(self.cursor.executed) {
            let is_news = self.transfer.newest.replace(certificate.clone()).is_none();
            if is_news {
                // There is something to ask for: it is asked for soon.
                self.watch.progressed(self.now, &self.config);
            }
            self.transfer_state(out);
        }
    }

    /// Does what is to be done next of a transfer, if there is one.
    pub(super) fn transfer_state(&mut self, out: &mut Outbox<Message>) {
        self.begin_transfer(out);
        if !self.transfer.is_under_way() {
            return;
        }
        self.expire_flights(out);
        self.end_if_overtaken();
        self.ask_for_own_digests(out);
        while let Some(wanted) = self.transfer.next_wanted() {
            let Some(target) = &self.transfer.target else { break };
            let patience = self.config.status_interval * target.part_intervals();
            let Some(peer) = self.transfer.pick(self.config.replica, self.now) else { break };
            if target.flights.len() >= FLIGHTS_MAX {
                break;
            }
            let (bytes, total, deadline) = (Vec::new(), None, self.now);
            let part_deadline = self.now + patience;
            let flight = Flight { peer, wanted, bytes, total, deadline, tries: 0, part_deadline };
            self.ask(flight, out);
        }
        self.forgive_when_alone();
        self.restore_when_whole(out);
    }

    fn begin_transfer(&mut self, out: &mut Outbox<Message>) {
        let Some(newest) = self.transfer.newest.as_ref().map(|newest| newest.seq) else { return };
        if newest <= self.cursor.executed {
            (self.transfer.newest, self.transfer.moved_on) = (None, None);
            return;
        }
        // Peers keep what was ordered down to a window below their stable checkpoint; what this
        // replica lacks first is then gone, or does not come although it has asked long enough.
        let gone = newest > self.cursor.executed.plus(self.config.window);
        let now = (self.cursor.executed, self.counters.statuses_said);
        let at = self.transfer.moved_on.filter(|(executed, _)| *executed == now.0);
        if at.is_none() {
            self.transfer.moved_on = Some(now);
        }
        let in_vain = at.is_some_and(|(_, said)| now.1 - said >= VAIN_STATUSES_MAX);
        if (gone || in_vain) && !self.transfer.is_under_way() {
            self.counters.transfers_begun += 1;
            // The own state is the base of what is fetched: only what is committed is in it.
            self.roll_back(out);
            let fresh = Transfer::new(self.config.committee).peers;
            self.transfer.peers = fresh;
            self.transfer.target = self.transfer.newest.clone().map(Target::new);
        }
    }

    /// What was in execution when the transfer began may have brought this replica there.
    fn end_if_overtaken(&mut self) {
        let executed = self.cursor.executed;
        let is_there = |target: &Target| target.certificate.seq <= executed;
        if self.transfer.target.as_ref().is_some_and(is_there) {
            self.transfer.target = None;
            self.transfer.verified.clear();
        }
    }

    /// Sends a question, for the first time or again.
    fn ask(&mut self, mut flight: Flight, out: &mut Outbox<Message>) {
        let Some(target) = &mut self.transfer.target else { return };
        self.transfer.round = self.now.0.max(self.transfer.round.saturating_add(1));
        flight.deadline = self.now + self.config.status_interval * (2 << flight.tries.min(3));
        flight.tries += 1;
        let body = FetchState {
            round: self.transfer.round,
            peer: flight.peer,
            seq: target.certificate.seq,
            wanted: flight.wanted,
            replica: self.config.replica,
        };
        let to = Recipients::One(flight.peer);
        target.flights.push(flight);
        let after = self.journal.position();
        let message = Message::FetchState(Signed::blank(body));
        out.push(Output::Say { to, message, after });
    }

    /// Asks again what was not answered in time, or gives the peer a rest.
    fn expire_flights(&mut self, out: &mut Outbox<Message>) {
        let Some(target) = &mut self.transfer.target else { return };
        let now = self.now;
        let (late, waiting) = core::mem::take(&mut target.flights)
            .into_iter()
            .partition::<Vec<_>, _>(|flight| flight.deadline <= now);
        target.flights = waiting;
        let seq = target.certificate.seq;
        for flight in late {
            if self.fetching() != Some(seq) {
                return; // The target moved: asked of another state, an honest peer would be blamed.
            }
            if flight.tries < TRIES_MAX {
                self.ask(flight, out);
            } else {
                self.failed(flight.peer);
            }
        }
    }

    /// A peer does not have what was asked for, or does not say so.
    pub(super) fn failed(&mut self, peer: ReplicaId) {
        let (interval, now) = (self.config.status_interval, self.now);
        if let Some(peer) = self.transfer.peer_mut(peer) {
            peer.gone = true;
            let factor = 1 << peer.failures.min(PAUSE_FACTOR_MAX.ilog2());
            peer.failures += 1;
            peer.not_before = now + interval * factor;
        }
        let gone = self.transfer.peers.iter().filter(|peer| peer.gone).count();
        let (Some(target), Some(newest)) = (&self.transfer.target, &self.transfer.newest) else {
            return;
        };
        // One of f + 1 is honest, and answers what it can.
        let enough = gone >= self.config.committee.weak_quorum();
        let can_move = !matches!(target.step, Step::Restore { .. });
        if enough && can_move && newest.seq > target.certificate.seq {
            self.counters.transfers_moved += 1;
            self.transfer.target = Some(Target::new(newest.clone()));
            for peer in &mut self.transfer.peers {
                (peer.gone, peer.failures, peer.not_before) = (false, 0, Instant::START);
            }
        }
    }

    /// A peer has what it is asked for.
    fn answered(&mut self, peer: ReplicaId) {
        if let Some(peer) = self.transfer.peer_mut(peer) {
            (peer.gone, peer.failures) = (false, 0);
        }
    }

    /// A peer sent what it could not have had: it is asked no more in this transfer.
    pub(super) fn blame(&mut self, peer: ReplicaId) {
        self.counters.state_pieces_bad += 1;
        if let Some(peer) = self.transfer.peer_mut(peer) {
            peer.bad = true;
        }
    }

    /// The replicas that sent bad pieces in the present transfer, or the last one.
    pub fn blamed(&self) -> impl Iterator<Item = ReplicaId> {
        let peers = (0u16..).map(ReplicaId).zip(&self.transfer.peers);
        peers.filter(|(_, peer)| peer.bad).map(|(id, _)| id)
    }

    /// The checkpoint whose state is being fetched.
    pub fn fetching(&self) -> Option<Seq> {
        self.transfer.target.as_ref().map(|target| target.certificate.seq)
    }

    /// More than f peers were found bad: the fault is here, or they are more than can be tolerated.
    /// Nobody is left to ask, so all are asked again after a rest.
    fn forgive_when_alone(&mut self) {
        let me = usize::from(self.config.replica.0);
        let others = || (0..).zip(&self.transfer.peers).filter(|(id, _)| *id != me);
        if others().next().is_none() || others().any(|(_, peer)| !peer.bad) {
            return;
        }
        let rest: Duration = self.config.status_interval * PAUSE_FACTOR_MAX;
        for peer in &mut self.transfer.peers {
            (peer.bad, peer.not_before) = (false, self.now + rest);
        }
    }

    /// Takes the flight that waits for this answer of a peer, if there is one.
    fn landed(
        &mut self,
        peer: ReplicaId,
        seq: Seq,
        answers: impl Fn(&Wanted) -> bool,
    ) -> Option<Flight> {
        let target = self.transfer.target.as_mut()?;
        let waits = |flight: &Flight| flight.peer == peer && answers(&flight.wanted);
        let place = target.flights.iter().position(waits)?;
        (target.certificate.seq == seq).then(|| target.flights.swap_remove(place))
    }

    /// A peer says that it keeps the checkpoint no longer.
    pub(super) fn on_gone(&mut self, peer: ReplicaId, seq: Seq, part: (Tree, u32)) {
        let answers = |wanted: &Wanted| match wanted {
            Wanted::Manifest => true,
            Wanted::Slice { tree, nth, .. } => (*tree, *nth) == part,
        };
        if self.landed(peer, seq, answers).is_some() {
            self.failed(peer);
        }
    }

    /// The list of the parts comes from the peer that was asked; it must hash to what a quorum
    /// signed.
    pub(super) fn on_listed(&mut self, peer: ReplicaId, seq: Seq, manifest: Option<Manifest>) {
        if self.landed(peer, seq, |wanted| *wanted == Wanted::Manifest).is_none() {
            self.counters.state_pieces_unasked += 1;
            return;
        }
        let Some(target) = &mut self.transfer.target else { return };
        match manifest {
            Some(manifest) if self.config.digest_of(seq, &manifest) == target.certificate.state => {
                target.step = Step::Compare { manifest, asked: false };
            }
            _ => self.blame(peer),
        }
    }

    /// A slice of a part comes from the peer that was asked for it.
    pub(super) fn on_slice(
        &mut self,
        peer: ReplicaId,
        seq: Seq,
        piece: (Tree, u32, u64),
        total: u64,
        bytes: &Bytes,
        out: &mut Outbox<Message>,
    ) {
        let (tree, nth, offset) = piece;
        let asked = Wanted::Slice { tree, nth, offset };
        let Some(mut flight) = self.landed(peer, seq, |wanted| *wanted == asked) else {
            self.counters.state_pieces_unasked += 1;
            return;
        };
        self.counters.state_bytes_fetched += bytes.len() as u64;
        let end = offset.saturating_add(bytes.len() as u64);
        // A slice is as long as slices are: a peer that drips a part byte by byte would hold it up
        // for ever, and never be late.
        let whole = total.min(offset.saturating_add(SLICE_BYTES_MAX as u64));
        let bytes_max = match self.transfer.target.as_ref().map(|target| &target.step) {
            Some(Step::Parts { manifest, .. }) => manifest.bytes_max((tree, nth)),
            _ => 0,
        };
        let fits = flight.total.is_none_or(|first| first == total)
            && (1..=bytes_max).contains(&total)
            && !bytes.is_empty()
            && end == whole;
        if !fits {
            return self.blame(peer);
        }
        self.answered(peer);
        flight.bytes.extend_from_slice(bytes);
        if end < total && self.now >= flight.part_deadline {
            // Slow is not bad: the part is asked of another, and this peer again later.
            if let Some(target) = &mut self.transfer.target {
                target.slow_parts = target.slow_parts.saturating_add(1);
            }
            self.failed(peer);
            return;
        }
        if end < total {
            flight.total = Some(total);
            flight.wanted = Wanted::Slice { tree, nth, offset: end };
            flight.tries = 0;
            return self.ask(flight, out);
        }
        self.take_part(peer, (tree, nth), Bytes::from(flight.bytes));
    }

    /// A whole part: it has its digest, or its sender is to blame.
    fn take_part(&mut self, peer: ReplicaId, part: (Tree, u32), bytes: Bytes) {
        let Some(target) = &mut self.transfer.target else { return };
        let Step::Parts { manifest, missing } = &mut target.step else { return };
        let Some(expected) = manifest.digest(part) else { return };
        let (cut, seq) = (manifest.tree(part.0).cut, target.certificate.seq);
        let found = match part.0 {
            Tree::Application => cut.digest_of(part.1, &bytes),
            Tree::Clients => {
                let window = self.config.client_window;
                client_table::digest_of(cut, part.1, &bytes, seq, window)
            }
        };
        if found != Ok(expected) {
            return self.blame(peer);
        }
        missing.remove(&part);
        self.counters.state_parts_fetched += 1;
        self.transfer.verified.insert(part, (expected, bytes));
    }
}
