//! Client requests, the batches that order them, and replies.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::hash::Tag;
use quorumark_primitives::mac::Authenticator;
use quorumark_primitives::signed::{Claims, Domain, Signer, Statement};
use quorumark_primitives::wire::{
    Decode, Encode, Reader, WireError, encode_bytes, encode_sequence,
};

use crate::committee::Committee;
use crate::types::{ClientId, ReplicaId, Seq, Timestamp, View};

/// The largest operation, in bytes.
pub const OPERATION_BYTES_MAX: usize = 1 << 20;
/// The largest result, in bytes.
pub const RESULT_BYTES_MAX: usize = 1 << 20;
/// The most requests that a batch can be configured to hold.
pub const BATCH_REQUESTS_MAX: usize = 4096;

/// What the digests of requests and of batches are bound to.
static REQUEST: Tag = Tag::new(b"quorumark/request");
static BATCH: Tag = Tag::new(b"quorumark/batch");

/// Requests that are digested side by side.
pub(crate) const TOGETHER: usize = 32;

/// What a client asks for (PBFT 4.1): `<REQUEST, o, t, c>`.
///
/// It binds client, timestamp and operation and no view, so that it can be proposed again later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Who asks.
    pub client: ClientId,
    /// The client's own request number; makes execution exactly-once.
    pub timestamp: Timestamp,
    /// What the application shall do, as it understands it; at most [`OPERATION_BYTES_MAX`] bytes.
    pub operation: Bytes,
}

impl Request {
    /// The digest that names the request in batches, and that its client signs: of its encoding,
    /// bound to what it is.
    pub fn digest(&self) -> Digest {
        // In one piece: each costs more than its bytes.
        let mut head = [0; 4 + 8 + 4];
        head[..4].copy_from_slice(&self.client.0.to_le_bytes());
        head[4..12].copy_from_slice(&self.timestamp.0.to_le_bytes());
        head[12..].copy_from_slice(&(self.operation.len() as u32).to_le_bytes());
        let mut hash = REQUEST.hasher();
        hash.update(&head);
        hash.update(&self.operation);
        hash.finish()
    }

    /// [`Request::digest`] of each request, from their encodings; many are digested side by side, as
    /// replicas do with those of a batch.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn digest_each(encodings: &[&[u8]], digests: &mut [Digest]) {
        REQUEST.sha256_each(encodings, digests);
    }

    /// Reads a request, and the bytes that its digest is of.
    fn decode<'a>(reader: &mut Reader<'a>) -> Result<(Request, &'a [u8]), WireError> {
        let before = reader.unread();
        let request = Request {
            client: ClientId::decode(reader)?,
            timestamp: Timestamp::decode(reader)?,
            operation: reader.bytes(OPERATION_BYTES_MAX, "operation")?,
        };
        Ok((request, before.get(..before.len() - reader.remaining()).unwrap_or_default()))
    }
}

impl Encode for Request {
    fn encode(&self, out: &mut Vec<u8>) {
        self.client.encode(out);
        self.timestamp.encode(out);
        encode_bytes(&self.operation, out);
    }
}

/// What a client signs: the digest of its request, under the request domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestStatement {
    /// Who signs.
    pub client: ClientId,
    /// [`Request::digest`].
    pub digest: Digest,
}

impl Encode for RequestStatement {
    fn encode(&self, out: &mut Vec<u8>) {
        self.client.encode(out);
        self.digest.encode(out);
    }
}

impl Statement for RequestStatement {
    const DOMAIN: Domain = Domain::Request;
    fn signer(&self) -> Signer {
        Signer::Client(self.client.0)
    }
}

/// How a request shows that it comes from its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientProof {
    /// The client's signature over the request's digest: every replica can check it.
    Signature(Signature),
    /// One MAC a replica: each replica can check its own entry only.
    Mac(Authenticator),
    /// Nothing. Not BFT; for comparison with systems that check nothing.
    None,
}

/// A request with its proof and its digest, as it travels and as the log keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedRequest {
    /// The request.
    pub request: Request,
    /// How it shows its client.
    pub proof: ClientProof,
    digest: Digest,
    needs_vouching: bool,
}

impl SignedRequest {
    /// Joins a request and its proof.
    pub fn new(request: Request, proof: ClientProof) -> SignedRequest {
        SignedRequest::prove(request, |_| proof)
    }

    /// Joins a request and the proof that its client makes of its digest.
    pub fn prove(request: Request, proof: impl FnOnce(Digest) -> ClientProof) -> SignedRequest {
        let digest = request.digest();
        SignedRequest { request, proof: proof(digest), digest, needs_vouching: false }
    }

