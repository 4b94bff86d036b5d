//! What replicas state under their signatures: one struct a statement, and what each binds.

use alloc::vec::Vec;

use quorumark_primitives::Digest;
use quorumark_primitives::signed::{Domain, Signed, Signer, Statement};
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError, encode_sequence};

use crate::committee::REPLICAS_MAX;
use crate::types::{ReplicaId, Seq, View};

/// The most slots that one status message tells of.
pub const STATUS_SLOTS_MAX: usize = 64;
/// The most bodies that one fetch asks for.
pub(super) const FETCH_DIGESTS_MAX: usize = 256;

/// Declares a statement of one replica: its fields, its encoding, its domain, its signer.
macro_rules! statement {
    ($(#[$doc:meta])* $name:ident in $domain:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// Who says it.
            pub replica: ReplicaId,
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$field.encode(out);)*
                self.replica.encode(out);
            }
        }

        impl Decode for $name {
            const SIZE_MIN: usize = 2 $(+ <$type as Decode>::SIZE_MIN)*;
            fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
                Ok($name {
                    $($field: Decode::decode(reader)?,)*
                    replica: ReplicaId::decode(reader)?,
                })
            }
        }

        impl Statement for $name {
            const DOMAIN: Domain = Domain::$domain;
            fn signer(&self) -> Signer {
                Signer::Replica(self.replica.0)
            }
        }
    };
}

statement! {
    /// PBFT 4.2: `<PRE-PREPARE, v, n, d>`; the batch with digest `d` travels beside it.
    PrePrepare in PrePrepare {
        /// The view.
        view: View,
        /// The sequence number proposed.
        seq: Seq,
        /// [`crate::Batch::digest`].
        digest: Digest,
    }
}

statement! {
    /// PBFT 4.2: `<PREPARE, v, n, d, i>`.
    Prepare in Prepare {
        /// The view.
        view: View,
        /// The sequence number.
        seq: Seq,
        /// The digest of the pre-prepare that it matches.
        digest: Digest,
    }
}

statement! {
    /// PBFT 4.2: `<COMMIT, v, n, D(m), i>`.
    Commit in Commit {
        /// The view.
        view: View,
        /// The sequence number.
        seq: Seq,
        /// The digest that is prepared.
        digest: Digest,
    }
}

statement! {
    /// PBFT 4.3: `<CHECKPOINT, n, d, i>`. It binds no view, so that it matches across views.
    Checkpoint in Checkpoint {
        /// The sequence number after which the state was taken.
        seq: Seq,
        /// The digest of application state, client table, sequence and membership.
        state: Digest,
    }
}

statement! {
    /// What the signature of a VIEW-CHANGE binds (PBFT 4.4): its view, its content, its sender.
    ViewChangeStatement in ViewChange {
        /// The view that the replica moves to.
        view: View,
        /// The digest of everything that it says.
        digest: Digest,
    }
}

statement! {
    /// What the signature of a NEW-VIEW binds (PBFT 4.4).
    NewViewStatement in NewView {
        /// The view that it opens.
        view: View,
        /// The digest of V and O.
        digest: Digest,
    }
}

/// How far a replica is in its view.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum ViewPhase {
    /// It has sent its VIEW-CHANGE and waits for the NEW-VIEW.
    Changing = 0,
    /// It has the NEW-VIEW, and still lacks the state to begin from.
    Opened = 1,
    /// It takes part.
    #[default]
    Active = 2,
    /// It lost its journal and votes for nothing yet; it asks where the others stand.
    Rejoining = 3,
}

/// What a replica has of one sequence number above its last executed one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlotStatus {
    /// It has a proposal all of whose requests it could check.
    pub pre_prepared: bool,
    /// It is prepared.
    pub prepared: bool,
    /// It is committed.
    pub committed: bool,
}

/// What a replica has and lacks (TOCS'02 5.2); peers answer with what is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusStatement {
    /// Rises from each status of a replica to its next, so that an old one cannot stand in for it.
    pub round: u64,
    /// How many statuses it has said since it last executed something new, when there is something
    /// that it waits for; 0 when it lacks nothing that it knows of.
    pub attempt: u32,
    /// Its view.
    pub view: View,
    /// How far it is in it.
    pub phase: ViewPhase,
    /// While it waits for a NEW-VIEW: whose VIEW-CHANGEs for its view it has.
    pub view_changes: Vec<ReplicaId>,
    /// Its last stable checkpoint.
    pub stable: Seq,
    /// The last sequence number that it executed.
    pub executed: Seq,
    /// Slots `executed + 1`, `executed + 2`, ...; what is not listed it knows nothing of. At most 64.
    pub slots: Vec<SlotStatus>,
    /// Which status of a replica that lost its journal this one answers.
    pub answers: Option<Heard>,
    /// Who says it.
    pub replica: ReplicaId,
}

