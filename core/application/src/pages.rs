//! The Merkle tree over a state's pages, kept between checkpoints.

use std::mem;

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
///
/// A root can be computed in steps: [`PageTree::freeze`] says of what state, and until the last
/// [`PageTree::step`] whoever writes to a page gives its content to [`PageTree::keep`] first.
#[derive(Debug)]
pub(crate) struct PageTree {
    /// Level 0 holds the pages' leaves, the last level the root alone.
    levels: Vec<Vec<Digest>>,
    /// One bit a page: written since its leaf was computed.
    written: Vec<u64>,
    /// One bit a page: frozen, and its content not taken yet.
    frozen: Vec<u64>,
    /// What the next step of a root does; `None` when none is under way.
    under_way: Option<Step>,
    /// The contents of pages whose leaves are computed next, one after the other. Kept, because fresh
    /// memory of that size is zeroed by the kernel, which took longer than the hashes.
    contents: Vec<u8>,
    /// The pages of these contents, and where each ends.
    ends: Vec<(usize, usize)>,
    /// The pages frozen, rising; then, scratch, the nodes of one level to compute again.
    stale: Vec<usize>,
    /// Scratch: the children of the stale nodes.
    pairs: Vec<[Digest; 2]>,
    /// Scratch: the stale nodes computed.
    nodes: Vec<Digest>,
}

/// What a step does: so many leaves, or one level of inner nodes.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The leaves of frozen pages, from this place in their list on.
    Leaves(usize),
    /// The nodes of this level above them.
    Level(usize),
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
            frozen: vec![0; pages.div_ceil(64)],
            under_way: None,
            contents: Vec::new(),
            ends: Vec::new(),
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

    /// The root of the pages as they are; `content` appends a page's content to the buffer that it is
    /// given.
    ///
    /// # Panics
    /// While the root of a frozen state is under way.
    pub(crate) fn root(&mut self, mut content: impl FnMut(usize, &mut Vec<u8>)) -> Digest {
        self.freeze();
        loop {
            if let Some(root) = self.step(&mut content) {
                return root;
            }
        }
    }

    /// Begins the root of the pages as they are, for [`PageTree::step`].
    ///
    /// # Panics
    /// While another is under way.
    pub(crate) fn freeze(&mut self) {
        assert!(self.under_way.is_none(), "one root at a time");
        self.take_written();
        self.under_way = Some(Step::Leaves(0));
    }

    /// To be called before a page is written to. A frozen one has its content copied; where enough
    /// are, their leaves are computed.
    pub(crate) fn keep(&mut self, page: usize, content: impl FnOnce(&mut Vec<u8>)) {
        self.take(page, content);
        if self.is_full() {
            self.compute_leaves();
        }
    }

    /// Computes some leaves of the frozen state, or a level of nodes above them; the root, once all
    /// are there.
    ///
    /// # Panics
    /// When no root is under way.
    pub(crate) fn step(&mut self, content: impl FnMut(usize, &mut Vec<u8>)) -> Option<Digest> {
        let next = match self.under_way.expect("a root is under way") {
            Step::Leaves(first) => {
                let next = self.take_contents(first, content);
                self.compute_leaves();
                if next < self.stale.len() { Step::Leaves(next) } else { Step::Level(1) }
            }
            Step::Level(level) if level < self.levels.len() => {
                self.update_level(level);
                Step::Level(level + 1)
            }
            Step::Level(_) => {
                self.under_way = None;
                // One page of the largest values can be longer than all others together.
                self.contents.shrink_to(2 * CONTENTS_BYTES);
                let top = &self.levels[self.levels.len() - 1];
                assert_eq!(top.len(), 1, "a tree ends in one root");
                return Some(top[0]);
            }
        };
        self.under_way = Some(next);
        None
    }

    /// Takes the content of a page, if it is frozen; it is not then.
    fn take(&mut self, page: usize, content: impl FnOnce(&mut Vec<u8>)) {
        let (word, bit) = (&mut self.frozen[page / 64], 1 << (page % 64));
        if *word & bit != 0 {
            *word &= !bit;
            self.contents.push(LEAF_TAG);
            content(&mut self.contents);
            self.ends.push((page, self.contents.len()));
        }
    }

    /// Whether the leaves of what is in `contents` are to be computed.
    fn is_full(&self) -> bool {
        self.ends.len() >= TOGETHER || self.contents.len() >= CONTENTS_BYTES
    }

    /// Takes the contents of frozen pages, from a place in their list on; where it stopped.
    fn take_contents(
        &mut self,
        first: usize,
        mut content: impl FnMut(usize, &mut Vec<u8>),
    ) -> usize {
        let mut next = first;
        while !self.is_full()
            && let Some(&page) = self.stale.get(next)
        {
            next += 1;
            self.take(page, |out| content(page, out));
        }
        next
    }

    /// The leaves of what is in `contents`, which is empty then.
    fn compute_leaves(&mut self) {
        let PageTree { levels, contents, ends, .. } = self;
        let (mut messages, mut leaves) = ([&[][..]; TOGETHER], [Digest::ZERO; TOGETHER]);
        let mut start = 0;
        for (&(_, end), message) in ends.iter().zip(&mut messages) {
            *message = &contents[start..end];
            start = end;
        }
        sha256::sha256_each(&messages[..ends.len()], &mut leaves[..ends.len()]);
        for (&(page, _), leaf) in ends.iter().zip(leaves) {
            levels[0][page] = leaf;
        }
        contents.clear();
        ends.clear();
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

    /// Moves the pages marked into `stale`, rising: they are frozen, and marked no more.
    fn take_written(&mut self) {
        self.stale.clear();
        debug_assert!(self.frozen.iter().all(|word| *word == 0), "every content was taken");
        mem::swap(&mut self.written, &mut self.frozen);
        for (nth, word) in self.frozen.iter().enumerate() {
            let mut bits = *word;
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
    fn a_root_in_steps_is_that_of_the_frozen_pages_whatever_is_written_meanwhile() {
        for (pages, written) in [(1, 1), (64, 40), (512, 512), (512, 65)] {
            let mut contents = vec![b"empty".to_vec(); pages];
            let mut tree = PageTree::new(pages, b"empty");
            let write = |tree: &mut PageTree, contents: &mut Vec<Vec<u8>>, page: usize| {
                tree.keep(page, |out| out.extend_from_slice(&contents[page]));
                contents[page].push(page as u8);
                tree.mark(page);
            };
            (0..written).for_each(|nth| write(&mut tree, &mut contents, nth * 7 % pages));
            let frozen = root_from_scratch(&contents);
            tree.freeze();
            let mut nth = 0;
            let root = loop {
                // Some that are hashed already, some that are not, some twice, some never frozen.
                (0..9).for_each(|more| write(&mut tree, &mut contents, (nth * 5 + more) % pages));
                nth += 9;
                let read = |page: usize, out: &mut Vec<u8>| out.extend_from_slice(&contents[page]);
                if let Some(root) = tree.step(read) {
                    break root;
                }
            };
            assert_eq!(root, frozen, "{written} of {pages} pages");
            let read = |page: usize, out: &mut Vec<u8>| out.extend_from_slice(&contents[page]);
            assert_eq!(tree.root(read), root_from_scratch(&contents), "{written} of {pages}");
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
