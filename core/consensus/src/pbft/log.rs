//! The message log: one slot a sequence number, three windows long.
//!
//! Slots `h + 1 ..= h + L` are the window. Slots `h + L + 1 ..= h + 2L` keep what arrives early, so
//! nothing that a faster replica says is lost before the low watermark moves. Slots `h - L + 1 ..=
//! h` are read only to repair peers, and what this view committed is kept packed there: the primary
//! proposes at most L above its own low watermark, so a primary that lost messages can always be
//! brought up by messages alone. A slot holds at most one proposal of the view, and one prepare and
//! one commit of each replica; across views it keeps the prepared certificate of the highest view, the
//! proof that it was committed, and the bodies of the last few batches that it accepted. That is the
//! bound of the log: `3L * (6 batches + 2n votes + 2 certificates)`. It keeps each signature, as
//! certificates need them.
//!
//! # Across views
//! What is of the current view (offer, votes, stage) goes when the view is left ([`Slot::leave`]);
//! what outlives it:
//! - `prepared`: what a VIEW-CHANGE shows (PBFT 4.4). A later view in which the slot was not prepared
//!   again does not take it away: that is why a committed batch survives any number of views.
//! - `committed`: execution is once. A slot that was committed takes part in its agreement again, for
//!   the others' sake, and never for another digest.
//! - `bodies`: f + 1 honest replicas accepted what a certificate names, and keep it to be fetched.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::signed::Signed;

use super::certificate::{CommitCertificate, PreparedCertificate, Voucher};
use super::statement::{Commit, PrePrepare, Prepare};
use super::votes::Votes;
use crate::request::{Authentic, Batch, PackedBatch};
use crate::types::{Instant, ReplicaId, Seq, View};

/// How far a sequence number has come at this replica, in its view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Stage {
    /// No proposal is accepted.
    #[default]
    Open,
    /// A proposal is accepted; a backup said so with a prepare.
    PrePrepared,
    /// prepared(m, v, n, i) holds (PBFT 4.2).
    Prepared,
    /// committed-local(m, v, n, i) holds (PBFT 4.2).
    Committed,
}

/// The proposal of the view's primary.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) signed: Signed<PrePrepare>,
    /// The batch that it names, once it is here.
    pub(super) batch: Option<Arc<Batch>>,
    /// Whether a NEW-VIEW made it: then a verified certificate vouches for its requests.
    pub(super) by_new_view: bool,
}

/// What was committed, and who says so.
#[derive(Debug, Clone)]
pub(super) struct Committed {
    pub(super) certificate: Arc<CommitCertificate>,
    pub(super) batch: Body,
}

/// A batch that the log keeps, in either form.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// With its requests.
    Whole(Arc<Batch>),
    /// Committed in this view and stable: its frame alone.
    Packed(PackedBatch),
}

impl Body {
    pub(super) fn digest(&self) -> Digest {
        match self {
            Body::Whole(batch) => batch.digest(),
            Body::Packed(packed) => packed.digest(),
        }
    }

    /// Bytes of its requests in a frame.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Body::Whole(batch) => batch.request_bytes(),
            Body::Packed(packed) => packed.request_bytes(),
        }
    }

    /// The batch with its requests; a packed one is decoded for that.
    pub(super) fn whole(&self) -> Arc<Batch> {
        match self {
            Body::Whole(batch) => Arc::clone(batch),
            Body::Packed(packed) => Arc::new(packed.unpacked()),
        }
    }
}

/// A committed batch, as it is handed to execution.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) view: View,
    pub(super) batch: Arc<Batch>,
    pub(super) certificate: Arc<[(ReplicaId, Signature)]>,
}

/// The most bodies that a slot keeps across views, beside that of its prepared certificate; the
/// oldest goes first.
const BODIES_MAX: usize = 4;

/// One sequence number. See the module for what outlives a view.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) stage: Stage,
    /// The first proposal of the view's primary.
    pub(super) offered: Option<Offer>,
    /// The batch, once the proposal is accepted.
    pub(super) accepted: Option<Authentic<Arc<Batch>>>,
    pub(super) prepares: Votes<Prepare>,
    pub(super) commits: Votes<Commit>,
    /// When the replica first had something of its own to say of it: what peers may lack.
    pub(super) since: Option<Instant>,
    /// Of the views that were left: the prepared certificate of the highest.
    pub(super) prepared: Option<Box<PreparedCertificate>>,
    /// Once it was committed in a view that was left, or a peer showed that it was.
    pub(super) committed: Option<Committed>,
    /// Batches that were accepted in views that were left.
    bodies: Vec<Arc<Batch>>,
    /// In place of the batch that was offered and accepted, once it is stable.
    packed: Option<PackedBatch>,
}

