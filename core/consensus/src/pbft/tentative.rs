//! Executing a batch before it is committed (OSDI'99 5.1; TOCS'02 5.1.2).
//!
//! A batch may be executed once it is prepared here, the state has everything before it, and all of
//! that is known to be committed. So at most one batch is ahead, and going back undoes one batch; the
//! paper goes back to a checkpoint instead. Its replies say that they are tentative: a client takes
//! such a result at a quorum of equal ones, and else asks again and waits for f + 1 that are not. When
//! the batch is committed its execution stands, and no second reply is sent.
//!
//! # Why what a client took is never undone
//! Of a quorum that answered in one view, n - 2f are honest and prepared the batch in that view, with
//! everything before it committed. Any quorum of VIEW-CHANGEs has one of them, and it shows the
//! certificate, in every later view; no other batch gets a higher one. So the batch is ordered again
//! at the same place, and its execution gives the same results. That holds
//! - of replies of *one* view: two views may have prepared two batches, each at too few;
//! - because the record of the certificate is durable before the reply leaves, as before a COMMIT;
//! - because a replica that abstains ([`super::rejoin`]), and shows nothing, executes nothing ahead.
//!
//! # When it is undone
//! Before a view is left, since the next may order another batch; before a state is fetched, since the
//! own one is its base; and where a certificate shows that another batch is committed in its place.
//!
//! # Everything else goes by what is committed
//! Timer, status, watermarks, journal and checkpoints do not know of the batch ahead. None is executed
//! ahead at the sequence number of a checkpoint, so the root that is signed is one of committed
//! batches. After a restart it was not executed. A read waits until what it would reflect is
//! committed; after an undo it waits for the same sequence number, because the batch there may have
//! been answered by others, and is committed then.

use alloc::sync::Arc;
use alloc::vec::Vec;

use quorumark_primitives::Digest;

use super::log::{Place, Slot, Stage};
use super::message::Message;
use super::replica::Pbft;
use crate::client_table::Standing;
use crate::engine::{Execution, Outbox, Output, StateWork};
use crate::request::Batch;
use crate::types::{ClientId, Seq, Timestamp};

/// The batch that is executed and not committed.
#[derive(Debug)]
pub(super) struct Ahead {
    digest: Digest,
    /// The places of its requests that were executed; the others are repeats.
    fresh: Vec<u32>,
}

impl Pbft {
    /// Executes the next batch, if it is prepared and all before it is committed and executed.
    pub(super) fn execute_ahead(&mut self, out: &mut Outbox<Message>) {
        if !self.may_go_ahead() {
            return;
        }
        let (seq, view) = (self.cursor.handed.next(), self.view);
        // PBFT 4.3: a checkpoint covers what is committed.
        if self.checkpoints.is_due(seq) || self.log.place(seq) != Place::Window {
            return;
        }
        let Some(batch) = self.log.slot(seq).and_then(prepared_batch) else { return };
        let fresh = self.begin(seq, &batch, false);
        self.cursor.ahead = Some(Ahead { digest: batch.digest(), fresh: fresh.clone() });
        self.counters.batches_tentative += 1;
        let (checkpoint, tentative, certificate) = (false, true, Arc::default());
        let execution = Execution { seq, view, batch, fresh, checkpoint, tentative, certificate };
        out.push(Output::Execute(execution));
    }

    /// Whether nothing stands in the way: a batch that is ahead already, one whose results are to
    /// come, or a state that is fetched. Reads that wait are asked before it, so none waits for more
    /// than one.
    fn may_go_ahead(&self) -> bool {
        self.config.tentative
            && self.active
            && !self.abstains()
            && self.cursor.ahead.is_none()
            && self.cursor.is_idle()
            && !self.transfer.is_under_way()
    }

    /// The next batch in order is committed, with this digest. Takes the one that is ahead, if it is
    /// that; another is undone.
    pub(super) fn take_ahead(
        &mut self,
        committed: Digest,
        out: &mut Outbox<Message>,
    ) -> Option<Ahead> {
        if self.cursor.ahead.as_ref().is_some_and(|ahead| ahead.digest != committed) {
            self.roll_back(out);
        }
        self.cursor.ahead.take()
    }

    /// What was executed ahead is committed: it stands. The places of the requests executed.
    pub(super) fn stand_by(&mut self, ahead: Ahead) -> Vec<u32> {
        // With its results still to come, it goes on like any other.
        if self.cursor.is_idle() {
            self.note_executed(self.cursor.handed, ahead.fresh.len());
        }
        ahead.fresh
    }

    /// Undoes what is executed ahead, if anything is.
    pub(super) fn roll_back(&mut self, out: &mut Outbox<Message>) {
        if self.cursor.ahead.take().is_none() {
            return;
        }
        let to = self.cursor.handed;
        // Nothing was handed out after it: if its results are to come, they are the last.
        if let Some(last) = self.cursor.in_flight.back_mut() {
            last.undone = true;
        }
        let gone_back = self.clients.rollback_to(to);
        assert!(
            gone_back,
            "the table keeps what it takes to go back to {to}, above all checkpoints"
        );
        self.reads.wait_for(to.next());
        self.counters.batches_rolled_back += 1;
        out.push(Output::State(StateWork::Rollback { to }));
    }

    /// Whether a request waits in vain: it was executed and that is committed, or never will be.
    pub(super) fn is_settled(&self, client: ClientId, timestamp: Timestamp) -> bool {
        match self.clients.standing(client, timestamp) {
            Standing::Fresh | Standing::Executing => false,
            Standing::Done { seq, .. } => seq <= self.cursor.handed,
            Standing::Stale => true,
        }
    }

    /// The sequence number that is executed and not committed.
    pub fn tentative(&self) -> Option<Seq> {
        self.cursor.ahead.as_ref().map(|_| self.cursor.handed.next())
    }
}

/// The batch of a slot that is prepared in this view, and not known to be committed.
fn prepared_batch(slot: &Slot) -> Option<Arc<Batch>> {
    let prepared = slot.stage == Stage::Prepared && !slot.is_committed();
    slot.accepted.as_ref().filter(|_| prepared).map(|accepted| Arc::clone(accepted.get()))
}
