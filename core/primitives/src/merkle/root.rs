//! Roots without the tree: level by level in blocks that stay in the nearest caches.

use core::mem;
use core::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use thiserror::Error;

use super::Rule;
use crate::Digest;
use crate::sha256::{self, Path};

/// Levels that are reduced at once.
const BLOCK_LEVELS: u32 = 11;

/// Nodes that are reduced to one at once: 64 KiB, and 48 KiB of scratch. They are read once, one
/// after the other, and the kernels want many at a time: the levels of a block of 512 are too short
/// for the fastest one.
pub(super) const BLOCK: usize = 1 << BLOCK_LEVELS;

/// Nodes that are reduced with a scratch of their own, which is cleared in no time.
const SMALL: usize = 16;

/// The same, in little time.
const MIDDLE: usize = 256;

/// The root of the tree over `leaves`, which are leaf hashes; without any,
/// [`Rule::empty_root`].
pub fn root(rule: Rule, leaves: &[Digest]) -> Digest {
    root_with(sha256::path(), rule, leaves)
}

/// [`root`] with a given path for SHA-256.
pub fn root_with(path: Path, rule: Rule, leaves: &[Digest]) -> Digest {
    Reduction::new(rule, path).root(leaves)
}

/// [`root`] by all threads of the current rayon pool; to choose their number, call it inside
/// `ThreadPool::install`.
pub fn root_parallel(rule: Rule, leaves: &[Digest]) -> Digest {
    root_parallel_with(sha256::path(), rule, leaves)
}

/// [`root_parallel`] with a given path for SHA-256.
pub fn root_parallel_with(path: Path, rule: Rule, leaves: &[Digest]) -> Digest {
    Reduction { parallel: true, ..Reduction::new(rule, path) }.root(leaves)
}

/// A list of leaves that shares its root with a shorter list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("two equal siblings: another list of transactions has the root {root}")]
pub struct Mutated {
    /// The root that the list has all the same.
    pub root: Digest,
}

/// The root under Bitcoin's rule, refused when two siblings that are both there are equal.
///
/// An odd node is paired with itself, so the lists (1, 2, 3) and (1, 2, 3, 3) have one root: a
/// block could be altered without altering its header (CVE-2012-2459). The check is that of Bitcoin
/// Core's `ComputeMerkleRoot`, its `mutated`. A block refused here must not be remembered as
/// invalid by its header's hash: the honest block has the same.
///
/// # Errors
/// [`Mutated`], with the root.
pub fn bitcoin_root_checked(leaves: &[Digest]) -> Result<Digest, Mutated> {
    let mutated = AtomicBool::new(false);
    let unchecked = Reduction::new(Rule::Bitcoin, sha256::path());
    let root = Reduction { mutated: Some(&mutated), ..unchecked }.root(leaves);
    if mutated.into_inner() { Err(Mutated { root }) } else { Ok(root) }
}

/// One computation of a root.
pub(super) struct Reduction<'a> {
    rule: Rule,
    path: Path,
    /// Whether the subtrees are spread over the current rayon pool.
    parallel: bool,
    /// Levels that are reduced at once, at most [`BLOCK_LEVELS`].
    block_levels: u32,
    /// Set when two siblings are equal. Relaxed is enough: it is read after every block is done,
    /// and joining them orders the two.
    mutated: Option<&'a AtomicBool>,
}