impl Slot {
    fn new(n: usize) -> Slot {
        Slot {
            stage: Stage::Open,
            offered: None,
            accepted: None,
            prepares: Votes::new(n),
            commits: Votes::new(n),
            since: None,
            prepared: None,
            committed: None,
            bodies: Vec::new(),
            packed: None,
        }
    }

    fn clear(&mut self) {
        self.clear_view();
        self.prepared = None;
        self.committed = None;
        self.bodies.clear();
    }

    fn clear_view(&mut self) {
        self.stage = Stage::Open;
        self.offered = None;
        self.accepted = None;
        self.packed = None;
        self.prepares.clear();
        self.commits.clear();
        self.since = None;
    }

    /// The view is left: what outlives it is kept, the rest goes (see the module).
    pub(super) fn leave(&mut self, quorum: usize) {
        if let Some(certificate) = self.prepared_certificate(quorum) {
            debug_assert!(
                self.prepared.as_ref().is_none_or(|kept| kept.view() < certificate.view()),
                "a later view prepares later"
            );
            self.prepared = Some(Box::new(certificate));
        }
        if self.committed.is_none() {
            self.committed = self.commit_certificate(quorum);
        }
        if let Some(accepted) = self.accepted.take() {
            self.keep_body(accepted.into_inner());
        }
        self.clear_view();
    }

    /// PBFT 4.4: the certificate of what is prepared in this view, for a VIEW-CHANGE.
    pub(super) fn prepared_certificate(&self, quorum: usize) -> Option<PreparedCertificate> {
        let offer = self.offered.as_ref().filter(|_| self.stage >= Stage::Prepared)?;
        let mut prepares = Vec::with_capacity(quorum - 1);
        let votes = self.prepares.matching(offer.signed.body.digest).take(quorum - 1);
        prepares.extend(votes.map(|vote| voucher(vote.body.replica, vote.signature)));
        Some(PreparedCertificate { pre_prepare: offer.signed, prepares })
    }

    fn commit_certificate(&self, quorum: usize) -> Option<Committed> {
        let offer = self.offered.as_ref().filter(|_| self.stage == Stage::Committed)?;
        let PrePrepare { view, seq, digest, .. } = offer.signed.body;
        let votes = self.commits.matching(digest).take(quorum);
        let commits = votes.map(|vote| voucher(vote.body.replica, vote.signature)).collect();
        let certificate = Arc::new(CommitCertificate { view, seq, digest, commits });
        Some(Committed { certificate, batch: self.accepted_body()? })
    }

    /// The batch that this view accepted.
    fn accepted_body(&self) -> Option<Body> {
        let accepted =
            self.accepted.as_ref().map(|accepted| Body::Whole(Arc::clone(accepted.get())));
        accepted.or_else(|| self.packed.clone().map(Body::Packed))
    }

    /// The proposal of the view's primary, with its batch.
    pub(super) fn proposal(&self) -> Option<(Signed<PrePrepare>, Body)> {
        let Offer { signed, batch, .. } = self.offered.as_ref()?;
        let offered = batch.as_ref().map(|batch| Body::Whole(Arc::clone(batch)));
        Some((*signed, offered.or_else(|| self.packed.clone().map(Body::Packed))?))
    }

    /// The checkpoint that it belongs to is stable: from now on only peers ask for its batch.
    fn pack(&mut self) {
        let Some(accepted) = self.accepted.as_ref().filter(|_| self.stage == Stage::Committed)
        else {
            return;
        };
        let packed = accepted.get().packed();
        let digest = packed.digest();
        if let Some(committed) = self.committed.as_mut().filter(|one| one.batch.digest() == digest)
        {
            committed.batch = Body::Packed(packed.clone());
        }
        self.bodies.retain(|body| body.digest() != digest);
        self.accepted = None;
        if let Some(offer) = &mut self.offered {
            offer.batch = None;
        }
        self.packed = Some(packed);
    }

