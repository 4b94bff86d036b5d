//! Leaving a view (PBFT 4.4): when, with what, and in whose company.
//!
//! A view is left when the timer expires ([`super::timer`]), or when f + 1 replicas have left for
//! later ones. What a replica says then is its stable checkpoint and every prepared certificate
//! above it. From that moment it takes part in no agreement until it enters a view
//! ([`super::new_view`]); checkpoints and repairs go on. Views only rise.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::bodies::Fetch;
use super::journal::Record;
use super::message::Message;
use super::replica::Pbft;
use super::statement::ViewPhase;
use super::view_message::{ViewChange, ViewChangeBody};
use crate::engine::Outbox;
use crate::request::{Authentic, Batch, SignedRequest};
use crate::types::{Instant, ReplicaId, View};

/// What became of a VIEW-CHANGE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Received {
    /// It is kept.
    New,
    /// It is there already, or its sender has gone on.
    Repeat,
    /// Its sender said another one for the same view, which stands.
    Conflict(Arc<ViewChange>),
}

/// The VIEW-CHANGE of the highest view of each replica: that bounds them.
#[derive(Debug)]
pub(super) struct ViewChanges {
    by_replica: Vec<Option<Arc<ViewChange>>>,
}

impl ViewChanges {
    pub(super) fn new(n: usize) -> ViewChanges {
        ViewChanges { by_replica: (0..n).map(|_| None).collect() }
    }

    fn receive(&mut self, view_change: Arc<ViewChange>) -> Received {
        let sender = usize::from(view_change.body().replica.0);
        let Some(place) = self.by_replica.get_mut(sender) else { return Received::Repeat };
        match place {
            Some(kept) if kept.body().view > view_change.body().view => Received::Repeat,
            Some(kept) if kept.body().view == view_change.body().view => {
                match kept.digest() == view_change.digest() {
                    true => Received::Repeat,
                    false => Received::Conflict(Arc::clone(kept)),
                }
            }
            _ => {
                *place = Some(view_change);
                Received::New
            }
        }
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.by_replica.iter().flatten().count()
    }

    /// That of `replica`.
    pub(super) fn of(&self, replica: ReplicaId) -> Option<&Arc<ViewChange>> {
        self.by_replica.get(usize::from(replica.0))?.as_ref()
    }

    /// Those for exactly `view`, in the order of their senders.
    pub(super) fn for_view(&self, view: View) -> impl Iterator<Item = &Arc<ViewChange>> {
        self.by_replica.iter().flatten().filter(move |kept| kept.body().view == view)
    }

    /// How many replicas have left for `view` or a later one.
    fn left_for(&self, view: View) -> usize {
        self.by_replica.iter().flatten().filter(|kept| kept.body().view >= view).count()
    }

    /// PBFT 4.4 (4.5.2 of TOCS'02): with VIEW-CHANGEs of f + 1 replicas for views above `view`, one
    /// of them honest, a replica joins "the smallest view in the set".
    fn to_join(&self, view: View, weak_quorum: usize) -> Option<View> {
        let above = self.by_replica.iter().flatten().map(|kept| kept.body().view);
        let above = above.filter(|later| *later > view);
        (above.clone().count() >= weak_quorum).then(|| above.min()).flatten()
    }
}

impl Pbft {
    /// How far this replica is in its view.
    pub(super) fn phase(&self) -> ViewPhase {
        match (self.active, &self.new_view) {
            (true, _) => ViewPhase::Active,
            (false, Some(_)) => ViewPhase::Opened,
            (false, None) => ViewPhase::Changing,
        }
    }

    /// When this replica leaves the view that it is in, or gives up the one it moves to.
    pub(super) fn patience_ends(&self) -> Option<Instant> {
        match self.phase() {
            // It may not say so: it follows the others.
            _ if self.abstains() => None,
            // PBFT 4.4: backups watch the primary.
            ViewPhase::Active if self.is_primary() => None,
            ViewPhase::Active => {
                let oldest = self.batcher.oldest().map(|(since, _)| *since);
                self.timer.while_active(oldest, self.cursor.handed)
            }
            // It is this replica that is late. Should the view fail, f + 1 others leave it.
            ViewPhase::Opened | ViewPhase::Rejoining => None,
            ViewPhase::Changing => self.timer.while_changing(),
        }
    }

    /// PBFT 4.4: "if the timer of backup i expires in view v, the backup starts a view change to
    /// move the system to view v + 1".
    pub(super) fn lose_patience(&mut self, out: &mut Outbox<Message>) {
        if self.patience_ends().is_some_and(|due| due <= self.now) {
            self.counters.timeouts += 1;
            self.move_to(self.view.next(), out);
        }
    }

