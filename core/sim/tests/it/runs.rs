//! Runs repeat, and do what their scenarios say.

use quorumark_sim::run::{Ran, run};
use quorumark_sim::scenario::Template;
use quorumark_sim::trace::EndCause;

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
