//! Predictions whose answer is known beforehand: the costs are given, and the rest is arithmetic.

use core::time::Duration;

use quorumark_sim::model::costs::{Costs, Item};
use quorumark_sim::model::{Outcome, Pace, Regions, Settings, predict};

fn predicted(settings: &Settings, costs: &Costs) -> Outcome {
    predict(settings, costs).unwrap()
}

/// A load that keeps every core busy, in batches of which a span has many.
fn saturated(cores: usize) -> Settings {
    let settings = Settings::new(4, Regions::Local, cores);
    Settings {
        pace: Pace::Closed(1024),
        batch_size_max: 256,
        verify_batch_max: 256,
        warmup: Duration::from_millis(200),
        span: Duration::from_millis(800),
        ..settings
    }
}

fn assert_near(found: f64, expected: f64, share: f64) {
    assert!((found / expected - 1.0).abs() < share, "{found}, and {expected} is expected");
}

#[test]
fn throughput_at_saturation_is_cores_over_the_cost_of_a_transaction() {
    // At n = 4 a request is verified by each replica, and a batch of 256 has 3 proposals, 9 prepares
    // and 12 commits, each verified by its receiver.
    let per_tx_us = |verify_us: f64| (4.0 + 24.0 / 256.0) * verify_us;
    for (cores, verify_us) in [(1, 20.0), (2, 20.0), (2, 40.0)] {
        let costs = Costs::free().with_verify(verify_us * 1e3);
        let outcome = predicted(&saturated(cores), &costs);
        let expected = cores as f64 * 1e6 / per_tx_us(verify_us);
        assert_near(outcome.throughput_tx_per_s, expected, 0.04);
        assert_near(outcome.cpu_us_per_tx, per_tx_us(verify_us), 0.04);
        assert!(outcome.busy_share > 0.97, "{outcome:?}");
    }
}

#[test]
fn each_step_is_paid_as_often_as_the_protocol_takes_it() {
    // By request of a batch of 256 at n = 4: how often each step comes.
    let per_batch = |count: f64| count / 256.0;
    let steps = [
        (Item::Request, 1.0),
        (Item::RequestHeard, 3.0),
        (Item::Execution, 4.0),
        (Item::LoadRequest, 1.0),
        (Item::Proposal, per_batch(1.0)),
        (Item::ProposalHeard, per_batch(3.0)),
        (Item::Batch, per_batch(4.0)),
        // A checkpoint every 32 batches, which each replica tells the three others.
        (Item::Signature, per_batch(1.0 + 3.0 + 4.0 + 4.0 / 32.0)),
        (Item::VoteHeard, per_batch(9.0 + 12.0 + 12.0 / 32.0)),
        (Item::Copy, per_batch(24.0 + 12.0 / 32.0)),
    ];
    for (item, count) in steps {
        let us = 40.0 / count;
        let outcome = predicted(&saturated(2), &Costs::free().with(item, us * 1e3));
        assert!((outcome.cpu_us_per_tx / 40.0 - 1.0).abs() < 0.06, "{item:?}: {outcome:?}");
    }
}

#[test]
fn a_checkpoint_is_paid_every_32_batches_by_the_pages_that_were_written() {
    let settings = Settings { batch_size_max: 32, ..saturated(2) };
    // By request: of 32 batches of 32 requests, which write 443 of the 512 pages of a store that the
    // 4,096 keys fill, at four replicas.
    let checkpoints = 4.0 / (32.0 * 32.0);
    for (item, count) in
        [(Item::Checkpoint, checkpoints), (Item::CheckpointPage, 443.0 * checkpoints)]
    {
        let costs = Costs::free().with(item, 40e3 / count);
        assert_near(predicted(&settings, &costs).cpu_us_per_tx, 40.0, 0.08);
    }
}

#[test]
fn a_result_takes_five_message_delays_and_the_linger() {
    for delay in [Duration::from_millis(10), Duration::from_millis(20)] {
        let settings = Settings {
            pace: Pace::Open(200.0),
            parallel_batches: 64,
            ..Settings::new(4, Regions::Fixed(delay), 1)
        };
        let outcome = predicted(&settings, &Costs::free());
        let expected = 5 * delay + settings.batch_linger;
        let p50 = Duration::from_nanos(outcome.response_time_ns_p50.unwrap());
        let over = p50.saturating_sub(expected);
        assert!(p50 >= expected && over < Duration::from_micros(10), "{p50:?}: {expected:?}");
        assert_near(outcome.throughput_tx_per_s, 200.0, 0.01);
    }
}

/// TOCS'02 5.1.4 with W = 1: a batch is under way for three delays, and who comes meanwhile waits for
/// half of that on average.
#[test]
fn a_request_that_comes_while_a_batch_is_under_way_waits_for_it() {
    for delay in [Duration::from_millis(10), Duration::from_millis(20)] {
        let settings = Settings {
            pace: Pace::Open(1000.0),
            batch_linger: Duration::ZERO,
            ..Settings::new(4, Regions::Fixed(delay), 1)
        };
        let outcome = predicted(&settings, &Costs::free());
        let p50 = Duration::from_nanos(outcome.response_time_ns_p50.unwrap());
        assert_near(p50.as_secs_f64(), (5.0 + 1.5) * delay.as_secs_f64(), 0.05);
        assert_near(outcome.batch_size_mean, 3.0 * delay.as_secs_f64() * 1000.0, 0.1);
    }
}

#[test]
fn a_link_of_a_bandwidth_carries_no_more_than_that() {
    // The primary sends each request of about 600 bytes to three backups.
    let settings = Settings {
        pace: Pace::Closed(4096),
        bandwidth: Some(100_000_000),
        // One batch more or fewer within it is less than what votes and replies take of the link.
        span: Duration::from_secs(10),
        ..Settings::new(4, Regions::Lan, 1)
    };
    let outcome = predicted(&settings, &Costs::free());
    let bytes = 3.0 * (512.0 + 82.0);
    let limit = 100e6 / 8.0 / bytes;
    assert!(outcome.throughput_tx_per_s < limit, "{outcome:?}");
    assert_near(outcome.throughput_tx_per_s, limit, 0.1);
}

#[test]
fn the_same_settings_and_costs_predict_the_same_and_another_seed_something_else() {
    let costs = Costs::free().with_verify(10_000.0).with(Item::Execution, 3_000.0);
    let settings = |seed| Settings {
        pace: Pace::Open(500.0),
        span: Duration::from_secs(3),
        seed,
        ..Settings::new(7, Regions::Wan5, 1)
    };
    let (first, again) = (predicted(&settings(1), &costs), predicted(&settings(1), &costs));
    assert_eq!(first, again);
    assert_ne!(first, predicted(&settings(2), &costs));
    // From Virginia to a quorum of five of seven and back: some hundred milliseconds.
    let p50 = first.response_time_ns_p50.unwrap();
    assert!((100_000_000..600_000_000).contains(&p50), "{first:?}");
    assert_eq!(first.views_left, 0);
}

#[test]
fn a_committee_that_cannot_be_is_refused() {
    let settings = Settings::new(0, Regions::Local, 1);
    let error = predict(&settings, &Costs::free()).unwrap_err().to_string();
    assert!(error.starts_with("replicas: "), "{error}");
}
