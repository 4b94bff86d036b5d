//! `pbft/view-change`: the primary is stopped under load, and the committee goes on without it.
//!
//! Each trial is a trial of `pbft/pipeline` in whose span replica 0, the primary of view 0, is stopped
//! for good. The first commit of a later view is held against 1.2 times the sum of what it has to wait
//! for, each term of the same run: the configured timeout of the backups, four message delays
//! (VIEW-CHANGE, NEW-VIEW, PREPARE, COMMIT) and the verification of what the change says.
//!
//! A message delay is a quarter of the median time from a request's send to the commit that completes
//! a quorum, which is four messages too (request, pre-prepare, prepare, commit). Verification is the
//! number of replicas' signatures verified from the stop to that commit, at the CPU time of one in this
//! process, divided among the cores that the replicas have.

use core::ops::Bound;
use core::time::Duration;
use std::sync::Arc;

use quorumark_consensus::pbft::{Counters, Message};
use quorumark_pipeline::{ClientAuthKind, Protocol, ReplicaCounts};
use quorumark_report::{Metrics, Verdict};

use super::settings::{self, PrimaryStop, Settings};
use super::trial::{Change, FIRST_PRIMARY, Outcome};
use super::{figures, trial};
use crate::environment::cores;
use crate::parameter::{Parameter, ParameterError, ParameterSet, Value};
use crate::scenario::{
    Closing, Control, Measured, MetricSpec, Objection, Scenario, Session, Spec, metric,
};
use crate::trial::RunError;
use crate::workload::Workload;

/// By how much the first commit may exceed what it waits for.
const SLACK: f64 = 1.2;
/// Messages between a backup's patience and the commit: VIEW-CHANGE, NEW-VIEW, PREPARE, COMMIT.
const DELAYS: f64 = 4.0;

const METRICS: &[MetricSpec] = &[
    metric("first_commit_after_stop_ns", "time from the primary's stop to the next commit"),
    metric("first_commit_bound_ns", "1.2 x (timeout + 4 message delays + verification)"),
    metric("view_timeout_ns", "the backups' patience, as configured"),
    metric("message_delay_ns", "a quarter of the median time from a send to a quorum's commit"),
    metric("change_verification_ns", "replicas' signatures of the change, at their measured cost"),
    metric("change_signatures_verified", "of replicas, from the stop to the first commit"),
    metric("change_messages", "between replicas, from the stop to the first commit"),
    metric("change_bytes", "the bytes of these"),
    metric("view_change_messages", "of these, VIEW-CHANGEs and NEW-VIEWs"),
    metric("prepared_certificates", "in one VIEW-CHANGE, on average: the size of P"),
    metric("view_changes", "views entered, by the replica that entered most"),
    metric("timeouts", "timers that expired, over all replicas"),
    metric("throughput_tx_per_s", "transactions answered in the span, the outage included"),
    metric("response_time_ns_p50", "median time from the intended send to f + 1 replies"),
    metric("response_time_ns_max", "the longest: of a request that waited for the new view"),
    metric("commit_quorum_ns_p50", "median time from the send to the commit that makes a quorum"),
    metric("intended", "requests meant to be sent within the span"),
    metric("completed", "of these, answered by the end of the cool-down"),
    metric("unanswered", "requests of the whole trial without a result"),
    metric("retransmitted", "requests sent to all after a timeout"),
];

/// The primary stops in the middle of the load.
#[derive(Debug)]
pub(in super::super) struct PbftViewChange;

impl Scenario for PbftViewChange {
    fn spec(&self) -> Spec {
        Spec {
            name: "pbft/view-change",
            description: "the primary is stopped under load: time to the next view's first commit",
            parameters: parameters(),
            metrics: METRICS,
        }
    }

    fn check(&self, parameters: &ParameterSet) -> Result<(), ParameterError> {
        read(parameters).map(drop)
    }

