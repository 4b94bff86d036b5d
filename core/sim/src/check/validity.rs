//! Validity: only what a client signed is executed.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorumark_consensus::types::{ClientId, ReplicaId, Seq, Timestamp};
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Tag;

use super::Checker;
use super::finding::{Findings, Violation};
use super::kinds::Kinds;
use super::recent::{REQUESTS_KEPT, Recent};
use super::reference::FACTS_KEPT;
use super::ring::Ring;
use super::run::{Run, Seen};
use crate::trace::{Auth, Fact, FactKind, Ordered, Submitted};

static REQUEST: Tag = Tag::new(b"quorumark/request");
static BATCH: Tag = Tag::new(b"quorumark/batch");

/// Every request that an honest replica commits or executes was submitted by its client, with that
/// very digest; and the digest that was voted for binds these requests in this order. Without client
/// authentication nothing is decided.
#[derive(Debug)]
pub(super) struct Validity {
    submitted: Recent<(ClientId, Timestamp, Digest), ()>,
    /// Of each client, the latest request that is no more remembered.
    forgotten: BTreeMap<ClientId, Timestamp>,
    /// Batches that were found valid.
    valid: Ring<(Digest, Arc<[Ordered]>)>,
}

impl Default for Validity {
    fn default() -> Validity {
        Validity {
            submitted: Recent::new(REQUESTS_KEPT),
            forgotten: BTreeMap::new(),
            valid: Ring::new(FACTS_KEPT),
        }
    }
}

/// A batch at a replica.
struct Held<'a> {
    replica: ReplicaId,
    seq: Seq,
    digest: Digest,
    requests: &'a Arc<[Ordered]>,
}

impl Checker for Validity {
    fn hears(&self) -> Kinds {
        Kinds::of(&[FactKind::Submitted, FactKind::Committed, FactKind::Executed])
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        if run.header.auth == Auth::None {
            return;
        }
        let (replica, seq, digest, requests) = match &seen.event.fact {
            Fact::Submitted(it) => return self.submit(it, seen, found),
            Fact::Committed(it) => (it.replica, it.seq, it.digest, &it.requests),
            Fact::Executed(it) => (it.replica, it.seq, it.digest, &it.requests),
            _ => return,
        };
        if run.is_honest(replica) {
            self.hold(&Held { replica, seq, digest, requests }, seen, found);
        }
    }
}

impl Validity {
    fn submit(&mut self, it: &Submitted, seen: &Seen<'_>, found: &mut Findings) {
        found.decide(request_digest(it) == it.digest, || {
            let what = format!("{}'s {} has another digest than told", it.client, it.timestamp);
            Violation::shown_by(vec![seen.exhibit()], Vec::new(), what)
        });
        let key = (it.client, it.timestamp, it.digest);
        if let Some((client, timestamp, _)) = self.submitted.insert(key, ()) {
            let until = self.forgotten.entry(client).or_insert(timestamp);
            *until = timestamp.max(*until);
        }
    }

    fn hold(&mut self, held: &Held<'_>, seen: &Seen<'_>, found: &mut Findings) {
        let known = self.valid.get(held.seq.0);
        if known.is_some_and(|(digest, all)| *digest == held.digest && all == held.requests) {
            return found.held();
        }
        let Held { replica, seq, digest, requests } = held;
        let binds =
            batch_digest(requests) == *digest || (requests.is_empty() && *digest == Digest::ZERO);
        found.decide(binds, || {
            let what = format!("{replica} has other requests at {seq} than its digest binds");
            Violation::shown_by(vec![seen.exhibit()], vec![*replica], what)
        });
        let mut all_known = binds;
        for request in requests.iter() {
            let Ordered { client, timestamp, digest } = *request;
            let known = self.submitted.get(&(client, timestamp, digest)).is_some();
            if !known && self.forgotten.get(&client).is_some_and(|until| timestamp <= *until) {
                found.skip();
                continue;
            }
            all_known &= known;
            found.decide(known, || {
                let what = format!("{replica} has {client}'s {timestamp} at {seq}, never signed");
                Violation::shown_by(vec![seen.exhibit()], vec![*replica], what)
            });
        }
        if all_known && let Some(place) = self.valid.place(seq.0) {
            *place = Some((*digest, Arc::clone(requests)));
        }
    }
}

/// What a client signs: client, timestamp, and the operation behind its length.
fn request_digest(it: &Submitted) -> Digest {
    let mut hash = REQUEST.hasher();
    hash.update(&it.client.0.to_le_bytes());
    hash.update(&it.timestamp.0.to_le_bytes());
    hash.update(&(it.operation.len() as u32).to_le_bytes());
    hash.update(&it.operation);
    hash.finish()
}

/// What replicas vote for: the number of requests, and the digest of each, in order.
fn batch_digest(requests: &[Ordered]) -> Digest {
    let mut hash = BATCH.hasher();
    hash.update(&(requests.len() as u32).to_le_bytes());
    requests.iter().for_each(|request| hash.update(&request.digest.0));
    hash.finish()
}
