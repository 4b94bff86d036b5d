//! What equivocators agree on, so that several tell each half of the replicas the same story.

use std::collections::{BTreeMap, BTreeSet};

use quorumark_consensus::types::{Seq, View};
use quorumark_primitives::Digest;

use crate::scenario::Scenario;

/// The most proposals with a rival that are remembered.
const RIVALS_MAX: usize = 4096;

/// Who lies, who is told what, and which proposals have a rival.
#[derive(Debug)]
pub(crate) struct Plot {
    faulty: BTreeSet<u16>,
    /// The honest replicas that get the rival.
    second_half: BTreeSet<u16>,
    rivals: BTreeMap<(View, Seq), (Digest, Digest)>,
}

impl Plot {
    pub(crate) fn new(scenario: &Scenario) -> Plot {
        let faulty = scenario.faulty();
        let honest: Vec<u16> = (0..scenario.replicas).filter(|id| !faulty.contains(id)).collect();
        let second_half = honest.iter().skip(honest.len().div_ceil(2)).copied().collect();
        Plot { faulty, second_half, rivals: BTreeMap::new() }
    }

    /// Whether a replica counts as faulty.
    pub(crate) fn is_faulty(&self, replica: u16) -> bool {
        self.faulty.contains(&replica)
    }

    /// Whether a replica is told the other story.
    pub(super) fn is_told_the_rival(&self, replica: u16) -> bool {
        self.second_half.contains(&replica)
    }

    /// Notes that a proposal has a rival.
    pub(super) fn oppose(&mut self, view: View, seq: Seq, digest: Digest, rival: Digest) {
        debug_assert_ne!(digest, rival, "a rival is another proposal");
        if self.rivals.len() >= RIVALS_MAX {
            self.rivals.pop_first();
        }
        self.rivals.insert((view, seq), (digest, rival));
    }

    /// The rival of a proposal.
    pub(super) fn rival(&self, view: View, seq: Seq, digest: Digest) -> Option<Digest> {
        let (proposed, rival) = self.rivals.get(&(view, seq))?;
        (*proposed == digest).then_some(*rival)
    }
}
