//! A model of correct runs: it makes traces as a correct cluster would, without any engine.
//!
//! Batches are decided one after the other; around that it plays crashes with restarts, view changes,
//! replicas that lag and fetch a state, repeated requests, null batches and lies of faulty replicas.
//! The same seed gives the same trace.

mod keys;
mod replica;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use quorumark_application::kv::{Operation, Outcome};
use quorumark_consensus::request::{Batch, ClientProof, Request, SignedRequest};
use quorumark_consensus::types::{ClientId, Instant, ReplicaId, Seq, Timestamp, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::hash::blake3;
use quorumark_primitives::wire::Encode;
use quorumark_sim::trace::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) use keys::{CONTEXT, Keys};
use replica::Place;

/// A run of the model.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) header: Header,
    pub(crate) keys: Keys,
    pub(crate) events: Vec<Event>,
}

/// A run of the model with this seed.
pub(crate) fn run(seed: u64) -> Run {
    Model::new(seed).run()
}

#[derive(Debug)]
struct Model {
    random: ChaCha8Rng,
    keys: Keys,
    header: Header,
    events: Vec<Event>,
    now: u64,
    view: u64,
    places: Vec<Place>,
    ledger: Vec<Decided>,
    store: BTreeMap<u64, Bytes>,
    timestamps: Vec<u64>,
    waiting: Vec<SignedRequest>,
    unanswered: Vec<(ClientId, Timestamp, Seq, Bytes)>,
}

/// A batch with what it comes to.
#[derive(Debug, Clone)]
struct Decided {
    seq: Seq,
    view: View,
    digest: Digest,
    batch: Vec<SignedRequest>,
    requests: Arc<[Ordered]>,
    fresh: Vec<u32>,
    results: Vec<Bytes>,
    root: Digest,
    certificate: Arc<[(ReplicaId, Signature)]>,
}

impl Model {
    fn new(seed: u64) -> Model {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let n: u16 = if random.random_bool(0.8) { 4 } else { random.random_range(5..8) };
        let f = (n - 1) / 3;
        let mut faulty: Vec<u16> = (0..f).map(|_| random.random_range(0..n)).collect();
        faulty.sort_unstable();
        faulty.dedup();
        let interval = random.random_range(2..4);
        let header = Header {
            protocol: Cow::Borrowed("pbft"),
            cluster: CONTEXT.cluster,
            protocol_id: CONTEXT.protocol.0,
            replicas: n,
            faulty: faulty.into_iter().map(ReplicaId).collect(),
            clients: 3,
            faulty_clients: Vec::new(),
            seed,
            scenario: blake3(b"model"),
            crypto: Crypto::StandIn,
            auth: Auth::Signature,
            duration: Instant(60_000_000_000),
            gst: Instant(1_000_000),
            liveness_bound: Instant(1_000_000_000),
            window: 4 * interval,
            checkpoint_interval: interval,
        };
        Model {
            random,
            keys: Keys(blake3(&seed.to_le_bytes()).0),
            events: Vec::with_capacity(256),
            now: 0,
            view: 0,
            places: (0..n).map(|id| Place::new(ReplicaId(id), &header)).collect(),
            ledger: Vec::new(),
            store: BTreeMap::new(),
            timestamps: vec![0; header.clients as usize],
            waiting: Vec::new(),
            unanswered: Vec::new(),
            header,
        }
    }

    fn run(mut self) -> Run {
        self.tell(Fact::Begun(Box::new(self.header.clone())));
        for _ in 0..self.random.random_range(4..8) {
            match self.random.random_range(0..6) {
                0 => self.crash(),
                1 => self.change_view(),
                2 => self.lie(),
                _ => {}
            }
            self.submit();
            self.order();
            self.deliver_some();
            self.answer(0.6);
            self.restart(0.5);
        }
        self.end();
        Run { header: self.header, keys: self.keys, events: self.events }
    }

    /// Everybody comes back and up to date, everything is answered, and the bounds pass.
    fn end(&mut self) {
        self.restart(1.0);
        for _ in 0..2 {
            self.submit();
            self.order();
        }
        for at in 0..self.places.len() {
            self.deliver(at);
        }
        self.answer(1.0);
        let (replica, value) = (ReplicaId(0), self.random.random_range(0..=64));
        self.tell(Fact::Gauge(Gauge { replica, bound: Cow::Borrowed("log"), value, cap: 64 }));
        self.now += 3_000_000_000;
        self.tell(Fact::Ended(Ended { cause: EndCause::Duration }));
    }

    fn tell(&mut self, fact: Fact) {
        self.now += self.random.random_range(1..60_000);
        self.events.push(Event { at: Instant(self.now), fact });
    }

    fn submit(&mut self) {
        for _ in 0..self.random.random_range(1..4) {
            let client = self.random.random_range(0..self.header.clients);
            let timestamp = &mut self.timestamps[client as usize];
            *timestamp += 1;
            let (client, timestamp) = (ClientId(client), Timestamp(*timestamp));
            let operation = self.operation(client, timestamp);
            let request = Request { client, timestamp, operation: operation.clone() };
            let digest = request.digest();
            self.waiting.push(SignedRequest::new(request, ClientProof::None));
            self.tell(Fact::Submitted(Submitted { client, timestamp, digest, operation }));
        }
    }

