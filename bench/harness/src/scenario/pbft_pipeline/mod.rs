//! `pbft/pipeline`: a whole cluster of PBFT replicas under load, from client to client.
//!
//! Each trial is a fresh cluster from a fresh seed: keys, signed requests, warm-up, measured span,
//! cool-down, stop, and then the oracle. What a transaction must cost at least is measured in the
//! same process before the first trial and after the last ([`crate::floor`]).

mod figures;
mod settings;
mod trial;
mod view_change;

pub(super) use view_change::PbftViewChange;

use core::time::Duration;
use std::sync::Arc;

use quorumark_consensus::pbft::PROTOCOL;
use quorumark_pipeline::ClientAuthKind;
use quorumark_report::{Metrics, Verdict, Warning};

use self::settings::Settings;
use super::{Closing, Control, Measured, MetricSpec, Objection, Scenario, Session, Spec, metric};
use crate::CPU_SHARE_UNDISTURBED_MIN;
use crate::environment::cores;
use crate::floor::{FLOOR_DRIFT_MAX, Floor, FloorBench, Replicas, Shape};
use crate::parameter::{ParameterError, ParameterSet};
use crate::trial::RunError;
use crate::workload::Workload;

const METRICS: &[MetricSpec] = &[
    metric("throughput_tx_per_s", "transactions answered by f + 1 replicas, per second"),
    metric("goodput_tx_per_s", "the same, without what was spoilt on purpose"),
    metric("cpu_us_per_tx", "CPU time of all replicas and clients for one transaction"),
    metric("floor_cpu_us_per_tx", "the least: request proofs by `auth`, digests, reply MACs"),
    metric("yardstick_share", "limit_share with ed25519-dalek's batch verification as floor"),
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
    metric("duplicates", "replies of replicas that had answered already"),
    metric("reads_unordered_share", "transactions that were reads answered without an order"),
    metric("reads_split", "reads that replicas answered differently, and that were ordered then"),
    metric("signatures_verified_per_tx", "client signatures verified, over all replicas"),
    metric("messages_per_batch", "pre-prepares, prepares and commits of one batch"),
    metric("bytes_per_tx", "bytes sent by replicas and clients"),
    metric("batch_size_mean", "transactions of one batch"),
    metric("view_changes", "views left"),
    metric("generator_pool_bytes", "memory of the requests signed beforehand"),
    metric("oracle_cpu_us_per_tx", "CPU time of the oracle, which no other figure holds"),
    metric("allocations_per_tx", "memory allocations"),
    metric("first_commit_after_stop_ns", "of pbft/view-change alone: no primary is stopped here"),
];

/// The whole pipeline under PBFT.
#[derive(Debug)]
pub(super) struct PbftPipeline;

impl Scenario for PbftPipeline {
    fn spec(&self) -> Spec {
        Spec {
            name: "pbft/pipeline",
            description: "PBFT replicas and clients in one process, from request to f + 1 replies",
            parameters: settings::parameters(),
            metrics: METRICS,
        }
    }

    fn check(&self, parameters: &ParameterSet) -> Result<(), ParameterError> {
        Settings::read(parameters).map(drop)
    }

    fn preparation(&self) -> &'static str {
        "measuring the floor, about 1.4 s"
    }

    fn conclusion(&self) -> &'static str {
        "measuring the floor again, about 1.4 s"
    }

    fn prepare(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        let settings = Settings::read(parameters)?;
        let workload = settings.workload();
        let shape = Shape {
            payload: workload.operation_bytes_mean().max(1.0) as usize,
            batch: settings.floor_batch(),
            signers: settings.cluster.signers as usize,
        };
        let mut bench = FloorBench::new(shape, PROTOCOL, settings.seed);
        let before = floor(&mut bench, &settings)?;
        let workload = Arc::new(workload);
        Ok(Box::new(PipelineSession { settings, workload, bench, before, trials: 0 }))
    }
}

