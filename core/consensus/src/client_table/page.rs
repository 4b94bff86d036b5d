//! Sixty-four timestamps of a client, and what was computed of them.
//!
//! A checkpoint hashes and encodes the table; most of it is as it was at the checkpoint before. So
//! a page keeps what was computed: all of it once it is full, and until then of the entries up to
//! the last one that is done ([`Prefix`]). Entries are written by [`Page::set`] alone, and that lets
//! go of what no longer holds.

use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Sha256;
use quorumark_primitives::wire::{Encode, encode_bytes};

use crate::types::Seq;

/// Timestamps a page covers; a checkpoint looks again only at the pages written since the last.
pub(super) const PAGE: u64 = 64;
/// What an entry takes beside its result: timestamp, sequence number, length.
pub(super) const ENTRY_BYTES: usize = size_of::<u64>() + size_of::<u64>() + size_of::<u32>();
/// The most bytes of encoding that a page keeps before it is full. Later entries are then hashed
/// and encoded each time.
const PREFIX_BYTES_MAX: usize = 4 << 10;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Entry {
    #[default]
    Free,
    Executing,
    Done(Seq, Bytes),
}

#[derive(Debug)]
pub(super) struct Page {
    entries: [Entry; PAGE as usize],
    /// The digest of all its entries, if it was computed since the last write.
    digest: Option<Digest>,
    /// Its encoding, while every entry is done: most of a table changes no more, and is encoded
    /// whole at each checkpoint.
    block: Option<Block>,
    prefix: Prefix,
}

/// The encoding of a page that is full. The replies of the page are views into it, so that it
/// takes the place of 64 allocations and costs no memory beside them.
#[derive(Debug)]
struct Block {
    bytes: Bytes,
    /// The last sequence number that wrote into the page.
    last: Seq,
}

/// What was computed of the first entries, none of which is executing.
#[derive(Debug, Default)]
struct Prefix {
    /// How many entries.
    count: usize,
    /// How many of them are done.
    done: usize,
    /// The digest's hash after them.
    hash: Sha256,
    /// Their encoding.
    bytes: Vec<u8>,
    /// The last sequence number among them.
    last: Seq,
}

/// A span of timestamps up to some sequence number: what of a record belongs to a checkpoint.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) low: u64,
    pub(super) highest: u64,
    pub(super) up_to: Seq,
}

impl Span {
    const ALL: Span = Span { low: 0, highest: u64::MAX, up_to: Seq(u64::MAX) };

    fn has(self, timestamp: u64, entry: &Entry) -> bool {
        (self.low..=self.highest).contains(&timestamp)
            && matches!(entry, Entry::Done(seq, _) if *seq <= self.up_to)
    }

    /// Whether it has all timestamps of a page but for those from the place `end` on.
    fn has_first(self, number: u64, end: usize) -> bool {
        let first = number * PAGE;
        self.low <= first && first + (end as u64).saturating_sub(1) <= self.highest
    }
}

impl Page {
    pub(super) fn new() -> Page {
        let entries = core::array::from_fn(|_| Entry::Free);
        Page { entries, digest: None, block: None, prefix: Prefix::default() }
    }

    pub(super) fn entry(&self, place: usize) -> Option<&Entry> {
        self.entries.get(place)
    }

    /// Writes an entry. The one place where it is done: what was computed of it holds no more.
    #[inline]
    pub(super) fn set(&mut self, place: usize, entry: Entry) {
        if let Some(slot) = self.entries.get_mut(place) {
            *slot = entry;
        }
        (self.digest, self.block) = (None, None);
        if place < self.prefix.count {
            self.prefix = Prefix::default();
        }
    }

    /// Frees the first `below` entries.
    pub(super) fn free_below(&mut self, below: usize) {
        for place in 0..below.min(self.entries.len()) {
            if self.entry(place) != Some(&Entry::Free) {
                self.set(place, Entry::Free);
            }
        }
    }

    /// Frees what was not executed up to `seq`; the last place of what was.
    pub(super) fn rollback(&mut self, seq: Seq) -> Option<u64> {
        let mut last = None;
        for place in 0..self.entries.len() {
            match self.entry(place) {
                Some(Entry::Done(done, _)) if *done <= seq => last = Some(place as u64),
                Some(Entry::Free) | None => {}
                Some(_) => self.set(place, Entry::Free),
            }
        }
        last
    }

