//! The trace of a run: what happened, when, in one order.
//!
//! A run emits [`Event`]s; checkers read them and nothing else. The first event is
//! [`Fact::Begun`], the last one [`Fact::Ended`], and times never decrease. Nothing has to be kept:
//! [`TraceHash`] and the checkers read the events as they come, and [`LineWriter`] writes them for
//! people ([`LineReader`] reads them back).
//!
//! # What emitters owe
//! - [`Fact::Said`] stands where a vote *leaves* its replica, its journal record durable. What a
//!   crash takes before it left was never said. Votes that are sent again may be told again.
//! - [`Fact::Committed`] stands where an engine hands out a batch, [`Fact::Executed`] where the
//!   application has executed it.
//! - [`Fact::Restarted`] and [`Fact::TransferFinished`] tell at which sequence number the
//!   application stands from then on, [`Fact::RolledBack`] likewise.
//! - Whether facts of the network ([`Fact::is_network`]) are written as lines may be chosen; they
//!   are always emitted and hashed, so that a trace's hash depends on no flag.

mod fact;
mod field;
mod hash;
mod header;
mod lines;
mod name;

pub use fact::{
    Acknowledgement, Answered, Checkpointed, Committed, Crashed, Delivered, Dropped, Ended,
    Equivocated, Executed, Fact, FactKind, Fault, Gauge, Ordered, Panicked, Reached, Replied,
    Restarted, RolledBack, Said, StableReached, Submitted, TransferFinished,
};
pub use field::FieldError;
pub use hash::TraceHash;
pub use header::{Auth, Crypto, Header};
pub use lines::{LINE_BYTES_MAX, LineReader, LineWriter, TraceError};
pub use name::{DiskLoss, DropCause, EndCause, MessageKind, Party, Phase, VoteKind};

use quorumark_consensus::types::{Instant, ReplicaId, Seq, View};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Simulated time, in nanoseconds since the start of the run.
    pub at: Instant,
    /// What happened.
    pub fact: Fact,
}

/// A moment of the protocol at one replica, as scenarios name it to let an event wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// At which replica.
    pub replica: ReplicaId,
    /// What it reached.
    pub phase: Phase,
    /// The view it concerns; of phases that have none, the first.
    pub view: View,
    /// The sequence number it concerns; of phases that have none, 0.
    pub seq: Seq,
}

impl Event {
    /// Appends the canonical encoding: the time, the fact's number, the fact's fields in order.
    /// No two events share one, so equal hashes of traces mean equal traces.
    pub fn encode(&self, out: &mut Vec<u8>) {
        field::Field::encode(&self.at, out);
        field::Field::encode(&self.fact, out);
    }

    /// The moment of the protocol that this event is, if it is one.
    pub fn moment(&self) -> Option<Moment> {
        let (replica, phase, view, seq) = match &self.fact {
            Fact::Reached(it) => (it.replica, it.phase, it.view, it.seq),
            Fact::Committed(it) => (it.replica, Phase::Committed, it.view, it.seq),
            Fact::Executed(it) => (it.replica, Phase::Executed, it.view, it.seq),
            Fact::Stable(it) => (it.replica, Phase::CheckpointStable, View(0), it.seq),
            Fact::TransferFinished(it) => {
                (it.replica, Phase::StateTransferFinished, View(0), it.seq)
            }
            _ => return None,
        };
        Some(Moment { replica, phase, view, seq })
    }
}
