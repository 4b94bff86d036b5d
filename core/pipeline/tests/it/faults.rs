//! Clusters with faults: silence, bad signatures, panics, and clients that do not listen.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quorumark_application::Application;
use quorumark_consensus::pbft::Message;
use quorumark_consensus::{ClientId, ClientProof, ReplicaId, Seq, SignedRequest};
use quorumark_pipeline::{
    Cluster, ClusterConfig, ClusterKeys, PortError, Protocol, Stages, StartError,
};
use quorumark_primitives::Digest;
use quorumark_primitives::wire::Encode;

use crate::driver::{Driver, PATIENCE, each_stages, executing_thread, store};

#[test]
fn progress_goes_on_with_one_silent_backup() {
    each_stages(|mut config| {
        config.silent_replicas = 1;
        config.engine.window = 16;
        config.engine.checkpoint_interval = 4;
        let mut driver = Driver::start(config);
        let requests = driver.closed_loop(200, 20).len();
        driver.wait_executed(requests);
        assert_eq!(driver.check_ledgers(), requests);
        assert_eq!(driver.stop().replicas.len(), 3);
    });
}

#[test]
fn a_request_with_a_bad_signature_is_refused_counted_and_never_executed() {
    each_stages(|config| {
        let mut driver = Driver::start(config);
        let mut good = Vec::new();
        let mut wave = Vec::new();
        for timestamp in 1..=100 {
            let request = driver.request(1, timestamp);
            if timestamp % 10 == 0 {
                let ClientProof::Signature(mut signature) = request.proof() else { unreachable!() };
                signature.0[3] ^= 1;
                let proof = ClientProof::Signature(signature);
                wave.push(SignedRequest::new(request.request(), proof));
            } else {
                wave.push(request.clone());
                good.push(request);
            }
        }
        driver.send(0, &wave);
        driver.wait_for(&good);
        driver.wait_executed(good.len());
        assert_eq!(driver.check_ledgers(), 90);
        let report = driver.stop();
        assert_eq!(report.replicas[0].counts.requests_refused, 10);
        assert_eq!(report.replicas[0].counts.signatures_invalid, 10);
        assert!(report.replicas[1..].iter().all(|replica| replica.counts.values_refused == 0));
    });
}

#[test]
fn garbage_and_impostors_are_counted_and_harm_nobody() {
    each_stages(|config| {
        let mut driver = Driver::start(config);
        let garbage =
            vec![Bytes::from_static(b"garbage"), Bytes::new(), Bytes::from(vec![0; 4096])];
        driver.port.send(ReplicaId(0), garbage).unwrap();
        let request = driver.request(0, 1);
        // A client's request without a proof, where the cluster asks for a signature.
        let bare = SignedRequest::new(request.request(), ClientProof::None);
        driver.send(0, &[bare, request.clone()]);
        driver.wait_for(&[request]);
        let counts = driver.stop().replicas[0].counts;
        assert_eq!((counts.frames_undecodable, counts.requests_refused), (3, 1));
    });
}

struct Faulty;

impl Application for Faulty {
    fn execute<'a>(
        &mut self,
        seq: Seq,
        _: &Bytes,
        _: impl Iterator<Item = (ClientId, &'a [u8])>,
        _: &mut Vec<Bytes>,
    ) {
        panic!("the disk of {seq} is on fire");
    }

    fn root(&mut self) -> Digest {
        Digest::ZERO
    }
}

#[test]
fn a_panicking_stage_is_named_and_the_cluster_still_stops() {
    for stages in [Stages::Separate, Stages::Merged] {
        panic_at_the_first_batch(ClusterConfig { stages, ..ClusterConfig::new(1).unwrap() });
    }
}

fn panic_at_the_first_batch(config: ClusterConfig) {
    let thread = format!("r0-{}", executing_thread(config.stages));
    let config = config.check().unwrap();
    let keys = ClusterKeys::new(&config, Message::ID);
    let ports = [0..4];
    let (cluster, ports) = Cluster::start_pbft(&config, &keys, &ports, None, |_| Faulty).unwrap();
    let mut client = keys.client(ClientId(0));
    let request = quorumark_consensus::Request {
        client: ClientId(0),
        timestamp: quorumark_consensus::Timestamp(1),
        operation: Bytes::new(),
    };
    let proof = client.prove(&request);
    let frame = Message::Request(SignedRequest::new(request, proof)).to_frame();
    ports[0].send(ReplicaId(0), vec![frame]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    // The port closes when the last stage that could answer has gone.
    while ports[0].recv_timeout(Duration::from_millis(20)) != Err(PortError::Stopped) {
        assert!(Instant::now() < deadline, "the cluster goes on without its execute stage");
    }
    while cluster.ended_early().is_none() {
        assert!(Instant::now() < deadline, "a thread that panicked does not end");
    }
    let error = cluster.stop().unwrap_err();
    assert_eq!(error.thread, thread);
    assert!(error.to_string().contains("on fire"), "{error}");
}

#[test]
fn a_client_that_does_not_take_its_replies_holds_up_nobody() {
    each_stages(|mut config| {
        config.port_capacity_batches = 1;
        let mut driver = Driver::start(config);
        let wave: Vec<_> = (1..=400).map(|timestamp| driver.request(0, timestamp)).collect();
        for requests in wave.chunks(8) {
            driver.send(0, requests);
        }
        driver.wait_executed_deaf(wave.len());
        let report = driver.stop();
        let dropped: u64 =
            report.replicas.iter().map(|replica| replica.counts.client_flushes_dropped).sum();
        assert!(dropped > 0, "four replicas answered into one place");
    });
}

#[test]
fn ports_must_fit_the_clients_and_not_overlap() {
    let config = ClusterConfig::new(1).unwrap().check().unwrap();
    let keys = ClusterKeys::new(&config, Message::ID);
    for ports in [vec![0..5], vec![0..2, 1..3], vec![2..2]] {
        let started = Cluster::start_pbft(&config, &keys, &ports, None, store);
        assert!(matches!(started, Err(StartError::Port { .. })), "{ports:?}");
    }
}

#[test]
fn dropping_a_cluster_stops_it() {
    each_stages(|config| {
        let driver = Driver::start(config);
        let port = driver.port;
        drop(driver.cluster);
        assert_eq!(port.recv_timeout(PATIENCE), Err(PortError::Stopped));
        assert_eq!(port.send(ReplicaId(0), Vec::new()), Err(PortError::Stopped));
    });
}
