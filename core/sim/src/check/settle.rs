//! From executions, some of them tentative, to those that stand.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use quorumark_consensus::types::ReplicaId;

use super::kinds::Kinds;
use super::run::Run;
use crate::trace::{Executed, Fact, FactKind};

/// Tentative executions of one replica that may wait for their commit; above it the first are
/// forgotten.
const TENTATIVE_MAX: usize = 4096;

/// The tentative executions of each replica.
#[derive(Debug, Default)]
pub(super) struct Settle {
    waiting: Vec<VecDeque<Arc<Executed>>>,
}

impl Settle {
    /// The facts that it has to see.
    pub(super) const KINDS: Kinds = Kinds::of(&[
        FactKind::Executed,
        FactKind::Committed,
        FactKind::RolledBack,
        FactKind::Restarted,
        FactKind::TransferFinished,
    ]);

    /// The execution at an honest replica that stands from this fact on: one that was not
    /// tentative, or a tentative one whose batch is now committed.
    pub(super) fn settled<'a>(
        &mut self,
        run: &Run,
        fact: &'a Fact,
    ) -> Option<Cow<'a, Arc<Executed>>> {
        match fact {
            Fact::Executed(it) if !run.is_honest(it.replica) => None,
            Fact::Executed(it) if !it.tentative => Some(Cow::Borrowed(it)),
            Fact::Executed(it) => {
                let waiting = self.of(it.replica);
                waiting.push_back(Arc::clone(it));
                if waiting.len() > TENTATIVE_MAX {
                    waiting.pop_front();
                }
                None
            }
            Fact::Committed(it) => {
                let waiting = self.waiting.get_mut(usize::from(it.replica.0))?;
                while waiting.front().is_some_and(|first| first.seq < it.seq) {
                    waiting.pop_front();
                }
                let stands = waiting.front().is_some_and(|first| first.seq == it.seq);
                stands.then(|| waiting.pop_front()).flatten().map(Cow::Owned)
            }
            Fact::RolledBack(it) => {
                self.of(it.replica).retain(|execution| execution.seq <= it.to);
                None
            }
            Fact::Restarted(it) => {
                self.of(it.replica).clear();
                None
            }
            Fact::TransferFinished(it) => {
                self.of(it.replica).clear();
                None
            }
            _ => None,
        }
    }

    fn of(&mut self, replica: ReplicaId) -> &mut VecDeque<Arc<Executed>> {
        let at = usize::from(replica.0);
        if self.waiting.len() <= at {
            self.waiting.resize_with(at + 1, VecDeque::new);
        }
        self.waiting.get_mut(at).expect("the place was made above")
    }
}
