//! Opening a view, and entering it (PBFT 4.4).
//!
//! The primary of the view shows the VIEW-CHANGEs of a quorum and what follows from them: the
//! checkpoint to begin from, and what is ordered again above it. Every replica computes the same
//! ([`super::view_message::Plan`]) and takes nothing else.
//!
//! A value that was committed is never lost: a quorum prepared it, any quorum of VIEW-CHANGEs shares
//! an honest replica with that one, and this replica's certificate is of the highest view, because
//! each later view ordered the same digest again for the same reason.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::certificate::CheckpointCertificate;
use super::journal::Record;
use super::log::Offer;
use super::message::Message;
use super::replica::Pbft;
use super::statement::ViewPhase;
use super::view_message::{NewView, NewViewBody, Plan, ViewChange};
use crate::engine::{Outbox, Recipients};
use crate::request::Batch;
use crate::types::{Seq, View};

/// The most waiting requests that a backup sends to the primary at once.
const FORWARDS_MAX: usize = 1024;
/// How often it does so while the timeout runs.
pub(super) const FORWARDS_A_TIMEOUT: u32 = 4;

impl Pbft {
    /// PBFT 4.4: "when the primary p of view v + 1 receives 2f valid view-change messages for view
    /// v + 1 from other replicas, it multicasts a <NEW-VIEW, v+1, V, O> message". Its own stands
    /// among them, once it is sealed.
    pub(super) fn open_view(&mut self, out: &mut Outbox<Message>) {
        let (me, quorum) = (self.config.replica, self.config.committee.quorum());
        let own = self.view_changes.of(me).filter(|own| own.body().view == self.view);
        if !self.is_primary() || self.opened_view >= self.view {
            return;
        }
        let Some(own) = own else { return };
        let others = self.view_changes.for_view(self.view);
        let others = others.filter(|change| change.body().replica != me).take(quorum - 1);
        let mut view_changes: Vec<ViewChange> =
            others.chain([own]).map(|change| ViewChange::clone(change)).collect();
        if view_changes.len() < quorum {
            return;
        }
        view_changes.sort_by_key(|change| change.body().replica);
        let plan = Plan::of(&view_changes);
        let pre_prepares = plan.pre_prepares(self.view, me);
        let pre_prepares = pre_prepares.map(quorumark_primitives::signed::Signed::blank).collect();
        let body = NewViewBody { view: self.view, view_changes, pre_prepares, replica: me };
        let new_view = Arc::new(NewView::blank(body));
        debug_assert!(new_view.plan(&self.config).is_some(), "an own new-view is valid");
        self.opened_view = self.view;
        self.journal.write(out, || Record::NewView(Arc::clone(&new_view)));
        self.counters.new_views_said += 1;
        self.say(Message::NewView(new_view), out);
    }

    /// Takes a NEW-VIEW, if it is valid; one that is not leaves the timer running.
    pub(super) fn on_new_view(&mut self, new_view: Arc<NewView>, out: &mut Outbox<Message>) {
        let view = new_view.body().view;
        let has_one = view == self.view && self.phase() != ViewPhase::Changing;
        if view < self.view || has_one {
            self.counters.messages_out_of_reach += 1;
            let kept = self.new_view.clone().filter(|_| has_one);
            let own = new_view.body().replica == self.config.replica;
            if own && kept.as_ref().is_some_and(|first| first.digest() == new_view.digest()) {
                return self.opened_again(new_view, out);
            }
            if let Some(first) = kept
                && first.digest() != new_view.digest()
                && first.body().replica == new_view.body().replica
            {
                let replica = first.body().replica;
                let (first, second) = (Message::NewView(first), Message::NewView(new_view));
                self.accuse(replica, first, second, out);
            }
            return;
        }
        if new_view.plan(&self.config).is_none() {
            self.counters.new_views_rejected += 1;
            return;
        }
        if view > self.view {
            // A quorum has left for this view: there is nothing to wait for.
            self.leave_view(out);
            self.view = view;
        }
        self.new_view = Some(new_view);
        self.enter_when_ready(out);
    }

