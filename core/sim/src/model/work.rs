//! What a turn of a replica is made of, counted as the model and the calibration both count it.

use quorumark_application::kv::{KEYS_MAX, Limits};

use super::costs::{Costs, Item};

/// The parts of a turn whose costs are found together, from whole turns.
pub const PARTS: [Item; 12] = [
    Item::Turn,
    Item::Request,
    Item::Proposal,
    Item::ProposalHeard,
    Item::RequestHeard,
    Item::VoteHeard,
    Item::Copy,
    Item::Batch,
    Item::Execution,
    Item::Checkpoint,
    Item::CheckpointPage,
    Item::Signature,
];

/// How often a turn has each of [`PARTS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    counts: [u64; PARTS.len()],
}

impl Work {
    /// Adds `count` of a part.
    ///
    /// # Panics
    /// When it is none of [`PARTS`].
    #[inline]
    pub fn add(&mut self, part: Item, count: u64) {
        let place = PARTS.iter().position(|one| *one == part);
        self.counts[place.expect("a part of a turn")] += count;
    }

    /// How often each part occurs, in the order of [`PARTS`].
    pub fn counts(&self) -> &[u64; PARTS.len()] {
        &self.counts
    }

    /// Nanoseconds of all of it, verification aside.
    pub fn ns(&self, costs: &Costs) -> f64 {
        let parts = PARTS.iter().zip(&self.counts);
        parts.map(|(part, count)| *count as f64 * costs.ns(*part)).sum()
    }
}

/// Pages that are written between two checkpoints by so many requests to `keys` keys in turn, each key
/// on a page drawn for it, of a store that the keys fill: what the state's root costs grows with
/// them, and not with the requests.
pub fn pages_written(requests: u64, keys: u64) -> u64 {
    let keys_max = usize::try_from(keys).unwrap_or(usize::MAX).min(KEYS_MAX);
    let pages = Limits { keys_max, ..Limits::default() }.pages() as f64;
    (pages * (1.0 - (-(requests.min(keys) as f64) / pages).exp())).round() as u64
}
