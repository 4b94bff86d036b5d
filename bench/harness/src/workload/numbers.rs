//! Sets of request numbers.

/// The largest number that a set holds, plus one; a set of every other one takes about 132 MiB.
pub const NUMBERS_MAX: u64 = 1 << 30;

/// Words of a page.
const WORDS: usize = 64;
/// Numbers of a page.
const PAGE: u64 = 64 * WORDS as u64;

/// A set of request numbers, one bit each, up to the largest number inserted; a page of 4,096 numbers
/// that are all there takes no more than a word, so a set without gaps hardly grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    /// `None` where all numbers of the page are there.
    pages: Vec<Option<Box<Page>>>,
    count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    words: [u64; WORDS],
    count: u64,
}

impl Page {
    const EMPTY: Page = Page { words: [0; WORDS], count: 0 };
    const FULL: Page = Page { words: [u64::MAX; WORDS], count: PAGE };
}

impl Numbers {
    /// The empty set.
    pub fn new() -> Numbers {
        Numbers::default()
    }

    /// Adds `number`; tells whether it was not there before.
    ///
    /// # Panics
    /// When `number` is [`NUMBERS_MAX`] or more.
    pub fn insert(&mut self, number: u64) -> bool {
        assert!(number < NUMBERS_MAX, "request number {number}");
        let (at, word, bit) = place(number);
        if at >= self.pages.len() {
            self.pages.resize_with(at + 1, || Some(Box::new(Page::EMPTY)));
        }
        let Some(page) = &mut self.pages[at] else { return false };
        if page.words[word] & bit != 0 {
            return false;
        }
        page.words[word] |= bit;
        page.count += 1;
        if page.count == PAGE {
            self.pages[at] = None;
        }
        self.count += 1;
        true
    }

    /// Whether `number` is in the set.
    pub fn contains(&self, number: u64) -> bool {
        let (at, word, bit) = place(number);
        let has = |page: &Option<Box<Page>>| page.as_ref().is_none_or(|p| p.words[word] & bit != 0);
        self.pages.get(at).is_some_and(has)
    }

    /// How many numbers it holds.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its numbers, rising.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let words =
            |page: &'_ Option<Box<Page>>| page.as_ref().map_or(Page::FULL.words, |p| p.words);
        (0..).zip(self.pages.iter().flat_map(words)).flat_map(|(word, bits)| {
            let set = move |bit: &u64| bits >> bit & 1 == 1;
            (0..64).filter(set).map(move |bit| 64 * word + bit)
        })
    }
}

/// The page of `number`, the word in it, and the bit of the word.
fn place(number: u64) -> (usize, usize, u64) {
    // 64-bit targets alone: a number's page fits.
    ((number / PAGE) as usize, (number / 64) as usize % WORDS, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_new_once_and_comes_back_in_order() {
        let mut numbers = Numbers::new();
        for number in [700, 3, 64, 63, 3, 700] {
            numbers.insert(number);
        }
        assert!(!numbers.insert(63) && numbers.contains(64));
        assert!(!numbers.contains(65) && !numbers.contains(1 << 40));
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [3, 63, 64, 700]);
        assert_eq!(numbers.len(), 4);
    }

    #[test]
    fn a_page_that_is_full_is_given_up_and_still_holds_its_numbers() {
        let mut numbers = Numbers::new();
        // From the last to the first, without the last of the second page.
        (0..2 * PAGE - 1).rev().for_each(|number| assert!(numbers.insert(number)));
        assert!(numbers.pages[0].is_none() && numbers.pages[1].is_some());
        assert!(numbers.contains(0) && numbers.contains(PAGE - 1) && numbers.contains(PAGE));
        assert!(!numbers.insert(7), "it is there already");
        assert!(!numbers.contains(2 * PAGE - 1) && !numbers.contains(2 * PAGE));
        assert!(numbers.iter().eq(0..2 * PAGE - 1));
        assert_eq!(numbers.len(), 2 * PAGE - 1);
        assert!(numbers.insert(2 * PAGE - 1) && !numbers.insert(2 * PAGE - 1));
        assert!(numbers.pages.iter().all(Option::is_none));
    }
}
