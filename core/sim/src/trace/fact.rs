//! Everything that can happen in a run.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use quorumark_consensus::request::{Batch, RequestView};
use quorumark_consensus::types::{ClientId, ReplicaId, Seq, Timestamp, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use serde_json::{Map, Value};

use super::Event;
use super::field::{Field, FieldError, Fields, record};
use super::header::Header;
use super::name::{DiskLoss, DropCause, EndCause, MessageKind, Party, Phase, VoteKind, names};

/// Declares [`Fact`]: each variant, the byte of its encoding (fixed forever), its word in JSON.
macro_rules! facts {
    ($($(#[$doc:meta])* $variant:ident($record:ty) = $byte:literal, $word:literal;)*) => {
        /// What happened. What is emitted millions of times a second allocates nothing.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Fact {
            $($(#[$doc])* $variant($record),)*
        }

        /// Which fact a fact is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum FactKind {
            $($(#[$doc])* $variant = $byte,)*
        }

        impl Fact {
            /// Which fact it is.
            pub fn kind(&self) -> FactKind {
                match self {
                    $(Fact::$variant(_) => FactKind::$variant,)*
                }
            }

            /// The word that names the fact in a line of a trace.
            pub fn word(&self) -> &'static str {
                match self {
                    $(Fact::$variant(_) => $word,)*
                }
            }
        }

        impl Field for Fact {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Fact::$variant(record) => {
                        out.push($byte);
                        record.encode(out);
                    })*
                }
            }
            fn to_json(&self) -> Value {
                let (word, record) = match self {
                    $(Fact::$variant(record) => ($word, record.to_json()),)*
                };
                Value::Object(Map::from_iter([(word.to_owned(), record)]))
            }
            fn from_json(value: Value) -> Result<Self, FieldError> {
                let mut fields = Fields::of(value)?;
                let missing = || FieldError::new("must name one fact");
                let (word, record) = fields.take_last().ok_or_else(missing)?;
                let fact = match word.as_str() {
                    $($word => Field::from_json(record).map(Fact::$variant),)*
                    _ => Err(FieldError::new("is no fact")),
                };
                let fact = fact.map_err(|error| error.within(&word))?;
                fields.finish()?;
                Ok(fact)
            }
        }
    };
}

facts! {
    /// The run begins: always the first event.
    Begun(Box<Header>) = 1, "begun";
    /// A client submits a request for the first time.
    Submitted(Submitted) = 2, "submitted";
    /// A client has its answer.
    Answered(Answered) = 3, "answered";
    /// A reply leaves a replica.
    Replied(Replied) = 4, "replied";
    /// A vote leaves a replica.
    Said(Said) = 5, "said";
    /// A message arrives and is let in.
    Delivered(Delivered) = 6, "delivered";
    /// A message does not arrive, or is not let in.
    Dropped(Dropped) = 7, "dropped";
    /// A replica reaches a moment of the protocol that no other fact tells.
    Reached(Reached) = 8, "reached";
    /// An engine hands out a batch: it is decided here.
    Committed(Committed) = 9, "committed";
    /// A replica's application executed a batch.
    Executed(Arc<Executed>) = 10, "executed";
    /// A replica's application undid tentative executions.
    RolledBack(RolledBack) = 11, "rolled-back";
    /// A replica reached the state of a checkpoint.
    Checkpointed(Checkpointed) = 12, "checkpointed";
    /// A checkpoint is stable at a replica.
    Stable(StableReached) = 13, "stable";
    /// A replica has fetched a state.
    TransferFinished(TransferFinished) = 14, "transfer-finished";
    /// A replica stops and forgets.
    Crashed(Crashed) = 15, "crashed";
    /// A replica begins again with what its disk holds.
    Restarted(Restarted) = 16, "restarted";
    /// The simulator injects a fault.
    Fault(Fault) = 17, "fault";
    /// How full a bounded thing is.
    Gauge(Gauge) = 18, "gauge";
    /// A replica caught another at breaking the protocol.
    Equivocated(Equivocated) = 19, "equivocated";
    /// A replica panicked.
    Panicked(Panicked) = 20, "panicked";
    /// The run is over: always the last event.
    Ended(Ended) = 21, "ended";
}

// Facts are moved on their way to who reads them, the more often the smaller the kind: the most that
// compilers move by a few registers.
const _: () = assert!(size_of::<Event>() <= 128);

impl Fact {
    /// The fact as JSON: an object of one field, which is named after the fact.
    pub fn json(&self) -> Value {
        self.to_json()
    }

    /// Whether it is one of the many facts of single messages, which a written trace may leave out.
    pub fn is_network(&self) -> bool {
        matches!(self, Fact::Delivered(_) | Fact::Dropped(_))
    }
}

record! {
    /// A request, as a batch orders it.
    Ordered {
        /// Who asked.
        client: ClientId,
        /// The client's own request number.
        timestamp: Timestamp,
        /// The digest that the client signed and the batch binds.
        digest: Digest,
    }
}

impl Ordered {
    /// The requests of a batch, in order.
    pub fn of_batch(batch: &Batch) -> Arc<[Ordered]> {
        let ordered = |request: RequestView<'_>| {
            let (client, timestamp) = request.id();
            Ordered { client, timestamp, digest: request.digest() }
        };
        batch.requests().map(ordered).collect()
    }
}

