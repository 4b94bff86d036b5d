//! Standing again where this replica stood, from its journal (PROTOCOLS: durability).
//!
//! Everything that a replica says is written before it is sent, so whatever it may have said is
//! among the records. It says all of that again that its view can still use: sealing is
//! deterministic, so a repeat is byte for byte what went out before, and peers that lack it get it.
//!
//! - *Stable*: the last one is where it begins; the client table is in it, the application is the
//!   driver's.
//! - *Accepted* above it: a backup has prepared this, a primary has proposed it.
//! - *Prepared*: it has committed to this, and can show why in a VIEW-CHANGE.
//! - *View*, *ViewChange*, *NewView*: the view that it is in, and what it said to get there.
//!
//! A primary's own words stand in the records unsigned. They are not put back into the log but said
//! again, and get there when they return sealed, as they did the first time: no certificate ever
//! holds a blank signature.
//!
//! A checkpoint vote needs no record: executing the same batches again gives the same state.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use quorumark_primitives::signed::Signed;

use super::certificate::PreparedCertificate;
use super::journal::{Record, StableRecord};
use super::log::{Offer, Stage};
use super::message::Message;
use super::rejoin::Rejoin;
use super::replica::Pbft;
use super::statement::{Commit, PrePrepare, Prepare, ViewPhase};
use super::view_message::{NewView, ViewChange};
use crate::client_table::{ClientTable, Pieces};
use crate::engine::Outbox;
use crate::request::{Authentic, Batch};
use crate::types::{Seq, View};

/// What was said in the view that the records lead to, and has to be said again.
#[derive(Debug, Default)]
struct Spoken {
    /// Own proposals, by sequence number, still unsigned.
    proposals: BTreeMap<Seq, (Signed<PrePrepare>, Arc<Batch>)>,
    view_change: Option<Arc<ViewChange>>,
    /// The own NEW-VIEW, still unsigned.
    new_view: Option<Arc<NewView>>,
}

impl Pbft {
    /// Takes up the records of an earlier life, oldest first.
    ///
    /// # Panics
    /// When a record is not as this replica wrote it: a disk that changes what it holds makes a
    /// replica faulty, and is found out below the engine, by checksums.
    pub(super) fn on_recovered(&mut self, records: Vec<Record>, out: &mut Outbox<Message>) {
        self.journal.resume(records.len() as u64);
        let stable = records.iter().rev().find_map(|record| match record {
            Record::Stable(stable) => Some(Arc::clone(stable)),
            _ => None,
        });
        if let Some(stable) = stable {
            self.recover_stable(&stable);
        }
        let mut spoken = Spoken::default();
        for record in records {
            match record {
                Record::Stable(_) => {}
                Record::Abstains(abstains) => {
                    let begin = || Rejoin::new(self.now, self.config.committee);
                    self.rejoin = abstains.then(begin);
                }
                Record::Accepted(signed, batch) => {
                    self.recover_accepted(*signed, batch, &mut spoken)
                }
                Record::Prepared(certificate) => self.recover_prepared(*certificate, &mut spoken),
                Record::View { view, active: false } => self.recover_left(view, &mut spoken, out),
                Record::View { view, active: true } => self.recover_entered(view, &spoken),
                Record::ViewChange(view_change) => spoken.view_change = Some(view_change),
                Record::NewView(new_view) => self.recover_new_view(new_view, &mut spoken, out),
            }
        }
        self.read_beyond_recovery();
        self.say_again(spoken, out);
    }

    fn recover_stable(&mut self, stable: &StableRecord) {
        let StableRecord { certificate, application, clients, parts } = stable;
        let empty = ClientTable::new(self.config.table_limits());
        let parts = (0..).zip(parts.iter().map(Pieces::joined)).collect();
        let table = empty.restored(certificate.seq, *clients, &parts);
        self.clients = table.expect("a client table is read back as it was written");
        self.stand_at(certificate, *application);
    }

    /// PBFT 4.2: it was accepted, in the view that the records have come to.
    fn recover_accepted(
        &mut self,
        signed: Signed<PrePrepare>,
        batch: Arc<Batch>,
        spoken: &mut Spoken,
    ) {
        let PrePrepare { view, seq, replica, .. } = signed.body;
        if view != self.view || seq <= self.log.low() {
            return;
        }
        let by_new_view = seq <= self.opened;
        if replica == self.config.replica && !by_new_view {
            self.proposed = self.proposed.max(seq);
            batch.requests().for_each(|request| self.batcher.ordered(request.id()));
            spoken.proposals.insert(seq, (signed, batch));
            return;
        }
        self.recover_offer(signed, batch, by_new_view, Stage::PrePrepared);
    }

    fn recover_offer(
        &mut self,
        signed: Signed<PrePrepare>,
        batch: Arc<Batch>,
        by_new_view: bool,
        stage: Stage,
    ) {
        let committee = self.config.committee;
        batch.requests().for_each(|request| self.batcher.ordered(request.id()));
        let now = self.now;
        let Some(slot) = self.log.slot_mut(signed.body.seq) else { return };
        // What was accepted before was authentic then, whoever vouched for it.
        slot.accepted = Authentic::by_vouchers(&batch, committee.quorum(), committee);
        slot.offered = Some(Offer { signed, batch: Some(batch), by_new_view });
        slot.stage = stage;
        slot.since = Some(now);
    }

