//! Checkpoint votes and the stable certificate (PBFT 4.3).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::hash::Sha256;
use quorumark_primitives::signed::Signed;

use super::log::{Cast, Votes};
use super::message::Checkpoint;
use crate::committee::Committee;
use crate::types::{ReplicaId, Seq};

/// The digest that a checkpoint binds: the state after exactly `seq`.
pub(super) fn state_digest(
    committee: Committee,
    seq: Seq,
    application: Digest,
    clients: Digest,
) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"quorumark/state");
    hash.update(&(committee.n() as u64).to_le_bytes());
    hash.update(&seq.0.to_le_bytes());
    hash.update(&application.0);
    hash.update(&clients.0);
    hash.finish()
}

/// Votes for the checkpoints above the stable one; at most `2L / K` of them.
#[derive(Debug)]
pub(super) struct Checkpoints {
    committee: Committee,
    interval: u64,
    votes: BTreeMap<Seq, Votes<Checkpoint>>,
    /// The state that this replica itself reached.
    own: BTreeMap<Seq, Digest>,
    /// The quorum of equal votes for the stable checkpoint: C of a view-change (PBFT 4.4).
    certificate: Vec<Signed<Checkpoint>>,
}

impl Checkpoints {
    pub(super) fn new(committee: Committee, interval: u64) -> Checkpoints {
        Checkpoints {
            committee,
            interval,
            votes: BTreeMap::new(),
            own: BTreeMap::new(),
            certificate: Vec::new(),
        }
    }

    /// Whether a state digest is due after `seq`.
    pub(super) fn is_due(&self, seq: Seq) -> bool {
        seq.0.is_multiple_of(self.interval)
    }

    /// Notes the state that this replica reached.
    pub(super) fn reached(&mut self, seq: Seq, state: Digest) {
        self.own.insert(seq, state);
    }

    /// Takes a vote; the caller has checked that its sequence number is in reach.
    pub(super) fn cast(&mut self, vote: Signed<Checkpoint>) -> Cast<Checkpoint> {
        let n = self.committee.n();
        self.votes.entry(vote.body.seq).or_insert_with(|| Votes::new(n)).cast(vote)
    }

    /// The highest checkpoint that a quorum vouches for with equal digests and that this replica
    /// reached with the same state.
    ///
    /// PBFT 4.3: "a checkpoint with a proof" is stable; h moves only then, and only to a state that
    /// the replica has.
    pub(super) fn newly_stable(&self) -> Option<Seq> {
        let quorum = self.committee.quorum();
        let proven = self.own.iter().rev().find(|(seq, state)| {
            let votes = self.votes.get(seq);
            votes.is_some_and(|votes| votes.matching(**state).count() >= quorum)
        });
        proven.map(|(seq, _)| *seq)
    }

    /// Keeps the certificate of `stable` and forgets every vote at or below it.
    pub(super) fn truncate(&mut self, stable: Seq) {
        if let (Some(state), Some(votes)) = (self.own.get(&stable), self.votes.get(&stable)) {
            self.certificate = votes.matching(*state).cloned().collect();
        }
        debug_assert!(self.certificate.len() >= self.committee.quorum());
        self.votes = self.votes.split_off(&stable.next());
        self.own = self.own.split_off(&stable.next());
    }

    /// The stable checkpoint's proof.
    pub(super) fn certificate(&self) -> &[Signed<Checkpoint>] {
        &self.certificate
    }

    /// What `replica` voted above `seq`.
    pub(super) fn votes_of(
        &self,
        replica: ReplicaId,
        above: Seq,
    ) -> impl Iterator<Item = &Signed<Checkpoint>> {
        self.votes.range(above.next()..).filter_map(move |(_, votes)| votes.of(replica))
    }
}
