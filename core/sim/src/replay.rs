//! Runs again what threads have run: the recorded inputs of one engine, fed to a fresh one.
//!
//! Threads decide what a live replica hears and when; its engine decides everything else. So a
//! recording of the live order stage, fed to an engine of the same configuration, has to give equal
//! outputs step by step. Where it does not, the engine asked something that is no input: a clock, a
//! random source, the order of a map.

use std::fmt;

use quorumark_consensus::engine::{Engine, Outbox, Vocabulary};
use quorumark_consensus::recording::{InputLog, digest};
use quorumark_consensus::types::Instant;
use quorumark_primitives::Digest;
use quorumark_primitives::wire::Encode;
use thiserror::Error;

/// What a replay that came out equal went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Steps fed.
    pub steps: usize,
    /// Outputs compared.
    pub outputs: usize,
}

/// The first step at which the fresh engine said something else.
#[derive(Clone, PartialEq, Eq, Error)]
#[error("step {step} at {now:?} gave {replayed}, recorded is {recorded}, after {input}")]
pub struct Diverged {
    /// Its place in the log, from 0.
    pub step: usize,
    /// Its clock reading.
    pub now: Instant,
    /// What was told, in words.
    pub input: String,
    /// The digest of what the recorded engine said.
    pub recorded: Digest,
    /// The digest of what the fresh one says.
    pub replayed: Digest,
}

impl fmt::Debug for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Feeds `log` to `engine`, which has handled nothing yet and is configured as the recorded one was.
///
/// # Errors
/// [`Diverged`] at the first step whose outputs differ in any byte.
pub fn replay<E>(mut engine: E, log: &InputLog<E::Message>) -> Result<Replayed, Diverged>
where
    E: Engine<Message: Clone + fmt::Debug + Encode + Vocabulary<Record: Encode>>,
{
    let mut out = Outbox::new();
    let mut replayed = Replayed::default();
    for (nth, step) in log.steps().iter().enumerate() {
        engine.handle(step.now, step.input.clone(), &mut out);
        let said = digest(out.outputs());
        if said != step.outputs {
            let (now, input) = (step.now, format!("{:?}", step.input));
            return Err(Diverged { step: nth, now, input, recorded: step.outputs, replayed: said });
        }
        replayed.steps += 1;
        replayed.outputs += out.drain().len();
    }
    Ok(replayed)
}
