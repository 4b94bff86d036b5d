//! A closed-loop client for tests: many clients on one port, f + 1 equal replies each.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, bounded};
use quorumark_application::kv::{KvStore, Limits, Operation};
use quorumark_application::permissions::{Allowed, Permissions};
use quorumark_consensus::pbft::{Counters, Message, Pbft};
use quorumark_consensus::{ClientId, ReplicaId, Reply, Request, SignedRequest, Timestamp};
use quorumark_pipeline::port::open_replies;
use quorumark_pipeline::{
    Apart, Checked, ClientKeys, ClientPort, Cluster, ClusterConfig, ClusterKeys, ClusterReport,
    CommitEvent, Protocol, ReplicaCounts, Seat, Snapshot, Stages, Transport,
};
use quorumark_primitives::wire::Encode;

/// No test waits longer than this for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn store(_: ReplicaId) -> KvStore {
    KvStore::new(Limits::default(), Permissions::new(Allowed::ALL))
}

/// A claim about four replicas, whichever threads do their work and however frames travel.
pub(crate) fn each_way(claim: impl Fn(ClusterConfig)) {
    for transport in [Transport::Memory, Transport::Tcp] {
        each_stages(|config| claim(ClusterConfig { transport, ..config }));
    }
}

/// A claim about four replicas, whichever threads do their work.
pub(crate) fn each_stages(claim: impl Fn(ClusterConfig)) {
    for stages in [Stages::Separate, Stages::Merged] {
        claim(ClusterConfig { stages, ..ClusterConfig::new(4).unwrap() });
    }
}

/// How the thread of a replica is called that executes.
pub(crate) fn executing_thread(stages: Stages) -> &'static str {
    match stages {
        Stages::Separate => "execute",
        Stages::Merged => "whole",
    }
}

/// A running cluster with one port for all its clients.
pub(crate) struct Driver {
    /// The replicas, where each was started apart: `cluster` has none then, and ends after them.
    pub(crate) parts: Vec<Cluster<Pbft>>,
    /// `None` once it was stopped to tell why it stood still.
    pub(crate) cluster: Option<Cluster<Pbft>>,
    pub(crate) port: ClientPort,
    pub(crate) keys: Vec<ClientKeys>,
    events: Receiver<Vec<CommitEvent>>,
    replicas: usize,
    started: usize,
    weak: usize,
    /// Replies by request, then by replica.
    pub(crate) replies: BTreeMap<(ClientId, Timestamp), BTreeMap<ReplicaId, Vec<Reply>>>,
    pub(crate) seen: Vec<CommitEvent>,
}

impl Driver {
    pub(crate) fn start(config: ClusterConfig) -> Driver {
        let config: Checked<ClusterConfig> = config.check().unwrap();
        let keys = ClusterKeys::new(&config, Message::ID);
        let (observer, events) = bounded(100_000);
        let ports = [0..config.clients];
        let (cluster, ports) =
            Cluster::start_pbft(&config, &keys, &ports, Some(observer), store).unwrap();
        Driver::of(&config, &keys, (cluster, Vec::new()), ports, events)
    }

    /// As [`Driver::start`], each replica on its own, as if it were in a process of its own.
    pub(crate) fn start_apart(config: ClusterConfig) -> Driver {
        let config: Checked<ClusterConfig> = config.check().unwrap();
        let keys = ClusterKeys::new(&config, Message::ID);
        let (observer, events) = bounded(100_000);
        let ports = [0..config.clients];
        let begun = Instant::now();
        let seats: Vec<Seat> = (0..config.replicas).map(|_| Seat::take().unwrap()).collect();
        let places: Vec<_> = seats.iter().map(|seat| seat.address().unwrap()).collect();
        let (parts, (cluster, ports)) = thread::scope(|scope| {
            let start = |(id, seat): (usize, Seat)| {
                let (replica, seats) = (ReplicaId(id as u16), places.clone());
                let elapsed = begun.elapsed();
                let apart = Apart { replica, seat, seats, ports: ports.to_vec(), elapsed };
                let (config, keys, observer) = (&config, &keys, Some(observer.clone()));
                scope.spawn(move || {
                    Cluster::start_pbft_apart(config, keys, apart, observer, store(replica))
                })
            };
            let started: Vec<_> = seats.into_iter().enumerate().map(start).collect();
            let dialed = Cluster::dial(&config, &keys, &places, &ports, begun.elapsed()).unwrap();
            let parts = started.into_iter().map(|started| started.join().unwrap().unwrap());
            (parts.collect(), dialed)
        });
        Driver::of(&config, &keys, (cluster, parts), ports, events)
    }

