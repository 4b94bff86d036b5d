//! Request numbers in the order in which a batch has them.

/// A number that stands for a request that the plan does not have.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// Consecutive numbers, as most batches hold them: clients number their requests in turn, and a
/// primary takes them as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    first: u32,
    len: u32,
}

/// Numbers in an order, as runs, each as long as it can be: so equal orders are equal runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds `number` behind the others.
    #[inline]
    pub(super) fn push(&mut self, number: u32) {
        match self.0.last_mut() {
            Some(run) if run.first.checked_add(run.len) == Some(number) && number != UNKNOWN => {
                run.len += 1;
            }
            _ => self.0.push(Run { first: number, len: 1 }),
        }
    }

    pub(super) fn as_slice(&self) -> &[Run] {
        &self.0
    }
}

/// The numbers of `runs`, in their order.
pub(super) fn numbers(runs: &[Run]) -> impl Iterator<Item = u32> {
    runs.iter().flat_map(|run| (0..run.len).map(|nth| run.first + nth))
}

/// How many numbers `runs` have.
pub(super) fn count(runs: &[Run]) -> usize {
    runs.iter().map(|run| run.len as usize).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_comes_back_and_has_one_form() {
        let last = UNKNOWN - 1;
        let orders: [(&[u32], usize); 6] = [
            (&[], 0),
            (&[4, 5, 6, 7], 1),
            (&[4, 5, 7, 8, 6], 3),
            (&[3, 2, 1], 3),
            (&[7, 7], 2),
            (&[last, UNKNOWN, UNKNOWN, 0], 4),
        ];
        for (order, expected) in orders {
            let mut runs = Runs::default();
            order.iter().for_each(|number| runs.push(*number));
            assert_eq!(runs.as_slice().len(), expected, "{order:?}");
            assert!(numbers(runs.as_slice()).eq(order.iter().copied()), "{order:?}");
            assert_eq!(count(runs.as_slice()), order.len());
        }
    }
}