struct PipelineSession {
    settings: Settings,
    workload: Arc<Workload>,
    bench: FloorBench,
    before: Floor,
    trials: u64,
}

impl Session for PipelineSession {
    /// Each trial warms up its own cluster.
    fn warm_up(&mut self, _: Duration, _: &Control<'_>) -> Result<(), RunError> {
        Ok(())
    }

    fn trial(&mut self, span: Duration, control: &Control<'_>) -> Result<Measured, RunError> {
        let seed = self.settings.seed.wrapping_add(self.trials << 32);
        self.trials += 1;
        let least_us = self.before.cpu_us_per_tx(self.settings.live());
        let plan = self.settings.plan(Arc::clone(&self.workload), seed);
        let outcome = trial::run(&self.settings, &plan, seed, span, least_us, control)?;
        Ok(figures::measured(outcome, &self.settings))
    }

    fn finish(&mut self, metrics: &mut Metrics) -> Result<Closing, RunError> {
        let live = self.settings.live();
        let after = floor(&mut self.bench, &self.settings)?;
        let signed = self.settings.cluster.client_auth == ClientAuthKind::Signature;
        let floor = self.before.mean(&after);
        shares(&floor, live, signed, metrics);
        let drift = self.before.drift(&after, live);
        Ok(Closing {
            objection: (drift > FLOOR_DRIFT_MAX).then(|| drifted(drift)),
            warnings: missing_shares(metrics, signed),
            ..Closing::default()
        })
    }
}

/// The floor under the way in which clients authenticate: a MAC costs what a reply's does, made by
/// the client once for each replica and checked there; nothing costs nothing, which leaves digests
/// and the MACs of replies. `limit_share` holds in each of these; `yardstick_share` compares
/// signatures, and is absent without them.
fn floor(bench: &mut FloorBench, settings: &Settings) -> Result<Floor, RunError> {
    let floor = measure(bench)?;
    let verify_us = match settings.cluster.client_auth {
        ClientAuthKind::Signature => floor.verify_us,
        ClientAuthKind::Mac => 2.0 * floor.reply_mac_us,
        ClientAuthKind::None => 0.0,
    };
    Ok(Floor { verify_us, ..floor })
}

/// The floor as it is measured, whatever authenticates.
fn measure(bench: &mut FloorBench) -> Result<Floor, RunError> {
    bench.measure().ok_or_else(|| RunError::Failed {
        what: "a valid signature was refused while the floor was measured".to_owned(),
        remedy: "run `quorumark verify`".to_owned(),
    })
}

/// Sets what the floor says about the medians of the run.
fn shares(floor: &Floor, live: Replicas, signed: bool, metrics: &mut Metrics) {
    let least_us = floor.cpu_us_per_tx(live);
    let of_cpu = |least: f64| metrics.get("cpu_us_per_tx").map(|cpu| least / cpu);
    let limit_share = of_cpu(least_us);
    let yardstick = of_cpu(floor.yardstick_cpu_us_per_tx(live)).filter(|_| signed);
    let reachable = f64::from(cores()) * 1e6 / least_us;
    let undisturbed = metrics.get("cpu_share") >= Some(CPU_SHARE_UNDISTURBED_MIN);
    let throughput = metrics.get("throughput_tx_per_s").filter(|_| undisturbed);
    metrics.set("floor_cpu_us_per_tx", least_us);
    metrics.set("limit_share", limit_share);
    metrics.set("yardstick_share", yardstick);
    metrics.set("wall_limit_share", throughput.map(|reached| reached / reachable));
}

fn missing_shares(metrics: &Metrics, signed: bool) -> Vec<Warning> {
    let mut warnings = Vec::new();
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
            "the floor changed by {percent:.0} % while the run was measured: the machine changed \
             under it; run again, at best when `quorumark doctor` trusts the machine"
        ),
    }
}
