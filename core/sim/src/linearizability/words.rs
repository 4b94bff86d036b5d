//! A violation in words.

use super::evidence::{Reason, Violation};
use super::register::needed;
use crate::history::{Call, History, Operation, Outcome, Value};

/// The most letters of a key or a value that are told.
const LETTERS_MAX: usize = 32;

impl Violation {
    /// What is wrong, in one sentence; `history` is the one that was checked.
    pub fn sentence(&self, history: &History) -> String {
        let Call { client, id, operation, .. } = &self.call;
        let key = quoted(history.key_name(self.key));
        let asked = asked(history, operation);
        let told = told(history, &self.call);
        let count = self.window.len();
        let why = match self.reason {
            Reason::Unwritten => {
                let outcome = self.call.answer.map(|answer| answer.outcome);
                let value = outcome.and_then(|outcome| needed(operation, &outcome));
                let value = value.map(|value| text(history, value)).unwrap_or_default();
                format!("but nobody had begun to write {value} by then")
            }
            Reason::NoOrder => {
                format!(
                    "but no order of {count} operations allows it, whatever the key held before"
                )
            }
            Reason::NoOrderFromNothing if count == 1 => {
                "but the key held nothing, and nobody was writing".to_owned()
            }
            Reason::NoOrderFromNothing => {
                format!("but no order of {count} operations allows it on a key that holds nothing")
            }
        };
        format!("key {key}: client {}'s {asked} (id {id}) {told}, {why}", client.0)
    }

    /// The operations that have no order, one a line, by their starts.
    pub fn lines(&self, history: &History) -> Vec<String> {
        let line = |call: &Call| {
            let (asked, told) = (asked(history, &call.operation), told(history, call));
            let end = call.answer.map_or("...".to_owned(), |answer| answer.at.0.to_string());
            let Call { client, id, invoked, .. } = call;
            format!("{} to {end} ns: client {}'s {asked} (id {id}) {told}", invoked.0, client.0)
        };
        self.window.iter().map(line).collect()
    }
}

fn asked(history: &History, operation: &Operation) -> String {
    match operation {
        Operation::Get => "get".to_owned(),
        Operation::Put(value) => format!("put of {}", text(history, *value)),
        Operation::CompareAndSwap { expected, value } => {
            let expected = expected.map_or("nothing".to_owned(), |value| text(history, value));
            format!("cas from {expected} to {}", text(history, *value))
        }
    }
}

fn told(history: &History, call: &Call) -> String {
    match call.answer.map(|answer| answer.outcome) {
        None => "was never answered".to_owned(),
        Some(Outcome::Absent) => "found nothing".to_owned(),
        Some(Outcome::Value(value)) => format!("found {}", text(history, value)),
        Some(Outcome::Done) => "was done".to_owned(),
        Some(Outcome::Mismatch) => "met something else".to_owned(),
    }
}

fn text(history: &History, value: Value) -> String {
    quoted(history.value_text(value))
}

/// In quotes, without control characters, and not longer than a line can bear.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(LETTERS_MAX) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}...", &text[..cut]),
    }
}
