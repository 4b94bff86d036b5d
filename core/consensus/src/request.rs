//! Client requests, the batches that order them, and replies.

mod batch;

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::hash::Tag;
use quorumark_primitives::mac::Authenticator;
use quorumark_primitives::signed::{Claims, Domain, Signer, Statement};
use quorumark_primitives::wire::{
    Decode, Encode, FRAME_BYTES_MAX, Reader, WireError, encode_bytes,
};

pub use self::batch::Batch;
pub(crate) use self::batch::PackedBatch;
use crate::committee::Committee;
use crate::types::{ClientId, ReplicaId, Seq, Timestamp, View};

/// The largest operation, in bytes.
pub const OPERATION_BYTES_MAX: usize = 1 << 20;
/// The largest result, in bytes.
pub const RESULT_BYTES_MAX: usize = 1 << 20;
/// The most requests that a batch can be configured to hold.
pub const BATCH_REQUESTS_MAX: usize = 4096;

/// What the digests of requests are bound to.
static REQUEST: Tag = Tag::new(b"quorumark/request");

/// Requests that are digested side by side.
pub(crate) const TOGETHER: usize = 32;
/// Bytes of a request's encoding before its operation: client, timestamp and the operation's length.
const HEAD: usize = 4 + 8 + 4;

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
        let mut head = [0; HEAD];
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

impl ClientProof {
    /// Bytes of its encoding.
    fn encoded_bytes(&self) -> usize {
        match self {
            ClientProof::Signature(_) => 1 + 64,
            ClientProof::Mac(authenticator) => 1 + authenticator.encoded_bytes(),
            ClientProof::None => 1,
        }
    }
}

impl Encode for ClientProof {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ClientProof::Signature(signature) => {
                out.push(SIGNATURE);
                signature.encode(out);
            }
            ClientProof::Mac(authenticator) => {
                out.push(MAC);
                authenticator.encode(out);
            }
            ClientProof::None => out.push(NONE),
        }
    }
}

impl Decode for ClientProof {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match u8::decode(reader)? {
            SIGNATURE => ClientProof::Signature(Signature::decode(reader)?),
            MAC => ClientProof::Mac(Authenticator::decode(reader)?),
            NONE => ClientProof::None,
            tag => return Err(WireError::Tag { tag, of: "client proof" }),
        })
    }
}

const SIGNATURE: u8 = 0;
const MAC: u8 = 1;
const NONE: u8 = 2;

/// What is known of a request with its proof, beside its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Head {
    digest: Digest,
    timestamp: Timestamp,
    client: ClientId,
    operation_bytes: u32,
    /// Where it begins in the bytes that hold it, and how many are its own.
    at: u32,
    bytes: u32,
    needs_vouching: bool,
}

// Those of a batch are gone through again and again: each is as large as a cache line.
const _: () = assert!(size_of::<Head>() == 64);

impl Head {
    /// Reads over a signed request whose digest is still to be put in its place; `before` is what was
    /// unread where the bytes that hold it begin.
    #[inline(always)]
    fn read(reader: &mut Reader<'_>, before: &[u8]) -> Result<Head, WireError> {
        let at = before.len() - reader.remaining();
        let (client, timestamp, operation_bytes) = SignedRequest::read(reader)?;
        let end = before.len() - reader.remaining();
        if end > FRAME_BYTES_MAX {
            return Err(WireError::Length { length: end, max: FRAME_BYTES_MAX, of: "batch" });
        }
        let (at, bytes) = (at as u32, (end - at) as u32);
        let (digest, needs_vouching) = (Digest::ZERO, false);
        Ok(Head { digest, timestamp, client, operation_bytes, at, bytes, needs_vouching })
    }

    /// The request and its proof, in the bytes that hold them.
    fn encoding<'a>(&self, held: &'a [u8]) -> &'a [u8] {
        held.split_at(self.at as usize).1.split_at(self.bytes as usize).0
    }

    /// Where in its encoding the proof begins.
    fn proof_at(&self) -> usize {
        HEAD + self.operation_bytes as usize
    }

    /// What its digest is of: the encoding of the request without its proof.
    fn digested<'a>(&self, held: &'a [u8]) -> &'a [u8] {
        held.split_at(self.at as usize).1.split_at(self.proof_at()).0
    }

    /// Puts the digest in its place.
    fn put_digest(&mut self, digest: Digest) {
        debug_assert!(self.digest == Digest::ZERO, "it is computed once");
        self.digest = digest;
    }
}

