//! What PBFT replicas say to each other: each statement with what travels beside it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::{Buf, Bytes};
use quorumark_primitives::signed::{Claimed, Claims, Sealable, Sealer, Signed};
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError};

use super::certificate::{CheckpointCertificate, CommitCertificate};
use super::state_message::{FetchState, StateManifest, StateSlice};
use super::statement::{Checkpoint, Commit, FetchStatement, PrePrepare, Prepare, Status};
use super::view_message::{NewView, ViewChange};
use crate::request::{Batch, SignedRequest, TOGETHER, digests};
use crate::types::ReplicaId;

/// The kinds of messages by tag: what an encoding begins with, and what counters and metrics say.
pub const KINDS: [&str; 16] = [
    "request",
    "pre-prepare",
    "prepare",
    "commit",
    "checkpoint",
    "status",
    "view-change",
    "new-view",
    "fetch",
    "body",
    "committed",
    "stable",
    "fetch-state",
    "state-manifest",
    "state-slice",
    "read",
];

const REQUEST: u8 = 0;
const PRE_PREPARE: u8 = 1;
const PREPARE: u8 = 2;
const COMMIT: u8 = 3;
const CHECKPOINT: u8 = 4;
const STATUS: u8 = 5;
const VIEW_CHANGE: u8 = 6;
const NEW_VIEW: u8 = 7;
const FETCH: u8 = 8;
const BODY: u8 = 9;
const COMMITTED: u8 = 10;
const STABLE: u8 = 11;
const FETCH_STATE: u8 = 12;
const STATE_MANIFEST: u8 = 13;
const STATE_SLICE: u8 = 14;
/// The tag of a request that only reads, as clients send it.
pub const READ: u8 = 15;

/// Everything that travels between PBFT replicas, and from clients to them.
///
/// It is as large as a vote, of which there are the most, and is moved without a call: what is larger
/// lies apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// A client's request, from the client or forwarded by a backup.
    Request(SignedRequest),
    /// A client's request that only reads: answered without being ordered.
    Read(SignedRequest),
    /// The primary's proposal and its batch.
    PrePrepare(Box<Signed<PrePrepare>>, Arc<Batch>),
    /// A backup agrees to the order.
    Prepare(Signed<Prepare>),
    /// A replica is prepared.
    Commit(Signed<Commit>),
    /// A replica's state after a sequence number.
    Checkpoint(Signed<Checkpoint>),
    /// What a replica has and lacks.
    Status(Box<Status>),
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

