//! Agreement: one digest per sequence number, and one per view of it.

use quorumark_consensus::types::ReplicaId;

use super::Checker;
use super::finding::{Exhibit, Findings, Violation, Vote};
use super::kinds::Kinds;
use super::reference::{Comparison, FACTS_KEPT, Reference};
use super::ring::Ring;
use super::run::{Run, Seen};
use crate::trace::{Committed, Fact, FactKind, Said, VoteKind};

/// Views of one sequence number whose votes are compared; above it the lowest is forgotten.
const VIEWS_MAX: usize = 16;

/// No two honest replicas commit different batches at one sequence number, and none of them vote to
/// commit different batches in one view of it: PBFT 4.2, "the replicas agree on a total order for
/// the requests within a view", and 4.4 across views: what a quorum has prepared is what is committed
/// at that number, in whatever view.
#[derive(Debug)]
pub(super) struct Agreement {
    committed: Reference,
    /// What a quorum has prepared.
    prepared: Reference,
    votes: Ring<Vec<Prepared>>,
}

/// What honest replicas voted to commit in one view.
#[derive(Debug)]
struct Prepared {
    /// The first vote: it names the view and the batch.
    first: Vote,
    /// Who voted so.
    voters: Vec<ReplicaId>,
}

impl Default for Agreement {
    fn default() -> Agreement {
        let (committed, prepared) = (Reference::default(), Reference::default());
        Agreement { committed, prepared, votes: Ring::new(FACTS_KEPT) }
    }
}

impl Checker for Agreement {
    fn hears(&self) -> Kinds {
        Kinds::of(&[FactKind::Committed, FactKind::Said])
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        match &seen.event.fact {
            Fact::Committed(it) if run.is_honest(it.replica) => {
                match self.committed.compare(it.seq.0, &it.digest, || seen.exhibit()) {
                    Comparison::First => self.keeps(it, seen, found),
                    Comparison::Equal => found.held(),
                    Comparison::Forgotten => found.skip(),
                    Comparison::Differs(first) => {
                        found.decide(false, || fork(it, first, seen.exhibit()));
                    }
                }
            }
            Fact::Said(it) if it.kind == VoteKind::Commit && run.is_honest(it.replica) => {
                self.vote(it, run, seen, found);
            }
            _ => {}
        }
    }
}

impl Agreement {
    fn vote(&mut self, vote: &Said, run: &Run, seen: &Seen<'_>, found: &mut Findings) {
        let Some(views) = self.votes.list(vote.seq.0) else { return found.skip() };
        let Said { view, seq, digest, replica, .. } = *vote;
        let Some(prepared) = views.iter_mut().find(|prepared| prepared.first.said.view == view)
        else {
            if views.len() == VIEWS_MAX {
                views.remove(0);
            }
            let mut voters = Vec::with_capacity(run.n());
            voters.push(replica);
            return views.push(Prepared { first: Vote::new(vote, seen), voters });
        };
        let first = &prepared.first;
        let same = first.said.digest == digest;
        found.decide(same, || {
            let who = vec![first.said.replica, replica];
            let what = format!("in {view} of {seq} two batches are prepared");
            Violation::shown_by(vec![first.exhibit(), seen.exhibit()], who, what)
        });
        if !same || prepared.voters.contains(&replica) {
            return;
        }
        prepared.voters.push(replica);
        if prepared.voters.len() == run.quorum() {
            self.lasts(vote, seen, found);
        }
    }

    /// A quorum has prepared a batch: whatever view commits at its number commits this one.
    fn lasts(&mut self, vote: &Said, seen: &Seen<'_>, found: &mut Findings) {
        let Said { view, seq, digest, replica, .. } = *vote;
        let lost = |first: Option<Box<Exhibit>>| {
            let what = format!("a quorum prepares {seq} in {view}, and it is another batch's");
            let evidence = first.map(|first| *first).into_iter().chain([seen.exhibit()]);
            Violation::shown_by(evidence.collect(), vec![replica], what)
        };
        let mut known = vec![&mut self.prepared];
        if self.committed.knows(seq.0) {
            known.push(&mut self.committed);
        }
        for reference in known {
            match reference.compare(seq.0, &digest, || seen.exhibit()) {
                Comparison::First => {}
                Comparison::Equal => found.held(),
                Comparison::Forgotten => found.skip(),
                Comparison::Differs(first) => found.decide(false, || lost(first)),
            }
        }
    }

    /// The first commit at a number is what a quorum had prepared there, if one had.
    fn keeps(&mut self, it: &Committed, seen: &Seen<'_>, found: &mut Findings) {
        if !self.prepared.knows(it.seq.0) {
            return;
        }
        match self.prepared.compare(it.seq.0, &it.digest, || seen.exhibit()) {
            Comparison::First | Comparison::Equal => found.held(),
            Comparison::Forgotten => found.skip(),
            Comparison::Differs(first) => found.decide(false, || {
                let Committed { replica, seq, .. } = *it;
                let what =
                    format!("{replica} commits another batch than a quorum prepared at {seq}");
                let evidence = first.map(|first| *first).into_iter().chain([seen.exhibit()]);
                Violation::shown_by(evidence.collect(), vec![replica], what)
            }),
        }
    }
}

/// Two commits at one sequence number: the signatures of both certificates are the evidence, and who
/// signed both in one view is named.
fn fork(second: &Committed, first: Option<Box<Exhibit>>, exhibit: Exhibit) -> Violation {
    let mut replicas = vec![second.replica];
    let Committed { seq, digest, .. } = second;
    let mut what = format!("{seq} is committed as {digest:?} and as another batch");
    if let Some(Fact::Committed(first)) = first.as_ref().map(|first| &first.fact) {
        replicas.push(first.replica);
        what = format!("{seq} is committed as {:?} and as {digest:?}", first.digest);
        let both = first.certificate.iter().filter(|(signer, _)| {
            first.view == second.view && second.certificate.iter().any(|(other, _)| other == signer)
        });
        let both: Vec<String> = both.map(|(signer, _)| signer.to_string()).collect();
        if !both.is_empty() {
            what = format!("{what}; both signed by {} in {}", both.join(", "), second.view);
        }
    }
    let evidence = first.map(|first| *first).into_iter().chain([exhibit]).collect();
    Violation::shown_by(evidence, replicas, what)
}