    /// Whether a request is ordered and its result not back.
    pub(super) fn is_executing(&self) -> bool {
        self.entries.contains(&Entry::Executing)
    }

    /// The bytes that its entries take, when these are at most `bytes_max`; else the place of the
    /// entry with which, from the last one down, they become more.
    pub(super) fn fit(&self, bytes_max: usize) -> Result<usize, u64> {
        let takes = |entry: &Entry| match entry {
            Entry::Done(_, result) => ENTRY_BYTES + result.len(),
            _ => 0,
        };
        let all = match &self.block {
            Some(block) => block.bytes.len(),
            None => self.prefix.bytes.len() + self.rest().iter().map(takes).sum::<usize>(),
        };
        if all <= bytes_max {
            return Ok(all);
        }
        let mut bytes = 0;
        for (place, entry) in self.entries.iter().enumerate().rev() {
            bytes += takes(entry);
            if bytes > bytes_max {
                return Err(place as u64);
            }
        }
        Ok(bytes)
    }

    /// The entries behind the prefix.
    fn rest(&self) -> &[Entry] {
        self.entries.get(self.prefix.count..).unwrap_or_default()
    }

    /// Keeps what can be kept of its encoding; `number` is its own.
    pub(super) fn settle(&mut self, number: u64) {
        if self.block.is_some() {
            return;
        }
        self.prefix.extend(number, &self.entries);
        let is_done = |entry: &Entry| matches!(entry, Entry::Done(..));
        if self.prefix.done == self.prefix.count && self.rest().iter().all(is_done) {
            self.close(number);
        }
    }

    /// Makes one block of a page that is full.
    fn close(&mut self, number: u64) {
        let mut bytes = core::mem::take(&mut self.prefix.bytes);
        encode(self.prefix.count, self.rest(), number, Span::ALL, &mut bytes);
        self.prefix = Prefix::default();
        bytes.shrink_to_fit();
        let bytes = Bytes::from(bytes);
        let (mut end, mut last) = (0, Seq(0));
        for entry in &mut self.entries {
            let Entry::Done(seq, result) = entry else { continue };
            let start = end + ENTRY_BYTES;
            end = start + result.len();
            debug_assert_eq!(bytes.get(start..end), Some(&result[..]), "a view of the same bytes");
            *result = bytes.slice(start..end);
            last = last.max(*seq);
        }
        debug_assert_eq!(end, bytes.len(), "the entries are the block, one after the other");
        self.block = Some(Block { bytes, last });
    }

    /// The block of a page that belongs to a span whole.
    pub(super) fn whole(&self, number: u64, span: Span) -> Option<&Bytes> {
        let inside = span.has_first(number, self.entries.len());
        let block = self.block.as_ref().filter(|block| inside && block.last <= span.up_to);
        block.map(|block| &block.bytes)
    }

    /// How many entries belong to a span.
    pub(super) fn count(&self, number: u64, span: Span) -> usize {
        if self.whole(number, span).is_some() {
            return self.entries.len();
        }
        let Some(Prefix { count, done, .. }) = self.known(number, span) else {
            return entries(0, &self.entries, number, span).count();
        };
        done + entries(*count, self.rest(), number, span).count()
    }

    /// Appends the entries that belong to a span.
    pub(super) fn encode(&self, number: u64, span: Span, out: &mut Vec<u8>) {
        let (from, bytes, rest) = match self.known(number, span) {
            Some(prefix) => (prefix.count, prefix.bytes.as_slice(), self.rest()),
            None => (0, Default::default(), self.entries.as_slice()),
        };
        let more = entries(from, rest, number, span).map(|(.., result)| result.len());
        out.reserve(bytes.len() + more.map(|result| ENTRY_BYTES + result).sum::<usize>());
        out.extend_from_slice(bytes);
        encode(from, rest, number, span, out);
    }

    /// The prefix, if it belongs to a span whole.
    fn known(&self, number: u64, span: Span) -> Option<&Prefix> {
        let prefix = &self.prefix;
        let whole = span.has_first(number, prefix.count) && prefix.last <= span.up_to;
        (prefix.count > 0 && whole).then_some(prefix)
    }

