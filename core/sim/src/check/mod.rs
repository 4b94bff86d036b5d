//! Checkers: what must hold of every run, decided from its trace alone.
//!
//! Each checker is a file of its own, reads events one after the other, keeps a bounded memory of
//! them, and shares no predicate with the engines: quorums, signed bytes and digests are computed
//! here again, from the papers and from the table of signed bytes. They judge honest replicas
//! alone; what faulty ones do is free.
//!
//! ```text
//! let mut checks = Checks::new(CheckSet::all(), header, signatures);
//! for event in trace { checks.observe(&event); }
//! let report = checks.finish();
//! ```
//!
//! # Bounds
//! Comparisons by sequence number reach back [`DIGESTS_KEPT`] numbers from the highest one, with the
//! facts themselves as evidence [`FACTS_KEPT`]; requests are remembered up to [`REQUESTS_KEPT`]. What
//! would need older memory is counted as skipped, never as passed.

mod agreement;
mod bounds;
mod catch_up;
mod certificate;
mod durability;
mod exactly_once;
mod finding;
mod kinds;
mod linearizable;
mod no_double_vote;
mod prefix;
mod progress;
mod quorum;
mod recent;
mod reference;
mod ring;
mod run;
mod set;
mod settle;
mod signature;
mod state;
mod summary;
mod validity;

use crate::trace::{Event, FactKind, Header};

pub use finding::{Exhibit, Findings, Violation};
pub use recent::REQUESTS_KEPT;
pub use reference::{DIGESTS_KEPT, FACTS_KEPT};
pub use set::{Check, CheckSet, Family};
pub use signature::{RealSignatures, SignatureCheck};
pub use summary::{LedgerHead, Peak, Summary};

use kinds::Kinds;
use run::{Run, Seen};

/// The checkers of one run.
#[derive(Debug)]
pub struct Checks {
    run: Run,
    checkers: Vec<(Check, Box<dyn Checker>, Findings)>,
    summary: summary::Counting,
    line: u64,
}

/// What the checkers of a run found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every check that was asked for, with its counts, in the order of [`Check::ALL`].
    pub checks: Vec<(Check, Findings)>,
    /// The first violation of all: the earliest in the trace.
    pub first: Option<Violation>,
    /// What was counted beside the checks.
    pub summary: Summary,
}

/// One property. It gets every event of the kinds that it hears, in order, then the end.
trait Checker: core::fmt::Debug {
    /// What it is shown: of most facts most checkers have nothing to say.
    fn hears(&self) -> Kinds;

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings);

    /// As [`Checker::observe`], for a stretch of the trace. What it knows of `run` beside the header
    /// is that of the stretch's end.
    fn observe_all(&mut self, run: &mut Run, stretch: &[Seen<'_>], found: &mut Findings) {
        let hears = self.hears();
        let heard = stretch.iter().filter(|seen| hears.contains(seen.kind));
        heard.for_each(|seen| self.observe(run, seen, found));
    }

    /// Decides what only the end of the trace decides.
    fn finish(&mut self, run: &mut Run, found: &mut Findings) {
        let _ = (run, found);
    }
}

impl Checks {
    /// Checkers for a run, told by its header; `signatures` knows its public keys.
    pub fn new(set: CheckSet, header: Header, signatures: Box<dyn SignatureCheck>) -> Checks {
        let run = Run::new(header, signatures);
        let chosen = Check::ALL.iter().filter(|check| set.contains(**check));
        let checkers = chosen
            .filter_map(|check| Some((*check, checker(*check, &run)?, Findings::default())))
            .collect();
        let summary = summary::Counting::new(&run);
        Checks { run, checkers, summary, line: 0 }
    }

    /// Takes the next event of the trace; the first one, [`crate::trace::Fact::Begun`], included.
    pub fn observe(&mut self, event: &Event) {
        self.observe_all(core::slice::from_ref(event));
    }

    /// Takes the next events of the trace. One checker after the other sees them all: what each
    /// finds depends on the trace alone, and its code is then called once for many of them.
    pub fn observe_all(&mut self, events: &[Event]) {
        let mut stretch = Vec::with_capacity(events.len());
        for event in events {
            self.line += 1;
            self.summary.observe(&self.run, event);
            let kind = event.fact.kind();
            if event.fact.is_network() {
                continue;
            }
            self.run.follow(event);
            // A moment is for scenarios to wait for: what it claims is judged by the other facts.
            if kind != FactKind::Reached {
                stretch.push(Seen { line: self.line, kind, event });
            }
        }
        for (_, checker, findings) in &mut self.checkers {
            checker.observe_all(&mut self.run, &stretch, findings);
        }
    }

    /// Ends the trace.
    pub fn finish(mut self) -> Report {
        for (check, checker, findings) in &mut self.checkers {
            checker.finish(&mut self.run, findings);
            findings.name(*check);
        }
        let checks: Vec<_> =
            self.checkers.into_iter().map(|(check, _, findings)| (check, findings)).collect();
        let violations = checks.iter().filter_map(|(_, findings)| findings.first.as_ref());
        let first = violations.min_by_key(|violation| violation.line).cloned();
        Report { checks, first, summary: self.summary.finish(&self.run) }
    }
}

impl Report {
    /// The findings of a check, if it was asked for.
    pub fn of(&self, check: Check) -> Option<&Findings> {
        self.checks.iter().find(|(of, _)| *of == check).map(|(_, findings)| findings)
    }

    /// The checks that were violated.
    pub fn violated(&self) -> impl Iterator<Item = Check> + '_ {
        self.checks.iter().filter(|(_, findings)| findings.violated > 0).map(|(check, _)| *check)
    }
}

/// The checker of a property; `None` where the run's protocol does not have what it is about.
fn checker(check: Check, run: &Run) -> Option<Box<dyn Checker>> {
    if !check.applies_to(&run.header.protocol) {
        return None;
    }
    Some(match check {
        Check::Agreement => Box::new(agreement::Agreement::default()),
        Check::Prefix => Box::new(prefix::Prefix::new(run)),
        Check::Certificate => Box::new(certificate::Certificate::default()),
        Check::NoDoubleVote => Box::new(no_double_vote::NoDoubleVote::new(run)),
        Check::Durability => Box::new(durability::Durability::default()),
        Check::ExactlyOnce => Box::new(exactly_once::ExactlyOnce::new(run)),
        Check::Validity => Box::new(validity::Validity::default()),
        Check::State => Box::new(state::State::default()),
        Check::Linearizable => Box::new(linearizable::Linearizable::default()),
        Check::Progress => Box::new(progress::Progress::default()),
        Check::CatchUp => Box::new(catch_up::CatchUp::default()),
        Check::Bounds => Box::new(bounds::Bounds),
        // It comes with HotStuff's engines, whose facts it needs.
        Check::QcTree => return None,
    })
}
