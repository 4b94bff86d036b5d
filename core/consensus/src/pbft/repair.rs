//! Status messages, and what is sent again because of them (TOCS'02 5.2).
//!
//! A replica that waits for its next sequence number longer than `status_interval` says what it has
//! and what it lacks; while nothing comes it says so less and less often, up to every sixteenth
//! interval, and a replica that lacks nothing speaks up every sixteenth interval too, in case it
//! knows nothing of what it lacks. A peer answers with what it has itself had to say for a while:
//! its own votes, proposals, the certificates of checkpoints; and to who asks in vain, the proof of
//! what was committed.
//!
//! What one status can cause is bounded by its slots and by a budget of bytes. A peer is answered at
//! most twice an interval, and only for a status newer than its last, so that neither a flood nor a
//! replay of statuses buys anything.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use quorumark_primitives::signed::Signed;

use super::config::Config;
use super::log::{Committed, Slot, Stage};
use super::message::Message;
use super::replica::Pbft;
use super::statement::{Heard, STATUS_SLOTS_MAX, SlotStatus, Status, StatusStatement, ViewPhase};
use crate::engine::{Outbox, Recipients};
use crate::types::{Instant, ReplicaId, Seq};

/// By how much the interval grows while a replica waits in vain, or lacks nothing.
const INTERVALS_MAX: u32 = 16;
/// After how many intervals without an answer a peer's last round is forgotten; longer than a
/// peer that runs is silent.
pub(super) const FORGET_INTERVALS: u32 = 2 * INTERVALS_MAX;
/// Bytes of proposals in one answer, as a multiple of the largest batch.
pub(super) const ANSWER_BATCHES: usize = 2;

/// After how many statuses in vain a peer of the same view gets the proof of what was committed: its
/// votes did not come to it one by one.
const PROOF_ATTEMPTS: u32 = 4;

/// When this replica speaks next, and whom it has answered.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) next_status: Instant,
    /// Statuses said in vain since the last progress.
    attempt: u32,
    statuses: Answered,
    fetches: Answered,
}

/// By peer: the round and the time of what was answered last.
#[derive(Debug)]
struct Answered {
    by_peer: Vec<Option<(u64, Instant)>>,
}

impl Answered {
    /// Whether what `peer` asks is answered: it is newer than the last, and that was a while ago. A
    /// round that fell is taken after [`FORGET_INTERVALS`]: the peer may have begun again with
    /// another clock, and a replay buys no more then than the peer itself could have asked for.
    fn admits(&mut self, peer: ReplicaId, round: u64, now: Instant, config: &Config) -> bool {
        let Some(answered) = self.by_peer.get_mut(usize::from(peer.0)) else { return false };
        let fresh = answered.is_none_or(|(last, at)| {
            let (rested, interval) = (now.since(at), config.status_interval);
            (round > last && rested >= interval / 2) || rested >= interval * FORGET_INTERVALS
        });
        if fresh {
            *answered = Some((round, now));
        }
        fresh
    }
}

impl Watch {
    pub(super) fn new(config: &Config) -> Watch {
        let nobody = || Answered { by_peer: (0..config.committee.n()).map(|_| None).collect() };
        let next_status = Instant::START + config.status_interval;
        Watch { next_status, attempt: 0, statuses: nobody(), fetches: nobody() }
    }

    /// Something new was executed: what is next gets a whole interval.
    pub(super) fn progressed(&mut self, now: Instant, config: &Config) {
        self.attempt = 0;
        self.next_status = now + config.status_interval;
    }

    /// Whether a status is answered.
    fn may_answer(&mut self, peer: ReplicaId, round: u64, now: Instant, config: &Config) -> bool {
        self.statuses.admits(peer, round, now, config)
    }

    /// Whether a fetch is answered.
    pub(super) fn may_answer_fetch(
        &mut self,
        peer: ReplicaId,
        round: u64,
        now: Instant,
        config: &Config,
    ) -> bool {
        self.fetches.admits(peer, round, now, config)
    }
}

impl Pbft {
    /// Says what this replica has and lacks, when it is time to. Called at a timeout alone: after a
    /// pause of its own a replica first hears what came meanwhile, and does not ask for it.
    pub(super) fn say_status(&mut self, now: Instant, out: &mut Outbox<Message>) {
        if now < self.watch.next_status {
            return;
        }
        let (executed, last) = (self.cursor.executed, self.log.last_heard());
        let unstable = executed.0 - self.log.low().0;
        // Who moves to another view waits for it, and so does who hears of a later one.
        let waits = last > executed
            || unstable >= self.config.checkpoint_interval
            || !self.active
            || self.abstains()
            || !self.early.is_empty();
        let intervals =
            if waits { 1 << self.watch.attempt.min(INTERVALS_MAX.ilog2()) } else { INTERVALS_MAX };
        self.watch.next_status = now + self.config.status_interval * intervals;
        self.watch.attempt = if waits { self.watch.attempt.saturating_add(1) } else { 0 };
        if self.config.committee.n() == 1 {
            return;
        }
        self.counters.statuses_said += 1;
        let message = Message::Status(Box::new(Signed::blank(self.status(None))));
        self.say(message, out);
    }