    /// PBFT 4.2: it was prepared, by this certificate.
    fn recover_prepared(&mut self, certificate: PreparedCertificate, spoken: &mut Spoken) {
        let (view, seq) = (certificate.view(), certificate.seq());
        if view != self.view || seq <= self.log.low() {
            return;
        }
        let by_new_view = seq <= self.opened;
        // The certificate holds an own proposal as it was sealed.
        let own = spoken.proposals.remove(&seq).map(|(_, batch)| batch);
        let known = self.log.slot(seq).and_then(|slot| slot.body(certificate.digest()));
        let known = known.map(|body| body.whole());
        let batch = own.or(known).expect("a batch is written before it is prepared");
        let pre_prepare = certificate.pre_prepare;
        self.recover_offer(pre_prepare, batch, by_new_view, Stage::Prepared);
        let Some(slot) = self.log.slot_mut(seq) else { return };
        let digest = certificate.digest();
        for voucher in &certificate.prepares {
            let (replica, signature) = (voucher.replica, voucher.signature);
            slot.prepares.cast(Signed { body: Prepare { view, seq, digest, replica }, signature });
        }
    }

    fn recover_left(&mut self, view: View, spoken: &mut Spoken, out: &mut Outbox<Message>) {
        self.leave_view(out);
        for (_, batch) in core::mem::take(&mut spoken.proposals).into_values() {
            self.admit_again(&batch);
        }
        *spoken = Spoken::default();
        (self.view, self.new_view) = (view, None);
    }

    fn recover_new_view(
        &mut self,
        new_view: Arc<NewView>,
        spoken: &mut Spoken,
        out: &mut Outbox<Message>,
    ) {
        let view = new_view.body().view;
        if view > self.view {
            self.recover_left(view, spoken, out);
        }
        if new_view.body().replica == self.config.replica {
            self.opened_view = view;
            spoken.new_view = Some(Arc::clone(&new_view));
        }
        self.new_view = Some(new_view);
    }

    fn recover_entered(&mut self, view: View, spoken: &Spoken) {
        let new_view = self.new_view.clone().filter(|kept| kept.body().view == view);
        let plan = new_view.as_ref().and_then(|kept| kept.plan(&self.config));
        let (Some(new_view), Some(plan)) = (new_view, plan) else { return };
        self.active = true;
        self.opened = plan.max_s;
        self.proposed = plan.max_s;
        self.timer.entered_view(self.now);
        if spoken.new_view.is_none() {
            self.order_again(&new_view, &plan);
        }
    }

    /// The own NEW-VIEW of the view that this replica is in came back sealed, after a restart: what
    /// it orders is put into the log.
    pub(super) fn opened_again(&mut self, new_view: Arc<NewView>, out: &mut Outbox<Message>) {
        let Some(plan) = new_view.plan(&self.config) else { return };
        self.order_again(&new_view, &plan);
        self.new_view = Some(new_view);
        for seq in plan.min_s.0 + 1..=plan.max_s.0 {
            self.advance(Seq(seq), out);
        }
        // One that still lacks the state asks for bodies once it enters the view.
        if self.active {
            self.fetch.begin(self.now);
            self.fetch_bodies(out);
        }
    }

    /// Says again what the view that it is in can use.
    fn say_again(&mut self, spoken: Spoken, out: &mut Outbox<Message>) {
        if self.phase() == ViewPhase::Changing {
            match spoken.view_change {
                Some(view_change) => self.say(Message::ViewChange(view_change), out),
                None => self.say_view_change(out),
            }
        }
        if let Some(new_view) = spoken.new_view {
            // Until it returns sealed, it is not here.
            if !self.active {
                self.new_view = None;
            }
            self.say(Message::NewView(new_view), out);
        }
        for (signed, batch) in spoken.proposals.into_values() {
            self.say(Message::PrePrepare(Box::new(signed), batch), out);
        }
        self.say_votes_again(out);
    }

    /// Says its votes above the stable checkpoint, as far as it has come with each.
    pub(super) fn say_votes_again(&mut self, out: &mut Outbox<Message>) {
        let me = self.config.replica;
        let is_primary = self.is_primary();
        let above = self.log.slots().filter(|(seq, _)| *seq > self.log.low());
        let votes: Vec<_> = above
            .filter_map(|(_, slot)| {
                let body = slot.offered.as_ref()?.signed.body;
                Some((body, slot.stage))
            })
            .collect();
        for (PrePrepare { view, seq, digest, .. }, stage) in votes {
            if stage >= Stage::PrePrepared && !is_primary {
                let body = Prepare { view, seq, digest, replica: me };
                self.say(Message::Prepare(Signed::blank(body)), out);
            }
            if stage >= Stage::Prepared {
                let body = Commit { view, seq, digest, replica: me };
                self.say(Message::Commit(Signed::blank(body)), out);
            }
        }
    }
}
