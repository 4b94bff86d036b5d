//! `pbft/pipeline`: a whole cluster of PBFT replicas under load, from client to client.
//!
//! Each trial is a fresh cluster from a fresh seed: keys, signed requests, warm-up, measured span,
//! cool-down, stop, and then the oracle. What a transaction must cost at least is measured in the
//! same process before the first trial and after the last ([`crate::floor`]), and brought to the
//! pace that the core had during each ([`crate::pace`]).

mod figures;
mod onlooker;
mod settings;
mod system;
mod trial;
mod tunables;
mod view_change;

pub(crate) use system::PipelineReplica;
pub(super) use view_change::PbftViewChange;

use core::time::Duration;
use std::sync::Arc;

use quorumark_pipeline::ClientAuthKind;
use quorumark_report::stats::median;
use quorumark_report::{Metrics, Verdict, Warning};

pub(crate) use self::settings::CONCURRENCY;
use self::settings::Settings;
use super::{Closing, Control, Measured, MetricSpec, Objection, Scenario, Session, Spec, metric};
use crate::CPU_SHARE_UNDISTURBED_MIN;
use crate::environment::cores;
use crate::floor::{FLOOR_DRIFT_MAX, Floor, FloorBench, RelativeFloor, Replicas};
use crate::parameter::{ParameterError, ParameterSet};
use crate::trial::RunError;
use crate::tune::Tunable;
use crate::workload::Workload;

const METRICS: &[MetricSpec] = &[
    metric("throughput_tx_per_s", "transactions answered by f + 1 replicas, per second"),
    metric("goodput_tx_per_s", "the same, without what was spoilt on purpose"),
    metric("cpu_us_per_tx", "CPU time of all replicas and clients for one transaction"),
    metric("floor_cpu_us_per_tx", "the least at the run's pace: proofs by `auth`, digests, MACs"),
    metric("floor_least_cpu_us_per_tx", "the same at the best pace around the run"),
    metric("pace_us", "a fixed piece of work beside the run: 16 signatures in one equation"),
    metric("pace_slowdown", "how many times as much that is as at the best pace around the run"),
    metric("yardstick_share", "limit_share with ed25519-dalek's batch verification as floor"),
    metric("generator_cpu_us_per_tx", "of cpu_us_per_tx, what the load generator used"),
    metric("response_time_ns_p50", "median time from the intended send to f + 1 replies"),
    metric("response_time_ns_p99", "99 % are faster"),
    metric("service_time_ns_p50", "median time from the real send to f + 1 replies"),
    metric("service_time_ns_p99", "99 % are faster"),
    metric("commit_first_ns_p50", "median time from the send to the first replica's commit"),
    metric("commit_quorum_ns_p50", "to the commit that completes a quorum"),
    metric("commit_last_ns_p50", "to the last live replica's commit"),
    metric("intended", "requests meant to be sent within the span"),
    metric("sent", "of these, sent before its end"),
    metric("completed", "of these, answered by the end of the cool-down"),
    metric("dropped", "sent and never answered"),
    metric("rejected_requests", "requests that replicas refused for their proof"),
    metric("sent_invalid", "requests whose proof was spoilt on purpose"),
    metric("retransmitted", "requests sent to all after a timeout"),
    metric("duplicates", "replies of replicas that had answered already"),
    metric("reads_unordered_share", "transactions that were reads answered without an order"),
    metric("tentative_share", "transactions whose result was taken before it was committed"),
    metric("reads_split", "reads that replicas answered differently, and that were ordered then"),
    metric("signatures_verified_per_tx", "client signatures verified, over all replicas"),
    metric("messages_per_batch", "pre-prepares, prepares and commits of one batch, repeats too"),
    metric("messages_repeated", "messages that replicas sent again, to one that was behind"),
    metric("bytes_per_tx", "bytes sent by replicas and clients"),
    metric("batch_size_mean", "transactions of one batch"),
    metric("view_changes", "views left"),
    metric(
        "generator_pool_bytes",
        "memory of the clients' signatures or authenticators made beforehand",
    ),
    metric("oracle_cpu_us_per_tx", "CPU time of the oracle, which no other figure holds"),
    metric("allocations_per_tx", "memory allocations of the process, load and oracle included"),
    metric("parks_per_tx", "times that threads without input parked: at most as many wake-ups"),
    metric("spins_per_tx", "times that they found input while they looked on, before parking"),
    metric("replicas_peak_rss_bytes", "of peak_rss_bytes, what the replicas' own processes held"),
    metric("first_commit_after_stop_ns", "of pbft/view-change alone: no primary is stopped here"),
];

