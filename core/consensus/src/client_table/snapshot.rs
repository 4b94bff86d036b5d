//! The table's checkpoints: a tree with one leaf a client, its parts, and a table made from them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::iter::{Skip, Take};

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::merkle::{self, Rule};
use quorumark_primitives::wire::{Reader, WireError};

use super::ClientTable;
use super::pieces::{Pieces, Piecing};
use super::record::Record;
use crate::parts::{Cut, StateRoot};
use crate::types::{ClientId, Seq};

/// A checkpoint that is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// `None` for the table before any request.
    state: Option<StateRoot>,
    parts: Vec<Digest>,
}

impl ClientTable {
    /// Keeps the present table as that of a checkpoint, until [`ClientTable::retain`] lets it go.
    ///
    /// The root is over the records, in the order of client ids (RFC 6962). Nothing is copied: a
    /// record remembers what left its window while a kept checkpoint has it.
    ///
    /// # Panics
    /// In debug builds, when a request is executing: a checkpoint is taken when none is.
    pub fn checkpoint(&mut self, seq: Seq) -> StateRoot {
        debug_assert!(!self.is_executing(), "a checkpoint at {seq} with results still to come");
        // Here alone: which requests are fresh must not depend on which results are back already.
        let bytes_max = self.limits.client_bytes_max;
        self.records.values_mut().for_each(|record| record.fit(bytes_max));
        let leaves = self.leaf_hashes();
        let (state, parts) = summary(&leaves);
        self.records.values_mut().for_each(|record| record.mark(seq));
        self.kept.insert(seq, Kept { state: Some(state), parts });
        state
    }

    /// The number of leaves at a kept checkpoint, or at present, and the digests of the parts.
    pub fn part_digests(&mut self, at: Option<Seq>) -> Option<(u64, Vec<Digest>)> {
        match at {
            Some(seq) => {
                let kept = self.kept.get(&seq)?;
                Some((kept.state?.leaves, kept.parts.clone()))
            }
            None => {
                let (state, parts) = summary(&self.leaf_hashes());
                Some((state.leaves, parts))
            }
        }
    }

    /// The root of a kept checkpoint.
    pub fn state_at(&self, seq: Seq) -> Option<StateRoot> {
        self.kept.get(&seq)?.state
    }

    /// Every part of a kept checkpoint, in order: the whole table, for a journal. Shares with this
    /// table what changes no more: most of it.
    pub fn parts(&self, seq: Seq) -> Vec<Pieces> {
        (0..).map_while(|nth| self.pieces(seq, nth)).collect()
    }

    /// One part of a kept checkpoint: its records, one after the other.
    pub fn part(&self, seq: Seq, nth: u32) -> Option<Bytes> {
        self.pieces(seq, nth).map(|part| part.joined())
    }

    fn pieces(&self, seq: Seq, nth: u32) -> Option<Pieces> {
        let cut = Cut::new(self.state_at(seq)?.leaves)?;
        if nth >= cut.parts() {
            return None;
        }
        let known = self.records.iter().filter(|(_, record)| record.is_known_at(seq));
        let mut part = Piecing::default();
        for (client, record) in places(known, cut, nth) {
            record.encode_at(*client, seq, &mut part);
        }
        Some(part.finish())
    }

    /// One part of the present table.
    fn present_part(&self, cut: Cut, nth: u32) -> Bytes {
        let mut part = Piecing::default();
        for (client, record) in places(self.records.iter(), cut, nth) {
            record.encode_now(*client, &mut part);
        }
        part.finish().joined()
    }

    /// Keeps the checkpoints from `from` on, and `leased`; lets go of the others, and of what it
    /// takes to go back below the oldest of the two.
    pub fn retain(&mut self, from: Seq, leased: Option<Seq>) {
        self.kept.retain(|seq, _| *seq >= from || Some(*seq) == leased);
        let oldest = leased.map_or(from, |leased| leased.min(from)).max(self.reaches);
        self.reaches = oldest;
        self.records.values_mut().for_each(|record| record.retain(oldest));
    }

    /// Goes back to the table after `seq`, as if nothing later had been ordered; tells whether it
    /// could: below the oldest kept checkpoint it cannot, and stays as it is.
    pub fn rollback_to(&mut self, seq: Seq) -> bool {
        if seq < self.reaches {
            return false;
        }
        self.kept.retain(|kept, _| *kept <= seq);
        let window = self.limits.window;
        self.records.retain(|_, record| record.rollback(seq, window));
        true
    }

    /// The table after `seq` that has these parts in place of this one's own, kept as a
    /// checkpoint's; `None` when the result is not the one with the root `state`.
    pub fn restored(
        &self,
        seq: Seq,
        state: StateRoot,
        parts: &BTreeMap<u32, Bytes>,
    ) -> Option<ClientTable> {
        let cut = Cut::new(state.leaves)?;
        let mut table = ClientTable::new(self.limits);
        for nth in 0..cut.parts() {
            let present = || self.present_part(cut, nth);
            let part = parts.get(&nth).cloned().unwrap_or_else(present);
            for (client, record) in read_part(cut, nth, &part, seq, self.limits.window).ok()? {
                let rises = table.records.last_key_value().is_none_or(|(last, _)| *last < client);
                if !rises || table.records.len() >= self.limits.clients_max {
                    return None;
                }
                table.records.insert(client, record);
            }
        }
        table.reaches = seq;
        table.kept.clear();
        (table.checkpoint(seq) == state).then_some(table)
    }

    pub(super) fn leaf_hashes(&mut self) -> Vec<Digest> {
        let window = self.limits.window;
        self.records.iter_mut().map(|(client, record)| record.digest(*client, window)).collect()
    }

    fn is_executing(&self) -> bool {
        self.records.values().any(Record::is_executing)
    }
}

/// The digest of a part of the table at a checkpoint at `seq`.
///
/// # Errors
/// [`WireError`] when `part` does not hold exactly the records of that place.
pub fn digest_of(
    cut: Cut,
    nth: u32,
    part: &Bytes,
    seq: Seq,
    window: u64,
) -> Result<Digest, WireError> {
    let records = read_part(cut, nth, part, seq, window)?;
    let hashes: Vec<_> =
        records.into_iter().map(|(client, mut record)| record.digest(client, window)).collect();
    Ok(merkle::root(Rule::Rfc6962, &hashes))
}

fn read_part(
    cut: Cut,
    nth: u32,
    part: &Bytes,
    seq: Seq,
    window: u64,
) -> Result<Vec<(ClientId, Record)>, WireError> {
    let mut reader = Reader::new(part);
    // A hostile part costs no more than its own bytes: the count is not reserved beforehand.
    let mut records = Vec::new();
    for _ in cut.leaves_of(nth) {
        records.push(Record::decode(&mut reader, seq, window)?);
    }
    reader.finish()?;
    Ok(records)
}

fn places<T, I>(records: I, cut: Cut, nth: u32) -> Take<Skip<I>>
where
    I: Iterator<Item = T>,
{
    let range = cut.leaves_of(nth);
    records.skip(range.start as usize).take((range.end - range.start) as usize)
}

fn summary(leaves: &[Digest]) -> (StateRoot, Vec<Digest>) {
    let root = merkle::root(Rule::Rfc6962, leaves);
    let leaves_count = leaves.len() as u64;
    let parts = Cut::new(leaves_count).map(|cut| cut.digests(leaves)).unwrap_or_default();
    (StateRoot { root, leaves: leaves_count }, parts)
}
