//! Batches: what a pre-prepare orders.

use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Tag;
use quorumark_primitives::prefetch::prefetch;
use quorumark_primitives::wire::{Decode, Encode, FRAME_BYTES_MAX, Reader, WireError};

use super::{BATCH_REQUESTS_MAX, Head, RequestView, SignedRequest, TOGETHER, digests};

/// How many requests before its own the memory of one is asked for while a batch is read.
const LOOK_AHEAD: usize = 8;

/// What the digests of batches are bound to.
static BATCH: Tag = Tag::new(b"quorumark/batch");

/// The ordered requests of one sequence number, in the one piece of memory in which they lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    heads: Vec<Head>,
    digest: Digest,
    /// All of it, as it lies in a frame.
    encoding: Bytes,
}

impl Batch {
    /// A batch of these requests in this order. They are copied.
    ///
    /// # Panics
    /// When they have more than [`FRAME_BYTES_MAX`] bytes together.
    pub fn new(requests: Vec<SignedRequest>) -> Batch {
        let bytes = size_of::<u32>() + requests.iter().map(SignedRequest::size).sum::<usize>();
        assert!(bytes <= FRAME_BYTES_MAX, "a batch of {bytes} bytes fits no frame");
        let mut encoding = Vec::with_capacity(bytes);
        let mut heads = Vec::with_capacity(requests.len());
        (requests.len() as u32).encode(&mut encoding);
        for request in requests {
            let at = encoding.len() as u32;
            request.encode(&mut encoding);
            heads.push(Head { at, ..request.head });
        }
        Batch::of(heads, encoding.into())
    }

    fn of(heads: Vec<Head>, encoding: Bytes) -> Batch {
        let mut hash = BATCH.hasher();
        hash.update(&(heads.len() as u32).to_le_bytes());
        heads.iter().for_each(|head| hash.update(&head.digest.0));
        Batch { heads, digest: hash.finish(), encoding }
    }

    /// The null request of PBFT 4.4: it orders nothing. Only a new-view names it.
    pub fn null() -> Batch {
        Batch::new(Vec::new())
    }

    /// Whether it orders nothing.
    pub fn is_null(&self) -> bool {
        self.heads.is_empty()
    }

    /// The requests, in order.
    pub fn requests(
        &self,
    ) -> impl DoubleEndedIterator<Item = RequestView<'_>> + ExactSizeIterator + Clone {
        self.heads.iter().map(|head| self.view(head))
    }

    /// The request at a place in the order, if there is one.
    pub fn request(&self, nth: u32) -> Option<RequestView<'_>> {
        self.heads.get(nth as usize).map(|head| self.view(head))
    }

    fn view<'a>(&'a self, head: &'a Head) -> RequestView<'a> {
        RequestView { head, encoding: head.encoding(&self.encoding) }
    }

    /// The digest that a pre-prepare names: it binds every request and their order.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The bytes in which all of its requests lie.
    pub fn frame(&self) -> &Bytes {
        &self.encoding
    }

    /// Bytes of its requests in a frame.
    pub(crate) fn request_bytes(&self) -> usize {
        self.encoding.len() - size_of::<u32>()
    }

    /// Makes it a view of a frame that ends in the batch's encoding.
    ///
    /// # Panics
    /// When the frame is shorter than that; in debug builds, when it holds something else.
    pub(crate) fn move_into_end_of(&mut self, frame: &Bytes) {
        let end = frame.slice(frame.len() - self.encoding.len()..);
        debug_assert!(end == self.encoding, "the frame is another value's");
        self.encoding = end;
    }

    /// The batch without what is known of its requests beside their frame.
    pub(crate) fn packed(&self) -> PackedBatch {
        PackedBatch { encoding: self.encoding.clone(), digest: self.digest }
    }

    /// Notes that this replica's MAC entry of a request did not match: the request is authentic here
    /// only once a weak quorum vouches for it. Whether there is such a request.
    pub(crate) fn mark_for_vouching(&mut self, nth: usize) -> bool {
        let head = self.heads.get_mut(nth);
        head.map(|head| head.needs_vouching = true).is_some()
    }
}

impl Encode for Batch {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encoding);
    }
}

impl Decode for Batch {
    const SIZE_MIN: usize = 4;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let before = reader.unread();
        let count = reader.count::<SignedRequest>(BATCH_REQUESTS_MAX, "batch")?;
        let mut heads = Vec::with_capacity(count);
        for _ in 0..count {
            let head = Head::read(reader, before)?;
            // Where one begins the one before tells, so a processor cannot look ahead; those of a batch
            // are mostly of one length.
            let ahead = head.at as usize + LOOK_AHEAD * head.bytes as usize;
            before.get(ahead).into_iter().for_each(prefetch);
            heads.push(head);
        }
        for together in heads.chunks_mut(TOGETHER) {
            let digests = digests(together.iter().map(|head| head.digested(before)));
            together.iter_mut().zip(digests).for_each(|(one, digest)| one.put_digest(digest));
        }
        let read = before.get(..before.len() - reader.remaining()).unwrap_or_default();
        Ok(Batch::of(heads, reader.keep(read)))
    }
}

/// A batch that is kept for peers alone: its place in the frame that it came in, and not its requests
/// one by one, each of which takes 64 bytes more.
#[derive(Clone, Debug)]
pub(crate) struct PackedBatch {
    encoding: Bytes,
    digest: Digest,
}

impl PackedBatch {
    /// [`Batch::digest`].
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes of its requests.
    pub(crate) fn request_bytes(&self) -> usize {
        self.encoding.len() - size_of::<u32>()
    }

    /// The batch again. What this replica found of its requests' proofs is forgotten: it is no proof of
    /// its own that they were checked here.
    pub(crate) fn unpacked(&self) -> Batch {
        let batch = Batch::decode(&mut Reader::new(&self.encoding));
        batch.expect("it was decoded from these bytes, or encoded to them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Authentic, ClientProof, Request};
    use crate::types::{ClientId, Timestamp};

    fn batch() -> Batch {
        let request = |nth: u64| {
            let operation = Bytes::from(vec![nth as u8; nth as usize]);
            let request = Request { client: ClientId(7), timestamp: Timestamp(nth), operation };
            SignedRequest::new(request, ClientProof::None)
        };
        Batch::new((0..5).map(request).collect())
    }

    #[test]
    fn a_mark_is_that_of_one_request_and_stays_with_it_by_itself() {
        let mut batch = batch();
        assert!(batch.mark_for_vouching(3) && !batch.mark_for_vouching(5));
        for (nth, request) in batch.requests().enumerate() {
            assert_eq!(request.is_checked(), nth != 3);
            let by_itself = Authentic::<SignedRequest>::by_own_check(request.apart());
            assert_eq!(by_itself.is_some(), nth != 3);
        }
        let again = Batch::new(batch.requests().map(RequestView::apart).collect());
        assert_eq!(again, batch, "with its mark");
        assert_ne!(again, self::batch());
    }

    #[test]
    fn a_request_by_itself_holds_nothing_of_its_batch() {
        let batch = batch();
        let requests: Vec<SignedRequest> = batch.requests().map(RequestView::apart).collect();
        assert!(batch.frame().is_unique());
        for (request, view) in requests.iter().zip(batch.requests()) {
            assert_eq!(request.operation(), view.operation());
            assert_eq!((request.id(), request.digest()), (view.id(), view.digest()));
            assert_eq!(&SignedRequest::from_frame(&request.to_frame()).unwrap(), request);
        }
    }
}
