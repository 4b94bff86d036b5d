//! Recording an engine: what went into it and when, and what came out, so that a run that threads
//! made once can be made again from its inputs alone.
//!
//! [`Recorded`] is an engine around another. A driver that is given the bare engine pays nothing; one
//! that is given this copies each input and hashes the outputs. Replayed is a recording by feeding
//! its steps to a fresh engine of the same configuration: the crate's invariant says that every step
//! has to come out equal.

use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::wire::Encode;

use crate::engine::{Engine, Input, Outbox, Output, Vocabulary};
use crate::types::Instant;

/// One call of an engine.
#[derive(Debug, Clone)]
pub struct Step<M: Vocabulary> {
    /// The clock reading.
    pub now: Instant,
    /// What the engine was told.
    pub input: Input<M>,
    /// The digest of what it said, output by output in their canonical bytes.
    pub outputs: Digest,
}

/// An engine whose every step goes to `sink` as well.
#[derive(Debug)]
pub struct Recorded<E, S> {
    engine: E,
    sink: S,
}

impl<E, S> Recorded<E, S> {
    /// Records `engine`, which has handled nothing yet.
    pub fn new(engine: E, sink: S) -> Recorded<E, S> {
        Recorded { engine, sink }
    }
}

impl<E, S> Engine for Recorded<E, S>
where
    E: Engine<Message: Clone + Encode + Vocabulary<Record: Encode>>,
    S: FnMut(Step<E::Message>),
{
    type Message = E::Message;
    type Counters = E::Counters;

    fn handle(&mut self, now: Instant, input: Input<E::Message>, out: &mut Outbox<E::Message>) {
        let told = input.clone();
        let before = out.len();
        self.engine.handle(now, input, out);
        let said = out.outputs().skip(before);
        (self.sink)(Step { now, input: told, outputs: digest(said) });
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.engine.next_timeout()
    }

    fn counters(&self) -> E::Counters {
        self.engine.counters()
    }
}

/// The digest of outputs in their order: BLAKE3 over their canonical bytes.
pub fn digest<'a, M>(outputs: impl Iterator<Item = &'a Output<M>>) -> Digest
where
    M: Vocabulary<Record: Encode> + Encode + 'a,
{
    let mut bytes = Vec::new();
    outputs.for_each(|output| output.encode(&mut bytes));
    quorumark_primitives::hash::blake3(&bytes)
}

/// The steps of one engine from its start, as many as it may keep.
///
/// When it is full it keeps what it has and counts the rest: the beginning of a run can be replayed,
/// its end cannot.
#[derive(Debug, Clone)]
pub struct InputLog<M: Vocabulary> {
    steps: Vec<Step<M>>,
    steps_max: usize,
    left_out: u64,
}

impl<M: Vocabulary> InputLog<M> {
    /// An empty log of at most `steps_max` steps.
    pub fn new(steps_max: usize) -> InputLog<M> {
        InputLog { steps: Vec::new(), steps_max, left_out: 0 }
    }

    /// Keeps a step, or counts it when the log is full.
    pub fn push(&mut self, step: Step<M>) {
        assert!(self.steps.last().is_none_or(|last| last.now <= step.now), "time never falls");
        if self.steps.len() < self.steps_max {
            self.steps.push(step);
        } else {
            self.left_out += 1;
        }
    }

    /// What is kept, oldest first.
    pub fn steps(&self) -> &[Step<M>] {
        &self.steps
    }

    /// Steps that found no place.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pbft::Message;

    #[test]
    fn a_full_log_keeps_the_beginning_and_counts_the_rest() {
        let mut log = InputLog::<Message>::new(2);
        for now in 1..=5 {
            log.push(Step { now: Instant(now), input: Input::Timeout, outputs: Digest::ZERO });
        }
        let kept: Vec<_> = log.steps().iter().map(|step| step.now.0).collect();
        assert_eq!((kept, log.left_out()), (alloc::vec![1, 2], 3));
    }
}
