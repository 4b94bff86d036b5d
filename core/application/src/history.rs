//! What it takes to go back: how writes are undone, and which checkpoints are kept.

use std::collections::VecDeque;
use std::mem;

use quorumark_consensus::types::Seq;
use quorumark_primitives::Digest;

/// The most bytes of undone writes that are kept. When more were written since the oldest kept
/// checkpoint, that one is let go, and the next, until the rest fits.
const BYTES_MAX: usize = 256 << 20;

/// Entries of no use that a write drops. A checkpoint that is let go leaves as many as were written
/// since the one before: dropped at once they would hold up what is executed next.
const DROPPED_A_WRITE: usize = 2;

/// What undoes a write.
pub(crate) trait Undo {
    /// [`History::stamp`] of the batch that wrote to the same place before; 0 where none is known.
    fn written_before(&self) -> u64;
}

/// How writes are undone, oldest first, with a mark at each checkpoint.
///
/// It makes snapshots free: the state at a checkpoint is the present one with everything after the
/// checkpoint's mark undone, newest first. What it holds is values that writes replaced, so a write
/// costs one entry and no copy.
///
/// Nothing goes back further than by the last batch, but to a checkpoint. So of all writes to one
/// place between two checkpoints the first alone is of use once the next batch begins, and the
/// others are dropped then: what is kept grows with the places that were written, not with the
/// writes.
#[derive(Debug)]
pub(crate) struct History<U> {
    /// What undoes all but the last batch.
    undo: VecDeque<(U, u32)>,
    /// What undoes the last batch.
    last: Vec<(U, u32)>,
    /// The states between which the last batch was executed, while it can be undone by itself.
    last_batch: Option<(Seq, Seq)>,
    /// Entries that were dropped from the front of `undo`: the first there has this place.
    dropped: u64,
    bytes: usize,
    /// The states that can be gone back to, rising.
    marks: VecDeque<Mark>,
    /// Batches so far, those that were undone included.
    batches: u64,
    /// Below this nothing can be gone back to.
    reaches: Seq,
    bytes_max: usize,
}

/// A state that can be gone back to.
#[derive(Debug)]
pub(crate) struct Mark {
    seq: Seq,
    /// The place of the first entry after it.
    place: u64,
    /// [`History::stamp`] of the last batch before it.
    stamp: u64,
    /// The digests of the state's parts; none before the checkpoint's hashes are there, nor for the
    /// state that a history begins with.
    parts: Option<Vec<Digest>>,
}

impl<U: Undo> History<U> {
    /// Nothing written, at the state after `seq`.
    pub(crate) fn new(seq: Seq) -> History<U> {
        History {
            undo: VecDeque::new(),
            last: Vec::new(),
            last_batch: None,
            dropped: 0,
            bytes: 0,
            marks: VecDeque::from([Mark { seq, place: 0, stamp: 0, parts: None }]),
            batches: 0,
            reaches: seq,
            bytes_max: BYTES_MAX,
        }
    }

    /// Names the batch that is executed, among all that were.
    pub(crate) fn stamp(&self) -> u64 {
        self.batches
    }

    /// A batch begins, which leads from the state after `before` to that after `seq`.
    pub(crate) fn begin(&mut self, before: Seq, seq: Seq) {
        self.fold();
        self.batches += 1;
        self.last_batch = Some((before, seq));
        while self.bytes > self.bytes_max {
            self.drop_forgotten(usize::MAX);
            if self.bytes > self.bytes_max {
                // What is not before a mark is of use to that mark: without any, all goes.
                let oldest = self.marks.pop_front();
                self.reaches = oldest.map_or(before, |mark| mark.seq.next());
            }
        }
    }

    /// A write, which `undo` undoes and which keeps `bytes` alive beside the entry itself. One to a
    /// place that the same batch wrote to before needs none.
    pub(crate) fn note(&mut self, undo: U, bytes: usize) {
        let bytes = bytes + size_of::<(U, u32)>();
        self.bytes += bytes;
        self.last.push((undo, bytes as u32));
        self.drop_forgotten(DROPPED_A_WRITE);
    }

    /// From now on the last batch is not undone by itself: what is of use without that moves to the
    /// others.
    fn fold(&mut self) {
        self.last_batch = None;
        let stamp = self.marks.back().map(|mark| mark.stamp);
        for (undo, bytes) in self.last.drain(..) {
            if stamp.is_some_and(|stamp| undo.written_before() <= stamp) {
                self.undo.push_back((undo, bytes));
            } else {
                self.bytes -= bytes as usize;
            }
        }
    }

    /// A state is restored in place of the present one, which is that after `present`: what undoes
    /// that follows, by [`History::replaced`]. From a later state than `seq` there is no way back.
    pub(crate) fn begin_restore(&mut self, present: Seq, seq: Seq) {
        self.fold();
        if present >= seq {
            self.marks.clear();
            self.reaches = seq;
        }
    }

