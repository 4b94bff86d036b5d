//! Checkpoint votes and the stable certificate (PBFT 4.3).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::hash::Sha256;
use quorumark_primitives::signed::Signed;

use super::certificate::{CheckpointCertificate, Voucher};
use super::config::Config;
use super::statement::Checkpoint;
use super::votes::{Cast, Votes};
use crate::committee::Committee;
use crate::parts::StateRoot;
use crate::types::{ReplicaId, Seq};

/// The digest that a checkpoint binds: the state after exactly `seq`.
///
/// It binds the settings that decide what is executed, so replicas that differ in one of them find
/// out at their first checkpoint.
pub(super) fn state_digest(
    config: &Config,
    seq: Seq,
    application: StateRoot,
    clients: StateRoot,
) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"quorumark/state");
    let (clients_max, n) = (config.clients_max as u64, config.committee.n() as u64);
    let settings = [n, config.window, config.checkpoint_interval, clients_max];
    settings.iter().for_each(|setting| hash.update(&setting.to_le_bytes()));
    hash.update(&config.client_window.to_le_bytes());
    hash.update(&seq.0.to_le_bytes());
    // The numbers of leaves too: without them the cut into parts would be a peer's word.
    for tree in [application, clients] {
        hash.update(&tree.root.0);
        hash.update(&tree.leaves.to_le_bytes());
    }
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
    /// Quorums of equal votes: for the stable checkpoint, C of a view-change (PBFT 4.4), and for
    /// those of the window below it, which peers that lag have still to reach.
    certificates: BTreeMap<Seq, Vec<Signed<Checkpoint>>>,
}

impl Checkpoints {
    pub(super) fn new(committee: Committee, interval: u64) -> Checkpoints {
        Checkpoints {
            committee,
            interval,
            votes: BTreeMap::new(),
            own: BTreeMap::new(),
            certificates: BTreeMap::new(),
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
    ///
    /// A replica that voted for two states is told on either way. Of its votes the one for this
    /// replica's own state counts, so that an early lie cannot void a certificate that peers send.
    pub(super) fn cast(&mut self, vote: Signed<Checkpoint>) -> Cast<Checkpoint> {
        let n = self.committee.n();
        let votes = self.votes.entry(vote.body.seq).or_insert_with(|| Votes::new(n));
        let cast = votes.cast(vote);
        if matches!(cast, Cast::Conflict(_))
            && self.own.get(&vote.body.seq) == Some(&vote.body.state)
        {
            votes.replace(vote);
        }
        cast
    }

    /// Whether a quorum vouches for another state at `seq` than this replica reached.
    pub(super) fn diverges(&self, seq: Seq) -> bool {
        let (Some(own), Some(votes)) = (self.own.get(&seq), self.votes.get(&seq)) else {
            return false;
        };
        let others = self.committee.members().filter_map(|replica| votes.of(replica));
        let other = others.map(|vote| vote.body.state).filter(|state| state != own).max();
        other.is_some_and(|state| votes.count_of(state) >= self.committee.quorum())
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
            votes.is_some_and(|votes| votes.count_of(**state) >= quorum)
        });
        proven.map(|(seq, _)| *seq)
    }

    /// Keeps the certificate of `stable`, forgets every vote at or below it, and the certificates at
    /// or below `forgotten`.
    pub(super) fn truncate(&mut self, stable: Seq, forgotten: Seq) {
        let quorum = self.committee.quorum();
        let proven = self.own.range(..=stable).filter_map(|(seq, state)| {
            let equal: Vec<_> = self.votes.get(seq)?.matching(*state).collect();
            (equal.len() >= quorum).then_some((*seq, equal))
        });
        self.certificates.extend(proven);
        debug_assert!(self.certificates.contains_key(&stable), "{stable} has its proof");
        self.certificates = self.certificates.split_off(&forgotten.next());
        self.votes = self.votes.split_off(&stable.next());
        self.own = self.own.split_off(&stable.next());
    }

    /// The proof of the highest checkpoint above `stable` that a replica can have executed whose
    /// high watermark is `high`.
    pub(super) fn certificate(&self, stable: Seq, high: Seq) -> &[Signed<Checkpoint>] {
        if stable >= high {
            return &[];
        }
        let reachable = self.certificates.range(stable.next()..=high).next_back();
        reachable.map_or(&[], |(_, votes)| votes)
    }

    /// C of a view-change (PBFT 4.4): the proof of the stable checkpoint.
    pub(super) fn proof(&self, stable: Seq) -> CheckpointCertificate {
        let votes = self.certificates.get(&stable);
        let certificate = votes.and_then(|votes| self.certify(stable, votes.iter().copied()));
        certificate.unwrap_or_else(CheckpointCertificate::start)
    }

    /// The certificate of a checkpoint above the stable one, if a quorum agrees on its state.
    pub(super) fn certified(&self, seq: Seq) -> Option<CheckpointCertificate> {
        let votes = self.votes.get(&seq)?;
        let states = self.committee.members().filter_map(|replica| votes.of(replica));
        let mut states = states.map(|vote| vote.body.state);
        states.find_map(|state| self.certify(seq, votes.matching(state)))
    }

    fn certify(
        &self,
        seq: Seq,
        equal: impl Iterator<Item = Signed<Checkpoint>>,
    ) -> Option<CheckpointCertificate> {
        let quorum = self.committee.quorum();
        let votes: Vec<_> = equal.take(quorum).collect();
        let state = votes.first()?.body.state;
        let vouchers = votes
            .iter()
            .map(|vote| Voucher { replica: vote.body.replica, signature: vote.signature });
        let certificate = CheckpointCertificate { seq, state, votes: vouchers.collect() };
        (votes.len() == quorum).then_some(certificate)
    }

    /// Takes over a checkpoint that this replica did not execute: its certificate is its proof.
    pub(super) fn adopt(&mut self, certificate: &CheckpointCertificate) {
        self.certificates.insert(certificate.seq, certificate.signed().collect());
        self.own.insert(certificate.seq, certificate.state);
    }

    /// What `replica` voted above `seq`.
    pub(super) fn votes_of(
        &self,
        replica: ReplicaId,
        above: Seq,
    ) -> impl Iterator<Item = Signed<Checkpoint>> {
        self.votes.range(above.next()..).filter_map(move |(_, votes)| votes.of(replica))
    }
}