/// A request with its proof and its digest, as it travels.
///
/// It is a view of its encoding: operation and proof lie where they arrived, and it is moved as
/// cheaply as a vote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedRequest {
    /// The request, then its proof.
    encoding: Bytes,
    head: Head,
}

// As it arrives it is a message, and a message is as large as a vote.
const _: () = assert!(size_of::<SignedRequest>() <= 96);

impl SignedRequest {
    /// Joins a request and its proof.
    pub fn new(request: Request, proof: ClientProof) -> SignedRequest {
        SignedRequest::prove(request, |_| proof)
    }

    /// Joins a request and the proof that its client makes of its digest.
    ///
    /// # Panics
    /// When the operation is longer than [`OPERATION_BYTES_MAX`].
    pub fn prove(request: Request, proof: impl FnOnce(Digest) -> ClientProof) -> SignedRequest {
        let operation_bytes = request.operation.len();
        assert!(operation_bytes <= OPERATION_BYTES_MAX, "an operation of {operation_bytes} bytes");
        let digest = request.digest();
        let proof = proof(digest);
        // As much as it takes: what is kept has no room to spare.
        let mut encoding = Vec::with_capacity(HEAD + operation_bytes + proof.encoded_bytes());
        request.encode(&mut encoding);
        proof.encode(&mut encoding);
        let head = Head {
            digest,
            timestamp: request.timestamp,
            client: request.client,
            operation_bytes: operation_bytes as u32,
            at: 0,
            bytes: encoding.len() as u32,
            needs_vouching: false,
        };
        SignedRequest { encoding: encoding.into(), head }
    }

    /// Takes a whole encoding as a signed request, whose digest is still to be put in its place. No
    /// reference to the encoding is counted, and nothing is allocated.
    ///
    /// # Errors
    /// [`WireError`].
    pub(crate) fn undigested(encoding: Bytes) -> Result<SignedRequest, WireError> {
        let mut reader = Reader::of_slice(&encoding);
        let head = Head::read(&mut reader, &encoding)?;
        reader.finish()?;
        Ok(SignedRequest { encoding, head })
    }

    /// Reads over a signed request: client, timestamp and the operation's length. Inlined always: as
    /// a result in memory it was stored in halves and loaded whole, which a processor waits for.
    #[inline(always)]
    fn read(reader: &mut Reader<'_>) -> Result<(ClientId, Timestamp, u32), WireError> {
        let (client, timestamp) = (ClientId::decode(reader)?, Timestamp::decode(reader)?);
        let operation = reader.slice(OPERATION_BYTES_MAX, "operation")?;
        match u8::decode(reader)? {
            SIGNATURE => drop(reader.array::<64>()?),
            MAC => Authenticator::read_over(reader)?,
            NONE => {}
            tag => return Err(WireError::Tag { tag, of: "client proof" }),
        }
        Ok((client, timestamp, operation.len() as u32))
    }

    /// The request as those of a batch are seen.
    pub fn view(&self) -> RequestView<'_> {
        RequestView { head: &self.head, encoding: &self.encoding }
    }

    /// Who asks.
    pub fn client(&self) -> ClientId {
        self.head.client
    }

    /// The client's own request number.
    pub fn timestamp(&self) -> Timestamp {
        self.head.timestamp
    }

    /// What the application shall do, as it understands it.
    pub fn operation(&self) -> &[u8] {
        self.view().operation()
    }

    /// The request without its proof; the operation is a view of the same bytes.
    pub fn request(&self) -> Request {
        let operation = self.encoding.slice_ref(self.operation());
        Request { client: self.client(), timestamp: self.timestamp(), operation }
    }

    /// How the request shows its client, read from the encoding.
    pub fn proof(&self) -> ClientProof {
        ClientProof::from_slice(self.view().proof()).expect("a proof was read here when it arrived")
    }

    /// What its digest is of.
    pub(crate) fn digested(&self) -> &[u8] {
        self.head.digested(&self.encoding)
    }

    /// Puts the digest in its place.
    pub(crate) fn put_digest(&mut self, digest: Digest) {
        self.head.put_digest(digest);
    }

    /// [`Request::digest`], computed once.
    pub fn digest(&self) -> Digest {
        self.head.digest
    }

    /// What the exactly-once table and the in-flight set know the request by.
    pub fn id(&self) -> (ClientId, Timestamp) {
        self.view().id()
    }

    /// Lists what the verifier has to check.
    pub fn claims(&self, sink: &mut Claims<'_>) {
        self.view().claims(sink);
    }

    /// Whether this replica could check its proof by itself.
    pub(crate) fn is_checked(&self) -> bool {
        self.view().is_checked()
    }

    /// Bytes it takes in a frame.
    pub fn size(&self) -> usize {
        self.encoding.len()
    }
}