/// A status that was heard, by its sender and its round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// Who said it.
    pub replica: ReplicaId,
    /// Its round.
    pub round: u64,
}

/// A status message as it travels.
pub type Status = Signed<StatusStatement>;

/// Asks for the bodies of batches that a new view orders again (PBFT 4.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchStatement {
    /// Rises from each fetch of a replica to its next.
    pub round: u64,
    /// The digests of the batches; at most 256.
    pub digests: Vec<Digest>,
    /// Who asks.
    pub replica: ReplicaId,
}

impl Statement for StatusStatement {
    const DOMAIN: Domain = Domain::Status;
    fn signer(&self) -> Signer {
        Signer::Replica(self.replica.0)
    }
}

impl Statement for FetchStatement {
    const DOMAIN: Domain = Domain::Fetch;
    fn signer(&self) -> Signer {
        Signer::Replica(self.replica.0)
    }
}

impl Encode for FetchStatement {
    fn encode(&self, out: &mut Vec<u8>) {
        self.round.encode(out);
        encode_sequence(&self.digests, out);
        self.replica.encode(out);
    }
}

impl Decode for FetchStatement {
    const SIZE_MIN: usize = 8 + 4 + 2;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(FetchStatement {
            round: u64::decode(reader)?,
            digests: reader.sequence(FETCH_DIGESTS_MAX, "fetched digests")?,
            replica: ReplicaId::decode(reader)?,
        })
    }
}

impl Encode for ViewPhase {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
}

impl Decode for ViewPhase {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::decode(reader)? {
            0 => Ok(ViewPhase::Changing),
            1 => Ok(ViewPhase::Opened),
            2 => Ok(ViewPhase::Active),
            3 => Ok(ViewPhase::Rejoining),
            tag => Err(WireError::Tag { tag, of: "view phase" }),
        }
    }
}

impl Encode for StatusStatement {
    fn encode(&self, out: &mut Vec<u8>) {
        self.round.encode(out);
        self.attempt.encode(out);
        self.view.encode(out);
        self.phase.encode(out);
        encode_sequence(&self.view_changes, out);
        self.stable.encode(out);
        self.executed.encode(out);
        encode_sequence(&self.slots, out);
        self.answers.encode(out);
        self.replica.encode(out);
    }
}

impl Encode for Heard {
    fn encode(&self, out: &mut Vec<u8>) {
        self.replica.encode(out);
        self.round.encode(out);
    }
}

impl Decode for Heard {
    const SIZE_MIN: usize = 2 + 8;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Heard { replica: ReplicaId::decode(reader)?, round: u64::decode(reader)? })
    }
}

impl Decode for StatusStatement {
    const SIZE_MIN: usize = 8 + 4 + 8 + 1 + 4 + 8 + 8 + 4 + 1 + 2;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(StatusStatement {
            round: u64::decode(reader)?,
            attempt: u32::decode(reader)?,
            view: View::decode(reader)?,
            phase: ViewPhase::decode(reader)?,
            view_changes: reader.sequence(usize::from(REPLICAS_MAX), "view-changes had")?,
            stable: Seq::decode(reader)?,
            executed: Seq::decode(reader)?,
            slots: reader.sequence(STATUS_SLOTS_MAX, "status slots")?,
            answers: Option::decode(reader)?,
            replica: ReplicaId::decode(reader)?,
        })
    }
}

impl Encode for SlotStatus {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.pre_prepared)
                | u8::from(self.prepared) << 1
                | u8::from(self.committed) << 2,
        );
    }
}

impl Decode for SlotStatus {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::decode(reader)? {
            bits @ 0..8 => Ok(SlotStatus {
                pre_prepared: bits & 1 != 0,
                prepared: bits & 2 != 0,
                committed: bits & 4 != 0,
            }),
            _ => Err(WireError::NotCanonical { of: "slot status" }),
        }
    }
}

const _: () = assert!(STATUS_SLOTS_MAX < 256 && REPLICAS_MAX <= 256);
