//! One page of the key-value store: the keys that hash to it.

use std::mem;

use bytes::Bytes;
use quorumark_primitives::prefetch::prefetch;
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError, encode_bytes};

use super::lent::{Frames, Lent};
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
/// never null, less one for the length and one that tells it from a value that is lent.
const SHORT_BYTES_MAX: usize = 22;

const _: () = assert!(size_of::<Value>() == size_of::<Bytes>());

#[derive(Debug, Clone)]
enum Value {
    Near(Near),
    /// As the result that answers a read of it, so that a read copies nothing.
    Long(Bytes),
}

/// A value for which a write allocates nothing.
#[derive(Debug, Clone)]
enum Near {
    /// In place.
    Short { length: u8, bytes: [u8; SHORT_BYTES_MAX] },
    /// Where it came.
    Lent(Lent),
}

/// A value that is written.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) value: &'a [u8],
    /// Where it lies in a frame, if it can stay there; otherwise it is copied.
    pub(super) lent: Option<Lent>,
    /// The stamp of the batch that writes it.
    pub(super) stamp: u64,
}

/// Whether a value is so short that it is copied in any case.
pub(super) fn is_short(value: &[u8]) -> bool {
    value.len() <= SHORT_BYTES_MAX
}

impl Held {
    /// An empty value, for [`Held::set`] to write over.
    const EMPTY: Held = Held {
        value: Value::Near(Near::Short { length: 0, bytes: [0; SHORT_BYTES_MAX] }),
        written: 0,
    };

    fn new(given: Given<'_>) -> Held {
        let mut held = Held::EMPTY;
        held.set(given);
        held
    }

    /// Puts a value into [`Held::EMPTY`], where it stays: one that is built elsewhere and moved is read in
    /// other widths than it was written in, and a processor waits for that longer than the rest of a small
    /// write takes.
    #[inline]
    fn set(&mut self, Given { value, lent, stamp }: Given<'_>) {
        debug_assert!(self.len() == 0, "it is empty");
        self.written = stamp;
        match &mut self.value {
            Value::Near(Near::Short { length, bytes }) if is_short(value) => {
                *length = value.len() as u8;
                bytes[..value.len()].copy_from_slice(value);
            }
            other => {
                *other = match lent {
                    Some(lent) => Value::Near(Near::Lent(lent)),
                    None => Value::Long(Outcome::Value(value).to_result()),
                }
            }
        }
    }

    fn value<'a>(&'a self, frames: &'a Frames) -> &'a [u8] {
        match &self.value {
            Value::Near(Near::Short { length, bytes }) => &bytes[..usize::from(*length)],
            Value::Near(Near::Lent(lent)) => frames.value(*lent),
            // A result is a tag byte and the value.
            Value::Long(result) => &result[1..],
        }
    }

    /// Bytes of the value.
    pub(super) fn len(&self) -> usize {
        match &self.value {
            Value::Near(Near::Short { length, .. }) => usize::from(*length),
            Value::Near(Near::Lent(lent)) => lent.len(),
            Value::Long(result) => result.len() - 1,
        }
    }

    /// Copies a value that is lent.
    #[inline]
    fn own(&mut self, frames: &Frames) {
        if let Value::Near(Near::Lent(lent)) = self.value {
            self.value = Value::Long(Outcome::Value(frames.value(lent)).to_result());
        }
    }

    /// The value as a result.
    fn result(&self, frames: &Frames) -> Bytes {
        match &self.value {
            Value::Near(_) => Outcome::Value(self.value(frames)).to_result(),
            Value::Long(result) => result.clone(),
        }
    }

    /// With a part of the value overwritten; one that is lent is copied first.
    fn patched(&mut self, offset: usize, patch: &[u8], written: u64, frames: &Frames) -> Held {
        self.own(frames);
        let range = offset..offset + patch.len();
        let value = match &self.value {
            Value::Near(near) => {
                let mut near = near.clone();
                if let Near::Short { bytes, .. } = &mut near {
                    bytes[range].copy_from_slice(patch);
                }
                Value::Near(near)
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
    pub(super) fn value<'a>(&'a self, at: usize, frames: &'a Frames) -> &'a [u8] {
        self.held[at].value(frames)
    }

    /// Its bytes.
    pub(super) fn value_len(&self, at: usize) -> usize {
        self.held[at].len()
    }

    /// The same as a result; one that is lent is copied first.
    pub(super) fn result(&mut self, at: usize, frames: &Frames) -> Bytes {
        let held = &mut self.held[at];
        held.own(frames);
        held.result(frames)
    }

    /// Copies every value that is lent.
    pub(super) fn own(&mut self, frames: &Frames) {
        self.held.iter_mut().for_each(|held| held.own(frames));
    }

    /// Gives the key at a place that [`Page::find`] found another value; returns what it had.
    pub(super) fn replace(&mut self, at: usize, given: Given<'_>) -> Held {
        let held = &mut self.held[at];
        let before = mem::replace(held, Held::EMPTY);
        held.set(given);
        before
    }

    /// Overwrites a part of the value at a place that [`Page::find`] found; returns what it had.
    pub(super) fn patch(
        &mut self,
        at: usize,
        offset: usize,
        patch: &[u8],
        stamp: u64,
        frames: &Frames,
    ) -> Held {
        let patched = self.held[at].patched(offset, patch, stamp, frames);
        mem::replace(&mut self.held[at], patched)
    }

    /// Puts back what a key had; `None`: it was not there. Returns how the number of keys and the
    /// bytes of values change.
    pub(super) fn undo(&mut self, key: u64, before: Option<Held>) -> (isize, i64) {
        let length = |held: &Held| held.len() as i64;
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

    /// By key that has another value in `before`, or none in one of the two, what it had there. No value
    /// of the two is lent.
    pub(super) fn changes_from(&self, before: &Page) -> Vec<(u64, Option<Held>)> {
        let none = &Frames::default();
        let new = self.keys.iter().filter(|key| before.find(**key).is_err());
        let mut changes: Vec<_> = new.map(|key| (*key, None)).collect();
        let same = |key, old: &Held| {
            self.find(key).is_ok_and(|at| self.value(at, none) == old.value(none))
        };
        let old = before.entries().filter(|(key, old)| !same(*key, old));
        changes.extend(old.map(|(key, old)| (key, Some(old.clone()))));
        changes
    }

    fn entries(&self) -> impl Iterator<Item = (u64, &Held)> {
        self.keys.iter().copied().zip(&self.held)
    }

    /// The bytes of its values together.
    pub(super) fn value_bytes(&self) -> u64 {
        self.held.iter().map(|held| held.len() as u64).sum()
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
            page.held.push(Held::new(Given { value, lent: None, stamp: 0 }));
        }
        reader.finish()?;
        Ok(page)
    }

    /// Adds `key` at the place where [`Page::find`] said that it would stand.
    pub(super) fn insert(&mut self, at: usize, key: u64, given: Given<'_>) {
        debug_assert_eq!(self.find(key), Err(at), "key {key} is out of order");
        self.keys.insert(at, key);
        self.held.insert(at, Held::new(given));
    }

    /// The sequence of keys, each with its value: what a leaf of the state tree is the hash of.
    pub(super) fn encode(&self, frames: &Frames, out: &mut Vec<u8>) {
        (self.keys.len() as u32).encode(out);
        for (key, held) in self.entries() {
            key.encode(out);
            encode_bytes(held.value(frames), out);
        }
    }
}
