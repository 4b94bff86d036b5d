//! The figures of one trial.

use indexmap::IndexMap;
use quorumark_consensus::pbft::Message;
use quorumark_consensus::{ReplicaId, Seq};
use quorumark_pipeline::{
    ClientAuthKind, Protocol, ReplicaCounts, Snapshot, StageKind, ThreadSnapshot,
};
use quorumark_report::{Check, Metrics, Stage, Verdict, Warning, units};

use super::settings::Settings;
use super::trial::{Outcome, cut_off};
use crate::judge::littles_law;
use crate::load::LoadReport;
use crate::oracle::NAMES;
use crate::scenario::{Measured, Objection, Oracle, note};

/// The share of the intended requests that must be sent, and be answered, within the span.
const OFFERED_MIN: f64 = 0.99;
/// Requests by which a short span's ends may differ, and which share of all at most.
const ENDS: f64 = 5.0;
const ENDS_SHARE: f64 = 0.05;
/// The share of the intended requests that may stay without a result.
const DROPPED_MAX: f64 = 0.01;
/// What makes up the agreement on one batch.
const PHASES: [&str; 3] = ["pre-prepare", "prepare", "commit"];

/// Everything that a trial says about itself.
pub(super) fn measured(mut outcome: Outcome, settings: &Settings) -> Measured {
    let mut oracle = core::mem::take(&mut outcome.findings.checks);
    if !settings.oracle {
        // It was told nothing: what it misses was not missing.
        oracle.clear();
    }
    note_refused(&outcome, &mut oracle);
    note_replies(&mut outcome.load, &mut oracle);
    let objection = objection(&outcome, &oracle, settings);
    let void = objection.as_ref().is_some_and(|o| o.verdict == Verdict::Void);
    let mut metrics = Metrics::new();
    rates(&outcome, void, &mut metrics);
    counts(&outcome, settings, &mut metrics);
    let warnings = warnings(&outcome, &metrics);
    // Without times nothing tells one stage from another.
    let stages = if settings.cluster.stage_times { stages(&outcome) } else { Vec::new() };
    let bottleneck = (!stages.is_empty()).then(|| bottleneck(&stages));
    let load = outcome.load;
    let times = outcome.findings.times;
    let latencies = IndexMap::from([
        ("response_time_ns", load.response),
        ("service_time_ns", load.service),
        ("commit_first_ns", times.first),
        ("commit_quorum_ns", times.quorum),
        ("commit_last_ns", times.last),
    ]);
    let (span, series) = (load.span, load.series);
    Measured { span, metrics, oracle, objection, stages, latencies, series, warnings, bottleneck }
}

/// What speaks against the trial's figures, the worst first.
fn objection(outcome: &Outcome, oracle: &Oracle, settings: &Settings) -> Option<Objection> {
    // A replica that is gone explains all else.
    let lost = outcome.lost.first().map(|lost| (Verdict::Inconclusive, lost.clone()));
    let void = || not_offered(&outcome.load, settings).map(|r| (Verdict::Void, r));
    let shaken = || inconclusive(outcome, oracle).map(|r| (Verdict::Inconclusive, r));
    lost.or_else(void).or_else(shaken).map(|(verdict, reason)| Objection { verdict, reason })
}

/// Why the trial shows no throughput: nothing was answered, or an open loop did not offer its rate
/// or was not kept up with. Of the requests intended within the span 99 % must have been sent by
/// its end, and answered by its end or so long after it as the requests of its first tenth took
/// (their p99, or their longest where there are few): where that is not enough, the backlog grew.
fn not_offered(load: &LoadReport, settings: &Settings) -> Option<String> {
    let offered = settings.rate.map(units::count);
    if load.accepted_in_span == 0 {
        let nothing = "no request was answered within the span";
        return Some(match offered {
            Some(rate) => format!("{nothing}, at {rate} requests/s offered; choose a lower rate"),
            None => nothing.to_owned(),
        });
    }
    let offered = offered?;
    let intended = load.intended as f64;
    let least = OFFERED_MIN * intended - ENDS.min(ENDS_SHARE * intended);
    let allowed_ns = load.early.quantile(0.99).or(load.early.max()).unwrap_or(0);
    let answered = load.completed_in_span + load.late.count_within(allowed_ns);
    if load.sent as f64 >= least && answered as f64 >= least {
        return None;
    }
    let per_s = |count: u64| units::count(count as f64 / load.span.as_secs_f64());
    let (sent, answered) = (per_s(load.sent), per_s(answered));
    Some(format!(
        "{offered} requests/s were to be offered: of those due within the span {sent}/s were sent \
         and {answered}/s answered, below 99 %; choose a lower rate"
    ))
}

