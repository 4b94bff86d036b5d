//! Status messages, and what is sent again because of them (TOCS'02 5.2).
//!
//! Each period a replica says what it has of the slots above its last executed one. A peer that has
//! held, for a whole period, something that the sender lacks, sends it again: its own votes, the
//! proposal, the stable certificate. The work that one status can cause is bounded by its slots,
//! and each peer's statuses are answered at most twice a period.

use alloc::vec::Vec;

use quorumark_primitives::signed::Signed;

use super::log::{Slot, Stage};
use super::message::{Message, STATUS_SLOTS_MAX, SlotStatus, Status, StatusStatement};
use super::replica::Pbft;
use crate::engine::{Outbox, Output, Recipients};
use crate::types::{Instant, ReplicaId, Seq};

impl Pbft {
    /// Says what this replica has and lacks, once a period.
    pub(super) fn say_status(&mut self, now: Instant, out: &mut Outbox<Message>) {
        if now < self.next_status {
            return;
        }
        self.next_status = now + self.config.status_interval;
        if self.config.committee.n() == 1 {
            return;
        }
        let (executed, last) = (self.cursor.executed, self.log.last_heard());
        let span = last.0.saturating_sub(executed.0).min(STATUS_SLOTS_MAX as u64);
        let slots = (1..=span).map(|ahead| self.slot_status(Seq(executed.0 + ahead))).collect();
        let body = StatusStatement {
            view: self.view,
            stable: self.log.low(),
            executed,
            slots,
            replica: self.config.replica,
        };
        self.counters.statuses_said += 1;
        let message = Message::Status(Signed::blank(body));
        out.push(Output::Say { to: Recipients::Others, message });
    }

    fn slot_status(&self, seq: Seq) -> SlotStatus {
        let Some(slot) = self.log.slot(seq) else { return SlotStatus::default() };
        SlotStatus {
            pre_prepared: slot.stage >= Stage::PrePrepared,
            prepared: slot.stage >= Stage::Prepared,
            committed: slot.stage >= Stage::Committed,
        }
    }

    /// Answers a peer's status with what it lacks.
    pub(super) fn on_status(&mut self, now: Instant, status: &Status, out: &mut Outbox<Message>) {
        let peer = status.body.replica;
        if peer == self.config.replica || !self.may_answer(peer, now) {
            return;
        }
        let mut again = Vec::new();
        self.repair_checkpoints(&status.body, &mut again);
        if status.body.view == self.view {
            self.repair_slots(now, &status.body, &mut again);
        }
        self.counters.messages_repeated += again.len() as u64;
        for message in again {
            out.push(Output::Relay { to: Recipients::One(peer), message });
        }
    }

    /// A status is answered at most twice a period, so that a flood of them buys no flood.
    fn may_answer(&mut self, peer: ReplicaId, now: Instant) -> bool {
        let Some(answered) = self.answered.get_mut(usize::from(peer.0)) else { return false };
        let rested = answered.is_none_or(|last| now.since(last) >= self.config.status_interval / 2);
        if rested {
            *answered = Some(now);
        }
        rested
    }

    /// A peer whose low watermark is behind gets the proof; one that executed as far as this
    /// replica's later checkpoints gets this replica's votes for them.
    fn repair_checkpoints(&self, status: &StatusStatement, again: &mut Vec<Message>) {
        if status.stable < self.log.low() {
            again.extend(self.checkpoints.certificate().iter().cloned().map(Message::Checkpoint));
        }
        let above = status.stable.max(self.log.low());
        let own = self.checkpoints.votes_of(self.config.replica, above);
        again.extend(own.cloned().map(Message::Checkpoint));
    }

    fn repair_slots(&self, now: Instant, status: &StatusStatement, again: &mut Vec<Message>) {
        let first = Seq(status.executed.0.max(self.log.forgotten().0) + 1);
        let last = self.log.last_heard().0.min(status.executed.0 + STATUS_SLOTS_MAX as u64);
        for seq in first.0..=last {
            let Some(slot) = self.log.slot(Seq(seq)) else { continue };
            let ripe =
                slot.since.is_some_and(|since| now.since(since) >= self.config.status_interval);
            if ripe {
                let listed = usize::try_from(seq - status.executed.0 - 1).ok();
                let peer_has = listed.and_then(|place| status.slots.get(place));
                let peer_has = peer_has.copied().unwrap_or_default();
                self.repair_slot(slot, peer_has, status.replica, again);
            }
        }
    }

    fn repair_slot(
        &self,
        slot: &Slot,
        peer_has: SlotStatus,
        peer: ReplicaId,
        again: &mut Vec<Message>,
    ) {
        let me = self.config.replica;
        if !peer_has.pre_prepared
            && self.repairs_proposals_for(peer)
            && let Some((signed, batch)) = &slot.offered
        {
            again.push(Message::PrePrepare(*signed, batch.clone()));
        }
        if !peer_has.prepared {
            again.extend(slot.prepares.of(me).cloned().map(Message::Prepare));
        }
        if !peer_has.committed {
            again.extend(slot.commits.of(me).cloned().map(Message::Commit));
        }
    }

    /// Proposals are large: only the primary and the peer's next neighbour send them again, so a
    /// proposal that reached one backup survives the primary without costing n copies.
    fn repairs_proposals_for(&self, peer: ReplicaId) -> bool {
        let n = self.config.committee.n();
        let next = (usize::from(peer.0) + 1) % n;
        self.is_primary() || usize::from(self.config.replica.0) == next
    }
}
