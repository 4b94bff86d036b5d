//! What a run leaves behind, and what happens when it does not go well.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Mutex;

use quorumark_harness::latency::Latency;
use quorumark_harness::progress::Quiet;
use quorumark_harness::scenario::{
    self, Closing, Control, DURATION_MIN, Measured, Objection, Session, Spec, note, run_parameters,
};
use quorumark_harness::{
    Host, Origin, ParameterSet, Phase, Progress, RunError, Scenario, default_directory, run,
};
use quorumark_report::{Metrics, Record, Verdict, Warning, store};

use crate::scenarios::run_tiny;

/// A scenario whose trials are scripted.
struct Scripted {
    interrupt: AtomicBool,
    trials: fn(u32, &AtomicBool) -> Measured,
}

struct Playing<'a>(&'a Scripted, u32);

impl Scenario for &'static Scripted {
    fn spec(&self) -> Spec {
        let parameters = run_parameters(DURATION_MIN, Duration::ZERO, 3).to_vec();
        Spec { name: "test/scripted", description: "", parameters, metrics: &[] }
    }

    fn prepare(&self, _: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        Ok(Box::new(Playing(self, 0)))
    }
}

impl Session for Playing<'_> {
    fn trial(&mut self, _: Duration, _: &Control<'_>) -> Result<Measured, RunError> {
        self.1 += 1;
        let mut measured = (self.0.trials)(self.1 - 1, &self.0.interrupt);
        measured.span = Duration::from_millis(10);
        Ok(measured)
    }

    fn finish(&mut self, metrics: &mut Metrics) -> Result<Closing, RunError> {
        let mut closing = Closing::default();
        note(&mut closing.oracle, "closing", None);
        metrics.set("limit_share", metrics.get("speed_per_s").map(|speed| speed / 10.0));
        Ok(closing)
    }
}

fn play(trials: fn(u32, &AtomicBool) -> Measured) -> Result<quorumark_harness::Run, RunError> {
    let interrupt = AtomicBool::new(false);
    let scripted: &'static Scripted = Box::leak(Box::new(Scripted { interrupt, trials }));
    let parameters = ParameterSet::new(scripted.spec().parameters);
    let host = Host { interrupt: &scripted.interrupt, progress: &Quiet, ..Host::quiet() };
    run(&scripted, &parameters, host)
}

fn speed(value: f64) -> Measured {
    let mut measured = Measured::default();
    measured.metrics.set("speed_per_s", value);
    measured
}

#[test]
fn a_record_survives_its_files() {
    let directory = tempfile::tempdir().unwrap();
    let run = run_tiny(scenario::find("merkle/proof").unwrap(), &[]);
    let path = run.write(directory.path()).unwrap();
    assert_eq!(Record::read(&path).unwrap(), run.record);
    assert_eq!(store::read_series(directory.path()).unwrap(), run.series);
    let folder = default_directory(&run).display().to_string();
    assert!(folder.starts_with("quorumark-runs/20"), "{folder}");
    assert!(folder.ends_with("Z-merkle-proof-42"), "{folder}");
}

#[test]
fn figures_are_medians_and_a_closing_share_is_of_them() {
    let run = play(|trial, _| speed([3.0, 9.0, 4.0][trial as usize])).unwrap();
    assert_eq!(run.record.metrics.get("speed_per_s"), Some(4.0));
    assert_eq!(run.record.metrics.get("limit_share"), Some(0.4));
    let interval = run.record.intervals["speed_per_s"];
    assert_eq!((interval.min(), interval.max(), interval.n()), (3.0, 9.0, 3));
    assert_eq!(run.record.oracle["closing"].evaluated, 1);
}

#[test]
fn latencies_are_merged_over_the_trials_and_logged() {
    let run = play(|trial, _| {
        let mut latency = Latency::new();
        (1..=600).for_each(|ns| latency.record_ns(u64::from(trial) * 1000 + ns));
        let mut measured = speed(1.0);
        measured.latencies.insert("response_time_ns", latency);
        measured
    });
    let run = run.unwrap();
    let of_run = run.record.metrics.get("response_time_ns_p99").unwrap();
    assert!((2570.0..2590.0).contains(&of_run), "{of_run}");
    assert_eq!(run.record.samples[0].metrics.get("response_time_ns_p99"), None, "600 samples");
    assert!(run.record.samples[0].metrics.get("response_time_ns_p90").is_some());
    assert!(run.record.latency_spectrum["response_time_ns"].points().len() > 10);
    let warned = run.record.warnings.iter().find(|warning| warning.code == "few-samples");
    assert!(warned.is_some_and(|warning| warning.cause.contains("response_time_ns_p999")));

    let directory = tempfile::tempdir().unwrap();
    run.write(directory.path()).unwrap();
    let log = std::fs::read_to_string(directory.path().join("latency.hlog")).unwrap();
    assert_eq!(log.lines().filter(|line| line.starts_with("Tag=response_time_ns,")).count(), 3);
}

