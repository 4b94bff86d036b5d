//! What is still to happen, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;

use super::frame::Frame;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Due {
    /// A frame reaches a replica.
    Deliver {
        /// The node it reaches.
        node: u16,
        /// Who sent it.
        from: Sender,
        /// What.
        frame: Frame,
    },
    /// A reply reaches a client.
    Reply {
        /// The client.
        client: u32,
        /// The replica that sent it.
        from: u16,
        /// What.
        frame: Bytes,
    },
    /// A node's timer may be due.
    Timer { node: u16 },
    /// The oldest batch that a node executes is done.
    Executed { node: u16, incarnation: u32 },
    /// A node's journal is durable as far as its oldest write.
    Durable { node: u16, incarnation: u32 },
    /// A client submits its next operation.
    Submit { client: u32 },
    /// A client waits too long for an answer.
    Retry { client: u32, timestamp: u64 },
    /// An event of the scenario begins.
    Begin { event: u32 },
    /// An event of the scenario ends.
    End { event: u32 },
    /// A crashed replica starts again.
    Restart { replica: u16 },
    /// The behaviours of a replica begin or end.
    Turn { liar: u32 },
    /// Network faults, crashes and clock faults end.
    Gst,
    /// A Byzantine replica sends something that it held back, or made up.
    Late { node: u16, to: u16, frame: Frame },
}

/// Who sent a frame to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Replica(u16),
    Client(u32),
}

/// The events to come. Equal times keep the order in which they were set.
///
/// The heap holds small keys alone, since it moves them about; what happens lies still in a slab.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Key>>,
    slab: Vec<Option<Due>>,
    /// Empty places of the slab.
    free: Vec<u32>,
    order: u64,
    /// When the last thing happened: nothing can be set before it.
    now: u64,
}

/// When something happens, its number among all that were set, and its place in the slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: u64,
    order: u64,
    place: u32,
}

impl Queue {
    /// Lets something happen at `at`, behind what is set for the same time already.
    ///
    /// # Panics
    /// When `at` is in the past.
    pub(super) fn push(&mut self, at: u64, due: Due) {
        assert!(at >= self.now, "{at} is before {}", self.now);
        self.order += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.slab.push(None);
            u32::try_from(self.slab.len() - 1).expect("frames under way are bounded far below")
        });
        let empty = &mut self.slab[place as usize];
        debug_assert!(empty.is_none(), "a free place is empty");
        *empty = Some(due);
        self.heap.push(Reverse(Key { at, order: self.order, place }));
    }

    /// The next thing to happen, and when.
    pub(super) fn pop(&mut self) -> Option<(u64, Due)> {
        let Reverse(Key { at, place, .. }) = self.heap.pop()?;
        debug_assert!(at >= self.now, "time runs forward");
        self.now = at;
        self.free.push(place);
        let due = self.slab[place as usize].take().expect("a key has something in its place");
        Some((at, due))
    }

    /// Things to happen.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
