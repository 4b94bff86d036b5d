//! Histories of a store that is linearizable by construction: each operation has one moment between
//! its start and its answer at which it happens.

use quorumark_consensus::types::{ClientId, Instant};
use quorumark_sim::history::{Answer, Call, History, Key, Operation, OperationId, Outcome, Value};
use rand::{Rng, RngExt};

use crate::store::Store;

/// What is generated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Clients at work at any moment.
    pub(crate) clients: usize,
    pub(crate) operations: usize,
    pub(crate) keys: usize,
    /// Different values that are written: few make a value ambiguous.
    pub(crate) values: usize,
    /// The longest delay between start, effect, answer and next start, in nanoseconds.
    pub(crate) delay_max: u64,
    /// How many of 100 operations lose their answer; half of these never happen.
    pub(crate) unanswered: u32,
}

/// The keys and values of a shape, in a history of their own; one value more than is written.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) empty: History,
    pub(crate) keys: Vec<Key>,
    pub(crate) values: Vec<Value>,
}

impl Words {
    pub(crate) fn new(shape: Shape) -> Words {
        let mut empty = History::new();
        let keys = (0..shape.keys).map(|key| empty.key(&format!("k{key}")).unwrap()).collect();
        let values =
            (0..=shape.values).map(|value| empty.value(&format!("v{value}")).unwrap()).collect();
        Words { empty, keys, values }
    }

    /// The history of these calls.
    pub(crate) fn history(&self, calls: &[Call]) -> History {
        let mut history = self.empty.clone();
        calls.iter().for_each(|call| history.record(*call).unwrap());
        history
    }
}

/// The calls of a run. A client that lost an answer goes on under another number, as a process that
/// crashed does.
pub(crate) fn calls(shape: Shape, words: &Words, rng: &mut impl Rng) -> Vec<Call> {
    let mut free_at: Vec<(u64, u32)> = (0..shape.clients as u32).map(|name| (0, name)).collect();
    let mut next_name = shape.clients as u32;
    let mut planned = Vec::new();
    for id in 0..shape.operations {
        let (free, name) = free_at.iter_mut().min().unwrap();
        // A client starts only after its last answer, and never at the same moment.
        let invoked = *free + 1 + rng.random_range(0..=shape.delay_max);
        let happens = invoked + rng.random_range(0..=shape.delay_max);
        let answered = happens + rng.random_range(0..=shape.delay_max);
        *free = answered;
        let call = Call {
            client: ClientId(*name),
            id: OperationId(id as u64),
            invoked: Instant(invoked),
            key: words.keys[rng.random_range(0..shape.keys)],
            operation: operation(shape, words, rng),
            answer: None,
        };
        let is_lost = rng.random_range(0..100) < shape.unanswered;
        if is_lost {
            *name = next_name;
            next_name += 1;
        }
        planned.push((happens, call, (!is_lost).then_some(answered), rng.random::<bool>()));
    }
    planned.sort_by_key(|(happens, ..)| *happens);
    let mut store = Store::default();
    let done = planned.into_iter().map(|(_, call, answered, happens_unanswered)| {
        if answered.is_none() && !happens_unanswered {
            return call;
        }
        let outcome = store.apply(call.key, &call.operation);
        Call { answer: answered.map(|at| Answer { at: Instant(at), outcome }), ..call }
    });
    done.collect()
}

fn operation(shape: Shape, words: &Words, rng: &mut impl Rng) -> Operation {
    let mut written = || words.values[rng.random_range(0..shape.values)];
    let (value, expected) = (written(), written());
    match rng.random_range(0..100) {
        0..45 => Operation::Get,
        45..80 => Operation::Put(value),
        80..85 => Operation::CompareAndSwap { expected: None, value },
        _ => Operation::CompareAndSwap { expected: Some(expected), value },
    }
}

/// Falsifies an answer, or swaps the answers of two gets. What comes out may be right by chance.
pub(crate) fn break_by_hand(calls: &mut [Call], words: &Words, rng: &mut impl Rng) {
    let gets: Vec<usize> =
        (0..calls.len()).filter(|&at| calls[at].operation == Operation::Get).collect();
    if gets.len() >= 2 && rng.random_range(0..3) == 0 {
        let (one, other) =
            (gets[rng.random_range(0..gets.len())], gets[rng.random_range(0..gets.len())]);
        if let (Some(first), Some(second)) = (calls[one].answer, calls[other].answer) {
            calls[one].answer = Some(Answer { outcome: second.outcome, ..first });
            calls[other].answer = Some(Answer { outcome: first.outcome, ..second });
        }
        return;
    }
    let at = rng.random_range(0..calls.len());
    let Some(answer) = calls[at].answer else { return };
    let outcome = match (calls[at].operation, answer.outcome) {
        (Operation::Get, Outcome::Value(_)) if rng.random_range(0..4) == 0 => Outcome::Absent,
        (Operation::Get, _) => {
            Outcome::Value(words.values[rng.random_range(0..words.values.len())])
        }
        (Operation::CompareAndSwap { .. }, Outcome::Done) => Outcome::Mismatch,
        (Operation::CompareAndSwap { .. }, _) => Outcome::Done,
        (Operation::Put(_), outcome) => outcome,
    };
    calls[at].answer = Some(Answer { outcome, ..answer });
}
