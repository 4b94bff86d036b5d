//! Quorum arithmetic, all of it.

use thiserror::Error;

use crate::types::{ReplicaId, View};

/// The largest committee; certificates and vote tables are bounded by it.
pub const REPLICAS_MAX: u16 = 256;

/// A committee size that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a committee of {replicas} replicas: choose 1 to {REPLICAS_MAX}; 4 is the least that tolerates a fault"
)]
pub struct CommitteeSize {
    /// The size asked for.
    pub replicas: usize,
}

/// `n` replicas, of which up to `f = floor((n - 1) / 3)` may be Byzantine.
///
/// "2f + 1" of the papers is [`Committee::quorum`] (`n - f`): at n = 5 or 6 the literal 2f + 1
/// would let two quorums meet in faulty replicas alone. "f + 1" is [`Committee::weak_quorum`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committee {
    n: u16,
}

impl Committee {
    /// A committee of `replicas`.
    ///
    /// # Errors
    /// [`CommitteeSize`] outside 1 to [`REPLICAS_MAX`].
    pub fn new(replicas: usize) -> Result<Committee, CommitteeSize> {
        match u16::try_from(replicas) {
            Ok(n) if (1..=REPLICAS_MAX).contains(&n) => Ok(Committee { n }),
            _ => Err(CommitteeSize { replicas }),
        }
    }

    /// Replicas in all.
    pub fn n(self) -> usize {
        usize::from(self.n)
    }

    /// Byzantine replicas tolerated.
    pub fn f(self) -> usize {
        (self.n() - 1) / 3
    }

    /// The least number of replicas any two sets of which share an honest one.
    pub fn quorum(self) -> usize {
        self.n() - self.f()
    }

    /// The least number of replicas that holds an honest one.
    pub fn weak_quorum(self) -> usize {
        self.f() + 1
    }

    /// The primary of a view: `v mod n` (PBFT 4.1).
    pub fn primary(self, view: View) -> ReplicaId {
        let n = u64::from(self.n);
        // It is asked for at every message: a division only where there is something to divide. The
        // remainder is below n, and n fits a u16.
        ReplicaId(if view.0 < n { view.0 } else { view.0 % n } as u16)
    }

    /// Whether `replica` is a member.
    pub fn contains(self, replica: ReplicaId) -> bool {
        replica.0 < self.n
    }

    /// Every member, in order.
    pub fn members(self) -> impl Iterator<Item = ReplicaId> + Clone {
        (0..self.n).map(ReplicaId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_quorums_share_an_honest_replica_and_one_quorum_can_be_reached_without_f() {
        for n in 1..=usize::from(REPLICAS_MAX) {
            let committee = Committee::new(n).unwrap();
            let (f, quorum) = (committee.f(), committee.quorum());
            assert!(
                2 * quorum - n > f,
                "n = {n}: two quorums meet in {} of f = {f}",
                2 * quorum - n
            );
            assert!(quorum <= n - f, "n = {n}: silent replicas block the quorum");
            assert!(committee.weak_quorum() > f && committee.weak_quorum() <= quorum);
        }
    }

    #[test]
    fn the_literal_two_f_plus_one_would_break_agreement_at_5_and_6() {
        for n in [5, 6] {
            let committee = Committee::new(n).unwrap();
            let literal = 2 * committee.f() + 1;
            assert!(2 * literal - n <= committee.f());
            assert!(committee.quorum() > literal);
        }
    }

    #[test]
    fn the_primary_of_a_view_is_the_view_modulo_n() {
        let committee = Committee::new(7).unwrap();
        assert_eq!(committee.primary(View(0)), ReplicaId(0));
        assert_eq!(committee.primary(View(15)), ReplicaId(1));
    }

    #[test]
    fn an_empty_and_an_oversized_committee_are_refused() {
        assert!(Committee::new(0).is_err());
        assert!(Committee::new(257).unwrap_err().to_string().contains("257"));
    }
}
