//! What a run tells about itself while it goes on.

/// The part of a run that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// What is not measured is made; in words, what that is ([`crate::Scenario::preparation`]).
    Prepare(&'static str),
    /// Requests of one trial are signed beforehand.
    Sign {
        /// How many.
        requests: usize,
    },
    /// The load runs and nothing is recorded.
    WarmUp,
    /// A trial is measured.
    Trial {
        /// Which, from 0.
        index: u32,
        /// Of how many.
        of: u32,
    },
    /// Answers are checked, and in words, what else ([`crate::Scenario::conclusion`]).
    Check(&'static str),
}

/// Hears how a run gets on, e.g. to draw a bar. Calls come from the thread that runs the scenario,
/// never inside a timed pass.
pub trait Progress: Sync {
    /// A phase begins.
    fn phase(&self, phase: Phase);
    /// `done` of the phase is over, 0 to 1. Only long phases tell.
    fn advance(&self, done: f64) {
        let _ = done;
    }
    /// The span of a trial that is measured begins: what it needs is made, and has warmed up.
    fn span_begins(&self) {}
    /// That span is over; its threads are still there.
    fn span_ends(&self) {}
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn phase(&self, _: Phase) {}
}
