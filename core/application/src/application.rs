//! The contract between a driver's execute stage and a state machine.

use bytes::Bytes;
use quorumark_consensus::engine::{Executed, Execution};
use quorumark_consensus::request::RESULT_BYTES_MAX;
use quorumark_consensus::types::{ClientId, Seq};
use quorumark_primitives::Digest;

/// A deterministic state machine.
///
/// One execute stage owns it and calls [`Application::execute`] once for each sequence number, in
/// rising order. Nothing that a client sends may make it panic: a bad operation gets a result that
/// says so, and leaves the state as it was.
pub trait Application: Send {
    /// Executes the operations of one batch, in order, and appends one result for each.
    ///
    /// What it keeps of an operation's bytes it copies: they are views of a received frame, and a
    /// kept view would hold the whole frame in memory. No result is longer than
    /// [`RESULT_BYTES_MAX`].
    ///
    /// # Panics
    /// When `seq` does not rise, which is the caller's mistake.
    fn execute<'a>(
        &mut self,
        seq: Seq,
        operations: impl Iterator<Item = (ClientId, &'a Bytes)>,
        results: &mut Vec<Bytes>,
    );

    /// The Merkle root of the state (RFC 6962, section 2.1).
    ///
    /// The cost grows with what was written since the last call, not with the state.
    fn root(&mut self) -> Digest;
}

/// Executes the requests of a committed batch that were not executed before, and takes the state
/// root where the engine wants one.
///
/// # Panics
/// When [`Execution::fresh`] names a request that the batch does not have, or the application
/// breaks its contract on results: both are bugs, not inputs.
pub fn run(application: &mut impl Application, execution: &Execution) -> Executed {
    let Execution { seq, batch, fresh, checkpoint, .. } = execution;
    debug_assert!(fresh.is_sorted_by(|a, b| a < b), "a request of {seq} is named twice");
    let operations = fresh.iter().map(|&nth| {
        let request = &batch.requests()[nth as usize].request;
        (request.client, &request.operation)
    });
    let mut results = Vec::with_capacity(fresh.len());
    application.execute(*seq, operations, &mut results);
    assert_eq!(results.len(), fresh.len(), "one result for each request of {seq}");
    debug_assert!(results.iter().all(|result| result.len() <= RESULT_BYTES_MAX));
    let state_root = checkpoint.then(|| application.root());
    Executed { seq: *seq, results, state_root }
}