    /// What this replica has and lacks.
    pub(super) fn status(&self, answers: Option<Heard>) -> StatusStatement {
        let (executed, last) = (self.cursor.executed, self.log.last_heard());
        let span = last.0.saturating_sub(executed.0).min(STATUS_SLOTS_MAX as u64);
        let slots = (1..=span).map(|ahead| self.slot_status(executed.plus(ahead))).collect();
        let phase = if self.abstains() { ViewPhase::Rejoining } else { self.phase() };
        let had = self.view_changes.for_view(self.view).map(|change| change.body().replica);
        StatusStatement {
            round: self.now.0,
            attempt: self.watch.attempt,
            view: self.view,
            phase,
            view_changes: if phase == ViewPhase::Changing { had.collect() } else { Vec::new() },
            stable: self.log.low(),
            executed,
            slots,
            answers,
            replica: self.config.replica,
        }
    }

    fn slot_status(&self, seq: Seq) -> SlotStatus {
        let Some(slot) = self.log.slot(seq) else { return SlotStatus::default() };
        SlotStatus {
            pre_prepared: slot.has_proposal(),
            prepared: slot.stage >= Stage::Prepared,
            committed: slot.is_committed(),
        }
    }

    /// Answers a peer's status with what it lacks.
    pub(super) fn on_status(&mut self, status: &Status, out: &mut Outbox<Message>) {
        let (now, body) = (self.now, &status.body);
        let peer = body.replica;
        if body.stable > body.executed {
            self.counters.messages_improper += 1;
            return;
        }
        if let Some(heard) = body.answers {
            return self.on_answer(body, heard);
        }
        if peer == self.config.replica
            || !self.watch.may_answer(peer, body.round, now, &self.config)
        {
            return;
        }
        if body.phase == ViewPhase::Rejoining {
            self.answer_rejoining(body, out);
        }
        let mut again = Vec::new();
        self.repair_checkpoints(body, &mut again);
        self.repair_view(body, &mut again);
        let both_active = self.active && body.phase == ViewPhase::Active;
        if body.view == self.view && both_active {
            self.repair_slots(body, &mut again);
        } else {
            self.repair_committed(body, &mut again);
        }
        self.counters.messages_repeated += again.len() as u64;
        for message in again {
            self.relay(Recipients::One(peer), message, out);
        }
    }

    /// A peer whose low watermark is behind gets the proof of the highest checkpoint that it can
    /// have executed, and this replica's votes for those not stable yet.
    fn repair_checkpoints(&self, status: &StatusStatement, again: &mut Vec<Message>) {
        let high = status.stable.plus(self.config.window);
        let proof = self.checkpoints.certificate(status.stable, high);
        again.extend(proof.iter().copied().map(Message::Checkpoint));
        if high < self.log.low() {
            // What it lacks is gone from every log: it needs the state.
            again.push(Message::Stable(Arc::new(self.checkpoints.proof(self.log.low()))));
        }
        let above = status.stable.max(self.log.low());
        let own = self.checkpoints.votes_of(self.config.replica, above);
        again.extend(own.map(Message::Checkpoint));
    }

    /// A peer that is behind this view, or waits for it, gets its NEW-VIEW; while nobody has that, it
    /// gets this replica's VIEW-CHANGE.
    fn repair_view(&self, status: &StatusStatement, again: &mut Vec<Message>) {
        let waits = status.view == self.view && status.phase == ViewPhase::Changing;
        if status.view > self.view || !(status.view < self.view || waits) {
            return;
        }
        let me = self.config.replica;
        if let Some(new_view) = &self.new_view {
            let ripe = self.now.since(self.timer.entered()) >= self.config.status_interval / 2;
            if ripe && self.serves(status) {
                again.push(Message::NewView(Arc::clone(new_view)));
            }
        } else if status.view < self.view || !status.view_changes.contains(&me) {
            let own = self.view_changes.of(me).filter(|own| own.body().view == self.view);
            again.extend(own.cloned().map(Message::ViewChange));
        }
    }

