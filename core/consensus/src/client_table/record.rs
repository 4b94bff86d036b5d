//! What is known of one client: the timestamps that were executed, in pages, with their replies.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Sha256;
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError, encode_bytes};

use crate::request::RESULT_BYTES_MAX;
use crate::types::{ClientId, Seq};

/// Timestamps a page covers; a checkpoint hashes again only the pages written since the last.
const PAGE: u64 = 64;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Entry {
    #[default]
    Free,
    Executing,
    Done(Seq, Bytes),
}

#[derive(Debug)]
struct Page {
    entries: [Entry; PAGE as usize],
    /// The digest of all its entries, if it was computed since the last write.
    digest: Option<Digest>,
}

/// One client. Timestamps below its window are kept as long as a kept checkpoint has them in its
/// own: the record at a checkpoint is then read off, since each entry knows its sequence number.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The largest timestamp that was ordered.
    pub(super) highest: u64,
    /// Page number (timestamp / PAGE) to page.
    pages: BTreeMap<u64, Box<Page>>,
    digest: Option<Digest>,
    /// By kept checkpoint the highest timestamp, where it differs from the one before. The first is
    /// the first kept checkpoint that knew the client.
    marks: Vec<(Seq, u64)>,
}

/// A span of timestamps up to some sequence number: what of a record belongs to a checkpoint.
#[derive(Clone, Copy)]
struct Span {
    low: u64,
    highest: u64,
    up_to: Seq,
}

impl Span {
    fn has(self, timestamp: u64, entry: &Entry) -> bool {
        (self.low..=self.highest).contains(&timestamp)
            && matches!(entry, Entry::Done(seq, _) if *seq <= self.up_to)
    }
}

fn window_low(highest: u64, window: u64) -> u64 {
    highest.saturating_sub(window - 1)
}

impl Record {
    pub(super) fn entry(&self, timestamp: u64) -> Option<&Entry> {
        let page = self.pages.get(&(timestamp / PAGE))?;
        page.entries.get((timestamp % PAGE) as usize)
    }

    pub(super) fn set(&mut self, timestamp: u64, entry: Entry) {
        let page = self.pages.entry(timestamp / PAGE).or_insert_with(|| {
            Box::new(Page { entries: core::array::from_fn(|_| Entry::Free), digest: None })
        });
        if let Some(slot) = page.entries.get_mut((timestamp % PAGE) as usize) {
            *slot = entry;
        }
        page.digest = None;
        self.digest = None;
    }

    /// Frees every timestamp below the window that ends at `highest`.
    pub(super) fn forget_below(&mut self, highest: u64, window: u64) {
        let low = window_low(highest, window);
        let lowest = self.pages.first_key_value().map(|(number, _)| *number);
        if lowest.is_some_and(|number| number < low / PAGE) {
            self.pages = self.pages.split_off(&(low / PAGE));
        }
        if let Some(page) = self.pages.get_mut(&(low / PAGE)) {
            let passed = page.entries.iter_mut().take((low % PAGE) as usize);
            let mut freed = false;
            for entry in passed.filter(|entry| **entry != Entry::Free) {
                *entry = Entry::Free;
                freed = true;
            }
            if freed {
                page.digest = None;
            }
        }
    }

    /// Notes what is the highest timestamp at a checkpoint that is kept from now on.
    pub(super) fn mark(&mut self, seq: Seq) {
        if self.marks.last().is_none_or(|(_, highest)| *highest != self.highest) {
            self.marks.push((seq, self.highest));
        }
    }

    /// The highest timestamp at a kept checkpoint; `None` when it did not know the client.
    pub(super) fn highest_at(&self, seq: Seq) -> Option<u64> {
        let later = self.marks.partition_point(|(marked, _)| *marked <= seq);
        self.marks.get(later.checked_sub(1)?).map(|(_, highest)| *highest)
    }

    /// The oldest kept checkpoint is now `seq`: what only older ones had is let go.
    pub(super) fn retain(&mut self, seq: Seq, window: u64) {
        let later = self.marks.partition_point(|(marked, _)| *marked <= seq);
        if let Some(last) = later.checked_sub(1) {
            self.marks.drain(..last);
            let highest = self.marks.first().map_or(0, |(_, highest)| *highest);
            self.forget_below(highest, window);
        }
    }

    /// Goes back to what was executed up to `seq`; tells whether anything was.
    pub(super) fn rollback(&mut self, seq: Seq) -> bool {
        let mut highest = None;
        for (number, page) in &mut self.pages {
            for (place, entry) in (0..).zip(&mut page.entries) {
                match entry {
                    Entry::Done(done, _) if *done <= seq => highest = Some(number * PAGE + place),
                    Entry::Free => {}
                    _ => {
                        *entry = Entry::Free;
                        page.digest = None;
                    }
                }
            }
        }
        self.digest = None;
        self.marks.retain(|(marked, _)| *marked <= seq);
        self.highest = highest.unwrap_or(0);
        highest.is_some()
    }

