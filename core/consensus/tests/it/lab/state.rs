//! What a lab's replicas have come to.

use quorumark_consensus::{Seq, StateRoot};

use super::Lab;

impl Lab {
    /// The root of a replica's state.
    pub(crate) fn root(&self, replica: usize) -> StateRoot {
        self.members[replica].state.root()
    }

    /// Whether a replica's state machine keeps a checkpoint.
    pub(crate) fn keeps(&self, replica: usize, seq: Seq) -> bool {
        self.members[replica].state.keeps(seq)
    }

    /// Bytes of a replica's state, as parts.
    pub(crate) fn state_size(&self, replica: usize) -> u64 {
        self.members[replica].state.size()
    }

    /// Requests run at a replica.
    pub(crate) fn ran(&self, replica: usize) -> usize {
        self.members[replica].ledger.values().map(|(_, ids)| ids.len()).sum()
    }
}
