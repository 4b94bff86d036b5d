//! A trace as lines of JSON, one an event, for people and for tools.
//!
//! `{"n":17,"at":1500000,"fact":{"said":{...}}}`: `n` is the event's place in the trace, from 1;
//! `at` is in nanoseconds; numbers are whole; digests, signatures and bytes are hexadecimal. A reader
//! accepts exactly what a writer writes: every field, no other, `n` rising, `at` never falling.

use std::io::{self, BufRead, Read as _, Write};

use quorumark_consensus::types::Instant;
use serde_json::{Map, Value};
use thiserror::Error;

use super::field::{Field, FieldError, Fields};
use super::{Event, Fact};

/// The longest line that is read, in bytes: 32 MiB, more than the largest operation takes.
pub const LINE_BYTES_MAX: usize = 32 << 20;

/// What is wrong with a line of a trace.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The lines cannot be read.
    #[error("line {line}: cannot be read")]
    Io {
        /// Which line, from 1.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A line is longer than [`LINE_BYTES_MAX`].
    #[error("line {line}: longer than {LINE_BYTES_MAX} bytes")]
    TooLong {
        /// Which line, from 1.
        line: u64,
    },
    /// A line is not JSON.
    #[error("line {line}: is not JSON")]
    Json {
        /// Which line, from 1.
        line: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// A line is not an event.
    #[error("line {line}: {source}")]
    Event {
        /// Which line, from 1.
        line: u64,
        /// Which field, and what should stand there.
        source: FieldError,
    },
    /// A line comes before the one above it, by its number or by its time.
    #[error("line {line}: {name} must not fall")]
    Order {
        /// Which line, from 1.
        line: u64,
        /// `n` or `at`.
        name: &'static str,
    },
}

/// Writes events as lines.
#[derive(Debug)]
pub struct LineWriter<W> {
    out: W,
    network: bool,
    events: u64,
}

impl<W: Write> LineWriter<W> {
    /// A writer; `network` says whether the facts of single messages are written too.
    pub fn new(out: W, network: bool) -> LineWriter<W> {
        LineWriter { out, network, events: 0 }
    }

    /// Writes the next event. It counts also when it is left out.
    ///
    /// # Errors
    /// What the writer below says.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        self.events += 1;
        if event.fact.is_network() && !self.network {
            return Ok(());
        }
        let line = [
            ("n".to_owned(), self.events.to_json()),
            ("at".to_owned(), event.at.to_json()),
            ("fact".to_owned(), event.fact.to_json()),
        ];
        serde_json::to_writer(&mut self.out, &Value::Object(Map::from_iter(line)))?;
        self.out.write_all(b"\n")
    }

    /// Ends the writing.
    ///
    /// # Errors
    /// What the writer below says to its flush.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads events from lines: an iterator that ends at the first error.
#[derive(Debug)]
pub struct LineReader<R> {
    input: R,
    line: u64,
    last: (u64, Instant),
    failed: bool,
}

impl<R: BufRead> LineReader<R> {
    /// A reader.
    pub fn new(input: R) -> LineReader<R> {
        LineReader { input, line: 0, last: (0, Instant::START), failed: false }
    }

    fn read(&mut self) -> Result<Option<(u64, Event)>, TraceError> {
        self.line += 1;
        let line = self.line;
        let mut text = Vec::new();
        let mut bounded = self.input.by_ref().take(LINE_BYTES_MAX as u64 + 1);
        let read = bounded.read_until(b'\n', &mut text);
        match read.map_err(|source| TraceError::Io { line, source })? {
            0 => return Ok(None),
            length if length > LINE_BYTES_MAX => return Err(TraceError::TooLong { line }),
            _ => {}
        }
        let value = serde_json::from_slice(&text);
        let value = value.map_err(|source| TraceError::Json { line, source })?;
        let (n, event) = parse(value).map_err(|source| TraceError::Event { line, source })?;
        if n <= self.last.0 {
            return Err(TraceError::Order { line, name: "n" });
        }
        if event.at < self.last.1 {
            return Err(TraceError::Order { line, name: "at" });
        }
        self.last = (n, event.at);
        Ok(Some((n, event)))
    }
}

impl<R: BufRead> Iterator for LineReader<R> {
    type Item = Result<(u64, Event), TraceError>;

    /// The next event with its place in the trace.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.read();
        self.failed = next.is_err();
        next.transpose()
    }
}

fn parse(value: Value) -> Result<(u64, Event), FieldError> {
    let mut fields = Fields::of(value)?;
    let n = fields.take("n")?;
    let event = Event { at: fields.take("at")?, fact: fields.take::<Fact>("fact")? };
    fields.finish()?;
    Ok((n, event))
}
