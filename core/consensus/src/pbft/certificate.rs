//! Certificates: one body, and the signatures of the replicas that said it.
//!
//! They are shown to others: a prepared certificate in a view-change (PBFT 4.4), the certificate of
//! a stable checkpoint there too (4.3), the certificate of a committed batch to a replica that comes
//! from another view. The verifier checks the signatures; what else makes one valid is checked here,
//! by the engine, in release builds too.

use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::signed::{Claims, Signed};
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError, encode_sequence};

use super::statement::{Checkpoint, Commit, PrePrepare, Prepare};
use crate::committee::{Committee, REPLICAS_MAX};
use crate::types::{ReplicaId, Seq, View};

/// One replica's signature under the body that a certificate names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Voucher {
    /// Who signed.
    pub replica: ReplicaId,
    /// Its signature.
    pub signature: Signature,
}

/// Bytes that a voucher takes on the wire.
pub(super) const VOUCHER_BYTES: usize = Voucher::SIZE_MIN;

/// A batch was prepared in a view (PBFT 4.2): the primary's pre-prepare and the prepares of
/// `quorum - 1` backups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreparedCertificate {
    /// The primary's proposal; the batch itself is asked for by its digest.
    pub pre_prepare: Signed<PrePrepare>,
    /// The backups that prepared it, in the order of their ids.
    pub prepares: Vec<Voucher>,
}

impl PreparedCertificate {
    /// The sequence number prepared.
    pub fn seq(&self) -> Seq {
        self.pre_prepare.body.seq
    }

    /// The view in which it was prepared.
    pub fn view(&self) -> View {
        self.pre_prepare.body.view
    }

    /// The digest of the batch.
    pub fn digest(&self) -> Digest {
        self.pre_prepare.body.digest
    }

    /// Lists every signature for the verifier.
    pub fn claims(&self, sink: &mut Claims<'_>) {
        let PrePrepare { view, seq, digest, .. } = self.pre_prepare.body;
        sink.signed(&self.pre_prepare);
        for Voucher { replica, signature } in &self.prepares {
            sink.statement(&Prepare { view, seq, digest, replica: *replica }, signature);
        }
    }

    /// PBFT 4.2: the pre-prepare is of the primary of its view, and exactly quorum - 1 distinct
    /// backups prepared it. The primary's prepare never counts.
    pub fn is_valid(&self, committee: Committee) -> bool {
        let primary = committee.primary(self.view());
        self.pre_prepare.body.replica == primary
            && self.prepares.len() == committee.quorum() - 1
            && are_distinct_members(&self.prepares, committee)
            && self.prepares.iter().all(|voucher| voucher.replica != primary)
    }
}

/// A batch was committed in a view (PBFT 4.2): a quorum said so. It holds in every later view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitCertificate {
    /// The view in which it was committed.
    pub view: View,
    /// The sequence number committed.
    pub seq: Seq,
    /// The digest of the batch.
    pub digest: Digest,
    /// The replicas that committed it, in the order of their ids.
    pub commits: Vec<Voucher>,
}

impl CommitCertificate {
    /// Lists every signature for the verifier.
    pub fn claims(&self, sink: &mut Claims<'_>) {
        let (view, seq, digest) = (self.view, self.seq, self.digest);
        for Voucher { replica, signature } in &self.commits {
            sink.statement(&Commit { view, seq, digest, replica: *replica }, signature);
        }
    }

    /// Whether exactly a quorum of distinct members signed it.
    pub fn is_valid(&self, committee: Committee) -> bool {
        self.commits.len() == committee.quorum() && are_distinct_members(&self.commits, committee)
    }
}

/// A checkpoint is stable (PBFT 4.3): a quorum signed the same state. The state before any batch
/// needs no proof: sequence number 0, the zero digest, no votes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointCertificate {
    /// The sequence number after which the state was taken.
    pub seq: Seq,
    /// The digest of the state.
    pub state: Digest,
    /// The replicas that reached it, in the order of their ids.
    pub votes: Vec<Voucher>,
}

impl CheckpointCertificate {
    /// The certificate of the state before any batch.
    pub fn start() -> CheckpointCertificate {
        CheckpointCertificate { seq: Seq(0), state: Digest::ZERO, votes: Vec::new() }
    }

    /// The votes by themselves, each as its replica signed it.
    pub fn signed(&self) -> impl Iterator<Item = Signed<Checkpoint>> {
        let (seq, state) = (self.seq, self.state);
        self.votes.iter().map(move |Voucher { replica, signature }| Signed {
            body: Checkpoint { seq, state, replica: *replica },
            signature: *signature,
        })
    }

    /// Lists every signature for the verifier.
    pub fn claims(&self, sink: &mut Claims<'_>) {
        self.signed().for_each(|vote| sink.signed(&vote));
    }

    /// Whether exactly a quorum of distinct members signed it, at a sequence number where
    /// checkpoints are taken: every `interval`.
    pub fn is_valid(&self, committee: Committee, interval: u64) -> bool {
        if self.seq == Seq(0) {
            return self.state == Digest::ZERO && self.votes.is_empty();
        }
        self.seq.0.is_multiple_of(interval)
            && self.votes.len() == committee.quorum()
            && are_distinct_members(&self.votes, committee)
    }
}

/// Rising ids are distinct ids, and a certificate has one spelling.
fn are_distinct_members(vouchers: &[Voucher], committee: Committee) -> bool {
    vouchers.is_sorted_by(|one, next| one.replica < next.replica)
        && vouchers.last().is_none_or(|last| committee.contains(last.replica))
}

macro_rules! encoded {
    ($name:ident { $($field:ident: $type:ty),* }, $list:ident) => {
        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$field.encode(out);)*
                encode_sequence(&self.$list, out);
            }
        }

        impl Decode for $name {
            const SIZE_MIN: usize = 4 $(+ <$type as Decode>::SIZE_MIN)*;
            fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
                Ok($name {
                    $($field: <$type>::decode(reader)?,)*
                    $list: reader.sequence(usize::from(REPLICAS_MAX), "certificate")?,
                })
            }
        }
    };
}
encoded!(PreparedCertificate { pre_prepare: Signed<PrePrepare> }, prepares);
encoded!(CommitCertificate { view: View, seq: Seq, digest: Digest }, commits);
encoded!(CheckpointCertificate { seq: Seq, state: Digest }, votes);

impl Encode for Voucher {
    fn encode(&self, out: &mut Vec<u8>) {
        self.replica.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for Voucher {
    const SIZE_MIN: usize = ReplicaId::SIZE_MIN + Signature::SIZE_MIN;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Voucher { replica: Decode::decode(reader)?, signature: Decode::decode(reader)? })
    }
}
