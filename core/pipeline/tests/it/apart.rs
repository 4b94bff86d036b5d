//! Replicas that were started each on its own, and met over TCP.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use quorumark_consensus::ReplicaId;
use quorumark_consensus::pbft::Message;
use quorumark_pipeline::{
    Apart, Cluster, ClusterConfig, ClusterKeys, Protocol, Seat, StageKind, StartError, Transport,
};

use crate::driver::{Driver, each_stages, store};

fn over_tcp(claim: impl Fn(ClusterConfig)) {
    each_stages(|mut config| {
        config.transport = Transport::Tcp;
        // Wider than the run is long, as in the tests of clusters of one process.
        config.engine.window = 2048;
        config.engine.checkpoint_interval = 4;
        claim(config);
    });
}

#[test]
fn replicas_that_were_started_apart_execute_the_same_and_each_counts_its_own() {
    over_tcp(|config| {
        let mut driver = Driver::start_apart(config);
        let before = driver.snapshot();
        let requests = driver.closed_loop(200, 50).len();
        driver.wait_executed(requests);
        assert_eq!(driver.check_ledgers(), requests);
        let span = driver.snapshot().since(&before);
        let proofs = span.replicas.iter().map(|counts| counts.client_proofs_verified as usize);
        assert_eq!(proofs.collect::<Vec<_>>(), [requests; 4]);
        let executing = span.threads.iter().filter(|thread| thread.stage == StageKind::Execute);
        assert_eq!(
            executing.map(|thread| thread.items as usize).collect::<Vec<_>>(),
            [requests; 4]
        );
        for (id, part) in driver.parts.drain(..).enumerate() {
            let report = part.stop().unwrap();
            assert_eq!(report.replicas.len(), 1, "it tells of itself alone");
            assert_eq!(usize::from(report.replicas[0].replica.0), id);
            assert_eq!(report.replicas[0].engine.unwrap().requests_executed as usize, requests);
        }
        assert!(driver.stop().replicas.is_empty(), "the clients' side has no replica");
    });
}

#[test]
fn the_others_go_on_when_one_that_was_started_apart_stops() {
    over_tcp(|config| {
        let mut driver = Driver::start_apart(config);
        driver.closed_loop(50, 50);
        driver.parts.pop().unwrap().stop().unwrap();
        let more: Vec<_> = (51..=100).map(|timestamp| driver.request(1, timestamp)).collect();
        driver.send(0, &more);
        driver.wait_for(&more);
        assert!(driver.check_common_ledger() >= 200 + more.len());
        for part in driver.parts.drain(..) {
            assert!(part.stop().is_ok());
        }
        driver.stop();
    });
}

#[test]
fn a_stranger_and_a_second_one_of_a_name_are_not_taken_for_those_who_are_awaited() {
    let mut config = ClusterConfig::new(1).unwrap();
    config.transport = Transport::Tcp;
    let config = config.check().unwrap();
    let keys = ClusterKeys::new(&config, Message::ID);
    let (seat, ports) = (Seat::take().unwrap(), vec![0..2, 2..4]);
    let place = seat.address().unwrap();
    let seats = vec![place];
    let stranger = TcpStream::connect(place).unwrap();
    drop(stranger);
    let elapsed = Duration::ZERO;
    let apart = Apart { replica: ReplicaId(0), seat, seats, ports: ports.clone(), elapsed };
    let started = thread::spawn({
        let (config, keys) = (config.clone(), keys.clone());
        move || Cluster::start_pbft_apart(&config, &keys, apart, None, store(ReplicaId(0)))
    });
    let (ways, client_ports) =
        Cluster::<quorumark_consensus::pbft::Pbft>::dial(&config, &keys, &[place], &ports, elapsed)
            .unwrap();
    let part = started.join().unwrap().unwrap();
    assert_eq!(client_ports.len(), 2);
    part.stop().unwrap();
    ways.stop().unwrap();
    let overlapping = Cluster::<quorumark_consensus::pbft::Pbft>::dial(
        &config,
        &keys,
        &[place],
        &[0..2, 1..3],
        elapsed,
    );
    assert!(matches!(overlapping, Err(StartError::Port { .. })));
}
