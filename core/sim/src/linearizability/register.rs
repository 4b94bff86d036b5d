//! One key as the search sees it: the effects of its calls, and when each began and ended.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::history::{Call, Operation, Outcome, Value};

/// What the key holds at a moment of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Not known: what came before the moment is left out. It agrees with everything.
    Any,
    /// This, or nothing.
    Holds(Option<Value>),
}

impl State {
    /// What a key holds when nobody has written.
    pub(super) const INITIAL: State = State::Holds(None);

    /// Whether the key may hold `value`.
    fn may_hold(self, value: Option<Value>) -> bool {
        self == State::Any || self == State::Holds(value)
    }
}

/// What a call does to the key, by its operation and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// The key holds this.
    Reads(Option<Value>),
    /// The key does not hold this: a compare-and-swap that failed.
    Differs(Option<Value>),
    /// The key holds this from now on.
    Writes(Value),
    /// The key held the one and holds the other from now on.
    Swaps(Option<Value>, Value),
}

/// What an act waits for in the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// That the key holds this.
    Value(Value),
    /// That the key holds something else than it does.
    Other,
}

/// A call with an effect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act {
    pub(super) call: Call,
    effect: Effect,
    /// Whether it must have a place in every order; otherwise it may have none, and no end.
    must: bool,
}

impl Act {
    /// What a call does; `None` if it cannot matter: nobody knows what a get without an answer saw.
    pub(super) fn of(call: &Call) -> Option<Act> {
        let effect = match (call.operation, call.answer.map(|answer| answer.outcome)) {
            (Operation::Get, None) => return None,
            (Operation::Get, Some(Outcome::Value(value))) => Effect::Reads(Some(value)),
            (Operation::Get, Some(_)) => Effect::Reads(None),
            (Operation::Put(value), _) => Effect::Writes(value),
            (Operation::CompareAndSwap { expected, .. }, Some(Outcome::Mismatch)) => {
                Effect::Differs(expected)
            }
            (Operation::CompareAndSwap { expected, value }, _) => Effect::Swaps(expected, value),
        };
        let act = Act { call: *call, effect, must: call.answer.is_some() };
        (act.must || !act.only_reads()).then_some(act)
    }

    /// The same, but its answer is forgotten: less is demanded than before. `None` if nothing is.
    pub(super) fn relaxed(&self) -> Option<Act> {
        (!self.only_reads()).then_some(Act { must: false, ..*self })
    }

    /// Whether it must have a place in every order.
    pub(super) fn must(&self) -> bool {
        self.must
    }

    /// Whether it leaves every state that it agrees with as it is.
    pub(super) fn only_reads(&self) -> bool {
        match self.effect {
            Effect::Reads(_) | Effect::Differs(_) => true,
            Effect::Swaps(expected, value) => expected == Some(value),
            Effect::Writes(_) => false,
        }
    }

    /// The value that the key holds after it, if it writes one.
    pub(super) fn written(&self) -> Option<Value> {
        match self.effect {
            Effect::Reads(_) | Effect::Differs(_) => None,
            Effect::Writes(value) | Effect::Swaps(_, value) => Some(value),
        }
    }

    /// What another act could write so that this one can happen next.
    pub(super) fn wants(&self, state: State) -> Option<Want> {
        match self.effect {
            Effect::Reads(value) | Effect::Swaps(value, _) => value.map(Want::Value),
            Effect::Differs(value) if state == State::Holds(value) => Some(Want::Other),
            Effect::Differs(_) | Effect::Writes(_) => None,
        }
    }

    /// The state after it; `None` if it cannot happen in this one.
    pub(super) fn apply(&self, state: State) -> Option<State> {
        match self.effect {
            Effect::Reads(value) => state.may_hold(value).then_some(State::Holds(value)),
            Effect::Differs(value) => (state != State::Holds(value)).then_some(state),
            Effect::Writes(value) => Some(State::Holds(Some(value))),
            Effect::Swaps(expected, value) => {
                state.may_hold(expected).then_some(State::Holds(Some(value)))
            }
        }
    }
}

/// The value that an operation writes, if it takes effect.
pub(super) fn written(operation: &Operation) -> Option<Value> {
    match operation {
        Operation::Get => None,
        Operation::Put(value) | Operation::CompareAndSwap { value, .. } => Some(*value),
    }
}

/// The value that an answered operation found in the key, as far as its answer tells.
pub(super) fn needed(operation: &Operation, outcome: &Outcome) -> Option<Value> {
    match (operation, outcome) {
        (Operation::Get, Outcome::Value(value)) => Some(*value),
        (Operation::CompareAndSwap { expected, .. }, Outcome::Done) => *expected,
        _ => None,
    }
}

/// The acts of one key: first those that must be ordered, by their end, then the others. An act's
/// place in this list is its rank.
#[derive(Debug, Clone)]
pub(super) struct Register {
    acts: Vec<Act>,
    must_count: usize,
}

impl Register {
    /// The acts of these calls, all of one key.
    pub(super) fn of_calls(calls: &[Call]) -> Register {
        Register::new(calls.iter().filter_map(Act::of).collect())
    }

    /// These acts, without those that cannot matter.
    pub(super) fn new(acts: Vec<Act>) -> Register {
        let mut acts = without_idle(acts);
        acts.sort_by_key(|act| {
            let end = act.call.answer.filter(|_| act.must).map(|answer| answer.at);
            (Reverse(act.must), end, act.call.invoked, act.call.client, act.call.id)
        });
        let must_count = acts.iter().take_while(|act| act.must).count();
        assert!(acts.iter().skip(must_count).all(|act| !act.must), "what must be, comes first");
        Register { acts, must_count }
    }

    /// All acts, by rank.
    pub(super) fn acts(&self) -> &[Act] {
        &self.acts
    }

    /// How many must be ordered: these have the lowest ranks.
    pub(super) fn must_count(&self) -> usize {
        self.must_count
    }
}

/// Leaves out acts that may have no place and that no other needs.
///
/// An order that has such an act stays right without it if none of the others saw what it wrote,
/// and none failed because of it: until the next write the key then holds what it held before.
fn without_idle(mut acts: Vec<Act>) -> Vec<Act> {
    loop {
        let (mut seen, mut denied) = (BTreeSet::new(), BTreeSet::new());
        for act in &acts {
            match act.effect {
                Effect::Reads(value) | Effect::Swaps(value, _) => seen.insert(value),
                Effect::Differs(value) => denied.insert(value),
                Effect::Writes(_) => false,
            };
        }
        let before = acts.len();
        acts.retain(|act| {
            let value = act.written();
            // Every value but the one that a failed swap expected explains its failure.
            let explains = denied.iter().any(|denied| *denied != value);
            act.must || explains || seen.contains(&value)
        });
        // A swap that went may have been the last to see some value.
        if acts.len() == before {
            return acts;
        }
    }
}
