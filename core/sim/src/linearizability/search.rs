//! The search for an order of one key's acts.

use std::collections::BTreeSet;

use super::Budget;
use super::events::{Event, Events, Node};
use super::ordered::Ordered;
use super::register::{Register, State, Want};
use crate::history::Value;

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// There is an order.
    Ordered,
    /// There is none. In whatever order, the act of rank `at` found no place before its end.
    Stuck {
        /// The lowest rank that was never passed.
        at: usize,
    },
    /// The budget was spent before either was certain.
    Spent,
}

/// What searches may still cost.
#[derive(Debug)]
pub(super) struct Steps {
    budget: Budget,
    taken: u64,
}

impl Steps {
    /// The whole budget.
    pub(super) fn new(budget: Budget) -> Steps {
        Steps { budget, taken: 0 }
    }

    /// Steps taken so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes a step; false when none is left.
    fn take(&mut self) -> bool {
        let left = self.taken < self.budget.steps_max;
        self.taken += u64::from(left);
        left
    }
}

/// Searches an order of all acts that must have a place, beginning in `start`.
pub(super) fn search(register: &Register, start: State, steps: &mut Steps) -> Ending {
    let mut search = Search {
        register,
        events: Events::new(register),
        ordered: Ordered::default(),
        state: start,
        path: Vec::new(),
        dead_ends: DeadEnds::new(steps.budget.memory_bytes_max),
        furthest: 0,
    };
    search.run(steps)
}

/// A choice on the way.
#[derive(Debug)]
struct Choice {
    rank: usize,
    /// The state and the front as they were before.
    state: State,
    front: usize,
    /// Whether nothing else needs to be tried in its place.
    only: bool,
}

#[derive(Debug)]
struct Search<'a> {
    register: &'a Register,
    events: Events,
    ordered: Ordered,
    state: State,
    path: Vec<Choice>,
    dead_ends: DeadEnds,
    /// The highest front so far.
    furthest: usize,
}

