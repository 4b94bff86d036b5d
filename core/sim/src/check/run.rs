//! What every checker knows of a run.

use quorumark_consensus::types::{Instant, ReplicaId};

use super::finding::Exhibit;
use super::signature::SignatureCheck;
use crate::trace::{EndCause, Event, Fact, FactKind, Header};

/// One run: its header, its quorums, its end.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) header: Header,
    pub(super) signatures: Box<dyn SignatureCheck>,
    honest: Vec<bool>,
    /// Time of the last event.
    pub(super) now: Instant,
    /// Why it ended, once it has.
    pub(super) ended: Option<EndCause>,
    /// When an honest replica last began again.
    pub(super) last_restart: Instant,
}

/// An event with its place in the trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) line: u64,
    pub(super) kind: FactKind,
    pub(super) event: &'a Event,
}

impl Seen<'_> {
    pub(super) fn exhibit(&self) -> Exhibit {
        Exhibit::new(self.line, self.event)
    }
}

impl Run {
    pub(super) fn new(header: Header, signatures: Box<dyn SignatureCheck>) -> Run {
        let honest: Vec<bool> =
            (0..header.replicas).map(|id| header.is_honest(ReplicaId(id))).collect();
        let (now, ended, last_restart) = (Instant::START, None, Instant::START);
        Run { header, signatures, honest, now, ended, last_restart }
    }

    /// Replicas, n.
    pub(super) fn n(&self) -> usize {
        self.honest.len()
    }

    /// Castro and Liskov, OSDI'99, section 3: up to a third of the replicas may be faulty.
    fn f(&self) -> usize {
        self.n().saturating_sub(1) / 3
    }

    /// The least number of which any two sets share an honest replica.
    pub(super) fn quorum(&self) -> usize {
        self.n() - self.f()
    }

    /// The least number with an honest replica among them.
    pub(super) fn weak_quorum(&self) -> usize {
        self.f() + 1
    }

    /// Whether a replica is a member and honest throughout.
    pub(super) fn is_honest(&self, replica: ReplicaId) -> bool {
        self.honest.get(usize::from(replica.0)).is_some_and(|honest| *honest)
    }

    /// Every honest replica.
    pub(super) fn honest(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        let ids = (0..).map(ReplicaId).zip(&self.honest);
        ids.filter(|(_, honest)| **honest).map(|(id, _)| id)
    }

    /// The end of the time that liveness allows for what begins at `at`.
    pub(super) fn deadline(&self, at: Instant) -> Instant {
        Instant(at.max(self.header.gst).0.saturating_add(self.header.liveness_bound.0))
    }

    /// Notes what all checkers need to know.
    pub(super) fn follow(&mut self, event: &Event) {
        self.now = event.at;
        match &event.fact {
            Fact::Restarted(it) if self.is_honest(it.replica) => self.last_restart = event.at,
            Fact::Ended(it) => self.ended = Some(it.cause),
            _ => {}
        }
    }
}
