//! Clusters without faults: both transports, each way to authenticate, several sizes.

use std::time::Duration;

use quorumark_consensus::pbft::Counters;
use quorumark_consensus::types::ReplicaId;
use quorumark_pipeline::{
    ClientAuthKind, ClusterConfig, ClusterReport, StageKind, Stages, ThreadSnapshot, Transport,
};

use crate::driver::{Driver, each_stages, each_way};

const PER_CLIENT: u64 = 300;

fn run(change: impl Fn(&mut ClusterConfig)) {
    each_stages(|config| run_so(config, &change));
}

fn run_so(mut config: ClusterConfig, change: impl Fn(&mut ClusterConfig)) {
    config.engine.batch_size_max = 32;
    // Wider than the run is long: a replica that a busy machine starves would fall a window behind
    // and take over a state in place of executing.
    config.engine.window = 2048;
    config.engine.checkpoint_interval = 4;
    // No repair: what is lost by a full queue or by a race would stay lost.
    config.engine.status_interval = Duration::from_secs(60);
    change(&mut config);
    let (replicas, auth, spin) = (config.replicas, config.client_auth, config.spin);
    let mut driver = Driver::start(config);
    let before = driver.snapshot(); // Before some threads have run at all.
    let requests = driver.closed_loop(PER_CLIENT, 50).len();
    driver.wait_executed(requests);
    driver.wait_checkpoints(4);
    assert_eq!(driver.check_ledgers(), requests);
    let span = driver.snapshot().since(&before);
    let report = driver.stop();
    assert_eq!(report.replicas.len(), replicas);
    let exact = report.replicas.iter().all(|replica| {
        replica.counts.flushes_dropped + replica.engine.unwrap().messages_repeated == 0
    });
    assert!(exact, "nothing is sent twice where nothing is dropped");
    for replica in &report.replicas {
        let engine = replica.engine.unwrap();
        assert_eq!(engine.requests_executed as usize, requests);
        assert_eq!(engine.evidence_found, 0);
        assert!(engine.checkpoints_stable > 0, "the log was cut");
        // Each replica checks each request's own proof exactly once, for itself.
        let proofs = replica.counts.client_proofs_verified as usize;
        assert_eq!(proofs, requests);
        // These clients do not ask again: a reply that finds no place would be missed.
        assert_eq!(replica.counts.client_flushes_dropped, 0);
        assert_eq!(replica.counts.values_refused, 0);
        assert_eq!(replica.counts.frames_undecodable, 0);
        let macs = if auth == ClientAuthKind::Mac { proofs } else { 0 };
        assert_eq!(replica.counts.macs_verified as usize, macs);
        if auth == ClientAuthKind::Signature {
            assert!(replica.counts.signatures_verified as usize >= requests);
        }
    }
    check_costs(&report, replicas as u64);
    let stage = |kind| span.threads.iter().filter(move |thread| thread.stage == kind);
    let told = std::path::Path::new("/proc/thread-self/schedstat").exists();
    assert_eq!(span.cpu_ns().is_some(), told, "CPU time is known where the kernel tells it");
    assert!(stage(StageKind::Verify).all(|thread| thread.items > 0 && thread.busy_ns > 0));
    let waits = |of: fn(&ThreadSnapshot) -> u64| span.threads.iter().map(of).sum::<u64>();
    // Who may look for long need not park in so short a run.
    assert!(waits(|thread| thread.parks) > 0 || !spin.is_zero(), "a thread had nothing to do");
    assert_eq!(waits(|thread| thread.spins) > 0, !spin.is_zero(), "who may look finds something");
    let cpu = |kind| stage(kind).filter_map(|thread| thread.cpu_ns).sum::<u64>();
    assert!(
        !told || StageKind::OF_A_REPLICA.iter().all(|kind| cpu(*kind) > 0),
        "each has its part"
    );
    let executed: u64 = stage(StageKind::Execute).map(|thread| thread.items).sum();
    assert!(executed as usize <= requests * replicas);
}

