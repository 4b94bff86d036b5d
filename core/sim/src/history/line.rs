//! One line of the file: a call as JSON.

use std::borrow::Cow;

use quorumark_consensus::types::{ClientId, Instant};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;

use super::History;
use super::error::{CallError, LineProblem};
use super::operation::{Answer, Call, Operation, OperationId, Outcome};

/// A line, key by key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    client: u32,
    id: u64,
    invoke_ns: u64,
    #[serde(deserialize_with = "present")]
    return_ns: Option<u64>,
    operation: LineOperation<'a>,
    #[serde(deserialize_with = "present")]
    result: Option<LineResult<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum LineOperation<'a> {
    Get {
        key: Cow<'a, str>,
    },
    Put {
        key: Cow<'a, str>,
        value: Cow<'a, str>,
    },
    Cas {
        key: Cow<'a, str>,
        #[serde(deserialize_with = "present")]
        expected: Option<Cow<'a, str>>,
        value: Cow<'a, str>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineResult<'a> {
    Absent,
    Value(Cow<'a, str>),
    Done,
    Mismatch,
}

/// An option that may be null but not left out: serde takes a missing key for null otherwise.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

impl History {
    /// Adds the call that a line of the file describes.
    pub(super) fn record_line(&mut self, bytes: &[u8]) -> Result<(), LineProblem> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(LineProblem::Blank);
        }
        let line: Line<'_> = serde_json::from_slice(bytes).map_err(|error| problem(&error))?;
        let answer = match (line.return_ns, line.result) {
            (None, None) => None,
            (Some(at), Some(result)) => {
                Some(Answer { at: Instant(at), outcome: self.outcome(result)? })
            }
            (Some(_), None) => {
                return Err(LineProblem::HalfAnswered { given: "return_ns", missing: "result" });
            }
            (None, Some(_)) => {
                return Err(LineProblem::HalfAnswered { given: "result", missing: "return_ns" });
            }
        };
        let (key, operation) = match line.operation {
            LineOperation::Get { key } => (key, Operation::Get),
            LineOperation::Put { key, value } => (key, Operation::Put(self.value(&value)?)),
            LineOperation::Cas { key, expected, value } => {
                let expected = expected.map(|expected| self.value(&expected)).transpose()?;
                (key, Operation::CompareAndSwap { expected, value: self.value(&value)? })
            }
        };
        let (client, id) = (ClientId(line.client), OperationId(line.id));
        let (invoked, key) = (Instant(line.invoke_ns), self.key(&key)?);
        Ok(self.record(Call { client, id, invoked, key, operation, answer })?)
    }

    /// The line of the file that describes a call of this history, without its end.
    pub fn line(&self, call: &Call) -> String {
        let text = |value| Cow::Borrowed(self.value_text(value));
        let key = Cow::Borrowed(self.key_name(call.key));
        let operation = match call.operation {
            Operation::Get => LineOperation::Get { key },
            Operation::Put(value) => LineOperation::Put { key, value: text(value) },
            Operation::CompareAndSwap { expected, value } => {
                LineOperation::Cas { key, expected: expected.map(text), value: text(value) }
            }
        };
        let result = call.answer.map(|answer| match answer.outcome {
            Outcome::Absent => LineResult::Absent,
            Outcome::Value(value) => LineResult::Value(text(value)),
            Outcome::Done => LineResult::Done,
            Outcome::Mismatch => LineResult::Mismatch,
        });
        let line = Line {
            client: call.client.0,
            id: call.id.0,
            invoke_ns: call.invoked.0,
            return_ns: call.answer.map(|answer| answer.at.0),
            operation,
            result,
        };
        serde_json::to_string(&line).expect("numbers and strings always become JSON")
    }

    fn outcome(&mut self, result: LineResult<'_>) -> Result<Outcome, CallError> {
        Ok(match result {
            LineResult::Absent => Outcome::Absent,
            LineResult::Value(value) => Outcome::Value(self.value(&value)?),
            LineResult::Done => Outcome::Done,
            LineResult::Mismatch => Outcome::Mismatch,
        })
    }
}

/// The JSON reader's words, without its own count of lines, which is always 1.
fn problem(error: &serde_json::Error) -> LineProblem {
    let text = error.to_string();
    let words = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
    let problem = format!("{words} (column {})", error.column());
    match error.classify() {
        Category::Eof => LineProblem::Truncated { problem },
        Category::Data => LineProblem::Form { problem },
        Category::Syntax | Category::Io => LineProblem::Syntax { problem },
    }
}
