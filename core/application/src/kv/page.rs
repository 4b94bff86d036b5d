//! One page of the key-value store: the keys that hash to it.

use std::mem;

use bytes::Bytes;
use quorumark_primitives::wire::{
    Decode, Encode, Reader, WireError, encode_bytes, encode_sequence,
};

use super::{Outcome, PAGE_KEYS_MAX, VALUE_BYTES_MAX};

/// The keys of one page and their values, by rising key, so that the content does not depend on
/// the order in which the keys came.
#[derive(Debug, Default, Clone)]
pub(super) struct Page(Vec<Entry>);

/// A key and its value.
#[derive(Debug, Clone)]
struct Entry {
    key: u64,
    /// The value as the result that answers a read of it, so that a read copies nothing.
    result: Bytes,
    /// The stamp of the batch that wrote it last; 0: it was there before.
    written: u64,
}

/// What a key had before a write: the value as a result, and the stamp of the batch that wrote it.
pub(super) type Before = (Bytes, u64);

impl Entry {
    fn new(key: u64, value: &[u8], written: u64) -> Entry {
        Entry { key, result: Outcome::Value(value).to_result(), written }
    }

    /// Gives it another value; returns what it had.
    fn write(&mut self, result: Bytes, written: u64) -> Before {
        (mem::replace(&mut self.result, result), mem::replace(&mut self.written, written))
    }

    fn value(&self) -> &[u8] {
        // A result is a tag byte and the value.
        &self.result[1..]
    }
}

impl Page {
    /// How many keys have a value.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where `key` stands, or where it would.
    pub(super) fn find(&self, key: u64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key, |entry| entry.key)
    }

    /// The value at a place that [`Page::find`] found.
    pub(super) fn value(&self, at: usize) -> &[u8] {
        self.0[at].value()
    }

    /// The same as a result.
    pub(super) fn result(&self, at: usize) -> Bytes {
        self.0[at].result.clone()
    }

    /// Gives the key at a place that [`Page::find`] found another value, which is copied; returns
    /// what it had.
    pub(super) fn replace(&mut self, at: usize, value: &[u8], stamp: u64) -> Before {
        self.0[at].write(Outcome::Value(value).to_result(), stamp)
    }

    /// Overwrites a part of the value at a place that [`Page::find`] found; returns what it had.
    pub(super) fn patch(&mut self, at: usize, offset: usize, patch: &[u8], stamp: u64) -> Before {
        // Written anew: replies to earlier reads may still share the bytes.
        let mut result = Vec::from(&self.0[at].result[..]);
        result[1 + offset..][..patch.len()].copy_from_slice(patch);
        self.0[at].write(Bytes::from(result), stamp)
    }

    /// Puts back what a key had, as a result; `None`: it was not there. Returns how the number of
    /// keys and the bytes of values change.
    pub(super) fn undo(&mut self, key: u64, before: Option<Bytes>, written: u64) -> (isize, i64) {
        let length = |result: &Bytes| result.len() as i64 - 1;
        match (self.find(key), before) {
            (Ok(at), Some(before)) => {
                let change = length(&before) - length(&self.0[at].result);
                self.0[at].write(before, written);
                (0, change)
            }
            (Ok(at), None) => (-1, -length(&self.0.remove(at).result)),
            (Err(at), Some(before)) => {
                let change = length(&before);
                self.0.insert(at, Entry { key, result: before, written });
                (1, change)
            }
            (Err(_), None) => (0, 0),
        }
    }

    /// By key that has another value in `before`, or none in one of the two, what it had there, and
    /// the stamp of the batch that wrote it.
    pub(super) fn changes_from(&self, before: &Page) -> Vec<(u64, Option<Bytes>, u64)> {
        let new = self.0.iter().filter(|entry| before.find(entry.key).is_err());
        let mut changes: Vec<_> = new.map(|entry| (entry.key, None, 0)).collect();
        let other = before
            .0
            .iter()
            .filter(|old| self.find(old.key).map_or(true, |at| self.0[at].result != old.result));
        changes.extend(other.map(|old| (old.key, Some(old.result.clone()), old.written)));
        changes
    }

    /// The bytes of its values together.
    pub(super) fn value_bytes(&self) -> u64 {
        self.0.iter().map(|entry| entry.value().len() as u64).sum()
    }

    /// Reads a page whose keys all pass `belongs`.
    ///
    /// # Errors
    /// [`WireError`] when `leaf` is not the one encoding of such a page.
    pub(super) fn from_leaf(
        leaf: &Bytes,
        belongs: impl Fn(u64) -> bool,
    ) -> Result<Page, WireError> {
        let mut reader = Reader::new(leaf);
        let count = u32::decode(&mut reader)? as usize;
        if count > PAGE_KEYS_MAX {
            return Err(WireError::Length { length: count, max: PAGE_KEYS_MAX, of: "page" });
        }
        let mut page = Page(Vec::with_capacity(count));
        for _ in 0..count {
            let key = u64::decode(&mut reader)?;
            let value = reader.slice(VALUE_BYTES_MAX, "value")?;
            let rises = page.0.last().is_none_or(|last| last.key < key);
            if !rises || !belongs(key) {
                return Err(WireError::NotCanonical { of: "page" });
            }
            // Copied: a view would hold the whole part in memory.
            page.0.push(Entry::new(key, value, 0));
        }
        reader.finish()?;
        Ok(page)
    }

    /// Adds `key` at the place where [`Page::find`] said that it would stand; copies the value.
    pub(super) fn insert(&mut self, at: usize, key: u64, value: &[u8], stamp: u64) {
        debug_assert_eq!(self.find(key), Err(at), "key {key} is out of order");
        self.0.insert(at, Entry::new(key, value, stamp));
    }
}

impl Encode for Page {
    /// The sequence of entries: what a leaf of the state tree is the hash of.
    fn encode(&self, out: &mut Vec<u8>) {
        encode_sequence(&self.0, out);
    }
}

impl Encode for Entry {
    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        encode_bytes(self.value(), out);
    }
}
