//! What PBFT replicas say to each other, and what each signature binds.

use alloc::sync::Arc;
use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::signed::{
    Claimed, Claims, Domain, Sealable, Sealer, Signed, Signer, Statement,
};
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError, encode_sequence};

use super::certificate::{CheckpointCertificate, CommitCertificate};
use super::state_message::{FetchState, StateManifest, StateSlice};
use super::view_message::{NewView, ViewChange};
use crate::committee::REPLICAS_MAX;
use crate::request::{Batch, SignedRequest};
use crate::types::{ReplicaId, Seq, View};

/// The most slots that one status message tells of.
pub(super) const STATUS_SLOTS_MAX: usize = 64;
/// The most bodies that one fetch asks for.
pub(super) const FETCH_DIGESTS_MAX: usize = 256;

// The tags of what concerns the state.
const STABLE: u8 = 11;
const FETCH_STATE: u8 = 12;
const STATE_MANIFEST: u8 = 13;
const STATE_SLICE: u8 = 14;
/// The tag of a request that only reads, as clients send it.
pub const READ: u8 = 15;

/// Declares a statement of one replica: its fields, its encoding, its domain, its signer.
macro_rules! statement {
    ($(#[$doc:meta])* $name:ident in $domain:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// Who says it.
            pub replica: ReplicaId,
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$field.encode(out);)*
                self.replica.encode(out);
            }
        }

        impl Decode for $name {
            const SIZE_MIN: usize = 2 $(+ <$type as Decode>::SIZE_MIN)*;
            fn decode(reader: &mut Reader) -> Result<Self, WireError> {
                Ok($name {
                    $($field: Decode::decode(reader)?,)*
                    replica: ReplicaId::decode(reader)?,
                })
            }
        }

        impl Statement for $name {
            const DOMAIN: Domain = Domain::$domain;
            fn signer(&self) -> Signer {
                Signer::Replica(self.replica.0)
            }
        }
    };
}

statement! {
    /// PBFT 4.2: `<PRE-PREPARE, v, n, d>`; the batch with digest `d` travels beside it.
    PrePrepare in PrePrepare {
        /// The view.
        view: View,
        /// The sequence number proposed.
        seq: Seq,
        /// [`Batch::digest`].
        digest: Digest,
    }
}

statement! {
    /// PBFT 4.2: `<PREPARE, v, n, d, i>`.
    Prepare in Prepare {
        /// The view.
        view: View,
        /// The sequence number.
        seq: Seq,
        /// The digest of the pre-prepare that it matches.
        digest: Digest,
    }
}

statement! {
    /// PBFT 4.2: `<COMMIT, v, n, D(m), i>`.
    Commit in Commit {
        /// The view.
        view: View,
        /// The sequence number.
        seq: Seq,
        /// The digest that is prepared.
        digest: Digest,
    }
}

statement! {
    /// PBFT 4.3: `<CHECKPOINT, n, d, i>`. It binds no view, so that it matches across views.
    Checkpoint in Checkpoint {
        /// The sequence number after which the state was taken.
        seq: Seq,
        /// The digest of application state, client table, sequence and membership.
        state: Digest,
    }
}

statement! {
    /// What the signature of a VIEW-CHANGE binds (PBFT 4.4): its view, its content, its sender.
    ViewChangeStatement in ViewChange {
        /// The view that the replica moves to.
        view: View,
        /// The digest of everything that it says.
        digest: Digest,
    }
}

statement! {
    /// What the signature of a NEW-VIEW binds (PBFT 4.4).
    NewViewStatement in NewView {
        /// The view that it opens.
        view: View,
        /// The digest of V and O.
        digest: Digest,
    }
}

/// How far a replica is in its view.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum ViewPhase {
    /// It has sent its VIEW-CHANGE and waits for the NEW-VIEW.
    Changing = 0,
    /// It has the NEW-VIEW, and still lacks the state to begin from.
    Opened = 1,
    /// It takes part.
    #[default]
    Active = 2,
    /// It lost its journal and votes for nothing yet; it asks where the others stand.
    Rejoining = 3,
}

