//! The message log: one slot a sequence number, three windows long.
//!
//! Slots `h + 1 ..= h + L` are the window. Slots `h + L + 1 ..= h + 2L` keep what arrives early, so
//! nothing that a faster replica says is lost before the low watermark moves. Slots `h - L + 1 ..=
//! h` are read only to repair peers: the primary proposes at most L above its own low watermark, so
//! a primary that lost messages can always be brought up by messages alone. A slot holds at most
//! one proposal, and one prepare and one commit of each replica: that is the bound of the log,
//! `3L * (batch + 2n votes)`. It keeps each signature, as certificates for a view change need them.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::signed::Signed;

use super::message::{Checkpoint, Commit, PrePrepare, Prepare};
use crate::request::{Authentic, Batch};
use crate::types::{Instant, ReplicaId, Seq};

/// A statement of which a replica makes one for each sequence number.
pub(super) trait Vote: Copy {
    /// What is voted for.
    fn digest(&self) -> Digest;
    /// Who votes.
    fn replica(&self) -> ReplicaId;
}

macro_rules! vote {
    ($($statement:ty: $digest:ident),*) => {$(
        impl Vote for $statement {
            fn digest(&self) -> Digest {
                self.$digest
            }
            fn replica(&self) -> ReplicaId {
                self.replica
            }
        }
    )*};
}
vote!(Prepare: digest, Commit: digest, Checkpoint: state);

/// What became of a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast<S> {
    /// It is the replica's first.
    New,
    /// It was there already.
    Repeat,
    /// The replica voted for another digest before: this earlier vote stands.
    Conflict(Signed<S>),
}

/// At most one vote of each replica.
#[derive(Debug, Clone)]
pub(super) struct Votes<S> {
    by_replica: Vec<Option<Signed<S>>>,
}

impl<S: Vote> Votes<S> {
    pub(super) fn new(n: usize) -> Votes<S> {
        let mut by_replica = Vec::new();
        by_replica.resize_with(n, || None);
        Votes { by_replica }
    }

    /// Takes a member's vote.
    pub(super) fn cast(&mut self, vote: Signed<S>) -> Cast<S> {
        let place = usize::from(vote.body.replica().0);
        match self.by_replica.get_mut(place) {
            Some(Some(first)) if first.body.digest() == vote.body.digest() => Cast::Repeat,
            Some(Some(first)) => Cast::Conflict(*first),
            Some(empty) => {
                *empty = Some(vote);
                Cast::New
            }
            None => Cast::Repeat, // Not a member: the caller checked; nothing is counted.
        }
    }

    /// Puts a vote in the place of the replica's earlier one.
    pub(super) fn replace(&mut self, vote: Signed<S>) {
        if let Some(place) = self.by_replica.get_mut(usize::from(vote.body.replica().0)) {
            *place = Some(vote);
        }
    }

    pub(super) fn of(&self, replica: ReplicaId) -> Option<&Signed<S>> {
        self.by_replica.get(usize::from(replica.0))?.as_ref()
    }

    pub(super) fn matching(&self, digest: Digest) -> impl Iterator<Item = &Signed<S>> {
        self.by_replica.iter().flatten().filter(move |vote| vote.body.digest() == digest)
    }

    fn is_empty(&self) -> bool {
        self.by_replica.iter().all(Option::is_none)
    }

    fn clear(&mut self) {
        self.by_replica.iter_mut().for_each(|vote| *vote = None);
    }
}

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

/// One sequence number.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) stage: Stage,
    /// The first proposal of the view's primary, and its batch.
    pub(super) offered: Option<(Signed<PrePrepare>, Arc<Batch>)>,
    /// The batch, once the proposal is accepted.
    pub(super) accepted: Option<Authentic<Arc<Batch>>>,
    pub(super) prepares: Votes<Prepare>,
    pub(super) commits: Votes<Commit>,
    /// When the replica first had something of its own to say of it: what peers may lack.
    pub(super) since: Option<Instant>,
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
        }
    }

    fn clear(&mut self) {
        self.stage = Stage::Open;
        self.offered = None;
        self.accepted = None;
        self.prepares.clear();
        self.commits.clear();
        self.since = None;
    }

    /// Whether its proposal is here, and checked.
    pub(super) fn has_proposal(&self) -> bool {
        let checked =
            |(_, batch): &(_, Arc<Batch>)| Authentic::<Arc<Batch>>::by_own_check(batch).is_some();
        self.accepted.is_some() || self.offered.as_ref().is_some_and(checked)
    }

    /// Whether anything is known of it.
    fn is_touched(&self) -> bool {
        self.offered.is_some() || !self.prepares.is_empty() || !self.commits.is_empty()
    }

    /// The digest that the primary proposed.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.offered.as_ref().map(|(signed, _)| signed.body.digest)
    }

    /// The commits that committed it.
    pub(super) fn certificate(&self, quorum: usize) -> Arc<[(ReplicaId, Signature)]> {
        let digest = self.digest().unwrap_or_default();
        let signatures = self.commits.matching(digest).take(quorum);
        signatures.map(|vote| (vote.body.replica, vote.signature)).collect()
    }
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
}

impl Log {
    pub(super) fn new(n: usize, window: u64) -> Log {
        let slots = (0..3 * window).map(|_| Slot::new(n)).collect();
        Log { low: Seq(0), window, forgotten: Seq(0), slots }
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
        let index = self.index(seq)?;
        self.slots.get_mut(index)
    }

    fn index(&self, seq: Seq) -> Option<usize> {
        usize::try_from(seq.0.checked_sub(self.forgotten.0 + 1)?).ok()
    }

    /// The last sequence number whose slot is gone.
    pub(super) fn forgotten(&self) -> Seq {
        self.forgotten
    }

    /// Moves the low watermark up to a stable checkpoint (PBFT 4.3), and forgets what lies a whole
    /// window below it. Emptied slots serve the sequence numbers that come into reach.
    ///
    /// # Panics
    /// When the watermark would move down.
    pub(super) fn truncate(&mut self, stable: Seq) {
        assert!(stable >= self.low, "the low watermark {} would fall to {stable}", self.low);
        self.low = stable;
        while self.forgotten.0 + self.window < stable.0 {
            if let Some(mut slot) = self.slots.pop_front() {
                slot.clear();
                self.slots.push_back(slot);
            }
            self.forgotten = self.forgotten.next();
        }
        debug_assert_eq!(self.slots.len() as u64, 3 * self.window);
    }

    /// The highest sequence number that anything is known of.
    pub(super) fn last_heard(&self) -> Seq {
        let heard = self.slots.iter().rposition(Slot::is_touched);
        Seq(self.forgotten.0 + heard.map_or(0, |place| place as u64 + 1))
    }
}
