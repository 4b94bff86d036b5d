//! How one replica stops while the others go on.

use std::time::Duration;

use bytes::Bytes;
use quorumark_consensus::pbft::Message;
use quorumark_consensus::{ReplicaId, SignedRequest};
use quorumark_pipeline::{ClusterConfig, PortError};
use quorumark_primitives::wire::Encode;

use crate::driver::{Driver, each_way};

fn impatient(claim: impl Fn(ClusterConfig)) {
    each_way(|mut config| {
        config.engine.view_timeout = Duration::from_millis(300);
        claim(config);
    });
}

fn stop_one(driver: &mut Driver, replica: u16) {
    let cluster = driver.cluster.as_mut().unwrap();
    let before = cluster.now();
    let stopped_at = cluster.stop_replica(ReplicaId(replica)).unwrap();
    assert!(before <= stopped_at && stopped_at <= cluster.now());
    assert_eq!(cluster.ended_early(), None, "only what belongs to replica {replica} has ended");
}

/// The same requests of every client, one timestamp after the other.
fn wave(driver: &mut Driver, timestamps: std::ops::RangeInclusive<u64>) -> Vec<SignedRequest> {
    let clients = driver.keys.len() as u32;
    let all = timestamps.flat_map(|at| (0..clients).map(move |client| (client, at)));
    all.map(|(client, timestamp)| driver.request(client, timestamp)).collect()
}

#[test]
fn a_backup_stops_while_its_inbox_is_full_and_its_peers_go_on() {
    impatient(|config| {
        let mut driver = Driver::start(config);
        driver.closed_loop(5, 5);
        let busy = wave(&mut driver, 6..=200);
        let frames: Vec<Bytes> =
            busy.iter().map(|r| Message::Request(r.clone()).to_frame()).collect();
        while driver.port.try_send(ReplicaId(3), frames.clone()).is_ok() {}
        stop_one(&mut driver, 3);
        let told = driver.port.try_send(ReplicaId(3), frames.clone());
        assert_eq!(told, Err((PortError::Stopped, frames)));
        driver.send(0, &busy);
        driver.wait_for(&busy);
        driver.check_ledgers();
        let report = driver.stop();
        assert!(report.replicas.iter().all(|replica| replica.engine.is_some()));
        assert_eq!(report.replicas[0].engine.unwrap().views_entered, 0, "the primary goes on");
    });
}

#[test]
fn pbft_4_4_a_primary_that_stops_under_load_is_replaced_and_what_it_knew_is_answered_once() {
    impatient(|config| {
        let mut driver = Driver::start(config);
        driver.closed_loop(5, 5);
        let in_flight = wave(&mut driver, 6..=60);
        (0..4).for_each(|replica| driver.send(replica, &in_flight));
        stop_one(&mut driver, 0);
        let later = wave(&mut driver, 61..=80);
        (1..4).for_each(|replica| driver.send(replica, &later));
        driver.wait_for(&in_flight);
        driver.wait_for(&later);
        driver.check_ledgers();
        let report = driver.stop();
        let entered: Vec<_> =
            report.replicas.iter().map(|r| r.engine.unwrap().views_entered).collect();
        assert_eq!(entered[0], 0);
        assert!(entered[1..].iter().all(|views| *views >= 1), "{entered:?}");
    });
}

#[test]
#[should_panic(expected = "r2 runs")]
fn a_replica_stops_once() {
    let mut driver = Driver::start(ClusterConfig::new(4).unwrap());
    stop_one(&mut driver, 2);
    stop_one(&mut driver, 2);
}
