//! Messages of agreement in a view that this replica has not entered yet.
//!
//! They are kept by sender, for the highest view that the sender spoke in, and taken up when that
//! view is entered. A sender has a bound of messages and one of bytes; what is above is dropped, and
//! status messages bring it again. So a faulty sender spoils only its own place.

use alloc::vec::Vec;

use super::message::Message;
use crate::types::{ReplicaId, View};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It waits for its view.
    Yes,
    /// The sender's place is full, or it has gone on to a later view.
    No,
}

/// The messages of one sender, all of one view.
#[derive(Debug, Default)]
struct Place {
    view: View,
    bytes: usize,
    messages: Vec<Message>,
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

    /// Keeps a message of `sender` in `view`, which carries a batch of `bytes`.
    pub(super) fn keep(
        &mut self,
        sender: ReplicaId,
        view: View,
        message: Message,
        bytes: usize,
    ) -> Kept {
        let Some(place) = self.places.get_mut(usize::from(sender.0)) else { return Kept::No };
        if view > place.view {
            *place = Place { view, ..Place::default() };
        }
        let fits =
            place.messages.len() < self.messages_max && place.bytes + bytes <= self.bytes_max;
        if view < place.view || !fits {
            return Kept::No;
        }
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
