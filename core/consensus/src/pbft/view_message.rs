//! VIEW-CHANGE and NEW-VIEW (PBFT 4.4), what makes them valid, and what a new-view orders.
//!
//! Both are large, so each is signed through a small statement that carries its digest. The digest
//! is computed once, when the value is made or decoded.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::hash::Sha256;
use quorumark_primitives::signed::{Claims, Sealer, Signed};
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError, encode_sequence};

use super::certificate::{CheckpointCertificate, PreparedCertificate, VOUCHER_BYTES};
use super::config::{Config, WINDOW_MAX};
use super::statement::{NewViewStatement, PrePrepare, ViewChangeStatement};
use crate::committee::{Committee, REPLICAS_MAX};
use crate::request::Batch;
use crate::types::{ReplicaId, Seq, View};

/// What a VIEW-CHANGE says (PBFT 4.4): `<VIEW-CHANGE, v+1, n, C, P, i>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewChangeBody {
    /// The view that the replica moves to.
    pub view: View,
    /// n and C: its last stable checkpoint h, and the proof of it.
    pub checkpoint: CheckpointCertificate,
    /// P: for each sequence number in (h, h + L] at which it has a prepared certificate, the one of
    /// the highest view; in rising order.
    pub prepared: Vec<PreparedCertificate>,
    /// Who says it.
    pub replica: ReplicaId,
}

/// A signed VIEW-CHANGE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewChange {
    body: ViewChangeBody,
    digest: Digest,
    signature: Signature,
}

impl ViewChange {
    /// A VIEW-CHANGE that its sealer has still to sign.
    pub fn blank(body: ViewChangeBody) -> ViewChange {
        let digest = view_change_digest(&body);
        ViewChange { body, digest, signature: Signature::BLANK }
    }

    /// What it says.
    pub fn body(&self) -> &ViewChangeBody {
        &self.body
    }

    /// What its signature binds, beside view and sender.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What is signed.
    pub fn statement(&self) -> Signed<ViewChangeStatement> {
        let (view, digest, replica) = (self.body.view, self.digest, self.body.replica);
        let body = ViewChangeStatement { view, digest, replica };
        Signed { body, signature: self.signature }
    }

    /// Lists every signature for the verifier, those of its certificates too.
    pub fn claims(&self, sink: &mut Claims<'_>) {
        sink.signed(&self.statement());
        self.body.checkpoint.claims(sink);
        self.body.prepared.iter().for_each(|certificate| certificate.claims(sink));
    }

    /// Signs it.
    pub fn seal(&mut self, sealer: &mut Sealer) {
        self.signature = sealer.sign(&self.statement().body);
    }

    /// PBFT 4.4: C proves h; P has at most one certificate for each sequence number in (h, h + L],
    /// each of a view before the one that the replica moves to.
    pub fn is_valid(&self, config: &Config) -> bool {
        let ViewChangeBody { view, checkpoint, prepared, replica } = &self.body;
        let (low, high) = (checkpoint.seq, checkpoint.seq.plus(config.window));
        config.committee.contains(*replica)
            && checkpoint.is_valid(config.committee, config.checkpoint_interval)
            && prepared.is_sorted_by(|one, next| one.seq() < next.seq())
            && prepared.iter().all(|certificate| {
                certificate.view() < *view
                    && low < certificate.seq()
                    && certificate.seq() <= high
                    && certificate.is_valid(config.committee)
            })
    }
}

/// What a NEW-VIEW says (PBFT 4.4): `<NEW-VIEW, v+1, V, O>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewViewBody {
    /// The view that it opens.
    pub view: View,
    /// V: the VIEW-CHANGEs of a quorum for exactly this view, in the order of their senders.
    pub view_changes: Vec<ViewChange>,
    /// O: a pre-prepare of this view for each sequence number in (min-s, max-s], in order.
    pub pre_prepares: Vec<Signed<PrePrepare>>,
    /// The primary of the view.
    pub replica: ReplicaId,
}

/// A signed NEW-VIEW. Its signature binds V with its signatures, and O.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewView {
    body: NewViewBody,
    digest: Digest,
    signature: Signature,
}

impl NewView {
    /// A NEW-VIEW that its sealer has still to sign, as it has the pre-prepares of O.
    pub fn blank(body: NewViewBody) -> NewView {
        let digest = new_view_digest(&body);
        NewView { body, digest, signature: Signature::BLANK }
    }

