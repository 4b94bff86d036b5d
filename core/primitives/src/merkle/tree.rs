//! A Merkle tree with all its levels, for proofs.

use core::ops::Range;

use rayon::prelude::*;

use super::multi::MULTI_PROOF_LEAVES_MAX;
use super::root::BLOCK;
use super::{ConsistencyProof, InclusionProof, MultiProof, Rule, consistency};
use crate::Digest;
use crate::sha256;

/// All nodes of a tree: twice as many digests as leaves.
#[derive(Debug, Clone)]
pub struct Tree {
    rule: Rule,
    /// The leaf hashes, then each level above; the last has one node, or none in an empty tree.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Builds the tree over leaf hashes.
    pub fn build(rule: Rule, leaves: Vec<Digest>) -> Tree {
        let path = sha256::path();
        Tree::build_by(rule, leaves, |nodes, out| rule.parents(path, nodes, out))
    }

    /// [`Tree::build`] by all threads of the current rayon pool.
    pub fn build_parallel(rule: Rule, leaves: Vec<Digest>) -> Tree {
        let path = sha256::path();
        Tree::build_by(rule, leaves, |nodes, out| {
            let blocks = nodes.par_chunks(BLOCK).zip(out.par_chunks_mut(BLOCK / 2));
            blocks.for_each(|(nodes, out)| rule.parents(path, nodes, out));
        })
    }

    fn build_by(rule: Rule, leaves: Vec<Digest>, level: impl Fn(&[Digest], &mut [Digest])) -> Tree {
        let mut levels = Vec::new();
        let mut nodes = leaves;
        while nodes.len() > 1 {
            let mut parents = vec![Digest::ZERO; nodes.len().div_ceil(2)];
            level(&nodes, &mut parents);
            levels.push(nodes);
            nodes = parents;
        }
        levels.push(nodes);
        Tree { rule, levels }
    }

    /// Adds a leaf after the last: the nodes above it are hashed again, one on each level.
    pub fn append(&mut self, leaf: Digest) {
        self.levels[0].push(leaf);
        let path = sha256::path();
        let mut height = 0;
        while self.levels[height].len() > 1 {
            let nodes = &self.levels[height];
            let last = (nodes.len() - 1) / 2;
            let mut parent = [Digest::ZERO];
            self.rule.parents(path, &nodes[2 * last..], &mut parent);
            height += 1;
            if height == self.levels.len() {
                self.levels.push(Vec::new());
            }
            // The last parent is new when the leaf's level was even before, and replaced when odd.
            self.levels[height].truncate(last);
            self.levels[height].extend(parent);
        }
        assert_eq!(height + 1, self.levels.len(), "the last level is the top node's");
    }

    /// The rule of the tree.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// The number of leaves.
    pub fn leaf_count(&self) -> u64 {
        self.leaves().len() as u64
    }

    /// The leaf hashes.
    pub fn leaves(&self) -> &[Digest] {
        &self.levels[0]
    }

    /// The root; of an empty tree [`Rule::empty_root`].
    pub fn root(&self) -> Digest {
        match self.levels.last().and_then(|level| level.first()) {
            Some(top) => self.rule.seal(self.leaf_count(), *top),
            None => self.rule.empty_root(),
        }
    }

    /// The proof that the leaf `index` is in the tree; `None` when there is no such leaf.
    pub fn proof(&self, index: u64) -> Option<InclusionProof> {
        if index >= self.leaf_count() {
            return None;
        }
        let mut position = index as usize;
        let mut path = Vec::with_capacity(self.levels.len() - 1);
        for level in &self.levels[..self.levels.len() - 1] {
            match level.get(position ^ 1) {
                Some(sibling) => path.push(*sibling),
                None if self.rule.duplicates_odd() => path.push(level[position]),
                None => {}
            }
            position /= 2;
        }
        Some(InclusionProof { rule: self.rule, leaf_count: self.leaf_count(), index, path })
    }

    /// One proof that all leaves of `indices` are in the tree; `None` when the indices do not rise,
    /// when there is none or more than [`MULTI_PROOF_LEAVES_MAX`], or one has no leaf.
    pub fn multi_proof(&self, indices: &[u64]) -> Option<MultiProof> {
        let in_order = indices.windows(2).all(|pair| pair[0] < pair[1]);
        let last = indices.last()?;
        if !in_order || indices.len() > MULTI_PROOF_LEAVES_MAX || *last >= self.leaf_count() {
            return None;
        }
        let mut path = Vec::new();
        let mut positions = indices.to_vec();
        for level in &self.levels[..self.levels.len() - 1] {
            for siblings in positions.chunk_by(|one, next| one / 2 == next / 2) {
                // Of two siblings that are both known, neither is part of the proof; an odd node
                // has none.
                if let [position] = siblings {
                    path.extend(level.get((position ^ 1) as usize));
                }
            }
            positions.iter_mut().for_each(|position| *position /= 2);
            positions.dedup();
        }
        let (rule, leaf_count) = (self.rule, self.leaf_count());
        Some(MultiProof { rule, leaf_count, indices: indices.to_vec(), path })
    }

    /// The proof that the first `old_count` leaves were a tree of their own before; `None` under
    /// another rule than RFC 6962's, for no leaf, and for more than there are.
    pub fn consistency_proof(&self, old_count: u64) -> Option<ConsistencyProof> {
        let new_count = self.leaf_count();
        if self.rule != Rule::Rfc6962 || !(1..=new_count).contains(&old_count) {
            return None;
        }
        let ranges = consistency::ranges(old_count, new_count);
        let node = |range: Range<u64>| {
            let height = (range.end - range.start).next_power_of_two().ilog2();
            self.levels[height as usize][(range.start >> height) as usize]
        };
        Some(ConsistencyProof {
            old_count,
            new_count,
            path: ranges.into_iter().map(node).collect(),
        })
    }
}
