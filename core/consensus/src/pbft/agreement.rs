//! The three phases of the normal case (PBFT 4.2), in whichever view the replica is.

use alloc::boxed::Box;
use alloc::sync::Arc;

use quorumark_primitives::signed::Signed;

use super::early::Kept;
use super::journal::Record;
use super::log::{Offer, Place, Stage};
use super::message::Message;
use super::replica::Pbft;
use super::statement::{Commit, PrePrepare, Prepare};
use super::votes::Cast;
use crate::engine::Outbox;
use crate::request::{Authentic, Batch, RequestView};
use crate::types::{ReplicaId, Seq, View};

impl Pbft {
    /// PBFT 4.2: a pre-prepare is accepted when its signature and digest are right, it is of this
    /// view and from its primary, n lies between the watermarks, and no other was accepted for
    /// the same view and n.
    pub(super) fn on_pre_prepare(
        &mut self,
        signed: Signed<PrePrepare>,
        batch: Arc<Batch>,
        out: &mut Outbox<Message>,
    ) {
        let body = signed.body;
        if body.replica != self.config.committee.primary(body.view) {
            self.counters.messages_improper += 1;
            return;
        }
        if body.replica == self.config.replica && body.view < self.view {
            // It was sealed while the view was left: nobody heard of it, and its requests wait on.
            self.admit_again(&batch);
        }
        let bytes = batch.request_bytes();
        let early = || Message::PrePrepare(Box::new(signed), Arc::clone(&batch));
        if !self.in_reach(body.replica, body.view, body.seq, bytes, early) {
            return;
        }
        let Some(slot) = self.log.slot_mut(body.seq) else { return };
        match &mut slot.offered {
            // The digest does not bind the proofs: a copy with good ones takes a doubtful one's
            // place. And what a new-view orders again may have come without its body.
            Some(first) if first.signed.body.digest == body.digest => {
                if slot.has_proposal() {
                    return;
                }
                if let Some(first) = &mut slot.offered {
                    first.batch = Some(batch);
                }
            }
            Some(_) => {
                // PBFT 4.2: the same view and sequence number with two digests. The first stands.
                let Some((first, kept)) = slot.proposal() else { return };
                let first = Message::PrePrepare(Box::new(first), kept.whole());
                let second = Message::PrePrepare(Box::new(signed), batch);
                self.accuse(body.replica, first, second, out);
                return;
            }
            None => {
                let size = batch.requests().len();
                let fits = (1..=self.config.batch_size_max).contains(&size)
                    && (size == 1 || bytes <= self.config.batch_bytes_max);
                // PBFT 4.4: what lies up to max-s the new-view alone orders.
                if !fits || body.digest != batch.digest() || body.seq <= self.opened {
                    self.counters.messages_improper += 1;
                    return;
                }
                slot.offered = Some(Offer { signed, batch: Some(batch), by_new_view: false });
            }
        }
        self.advance(body.seq, out);
    }

    pub(super) fn on_prepare(&mut self, signed: Signed<Prepare>, out: &mut Outbox<Message>) {
        let body = signed.body;
        let early = || Message::Prepare(signed);
        if !self.keeps_own(body.replica, body.view, body.seq)
            && !self.in_reach(body.replica, body.view, body.seq, 0, early)
        {
            return;
        }
        if body.replica == self.primary() {
            // PBFT 4.2: the primary's pre-prepare is its prepare; another one never counts.
            self.counters.messages_improper += 1;
            return;
        }
        let Some(slot) = self.log.slot_mut(body.seq) else { return };
        match slot.prepares.cast(signed) {
            Cast::New => self.advance(body.seq, out),
            Cast::Repeat => {}
            Cast::Conflict(first) => {
                let (first, second) = (Message::Prepare(first), Message::Prepare(signed));
                self.accuse(body.replica, first, second, out);
            }
        }
    }

    pub(super) fn on_commit(&mut self, signed: Signed<Commit>, out: &mut Outbox<Message>) {
        let body = signed.body;
        let early = || Message::Commit(signed);
        if !self.keeps_own(body.replica, body.view, body.seq)
            && !self.in_reach(body.replica, body.view, body.seq, 0, early)
        {
            return;
        }
        let Some(slot) = self.log.slot_mut(body.seq) else { return };
        match slot.commits.cast(signed) {
            Cast::New => self.advance(body.seq, out),
            Cast::Repeat => {}
            Cast::Conflict(first) => {
                let (first, second) = (Message::Commit(first), Message::Commit(signed));
                self.accuse(body.replica, first, second, out);
            }
        }
    }

    /// Whether a vote is this replica's own for a slot that is kept to repair peers: it was sealed
    /// while the watermark moved.
    fn keeps_own(&self, replica: ReplicaId, view: View, seq: Seq) -> bool {
        replica == self.config.replica
            && self.active
            && view == self.view
            && seq > self.log.forgotten()
            && self.log.place(seq) == Place::Past
    }