    fn operation(&mut self, client: ClientId, timestamp: Timestamp) -> Bytes {
        let key = self.random.random_range(0..2);
        let value = format!("{client}-{timestamp}");
        let value = value.as_bytes();
        match self.random.random_range(0..3) {
            0 => Operation::Get { key }.to_frame(),
            1 => Operation::Put { key, value }.to_frame(),
            _ => {
                let expected = self.store.get(&key).map(Bytes::as_ref);
                Operation::CompareAndSwap { key, expected, value }.to_frame()
            }
        }
    }

    /// Decides the next batch: votes, a quorum's certificate, and what it comes to.
    fn order(&mut self) {
        while !self.places[self.primary()].up {
            self.change_view();
        }
        let mut batch = std::mem::take(&mut self.waiting);
        let fresh = (0..batch.len() as u32).collect();
        if let Some(earlier) = self.ledger.last().filter(|_| self.random.random_bool(0.3)) {
            batch.extend(earlier.batch.first().cloned());
        }
        let results = batch
            .iter()
            .take(Vec::len(&fresh))
            .map(|request| apply(&mut self.store, request.operation()));
        let results: Vec<Bytes> = results.collect();
        let seq = Seq(self.ledger.len() as u64 + 1);
        for (request, result) in batch.iter().zip(&results) {
            let (client, timestamp) = request.id();
            self.unanswered.push((client, timestamp, seq, result.clone()));
        }
        let made = Batch::new(batch.clone());
        let (digest, requests) = (made.digest(), Ordered::of_batch(&made));
        let root = blake3(format!("{:?}", self.store).as_bytes());
        let certificate = Arc::from([]);
        let view = View(self.view);
        let decided =
            Decided { seq, view, digest, batch, requests, fresh, results, root, certificate };
        self.ledger.push(decided);
        self.vote(seq);
    }

    /// Everybody who is up votes for the batch in the present view, which gives its certificate.
    fn vote(&mut self, seq: Seq) {
        let (view, primary) = (View(self.view), self.primary());
        let at = seq.0 as usize - 1;
        let digest = self.ledger[at].digest;
        let up: Vec<usize> = (0..self.places.len()).filter(|at| self.places[*at].up).collect();
        for at in &up {
            let kind = if *at == primary { VoteKind::PrePrepare } else { VoteKind::Prepare };
            self.say(*at, kind, view, seq, digest);
        }
        for at in &up {
            self.say(*at, VoteKind::Commit, view, seq, digest);
        }
        let signed = up.iter().map(|at| {
            let by = ReplicaId(*at as u16);
            (by, self.keys.commit(by, view, seq, digest))
        });
        let signed: Arc<[_]> = signed.collect();
        (self.ledger[at].view, self.ledger[at].certificate) = (view, signed);
    }

    fn deliver_some(&mut self) {
        let checkpoint = (self.ledger.len() as u64).is_multiple_of(self.header.checkpoint_interval);
        let lagging = self.random.random_range(0..self.places.len());
        for at in 0..self.places.len() {
            if at != lagging && (checkpoint || self.random.random_bool(0.8)) {
                self.deliver(at);
            }
        }
    }

    /// Clients get answers of what f + 1 replicas executed.
    fn answer(&mut self, share: f64) {
        for (client, timestamp, seq, result) in std::mem::take(&mut self.unanswered) {
            let executed = self.places.iter().filter(|place| place.up && place.executed >= seq);
            let needed = self.places.len().div_ceil(3);
            let replicas: Vec<_> = executed.map(|place| place.id).take(needed).collect();
            if replicas.len() < needed || !self.random.random_bool(share) {
                self.unanswered.push((client, timestamp, seq, result));
                continue;
            }
            let how = Acknowledgement::Committed;
            let answered = Answered { client, timestamp, seq, result, how, replicas };
            self.tell(Fact::Answered(answered));
        }
    }

    fn change_view(&mut self) {
        self.view += 1;
        let view = View(self.view);
        for at in 0..self.places.len() {
            if self.places[at].up {
                let id = self.places[at].id;
                let digest = blake3(format!("view-change {id} {view}").as_bytes());
                let stable = self.places[at].stable;
                self.say(at, VoteKind::ViewChange, view, stable, digest);
            }
        }
        let primary = self.primary();
        if !self.places[primary].up {
            return;
        }
        self.say(primary, VoteKind::NewView, view, Seq(0), blake3(b"new-view"));
        for at in 0..self.places.len() {
            if self.places[at].up {
                let (replica, seq) = (self.places[at].id, Seq(0));
                let phase = Phase::ViewEntered;
                self.tell(Fact::Reached(Reached { replica, phase, view, seq }));
            }
        }
        // What may not be stable everywhere is agreed on again in the new view.
        if let Some(last) = self.ledger.last().map(|last| last.seq) {
            self.vote(last);
        }
    }

    fn primary(&self) -> usize {
        (self.view % self.places.len() as u64) as usize
    }
}

/// Executes an operation on the model's own store.
fn apply(store: &mut BTreeMap<u64, Bytes>, operation: &[u8]) -> Bytes {
    let done = Outcome::Done.to_frame();
    match Operation::parse(operation).unwrap() {
        Operation::Get { key } => match store.get(&key) {
            Some(value) => Outcome::Value(value).to_frame(),
            None => Outcome::Absent.to_frame(),
        },
        Operation::Put { key, value } => {
            store.insert(key, Bytes::copy_from_slice(value));
            done
        }
        Operation::CompareAndSwap { key, expected, value } => {
            if store.get(&key).map(Bytes::as_ref) != expected {
                return Outcome::Mismatch.to_frame();
            }
            store.insert(key, Bytes::copy_from_slice(value));
            done
        }
        other => unreachable!("the model submits no {other:?}"),
    }
}
