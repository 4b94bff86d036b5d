//! What goes into a replica's engine and what becomes of what comes out.

use std::sync::Arc;

use bytes::Bytes;
use quorumark_application::{Application as _, Settling, run_and_begin, serve};
use quorumark_consensus::engine::{
    Engine, Execution, Input, Output, Position, Recipients, StateAnswer, StateWork,
};
use quorumark_consensus::pbft::{Checkpoint, Commit, Message, Pbft, PrePrepare, Prepare, Record};
use quorumark_consensus::request::Reply;
use quorumark_consensus::types::{ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::{Domain, Signer, Verified};
use quorumark_primitives::wire::Encode;

use super::due::{Due, Sender};
use super::frame::Frame;
use super::network::End;
use super::node::{self, Clock, Disk, Node, Outgoing, Told, Vote};
use super::{World, engine_config};
use crate::trace::{
    Checkpointed, Committed, DropCause, Equivocated, Executed, Fact, MessageKind, Ordered, Party,
    Phase, Reached, Replied, RolledBack, Said, StableReached, TransferFinished, VoteKind,
};

/// Timeouts in a row at one time; an engine that asks for more would keep a real core busy.
const TIMEOUTS_MAX: u32 = 1000;

/// The least and the most time that executing one batch takes, in nanoseconds.
const EXECUTION: [u64; 2] = [5_000, 50_000];

impl World<'_> {
    /// A replica with nothing on its disk.
    pub(super) fn node(&self, replica: u16, incarnation: u32) -> Node {
        let config = engine_config(self.scenario, replica).expect("the scenario was checked");
        let sealer = self.keys.sealer(Signer::Replica(replica));
        Node {
            replica: ReplicaId(replica),
            engine: Pbft::new(config),
            sealer,
            verifier: self.keys.verifier(),
            sessions: self.keys.of_replica(replica),
            application: node::application(self.scenario.workload.keys),
            disk: Disk::default(),
            clock: Clock::default(),
            incarnation,
            up: true,
            lost: false,
            paused_until: 0,
            timer: None,
            timeouts: (0, 0),
            results: Default::default(),
            executor_free: 0,
            fetched: 0,
            restored: Digest::ZERO,
            waiting: Default::default(),
            inputs: Default::default(),
            outbox: Default::default(),
            told: Told::default(),
            liar: None,
        }
    }

    /// A frame arrives: it is decoded, verified and given to the engine.
    pub(super) fn deliver(&mut self, at: usize, from: Sender, frame: Frame) {
        let bytes = frame.len();
        let node = &mut self.nodes[at];
        let to = End::Replica(node.replica.0);
        if !node.up {
            return self.drop_frame(from, to, bytes, MessageKind::Other, DropCause::Down);
        }
        if node.paused_until > self.now {
            let resumes = node.paused_until;
            return self.queue.push(resumes, Due::Deliver { node: at as u16, from, frame });
        }
        if node.liar.as_ref().is_some_and(|liar| liar.is_deaf_to(from_replica(from))) {
            return self.drop_frame(from, to, bytes, MessageKind::Other, DropCause::Withheld);
        }
        let verified = match frame.open(&mut node.verifier) {
            Ok(verified) => verified,
            Err(fault) => return self.drop_frame(from, to, bytes, fault.kind, fault.cause),
        };
        let kind = kind_of(verified.get());
        node.fetched += if kind == MessageKind::StateSlice { bytes as u64 } else { 0 };
        if node.liar.as_ref().is_some_and(|liar| liar.ignores(verified.get(), self.now)) {
            return self.drop_frame(from, to, bytes, kind, DropCause::Withheld);
        }
        let to = Party::Replica(node.replica);
        self.delivered(from, to, bytes, kind);
        self.feed(at, Input::Message(verified));
    }

    /// A timer event: it may have been put off meanwhile.
    pub(super) fn timer(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.timer != Some(self.now) {
            return;
        }
        node.timer = None;
        if !node.up {
            return;
        }
        if node.paused_until > self.now {
            let resumes = node.paused_until;
            node.timer = Some(resumes);
            return self.queue.push(resumes, Due::Timer { node: at as u16 });
        }
        let local = node.clock.local(self.now);
        if node.engine.next_timeout().is_some_and(|due| due <= local) {
            let (last, count) = node.timeouts;
            node.timeouts = (self.now, if last == self.now { count + 1 } else { 0 });
            assert!(
                count < TIMEOUTS_MAX,
                "{} asks for a timeout at {:?} and does not act at {local:?}: {} active {}, \
                 executed {}, stable {}, fetching {:?}, {} requests wait",
                node.replica,
                node.engine.next_timeout(),
                node.engine.view(),
                node.engine.is_active(),
                node.engine.executed(),
                node.engine.stable(),
                node.engine.fetching(),
                node.engine.waiting(),
            );
            self.feed(at, Input::Timeout);
        } else {
            self.arm(at);
        }
    }

    /// Results come back to the engine, in the order of the executions.
    pub(super) fn executed(&mut self, at: usize, incarnation: u32) {
        let node = &mut self.nodes[at];
        if node.incarnation != incarnation || !node.up {
            return;
        }
        if node.paused_until > self.now {
            let resumes = node.paused_until;
            return self.queue.push(resumes, Due::Executed { node: at as u16, incarnation });
        }
        if let Some(result) = node.results.pop_front() {
            if let Input::State(StateAnswer::Root { seq, state }) = &result {
                node.told.root = Some((*seq, state.root));
            }
            self.feed(at, result);
        }
        if self.settle(at) {
            self.call_back(at);
        }
    }

    /// The journal is durable as far as the write under way went; what waited for it leaves.
    pub(super) fn durable(&mut self, at: usize, incarnation: u32) {
        let node = &mut self.nodes[at];
        if node.incarnation != incarnation || !node.up {
            return;
        }
        if let Some(position) = node.disk.writing.take() {
            debug_assert!(position > node.disk.durable, "a write makes more durable");
            node.disk.durable = position;
            node.disk.cut();
        }
        loop {
            let node = &mut self.nodes[at];
            let durable = node.disk.durable;
            if node.waiting.front().is_none_or(|(after, _)| *after > durable) {
                break;
            }
            let Some((_, outgoing)) = node.waiting.pop_front() else { break };
            self.depart(at, outgoing);
        }
        self.write(at);
    }

    /// Gives the engine an input, and what follows from it, until nothing more does.
    pub(super) fn feed(&mut self, at: usize, mut input: Input<Message>) {
        let node = &mut self.nodes[at];
        debug_assert!(node.up, "{} is down and takes no input", node.replica);
        self.current = Some(node.replica);
        let now = node.clock.local(self.now);
        debug_assert!(node.inputs.is_empty(), "what follows from an input is fed with it");
        loop {
            let node = &mut self.nodes[at];
            let done = matches!(input, Input::State(StateAnswer::Restored { done: true, .. }));
            node.engine.handle(now, input, &mut node.outbox);
            let mut outbox = core::mem::take(&mut node.outbox);
            if done {
                self.tell_transfer(at);
            }
            for output in outbox.drain() {
                self.output(at, output);
            }
            let node = &mut self.nodes[at];
            node.outbox = outbox;
            let Some(next) = node.inputs.pop_front() else { break };
            input = next;
        }
        self.look(at);
        self.arm(at);
        self.current = None;
    }

    fn output(&mut self, at: usize, output: Output<Message>) {
        match output {
            Output::Persist { position, record } => self.persist(at, position, record),
            Output::Say { to, message, after } => self.say(at, to, message, after),
            Output::Relay { to, message, after } => {
                let outgoing = self.outgoing(at, to, &message, None);
                self.leave(at, outgoing, after);
            }
            Output::Execute(execution) => self.execute(at, execution),
            Output::Confirm(execution) => {
                let requests = Ordered::of_batch(&execution.batch);
                self.tell_committed(at, &execution, &requests);
            }
            Output::State(work) => match work {
                // Until the journal is durable so far, a restart needs what it lets go.
                StateWork::Retain { after, .. } => self.leave(at, Outgoing::State(work), after),
                work => self.serve(at, work),
            },
            Output::Reply { replies, after } => {
                for reply in replies {
                    self.leave(at, Outgoing::Reply(reply), after);
                }
            }
            Output::Evidence(evidence) => {
                let replica = self.nodes[at].replica;
                let (culprit, kind) = (evidence.replica, kind_of(&evidence.second));
                self.tell(Fact::Equivocated(Equivocated { replica, culprit, kind }));
            }
        }
    }

    fn persist(&mut self, at: usize, position: Position, record: Record) {
        self.nodes[at].disk.write(position, record);
        self.write(at);
    }

    /// Starts a write of everything that is not durable, unless one is under way: group commit.
    fn write(&mut self, at: usize) {
        let disk = &mut self.nodes[at].disk;
        let written = disk.written();
        if disk.writing.is_some() || written <= disk.durable {
            return;
        }
        disk.writing = Some(written);
        let [low, high] = self.scenario.fsync;
        let done = self.now + self.machine.between(low, high);
        let incarnation = self.nodes[at].incarnation;
        self.queue.push(done, Due::Durable { node: at as u16, incarnation });
    }

    /// Seals a message, gives it back to its engine, and lets it leave when its record is durable.
    fn say(&mut self, at: usize, to: Recipients, message: Message, after: Position) {
        let sealed: Verified<Message> = self.nodes[at].sealer.seal_own(message);
        self.tell_said(at, &sealed);
        let outgoing = self.outgoing(at, to, &sealed, vote_of(&sealed));
        self.nodes[at].inputs.push_back(Input::Message(sealed));
        self.leave(at, outgoing, after);
    }

    /// The moments of the protocol that show in what a replica says.
    fn tell_said(&mut self, at: usize, message: &Message) {
        let replica = self.nodes[at].replica;
        let (phase, view, seq) = match message {
            Message::PrePrepare(signed, _) => {
                (Phase::PrePrepared, signed.body.view, signed.body.seq)
            }
            Message::Prepare(signed) => (Phase::PrePrepared, signed.body.view, signed.body.seq),
            Message::Commit(signed) => (Phase::Prepared, signed.body.view, signed.body.seq),
            Message::Checkpoint(signed) => {
                let body = signed.body;
                self.tell_fills(at);
                if let Some((seq, root)) = self.nodes[at].told.root
                    && seq == body.seq
                {
                    let fact = Checkpointed { replica, seq, root, state: body.state };
                    self.tell(Fact::Checkpointed(fact));
                }
                return;
            }
            Message::ViewChange(view_change) => {
                let body = view_change.body();
                (Phase::ViewChangeSent, body.view, body.checkpoint.seq)
            }
            Message::NewView(new_view) => (Phase::NewViewSent, new_view.body().view, Seq(0)),
            _ => return,
        };
        self.tell(Fact::Reached(Reached { replica, phase, view, seq }));
    }

    fn outgoing(
        &mut self,
        at: usize,
        to: Recipients,
        message: &Message,
        vote: Option<Vote>,
    ) -> Outgoing {
        let (frame, kind) = (Frame::of(message, &mut self.scratch), kind_of(message));
        let message = self.nodes[at].liar.is_some().then(|| Box::new(message.clone()));
        Outgoing::Frame { to, frame, kind, vote, message }
    }

    fn leave(&mut self, at: usize, outgoing: Outgoing, after: Position) {
        let node = &mut self.nodes[at];
        debug_assert!(after <= node.disk.written(), "it waits for a record that was written");
        if after <= node.disk.durable {
            self.depart(at, outgoing);
        } else {
            node.waiting.push_back((after, outgoing));
        }
    }

    /// Something leaves a replica: to the network, or through its lies.
    fn depart(&mut self, at: usize, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Frame { to, frame, kind, vote, message } => {
                if let Some(message) = message {
                    return self.lie(at, to, *message, kind);
                }
                if let Some(vote) = vote {
                    self.tell_vote(at, vote);
                }
                self.spread(at, to, &frame, kind);
            }
            Outgoing::Reply(reply) => self.depart_reply(at, &reply),
            Outgoing::State(work) => self.serve(at, work),
        }
    }

    pub(super) fn tell_vote(&mut self, at: usize, vote: Vote) {
        let Node { replica, incarnation, .. } = self.nodes[at];
        let Vote { kind, view, seq, digest, signature } = vote;
        self.tell(Fact::Said(Said { replica, incarnation, kind, view, seq, digest, signature }));
    }

    /// Sends a frame to all its recipients.
    pub(super) fn spread(&mut self, at: usize, to: Recipients, frame: &Frame, kind: MessageKind) {
        let own = self.nodes[at].replica.0;
        let from = Sender::Replica(own);
        match to {
            Recipients::One(replica) => self.send(from, replica.0, frame, kind),
            Recipients::Others => {
                for replica in (0..self.scenario.replicas).filter(|id| *id != own) {
                    self.send(from, replica, frame, kind);
                }
            }
        }
    }

    fn depart_reply(&mut self, at: usize, reply: &Reply) {
        let node = &self.nodes[at];
        if node.liar.as_ref().is_some_and(|liar| liar.keeps_replies(self.now)) {
            return;
        }
        let client = reply.client;
        self.scratch.clear();
        reply.encode(&mut self.scratch);
        let Some(tag) = node.sessions.tag(client.0, Domain::Reply, &self.scratch) else { return };
        tag.encode(&mut self.scratch);
        let frame = Frame::new(&self.scratch);
        let replied = Replied {
            replica: reply.replica,
            client,
            timestamp: reply.timestamp,
            view: reply.view,
            seq: reply.seq,
            result: self.digests.of(&reply.result),
            tentative: reply.tentative,
        };
        self.tell(Fact::Replied(replied));
        self.send_reply(reply.replica.0, client.0, frame);
    }

    /// Executes a batch. The state changes now, in the order told; the results come back later.
    fn execute(&mut self, at: usize, execution: Execution) {
        if execution.checkpoint {
            // The root of one checkpoint comes before the next.
            while self.settle(at) {}
        }
        let node = &mut self.nodes[at];
        let (replica, incarnation) = (node.replica, node.incarnation);
        let requests = Ordered::of_batch(&execution.batch);
        let digest = execution.batch.digest();
        let executed = run_and_begin(&mut node.application, &execution);
        results_in_one(&executed.results, &mut self.scratch);
        let results = self.digests.of(&self.scratch);
        self.come_back(at, Input::Executed(executed));
        if !execution.tentative {
            self.tell_committed(at, &execution, &requests);
        }
        let Execution { seq, view, fresh, tentative, .. } = execution;
        self.tell(Fact::Executed(Arc::new(Executed {
            replica,
            incarnation,
            seq,
            view,
            digest,
            requests,
            fresh,
            results,
            tentative,
        })));
    }

    /// Does a part of what a checkpoint that was begun still needs; whether there is more. The root
    /// comes back to the engine after the results that are on their way.
    fn settle(&mut self, at: usize) -> bool {
        let settling = self.nodes[at].application.settle();
        if let Settling::Done { seq, state } = settling {
            self.come_back(at, Input::State(StateAnswer::Root { seq, state }));
        }
        settling == Settling::More
    }

    /// A batch is committed: it is executed now, or was before.
    fn tell_committed(&mut self, at: usize, execution: &Execution, requests: &Arc<[Ordered]>) {
        self.summary.commits += 1;
        let Node { replica, incarnation, .. } = self.nodes[at];
        self.tell(Fact::Committed(Committed {
            replica,
            incarnation,
            seq: execution.seq,
            view: execution.view,
            digest: execution.batch.digest(),
            requests: Arc::clone(requests),
            certificate: Arc::clone(&execution.certificate),
        }));
    }

    /// Does what the engine asks of the state, in one order with executions.
    fn serve(&mut self, at: usize, work: StateWork) {
        let node = &mut self.nodes[at];
        let replica = node.replica;
        if let StateWork::Restore { state, .. } = &work {
            node.restored = state.root;
        }
        if let StateWork::Rollback { to } = work {
            self.tell(Fact::RolledBack(RolledBack { replica, to }));
        }
        let node = &mut self.nodes[at];
        if let Some(answer) = serve(&mut node.application, work) {
            self.come_back(at, Input::State(answer));
        }
    }

    /// What the executor did comes back to the engine after a drawn time, in order.
    fn come_back(&mut self, at: usize, result: Input<Message>) {
        self.nodes[at].results.push_back(result);
        self.call_back(at);
    }

    /// The executor is heard of when it has done what it has to do.
    fn call_back(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let takes = self.machine.between(EXECUTION[0], EXECUTION[1]);
        node.executor_free = node.executor_free.max(self.now) + takes;
        let (done, incarnation) = (node.executor_free, node.incarnation);
        self.queue.push(done, Due::Executed { node: at as u16, incarnation });
    }

    /// The engine stands at a state that it fetched.
    fn tell_transfer(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let proof = node.engine.stable_proof();
        let bytes = core::mem::take(&mut node.fetched);
        let (replica, root) = (node.replica, node.restored);
        let (seq, state) = (proof.seq, proof.state);
        self.tell(Fact::TransferFinished(TransferFinished { replica, seq, state, root, bytes }));
    }

    /// Tells what shows from outside that the engine reached.
    fn look(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let (replica, stable) = (node.replica, node.engine.stable());
        let before = (node.told.view, node.told.stable, node.told.fetching);
        let view = if node.engine.is_active() { node.engine.view() } else { before.0 };
        let fetching = node.engine.fetching();
        if before == (view, stable, fetching) {
            return; // So it is after most inputs.
        }
        (node.told.view, node.told.stable, node.told.fetching) = (view, stable, fetching);
        if view != before.0 {
            let (phase, seq) = (Phase::ViewEntered, Seq(0));
            self.tell(Fact::Reached(Reached { replica, phase, view, seq }));
            self.tell_fills(at);
        }
        if let Some(seq) = fetching.filter(|_| before.2.is_none()) {
            let (phase, view) = (Phase::StateTransferStarted, View(0));
            self.tell(Fact::Reached(Reached { replica, phase, view, seq }));
        }
        if stable != before.1 {
            let proof = self.nodes[at].engine.stable_proof();
            let votes = proof.votes.iter().map(|voucher| (voucher.replica, voucher.signature));
            let (state, certificate) = (proof.state, votes.collect());
            let fact = StableReached { replica, seq: stable, state, certificate };
            self.tell(Fact::Stable(fact));
        }
    }

    /// Sets the timer event of a node, if its timer is due earlier than the one that is set.
    pub(super) fn arm(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(due) = node.engine.next_timeout() else { return };
        let due = node.clock.world(due, self.now);
        if node.timer.is_none_or(|set| due < set) {
            node.timer = Some(due);
            self.queue.push(due, Due::Timer { node: at as u16 });
        }
    }

    /// Whether any replica has a twin.
    pub(super) fn has_twins(&self) -> bool {
        self.nodes.len() > usize::from(self.scenario.replicas)
    }

    /// The nodes of a replica beside its first: its twins.
    pub(super) fn twins_of(&self, replica: u16) -> Vec<u16> {
        let nodes = (0..).zip(&self.nodes).skip(usize::from(self.scenario.replicas));
        nodes.filter(|(_, node)| node.replica.0 == replica).map(|(at, _)| at).collect()
    }
}

