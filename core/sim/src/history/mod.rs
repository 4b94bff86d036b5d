//! What the clients of a key-value run did and saw.
//!
//! # The file
//! JSON Lines: one object a line, one line an operation, in any order. The keys below, each of
//! them, and no others:
//!
//! | key | what it holds |
//! |---|---|
//! | `client` | the client's number, from 0 to 4294967295 |
//! | `id` | the operation's number; a client has each once |
//! | `invoke_ns` | when the client sent it, in nanoseconds from any moment that all lines share |
//! | `return_ns` | when the answer came, not before `invoke_ns`; `null`: it never came |
//! | `operation` | what was asked, see below |
//! | `result` | what was answered, see below; `null`: nothing |
//!
//! ```text
//! operation                                                        result
//! {"get": {"key": "a"}}                                            "absent" or {"value": "1"}
//! {"put": {"key": "a", "value": "1"}}                              "done"
//! {"cas": {"key": "a", "expected": "1", "value": "2"}}             "done" or "mismatch"
//! ```
//!
//! A compare-and-swap writes `value` if the key holds `expected`, where `null` means that it holds
//! nothing. Keys and values are strings. Every key holds nothing at first.
//!
//! # Bounds
//! A history has at most [`OPERATIONS_MAX`] operations and [`TEXT_BYTES_MAX`] bytes of different
//! keys and values, a line at most [`LINE_BYTES_MAX`] bytes. What is beyond is refused, never cut:
//! a history that lacks operations can pass or fail for no reason.

mod error;
mod line;
mod names;
mod operation;
mod read;

use std::collections::BTreeSet;
use std::io::{self, Write};

use quorumark_consensus::types::ClientId;

pub use error::{CallError, LineProblem, ReadError};
pub use operation::{Answer, Call, Key, Operation, OperationId, Outcome, Value};

use names::Names;

/// The most operations that a history has.
pub const OPERATIONS_MAX: usize = 1 << 20;
/// The most bytes of different keys and values that a history holds.
pub const TEXT_BYTES_MAX: usize = 256 << 20;
/// The longest line of a file, in bytes without its end: the two largest values of the key-value
/// store fit, even with every byte escaped.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Operations with their times and answers, in the order in which they were recorded.
#[derive(Debug, Clone, Default)]
pub struct History {
    calls: Vec<Call>,
    names: Names,
    /// Whose ids are taken.
    ids: BTreeSet<(ClientId, OperationId)>,
}

impl History {
    /// A history without operations.
    pub fn new() -> History {
        History::default()
    }

    /// The key of this name, for calls of this history.
    ///
    /// # Errors
    /// [`CallError::TooMuchText`].
    pub fn key(&mut self, name: &str) -> Result<Key, CallError> {
        self.names.intern(name).map(Key)
    }

    /// The value that is this text, for calls of this history.
    ///
    /// # Errors
    /// [`CallError::TooMuchText`].
    pub fn value(&mut self, text: &str) -> Result<Value, CallError> {
        self.names.intern(text).map(Value)
    }

    /// Adds a call, whose key and values came from this history.
    ///
    /// # Errors
    /// [`CallError`]: the call contradicts itself or another one, or is one too many. The history
    /// is then as it was.
    pub fn record(&mut self, call: Call) -> Result<(), CallError> {
        if self.calls.len() == OPERATIONS_MAX {
            return Err(CallError::TooMany);
        }
        call.check()?;
        if !self.ids.insert((call.client, call.id)) {
            return Err(CallError::Duplicate { client: call.client, id: call.id });
        }
        self.calls.push(call);
        assert_eq!(self.calls.len(), self.ids.len(), "each call has an id of its own");
        Ok(())
    }

    /// The calls, as they were recorded.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The name of a key.
    ///
    /// # Panics
    /// When the key is of another history.
    pub fn key_name(&self, key: Key) -> &str {
        self.names.text(key.0)
    }

    /// The text of a value.
    ///
    /// # Panics
    /// When the value is of another history.
    pub fn value_text(&self, value: Value) -> &str {
        self.names.text(value.0)
    }

    /// Writes the file of this history; [`History::read`] reads it back.
    ///
    /// # Errors
    /// Whatever `out` says.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        self.calls.iter().try_for_each(|call| writeln!(out, "{}", self.line(call)))
    }
}