    fn keep_body(&mut self, batch: Arc<Batch>) {
        if self.bodies.iter().any(|body| body.digest() == batch.digest()) {
            return;
        }
        let shown = self.prepared.as_ref().map(|certificate| certificate.digest());
        if self.bodies.len() > BODIES_MAX
            && let Some(oldest) = self.bodies.iter().position(|body| Some(body.digest()) != shown)
        {
            self.bodies.remove(oldest);
        }
        self.bodies.push(batch);
    }

    /// The batch with this digest, if it is kept.
    pub(super) fn body(&self, digest: Digest) -> Option<Body> {
        let offered = self.offered.iter().filter_map(|offer| offer.batch.as_ref());
        let mut whole = self.bodies.iter().chain(offered);
        if let Some(batch) = whole.find(|batch| batch.digest() == digest) {
            return Some(Body::Whole(Arc::clone(batch)));
        }
        let committed = self.committed.as_ref().filter(|one| one.batch.digest() == digest);
        let packed = self.packed.as_ref().filter(|packed| packed.digest() == digest);
        let committed = committed.map(|committed| committed.batch.clone());
        committed.or_else(|| packed.cloned().map(Body::Packed))
    }

    /// The batches that were accepted in earlier views.
    pub(super) fn bodies(&self) -> &[Arc<Batch>] {
        &self.bodies
    }

    /// What was committed in an earlier view, or what a peer showed to be, has another digest: this
    /// replica will not vouch for it.
    pub(super) fn contradicts(&self, digest: Digest) -> bool {
        let committed = self.committed.as_ref();
        committed.is_some_and(|committed| committed.certificate.digest != digest)
    }

    /// Whether it is known to be committed.
    pub(super) fn is_committed(&self) -> bool {
        self.stage == Stage::Committed || self.committed.is_some()
    }

    /// The proof that it was committed, for a peer.
    pub(super) fn proof(&self, quorum: usize) -> Option<Committed> {
        self.committed.clone().or_else(|| self.commit_certificate(quorum))
    }

    /// What is to be executed, once it is committed; `view` is the one that this replica is in.
    pub(super) fn decision(&self, view: View, quorum: usize) -> Option<Decision> {
        if let Some(Committed { certificate, batch }) = &self.committed {
            let commits = certificate.commits.iter();
            let commits = commits.map(|voucher| (voucher.replica, voucher.signature)).collect();
            let (view, batch) = (certificate.view, batch.whole());
            return Some(Decision { view, batch, certificate: commits });
        }
        let offer = self.offered.as_ref().filter(|_| self.stage == Stage::Committed)?;
        let mut votes = self.commits.matching(offer.signed.body.digest);
        // As many as are known beforehand are put together in one place.
        let vote = |_| votes.next().expect("what is committed has a quorum of commits");
        let certificate = (0..quorum).map(vote).map(|vote| (vote.body.replica, vote.signature));
        let certificate = certificate.collect();
        Some(Decision { view, batch: Arc::clone(self.accepted.as_ref()?.get()), certificate })
    }

    /// Whether its proposal is here, and checked.
    pub(super) fn has_proposal(&self) -> bool {
        let checked = |offer: &Offer| {
            let batch = offer.batch.as_ref();
            batch.is_some_and(|batch| {
                offer.by_new_view || Authentic::<Arc<Batch>>::by_own_check(batch).is_some()
            })
        };
        self.accepted.is_some()
            || self.packed.is_some()
            || self.offered.as_ref().is_some_and(checked)
    }

    /// Whether anything is known of it.
    fn is_touched(&self) -> bool {
        self.offered.is_some()
            || self.committed.is_some()
            || !self.prepares.is_empty()
            || !self.commits.is_empty()
    }
}

fn voucher(replica: ReplicaId, signature: Signature) -> Voucher {
    Voucher { replica, signature }
}

/// Where a sequence number lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At or below the low watermark.
    Past,
    /// Between the watermarks.
    Window,
    /// Above the high watermark, within the bound for early messages.
    Early,
    /// Further ahead than anything is kept.
    Beyond,
}