/// The results, each behind its length.
fn results_in_one(results: &[Bytes], all: &mut Vec<u8>) {
    all.clear();
    for result in results {
        all.extend_from_slice(&(result.len() as u32).to_le_bytes());
        all.extend_from_slice(result);
    }
}

fn from_replica(from: Sender) -> Option<u16> {
    match from {
        Sender::Replica(id) => Some(id),
        Sender::Client(_) => None,
    }
}

/// The trace's name of a message's kind.
pub(super) fn kind_of(message: &Message) -> MessageKind {
    match message {
        Message::Request(_) | Message::Read(_) => MessageKind::Request,
        Message::PrePrepare(..) => MessageKind::PrePrepare,
        Message::Prepare(_) => MessageKind::Prepare,
        Message::Commit(_) => MessageKind::Commit,
        Message::Checkpoint(_) => MessageKind::Checkpoint,
        Message::Status(_) => MessageKind::Status,
        Message::ViewChange(_) => MessageKind::ViewChange,
        Message::NewView(_) => MessageKind::NewView,
        Message::Fetch(_) => MessageKind::Fetch,
        Message::Body(_) => MessageKind::Body,
        Message::Committed(..) | Message::Stable(_) => MessageKind::Other,
        Message::FetchState(_) => MessageKind::FetchState,
        Message::StateManifest(_) => MessageKind::StateManifest,
        Message::StateSlice(_) => MessageKind::StateSlice,
    }
}

