//! From "there is no order" to the few operations that show it.

use quorumark_consensus::types::Instant;

use super::Budget;
use super::register::{Act, Register, State};
use super::search::{Ending, Steps, search};
use crate::history::{Call, Key};

/// The most operations of which each is tried to be left out.
const SHRUNK_MAX: usize = 64;

/// Operations of one key that no store could have answered so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: Key,
    /// The operation that found no place before its answer.
    pub call: Call,
    /// Operations that together have no order, by their starts; `call` is one of them. Without the
    /// others of the key they contradict themselves already.
    pub window: Vec<Call>,
    /// Why there is none.
    pub reason: Reason,
}

/// Why operations have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It found a value that nobody had begun to write.
    Unwritten,
    /// Whatever the key held before the window, no order gives these answers.
    NoOrder,
    /// No order gives these answers on a key that holds nothing before the window.
    NoOrderFromNothing,
}

impl Violation {
    /// A call that found what nobody had written.
    pub(super) fn unwritten(key: Key, call: Call) -> Violation {
        Violation { key, call, window: vec![call], reason: Reason::Unwritten }
    }
}

/// Acts that have no order when they begin in a state.
#[derive(Debug, Clone)]
struct Window {
    acts: Vec<Act>,
    start: State,
}

impl Window {
    /// Whether it is certain, within the steps left, that there is no order.
    fn is_stuck(&self, steps: &mut Steps) -> bool {
        let register = Register::new(self.acts.clone());
        matches!(search(&register, self.start, steps), Ending::Stuck { .. })
    }
}

/// Finds a short piece of evidence in a register whose search never passed rank `at`.
///
/// What began after that act's end cannot have been in its way. Of what is left, each step demands
/// less than the one before, so that what then has no order has none in the history either.
pub(super) fn find(key: Key, register: &Register, at: usize, budget: Budget) -> Violation {
    let mut steps = Steps::new(budget);
    let call = register.acts()[at].call;
    let end = call.answer.map_or(call.invoked, |answer| answer.at);
    let begun = register.acts().iter().filter(|act| act.call.invoked <= end).copied().collect();
    let whole = Window { acts: begun, start: State::INITIAL };
    let window = shrunk(latest(whole, call.invoked, &mut steps), &call, &mut steps);
    let reason = match window.start {
        State::Any => Reason::NoOrder,
        State::Holds(_) => Reason::NoOrderFromNothing,
    };
    let left = Register::new(window.acts);
    let mut window: Vec<Call> = left.acts().iter().map(|act| act.call).collect();
    window.sort_by_key(|call| (call.invoked, call.client, call.id));
    assert!(window.contains(&call), "the call that found no place is never left out");
    Violation { key, call, window, reason }
}

/// The window that begins as late as possible, at or before `last`.
fn latest(whole: Window, last: Instant, steps: &mut Steps) -> Window {
    let mut starts: Vec<Instant> = whole.acts.iter().map(|act| act.call.invoked).collect();
    starts.retain(|&start| start <= last);
    starts.sort_unstable_by(|a, b| b.cmp(a));
    starts.dedup();
    // Twice as many starts each time: most violations are short, and long searches are dear.
    let (mut too_late, mut stuck) = (0, None);
    let mut reach = 1;
    while let Some(&start) = starts.get(reach - 1) {
        let window = since(&whole, start);
        if window.is_stuck(steps) {
            stuck = Some((reach, window));
            break;
        }
        too_late = reach;
        reach *= 2;
    }
    let (mut early, mut window) = stuck.unwrap_or((starts.len() + 1, whole.clone()));
    while early - too_late > 1 {
        let middle = too_late + (early - too_late) / 2;
        let narrower = since(&whole, starts[middle - 1]);
        if narrower.is_stuck(steps) {
            (early, window) = (middle, narrower);
        } else {
            too_late = middle;
        }
    }
    window
}

/// What must hold from `start` on, whatever came before: acts that were over are left out, and of
/// those under way nothing is demanded.
fn since(whole: &Window, start: Instant) -> Window {
    let acts = whole.acts.iter().filter_map(|act| {
        let is_over = act.call.answer.is_some_and(|answer| answer.at < start);
        match act.call.invoked >= start {
            true => Some(*act),
            false => act.relaxed().filter(|_| !is_over),
        }
    });
    Window { acts: acts.collect(), start: State::Any }
}

/// Demands less and less, as long as there is no order: nothing of the start, then of each act but
/// `call` no answer.
fn shrunk(mut window: Window, call: &Call, steps: &mut Steps) -> Window {
    if window.acts.len() > SHRUNK_MAX {
        return window;
    }
    let anywhere = Window { start: State::Any, ..window.clone() };
    if anywhere.is_stuck(steps) {
        window = anywhere;
    }
    for act in window.acts.clone().iter().filter(|act| act.must() && act.call != *call) {
        let acts = window.acts.iter().filter_map(|other| match other.call == act.call {
            true => act.relaxed(),
            false => Some(*other),
        });
        let less = Window { acts: acts.collect(), ..window };
        if less.is_stuck(steps) {
            window = less;
        }
    }
    window
}
