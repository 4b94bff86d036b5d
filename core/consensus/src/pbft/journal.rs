//! What a replica must not forget (PROTOCOLS: durability), and how far its journal has come.

use alloc::sync::Arc;

use quorumark_primitives::signed::Signed;

use super::message::{Message, PrePrepare};
use crate::engine::{Outbox, Output, Position, Vocabulary};
use crate::request::Batch;

/// One record of a PBFT replica's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A proposal was accepted, or made, and its body is here: written before the replica says its
    /// PREPARE, or as primary its PRE-PREPARE. The signature of an own proposal is still blank.
    Accepted(Signed<PrePrepare>, Arc<Batch>),
}

impl Vocabulary for Message {
    type Record = Record;
}

/// Where the journal stands.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Whether records are written at all.
    on: bool,
    position: Position,
}

impl Journal {
    pub(super) fn new(on: bool) -> Journal {
        Journal { on, position: Position::START }
    }

    /// What everything that is said from now on must wait for.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Writes a record, if this replica keeps a journal; `record` is made only then.
    pub(super) fn write(&mut self, out: &mut Outbox<Message>, record: impl FnOnce() -> Record) {
        if self.on {
            self.position = self.position.next();
            out.push(Output::Persist { position: self.position, record: record() });
        }
    }
}
