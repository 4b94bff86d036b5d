//! One run: a scenario with its seed, and what observes it.

use quorumark_primitives::Digest;
use quorumark_primitives::signed::KeyDirectory;

use crate::scenario::Scenario;
use crate::trace::{EndCause, Event, TraceHash};
use crate::world::{Keys, World};

pub use crate::world::Summary;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// Counts.
    pub summary: Summary,
    /// Why it ended.
    pub cause: EndCause,
    /// The hash of its whole trace.
    pub trace_hash: Digest,
}

/// Runs a scenario to its end, or until `events_max` things have happened; the events of its trace
/// go to `observer`, in order, stretch by stretch. The same scenario and seed give the same trace, in
/// every build.
pub fn run(
    scenario: &Scenario,
    scenario_digest: Digest,
    events_max: u64,
    mut observer: impl FnMut(&[Event]),
) -> Ran {
    let mut hash = TraceHash::new();
    let mut sink = |events: &[Event]| {
        events.iter().for_each(|event| hash.absorb(event));
        observer(events);
    };
    let world = World::new(scenario, scenario_digest, &mut sink);
    let (summary, cause) = world.run(events_max);
    Ran { summary, cause, trace_hash: hash.finish() }
}

/// The public keys of a run; of stand-in signatures, what verifies them.
pub fn directory(scenario: &Scenario) -> KeyDirectory {
    let (n, clients) = (scenario.replicas, scenario.workload.clients);
    let keys = Keys::new(scenario.seed, scenario.real_crypto, n, clients);
    keys.directory().as_ref().clone()
}
