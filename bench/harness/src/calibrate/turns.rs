//! Turns of replicas, timed one by one: a cluster of merged replicas with one thread a core, which
//! a real load generator keeps in work.
//!
//! Replicas are on the cores on which a run has them, so their turns find what others left in its
//! caches, and fetch from the other core what was written there. But no thread sleeps and none
//! wakes another, so what is timed is work alone. Each turn is noted with what it was made of, as
//! [`Work`] counts it; one during which another thread had the core is not.

use core::hint;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread;
use std::time::Instant as WallInstant;

use bytes::Bytes;
use core_affinity::CoreId;
use crossbeam_channel::{Receiver, Sender, bounded};
use quorumark_consensus::pbft::PROTOCOL;
use quorumark_consensus::types::{ClientId, Instant, ReplicaId};
use quorumark_pipeline::port::ReplyView;
use quorumark_pipeline::{
    ByHand, ClientAuthKind, ClusterConfig, ClusterKeys, CommitEvent, Hand, PortError, StageKind,
    Turn,
};
use quorumark_sim::model::costs::Item;
use quorumark_sim::model::work::{Work, pages_written};

use crate::clock::interruptions;
use crate::load::{ClusterPort, Generator, LoadConfig, Loop, Pool, Port, Requests};
use crate::oracle::{Oracle, SendTimes, Watched, Window};
use crate::trial::RunError;
use crate::workload::{Plan, Shares, StateMachine, Workload};

/// Client identities, as many as a run has by default.
const CLIENTS: u32 = 4;
/// Batches of executions that wait for the oracle between two turns: more than a turn makes.
const EVENTS_MAX: usize = 65_536;
/// One in so many of what is noted, the first, does not count: keys get tables when they have been
/// in sixteen batches.
const WARM_UP: usize = 2;

/// One cluster to be timed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) replicas: usize,
    /// Requests in flight, and in a batch.
    pub(super) batch: usize,
    pub(super) payload: usize,
    pub(super) span: Duration,
    pub(super) seed: u64,
}

/// A turn of a replica.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnNote {
    pub(super) work: Work,
    /// Signatures that it verified together.
    pub(super) signatures: u64,
    pub(super) verify_ns: f64,
    /// Everything but verification.
    pub(super) rest_ns: f64,
}

/// What the clients did between two rounds of turns.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoadNote {
    pub(super) requests: u64,
    pub(super) replies: u64,
    pub(super) ns: f64,
}

/// What the oracle did between two rounds of turns.
#[derive(Debug, Clone, Copy)]
pub(super) struct OracleNote {
    pub(super) batches: u64,
    pub(super) requests: u64,
    pub(super) ns: f64,
}

/// Everything noted of one cluster.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) turns: Vec<TurnNote>,
    pub(super) load: Vec<LoadNote>,
    pub(super) oracle: Vec<OracleNote>,
}

/// Times the turns of one cluster, whose replicas are dealt out to `cores`; clients and oracle are
/// on the first.
///
/// # Errors
/// [`RunError`].
pub(super) fn time(shape: Shape, cores: &[CoreId]) -> Result<Notes, RunError> {
    let Timed { mut hand, generator, port, oracle, executed, interval } =
        cluster(&shape, cores.len())?;
    let (tell, told) = bounded(EVENTS_MAX);
    let mut groups: Vec<Group<'_>> = Vec::new();
    groups.resize_with(cores.len().min(shape.replicas), || {
        Group::new(&shape, interval, tell.clone())
    });
    drop(tell);
    let count = groups.len();
    for ((replica, hand), executed) in hand.replicas.iter_mut().enumerate().zip(executed) {
        groups[replica % count].add(hand, executed);
    }
    let ended = &AtomicBool::new(false);
    let mut notes = thread::scope(|scope| {
        let mut groups = groups.into_iter().zip(cores);
        let first = groups.next().map(|(group, core)| {
            let (left_at, spent, notes) = (None, Duration::ZERO, Notes::default());
            let mut port = HandPort { port, group, told, oracle, left_at, spent, sent: 0, notes };
            scope.spawn(move || {
                // Also when it panics: the others go on until then.
                let _ends = Ends(ended);
                core_affinity::set_for_current(*core);
                let ran = generator.run(&mut port);
                ran.map(|_| port.finish()).map_err(|error| super::failed(&error))
            })
        });
        let others = groups.map(|(group, core)| {
            scope.spawn(move || {
                core_affinity::set_for_current(*core);
                group.until(ended)
            })
        });
        let others: Vec<_> = others.collect();
        let lost = |_| super::failed(&"a thread panicked");
        let mut notes = first.map(|first| first.join().map_err(lost)).transpose()?.transpose()?;
        for other in others {
            let turns = other.join().map_err(lost)?;
            notes.iter_mut().for_each(|notes| notes.turns.extend(turns.iter().copied()));
        }
        Ok::<_, RunError>(notes.unwrap_or_default())
    })?;
    notes.load.drain(..notes.load.len() / WARM_UP);
    Ok(notes)
}