names! {
    /// By what a client accepted an answer.
    Acknowledgement {
        /// f + 1 equal replies of an ordered and committed request.
        Committed = 1, "committed";
        /// A quorum of equal tentative replies.
        Tentative = 2, "tentative";
        /// A quorum of equal replies to a request that was not ordered.
        ReadOnly = 3, "read-only";
    }
}

record! {
    /// A client submits a request for the first time. Sending it again is not told.
    Submitted {
        /// Who asks.
        client: ClientId,
        /// The client's own request number.
        timestamp: Timestamp,
        /// The digest that the client signs.
        digest: Digest,
        /// What the application shall do, in its own encoding.
        operation: Bytes,
    }
}

record! {
    /// A client has its answer.
    Answered {
        /// Who asked.
        client: ClientId,
        /// The client's own request number.
        timestamp: Timestamp,
        /// The sequence number that executed it, as the replies say; 0 for a read-only request.
        seq: Seq,
        /// The result, in the application's encoding.
        result: Bytes,
        /// By what it was accepted.
        how: Acknowledgement,
        /// The replicas that gave the equal replies.
        replicas: Vec<ReplicaId>,
    }
}

record! {
    /// A reply leaves a replica.
    Replied {
        /// Who answers.
        replica: ReplicaId,
        /// Who asked.
        client: ClientId,
        /// The client's own request number.
        timestamp: Timestamp,
        /// The replica's view.
        view: View,
        /// The sequence number that executed it.
        seq: Seq,
        /// BLAKE3 of the result.
        result: Digest,
        /// Whether the execution was tentative, or the request read-only and not ordered.
        tentative: bool,
    }
}

record! {
    /// A vote leaves a replica, its record durable. What is sent again may be told again.
    Said {
        /// Who says it.
        replica: ReplicaId,
        /// How often the replica had restarted; for twins, which of them.
        incarnation: u32,
        /// What it votes on.
        kind: VoteKind,
        /// The view; 0 for a checkpoint.
        view: View,
        /// The sequence number, as [`VoteKind`] says.
        seq: Seq,
        /// What it votes for.
        digest: Digest,
        /// Its signature under the statement, so that two votes that conflict are a proof.
        signature: Signature,
    }
}

record! {
    /// A message arrives and is let in.
    Delivered {
        /// From whom.
        from: Party,
        /// To whom.
        to: Party,
        /// What it is.
        kind: MessageKind,
        /// Its size.
        bytes: u32,
    }
}

record! {
    /// A message does not arrive, or is not let in.
    Dropped {
        /// From whom.
        from: Party,
        /// To whom.
        to: Party,
        /// What it is.
        kind: MessageKind,
        /// Its size.
        bytes: u32,
        /// Why.
        cause: DropCause,
    }
}

record! {
    /// A replica reaches a moment of the protocol.
    Reached {
        /// Who.
        replica: ReplicaId,
        /// What. Committed, executed, stable and transferred have facts of their own.
        phase: Phase,
        /// The view it concerns; of phases that have none, 0.
        view: View,
        /// The sequence number it concerns; of phases that have none, 0.
        seq: Seq,
    }
}

