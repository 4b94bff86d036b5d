//! Exactly-once: nothing is executed twice.

use std::sync::Arc;

use quorumark_consensus::types::{ClientId, ReplicaId, Seq, Timestamp};

use super::Checker;
use super::finding::{Findings, Violation};
use super::kinds::Kinds;
use super::recent::{REQUESTS_KEPT, Recent};
use super::reference::FACTS_KEPT;
use super::ring::Ring;
use super::run::{Run, Seen};
use super::settle::Settle;
use crate::trace::{Executed, Fact, Ordered};

/// No honest replica executes a sequence number again, unless its application went back below it;
/// and no request is executed as fresh at two places (PBFT 4.1: "exactly-once semantics").
#[derive(Debug)]
pub(super) struct ExactlyOnce {
    settle: Settle,
    heads: Vec<Seq>,
    /// Where each request was executed.
    executed: Recent<(ClientId, Timestamp), (Seq, u64)>,
    /// What was decided already, because another replica executed the same.
    decided: Ring<(Arc<[Ordered]>, Vec<u32>)>,
}

impl ExactlyOnce {
    pub(super) fn new(run: &Run) -> ExactlyOnce {
        ExactlyOnce {
            settle: Settle::default(),
            heads: vec![Seq(0); run.n()],
            executed: Recent::new(REQUESTS_KEPT),
            decided: Ring::new(FACTS_KEPT),
        }
    }

    fn execute(&mut self, it: &Executed, seen: &Seen<'_>, found: &mut Findings) {
        let Some(head) = self.heads.get_mut(usize::from(it.replica.0)) else { return };
        let again = it.seq <= *head;
        found.decide(!again, || {
            let (replica, seq) = (it.replica, it.seq);
            let what = format!("{replica} executes {seq} again, it stood at {head}");
            Violation::shown_by(vec![seen.exhibit()], vec![replica], what)
        });
        *head = (*head).max(it.seq);
        let known = self.decided.get(it.seq.0);
        if known.is_some_and(|(requests, fresh)| *requests == it.requests && *fresh == it.fresh) {
            return found.held();
        }
        self.fresh(it, seen, found);
        if let Some(place) = self.decided.place(it.seq.0) {
            *place = Some((Arc::clone(&it.requests), it.fresh.clone()));
        }
    }

    fn fresh(&mut self, it: &Executed, seen: &Seen<'_>, found: &mut Findings) {
        for nth in &it.fresh {
            let place = *nth as usize;
            let Some(Ordered { client, timestamp, .. }) = it.requests.get(place) else {
                found.decide(false, || {
                    let what = format!("{} executes a request that its batch lacks", it.replica);
                    Violation::shown_by(vec![seen.exhibit()], vec![it.replica], what)
                });
                continue;
            };
            let id = (*client, *timestamp);
            let before = self.executed.get(&id).copied();
            let twice = before.is_some_and(|(seq, line)| seq != it.seq || line == seen.line);
            found.decide(!twice, || {
                let (seq, line) = before.unwrap_or_default();
                let what = format!(
                    "{client}'s {timestamp} is executed at {seq} (line {line}) and again at {}",
                    it.seq
                );
                Violation::shown_by(vec![seen.exhibit()], vec![it.replica], what)
            });
            if !twice {
                self.executed.insert(id, (it.seq, seen.line));
            }
        }
    }

    fn stand(&mut self, replica: ReplicaId, at: Seq) {
        if let Some(head) = self.heads.get_mut(usize::from(replica.0)) {
            *head = at;
        }
    }
}

impl Checker for ExactlyOnce {
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
            Fact::TransferFinished(it) => self.stand(it.replica, it.seq),
            _ => {}
        }
    }
}
