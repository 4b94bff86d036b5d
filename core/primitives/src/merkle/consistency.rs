//! Proofs that a tree continues an older one, under RFC 6962's rule.

use core::ops::Range;

use super::Rule;
use super::proof::{LEAF_COUNT_MAX, PATH_LENGTH_MAX, ProofError};
use crate::Digest;
use crate::wire::{Decode, Encode, Reader, WireError, encode_sequence};

/// The most nodes that a proof carries: one a level, and the one that it starts from.
pub const CONSISTENCY_PATH_LENGTH_MAX: usize = PATH_LENGTH_MAX + 1;

/// Shows that the leaves of a tree begin with all leaves of an older one, in their order: nothing
/// was removed or changed (RFC 6962 2.1.2).
///
/// The rule is RFC 6962's. Bitcoin's pairs odd nodes with themselves, so an older root is no node
/// of the newer tree; BLAKE3's roots are sealed with their counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// Leaves of the older tree, at least one.
    pub old_count: u64,
    /// Leaves of the newer tree, at most [`LEAF_COUNT_MAX`].
    pub new_count: u64,
    /// The nodes, from the lowest to those below the newer root.
    pub path: Vec<Digest>,
}

/// What a node of the path is hashed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It stands before the nodes of both trees.
    Both,
    /// It stands after the newer tree's node; the older tree ends before it.
    Newer,
}

impl ConsistencyProof {
    /// Checks that the tree with the root `new_root` continues the one with `old_root`
    /// (RFC 9162 2.1.4.2).
    ///
    /// # Errors
    /// [`ProofError`], the first thing found wrong.
    pub fn verify(&self, old_root: &Digest, new_root: &Digest) -> Result<(), ProofError> {
        let ConsistencyProof { old_count, new_count, .. } = *self;
        if new_count > LEAF_COUNT_MAX {
            return Err(ProofError::LeafCount { leaf_count: new_count });
        }
        if !(1..=new_count).contains(&old_count) {
            return Err(ProofError::Counts { old_count, new_count });
        }
        // The older root is a node of the newer tree where its count is a power of two, and then
        // left out of the path; equal trees need no path at all.
        let is_node = old_count.is_power_of_two() || old_count == new_count;
        let expected = steps(old_count, new_count).count() + usize::from(!is_node);
        if self.path.len() != expected {
            return Err(ProofError::PathLength { found: self.path.len(), expected });
        }
        let mut path = self.path.iter();
        let start = if is_node { Some(old_root) } else { path.next() };
        let start = *start.expect("the length was checked against the steps");
        let (mut older, mut newer) = (start, start);
        for (step, node) in steps(old_count, new_count).zip(path) {
            match step {
                Step::Both => {
                    older = Rule::Rfc6962.node(*node, older);
                    newer = Rule::Rfc6962.node(*node, newer);
                }
                Step::Newer => newer = Rule::Rfc6962.node(newer, *node),
            }
        }
        for (found, root) in [(older, old_root), (newer, new_root)] {
            if found != *root {
                return Err(ProofError::Root { found });
            }
        }
        Ok(())
    }
}

/// The steps from the node that the path starts from to the newer root (RFC 9162 2.1.4.2, whose
/// `fn` and `sn` are the positions of the older and the newer tree's last nodes). Equal trees have
/// none.
fn steps(old_count: u64, new_count: u64) -> impl Iterator<Item = Step> {
    let skipped = if old_count == new_count { u64::BITS - 1 } else { old_count.trailing_zeros() };
    let (mut older, mut newer) = ((old_count - 1) >> skipped, (new_count - 1) >> skipped);
    core::iter::from_fn(move || {
        // Levels where the newer tree's last node is odd and moves up take no step.
        while older == newer && older.is_multiple_of(2) && newer > 0 {
            (older, newer) = (older / 2, newer / 2);
        }
        let step = match (older, newer) {
            (_, 0) => return None,
            (older, newer) if older % 2 == 1 || older == newer => Step::Both,
            _ => Step::Newer,
        };
        (older, newer) = (older / 2, newer / 2);
        Some(step)
    })
}

/// The leaves below each node of the path, in its order: PROOF(m, D[n]) of RFC 6962 2.1.2.
pub(super) fn ranges(old_count: u64, new_count: u64) -> Vec<Range<u64>> {
    let (mut start, mut end) = (0, new_count);
    let mut from_the_top = Vec::new();
    // The older tree is a whole subtree of the newer as long as its first leaf is the very first.
    let mut is_root = true;
    while old_count != end {
        let middle = start + (end - start).next_power_of_two() / 2;
        if old_count <= middle {
            from_the_top.push(middle..end);
            end = middle;
        } else {
            from_the_top.push(start..middle);
            start = middle;
            is_root = false;
        }
    }
    if !is_root {
        from_the_top.push(start..end);
    }
    from_the_top.reverse();
    from_the_top
}

impl Encode for ConsistencyProof {
    fn encode(&self, out: &mut Vec<u8>) {
        self.old_count.encode(out);
        self.new_count.encode(out);
        encode_sequence(&self.path, out);
    }
}

impl Decode for ConsistencyProof {
    const SIZE_MIN: usize = 8 + 8 + 4;

    fn decode(reader: &mut Reader<'_>) -> Result<ConsistencyProof, WireError> {
        Ok(ConsistencyProof {
            old_count: u64::decode(reader)?,
            new_count: u64::decode(reader)?,
            path: reader.sequence(CONSISTENCY_PATH_LENGTH_MAX, "path of a consistency proof")?,
        })
    }
}
