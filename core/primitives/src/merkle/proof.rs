//! Inclusion proofs.

use thiserror::Error;

use super::multi::MULTI_PROOF_LEAVES_MAX;
use super::{Rule, leaf_hash};
use crate::Digest;
use crate::wire::{Decode, Encode, Reader, WireError, encode_sequence};

/// The most siblings that a proof carries: trees have at most `2^40` leaves.
pub const PATH_LENGTH_MAX: usize = 40;

/// The most leaves of a tree that proofs are accepted for.
pub const LEAF_COUNT_MAX: u64 = 1 << PATH_LENGTH_MAX;

/// Shows that a leaf stands at a position of a tree with a given root.
///
/// Index and leaf count fix on which side each sibling stands and on which levels the node is odd,
/// and so the exact length of the path; any other length is refused (RFC 9162 2.1.3.2). Only the
/// BLAKE3 rule's root commits to the leaf count itself: under the other two a proof also verifies
/// with another count that asks for the same steps. Whoever knows the count, from a signed tree
/// head or a block's list of transactions, compares it with `leaf_count`.
///
/// Bitcoin's rule has two more traps. An odd node's path holds the node itself, as in the proofs of
/// wallets, so that paths of a tree are equally long; such a sibling must equal the node, and no
/// other may (CVE-2012-2459). And an inner node is the hash of 64 bytes as a leaf is, so 64 bytes
/// made to be a transaction can hang a false leaf below a true one (CVE-2017-12842): the path would
/// be one longer, and the leaf count that admits it twice as large, which a verifier who knows or
/// bounds the count notices. [`InclusionProof::verify_data`] refuses leaves of 64 bytes outright.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The rule of the tree.
    pub rule: Rule,
    /// The leaves of the tree, at most [`LEAF_COUNT_MAX`].
    pub leaf_count: u64,
    /// The position of the leaf, from 0.
    pub index: u64,
    /// The siblings, from the leaf's to those below the root.
    pub path: Vec<Digest>,
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The tree is too large.
    #[error("tree of {leaf_count} leaves, allowed are at most {LEAF_COUNT_MAX}")]
    LeafCount {
        /// The count claimed.
        leaf_count: u64,
    },
    /// The leaf is outside the tree.
    #[error("leaf {index} of a tree of {leaf_count} leaves")]
    Index {
        /// The index claimed.
        index: u64,
        /// The count claimed.
        leaf_count: u64,
    },
    /// Index and leaf count ask for another number of siblings.
    #[error("path of {found} siblings, index and leaf count ask for {expected}")]
    PathLength {
        /// Siblings in the proof.
        found: usize,
        /// Siblings that the shape asks for.
        expected: usize,
    },
    /// Bitcoin's rule: an odd node that is not paired with itself, or equal siblings elsewhere.
    #[error("sibling on level {level} equals the node where it must not, or differs where it must")]
    Duplicate {
        /// The level, from 0 at the leaves.
        level: usize,
    },
    /// Bitcoin's rule: a leaf of 64 bytes may be an inner node.
    #[error("a leaf of 64 bytes cannot be told from an inner node")]
    AmbiguousLeaf,
    /// The indices of a multi-proof are none, too many, or do not rise.
    #[error(
        "indices of {found} leaves: 1 to {MULTI_PROOF_LEAVES_MAX} are allowed, in rising order"
    )]
    Indices {
        /// Indices in the proof.
        found: usize,
    },
    /// There is not one leaf for each index.
    #[error("{found} leaves for {expected} indices")]
    Leaves {
        /// Leaves given.
        found: usize,
        /// Indices in the proof.
        expected: usize,
    },
    /// The older tree is empty or larger than the newer.
    #[error("a tree of {old_count} leaves is no beginning of one of {new_count}")]
    Counts {
        /// Leaves of the older tree.
        old_count: u64,
        /// Leaves of the newer tree.
        new_count: u64,
    },
    /// The path leads to another root.
    #[error("path leads to the root {found}")]
    Root {
        /// Where it leads.
        found: Digest,
    },
}

/// What happens to a node on one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The sibling stands before the node.
    Left,
    /// The sibling stands after the node.
    Right,
    /// The node is the last of an odd level.
    Odd,
}

