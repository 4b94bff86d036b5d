//! The Merkle tree over a state's pages, kept between checkpoints.

use quorumark_primitives::Digest;
use quorumark_primitives::merkle::{Rule, leaf_hash};
use quorumark_primitives::sha256;

/// The most pages of a tree; its nodes then take 64 MiB.
pub(crate) const PAGES_MAX: usize = 1 << 20;

/// Pages whose leaves are computed side by side: so many that lanes are seldom idle at the end,
/// though pages differ in length.
const TOGETHER: usize = 64;
/// Bytes of pages beyond which no further one joins those.
const CONTENTS_BYTES: usize = 512 << 10;

/// The tag before a leaf's data (RFC 6962 2.1).
const LEAF_TAG: u8 = 0;
/// The tag before an inner node's two children (RFC 6962 2.1).
const NODE_TAG: u8 = 1;

/// The tree of RFC 6962, section 2.1, over a fixed power of two of pages.
///
/// It keeps every node, so that a root costs one leaf for each page written since the last one and
/// the inner nodes above them, and so that the proof of a page can be read off without hashing.
#[derive(Debug)]
pub(crate) struct PageTree {
    /// Level 0 holds the pages' leaves, the last level the root alone.
    levels: Vec<Vec<Digest>>,
    /// One bit a page: written since its leaf was computed.
    written: Vec<u64>,
    /// Scratch: the contents of pages, one after the other. Kept, because fresh memory of that size is
    /// zeroed by the kernel, which took longer than the hashes.
    contents: Vec<u8>,
    /// Scratch: the nodes of one level to compute again, rising.
    stale: Vec<usize>,
    /// Scratch: the children of the stale nodes.
    pairs: Vec<[Digest; 2]>,
    /// Scratch: the stale nodes computed.
    nodes: Vec<Digest>,
}

impl PageTree {
    /// A tree of `pages` pages, each with the content `empty`.
    ///
    /// # Panics
    /// When `pages` is not a power of two, or above [`PAGES_MAX`].
    pub(crate) fn new(pages: usize, empty: &[u8]) -> PageTree {
        assert!(pages.is_power_of_two() && pages <= PAGES_MAX, "a tree of {pages} pages");
        let depth = pages.ilog2();
        let mut node = [leaf_hash(Rule::Rfc6962, empty)];
        let mut levels = Vec::with_capacity(depth as usize + 1);
        for level in 0..=depth {
            levels.push(vec![node[0]; pages >> level]);
            sha256::tagged_pairs(NODE_TAG, &[[node[0]; 2]], &mut node);
        }
        PageTree {
            levels,
            written: vec![0; pages.div_ceil(64)],
            contents: Vec::new(),
            stale: Vec::new(),
            pairs: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Notes that `page` was written.
    pub(crate) fn mark(&mut self, page: usize) {
        debug_assert!(page < self.levels[0].len(), "page {page} is beyond the tree");
        self.written[page / 64] |= 1 << (page % 64);
    }

    /// The root; `content` appends a page's content to the buffer that it is given.
    pub(crate) fn root(&mut self, mut content: impl FnMut(usize, &mut Vec<u8>)) -> Digest {
        self.take_written();
        let PageTree { levels, contents, stale, .. } = self;
        let mut rest = stale.as_slice();
        while !rest.is_empty() {
            let (mut ends, mut count) = ([0; TOGETHER], 0);
            contents.clear();
            for (&page, end) in rest.iter().zip(&mut ends) {
                if contents.len() >= CONTENTS_BYTES {
                    break;
                }
                contents.push(LEAF_TAG);
                content(page, contents);
                (*end, count) = (contents.len(), count + 1);
            }
            let starts = [0].into_iter().chain(ends);
            let mut messages = [&[][..]; TOGETHER];
            for ((start, end), message) in starts.zip(ends).zip(&mut messages[..count]) {
                *message = &contents[start..end];
            }
            let mut leaves = [Digest::ZERO; TOGETHER];
            sha256::sha256_each(&messages[..count], &mut leaves[..count]);
            let (pages, others) = rest.split_at(count);
            for (&page, leaf) in pages.iter().zip(leaves) {
                levels[0][page] = leaf;
            }
            rest = others;
        }
        // One page of the largest values can be longer than all others together.
        contents.shrink_to(2 * CONTENTS_BYTES);
        for level in 1..self.levels.len() {
            self.update_level(level);
        }
        let top = &self.levels[self.levels.len() - 1];
        assert_eq!(top.len(), 1, "a tree ends in one root");
        top[0]
    }

    /// The nodes of a level, as of the last root: level 0 holds the leaves.
    pub(crate) fn level(&self, level: u32) -> &[Digest] {
        &self.levels[level as usize]
    }

    /// Computes the parents of the stale nodes below `level`, all at once: the kernel is faster on
    /// many. They are the stale nodes then.
    fn update_level(&mut self, level: usize) {
        self.stale.iter_mut().for_each(|node| *node /= 2);
        self.stale.dedup();
        let below = &self.levels[level - 1];
        let children = |&node: &usize| [below[2 * node], below[2 * node + 1]];
        self.pairs.clear();
        self.pairs.extend(self.stale.iter().map(children));
        self.nodes.resize(self.pairs.len(), Digest::ZERO);
        sha256::tagged_pairs(NODE_TAG, &self.pairs, &mut self.nodes);
        for (&node, digest) in self.stale.iter().zip(&self.nodes) {
            self.levels[level][node] = *digest;
        }
    }

    /// Moves the pages marked into `stale`, rising, and forgets the marks.
    fn take_written(&mut self) {
        self.stale.clear();
        for (nth, word) in self.written.iter_mut().enumerate() {
            let mut bits = std::mem::take(word);
            while bits != 0 {
                self.stale.push(64 * nth + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use quorumark_primitives::merkle;

    use super::*;

    fn root_from_scratch(pages: &[Vec<u8>]) -> Digest {
        let leaves: Vec<Digest> = pages.iter().map(|page| leaf_hash(Rule::Rfc6962, page)).collect();
        merkle::root(Rule::Rfc6962, &leaves)
    }

    #[test]
    fn the_kept_root_is_the_root_from_scratch_at_every_size() {
        for pages in (0..9).map(|log| 1usize << log) {
            let mut contents = vec![b"empty".to_vec(); pages];
            let mut tree = PageTree::new(pages, b"empty");
            assert_eq!(tree.root(|_, _| ()), root_from_scratch(&contents));
            for write in 0..2 * pages {
                let page = write * 7 % pages;
                contents[page].push(write as u8);
                tree.mark(page);
                if write % 3 == 0 {
                    let root = tree.root(|page, out| out.extend_from_slice(&contents[page]));
                    assert_eq!(root, root_from_scratch(&contents), "{pages} pages");
                }
            }
        }
    }

    #[test]
    fn only_pages_written_since_the_last_root_are_read() {
        let mut tree = PageTree::new(256, b"");
        let reads = Cell::new(0);
        tree.root(|_, _| reads.set(reads.get() + 1));
        assert_eq!(reads.get(), 0);
        for page in [0, 63, 64, 64, 255] {
            tree.mark(page);
        }
        tree.root(|_, _| reads.set(reads.get() + 1));
        tree.root(|_, _| reads.set(reads.get() + 1));
        assert_eq!(reads.get(), 4);
    }
}
