//! The last step of a transfer: becoming the state whose parts are all here.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::message::Message;
use super::replica::Pbft;
use super::state_message::Tree;
use super::transfer::{Step, Target};
use crate::engine::{Outbox, Output, StateWork};
use crate::types::Seq;

impl Pbft {
    /// Every part is here: the application takes over its own, the client table is made.
    pub(super) fn restore_when_whole(&mut self, out: &mut Outbox<Message>) {
        let Some(target) = &mut self.transfer.target else { return };
        let Step::Parts { manifest, missing } = &target.step else { return };
        if !missing.is_empty() {
            return;
        }
        let seq = target.certificate.seq;
        let (mut parts, mut clients) = (Vec::new(), BTreeMap::new());
        for ((tree, nth), (_, bytes)) in core::mem::take(&mut self.transfer.verified) {
            match tree {
                Tree::Application => parts.push((nth, bytes)),
                Tree::Clients => drop(clients.insert(nth, bytes)),
            }
        }
        let state = manifest.application.state;
        match self.clients.restored(seq, manifest.clients.state, &clients) {
            Some(table) => {
                target.step = Step::Restore { table, application: state };
                let work = StateWork::Restore { seq, state, parts };
                out.push(Output::State(work));
            }
            None => self.give_up(),
        }
    }

    /// The certified state does not fit this replica: it is set up differently. It tries again with
    /// the next checkpoint that it hears of.
    pub(super) fn give_up(&mut self) {
        self.counters.transfers_failed += 1;
        (self.transfer.target, self.transfer.newest) = (None, None);
        self.transfer.verified.clear();
    }

    /// The application is at the target: the replica goes on from there.
    pub(super) fn on_restored(&mut self, seq: Seq, done: bool, out: &mut Outbox<Message>) {
        let step = self.transfer.target.take();
        let Some(Target { certificate, step: Step::Restore { table, application }, .. }) = step
        else {
            self.transfer.target = step;
            return;
        };
        if !done || certificate.seq != seq {
            return self.give_up();
        }
        assert!(self.cursor.ahead.is_none(), "what is ahead is undone before a state is fetched");
        assert!(self.cursor.is_idle(), "nothing is executed while a state is fetched");
        self.clients = table;
        let clients = &self.clients;
        let is_settled = |(client, timestamp)| !clients.is_fresh(client, timestamp);
        self.batcher.settle(is_settled);
        self.counters.transfers_finished += 1;
        let old_high = self.log.high();
        self.stand_at(&certificate, application);
        self.record_stable(seq, out);
        // What was kept before is needed by a restart until this checkpoint is durable.
        let after = self.journal.position();
        out.push(Output::State(StateWork::Retain { from: seq, leased: None, after }));
        self.take_up(old_high.max(seq), out);
        self.hand_out(out);
    }
}