/// Tells the threads of other cores to end, when dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A cluster, its clients and its oracle.
struct Timed {
    hand: ByHand<StateMachine>,
    generator: Generator,
    port: ClusterPort,
    oracle: Oracle,
    /// By replica: what it tells of its executions.
    executed: Vec<Receiver<Vec<CommitEvent>>>,
    /// Sequence numbers between checkpoints.
    interval: u64,
}

fn cluster(shape: &Shape, cores: usize) -> Result<Timed, RunError> {
    let failed = |error: &dyn core::fmt::Display| super::failed(error);
    let mut config = ClusterConfig::new(shape.replicas).map_err(|error| failed(&error))?;
    config.clients = CLIENTS;
    config.signers = CLIENTS;
    (config.seed, config.cluster) = (shape.seed, shape.seed);
    config.engine.batch_size_max = shape.batch;
    let interval = config.engine.checkpoint_interval;
    let config = config.check().map_err(|error| failed(&error))?;
    let keys = ClusterKeys::new(&config, PROTOCOL);
    let workload = shape.workload().ok_or_else(|| failed(&"no workload of this name"))?;
    let plan = Plan::new(Arc::clone(&workload), CLIENTS, shape.seed, Shares::default());
    let pool = Pool::made(&plan, &keys, requests_max(shape, cores));
    let clients = || (0..CLIENTS).map(|id| keys.client(ClientId(id))).collect::<Vec<_>>();
    let requests = Requests::new(plan.clone(), ClientAuthKind::Signature, pool, clients());
    let mut executed = Vec::new();
    let events = |_| {
        let (events, observed) = bounded(EVENTS_MAX);
        executed.push(observed);
        Some(events)
    };
    let (state, range) = (workload.state(), 0..CLIENTS);
    let ports = core::slice::from_ref(&range);
    let by_hand = ByHand::pbft(&config, &keys, ports, events, |_| state.build());
    let (hand, ports) = by_hand.map_err(|error| failed(&error))?;
    let port = ports.into_iter().next().ok_or_else(|| failed(&"a cluster without a port"))?;
    let start = hand.now();
    let window = Window { start, end: start + shape.span };
    let sends = Arc::new(SendTimes::default());
    let watched = Watched {
        replicas: shape.replicas,
        live: shape.replicas,
        stopping: None,
        context: keys.context(),
        directory: Arc::clone(keys.directory()),
    };
    let load = LoadConfig {
        committee: config.engine.committee,
        pace: Loop::Closed(shape.batch),
        window,
        retransmit_timeout: Duration::from_secs(60),
        drain_max: Duration::from_secs(1),
        client_to_all: false,
        read_only: false,
        client_window: config.engine.client_window,
    };
    let oracle = Oracle::new(watched, plan, Arc::clone(&sends), window);
    let port = ClusterPort::new(port, clients(), start);
    let generator = Generator::new(load, requests, sends, Arc::new(AtomicBool::new(false)));
    Ok(Timed { hand, generator, port, oracle, executed, interval })
}

impl Shape {
    fn workload(&self) -> Option<Arc<Workload>> {
        Workload::named("fixed", self.payload, self.seed).map(Arc::new)
    }
}

/// Requests that the span takes at most: each costs all replicas together 12 us of CPU time or more. One
/// that is signed within the span counts as work of the clients, so these are rather too many.
fn requests_max(shape: &Shape, cores: usize) -> usize {
    shape.span.as_micros() as usize * cores.min(shape.replicas) / 12 + shape.batch
}

/// The replicas of one core.
struct Group<'a> {
    members: Vec<Member<'a>>,
    /// Whom replicas tell what they executed, once it is noted.
    tell: Sender<Vec<CommitEvent>>,
    /// Replicas but one.
    peers: u64,
    /// Sequence numbers between checkpoints.
    interval: u64,
    /// Distinct keys that operations write.
    keys: u64,
    /// How often another thread had the core so far.
    interruptions: u64,
    turns: Vec<TurnNote>,
}

/// A replica that is given turns.
struct Member<'a> {
    hand: &'a mut Hand<StateMachine>,
    executed: Receiver<Vec<CommitEvent>>,
    /// Requests executed since its last checkpoint.
    since_checkpoint: u64,
}

