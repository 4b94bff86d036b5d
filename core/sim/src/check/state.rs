//! State: equal states at equal sequence numbers, and stable ones by a quorum of equal digests.

use quorumark_consensus::types::{ClientId, ReplicaId, Seq, Timestamp};
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Blake3;

use super::Checker;
use super::finding::{Exhibit, Findings, Violation};
use super::kinds::Kinds;
use super::quorum::{Certificates, Statement};
use super::recent::Recent;
use super::reference::{Comparison, Reference};
use super::run::{Run, Seen};
use super::settle::Settle;
use crate::trace::{Executed, Fact, FactKind, Replied, StableReached};

/// Replies whose results are compared.
const REPLIES_KEPT: usize = 1 << 14;

/// At honest replicas: equal roots and checkpoint digests at equal sequence numbers, whether reached
/// by execution or fetched; equal results of equal batches, and equal replies to a request; and each
/// stable checkpoint has a quorum of valid signatures for that very digest (PBFT 4.3).
#[derive(Debug)]
pub(super) struct State {
    settle: Settle,
    certificates: Certificates,
    /// Application's roots.
    roots: Reference,
    /// Checkpoint digests.
    states: Reference,
    results: Reference,
    replies: Recent<(ClientId, Timestamp), (Digest, ReplicaId)>,
}

impl Default for State {
    fn default() -> State {
        State {
            settle: Settle::default(),
            certificates: Certificates::default(),
            roots: Reference::default(),
            states: Reference::default(),
            results: Reference::default(),
            replies: Recent::new(REPLIES_KEPT),
        }
    }
}

impl Checker for State {
    fn hears(&self) -> Kinds {
        let own = Kinds::of(&[FactKind::Checkpointed, FactKind::Stable, FactKind::Replied]);
        Settle::KINDS.and(own)
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        let fact = &seen.event.fact;
        if let Some(it) = self.settle.settled(run, fact) {
            return self.execute(&it, seen, found);
        }
        match fact {
            Fact::Checkpointed(it) if run.is_honest(it.replica) => {
                compare(&mut self.roots, it.replica, it.seq, &it.root, seen, found);
                compare(&mut self.states, it.replica, it.seq, &it.state, seen, found);
            }
            Fact::TransferFinished(it) if run.is_honest(it.replica) => {
                compare(&mut self.roots, it.replica, it.seq, &it.root, seen, found);
                compare(&mut self.states, it.replica, it.seq, &it.state, seen, found);
            }
            Fact::Stable(it) if run.is_honest(it.replica) => self.stable(it, run, seen, found),
            Fact::Replied(it) if !it.tentative && run.is_honest(it.replica) => {
                self.reply(it, seen, found);
            }
            _ => {}
        }
    }
}

impl State {
    /// Of different batches the results may differ: that is for other checks to judge.
    fn execute(&mut self, it: &Executed, seen: &Seen<'_>, found: &mut Findings) {
        let outcome = outcome(it);
        match self.results.compare(it.seq.0, &outcome, || seen.exhibit()) {
            Comparison::First => {}
            Comparison::Equal => found.held(),
            Comparison::Forgotten => found.skip(),
            Comparison::Differs(Some(first)) if is_of_another_batch(&first, it) => found.skip(),
            Comparison::Differs(first) => found.decide(false, || {
                let what = format!("{} executes {} with other results", it.replica, it.seq);
                let evidence = first.map(|first| *first).into_iter().chain([seen.exhibit()]);
                Violation::shown_by(evidence.collect(), vec![it.replica], what)
            }),
        }
    }

    fn stable(&mut self, it: &StableReached, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        compare(&mut self.states, it.replica, it.seq, &it.state, seen, found);
        let statement = Statement::Checkpoint { seq: it.seq, state: it.state };
        let flaw = self.certificates.flaw(run, &statement, &it.certificate);
        found.decide(flaw.is_none(), || {
            let flaw = flaw.unwrap_or_default();
            let what = format!("{}'s stable {} has a bad certificate: {flaw}", it.replica, it.seq);
            Violation::shown_by(vec![seen.exhibit()], vec![it.replica], what)
        });
    }

    fn reply(&mut self, it: &Replied, seen: &Seen<'_>, found: &mut Findings) {
        let id = (it.client, it.timestamp);
        let Some((result, first)) = self.replies.get(&id) else {
            self.replies.insert(id, (it.result, it.replica));
            return;
        };
        found.decide(*result == it.result, || {
            let (client, timestamp) = id;
            let what = format!("{client}'s {timestamp} gets different replies");
            Violation::shown_by(vec![seen.exhibit()], vec![*first, it.replica], what)
        });
    }
}

/// What came of a batch: its results, and which of its requests they are of.
fn outcome(it: &Executed) -> Digest {
    if it.fresh.iter().copied().eq(0..it.requests.len() as u32) {
        return it.results;
    }
    let mut hash = Blake3::new();
    hash.update(&it.results.0);
    it.fresh.iter().for_each(|nth| hash.update(&nth.to_le_bytes()));
    hash.finish()
}

fn compare(
    reference: &mut Reference,
    replica: ReplicaId,
    seq: Seq,
    digest: &Digest,
    seen: &Seen<'_>,
    found: &mut Findings,
) {
    match reference.compare(seq.0, digest, || seen.exhibit()) {
        Comparison::First => {}
        Comparison::Equal => found.held(),
        Comparison::Forgotten => found.skip(),
        Comparison::Differs(first) => found.decide(false, || {
            let what = format!("{replica} has another state at {seq} than others have");
            let evidence = first.map(|first| *first).into_iter().chain([seen.exhibit()]);
            Violation::shown_by(evidence.collect(), vec![replica], what)
        }),
    }
}

fn is_of_another_batch(exhibit: &Exhibit, it: &Executed) -> bool {
    matches!(&exhibit.fact, Fact::Executed(first) if first.digest != it.digest)
}
