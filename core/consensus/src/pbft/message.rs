//! What PBFT replicas say to each other: each statement with what travels beside it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use quorumark_primitives::signed::{Claimed, Claims, Sealable, Sealer, Signed};
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError};

use super::certificate::{CheckpointCertificate, CommitCertificate};
use super::state_message::{FetchState, StateManifest, StateSlice};
use super::statement::{Checkpoint, Commit, FetchStatement, PrePrepare, Prepare, Status};
use super::view_message::{NewView, ViewChange};
use crate::request::{Batch, SignedRequest};
use crate::types::ReplicaId;

// The tags of what concerns the state.
const STABLE: u8 = 11;
const FETCH_STATE: u8 = 12;
const STATE_MANIFEST: u8 = 13;
const STATE_SLICE: u8 = 14;
/// The tag of a request that only reads, as clients send it.
pub const READ: u8 = 15;

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
