//! Status messages, and what is sent again because of them (TOCS'02 5.2).
//!
//! A replica that waits for its next sequence number longer than `status_interval` says what it has
//! and what it lacks; while nothing comes it says so less and less often, up to every sixteenth
//! interval, and a replica that lacks nothing speaks up every sixteenth interval too, in case it
//! knows nothing of what it lacks. A peer answers with what it has itself had to say for a while:
//! its own votes, proposals, the certificates of checkpoints.
//!
//! What one status can cause is bounded by its slots and by a budget of bytes. A peer is answered at
//! most twice an interval, and only for a status newer than its last, so that neither a flood nor a
//! replay of statuses buys anything.

use alloc::vec::Vec;

use quorumark_primitives::signed::Signed;

use super::config::Config;
use super::log::{Slot, Stage};
use super::message::{Message, STATUS_SLOTS_MAX, SlotStatus, Status, StatusStatement};
use super::replica::Pbft;
use crate::engine::{Outbox, Recipients};
use crate::request::SignedRequest;
use crate::types::{Instant, ReplicaId, Seq};

/// By how much the interval grows while a replica waits in vain, or lacks nothing.
const INTERVALS_MAX: u32 = 16;
/// Bytes of proposals in one answer, as a multiple of the largest batch.
const ANSWER_BATCHES: usize = 2;

/// When this replica speaks next, and whom it has answered.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) next_status: Instant,
    /// Statuses said in vain since the last progress.
    attempt: u32,
    /// By peer: the round and the time of the last status that was answered.
    answered: Vec<Option<(u64, Instant)>>,
}

impl Watch {
    pub(super) fn new(config: &Config) -> Watch {
        let answered = (0..config.committee.n()).map(|_| None).collect();
        Watch { next_status: Instant::START + config.status_interval, attempt: 0, answered }
    }

    /// Something new was executed: what is next gets a whole interval.
    pub(super) fn progressed(&mut self, now: Instant, config: &Config) {
        self.attempt = 0;
        self.next_status = now + config.status_interval;
    }

    /// Whether a status of `peer` is answered: it is newer than the last, and that was a while ago.
    fn may_answer(&mut self, peer: ReplicaId, round: u64, now: Instant, config: &Config) -> bool {
        let Some(answered) = self.answered.get_mut(usize::from(peer.0)) else { return false };
        let fresh = answered
            .is_none_or(|(last, at)| round > last && now.since(at) >= config.status_interval / 2);
        if fresh {
            *answered = Some((round, now));
        }
        fresh
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
        let waits = last > executed || unstable >= self.config.checkpoint_interval;
        let intervals =
            if waits { 1 << self.watch.attempt.min(INTERVALS_MAX.ilog2()) } else { INTERVALS_MAX };
        self.watch.next_status = now + self.config.status_interval * intervals;
        self.watch.attempt = if waits { self.watch.attempt.saturating_add(1) } else { 0 };
        if self.config.committee.n() == 1 {
            return;
        }
        let span = last.0.saturating_sub(executed.0).min(STATUS_SLOTS_MAX as u64);
        let slots = (1..=span).map(|ahead| self.slot_status(executed.plus(ahead))).collect();
        let body = StatusStatement {
            round: now.0,
            attempt: self.watch.attempt,
            view: self.view,
            stable: self.log.low(),
            executed,
            slots,
            replica: self.config.replica,
        };
        self.counters.statuses_said += 1;
        let message = Message::Status(Signed::blank(body));
        self.say(message, out);
    }

    fn slot_status(&self, seq: Seq) -> SlotStatus {
        let Some(slot) = self.log.slot(seq) else { return SlotStatus::default() };
        SlotStatus {
            pre_prepared: slot.has_proposal(),
            prepared: slot.stage >= Stage::Prepared,
            committed: slot.stage >= Stage::Committed,
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
        if peer == self.config.replica
            || !self.watch.may_answer(peer, body.round, now, &self.config)
        {
            return;
        }
        let mut again = Vec::new();
        self.repair_checkpoints(body, &mut again);
        if body.view == self.view {
            self.repair_slots(body, &mut again);
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
        let above = status.stable.max(self.log.low());
        let own = self.checkpoints.votes_of(self.config.replica, above);
        again.extend(own.copied().map(Message::Checkpoint));
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
        if !peer_has.pre_prepared
            && self.repairs_proposals_for(status)
            && let Some((signed, batch)) = &slot.offered
        {
            let bytes: usize = batch.requests().iter().map(SignedRequest::size).sum();
            if bytes <= *budget {
                *budget -= bytes;
                again.push(Message::PrePrepare(*signed, batch.clone()));
            }
        }
        if !peer_has.prepared {
            again.extend(slot.prepares.of(me).copied().map(Message::Prepare));
        }
        if !peer_has.committed {
            again.extend(slot.commits.of(me).copied().map(Message::Commit));
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
