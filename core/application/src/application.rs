//! The contract between a driver's execute stage and a state machine.

use bytes::Bytes;
use quorumark_consensus::engine::{Executed, Execution, StateAnswer, StateWork};
use quorumark_consensus::parts::StateRoot;
use quorumark_consensus::request::RESULT_BYTES_MAX;
use quorumark_consensus::types::{ClientId, Seq};
use quorumark_primitives::Digest;
use quorumark_primitives::wire::WireError;
use thiserror::Error;

/// A deterministic state machine.
///
/// One execute stage owns it and calls [`Application::execute`] once for each sequence number, in
/// rising order, and again for one that was undone. Nothing that a client sends may make it panic: a bad operation gets a result that
/// says so, and leaves the state as it was.
pub trait Application: Send {
    /// Executes the operations of one batch, in order, and appends one result for each. No result is
    /// longer than [`RESULT_BYTES_MAX`].
    ///
    /// The operations are views of `frame`; an empty one says nothing of where they lie. What an
    /// application keeps of them it copies, since a kept view would hold the whole frame in memory; or it
    /// keeps the frame itself, no longer than until the root of the next checkpoint is told, up to where a
    /// replica keeps it for its peers in any case, and no more of them than a bound of its own allows.
    ///
    /// # Panics
    /// When `seq` does not rise, which is the caller's mistake.
    fn execute<'a>(
        &mut self,
        seq: Seq,
        frame: &Bytes,
        operations: impl Iterator<Item = (ClientId, &'a [u8])>,
        results: &mut Vec<Bytes>,
    );

    /// Answers an operation that only reads, from the present state, as executing it would; `None`
    /// for one that may write. The default does so, for an application whose operations all write. No
    /// answer, root or part depends on what was asked.
    fn query(&mut self, client: ClientId, operation: &[u8]) -> Option<Bytes> {
        let _ = (client, operation);
        None
    }

    /// The Merkle root of the state (RFC 6962, section 2.1).
    ///
    /// The cost grows with what was written since the last call, not with the state.
    fn root(&mut self) -> Digest;

    /// Keeps the present state as that of a checkpoint, until [`Application::retain`] lets it go,
    /// and tells its root. It costs what the root costs: nothing of the state is copied.
    ///
    /// Here, and in the methods below, the default is that of an application which keeps nothing: it
    /// can be executed on, but not transferred or rolled back.
    fn checkpoint(&mut self, seq: Seq) -> StateRoot {
        let _ = seq;
        StateRoot { root: self.root(), leaves: 1 }
    }

    /// Begins what [`Application::checkpoint`] does, and leaves the hashes to
    /// [`Application::settle`]: what is executed meanwhile does not wait for them and does not change
    /// the root. The default computes it at once.
    ///
    /// # Panics
    /// It may when the one begun before has not been settled.
    fn begin_checkpoint(&mut self, seq: Seq) -> Option<StateRoot> {
        Some(self.checkpoint(seq))
    }

    /// Does a bounded part of what a checkpoint that was begun still needs.
    fn settle(&mut self) -> Settling {
        Settling::Nothing
    }

    /// How many leaves the state has at a kept checkpoint, or at present, and the digests of the
    /// parts that [`Cut`] makes of them; `None` when the checkpoint is not kept.
    ///
    /// [`Cut`]: quorumark_consensus::parts::Cut
    fn part_digests(&mut self, at: Option<Seq>) -> Option<(u64, Vec<Digest>)> {
        let _ = at;
        None
    }

    /// One part of a kept checkpoint: its leaves, each by
    /// [`quorumark_consensus::parts::append_leaf`].
    fn part(&self, seq: Seq, nth: u32) -> Option<Bytes> {
        let _ = (seq, nth);
        None
    }

    /// Keeps the checkpoints from `from` on, and `leased`; lets go of the others, and of what it
    /// takes to go back below the oldest of the two.
    fn retain(&mut self, from: Seq, leased: Option<Seq>) {
        let _ = (from, leased);
    }

    /// Goes back to the state after `seq`, as if nothing later had been executed: that of a kept
    /// checkpoint, or of one that was begun, the one that it all began with, or the one before the
    /// batch executed last. That one alone can be undone by itself, and no longer once a checkpoint
    /// follows it: a replica executes ahead by one batch (TOCS'02 5.1.2) and never ahead of a checkpoint.
    ///
    /// # Errors
    /// [`NotKept`] for another state, and for one that is let go; the state is as it was.
    fn rollback_to(&mut self, seq: Seq) -> Result<(), NotKept> {
        Err(NotKept { seq })
    }