    /// Whether a request is ordered and its result not back.
    pub(super) fn is_executing(&self) -> bool {
        self.pages.values().any(|page| page.entries.contains(&Entry::Executing))
    }

    /// The leaf hash of the present window.
    pub(super) fn digest(&mut self, client: ClientId, window: u64) -> Digest {
        if let Some(digest) = self.digest {
            return digest;
        }
        let mut hash = Sha256::new();
        hash.update(b"quorumark/client");
        hash.update(&client.0.to_le_bytes());
        hash.update(&window.to_le_bytes());
        hash.update(&self.highest.to_le_bytes());
        let low = window_low(self.highest, window);
        for (number, page) in self.pages.range_mut(low / PAGE..) {
            let below = if *number == low / PAGE { (low % PAGE) as usize } else { 0 };
            // A page with nothing in it is no page: the hash depends on the window alone.
            if let Some(digest) = page.digest(below) {
                hash.update(&number.to_le_bytes());
                hash.update(&digest.0);
            }
        }
        *self.digest.insert(hash.finish())
    }

    /// Appends the record as it was at a kept checkpoint, if that knew the client.
    pub(super) fn encode_at(&self, client: ClientId, seq: Seq, window: u64, out: &mut Vec<u8>) {
        let Some(highest) = self.highest_at(seq) else { return };
        self.encode_span(client, highest, window, seq, out);
    }

    /// Appends the record as it is.
    pub(super) fn encode_now(&self, client: ClientId, window: u64, out: &mut Vec<u8>) {
        self.encode_span(client, self.highest, window, Seq(u64::MAX), out);
    }

    fn encode_span(
        &self,
        client: ClientId,
        highest: u64,
        window: u64,
        up_to: Seq,
        out: &mut Vec<u8>,
    ) {
        let span = Span { low: window_low(highest, window), highest, up_to };
        client.encode(out);
        highest.encode(out);
        (self.entries(span).count() as u32).encode(out);
        for (timestamp, seq, result) in self.entries(span) {
            timestamp.encode(out);
            seq.encode(out);
            encode_bytes(result, out);
        }
    }

    fn entries(&self, span: Span) -> impl Iterator<Item = (u64, Seq, &Bytes)> {
        let pages = self.pages.range(span.low / PAGE..=span.highest / PAGE);
        let entries = pages.flat_map(|(number, page)| {
            (0..).zip(&page.entries).map(move |(place, entry)| (number * PAGE + place, entry))
        });
        entries.filter_map(move |(timestamp, entry)| match entry {
            Entry::Done(seq, result) if span.has(timestamp, entry) => {
                Some((timestamp, *seq, result))
            }
            _ => None,
        })
    }

    /// Reads a record that a checkpoint at `seq` has.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not the one encoding of such a record.
    pub(super) fn decode(
        reader: &mut Reader,
        seq: Seq,
        window: u64,
    ) -> Result<(ClientId, Record), WireError> {
        let bad = WireError::NotCanonical { of: "client record" };
        let client = ClientId::decode(reader)?;
        let highest = u64::decode(reader)?;
        let count = u32::decode(reader)?;
        let mut record =
            Record { highest, marks: alloc::vec![(seq, highest)], ..Record::default() };
        let mut last = None;
        for _ in 0..count {
            let timestamp = u64::decode(reader)?;
            let executed = Seq::decode(reader)?;
            let result = reader.bytes(RESULT_BYTES_MAX, "result")?;
            let in_window = (window_low(highest, window)..=highest).contains(&timestamp);
            if !in_window || last.is_some_and(|last| last >= timestamp) || executed > seq {
                return Err(bad);
            }
            last = Some(timestamp);
            // Copied: a view would hold the whole part in memory.
            record.set(timestamp, Entry::Done(executed, Bytes::copy_from_slice(&result)));
        }
        // The highest timestamp was executed, and is in its own window.
        if last == Some(highest) { Ok((client, record)) } else { Err(bad) }
    }

    #[cfg(test)]
    pub(super) fn page_count(&self) -> usize {
        self.pages.len()
    }
}

impl Page {
    /// The digest of its entries but for the first `below`; `None` when nothing is in the others.
    fn digest(&mut self, below: usize) -> Option<Digest> {
        let rest = self.entries.get(below..).unwrap_or_default();
        if rest.iter().all(|entry| *entry == Entry::Free) {
            return None;
        }
        if below > 0 {
            return Some(Page::hash(below, rest));
        }
        Some(*self.digest.get_or_insert_with(|| Page::hash(0, &self.entries)))
    }

    fn hash(below: usize, rest: &[Entry]) -> Digest {
        let mut hash = Sha256::new();
        (0..below).for_each(|_| hash.update(&[0]));
        for entry in rest {
            match entry {
                Entry::Free => hash.update(&[0]),
                Entry::Executing => hash.update(&[1]),
                Entry::Done(seq, result) => {
                    hash.update(&[2]);
                    hash.update(&seq.0.to_le_bytes());
                    hash.update(&(result.len() as u32).to_le_bytes());
                    hash.update(result);
                }
            }
        }
        hash.finish()
    }
}
