//! Sets of request numbers.

/// The largest number that a set holds, plus one; a set of them all takes 128 MiB.
pub const NUMBERS_MAX: u64 = 1 << 30;

/// A set of request numbers, one bit each. Grows up to the largest number inserted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    words: Vec<u64>,
    count: u64,
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
        let (word, bit) = place(number);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let fresh = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(fresh);
        fresh
    }

    /// Whether `number` is in the set.
    pub fn contains(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.words.get(word).is_some_and(|found| found & bit != 0)
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
        (0..).zip(&self.words).flat_map(|(word, bits)| {
            let set = move |bit: &u64| bits >> bit & 1 == 1;
            (0..64).filter(set).map(move |bit| 64 * word + bit)
        })
    }
}

fn place(number: u64) -> (usize, u64) {
    // 64-bit targets alone: a number below 2^64 / 64 fits.
    ((number / 64) as usize, 1 << (number % 64))
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
}