/// The whole pipeline under PBFT.
#[derive(Debug)]
pub(super) struct PbftPipeline;

impl Scenario for PbftPipeline {
    fn spec(&self) -> Spec {
        Spec {
            name: "pbft/pipeline",
            description: "a cluster of PBFT replicas and its clients, from request to f + 1 replies",
            parameters: settings::parameters(),
            metrics: METRICS,
        }
    }

    fn check(&self, parameters: &ParameterSet) -> Result<(), ParameterError> {
        Settings::read(parameters).map(drop)
    }

    fn preparation(&self) -> &'static str {
        "measuring the floor, up to 1.5 s"
    }

    fn conclusion(&self) -> &'static str {
        "measuring the floor again, up to 1.5 s"
    }

    fn prepare(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        Ok(Box::new(PipelineSession::new(parameters, FloorBench::measure)?))
    }

    fn prepare_briefly(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        Ok(Box::new(PipelineSession::new(parameters, FloorBench::estimate)?))
    }

    fn tunables(&self, parameters: &ParameterSet) -> Result<Vec<Tunable>, ParameterError> {
        tunables::of(parameters)
    }
}

struct PipelineSession {
    settings: Settings,
    workload: Arc<Workload>,
    bench: FloorBench,
    before: RelativeFloor,
    trials: Vec<Spent>,
    /// Whether the run was ended before its time.
    cut: bool,
}

/// What one trial's transactions cost, and at which pace.
#[derive(Debug, Clone, Copy)]
struct Spent {
    cpu_us: Option<f64>,
    pace_us: Option<f64>,
}

impl Session for PipelineSession {
    /// Each trial warms up its own cluster.
    fn warm_up(&mut self, _: Duration, _: &Control<'_>) -> Result<(), RunError> {
        Ok(())
    }

    fn trial(&mut self, span: Duration, control: &Control<'_>) -> Result<Measured, RunError> {
        let seed = self.settings.seed.wrapping_add((self.trials.len() as u64) << 32);
        let live = self.settings.live();
        let least_us = self.settings.floor(self.before.least()).cpu_us_per_tx(live);
        let plan = self.settings.plan(Arc::clone(&self.workload), seed);
        let outcome = trial::run(&self.settings, &plan, seed, span, least_us, control);
        self.cut = control.interrupted();
        let measured = figures::measured(outcome?, &self.settings);
        let of = |name| measured.metrics.get(name);
        self.trials.push(Spent { cpu_us: of("cpu_us_per_tx"), pace_us: of("pace_us") });
        Ok(measured)
    }

    fn finish(&mut self, metrics: &mut Metrics) -> Result<Closing, RunError> {
        // Whoever interrupts a run does not wait for another floor: its shares are not quoted.
        let mut after = if self.cut { self.before } else { measure(&mut self.bench)? };
        if self.drift(&after) > FLOOR_DRIFT_MAX {
            // What was disturbed may have been the floor and not the machine.
            after = measure(&mut self.bench)?;
        }
        self.shares(&self.before.mean(&after), metrics);
        let drift = self.drift(&after);
        let signed = self.settings.cluster.client_auth == ClientAuthKind::Signature;
        let mut warnings = missing_shares(metrics, signed);
        warnings.extend(self.settings.without_effect(&self.workload));
        Ok(Closing {
            objection: (drift > FLOOR_DRIFT_MAX).then(|| drifted(drift)),
            warnings,
            effective: self.settings.effective(),
            ..Closing::default()
        })
    }
}