    fn of(
        config: &ClusterConfig,
        keys: &ClusterKeys,
        (cluster, parts): (Cluster<Pbft>, Vec<Cluster<Pbft>>),
        mut ports: Vec<ClientPort>,
        events: Receiver<Vec<CommitEvent>>,
    ) -> Driver {
        let clients = (0..config.clients).map(|id| keys.client(ClientId(id)));
        Driver {
            cluster: Some(cluster),
            parts,
            port: ports.remove(0),
            keys: clients.collect(),
            events,
            replicas: config.replicas,
            started: config.replicas - config.silent_replicas,
            weak: config.engine.committee.weak_quorum(),
            replies: BTreeMap::new(),
            seen: Vec::new(),
        }
    }

    pub(crate) fn request(&mut self, client: u32, timestamp: u64) -> SignedRequest {
        let key = u64::from(client) * 1000 + timestamp % 1000;
        let request = Request {
            client: ClientId(client),
            timestamp: Timestamp(timestamp),
            operation: Operation::put_of_size(key, 64),
        };
        let proof = self.keys[client as usize].prove(&request);
        SignedRequest::new(request, proof)
    }

    pub(crate) fn send(&self, to: u16, requests: &[SignedRequest]) {
        let frames = requests.iter().map(|r| Message::Request(r.clone()).to_frame()).collect();
        self.port.send(ReplicaId(to), frames).unwrap();
    }

    pub(crate) fn receive(&mut self, timeout: Duration) {
        let Some(frames) = self.port.recv_timeout(timeout).unwrap() else { return };
        for frame in frames {
            let (keys, replies) = (&self.keys, &mut self.replies);
            let refused = open_replies(
                &frame,
                |client| keys.get(client.0 as usize),
                |reply| {
                    let id = (reply.client, reply.timestamp);
                    let by_replica = replies.entry(id).or_default();
                    by_replica.entry(reply.replica).or_default().push(reply.to_reply());
                },
            );
            assert_eq!(refused.unwrap(), 0, "every reply is authentic");
        }
        self.seen.extend(self.events.try_iter().flatten());
    }

    fn is_answered(&self, request: &SignedRequest) -> bool {
        let Some(by_replica) = self.replies.get(&request.id()) else { return false };
        let mut votes: BTreeMap<&Bytes, usize> = BTreeMap::new();
        for replies in by_replica.values() {
            *votes.entry(&replies[0].result).or_default() += 1;
        }
        votes.values().any(|count| *count >= self.weak)
    }

