//! Frames under way, and what whoever gets one makes of it.

use std::rc::Rc;

use quorumark_consensus::pbft::Message;
use quorumark_primitives::signed::{Verified, Verifier};
use quorumark_primitives::wire::{Decode, Encode};

use super::replica::kind_of;
use crate::trace::{DropCause, MessageKind};

/// An encoded message. Those who get it share its bytes and nothing else: each decodes and verifies
/// for itself, as on a machine of its own.
#[derive(Debug, Clone)]
pub(super) struct Frame(Rc<[u8]>);

/// Why a frame is not let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// What it is, as far as it could be read.
    pub(super) kind: MessageKind,
    /// What is wrong with it.
    pub(super) cause: DropCause,
}

impl Frame {
    pub(super) fn new(bytes: &[u8]) -> Frame {
        Frame(Rc::from(bytes))
    }

    /// The frame of a message, which is put together in `scratch`: so it takes the memory that it
    /// needs.
    pub(super) fn of(message: &Message, scratch: &mut Vec<u8>) -> Frame {
        scratch.clear();
        message.encode(scratch);
        Frame::new(scratch)
    }

    /// As it is on the wire.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its size.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The message, verified.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn open(&self, verifier: &mut Verifier) -> Result<Verified<Message>, Fault> {
        let Ok(message) = Message::from_slice(&self.0) else {
            return Err(Fault { kind: MessageKind::Garbage, cause: DropCause::Undecodable });
        };
        let kind = kind_of(&message);
        let refused = Fault { kind, cause: DropCause::Refused };
        verifier.verify_one(message).map_err(|_| refused)
    }
}