impl PipelineSession {
    /// A session whose floor before the first trial is what `look` sees.
    fn new(
        parameters: &ParameterSet,
        look: fn(&mut FloorBench) -> Option<RelativeFloor>,
    ) -> Result<PipelineSession, RunError> {
        let settings = Settings::read(parameters)?;
        let workload = settings.workload();
        let mut bench = settings.floor_bench(&workload);
        let before = look(&mut bench).ok_or_else(refused)?;
        let workload = Arc::new(workload);
        Ok(PipelineSession { settings, workload, bench, before, trials: Vec::new(), cut: false })
    }

    /// By how much a floor differs from the one before the run, both at one pace.
    fn drift(&self, after: &RelativeFloor) -> f64 {
        let of = |floor: &RelativeFloor| self.settings.floor(floor.at(self.before.pace_us));
        of(&self.before).drift(&of(after), self.settings.live())
    }

    /// Sets what the floor says about the run: each trial is held against the floor at its own
    /// pace.
    fn shares(&self, floor: &RelativeFloor, metrics: &mut Metrics) {
        let live = self.settings.live();
        let signed = self.settings.cluster.client_auth == ClientAuthKind::Signature;
        let at = |pace_us: f64| self.settings.floor(floor.at(pace_us));
        // Without signatures of clients no pace is in the floor, and none has to be known.
        let paced = |pace_us: Option<f64>| pace_us.or((!signed).then_some(floor.pace_us));
        let share = |least: fn(&Floor, Replicas) -> f64| {
            let of = |spent: &Spent| Some(least(&at(paced(spent.pace_us)?), live) / spent.cpu_us?);
            median(self.trials.iter().filter_map(of))
        };
        let pace_us = metrics.get("pace_us");
        let least_us = paced(pace_us).map(|pace_us| at(pace_us).cpu_us_per_tx(live));
        let reachable = least_us.map(|least_us| f64::from(cores()) * 1e6 / least_us);
        let undisturbed = metrics.get("cpu_share") >= Some(CPU_SHARE_UNDISTURBED_MIN);
        let throughput = metrics.get("throughput_tx_per_s").filter(|_| undisturbed);
        metrics.set("floor_cpu_us_per_tx", least_us);
        metrics.set("floor_least_cpu_us_per_tx", at(floor.pace_us).cpu_us_per_tx(live));
        metrics.set("pace_slowdown", pace_us.map(|pace_us| pace_us / floor.pace_us));
        metrics.set("limit_share", share(Floor::cpu_us_per_tx));
        let yardstick = share(Floor::yardstick_cpu_us_per_tx).filter(|_| signed);
        metrics.set("yardstick_share", yardstick);
        let reached = throughput.zip(reachable).map(|(reached, reachable)| reached / reachable);
        metrics.set("wall_limit_share", reached);
    }
}

/// The whole floor, for the run to be held against.
fn measure(bench: &mut FloorBench) -> Result<RelativeFloor, RunError> {
    bench.measure().ok_or_else(refused)
}

fn refused() -> RunError {
    RunError::Failed {
        what: "a valid signature was refused while the floor was measured".to_owned(),
        remedy: "run `quorumark verify`".to_owned(),
    }
}

fn missing_shares(metrics: &Metrics, signed: bool) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if signed && metrics.get("pace_us").is_none() {
        let cause = "limit_share needs the pace of the run, and the run was too short to see it";
        warnings.push(Warning::new("pace-not-seen", cause, "use --duration 1s or more"));
    }
    if metrics.get("wall_limit_share").is_none() {
        let (cause, remedy) = if metrics.get("throughput_tx_per_s").is_none() {
            ("wall_limit_share needs a throughput, and this run has none", "the verdict says why")
        } else {
            let cause = "wall_limit_share is judged only on a machine that is left alone";
            (cause, "limit_share holds; or rerun")
        };
        warnings.push(Warning::new("wall-share-not-judged", cause, remedy));
    }
    if !signed {
        let cause = "yardstick_share compares signatures, and clients sign nothing";
        warnings.push(Warning::new("no-signatures", cause, "use auth=signature for it"));
    }
    warnings
}

fn drifted(drift: f64) -> Objection {
    let percent = drift * 100.0;
    Objection {
        verdict: Verdict::Inconclusive,
        reason: format!(
            "the floor changed by {percent:.0} % while the run was measured, beyond what the pace \
             explains: run again, at best when `quorumark doctor` trusts the machine"
        ),
    }
}
