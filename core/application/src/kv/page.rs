//! One page of the key-value store: the keys that hash to it.

use std::mem;

use bytes::Bytes;
use quorumark_primitives::prefetch::prefetch;
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError, encode_bytes};

use super::{Outcome, PAGE_KEYS_MAX, VALUE_BYTES_MAX};

/// The keys of one page and their values, by rising key, so that the content does not depend on
/// the order in which the keys came.
///
/// Keys stand apart from what they have: the mean page's are one cache line. Beside their values the
/// search among them was two thirds of a write.
#[derive(Debug, Default, Clone)]
pub(super) struct Page {
    keys: Vec<u64>,
    /// By place, what the key has.
    held: Vec<Held>,
}

/// What a key has.
#[derive(Debug, Clone)]
pub(super) struct Held {
    value: Value,
    /// The stamp of the batch that wrote it last; 0: it was there before.
    pub(super) written: u64,
}

/// The most bytes of a value that stands in place: the 24 that a `Bytes` has beside its pointer that is
/// never null, less one for the length.
const SHORT_BYTES_MAX: usize = 23;

const _: () = assert!(size_of::<Value>() == size_of::<Bytes>());

#[derive(Debug, Clone)]
enum Value {
    /// In place: a write allocates nothing.
    Short { length: u8, bytes: [u8; SHORT_BYTES_MAX] },
    /// As the result that answers a read of it, so that a read copies nothing.
    Long(Bytes),
}

impl Held {
    /// An empty value, for [`Held::set`] to write over.
    const EMPTY: Held =
        Held { value: Value::Short { length: 0, bytes: [0; SHORT_BYTES_MAX] }, written: 0 };

    /// A copy of the value.
    fn new(value: &[u8], written: u64) -> Held {
        let mut held = Held::EMPTY;
        held.set(value, written);
        held
    }

    /// Copies a value into [`Held::EMPTY`], where it stays: one that is built elsewhere and moved is read in
    /// other widths than it was written in, and a processor waits for that longer than the rest of a small
    /// write takes.
    #[inline]
    fn set(&mut self, value: &[u8], stamp: u64) {
        debug_assert!(matches!(self.value, Value::Short { length: 0, .. }), "it is empty");
        self.written = stamp;
        match &mut self.value {
            Value::Short { length, bytes } if value.len() <= SHORT_BYTES_MAX => {
                *length = value.len() as u8;
                bytes[..value.len()].copy_from_slice(value);
            }
            other => *other = Value::Long(Outcome::Value(value).to_result()),
        }
    }

    pub(super) fn value(&self) -> &[u8] {
        match &self.value {
            Value::Short { length, bytes } => &bytes[..usize::from(*length)],
            // A result is a tag byte and the value.
            Value::Long(result) => &result[1..],
        }
    }

    /// The value as a result.
    fn result(&self) -> Bytes {
        match &self.value {
            Value::Short { .. } => Outcome::Value(self.value()).to_result(),
            Value::Long(result) => result.clone(),
        }
    }

    /// With a part of the value overwritten.
    fn patched(&self, offset: usize, patch: &[u8], written: u64) -> Held {
        let range = offset..offset + patch.len();
        let value = match &self.value {
            Value::Short { length, bytes } => {
                let (length, mut bytes) = (*length, *bytes);
                bytes[range].copy_from_slice(patch);
                Value::Short { length, bytes }
            }
            // Written anew: replies to earlier reads may still share the bytes.
            Value::Long(result) => {
                let mut result = Vec::from(&result[..]);
                result[1..][range].copy_from_slice(patch);
                Value::Long(Bytes::from(result))
            }
        };
        Held { value, written }
    }
}

impl Page {
    /// How many keys have a value.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Where `key` stands, or where it would.
    pub(super) fn find(&self, key: u64) -> Result<usize, usize> {
        self.keys.binary_search(&key)
    }

    /// As [`Page::find`], where it may stand at `at`.
    pub(super) fn find_from(&self, at: usize, key: u64) -> Result<usize, usize> {
        if self.keys.get(at) == Some(&key) { Ok(at) } else { self.find(key) }
    }

    /// Asks for the memory in which [`Page::find`] will look.
    pub(super) fn prefetch_keys(&self) {
        self.keys.first().into_iter().for_each(prefetch);
    }

