//! The live engine under threads is the engine of the simulator: what its order stage heard, fed to
//! a fresh engine, gives the same bytes.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use quorumark_application::kv::{KvStore, Limits, Operation};
use quorumark_application::permissions::{Allowed, Permissions};
use quorumark_consensus::engine::{Input, StateAnswer};
use quorumark_consensus::pbft::{self, Message, Pbft};
use quorumark_consensus::recording::{InputLog, Recorded, Step};
use quorumark_consensus::{ClientId, ReplicaId, Request, Seq, SignedRequest, Timestamp};
use quorumark_pipeline::{
    Checked, ClientPort, Cluster, ClusterConfig, ClusterKeys, CommitEvent, Protocol,
};
use quorumark_primitives::Digest;
use quorumark_primitives::wire::Encode;
use quorumark_sim::replay::replay;

/// No run waits longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether a state was fetched, which no commit tells.
const LOOK: Duration = Duration::from_millis(20);
const CLIENTS: u32 = 4;
/// Requests of each client.
const REQUESTS: u64 = 40;
/// Far more than a run of this size takes.
const STEPS_MAX: usize = 1 << 20;
/// How many runs the nightly job asks for; each of the default ones is another number of threads.
const RUNS: &str = "QUORUMARK_REPLAY_RUNS";
const THREADS: [usize; 4] = [1, 2, 4, 8];

type Logs = Vec<Arc<Mutex<InputLog<Message>>>>;
type Ledger = BTreeMap<Seq, (Digest, Vec<(ClientId, Timestamp)>)>;
/// By replica the last sequence number whose state it fetched, or 0. On a busy machine one of four
/// now and then falls a window behind; what it fetches it does not execute.
type Fetched = Vec<Arc<AtomicU64>>;

/// What one run left.
struct Run {
    config: Checked<ClusterConfig>,
    logs: Vec<InputLog<Message>>,
    ledgers: Vec<Ledger>,
    fetched: Vec<Seq>,
}

/// The engine of one replica, as live and as replayed.
fn engine(config: &ClusterConfig, replica: usize) -> Pbft {
    let settings = pbft::Config { replica: ReplicaId(replica as u16), ..config.engine.clone() };
    Pbft::new(settings.check().unwrap())
}

fn store(_: ReplicaId) -> KvStore {
    KvStore::new(Limits::default(), Permissions::new(Allowed::ALL))
}

/// A cluster that is asked often for repairs and takes a checkpoint every few batches.
fn config(threads: usize, seed: u64) -> Checked<ClusterConfig> {
    let mut config = ClusterConfig::new(4).unwrap();
    (config.seed, config.cluster) = (seed, seed);
    config.clients = CLIENTS;
    config.verify_threads = threads;
    config.verify_batch_max = 8;
    config.engine.batch_size_max = 4;
    (config.engine.window, config.engine.checkpoint_interval) = (16, 8);
    config.engine.status_interval = Duration::from_millis(1);
    config.engine.journal = true;
    config.check().unwrap()
}

/// Free threads: every replica's engine under record, requests to the primary in uneven flushes.
fn run(threads: usize, seed: u64) -> Run {
    let config = config(threads, seed);
    let logs: Logs = (0..4).map(|_| Arc::new(Mutex::new(InputLog::new(STEPS_MAX)))).collect();
    let keys = ClusterKeys::new(&config, Message::ID);
    let fetched: Fetched = (0..4).map(|_| Arc::default()).collect();
    let (observer, events) = bounded(100_000);
    let record = |replica: ReplicaId| {
        let log = Arc::clone(&logs[usize::from(replica.0)]);
        let fetched = Arc::clone(&fetched[usize::from(replica.0)]);
        let sink = move |step: Step<Message>| {
            if let Input::State(StateAnswer::Restored { seq, done: true }) = &step.input {
                fetched.store(seq.0, Ordering::Relaxed);
            }
            log.lock().unwrap_or_else(PoisonError::into_inner).push(step);
        };
        Recorded::new(engine(&config, replica.0.into()), sink)
    };
    let everyone = 0..CLIENTS;
    let ports = std::slice::from_ref(&everyone);
    let (cluster, ports) =
        Cluster::start(&config, &keys, ports, Some(observer), record, store).unwrap();
    send(&keys, &ports[0], seed);
    let ledgers = ledgers(&events, &fetched);
    cluster.stop().unwrap();
    let take = |log: Arc<Mutex<InputLog<Message>>>| {
        Arc::into_inner(log).expect("its engine is gone").into_inner().unwrap()
    };
    let fetched = fetched.iter().map(|seq| Seq(seq.load(Ordering::Relaxed))).collect();
    Run { config, logs: logs.into_iter().map(take).collect(), ledgers, fetched }
}

