//! Requests that only read, answered without being ordered (OSDI'99 5.1; TOCS'02 5.1.3).
//!
//! A client sends such a request to every replica. Each answers at once from its state, if the
//! application finds that it only reads; neither the log nor the exactly-once table hears of it. The
//! client takes the result at a quorum of equal replies. Where concurrent writes keep it from those,
//! it sends the request again as an ordinary one.
//!
//! # Why a read misses no write that was answered
//! Clients take the results of ordered requests at a quorum too (Berger, Reiser and Bessani, SRDS
//! 2021, section 3). So f + 1 honest replicas had executed a write before its client saw the answer,
//! and any quorum that answers a later read has one of them. Its state holds the write, since:
//! - a query is told to the state machine in one order with executions, and only committed batches
//!   are in the state then: what it reads is never undone ([`super::tentative`]);
//! - a replica's state never goes back, but where it restarts from its last stable checkpoint. Until
//!   it has executed a window beyond that, which is further than it can have been, it answers no
//!   read. Nor does one that lost its journal, while it abstains ([`super::rejoin`]).
//!
//! That such clients stay live where f replicas were brought up by state transfer needs the replies
//! of what those did not execute: the client table, which is part of the state, has them.
//!
//! Bounds: [`QUERY_MAX`] reads wait and as many are at the state machine; those above are passed
//! over, and their clients ask again.

use alloc::vec::Vec;

use bytes::Bytes;

use super::message::Message;
use super::replica::Pbft;
use crate::engine::{Outbox, Output, QUERY_MAX, StateWork};
use crate::request::{RESULT_BYTES_MAX, Reply, SignedRequest};
use crate::types::{ClientId, Seq, Timestamp};

/// The reads of a replica.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// Reads that came while others were at the state machine, oldest first.
    waiting: Vec<SignedRequest>,
    /// Those whose results are to come, in order; empty when none are at the state machine.
    asked: Vec<(ClientId, Timestamp)>,
    /// Reads are answered from here on.
    from: Seq,
}

impl Reads {
    /// No read is answered before `seq` is committed here.
    pub(super) fn wait_for(&mut self, seq: Seq) {
        self.from = self.from.max(seq);
    }
}

impl Pbft {
    /// Takes a read of an authentic client; the verifier refuses one whose own proof fails.
    pub(super) fn on_read(&mut self, request: SignedRequest) {
        let current = self.cursor.handed >= self.reads.from && !self.abstains();
        let serves = self.config.read_only && current;
        if !serves || self.reads.waiting.len() >= QUERY_MAX {
            self.counters.reads_refused += 1;
            return;
        }
        self.reads.waiting.push(request);
    }

    /// Asks the state machine what waits, when it has answered what it was asked before.
    ///
    /// OSDI'99 5.1: "replicas execute the request immediately", in the state that they have, and
    /// answer once all that it reflects is committed. Here a read waits for what is executed ahead.
    pub(super) fn ask_reads(&mut self, out: &mut Outbox<Message>) {
        if self.reads.waiting.is_empty() || !self.reads.asked.is_empty() {
            return;
        }
        if self.cursor.ahead.is_some() || self.cursor.handed < self.reads.from {
            return;
        }
        let waiting = core::mem::take(&mut self.reads.waiting);
        self.reads.asked = waiting.iter().map(SignedRequest::id).collect();
        let asked = waiting.iter().map(SignedRequest::request);
        let operations = asked.map(|request| (request.client, request.operation)).collect();
        out.push(Output::State(StateWork::Query { operations }));
    }

    /// Answers with the results of a query. One is missing where the request does not only read:
    /// whoever sent that has to order it.
    ///
    /// # Panics
    /// When the results are not those of the query: the driver broke the contract.
    pub(super) fn on_results(&mut self, results: Vec<Option<Bytes>>, out: &mut Outbox<Message>) {
        let asked = core::mem::take(&mut self.reads.asked);
        assert_eq!(asked.len(), results.len(), "one result for each operation of a query");
        let count = asked.len() as u64;
        let answered =
            asked.into_iter().zip(results).filter_map(|(id, result)| Some((id, result?)));
        let replies: Vec<Reply> = answered
            .map(|((client, timestamp), result)| self.read_reply(client, timestamp, result))
            .collect();
        self.counters.reads_answered += replies.len() as u64;
        self.counters.reads_refused += count - replies.len() as u64;
        if !replies.is_empty() {
            out.push(Output::Reply { replies, after: self.journal.position() });
        }
    }

    fn read_reply(&self, client: ClientId, timestamp: Timestamp, result: Bytes) -> Reply {
        assert!(result.len() <= RESULT_BYTES_MAX, "a result of {} bytes", result.len());
        let (view, replica) = (self.view, self.config.replica);
        Reply { view, seq: Seq(0), timestamp, client, replica, result, tentative: true }
    }

    /// After a restart the state is that of the last stable checkpoint, older than what may have
    /// been answered from: a reply waits for the record of the checkpoint that it follows, and is at
    /// most a window beyond that.
    pub(super) fn read_beyond_recovery(&mut self) {
        self.reads.wait_for(self.log.high());
    }
}