impl Search<'_> {
    fn run(&mut self, steps: &mut Steps) -> Ending {
        let mut cursor = self.events.first_must();
        loop {
            self.furthest = self.furthest.max(self.ordered.front());
            if self.ordered.front() >= self.register.must_count() {
                return Ending::Ordered;
            }
            let found = match self.next_choice(cursor, steps) {
                Ok(found) => found,
                Err(Spent) => return Ending::Spent,
            };
            cursor = if found {
                self.events.first_must()
            } else {
                match self.back() {
                    Some(cursor) => cursor,
                    None => return Ending::Stuck { at: self.furthest },
                }
            };
        }
    }

    /// Orders one more act, the first at or after `cursor` that leads to somewhere new.
    fn next_choice(&mut self, cursor: Node, steps: &mut Steps) -> Result<bool, Spent> {
        if cursor == self.events.first_must()
            && let Some(rank) = self.at_once(steps)?
        {
            self.choose(rank, self.state, true);
            return Ok(true);
        }
        let (mut cursor, mut wants) = (cursor, None);
        while let Some(rank) = self.candidate(cursor) {
            steps.take().then_some(()).ok_or(Spent)?;
            let act = &self.register.acts()[rank];
            let is_of_use = if act.must() {
                true
            } else {
                let wants = match &mut wants {
                    Some(wants) => wants,
                    none => none.insert(self.wants(steps)?),
                };
                act.written().is_some_and(|value| wants.are_met_by(value))
            };
            if let Some(next) = act.apply(self.state).filter(|_| is_of_use) {
                self.choose(rank, next, false);
                if self.dead_ends.is_new(&self.ordered, self.state) {
                    return Ok(true);
                }
                self.undo();
            }
            cursor = self.events.after(self.events.start(rank));
        }
        Ok(false)
    }

    /// An act that can be ordered here without loss: it agrees with the state, and leaves it.
    fn at_once(&self, steps: &mut Steps) -> Result<Option<usize>, Spent> {
        let mut node = self.events.first_must();
        while let Event::Start(rank) = self.events.event(node) {
            steps.take().then_some(()).ok_or(Spent)?;
            let act = &self.register.acts()[rank];
            if act.only_reads() && act.apply(self.state) == Some(self.state) {
                return Ok(Some(rank));
            }
            node = self.events.after(node);
        }
        Ok(None)
    }

    /// What the acts that can come next wait for.
    ///
    /// An act that may be left out can be followed at once by one that waited for what it wrote.
    /// Of the orders there are, take the one with the fewest such acts: what follows one of them
    /// and does not heed the value makes it idle, and a failed swap that the value before did not
    /// hinder could as well stand before it.
    fn wants(&self, steps: &mut Steps) -> Result<Wants, Spent> {
        let mut wants = Wants::default();
        let first_end = self.events.end(self.ordered.front());
        for mut node in [self.events.first_must(), self.events.first_may()] {
            while let Event::Start(rank) = self.events.event(node)
                && node < first_end
            {
                steps.take().then_some(()).ok_or(Spent)?;
                match self.register.acts()[rank].wants(self.state) {
                    Some(Want::Value(value)) => _ = wants.values.insert(value),
                    Some(Want::Other) => wants.other = true,
                    None => {}
                }
                node = self.events.after(node);
            }
        }
        Ok(wants)
    }

    /// The act at `cursor` or, where no more of its list can come next, of the list after it. What
    /// may be left out is tried last.
    fn candidate(&self, cursor: Node) -> Option<usize> {
        let node = match self.events.event(cursor) {
            Event::Start(rank) if rank < self.register.must_count() => return Some(rank),
            // Ranks follow the ends, so the end met first is that of the front.
            Event::End => self.events.first_may(),
            Event::Start(_) | Event::Head => cursor,
        };
        let first_end = self.events.end(self.ordered.front());
        match self.events.event(node) {
            Event::Start(rank) if node < first_end => Some(rank),
            _ => None,
        }
    }

    fn choose(&mut self, rank: usize, next: State, only: bool) {
        self.events.lift(rank);
        let front = self.ordered.insert(rank);
        self.path.push(Choice { rank, state: self.state, front, only });
        self.state = next;
    }

    fn undo(&mut self) -> Option<Choice> {
        let choice = self.path.pop()?;
        self.ordered.remove(choice.rank, choice.front);
        self.events.unlift(choice.rank);
        self.state = choice.state;
        Some(choice)
    }

    /// Goes back to the last choice that has alternatives: where to look for them.
    fn back(&mut self) -> Option<Node> {
        loop {
            let choice = self.undo()?;
            if !choice.only {
                return Some(self.events.after(self.events.start(choice.rank)));
            }
        }
    }
}

/// What acts wait for.
#[derive(Debug, Default)]
struct Wants {
    values: BTreeSet<Value>,
    /// Whether one waits for any other value than the one that is there.
    other: bool,
}

impl Wants {
    fn are_met_by(&self, value: Value) -> bool {
        self.other || self.values.contains(&value)
    }
}

/// The budget is spent.
#[derive(Debug)]
struct Spent;

/// Where the search has been: which acts were ordered, and the state after them. It comes back only
/// from where there is no order.
#[derive(Debug)]
struct DeadEnds {
    places: BTreeSet<(u32, State, Box<[u32]>)>,
    bytes: usize,
    bytes_max: usize,
}

/// About what a place takes beside its list: the tuple and its share of a tree's node.
const PLACE_BYTES: usize = 64;

impl DeadEnds {
    fn new(bytes_max: usize) -> DeadEnds {
        DeadEnds { places: BTreeSet::new(), bytes: 0, bytes_max }
    }

    /// Whether the search has not been here, as far as is remembered.
    fn is_new(&mut self, ordered: &Ordered, state: State) -> bool {
        let front = u32::try_from(ordered.front()).expect("ranks are below the 32-bit integers");
        let place = (front, state, Box::from(ordered.ahead()));
        let bytes = self.bytes + PLACE_BYTES + size_of_val(ordered.ahead());
        if bytes > self.bytes_max {
            return !self.places.contains(&place);
        }
        let is_new = self.places.insert(place);
        if is_new {
            self.bytes = bytes;
        }
        is_new
    }
}