record! {
    /// An engine hands out a batch: it is decided here.
    Committed {
        /// At which replica.
        replica: ReplicaId,
        /// How often the replica had restarted.
        incarnation: u32,
        /// The batch's place in the total order.
        seq: Seq,
        /// The view in which it committed.
        view: View,
        /// The digest that the votes name.
        digest: Digest,
        /// The requests of the batch, in order.
        requests: Arc<[Ordered]>,
        /// The signatures that committed it.
        certificate: Arc<[(ReplicaId, Signature)]>,
    }
}

record! {
    /// A replica's application executed a batch.
    Executed {
        /// At which replica.
        replica: ReplicaId,
        /// How often the replica had restarted.
        incarnation: u32,
        /// The batch's place in the total order.
        seq: Seq,
        /// The view in which it committed, or was prepared when tentative.
        view: View,
        /// The digest that the votes name.
        digest: Digest,
        /// The requests of the batch, in order.
        requests: Arc<[Ordered]>,
        /// The positions of those that were executed now; the others are repeats.
        fresh: Vec<u32>,
        /// BLAKE3 over the results of the fresh ones, each as its length in 4 bytes, little-endian,
        /// and its bytes.
        results: Digest,
        /// Whether it was executed before it was committed.
        tentative: bool,
    }
}

record! {
    /// A replica's application undid tentative executions.
    RolledBack {
        /// At which replica.
        replica: ReplicaId,
        /// The last sequence number whose execution stands.
        to: Seq,
    }
}

record! {
    /// A replica reached the state of a checkpoint by execution.
    Checkpointed {
        /// At which replica.
        replica: ReplicaId,
        /// The sequence number after which the state was taken.
        seq: Seq,
        /// The application's state root.
        root: Digest,
        /// The digest that its CHECKPOINT names (PBFT 4.3).
        state: Digest,
    }
}

record! {
    /// A checkpoint is stable at a replica (PBFT 4.3).
    StableReached {
        /// At which replica.
        replica: ReplicaId,
        /// The sequence number.
        seq: Seq,
        /// The digest that the certificate vouches for.
        state: Digest,
        /// The signatures of CHECKPOINT messages that make it stable.
        certificate: Arc<[(ReplicaId, Signature)]>,
    }
}

record! {
    /// A replica has fetched a state; its application stands there from now on.
    TransferFinished {
        /// At which replica.
        replica: ReplicaId,
        /// The sequence number of the state.
        seq: Seq,
        /// The digest of the checkpoint it was checked against.
        state: Digest,
        /// The application's state root.
        root: Digest,
        /// Bytes fetched for it.
        bytes: u64,
    }
}

record! {
    /// A replica stops and forgets what is not on its disk.
    Crashed {
        /// Which replica.
        replica: ReplicaId,
        /// What happens to the disk.
        disk: DiskLoss,
    }
}

record! {
    /// A replica begins again with what its disk holds.
    Restarted {
        /// Which replica.
        replica: ReplicaId,
        /// How often it has restarted, this time included.
        incarnation: u32,
        /// The sequence number at which its application stands.
        executed: Seq,
        /// Journal records that it was given.
        records: u64,
    }
}

record! {
    /// The simulator injects a fault: a cut link, a lost or doubled message, a lie.
    Fault {
        /// Which kind, as `quorumark sim --list-faults` names it.
        kind: Cow<'static, str>,
        /// At which replica, if at one.
        replica: Option<ReplicaId>,
    }
}

record! {
    /// How full a bounded thing is. Told when a new peak is reached, and as often as the emitter
    /// likes.
    Gauge {
        /// At which replica.
        replica: ReplicaId,
        /// The bounded thing.
        bound: Cow<'static, str>,
        /// How many it holds.
        value: u64,
        /// How many it may hold.
        cap: u64,
    }
}

record! {
    /// A replica caught another at breaking the protocol.
    Equivocated {
        /// Who noticed.
        replica: ReplicaId,
        /// Who signed two statements that conflict.
        culprit: ReplicaId,
        /// What they are.
        kind: MessageKind,
    }
}

record! {
    /// A replica panicked.
    Panicked {
        /// Which replica, if it was one.
        replica: Option<ReplicaId>,
        /// What it said.
        message: Cow<'static, str>,
    }
}

record! {
    /// The run is over.
    Ended {
        /// Why.
        cause: EndCause,
    }
}