    /// Becomes the state after `seq`: the present one, with these parts in place of its own. The new
    /// state is kept as the checkpoint's. What was kept before stays until the next
    /// [`Application::retain`], and can be gone back to: it costs what the parts replaced, at most
    /// the old state.
    ///
    /// # Errors
    /// [`RestoreError`]; the state is as it was.
    fn restore(
        &mut self,
        seq: Seq,
        state: StateRoot,
        parts: &[(u32, Bytes)],
    ) -> Result<(), RestoreError> {
        let _ = (seq, state, parts);
        Err(RestoreError::Unable)
    }
}

/// What came of [`Application::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// No checkpoint was begun, or its root was told.
    Nothing,
    /// Some of it is done.
    More,
    /// The checkpoint is kept, as far as the application keeps any, and this is its root.
    Done {
        /// The checkpoint.
        seq: Seq,
        /// The root of the state after it.
        state: StateRoot,
    },
}

/// A state that can no longer be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the state after {seq} is no longer kept: transfer it from a peer")]
pub struct NotKept {
    /// The state asked for.
    pub seq: Seq,
}

/// Why a state could not be restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// The application keeps no snapshots.
    #[error("this application cannot be restored from parts")]
    Unable,
    /// The state has another shape: the application is set up differently.
    #[error("a state of {leaves} leaves does not fit: set up every replica alike")]
    Shape {
        /// Leaves of the state offered.
        leaves: u64,
    },
    /// A part is not one of this application.
    #[error("part {nth} cannot be read: {error}")]
    Part {
        /// Its place.
        nth: u32,
        /// What does not fit.
        error: WireError,
    },
    /// The parts give another root.
    #[error("the parts give the root {found}")]
    Root {
        /// The root they give.
        found: Digest,
    },
}

/// Executes the requests of a committed batch that were not executed before, and takes the state
/// root where the engine wants one.
///
/// # Panics
/// When [`Execution::fresh`] names a request that the batch does not have, or the application
/// breaks its contract on results: both are bugs, not inputs.
pub fn run(application: &mut impl Application, execution: &Execution) -> Executed {
    let (seq, results) = execute(application, execution);
    let state_root = execution.checkpoint.then(|| application.checkpoint(seq));
    Executed { seq, results, state_root }
}

/// As [`run`], but only begins a checkpoint: its root comes by [`Application::settle`], and has to
/// before the next checkpoint is executed.
///
/// # Panics
/// As [`run`].
pub fn run_and_begin(application: &mut impl Application, execution: &Execution) -> Executed {
    let (seq, results) = execute(application, execution);
    let state_root = match execution.checkpoint {
        true => application.begin_checkpoint(seq),
        false => None,
    };
    Executed { seq, results, state_root }
}

fn execute(application: &mut impl Application, execution: &Execution) -> (Seq, Vec<Bytes>) {
    let Execution { seq, batch, fresh, .. } = execution;
    debug_assert!(fresh.is_sorted_by(|a, b| a < b), "a request of {seq} is named twice");
    let operations = fresh.iter().map(|&nth| {
        let request = batch.request(nth).expect("what is fresh is one of the batch");
        (request.client(), request.operation())
    });
    let mut results = Vec::with_capacity(fresh.len());
    application.execute(*seq, batch.frame(), operations, &mut results);
    assert_eq!(results.len(), fresh.len(), "one result for each request of {seq}");
    debug_assert!(results.iter().all(|result| result.len() <= RESULT_BYTES_MAX));
    (*seq, results)
}

/// Does what an engine asks of the state; `None` for what has no answer.
///
/// [`StateWork::Retain`] is done at once: a driver with a journal calls this only once it is durable
/// as far as the work says.
///
/// # Panics
/// When a tentative execution cannot be undone: an application that keeps nothing is not to be driven
/// by an engine that executes tentatively.
pub fn serve(application: &mut impl Application, work: StateWork) -> Option<StateAnswer> {
    match work {
        StateWork::Digests { at } => {
            Some(StateAnswer::Digests { at, found: application.part_digests(at) })
        }
        StateWork::Read { seq, nth } => {
            Some(StateAnswer::Part { seq, nth, found: application.part(seq, nth) })
        }
        StateWork::Query { operations } => {
            let answers =
                operations.iter().map(|(client, operation)| application.query(*client, operation));
            Some(StateAnswer::Results { results: answers.collect() })
        }
        StateWork::Restore { seq, state, parts } => {
            let done = application.restore(seq, state, &parts).is_ok();
            Some(StateAnswer::Restored { seq, done })
        }
        StateWork::Rollback { to } => {
            let undone = application.rollback_to(to);
            undone.expect("a state machine that executes tentatively can go back by one batch");
            None
        }
        StateWork::Retain { from, leased, after: _ } => {
            application.retain(from, leased);
            None
        }
    }
}
