//! What single replicas of the model do.

use std::sync::Arc;

use quorumark_consensus::types::{ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::hash::blake3;
use quorumark_primitives::signed::Domain;
use quorumark_sim::trace::*;
use rand::RngExt;

use super::{Decided, Model};

/// Where a replica stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) id: ReplicaId,
    pub(super) up: bool,
    pub(super) executed: Seq,
    pub(super) stable: Seq,
    honest: bool,
    incarnation: u32,
    /// What it said above its stable checkpoint, to be said again after a restart.
    said: Vec<Said>,
}

impl Place {
    pub(super) fn new(id: ReplicaId, header: &Header) -> Place {
        let (executed, stable, honest) = (Seq(0), Seq(0), header.is_honest(id));
        Place { id, up: true, executed, stable, honest, incarnation: 0, said: Vec::new() }
    }
}

impl Model {
    pub(super) fn say(&mut self, at: usize, kind: VoteKind, view: View, seq: Seq, digest: Digest) {
        let Place { id, incarnation, .. } = self.places[at];
        let signature = match kind {
            VoteKind::PrePrepare => self.keys.vote(Domain::PrePrepare, id, view, seq, digest),
            VoteKind::Prepare => self.keys.vote(Domain::Prepare, id, view, seq, digest),
            VoteKind::Commit => self.keys.commit(id, view, seq, digest),
            VoteKind::Checkpoint => self.keys.checkpoint(id, seq, digest),
            _ => Signature([id.0 as u8; 64]),
        };
        let said = Said { replica: id, incarnation, kind, view, seq, digest, signature };
        self.places[at].said.push(said.clone());
        self.tell(Fact::Said(said));
    }

    /// The replica executes all that is decided, or fetches a state when it is far behind.
    pub(super) fn deliver(&mut self, at: usize) {
        let interval = self.header.checkpoint_interval;
        let highest = self.ledger.len() as u64 / interval * interval;
        let Place { id, up, executed, .. } = self.places[at];
        if !up {
            return;
        }
        let behind = highest.saturating_sub(executed.0);
        if behind > interval / 2 && self.anyone_at(Seq(highest)) && self.random.random_bool(0.5) {
            let decided = &self.ledger[highest as usize - 1];
            let (seq, root) = (decided.seq, decided.root);
            let state = state_of(decided);
            let finished = TransferFinished { replica: id, seq, state, root, bytes: 100 };
            self.tell(Fact::TransferFinished(finished));
            self.places[at].executed = seq;
            self.stabilise(at, seq);
        }
        while (self.places[at].executed.0 as usize) < self.ledger.len() {
            self.execute_next(at);
        }
    }

    fn anyone_at(&self, seq: Seq) -> bool {
        self.places.iter().any(|place| place.honest && place.up && place.executed >= seq)
    }

    fn execute_next(&mut self, at: usize) {
        let Place { id: replica, incarnation, executed, .. } = self.places[at];
        let decided = self.ledger[executed.0 as usize].clone();
        let Decided { seq, view, digest, .. } = decided;
        let requests = Arc::clone(&decided.requests);
        let certificate = Arc::clone(&decided.certificate);
        self.tell(Fact::Committed(Committed {
            replica,
            incarnation,
            seq,
            view,
            digest,
            requests: Arc::clone(&requests),
            certificate,
        }));
        self.tell(Fact::Executed(Arc::new(Executed {
            replica,
            incarnation,
            seq,
            view,
            digest,
            requests,
            fresh: decided.fresh.clone(),
            results: results_digest(&decided),
            tentative: false,
        })));
        self.places[at].executed = seq;
        for (request, result) in decided.batch.iter().zip(&decided.results) {
            let ((client, timestamp), view) = (request.id(), View(self.view));
            let result = blake3(result);
            let tentative = false;
            let replied = Replied { replica, client, timestamp, view, seq, result, tentative };
            self.tell(Fact::Replied(replied));
        }
        if seq.0.is_multiple_of(self.header.checkpoint_interval) {
            let (root, state) = (decided.root, state_of(&decided));
            self.tell(Fact::Checkpointed(Checkpointed { replica, seq, root, state }));
            self.say(at, VoteKind::Checkpoint, View(0), seq, state);
            self.stabilise(at, seq);
        }
    }

    fn stabilise(&mut self, at: usize, seq: Seq) {
        let state = state_of(&self.ledger[seq.0 as usize - 1]);
        let signers = self.places.iter().take(self.places.len() - (self.places.len() - 1) / 3);
        let certificate =
            signers.map(|place| (place.id, self.keys.checkpoint(place.id, seq, state)));
        let certificate = certificate.collect();
        let place = &mut self.places[at];
        place.stable = seq;
        place.said.retain(|said| said.seq > seq);
        let replica = place.id;
        self.tell(Fact::Stable(StableReached { replica, seq, state, certificate }));
    }

    /// An honest replica crashes, if a quorum stays up.
    pub(super) fn crash(&mut self) {
        let down = self.places.iter().filter(|place| !place.up).count();
        let at = self.random.random_range(0..self.places.len());
        if down < (self.places.len() - 1) / 3 && self.places[at].up && self.places[at].honest {
            self.places[at].up = false;
            let replica = self.places[at].id;
            self.tell(Fact::Crashed(Crashed { replica, disk: DiskLoss::LoseUnsynced }));
        }
    }

    /// Replicas that are down come back: at their stable checkpoint, and with their own votes.
    pub(super) fn restart(&mut self, share: f64) {
        for at in 0..self.places.len() {
            if self.places[at].up || !self.random.random_bool(share) {
                continue;
            }
            let place = &mut self.places[at];
            (place.up, place.executed) = (true, place.stable);
            place.incarnation += 1;
            let Place { id: replica, incarnation, executed, .. } = *place;
            let said = place.said.clone();
            let records = said.len() as u64;
            self.tell(Fact::Restarted(Restarted { replica, incarnation, executed, records }));
            for said in said {
                self.tell(Fact::Said(Said { incarnation, ..said }));
            }
        }
    }

    /// A faulty replica signs what nobody else does.
    pub(super) fn lie(&mut self) {
        let Some(at) = self.places.iter().position(|place| !place.honest) else { return };
        let (view, seq) = (View(self.view), Seq(self.ledger.len() as u64));
        for digest in [blake3(b"one"), blake3(b"other")] {
            self.say(at, VoteKind::Commit, view, seq, digest);
        }
        let replica = Some(self.places[at].id);
        self.tell(Fact::Fault(Fault { kind: "equivocate".into(), replica }));
    }
}

/// What a checkpoint names.
fn state_of(decided: &Decided) -> Digest {
    blake3(&[&decided.root.0[..], &decided.seq.0.to_le_bytes()].concat())
}

fn results_digest(decided: &Decided) -> Digest {
    let framed = decided
        .results
        .iter()
        .map(|result| [&(result.len() as u32).to_le_bytes()[..], result].concat());
    blake3(&framed.collect::<Vec<_>>().concat())
}