/// What a replica has of one sequence number above its last executed one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlotStatus {
    /// It has a proposal all of whose requests it could check.
    pub pre_prepared: bool,
    /// It is prepared.
    pub prepared: bool,
    /// It is committed.
    pub committed: bool,
}

/// What a replica has and lacks (TOCS'02 5.2); peers answer with what is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusStatement {
    /// Rises from each status of a replica to its next, so that an old one cannot stand in for it.
    pub round: u64,
    /// How many statuses it has said since it last executed something new, when there is something
    /// that it waits for; 0 when it lacks nothing that it knows of.
    pub attempt: u32,
    /// Its view.
    pub view: View,
    /// How far it is in it.
    pub phase: ViewPhase,
    /// While it waits for a NEW-VIEW: whose VIEW-CHANGEs for its view it has.
    pub view_changes: Vec<ReplicaId>,
    /// Its last stable checkpoint.
    pub stable: Seq,
    /// The last sequence number that it executed.
    pub executed: Seq,
    /// Slots `executed + 1`, `executed + 2`, ...; what is not listed it knows nothing of. At most 64.
    pub slots: Vec<SlotStatus>,
    /// Which status of a replica that lost its journal this one answers.
    pub answers: Option<Heard>,
    /// Who says it.
    pub replica: ReplicaId,
}

/// A status that was heard, by its sender and its round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// Who said it.
    pub replica: ReplicaId,
    /// Its round.
    pub round: u64,
}

/// A status message as it travels.
pub type Status = Signed<StatusStatement>;

/// Asks for the bodies of batches that a new view orders again (PBFT 4.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchStatement {
    /// Rises from each fetch of a replica to its next.
    pub round: u64,
    /// The digests of the batches; at most 256.
    pub digests: Vec<Digest>,
    /// Who asks.
    pub replica: ReplicaId,
}

/// Everything that travels between PBFT replicas, and from clients to them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// A client's request, from the client or forwarded by a backup.
    Request(SignedRequest),
    /// A client's request that only reads: answered without being ordered.
    Read(SignedRequest),
    /// The primary's proposal and its batch.
    PrePrepare(Signed<PrePrepare>, Arc<Batch>),
    /// A backup agrees to the order.
    Prepare(Signed<Prepare>),
    /// A replica is prepared.
    Commit(Signed<Commit>),
    /// A replica's state after a sequence number.
    Checkpoint(Signed<Checkpoint>),
    /// What a replica has and lacks.
    Status(Status),
    /// A replica leaves its view.
    ViewChange(Arc<ViewChange>),
    /// The primary of a new view opens it.
    NewView(Arc<NewView>),
    /// A replica asks for bodies.
    Fetch(Signed<FetchStatement>),
    /// A body that was asked for. It bears no signature of its sender: its digest was named.
    Body(Arc<Batch>),
    /// A batch that was committed, for a replica that comes from another view. It bears no
    /// signature of its sender: the certificate speaks for itself.
    Committed(Arc<CommitCertificate>, Arc<Batch>),
    /// The proof of a stable checkpoint, for a replica that messages cannot bring up to it. It bears
    /// no signature of its sender: the certificate speaks for itself.
    Stable(Arc<CheckpointCertificate>),
    /// A replica asks for a piece of a state.
    FetchState(Signed<FetchState>),
    /// The list of the parts of a state.
    StateManifest(Arc<StateManifest>),
    /// A piece of a part.
    StateSlice(Arc<StateSlice>),
}

