//! A root that grows leaf by leaf.

use super::Rule;
use super::proof::{LEAF_COUNT_MAX, PATH_LENGTH_MAX};
use super::root::Reduction;
use crate::Digest;
use crate::sha256::{self, Path};

/// The top nodes of the full subtrees that the leaves so far fall into: all that is needed to add
/// leaves and to tell the root, in memory that does not grow with them.
///
/// A tree of n leaves has one full subtree for each bit that is set in n. Adding a leaf is adding
/// one to n: two subtrees of equal height become one, as a carry does.
#[derive(Debug, Clone)]
pub struct Frontier {
    rule: Rule,
    leaf_count: u64,
    /// The top node of height h stands at place h while bit h of the count is set.
    peaks: [Digest; PATH_LENGTH_MAX + 1],
}

impl Frontier {
    /// The frontier of the tree without leaves.
    pub fn new(rule: Rule) -> Frontier {
        Frontier { rule, leaf_count: 0, peaks: [Digest::ZERO; PATH_LENGTH_MAX + 1] }
    }

    /// How many leaves were added.
    pub fn leaf_count(&self) -> u64 {
        self.leaf_count
    }

    /// Adds a leaf hash after the last: one hash on average, at most one a level.
    ///
    /// # Panics
    /// Beyond [`LEAF_COUNT_MAX`] leaves.
    pub fn append(&mut self, leaf: Digest) {
        self.add(leaf, 0);
    }

    /// Adds leaf hashes after the last: as [`Frontier::append`] one by one, but hashed many at once
    /// wherever they fill a subtree.
    ///
    /// # Panics
    /// As [`Frontier::append`].
    pub fn extend(&mut self, leaves: &[Digest]) {
        self.extend_with(sha256::path(), leaves);
    }

    /// [`Frontier::extend`] with a given path for SHA-256.
    ///
    /// # Panics
    /// As [`Frontier::append`].
    pub fn extend_with(&mut self, path: Path, mut leaves: &[Digest]) {
        let reduction = Reduction::new(self.rule, path);
        while let Some(whole) = leaves.len().checked_ilog2() {
            // The next full subtree: no higher than the count is aligned to.
            let height = whole.min(self.leaf_count.trailing_zeros());
            let (subtree, rest) = leaves.split_at(1 << height);
            self.add(reduction.top(subtree, height), height);
            leaves = rest;
        }
    }

    /// The root of the leaves so far; at most one hash a level.
    pub fn root(&self) -> Digest {
        let height = self.leaf_count.trailing_zeros();
        let Some(mut node) = self.peaks.get(height as usize).copied() else {
            return self.rule.empty_root();
        };
        for level in height..self.leaf_count.next_power_of_two().ilog2() {
            // Above the lowest peak, a peak is the left neighbour of what is below it on its right.
            if level > height && self.leaf_count >> level & 1 == 1 {
                node = self.rule.node(self.peaks[level as usize], node);
            } else if self.rule.duplicates_odd() {
                node = self.rule.node(node, node);
            }
        }
        self.rule.seal(self.leaf_count, node)
    }

    /// Adds the top node of a full subtree of this height.
    fn add(&mut self, mut node: Digest, mut height: u32) {
        let added = 1 << height;
        assert!(
            self.leaf_count.is_multiple_of(added),
            "a subtree begins at a multiple of its size"
        );
        assert!(self.leaf_count + added <= LEAF_COUNT_MAX, "at most {LEAF_COUNT_MAX} leaves");
        while self.leaf_count >> height & 1 == 1 {
            node = self.rule.node(self.peaks[height as usize], node);
            height += 1;
        }
        self.peaks[height as usize] = node;
        self.leaf_count += added;
    }
}