/// Why the trial says too little about the system.
fn inconclusive(outcome: &Outcome, oracle: &Oracle) -> Option<String> {
    let load = &outcome.load;
    if load.dropped as f64 > DROPPED_MAX * load.intended as f64 {
        let (dropped, intended) = (load.dropped, load.intended);
        return Some(format!(
            "{dropped} of {intended} requests got no result; quantiles leave them out"
        ));
    }
    let cut_off = cut_off(&outcome.cluster);
    if cut_off > 0 {
        return Some(format!(
            "the oracle was more than a second behind when the cluster stopped: what {cut_off} replicas \
             executed last is not checked"
        ));
    }
    if let Some(behind) = behind(&outcome.findings.behind) {
        return Some(behind);
    }
    if !outcome.settled {
        return Some("replicas were still at work when they were stopped".to_owned());
    }
    let unseen = |name: &&&str| oracle.get(**name).is_none_or(|check| check.evaluated == 0);
    let name = NAMES.iter().find(unseen)?;
    Some(format!("the check `{name}` was never made: nothing gave it occasion"))
}

/// The live replicas that did not execute to the end, in words.
fn behind(behind: &[(ReplicaId, Seq)]) -> Option<String> {
    let each = behind.iter().map(|(replica, last)| format!("{replica} executed up to {last}"));
    let told = each.collect::<Vec<_>>().join(", ");
    (!told.is_empty()).then(|| format!("{told}, others further"))
}

/// What a replica refused against what was spoilt: more is always wrong, less only when replicas
/// had the time to refuse them all.
fn note_refused(outcome: &Outcome, oracle: &mut Oracle) {
    let sent = outcome.load.sent_invalid;
    let refused = outcome.cluster.replicas.first().map_or(0, |r| r.counts.requests_refused);
    if sent == 0 || (refused < sent && !outcome.settled) {
        return;
    }
    let said = || format!("{sent} spoilt were sent, {refused} refused");
    note(oracle, "invalid_refused", (refused != sent).then(said));
}

/// Second replies against the results accepted.
fn note_replies(load: &mut LoadReport, oracle: &mut Oracle) {
    if load.replies_compared > 0 {
        let (differing, first) = core::mem::take(&mut load.replies_differing);
        let (evaluated, violated) = (load.replies_compared, differing);
        let check = Check { evaluated, violated, first_violation: first };
        oracle.insert("replies_equal".to_owned(), check);
    }
}

fn rates(outcome: &Outcome, void: bool, metrics: &mut Metrics) {
    let load = &outcome.load;
    let per_s = load.accepted_in_span as f64 / load.span.as_secs_f64();
    let shown = (!void).then_some(per_s);
    metrics.set("throughput_tx_per_s", shown);
    // Only valid requests are ever answered, so what is answered is good.
    metrics.set("goodput_tx_per_s", shown);
    let of_one = |sum: f64| (load.accepted_in_span > 0).then(|| sum / per_s_count(load));
    let per_tx = |ns: f64| of_one(ns / 1e3);
    let generator_ns = load.cpu.as_nanos() as f64;
    let cpu_ns = outcome.window.cpu_ns().map(|ns| ns as f64 + generator_ns);
    metrics.set("cpu_us_per_tx", cpu_ns.and_then(per_tx));
    metrics.set("generator_cpu_us_per_tx", per_tx(generator_ns));
    metrics.set("cpu_share", outcome.cpu_share);
    metrics.set("pace_us", outcome.pace_us);
    metrics.set("allocations_per_tx", outcome.allocations.map(|n| n as f64).and_then(of_one));
    let waits = |of: fn(&ThreadSnapshot) -> u64| outcome.window.threads.iter().map(of).sum::<u64>();
    metrics.set("parks_per_tx", of_one(waits(|thread| thread.parks) as f64));
    metrics.set("spins_per_tx", of_one(waits(|thread| thread.spins) as f64));
    // The oracle watches the whole trial, so its time is divided by all that was executed.
    let oracle_us = outcome.oracle_time.online.as_nanos() as f64 / 1e3;
    let executed = outcome.findings.executed;
    metrics.set("oracle_cpu_us_per_tx", (executed > 0).then(|| oracle_us / executed as f64));
}