impl InclusionProof {
    /// Checks that the leaf hash `leaf` stands at `index` of the tree with this root.
    ///
    /// # Errors
    /// [`ProofError`], the first thing found wrong.
    pub fn verify(&self, leaf: &Digest, root: &Digest) -> Result<(), ProofError> {
        self.check_shape()?;
        let mut path = self.path.iter();
        let mut node = *leaf;
        for (level, step) in steps(self.index, self.leaf_count).enumerate() {
            if step == Step::Odd && !self.rule.duplicates_odd() {
                continue;
            }
            let sibling = *path.next().expect("the length was checked against the steps");
            if self.rule.duplicates_odd() && (sibling == node) != (step == Step::Odd) {
                return Err(ProofError::Duplicate { level });
            }
            node = match step {
                Step::Left => self.rule.node(sibling, node),
                Step::Right | Step::Odd => self.rule.node(node, sibling),
            };
        }
        assert!(path.next().is_none(), "the length was checked against the steps");
        let found = self.rule.seal(self.leaf_count, node);
        if found == *root { Ok(()) } else { Err(ProofError::Root { found }) }
    }

    /// [`InclusionProof::verify`] for the leaf with this data.
    ///
    /// # Errors
    /// As there, and [`ProofError::AmbiguousLeaf`] for 64 bytes under Bitcoin's rule.
    pub fn verify_data(&self, data: &[u8], root: &Digest) -> Result<(), ProofError> {
        if self.rule == Rule::Bitcoin && data.len() == 64 {
            return Err(ProofError::AmbiguousLeaf);
        }
        self.verify(&leaf_hash(self.rule, data), root)
    }

    fn check_shape(&self) -> Result<(), ProofError> {
        let InclusionProof { leaf_count, index, .. } = *self;
        if leaf_count > LEAF_COUNT_MAX {
            return Err(ProofError::LeafCount { leaf_count });
        }
        if index >= leaf_count {
            return Err(ProofError::Index { index, leaf_count });
        }
        let has_sibling = |step: &Step| self.rule.duplicates_odd() || *step != Step::Odd;
        let expected = steps(index, leaf_count).filter(has_sibling).count();
        match self.path.len() {
            found if found != expected => Err(ProofError::PathLength { found, expected }),
            _ => Ok(()),
        }
    }
}

/// The steps from the leaf `index` to the root of a tree of `leaf_count` leaves (RFC 9162 2.1.3.2,
/// whose `fn` and `sn` are the positions of the node and of its level's last).
fn steps(index: u64, leaf_count: u64) -> impl Iterator<Item = Step> {
    debug_assert!(index < leaf_count);
    let (mut position, mut last) = (index, leaf_count - 1);
    core::iter::from_fn(move || {
        let step = match position {
            _ if last == 0 => return None,
            _ if position % 2 == 1 => Step::Left,
            _ if position == last => Step::Odd,
            _ => Step::Right,
        };
        (position, last) = (position / 2, last / 2);
        Some(step)
    })
}

impl Encode for InclusionProof {
    fn encode(&self, out: &mut Vec<u8>) {
        self.rule.encode(out);
        self.leaf_count.encode(out);
        self.index.encode(out);
        encode_sequence(&self.path, out);
    }
}

impl Decode for InclusionProof {
    const SIZE_MIN: usize = 1 + 8 + 8 + 4;

    fn decode(reader: &mut Reader<'_>) -> Result<InclusionProof, WireError> {
        Ok(InclusionProof {
            rule: Rule::decode(reader)?,
            leaf_count: u64::decode(reader)?,
            index: u64::decode(reader)?,
            path: reader.sequence(PATH_LENGTH_MAX, "path of an inclusion proof")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9162_steps_of_the_last_leaf_of_five() {
        assert_eq!(steps(4, 5).collect::<Vec<_>>(), [Step::Odd, Step::Odd, Step::Left]);
        assert_eq!(steps(2, 5).collect::<Vec<_>>(), [Step::Right, Step::Left, Step::Right]);
        assert_eq!(steps(0, 1).count(), 0);
    }

    #[test]
    fn the_largest_tree_has_the_longest_path() {
        assert_eq!(steps(0, LEAF_COUNT_MAX).count(), PATH_LENGTH_MAX);
        let proof = InclusionProof {
            rule: Rule::Rfc6962,
            leaf_count: LEAF_COUNT_MAX + 1,
            index: 0,
            path: vec![Digest::ZERO; PATH_LENGTH_MAX + 1],
        };
        let refused = proof.verify(&Digest::ZERO, &Digest::ZERO);
        assert_eq!(refused, Err(ProofError::LeafCount { leaf_count: LEAF_COUNT_MAX + 1 }));
        assert!(InclusionProof::from_frame(&proof.to_frame()).is_err());
    }
}
