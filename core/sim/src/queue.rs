//! What is still to happen, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The things to come, each a `T`. Equal times keep the order in which they were set.
///
/// The heap holds small keys alone, since it moves them about; what happens lies still in a slab.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<Key>>,
    slab: Vec<Option<T>>,
    /// Empty places of the slab.
    free: Vec<u32>,
    order: u64,
    /// When the last thing happened: nothing can be set before it.
    now: u64,
}

/// When something happens, its number among all that were set, and its place in the slab: from the
/// highest bits to the lowest, so that one comparison of integers orders them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u128);

impl Key {
    const ORDER_BITS: u32 = 40;
    const PLACE_BITS: u32 = 24;

    fn new(at: u64, order: u64, place: u32) -> Key {
        assert!(order >> Key::ORDER_BITS == 0, "a run sets fewer things than 2^40");
        assert!(place >> Key::PLACE_BITS == 0, "frames under way are bounded far below");
        Key(u128::from(at) << 64 | u128::from(order << Key::PLACE_BITS | u64::from(place)))
    }

    fn at(self) -> u64 {
        (self.0 >> 64) as u64
    }

    fn place(self) -> usize {
        (self.0 as u32 & ((1 << Key::PLACE_BITS) - 1)) as usize
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        let (heap, slab, free) = (BinaryHeap::new(), Vec::new(), Vec::new());
        Queue { heap, slab, free, order: 0, now: 0 }
    }
}

impl<T> Queue<T> {
    /// Lets something happen at `at`, behind what is set for the same time already.
    ///
    /// # Panics
    /// When `at` is in the past.
    pub(crate) fn push(&mut self, at: u64, due: T) {
        assert!(at >= self.now, "{at} is before {}", self.now);
        self.order += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.slab.push(None);
            u32::try_from(self.slab.len() - 1).expect("frames under way are bounded far below")
        });
        let empty = &mut self.slab[place as usize];
        debug_assert!(empty.is_none(), "a free place is empty");
        *empty = Some(due);
        self.heap.push(Reverse(Key::new(at, self.order, place)));
    }

    /// The next thing to happen, and when.
    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        let Reverse(key) = self.heap.pop()?;
        let (at, place) = (key.at(), key.place());
        debug_assert!(at >= self.now, "time runs forward");
        self.now = at;
        self.free.push(place as u32);
        let due = self.slab[place].take().expect("a key has something in its place");
        Some((at, due))
    }

    /// Things to happen.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_by_time_and_at_equal_times_as_they_were_set() {
        let mut queue = Queue::default();
        let mut set = Vec::new();
        for (nth, at) in [7, 3, u64::MAX, 3, 7, 0, 3].into_iter().enumerate() {
            queue.push(at, nth as u32);
            set.push((at, nth as u32));
        }
        set.sort_unstable();
        let happened = core::iter::from_fn(|| queue.pop());
        assert_eq!(happened.collect::<Vec<_>>(), set);
    }
}