    /// PBFT 4.4: `<VIEW-CHANGE, v+1, n, C, P, i>`.
    fn move_to(&mut self, view: View, out: &mut Outbox<Message>) {
        assert!(view > self.view, "views only rise: {} to {view}", self.view);
        self.leave_view(out);
        (self.view, self.new_view) = (view, None);
        self.journal.write(out, || Record::View { view, active: false });
        self.say_view_change(out);
    }

    /// Says why it left for the view that it moves to. Also after a restart, where the journal ends
    /// between the two records: then nothing was said yet.
    pub(super) fn say_view_change(&mut self, out: &mut Outbox<Message>) {
        let view = self.view;
        let certificates = self.log.slots().filter(|(seq, _)| *seq > self.log.low());
        let prepared = certificates.filter_map(|(_, slot)| slot.prepared.as_deref().cloned());
        let prepared: Vec<_> = prepared.collect();
        self.counters.certificates_said += prepared.len() as u64;
        let checkpoint = self.checkpoints.proof(self.log.low());
        let replica = self.config.replica;
        let body = ViewChangeBody { view, checkpoint, prepared, replica };
        let view_change = Arc::new(ViewChange::blank(body));
        debug_assert!(view_change.is_valid(&self.config), "an own view-change is valid");
        self.journal.write(out, || Record::ViewChange(Arc::clone(&view_change)));
        self.counters.view_changes_said += 1;
        self.say(Message::ViewChange(view_change), out);
    }

    /// Keeps of the view what outlives it: certificates, bodies, and the requests that were on
    /// their way.
    pub(super) fn leave_view(&mut self, out: &mut Outbox<Message>) {
        // OSDI'99 5.1: what was executed tentatively may abort, where the new view has a null request
        // in its place.
        self.roll_back(out);
        self.timer.left_view();
        self.watch.progressed(self.now, &self.config);
        if !self.active {
            return;
        }
        self.active = false;
        self.fetch = Fetch::default();
        let quorum = self.config.committee.quorum();
        self.log.slots_mut().for_each(|(_, slot)| slot.leave(quorum));
        self.batcher.disorder();
        let unexecuted = self.log.slots().filter(|(seq, _)| *seq > self.cursor.handed);
        let bodies = unexecuted.flat_map(|(_, slot)| slot.bodies()).cloned();
        let bodies: Vec<Arc<Batch>> = bodies.collect();
        bodies.iter().for_each(|batch| self.admit_again(batch));
    }

    /// Requests of a proposal that may come to nothing wait again, so that the next primary orders
    /// them. What is above the bounds of waiting requests is left to its client.
    pub(super) fn admit_again(&mut self, batch: &Batch) {
        for request in batch.requests() {
            let (client, timestamp) = request.id();
            // Copied: as views, a few that wait would hold the whole batch, and be counted as a few.
            if self.clients.is_fresh(client, timestamp)
                && let Some(request) = Authentic::<SignedRequest>::by_own_check(request.apart())
            {
                self.batcher.admit(self.now, request);
            }
        }
    }

    /// Takes a VIEW-CHANGE: perhaps it is time to join, to start the timer, or to open the view.
    pub(super) fn on_view_change(
        &mut self,
        view_change: Arc<ViewChange>,
        out: &mut Outbox<Message>,
    ) {
        let view = view_change.body().view;
        if view < self.view || (view == self.view && self.active) {
            self.counters.messages_out_of_reach += 1;
            return; // Views only rise: a replay changes nothing.
        }
        if !view_change.is_valid(&self.config) {
            self.counters.messages_improper += 1;
            return;
        }
        match self.view_changes.receive(Arc::clone(&view_change)) {
            Received::New => {}
            Received::Repeat => return,
            Received::Conflict(first) => {
                let second = Message::ViewChange(view_change);
                let replica = first.body().replica;
                self.accuse(replica, Message::ViewChange(first), second, out);
                return;
            }
        }
        if self.abstains() {
            return; // It may not leave a view; it enters one that a NEW-VIEW opens.
        }
        let committee = self.config.committee;
        while let Some(joined) = self.view_changes.to_join(self.view, committee.weak_quorum()) {
            self.counters.views_joined += 1;
            self.move_to(joined, out);
        }
        if self.phase() == ViewPhase::Changing {
            if self.view_changes.left_for(self.view) >= committee.quorum() {
                self.timer.quorum_left(self.now);
            }
            self.open_view(out);
        }
    }
}
