//! A calibration as a program makes it, though a short one: what it measures, and that it predicts.

use core::time::Duration;

use quorumark_harness::Host;
use quorumark_harness::calibrate::{Plan, calibrate};
use quorumark_harness::prediction::{Ask, prediction};
use quorumark_sim::model::Regions;
use quorumark_sim::model::costs::{CostFile, Item};

#[test]
fn a_calibration_measures_every_step_and_a_prediction_follows_from_it() {
    let plan = Plan { span: Duration::from_millis(60), ..Plan::default() };
    let file = calibrate(&plan, &Host::quiet()).unwrap();
    let costs = file.costs().unwrap();
    // What a turn cannot do without, and what no machine has for nothing.
    let paid = [Item::Turn, Item::RequestHeard, Item::VoteHeard, Item::Execution, Item::Signature];
    let other = [Item::LoadReply, Item::Park, Item::WakeCall, Item::Tick, Item::SocketSend];
    for item in paid.into_iter().chain(other) {
        assert!(costs.ns(item) > 0.0, "{item:?} costs nothing: {file:?}");
    }
    assert!(costs.verify_ns(256, 4) > 20.0 * costs.verify_ns(1, 4) / 4.0, "{:?}", file.verify);
    assert!(costs.verify_ns(99, 100) > costs.verify_ns(1, 100), "{:?}", file.verify);
    let written = serde_json::to_string(&file).unwrap();
    assert_eq!(CostFile::read(&written).unwrap(), file);
    let ask = Ask {
        replicas: 4,
        regions: Regions::Local,
        cores: 2,
        bandwidth: None,
        rate: None,
        watched: true,
        seed: 1,
    };
    let said = prediction(&ask, &costs).unwrap();
    assert!(said.saturated.throughput_tx_per_s > 10.0, "{said:?}");
    assert!(said.half.response_time_ns_p50.is_some(), "{said:?}");
}
