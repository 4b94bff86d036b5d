//! Catch-up: replicas that lag reach the stable checkpoint within the bound.

use std::collections::VecDeque;

use quorumark_consensus::types::{Instant, ReplicaId, Seq};

use super::Checker;
use super::finding::{Exhibit, Findings, Violation};
use super::kinds::Kinds;
use super::run::{Run, Seen};
use crate::trace::{Fact, FactKind};

/// Checkpoints that are watched at once; while they are so many, later ones are skipped.
const TARGETS_MAX: usize = 4096;

/// Once a checkpoint is stable at an honest replica, every honest replica that is up has executed up
/// to it, or fetched a state from there on, within the bound; the bound begins at GST, at the moment
/// it became stable, or at the replica's last restart, whatever is latest.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    places: Vec<Place>,
    targets: VecDeque<Target>,
    highest: Seq,
}

/// Where a replica stands.
#[derive(Debug, Clone, Default)]
struct Place {
    executed: Seq,
    restarted: Instant,
    down: bool,
}

/// A stable checkpoint that has to be reached.
#[derive(Debug)]
struct Target {
    seq: Seq,
    /// By one replica, which has just restarted, or by all.
    by: Option<ReplicaId>,
    /// Since when.
    since: Instant,
    deadline: Instant,
    told: Exhibit,
}

impl Checker for CatchUp {
    fn hears(&self) -> Kinds {
        Kinds::of(&[
            FactKind::Crashed,
            FactKind::Restarted,
            FactKind::Executed,
            FactKind::TransferFinished,
            FactKind::Stable,
        ])
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        match &seen.event.fact {
            Fact::Crashed(it) => self.place(it.replica).down = true,
            Fact::Restarted(it) => self.place(it.replica).down = false,
            _ => {}
        }
        self.decide(run, seen.event.at, found);
        match &seen.event.fact {
            Fact::Executed(it) if !it.tentative => {
                let place = self.place(it.replica);
                place.executed = place.executed.max(it.seq);
            }
            Fact::TransferFinished(it) => self.place(it.replica).executed = it.seq,
            Fact::Restarted(it) => {
                let restarted = seen.event.at;
                *self.place(it.replica) = Place { executed: it.executed, restarted, down: false };
                if run.is_honest(it.replica) && self.highest > Seq(0) {
                    self.aim(Some(it.replica), self.highest, run, seen, found);
                }
            }
            Fact::Stable(it) if run.is_honest(it.replica) && it.seq > self.highest => {
                self.highest = it.seq;
                self.aim(None, it.seq, run, seen, found);
            }
            _ => {}
        }
    }

    fn finish(&mut self, run: &mut Run, found: &mut Findings) {
        // The end itself is still in time.
        self.decide(run, Instant(run.now.0.saturating_add(1)), found);
        self.targets.drain(..).for_each(|_| found.skip());
    }
}

impl CatchUp {
    /// Watches one more checkpoint. Times never fall, so the queue is in the order of deadlines.
    fn aim(
        &mut self,
        by: Option<ReplicaId>,
        seq: Seq,
        run: &Run,
        seen: &Seen<'_>,
        found: &mut Findings,
    ) {
        if self.targets.len() == TARGETS_MAX {
            return found.skip();
        }
        let since = seen.event.at;
        let (deadline, told) = (run.deadline(since), seen.exhibit());
        self.targets.push_back(Target { seq, by, since, deadline, told });
    }

    /// Decides the checkpoints whose time is over at `now`.
    fn decide(&mut self, run: &Run, now: Instant, found: &mut Findings) {
        while let Some(target) = self.targets.pop_front_if(|target| target.deadline < now) {
            let all = run.honest().filter(|replica| target.by.is_none_or(|by| by == *replica));
            for replica in all {
                let place = self.place(replica).clone();
                // A replica that came back later has a time of its own.
                if place.down || place.restarted > target.since {
                    found.skip();
                    continue;
                }
                found.decide(place.executed >= target.seq, || {
                    let (seq, at) = (target.seq, place.executed);
                    let what = format!(
                        "{replica} stands at {at} when the bound to reach the stable {seq} is over"
                    );
                    let shown = Violation::shown_by(vec![target.told.clone()], vec![replica], what);
                    Violation { at: target.deadline, ..shown }
                });
            }
        }
    }

    fn place(&mut self, replica: ReplicaId) -> &mut Place {
        let at = usize::from(replica.0);
        if self.places.len() <= at {
            self.places.resize_with(at + 1, Place::default);
        }
        self.places.get_mut(at).expect("the place was made above")
    }
}