fn per_s_count(load: &LoadReport) -> f64 {
    load.accepted_in_span as f64
}

/// Exact counts, over the whole trial where one request's work can fall on both sides of an end.
fn counts(outcome: &Outcome, settings: &Settings, metrics: &mut Metrics) {
    let load = &outcome.load;
    let total = outcome
        .cluster
        .replicas
        .iter()
        .fold(ReplicaCounts::default(), |sum, replica| sum.plus(&replica.counts));
    let engines = || outcome.cluster.replicas.iter().filter_map(|r| r.engine);
    let batches = engines().map(|engine| engine.batches_committed).max().unwrap_or(0);
    let executed = outcome.findings.executed;
    let answered = executed + load.reads_unordered;
    let each = |sum: u64, of: u64| (of > 0).then(|| sum as f64 / of as f64);

    metrics.set("intended", load.intended as f64);
    metrics.set("sent", load.sent as f64);
    metrics.set("completed", load.completed as f64);
    metrics.set("dropped", load.dropped as f64);
    metrics.set("rejected_requests", total.requests_refused as f64);
    metrics.set("sent_invalid", load.sent_invalid as f64);
    metrics.set("duplicates", load.replies_repeated as f64);
    metrics.set("reads_unordered_share", each(load.reads_unordered, answered));
    metrics.set("tentative_share", each(load.taken_tentatively, answered));
    metrics.set("reads_split", load.reads_split as f64);
    metrics.set("retransmitted", load.retransmitted as f64);
    let signed = settings.cluster.client_auth == ClientAuthKind::Signature;
    let proofs = if signed { total.client_proofs_verified } else { 0 };
    metrics.set("signatures_verified_per_tx", each(proofs, answered));
    metrics.set("messages_per_batch", each(phase_messages(&total), batches));
    let repeated: u64 = engines().map(|engine| engine.messages_repeated).sum();
    metrics.set("messages_repeated", repeated as f64);
    let bytes = total.bytes_sent + total.bytes_to_clients + load.bytes_sent;
    metrics.set("bytes_per_tx", each(bytes, answered));
    metrics.set("batch_size_mean", each(executed, batches));
    let entered = engines().map(|engine| engine.views_entered).max().unwrap_or(0);
    metrics.set("view_changes", entered as f64);
    metrics.set("replicas_peak_rss_bytes", outcome.replicas_rss_bytes.map(|bytes| bytes as f64));
    metrics.set("generator_pool_bytes", outcome.pool_bytes as f64);
}

fn phase_messages(counts: &ReplicaCounts) -> u64 {
    let kinds = Message::KINDS.iter().zip(&counts.sent);
    kinds.filter(|(kind, _)| PHASES.contains(kind)).map(|(_, sent)| *sent).sum()
}

/// Stage by stage, summed over the replicas, and the generator.
fn stages(outcome: &Outcome) -> Vec<Stage> {
    let kinds = StageKind::OF_A_REPLICA.into_iter().chain([StageKind::Socket]);
    let mut stages: Vec<Stage> = kinds.filter_map(|kind| stage(kind, &outcome.window)).collect();
    let load = &outcome.load;
    let busy_ns = load.cpu.as_nanos() as u64;
    stages.push(Stage {
        name: "generator".to_owned(),
        replica: None,
        threads: 1,
        items: load.accepted_in_span,
        batches: 0,
        busy_ns,
        wait_ns: (load.span.as_nanos() as u64).saturating_sub(busy_ns),
        blocked_ns: 0,
        cpu_ns: busy_ns,
        parks: 0,
        spins: 0,
        queue_depth_mean: None,
        queue_depth_max: None,
    });
    stages
}