    fn prepare(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        let settings = read(parameters)?;
        let workload = settings.workload();
        let mut bench = settings.signed_floor_bench(&workload);
        let floor = super::measure(&mut bench)?.least();
        let least_us = settings.floor(floor).cpu_us_per_tx(settings.live());
        let verify_us = floor.verify_us;
        let workload = Arc::new(workload);
        Ok(Box::new(ChangeSession { settings, workload, least_us, verify_us, trials: 0 }))
    }
}

/// Those of `pbft/pipeline`, with other defaults, and when the primary stops.
fn parameters() -> Vec<Parameter> {
    let defaults = [
        ("concurrency", Value::Integer(64)),
        ("client_to_all", Value::Flag(true)),
        ("view_timeout", Value::Duration(Duration::from_secs(1))),
        ("duration", Value::Duration(Duration::from_secs(4))),
        ("warmup", Value::Duration(Duration::from_secs(1))),
    ];
    let mut parameters = settings::parameters();
    for (name, default) in defaults {
        let set = parameters.iter_mut().find(|parameter| parameter.name == name);
        set.expect("a parameter of the pipeline").default = default;
    }
    let after = Duration::ZERO..=Duration::from_secs(3600);
    let at = "when the primary stops, from the start of a trial";
    let prepared = "sequence numbers above a checkpoint at the stop, about the size of P; 0: any";
    parameters.push(Parameter::duration("stop_after", after, Duration::from_secs(1), at));
    parameters.push(Parameter::integer("prepared", "seqs", 0..=32_768, 0, prepared));
    parameters
}

fn read(parameters: &ParameterSet) -> Result<Settings, ParameterError> {
    let stop = PrimaryStop {
        after: parameters.duration("stop_after"),
        prepared: parameters.integer("prepared"),
    };
    let (duration, interval) =
        (parameters.duration("duration"), parameters.integer("checkpoint_interval"));
    if stop.after >= duration {
        return Err(ParameterError::Conflict {
            names: "stop_after, duration".to_owned(),
            problem: "the primary stops after the trial's end".to_owned(),
            remedy: "choose a shorter stop_after, or a longer duration".to_owned(),
        });
    }
    if stop.prepared >= interval {
        return Err(ParameterError::Conflict {
            names: format!("prepared={}, checkpoint_interval={interval}", stop.prepared),
            problem: "so many are never above a checkpoint".to_owned(),
            remedy: "choose prepared below checkpoint_interval".to_owned(),
        });
    }
    Settings::read(parameters)?.stopping(stop)
}

struct ChangeSession {
    settings: Settings,
    workload: Arc<Workload>,
    /// The least CPU time of a transaction, which sizes the pool of signed requests.
    least_us: f64,
    /// CPU time of one signature's verification.
    verify_us: f64,
    trials: u64,
}

impl Session for ChangeSession {
    /// Each trial warms up its own cluster.
    fn warm_up(&mut self, _: Duration, _: &Control<'_>) -> Result<(), RunError> {
        Ok(())
    }

    fn trial(&mut self, span: Duration, control: &Control<'_>) -> Result<Measured, RunError> {
        let seed = self.settings.seed.wrapping_add(self.trials << 32);
        self.trials += 1;
        let plan = self.settings.plan(Arc::clone(&self.workload), seed);
        let outcome = trial::run(&self.settings, &plan, seed, span, self.least_us, control)?;
        let mut metrics = Metrics::new();
        let flaw = change_figures(&outcome, &self.settings, self.verify_us, &mut metrics);
        let mut measured = figures::measured(outcome, &self.settings);
        metrics.iter().for_each(|(name, value)| measured.metrics.set(name, value));
        let void = |objection: &Objection| objection.verdict == Verdict::Void;
        if !measured.objection.as_ref().is_some_and(void) {
            measured.objection = flaw.or(measured.objection);
        }
        Ok(measured)
    }

    fn finish(&mut self, _: &mut Metrics) -> Result<Closing, RunError> {
        let warnings = self.settings.without_effect(&self.workload).into_iter().collect();
        let effective = self.settings.effective();
        Ok(Closing { warnings, effective, ..Closing::default() })
    }
}

