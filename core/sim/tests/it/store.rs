//! The store that every history is held against: all keys together, one operation at a time.

use std::collections::BTreeMap;

use quorumark_sim::history::{Call, Key, Operation, Outcome, Value};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

/// What each key holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store(pub(crate) BTreeMap<Key, Value>);

impl Store {
    /// Does one operation.
    pub(crate) fn apply(&mut self, key: Key, operation: &Operation) -> Outcome {
        let held = self.0.get(&key).copied();
        match *operation {
            Operation::Get => held.map_or(Outcome::Absent, Outcome::Value),
            Operation::Put(value) => {
                self.0.insert(key, value);
                Outcome::Done
            }
            Operation::CompareAndSwap { expected, value } if held == expected => {
                self.0.insert(key, value);
                Outcome::Done
            }
            Operation::CompareAndSwap { .. } => Outcome::Mismatch,
        }
    }
}

impl SequentialSpec for Store {
    type Op = (Key, Operation);
    type Ret = Outcome;

    fn invoke(&mut self, (key, operation): &Self::Op) -> Outcome {
        self.apply(*key, operation)
    }
}

/// What stateright says of these calls on a store that begins as `initial`. It tries the
/// interleavings of whole clients, without a memory, and never looks at keys apart.
pub(crate) fn stateright_says_linearizable(calls: &[Call], initial: Store) -> bool {
    let mut events = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        events.push((call.invoked, false, at));
        events.extend(call.answer.map(|answer| (answer.at, true, at)));
    }
    events.sort_unstable();
    let mut tester = LinearizabilityTester::new(initial);
    for (_, is_answer, at) in events {
        let Call { client, key, operation, answer, .. } = calls[at];
        let fed = match answer.filter(|_| is_answer) {
            Some(answer) => tester.on_return(client, answer.outcome),
            None => tester.on_invoke(client, (key, operation)),
        };
        fed.expect("each client does one thing at a time");
    }
    tester.is_consistent()
}