    /// What a restored state replaced. The bound does not count it: it is at most the state before,
    /// a restart may need it, and the checkpoint that is written next lets it go.
    pub(crate) fn replaced(&mut self, undo: U) {
        self.undo.push_back((undo, 0));
    }

    /// The state after `seq`, which is the present one, can be gone back to from now on.
    pub(crate) fn mark(&mut self, seq: Seq) {
        self.fold();
        while self.marks.back().is_some_and(|mark| mark.seq >= seq) {
            self.marks.pop_back();
        }
        let (place, stamp) = (self.end(), self.batches);
        self.marks.push_back(Mark { seq, place, stamp, parts: None });
    }

    /// The state after `seq`, which was marked, is kept as a checkpoint with these digests of its
    /// parts; not if it has been let go.
    pub(crate) fn keep(&mut self, seq: Seq, parts: Vec<Digest>) {
        if let Some(mark) = self.marks.iter_mut().find(|mark| mark.seq == seq) {
            mark.parts = Some(parts);
        }
    }

    /// A checkpoint that is kept.
    pub(crate) fn kept(&self, seq: Seq) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.seq == seq && mark.parts.is_some())
    }

    /// The digests of a kept checkpoint's parts.
    pub(crate) fn parts(&self, seq: Seq) -> Option<&[Digest]> {
        self.kept(seq)?.parts.as_deref()
    }

    /// What was written since a checkpoint, newest first. Of several entries for one place the last
    /// one tells what the checkpoint had.
    pub(crate) fn since(&self, mark: &Mark) -> impl Iterator<Item = &U> {
        debug_assert!(mark.place >= self.first(), "{} is kept whole", mark.seq);
        let count = (self.end() - mark.place) as usize;
        let others = self.undo.iter().rev().take(count);
        self.last.iter().rev().chain(others).map(|(undo, _)| undo)
    }

    /// Keeps what `Application::retain` says.
    pub(crate) fn retain(&mut self, from: Seq, leased: Option<Seq>) {
        // What undoes the batches after a mark that goes serves the one before it.
        self.marks.retain(|mark| mark.seq >= from || Some(mark.seq) == leased);
        self.reaches = leased.map_or(from, |leased| leased.min(from)).max(self.reaches);
    }

    /// The place after the last entry of `undo`.
    fn end(&self) -> u64 {
        self.dropped + self.undo.len() as u64
    }

    /// The place of the first entry that is of use. Those before it are dropped by and by.
    fn first(&self) -> u64 {
        self.marks.front().map_or(self.end(), |mark| mark.place)
    }

    /// Drops entries of no use, at most so many.
    fn drop_forgotten(&mut self, count: usize) {
        let forgotten = usize::try_from(self.first() - self.dropped).unwrap_or(usize::MAX);
        for (_, bytes) in self.undo.drain(..forgotten.min(count)) {
            self.bytes -= bytes as usize;
            self.dropped += 1;
        }
    }

    /// Takes what was written after `seq`, newest first, each to be undone by the caller; `None` when
    /// it does not reach that state.
    pub(crate) fn unwind(&mut self, seq: Seq) -> Option<impl Iterator<Item = U> + use<U>> {
        let is_before_last =
            self.last_batch.is_some_and(|(before, after)| before <= seq && seq < after);
        let mark = self.marks.iter().position(|mark| mark.seq == seq);
        let place = match mark {
            _ if seq < self.reaches => return None,
            Some(mark) => self.marks[mark].place,
            None if is_before_last => self.end(),
            None => return None,
        };
        if let Some(mark) = mark {
            self.marks.truncate(mark + 1);
        }
        self.last_batch = None;
        let mut undone = self.undo.split_off((place - self.dropped) as usize);
        undone.extend(mem::take(&mut self.last));
        self.bytes -= undone.iter().map(|(_, bytes)| *bytes as usize).sum::<usize>();
        Some(undone.into_iter().rev().map(|(undo, _)| undo))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What batch wrote, and which batch had written to the same place.
    #[derive(Debug, PartialEq, Eq)]
    struct Write(u64, u64);

    impl Undo for Write {
        fn written_before(&self) -> u64 {
            self.1
        }
    }

    /// Batch `seq` writes to a place of its own.
    fn write(history: &mut History<Write>, seq: u64) {
        history.begin(Seq(seq - 1), Seq(seq));
        history.note(Write(seq, 0), 100);
    }

    fn checkpoint(history: &mut History<Write>, seq: u64) {
        history.mark(Seq(seq));
        history.keep(Seq(seq), Vec::new());
    }

    fn history() -> History<Write> {
        let mut history = History::new(Seq(0));
        for seq in 1..=10 {
            write(&mut history, seq);
            if seq % 2 == 0 {
                checkpoint(&mut history, seq);
            }
        }
        history
    }

    fn undone(history: &mut History<Write>, seq: u64) -> Option<Vec<u64>> {
        Some(history.unwind(Seq(seq))?.map(|Write(batch, _)| batch).collect())
    }

    #[test]
    fn what_is_undone_comes_newest_first_down_to_exactly_the_state_asked_for() {
        let mut history = history();
        assert_eq!(undone(&mut history, 10), Some(vec![]));
        assert_eq!(undone(&mut history, 7), None, "neither a checkpoint nor before the last batch");
        write(&mut history, 11);
        assert_eq!(undone(&mut history, 10), Some(vec![11]));
        assert_eq!(undone(&mut history, 6), Some(vec![10, 9, 8, 7]));
        assert!(history.kept(Seq(8)).is_none() && history.kept(Seq(6)).is_some());
        write(&mut history, 7);
        write(&mut history, 8);
        assert!(history.since(history.kept(Seq(4)).unwrap()).map(|write| write.0).eq([8, 7, 6, 5]));
        assert_eq!(undone(&mut history, 7), Some(vec![8]));
        assert_eq!(undone(&mut history, 6), Some(vec![7]));
        assert_eq!(undone(&mut history, 0), Some(vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(history.bytes, 0);
    }

    #[test]
    fn of_the_writes_to_a_place_between_checkpoints_the_first_stays() {
        let mut history = history();
        let stamp = history.stamp();
        let mut before = 1;
        for seq in 11..=20 {
            history.begin(Seq(seq - 1), Seq(seq));
            history.note(Write(seq, before), 100);
            before = history.stamp();
        }
        let since: Vec<_> = history.since(history.kept(Seq(10)).unwrap()).collect();
        assert_eq!(since, [&Write(20, stamp + 9), &Write(11, 1)], "the last batch is there whole");
        history.begin(Seq(20), Seq(21));
        history.note(Write(21, before), 100);
        assert_eq!(undone(&mut history, 20), Some(vec![21]));
        checkpoint(&mut history, 20);
        write(&mut history, 21);
        history.note(Write(22, before), 100);
        assert_eq!(undone(&mut history, 10), Some(vec![22, 21, 11]));
    }

    #[test]
    fn what_is_not_retained_is_let_go_and_a_lease_holds_what_it_needs() {
        let mut history = history();
        history.retain(Seq(8), Some(Seq(4)));
        let kept = |history: &History<Write>| -> Vec<u64> {
            (1..=10).filter(|seq| history.kept(Seq(*seq)).is_some()).collect()
        };
        assert_eq!(kept(&history), [4, 8, 10]);
        let since = |seq| history.since(history.kept(Seq(seq)).unwrap()).map(|write| write.0);
        assert!(since(4).eq([10, 9, 8, 7, 6, 5]));
        history.retain(Seq(8), None);
        assert_eq!(kept(&history), [8, 10]);
        assert_eq!(history.end() - history.first(), 2);
        assert_eq!(undone(&mut history, 4), None);
    }

    #[test]
    fn below_what_is_retained_not_even_the_last_batch_is_undone() {
        let mut history = history();
        write(&mut history, 11);
        history.retain(Seq(11), None);
        assert_eq!(undone(&mut history, 10), None);
        write(&mut history, 12);
        assert_eq!(undone(&mut history, 11), Some(vec![12]));
    }

    #[test]
    fn what_is_let_go_is_dropped_by_the_writes_that_follow_and_not_at_once() {
        let mut history = history();
        history.retain(Seq(10), None);
        assert_eq!(history.undo.len(), 10);
        history.begin(Seq(10), Seq(11));
        let lengths = (11..=16).map(|batch| {
            history.note(Write(batch, 0), 100);
            history.undo.len()
        });
        assert!(lengths.eq([8, 6, 4, 2, 0, 0]), "ten of no use, two of them a write");
        assert_eq!(undone(&mut history, 10), Some(vec![16, 15, 14, 13, 12, 11]));
        assert_eq!(history.bytes, 0);
    }

    #[test]
    fn above_its_bound_the_oldest_goes_first() {
        let mut history = history();
        history.bytes_max = 3 * (100 + size_of::<(Write, u32)>());
        write(&mut history, 11);
        assert_eq!(history.undo.len(), 2);
        assert!(history.kept(Seq(6)).is_none() && history.kept(Seq(8)).is_some());
        assert_eq!(undone(&mut history, 8), Some(vec![11, 10, 9]));
        history.bytes_max = 0;
        write(&mut history, 9);
        write(&mut history, 10);
        assert_eq!((history.undo.len(), undone(&mut history, 8)), (0, None));
        assert_eq!(undone(&mut history, 9), Some(vec![10]), "the last batch is never let go");
        assert_eq!(history.bytes, 0);
    }

    #[test]
    fn a_state_that_is_restored_keeps_the_way_back_to_an_earlier_one_alone() {
        let mut history = history();
        history.begin_restore(Seq(10), Seq(20));
        history.replaced(Write(20, 10));
        checkpoint(&mut history, 20);
        assert_eq!(undone(&mut history, 10), Some(vec![20]));
        history.begin_restore(Seq(10), Seq(10));
        history.replaced(Write(10, 10));
        checkpoint(&mut history, 10);
        assert_eq!((undone(&mut history, 8), undone(&mut history, 10)), (None, Some(vec![])));
    }
}
