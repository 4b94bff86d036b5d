//! A Merkle tree with all its levels, for proofs.

use rayon::prelude::*;

use super::root::BLOCK;
use super::{InclusionProof, Rule};
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
}
