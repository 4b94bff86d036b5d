//! Messages of agreement in a view that this replica has not entered yet.
//!
//! They are kept by sender, for the highest view that the sender spoke in, and taken up when that
//! view is entered. Of each kind and sequence number the first is kept: a repeat takes no room. A
//! sender has a bound of messages and one of bytes; what is above is dropped, and status messages
//! bring it again. So a faulty sender spoils only its own place.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::message::Message;
use crate::types::{ReplicaId, Seq, View};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It waits for its view.
    Yes,
    /// One of its kind and sequence number waits already.
    Before,
    /// The sender's place is full, or it has gone on to a later view.
    No,
}

/// The messages of one sender, all of one view.
#[derive(Debug, Default)]
struct Place {
    view: View,
    bytes: usize,
    /// In the order in which they came.
    messages: Vec<Message>,
    /// The tag and the sequence number of each.
    keys: BTreeSet<(u8, Seq)>,
}

/// Early messages, by sender.
#[derive(Debug)]
pub(super) struct Early {
    places: Vec<Place>,
    messages_max: usize,
    bytes_max: usize,
}

impl Early {
    /// Places for `n` senders of `messages_max` messages and `bytes_max` bytes of batches each.
    pub(super) fn new(n: usize, messages_max: usize, bytes_max: usize) -> Early {
        Early { places: (0..n).map(|_| Place::default()).collect(), messages_max, bytes_max }
    }

    /// The messages and the bytes of the fullest place, each for itself.
    pub(super) fn fullest(&self) -> (usize, usize) {
        let messages = self.places.iter().map(|place| place.messages.len()).max();
        let bytes = self.places.iter().map(|place| place.bytes).max();
        (messages.unwrap_or(0), bytes.unwrap_or(0))
    }

    /// The most messages of one place.
    pub(super) fn messages_max(&self) -> usize {
        self.messages_max
    }

    /// The most bytes of one place.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Keeps a message of `sender` in `view` for `seq`, which carries a batch of `bytes`.
    pub(super) fn keep(
        &mut self,
        sender: ReplicaId,
        view: View,
        seq: Seq,
        message: Message,
        bytes: usize,
    ) -> Kept {
        let Some(place) = self.places.get_mut(usize::from(sender.0)) else { return Kept::No };
        if view > place.view {
            *place = Place { view, ..Place::default() };
        }
        let fits =
            place.messages.len() < self.messages_max && place.bytes + bytes <= self.bytes_max;
        let key = (message.tag(), seq);
        if view == place.view && place.keys.contains(&key) {
            return Kept::Before;
        }
        if view < place.view || !fits {
            return Kept::No;
        }
        place.keys.insert(key);
        place.bytes += bytes;
        place.messages.push(message);
        Kept::Yes
    }

    /// Takes what was kept for `view`, sender by sender, and forgets what is of earlier views.
    pub(super) fn take(&mut self, view: View) -> Vec<Message> {
        let mut messages = Vec::new();
        for place in self.places.iter_mut().filter(|place| place.view <= view) {
            let taken = core::mem::take(place);
            if taken.view == view {
                messages.extend(taken.messages);
            }
        }
        messages
    }

    /// Whether anything waits.
    pub(super) fn is_empty(&self) -> bool {
        self.places.iter().all(|place| place.messages.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use quorumark_primitives::Digest;
    use quorumark_primitives::signed::Signed;

    use super::*;
    use crate::pbft::{Commit, Prepare};

    #[test]
    fn pbft_4_4_a_repeat_of_an_early_message_takes_no_other_ones_place() {
        let (sender, view, seq) = (ReplicaId(1), View(1), Seq(1));
        let digest = Digest::ZERO;
        let prepare = |seq| {
            let body = Prepare { view, seq, digest, replica: sender };
            Message::Prepare(Signed::blank(body))
        };
        let commit = Message::Commit(Signed::blank(Commit { view, seq, digest, replica: sender }));
        let mut early = Early::new(4, 3, 100);
        assert_eq!(early.keep(sender, view, seq, prepare(seq), 0), Kept::Yes);
        for _ in 0..5 {
            assert_eq!(early.keep(sender, view, seq, prepare(seq), 0), Kept::Before);
        }
        assert_eq!(early.keep(sender, view, seq, commit.clone(), 0), Kept::Yes);
        assert_eq!(early.keep(sender, view, Seq(2), prepare(Seq(2)), 0), Kept::Yes);
        assert_eq!(early.keep(sender, view, Seq(3), prepare(Seq(3)), 0), Kept::No, "full");
        assert_eq!(early.take(view), [prepare(seq), commit, prepare(Seq(2))]);
        assert_eq!(early.keep(sender, view, seq, prepare(seq), 0), Kept::Yes, "as if new");
    }
}
