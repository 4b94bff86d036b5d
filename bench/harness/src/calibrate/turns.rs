//! Turns of replicas, timed one by one: a cluster of merged replicas on the calling thread, which a
//! real load generator keeps in work.
//!
//! No thread waits for another, so what is timed is work alone. Each turn is noted with what it was
//! made of, as [`Work`] counts it.

use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant as WallInstant;

use bytes::Bytes;
use crossbeam_channel::{Receiver, bounded};
use quorumark_consensus::pbft::PROTOCOL;
use quorumark_consensus::request::Reply;
use quorumark_consensus::types::{ClientId, Instant, ReplicaId};
use quorumark_pipeline::{
    ByHand, ClientAuthKind, ClusterConfig, ClusterKeys, CommitEvent, PortError, StageKind, Turn,
};
use quorumark_sim::model::costs::Item;
use quorumark_sim::model::work::{Work, pages_written};

use crate::load::{ClusterPort, Generator, LoadConfig, Loop, Pool, Port, Requests};
use crate::oracle::{Oracle, SendTimes, Watched, Window};
use crate::trial::RunError;
use crate::workload::{Plan, Shares, StateMachine, Workload};

/// Client identities, as many as a run has by default.
const CLIENTS: u32 = 4;
/// Batches of executions that wait for the oracle between two turns: more than a turn makes.
const EVENTS_MAX: usize = 65_536;

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

/// What the oracle did in a round.
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

/// Times the turns of one cluster on the calling thread.
///
/// # Errors
/// [`RunError`].
pub(super) fn time(shape: Shape) -> Result<Notes, RunError> {
    let failed = |error: &dyn core::fmt::Display| super::failed(error);
    let mut config = ClusterConfig::new(shape.replicas).map_err(|error| failed(&error))?;
    config.clients = CLIENTS;
    config.signers = CLIENTS;
    (config.seed, config.cluster) = (shape.seed, shape.seed);
    config.engine.batch_size_max = shape.batch;
    let interval = config.engine.checkpoint_interval;
    let config = config.check().map_err(|error| failed(&error))?;
    let keys = ClusterKeys::new(&config, PROTOCOL);
    let workload = Workload::named("fixed", shape.payload, shape.seed);
    let workload = Arc::new(workload.ok_or_else(|| failed(&"no workload of this name"))?);
    let plan = Plan::new(Arc::clone(&workload), CLIENTS, shape.seed, Shares::default());
    let pool = Pool::signed(&plan, &keys, requests_max(&shape));
    let clients = || (0..CLIENTS).map(|id| keys.client(ClientId(id))).collect::<Vec<_>>();
    let requests = Requests::new(plan.clone(), ClientAuthKind::Signature, pool, clients());
    let (events, observed) = bounded(EVENTS_MAX);
    let (state, range) = (workload.state(), 0..CLIENTS);
    let ports = core::slice::from_ref(&range);
    let build = |_| state.build();
    let by_hand = ByHand::pbft(&config, &keys, ports, Some(events), build);
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
    let mut port = HandPort {
        port: ClusterPort::new(port, clients(), hand.now()),
        hand,
        observed,
        oracle,
        interval,
        keys: workload.len() as u64,
        since_checkpoint: vec![0; shape.replicas],
        left_at: None,
        sent: 0,
        notes: Notes::default(),
    };
    let generator = Generator::new(load, requests, sends, Arc::new(AtomicBool::new(false)));
    generator.run(&mut port).map_err(|error| failed(&error))?;
    let mut notes = port.notes;
    // Tables of keys are not made yet then, and pages are empty.
    notes.turns.drain(..notes.turns.len() / 3);
    notes.load.drain(..notes.load.len() / 3);
    Ok(notes)
}

/// Requests that the span takes at most: each costs all replicas together 40 us or more.
fn requests_max(shape: &Shape) -> usize {
    shape.span.as_micros() as usize / 40 + shape.batch
}

