//! Counts of what was checked and what was found.

use quorumark_report::Check;

use crate::scenario;

/// What the oracle checks, in the order of [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No two replicas execute different batches at one sequence number.
    Agreement,
    /// Each replica executes rising sequence numbers without gaps, each once.
    Order,
    /// No replica executes a request twice, and every acknowledged one was executed.
    ExactlyOnce,
    /// Each execution stands on valid commits of a quorum.
    Certificates,
    /// Nothing is executed that no client asked for, or that was not authentic.
    Validity,
}

/// The names of the checks in a record.
pub const NAMES: [&str; 5] = ["agreement", "order", "exactly_once", "certificates", "validity"];

/// Every check's counts.
#[derive(Debug, Default)]
pub(super) struct Checks {
    checks: [Check; NAMES.len()],
}

impl Checks {
    /// Notes one check; `violation` says what was found when it was not met.
    #[inline]
    pub(super) fn note(&mut self, kind: Kind, met: bool, violation: impl FnOnce() -> String) {
        let check = &mut self.checks[kind as usize];
        check.evaluated += 1;
        if !met {
            check.violated += 1;
            check.first_violation.get_or_insert_with(violation);
        }
    }

    /// The counts by name.
    pub(super) fn into_report(self) -> scenario::Oracle {
        NAMES.iter().map(|name| (*name).to_owned()).zip(self.checks).collect()
    }
}
