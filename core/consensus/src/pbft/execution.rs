//! From committed slots to executions in order, and from results to replies and checkpoints.
//!
//! What is executed before it is committed: [`super::tentative`].

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::signed::Signed;

use super::checkpoint::state_digest;
use super::log::Decision;
use super::message::Message;
use super::replica::Pbft;
use super::statement::Checkpoint;
use super::tentative::Ahead;
use crate::engine::{Executed, Execution, Outbox, Output};
use crate::parts::StateRoot;
use crate::request::{Batch, RESULT_BYTES_MAX, Reply};
use crate::types::{ClientId, Seq, Timestamp, View};

/// Where execution stands.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The last sequence number that is committed and handed out.
    pub(super) handed: Seq,
    /// The last committed sequence number whose results are back.
    pub(super) executed: Seq,
    /// Handed out and not back, oldest first; at most a window.
    pub(super) in_flight: VecDeque<InFlight>,
    /// What was handed out beyond `handed`, tentatively: its place is the next.
    pub(super) ahead: Option<Ahead>,
    /// The checkpoint whose results are back and whose application root is to come, with the root of
    /// the client table after it. There is one at most: a root comes before the next is due.
    awaited: Option<(Seq, StateRoot)>,
}

#[derive(Debug)]
pub(super) struct InFlight {
    seq: Seq,
    requests: Vec<(ClientId, Timestamp)>,
    checkpoint: bool,
    /// It was rolled back meanwhile: its results are of no use.
    pub(super) undone: bool,
}

impl Cursor {
    /// Everything up to `seq` is executed, or came with a state.
    pub(super) fn at(seq: Seq) -> Cursor {
        let (in_flight, ahead, awaited) = (VecDeque::new(), None, None);
        Cursor { handed: seq, executed: seq, in_flight, ahead, awaited }
    }

    /// Whether all that was handed out is back.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// A checkpoint's results must be back before anything later may touch the client table.
    fn is_paused(&self) -> bool {
        self.in_flight.back().is_some_and(|last| last.checkpoint)
    }
}

impl Pbft {
    /// Hands out every committed batch that is next in order.
    ///
    /// PBFT 4.2: "each replica i executes the operation requested by m after committed-local is
    /// true and i's state reflects the sequential execution of all requests with lower sequence
    /// numbers".
    pub(super) fn hand_out(&mut self, out: &mut Outbox<Message>) {
        // While a state is fetched, its own stays as it is.
        while !self.cursor.is_paused() && !self.transfer.is_under_way() {
            let seq = self.cursor.handed.next();
            let Some(slot) = self.log.slot(seq) else { return };
            let decision = slot.decision(self.view, self.config.committee.quorum());
            let Some(Decision { view, batch, certificate }) = decision else { return };
            debug_assert_eq!(certificate.len(), self.config.committee.quorum());
            let ahead = self.take_ahead(batch.digest(), out);
            self.note_handed(seq, view, &batch);
            let (is_ahead, checkpoint) = (ahead.is_some(), self.checkpoints.is_due(seq));
            let fresh = match ahead {
                Some(ahead) => self.stand_by(ahead),
                None => self.begin(seq, &batch, checkpoint),
            };
            self.counters.repeats_skipped += (batch.requests().len() - fresh.len()) as u64;
            let tentative = false;
            let execution =
                Execution { seq, view, batch, fresh, checkpoint, tentative, certificate };
            out.push(match is_ahead {
                true => Output::Confirm(execution),
                false => Output::Execute(execution),
            });
        }
    }

    /// A batch is committed and next in order: nobody waits for it any more.
    fn note_handed(&mut self, seq: Seq, view: View, batch: &Batch) {
        debug_assert_eq!(seq, self.cursor.handed.next(), "execution is in order, without gaps");
        batch.requests().for_each(|request| self.batcher.executed(request.id()));
        self.cursor.handed = seq;
        self.counters.batches_committed += 1;
        self.timer.executed(seq, self.active && view == self.view);
    }

