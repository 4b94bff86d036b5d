//! `pbft/pipeline` as a program runs it: small clusters, short spans, every check.

#![allow(clippy::unwrap_used)] // A test stops at what it did not expect.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

use quorumark_harness::parameter::ParameterError;
use quorumark_harness::{
    Host, Origin, ParameterSet, Phase, Progress, Run, RunError, Scenario, run, scenario,
};
use quorumark_report::{Record, Verdict};

use crate::described::{has_messages_per_batch, is_listed};

fn pipeline() -> &'static dyn Scenario {
    scenario::find("pbft/pipeline").unwrap()
}

fn parameters(settings: &[&str]) -> ParameterSet {
    let mut parameters = ParameterSet::new(pipeline().spec().parameters);
    let tiny = ["duration=300ms", "warmup=100ms", "concurrency=32", "payload=64B"];
    for setting in tiny.iter().chain(settings) {
        parameters.assign(setting, Origin::Flag("--set".to_owned())).unwrap();
    }
    parameters
}

fn run_tiny(settings: &[&str]) -> Run {
    run(pipeline(), &parameters(settings), Host::quiet()).unwrap()
}

/// A run that passed every check. The machine may have been busy: that is no fault of the run.
fn passed(settings: &[&str]) -> Record {
    let record = run_tiny(settings).record;
    assert!(record.verdict.has_result(), "{settings:?}: {:?}", record.verdict_reason);
    for check in ["agreement", "order", "exactly_once", "certificates", "validity"] {
        let check = &record.oracle[check];
        assert!(check.evaluated > 0 && check.violated == 0, "{settings:?}: {check:?}");
    }
    record
}

fn value(record: &Record, name: &str) -> f64 {
    record.metrics.get(name).unwrap_or_else(|| panic!("{name} in {:?}", record.metrics))
}

fn is(record: &Record, name: &str, expected: f64) -> bool {
    (value(record, name) - expected).abs() < 1e-9
}

#[test]
fn osdi99_5_1_reads_are_answered_without_an_order_and_the_oracle_finds_nothing_amiss() {
    for transport in ["memory", "tcp"] {
        let transport = format!("transport={transport}");
        let record = passed(&["auth=none", "workload=ycsb-a", "read_only=true", &transport]);
        let share = value(&record, "reads_unordered_share");
        assert!((0.1..0.6).contains(&share), "half of all are reads: {share}");
        assert!(value(&record, "dropped") < 1.0);
    }
    let record = passed(&["auth=none", "workload=ycsb-a"]);
    assert!(is(&record, "reads_unordered_share", 0.0) && is(&record, "reads_split", 0.0));
}

#[test]
fn osdi99_5_1_results_are_taken_before_they_are_committed_and_the_oracle_finds_nothing_amiss() {
    for more in ["transport=memory", "transport=tcp", "read_only=true"] {
        let tentative = ["auth=none", "workload=ycsb-a", "concurrency=1", "tentative=true", more];
        let record = passed(&tentative);
        let share = value(&record, "tentative_share");
        assert!(share > 0.1, "{more}: {share}");
        assert!(value(&record, "dropped") < 1.0);
    }
    assert!(is(&passed(&["auth=none", "workload=ycsb-a"]), "tentative_share", 0.0));
}

#[test]
fn reads_without_an_order_are_warned_of_where_nothing_is_read() {
    let warned = |settings: &[&str]| {
        let record = passed(&[settings, &["auth=none"]].concat());
        record.warnings.into_iter().find(|warning| warning.code == "no-reads")
    };
    let warning = warned(&["read_only=true"]).expect("puts alone");
    assert!(warning.cause.contains("workload=fixed"), "{warning:?}");
    assert_eq!(warned(&["read_only=true", "workload=ycsb-b"]), None);
    assert_eq!(warned(&[]), None);
}

