//! What is known of one client: the timestamps that were executed, in pages, with their replies.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Sha256;
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError, encode_bytes};

use super::pieces::Piecing;
use crate::request::RESULT_BYTES_MAX;
use crate::types::{ClientId, Seq};

/// Timestamps a page covers; a checkpoint hashes again only the pages written since the last.
const PAGE: u64 = 64;
/// What an entry takes beside its result: timestamp, sequence number, length.
pub(super) const ENTRY_BYTES: usize = size_of::<u64>() + size_of::<u64>() + size_of::<u32>();
/// What a record takes beside its entries: client, largest and smallest timestamp, their number.
pub(super) const HEADER_BYTES: usize = 4 + size_of::<u64>() + size_of::<u64>() + size_of::<u32>();

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
    /// Its encoding, while every entry is done: most of a table changes no more, and is encoded
    /// whole at each checkpoint.
    block: Option<Block>,
}

/// The encoding of a page that is full. The replies of the page are views into it, so that it
/// takes the place of 64 allocations and costs no memory beside them.
#[derive(Debug)]
struct Block {
    bytes: Bytes,
    /// The last sequence number that wrote into the page.
    last: Seq,
}

/// One client. Timestamps below its window are kept as long as a kept checkpoint has them in its
/// own: the record at a checkpoint is then read off, since each entry knows its sequence number.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The largest timestamp that was ordered.
    pub(super) highest: u64,
    /// The smallest timestamp of the window; it only rises, but for going back.
    pub(super) low: u64,
    /// Page number (timestamp / PAGE) to page.
    pages: BTreeMap<u64, Box<Page>>,
    digest: Option<Digest>,
    /// Whether nothing was written since it last fitted; a digest may be computed in between.
    fitted: bool,
    /// By kept checkpoint the window, where it differs from the one before. The first is the first
    /// kept checkpoint that knew the client.
    marks: Vec<Mark>,
}

