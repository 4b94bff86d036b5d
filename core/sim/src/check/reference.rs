//! What the first honest replica had at each number, for the others to be held against.

use core::num::NonZeroU64;

use quorumark_primitives::Digest;

use super::finding::Exhibit;
use super::ring::Ring;

/// Numbers whose digests are compared, up to the highest one: half a MiB when full.
pub const DIGESTS_KEPT: usize = 1 << 16;
/// Numbers whose facts are kept as evidence, up to the highest one.
pub const FACTS_KEPT: usize = 512;

/// By number: the digest that came first, and the fact that told it.
#[derive(Debug)]
pub(super) struct Reference {
    /// Eight bytes of each digest: two that differ by chance agree in them once in 2^64.
    digests: Ring<NonZeroU64>,
    facts: Ring<Exhibit>,
}

/// How something compares with what came first at its number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// It is the first.
    First,
    /// It is the same.
    Equal,
    /// It is not the same as this, which is no more kept when it is long ago.
    Differs(Option<Box<Exhibit>>),
    /// The number is too low to be remembered.
    Forgotten,
}

impl Default for Reference {
    fn default() -> Reference {
        Reference { digests: Ring::new(DIGESTS_KEPT), facts: Ring::new(FACTS_KEPT) }
    }
}

impl Reference {
    /// Compares `digest` with what came first at `number`.
    pub(super) fn compare(
        &mut self,
        number: u64,
        digest: &Digest,
        exhibit: impl FnOnce() -> Exhibit,
    ) -> Comparison {
        let short = short(digest);
        match self.digests.place(number) {
            None => Comparison::Forgotten,
            Some(Some(first)) if *first == short => Comparison::Equal,
            Some(Some(_)) => {
                Comparison::Differs(self.facts.get(number).map(|fact| Box::new(fact.clone())))
            }
            Some(empty) => {
                *empty = Some(short);
                if let Some(place) = self.facts.place(number) {
                    *place = Some(exhibit());
                }
                Comparison::First
            }
        }
    }

    /// Whether something is known of this number.
    pub(super) fn knows(&self, number: u64) -> bool {
        self.digests.get(number).is_some()
    }
}

fn short(digest: &Digest) -> NonZeroU64 {
    let bytes = digest.0.first_chunk().copied().unwrap_or_default();
    NonZeroU64::new(u64::from_le_bytes(bytes)).unwrap_or(NonZeroU64::MIN)
}