    /// Waits until every request has f + 1 equal replies.
    pub(crate) fn wait_for(&mut self, requests: &[SignedRequest]) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(unanswered) = requests.iter().find(|request| !self.is_answered(request)) {
            if Instant::now() >= deadline {
                let id = unanswered.id();
                let by: Vec<_> =
                    self.replies.get(&id).into_iter().flat_map(BTreeMap::keys).collect();
                self.stand_still(&format!("{id:?} stays unanswered but by {by:?}"));
            }
            self.receive(Duration::from_millis(20));
        }
    }

    /// Sends `count` requests of each client to the primary, `in_flight` of each at a time.
    pub(crate) fn closed_loop(&mut self, count: u64, in_flight: u64) -> Vec<SignedRequest> {
        let mut all = Vec::new();
        for first in (1..=count).step_by(in_flight as usize) {
            let mut wave = Vec::new();
            for timestamp in first..(first + in_flight).min(count + 1) {
                for client in 0..self.keys.len() as u32 {
                    wave.push(self.request(client, timestamp));
                }
            }
            self.send(0, &wave);
            self.wait_for(&wave);
            all.extend(wave);
        }
        all
    }

    /// Waits until every started replica has executed `count` requests in all.
    pub(crate) fn wait_executed(&mut self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.seen.extend(self.events.try_iter().flatten());
            let least = (0..self.started).map(|replica| self.executed(replica).len()).min();
            if least.is_some_and(|least| least >= count) {
                return;
            }
            if Instant::now() >= deadline {
                self.stand_still(&format!("a replica executed {least:?} of {count}"));
            }
            self.receive(Duration::from_millis(5));
        }
    }

    /// Waits until every replica has voted for every `interval`th batch that was executed: the last
    /// root comes after the last result.
    pub(crate) fn wait_checkpoints(&mut self, interval: u64) {
        let deadline = Instant::now() + PATIENCE;
        let batches = self.seen.iter().map(|event| event.seq.0).max().unwrap_or(0);
        let votes = batches / interval;
        // A pre-prepare or a prepare of each batch, and a commit.
        let signed = 2 * batches + votes;
        let sent = votes * (self.replicas as u64 - 1);
        let checkpoint = Message::KINDS.iter().position(|kind| *kind == "checkpoint").unwrap();
        let voted = |counts: &ReplicaCounts| {
            counts.signatures_made >= signed && counts.sent[checkpoint] >= sent
        };
        while !self.snapshot().replicas.iter().all(voted) {
            if Instant::now() >= deadline {
                self.stand_still("a replica did not vote for a checkpoint");
            }
            self.receive(Duration::from_millis(5));
        }
    }

    /// As [`Driver::wait_executed`], without taking a reply.
    pub(crate) fn wait_executed_deaf(&mut self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while (0..self.started).any(|replica| self.executed(replica).len() < count) {
            if Instant::now() >= deadline {
                self.stand_still("a replica waits for a deaf client");
            }
            let more = self.events.recv_timeout(Duration::from_millis(20));
            self.seen.extend(more.into_iter().flatten());
        }
    }

    /// Sends one request of client 0 after the other, from `timestamp` on, until every started replica
    /// has executed the last one: one that took over a state does not execute what led to it, but
    /// what follows.
    pub(crate) fn level(&mut self, mut timestamp: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = self.request(0, timestamp);
            self.send(0, std::slice::from_ref(&request));
            self.wait_for(std::slice::from_ref(&request));
            for _ in 0..20 {
                self.seen.extend(self.events.try_iter().flatten());
                if (0..self.started).all(|r| self.executed(r).contains(&request.id())) {
                    return;
                }
                self.receive(Duration::from_millis(5));
            }
            if Instant::now() >= deadline {
                self.stand_still("a replica does not execute what the others do");
            }
            timestamp += 1;
        }
    }

    /// Replicas executed the same batch wherever they executed one, in rising order, and each request
    /// once; they may have gaps, where they took over a state. Returns how many requests were
    /// executed somewhere.
    pub(crate) fn check_common_ledger(&self) -> usize {
        let mut common = BTreeMap::new();
        for replica in 0..self.started {
            let mine = self.seen.iter().filter(|event| usize::from(event.replica.0) == replica);
            let mut last = 0;
            for event in mine {
                assert!(event.seq.0 > last, "replica {replica} went back");
                last = event.seq.0;
                let batch = (event.digest, event.executed.clone());
                let known = common.entry(event.seq).or_insert_with(|| batch.clone());
                assert_eq!(*known, batch, "replica {replica} differs");
            }
            let executed = self.executed(replica);
            let distinct: BTreeSet<_> = executed.iter().collect();
            assert_eq!(distinct.len(), executed.len(), "a request ran twice");
        }
        common.values().map(|(_, executed)| executed.len()).sum()
    }

    fn executed(&self, replica: usize) -> Vec<(ClientId, Timestamp)> {
        let of = self.seen.iter().filter(|event| usize::from(event.replica.0) == replica);
        of.flat_map(|event| event.executed.iter().copied()).collect()
    }

    /// Every replica executed the same batches in the same order, without a gap, and each request
    /// once; returns how many requests each executed.
    pub(crate) fn check_ledgers(&self) -> usize {
        let ledger = |replica: usize| -> Vec<_> {
            let of = self.seen.iter().filter(|event| usize::from(event.replica.0) == replica);
            of.map(|event| (event.seq, event.digest, event.executed.clone())).collect()
        };
        let first = ledger(0);
        for replica in 0..self.started {
            let mine = ledger(replica);
            let common = mine.len().min(first.len());
            assert_eq!(mine[..common], first[..common], "replica {replica} differs");
            for (place, (seq, ..)) in mine.iter().enumerate() {
                assert_eq!(seq.0, place as u64 + 1, "a gap at replica {replica}");
            }
            let executed = self.executed(replica);
            let distinct: BTreeSet<_> = executed.iter().collect();
            assert_eq!(distinct.len(), executed.len(), "a request ran twice");
        }
        assert!(self.started <= self.replicas);
        self.executed(0).len()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.cluster.as_ref().unwrap().snapshot();
        self.parts.iter().for_each(|part| snapshot.add(&part.snapshot()));
        snapshot
    }

    pub(crate) fn stop(self) -> ClusterReport<Counters> {
        self.cluster.unwrap().stop().unwrap()
    }

    /// Fails, and tells what every stage and every engine did: where a run stands still.
    fn stand_still(&mut self, claim: &str) -> ! {
        let mut told = format!("{claim}\n");
        for thread in self.snapshot().threads {
            let [busy, wait, blocked] =
                [thread.busy_ns, thread.wait_ns, thread.blocked_ns].map(|ns| ns / 1_000_000);
            let (name, items) = (thread.name, thread.items);
            told +=
                &format!("{name}: {items} items, ms: {busy} busy {wait} wait {blocked} blocked\n");
        }
        self.parts.clear();
        let stopped = self.cluster.take().unwrap().stop();
        panic!("{told}{stopped:#?}");
    }
}