impl<'a> Reduction<'a> {
    /// A reduction on the calling thread.
    pub(super) fn new(rule: Rule, path: Path) -> Reduction<'a> {
        Reduction { rule, path, parallel: false, block_levels: BLOCK_LEVELS, mutated: None }
    }

    fn root(&self, leaves: &[Digest]) -> Digest {
        if leaves.is_empty() {
            return self.rule.empty_root();
        }
        let levels = leaves.len().next_power_of_two().ilog2();
        self.rule.seal(leaves.len() as u64, self.top(leaves, levels))
    }

    /// The node that stands `levels` above `nodes`. Where these have neighbours, `levels` is that
    /// of a full subtree, so that the last one, which may be short, pairs its odd nodes on each
    /// level.
    ///
    /// Subtrees of whole blocks are reduced first, at most [`BLOCK`] of them, whose top nodes are
    /// then a block themselves: nothing is allocated, and the stack holds a block for every
    /// [`BLOCK_LEVELS`] levels.
    pub(super) fn top(&self, nodes: &[Digest], levels: u32) -> Digest {
        let at_once = self.block_levels;
        if levels <= at_once {
            return self.subtree(nodes, levels);
        }
        let below = (levels - 1) / at_once * at_once;
        let size = 1 << below;
        let mut tops = [Digest::ZERO; BLOCK];
        let tops = &mut tops[..nodes.len().div_ceil(size)];
        if self.parallel {
            let subtrees = nodes.par_chunks(size).zip(tops.par_iter_mut());
            subtrees.for_each(|(nodes, top)| *top = self.top(nodes, below));
        } else {
            for (nodes, top) in nodes.chunks(size).zip(&mut *tops) {
                *top = self.top(nodes, below);
            }
        }
        self.subtree(tops, levels - below)
    }

    fn subtree(&self, nodes: &[Digest], levels: u32) -> Digest {
        assert!((1..=BLOCK).contains(&nodes.len()), "a block has 1 to {BLOCK} nodes");
        // Most trees of a checkpoint are a few nodes: clearing a block would cost them more.
        if nodes.len() <= SMALL {
            self.cleared::<{ SMALL / 2 }, { SMALL / 4 }>(nodes, levels)
        } else if nodes.len() <= MIDDLE {
            self.cleared::<{ MIDDLE / 2 }, { MIDDLE / 4 }>(nodes, levels)
        } else {
            self.cleared::<{ BLOCK / 2 }, { BLOCK / 4 }>(nodes, levels)
        }
    }

    /// [`Reduction::subtree`] with a scratch for so many nodes of the first level and the second.
    fn cleared<const HALF: usize, const QUARTER: usize>(
        &self,
        nodes: &[Digest],
        levels: u32,
    ) -> Digest {
        let mut scratch = ([Digest::ZERO; HALF], [Digest::ZERO; QUARTER]);
        self.reduce(nodes, levels, &mut scratch.0, &mut scratch.1)
    }

    /// The node `levels` above `nodes`; `from` and `to` hold half of these, and a quarter.
    fn reduce<'s>(
        &self,
        nodes: &[Digest],
        levels: u32,
        mut from: &'s mut [Digest],
        mut to: &'s mut [Digest],
    ) -> Digest {
        if levels == 0 {
            return nodes[0];
        }
        let mut count = nodes.len().div_ceil(2);
        self.level(nodes, &mut from[..count]);
        for _ in 1..levels {
            let half = count.div_ceil(2);
            self.level(&from[..count], &mut to[..half]);
            mem::swap(&mut from, &mut to);
            count = half;
        }
        assert_eq!(count, 1, "{levels} levels reduce {} nodes to one", nodes.len());
        from[0]
    }

    fn level(&self, nodes: &[Digest], out: &mut [Digest]) {
        if let Some(mutated) = self.mutated
            && nodes.as_chunks::<2>().0.iter().any(|[left, right]| left == right)
        {
            mutated.store(true, Ordering::Relaxed);
        }
        self.rule.parents(self.path, nodes, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;

    /// With blocks of a few levels, small trees are blocks of blocks of blocks.
    #[test]
    fn no_root_depends_on_the_levels_of_a_block() {
        let leaves: Vec<Digest> = (0..600u64).map(|i| hash::sha256(&i.to_le_bytes())).collect();
        for rule in Rule::ALL {
            for count in (1..=70).chain([511, 512, 513, 600]) {
                let whole = Reduction::new(rule, sha256::path());
                let expected = whole.root(&leaves[..count]);
                for (block_levels, parallel) in [(1, false), (2, true), (3, false), (4, true)] {
                    let whole = Reduction::new(rule, sha256::path());
                    let root = Reduction { block_levels, parallel, ..whole }.root(&leaves[..count]);
                    assert_eq!(root, expected, "{rule}, {count} leaves, {block_levels} levels");
                }
            }
        }
    }
}