#[test]
fn a_violation_in_any_trial_fails_the_run_and_says_where() {
    let run = play(|trial, _| {
        let mut measured = speed(1.0);
        let violation = (trial == 1).then(|| "two batches at seq 7".to_owned());
        note(&mut measured.oracle, "agreement", violation);
        measured
    });
    let record = run.unwrap().record;
    assert_eq!(record.verdict, Verdict::Fail);
    let reason = record.verdict_reason.unwrap();
    assert_eq!(reason, "agreement: violated 1 of 3 times: two batches at seq 7");
    let verdicts: Vec<Verdict> = record.samples.iter().map(|sample| sample.verdict).collect();
    assert_eq!(verdicts, [Verdict::Ok, Verdict::Fail, Verdict::Ok]);
}

#[test]
fn a_load_that_was_not_offered_makes_the_run_void() {
    let run = play(|_, _| {
        let mut measured = speed(1.0);
        let reason = "sent 40 % of what was intended".to_owned();
        measured.objection = Some(Objection { verdict: Verdict::Void, reason });
        measured
    });
    let record = run.unwrap().record;
    assert_eq!(record.verdict, Verdict::Void);
    assert_eq!(record.verdict_reason.as_deref(), Some("sent 40 % of what was intended"));
}

#[test]
fn an_interrupted_run_keeps_what_was_measured() {
    let run = play(|trial, interrupt| {
        interrupt.store(trial == 1, Ordering::Relaxed);
        speed(1.0)
    });
    let run = run.unwrap();
    assert!(run.interrupted);
    assert_eq!(run.record.samples.len(), 2);
    assert!(run.record.warnings.iter().any(|warning| warning.code == "interrupted"));
    assert_eq!(run.record.verdict, Verdict::Inconclusive);
    assert_eq!(run.record.verdict_reason.as_deref(), Some("interrupted in sample 2"));
    assert!(run.record.metrics.get("speed_per_s").is_some(), "a figure of what was measured");
}

#[test]
fn an_interrupted_run_advises_nothing_but_to_run_it_again() {
    let run = play(|trial, interrupt| {
        interrupt.store(trial == 1, Ordering::Relaxed);
        let mut measured = speed(1.0);
        measured.metrics.set("never_known_ns", None);
        measured.latencies.insert("response_time_ns", Latency::new());
        let remedy = format!("advice of trial {trial}");
        measured.warnings.push(Warning::new("of-a-trial", "seen", remedy));
        measured
    });
    let warnings = run.unwrap().record.warnings;
    let remedies = warnings.iter().filter(|warning| warning.code != "debug-build");
    let remedies: Vec<&str> = remedies.map(|warning| warning.remedy.as_str()).collect();
    assert_eq!(remedies, ["advice of trial 0", "run it again to the end before quoting it"]);
}

#[test]
fn a_trial_that_its_interruption_made_void_is_told_as_interrupted() {
    let run = play(|_, interrupt| {
        interrupt.store(true, Ordering::Relaxed);
        let mut measured = speed(1.0);
        let reason = "no request was answered within the span".to_owned();
        measured.objection = Some(Objection { verdict: Verdict::Void, reason });
        measured
    });
    let record = run.unwrap().record;
    assert_eq!(record.verdict, Verdict::Void);
    assert_eq!(record.verdict_reason.as_deref(), Some("interrupted in sample 1"));
}

#[test]
fn a_run_interrupted_before_its_first_trial_has_no_record() {
    let scripted: &'static Scripted = Box::leak(Box::new(Scripted {
        interrupt: AtomicBool::new(true),
        trials: |_, _| speed(1.0),
    }));
    let parameters = ParameterSet::new(scripted.spec().parameters);
    let host = Host { interrupt: &scripted.interrupt, ..Host::quiet() };
    assert!(matches!(run(&scripted, &parameters, host), Err(RunError::Interrupted)));
}

/// Writes down what it hears.
#[derive(Default)]
struct Heard(Mutex<Vec<Phase>>);

impl Progress for Heard {
    fn phase(&self, phase: Phase) {
        self.0.lock().expect("no listener panics").push(phase);
    }
}

#[test]
fn a_run_tells_its_phases_in_order() {
    let scenario = scenario::find("hash/sha256d").unwrap();
    let mut parameters = ParameterSet::new(scenario.spec().parameters);
    for setting in ["duration=1ms", "warmup=1ns", "repeat=2"] {
        parameters.assign(setting, Origin::Flag("--set".to_owned())).unwrap();
    }
    let heard = Heard::default();
    run(scenario, &parameters, Host { progress: &heard, ..Host::quiet() }).unwrap();
    let trial = |index| Phase::Trial { index, of: 2 };
    let (first, last) = (Phase::Prepare("making inputs"), Phase::Check("checking answers"));
    let expected = [first, Phase::WarmUp, trial(0), trial(1), last];
    assert_eq!(*heard.0.lock().unwrap(), expected);
}

#[test]
fn a_debug_build_says_so_in_its_records() {
    let record = run_tiny(scenario::find("hash/blake3").unwrap(), &["size=64B"]).record;
    let warned = record.warnings.iter().any(|warning| warning.code == "debug-build");
    assert_eq!(warned, cfg!(debug_assertions));
    assert_eq!(record.provenance.debug_build, cfg!(debug_assertions));
}
