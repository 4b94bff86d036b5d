//! What a checker counts, and how a violation is shown.

use quorumark_consensus::types::{Instant, ReplicaId};

use super::run::Seen;
use super::set::Check;
use crate::trace::{Event, Fact, Said};

/// Counts of one check, and its first violation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// How often the property was decided.
    pub evaluated: u64,
    /// How often it did not hold.
    pub violated: u64,
    /// How often it could not be decided, because what it needs was forgotten or is not known.
    pub skipped: u64,
    /// The earliest violation.
    pub first: Option<Violation>,
}

/// A property that did not hold, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Of which check.
    pub check: Check,
    /// When it showed, in simulated time.
    pub at: Instant,
    /// The line of the trace that shows it, from 1.
    pub line: u64,
    /// The replicas it concerns, rising.
    pub replicas: Vec<ReplicaId>,
    /// What is wrong, in one sentence.
    pub what: String,
    /// The facts of the trace that contradict each other or the rule. Of commits and votes they
    /// hold the signatures, so that they show by themselves what was signed.
    pub evidence: Vec<Exhibit>,
    /// More lines in words, where facts alone do not tell enough.
    pub notes: Vec<String>,
}

/// A fact as evidence, with its place in the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhibit {
    /// Its line, from 1.
    pub line: u64,
    /// When it was.
    pub at: Instant,
    /// The fact itself.
    pub fact: Fact,
}

impl Exhibit {
    pub(super) fn new(line: u64, event: &Event) -> Exhibit {
        Exhibit { line, at: event.at, fact: event.fact.clone() }
    }
}

/// A vote as evidence that may be needed. Every vote is kept for a while, and next to none is shown:
/// there is nothing to be let go but the space it takes.
#[derive(Debug, Clone)]
pub(super) struct Vote {
    line: u64,
    at: Instant,
    pub(super) said: Said,
}

impl Vote {
    pub(super) fn new(said: &Said, seen: &Seen<'_>) -> Vote {
        Vote { line: seen.line, at: seen.event.at, said: said.clone() }
    }

    /// As it is shown.
    pub(super) fn exhibit(&self) -> Exhibit {
        Exhibit { line: self.line, at: self.at, fact: Fact::Said(self.said.clone()) }
    }
}

impl Violation {
    /// A violation that shows with the last of its evidence.
    pub(super) fn shown_by(
        evidence: Vec<Exhibit>,
        mut replicas: Vec<ReplicaId>,
        what: String,
    ) -> Violation {
        let last = evidence.iter().max_by_key(|exhibit| exhibit.line);
        let (line, at) = last.map_or((0, Instant::START), |last| (last.line, last.at));
        replicas.sort_unstable();
        replicas.dedup();
        // The check is named by its owner at the end.
        let check = Check::Agreement;
        Violation { check, at, line, replicas, what, evidence, notes: Vec::new() }
    }
}

impl Findings {
    /// Notes one decision; `violation` says what was found when it was not met.
    pub(super) fn decide(&mut self, met: bool, violation: impl FnOnce() -> Violation) {
        self.evaluated += 1;
        if !met {
            self.violated += 1;
            self.first.get_or_insert_with(violation);
        }
    }

    /// Notes that the property held.
    pub(super) fn held(&mut self) {
        self.evaluated += 1;
    }

    /// Notes that nothing can be said.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    pub(super) fn name(&mut self, check: Check) {
        if let Some(violation) = &mut self.first {
            violation.check = check;
        }
    }
}
