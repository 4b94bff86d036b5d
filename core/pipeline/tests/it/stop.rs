//! How a cluster stops: under load, with an observer that sleeps, with work in hand.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use quorumark_application::Application;
use quorumark_application::kv::KvStore;
use quorumark_consensus::pbft::Message;
use quorumark_consensus::{ClientId, ReplicaId, Request, Seq, SignedRequest, Timestamp};
use quorumark_pipeline::port::{ReplyView, open_replies};
use quorumark_pipeline::{
    ClientKeys, ClientPort, Cluster, ClusterConfig, ClusterKeys, ClusterReport, PortError,
    Protocol, StopError,
};
use quorumark_primitives::Digest;
use quorumark_primitives::wire::Encode;

use crate::driver::{PATIENCE, each_stages, each_way, executing_thread, store};

type Stopped = Result<ClusterReport<quorumark_consensus::pbft::Counters>, StopError>;

/// Stops a cluster and fails when that takes longer than patience.
fn stop(cluster: Cluster<quorumark_consensus::pbft::Pbft>) -> Stopped {
    let (done, stopped) = mpsc::channel();
    thread::spawn(move || done.send(cluster.stop()));
    stopped.recv_timeout(PATIENCE).expect("the cluster does not stop")
}

fn request(keys: &mut ClientKeys, timestamp: u64) -> Bytes {
    let operation = Bytes::from(timestamp.to_le_bytes().to_vec());
    let request = Request { client: keys.id(), timestamp: Timestamp(timestamp), operation };
    let proof = keys.prove(&request);
    Message::Request(SignedRequest::new(request, proof)).to_frame()
}

/// Fills the inbox of the replica with the number of the port's first client, and keeps it full.
fn keep_full(keys: &ClusterKeys, port: ClientPort) -> JoinHandle<()> {
    let client = port.clients().start;
    let mut keys = keys.client(ClientId(client));
    let flush: Vec<Bytes> = (1..=64).map(|nth| request(&mut keys, nth)).collect();
    let (filled, full) = bounded(1);
    let sender = thread::spawn(move || {
        let to = ReplicaId(client as u16);
        while port.try_send(to, flush.clone()).is_ok() {}
        filled.send(()).unwrap();
        while port.send(to, flush.clone()).is_ok() {}
    });
    full.recv_timeout(PATIENCE).unwrap();
    sender
}

