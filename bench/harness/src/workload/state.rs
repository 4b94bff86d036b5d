//! The state machine that a workload runs on, as every replica begins with it.

use std::sync::Arc;

use bytes::Bytes;
use quorumark_application::kv::Limits;
use quorumark_application::{
    Application, KvStore, Ledger, NotKept, Permissions, RestoreError, Settling,
};
use quorumark_consensus::parts::StateRoot;
use quorumark_consensus::types::{ClientId, Seq};
use quorumark_primitives::Digest;

/// What replicas begin with.
///
/// Loading records is set-up, not work under test: each replica executes the same writes before it
/// starts, so that all begin with equal roots, as if they had restored one snapshot.
#[derive(Debug, Clone)]
pub enum State {
    /// A key-value store without keys, with room for so many.
    Empty(usize),
    /// A key-value store that executed these writes.
    Records(Arc<[Bytes]>),
    /// A ledger without blocks.
    Ledger,
}

/// The state machine of one replica.
#[derive(Debug)]
pub enum StateMachine {
    /// A key-value store.
    KeyValue(KvStore),
    /// A ledger.
    Ledger(Ledger),
}

/// Sequence numbers of the state machine that loading takes. Those of the cluster are shifted by as
/// many, because a state machine wants them to rise.
const LOADING_SEQS: u64 = 1;

impl State {
    /// A state machine with this state.
    pub fn build(&self) -> StateMachine {
        match self {
            State::Ledger => StateMachine::Ledger(Ledger::new(Permissions::default())),
            State::Empty(keys) => StateMachine::KeyValue(store(*keys)),
            State::Records(writes) => {
                let mut store = store(writes.len());
                let writes = writes.iter().map(|write| (ClientId(0), &write[..]));
                store.execute(Seq(LOADING_SEQS), &Bytes::new(), writes, &mut Vec::new());
                // Nothing goes back to before the load: what would undo it is not kept.
                store.retain(Seq(LOADING_SEQS), None);
                StateMachine::KeyValue(store)
            }
        }
    }
}

/// A store that so many keys fill: of a larger one, most of what a checkpoint costs would be inner
/// nodes above pages of which hardly any has a key.
fn store(keys: usize) -> KvStore {
    KvStore::new(Limits { keys_max: keys, ..Limits::default() }, Permissions::default())
}

impl Application for StateMachine {
    fn execute<'a>(
        &mut self,
        seq: Seq,
        frame: &Bytes,
        operations: impl Iterator<Item = (ClientId, &'a [u8])>,
        results: &mut Vec<Bytes>,
    ) {
        let seq = shifted(seq);
        match self {
            StateMachine::KeyValue(store) => store.execute(seq, frame, operations, results),
            StateMachine::Ledger(ledger) => ledger.execute(seq, frame, operations, results),
        }
    }

    fn query(&mut self, client: ClientId, operation: &[u8]) -> Option<Bytes> {
        match self {
            StateMachine::KeyValue(store) => store.query(client, operation),
            StateMachine::Ledger(ledger) => ledger.query(client, operation),
        }
    }

    fn root(&mut self) -> Digest {
        match self {
            StateMachine::KeyValue(store) => store.root(),
            StateMachine::Ledger(ledger) => ledger.root(),
        }
    }

    fn checkpoint(&mut self, seq: Seq) -> StateRoot {
        match self {
            StateMachine::KeyValue(store) => store.checkpoint(shifted(seq)),
            StateMachine::Ledger(ledger) => ledger.checkpoint(shifted(seq)),
        }
    }

    fn begin_checkpoint(&mut self, seq: Seq) -> Option<StateRoot> {
        match self {
            StateMachine::KeyValue(store) => store.begin_checkpoint(shifted(seq)),
            StateMachine::Ledger(ledger) => ledger.begin_checkpoint(shifted(seq)),
        }
    }

