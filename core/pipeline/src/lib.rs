//! The live driver: a cluster of replicas, each as stages on threads, in one process or with a process for
//! each replica ([`cluster::Apart`]).
//!
//! ```text
//! transport -> ingress -> verify (1..k) -> order -> execute -> order
//!                                            |  ^
//!                                            v  | own sealed messages
//!                                          egress -> transport
//! ```
//!
//! Stages are joined by bounded crossbeam channels that carry batches: lock-free but where a thread
//! parks, once it has looked for input as long as [`ClusterConfig::spin`] says. A stage takes what is
//! there, up to its batch size, and never waits for more; the only linger is the engine's. Replicas share nothing but the transport: each decodes and verifies for
//! itself, from bytes.
//!
//! Invariant: every queue is bounded, and no cycle of full queues can stand still. The argument:
//! - *order -> execute -> order*: the engine hands out at most a window of batches before their
//!   results are back, and at most `STATE_WORK_MAX` questions about the state before their answers
//!   are; what it lets go of (`Retain`, without an answer) it tells once for each checkpoint that
//!   becomes stable. Execution pauses at a checkpoint until its results are back, so while `execute`
//!   takes nothing no more checkpoints become stable than the window holds. Both queues have places
//!   for two windows and all questions, so neither stage ever waits there. A root that a checkpoint
//!   promised comes before the results of the next, which are paused for: two at most are on the way.
//! - *order -> egress -> order*: `order` empties the queue of own messages at the start of each turn
//!   and sends at most one batch to `egress` a turn. With E places before `egress`, at most E + 1
//!   batches are there or in hand when `order` blocks, so E + 2 places on the way back always take
//!   what `egress` returns: `egress` never waits for `order`.
//! - *egress -> another replica's ingress*: waits at most `peer_patience`, then drops and counts;
//!   status messages repair it. Replies to clients never wait: a full client is passed over, and
//!   asks again.
//! - *ingress -> verify -> order* may wait, for `order` waits only for `egress`, which goes on.
//!
//! A replica that is stopped alone ends the same way, stage after stage, each once its input closes:
//! `order` takes what `execute` still returns and what `egress` seals, so neither waits for it, and
//! `egress` waits for a living peer no longer than its patience. To the others its inbox is closed:
//! what they send there is gone at once, so nobody waits for a replica that has stopped. Over TCP the
//! sockets to it are shut, which ends a write in progress, and the writers heed the stop of either end.
//!
//! With [`Stages::Merged`] one thread does the work of all five stages of a replica, one after the other, and
//! the queues between them are gone. It waits for nobody but its observer: what a peer's full inbox does not
//! take it keeps, up to a bound and for at most `peer_patience`, and takes no more from clients until the
//! peer does. So a cycle of full inboxes always has a thread that empties its own.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod config;
pub mod events;
pub mod keys;
pub mod metrics;
pub mod port;
pub mod protocol;

mod idle;
mod link;
mod replies;
mod shipped;
mod stage;
mod tcp;
mod thread;

pub use cluster::{
    Apart, ByHand, Cluster, ClusterReport, Hand, ReplicaReport, Seat, StartError, StopError, Turn,
};
pub use config::{
    Checked, ClientAuthKind, ClusterConfig, ConfigError, Pinning, Stages, Transport, cores,
};
pub use events::CommitEvent;
pub use keys::{ClientKeys, ClusterKeys};
pub use metrics::{ReplicaCounts, Snapshot, StageKind, ThreadSnapshot};
pub use port::{ClientPort, PortError};
pub use protocol::Protocol;
