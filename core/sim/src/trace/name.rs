//! The closed sets of names that facts use: one byte in the hash, one word in JSON.

use quorumark_consensus::types::{ClientId, ReplicaId};
use serde_json::{Map, Value};

use super::field::{Field, FieldError, Fields};

/// Declares a set of names: each a variant, a byte fixed forever, and a word.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $byte:literal, $word:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $byte,)*
        }

        impl $name {
            /// Every name, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word, as scenarios and traces spell it.
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }

            /// The name that is spelled so.
            pub fn from_word(word: &str) -> Option<$name> {
                match word {
                    $($word => Some($name::$variant),)*
                    _ => None,
                }
            }
        }

        impl Field for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                out.push(*self as u8);
            }
            fn to_json(&self) -> Value {
                Value::String(self.word().to_owned())
            }
            fn from_json(value: Value) -> Result<Self, FieldError> {
                let found = value.as_str().and_then($name::from_word);
                let expected = concat!("must be one of" $(, " ", $word)*);
                found.ok_or(FieldError::new(expected))
            }
        }
    };
}
pub(super) use names;

names! {
    /// A moment of the protocol, as scenarios name it.
    Phase {
        /// PBFT: a proposal was accepted.
        PrePrepared = 1, "pre-prepared";
        /// PBFT: a quorum agreed within the view.
        Prepared = 2, "prepared";
        /// A batch is decided.
        Committed = 3, "committed";
        /// A batch was executed.
        Executed = 4, "executed";
        /// PBFT: a checkpoint has its certificate.
        CheckpointStable = 5, "checkpoint-stable";
        /// PBFT: the replica left its view.
        ViewChangeSent = 6, "view-change-sent";
        /// PBFT: the new primary opened the view.
        NewViewSent = 7, "new-view-sent";
        /// The replica takes part in the view.
        ViewEntered = 8, "view-entered";
        /// The replica began to fetch a state.
        StateTransferStarted = 9, "state-transfer-started";
        /// The replica has the state.
        StateTransferFinished = 10, "state-transfer-finished";
        /// HotStuff: a leader proposed.
        Proposed = 11, "proposed";
        /// HotStuff: a replica voted.
        Voted = 12, "voted";
        /// HotStuff: a quorum certificate was formed.
        QcFormed = 13, "qc-formed";
        /// HotStuff: the lock rose.
        Locked = 14, "locked";
        /// HotStuff: a replica's view timed out.
        TimeoutSent = 15, "timeout-sent";
    }
}

names! {
    /// What a replica can vote for by its signature: what it must not contradict.
    VoteKind {
        /// PBFT 4.2, the primary's proposal.
        PrePrepare = 1, "pre-prepare";
        /// PBFT 4.2.
        Prepare = 2, "prepare";
        /// PBFT 4.2.
        Commit = 3, "commit";
        /// PBFT 4.3; it has no view, which is told as 0.
        Checkpoint = 4, "checkpoint";
        /// PBFT 4.4; the digest is that of its body, the sequence number that of its checkpoint.
        ViewChange = 5, "view-change";
        /// PBFT 4.4; the digest is that of its body, the sequence number is 0.
        NewView = 6, "new-view";
        /// HotStuff: a leader's proposal; the sequence number is 0.
        Proposal = 7, "proposal";
        /// HotStuff: a vote; the sequence number is the phase.
        Vote = 8, "vote";
    }
}

names! {
    /// What travels over a link.
    MessageKind {
        /// A client's request.
        Request = 1, "request";
        /// An answer to a client.
        Reply = 2, "reply";
        /// PBFT 4.2.
        PrePrepare = 3, "pre-prepare";
        /// PBFT 4.2.
        Prepare = 4, "prepare";
        /// PBFT 4.2.
        Commit = 5, "commit";
        /// PBFT 4.3.
        Checkpoint = 6, "checkpoint";
        /// PBFT 4.4.
        ViewChange = 7, "view-change";
        /// PBFT 4.4.
        NewView = 8, "new-view";
        /// What a replica has and lacks.
        Status = 9, "status";
        /// Asks for a body.
        Fetch = 10, "fetch";
        /// A batch by its digest.
        Body = 11, "body";
        /// Asks for a state.
        FetchState = 12, "fetch-state";
        /// The digests of a state's parts.
        StateManifest = 13, "state-manifest";
        /// A piece of a state.
        StateSlice = 14, "state-slice";
        /// HotStuff.
        Proposal = 15, "proposal";
        /// HotStuff.
        Vote = 16, "vote";
        /// HotStuff.
        Timeout = 17, "timeout";
        /// HotStuff: a replica tells the next leader its highest certificate.
        NextView = 18, "next-view";
        /// Bytes that decode as nothing.
        Garbage = 19, "garbage";
        /// Any other kind.
        Other = 20, "other";
    }
}

names! {
    /// Why a message did not arrive.
    DropCause {
        /// The link lost it.
        Loss = 1, "loss";
        /// The link was cut.
        Partition = 2, "partition";
        /// The receiver was down.
        Down = 3, "down";
        /// The receiver's queue was full.
        QueueFull = 4, "queue-full";
        /// It did not decode.
        Undecodable = 5, "undecodable";
        /// The verifier refused it.
        Refused = 6, "refused";
        /// A Byzantine sender withheld it.
        Withheld = 7, "withheld";
    }
}

names! {
    /// What a crash does to the disk.
    DiskLoss {
        /// All that was written stays.
        Keep = 1, "keep";
        /// What was not synced is gone.
        LoseUnsynced = 2, "lose-unsynced";
        /// The unsynced tail is torn.
        Torn = 3, "torn";
        /// Everything is gone.
        LoseAll = 4, "lose-all";
    }
}

names! {
    /// Why a run ended.
    EndCause {
        /// Its simulated time is over.
        Duration = 1, "duration";
        /// `--max-events` is spent.
        EventsSpent = 2, "events-spent";
        /// A replica panicked.
        Panic = 3, "panic";
        /// Nothing is left to happen.
        Idle = 4, "idle";
    }
}

/// An end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A replica.
    Replica(ReplicaId),
    /// A client.
    Client(ClientId),
}

impl Field for Party {
    fn encode(&self, out: &mut Vec<u8>) {
        let (tag, id) = match self {
            Party::Replica(id) => (0, u32::from(id.0)),
            Party::Client(id) => (1, id.0),
        };
        out.push(tag);
        id.encode(out);
    }
    fn to_json(&self) -> Value {
        let (word, id) = match self {
            Party::Replica(id) => ("replica", id.to_json()),
            Party::Client(id) => ("client", id.to_json()),
        };
        Value::Object(Map::from_iter([(word.to_owned(), id)]))
    }
    fn from_json(value: Value) -> Result<Self, FieldError> {
        let mut fields = Fields::of(value)?;
        let party = match fields.take_last() {
            Some((word, id)) if word == "replica" => Party::Replica(ReplicaId::from_json(id)?),
            Some((word, id)) if word == "client" => Party::Client(ClientId::from_json(id)?),
            _ => return Err(FieldError::new("must name a replica or a client")),
        };
        fields.finish()?;
        Ok(party)
    }
}
