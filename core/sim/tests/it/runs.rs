//! Runs repeat, and do what their scenarios say.

use quorumark_sim::check::{Check, CheckSet, Checks, RealSignatures, Report};
use quorumark_sim::run::{Ran, directory, run};
use quorumark_sim::scenario::Template;
use quorumark_sim::trace::{EndCause, Event, Fact};

const HAPPY: &str = include_str!("../../scenarios/happy.toml");

fn ran(text: &str, seed: u64) -> Ran {
    let template = Template::parse(text, "test.toml").unwrap();
    let scenario = template.scenario(seed).unwrap();
    run(&scenario, template.sha256(), u64::MAX, |_| ())
}

#[test]
fn without_faults_every_operation_is_answered() {
    let ran = ran(HAPPY, 1);
    assert_eq!(ran.cause, EndCause::Duration);
    assert_eq!(ran.summary.answered, 400, "{ran:?}");
    assert_eq!(ran.summary.submitted, 400);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    assert_eq!(ran(HAPPY, 1), ran(HAPPY, 1));
    assert_ne!(ran(HAPPY, 1).trace_hash, ran(HAPPY, 2).trace_hash);
}

/// The report of the check of bounds on a run whose trace was altered.
fn bounds(alter: impl Fn(&mut Event)) -> Report {
    let template = Template::parse(HAPPY, "test.toml").unwrap();
    let scenario = template.scenario(1).unwrap();
    let set = CheckSet::default().with(Check::Bounds);
    let mut checks = None;
    run(&scenario, template.sha256(), u64::MAX, |events| {
        let mut events = events.to_vec();
        events.iter_mut().for_each(&alter);
        if let Some(Event { fact: Fact::Begun(header), .. }) = events.first() {
            let signatures = Box::new(RealSignatures::new(directory(&scenario)));
            checks = Some(Checks::new(set, header.as_ref().clone(), signatures));
        }
        checks.as_mut().unwrap().observe_all(&events);
    });
    checks.unwrap().finish()
}

#[test]
fn a_run_tells_how_full_its_replicas_are_and_a_cap_that_is_passed_is_flagged() {
    let sound = bounds(|_| ());
    let found = sound.of(Check::Bounds).unwrap();
    assert!(found.evaluated > 0 && found.violated == 0, "{found:?}");
    assert!(["log", "log-ahead", "clients"].iter().all(|it| sound.summary.peaks.contains_key(*it)));
    let broken = bounds(|event| {
        if let Fact::Gauge(it) = &mut event.fact
            && it.bound == "log"
        {
            it.cap = it.value - 1;
        }
    });
    let first = broken.first.unwrap();
    assert_eq!(first.check, Check::Bounds);
    assert!(first.what.contains("of log, its cap is"), "{}", first.what);
}

#[test]
fn a_check_that_the_protocol_has_no_use_for_is_refused_with_file_and_line() {
    let text = HAPPY.replace("[expect]", "[expect]\nchecks = [\"agreement\", \"qc-tree\"]");
    let template = Template::parse(&text, "test.toml");
    let refused = template.and_then(|template| template.scenario(1).map(drop)).unwrap_err();
    let told = refused.to_string();
    assert!(
        told.contains("test.toml") && told.contains("qc-tree does not apply to pbft"),
        "{told}"
    );
}