/// The window of a client at a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    seq: Seq,
    low: u64,
    highest: u64,
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
            let entries = core::array::from_fn(|_| Entry::Free);
            Box::new(Page { entries, digest: None, block: None })
        });
        if let Some(slot) = page.entries.get_mut((timestamp % PAGE) as usize) {
            *slot = entry;
        }
        page.written();
        (self.digest, self.fitted) = (None, false);
    }

    /// A timestamp was ordered: a window of that many ends at the largest.
    pub(super) fn extend_to(&mut self, timestamp: u64, window: u64) {
        self.highest = self.highest.max(timestamp);
        self.low = self.low.max(window_low(self.highest, window));
    }

    /// Takes the window's low end up until what is in it takes at most `bytes_max`, or is one reply.
    pub(super) fn fit(&mut self, bytes_max: usize) {
        if core::mem::replace(&mut self.fitted, true) {
            return;
        }
        let mut rest = bytes_max;
        for (number, page) in self.pages.range(self.low / PAGE..).rev() {
            if let Some(block) = &page.block
                && number * PAGE >= self.low
                && let Some(less) = rest.checked_sub(block.bytes.len())
            {
                rest = less;
                continue;
            }
            for (place, entry) in page.entries.iter().enumerate().rev() {
                let timestamp = number * PAGE + place as u64;
                let Entry::Done(_, result) = entry else { continue };
                match rest.checked_sub(ENTRY_BYTES + result.len()) {
                    Some(less) => rest = less,
                    None => {
                        self.low = self.low.max((timestamp + 1).min(self.highest));
                        self.digest = None;
                        return;
                    }
                }
            }
        }
    }

    /// Frees every timestamp below `low`.
    fn forget_below(&mut self, low: u64) {
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
                page.written();
            }
        }
    }

    /// Notes what the window is at a checkpoint that is kept from now on.
    pub(super) fn mark(&mut self, seq: Seq) {
        let mark = Mark { seq, low: self.low, highest: self.highest };
        if self.marks.last().is_none_or(|last| Mark { seq, ..*last } != mark) {
            self.marks.push(mark);
        }
    }

    fn mark_at(&self, seq: Seq) -> Option<Mark> {
        let later = self.marks.partition_point(|mark| mark.seq <= seq);
        self.marks.get(later.checked_sub(1)?).copied()
    }

    /// Whether a kept checkpoint knew the client.
    pub(super) fn is_known_at(&self, seq: Seq) -> bool {
        self.mark_at(seq).is_some()
    }

    /// The oldest kept checkpoint is now `seq`: what only older ones had is let go.
    pub(super) fn retain(&mut self, seq: Seq) {
        let later = self.marks.partition_point(|mark| mark.seq <= seq);
        if let Some(last) = later.checked_sub(1) {
            self.marks.drain(..last);
            self.forget_below(self.marks.first().map_or(0, |mark| mark.low));
        }
    }

    /// Goes back to what was executed up to `seq`; tells whether anything was.
    pub(super) fn rollback(&mut self, seq: Seq, window: u64) -> bool {
        let mut highest = None;
        for (number, page) in &mut self.pages {
            for (place, entry) in (0..).zip(&mut page.entries) {
                match entry {
                    Entry::Done(done, _) if *done <= seq => highest = Some(number * PAGE + place),
                    Entry::Free => {}
                    _ => {
                        *entry = Entry::Free;
                        (page.digest, page.block) = (None, None);
                    }
                }
            }
        }
        (self.digest, self.fitted) = (None, false);
        self.marks.retain(|mark| mark.seq <= seq);
        // The low end as the last checkpoint had it, and as far on as the window alone took it.
        (self.highest, self.low) = (0, self.marks.last().map_or(0, |mark| mark.low));
        self.extend_to(highest.unwrap_or(0), window);
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
        let low = self.low;
        hash.update(&low.to_le_bytes());
        for (number, page) in self.pages.range_mut(low / PAGE..) {
            page.settle(*number);
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
    pub(super) fn encode_at(&self, client: ClientId, seq: Seq, out: &mut Piecing) {
        if let Some(Mark { low, highest, .. }) = self.mark_at(seq) {
            self.encode_span(client, Span { low, highest, up_to: seq }, out);
        }
    }

    /// Appends the record as it is.
    pub(super) fn encode_now(&self, client: ClientId, out: &mut Piecing) {
        let (low, highest) = (self.low, self.highest);
        self.encode_span(client, Span { low, highest, up_to: Seq(u64::MAX) }, out);
    }

    fn encode_span(&self, client: ClientId, span: Span, out: &mut Piecing) {
        client.encode(out.own());
        span.highest.encode(out.own());
        span.low.encode(out.own());
        let pages = || self.pages.range(span.low / PAGE..=span.highest / PAGE);
        let count = pages().map(|(number, page)| page.count(*number, span)).sum::<usize>();
        (count as u32).encode(out.own());
        for (number, page) in pages() {
            match page.whole(*number, span) {
                Some(block) => out.share(&block.bytes),
                None => page.encode(*number, span, out.own()),
            }
        }
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
        let low = u64::decode(reader)?;
        let count = u32::decode(reader)?;
        if !(window_low(highest, window)..=highest).contains(&low) {
            return Err(bad);
        }
        let marks = alloc::vec![Mark { seq, low, highest }];
        let mut record = Record { highest, low, marks, ..Record::default() };
        let mut last = None;
        for _ in 0..count {
            let timestamp = u64::decode(reader)?;
            let executed = Seq::decode(reader)?;
            let result = reader.bytes(RESULT_BYTES_MAX, "result")?;
            let in_window = (low..=highest).contains(&timestamp);
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
    /// What was computed of the entries holds no more.
    fn written(&mut self) {
        (self.digest, self.block) = (None, None);
    }

    /// Makes one block of a page that is full; `number` is its own.
    fn settle(&mut self, number: u64) {
        let done = |entry: &Entry| matches!(entry, Entry::Done(..));
        if self.block.is_some() || !self.entries.iter().all(done) {
            return;
        }
        let span = Span { low: 0, highest: u64::MAX, up_to: Seq(u64::MAX) };
        let mut bytes = Vec::new();
        self.encode(number, span, &mut bytes);
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
    fn whole(&self, number: u64, span: Span) -> Option<&Block> {
        let inside = span.low <= number * PAGE && number * PAGE + (PAGE - 1) <= span.highest;
        self.block.as_ref().filter(|block| inside && block.last <= span.up_to)
    }

    fn count(&self, number: u64, span: Span) -> usize {
        match self.whole(number, span) {
            Some(_) => self.entries.len(),
            None => self.entries(number, span).count(),
        }
    }

    fn encode(&self, number: u64, span: Span, out: &mut Vec<u8>) {
        out.reserve(
            self.entries(number, span).map(|(.., result)| ENTRY_BYTES + result.len()).sum(),
        );
        for (timestamp, seq, result) in self.entries(number, span) {
            timestamp.encode(out);
            seq.encode(out);
            encode_bytes(result, out);
        }
    }

    fn entries(&self, number: u64, span: Span) -> impl Iterator<Item = (u64, Seq, &Bytes)> {
        let entries = (0..).zip(&self.entries);
        entries.filter_map(move |(place, entry)| {
            let timestamp = number * PAGE + place;
            match entry {
                Entry::Done(seq, result) if span.has(timestamp, entry) => {
                    Some((timestamp, *seq, result))
                }
                _ => None,
            }
        })
    }

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
