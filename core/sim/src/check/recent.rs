//! Values by key, of which the latest keys are remembered.

use core::hash::Hash;
use std::collections::VecDeque;

use rustc_hash::FxHashMap;

/// Requests that a checker remembers: more than clients repeat, and a few MiB.
pub const REQUESTS_KEPT: usize = 1 << 15;

/// Values by key; when full, the key that came first is forgotten.
///
/// Its hash has no seed, and nothing depends on the order in which it lies.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    values: FxHashMap<K, V>,
    order: VecDeque<K>,
    capacity: usize,
}

impl<K: Eq + Hash + Copy, V> Recent<K, V> {
    pub(super) fn new(capacity: usize) -> Recent<K, V> {
        assert!(capacity > 0, "a memory holds at least one key");
        Recent { values: FxHashMap::default(), order: VecDeque::new(), capacity }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    /// Remembers a value; the value of a known key is replaced. Returns the key that was forgotten
    /// for it.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<K> {
        if self.values.insert(key, value).is_some() {
            return None;
        }
        self.order.push_back(key);
        if self.order.len() <= self.capacity {
            return None;
        }
        let oldest = self.order.pop_front()?;
        self.values.remove(&oldest);
        assert_eq!(self.values.len(), self.order.len(), "each key has one place in the order");
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_came_first_is_forgotten_first() {
        let mut recent = Recent::new(2);
        assert_eq!(recent.insert(1, 'a'), None);
        assert_eq!(recent.insert(2, 'b'), None);
        assert_eq!(recent.insert(1, 'c'), None);
        assert_eq!(recent.insert(3, 'd'), Some(1));
        assert_eq!(
            [recent.get(&1), recent.get(&2), recent.get(&3)],
            [None, Some(&'b'), Some(&'d')]
        );
    }
}
