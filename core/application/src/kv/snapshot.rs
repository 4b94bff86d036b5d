//! The store's checkpoints: their parts, going back to them, and becoming a peer's.
//!
//! The leaves are the pages, in order, and last the rules. A checkpoint is the present store with
//! what was written since undone, so keeping one costs nothing but the values that were replaced.

use std::mem;

use bytes::Bytes;
use quorumark_consensus::parts::{Cut, StateRoot, append_leaf};
use quorumark_consensus::types::Seq;
use quorumark_primitives::Digest;
use quorumark_primitives::wire::WireError;

use super::{KEY_BYTES, KvStore, Page, Write, mix};
use crate::{Application, NotKept, RestoreError};

/// The cut of a store of so many pages.
pub(super) fn cut_of(pages: usize) -> Cut {
    Cut::new(pages as u64 + 1).expect("a store has far fewer leaves than a cut can have")
}

impl KvStore {
    pub(super) fn leaves(&self) -> u64 {
        self.pages.len() as u64 + 1
    }

    fn cut(&self) -> Cut {
        cut_of(self.pages.len())
    }

    /// The digests of the parts, as of the last root.
    pub(super) fn cut_digests(&self) -> Vec<Digest> {
        // The number of pages is a power of two and of parts: the rules are a part of their own.
        let mut digests = self.tree.level(self.cut().level()).to_vec();
        digests.push(self.rules.1);
        debug_assert_eq!(digests.len(), self.cut().parts() as usize);
        digests
    }

    /// The pages of a part.
    fn pages_of(&self, nth: u32) -> std::ops::Range<usize> {
        let leaves = self.cut().leaves_of(nth);
        let rules = self.pages.len();
        (leaves.start as usize).min(rules)..(leaves.end as usize).min(rules)
    }

    pub(super) fn part_at(&self, seq: Seq, nth: u32) -> Option<Bytes> {
        let checkpoint = self.history.kept(seq)?;
        if nth >= self.cut().parts() {
            return None;
        }
        let range = self.pages_of(nth);
        let mut pages: Vec<Page> = self.pages[range.clone()].to_vec();
        for undo in self.history.since(checkpoint) {
            let place = (undo.page as usize).checked_sub(range.start);
            if let Some(page) = place.and_then(|place| pages.get_mut(place)) {
                page.undo(undo.key, undo.before.clone());
            }
        }
        let mut part = Vec::new();
        for page in &pages {
            let mut leaf = Vec::new();
            page.encode(&self.frames, &mut leaf);
            append_leaf(&leaf, &mut part);
        }
        if range.is_empty() {
            append_leaf(&self.rules.0, &mut part);
        }
        Some(Bytes::from(part))
    }

    pub(super) fn undo_to(&mut self, seq: Seq) -> Result<(), NotKept> {
        if seq == self.executed {
            return Ok(());
        }
        self.end_begun();
        let undone = self.history.unwind(seq).ok_or(NotKept { seq })?;
        self.ended.take_if(|(ended, _)| *ended > seq);
        for Write { page, key, before } in undone {
            let (keys, bytes) = self.pages[page as usize].undo(key, before);
            self.keys = self.keys.strict_add_signed(keys);
            self.value_bytes = self.value_bytes.strict_add_signed(bytes);
            let part = &mut self.part_bytes[page as usize >> self.part_level];
            *part = part.strict_add_signed(bytes + keys as i64 * KEY_BYTES as i64);
            self.tree.mark(page as usize);
        }
        self.frames.drop_from(seq);
        self.executed = seq;
        Ok(())
    }

    pub(super) fn take_over(
        &mut self,
        seq: Seq,
        state: StateRoot,
        parts: &[(u32, Bytes)],
    ) -> Result<(), RestoreError> {
        if state.leaves != self.leaves() {
            return Err(RestoreError::Shape { leaves: state.leaves });
        }
        self.end_begun();
        let mut pages = Vec::new();
        for (nth, part) in parts {
            let read = self.read_part(*nth, part, &mut pages);
            read.map_err(|error| RestoreError::Part { nth: *nth, error })?;
        }
        self.swap(&mut pages);
        let found = self.root();
        if found != state.root {
            self.swap(&mut pages);
            return Err(RestoreError::Root { found });
        }
        self.history.begin_restore(self.executed, seq);
        for (nth, before) in &pages {
            for (key, before) in self.pages[*nth].changes_from(before) {
                self.history.replaced(Write { page: *nth as u32, key, before });
            }
        }
        self.history.mark(seq);
        self.history.keep(seq, self.cut_digests());
        // The root above copied what was lent.
        self.frames.clear();
        self.executed = seq;
        Ok(())
    }

    fn read_part(
        &self,
        nth: u32,
        part: &Bytes,
        pages: &mut Vec<(usize, Page)>,
    ) -> Result<(), WireError> {
        let leaves = self.cut().read(nth, part)?;
        let range = self.pages_of(nth);
        if range.is_empty() {
            let same = leaves.first() == Some(&self.rules.0);
            return same.then_some(()).ok_or(WireError::NotCanonical { of: "rules" });
        }
        for (page, leaf) in range.zip(&leaves) {
            let belongs = |key| mix(key) as usize & (self.pages.len() - 1) == page;
            pages.push((page, Page::from_leaf(leaf, belongs)?));
        }
        Ok(())
    }

    /// Exchanges pages with the store's, and counts again.
    fn swap(&mut self, pages: &mut [(usize, Page)]) {
        for (nth, page) in pages {
            let mine = &mut self.pages[*nth];
            mine.own(&self.frames);
            self.keys = self.keys - mine.len() + page.len();
            self.value_bytes = self.value_bytes - mine.value_bytes() + page.value_bytes();
            let content = |page: &Page| page.value_bytes() + (page.len() * KEY_BYTES) as u64;
            let part = &mut self.part_bytes[*nth >> self.part_level];
            *part = *part - content(mine) + content(page);
            mem::swap(mine, page);
            self.tree.mark(*nth);
        }
    }
}