/// The slots around the low watermark.
#[derive(Debug)]
pub(super) struct Log {
    low: Seq,
    window: u64,
    /// The slot at the front is that of `forgotten + 1`.
    forgotten: Seq,
    slots: VecDeque<Slot>,
    /// The highest slot that was lent to be changed: nothing is known of any above it, and looking
    /// at them all would fetch most of the log from memory.
    lent: Seq,
}

impl Log {
    pub(super) fn new(n: usize, window: u64) -> Log {
        let slots = (0..3 * window).map(|_| Slot::new(n)).collect();
        Log { low: Seq(0), window, forgotten: Seq(0), slots, lent: Seq(0) }
    }

    /// h, the low watermark: the last stable checkpoint.
    pub(super) fn low(&self) -> Seq {
        self.low
    }

    /// H = h + L, the high watermark.
    pub(super) fn high(&self) -> Seq {
        Seq(self.low.0 + self.window)
    }

    /// Where `seq` lies (PBFT 4.2: "n is between a low water mark, h, and a high water mark, H").
    pub(super) fn place(&self, seq: Seq) -> Place {
        match seq.0.checked_sub(self.low.0) {
            None | Some(0) => Place::Past,
            Some(ahead) if ahead <= self.window => Place::Window,
            Some(ahead) if ahead <= 2 * self.window => Place::Early,
            Some(_) => Place::Beyond,
        }
    }

    pub(super) fn slot(&self, seq: Seq) -> Option<&Slot> {
        self.slots.get(self.index(seq)?)
    }