impl Message {
    /// The replica that says it; `None` for a client's request, and for what bears no signature of
    /// its sender.
    pub fn sender(&self) -> Option<ReplicaId> {
        match self {
            Message::Request(_) | Message::Read(_) => None,
            Message::PrePrepare(signed, _) => Some(signed.body.replica),
            Message::Prepare(signed) => Some(signed.body.replica),
            Message::Commit(signed) => Some(signed.body.replica),
            Message::Checkpoint(signed) => Some(signed.body.replica),
            Message::Status(signed) => Some(signed.body.replica),
            Message::ViewChange(view_change) => Some(view_change.body().replica),
            Message::NewView(new_view) => Some(new_view.body().replica),
            Message::Fetch(signed) => Some(signed.body.replica),
            Message::Body(_) | Message::Committed(..) | Message::Stable(_) => None,
            Message::FetchState(signed) => Some(signed.body.replica),
            Message::StateManifest(manifest) => Some(manifest.signed.body.replica),
            Message::StateSlice(slice) => Some(slice.signed.body.replica),
        }
    }

    /// Whether it is a word of agreement: two of them can contradict each other.
    pub(super) fn is_vote(&self) -> bool {
        matches!(
            self,
            Message::PrePrepare(..)
                | Message::Prepare(_)
                | Message::Commit(_)
                | Message::Checkpoint(_)
                | Message::ViewChange(_)
                | Message::NewView(_)
        )
    }

    /// The name of the kind, as counters and metrics use it.
    pub fn kind(&self) -> &'static str {
        match self {
            Message::Request(_) => "request",
            Message::Read(_) => "read",
            Message::PrePrepare(..) => "pre-prepare",
            Message::Prepare(_) => "prepare",
            Message::Commit(_) => "commit",
            Message::Checkpoint(_) => "checkpoint",
            Message::Status(_) => "status",
            Message::ViewChange(_) => "view-change",
            Message::NewView(_) => "new-view",
            Message::Fetch(_) => "fetch",
            Message::Body(_) => "body",
            Message::Committed(..) => "committed",
            Message::Stable(_) => "stable",
            Message::FetchState(_) => "fetch-state",
            Message::StateManifest(_) => "state-manifest",
            Message::StateSlice(_) => "state-slice",
        }
    }
}

impl Claimed for Message {
    fn claims(&self, sink: &mut Claims<'_>) {
        match self {
            Message::Request(request) | Message::Read(request) => request.claims(sink),
            Message::PrePrepare(signed, batch) => {
                // Before any signature: a batch that its proposal does not name costs a digest.
                if signed.body.digest != batch.digest() {
                    return sink.refuse("a pre-prepare names another batch");
                }
                sink.signed(signed);
                batch.requests().iter().for_each(|request| request.claims(sink));
            }
            Message::Prepare(signed) => sink.signed(signed),
            Message::Commit(signed) => sink.signed(signed),
            Message::Checkpoint(signed) => sink.signed(signed),
            Message::Status(signed) => sink.signed(signed),
            Message::ViewChange(view_change) => view_change.claims(sink),
            Message::NewView(new_view) => new_view.claims(sink),
            Message::Fetch(signed) => sink.signed(signed),
            Message::Body(batch) => {
                batch.requests().iter().for_each(|request| request.claims(sink));
            }
            Message::Committed(certificate, batch) => {
                if certificate.digest != batch.digest() {
                    return sink.refuse("a commit certificate names another batch");
                }
                certificate.claims(sink);
                batch.requests().iter().for_each(|request| request.claims(sink));
            }
            Message::Stable(certificate) => certificate.claims(sink),
            Message::FetchState(signed) => sink.signed(signed),
            Message::StateManifest(manifest) => manifest.claims(sink),
            Message::StateSlice(slice) => slice.claims(sink),
        }
    }

    /// A proposal with a request whose MAC entry for this replica is bad is kept, marked: f + 1
    /// replicas may vouch for it, or a certificate does. A bare request with a bad entry is refused.
    fn forgive_mac(&mut self, nth: usize) -> bool {
        let (Message::PrePrepare(_, batch) | Message::Body(batch) | Message::Committed(_, batch)) =
            self
        else {
            return false;
        };
        match Arc::get_mut(batch).and_then(|batch| batch.request_mut(nth)) {
            Some(request) => {
                request.mark_for_vouching();
                true
            }
            None => false,
        }
    }
}

