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
    let sum =
        |parts: &[(Item, f64)]| parts.iter().map(|(item, of)| of * costs.ns(*item)).sum::<f64>();
    // What occurs together the fit alone tells apart, and on a busy machine it may give the cost of one
    // to another: so a whole turn is held against what no machine does it for, 100 ns a request.
    let requests = [(Item::RequestHeard, 256.0), (Item::Execution, 256.0)];
    let once = [(Item::Turn, 1.0), (Item::ProposalHeard, 1.0), (Item::Batch, 1.0)];
    let votes = [(Item::VoteHeard, 6.0), (Item::Copy, 6.0), (Item::Signature, 2.0)];
    let turn = sum(&[&requests[..], &once, &votes].concat());
    assert!(turn > 25_600.0, "{turn} ns: {file:?}");
    let clients = [(Item::LoadTurn, 1.0), (Item::LoadRequest, 256.0), (Item::LoadReply, 1024.0)];
    assert!(sum(&clients) > 25_600.0, "{} ns: {file:?}", sum(&clients));
    let flush = sum(&[(Item::SocketSend, 1.0), (Item::SocketSendByte, 150.0)]);
    assert!(flush > 300.0, "{flush} ns for a system call: {file:?}");
    for item in [Item::Park, Item::WakeCall, Item::Tick, Item::PaceLook] {
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
