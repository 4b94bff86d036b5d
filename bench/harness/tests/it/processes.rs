//! `processes=per-replica`: the same run with each replica in a process of its own.

#![allow(clippy::unwrap_used)] // A test stops at what it did not expect.

use core::sync::atomic::AtomicBool;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::process::{self, Command};

use quorumark_harness::processes::{ARGUMENT, ReplicaProcessError};
use quorumark_harness::{Host, Origin, ParameterSet, Phase, Progress, Run, run, scenario};
use quorumark_report::{Record, Verdict};

use crate::described::{has_messages_per_batch, is_listed};

/// Not a claim alone: runs start this binary with the name of this test, and so it is their replica.
/// Its standard input is their socket then.
#[test]
fn replica_process() {
    let input = fs::metadata("/proc/self/fd/0");
    let started = input.is_ok_and(|input| input.file_type().is_socket());
    let ended = quorumark_harness::processes::replica_process();
    match started {
        true => assert!(ended.is_ok(), "{ended:?}"),
        false => assert!(matches!(ended, Err(ReplicaProcessError::Alone)), "{ended:?}"),
    }
    assert_eq!(ARGUMENT, "replica_process");
}

fn parameters(settings: &[&str]) -> ParameterSet {
    let pipeline = scenario::find("pbft/pipeline").unwrap();
    let mut parameters = ParameterSet::new(pipeline.spec().parameters);
    let tiny = ["duration=400ms", "warmup=100ms", "concurrency=32", "payload=64B"];
    let apart = ["processes=per-replica", "transport=tcp"];
    for setting in tiny.iter().chain(&apart).chain(settings) {
        parameters.assign(setting, Origin::Flag("--set".to_owned())).unwrap();
    }
    parameters
}

fn run_apart(settings: &[&str], host: Host<'_>) -> Run {
    let run = run(scenario::find("pbft/pipeline").unwrap(), &parameters(settings), host).unwrap();
    assert_eq!(children(), Vec::<String>::new(), "a process is left behind");
    run
}

/// The processes that this thread has started and that are still there.
fn children() -> Vec<String> {
    let listed = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    listed.split_whitespace().map(str::to_owned).collect()
}

fn value(record: &Record, name: &str) -> f64 {
    record.metrics.get(name).unwrap_or_else(|| panic!("{name} in {:?}", record.metrics))
}

#[test]
fn replicas_in_processes_agree_as_those_of_one_process_do_and_are_counted_as_exactly() {
    for settings in [&["auth=signature", "repeat=2"][..], &["auth=none", "stages=separate"]] {
        // Of small batches there are enough for a median, also where the machine has little time.
        let settings = &[settings, &["batch_size_max=4"]].concat();
        let record = run_apart(settings, Host::quiet()).record;
        assert!(record.verdict.has_result(), "{settings:?}: {:?}", record.verdict_reason);
        for check in ["agreement", "order", "exactly_once", "certificates", "validity"] {
            let check = &record.oracle[check];
            assert!(check.evaluated > 0 && check.violated == 0, "{settings:?}: {check:?}");
        }
        is_listed(&record, scenario::find("pbft/pipeline").unwrap(), &[]);
        let exactly = |name: &str, wanted: f64| (value(&record, name) - wanted).abs() < 1e-9;
        has_messages_per_batch(&record, 24.0);
        let signatures = if settings[0] == "auth=signature" { 4.0 } else { 0.0 };
        assert!(exactly("signatures_verified_per_tx", signatures), "{settings:?}");
        assert!(exactly("dropped", 0.0) && exactly("view_changes", 0.0), "{settings:?}");
        let apart = value(&record, "replicas_peak_rss_bytes");
        assert!(value(&record, "peak_rss_bytes") > apart && apart > 4e6, "{apart}");
        assert!(value(&record, "commit_last_ns_p50") >= value(&record, "commit_first_ns_p50"));
        assert!(value(&record, "cpu_us_per_tx") > value(&record, "generator_cpu_us_per_tx"));
        assert!(value(&record, "cpu_share") > 0.0 && value(&record, "cpu_share") <= 1.0);
        let stage = |name: &str| record.stages.iter().find(|stage| stage.name == name).unwrap();
        assert_eq!(stage("verify").threads, 4, "one in each process");
        assert!(stage("execute").items > 0 && stage("execute").cpu_ns > 0);
        // Each replica speaks to three, hears three, and has both ways to the port, which has as many.
        assert_eq!(stage("socket").threads, 4 * (3 + 3 + 2 + 2));
    }
}

/// Kills the last replica's process once the trial is under way.
struct Killer(AtomicBool);

impl Progress for Killer {
    fn phase(&self, _: Phase) {}

    fn span_begins(&self) {
        let last = children().pop().expect("replicas run");
        let killed = Command::new("kill").args(["-KILL", &last]).status().unwrap();
        assert!(killed.success(), "{last} of {}", process::id());
    }
}

#[test]
fn a_replica_that_is_killed_is_told_of_in_one_line_and_what_was_measured_is_kept() {
    let killer = Killer(AtomicBool::new(false));
    let host = Host { interrupt: &killer.0, progress: &killer, ..Host::quiet() };
    let run = run_apart(&["auth=none", "retransmit_timeout=50ms"], host);
    let record = run.record;
    assert_eq!(record.verdict, Verdict::Inconclusive, "{:?}", record.verdict_reason);
    let reason = record.verdict_reason.unwrap();
    assert!(reason.contains("r3's process ended before it was stopped (signal: 9"), "{reason}");
    assert_eq!(reason.lines().count(), 1);
    assert!(record.warnings.iter().any(|warning| warning.code == "replica-lost"));
    assert!(record.metrics.get("completed").unwrap() > 0.0, "three of four go on");
    assert!(record.oracle.values().all(|check| check.violated == 0));
    assert!(record.oracle["agreement"].evaluated > 0);
}
