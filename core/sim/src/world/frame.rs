//! Frames under way, and what whoever gets one makes of it.

use std::cell::OnceCell;
use std::rc::Rc;

use bytes::Bytes;
use quorumark_consensus::pbft::Message;
use quorumark_primitives::signed::{Verified, Verifier};
use quorumark_primitives::wire::Decode;

use super::replica::kind_of;
use crate::trace::{DropCause, MessageKind};

/// An encoded message to replicas. All who get the same bytes come to the same verdict on them, since
/// they have the same keys: the first decodes and verifies, the others take its verdict.
#[derive(Debug, Clone)]
pub(super) struct Frame(Rc<Content>);

#[derive(Debug)]
struct Content {
    bytes: Bytes,
    opened: OnceCell<Result<Verified<Message>, Fault>>,
}

/// Why a frame is not let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// What it is, as far as it could be read.
    pub(super) kind: MessageKind,
    /// What is wrong with it.
    pub(super) cause: DropCause,
}

impl Frame {
    pub(super) fn new(bytes: Bytes) -> Frame {
        Frame(Rc::new(Content { bytes, opened: OnceCell::new() }))
    }

    /// As it is on the wire.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// Its size.
    pub(super) fn len(&self) -> usize {
        self.0.bytes.len()
    }

    /// The message, verified.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn open(&self, verifier: &mut Verifier) -> Result<&Verified<Message>, Fault> {
        let opened = self.0.opened.get_or_init(|| {
            let Ok(message) = Message::from_frame(&self.0.bytes) else {
                let (kind, cause) = (MessageKind::Garbage, DropCause::Undecodable);
                return Err(Fault { kind, cause });
            };
            let kind = kind_of(&message);
            let refused = Fault { kind, cause: DropCause::Refused };
            verifier.verify_one(message).map_err(|_| refused)
        });
        opened.as_ref().map_err(|fault| *fault)
    }
}
