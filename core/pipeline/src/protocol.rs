//! What a driver has to know of an engine's messages.

use std::fmt;

use bytes::Bytes;
use quorumark_consensus::pbft;
use quorumark_consensus::types::ReplicaId;
use quorumark_primitives::signed::{Claimed, ProtocolId, Sealable};
use quorumark_primitives::wire::{Decode, Encode};

/// A message type that the pipeline can carry.
pub trait Protocol:
    Encode + Decode + Claimed + Sealable + Clone + PartialEq + fmt::Debug + Send + 'static
{
    /// What signatures bind as the protocol.
    const ID: ProtocolId;
    /// The kinds of messages, by name; at most [`KINDS_MAX`].
    const KINDS: &'static [&'static str];

    /// Decodes frames and appends their messages, in order; returns how many frames were none.
    fn decode_each(frames: impl Iterator<Item = Bytes>, messages: &mut Vec<Self>) -> usize;

    /// Which kind it is: a position in [`Protocol::KINDS`].
    fn kind(&self) -> usize;
    /// The replica that says it; `None` for a client's request, and for what bears no signature of
    /// its sender.
    fn sender(&self) -> Option<ReplicaId>;
    /// Whether it is a client's request: all that a client may send.
    fn is_request(&self) -> bool;
    /// Client requests it carries, each with a proof to check.
    fn client_proofs(&self) -> u64;
}

/// The most kinds of messages that are counted apart.
pub const KINDS_MAX: usize = 16;

impl Protocol for pbft::Message {
    const ID: ProtocolId = pbft::PROTOCOL;
    const KINDS: &'static [&'static str] = &pbft::KINDS;

    fn decode_each(frames: impl Iterator<Item = Bytes>, messages: &mut Vec<Self>) -> usize {
        pbft::Message::decode_each(frames, messages)
    }

    fn kind(&self) -> usize {
        usize::from(self.tag())
    }

    fn sender(&self) -> Option<ReplicaId> {
        pbft::Message::sender(self)
    }

    fn is_request(&self) -> bool {
        matches!(self, pbft::Message::Request(_) | pbft::Message::Read(_))
    }

    fn client_proofs(&self) -> u64 {
        match self {
            pbft::Message::Request(_) | pbft::Message::Read(_) => 1,
            pbft::Message::PrePrepare(_, batch)
            | pbft::Message::Body(batch)
            | pbft::Message::Committed(_, batch) => batch.requests().len() as u64,
            _ => 0,
        }
    }
}

const _: () = assert!(<pbft::Message as Protocol>::KINDS.len() <= KINDS_MAX);
