//! Linearizable: one store, doing one thing at a time, could have answered so.

use bytes::Bytes;
use quorumark_application::kv::{Operation, Outcome};
use quorumark_consensus::types::{ClientId, Instant, Seq, Timestamp};
use rustc_hash::FxHashMap;

use super::Checker;
use super::finding::{Findings, Violation};
use super::kinds::Kinds;
use super::run::{Run, Seen};
use crate::history::{self, Answer, Call, CallError, History, OperationId};
use crate::linearizability::{self, Budget, Verdict};
use crate::trace::{Fact, FactKind};

/// Operations of one run that are judged; a longer run is judged up to the moment when they are so
/// many, which is a history by itself.
const OPERATIONS_KEPT: usize = 1 << 15;

/// The history of the key-value store's clients, as the trace tells it, is linearizable. What a
/// client that lies says about answers is not believed, but its operations may have taken effect.
#[derive(Debug, Default)]
pub(super) struct Linearizable {
    /// In the order in which they were submitted.
    asked: Vec<Asked>,
    /// Where the first of each name stands.
    places: FxHashMap<(ClientId, Timestamp), usize>,
    /// From then on nothing more is taken.
    full: bool,
    /// The last batch whose requests were given their places.
    executed: Seq,
}

/// An operation under way.
#[derive(Debug)]
struct Asked {
    client: ClientId,
    timestamp: Timestamp,
    line: u64,
    at: Instant,
    operation: Bytes,
    answer: Option<(Instant, Bytes)>,
    /// Its place in the order in which a replica says it executed: sequence number, place in the
    /// batch. It is believed only as far as every answer is right in that order.
    place: Option<(Seq, u32)>,
}