/// PBFT 4.2: a batch costs one pre-prepare, a prepare of each backup and a commit of each replica,
/// to each of the others; a checkpoint one message of each replica. Each is signed once.
fn check_costs(report: &ClusterReport<Counters>, n: u64) {
    let engine = |replica: usize| report.replicas[replica].engine.unwrap();
    let batches = engine(0).batches_proposed;
    let checkpoints = batches / 4;
    for (id, replica) in report.replicas.iter().enumerate() {
        let (pre_prepares, prepares) = if id == 0 { (batches, 0) } else { (0, batches) };
        let statuses = engine(id).statuses_said;
        let said = [0, pre_prepares, prepares, batches, checkpoints, statuses];
        let sent = said.map(|messages| messages * (n - 1));
        assert_eq!(replica.counts.sent[..6], sent, "messages of replica {id}");
        assert_eq!(replica.counts.signatures_made, said.iter().sum::<u64>());
        assert_eq!(engine(id).batches_committed, batches);
    }
}

#[test]
fn signed_requests_over_memory() {
    run(|_| {});
}

#[test]
fn signed_requests_over_tcp() {
    run(|config| config.transport = Transport::Tcp);
}

#[test]
fn threads_that_look_for_long_before_they_park() {
    for transport in [Transport::Memory, Transport::Tcp] {
        run(|config| {
            config.spin = Duration::from_millis(10);
            config.transport = transport;
        });
    }
}

#[test]
fn maced_requests_over_memory_and_tcp() {
    for transport in [Transport::Memory, Transport::Tcp] {
        run(|config| {
            config.client_auth = ClientAuthKind::Mac;
            config.transport = transport;
        });
    }
}

#[test]
fn unauthenticated_requests_over_memory_and_tcp() {
    for transport in [Transport::Memory, Transport::Tcp] {
        run(|config| {
            config.client_auth = ClientAuthKind::None;
            config.transport = transport;
        });
    }
}

#[test]
fn committees_of_1_and_7() {
    for replicas in [1, 7] {
        run(|config| config.replicas = replicas);
    }
}

#[test]
fn several_verify_threads_and_the_smallest_queues() {
    each_way(|mut config| {
        smallest_queues(&mut config);
        let mut driver = Driver::start(config);
        let requests = driver.closed_loop(PER_CLIENT, 50).len();
        // A replica that falls a window behind takes over the state.
        driver.level(PER_CLIENT + 1);
        assert!(driver.check_common_ledger() > requests);
        driver.stop();
    });
}

fn smallest_queues(config: &mut ClusterConfig) {
    config.engine.batch_size_max = 32;
    config.engine.window = 16;
    config.engine.checkpoint_interval = 4;
    config.verify_threads = if config.stages == Stages::Separate { 3 } else { 1 };
    config.verify_batch_max = 8;
    config.queue_capacity_batches = 1;
    config.inbox_capacity_batches = 1;
    // Where every queue holds one batch, replicas wait for each other in a circle: patience
    // ends the wait, and status messages bring what was dropped.
    config.peer_patience = Duration::from_millis(5);
    config.engine.status_interval = Duration::from_millis(20);
}

#[test]
fn a_retransmitted_request_gets_the_same_reply_and_one_execution() {
    let mut driver = Driver::start(ClusterConfig::new(4).unwrap());
    let request = driver.request(0, 1);
    driver.send(0, std::slice::from_ref(&request));
    driver.wait_for(std::slice::from_ref(&request));
    driver.wait_executed(1);
    for _ in 0..3 {
        (0..4).for_each(|replica| driver.send(replica, std::slice::from_ref(&request)));
    }
    let last = driver.request(0, 2);
    driver.send(0, std::slice::from_ref(&last));
    driver.wait_for(std::slice::from_ref(&last));
    driver.wait_executed(2);
    // Each replica answers once for the execution and once for each of the three repeats.
    while driver.replies[&request.id()].values().map(Vec::len).sum::<usize>() < 16 {
        driver.receive(Duration::from_millis(20));
    }
    for replies in driver.replies[&request.id()].values() {
        assert!(replies.iter().all(|reply| reply == &replies[0]), "the same reply each time");
    }
    assert_eq!(driver.check_ledgers(), 2);
    assert!(driver.replies[&request.id()].contains_key(&ReplicaId(3)));
    driver.stop();
}
