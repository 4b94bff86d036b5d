//! One call of a client: what was asked, when, and what was answered.

use core::fmt;

use quorumark_consensus::types::{ClientId, Instant};

use super::error::CallError;

/// A key, by its number in a [`super::History`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub(super) u32);

/// A value, by its number in a [`super::History`]: equal numbers are equal texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub(super) u32);

/// A client's own number for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a client asked of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The value of the key.
    Get,
    /// To make this the value of the key.
    Put(Value),
    /// To make `value` the value of the key if it holds what is expected.
    CompareAndSwap {
        /// What the key must hold; `None`: nothing.
        expected: Option<Value>,
        /// What it then holds.
        value: Value,
    },
}

impl Operation {
    /// As files call it.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Get => "get",
            Operation::Put(_) => "put",
            Operation::CompareAndSwap { .. } => "cas",
        }
    }
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A get: the key holds nothing.
    Absent,
    /// A get: what the key holds.
    Value(Value),
    /// A put or a compare-and-swap: it was written.
    Done,
    /// A compare-and-swap: the key holds something else than expected.
    Mismatch,
}

impl Outcome {
    /// As files call it.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Absent => "absent",
            Outcome::Value(_) => "value",
            Outcome::Done => "done",
            Outcome::Mismatch => "mismatch",
        }
    }

    /// Whether `operation` can have it.
    fn answers(&self, operation: &Operation) -> bool {
        match operation {
            Operation::Get => matches!(self, Outcome::Absent | Outcome::Value(_)),
            Operation::Put(_) => matches!(self, Outcome::Done),
            Operation::CompareAndSwap { .. } => matches!(self, Outcome::Done | Outcome::Mismatch),
        }
    }
}

/// The end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// When the client had it.
    pub at: Instant,
    /// What it said.
    pub outcome: Outcome,
}

/// One operation from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Who asked. A client may have several calls under way.
    pub client: ClientId,
    /// Its number among the client's.
    pub id: OperationId,
    /// When the client sent it.
    pub invoked: Instant,
    /// The key that it is about.
    pub key: Key,
    /// What was asked.
    pub operation: Operation,
    /// The answer; `None`: there was none, so it took effect at any time since, or never.
    pub answer: Option<Answer>,
}

impl Call {
    /// Whether the call agrees with itself.
    pub(super) fn check(&self) -> Result<(), CallError> {
        let Some(answer) = self.answer else { return Ok(()) };
        if answer.at < self.invoked {
            return Err(CallError::Backwards { invoked: self.invoked, returned: answer.at });
        }
        if !answer.outcome.answers(&self.operation) {
            let (operation, result) = (self.operation.name(), answer.outcome.name());
            return Err(CallError::Foreign { operation, result });
        }
        Ok(())
    }
}
