//! A replica of the model: the real engine, and what its turns cost.
//!
//! A turn is that of the live driver with all stages on one thread: it takes what has arrived, up to
//! a batch of verification, gives it to the engine, signs what that says, executes what is
//! committed, and sends. Messages pass as values that were verified: what decoding, verifying and
//! encoding take is in the costs, and nothing of it is done.

use core::mem;
use std::collections::VecDeque;

use bytes::Bytes;
use quorumark_application::{Application, run, serve};
use quorumark_consensus::engine::{Engine, Execution, Input, Outbox, Output, Recipients};
use quorumark_consensus::pbft::{CheckedConfig, Message, Pbft};
use quorumark_consensus::request::Reply;
use quorumark_consensus::types::{ClientId, Instant, Seq};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::{Sealer, Signer, Verified};
use quorumark_primitives::wire::Encode;

use super::costs::{Costs, Item};
use super::work::{Work, pages_written};

/// What travels together to a replica.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    pub(super) messages: Vec<Verified<Message>>,
    pub(super) bytes: usize,
}

/// What a turn leaves to be done when it ends.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// By replica.
    pub(super) to_replicas: Vec<Parcel>,
    pub(super) replies: Vec<Reply>,
    /// Requests of each batch that was executed.
    pub(super) executed: Vec<u64>,
}

/// One replica.
#[derive(Debug)]
pub(super) struct Replica {
    engine: Pbft,
    sealer: Sealer,
    application: Mute,
    from_replicas: VecDeque<Parcel>,
    from_clients: VecDeque<Parcel>,
    outbox: Outbox<Message>,
    scratch: Vec<u8>,
    settings: Turns,
    /// Requests executed since the last checkpoint.
    since_checkpoint: u64,
    /// What the turn under way says.
    pub(super) said: Said,
    /// Batches that it executed so far.
    pub(super) batches: u64,
}

/// What a turn is bounded by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    pub(super) replicas: usize,
    /// The most messages that are verified together.
    pub(super) verify_batch_max: usize,
    /// Distinct keys that requests write.
    pub(super) keys: u64,
    /// Whether flushes go over sockets.
    pub(super) sockets: bool,
}

impl Replica {
    pub(super) fn new(config: CheckedConfig, sealer: Sealer, settings: Turns) -> Replica {
        Replica {
            engine: Pbft::new(config),
            sealer,
            application: Mute,
            from_replicas: VecDeque::new(),
            from_clients: VecDeque::new(),
            outbox: Outbox::new(),
            scratch: Vec::new(),
            settings,
            since_checkpoint: 0,
            said: Said::default(),
            batches: 0,
        }
    }

    pub(super) fn hear(&mut self, parcel: Parcel, from_clients: bool) {
        let inbox = if from_clients { &mut self.from_clients } else { &mut self.from_replicas };
        inbox.push_back(parcel);
    }

    /// Views left so far.
    pub(super) fn views_left(&self) -> u64 {
        self.engine.view().0
    }

    pub(super) fn next_timeout(&self) -> Option<u64> {
        self.engine.next_timeout().map(|due| due.0)
    }

    /// Takes a turn, if there is anything to do: how many nanoseconds it takes.
    pub(super) fn turn(&mut self, now: u64, costs: &Costs) -> Option<f64> {
        let mut work = Work::default();
        let (messages, socket_ns) = self.take(costs);
        let now = Instant(now);
        let due = self.engine.next_timeout().is_some_and(|due| due <= now);
        if messages.is_empty() && !due {
            return None;
        }
        work.add(Item::Turn, 1);
        let verify_ns = self.verify_ns(&messages, costs, &mut work);
        self.said.to_replicas.resize_with(self.settings.replicas, Parcel::default);
        let mut inputs: VecDeque<_> = messages.into_iter().map(Input::Message).collect();
        if due {
            inputs.push_back(Input::Timeout);
        }
        while let Some(input) = inputs.pop_front() {
            self.engine.handle(now, input, &mut self.outbox);
            // As the live driver does: its own words and results come after all that arrived.
            if inputs.is_empty() {
                let mut outbox = mem::take(&mut self.outbox);
                outbox.drain().for_each(|output| self.output(output, &mut inputs, &mut work));
                self.outbox = outbox;
            }
        }
        Some(work.ns(costs) + verify_ns + socket_ns)
    }

