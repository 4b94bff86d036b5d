//! What a replica must not forget (PROTOCOLS: durability), and how far its journal has come.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use quorumark_primitives::signed::Signed;
use quorumark_primitives::wire::Encode;

use super::certificate::{CheckpointCertificate, PreparedCertificate};
use super::message::Message;
use super::statement::PrePrepare;
use super::view_message::{NewView, ViewChange};
use crate::client_table::Pieces;
use crate::engine::{Outbox, Output, Position, Vocabulary};
use crate::parts::StateRoot;
use crate::request::Batch;
use crate::types::{Seq, View};

/// One record of a PBFT replica's journal. Small, since it is moved from place to place: what is large
/// lies apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A proposal was accepted, or made, and its body is here: written before the replica says its
    /// PREPARE, or as primary its PRE-PREPARE. The signature of an own proposal is still blank.
    Accepted(Box<Signed<PrePrepare>>, Arc<Batch>),
    /// A batch is prepared: written before the replica says its COMMIT.
    Prepared(Box<PreparedCertificate>),
    /// It moved to a view, and whether it takes part in it.
    View {
        /// The view.
        view: View,
        /// Whether it has entered it: the NEW-VIEW stands in the record before.
        active: bool,
    },
    /// Its own VIEW-CHANGE, the signature still blank: written before it is said.
    ViewChange(Arc<ViewChange>),
    /// The NEW-VIEW of the view that it enters. As primary it is written before it is said, its
    /// signatures still blank.
    NewView(Arc<NewView>),
    /// The journal before this one was lost: the replica votes for nothing, or does so again.
    Abstains(bool),
    /// A checkpoint is stable: what a restart begins from.
    Stable(Arc<StableRecord>),
}

/// A stable checkpoint, with all of the replica's state but the application's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StableRecord {
    /// Its proof (PBFT 4.3).
    pub certificate: CheckpointCertificate,
    /// What the application's state is.
    pub application: StateRoot,
    /// What the client table is.
    pub clients: StateRoot,
    /// The client table, in parts.
    pub parts: Vec<Pieces>,
}

impl Record {
    /// Whether a restart still needs it once a checkpoint at `stable` is recorded after it. A driver
    /// may leave out the others when it cuts its journal, and keeps these in their order.
    pub fn outlives(&self, stable: Seq) -> bool {
        match self {
            Record::Accepted(signed, _) => signed.body.seq > stable,
            Record::Prepared(certificate) => certificate.seq() > stable,
            // Few, and what gives the others their view.
            Record::View { .. } | Record::ViewChange(_) | Record::NewView(_) => true,
            Record::Abstains(_) => true,
            Record::Stable(record) => record.certificate.seq >= stable,
        }
    }
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

    /// Whether this replica keeps one.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Goes on after the records of an earlier life.
    pub(super) fn resume(&mut self, records: u64) {
        self.position = Position(records);
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

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Accepted(signed, batch) => {
                out.push(0);
                signed.encode(out);
                batch.encode(out);
            }
            Record::Prepared(certificate) => {
                out.push(1);
                certificate.encode(out);
            }
            Record::View { view, active } => {
                out.push(2);
                view.encode(out);
                active.encode(out);
            }
            Record::ViewChange(view_change) => {
                out.push(3);
                view_change.encode(out);
            }
            Record::NewView(new_view) => {
                out.push(4);
                new_view.encode(out);
            }
            Record::Abstains(abstains) => {
                out.push(6);
                abstains.encode(out);
            }
            Record::Stable(stable) => {
                let StableRecord { certificate, application, clients, parts } = &**stable;
                out.push(5);
                certificate.encode(out);
                application.encode(out);
                clients.encode(out);
                (parts.len() as u32).encode(out);
                parts.iter().for_each(|part| part.encode(out));
            }
        }
    }
}