/// The port of a cluster whose replicas have their turns when the clients would wait.
struct HandPort {
    port: ClusterPort,
    hand: ByHand<StateMachine>,
    observed: Receiver<Vec<CommitEvent>>,
    oracle: Oracle,
    /// Sequence numbers between checkpoints.
    interval: u64,
    /// Distinct keys that operations write.
    keys: u64,
    /// By replica: requests executed since its last checkpoint.
    since_checkpoint: Vec<u64>,
    /// When the clients got their last replies: since then they work.
    left_at: Option<WallInstant>,
    /// Requests sent since then.
    sent: u64,
    notes: Notes,
}

impl Port for HandPort {
    fn now(&self) -> Instant {
        self.port.now()
    }

    fn send(&mut self, to: ReplicaId, frames: Vec<Bytes>) -> Result<(), (PortError, Vec<Bytes>)> {
        self.sent += frames.len() as u64;
        self.port.send(to, frames)
    }

    fn receive(&mut self, _: Instant, visit: &mut dyn FnMut(Reply)) -> Result<u64, PortError> {
        let before = self.left_at.map_or(0, |left_at| left_at.elapsed().as_nanos());
        while self.round() {}
        let begun = WallInstant::now();
        let mut replies = 0;
        let mut counted = |reply| {
            replies += 1;
            visit(reply);
        };
        let refused = self.port.receive(Instant(0), &mut counted)?;
        // The rest of what these replies cost comes before the next call: they are noted with it.
        let ns = (before + begun.elapsed().as_nanos()) as f64;
        self.notes.load.push(LoadNote { requests: self.sent, replies, ns });
        (self.sent, self.left_at) = (0, Some(WallInstant::now()));
        Ok(refused)
    }
}

impl HandPort {
    /// Every replica has its turns, and the oracle sees what they executed; tells whether there was
    /// anything to do.
    fn round(&mut self) -> bool {
        let mut worked = false;
        for replica in 0..self.hand.replicas() {
            while let Some(turn) = self.hand.turn(replica) {
                worked = true;
                self.note(replica, &turn);
            }
        }
        worked
    }

    fn note(&mut self, replica: usize, turn: &Turn) {
        let counts = &turn.counts;
        let [mut batches, mut requests] = [0, 0];
        let mut work = Work::default();
        let begun = WallInstant::now();
        for event in self.observed.try_iter().flatten() {
            self.oracle.observe(&event);
            batches += 1;
            requests += event.executed.len() as u64;
            let since = &mut self.since_checkpoint[replica];
            *since += event.executed.len() as u64;
            if event.seq.0.is_multiple_of(self.interval) {
                work.add(Item::Checkpoint, 1);
                let pages = pages_written(std::mem::take(since), self.keys);
                work.add(Item::CheckpointPage, pages);
            }
        }
        if batches > 0 {
            let ns = begun.elapsed().as_nanos() as f64;
            self.notes.oracle.push(OracleNote { batches, requests, ns });
        }
        let received = |kind: &str| counts.received[kind_of(kind)];
        let sent = |kind: &str| counts.sent[kind_of(kind)];
        let peers = self.hand.replicas() as u64 - 1;
        work.add(Item::Turn, 1);
        work.add(Item::Request, received("request"));
        work.add(Item::Proposal, sent("pre-prepare") / peers.max(1));
        work.add(Item::ProposalHeard, received("pre-prepare"));
        work.add(Item::RequestHeard, counts.client_proofs_verified - received("request"));
        let votes = ["prepare", "commit", "checkpoint"].map(received);
        work.add(Item::VoteHeard, votes.iter().sum());
        work.add(Item::Copy, counts.sent.iter().sum());
        work.add(Item::Batch, batches);
        work.add(Item::Execution, requests);
        work.add(Item::Signature, counts.signatures_made);
        let verify = StageKind::OF_A_REPLICA.iter().position(|stage| *stage == StageKind::Verify);
        let verify_ns = verify.map_or(0, |place| turn.busy_ns[place]) as f64;
        self.notes.turns.push(TurnNote {
            work,
            signatures: counts.signatures_verified,
            verify_ns,
            rest_ns: turn.busy_ns.iter().sum::<u64>() as f64 - verify_ns,
        });
    }
}

fn kind_of(name: &str) -> usize {
    let place = quorumark_consensus::pbft::KINDS.iter().position(|kind| *kind == name);
    place.expect("a kind of PBFT's messages")
}
