//! From committed slots to executions in order, and from results to replies and checkpoints.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::signed::Signed;

use super::checkpoint::state_digest;
use super::log::Decision;
use super::message::Message;
use super::replica::Pbft;
use super::statement::Checkpoint;
use crate::engine::{Executed, Execution, Outbox, Output};
use crate::request::{RESULT_BYTES_MAX, Reply};
use crate::types::{ClientId, Seq, Timestamp};

/// Where execution stands.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The last sequence number handed out.
    pub(super) handed: Seq,
    /// The last sequence number whose results are back.
    pub(super) executed: Seq,
    /// Handed out and not back, oldest first; at most a window.
    in_flight: VecDeque<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    seq: Seq,
    requests: Vec<(ClientId, Timestamp)>,
    checkpoint: bool,
}

impl Cursor {
    /// Everything up to `seq` is executed, or came with a state.
    pub(super) fn at(seq: Seq) -> Cursor {
        Cursor { handed: seq, executed: seq, in_flight: VecDeque::new() }
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
            let mut fresh = Vec::with_capacity(batch.requests().len());
            let mut requests = Vec::with_capacity(batch.requests().len());
            for (place, request) in batch.requests().iter().enumerate() {
                let (client, timestamp) = request.id();
                self.batcher.executed((client, timestamp));
                // Exactly once: a repeat, ordered again by whichever primary, is passed over.
                if self.clients.begin(client, timestamp) {
                    fresh.push(place as u32);
                    requests.push((client, timestamp));
                } else {
                    self.counters.repeats_skipped += 1;
                }
            }
            let checkpoint = self.checkpoints.is_due(seq);
            self.cursor.handed = seq;
            self.cursor.in_flight.push_back(InFlight { seq, requests, checkpoint });
            self.counters.batches_committed += 1;
            self.timer.executed(seq, self.active && view == self.view);
            out.push(Output::Execute(Execution {
                seq,
                view,
                batch,
                fresh,
                checkpoint,
                certificate,
            }));
        }
    }

    /// Takes results: replies go out, a due checkpoint is voted for, execution goes on.
    ///
    /// # Panics
    /// When results come out of order or incomplete: the driver broke the contract.
    pub(super) fn on_executed(&mut self, executed: Executed, out: &mut Outbox<Message>) {
        let expected = self.cursor.in_flight.pop_front().expect("results of a batch handed out");
        assert_eq!(executed.seq, expected.seq, "results come back in the order handed out");
        assert_eq!(executed.results.len(), expected.requests.len(), "one result a request");
        let seq = executed.seq;
        let mut replies = Vec::with_capacity(expected.requests.len());
        for ((client, timestamp), result) in expected.requests.into_iter().zip(executed.results) {
            assert!(result.len() <= RESULT_BYTES_MAX, "a result of {} bytes", result.len());
            self.clients.finish(client, timestamp, seq, result.clone());
            replies.push(self.reply(client, timestamp, seq, result));
        }
        self.cursor.executed = seq;
        self.watch.progressed(self.now, &self.config);
        self.counters.requests_executed += replies.len() as u64;
        if !replies.is_empty() {
            out.push(Output::Reply { replies, after: self.journal.position() });
        }
        if expected.checkpoint {
            let application = executed.state_root.expect("a state root where one was asked for");
            let clients = self.clients.checkpoint(seq);
            let state = state_digest(&self.config, seq, application, clients);
            self.checkpoints.reached(seq, state);
            self.serving.reached(seq, application);
            let body = Checkpoint { seq, state, replica: self.config.replica };
            let message = Message::Checkpoint(Signed::blank(body));
            self.say(message, out);
            self.stabilise(out);
        }
        self.hand_out(out);
    }

    /// PBFT 4.1: `<REPLY, v, t, c, i, r>`, of what was executed at `seq`.
    pub(super) fn reply(
        &self,
        client: ClientId,
        timestamp: Timestamp,
        seq: Seq,
        result: Bytes,
    ) -> Reply {
        let (view, replica) = (self.view, self.config.replica);
        Reply { view, seq, timestamp, client, replica, result, tentative: false }
    }
}