    /// Marks the requests of a batch that goes to execution, but for those that were executed
    /// before: exactly once, whichever primary orders a repeat. The places of the others.
    pub(super) fn begin(&mut self, seq: Seq, batch: &Batch, checkpoint: bool) -> Vec<u32> {
        let mut fresh = Vec::with_capacity(batch.requests().len());
        let mut requests = Vec::with_capacity(batch.requests().len());
        for (place, request) in batch.requests().enumerate() {
            let (client, timestamp) = request.id();
            if self.clients.begin(client, timestamp) {
                fresh.push(place as u32);
                requests.push((client, timestamp));
            }
        }
        self.cursor.in_flight.push_back(InFlight { seq, requests, checkpoint, undone: false });
        fresh
    }

    /// Takes results: replies go out, a due checkpoint is voted for, execution goes on.
    ///
    /// # Panics
    /// When results come out of order or incomplete: the driver broke the contract.
    pub(super) fn on_executed(&mut self, executed: Executed, out: &mut Outbox<Message>) {
        let expected = self.cursor.in_flight.pop_front().expect("results of a batch handed out");
        assert_eq!(executed.seq, expected.seq, "results come back in the order handed out");
        assert_eq!(executed.results.len(), expected.requests.len(), "one result a request");
        if expected.undone {
            return; // Its requests wait again: these results are of a state that never was.
        }
        let seq = executed.seq;
        let mut replies = Vec::with_capacity(expected.requests.len());
        for ((client, timestamp), result) in expected.requests.into_iter().zip(executed.results) {
            assert!(result.len() <= RESULT_BYTES_MAX, "a result of {} bytes", result.len());
            self.clients.finish(client, timestamp, seq, result.clone());
            replies.push(self.reply(client, timestamp, seq, result));
        }
        if self.cursor.ahead.is_none() {
            self.note_executed(seq, replies.len());
        }
        if !replies.is_empty() {
            out.push(Output::Reply { replies, after: self.journal.position() });
        }
        if expected.checkpoint {
            assert!(self.cursor.awaited.is_none(), "a root comes before the next checkpoint");
            let clients = self.clients.checkpoint(seq);
            match executed.state_root {
                Some(application) => self.reach(seq, application, clients, out),
                None => self.cursor.awaited = Some((seq, clients)),
            }
        }
        self.hand_out(out);
    }

    /// Takes the root of a checkpoint that was executed before. One that is not awaited is of a state
    /// that another has replaced since.
    pub(super) fn on_root(&mut self, seq: Seq, application: StateRoot, out: &mut Outbox<Message>) {
        if let Some((_, clients)) = self.cursor.awaited.take_if(|awaited| awaited.0 == seq) {
            self.reach(seq, application, clients, out);
        }
    }

    /// Votes for a checkpoint.
    ///
    /// PBFT 4.3: "when a replica i produces a checkpoint, it multicasts a message <CHECKPOINT, n, d, i>
    /// to the other replicas, where [...] d is the digest of the state". That may be later than the
    /// execution: the paper's file system too keeps the state by copy-on-write (OSDI'99 6.3). Who is
    /// late with the digest is to its peers one that is late with the checkpoint.
    fn reach(
        &mut self,
        seq: Seq,
        application: StateRoot,
        clients: StateRoot,
        out: &mut Outbox<Message>,
    ) {
        let state = state_digest(&self.config, seq, application, clients);
        self.checkpoints.reached(seq, state);
        self.serving.reached(seq, application);
        let body = Checkpoint { seq, state, replica: self.config.replica };
        let message = Message::Checkpoint(Signed::blank(body));
        self.say(message, out);
        self.stabilise(out);
    }

    /// A committed batch is executed, `requests` of it for the first time.
    pub(super) fn note_executed(&mut self, seq: Seq, requests: usize) {
        self.cursor.executed = seq;
        self.watch.progressed(self.now, &self.config);
        self.counters.requests_executed += requests as u64;
    }

    /// PBFT 4.1: `<REPLY, v, t, c, i, r>`, of what was executed at `seq`. OSDI'99 5.1: it says so
    /// while that is tentative.
    pub(super) fn reply(
        &self,
        client: ClientId,
        timestamp: Timestamp,
        seq: Seq,
        result: Bytes,
    ) -> Reply {
        let (view, replica) = (self.view, self.config.replica);
        let tentative = seq > self.cursor.handed;
        Reply { view, seq, timestamp, client, replica, result, tentative }
    }
}