    /// Whether a message of agreement concerns a slot that is kept, in this view. One of a view that
    /// is still to be entered is kept for then; it carries `bytes` of requests.
    fn in_reach(
        &mut self,
        sender: ReplicaId,
        view: View,
        seq: Seq,
        bytes: usize,
        message: impl FnOnce() -> Message,
    ) -> bool {
        // PBFT 4.4: a replica that has left a view "stops accepting messages (other than checkpoint,
        // view-change, and new-view messages)".
        if view > self.view || (view == self.view && !self.active) {
            let kept = self.early.keep(sender, view, seq, message(), bytes);
            self.counters.messages_of_later_views += u64::from(kept == Kept::Yes);
            self.counters.messages_out_of_reach += u64::from(kept == Kept::No);
            return false;
        }
        let place = self.log.place(seq);
        let reachable = view == self.view
            && (matches!(place, Place::Window | Place::Early) || self.is_agreed_again(seq));
        self.counters.messages_out_of_reach += u64::from(!reachable);
        self.counters.messages_early += u64::from(reachable && place == Place::Early);
        reachable
    }

    /// Whether this view's new-view orders `seq` again although it is stable here: the others may
    /// still need this replica's votes for it.
    fn is_agreed_again(&self, seq: Seq) -> bool {
        seq <= self.opened && self.log.slot(seq).is_some_and(|slot| slot.offered.is_some())
    }

    /// Takes a slot as far as what it holds allows.
    pub(super) fn advance(&mut self, seq: Seq, out: &mut Outbox<Message>) {
        if !self.active || !(self.log.place(seq) == Place::Window || self.is_agreed_again(seq)) {
            return; // PBFT 4.2: acted on when the watermarks have moved up to it.
        }
        let committee = self.config.committee;
        let Some(slot) = self.log.slot(seq) else { return };
        let offer = slot.offered.as_ref().filter(|offer| offer.batch.is_some());
        if offer.is_none() || slot.stage == Stage::Committed {
            return; // Nothing to act on, or as far as a slot comes in a view.
        }
        let Some(slot) = self.log.slot_mut(seq) else { return };
        let Some(Offer { signed, batch: Some(batch), by_new_view }) = &slot.offered else { return };
        let digest = signed.body.digest;
        let prepares = slot.prepares.count_of(digest);
        if slot.stage == Stage::Open {
            let offered = *signed;
            if slot.contradicts(digest) {
                return; // Committed with another digest: more than f replicas are faulty.
            }
            // The primary vouches by its pre-prepare, the backups by their prepares; for what a
            // new-view orders again, those of the certificate that it shows.
            let vouchers = if *by_new_view { committee.quorum() } else { 1 + prepares };
            let accepted = Authentic::<Arc<Batch>>::by_own_check(batch)
                .or_else(|| Authentic::by_vouchers(batch, vouchers, committee));
            let Some(accepted) = accepted else { return };
            slot.accepted = Some(accepted);
            slot.stage = Stage::PrePrepared;
            slot.since = Some(self.now);
            let batch = Arc::clone(batch);
            self.accept(offered, batch, out);
        }
        let Some(slot) = self.log.slot_mut(seq) else { return };
        // PBFT 4.2: prepared(m, v, n, i) needs 2f (here quorum - 1) prepares from different
        // backups that match the pre-prepare. The primary's never got into the log.
        if slot.stage == Stage::PrePrepared && prepares >= committee.quorum() - 1 {
            slot.stage = Stage::Prepared;
            if self.journal.is_on()
                && let Some(proof) = slot.prepared_certificate(committee.quorum())
            {
                self.journal.write(out, || Record::Prepared(Box::new(proof)));
            }
            let body = Commit { view: self.view, seq, digest, replica: self.config.replica };
            self.say(Message::Commit(Signed::blank(body)), out);
        }
        // PBFT 4.2: committed-local(m, v, n, i) needs prepared and 2f + 1 (here quorum) matching
        // commits, possibly its own.
        let Some(slot) = self.log.slot_mut(seq) else { return };
        let commits = slot.commits.count_of(digest);
        if slot.stage == Stage::Prepared && commits >= committee.quorum() {
            slot.stage = Stage::Committed;
            self.hand_out(out);
        }
    }

    /// What follows from accepting a proposal: its requests are known, and a backup prepares it.
    fn accept(
        &mut self,
        offered: Signed<PrePrepare>,
        batch: Arc<Batch>,
        out: &mut Outbox<Message>,
    ) {
        let PrePrepare { view, seq, digest, .. } = offered.body;
        let is_primary = self.is_primary();
        // A request that this replica could not check by itself starts no timer.
        let waits = batch.requests().any(RequestView::is_checked);
        if !is_primary && waits && seq > self.cursor.handed {
            self.timer.accepted(self.now, seq);
        }
        // The primary wrote its own proposals when it made them, and has O in its NEW-VIEW, without
        // the bodies.
        if !is_primary || seq <= self.opened {
            self.journal.write(out, || Record::Accepted(Box::new(offered), batch));
        }
        if !is_primary {
            let body = Prepare { view, seq, digest, replica: self.config.replica };
            self.say(Message::Prepare(Signed::blank(body)), out);
        }
    }
}
