//! Votes: at most one of each replica, counted as they come.
//!
//! Next to all votes of a slot are for one thing. So the first says for what, and of those that agree
//! with it only the signature is kept: one cache line a vote, and none is read to count them.

use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::signed::Signed;

use super::statement::{Checkpoint, Commit, Prepare};
use crate::committee::REPLICAS_MAX;
use crate::types::ReplicaId;

/// A statement of which a replica makes one for each sequence number.
pub(super) trait Vote: Copy + PartialEq {
    /// What is voted for.
    fn digest(&self) -> Digest;
    /// Who votes.
    fn replica(&self) -> ReplicaId;
    /// The same, said by another replica.
    fn by(self, replica: ReplicaId) -> Self;
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
            fn by(self, replica: ReplicaId) -> Self {
                Self { replica, ..self }
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

/// At most one vote of each replica, all in one view at one sequence number.
#[derive(Debug, Clone)]
pub(super) struct Votes<S> {
    /// The first vote, by whoever.
    first: Option<S>,
    /// Who votes for the same as the first.
    same: Members,
    /// Their signatures, by replica; in the places of others is nothing to be read.
    signatures: Vec<Signature>,
    /// Votes for something else, by rising replica.
    other: Vec<Signed<S>>,
}

impl<S: Vote> Votes<S> {
    pub(super) fn new(n: usize) -> Votes<S> {
        let signatures = alloc::vec![Signature::BLANK; n];
        Votes { first: None, same: Members::default(), signatures, other: Vec::new() }
    }

    /// Takes a member's vote.
    pub(super) fn cast(&mut self, vote: Signed<S>) -> Cast<S> {
        let replica = vote.body.replica();
        match self.of(replica) {
            Some(before) if before.body.digest() == vote.body.digest() => Cast::Repeat,
            Some(before) => Cast::Conflict(before),
            // Not a member: the caller checked; nothing is counted.
            None if usize::from(replica.0) >= self.signatures.len() => Cast::Repeat,
            None => {
                self.put(vote);
                Cast::New
            }
        }
    }

    /// Puts a member's vote in the place of its earlier one.
    pub(super) fn replace(&mut self, vote: Signed<S>) {
        let replica = vote.body.replica();
        self.same.remove(replica);
        self.other.retain(|other| other.body.replica() != replica);
        self.put(vote);
    }

    fn put(&mut self, vote: Signed<S>) {
        let replica = vote.body.replica();
        let first = *self.first.get_or_insert(vote.body);
        if first.digest() == vote.body.digest() {
            debug_assert!(first.by(replica) == vote.body, "votes of one view and number");
            self.same.insert(replica);
            if let Some(place) = self.signatures.get_mut(usize::from(replica.0)) {
                *place = vote.signature;
            }
        } else {
            let later = self.other.partition_point(|other| other.body.replica() < replica);
            self.other.insert(later, vote);
        }
    }

    /// What a replica voted, if it did.
    pub(super) fn of(&self, replica: ReplicaId) -> Option<Signed<S>> {
        if self.same.contains(replica) {
            let signature = *self.signatures.get(usize::from(replica.0))?;
            return Some(Signed { body: self.first?.by(replica), signature });
        }
        self.other.iter().find(|other| other.body.replica() == replica).copied()
    }

    /// How many votes are for this digest.
    pub(super) fn count_of(&self, digest: Digest) -> usize {
        if self.first.is_some_and(|first| first.digest() == digest) {
            return self.same.count();
        }
        self.other.iter().filter(|other| other.body.digest() == digest).count()
    }

    /// The votes for this digest, by rising replica.
    pub(super) fn matching(&self, digest: Digest) -> impl Iterator<Item = Signed<S>> {
        let first = self.first.filter(|first| first.digest() == digest);
        let members = (0..).map(ReplicaId).zip(&self.signatures);
        let same = first.into_iter().flat_map(move |first| {
            let agree = members.clone().filter(|(replica, _)| self.same.contains(*replica));
            agree.map(move |(replica, signature)| Signed {
                body: first.by(replica),
                signature: *signature,
            })
        });
        same.chain(self.other.iter().filter(move |other| other.body.digest() == digest).copied())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Forgets them all. The signatures stay where they are: nobody reads them.
    pub(super) fn clear(&mut self) {
        (self.first, self.same) = (None, Members::default());
        self.other.clear();
    }
}

/// A set of replicas.
#[derive(Debug, Clone, Copy, Default)]
struct Members([u64; REPLICAS_MAX as usize / 64]);

impl Members {
    fn word(replica: ReplicaId) -> (usize, u64) {
        (usize::from(replica.0) / 64, 1 << (replica.0 % 64))
    }

    fn insert(&mut self, replica: ReplicaId) {
        let (place, bit) = Members::word(replica);
        if let Some(word) = self.0.get_mut(place) {
            *word |= bit;
        }
    }

    fn remove(&mut self, replica: ReplicaId) {
        let (place, bit) = Members::word(replica);
        if let Some(word) = self.0.get_mut(place) {
            *word &= !bit;
        }
    }

    fn contains(&self, replica: ReplicaId) -> bool {
        let (place, bit) = Members::word(replica);
        self.0.get(place).is_some_and(|word| word & bit != 0)
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::types::{Seq, View};

    const N: u16 = 7;

    fn vote(replica: u16, digest: u8, signature: u8) -> Signed<Commit> {
        let (replica, digest) = (ReplicaId(replica), Digest([digest; 32]));
        let body = Commit { view: View(3), seq: Seq(9), digest, replica };
        Signed { body, signature: Signature([signature; 64]) }
    }

    proptest! {
        /// Against a map: whatever comes in whatever order, and whoever's vote is put in the place
        /// of an earlier one.
        #[test]
        fn votes_are_kept_as_a_map_keeps_them(
            steps in prop::collection::vec((0..N + 2, 0..4u8, any::<u8>(), any::<bool>()), 0..40),
        ) {
            let (mut votes, mut map) = (Votes::new(usize::from(N)), BTreeMap::new());
            for (replica, digest, signature, replaces) in steps {
                let vote = vote(replica, digest, signature);
                let before: Option<Signed<Commit>> = map.get(&replica).copied();
                if replaces && replica < N {
                    votes.replace(vote);
                    map.insert(replica, vote);
                    continue;
                }
                let expected = match before {
                    None if replica >= N => Cast::Repeat,
                    None => Cast::New,
                    Some(first) if first.body.digest == vote.body.digest => Cast::Repeat,
                    Some(first) => Cast::Conflict(first),
                };
                prop_assert_eq!(votes.cast(vote), expected);
                if expected == Cast::New {
                    map.insert(replica, vote);
                }
            }
            for replica in 0..N + 2 {
                prop_assert_eq!(votes.of(ReplicaId(replica)), map.get(&replica).copied());
            }
            for digest in (0..5).map(|digest| Digest([digest; 32])) {
                let equal = map.values().filter(|vote| vote.body.digest == digest);
                let equal: Vec<_> = equal.copied().collect();
                prop_assert_eq!(votes.count_of(digest), equal.len());
                prop_assert_eq!(votes.matching(digest).collect::<Vec<_>>(), equal);
            }
            votes.clear();
            prop_assert!(votes.is_empty() && (0..N).all(|id| votes.of(ReplicaId(id)).is_none()));
        }
    }

    #[test]
    fn each_of_the_most_replicas_has_its_place() {
        let mut votes = Votes::new(usize::from(REPLICAS_MAX));
        for replica in 0..REPLICAS_MAX {
            assert_eq!(votes.cast(vote(replica, 1, replica as u8)), Cast::New);
        }
        let digest = Digest([1; 32]);
        assert_eq!(votes.count_of(digest), usize::from(REPLICAS_MAX));
        let signed = votes.matching(digest).map(|vote| (vote.body.replica.0, vote.signature.0[0]));
        assert!(signed.eq((0..REPLICAS_MAX).map(|replica| (replica, replica as u8))));
    }
}