    /// PBFT 4.4: enters the view whose NEW-VIEW is here, once this replica has the state at min-s.
    /// Until then the NEW-VIEW is kept; no further message is needed to enter.
    pub(super) fn enter_when_ready(&mut self, out: &mut Outbox<Message>) {
        if self.phase() != ViewPhase::Opened {
            return;
        }
        let Some(new_view) = self.new_view.clone() else { return };
        let target = new_view.checkpoint();
        if self.needs_state(target) {
            // The proof of min-s makes it stable here, if this replica has executed so far.
            target.signed().for_each(|vote| self.on_checkpoint(vote, out));
            self.consider_state(target, out);
        }
        if !self.needs_state(target)
            && let Some(plan) = new_view.plan(&self.config)
        {
            self.enter(&new_view, &plan, out);
        }
    }

    /// Whether this replica is behind the checkpoint that a new view begins from: it needs the state
    /// at `target`, or what is committed up to it.
    pub(super) fn needs_state(&self, target: &CheckpointCertificate) -> bool {
        self.log.low() < target.seq
    }

    fn enter(&mut self, new_view: &Arc<NewView>, plan: &Plan, out: &mut Outbox<Message>) {
        let view = self.view;
        assert!(view == new_view.body().view && !self.active, "{view} is entered once");
        if !self.is_primary() {
            self.journal.write(out, || Record::NewView(Arc::clone(new_view)));
        }
        self.journal.write(out, || Record::View { view, active: true });
        self.active = true;
        self.opened = plan.max_s;
        self.proposed = plan.max_s;
        self.timer.entered_view(self.now);
        self.watch.progressed(self.now, &self.config);
        self.counters.views_entered += 1;
        self.order_again(new_view, plan);
        for seq in plan.min_s.0 + 1..=plan.max_s.0 {
            self.advance(Seq(seq), out);
        }
        for message in self.early.take(view) {
            self.on_message(message, out);
        }
        self.fetch.begin(self.now);
        self.fetch_bodies(out);
        self.next_forward = self.now;
        self.forward_waiting(out);
    }

    /// Puts O into the log, with the bodies that are here. What is ordered again waits no more.
    pub(super) fn order_again(&mut self, new_view: &NewView, plan: &Plan) {
        let null = Arc::new(Batch::null());
        for (signed, digest) in new_view.body().pre_prepares.iter().zip(&plan.digests) {
            let Some(slot) = self.log.slot_mut(signed.body.seq) else { continue };
            let batch = match *digest == null.digest() {
                true => Some(Arc::clone(&null)),
                false => slot.body(*digest).map(|body| body.whole()),
            };
            let ordered = batch.iter().flat_map(|batch| batch.requests());
            ordered.for_each(|request| self.batcher.ordered(request.id()));
            slot.offered = Some(Offer { signed: *signed, batch, by_new_view: true });
        }
    }

    /// A backup passes on what waits here and may not have reached the primary: at once when it
    /// enters a view, and then what has waited for a quarter of the timeout.
    pub(super) fn forward_waiting(&mut self, out: &mut Outbox<Message>) {
        if self.next_forward().is_none_or(|due| due > self.now) {
            return;
        }
        let pause = self.timer.timeout() / FORWARDS_A_TIMEOUT;
        let entered = self.timer.entered();
        let ripe = |since| since <= entered || self.now.since(since) >= pause;
        let waiting = self.batcher.waiting().take_while(|(since, _)| ripe(*since));
        let requests: Vec<_> =
            waiting.take(FORWARDS_MAX).map(|(_, request)| request.clone()).collect();
        self.next_forward = self.now + pause;
        self.counters.requests_forwarded += requests.len() as u64;
        let to = Recipients::One(self.primary());
        requests.into_iter().for_each(|request| self.relay(to, Message::Request(request), out));
    }

    /// When it does so next.
    pub(super) fn next_forward(&self) -> Option<crate::types::Instant> {
        let watches = self.active && !self.is_primary() && self.batcher.len() > 0;
        watches.then_some(self.next_forward)
    }

    /// The view whose NEW-VIEW this replica keeps while it lacks the state to begin from, and the
    /// checkpoint that it needs.
    pub fn awaited_state(&self) -> Option<(View, Seq)> {
        let new_view = self.new_view.as_ref().filter(|_| self.phase() == ViewPhase::Opened)?;
        Some((self.view, new_view.checkpoint().seq))
    }
}
