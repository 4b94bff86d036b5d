//! What the oracle has seen so far, for whoever steers the run while it watches.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;

use quorumark_consensus::types::{Instant, Seq, View};
use quorumark_pipeline::CommitEvent;

/// Views whose first execution is remembered; later ones are not, and nothing else depends on them.
const VIEWS_MAX: usize = 1024;

/// The furthest that any replica has come.
///
/// Written by the oracle's thread alone. The two numbers stand for themselves and publish nothing
/// else, so relaxed accesses do.
#[derive(Debug, Default)]
pub struct Sightings {
    seq: AtomicU64,
    view: AtomicU64,
}

impl Sightings {
    /// The highest sequence number executed.
    pub fn seq(&self) -> Seq {
        Seq(self.seq.load(Ordering::Relaxed))
    }

    /// The highest view in which anything executed was committed.
    pub fn view(&self) -> View {
        View(self.view.load(Ordering::Relaxed))
    }

    pub(super) fn note(&self, event: &CommitEvent) {
        self.seq.fetch_max(event.seq.0, Ordering::Relaxed);
        self.view.fetch_max(event.view.0, Ordering::Relaxed);
    }
}

/// When each view first had an execution, at any replica.
#[derive(Debug, Default)]
pub(super) struct FirstCommits(BTreeMap<View, Instant>);

impl FirstCommits {
    pub(super) fn note(&mut self, event: &CommitEvent) {
        let at = Instant(event.at_ns);
        let room = self.0.len() < VIEWS_MAX;
        match self.0.get_mut(&event.view) {
            // Replicas report apart, so the first report need not be the first execution.
            Some(first) => *first = at.min(*first),
            None if room => drop(self.0.insert(event.view, at)),
            None => {}
        }
    }

    pub(super) fn into_map(self) -> BTreeMap<View, Instant> {
        self.0
    }
}
