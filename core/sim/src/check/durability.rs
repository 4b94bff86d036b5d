//! Durability: what was acknowledged never vanishes.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorumark_consensus::types::{ClientId, ReplicaId, Seq, Timestamp};
use quorumark_primitives::Digest;

use super::Checker;
use super::finding::{Exhibit, Findings, Violation};
use super::kinds::Kinds;
use super::recent::{REQUESTS_KEPT, Recent};
use super::reference::FACTS_KEPT;
use super::ring::Ring;
use super::run::{Run, Seen};
use crate::trace::{Acknowledgement, Answered, Committed, EndCause, Fact, FactKind, Ordered};

/// An operation that a client accepted was vouched for by enough distinct replicas and is committed
/// at an honest one, one accepted by tentative replies sooner or later; no honest replica commits another batch in its place; and when the run is over,
/// an honest replica stands at or above its sequence number.
///
/// The last part is decided only if the run went on for the liveness bound after GST and after the
/// last restart, because until then replicas may still be reading what their disks hold.
#[derive(Debug)]
pub(super) struct Durability {
    /// Where each request was committed first.
    committed: Recent<(ClientId, Timestamp), Seq>,
    batches: Ring<Batch>,
    /// Accepted by tentative replies at sequence numbers where nothing is committed yet.
    promised: BTreeMap<Seq, Vec<(ClientId, Timestamp)>>,
    heads: Vec<Seq>,
    /// The acknowledged operation of the highest sequence number.
    highest: Option<(Seq, Exhibit)>,
}

/// What the first honest replica committed at a sequence number.
#[derive(Debug)]
struct Batch {
    digest: Digest,
    requests: Arc<[Ordered]>,
    acknowledged: Vec<(ClientId, Timestamp)>,
}

impl Default for Durability {
    fn default() -> Durability {
        Durability {
            committed: Recent::new(REQUESTS_KEPT),
            batches: Ring::new(FACTS_KEPT),
            promised: BTreeMap::new(),
            heads: Vec::new(),
            highest: None,
        }
    }
}

impl Checker for Durability {
    fn hears(&self) -> Kinds {
        Kinds::of(&[
            FactKind::Committed,
            FactKind::Answered,
            FactKind::Restarted,
            FactKind::TransferFinished,
        ])
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        match &seen.event.fact {
            Fact::Committed(it) if run.is_honest(it.replica) => {
                self.stand(it.replica, it.seq);
                self.commit(it, seen, found);
            }
            Fact::Answered(it) if run.header.is_honest_client(it.client) => {
                self.acknowledge(it, run, seen, found);
            }
            Fact::Restarted(it) => self.stand(it.replica, it.executed),
            Fact::TransferFinished(it) => self.stand(it.replica, it.seq),
            _ => {}
        }
    }

    fn finish(&mut self, run: &mut Run, found: &mut Findings) {
        let Some((seq, exhibit)) = self.highest.take() else { return };
        let complete = matches!(run.ended, Some(EndCause::Duration | EndCause::Idle));
        if !complete || run.deadline(run.last_restart) > run.now {
            return found.skip();
        }
        let head = |replica: ReplicaId| self.heads.get(usize::from(replica.0)).copied();
        let highest = run.honest().filter_map(head).max().unwrap_or_default();
        let who: Vec<ReplicaId> = run.honest().collect();
        found.decide(highest >= seq, || {
            let what = format!("{seq} was acknowledged, and no honest replica is beyond {highest}");
            Violation { at: run.now, ..Violation::shown_by(vec![exhibit], who, what) }
        });
    }
}