// The most that compilers move by a few registers.
const _: () = assert!(size_of::<Message>() <= 128);

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

    /// Decodes frames and appends their messages, in order; returns how many frames were none.
    ///
    /// The requests of clients among them are digested side by side: many cost a fraction of what
    /// each costs alone. A request keeps its frame, and is a view of it.
    pub fn decode_each(frames: impl Iterator<Item = Bytes>, messages: &mut Vec<Message>) -> usize {
        let (mut frames, mut none) = (frames.peekable(), 0);
        while frames.peek().is_some() {
            let first = messages.len();
            for frame in frames.by_ref().take(TOGETHER) {
                match Message::decode_undigested(frame) {
                    Ok(message) => messages.push(message),
                    Err(_) => none += 1,
                }
            }
            let read = messages.split_at_mut(first).1;
            let undigested = read.iter().filter_map(Message::undigested);
            let digests = digests(undigested.map(SignedRequest::digested));
            let undigested = read.iter_mut().filter_map(Message::undigested_mut);
            undigested.zip(digests).for_each(|(request, digest)| request.put_digest(digest));
        }
        none
    }

    /// A frame's message; of a client's request without its digest.
    fn decode_undigested(mut frame: Bytes) -> Result<Message, WireError> {
        let kind = match frame.first() {
            Some(&REQUEST) => Message::Request,
            Some(&READ) => Message::Read,
            _ => return Message::from_frame(&frame),
        };
        frame.advance(1);
        SignedRequest::undigested(frame).map(kind)
    }

    /// The request that a client sent.
    fn undigested(&self) -> Option<&SignedRequest> {
        match self {
            Message::Request(request) | Message::Read(request) => Some(request),
            _ => None,
        }
    }

    fn undigested_mut(&mut self) -> Option<&mut SignedRequest> {
        match self {
            Message::Request(request) | Message::Read(request) => Some(request),
            _ => None,
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
        KINDS.get(usize::from(self.tag())).copied().unwrap_or_default()
    }

    /// The tag that its encoding begins with: its place in [`KINDS`].
    pub fn tag(&self) -> u8 {
        match self {
            Message::Request(_) => REQUEST,
            Message::PrePrepare(..) => PRE_PREPARE,
            Message::Prepare(_) => PREPARE,
            Message::Commit(_) => COMMIT,
            Message::Checkpoint(_) => CHECKPOINT,
            Message::Status(_) => STATUS,
            Message::ViewChange(_) => VIEW_CHANGE,
            Message::NewView(_) => NEW_VIEW,
            Message::Fetch(_) => FETCH,
            Message::Body(_) => BODY,
            Message::Committed(..) => COMMITTED,
            Message::Stable(_) => STABLE,
            Message::FetchState(_) => FETCH_STATE,
            Message::StateManifest(_) => STATE_MANIFEST,
            Message::StateSlice(_) => STATE_SLICE,
            Message::Read(_) => READ,
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
                batch.requests().for_each(|request| request.claims(sink));
            }
            Message::Prepare(signed) => sink.signed(signed),
            Message::Commit(signed) => sink.signed(signed),
            Message::Checkpoint(signed) => sink.signed(signed),
            Message::Status(signed) => sink.signed(signed),
            Message::ViewChange(view_change) => view_change.claims(sink),
            Message::NewView(new_view) => new_view.claims(sink),
            Message::Fetch(signed) => sink.signed(signed),
            Message::Body(batch) => {
                batch.requests().for_each(|request| request.claims(sink));
            }
            Message::Committed(certificate, batch) => {
                if certificate.digest != batch.digest() {
                    return sink.refuse("a commit certificate names another batch");
                }
                certificate.claims(sink);
                batch.requests().for_each(|request| request.claims(sink));
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
        Arc::get_mut(batch).is_some_and(|batch| batch.mark_for_vouching(nth))
    }
}

impl Sealable for Message {
    fn seal(&mut self, sealer: &mut Sealer) {
        match self {
            // A client's word; a replica cannot seal it.
            Message::Request(_) | Message::Read(_) => {}
            Message::PrePrepare(signed, _) => sealer.seal(&mut **signed),
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

    fn encoded_bytes(&self) -> Option<usize> {
        let Message::PrePrepare(_, batch) = self else { return None };
        Some(1 + <Signed<PrePrepare> as Decode>::SIZE_MIN + batch.frame().len())
    }

    /// Without this a primary would keep a batch twice for as long as its log has it: as it was put
    /// together, and in the frame of its proposal.
    fn move_into(&mut self, frame: &Bytes) {
        if let Message::PrePrepare(_, batch) = self
            && let Some(batch) = Arc::get_mut(batch)
        {
            batch.move_into_end_of(frame);
        }
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        match self {
            Message::Request(request) | Message::Read(request) => request.encode(out),
            Message::PrePrepare(signed, batch) => {
                signed.encode(out);
                batch.encode(out);
            }
            Message::Prepare(signed) => signed.encode(out),
            Message::Commit(signed) => signed.encode(out),
            Message::Checkpoint(signed) => signed.encode(out),
            Message::Status(signed) => signed.encode(out),
            Message::ViewChange(view_change) => view_change.encode(out),
            Message::NewView(new_view) => new_view.encode(out),
            Message::Fetch(signed) => signed.encode(out),
            Message::Body(batch) => batch.encode(out),
            Message::Committed(certificate, batch) => {
                certificate.encode(out);
                batch.encode(out);
            }
            Message::Stable(certificate) => certificate.encode(out),
            Message::FetchState(signed) => signed.encode(out),
            Message::StateManifest(manifest) => manifest.encode(out),
            Message::StateSlice(slice) => slice.encode(out),
        }
    }
}

impl Decode for Message {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match u8::decode(reader)? {
            REQUEST => Message::Request(SignedRequest::decode(reader)?),
            PRE_PREPARE => {
                let signed = Box::new(Signed::decode(reader)?);
                Message::PrePrepare(signed, Arc::new(Batch::decode(reader)?))
            }
            PREPARE => Message::Prepare(Signed::decode(reader)?),
            COMMIT => Message::Commit(Signed::decode(reader)?),
            CHECKPOINT => Message::Checkpoint(Signed::decode(reader)?),
            STATUS => Message::Status(Box::new(Signed::decode(reader)?)),
            VIEW_CHANGE => Message::ViewChange(Arc::new(ViewChange::decode(reader)?)),
            NEW_VIEW => Message::NewView(Arc::new(NewView::decode(reader)?)),
            FETCH => Message::Fetch(Signed::decode(reader)?),
            BODY => Message::Body(Arc::new(Batch::decode(reader)?)),
            COMMITTED => {
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
