//! What is known of one client: the timestamps that were executed, in pages, with their replies.

use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::{Sha256, Tag};
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError};

use super::page::{Entry, PAGE, Page, Span};
use super::pages::Pages;
use super::pieces::Piecing;
use crate::request::RESULT_BYTES_MAX;
use crate::types::{ClientId, Seq};

/// What the leaf hash of a record is bound to.
static CLIENT: Tag = Tag::new(b"quorumark/client");

/// What a record takes beside its entries: client, largest and smallest timestamp, their number.
pub(super) const HEADER_BYTES: usize = 4 + size_of::<u64>() + size_of::<u64>() + size_of::<u32>();

/// One client. Timestamps below its window are kept as long as a kept checkpoint has them in its
/// own: the record at a checkpoint is then read off, since each entry knows its sequence number.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The largest timestamp that was ordered.
    pub(super) highest: u64,
    /// The smallest timestamp of the window; it only rises, but for going back.
    pub(super) low: u64,
    /// By page number (timestamp / PAGE).
    pages: Pages,
    digest: Option<Digest>,
    settled: Option<Settled>,
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

/// What was computed of a record's digest, up to a page.
#[derive(Debug)]
struct Settled {
    /// The low end of the window that it is of.
    low: u64,
    /// The first page that it does not hold.
    next: u64,
    hash: Sha256,
}

impl Settled {
    fn begin(client: ClientId, window: u64, low: u64) -> Settled {
        let mut head = [0; 4 + 8 + 8];
        head[..4].copy_from_slice(&client.0.to_le_bytes());
        head[4..12].copy_from_slice(&window.to_le_bytes());
        head[12..].copy_from_slice(&low.to_le_bytes());
        let mut hash = CLIENT.hasher();
        hash.update(&head);
        Settled { low, next: low / PAGE, hash }
    }
}

/// Goes on with a record's hash over a page, but for what lies below the window. A page with nothing
/// in it is no page: the hash depends on the window alone.
fn absorb(hash: &mut Sha256, number: u64, page: &mut Page, low: u64) {
    let below = if number == low / PAGE { (low % PAGE) as usize } else { 0 };
    if let Some(digest) = page.digest(number, below) {
        let mut part = [0; 8 + 32];
        part[..8].copy_from_slice(&number.to_le_bytes());
        part[8..].copy_from_slice(&digest.0);
        hash.update(&part);
    }
    page.settle(number);
}

fn window_low(highest: u64, window: u64) -> u64 {
    highest.saturating_sub(window - 1)
}

impl Record {
    pub(super) fn entry(&self, timestamp: u64) -> Option<&Entry> {
        self.pages.get(timestamp / PAGE)?.entry((timestamp % PAGE) as usize)
    }

    /// Whether a timestamp was never ordered, and may be.
    pub(super) fn is_fresh(&self, timestamp: u64) -> bool {
        let free = || matches!(self.entry(timestamp), None | Some(Entry::Free));
        timestamp > self.highest || timestamp >= self.low && free()
    }

    #[inline]
    pub(super) fn set(&mut self, timestamp: u64, entry: Entry) {
        let page = self.pages.get_or_make(timestamp / PAGE);
        page.set((timestamp % PAGE) as usize, entry);
        self.wrote(timestamp);
    }

    /// Keeps the result of a request that is executing; tells whether it was.
    #[inline]
    pub(super) fn finish(&mut self, timestamp: u64, seq: Seq, result: Bytes) -> bool {
        let Some(page) = self.pages.get_mut(timestamp / PAGE) else { return false };
        let place = (timestamp % PAGE) as usize;
        if page.entry(place) != Some(&Entry::Executing) {
            return false;
        }
        page.set(place, Entry::Done(seq, result));
        self.wrote(timestamp);
        true
    }

    /// Lets go of what was computed of a page that was written.
    fn wrote(&mut self, timestamp: u64) {
        (self.digest, self.fitted) = (None, false);
        if self.settled.as_ref().is_some_and(|settled| timestamp / PAGE < settled.next) {
            self.settled = None;
        }
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
        for (number, page) in self.pages.range(self.low / PAGE, u64::MAX).rev() {
            match page.fit(rest) {
                Ok(bytes) => rest -= bytes,
                Err(place) => {
                    let timestamp = number * PAGE + place;
                    self.low = self.low.max((timestamp + 1).min(self.highest));
                    self.digest = None;
                    return;
                }
            }
        }
    }