impl Checker for Linearizable {
    fn hears(&self) -> Kinds {
        Kinds::of(&[FactKind::Submitted, FactKind::Answered, FactKind::Executed])
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        match &seen.event.fact {
            Fact::Submitted(_) | Fact::Answered(_) if self.full => found.skip(),
            Fact::Submitted(it) => {
                let (line, at, operation) = (seen.line, seen.event.at, it.operation.clone());
                let (client, timestamp) = (it.client, it.timestamp);
                let (answer, place) = (None, None);
                self.places.entry((client, timestamp)).or_insert(self.asked.len());
                self.asked.push(Asked { client, timestamp, line, at, operation, answer, place });
                self.full = self.asked.len() == OPERATIONS_KEPT;
            }
            Fact::Answered(it) if run.header.is_honest_client(it.client) => {
                match self.first(it.client, it.timestamp) {
                    Some(asked) if asked.answer.is_none() => {
                        asked.answer = Some((seen.event.at, it.result.clone()));
                    }
                    _ => found.decide(false, || {
                        let (client, timestamp) = (it.client, it.timestamp);
                        let what = format!("{client}'s {timestamp} has an answer too many");
                        Violation::shown_by(vec![seen.exhibit()], it.replicas.clone(), what)
                    }),
                }
            }
            Fact::Executed(it) if it.seq > self.executed && !it.tentative => {
                self.executed = it.seq;
                for nth in &it.fresh {
                    let Some(ordered) = it.requests.get(*nth as usize) else { continue };
                    if let Some(asked) = self.first(ordered.client, ordered.timestamp) {
                        asked.place.get_or_insert((it.seq, *nth));
                    }
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, _: &mut Run, found: &mut Findings) {
        let (mut history, mut places) = (History::new(), Vec::new());
        let mut all = core::mem::take(&mut self.asked);
        all.sort_by_key(|asked| (asked.client, asked.timestamp));
        for asked in all {
            match record(&mut history, &asked) {
                Recorded::Whole => places.push((asked.place, OperationId(asked.line))),
                Recorded::Nothing => found.skip(),
                Recorded::Wrong(what) => found.decide(false, || wrong(&asked, what)),
            }
        }
        places.retain(|(place, _)| place.is_some());
        places.sort_unstable();
        let believed = (0..).zip(places).map(|(place, (_, id))| (id, place)).collect();
        let report = linearizability::check_believing(&history, &believed, Budget::default());
        let answered = (report.operations - report.unanswered) as u64;
        match report.verdict {
            Verdict::Linearizable => found.evaluated += answered,
            Verdict::Unknown(_) => found.skipped += answered,
            Verdict::Violated(violation) => {
                found.evaluated += answered.saturating_sub(1);
                found.decide(false, || {
                    let call = violation.call;
                    // An operation's id is the line of its submission.
                    let at = call.answer.map_or(call.invoked, |answer| answer.at);
                    let shown =
                        Violation::shown_by(Vec::new(), Vec::new(), violation.sentence(&history));
                    let notes = violation.lines(&history);
                    Violation { at, line: call.id.0, notes, ..shown }
                });
            }
        }
    }
}

impl Linearizable {
    /// The first operation of this name.
    fn first(&mut self, client: ClientId, timestamp: Timestamp) -> Option<&mut Asked> {
        self.asked.get_mut(*self.places.get(&(client, timestamp))?)
    }
}

/// What became of an operation on its way into the history.
enum Recorded {
    /// It is in it.
    Whole,
    /// It had no effect that is known of a register: it is left out.
    Nothing,
    /// No store answers so.
    Wrong(&'static str),
}

fn record(history: &mut History, asked: &Asked) -> Recorded {
    let Ok(operation) = Operation::parse(&asked.operation) else { return Recorded::Nothing };
    let outcome = match &asked.answer {
        None => None,
        Some((at, result)) => match Outcome::parse(result) {
            Err(_) => return Recorded::Wrong("its answer is no outcome"),
            Ok(Outcome::Forbidden | Outcome::Malformed | Outcome::Full | Outcome::OutOfRange) => {
                return Recorded::Nothing;
            }
            Ok(outcome) => Some((*at, outcome)),
        },
    };
    match call(history, asked, operation, outcome) {
        Ok(Some(call)) => match history.record(call) {
            Ok(()) => Recorded::Whole,
            Err(_) => Recorded::Wrong("its answer belongs to another kind of operation"),
        },
        Ok(None) | Err(_) => Recorded::Nothing,
    }
}

fn call(
    history: &mut History,
    asked: &Asked,
    operation: Operation<'_>,
    outcome: Option<(Instant, Outcome<'_>)>,
) -> Result<Option<Call>, CallError> {
    let (key, operation) = match operation {
        Operation::Get { key } => (key, history::Operation::Get),
        Operation::Put { key, value } => {
            (key, history::Operation::Put(history.value(&text(value))?))
        }
        Operation::CompareAndSwap { key, expected, value } => {
            let expected = expected.map(|value| history.value(&text(value))).transpose()?;
            let value = history.value(&text(value))?;
            (key, history::Operation::CompareAndSwap { expected, value })
        }
        // A part of a value is not what a register holds.
        Operation::Update { .. } | Operation::ReadModifyWrite { .. } => return Ok(None),
    };
    let answer = match outcome {
        None => None,
        Some((at, outcome)) => {
            let outcome = match outcome {
                Outcome::Value(value) => history::Outcome::Value(history.value(&text(value))?),
                Outcome::Absent => history::Outcome::Absent,
                Outcome::Mismatch => history::Outcome::Mismatch,
                _ => history::Outcome::Done,
            };
            Some(Answer { at, outcome })
        }
    };
    let (client, id) = (asked.client, OperationId(asked.line));
    let key = history.key(&key.to_string())?;
    Ok(Some(Call { client, id, invoked: asked.at, key, operation, answer }))
}

fn wrong(asked: &Asked, what: &'static str) -> Violation {
    let shown = Violation::shown_by(Vec::new(), Vec::new(), what.to_owned());
    let at = asked.answer.as_ref().map_or(asked.at, |(at, _)| *at);
    Violation { at, line: asked.line, ..shown }
}

/// Bytes as a text of their own.
fn text(value: &[u8]) -> String {
    let mut text = String::with_capacity(2 * value.len());
    let digits = value.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    text.extend(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)));
    text
}
