//! `pbft/view-change` as a program runs it: the primary stops, everybody is answered.

#![allow(clippy::unwrap_used)] // A test stops at what it did not expect.

use quorumark_harness::{Host, Origin, ParameterSet, Run, Scenario, run, scenario};

use crate::described::{is_listed, of_the_pipeline};

fn view_change() -> &'static dyn Scenario {
    scenario::find("pbft/view-change").unwrap()
}

fn parameters(settings: &[&str]) -> ParameterSet {
    let mut parameters = ParameterSet::new(view_change().spec().parameters);
    let tiny = [
        "duration=2s",
        "warmup=100ms",
        "stop_after=200ms",
        "view_timeout=500ms",
        "concurrency=16",
        "payload=64B",
    ];
    for setting in tiny.iter().chain(settings) {
        parameters.assign(setting, Origin::Flag("--set".to_owned())).unwrap();
    }
    parameters
}

fn run_tiny(settings: &[&str]) -> Run {
    run(view_change(), &parameters(settings), Host::quiet()).unwrap()
}

#[test]
fn pbft_4_4_a_stopped_primary_is_replaced_and_every_request_is_answered_once() {
    for settings in [&["prepared=8"][..], &["transport=tcp", "auth=mac"], &["client_to_all=false"]]
    {
        let record = run_tiny(settings).record;
        is_listed(&record, view_change(), &of_the_pipeline());
        for metric in view_change().spec().metrics {
            assert!(record.metrics.contains(metric.name), "{settings:?}: {}", metric.name);
        }
        let value = |name: &str| {
            let found = record.metrics.get(name);
            found.unwrap_or_else(|| {
                panic!("{name}: {:?} {:?}", record.verdict_reason, record.metrics)
            })
        };
        // A busy machine may make it late: by how much is what is measured, not what is tested.
        assert!(value("first_commit_after_stop_ns") > 0.0 && value("first_commit_bound_ns") > 0.0);
        assert!(value("view_changes") >= 1.0 && value("view_change_messages") >= 6.0);
        assert!(value("change_signatures_verified") > 0.0);
        assert!(value("unanswered") == 0.0, "{settings:?}: {:?}", record.verdict_reason);
        for (name, check) in &record.oracle {
            assert_eq!(check.violated, 0, "{settings:?}: {name} {check:?}");
            assert!(check.evaluated > 0, "{settings:?}: {name} was never made");
        }
    }
}

#[test]
fn what_cannot_be_a_view_change_is_refused() {
    for (setting, expected) in [
        ("replicas=3", "the primary is one"),
        ("silent_replicas=1", "the primary is one"),
        ("stop_after=2s", "after the trial's end"),
        ("prepared=64", "never above a checkpoint"),
    ] {
        let refused = view_change().check(&parameters(&[setting])).unwrap_err().to_string();
        assert!(refused.contains(expected), "{setting}: {refused}");
    }
}
