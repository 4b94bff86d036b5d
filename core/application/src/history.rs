//! What it takes to go back: how each write is undone, and which checkpoints are kept.

use std::collections::VecDeque;

use quorumark_consensus::types::Seq;
use quorumark_primitives::Digest;

/// The most bytes of undone writes that are kept. When more were written since the oldest kept
/// checkpoint, that one is let go, and the next, until the rest fits.
const BYTES_MAX: usize = 256 << 20;

/// Entries of no use that a write drops. A checkpoint that is let go leaves as many as were written
/// since the one before: dropped at once they would hold up what is executed next.
const DROPPED_A_WRITE: usize = 2;

/// A log of how writes are undone, oldest first, with marks at batches and at checkpoints.
///
/// It makes snapshots free: the state at a checkpoint is the present one with everything after the
/// checkpoint's mark undone, newest first. What it holds is the values that writes replaced, so a
/// write costs one entry and no copy.
#[derive(Debug)]
pub(crate) struct History<U> {
    undo: VecDeque<(U, u32)>,
    /// Entries that were dropped: the one at the front has this place.
    dropped: u64,
    /// The place of the first entry that is of use. Those before it are dropped by and by.
    first: u64,
    bytes: usize,
    /// For each batch executed, where its first entry is.
    batches: VecDeque<(Seq, u64)>,
    checkpoints: VecDeque<Checkpoint>,
    /// The earliest state that can be gone back to.
    reaches: Seq,
    bytes_max: usize,
}

/// A checkpoint that is kept.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    seq: Seq,
    mark: u64,
    /// The digests of the state's parts.
    pub(crate) parts: Vec<Digest>,
}

impl<U> History<U> {
    /// Nothing written, at the state after `seq`.
    pub(crate) fn new(seq: Seq) -> History<U> {
        History {
            undo: VecDeque::new(),
            dropped: 0,
            first: 0,
            bytes: 0,
            batches: VecDeque::new(),
            checkpoints: VecDeque::new(),
            reaches: seq,
            bytes_max: BYTES_MAX,
        }
    }

    /// Where the present state stands, for [`History::checkpoint_at`].
    pub(crate) fn mark(&self) -> u64 {
        self.dropped + self.undo.len() as u64
    }

    /// A batch begins.
    pub(crate) fn begin(&mut self, seq: Seq) {
        self.batches.push_back((seq, self.mark()));
        while self.bytes > self.bytes_max {
            self.drop_forgotten(usize::MAX);
            let Some((first, _)) = self.batches.front().filter(|_| self.bytes > self.bytes_max)
            else {
                break;
            };
            self.forget_to(*first);
        }
    }

    /// A write, which `undo` undoes and which keeps `bytes` alive beside the entry itself.
    pub(crate) fn note(&mut self, undo: U, bytes: usize) {
        let bytes = bytes + size_of::<(U, u32)>();
        self.bytes += bytes;
        self.undo.push_back((undo, bytes as u32));
        self.drop_forgotten(DROPPED_A_WRITE);
    }

    /// A state is restored in place of the present one: what undoes that follows, by
    /// [`History::replaced`]. From a later state than `seq` there is no way back.
    pub(crate) fn begin_restore(&mut self, seq: Seq) {
        if self.batches.back().is_some_and(|(last, _)| *last >= seq) {
            *self = History::new(seq);
        }
        self.batches.push_back((seq, self.mark()));
    }

    /// What a restored state replaced. The bound does not count it: it is at most the state before,
    /// a restart may need it, and the checkpoint that is written next lets it go.
    pub(crate) fn replaced(&mut self, undo: U) {
        self.undo.push_back((undo, 0));
    }

    /// The state after `seq`, which is the present one, is kept as a checkpoint.
    pub(crate) fn checkpoint(&mut self, seq: Seq, parts: Vec<Digest>) {
        self.checkpoint_at(seq, self.mark(), parts);
    }

    /// The state after `seq` is kept, which was the present one at `mark`; not if it has been let go.
    pub(crate) fn checkpoint_at(&mut self, seq: Seq, mark: u64, parts: Vec<Digest>) {
        self.checkpoints.retain(|kept| kept.seq < seq);
        if mark >= self.first && self.reaches(seq) {
            self.checkpoints.push_back(Checkpoint { seq, mark, parts });
        }
    }

    /// A checkpoint that is kept.
    pub(crate) fn kept(&self, seq: Seq) -> Option<&Checkpoint> {
        self.checkpoints.iter().find(|kept| kept.seq == seq)
    }

    /// What was written since a checkpoint, newest first.
    pub(crate) fn since(&self, checkpoint: &Checkpoint) -> impl Iterator<Item = &U> {
        debug_assert!(checkpoint.mark >= self.first, "{} is kept whole", checkpoint.seq);
        let count = (self.mark() - checkpoint.mark) as usize;
        self.undo.iter().rev().take(count).map(|(undo, _)| undo)
    }