    pub(super) fn slot_mut(&mut self, seq: Seq) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(self.index(seq)?)?;
        self.lent = self.lent.max(seq);
        Some(slot)
    }

    /// How many slots, from the first, something may be known of.
    fn lent_slots(&self) -> usize {
        let lent = usize::try_from(self.lent.0.saturating_sub(self.forgotten.0));
        lent.map_or(self.slots.len(), |lent| lent.min(self.slots.len()))
    }

    /// Every slot that is kept, lowest first, with its sequence number.
    pub(super) fn slots(&self) -> impl Iterator<Item = (Seq, &Slot)> {
        self.slots.iter().zip(self.forgotten.0 + 1..).map(|(slot, seq)| (Seq(seq), slot))
    }

    /// As [`Log::slots`], to change them; only those that something may be known of.
    pub(super) fn slots_mut(&mut self) -> impl Iterator<Item = (Seq, &mut Slot)> {
        let lent = self.lent_slots();
        let slots = self.slots.range_mut(..lent).zip(self.forgotten.0 + 1..);
        slots.map(|(slot, seq)| (Seq(seq), slot))
    }

    fn index(&self, seq: Seq) -> Option<usize> {
        usize::try_from(seq.0.checked_sub(self.forgotten.0 + 1)?).ok()
    }

    /// The last sequence number whose slot is gone.
    pub(super) fn forgotten(&self) -> Seq {
        self.forgotten
    }

    /// Moves the low watermark up to a stable checkpoint (PBFT 4.3), and forgets what lies a whole
    /// window below it. What this view committed up to it is packed. Emptied slots serve the sequence
    /// numbers that come into reach.
    ///
    /// # Panics
    /// When the watermark would move down.
    pub(super) fn truncate(&mut self, stable: Seq) {
        assert!(stable >= self.low, "the low watermark {} would fall to {stable}", self.low);
        let old = core::mem::replace(&mut self.low, stable);
        let gap = stable.0.saturating_sub(self.forgotten.0 + self.window);
        // A state that was fetched may lie further ahead than all slots reach.
        let passed = usize::try_from(gap).map_or(self.slots.len(), |gap| gap.min(self.slots.len()));
        self.slots.range_mut(..passed).for_each(Slot::clear);
        // The deque is full, so that only its beginning moves: no slot does.
        self.slots.rotate_left(passed);
        self.forgotten = self.forgotten.plus(gap);
        let settled = [old, stable].map(|seq| self.index(seq.next()).unwrap_or(0));
        self.slots.range_mut(settled[0]..settled[1]).for_each(Slot::pack);
        debug_assert_eq!(self.slots.len() as u64, 3 * self.window);
    }

    /// Slots of which anything is known, when they are more than `peak`; else any number up to it.
    /// They are looked at only where they can be more.
    pub(super) fn touched_beyond(&self, peak: usize) -> usize {
        match self.lent_slots() {
            lent if lent <= peak => lent,
            lent => self.slots.range(..lent).filter(|slot| slot.is_touched()).count(),
        }
    }

    /// The highest sequence number that anything is known of.
    pub(super) fn last_heard(&self) -> Seq {
        let heard = self.slots.range(..self.lent_slots()).rposition(Slot::is_touched);
        Seq(self.forgotten.0 + heard.map_or(0, |place| place as u64 + 1))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quorumark_primitives::wire::{Decode, Encode, Reader};

    use super::*;
    use crate::request::{ClientProof, Request, SignedRequest};
    use crate::types::{ClientId, Timestamp};

    const QUORUM: usize = 3;

    fn batch() -> Batch {
        let request = |timestamp| {
            let (client, timestamp) = (ClientId(1), Timestamp(timestamp));
            let operation = Bytes::from_static(b"a value");
            SignedRequest::new(Request { client, timestamp, operation }, ClientProof::None)
        };
        Batch::new((1..=5).map(request).collect())
    }

    /// The same batch as it comes to a backup.
    fn of_a_frame(batch: &Batch) -> Batch {
        let mut frame = b"head".to_vec();
        batch.encode(&mut frame);
        let frame = Bytes::from(frame);
        let mut reader = Reader::new(&frame);
        reader.array::<4>().unwrap();
        Batch::decode(&mut reader).unwrap()
    }

    /// A log whose first slot is committed with this batch, for which nobody else has a reference.
    fn committed(batch: Batch) -> Log {
        let mut log = Log::new(4, 8);
        let slot = log.slot_mut(Seq(1)).unwrap();
        let (view, seq, digest, batch) = (View(0), Seq(1), batch.digest(), Arc::new(batch));
        let body = PrePrepare { view, seq, digest, replica: ReplicaId(0) };
        slot.accepted = Authentic::<Arc<Batch>>::by_own_check(&batch);
        slot.offered =
            Some(Offer { signed: Signed::blank(body), batch: Some(batch), by_new_view: false });
        for replica in [0, 1, 3].map(ReplicaId) {
            slot.commits.cast(Signed::blank(Commit { view, seq, digest, replica }));
        }
        slot.stage = Stage::Committed;
        log
    }

    #[test]
    fn below_the_low_watermark_a_batch_is_its_frame_alone_and_peers_still_get_all_of_it() {
        let original = batch();
        packs(&original, batch());
        packs(&original, of_a_frame(&original));
    }

    fn packs(original: &Batch, batch: Batch) {
        let mut log = committed(batch);
        let whole =
            |log: &Log| Arc::downgrade(log.slot(Seq(1)).unwrap().accepted.as_ref().unwrap().get());
        let requests = whole(&log);
        log.truncate(Seq(4));
        assert!(requests.upgrade().is_none(), "its requests one by one are gone");
        for left in [false, true] {
            let slot = log.slot_mut(Seq(1)).unwrap();
            if left {
                slot.leave(QUORUM);
            } else {
                let (signed, batch) = slot.proposal().unwrap();
                assert_eq!((signed.body.digest, &*batch.whole()), (original.digest(), original));
                assert!(slot.has_proposal());
            }
            let Committed { certificate, batch } = slot.proof(QUORUM).unwrap();
            assert_eq!(
                (certificate.digest, certificate.commits.len()),
                (original.digest(), QUORUM)
            );
            assert_eq!((batch.digest(), &*batch.whole()), (original.digest(), original));
            assert_eq!(*slot.body(original.digest()).unwrap().whole(), *original);
            assert!(slot.is_committed() && slot.body(Digest::ZERO).is_none());
        }
    }

    #[test]
    fn a_batch_above_the_watermark_stays_whole() {
        let mut log = committed(of_a_frame(&batch()));
        log.truncate(Seq(0));
        let slot = log.slot(Seq(1)).unwrap();
        assert!(matches!(slot.proposal().unwrap().1, Body::Whole(_)));
        assert!(slot.accepted.is_some());
    }

    #[test]
    fn what_was_not_committed_here_is_not_packed() {
        let mut log = committed(of_a_frame(&batch()));
        log.slot_mut(Seq(1)).unwrap().stage = Stage::Prepared;
        log.truncate(Seq(1));
        assert!(log.slot(Seq(1)).unwrap().accepted.is_some());
    }
}