fn stage(kind: StageKind, window: &Snapshot) -> Option<Stage> {
    let threads = || window.threads.iter().filter(move |thread| thread.stage == kind);
    let sum = |of: fn(&ThreadSnapshot) -> u64| threads().map(of).sum::<u64>();
    let batches = sum(|thread| thread.batches);
    let depth_sum = sum(|thread| thread.depth_sum);
    let count = threads().count() as u32;
    (count > 0).then(|| Stage {
        name: kind.to_string(),
        replica: None,
        threads: count,
        items: sum(|thread| thread.items),
        batches,
        busy_ns: sum(|thread| thread.busy_ns),
        wait_ns: sum(|thread| thread.wait_ns),
        blocked_ns: sum(|thread| thread.blocked_ns),
        cpu_ns: sum(|thread| thread.cpu_ns.unwrap_or(0)),
        parks: sum(|thread| thread.parks),
        spins: sum(|thread| thread.spins),
        queue_depth_mean: (batches > 0).then(|| depth_sum as f64 / batches as f64),
        queue_depth_max: threads().map(|thread| thread.depth_max).max(),
    })
}

/// The stage that used most CPU. How far the run is from the limit is `limit_share`'s to say: it
/// knows the floor after the run too.
fn bottleneck(stages: &[Stage]) -> String {
    let total: u64 = stages.iter().map(|stage| stage.cpu_ns).sum();
    let Some(most) = stages.iter().max_by_key(|stage| stage.cpu_ns).filter(|_| total > 0) else {
        return "unknown: the kernel does not tell the threads' CPU time".to_owned();
    };
    let share = 100.0 * most.cpu_ns as f64 / total as f64;
    format!("{} ({share:.0} % of CPU)", most.name)
}

fn warnings(outcome: &Outcome, metrics: &Metrics) -> Vec<Warning> {
    let load = &outcome.load;
    let mut warnings = Vec::new();
    for lost in &outcome.lost {
        let remedy = "rerun; the kernel's log tells whether memory was short";
        warnings.push(Warning::new("replica-lost", lost.clone(), remedy));
    }
    if load.proven_live > 0 {
        let cause = format!("{} requests were proven while the trial ran", load.proven_live);
        let remedy = "shorten --duration: the pool of proofs made beforehand was used up";
        warnings.push(Warning::new("signed-live", cause, remedy));
    }
    if outcome.findings.unchecked > 0 {
        let cause = format!(
            "{} executions or batches were not checked to the end",
            outcome.findings.unchecked
        );
        let remedy =
            "shorten --duration: a replica was behind or stopped, and the oracle's log was full";
        warnings.push(Warning::new("oracle-log-full", cause, remedy));
    }
    if load.unanswered > 0 {
        let cause = format!("{} requests got no result; quantiles leave them out", load.unanswered);
        warnings.push(Warning::new("dropped", cause, "choose a lower load; rerun"));
    }
    if let Some(behind) = behind(&outcome.findings.behind) {
        warnings.push(Warning::new("replica-behind", behind, "rerun on a quiet machine"));
    }
    if load.replies_refused > 0 {
        let cause =
            format!("{} replies, or runs of them, were not authentic", load.replies_refused);
        warnings.push(Warning::new("replies-refused", cause, "look for a faulty replica"));
    }
    warnings.extend(little(load, metrics));
    warnings
}

/// Little's law: what is in flight is what arrives a second times how long it stays.
fn little(load: &LoadReport, metrics: &Metrics) -> Option<Warning> {
    // With hardly anything in flight the ends of the span decide.
    let throughput = metrics.get("throughput_tx_per_s").filter(|_| load.in_flight_mean >= ENDS)?;
    littles_law(load.in_flight_mean, throughput, load.service.mean()?)
}
