//! Prefix: ledgers are prefixes of each other.

use quorumark_consensus::types::{ReplicaId, Seq};

use super::Checker;
use super::finding::{Findings, Violation};
use super::kinds::Kinds;
use super::reference::{Comparison, Reference};
use super::run::{Run, Seen};
use super::settle::Settle;
use crate::trace::{Executed, Fact};

/// Each honest replica executes one sequence number after the other, and at each of them what the
/// others executed there; a fetched state is one that an honest replica had reached.
#[derive(Debug)]
pub(super) struct Prefix {
    settle: Settle,
    heads: Vec<Seq>,
    executed: Reference,
}

impl Prefix {
    pub(super) fn new(run: &Run) -> Prefix {
        let heads = vec![Seq(0); run.n()];
        Prefix { settle: Settle::default(), heads, executed: Reference::default() }
    }

    fn execute(&mut self, it: &Executed, seen: &Seen<'_>, found: &mut Findings) {
        let Some(head) = self.heads.get_mut(usize::from(it.replica.0)) else { return };
        let follows = it.seq <= head.next();
        let (replica, seq) = (it.replica, it.seq);
        found.decide(follows, || {
            let what = format!("{replica} executes {seq} after {head}: there is a gap");
            Violation::shown_by(vec![seen.exhibit()], vec![replica], what)
        });
        *head = (*head).max(it.seq);
        match self.executed.compare(it.seq.0, &it.digest, || seen.exhibit()) {
            Comparison::First => {}
            Comparison::Equal => found.held(),
            Comparison::Forgotten => found.skip(),
            Comparison::Differs(first) => found.decide(false, || {
                let what = format!("{replica} executes another batch at {seq} than others did");
                let evidence = first.map(|first| *first).into_iter().chain([seen.exhibit()]);
                Violation::shown_by(evidence.collect(), vec![replica], what)
            }),
        }
    }

    fn stand(&mut self, replica: ReplicaId, at: Seq) {
        if let Some(head) = self.heads.get_mut(usize::from(replica.0)) {
            *head = at;
        }
    }
}

impl Checker for Prefix {
    fn hears(&self) -> Kinds {
        Settle::KINDS
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        let fact = &seen.event.fact;
        if let Some(it) = self.settle.settled(run, fact) {
            return self.execute(&it, seen, found);
        }
        match fact {
            Fact::Restarted(it) => self.stand(it.replica, it.executed),
            Fact::TransferFinished(it) if run.is_honest(it.replica) => {
                self.stand(it.replica, it.seq);
                found.decide(self.executed.knows(it.seq.0), || {
                    let (replica, seq) = (it.replica, it.seq);
                    let what = format!("{replica} fetched {seq}, which no honest replica reached");
                    Violation::shown_by(vec![seen.exhibit()], vec![replica], what)
                });
            }
            _ => {}
        }
    }
}
