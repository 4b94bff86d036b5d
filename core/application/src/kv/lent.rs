//! Values that still lie in the frames of their batches.
//!
//! Between two checkpoints most values are written over before anything needs them: copied when a
//! checkpoint is hashed, and not when they are written, those are never copied at all. The frames are
//! there anyway, since a replica keeps them for its peers until a checkpoint is stable.

use std::collections::VecDeque;

use bytes::Bytes;
use quorumark_consensus::types::Seq;

/// The most bytes of frames that are held: beyond, values are copied as they are written.
const BYTES_MAX: usize = 64 << 20;

/// Where a value lies in a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lent {
    /// The number of the frame.
    frame: u32,
    start: u32,
    length: u32,
}

impl Lent {
    /// Bytes of the value.
    pub(super) fn len(self) -> usize {
        self.length as usize
    }
}

/// The frames of batches in which values lie that are not copied yet.
///
/// A value that lies in one is in a page that was written since the last checkpoint, or is what the
/// last batch wrote over: a page's values are copied when its content is taken for a checkpoint, and
/// that comes before the first write of a later batch to it. So a checkpoint whose root is there lets go
/// of all frames up to its own.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// By number, from `first` on, with the sequence number of the batch.
    frames: VecDeque<(Seq, Bytes)>,
    first: u32,
    bytes: usize,
    /// Whether the last frame is that of the batch that is executed.
    is_open: bool,
    /// Whether a value lies in it.
    is_lent_from: bool,
}

impl Frames {
    /// The operations of a batch lie in this frame; an empty one stands for none.
    pub(super) fn open(&mut self, seq: Seq, frame: &Bytes) {
        self.is_lent_from = false;
        self.is_open = !frame.is_empty() && self.bytes + frame.len() <= BYTES_MAX;
        if self.is_open {
            self.bytes += frame.len();
            self.frames.push_back((seq, frame.clone()));
        }
    }

    /// Every operation of the batch was executed: a frame that no value lies in is let go.
    pub(super) fn close(&mut self) {
        if std::mem::take(&mut self.is_open) && !self.is_lent_from {
            self.drop_last();
        }
    }

    /// Leaves a value where it is, if that is in the frame of the batch that is executed.
    pub(super) fn lend(&mut self, value: &[u8]) -> Option<Lent> {
        let (_, frame) = self.frames.back().filter(|_| self.is_open)?;
        let start = value.as_ptr().addr().checked_sub(frame.as_ptr().addr())?;
        if start + value.len() > frame.len() {
            return None;
        }
        self.is_lent_from = true;
        let frame = self.first.wrapping_add(self.frames.len() as u32 - 1);
        Some(Lent { frame, start: start as u32, length: value.len() as u32 })
    }

    /// A value that was lent.
    ///
    /// # Panics
    /// When its frame was let go before it was copied, which is the store's mistake.
    pub(super) fn value(&self, Lent { frame, start, length }: Lent) -> &[u8] {
        let held = self.frames.get(frame.wrapping_sub(self.first) as usize);
        let (_, frame) = held.expect("a frame is held until its values are copied");
        &frame[start as usize..][..length as usize]
    }

    /// Lets go of the frames of batches up to `seq`, whose values are all copied.
    pub(super) fn drop_to(&mut self, seq: Seq) {
        while let Some((_, frame)) = self.frames.pop_front_if(|(of, _)| *of <= seq) {
            self.bytes -= frame.len();
            self.first = self.first.wrapping_add(1);
        }
    }

    /// Lets go of the frames of batches after `seq`, which are undone.
    pub(super) fn drop_from(&mut self, seq: Seq) {
        while self.frames.back().is_some_and(|(of, _)| *of > seq) {
            self.drop_last();
        }
    }

    /// Lets go of all frames: every value is copied.
    pub(super) fn clear(&mut self) {
        self.first = self.first.wrapping_add(self.frames.len() as u32);
        self.frames.clear();
        self.bytes = 0;
    }

    fn drop_last(&mut self) {
        if let Some((_, frame)) = self.frames.pop_back() {
            self.bytes -= frame.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_lent_from_the_frame_of_its_batch_alone_and_a_frame_without_any_is_let_go() {
        let mut frames = Frames::default();
        let (frame, other) = (Bytes::from(vec![1; 40]), Bytes::from(vec![2; 40]));
        frames.open(Seq(1), &frame);
        let lent = frames.lend(&frame[10..40]).unwrap();
        assert!(frames.lend(&other[..30]).is_none());
        frames.close();
        assert!(frames.lend(&frame[10..40]).is_none(), "the batch is over");
        frames.open(Seq(2), &other);
        assert!(frames.lend(&frame[..30]).is_none(), "neither below nor above it in memory");
        frames.close();
        assert!(other.is_unique(), "no value lies in it");
        assert_eq!((frames.value(lent), frames.bytes), (&frame[10..40], 40));
    }

    #[test]
    fn frames_go_with_their_batches_from_either_end_and_none_is_held_beyond_the_bound() {
        let mut frames = Frames::default();
        let open = |frames: &mut Frames, seq: u64, bytes: usize| {
            let frame = Bytes::from(vec![seq as u8; bytes]);
            frames.open(Seq(seq), &frame);
            let lent = frames.lend(&frame[1..]);
            frames.close();
            lent
        };
        let lent: Vec<Lent> = (1..=4).map(|seq| open(&mut frames, seq, 10).unwrap()).collect();
        frames.drop_to(Seq(2));
        frames.drop_from(Seq(3));
        assert_eq!((frames.value(lent[2]), frames.bytes), (&[3; 9][..], 10));
        let again = open(&mut frames, 4, 20).unwrap();
        assert_eq!((frames.value(lent[2]), frames.value(again)), (&[3; 9][..], &[4; 19][..]));
        assert!(open(&mut frames, 5, BYTES_MAX - 29).is_none(), "copied: one byte too many");
        assert!(open(&mut frames, 5, BYTES_MAX - 30).is_some());
        frames.drop_to(Seq(5));
        assert_eq!((frames.bytes, frames.frames.len()), (0, 0));
    }
}