    /// Keeps what `Application::retain` says.
    pub(crate) fn retain(&mut self, from: Seq, leased: Option<Seq>) {
        self.checkpoints.retain(|kept| kept.seq >= from || Some(kept.seq) == leased);
        self.forget_to(leased.map_or(from, |leased| leased.min(from)));
    }

    /// Forgets what undoes the batches up to `seq`, and the checkpoints before it.
    fn forget_to(&mut self, seq: Seq) {
        while self.batches.front().is_some_and(|(batch, _)| *batch <= seq) {
            self.batches.pop_front();
        }
        self.first = self.batches.front().map_or(self.mark(), |(_, mark)| *mark);
        self.checkpoints.retain(|kept| kept.mark >= self.first && kept.seq >= seq);
        self.reaches = self.reaches.max(seq);
    }

    /// Drops entries of no use, at most so many.
    fn drop_forgotten(&mut self, count: usize) {
        let forgotten = usize::try_from(self.first - self.dropped).unwrap_or(usize::MAX);
        for (_, bytes) in self.undo.drain(..forgotten.min(count)) {
            self.bytes -= bytes as usize;
            self.dropped += 1;
        }
    }

    /// Whether the state after `seq` can be gone back to.
    pub(crate) fn reaches(&self, seq: Seq) -> bool {
        seq >= self.reaches
    }

    /// Takes what was written after `seq`, newest first, each to be undone by the caller.
    ///
    /// # Panics
    /// When it does not reach that far.
    pub(crate) fn unwind(&mut self, seq: Seq) -> impl Iterator<Item = U> {
        assert!(self.reaches(seq), "{seq} is below {}", self.reaches);
        let first = self.batches.partition_point(|(batch, _)| *batch <= seq);
        let mark = self.batches.get(first).map_or(self.mark(), |(_, mark)| *mark);
        self.batches.truncate(first);
        self.checkpoints.retain(|kept| kept.seq <= seq);
        let undone = self.undo.split_off((mark - self.dropped) as usize);
        self.bytes -= undone.iter().map(|(_, bytes)| *bytes as usize).sum::<usize>();
        undone.into_iter().rev().map(|(undo, _)| undo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History<u64> {
        let mut history = History::new(Seq(0));
        for seq in 1..=10 {
            history.begin(Seq(seq));
            history.note(seq, 100);
            if seq % 2 == 0 {
                history.checkpoint(Seq(seq), Vec::new());
            }
        }
        history
    }

    #[test]
    fn what_is_undone_comes_newest_first_down_to_exactly_the_state_asked_for() {
        let mut history = history();
        assert!(history.unwind(Seq(10)).next().is_none());
        assert!(history.unwind(Seq(7)).eq([10, 9, 8]));
        assert!(history.kept(Seq(8)).is_none() && history.kept(Seq(6)).is_some());
        assert!(history.since(history.kept(Seq(4)).unwrap()).eq(&[7, 6, 5]));
        assert!(history.unwind(Seq(0)).eq([7, 6, 5, 4, 3, 2, 1]));
        assert_eq!(history.bytes, 0);
    }

    #[test]
    fn what_is_not_retained_is_let_go_and_a_lease_holds_what_it_needs() {
        let mut history = history();
        history.retain(Seq(8), Some(Seq(4)));
        let kept = |history: &History<u64>| -> Vec<u64> {
            (1..=10).filter(|seq| history.kept(Seq(*seq)).is_some()).collect()
        };
        assert_eq!(kept(&history), [4, 8, 10]);
        assert!(history.reaches(Seq(4)) && !history.reaches(Seq(3)));
        assert!(history.since(history.kept(Seq(4)).unwrap()).eq(&[10, 9, 8, 7, 6, 5]));
        history.retain(Seq(8), None);
        assert_eq!(kept(&history), [8, 10]);
        assert_eq!(history.mark() - history.first, 2);
    }

    #[test]
    fn what_is_let_go_is_dropped_by_the_writes_that_follow_and_not_at_once() {
        let mut history = history();
        history.retain(Seq(9), None);
        assert_eq!(history.undo.len(), 10);
        history.begin(Seq(11));
        let lengths = (11..=16).map(|write| {
            history.note(write, 100);
            history.undo.len()
        });
        assert!(lengths.eq([9, 8, 7, 6, 6, 7]), "nine of no use, two of them a write");
        assert!(history.unwind(Seq(9)).eq([16, 15, 14, 13, 12, 11, 10]));
        assert_eq!(history.bytes, 0);
    }

    #[test]
    fn above_its_bound_the_oldest_goes_first() {
        let mut history = history();
        history.bytes_max = 3 * (100 + size_of::<(u64, u32)>());
        history.begin(Seq(11));
        assert_eq!(history.undo.len(), 3);
        assert!(history.reaches(Seq(7)) && !history.reaches(Seq(6)));
        assert!(history.kept(Seq(6)).is_none() && history.kept(Seq(8)).is_some());
    }
}