    /// Reads a signed request whose digest is still to be put in its place, and the bytes that it
    /// is of.
    pub(crate) fn decode_undigested<'a>(
        reader: &mut Reader<'a>,
    ) -> Result<(SignedRequest, &'a [u8]), WireError> {
        let (request, bytes) = Request::decode(reader)?;
        let proof = match u8::decode(reader)? {
            0 => ClientProof::Signature(Signature::decode(reader)?),
            1 => ClientProof::Mac(Authenticator::decode(reader)?),
            2 => ClientProof::None,
            tag => return Err(WireError::Tag { tag, of: "client proof" }),
        };
        let digest = Digest::ZERO;
        Ok((SignedRequest { request, proof, digest, needs_vouching: false }, bytes))
    }

    /// [`Request::digest`], computed once.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What the exactly-once table and the in-flight set know the request by.
    pub fn id(&self) -> (ClientId, Timestamp) {
        (self.request.client, self.request.timestamp)
    }

    /// Lists what the verifier has to check.
    pub fn claims(&self, sink: &mut Claims<'_>) {
        let client = self.request.client;
        match &self.proof {
            ClientProof::Signature(signature) => {
                sink.statement(&RequestStatement { client, digest: self.digest }, signature);
            }
            ClientProof::Mac(authenticator) => {
                sink.mac(client.0, authenticator, &self.digest.0);
            }
            ClientProof::None => sink.unauthenticated(),
        }
    }

    /// Notes that this replica's MAC entry did not match: the request is authentic here only once
    /// a weak quorum vouches for it.
    pub(crate) fn mark_for_vouching(&mut self) {
        self.needs_vouching = true;
    }

    /// Whether this replica could check its proof by itself.
    pub(crate) fn is_checked(&self) -> bool {
        !self.needs_vouching
    }

    /// Bytes it takes in a frame, near enough to bound a batch.
    pub fn size(&self) -> usize {
        let proof = match &self.proof {
            ClientProof::Signature(_) => 64,
            ClientProof::Mac(authenticator) => 8 + 16 * authenticator.len(),
            ClientProof::None => 0,
        };
        17 + self.request.operation.len() + proof
    }
}

impl Encode for SignedRequest {
    fn encode(&self, out: &mut Vec<u8>) {
        self.request.encode(out);
        match &self.proof {
            ClientProof::Signature(signature) => {
                out.push(0);
                signature.encode(out);
            }
            ClientProof::Mac(authenticator) => {
                out.push(1);
                authenticator.encode(out);
            }
            ClientProof::None => out.push(2),
        }
    }
}

impl Decode for SignedRequest {
    const SIZE_MIN: usize = 4 + 8 + 4 + 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let (request, bytes) = SignedRequest::decode_undigested(reader)?;
        Ok(SignedRequest { digest: REQUEST.sha256(bytes), ..request })
    }
}

/// The ordered requests of one sequence number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    requests: Vec<SignedRequest>,
    digest: Digest,
}

impl Batch {
    /// A batch of these requests in this order.
    pub fn new(requests: Vec<SignedRequest>) -> Batch {
        let mut hash = BATCH.hasher();
        hash.update(&(requests.len() as u32).to_le_bytes());
        requests.iter().for_each(|request| hash.update(&request.digest.0));
        let digest = hash.finish();
        Batch { requests, digest }
    }

    /// The null request of PBFT 4.4: it orders nothing. Only a new-view names it.
    pub fn null() -> Batch {
        Batch::new(Vec::new())
    }

    /// Whether it orders nothing.
    pub fn is_null(&self) -> bool {
        self.requests.is_empty()
    }

    /// The requests, in order.
    pub fn requests(&self) -> &[SignedRequest] {
        &self.requests
    }

    /// The digest that a pre-prepare names: it binds every request and their order.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Hands every request to `visit`, to note what the verifier found.
    pub(crate) fn request_mut(&mut self, nth: usize) -> Option<&mut SignedRequest> {
        self.requests.get_mut(nth)
    }
}

impl Encode for Batch {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_sequence(&self.requests, out);
    }
}

impl Decode for Batch {
    const SIZE_MIN: usize = 4;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let count = reader.count::<SignedRequest>(BATCH_REQUESTS_MAX, "batch")?;
        let mut requests = Vec::with_capacity(count);
        while requests.len() < count {
            let together = TOGETHER.min(count - requests.len());
            decode_together(reader, together, &mut requests)?;
        }
        Ok(Batch::new(requests))
    }
}