    /// Asks for the memory of what a key at a place has.
    pub(super) fn prefetch_held(&self, at: usize) {
        // It may lie across two cache lines.
        prefetch(&self.held[at].value);
        prefetch(&self.held[at].written);
    }

    /// The value at a place that [`Page::find`] found.
    pub(super) fn value(&self, at: usize) -> &[u8] {
        self.held[at].value()
    }

    /// The same as a result.
    pub(super) fn result(&self, at: usize) -> Bytes {
        self.held[at].result()
    }

    /// Gives the key at a place that [`Page::find`] found another value, which is copied; returns
    /// what it had.
    pub(super) fn replace(&mut self, at: usize, value: &[u8], stamp: u64) -> Held {
        let held = &mut self.held[at];
        let before = mem::replace(held, Held::EMPTY);
        held.set(value, stamp);
        before
    }

    /// Overwrites a part of the value at a place that [`Page::find`] found; returns what it had.
    pub(super) fn patch(&mut self, at: usize, offset: usize, patch: &[u8], stamp: u64) -> Held {
        let patched = self.held[at].patched(offset, patch, stamp);
        mem::replace(&mut self.held[at], patched)
    }

    /// Puts back what a key had; `None`: it was not there. Returns how the number of keys and the
    /// bytes of values change.
    pub(super) fn undo(&mut self, key: u64, before: Option<Held>) -> (isize, i64) {
        let length = |held: &Held| held.value().len() as i64;
        match (self.find(key), before) {
            (Ok(at), Some(before)) => {
                let change = length(&before) - length(&self.held[at]);
                self.held[at] = before;
                (0, change)
            }
            (Ok(at), None) => {
                self.keys.remove(at);
                (-1, -length(&self.held.remove(at)))
            }
            (Err(at), Some(before)) => {
                let change = length(&before);
                self.keys.insert(at, key);
                self.held.insert(at, before);
                (1, change)
            }
            (Err(_), None) => (0, 0),
        }
    }

    /// By key that has another value in `before`, or none in one of the two, what it had there.
    pub(super) fn changes_from(&self, before: &Page) -> Vec<(u64, Option<Held>)> {
        let new = self.keys.iter().filter(|key| before.find(**key).is_err());
        let mut changes: Vec<_> = new.map(|key| (*key, None)).collect();
        let same = |key, old: &Held| self.find(key).is_ok_and(|at| self.value(at) == old.value());
        let old = before.entries().filter(|(key, old)| !same(*key, old));
        changes.extend(old.map(|(key, old)| (key, Some(old.clone()))));
        changes
    }

    fn entries(&self) -> impl Iterator<Item = (u64, &Held)> {
        self.keys.iter().copied().zip(&self.held)
    }

    /// The bytes of its values together.
    pub(super) fn value_bytes(&self) -> u64 {
        self.held.iter().map(|held| held.value().len() as u64).sum()
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
        let mut page = Page { keys: Vec::with_capacity(count), held: Vec::with_capacity(count) };
        for _ in 0..count {
            let key = u64::decode(&mut reader)?;
            let value = reader.slice(VALUE_BYTES_MAX, "value")?;
            let rises = page.keys.last().is_none_or(|last| *last < key);
            if !rises || !belongs(key) {
                return Err(WireError::NotCanonical { of: "page" });
            }
            // Copied: a view would hold the whole part in memory.
            page.keys.push(key);
            page.held.push(Held::new(value, 0));
        }
        reader.finish()?;
        Ok(page)
    }

    /// Adds `key` at the place where [`Page::find`] said that it would stand; copies the value.
    pub(super) fn insert(&mut self, at: usize, key: u64, value: &[u8], stamp: u64) {
        debug_assert_eq!(self.find(key), Err(at), "key {key} is out of order");
        self.keys.insert(at, key);
        self.held.insert(at, Held::new(value, stamp));
    }
}

impl Encode for Page {
    /// The sequence of keys, each with its value: what a leaf of the state tree is the hash of.
    fn encode(&self, out: &mut Vec<u8>) {
        (self.keys.len() as u32).encode(out);
        for (key, held) in self.entries() {
            key.encode(out);
            encode_bytes(held.value(), out);
        }
    }
}
