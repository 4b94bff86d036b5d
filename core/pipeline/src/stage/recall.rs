//! Proposals that were verified before: a repeat needs no second verdict.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorumark_primitives::signed::Verified;

use crate::protocol::Protocol;

/// How many proposals are remembered: as many as one answer of a peer can repeat. A replica that lacks
/// more than that verifies again what was forgotten. Each keeps its frame and its requests in memory.
pub(super) const REMEMBERED: usize = quorumark_consensus::pbft::STATUS_SLOTS_MAX;

/// The last proposals that one replica's verifying threads let pass.
///
/// A proposal is sent again to a replica that asks for it, and often the first copy waits in a queue
/// of that very replica. A copy that equals a verified one in every byte, proofs included, has the
/// same verdict, for a verdict depends on bytes and keys alone; so a clone of the verified one takes
/// its place. It is not dropped: whether it is still of use depends on the engine's view and window,
/// which the first copy may have met too early.
///
/// Bound: [`REMEMBERED`] proposals, the oldest makes room. They share their frames with those in the
/// engine's log. What is forgotten, or verified by two threads at the same time, is verified again.
#[derive(Debug)]
pub(crate) struct Recall<M> {
    last: Arc<Mutex<VecDeque<Verified<M>>>>,
}

impl<M> Clone for Recall<M> {
    /// Another handle to the same memory, for another thread of the same replica.
    fn clone(&self) -> Recall<M> {
        Recall { last: Arc::clone(&self.last) }
    }
}

impl<M: Protocol> Recall<M> {
    /// Remembers nothing yet.
    pub(crate) fn new() -> Recall<M> {
        Recall { last: Arc::new(Mutex::new(VecDeque::with_capacity(REMEMBERED))) }
    }

    /// Takes out of a batch what repeats an earlier part of it, or what is remembered.
    pub(crate) fn take_repeats(&self, batch: &mut Vec<M>) -> Vec<M> {
        let mut repeats = Vec::new();
        let mut at = 0;
        while let Some(message) = batch.get(at) {
            let repeated = is_proposal(message)
                && (batch[..at].contains(message) || self.find(message).is_some());
            if repeated { repeats.push(batch.remove(at)) } else { at += 1 }
        }
        repeats
    }

    /// The verified value that equals `message`, if it is remembered.
    pub(crate) fn find(&self, message: &M) -> Option<Verified<M>> {
        self.lock().iter().rev().find(|known| known.get() == message).cloned()
    }

    /// Remembers a value, if it is a proposal.
    pub(crate) fn remember(&self, verified: &Verified<M>) {
        if is_proposal(verified.get()) {
            let mut last = self.lock();
            if last.len() == REMEMBERED {
                last.pop_front();
            }
            last.push_back(verified.clone());
            assert!(last.len() <= REMEMBERED, "{} proposals are remembered", last.len());
        }
    }

    /// A thread that died while it held the lock left whole values behind.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Verified<M>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a replica says it and clients' proofs are in it: one value that costs many verifications.
fn is_proposal<M: Protocol>(message: &M) -> bool {
    message.sender().is_some() && message.client_proofs() > 0
}