impl Sealable for Message {
    fn seal(&mut self, sealer: &mut Sealer) {
        match self {
            // A client's word; a replica cannot seal it.
            Message::Request(_) | Message::Read(_) => {}
            Message::PrePrepare(signed, _) => sealer.seal(signed),
            Message::Prepare(signed) => sealer.seal(signed),
            Message::Commit(signed) => sealer.seal(signed),
            Message::Checkpoint(signed) => sealer.seal(signed),
            Message::Status(signed) => sealer.seal(signed),
            Message::ViewChange(view_change) => Arc::make_mut(view_change).seal(sealer),
            Message::NewView(new_view) => Arc::make_mut(new_view).seal(sealer),
            Message::Fetch(signed) => sealer.seal(signed),
            // Their signatures are there already: such a message is relayed, not said.
            Message::Body(_) | Message::Committed(..) | Message::Stable(_) => {}
            Message::FetchState(signed) => sealer.seal(signed),
            Message::StateManifest(manifest) => Arc::make_mut(manifest).seal(sealer),
            Message::StateSlice(slice) => Arc::make_mut(slice).seal(sealer),
        }
    }
}

impl Statement for StatusStatement {
    const DOMAIN: Domain = Domain::Status;
    fn signer(&self) -> Signer {
        Signer::Replica(self.replica.0)
    }
}

impl Statement for FetchStatement {
    const DOMAIN: Domain = Domain::Fetch;
    fn signer(&self) -> Signer {
        Signer::Replica(self.replica.0)
    }
}

impl Encode for FetchStatement {
    fn encode(&self, out: &mut Vec<u8>) {
        self.round.encode(out);
        encode_sequence(&self.digests, out);
        self.replica.encode(out);
    }
}

impl Decode for FetchStatement {
    const SIZE_MIN: usize = 8 + 4 + 2;
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(FetchStatement {
            round: u64::decode(reader)?,
            digests: reader.sequence(FETCH_DIGESTS_MAX, "fetched digests")?,
            replica: ReplicaId::decode(reader)?,
        })
    }
}

impl Encode for ViewPhase {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
}

impl Decode for ViewPhase {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        match u8::decode(reader)? {
            0 => Ok(ViewPhase::Changing),
            1 => Ok(ViewPhase::Opened),
            2 => Ok(ViewPhase::Active),
            3 => Ok(ViewPhase::Rejoining),
            tag => Err(WireError::Tag { tag, of: "view phase" }),
        }
    }
}

impl Encode for StatusStatement {
    fn encode(&self, out: &mut Vec<u8>) {
        self.round.encode(out);
        self.attempt.encode(out);
        self.view.encode(out);
        self.phase.encode(out);
        encode_sequence(&self.view_changes, out);
        self.stable.encode(out);
        self.executed.encode(out);
        encode_sequence(&self.slots, out);
        self.answers.encode(out);
        self.replica.encode(out);
    }
}

impl Encode for Heard {
    fn encode(&self, out: &mut Vec<u8>) {
        self.replica.encode(out);
        self.round.encode(out);
    }
}

impl Decode for Heard {
    const SIZE_MIN: usize = 2 + 8;
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Heard { replica: ReplicaId::decode(reader)?, round: u64::decode(reader)? })
    }
}

impl Decode for StatusStatement {
    const SIZE_MIN: usize = 8 + 4 + 8 + 1 + 4 + 8 + 8 + 4 + 1 + 2;
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(StatusStatement {
            round: u64::decode(reader)?,
            attempt: u32::decode(reader)?,
            view: View::decode(reader)?,
            phase: ViewPhase::decode(reader)?,
            view_changes: reader.sequence(usize::from(REPLICAS_MAX), "view-changes had")?,
            stable: Seq::decode(reader)?,
            executed: Seq::decode(reader)?,
            slots: reader.sequence(STATUS_SLOTS_MAX, "status slots")?,
            answers: Option::decode(reader)?,
            replica: ReplicaId::decode(reader)?,
        })
    }
}