impl<'a> Group<'a> {
    fn new(shape: &Shape, interval: u64, tell: Sender<Vec<CommitEvent>>) -> Group<'a> {
        Group {
            members: Vec::new(),
            tell,
            peers: shape.replicas as u64 - 1,
            interval,
            keys: shape.workload().map_or(0, |workload| workload.len() as u64),
            interruptions: 0,
            turns: Vec::new(),
        }
    }

    fn add(&mut self, hand: &'a mut Hand<StateMachine>, executed: Receiver<Vec<CommitEvent>>) {
        self.members.push(Member { hand, executed, since_checkpoint: 0 });
    }

    /// Gives turns until it is told to end: the turns that count.
    fn until(mut self, ended: &AtomicBool) -> Vec<TurnNote> {
        while !ended.load(Ordering::Relaxed) {
            if !self.round() {
                hint::spin_loop();
            }
        }
        self.finish()
    }

    /// Without the first turns: tables of keys are not made yet then, and pages are empty.
    fn finish(mut self) -> Vec<TurnNote> {
        self.turns.drain(..self.turns.len() / WARM_UP);
        self.turns
    }

    /// Every replica has its turns; tells whether there was anything to do.
    fn round(&mut self) -> bool {
        let mut worked = false;
        for member in 0..self.members.len() {
            while let Some(turn) = self.members[member].hand.turn() {
                worked = true;
                self.note(member, &turn);
            }
        }
        worked
    }

    fn note(&mut self, member: usize, turn: &Turn) {
        let mut work = Work::default();
        let Member { executed, since_checkpoint, .. } = &mut self.members[member];
        for events in executed.try_iter() {
            for event in &events {
                work.add(Item::Batch, 1);
                work.add(Item::Execution, event.executed.len() as u64);
                *since_checkpoint += event.executed.len() as u64;
                if event.seq.0.is_multiple_of(self.interval) {
                    work.add(Item::Checkpoint, 1);
                    let pages = pages_written(std::mem::take(since_checkpoint), self.keys);
                    work.add(Item::CheckpointPage, pages);
                }
            }
            // The clients have gone when nobody listens.
            let _ = self.tell.try_send(events);
        }
        let before = std::mem::replace(&mut self.interruptions, interruptions());
        if before != self.interruptions {
            return;
        }
        let counts = &turn.counts;
        let received = |kind: &str| counts.received[kind_of(kind)];
        let sent = |kind: &str| counts.sent[kind_of(kind)];
        work.add(Item::Turn, 1);
        work.add(Item::Request, received("request"));
        work.add(Item::Proposal, sent("pre-prepare") / self.peers.max(1));
        work.add(Item::ProposalHeard, received("pre-prepare"));
        work.add(Item::RequestHeard, counts.client_proofs_verified - received("request"));
        let votes = ["prepare", "commit", "checkpoint"].map(received);
        work.add(Item::VoteHeard, votes.iter().sum());
        work.add(Item::Copy, counts.sent.iter().sum());
        work.add(Item::Signature, counts.signatures_made);
        let verify = StageKind::OF_A_REPLICA.iter().position(|stage| *stage == StageKind::Verify);
        let verify_ns = verify.map_or(0, |place| turn.busy_ns[place]) as f64;
        self.turns.push(TurnNote {
            work,
            signatures: counts.signatures_verified,
            verify_ns,
            rest_ns: turn.busy_ns.iter().sum::<u64>() as f64 - verify_ns,
        });
    }
}

/// The port of the clients, on whose core replicas have their turns when the clients would wait.
struct HandPort<'a> {
    port: ClusterPort,
    group: Group<'a>,
    /// What every replica executed.
    told: Receiver<Vec<CommitEvent>>,
    oracle: Oracle,
    /// When the clients got their last replies: since then they work.
    left_at: Option<WallInstant>,
    /// How long they worked from then to the wait, and took to get what ended it.
    spent: Duration,
    /// Requests sent since `left_at`.
    sent: u64,
    notes: Notes,
}

impl Port for HandPort<'_> {
    fn now(&self) -> Instant {
        self.port.now()
    }

    fn send(&mut self, to: ReplicaId, frames: Vec<Bytes>) -> Result<(), (PortError, Vec<Bytes>)> {
        self.sent += frames.len() as u64;
        self.port.send(to, frames)
    }

    fn wait(&mut self, until: Instant) -> Result<(), PortError> {
        self.spent = self.left_at.take().map_or(Duration::ZERO, |left_at| left_at.elapsed());
        loop {
            while self.group.round() {}
            self.observe();
            let begun = WallInstant::now();
            self.port.wait(Instant(0))?;
            if self.port.has_arrived() || self.port.now() >= until {
                self.spent += begun.elapsed();
                return Ok(());
            }
        }
    }

    fn receive(&mut self, visit: &mut dyn FnMut(ReplyView<'_>)) -> u64 {
        let begun = WallInstant::now();
        let mut replies = 0;
        let refused = self.port.receive(&mut |reply| {
            replies += 1;
            visit(reply);
        });
        // The rest of what these replies cost comes before the next wait, and is noted then.
        let ns = (self.spent + begun.elapsed()).as_nanos() as f64;
        self.notes.load.push(LoadNote { requests: self.sent, replies, ns });
        (self.sent, self.left_at) = (0, Some(WallInstant::now()));
        refused
    }
}

impl HandPort<'_> {
    /// The oracle sees what was executed.
    fn observe(&mut self) {
        let (mut batches, mut requests) = (0, 0);
        let begun = WallInstant::now();
        for event in self.told.try_iter().flatten() {
            self.oracle.observe(&event);
            batches += 1;
            requests += event.executed.len() as u64;
        }
        if batches > 0 {
            let ns = begun.elapsed().as_nanos() as f64;
            self.notes.oracle.push(OracleNote { batches, requests, ns });
        }
    }

    fn finish(self) -> Notes {
        Notes { turns: self.group.finish(), ..self.notes }
    }
}

fn kind_of(name: &str) -> usize {
    let place = quorumark_consensus::pbft::KINDS.iter().position(|kind| *kind == name);
    place.expect("a kind of PBFT's messages")
}
