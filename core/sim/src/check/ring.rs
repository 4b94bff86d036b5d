//! Values by number, of which the highest numbers are remembered.

use std::collections::VecDeque;

/// Values by number: those of the `span` numbers up to the highest one; lower ones are forgotten.
#[derive(Debug)]
pub(super) struct Ring<T> {
    base: u64,
    slots: VecDeque<Option<T>>,
    span: usize,
}

impl<T> Ring<T> {
    pub(super) fn new(span: usize) -> Ring<T> {
        assert!(span > 0, "a ring remembers at least one number");
        Ring { base: 0, slots: VecDeque::new(), span }
    }

    /// The place of a number; `None` when it is too low to be remembered.
    pub(super) fn place(&mut self, number: u64) -> Option<&mut Option<T>> {
        let offset = usize::try_from(number.checked_sub(self.base)?).unwrap_or(usize::MAX);
        if offset >= self.slots.len().saturating_add(self.span) {
            // Far ahead of everything: nothing that is remembered stays in reach.
            self.slots.clear();
            self.base = number - (self.span as u64 - 1);
        }
        while number - self.base >= self.span as u64 {
            self.forget();
        }
        let offset = (number - self.base) as usize;
        while self.slots.len() <= offset {
            self.slots.push_back(None);
        }
        assert!(self.slots.len() <= self.span, "a ring never holds more than its span");
        self.slots.get_mut(offset)
    }

    /// Forgets the lowest number; the value that it had.
    fn forget(&mut self) -> Option<T> {
        self.base += 1;
        self.slots.pop_front().flatten()
    }

    /// The value of a number, if it has one that is remembered.
    pub(super) fn get(&self, number: u64) -> Option<&T> {
        let offset = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.slots.get(offset)?.as_ref()
    }

    /// As [`Ring::get`].
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let offset = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.slots.get_mut(offset)?.as_mut()
    }
}

impl<T> Ring<Vec<T>> {
    /// As [`Ring::place`], of lists: the number's own, with its values or empty. The list that is
    /// forgotten for it serves again.
    pub(super) fn list(&mut self, number: u64) -> Option<&mut Vec<T>> {
        let next = self.base.checked_add(self.span as u64);
        let full = next == Some(number) && self.slots.len() == self.span;
        let spare = if full { self.forget() } else { None };
        let empty = |mut spare: Vec<T>| {
            spare.clear();
            spare
        };
        let place = self.place(number)?;
        Some(place.get_or_insert_with(|| spare.map(empty).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_remembers_its_span_and_says_what_it_forgot() {
        let mut ring = Ring::new(4);
        for number in [0, 3, 1, 9, 7] {
            *ring.place(number).unwrap() = Some(number);
        }
        assert_eq!([ring.get(9), ring.get(7), ring.get(8)], [Some(&9), Some(&7), None]);
        assert!(ring.place(5).is_none() && ring.get(3).is_none());
        *ring.place(u64::MAX).unwrap() = Some(1);
        assert!(ring.place(9).is_none(), "a leap forgets what is far below it");
        assert_eq!(ring.get_mut(u64::MAX), Some(&mut 1));
    }

    #[test]
    fn the_list_of_a_number_is_its_own_whoever_had_it_before() {
        let mut ring = Ring::new(3);
        for number in [0, 1, 2, 3, 5, 6, 40, 41] {
            let list = ring.list(number).unwrap();
            assert!(list.is_empty(), "{number}");
            list.extend([number, number]);
        }
        assert_eq!([ring.get(40), ring.get(41)], [Some(&vec![40, 40]), Some(&vec![41, 41])]);
        assert_eq!(ring.list(40), Some(&mut vec![40, 40]));
        assert!(ring.list(6).is_none() && ring.get(39).is_none());
    }
}