fn send(keys: &ClusterKeys, port: &ClientPort, seed: u64) {
    let mut clients: Vec<_> = (0..CLIENTS).map(|id| keys.client(ClientId(id))).collect();
    let mut frames = Vec::new();
    for timestamp in 1..=REQUESTS {
        for client in &mut clients {
            let operation = Operation::put_of_size(timestamp % 7, 64);
            let timestamp = Timestamp(timestamp);
            let request = Request { client: client.id(), timestamp, operation };
            let proof = client.prove(&request);
            frames.push(Message::Request(SignedRequest::new(request, proof)).to_frame());
        }
        if (seed ^ timestamp).is_multiple_of(3) || timestamp == REQUESTS {
            port.send(ReplicaId(0), std::mem::take(&mut frames)).unwrap();
        }
    }
}

/// What each replica executed, once one has executed every request and all stand where it does.
fn ledgers(events: &Receiver<Vec<CommitEvent>>, fetched: &Fetched) -> Vec<Ledger> {
    let deadline = Instant::now() + PATIENCE;
    let mut ledgers = vec![Ledger::new(); 4];
    let head = |ledger: &Ledger| ledger.last_key_value().map_or(Seq(0), |(seq, _)| *seq);
    let stands = |(ledger, fetched): (&Ledger, &Arc<AtomicU64>)| {
        head(ledger).max(Seq(fetched.load(Ordering::Relaxed)))
    };
    loop {
        let last = ledgers.iter().find(|ledger| executed(ledger) == all()).map(head);
        if last.is_some_and(|last| ledgers.iter().zip(fetched).map(stands).all(|at| at >= last)) {
            return ledgers;
        }
        let told = events.recv_timeout(LOOK).unwrap_or_default();
        let at: Vec<Seq> = ledgers.iter().zip(fetched).map(stands).collect();
        assert!(Instant::now() < deadline, "a replica stands still: {at:?}");
        for event in told {
            let batch = (event.digest, event.executed);
            let twice = ledgers[usize::from(event.replica.0)].insert(event.seq, batch);
            assert!(twice.is_none(), "{} is executed once", event.seq);
        }
    }
}

/// Every request.
fn all() -> u64 {
    u64::from(CLIENTS) * REQUESTS
}

fn executed(ledger: &Ledger) -> u64 {
    ledger.values().map(|(_, requests)| requests.len() as u64).sum()
}

fn check(run: &Run) {
    for (replica, log) in run.logs.iter().enumerate() {
        assert_eq!(log.left_out(), 0, "r{replica}: the log holds the whole run");
        let replayed = replay(engine(&run.config, replica), log)
            .unwrap_or_else(|diverged| panic!("r{replica}: {diverged}"));
        assert_eq!(replayed.steps, log.steps().len());
        assert!(replayed.outputs > REQUESTS as usize, "r{replica} said {}", replayed.outputs);
    }
    let whole = run.ledgers.iter().find(|ledger| executed(ledger) == all());
    let whole = whole.expect("one executed every request");
    for (replica, (ledger, fetched)) in run.ledgers.iter().zip(&run.fetched).enumerate() {
        for (seq, batch) in whole {
            let same = ledger.get(seq).map_or(seq <= fetched, |own| own == batch);
            assert!(same, "r{replica} executed something else at {seq}, it fetched {fetched}");
        }
        assert!(ledger.len() <= whole.len(), "r{replica} executed more");
    }
}

#[test]
fn the_live_order_stages_inputs_replay_to_equal_bytes_whatever_the_threads_and_ledgers_are_equal() {
    let asked = std::env::var(RUNS).ok().and_then(|runs| runs.parse().ok());
    let runs: u64 = asked.unwrap_or(8);
    for nth in 0..runs {
        let (threads, seed) = (THREADS[(nth % 4) as usize], 1 + nth);
        // A test that fails shows which run it was; the threads of another one may differ.
        eprintln!("verify_threads={threads} seed={seed}; {RUNS}={} repeats it", nth + 1);
        check(&run(threads, seed));
    }
}

#[test]
fn a_recording_with_one_step_changed_does_not_replay() {
    let run = run(1, 7);
    let mut told = InputLog::new(STEPS_MAX);
    let steps = run.logs[1].steps();
    // A message may come twice; the results of a batch may not.
    let message = |step: &Step<Message>| matches!(step.input, Input::Message(_));
    let half = steps.len() / 2;
    let changed = half + steps[half..].iter().position(message).unwrap();
    for (nth, step) in steps.iter().enumerate() {
        // One input is told twice and its second copy claims what the first gave.
        told.push(step.clone());
        if nth == changed {
            told.push(Step { outputs: Digest::ZERO, ..step.clone() });
        }
    }
    let diverged = replay(engine(&run.config, 1), &told).unwrap_err();
    assert_eq!((diverged.step, diverged.recorded), (changed + 1, Digest::ZERO));
}