impl Encode for SignedRequest {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encoding);
    }
}

impl Decode for SignedRequest {
    const SIZE_MIN: usize = HEAD + 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let before = reader.unread();
        let mut head = Head::read(reader, before)?;
        head.put_digest(REQUEST.sha256(head.digested(before)));
        Ok(SignedRequest { encoding: reader.keep(head.encoding(before)), head })
    }
}

/// A request with its proof, seen where it lies: by itself, or in the frame of its batch.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    head: &'a Head,
    /// The request, then its proof.
    encoding: &'a [u8],
}

impl<'a> RequestView<'a> {
    /// Who asks.
    pub fn client(self) -> ClientId {
        self.head.client
    }

    /// The client's own request number.
    pub fn timestamp(self) -> Timestamp {
        self.head.timestamp
    }

    /// What the exactly-once table and the in-flight set know the request by.
    pub fn id(self) -> (ClientId, Timestamp) {
        (self.head.client, self.head.timestamp)
    }

    /// What the application shall do, as it understands it.
    pub fn operation(self) -> &'a [u8] {
        self.encoding.split_at(self.head.proof_at()).0.split_at(HEAD).1
    }

    /// The same by itself: a copy, which holds nothing else in memory.
    pub fn apart(self) -> SignedRequest {
        let encoding = Bytes::copy_from_slice(self.encoding);
        SignedRequest { encoding, head: Head { at: 0, ..self.head.clone() } }
    }

    /// The request without its proof; the operation is copied.
    pub fn request(self) -> Request {
        let operation = Bytes::copy_from_slice(self.operation());
        Request { client: self.client(), timestamp: self.timestamp(), operation }
    }

    /// The encoding of the [`ClientProof`].
    fn proof(self) -> &'a [u8] {
        self.encoding.split_at(self.head.proof_at()).1
    }

    /// [`Request::digest`], computed once.
    pub fn digest(self) -> Digest {
        self.head.digest
    }

    /// Lists what the verifier has to check.
    pub fn claims(self, sink: &mut Claims<'_>) {
        let Head { client, digest, .. } = *self.head;
        match self.proof().split_first() {
            Some((&SIGNATURE, signature)) => {
                let signature = signature.first_chunk().expect("a signature was read here");
                sink.statement(&RequestStatement { client, digest }, &Signature(*signature));
            }
            Some((&MAC, tags)) => {
                sink.mac(client.0, &digest.0, |replica| Authenticator::tag_in(tags, replica));
            }
            _ => sink.unauthenticated(),
        }
    }

    /// Whether this replica could check its proof by itself.
    pub(crate) fn is_checked(self) -> bool {
        !self.head.needs_vouching
    }
}

/// The digests of requests that have none yet, of which there are at most [`TOGETHER`]; `digested` are
/// the encodings without their proofs.
pub(crate) fn digests<'r>(digested: impl Iterator<Item = &'r [u8]>) -> [Digest; TOGETHER] {
    let (mut encodings, mut digests) = ([&[][..]; TOGETHER], [Digest::ZERO; TOGETHER]);
    let mut count = 0;
    for (place, encoding) in encodings.iter_mut().zip(digested) {
        *place = encoding;
        count += 1;
    }
    if count > 0 {
        // None are there where all that came are votes.
        let (encodings, digests) = (encodings.split_at(count).0, digests.split_at_mut(count).0);
        Request::digest_each(encodings, digests);
    }
    digests
}

/// A value whose clients are established at this replica. Under signatures every verified request
/// is; under MACs a replica's own entry, or f + 1 replicas that vouch, make it so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authentic<T>(T);

impl Authentic<SignedRequest> {
    /// A verified request whose own proof this replica could check.
    pub fn by_own_check(request: SignedRequest) -> Option<Authentic<SignedRequest>> {
        request.is_checked().then_some(Authentic(request))
    }
}

impl Authentic<Arc<Batch>> {
    /// A verified batch all of whose requests this replica could check.
    pub fn by_own_check(batch: &Arc<Batch>) -> Option<Authentic<Arc<Batch>>> {
        batch.requests().all(RequestView::is_checked).then(|| Authentic(Arc::clone(batch)))
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