    /// The digest of its entries but for the first `below`, up to the last that is not free; `None`
    /// when all are.
    pub(super) fn digest(&mut self, number: u64, below: usize) -> Option<Digest> {
        let rest = up_to_last(self.entries.get(below..).unwrap_or_default());
        if rest.is_empty() {
            return None;
        }
        if below > 0 {
            let mut hash = Sha256::new();
            (0..below).for_each(|_| hash.update(&[0]));
            absorb(&mut hash, rest);
            return Some(hash.finish());
        }
        if self.digest.is_none() {
            self.prefix.extend(number, &self.entries);
            let mut hash = self.prefix.hash.clone();
            absorb(&mut hash, up_to_last(self.rest()));
            self.digest = Some(hash.finish());
        }
        self.digest
    }
}

impl Prefix {
    /// Goes on up to the last entry that is done, if none on the way is executing.
    fn extend(&mut self, number: u64, all: &[Entry]) {
        let rest = all.get(self.count..).unwrap_or_default();
        let stop = rest.iter().position(|entry| *entry == Entry::Executing);
        let settled = rest.get(..stop.unwrap_or(rest.len())).unwrap_or_default();
        for entry in up_to_last(settled) {
            if let Entry::Done(seq, result) = entry {
                if self.bytes.len() + ENTRY_BYTES + result.len() > PREFIX_BYTES_MAX {
                    return;
                }
                encode_entry(number * PAGE + self.count as u64, *seq, result, &mut self.bytes);
                (self.last, self.done) = (self.last.max(*seq), self.done + 1);
            }
            absorb(&mut self.hash, core::slice::from_ref(entry));
            self.count += 1;
        }
    }
}

/// The entries but for the free ones at the end.
fn up_to_last(entries: &[Entry]) -> &[Entry] {
    let last = entries.iter().rposition(|entry| *entry != Entry::Free);
    last.and_then(|last| entries.get(..=last)).unwrap_or_default()
}

/// The entries of a page that belong to a span; the first has the place `from`.
fn entries(
    from: usize,
    all: &[Entry],
    number: u64,
    span: Span,
) -> impl Iterator<Item = (u64, Seq, &Bytes)> {
    let first = number * PAGE + from as u64;
    all.iter().zip(0..).filter_map(move |(entry, place)| match entry {
        Entry::Done(seq, result) if span.has(first + place, entry) => {
            Some((first + place, *seq, result))
        }
        _ => None,
    })
}

fn encode(from: usize, all: &[Entry], number: u64, span: Span, out: &mut Vec<u8>) {
    for (timestamp, seq, result) in entries(from, all, number, span) {
        encode_entry(timestamp, seq, result, out);
    }
}

fn encode_entry(timestamp: u64, seq: Seq, result: &Bytes, out: &mut Vec<u8>) {
    timestamp.encode(out);
    seq.encode(out);
    encode_bytes(result, out);
}