#[test]
fn a_cluster_stops_while_clients_keep_sending() {
    each_way(|config| {
        let config = config.check().unwrap();
        let keys = ClusterKeys::new(&config, Message::ID);
        let (cluster, ports) =
            Cluster::start_pbft(&config, &keys, &[0..1, 1..2], None, store).unwrap();
        let senders: Vec<_> = ports.into_iter().map(|port| keep_full(&keys, port)).collect();
        stop(cluster).unwrap();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn an_observer_that_takes_no_events_cannot_keep_a_cluster_from_stopping() {
    each_stages(stop_with_a_deaf_observer);
}

fn stop_with_a_deaf_observer(mut config: ClusterConfig) {
    config.engine.batch_size_max = 4;
    let config = config.check().unwrap();
    let keys = ClusterKeys::new(&config, Message::ID);
    let (observer, events) = bounded(1);
    let (cluster, ports) =
        Cluster::start_pbft(&config, &keys, &[0..4], Some(observer), store).unwrap();
    let mut client = keys.client(ClientId(0));
    let frames = (1..=400).map(|nth| request(&mut client, nth)).collect();
    ports[0].send(ReplicaId(0), frames).unwrap();
    // Who answers tells the observer, which has room for one: of two replicas, one waits with its own.
    let mut answered = BTreeSet::new();
    while answered.len() < 2 {
        for frame in ports[0].recv_timeout(PATIENCE).unwrap().expect("replicas answer") {
            let visit = |reply: ReplyView<'_>| {
                answered.insert(reply.replica);
            };
            assert_eq!(open_replies(&frame, |_| Some(&client), visit), Ok(0));
        }
    }
    let report = stop(cluster).unwrap();
    let dropped = |r: &quorumark_pipeline::ReplicaReport<_>| r.counts.commit_events_dropped;
    assert!(report.replicas.iter().map(dropped).sum::<u64>() > 0);
    assert!(events.len() == 1);
}

/// A store that says when it is asked to execute, and waits to be let through.
struct Gated {
    store: KvStore,
    entered: Sender<()>,
    gate: Receiver<()>,
}

impl Application for Gated {
    fn execute<'a>(
        &mut self,
        seq: Seq,
        frame: &Bytes,
        operations: impl Iterator<Item = (ClientId, &'a [u8])>,
        results: &mut Vec<Bytes>,
    ) {
        let _ = self.entered.send(());
        let _ = self.gate.recv();
        self.store.execute(seq, frame, operations, results);
    }

    fn root(&mut self) -> Digest {
        self.store.root()
    }
}

/// A store that executes nothing that does not lie in a frame.
struct Framed(KvStore);

impl Application for Framed {
    fn execute<'a>(
        &mut self,
        seq: Seq,
        frame: &Bytes,
        operations: impl Iterator<Item = (ClientId, &'a [u8])>,
        results: &mut Vec<Bytes>,
    ) {
        let lies_in = |operation: &[u8]| {
            frame.as_ptr_range().contains(&operation.as_ptr())
                && operation.as_ptr_range().end <= frame.as_ptr_range().end
        };
        let operations = operations.inspect(|(_, operation)| assert!(lies_in(operation)));
        self.0.execute(seq, frame, operations, results);
    }

    fn root(&mut self) -> Digest {
        self.0.root()
    }
}

#[test]
fn every_replica_executes_batches_from_their_frames_the_primary_too() {
    each_way(|config| {
        let config = config.check().unwrap();
        let keys = ClusterKeys::new(&config, Message::ID);
        let framed = |id| Framed(store(id));
        let (cluster, ports) = Cluster::start_pbft(&config, &keys, &[0..4], None, framed).unwrap();
        let mut client = keys.client(ClientId(0));
        let frames = (1..=40).map(|nth| request(&mut client, nth)).collect();
        ports[0].send(ReplicaId(0), frames).unwrap();
        let mut answered = 0;
        while answered < 4 * 40 {
            let frames = ports[0].recv_timeout(PATIENCE).unwrap().expect("every replica answers");
            for frame in frames {
                let refused = open_replies(&frame, |_| Some(&client), |_| answered += 1);
                assert_eq!(refused, Ok(0));
            }
        }
        stop(cluster).unwrap();
    });
}

#[test]
fn what_was_being_executed_when_the_cluster_stops_is_still_answered() {
    each_way(|config| {
        let config = config.check().unwrap();
        let keys = ClusterKeys::new(&config, Message::ID);
        let (entered, executing) = bounded(64);
        let (open, gate) = bounded::<()>(0);
        let gated = |id| Gated { store: store(id), entered: entered.clone(), gate: gate.clone() };
        let (cluster, ports) = Cluster::start_pbft(&config, &keys, &[0..4], None, gated).unwrap();
        let mut client = keys.client(ClientId(0));
        ports[0].send(ReplicaId(0), vec![request(&mut client, 1)]).unwrap();
        (0..4).for_each(|_| executing.recv_timeout(PATIENCE).unwrap());
        let stopping = thread::spawn(|| stop(cluster));
        // Closed while the cluster stops, or before it begins to: the replies come in either case.
        drop(open);
        stopping.join().unwrap().unwrap();
        let mut answered = 0;
        while let Some(frames) = ports[0].try_recv().unwrap_or(None) {
            for frame in frames {
                let refused = open_replies(&frame, |_| Some(&client), |_| answered += 1);
                assert_eq!(refused, Ok(0));
            }
        }
        assert_eq!(answered, 4);
        assert_eq!(ports[0].try_recv(), Err(PortError::Stopped));
    });
}

#[test]
fn a_panic_in_one_replica_is_seen_and_the_others_go_on() {
    each_stages(panic_in_one_replica);
}

fn panic_in_one_replica(config: ClusterConfig) {
    struct Mortal(ReplicaId, KvStore);
    impl Application for Mortal {
        fn execute<'a>(
            &mut self,
            seq: Seq,
            frame: &Bytes,
            operations: impl Iterator<Item = (ClientId, &'a [u8])>,
            results: &mut Vec<Bytes>,
        ) {
            assert!(self.0 != ReplicaId(2) || seq < Seq(2), "replica 2 dies at {seq}");
            self.1.execute(seq, frame, operations, results);
        }
        fn root(&mut self) -> Digest {
            self.1.root()
        }
    }
    let thread = format!("r2-{}", executing_thread(config.stages));
    let config = config.check().unwrap();
    let keys = ClusterKeys::new(&config, Message::ID);
    let mortal = |id| Mortal(id, store(id));
    let (cluster, ports) = Cluster::start_pbft(&config, &keys, &[0..4], None, mortal).unwrap();
    let mut client = keys.client(ClientId(0));
    for timestamp in 1..=5 {
        let frame = request(&mut client, timestamp);
        ports[0].send(ReplicaId(0), vec![frame]).unwrap();
        let mut answered = 0;
        while answered < 2 {
            let frames = ports[0].recv_timeout(PATIENCE).unwrap().expect("a reply in time");
            for frame in frames {
                let visit = |reply: ReplyView<'_>| {
                    answered += usize::from(reply.timestamp == Timestamp(timestamp));
                };
                open_replies(&frame, |_| Some(&client), visit).unwrap();
            }
        }
    }
    while cluster.ended_early().is_none() {
        thread::yield_now();
    }
    let error = stop(cluster).unwrap_err();
    assert_eq!(error.thread, thread);
    assert!(error.message.contains("replica 2 dies"), "{error}");
}
