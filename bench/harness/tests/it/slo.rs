//! The ladder of rates on a queue whose p99 is known at every rate.

use core::time::Duration;

use quorumark_harness::fixture;
use quorumark_harness::slo::{Found, Ladder, Objective, Reading};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// What the queue serves a second.
const SERVED: f64 = 20_000.0;
const P99_NS: f64 = 2e6;
const SEEDS: u64 = 10;
const RIGHT_MIN: usize = 9;

/// p99 of the sojourn in an M/M/1 queue: ln(100) / (service rate - rate).
fn p99_ns(rate: f64) -> Option<f64> {
    (rate < SERVED).then(|| 100.0_f64.ln() / (SERVED - rate) * 1e9)
}

/// The rate at which it is the objective.
fn knee() -> f64 {
    SERVED - 100.0_f64.ln() * 1e9 / P99_NS
}

fn objective(rate_min: f64) -> Objective {
    Objective { p99_ns: P99_NS, rate_min, rate_first: 9_000.0, budget_ns: 120_000_000_000 }
}

/// A trial with noise of 5 %, which takes 1.7 s.
fn trial(rate: f64, random: &mut ChaCha8Rng) -> (Reading, Duration) {
    let mut uniform = || (f64::from(random.next_u32()) + 0.5) / f64::from(u32::MAX);
    let (radius, turn) = (uniform(), uniform());
    let normal = (-2.0 * radius.ln()).sqrt() * (core::f64::consts::TAU * turn).cos();
    let reading = p99_ns(rate).map(|ns| Reading::P99Ns(ns * (0.05 * normal).exp()));
    (reading.unwrap_or(Reading::Void), Duration::from_millis(1700))
}

fn climbed(mut ladder: Ladder, seed: u64) -> Ladder {
    let mut random = fixture::random(seed, 5);
    while let Some(rate) = ladder.next_rate() {
        let (reading, cost) = trial(rate, &mut random);
        ladder.tell(reading, cost);
    }
    ladder
}

#[test]
fn the_knee_of_a_queue_is_found_within_5_percent_in_9_of_10_seeds() {
    let mut told = Vec::new();
    for seed in 0..SEEDS {
        let ladder = climbed(Ladder::new(objective(100.0)), seed);
        assert!(ladder.spent() <= Duration::from_secs(120), "{:?}", ladder.spent());
        told.push(ladder.found());
    }
    let right = told.iter().filter(|found| match found {
        Found::Holds { rate, p99_ns_bound, failed_rate } => {
            let near = (rate / knee() - 1.0).abs() <= 0.05;
            near && *p99_ns_bound <= P99_NS && failed_rate.is_some_and(|failed| failed > *rate)
        }
        _ => false,
    });
    assert!(right.count() >= RIGHT_MIN, "knee {}: {told:?}", knee());
}

#[test]
fn a_lowest_rate_that_does_not_hold_is_an_objective_that_cannot_be_met() {
    let objective = Objective { rate_first: 19_500.0, ..objective(19_000.0) };
    assert_eq!(climbed(Ladder::new(objective), 1).found(), Found::Unmet);
}

#[test]
fn rates_that_are_never_quiet_or_not_confirmed_in_time_are_left_open() {
    let mut ladder = Ladder::new(objective(100.0));
    while ladder.next_rate().is_some() {
        ladder.tell(Reading::Disturbed, Duration::from_secs(1));
    }
    assert_eq!(ladder.found(), Found::Open);
    let short = Objective { budget_ns: 5_000_000_000, ..objective(100.0) };
    assert_eq!(climbed(Ladder::new(short), 1).found(), Found::Open);
}

#[test]
fn a_rate_that_is_not_served_never_holds() {
    let mut ladder = Ladder::new(objective(100.0));
    let mut offered = 0;
    while let Some(rate) = ladder.next_rate() {
        offered += 1;
        let served = rate < 5_000.0;
        let reading = if served { Reading::P99Ns(1e6) } else { Reading::Void };
        ladder.tell(reading, Duration::from_secs(1));
    }
    let Found::Holds { rate, .. } = ladder.found() else { panic!("{:?}", ladder.found()) };
    assert!(rate < 5_000.0 && rate > 4_750.0 && offered < 60, "{rate} after {offered}");
}
