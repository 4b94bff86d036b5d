//! Coming back without a journal (PROTOCOLS: durability).
//!
//! A replica that lost what it wrote may contradict what it said. It counts among the f until it is
//! past all that it may have voted for: until then it follows, executes and fetches like any other,
//! and says no word of agreement. How far is that?
//!
//! Its earlier life voted for nothing above h + L, h being its last stable checkpoint then. A quorum
//! signed h, so at least n - 2f honest others had executed it. Of any n - f others that answer
//! *after* the loss one is among those, and it executes at most L above its own low watermark. So
//! once this replica's stable checkpoint is 2L above the low watermarks of n - f others, as they
//! were when they answered, it is at or above h + L. What a liar answers only delays its own vote
//! in that count.
//!
//! Answers are fresh: a status that answers one names its asker and its round, and rounds rise with
//! a clock that never falls ([`crate::engine`]).
//!
//! Not covered: a VIEW-CHANGE that the earlier life said for a view that nobody else has left for.
//! Until the others are past that view, the replica still counts among the f.

use alloc::boxed::Box;
use alloc::vec::Vec;

use quorumark_primitives::signed::Signed;

use super::journal::Record;
use super::message::Message;
use super::replica::Pbft;
use super::statement::{Heard, StatusStatement};
use crate::committee::Committee;
use crate::engine::{Outbox, Output, Position, Recipients};
use crate::types::{Instant, Seq};

/// Where a replica without its journal stands.
#[derive(Debug)]
pub(super) struct Rejoin {
    /// When this life began: answers to earlier rounds do not count.
    since: Instant,
    /// By replica, the lowest watermark that it answered with.
    reports: Vec<Option<Seq>>,
}

impl Rejoin {
    pub(super) fn new(since: Instant, committee: Committee) -> Rejoin {
        Rejoin { since, reports: committee.members().map(|_| None).collect() }
    }
}

impl Pbft {
    /// The host found no journal although this replica took part before.
    pub(super) fn on_lost(&mut self, out: &mut Outbox<Message>) {
        assert!(self.journal.position() == Position::START, "a loss is told first");
        self.rejoin = Some(Rejoin::new(self.now, self.config.committee));
        // A restart meanwhile has to know it too.
        self.journal.write(out, || Record::Abstains(true));
    }

    /// Whether it votes for nothing, because it may have voted before and does not know.
    pub fn abstains(&self) -> bool {
        self.rejoin.is_some()
    }

    /// Takes a status that answers one of this replica's own.
    pub(super) fn on_answer(&mut self, status: &StatusStatement, heard: Heard) {
        let me = self.config.replica;
        let Some(rejoin) = &mut self.rejoin else { return };
        if heard.replica != me || heard.round < rejoin.since.0 || status.replica == me {
            return;
        }
        if let Some(report) = rejoin.reports.get_mut(usize::from(status.replica.0)) {
            *report = Some(report.map_or(status.stable, |first| first.min(status.stable)));
        }
    }

    /// Tells a replica that lost its journal where this one stands.
    pub(super) fn answer_rejoining(&self, asked: &StatusStatement, out: &mut Outbox<Message>) {
        let answers = Some(Heard { replica: asked.replica, round: asked.round });
        let message = Message::Status(Box::new(Signed::blank(self.status(answers))));
        let after = self.journal.position();
        out.push(Output::Say { to: Recipients::One(asked.replica), message, after });
    }

    /// Takes part again, once it is past all that it may have voted for.
    pub(super) fn end_abstention(&mut self, out: &mut Outbox<Message>) {
        let Some(rejoin) = &self.rejoin else { return };
        let (low, reach) = (self.log.low(), self.config.window.saturating_mul(2));
        let passed = rejoin.reports.iter().flatten().filter(|at| at.plus(reach) <= low);
        if passed.count() < self.config.committee.quorum() {
            return;
        }
        self.rejoin = None;
        self.journal.write(out, || Record::Abstains(false));
        self.say_votes_again(out);
    }
}