/// Reads the next requests, at most [`TOGETHER`], and digests them side by side.
fn decode_together(
    reader: &mut Reader<'_>,
    count: usize,
    requests: &mut Vec<SignedRequest>,
) -> Result<(), WireError> {
    let mut undigested = Undigested::default();
    let first = requests.len();
    for _ in 0..count {
        let (request, bytes) = SignedRequest::decode_undigested(reader)?;
        requests.push(request);
        undigested.add(bytes);
    }
    undigested.digest(requests.iter_mut().skip(first));
    Ok(())
}

/// What the digests of requests are of that were read and have none yet: at most [`TOGETHER`].
#[derive(Default)]
pub(crate) struct Undigested<'a> {
    bytes: [&'a [u8]; TOGETHER],
    count: usize,
}

impl<'a> Undigested<'a> {
    /// Adds what [`SignedRequest::decode_undigested`] gave beside the request.
    pub(crate) fn add(&mut self, bytes: &'a [u8]) {
        debug_assert!(self.count < TOGETHER, "the next request is the {}th", self.count + 1);
        if let Some(place) = self.bytes.get_mut(self.count) {
            *place = bytes;
            self.count += 1;
        }
    }

    /// Gives the requests their digests, in the order in which they were read.
    pub(crate) fn digest<'r>(self, requests: impl Iterator<Item = &'r mut SignedRequest>) {
        if self.count == 0 {
            return; // A flush of votes.
        }
        let mut digests = [Digest::ZERO; TOGETHER];
        if let (Some(bytes), Some(digests)) =
            (self.bytes.get(..self.count), digests.get_mut(..self.count))
        {
            Request::digest_each(bytes, digests);
        }
        requests.zip(digests).for_each(|(request, digest)| request.digest = digest);
    }
}

/// A value whose clients are established at this replica. Under signatures every verified request
/// is; under MACs a replica's own entry, or f + 1 replicas that vouch, make it so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authentic<T>(T);

impl Authentic<Box<SignedRequest>> {
    /// A verified request whose own proof this replica could check.
    pub fn by_own_check(request: Box<SignedRequest>) -> Option<Authentic<Box<SignedRequest>>> {
        (!request.needs_vouching).then_some(Authentic(request))
    }
}

impl Authentic<Arc<Batch>> {
    /// A verified batch all of whose requests this replica could check.
    pub fn by_own_check(batch: &Arc<Batch>) -> Option<Authentic<Arc<Batch>>> {
        batch.requests.iter().all(SignedRequest::is_checked).then(|| Authentic(Arc::clone(batch)))
    }

    /// A batch that `vouchers` distinct replicas signed for: with a weak quorum, one of them is
    /// honest and had checked it.
    pub fn by_vouchers(
        batch: &Arc<Batch>,
        vouchers: usize,
        committee: Committee,
    ) -> Option<Authentic<Arc<Batch>>> {
        (vouchers >= committee.weak_quorum()).then(|| Authentic(Arc::clone(batch)))
    }
}

impl<T> Authentic<T> {
    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, by itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// What a replica answers (PBFT 4.1): `<REPLY, v, t, c, i, r>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The replica's view: tells the client who the primary is.
    pub view: View,
    /// The sequence number that executed it; 0 for a request that only reads and was not ordered.
    pub seq: Seq,
    /// The request's timestamp.
    pub timestamp: Timestamp,
    /// The client.
    pub client: ClientId,
    /// The replica that answers.
    pub replica: ReplicaId,
    /// The result; a client accepts it at f + 1 equal ones, or at a quorum where requests that only
    /// read are not ordered.
    pub result: Bytes,
    /// Whether the execution was tentative, or not ordered: such results need a quorum of equal
    /// replies.
    pub tentative: bool,
}

impl Encode for Reply {
    fn encode(&self, out: &mut Vec<u8>) {
        self.view.encode(out);
        self.seq.encode(out);
        self.timestamp.encode(out);
        self.client.encode(out);
        self.replica.encode(out);
        encode_bytes(&self.result, out);
        self.tentative.encode(out);
    }
}

impl Decode for Reply {
    const SIZE_MIN: usize = 8 + 8 + 8 + 4 + 2 + 4 + 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Reply {
            view: View::decode(reader)?,
            seq: Seq::decode(reader)?,
            timestamp: Timestamp::decode(reader)?,
            client: ClientId::decode(reader)?,
            replica: ReplicaId::decode(reader)?,
            result: reader.bytes(RESULT_BYTES_MAX, "result")?,
            tentative: bool::decode(reader)?,
        })
    }
}