    /// What it says.
    pub fn body(&self) -> &NewViewBody {
        &self.body
    }

    /// What its signature binds, beside view and sender.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What is signed.
    pub fn statement(&self) -> Signed<NewViewStatement> {
        let (view, digest, replica) = (self.body.view, self.digest, self.body.replica);
        let body = NewViewStatement { view, digest, replica };
        Signed { body, signature: self.signature }
    }

    /// Lists every signature for the verifier, those of V and O too.
    pub fn claims(&self, sink: &mut Claims<'_>) {
        sink.signed(&self.statement());
        self.body.view_changes.iter().for_each(|view_change| view_change.claims(sink));
        self.body.pre_prepares.iter().for_each(|pre_prepare| sink.signed(pre_prepare));
    }

    /// Signs the pre-prepares of O, and then the whole.
    pub fn seal(&mut self, sealer: &mut Sealer) {
        self.body.pre_prepares.iter_mut().for_each(|pre_prepare| sealer.seal(pre_prepare));
        self.signature = sealer.sign(&self.statement().body);
    }

    /// PBFT 4.4: "a backup accepts a new-view message for view v + 1 if it is signed properly, if
    /// the view-change messages it contains are valid for view v + 1, and if the set O is correct;
    /// it verifies the correctness of O by performing a computation similar to the one used by the
    /// primary". What it orders, or `None` when anything differs.
    pub fn plan(&self, config: &Config) -> Option<Plan> {
        let NewViewBody { view, view_changes, pre_prepares, replica } = &self.body;
        let committee = config.committee;
        let of_view = |view_change: &ViewChange| {
            view_change.body.view == *view && view_change.is_valid(config)
        };
        let is_proper = *view > View(0)
            && *replica == committee.primary(*view)
            && view_changes.len() == committee.quorum()
            && view_changes.is_sorted_by(|one, next| one.body.replica < next.body.replica)
            && view_changes.iter().all(of_view);
        if !is_proper {
            return None;
        }
        let plan = Plan::of(view_changes);
        let said = pre_prepares.iter().map(|pre_prepare| pre_prepare.body);
        plan.pre_prepares(*view, *replica).eq(said).then_some(plan)
    }

    /// The proof of min-s.
    ///
    /// # Panics
    /// When V is empty: only a NEW-VIEW that has a plan is asked.
    pub fn checkpoint(&self) -> &CheckpointCertificate {
        let proofs = self.body.view_changes.iter().map(|view_change| &view_change.body.checkpoint);
        proofs.max_by_key(|proof| proof.seq).expect("a valid new-view holds a quorum")
    }

    /// The certificate because of which O names `digest` at `seq`; a null has none.
    pub(super) fn certificate(&self, seq: Seq, digest: Digest) -> Option<&PreparedCertificate> {
        let prepared = self.body.view_changes.iter().flat_map(|change| &change.body.prepared);
        let mut named = prepared.filter(|proof| proof.seq() == seq && proof.digest() == digest);
        named.next()
    }
}

/// What a new view orders again, computed from V alone: equal at the primary and at every backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// min-s: the highest checkpoint that V proves.
    pub min_s: Seq,
    /// max-s: the highest sequence number in any P; min-s where there is none above it.
    pub max_s: Seq,
    /// The digest for each sequence number in (min-s, max-s], in order.
    pub digests: Vec<Digest>,
}

impl Plan {
    /// PBFT 4.4: for each n between min-s and max-s the request of the certificate with the highest
    /// view, wherever V holds one; the null request where it holds none. Every certificate in V is
    /// valid: the caller has checked.
    pub fn of(view_changes: &[ViewChange]) -> Plan {
        let proven = view_changes.iter().map(|change| change.body.checkpoint.seq);
        let min_s = proven.max().unwrap_or_default();
        let mut highest: BTreeMap<Seq, (View, Digest)> = BTreeMap::new();
        for certificate in view_changes.iter().flat_map(|change| &change.body.prepared) {
            if certificate.seq() > min_s {
                // Two digests in one view cannot both be prepared while at most f are faulty; the
                // larger one wins then, so that all compute the same.
                let found = (certificate.view(), certificate.digest());
                let kept = highest.entry(certificate.seq()).or_insert(found);
                *kept = found.max(*kept);
            }
        }
        let max_s = highest.last_key_value().map_or(min_s, |(seq, _)| *seq);
        let null = Batch::null().digest();
        let digest = |seq| highest.get(&Seq(seq)).map_or(null, |(_, digest)| *digest);
        let digests = (min_s.0 + 1..=max_s.0).map(digest).collect();
        Plan { min_s, max_s, digests }
    }