    /// What has arrived: flushes of replicas first, until a batch is full.
    fn take(&mut self, costs: &Costs) -> (Vec<Verified<Message>>, f64) {
        let (mut messages, mut ns) = (Vec::new(), 0.0);
        while messages.len() < self.settings.verify_batch_max
            && let Some(parcel) =
                self.from_replicas.pop_front().or_else(|| self.from_clients.pop_front())
        {
            if self.settings.sockets {
                let bytes = parcel.bytes as f64 * costs.ns(Item::SocketReceiveByte);
                ns += costs.ns(Item::SocketReceive) + bytes;
            }
            messages.extend(parcel.messages);
        }
        (messages, ns)
    }

    /// Counts what arrived; what verifying its signatures costs.
    fn verify_ns(&self, messages: &[Verified<Message>], costs: &Costs, work: &mut Work) -> f64 {
        let mut ns = 0.0;
        for together in messages.chunks(self.settings.verify_batch_max) {
            let mut signatures = 0;
            for message in together {
                signatures += 1;
                match message.get() {
                    Message::Request(_) | Message::Read(_) => work.add(Item::Request, 1),
                    Message::PrePrepare(_, batch) => {
                        let requests = batch.requests().len() as u64;
                        work.add(Item::ProposalHeard, 1);
                        work.add(Item::RequestHeard, requests);
                        signatures += requests;
                    }
                    _ => work.add(Item::VoteHeard, 1),
                }
            }
            ns += costs.verify_ns(signatures, self.settings.replicas as u64);
        }
        ns
    }

    fn output(
        &mut self,
        output: Output<Message>,
        inputs: &mut VecDeque<Input<Message>>,
        work: &mut Work,
    ) {
        match output {
            Output::Say { to, message, .. } => {
                if matches!(message, Message::PrePrepare(..)) {
                    work.add(Item::Proposal, 1);
                }
                work.add(Item::Signature, 1);
                let sealed = self.sealer.seal_own(message);
                self.address(to, &sealed, work);
                inputs.push_back(Input::Message(sealed));
            }
            // What is passed on as it is was verified here, but it is no value of this replica's
            // seal: only repairs do so, and a prediction has no faults to repair.
            Output::Relay { .. } | Output::Persist { .. } | Output::Evidence(_) => {}
            Output::Execute(execution) => {
                let executed = self.execute(&execution, work);
                inputs.push_back(executed);
            }
            Output::Confirm(_) => {}
            Output::State(asked) => {
                inputs.extend(serve(&mut self.application, asked).map(Input::State));
            }
            Output::Reply { replies, .. } => self.said.replies.extend(replies),
        }
    }

    fn address(&mut self, to: Recipients, sealed: &Verified<Message>, work: &mut Work) {
        self.scratch.clear();
        sealed.get().encode(&mut self.scratch);
        let own = self.sealer.signer();
        for (peer, parcel) in self.said.to_replicas.iter_mut().enumerate() {
            let is = |id: u16| usize::from(id) == peer;
            let addressed = match to {
                Recipients::One(one) => is(one.0),
                Recipients::Others => own != Signer::Replica(peer as u16),
            };
            if addressed {
                parcel.messages.push(sealed.clone());
                parcel.bytes += self.scratch.len();
                work.add(Item::Copy, 1);
            }
        }
    }

    fn execute(&mut self, execution: &Execution, work: &mut Work) -> Input<Message> {
        let requests = execution.fresh.len() as u64;
        work.add(Item::Batch, 1);
        work.add(Item::Execution, requests);
        self.since_checkpoint += requests;
        if execution.checkpoint {
            work.add(Item::Checkpoint, 1);
            let requests = mem::take(&mut self.since_checkpoint);
            work.add(Item::CheckpointPage, pages_written(requests, self.settings.keys));
        }
        self.batches += 1;
        self.said.executed.push(requests);
        Input::Executed(run(&mut self.application, execution))
    }
}

/// An application whose work is in the costs: it answers, and does nothing.
#[derive(Debug)]
struct Mute;

/// As long as an answer of the key-value store to a write.
const ANSWER: &[u8] = &[0; 16];

impl Application for Mute {
    fn execute<'a>(
        &mut self,
        _: Seq,
        _: &Bytes,
        operations: impl Iterator<Item = (ClientId, &'a [u8])>,
        results: &mut Vec<Bytes>,
    ) {
        results.extend(operations.map(|_| Bytes::from_static(ANSWER)));
    }

    fn root(&mut self) -> Digest {
        Digest::ZERO
    }
}
