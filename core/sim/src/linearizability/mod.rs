//! Whether one store, doing one thing at a time, could have answered as the clients were answered.
//!
//! A history is linearizable if each operation can be given one moment between its start and its
//! answer such that, taken in the order of these moments, all answers are right (Herlihy & Wing,
//! "Linearizability: a correctness condition for concurrent objects", TOPLAS 1990).
//!
//! - It is so exactly if it is so for each key alone (the paper's section 3.1, locality), so each
//!   key is searched by itself, those with few operations first.
//! - The search is that of Wing & Gong, "Testing and verifying concurrent objects", JPDC 1993:
//!   depth first over what can come next, on a linked list of starts and answers. From Lowe,
//!   "Testing for linearizability", CCPE 2017, it has the memory of the pairs (operations ordered,
//!   value) that lead nowhere. What only reads the value that is there is ordered at once, without
//!   alternative: wherever else it stood it could stand here too.
//! - An operation without answer may have taken effect at any moment after its start, or never. It
//!   is tried last, and only where another operation waits for what it writes.
//! - Of two operations where one's answer and the other's start bear the same time, neither is
//!   before the other: such a pair never decides a verdict by the clock's resolution.
//!
//! - Whoever knows an order that might do, such as that in which replicas say they executed, can give
//!   it: if every answer is right in it, it is the proof, and nothing is searched.
//!
//! The search can take exponential time, so it has a [`Budget`]; when that is spent, the verdict is
//! [`Verdict::Unknown`], which is no pass.

mod events;
mod evidence;
mod ordered;
mod register;
mod search;
mod witness;
mod words;

use crate::history::{Call, History, Key};
use register::{Register, State};
use search::{Ending, Steps};

pub use evidence::{Reason, Violation};
pub use witness::Believed;

/// What a check may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How often the search may look at an operation, over all keys. The search for a short piece
    /// of evidence has as many again.
    pub steps_max: u64,
    /// How many bytes each key's search may remember, about. When they are full nothing more is
    /// remembered: the verdict stays right, and needs more steps.
    pub memory_bytes_max: usize,
}

impl Default for Budget {
    /// Some seconds on a present machine, and a quarter of a gibibyte.
    fn default() -> Budget {
        Budget { steps_max: 50_000_000, memory_bytes_max: 256 << 20 }
    }
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The verdict over all keys.
    pub verdict: Verdict,
    /// Operations in the history.
    pub operations: usize,
    /// Operations that were never answered, of these.
    pub unanswered: usize,
    /// Keys in the history.
    pub keys: usize,
    /// Steps that the search took.
    pub steps: u64,
}

/// Whether the history is linearizable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Linearizable,
    /// It is not, and this shows it.
    Violated(Box<Violation>),
    /// Nobody knows.
    Unknown(Doubt),
}

/// Why a verdict is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// No operation has an answer that could be wrong.
    NothingChecked,
    /// The steps were spent before these keys were decided; the others are linearizable.
    BudgetSpent {
        /// How many keys are undecided.
        keys_undecided: usize,
    },
}

/// Checks a history: equal histories and budgets give equal reports.
pub fn check(history: &History, budget: Budget) -> Report {
    check_believing(history, &Believed::new(), budget)
}

/// As [`check`], and spares the search where the believed order is itself the proof. No verdict but
/// [`Verdict::Unknown`] depends on what is believed.
pub fn check_believing(history: &History, believed: &Believed, budget: Budget) -> Report {
    let calls = history.calls();
    let by_key = by_key(calls);
    let mut steps = Steps::new(budget);
    let report = |verdict, steps: &Steps| Report {
        verdict,
        operations: calls.len(),
        unanswered: calls.iter().filter(|call| call.answer.is_none()).count(),
        keys: by_key.len(),
        steps: steps.taken(),
    };
    if calls.iter().all(|call| call.answer.is_none()) {
        return report(Verdict::Unknown(Doubt::NothingChecked), &steps);
    }
    let mut keys_undecided = 0;
    for (key, of_key) in &by_key {
        if witness::shows(of_key, believed) {
            continue;
        }
        let violation = match unwritten(of_key) {
            Some(reader) => Some(Violation::unwritten(*key, reader)),
            None => {
                let register = Register::of_calls(of_key);
                match search::search(&register, State::INITIAL, &mut steps) {
                    Ending::Ordered => None,
                    Ending::Stuck { at } => Some(evidence::find(*key, &register, at, budget)),
                    Ending::Spent => {
                        keys_undecided += 1;
                        None
                    }
                }
            }
        };
        if let Some(violation) = violation {
            return report(Verdict::Violated(Box::new(violation)), &steps);
        }
    }
    let verdict = match keys_undecided {
        0 => Verdict::Linearizable,
        keys_undecided => Verdict::Unknown(Doubt::BudgetSpent { keys_undecided }),
    };
    report(verdict, &steps)
}

/// The calls of each key, keys with few calls first: easy ones are decided before the budget goes.
fn by_key(calls: &[Call]) -> Vec<(Key, Vec<Call>)> {
    let mut sorted = calls.to_vec();
    sorted.sort_by_key(|call| (call.key, call.invoked, call.client, call.id));
    let groups = sorted.chunk_by(|a, b| a.key == b.key);
    let mut groups: Vec<(Key, Vec<Call>)> =
        groups.filter_map(|group| Some((group.first()?.key, group.to_vec()))).collect();
    groups.sort_by_key(|(key, calls)| (calls.len(), *key));
    assert_eq!(groups.iter().map(|(_, calls)| calls.len()).sum::<usize>(), calls.len());
    groups
}

/// A call whose answer is a value that nobody had begun to write. The search would find it too, but
/// only after every order of everything before it.
fn unwritten(calls: &[Call]) -> Option<Call> {
    use std::collections::BTreeMap;

    let mut first_write = BTreeMap::new();
    for call in calls {
        if let Some(value) = register::written(&call.operation) {
            let first = first_write.entry(value).or_insert(call.invoked);
            *first = call.invoked.min(*first);
        }
    }
    let contradicted = calls.iter().filter(|call| {
        let Some(answer) = call.answer else { return false };
        let Some(needed) = register::needed(&call.operation, &answer.outcome) else { return false };
        first_write.get(&needed).is_none_or(|&written| written > answer.at)
    });
    contradicted.min_by_key(|call| (call.answer.map(|answer| answer.at), call.invoked)).copied()
}
