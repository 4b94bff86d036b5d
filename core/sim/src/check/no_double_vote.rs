//! No double vote: what a replica has said, it does not contradict, not even after a restart.

use quorumark_consensus::types::View;

use super::Checker;
use super::finding::{Exhibit, Findings, Violation, Vote};
use super::kinds::Kinds;
use super::ring::Ring;
use super::run::{Run, Seen};
use crate::trace::{Fact, FactKind, Said, VoteKind};

/// Windows of sequence numbers whose votes are remembered, from each replica's highest one: it votes
/// within one window of its stable checkpoint, which lies at most two below.
const WINDOWS_KEPT: u64 = 3;
/// The most sequence numbers, however large the window is.
const SEQS_MAX: u64 = 4096;
/// Views whose view-changes and new-views are remembered, from each replica's highest one.
const VIEWS_KEPT: usize = 64;
/// Votes of one replica that are remembered at one sequence number or view; above it the first are
/// forgotten. Three a view for some twenty views.
const VOTES_MAX: usize = 64;

/// At most one digest for each kind of vote, view and sequence number, of every honest replica; and
/// no new vote in a view that the replica has left (PBFT 4.4: from its VIEW-CHANGE on a replica
/// accepts nothing of earlier views but checkpoints, view-changes and new-views).
#[derive(Debug)]
pub(super) struct NoDoubleVote {
    voters: Vec<Voter>,
}

/// What one replica said.
#[derive(Debug)]
struct Voter {
    by_seq: Ring<Vec<Vote>>,
    by_view: Ring<Vec<Vote>>,
    /// The highest view that it has asked for.
    asked: Option<(View, Exhibit)>,
}

impl NoDoubleVote {
    pub(super) fn new(run: &Run) -> NoDoubleVote {
        let seqs = (WINDOWS_KEPT * run.header.window).clamp(64, SEQS_MAX) as usize;
        let voter =
            || Voter { by_seq: Ring::new(seqs), by_view: Ring::new(VIEWS_KEPT), asked: None };
        NoDoubleVote { voters: (0..run.n()).map(|_| voter()).collect() }
    }
}

impl Checker for NoDoubleVote {
    fn hears(&self) -> Kinds {
        Kinds::of(&[FactKind::Said])
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        let Fact::Said(said) = &seen.event.fact else { return };
        if !run.is_honest(said.replica) {
            return;
        }
        let voter = self.voters.get_mut(usize::from(said.replica.0));
        voter.expect("an honest replica is a member").hear(said, seen, found);
    }
}

impl Voter {
    fn hear(&mut self, said: &Said, seen: &Seen<'_>, found: &mut Findings) {
        let (ring, number) = match said.kind {
            VoteKind::ViewChange | VoteKind::NewView | VoteKind::Proposal | VoteKind::Vote => {
                (&mut self.by_view, said.view.0)
            }
            VoteKind::PrePrepare | VoteKind::Prepare | VoteKind::Commit | VoteKind::Checkpoint => {
                (&mut self.by_seq, said.seq.0)
            }
        };
        let Some(votes) = ring.list(number) else { return found.skip() };
        let same = |vote: &&Vote| {
            let first = &vote.said;
            first.kind == said.kind && first.view == said.view && phase_of(first) == phase_of(said)
        };
        if let Some(first) = votes.iter().find(same) {
            return found
                .decide(first.said.digest == said.digest, || contradiction(said, first, seen));
        }
        if votes.len() == VOTES_MAX {
            votes.remove(0);
        }
        votes.push(Vote::new(said, seen));
        self.stay(said, seen, found);
    }

    /// A vote that was not said before belongs to no view that was left.
    fn stay(&mut self, said: &Said, seen: &Seen<'_>, found: &mut Findings) {
        let bound = matches!(
            said.kind,
            VoteKind::PrePrepare | VoteKind::Prepare | VoteKind::Commit | VoteKind::ViewChange
        );
        let asked = self.asked.as_ref().filter(|(view, _)| bound && said.view < *view);
        found.decide(asked.is_none(), || {
            let evidence = asked.map(|(_, told)| told.clone()).into_iter().chain([seen.exhibit()]);
            let Said { replica, view, .. } = said;
            let what = format!("{replica} votes in {view}, which it had left");
            Violation::shown_by(evidence.collect(), vec![*replica], what)
        });
        if said.kind == VoteKind::ViewChange
            && self.asked.as_ref().is_none_or(|(view, _)| *view < said.view)
        {
            self.asked = Some((said.view, seen.exhibit()));
        }
    }
}

/// Of HotStuff's votes the phase; otherwise 0.
fn phase_of(said: &Said) -> u64 {
    if said.kind == VoteKind::Vote { said.seq.0 } else { 0 }
}

fn contradiction(second: &Said, first: &Vote, seen: &Seen<'_>) -> Violation {
    let Said { replica, kind, view, seq, incarnation, .. } = second;
    let restarted = first.said.incarnation != *incarnation;
    let before = if restarted { ", once before a restart" } else { "" };
    let kind = kind.word();
    let what = format!("{replica} says two {kind}s that conflict in {view} at {seq}{before}");
    Violation::shown_by(vec![first.exhibit(), seen.exhibit()], vec![*replica], what)
}