    /// O: the pre-prepares that `primary` has to say in `view`.
    pub fn pre_prepares(&self, view: View, primary: ReplicaId) -> impl Iterator<Item = PrePrepare> {
        let seqs = (self.min_s.0 + 1..=self.max_s.0).map(Seq);
        seqs.zip(&self.digests).map(move |(seq, digest)| PrePrepare {
            view,
            seq,
            digest: *digest,
            replica: primary,
        })
    }
}

/// Bytes of the longest message that carries a NEW-VIEW of `committee` with a window of `window`.
pub(super) fn new_view_bytes_max(committee: Committee, window: u64) -> u64 {
    let quorum = committee.quorum() as u64;
    let (voucher, signed) = (VOUCHER_BYTES as u64, Signed::<PrePrepare>::SIZE_MIN as u64);
    let proof = CheckpointCertificate::SIZE_MIN as u64 + voucher * quorum;
    let certificate = PreparedCertificate::SIZE_MIN as u64 + voucher * (quorum - 1);
    let view_change = ViewChange::SIZE_MIN as u64 - CheckpointCertificate::SIZE_MIN as u64
        + proof
        + window.saturating_mul(certificate);
    let all = NewView::SIZE_MIN as u64 + quorum.saturating_mul(view_change);
    all.saturating_add(window.saturating_mul(signed)).saturating_add(1)
}

fn view_change_digest(body: &ViewChangeBody) -> Digest {
    let mut bytes = Vec::new();
    body.encode(&mut bytes);
    let mut hash = Sha256::new();
    hash.update(b"quorumark/view-change");
    hash.update(&bytes);
    hash.finish()
}

fn new_view_digest(body: &NewViewBody) -> Digest {
    let mut bytes = Vec::new();
    body.view.encode(&mut bytes);
    body.replica.encode(&mut bytes);
    (body.view_changes.len() as u32).encode(&mut bytes);
    for view_change in &body.view_changes {
        view_change.statement().encode(&mut bytes);
    }
    // Their signatures are not there yet when the primary computes this, and each is checked by
    // itself.
    body.pre_prepares.iter().for_each(|pre_prepare| pre_prepare.body.encode(&mut bytes));
    let mut hash = Sha256::new();
    hash.update(b"quorumark/new-view");
    hash.update(&bytes);
    hash.finish()
}

impl Encode for ViewChangeBody {
    fn encode(&self, out: &mut Vec<u8>) {
        self.view.encode(out);
        self.checkpoint.encode(out);
        encode_sequence(&self.prepared, out);
        self.replica.encode(out);
    }
}

impl Decode for ViewChangeBody {
    const SIZE_MIN: usize = 8 + CheckpointCertificate::SIZE_MIN + 4 + 2;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(ViewChangeBody {
            view: View::decode(reader)?,
            checkpoint: CheckpointCertificate::decode(reader)?,
            prepared: reader.sequence(WINDOW_MAX as usize, "prepared certificates")?,
            replica: ReplicaId::decode(reader)?,
        })
    }
}

impl Encode for NewViewBody {
    fn encode(&self, out: &mut Vec<u8>) {
        self.view.encode(out);
        encode_sequence(&self.view_changes, out);
        encode_sequence(&self.pre_prepares, out);
        self.replica.encode(out);
    }
}

impl Decode for NewViewBody {
    const SIZE_MIN: usize = 8 + 4 + 4 + 2;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(NewViewBody {
            view: View::decode(reader)?,
            view_changes: reader.sequence(usize::from(REPLICAS_MAX), "view-changes")?,
            pre_prepares: reader.sequence(WINDOW_MAX as usize, "pre-prepares")?,
            replica: ReplicaId::decode(reader)?,
        })
    }
}

macro_rules! sealed {
    ($name:ident, $body:ident) => {
        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.body.encode(out);
                self.signature.encode(out);
            }
        }

        impl Decode for $name {
            const SIZE_MIN: usize = $body::SIZE_MIN + Signature::SIZE_MIN;
            fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
                let blank = $name::blank($body::decode(reader)?);
                Ok($name { signature: Signature::decode(reader)?, ..blank })
            }
        }
    };
}
sealed!(ViewChange, ViewChangeBody);
sealed!(NewView, NewViewBody);