    /// Frees every timestamp below `low`.
    fn forget_below(&mut self, low: u64) {
        self.pages.drop_below(low / PAGE);
        if let Some(page) = self.pages.get_mut(low / PAGE) {
            page.free_below((low % PAGE) as usize);
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
        for (number, page) in self.pages.iter_mut() {
            if let Some(place) = page.rollback(seq) {
                highest = Some(number * PAGE + place);
            }
        }
        (self.digest, self.settled, self.fitted) = (None, None, false);
        self.marks.retain(|mark| mark.seq <= seq);
        // The low end as the last checkpoint had it, and as far on as the window alone took it.
        (self.highest, self.low) = (0, self.marks.last().map_or(0, |mark| mark.low));
        self.extend_to(highest.unwrap_or(0), window);
        highest.is_some()
    }

    /// Whether a request is ordered and its result not back.
    pub(super) fn is_executing(&self) -> bool {
        self.pages.iter().any(|(_, page)| page.is_executing())
    }

    /// The leaf hash of the present window: of its low end, its pages, and its high end. What comes
    /// before the last page changes rarely, and its hash is kept.
    pub(super) fn digest(&mut self, client: ClientId, window: u64) -> Digest {
        if let Some(digest) = self.digest {
            return digest;
        }
        let low = self.low;
        let settled = self.settled.take().filter(|settled| settled.low == low);
        let mut settled = settled.unwrap_or_else(|| Settled::begin(client, window, low));
        let last = self.highest / PAGE;
        for (number, page) in self.pages.range_mut(settled.next, last) {
            absorb(&mut settled.hash, number, page, low);
        }
        settled.next = settled.next.max(last);
        let mut hash = settled.hash.clone();
        self.settled = Some(settled);
        if let Some(page) = self.pages.get_mut(last) {
            absorb(&mut hash, last, page, low);
        }
        hash.update(&self.highest.to_le_bytes());
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
        out.own().reserve(HEADER_BYTES);
        client.encode(out.own());
        span.highest.encode(out.own());
        span.low.encode(out.own());
        let pages = || self.pages.range(span.low / PAGE, span.highest / PAGE + 1);
        let count = pages().map(|(number, page)| page.count(number, span)).sum::<usize>();
        (count as u32).encode(out.own());
        for (number, page) in pages() {
            match page.whole(number, span) {
                Some(block) => out.share(block),
                None => page.encode(number, span, out.own()),
            }
        }
    }

    /// Reads a record that a checkpoint at `seq` has.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not the one encoding of such a record.
    pub(super) fn decode(
        reader: &mut Reader<'_>,
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
            let result = reader.slice(RESULT_BYTES_MAX, "result")?;
            let in_window = (low..=highest).contains(&timestamp);
            if !in_window || last.is_some_and(|last| last >= timestamp) || executed > seq {
                return Err(bad);
            }
            last = Some(timestamp);
            // Copied: a view would hold the whole part in memory.
            record.set(timestamp, Entry::Done(executed, Bytes::copy_from_slice(result)));
        }
        // The highest timestamp was executed, and is in its own window.
        if last == Some(highest) { Ok((client, record)) } else { Err(bad) }
    }

    #[cfg(test)]
    pub(super) fn page_count(&self) -> usize {
        self.pages.iter().count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLIENT: ClientId = ClientId(3);
    /// Not of whole pages.
    const WINDOW: u64 = 150;

    /// What may be done to a record between two digests.
    #[derive(Debug, Clone)]
    enum Step {
        /// Executes the timestamp that is so far below the highest one but five.
        Execute(u64),
        /// Goes back by so many executions.
        Rollback(u64),
        Fit(usize),
        Digest,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            60 => (0..9u64).prop_map(Step::Execute),
            3 => (0..170u64).prop_map(Step::Execute),
            1 => (0..40u64).prop_map(Step::Rollback),
            1 => (0..9000usize).prop_map(Step::Fit),
            9 => Just(Step::Digest),
        ]
    }

    /// The digest of a record that knows nothing but what the encoding says.
    fn afresh(record: &Record) -> Digest {
        let mut bytes = Piecing::default();
        record.encode_now(CLIENT, &mut bytes);
        let bytes = bytes.finish().joined();
        let mut reader = Reader::new(&bytes);
        let (client, mut read) = Record::decode(&mut reader, Seq(u64::MAX), WINDOW).unwrap();
        assert_eq!((client, reader.remaining()), (CLIENT, 0));
        read.digest(CLIENT, WINDOW)
    }

    proptest! {
        #[test]
        fn a_digest_is_that_of_the_record_read_afresh_whatever_was_kept(
            steps in prop::collection::vec(step(), 1..400),
        ) {
            let (mut record, mut seq) = (Record::default(), 0);
            for step in steps {
                match step {
                    Step::Execute(back) => {
                        let timestamp = (record.highest + 5).saturating_sub(back);
                        if timestamp < record.low || record.entry(timestamp).is_some_and(is_done) {
                            continue;
                        }
                        seq += 1;
                        let result = Bytes::copy_from_slice(&[7; 40][..(seq % 40) as usize]);
                        record.set(timestamp, Entry::Done(Seq(seq), result));
                        record.extend_to(timestamp, WINDOW);
                    }
                    Step::Rollback(by) => {
                        seq = seq.saturating_sub(by);
                        record.rollback(Seq(seq), WINDOW);
                    }
                    Step::Fit(bytes) => record.fit(bytes),
                    Step::Digest if seq > 0 => {
                        prop_assert_eq!(record.digest(CLIENT, WINDOW), afresh(&record));
                    }
                    Step::Digest => {}
                }
            }
            if seq > 0 {
                prop_assert_eq!(record.digest(CLIENT, WINDOW), afresh(&record));
            }
        }
    }

    fn is_done(entry: &Entry) -> bool {
        matches!(entry, Entry::Done(..))
    }
}