#[test]
fn a_rate_that_was_not_offered_is_named() {
    let record = run_tiny(&["auth=none", "rate=2M", "duration=100ms", "warmup=0s"]).record;
    assert_eq!(record.verdict, Verdict::Void);
    let reason = record.verdict_reason.unwrap();
    assert!(reason.contains("2.00M requests/s"), "{reason}");
    assert!(reason.ends_with("choose a lower rate"), "{reason}");
}

/// Presses Ctrl-C as soon as some phase begins, and writes down what begins afterwards.
struct Impatient {
    pressed: AtomicBool,
    at: fn(Phase) -> bool,
    later: Mutex<Vec<Phase>>,
}

impl Impatient {
    fn at(at: fn(Phase) -> bool) -> Impatient {
        Impatient { pressed: AtomicBool::new(false), at, later: Mutex::default() }
    }
}

impl Progress for Impatient {
    fn phase(&self, phase: Phase) {
        if self.pressed.load(Ordering::Relaxed) {
            self.later.lock().unwrap().push(phase);
        }
        if (self.at)(phase) {
            self.pressed.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_interrupted_run_waits_for_no_floor_at_its_end() {
    let impatient = Impatient::at(|phase| matches!(phase, Phase::Trial { index: 1, .. }));
    let host = Host { interrupt: &impatient.pressed, progress: &impatient, ..Host::quiet() };
    let run = run(pipeline(), &parameters(&["auth=none", "repeat=3"]), host).unwrap();
    assert!(run.interrupted && run.record.samples.len() == 1);
    assert_eq!(run.record.verdict_reason.as_deref(), Some("interrupted after sample 1"));
    assert!(impatient.later.lock().unwrap().is_empty(), "{:?}", impatient.later);
    let warnings: Vec<&str> = run.record.warnings.iter().map(|w| w.code.as_str()).collect();
    let unexplained = ["pace-not-seen", "few-samples", "wall-share-not-judged", "not-measured"];
    assert!(!warnings.iter().any(|code| unexplained.contains(code)), "{warnings:?}");
}

#[test]
fn an_interrupted_run_signs_no_requests_to_the_end() {
    let impatient = Impatient::at(|phase| matches!(phase, Phase::Sign { .. }));
    let host = Host { interrupt: &impatient.pressed, progress: &impatient, ..Host::quiet() };
    // A pool of an hour would take as long to sign.
    let ended = run(pipeline(), &parameters(&["duration=1h"]), host);
    assert!(matches!(ended, Err(RunError::Interrupted)), "{ended:?}");
}

#[test]
fn every_authentication_and_transport_gives_the_metrics_of_the_contract() {
    for auth in ["signature", "mac", "none"] {
        for transport in ["memory", "tcp"] {
            let settings = [format!("auth={auth}"), format!("transport={transport}")];
            let record = passed(&settings.each_ref().map(String::as_str));
            is_listed(&record, pipeline(), &[]);
            for name in [
                "throughput_tx_per_s",
                "goodput_tx_per_s",
                "cpu_us_per_tx",
                "response_time_ns_p50",
                "response_time_ns_max",
                "service_time_ns_p50",
                "intended",
                "sent",
                "completed",
                "bytes_per_tx",
                "peak_rss_bytes",
            ] {
                assert!(value(&record, name) > 0.0, "{settings:?} {name}");
            }
            // On a busy machine a short run may see too little of its pace, and then it says so.
            let unseen = record.warnings.iter().any(|warning| warning.code == "pace-not-seen");
            let signed = auth == "signature";
            let known = !(signed && unseen);
            for name in ["floor_cpu_us_per_tx", "limit_share"] {
                assert_eq!(record.metrics.get(name).is_some(), known, "{settings:?} {name}");
            }
            for metric in pipeline().spec().metrics {
                assert!(record.metrics.contains(metric.name), "{settings:?} {}", metric.name);
            }
            // Pre-prepares to 3, prepares of 3 to 3, commits of 4 to 3.
            has_messages_per_batch(&record, 24.0);
            let signatures = if auth == "signature" { 4.0 } else { 0.0 };
            assert!(is(&record, "signatures_verified_per_tx", signatures), "{settings:?}");
            assert!(is(&record, "dropped", 0.0) && is(&record, "view_changes", 0.0));
            assert_eq!(record.metrics.get("yardstick_share").is_some(), signed && known);
            assert!(record.stages.iter().any(|stage| stage.name == "generator"));
            assert!(record.bottleneck.unwrap().contains('%'));
        }
    }
}

#[test]
fn every_workload_runs_and_is_executed_as_its_clients_asked() {
    for workload in ["ycsb-a", "ycsb-f", "block413567"] {
        passed(&[&format!("workload={workload}"), "auth=none", "clients=3"]);
    }
}

#[test]
fn larger_committees_have_their_exact_messages_and_signatures() {
    let record = passed(&["replicas=7", "signers=9"]);
    has_messages_per_batch(&record, (6 + 6 * 6 + 7 * 6).into());
    assert!(is(&record, "signatures_verified_per_tx", 7.0));
}

#[test]
fn a_silent_backup_does_not_stop_the_others() {
    let record = passed(&["silent_replicas=1"]);
    assert!(is(&record, "signatures_verified_per_tx", 3.0));
    assert!(is(&record, "dropped", 0.0));
}

#[test]
fn invalid_requests_are_counted_exactly_and_none_is_executed() {
    for auth in ["signature", "mac"] {
        let record = passed(&["invalid_signature_share=0.1", &format!("auth={auth}")]);
        let sent = value(&record, "sent_invalid");
        assert!(sent > 0.0 && is(&record, "rejected_requests", sent), "{auth}");
        let check = &record.oracle["invalid_refused"];
        assert_eq!((check.evaluated, check.violated), (1, 0), "{auth}: {check:?}");
        assert!(is(&record, "dropped", 0.0), "{auth}");
    }
}

#[test]
fn a_request_sent_twice_is_executed_once_and_answered_alike() {
    let record = passed(&["retransmit_share=0.5", "auth=mac"]);
    assert!(is(&record, "dropped", 0.0));
    let check = &record.oracle["replies_equal"];
    assert!(check.evaluated > 0 && check.violated == 0, "{check:?}");
}

#[test]
fn an_open_loop_that_is_kept_up_with_has_a_throughput() {
    for arrivals in ["constant", "poisson"] {
        let record =
            passed(&["auth=none", "rate=300", "duration=500ms", &format!("arrivals={arrivals}")]);
        let intended = value(&record, "intended");
        assert!((90.0..=210.0).contains(&intended), "{arrivals}: {intended}");
        assert!(value(&record, "throughput_tx_per_s") > 150.0, "{arrivals}");
    }
}

#[test]
fn an_open_loop_far_above_saturation_is_void_and_shows_no_throughput() {
    let run = run_tiny(&["rate=20M", "auth=none"]);
    assert!(run.series.is_empty() && run.latencies.is_empty());
    let record = run.record;
    assert_eq!(record.verdict, Verdict::Void, "{:?}", record.verdict_reason);
    assert!(record.verdict_reason.unwrap().contains("20.0M requests/s were to be offered"));
    assert_eq!(record.metrics.get("throughput_tx_per_s"), None);
    assert_eq!(record.metrics.get("goodput_tx_per_s"), None);
    assert!(record.latency_spectrum.is_empty());
    for metrics in record.samples.iter().map(|s| &s.metrics).chain([&record.metrics]) {
        let reached = ["limit_share", "response_time_ns_p50", "service_time_ns_max"];
        assert!(reached.iter().all(|name| metrics.get(name).is_none()), "{metrics:?}");
    }
    let intended = record.metrics.get("intended").unwrap();
    assert!((intended / 6e6 - 1.0).abs() < 0.01, "{intended}");
    assert!(record.oracle.values().all(|check| check.violated == 0));
}

#[test]
fn a_record_keeps_what_was_asked_for_and_tells_what_that_came_to() {
    let record = passed(&["auth=none", "verify_threads=2", "spin=1ms"]);
    assert_eq!(record.config["stages"], "auto");
    assert_eq!(record.effective["stages"], "separate", "one thread cannot be two verifying ones");
    assert_eq!(record.effective["verifying_threads"], 8);
    assert_eq!(record.effective["transport"], "memory");
    assert!(value(&record, "spins_per_tx") > 0.0);
    let record = passed(&["auth=none", "stages=merged", "pin=none", "silent_replicas=1"]);
    assert_eq!(record.effective["stages"], "merged");
    assert_eq!((&record.effective["pin"], &record.config["pin"]), (&"none".into(), &"none".into()));
    assert_eq!(record.effective["verifying_threads"], 3);
    assert!(is(&record, "spins_per_tx", 0.0) && value(&record, "parks_per_tx") > 0.0);
    assert!(record.stages.iter().map(|stage| stage.parks).sum::<u64>() > 0);
}

#[test]
fn without_an_oracle_a_run_has_figures_and_proves_nothing() {
    let record = run_tiny(&["oracle=false", "auth=none"]).record;
    assert_eq!(record.verdict, Verdict::Inconclusive);
    let reason = record.verdict_reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with("oracle=false: "), "{reason}");
    assert!(value(&record, "throughput_tx_per_s") > 0.0 && value(&record, "cpu_us_per_tx") > 0.0);
    for check in ["agreement", "order", "exactly_once", "certificates", "validity"] {
        assert!(record.oracle.get(check).is_none_or(|check| check.evaluated == 0), "{check}");
    }
}

#[test]
fn without_stage_times_a_run_has_its_cpu_time_and_tells_no_stage_from_another() {
    for stages in ["stages=separate", "stages=merged"] {
        let record = passed(&["stage_times=false", "auth=none", stages]);
        let replicas = value(&record, "cpu_us_per_tx") - value(&record, "generator_cpu_us_per_tx");
        assert!(replicas > value(&record, "floor_least_cpu_us_per_tx") / 2.0, "{replicas} us");
        assert!(record.stages.is_empty() && record.bottleneck.is_none(), "{stages}");
    }
}

#[test]
fn each_trial_is_a_fresh_cluster_with_a_time_series() {
    let run = run_tiny(&["repeat=2", "auth=mac"]);
    assert_eq!(run.record.samples.len(), 2);
    for sample in 0..2 {
        let points = run.series.iter().filter(|point| point.sample == sample);
        assert_eq!(points.count(), 3);
    }
    assert!(run.latencies.iter().any(|interval| interval.name == "commit_quorum_ns"));
}

#[test]
fn settings_that_do_not_go_together_are_refused_with_a_remedy() {
    for settings in [
        &["silent_replicas=2"][..],
        &["invalid_signature_share=0.1", "auth=none"],
        &["invalid_signature_share=1"],
        &["checkpoint_interval=200", "window=256"],
        &["processes=per-replica"],
        &["processes=per-replica", "transport=tcp", "replicas=33"],
        &["processes=per-replica", "transport=tcp", "oracle=false"],
        &["clients=8", "signers=4", "silent_replicas=3"],
    ] {
        let error = pipeline().check(&parameters(settings)).unwrap_err();
        assert!(matches!(error, ParameterError::Conflict { .. }), "{settings:?}: {error}");
        assert!(error.to_string().lines().count() == 1, "{error}");
    }
    for refused in ["processes=many", "durability=fsync", "reply_auth=signature"] {
        let mut set = parameters(&[]);
        assert!(set.assign(refused, Origin::Flag("--set".to_owned())).is_err(), "{refused}");
    }
}
