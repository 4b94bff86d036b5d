//! The pages of a record, by number.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::page::Page;

/// Places that are kept in any case.
const SPARE: usize = 32;

/// Pages, by rising number.
///
/// A client counts on, so its pages mostly follow each other: the one asked for is looked for as far
/// from the last as its number is, and only where numbers are missing by bisection.
#[derive(Debug, Default)]
pub(super) struct Pages(VecDeque<(u64, Box<Page>)>);

impl Pages {
    /// Where a page is, or where it would be.
    fn place(&self, number: u64) -> Result<usize, usize> {
        if let Some((last, _)) = self.0.back()
            && let Some(back) = last.checked_sub(number)
            && let Some(place) =
                usize::try_from(back).ok().and_then(|back| (self.0.len() - 1).checked_sub(back))
            && self.0.get(place).is_some_and(|(there, _)| *there == number)
        {
            return Ok(place);
        }
        self.0.binary_search_by_key(&number, |(number, _)| *number)
    }

    /// The place of the first page from a number on.
    fn from(&self, number: u64) -> usize {
        self.place(number).unwrap_or_else(|place| place)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Page> {
        let place = self.place(number).ok()?;
        self.0.get(place).map(|(_, page)| &**page)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Page> {
        let place = self.place(number).ok()?;
        self.0.get_mut(place).map(|(_, page)| &mut **page)
    }

    /// The page of that number, made where there is none.
    pub(super) fn get_or_make(&mut self, number: u64) -> &mut Page {
        let place = self.place(number).unwrap_or_else(|place| {
            self.0.insert(place, (number, Box::new(Page::new())));
            place
        });
        let (_, page) = self.0.get_mut(place).expect("it was there, or was made above");
        page
    }

    /// The pages of numbers from `first` on and below `end`, rising.
    pub(super) fn range(
        &self,
        first: u64,
        end: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, &Page)> {
        let range = self.from(first)..self.from(end.max(first));
        self.0.range(range).map(|(number, page)| (*number, &**page))
    }

    /// The same, to be changed.
    pub(super) fn range_mut(
        &mut self,
        first: u64,
        end: u64,
    ) -> impl Iterator<Item = (u64, &mut Page)> {
        let range = self.from(first)..self.from(end.max(first));
        self.0.range_mut(range).map(|(number, page)| (*number, &mut **page))
    }

    /// Drops the pages below a number.
    pub(super) fn drop_below(&mut self, number: u64) {
        self.0.drain(..self.from(number));
        // Timestamps far apart make many pages at once: their places do not stay.
        if self.0.capacity() > 4 * self.0.len().max(SPARE) {
            self.0.shrink_to(2 * self.0.len());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Page)> {
        self.0.iter().map(|(number, page)| (*number, &**page))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Page)> {
        self.0.iter_mut().map(|(number, page)| (*number, &mut **page))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pages_are_found_like_those_of_a_tree_whatever_numbers_are_missing(
            numbers in prop::collection::vec(prop_oneof![4 => 5..30u64, 1 => any::<u64>()], 0..40),
            below: u8,
            asked in prop::collection::vec(0..35u64, 2),
        ) {
            let (mut pages, mut model) = (Pages::default(), BTreeSet::new());
            for number in &numbers {
                pages.get_or_make(*number);
                model.insert(*number);
            }
            pages.drop_below(u64::from(below) / 16);
            model.retain(|number| *number >= u64::from(below) / 16);
            prop_assert!(pages.0.capacity() <= 4 * pages.0.len().max(SPARE));
            let all: Vec<u64> = pages.iter().map(|(number, _)| number).collect();
            prop_assert!(all.iter().eq(&model));
            for number in (0..35).chain(numbers) {
                prop_assert_eq!(pages.get(number).is_some(), model.contains(&number));
                prop_assert_eq!(pages.get_mut(number).is_some(), model.contains(&number));
            }
            let [first, end] = [asked[0], asked[1]];
            let expected: Vec<u64> = model.range(first..end.max(first)).copied().collect();
            let found: Vec<u64> = pages.range(first, end).map(|(number, _)| number).collect();
            prop_assert_eq!(&found, &expected);
            let found: Vec<u64> = pages.range_mut(first, end).map(|(number, _)| number).collect();
            prop_assert_eq!(&found, &expected);
        }
    }
}
