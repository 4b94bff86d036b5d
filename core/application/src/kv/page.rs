//! One page of the key-value store: the keys that hash to it.

use bytes::Bytes;
use quorumark_primitives::wire::{Encode, encode_bytes, encode_sequence};

use super::Outcome;

/// The keys of one page and their values, by rising key, so that the content does not depend on
/// the order in which the keys came.
#[derive(Debug, Default)]
pub(super) struct Page(Vec<Entry>);

/// A key and its value.
#[derive(Debug)]
struct Entry {
    key: u64,
    /// The value as the result that answers a read of it, so that a read copies nothing.
    result: Bytes,
}

impl Entry {
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

    /// Gives the key at a place that [`Page::find`] found another value, which is copied.
    pub(super) fn replace(&mut self, at: usize, value: &[u8]) {
        self.0[at].result = Outcome::Value(value).to_result();
    }

    /// Overwrites a part of the value at a place that [`Page::find`] found.
    pub(super) fn patch(&mut self, at: usize, offset: usize, patch: &[u8]) {
        // Written anew: replies to earlier reads may still share the bytes.
        let mut result = Vec::from(&self.0[at].result[..]);
        result[1 + offset..][..patch.len()].copy_from_slice(patch);
        self.0[at].result = Bytes::from(result);
    }

    /// Adds `key` at the place where [`Page::find`] said that it would stand; copies the value.
    pub(super) fn insert(&mut self, at: usize, key: u64, value: &[u8]) {
        debug_assert_eq!(self.find(key), Err(at), "key {key} is out of order");
        self.0.insert(at, Entry { key, result: Outcome::Value(value).to_result() });
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