impl Encode for SlotStatus {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.pre_prepared)
                | u8::from(self.prepared) << 1
                | u8::from(self.committed) << 2,
        );
    }
}

impl Decode for SlotStatus {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        match u8::decode(reader)? {
            bits @ 0..8 => Ok(SlotStatus {
                pre_prepared: bits & 1 != 0,
                prepared: bits & 2 != 0,
                committed: bits & 4 != 0,
            }),
            _ => Err(WireError::NotCanonical { of: "slot status" }),
        }
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Request(request) => {
                out.push(0);
                request.encode(out);
            }
            Message::PrePrepare(signed, batch) => {
                out.push(1);
                signed.encode(out);
                batch.encode(out);
            }
            Message::Prepare(signed) => {
                out.push(2);
                signed.encode(out);
            }
            Message::Commit(signed) => {
                out.push(3);
                signed.encode(out);
            }
            Message::Checkpoint(signed) => {
                out.push(4);
                signed.encode(out);
            }
            Message::Status(signed) => {
                out.push(5);
                signed.encode(out);
            }
            Message::ViewChange(view_change) => {
                out.push(6);
                view_change.encode(out);
            }
            Message::NewView(new_view) => {
                out.push(7);
                new_view.encode(out);
            }
            Message::Fetch(signed) => {
                out.push(8);
                signed.encode(out);
            }
            Message::Body(batch) => {
                out.push(9);
                batch.encode(out);
            }
            Message::Committed(certificate, batch) => {
                out.push(10);
                certificate.encode(out);
                batch.encode(out);
            }
            Message::Stable(certificate) => {
                out.push(STABLE);
                certificate.encode(out);
            }
            Message::FetchState(signed) => {
                out.push(FETCH_STATE);
                signed.encode(out);
            }
            Message::StateManifest(manifest) => {
                out.push(STATE_MANIFEST);
                manifest.encode(out);
            }
            Message::StateSlice(slice) => {
                out.push(STATE_SLICE);
                slice.encode(out);
            }
            Message::Read(request) => {
                out.push(READ);
                request.encode(out);
            }
        }
    }
}

impl Decode for Message {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(match u8::decode(reader)? {
            0 => Message::Request(SignedRequest::decode(reader)?),
            1 => Message::PrePrepare(Signed::decode(reader)?, Arc::new(Batch::decode(reader)?)),
            2 => Message::Prepare(Signed::decode(reader)?),
            3 => Message::Commit(Signed::decode(reader)?),
            4 => Message::Checkpoint(Signed::decode(reader)?),
            5 => Message::Status(Signed::decode(reader)?),
            6 => Message::ViewChange(Arc::new(ViewChange::decode(reader)?)),
            7 => Message::NewView(Arc::new(NewView::decode(reader)?)),
            8 => Message::Fetch(Signed::decode(reader)?),
            9 => Message::Body(Arc::new(Batch::decode(reader)?)),
            10 => {
                let certificate = Arc::new(CommitCertificate::decode(reader)?);
                Message::Committed(certificate, Arc::new(Batch::decode(reader)?))
            }
            STABLE => Message::Stable(Arc::new(Decode::decode(reader)?)),
            FETCH_STATE => Message::FetchState(Signed::decode(reader)?),
            STATE_MANIFEST => Message::StateManifest(Arc::new(Decode::decode(reader)?)),
            STATE_SLICE => Message::StateSlice(Arc::new(Decode::decode(reader)?)),
            READ => Message::Read(SignedRequest::decode(reader)?),
            tag => return Err(WireError::Tag { tag, of: "message" }),
        })
    }
}

const _: () = assert!(STATUS_SLOTS_MAX < 256 && REPLICAS_MAX <= 256);