/// Sets what the change cost, and tells what speaks against it.
fn change_figures(
    outcome: &Outcome,
    settings: &Settings,
    verify_us: f64,
    metrics: &mut Metrics,
) -> Option<Objection> {
    let void = |reason: &str| Some(Objection { verdict: Verdict::Void, reason: reason.to_owned() });
    let Some(change) = &outcome.change else { return void("the primary was not stopped") };
    counts(change, outcome, metrics);
    metrics.set("unanswered", outcome.load.unanswered as f64);

    let later = (Bound::Excluded(change.view), Bound::Unbounded);
    let first = outcome.findings.first_commits.range(later).map(|(_, at)| *at).min();
    let first_ns = first.map(|at| at.since(change.stopped_at).as_nanos() as f64);
    let timeout_ns = settings.cluster.engine.view_timeout.as_nanos() as f64;
    let delay_ns = outcome.findings.times.quorum.quantile(0.5).map(|ns| ns as f64 / DELAYS);
    let shared = settings.live().live.min(cores() as usize).max(1) as f64;
    let signatures = signatures_of_replicas(&change.counted.totals(), settings) as f64;
    let verification_ns = signatures * verify_us * 1e3 / shared;
    let bound_ns = delay_ns.map(|ns| SLACK * (timeout_ns + DELAYS * ns + verification_ns));
    metrics.set("first_commit_after_stop_ns", first_ns);
    metrics.set("first_commit_bound_ns", bound_ns);
    metrics.set("view_timeout_ns", timeout_ns);
    metrics.set("message_delay_ns", delay_ns);
    metrics.set("change_signatures_verified", signatures);
    metrics.set("change_verification_ns", verification_ns);

    if settings.committee().primary(change.view) != FIRST_PRIMARY {
        return void("the view had changed before the primary was stopped; raise view_timeout");
    }
    let (Some(first_ns), Some(bound_ns)) = (first_ns, bound_ns) else {
        return void("nothing was committed after the primary's stop; choose a longer duration");
    };
    let reason = if outcome.load.unanswered > 0 {
        format!("{} requests were never answered", outcome.load.unanswered)
    } else if first_ns > bound_ns {
        let (first, bound) = (first_ns / 1e6, bound_ns / 1e6);
        format!("the first commit came {first:.0} ms after the stop, later than {bound:.0} ms")
    } else {
        return None;
    };
    Some(Objection { verdict: Verdict::Inconclusive, reason })
}

/// What was said from the stop to the first commit, and what the engines counted in their lives.
fn counts(change: &Change, outcome: &Outcome, metrics: &mut Metrics) {
    let total = change.counted.totals();
    let of_change = Message::KINDS.iter().zip(&total.sent);
    let of_change = of_change.filter(|(kind, _)| ["view-change", "new-view"].contains(kind));
    let engines: Vec<Counters> = outcome.cluster.replicas.iter().filter_map(|r| r.engine).collect();
    let sum = |of: fn(&Counters) -> u64| engines.iter().map(of).sum::<u64>();
    let (said, shown) = (sum(|engine| engine.view_changes_said), sum(|e| e.certificates_said));
    metrics.set("change_messages", total.sent.iter().sum::<u64>() as f64);
    metrics.set("change_bytes", total.bytes_sent as f64);
    metrics.set("view_change_messages", of_change.map(|(_, sent)| *sent).sum::<u64>() as f64);
    metrics.set("prepared_certificates", (said > 0).then(|| shown as f64 / said as f64));
    metrics.set("timeouts", sum(|engine| engine.timeouts) as f64);
}

/// Signatures verified that are not of clients.
fn signatures_of_replicas(total: &ReplicaCounts, settings: &Settings) -> u64 {
    let signed = settings.cluster.client_auth == ClientAuthKind::Signature;
    let of_clients = if signed { total.client_proofs_verified } else { 0 };
    total.signatures_verified.saturating_sub(of_clients)
}