impl Durability {
    fn commit(&mut self, it: &Committed, seen: &Seen<'_>, found: &mut Findings) {
        let Some(place) = self.batches.place(it.seq.0) else { return found.skip() };
        let Some(batch) = place else {
            for request in it.requests.iter() {
                let id = (request.client, request.timestamp);
                if self.committed.get(&id).is_none() {
                    self.committed.insert(id, it.seq);
                }
            }
            let (digest, requests) = (it.digest, Arc::clone(&it.requests));
            let acknowledged = self.promised.remove(&it.seq).unwrap_or_default();
            if !acknowledged.is_empty() {
                keep_all(it, &acknowledged, seen, found);
            }
            *place = Some(Batch { digest, requests, acknowledged });
            return;
        };
        if batch.digest == it.digest && batch.requests == it.requests {
            return found.held();
        }
        keep_all(it, &batch.acknowledged, seen, found);
    }

    fn acknowledge(&mut self, it: &Answered, run: &Run, seen: &Seen<'_>, found: &mut Findings) {
        let mut vouched = vec![false; run.n()];
        for replica in &it.replicas {
            if let Some(vouched) = vouched.get_mut(usize::from(replica.0)) {
                *vouched = true;
            }
        }
        let vouchers = vouched.iter().filter(|vouched| **vouched).count();
        // PBFT 4.1: f + 1 replies; OSDI'99 5.1: a quorum where they are tentative or read-only.
        let needed = match it.how {
            Acknowledgement::Committed => run.weak_quorum(),
            Acknowledgement::Tentative | Acknowledgement::ReadOnly => run.quorum(),
        };
        let (client, timestamp) = (it.client, it.timestamp);
        let violation = |what| Violation::shown_by(vec![seen.exhibit()], it.replicas.clone(), what);
        found.decide(vouchers >= needed, || {
            violation(format!("{client}'s {timestamp} has {vouchers} replies, it takes {needed}"))
        });
        let seq = self.committed.get(&(client, timestamp)).copied();
        let seq = match it.how {
            Acknowledgement::ReadOnly => return,
            Acknowledgement::Committed => {
                found.decide(seq.is_some(), || {
                    violation(format!("{client}'s {timestamp} is acknowledged and not committed"))
                });
                let Some(seq) = seq else { return };
                seq
            }
            // OSDI'99 5.1: "the request is guaranteed to commit eventually".
            Acknowledgement::Tentative => seq.unwrap_or_else(|| self.promise(it, found)),
        };
        if let Some(batch) = self.batches.get_mut(seq.0) {
            batch.acknowledged.push((client, timestamp));
        }
        if self.highest.as_ref().is_none_or(|(highest, _)| *highest < seq) {
            self.highest = Some((seq, seen.exhibit()));
        }
    }

    /// Remembers what has still to be committed where its replies say.
    fn promise(&mut self, it: &Answered, found: &mut Findings) -> Seq {
        if self.promised.len() < FACTS_KEPT {
            self.promised.entry(it.seq).or_default().push((it.client, it.timestamp));
        } else {
            found.skip();
        }
        it.seq
    }

    fn stand(&mut self, replica: ReplicaId, at: Seq) {
        let place = usize::from(replica.0);
        if self.heads.len() <= place {
            self.heads.resize(place + 1, Seq(0));
        }
        if let Some(head) = self.heads.get_mut(place) {
            *head = at;
        }
    }
}

/// What was acknowledged at a sequence number is among what is committed there.
fn keep_all(
    it: &Committed,
    acknowledged: &[(ClientId, Timestamp)],
    seen: &Seen<'_>,
    found: &mut Findings,
) {
    let keeps = |id: &(ClientId, Timestamp)| {
        it.requests.iter().any(|request| (request.client, request.timestamp) == *id)
    };
    let lost = acknowledged.iter().find(|id| !keeps(id));
    found.decide(lost.is_none(), || {
        let (client, timestamp) = lost.copied().unwrap_or_default();
        let (replica, seq) = (it.replica, it.seq);
        let what = format!(
            "{client}'s {timestamp} was acknowledged at {seq}, where {replica} commits others"
        );
        Violation::shown_by(vec![seen.exhibit()], vec![replica], what)
    });
}
