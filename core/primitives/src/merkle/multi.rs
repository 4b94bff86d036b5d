//! Proofs of several leaves at once.

use super::Rule;
use super::proof::{LEAF_COUNT_MAX, PATH_LENGTH_MAX, ProofError};
use crate::Digest;
use crate::sha256;
use crate::wire::{Decode, Encode, Reader, WireError, encode_sequence};

/// The most leaves that one proof is about.
pub const MULTI_PROOF_LEAVES_MAX: usize = 1 << 12;

/// Shows that leaves stand at positions of a tree with a given root, with each node that their
/// paths share only once and none that follows from the leaves themselves.
///
/// What [`InclusionProof`](super::InclusionProof) says of leaf counts and of Bitcoin's rule holds
/// here too, but for one thing: an odd node's double is not part of the path. Equal siblings are
/// refused wherever they stand (CVE-2012-2459).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiProof {
    /// The rule of the tree.
    pub rule: Rule,
    /// The leaves of the tree, at most [`LEAF_COUNT_MAX`].
    pub leaf_count: u64,
    /// The positions of the leaves, from 0, in rising order; at most [`MULTI_PROOF_LEAVES_MAX`].
    pub indices: Vec<u64>,
    /// The siblings that do not follow from the leaves: level by level from the lowest, from left
    /// to right in each.
    pub path: Vec<Digest>,
}

impl MultiProof {
    /// Checks that the leaf hashes `leaves` stand at `indices` of the tree with this root, in their
    /// order.
    ///
    /// # Errors
    /// [`ProofError`], the first thing found wrong.
    pub fn verify(&self, leaves: &[Digest], root: &Digest) -> Result<(), ProofError> {
        self.check_shape(leaves.len())?;
        let (kernel, mut path) = (sha256::path(), self.path.iter());
        let (mut positions, mut nodes) = (self.indices.clone(), leaves.to_vec());
        let (mut pairs, mut last) = (Vec::with_capacity(nodes.len()), self.leaf_count - 1);
        for level in 0.. {
            if last == 0 {
                break;
            }
            pairs.clear();
            let mut odd = None;
            let mut known = nodes.iter().copied();
            for siblings in positions.chunk_by(|one, next| one / 2 == next / 2) {
                let (position, node) = (siblings[0], known.next().expect("a node a position"));
                let sibling = match siblings {
                    [_, _] => known.next(),
                    _ if position == last && position % 2 == 0 => {
                        odd = Some(node);
                        continue;
                    }
                    _ => path.next().copied(),
                };
                let sibling = sibling.expect("the length was checked against the shape");
                if self.rule.duplicates_odd() && sibling == node {
                    return Err(ProofError::Duplicate { level });
                }
                let before = siblings.len() == 1 && position % 2 == 1;
                pairs.push(if before { [sibling, node] } else { [node, sibling] });
            }
            let moves_up = odd.filter(|_| !self.rule.duplicates_odd());
            pairs.extend(odd.filter(|_| moves_up.is_none()).map(|node| [node, node]));
            nodes.resize(pairs.len(), Digest::ZERO);
            self.rule.pairs(kernel, &pairs, &mut nodes);
            nodes.extend(moves_up);
            (positions, last) = (above(positions), last / 2);
        }
        assert!(nodes.len() == 1 && path.next().is_none(), "the paths of all leaves meet once");
        let found = self.rule.seal(self.leaf_count, nodes[0]);
        if found == *root { Ok(()) } else { Err(ProofError::Root { found }) }
    }

    fn check_shape(&self, leaves: usize) -> Result<(), ProofError> {
        let MultiProof { leaf_count, .. } = *self;
        let found = self.indices.len();
        if leaf_count > LEAF_COUNT_MAX {
            return Err(ProofError::LeafCount { leaf_count });
        }
        let rising = self.indices.windows(2).all(|pair| pair[0] < pair[1]);
        let Some(&index) = self.indices.last().filter(|_| rising) else {
            return Err(ProofError::Indices { found });
        };
        if found > MULTI_PROOF_LEAVES_MAX {
            return Err(ProofError::Indices { found });
        }
        if index >= leaf_count {
            return Err(ProofError::Index { index, leaf_count });
        }
        if leaves != found {
            return Err(ProofError::Leaves { found: leaves, expected: found });
        }
        match (self.path.len(), self.siblings()) {
            (found, expected) if found != expected => {
                Err(ProofError::PathLength { found, expected })
            }
            _ => Ok(()),
        }
    }

    /// How many siblings do not follow from the leaves.
    fn siblings(&self) -> usize {
        let (mut positions, mut last) = (self.indices.clone(), self.leaf_count - 1);
        let mut count = 0;
        while last > 0 {
            let alone = |siblings: &[u64]| siblings.len() == 1 && siblings[0] ^ 1 <= last;
            let groups = positions.chunk_by(|one, next| one / 2 == next / 2);
            count += groups.filter(|siblings| alone(siblings)).count();
            (positions, last) = (above(positions), last / 2);
        }
        count
    }
}

/// The positions of the parents, each once.
fn above(mut positions: Vec<u64>) -> Vec<u64> {
    positions.iter_mut().for_each(|position| *position /= 2);
    positions.dedup();
    positions
}

impl Encode for MultiProof {
    fn encode(&self, out: &mut Vec<u8>) {
        self.rule.encode(out);
        self.leaf_count.encode(out);
        encode_sequence(&self.indices, out);
        encode_sequence(&self.path, out);
    }
}

impl Decode for MultiProof {
    const SIZE_MIN: usize = 1 + 8 + 4 + 4;

    fn decode(reader: &mut Reader<'_>) -> Result<MultiProof, WireError> {
        let siblings_max = MULTI_PROOF_LEAVES_MAX * PATH_LENGTH_MAX;
        Ok(MultiProof {
            rule: Rule::decode(reader)?,
            leaf_count: u64::decode(reader)?,
            indices: reader.sequence(MULTI_PROOF_LEAVES_MAX, "indices of a multi-proof")?,
            path: reader.sequence(siblings_max, "path of a multi-proof")?,
        })
    }
}