    fn settle(&mut self) -> Settling {
        let settling = match self {
            StateMachine::KeyValue(store) => store.settle(),
            StateMachine::Ledger(ledger) => ledger.settle(),
        };
        match settling {
            Settling::Done { seq, state } => Settling::Done { seq: unshifted(seq), state },
            other => other,
        }
    }

    fn part_digests(&mut self, at: Option<Seq>) -> Option<(u64, Vec<Digest>)> {
        match self {
            StateMachine::KeyValue(store) => store.part_digests(at.map(shifted)),
            StateMachine::Ledger(ledger) => ledger.part_digests(at.map(shifted)),
        }
    }

    fn part(&self, seq: Seq, nth: u32) -> Option<Bytes> {
        match self {
            StateMachine::KeyValue(store) => store.part(shifted(seq), nth),
            StateMachine::Ledger(ledger) => ledger.part(shifted(seq), nth),
        }
    }

    fn retain(&mut self, from: Seq, leased: Option<Seq>) {
        match self {
            StateMachine::KeyValue(store) => store.retain(shifted(from), leased.map(shifted)),
            StateMachine::Ledger(ledger) => ledger.retain(shifted(from), leased.map(shifted)),
        }
    }

    fn rollback_to(&mut self, seq: Seq) -> Result<(), NotKept> {
        let done = match self {
            StateMachine::KeyValue(store) => store.rollback_to(shifted(seq)),
            StateMachine::Ledger(ledger) => ledger.rollback_to(shifted(seq)),
        };
        done.map_err(|NotKept { .. }| NotKept { seq })
    }

    fn restore(
        &mut self,
        seq: Seq,
        state: StateRoot,
        parts: &[(u32, Bytes)],
    ) -> Result<(), RestoreError> {
        match self {
            StateMachine::KeyValue(store) => store.restore(shifted(seq), state, parts),
            StateMachine::Ledger(ledger) => ledger.restore(shifted(seq), state, parts),
        }
    }
}

/// The sequence number at the state machine, which was loaded before the run.
fn shifted(seq: Seq) -> Seq {
    seq.plus(LOADING_SEQS)
}

/// The cluster's sequence number of one of the state machine.
fn unshifted(seq: Seq) -> Seq {
    Seq(seq.0 - LOADING_SEQS)
}

#[cfg(test)]
mod tests {
    use quorumark_application::kv::Outcome;

    use super::*;
    use crate::workload::Workload;

    #[test]
    fn every_operation_of_a_loaded_workload_succeeds_and_replicas_stay_equal() {
        for name in ["ycsb-a", "ycsb-b", "ycsb-c", "ycsb-f", "fixed"] {
            let workload = Workload::named(name, 64, 5).unwrap();
            let mut replicas = [workload.state().build(), workload.state().build()];
            assert_eq!(replicas[0].root(), replicas[1].root());
            for replica in &mut replicas {
                let mut results = Vec::new();
                let requests = (0..2000).map(|i| (ClientId(1), &workload.operation(i)[..]));
                replica.execute(Seq(1), &Bytes::new(), requests, &mut results);
                let succeeds = |result: &Bytes| {
                    matches!(Outcome::parse(result), Ok(Outcome::Done | Outcome::Value(_)))
                };
                assert!(results.len() == 2000 && results.iter().all(succeeds), "{name}");
            }
            assert_eq!(replicas[0].root(), replicas[1].root());
        }
    }

    #[test]
    fn a_batch_of_transactions_becomes_a_block() {
        let workload = Workload::named("block413567", 64, 5).unwrap();
        let mut machine = workload.state().build();
        let requests = (0..1557).map(|i| (ClientId(1), &workload.operation(i)[..]));
        machine.execute(Seq(1), &Bytes::new(), requests, &mut Vec::new());
        let StateMachine::Ledger(ledger) = machine else { panic!("the block runs on the ledger") };
        assert_eq!((ledger.height(), ledger.transactions()), (1, 1557));
    }
}
