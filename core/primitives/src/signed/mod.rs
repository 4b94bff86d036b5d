//! The one gate: what signatures bind, and how a received value becomes [`Verified`].
//!
//! A [`Statement`] is a body that somebody signs; [`Signed`] is the body with its signature. A
//! value that arrives from outside lists everything it claims, nested statements included, by
//! [`Claimed::claims`]; the [`Verifier`] checks all claims of many values in one batch and hands
//! each value back as [`Verified`] or with the [`Refusal`]. There are two ways to a `Verified`: the
//! verifier, and the [`Sealer`] for what the replica has itself just signed. Engines take nothing
//! else, so none can see an unchecked message.
//!
//! ```compile_fail,E0423
//! // The field is private and no constructor is public: outside there is no way around the gate.
//! let forged = quorumark_primitives::signed::Verified(7u64);
//! ```
//!
//! # Signed bytes
//! Every signature and every MAC covers a prefix of [`PREFIX_BYTES`] bytes and then the body:
//!
//! | bytes | what |
//! |---|---|
//! | 11 | `quorumark/1` |
//! | 8 | cluster, little-endian |
//! | 1 | protocol |
//! | 1 | domain: the kind of statement |
//! | 1 + 4 | signer: 0 for a replica, 1 for a client; its id, little-endian |
//! | rest | the body's canonical encoding |
//!
//! All fields before the body have a fixed length, so no signature can be moved to another cluster,
//! protocol, kind of statement or signer, and no two statements share their signed bytes.
//! View-scoped statements bind their view in the body; requests and checkpoints bind none.

mod directory;
mod gate;
mod sealer;
mod session;
pub mod stand_in;

use core::ops::Deref;

use thiserror::Error;

pub use directory::{CLIENTS_MAX, KeyDirectory, REPLICAS_MAX};
pub use gate::{CLAIMS_MAX, Claims, ClientAuth, GateCounters, Verifier, VerifyPath};
pub use sealer::{Sealable, Sealer};
pub use session::{ClientSessions, ReplicaSessions};

use crate::ed25519::Signature;
use crate::wire::{Decode, Encode, Reader, WireError};

/// Bytes before the body in everything that is signed or MACed.
pub const PREFIX_BYTES: usize = 26;

const TAG: &[u8; 11] = b"quorumark/1";

/// Who signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signer {
    /// The replica with this id.
    Replica(u16),
    /// The client with this id.
    Client(u32),
}

/// The kind of a statement: one byte of the signed prefix, fixed forever once given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Domain {
    /// A client's request.
    Request = 1,
    /// PBFT: the primary orders a batch.
    PrePrepare = 2,
    /// PBFT: a backup agrees to the order within a view.
    Prepare = 3,
    /// PBFT: a replica knows that a quorum agreed.
    Commit = 4,
    /// PBFT: the state digest at a sequence number.
    Checkpoint = 5,
    /// PBFT: a replica leaves a view.
    ViewChange = 6,
    /// PBFT: the new primary opens a view.
    NewView = 7,
    /// What a replica has and what it misses.
    Status = 8,
    /// The answer to a client.
    Reply = 9,
    /// HotStuff: a leader's proposal.
    Proposal = 10,
    /// HotStuff: a vote.
    Vote = 11,
    /// HotStuff: a replica's view timed out.
    Timeout = 12,
    /// HotStuff: a replica tells the next leader its highest certificate.
    NextView = 13,
    /// Asks for bodies or state that a replica misses.
    Fetch = 14,
    /// Gives a part of a state, or the list of its parts, to whoever asked.
    State = 15,
}

/// Which protocol a signature belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolId(pub u8);

/// The cluster and protocol that every signature binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The cluster's id; a signature of one cluster means nothing in another.
    pub cluster: u64,
    /// The protocol the cluster runs.
    pub protocol: ProtocolId,
}

impl Context {
    /// The bytes that stand before the body.
    pub fn prefix(&self, domain: Domain, signer: Signer) -> [u8; PREFIX_BYTES] {
        let (kind, id) = match signer {
            Signer::Replica(id) => (0, u32::from(id)),
            Signer::Client(id) => (1, id),
        };
        let mut prefix = [0; PREFIX_BYTES];
        prefix[..11].copy_from_slice(TAG);
        prefix[11..19].copy_from_slice(&self.cluster.to_le_bytes());
        prefix[19] = self.protocol.0;
        prefix[20] = domain as u8;
        prefix[21] = kind;
        prefix[22..].copy_from_slice(&id.to_le_bytes());
        prefix
    }
}

/// A body that is signed. What is signed is [`Context::prefix`] and then the body's encoding; a
/// large body is signed through a small statement that carries its digest.
pub trait Statement: Encode {
    /// The kind of statement.
    const DOMAIN: Domain;

    /// Who signs it, as the body itself says.
    fn signer(&self) -> Signer;
}

/// A body and its signature, not yet checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<B> {
    /// What is signed.
    pub body: B,
    /// The signature of the body's signer.
    pub signature: Signature,
}

impl<B> Signed<B> {
    /// A statement that its [`Sealer`] has still to sign.
    pub fn blank(body: B) -> Signed<B> {
        Signed { body, signature: Signature::BLANK }
    }
}

impl<B: Encode> Encode for Signed<B> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.body.encode(out);
        self.signature.encode(out);
    }
}

impl<B: Decode> Decode for Signed<B> {
    const SIZE_MIN: usize = B::SIZE_MIN + Signature::SIZE_MIN;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Signed { body: B::decode(reader)?, signature: Signature::decode(reader)? })
    }
}

/// A received value that knows what it claims.
pub trait Claimed {
    /// Lists everything that has to be checked before the value may be believed: its own statement,
    /// the requests it carries, the certificates it nests. What is not listed is not checked.
    fn claims(&self, sink: &mut Claims<'_>);

    /// Told that the `nth` MAC of this value (in the order of [`Claimed::claims`], from 0) does not
    /// match. `true` keeps the value, which has then to remember that this part still waits for
    /// others to vouch for it; `false` refuses the value.
    fn forgive_mac(&mut self, nth: usize) -> bool {
        let _ = nth;
        false
    }
}

/// A value all of whose claims were checked. Only this crate's gate makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, by itself; it is no longer known to be verified.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Why a value was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No key stands in the directory for a signer.
    #[error("{0:?} is not in the key directory")]
    UnknownSigner(Signer),
    /// A signature does not verify.
    #[error("a signature is not valid")]
    Signature,
    /// This replica's MAC does not match, and the value did not ask to be kept.
    #[error("a MAC is not valid")]
    Mac,
    /// A request is authenticated in another way than this cluster asks for.
    #[error("a request is authenticated in another way than the cluster asks for")]
    ClientAuth,
    /// A certificate or another part does not fit the rest.
    #[error("{0}")]
    Structure(&'static str),
    /// It claims more than any frame can carry.
    #[error("more than {CLAIMS_MAX} claims in one value")]
    TooManyClaims,
}
