//! Who waits for a trial to pass, and tells meanwhile how its load gets on.

use quorumark_pipeline::{Snapshot, StageKind};

use super::system::System;
use super::trial::wait;
use crate::load::Gauge;
use crate::oracle::Window;
use crate::progress::Live;
use crate::scenario::Control;

/// What is looked at, and for whom.
#[derive(Clone, Copy)]
pub(super) struct Onlooker<'a> {
    /// What the generator reaches.
    pub(super) gauge: &'a Gauge,
    /// The measured span.
    pub(super) window: Window,
    /// Who listens, if anybody.
    pub(super) control: &'a Control<'a>,
}

impl Onlooker<'_> {
    /// Waits for the span to pass. Nothing is looked at where nobody wants to know.
    pub(super) fn follow(&self, cluster: &System) {
        let Onlooker { gauge, window, control } = *self;
        let every = control.progress.looks_every();
        let span = window.end.since(window.start).as_secs_f64();
        let mut before = every.and_then(|_| cluster.queues());
        while let Some(every) = every.filter(|_| cluster.now() < window.end) {
            wait(cluster, (cluster.now() + every).min(window.end), control);
            if control.interrupted() {
                return;
            }
            let now = cluster.queues();
            let queue =
                now.as_ref().zip(before.as_ref()).and_then(|(now, then)| deepest(&now.since(then)));
            before = now;
            if let Some(throughput_tx_per_s) = gauge.throughput() {
                let done = cluster.now().since(window.start).as_secs_f64() / span;
                let p99_ns = gauge.p99_ns().map(|ns| ns as f64);
                control.progress.live(&Live { done, throughput_tx_per_s, p99_ns, queue });
            }
        }
        wait(cluster, window.end, control);
    }
}

/// The stage whose input queues were longest, and how long on average.
fn deepest(span: &Snapshot) -> Option<(String, f64)> {
    let mean = |stage: StageKind| {
        let threads = || span.threads.iter().filter(move |thread| thread.stage == stage);
        let batches: u64 = threads().map(|thread| thread.batches).sum();
        let depth: u64 = threads().map(|thread| thread.depth_sum).sum();
        (batches > 0 && depth > 0).then(|| (stage.to_string(), depth as f64 / batches as f64))
    };
    let stages: Vec<StageKind> = span.threads.iter().map(|thread| thread.stage).collect();
    stages.into_iter().filter_map(mean).max_by(|(_, a), (_, b)| a.total_cmp(b))
}
