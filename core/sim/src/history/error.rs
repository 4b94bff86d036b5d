//! What is wrong with a history, and how to mend it.

use std::io;

use quorumark_consensus::types::{ClientId, Instant};
use thiserror::Error;

use super::operation::OperationId;
use super::{LINE_BYTES_MAX, OPERATIONS_MAX, TEXT_BYTES_MAX};

/// Why a call cannot stand in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CallError {
    /// It ends before it begins.
    #[error("return_ns is {}, before invoke_ns {}", returned.0, invoked.0)]
    Backwards {
        /// When it was sent.
        invoked: Instant,
        /// When its answer came.
        returned: Instant,
    },
    /// The operation has no such result.
    #[error("a {operation} has no result {result}")]
    Foreign {
        /// The operation, as files call it.
        operation: &'static str,
        /// The result, as files call it.
        result: &'static str,
    },
    /// The client has a call of this id already.
    #[error("client {} has a second operation with id {id}", client.0)]
    Duplicate {
        /// Whose calls they are.
        client: ClientId,
        /// The id that both have.
        id: OperationId,
    },
    /// The history is full.
    #[error("there are more than {OPERATIONS_MAX} operations, the most that are checked")]
    TooMany,
    /// Its keys and values are too long in all.
    #[error("keys and values have more than {TEXT_BYTES_MAX} bytes, the most that are kept")]
    TooMuchText,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineProblem {
    /// It has more bytes than a line may have.
    #[error("has more than {LINE_BYTES_MAX} bytes, the most that a line may have")]
    TooLong,
    /// It holds no operation.
    #[error("is blank")]
    Blank,
    /// It ends in the middle of its object.
    #[error("is cut short: {problem}")]
    Truncated {
        /// What the JSON reader missed.
        problem: String,
    },
    /// It is no JSON.
    #[error("is no JSON object: {problem}")]
    Syntax {
        /// What the JSON reader says.
        problem: String,
    },
    /// It is JSON, but not of this form.
    #[error("is no operation: {problem}")]
    Form {
        /// Which key or value is wrong.
        problem: String,
    },
    /// There is a time without an answer, or an answer without its time.
    #[error("{given} is given and {missing} is null")]
    HalfAnswered {
        /// The key that has a value.
        given: &'static str,
        /// The key that has none.
        missing: &'static str,
    },
    /// The operation cannot stand in this history.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl LineProblem {
    /// How to mend it.
    pub fn remedy(&self) -> &'static str {
        match self {
            LineProblem::TooLong => "shorten its key and values",
            LineProblem::Blank => "remove it, or write its operation",
            LineProblem::Truncated { .. } => "write the whole line again, or remove it",
            LineProblem::Syntax { .. } => "write one JSON object a line, and nothing else",
            LineProblem::Form { .. } => {
                "the keys are client, id, invoke_ns, return_ns, operation and result, as in \
                 {\"client\":0,\"id\":1,\"invoke_ns\":10,\"return_ns\":20,\
                 \"operation\":{\"put\":{\"key\":\"a\",\"value\":\"1\"}},\"result\":\"done\"}"
            }
            LineProblem::HalfAnswered { .. } => "give both, or write null for both",
            LineProblem::Call(CallError::Backwards { .. }) => {
                "write times of one clock, the later one as return_ns"
            }
            LineProblem::Call(CallError::Foreign { .. }) => {
                "a get has \"absent\" or {\"value\":\"1\"}, a put \"done\", a cas \"done\" or \
                 \"mismatch\""
            }
            LineProblem::Call(CallError::Duplicate { .. }) => {
                "number the operations of each client, each once"
            }
            LineProblem::Call(CallError::TooMany | CallError::TooMuchText) => {
                "check a shorter run, or the keys apart: each key stands for itself"
            }
        }
    }
}

/// Why a history could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The source failed.
    #[error("cannot be read: {0}")]
    Source(#[from] io::Error),
    /// A line is wrong.
    #[error("line {line}: {problem}; {}", problem.remedy())]
    Line {
        /// Which one, from 1.
        line: u64,
        /// What is wrong with it.
        problem: LineProblem,
    },
}
