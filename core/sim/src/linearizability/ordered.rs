//! Which acts have been ordered, in few words.

/// A set of ranks that is nearly an interval.
///
/// An act can be ordered only before the first end of those that are not, so all below a *front*
/// are in the set, and above it only acts that were under way together, or may be left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Ordered {
    /// The lowest rank that is not in the set.
    front: usize,
    /// The ranks above the front that are in it, ascending.
    ahead: Vec<u32>,
}

impl Ordered {
    /// The lowest rank that is not in the set.
    pub(super) fn front(&self) -> usize {
        self.front
    }

    /// The ranks above the front, ascending: with the front they are the whole set.
    pub(super) fn ahead(&self) -> &[u32] {
        &self.ahead
    }

    /// Puts a rank into the set. Returns the front as it was, which [`Ordered::remove`] wants.
    pub(super) fn insert(&mut self, rank: usize) -> usize {
        let before = self.front;
        assert!(rank >= before, "what is below the front is in the set");
        let rank = short(rank);
        let place = self.ahead.partition_point(|&other| other < rank);
        assert!(self.ahead.get(place) != Some(&rank), "an act is ordered once");
        self.ahead.insert(place, rank);
        let joined = (before..).zip(&self.ahead).take_while(|(next, rank)| short(*next) == **rank);
        let joined = joined.count();
        self.ahead.drain(..joined);
        self.front += joined;
        before
    }

    /// Takes out the rank that was put in last, when the front was `before`.
    pub(super) fn remove(&mut self, rank: usize, before: usize) {
        let joined = (before..self.front).map(short);
        self.ahead.splice(..0, joined);
        self.front = before;
        let place = self.ahead.binary_search(&short(rank));
        self.ahead.remove(place.expect("only what was put in is taken out"));
    }
}

fn short(rank: usize) -> u32 {
    u32::try_from(rank).expect("a history's bound is below the 32-bit integers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_come_out_in_the_reverse_order_and_leave_the_set_as_it_was() {
        let mut set = Ordered::default();
        let mut undo = Vec::new();
        for (rank, front, ahead) in
            [(2, 0, vec![2]), (9, 0, vec![2, 9]), (0, 1, vec![2, 9]), (1, 3, vec![9])]
        {
            undo.push((rank, set.clone()));
            let before = set.insert(rank);
            assert_eq!((set.front(), set.ahead()), (front, ahead.as_slice()));
            assert_eq!(before, undo.last().unwrap().1.front());
        }
        for (rank, old) in undo.into_iter().rev() {
            set.remove(rank, old.front());
            assert_eq!((set.front(), set.ahead()), (old.front(), old.ahead()));
        }
    }
}