/// Goes on with a page's hash over entries.
fn absorb(hash: &mut Sha256, entries: &[Entry]) {
    const FREE: [u8; PAGE as usize] = [0; PAGE as usize];
    for same in entries.chunk_by(|one, two| *one == Entry::Free && *two == Entry::Free) {
        match same {
            [Entry::Free, ..] => hash.update(FREE.get(..same.len()).unwrap_or_default()),
            [Entry::Executing, ..] => hash.update(&[1]),
            [Entry::Done(seq, result), ..] => {
                // In one piece: each costs more than its bytes.
                let mut head = [2; 1 + 8 + 4];
                head[1..9].copy_from_slice(&seq.0.to_le_bytes());
                head[9..].copy_from_slice(&(result.len() as u32).to_le_bytes());
                hash.update(&head);
                hash.update(result);
            }
            [] => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NUMBER: u64 = 3;

    /// What may be done to a page.
    #[derive(Debug, Clone)]
    enum Step {
        Set(usize, Entry),
        FreeBelow(usize),
        Rollback(u64),
        /// A checkpoint: what it looks at is kept.
        Look,
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = prop_oneof![9 => 0..20usize, 1 => Just(3000usize)];
        let done = (0..64usize, 0..9u64, size).prop_map(|(place, seq, size)| {
            Step::Set(place, Entry::Done(Seq(seq), Bytes::from(alloc::vec![seq as u8; size])))
        });
        prop_oneof![
            30 => done,
            1 => (0..64usize).prop_map(|place| Step::Set(place, Entry::Executing)),
            1 => (0..70usize).prop_map(Step::FreeBelow),
            1 => (0..9u64).prop_map(Step::Rollback),
            9 => Just(Step::Look),
        ]
    }

    /// In the order of timestamps, as clients ask.
    fn filled(count: usize) -> Vec<Step> {
        let done = |place: usize| {
            let result = Bytes::from(alloc::vec![place as u8; place % 9]);
            [Step::Set(place, Entry::Done(Seq(place as u64 / 9), result)), Step::Look]
        };
        (0..count).flat_map(done).collect()
    }

    /// The digest by the definition: entry after entry.
    fn digest(entries: &[Entry], below: usize) -> Option<Digest> {
        let last = entries[below..].iter().rposition(|entry| *entry != Entry::Free)?;
        let mut bytes = alloc::vec![0; below];
        for entry in &entries[below..][..=last] {
            match entry {
                Entry::Free => bytes.push(0),
                Entry::Executing => bytes.push(1),
                Entry::Done(seq, result) => {
                    bytes.push(2);
                    seq.encode(&mut bytes);
                    encode_bytes(result, &mut bytes);
                }
            }
        }
        Some(quorumark_primitives::hash::sha256(&bytes))
    }

    fn take(page: &mut Page, step: Step) {
        match step {
            Step::Set(place, entry) => page.set(place, entry),
            Step::FreeBelow(below) => page.free_below(below),
            Step::Rollback(seq) => drop(page.rollback(Seq(seq))),
            Step::Look => {
                page.digest(NUMBER, 0);
                page.settle(NUMBER);
            }
        }
    }

    /// Compares what a page tells with what its entries alone say.
    fn holds_to_its_entries(page: &mut Page, span: Span, below: usize) {
        let all = page.entries.clone();
        let mut encoded = Vec::new();
        encode(0, &all, NUMBER, span, &mut encoded);
        let mut told = Vec::new();
        match page.whole(NUMBER, span) {
            Some(block) => told.extend_from_slice(block),
            None => page.encode(NUMBER, span, &mut told),
        }
        assert_eq!(told, encoded);
        assert_eq!(page.count(NUMBER, span), entries(0, &all, NUMBER, span).count());
        encoded.clear();
        encode(0, &all, NUMBER, Span::ALL, &mut encoded);
        assert_eq!(page.fit(encoded.len()), Ok(encoded.len()));
        if let Some(first) = all.iter().position(|entry| matches!(entry, Entry::Done(..))) {
            assert_eq!(page.fit(encoded.len() - 1), Err(first as u64));
        }
        for below in [0, below] {
            assert_eq!(page.digest(NUMBER, below), digest(&all, below));
        }
    }

    proptest! {
        #[test]
        fn what_a_page_keeps_is_what_its_entries_say(
            begun in 0..=64usize,
            steps in prop::collection::vec(step(), 0..60),
            (low, highest, up_to) in (180..260u64, 180..270u64, 0..10u64),
            below in 0..64usize,
        ) {
            let mut page = Page::new();
            let spans = [Span { low, highest, up_to: Seq(up_to) }, Span { low: 0, ..Span::ALL }];
            for (nth, step) in filled(begun).into_iter().chain(steps).enumerate() {
                take(&mut page, step);
                if nth % 7 == 0 {
                    holds_to_its_entries(&mut page, spans[nth % 2], below);
                }
            }
            spans.into_iter().for_each(|span| holds_to_its_entries(&mut page, span, below));
        }
    }

    #[test]
    fn a_page_that_is_full_is_one_block_whatever_was_kept_before() {
        for sizes in [[1, 1], [3000, 1], [1, 3000]] {
            let mut page = Page::new();
            for place in 0..PAGE as usize {
                let result = Bytes::from(alloc::vec![7; sizes[place % 2]]);
                take(&mut page, Step::Set(place, Entry::Done(Seq(1), result)));
                take(&mut page, Step::Look);
            }
            assert!(page.whole(NUMBER, Span::ALL).is_some());
            assert_eq!(page.prefix.count, 0, "the block takes its place");
            holds_to_its_entries(&mut page, Span::ALL, 9);
        }
    }
}
