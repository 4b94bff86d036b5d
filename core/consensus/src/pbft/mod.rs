//! Practical Byzantine Fault Tolerance (Castro and Liskov, OSDI'99; TOCS'02): agreement with batching
//! and pipelining over the window, checkpoints, exactly-once execution, the view change and the
//! repair of lost messages.
//!
//! Deviations from the paper, each with its reason:
//! - Every protocol message is signed (OSDI'99, not the MAC variant of 4.5): certificates are shown
//!   to others. `ClientProof` is about client requests alone.
//! - "2f + 1" is `committee.quorum()` and "2f prepares" is `quorum - 1`, so that every n is served.
//! - A pre-prepare names a batch digest, which binds the ordered requests; the bodies travel with
//!   it, so a backup without them cannot prepare.
//! - Execution pauses at a checkpoint until its results are back, so that the digest covers exactly
//!   that sequence number although execution runs on another thread.
//! - The log is cut a window below the stable checkpoint, not at it, so that a replica that lags by
//!   less than a window catches up by messages.
//! - A NEW-VIEW holds the VIEW-CHANGEs of V whole, and bodies are fetched by digest.
//! - For starting the timer of a view, VIEW-CHANGEs for later ones count: only the one of the highest
//!   view is kept of each replica.
//! - A committed batch goes to a replica of another view with its commit certificate, so that state
//!   transfer is for what no log holds any more.
//! - Retransmission is asked for by status messages (TOCS'02 5.2), one bounded message a period.
//! - What was executed tentatively is undone to the last committed batch, not to a checkpoint, and
//!   after that reads wait for what takes its place (see `tentative`).
//! - After a restart a replica answers no read-only request until it is past all that it may have
//!   executed before: its state is older than what it has answered (see `reads`).

use quorumark_primitives::signed::ProtocolId;

mod agreement;
mod batcher;
mod bodies;
mod certificate;
mod checkpoint;
mod config;
mod counters;
mod early;
mod execution;
mod inspect;
mod journal;
mod log;
mod message;
mod new_view;
mod reads;
mod recovery;
mod rejoin;
mod repair;
mod replica;
mod restore;
mod serving;
mod state_message;
mod statement;
mod tentative;
mod timer;
mod transfer;
mod view_change;
mod view_message;
mod votes;

pub use certificate::{CheckpointCertificate, CommitCertificate, PreparedCertificate, Voucher};
pub use config::{CheckedConfig, Config, ConfigError};
pub use inspect::{FILLS, Fill};
pub use journal::{Record, StableRecord};
pub use message::{KINDS, Message, READ};
pub use replica::{Counters, Pbft};
pub use state_message::{
    FetchState, StateManifest, StateSlice, StateStatement, Tree, TreeParts, Wanted,
};
pub use statement::{
    Checkpoint, Commit, FetchStatement, Heard, NewViewStatement, PrePrepare, Prepare,
    STATUS_SLOTS_MAX, SlotStatus, Status, StatusStatement, ViewChangeStatement, ViewPhase,
};
pub use view_message::{NewView, NewViewBody, Plan, ViewChange, ViewChangeBody};

/// What signatures bind as the protocol.
pub const PROTOCOL: ProtocolId = ProtocolId(1);
