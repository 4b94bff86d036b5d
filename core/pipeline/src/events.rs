//! What the cluster tells an observer about commits.

use std::sync::Arc;

use quorumark_consensus::types::{ClientId, ReplicaId, Seq, Timestamp, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;

/// One batch, executed and committed at one replica.
#[derive(Debug, Clone)]
pub struct CommitEvent {
    /// Where.
    pub replica: ReplicaId,
    /// Its place in the order.
    pub seq: Seq,
    /// Where the replica stood: at the last batch that it told of, or at a state that it took over
    /// since (PBFT 4.3), whose batches it never executed.
    pub after: Seq,
    /// The view in which it committed.
    pub view: View,
    /// The batch's digest.
    pub digest: Digest,
    /// Requests in the batch, repeats included.
    pub requests: u32,
    /// The requests that this replica executed, in order; repeats are left out.
    pub executed: Vec<(ClientId, Timestamp)>,
    /// The quorum of commit signatures, as the replica holds them.
    pub certificate: Arc<[(ReplicaId, Signature)]>,
    /// When its results were there, and it was committed: nanoseconds on the cluster's clock.
    pub at_ns: u64,
}