/// What a message votes for, if it is a vote.
pub(super) fn vote_of(message: &Message) -> Option<Vote> {
    let (kind, view, seq, digest, signature) = match message {
        Message::PrePrepare(signed, _) => {
            let PrePrepare { view, seq, digest, .. } = signed.body;
            (VoteKind::PrePrepare, view, seq, digest, signed.signature)
        }
        Message::Prepare(signed) => {
            let Prepare { view, seq, digest, .. } = signed.body;
            (VoteKind::Prepare, view, seq, digest, signed.signature)
        }
        Message::Commit(signed) => {
            let Commit { view, seq, digest, .. } = signed.body;
            (VoteKind::Commit, view, seq, digest, signed.signature)
        }
        Message::Checkpoint(signed) => {
            let Checkpoint { seq, state, .. } = signed.body;
            (VoteKind::Checkpoint, View(0), seq, state, signed.signature)
        }
        Message::ViewChange(view_change) => {
            let (body, signature) = (view_change.body(), view_change.statement().signature);
            let digest = view_change.digest();
            (VoteKind::ViewChange, body.view, body.checkpoint.seq, digest, signature)
        }
        Message::NewView(new_view) => {
            let (view, signature) = (new_view.body().view, new_view.statement().signature);
            (VoteKind::NewView, view, Seq(0), new_view.digest(), signature)
        }
        _ => return None,
    };
    Some(Vote { kind, view, seq, digest, signature })
}
