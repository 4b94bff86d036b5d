//! What a run tells about itself while it goes on.

use core::time::Duration;

/// The part of a run that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// What is not measured is made; in words, what that is ([`crate::Scenario::preparation`]).
    Prepare(&'static str),
    /// Requests of one trial are signed, or authenticated, beforehand.
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

/// How a load gets on.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// How much of the span is over, 0 to 1.
    pub done: f64,
    /// Results a second in the last half second.
    pub throughput_tx_per_s: f64,
    /// The 99th percentile of all response times so far, in nanoseconds.
    pub p99_ns: Option<f64>,
    /// The stage with the longest input queue since the last look, and the batches in it on average;
    /// `None` where nothing queues, or where to look would cost more than it tells.
    pub queue: Option<(String, f64)>,
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
    /// How often [`Progress::live`] is to be told; `None`, the default, where nobody looks: a look
    /// costs CPU time, if little.
    fn looks_every(&self) -> Option<Duration> {
        None
    }
    /// How the load of a trial gets on, within its span.
    fn live(&self, live: &Live) {
        let _ = live;
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