    /// A peer in another view cannot use this one's votes: what was committed goes to it with its
    /// proof, lowest first, as far as its window reaches.
    fn repair_committed(&self, status: &StatusStatement, again: &mut Vec<Message>) {
        if status.executed < self.log.forgotten() || !self.serves(status) {
            return; // What it lacks first is gone, or others answer.
        }
        let quorum = self.config.committee.quorum();
        let mut budget = ANSWER_BATCHES * self.config.batch_bytes_max;
        let high = status.stable.plus(self.config.window);
        let high = high.min(status.executed.plus(STATUS_SLOTS_MAX as u64));
        for seq in status.executed.next().0..=high.0 {
            let proof = self.log.slot(Seq(seq)).and_then(|slot| slot.proof(quorum));
            let Some(Committed { certificate, batch }) = proof else { return };
            let Some(rest) = budget.checked_sub(batch.bytes()) else { return };
            budget = rest;
            again.push(Message::Committed(certificate, batch.whole()));
        }
    }

    /// Whether this replica is one of the f + 1 that send what is large, others at each attempt.
    fn serves(&self, status: &StatusStatement) -> bool {
        let n = self.config.committee.n() as u64;
        let (me, peer) = (u64::from(self.config.replica.0), u64::from(status.replica.0));
        let others = n.saturating_sub(1).max(1);
        // Its place after the peer, and from there on round the others.
        let place = (me + n).saturating_sub(peer + 1) % n;
        let rank = (place + others - u64::from(status.attempt) % others) % others;
        rank < self.config.committee.weak_quorum() as u64
    }

    /// Sends what the peer lacks of the slots that this replica keeps, lowest first.
    fn repair_slots(&self, status: &StatusStatement, again: &mut Vec<Message>) {
        // What was said a moment ago may still be on its way; the longer the peer waits, the slower
        // the network may be. A peer that does not wait may know nothing.
        let intervals = match status.attempt {
            0 => INTERVALS_MAX,
            attempt => 1 << (attempt - 1).min(INTERVALS_MAX.ilog2()),
        };
        let ripe_age = self.config.status_interval * intervals / 2;
        let mut budget = ANSWER_BATCHES * self.config.batch_bytes_max;
        if status.executed < self.log.forgotten() {
            return; // What it lacks first is gone: messages cannot bring it up.
        }
        let first = status.executed.next();
        let last = self.log.last_heard().min(status.executed.plus(STATUS_SLOTS_MAX as u64));
        for seq in first.0..=last.0 {
            let Some(slot) = self.log.slot(Seq(seq)) else { continue };
            if slot.since.is_some_and(|since| self.now.since(since) >= ripe_age) {
                let listed = usize::try_from(seq - status.executed.0 - 1).ok();
                let peer_has = listed.and_then(|place| status.slots.get(place)).copied();
                self.repair_slot(slot, peer_has.unwrap_or_default(), status, &mut budget, again);
            }
        }
    }

    fn repair_slot(
        &self,
        slot: &Slot,
        peer_has: SlotStatus,
        status: &StatusStatement,
        budget: &mut usize,
        again: &mut Vec<Message>,
    ) {
        let me = self.config.replica;
        // PBFT 4.2: a quorum of commits proves it, whoever sends them. Who got too few of them would
        // leave the view, though everybody else goes on in it.
        if !peer_has.committed
            && status.attempt >= PROOF_ATTEMPTS
            && self.serves(status)
            && let Some(Committed { certificate, batch }) =
                slot.proof(self.config.committee.quorum())
            && let Some(rest) = budget.checked_sub(batch.bytes())
        {
            *budget = rest;
            return again.push(Message::Committed(certificate, batch.whole()));
        }
        if !peer_has.pre_prepared
            && self.repairs_proposals_for(status)
            && let Some((signed, batch)) = slot.proposal()
            && let Some(rest) = budget.checked_sub(batch.bytes())
        {
            *budget = rest;
            again.push(Message::PrePrepare(Box::new(signed), batch.whole()));
        }
        if !peer_has.prepared {
            again.extend(slot.prepares.of(me).map(Message::Prepare));
        }
        if !peer_has.committed {
            again.extend(slot.commits.of(me).map(Message::Commit));
        }
    }

    /// Proposals are large: besides the primary one backup sends them again, another one at each
    /// attempt, so that a proposal which reached any honest backup reaches every other.
    fn repairs_proposals_for(&self, status: &StatusStatement) -> bool {
        if self.is_primary() {
            return true;
        }
        let primary = self.config.committee.primary(self.view);
        let backups = self.config.committee.members();
        let mut backups = backups.filter(|id| *id != primary && *id != status.replica);
        let others = self.config.committee.n().saturating_sub(2).max(1);
        backups.nth(status.attempt as usize % others) == Some(self.config.replica)
    }
}
