//! Bodies by digest (PBFT 4.4): what a new view orders again names batches that a replica may never
//! have seen.
//!
//! Until the body is here nothing is prepared. A certificate names replicas that accepted the batch,
//! most of them honest; those are asked, one at a time at first, then everybody. A body is taken
//! only where its digest is waited for. What a fetch can cause is bounded as for a status: by a
//! budget of bytes, twice an interval at most, and by a rising round.
//!
//! Beside it stands what a replica of another view gets that lacks a committed batch: the batch with
//! its commit certificate, which holds in every view.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::signed::Signed;

use super::certificate::{CommitCertificate, Voucher};
use super::log::{Body, Committed, Place};
use super::message::Message;
use super::repair::ANSWER_BATCHES;
use super::replica::Pbft;
use super::statement::{FETCH_DIGESTS_MAX, FetchStatement};
use crate::engine::{Outbox, Output, Recipients};
use crate::request::Batch;
use crate::types::{Instant, ReplicaId, Seq};

/// Fetches that go to one replica, before all are asked.
const POLITE_ATTEMPTS: usize = 2;

/// When bodies are asked for next.
#[derive(Debug, Default)]
pub(super) struct Fetch {
    /// `None` while nothing is missing.
    next: Option<Instant>,
    attempt: usize,
}

impl Fetch {
    /// A view is entered: what is missing is asked for at once.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Fetch { next: Some(now), attempt: 0 };
    }

    /// When it is time to ask.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }
}

impl Pbft {
    /// Asks for what this view orders again and is not here, when it is time to.
    pub(super) fn fetch_bodies(&mut self, out: &mut Outbox<Message>) {
        if !self.active || self.fetch.next.is_none_or(|due| due > self.now) {
            return;
        }
        let missing: Vec<(Seq, Digest)> = self.missing_bodies().take(FETCH_DIGESTS_MAX).collect();
        let Some(first) = missing.first() else {
            self.fetch.next = None;
            return;
        };
        let to = self.holder(*first).map_or(Recipients::Others, Recipients::One);
        self.fetch.attempt += 1;
        self.fetch.next = Some(self.now + self.config.status_interval);
        self.counters.bodies_asked += missing.len() as u64;
        let body = FetchStatement {
            round: self.now.0,
            digests: missing.into_iter().map(|(_, digest)| digest).collect(),
            replica: self.config.replica,
        };
        let message = Message::Fetch(Signed::blank(body));
        let after = self.journal.position();
        out.push(Output::Say { to, message, after });
    }

    fn missing_bodies(&self) -> impl Iterator<Item = (Seq, Digest)> {
        let low = self.log.low();
        let open = self.log.slots().filter(move |(seq, _)| *seq > low);
        open.filter_map(|(seq, slot)| {
            let offer = slot.offered.as_ref().filter(|offer| offer.batch.is_none())?;
            Some((seq, offer.signed.body.digest))
        })
    }

    /// Who is asked in this attempt: a replica that prepared it. `None`: everybody.
    fn holder(&self, (seq, digest): (Seq, Digest)) -> Option<ReplicaId> {
        if self.fetch.attempt >= POLITE_ATTEMPTS {
            return None;
        }
        let certificate = self.new_view.as_ref()?.certificate(seq, digest)?;
        let signers = certificate.prepares.iter().map(|Voucher { replica, .. }| *replica);
        signers.filter(|signer| *signer != self.config.replica).nth(self.fetch.attempt)
    }

    /// Answers a peer with the bodies that are here.
    pub(super) fn on_fetch(&mut self, fetch: &Signed<FetchStatement>, out: &mut Outbox<Message>) {
        let (peer, round) = (fetch.body.replica, fetch.body.round);
        if peer == self.config.replica
            || !self.watch.may_answer_fetch(peer, round, self.now, &self.config)
        {
            return;
        }
        let mut budget = ANSWER_BATCHES * self.config.batch_bytes_max;
        // Each once, however often it is asked for: a packed one is decoded to be said.
        let mut asked = BTreeSet::new();
        let digests = fetch.body.digests.iter().filter(|digest| asked.insert(**digest));
        let known = |digest: &Digest| self.log.slots().find_map(|(_, slot)| slot.body(*digest));
        let mut bodies: Vec<Body> = digests.filter_map(known).collect();
        bodies.retain(|batch| match budget.checked_sub(batch.bytes()) {
            Some(rest) => {
                budget = rest;
                true
            }
            None => false,
        });
        self.counters.messages_repeated += bodies.len() as u64;
        let to = Recipients::One(peer);
        bodies.iter().for_each(|batch| self.relay(to, Message::Body(batch.whole()), out));
    }

    /// Takes a body where it is waited for.
    pub(super) fn on_body(&mut self, batch: &Arc<Batch>, out: &mut Outbox<Message>) {
        let digest = batch.digest();
        let wanted = self.missing_bodies().filter(|(_, missing)| *missing == digest);
        let wanted: Vec<Seq> = wanted.map(|(seq, _)| seq).collect();
        self.counters.bodies_unasked += u64::from(wanted.is_empty());
        for seq in wanted {
            if let Some(offer) = self.log.slot_mut(seq).and_then(|slot| slot.offered.as_mut()) {
                offer.batch = Some(Arc::clone(batch));
            }
            batch.requests().for_each(|request| self.batcher.ordered(request.id()));
            self.advance(seq, out);
        }
    }

    /// Takes a committed batch with its proof: it is executed in its turn, whatever the view.
    ///
    /// PBFT 4.2: a quorum that said commit prepared this digest, so no other can be committed.
    pub(super) fn on_committed(
        &mut self,
        certificate: Arc<CommitCertificate>,
        batch: Arc<Batch>,
        out: &mut Outbox<Message>,
    ) {
        let seq = certificate.seq;
        let in_window = self.log.place(seq) == Place::Window;
        if !certificate.is_valid(self.config.committee) || certificate.digest != batch.digest() {
            self.counters.messages_improper += 1;
            return;
        }
        let Some(slot) = self.log.slot_mut(seq) else { return };
        if !in_window || seq <= self.cursor.handed || slot.is_committed() {
            self.counters.messages_out_of_reach += 1;
            return;
        }
        slot.committed = Some(Committed { certificate, batch: Body::Whole(batch) });
        self.hand_out(out);
    }
}
