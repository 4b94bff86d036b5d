//! One PBFT replica: the three phases of the normal case.

use alloc::sync::Arc;
use alloc::vec;

use quorumark_primitives::signed::Signed;

use super::batcher::{Admission, Batcher, Limits};
use super::checkpoint::Checkpoints;
use super::config::CheckedConfig;
use super::execution::Cursor;
use super::journal::{Journal, Record};
use super::log::{Cast, Log, Place, Stage};
use super::message::{Checkpoint, Commit, Message, PrePrepare, Prepare};
use super::repair::Watch;
use crate::client_table::{ClientTable, Standing};
use crate::engine::{Engine, Evidence, Input, Outbox, Output, Recipients};
use crate::request::{Authentic, Batch, SignedRequest};
use crate::types::{Instant, ReplicaId, Seq, View};

/// Exact counts of what a replica did, since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Batches proposed, as primary.
    pub batches_proposed: u64,
    /// Batches handed to execution.
    pub batches_committed: u64,
    /// Requests executed, each once.
    pub requests_executed: u64,
    /// Ordered requests passed over because they had been ordered before.
    pub repeats_skipped: u64,
    /// Repeats answered from the client table.
    pub replies_repeated: u64,
    /// Requests below their client's window.
    pub requests_stale: u64,
    /// Requests refused because as many waited as may.
    pub requests_refused: u64,
    /// Requests forwarded to the primary.
    pub requests_forwarded: u64,
    /// Messages kept for slots above the high watermark.
    pub messages_early: u64,
    /// Messages at or below the low watermark, of another view, or further ahead than is kept.
    pub messages_out_of_reach: u64,
    /// Messages that their sender may not say, such as a backup's pre-prepare.
    pub messages_improper: u64,
    /// Conflicting pairs found.
    pub evidence_found: u64,
    /// Status messages said.
    pub statuses_said: u64,
    /// Messages sent again because a peer lacked them.
    pub messages_repeated: u64,
    /// Checkpoints that became stable.
    pub checkpoints_stable: u64,
    /// Checkpoint votes further ahead than anything is kept: more of them than `f` replicas could
    /// say mean that this replica needs the state itself.
    pub checkpoints_beyond: u64,
    /// Checkpoints at which a quorum vouched for another state than this replica reached: it is
    /// faulty, or set up differently.
    pub checkpoints_diverged: u64,
}

/// A PBFT replica behind the [`Engine`] contract.
///
/// Its memory is bounded by its configuration: the log by window and batch, the waiting requests by
/// `pending_max`, the client table by `clients_max` and `client_window`.
#[derive(Debug)]
pub struct Pbft {
    pub(super) config: CheckedConfig,
    pub(super) view: View,
    pub(super) log: Log,
    pub(super) batcher: Batcher,
    pub(super) cursor: Cursor,
    pub(super) clients: ClientTable,
    pub(super) checkpoints: Checkpoints,
    /// The last sequence number that this replica proposed.
    proposed: Seq,
    pub(super) watch: Watch,
    pub(super) journal: Journal,
    pub(super) counters: Counters,
    pub(super) now: Instant,
}

impl Pbft {
    /// A replica at the start of view 0, with nothing ordered.
    pub fn new(config: CheckedConfig) -> Pbft {
        let n = config.committee.n();
        Pbft {
            view: View(0),
            log: Log::new(n, config.window),
            batcher: Batcher::new(Limits {
                size_max: config.batch_size_max,
                bytes_max: config.batch_bytes_max,
                linger: config.batch_linger,
                pending_max: config.pending_max,
                pending_bytes_max: config.pending_bytes_max,
                per_client_max: config.client_window,
            }),
            cursor: Cursor::default(),
            clients: ClientTable::new(config.clients_max, config.client_window),
            checkpoints: Checkpoints::new(config.committee, config.checkpoint_interval),
            proposed: Seq(0),
            watch: Watch::new(&config),
            journal: Journal::new(config.journal),
            counters: Counters::default(),
            now: Instant::START,
            config,
        }
    }

    /// The view it is in.
    pub fn view(&self) -> View {
        self.view
    }

    /// The low watermark: its last stable checkpoint.
    pub fn stable(&self) -> Seq {
        self.log.low()
    }

    /// The last sequence number whose results are back.
    pub fn executed(&self) -> Seq {
        self.cursor.executed
    }

    /// Requests that wait to be proposed.
    pub fn waiting(&self) -> usize {
        self.batcher.len()
    }

    pub(super) fn is_primary(&self) -> bool {
        self.primary() == self.config.replica
    }

    fn primary(&self) -> ReplicaId {
        self.config.committee.primary(self.view)
    }

    fn on_message(&mut self, message: Message, out: &mut Outbox<Message>) {
        if message.sender().is_some_and(|sender| !self.config.committee.contains(sender)) {
            self.counters.messages_improper += 1;
            return;
        }
        match message {
            Message::Request(request) => self.on_request(request, out),
            Message::PrePrepare(signed, batch) => self.on_pre_prepare(signed, batch, out),
            Message::Prepare(signed) => self.on_prepare(signed, out),
            Message::Commit(signed) => self.on_commit(signed, out),
            Message::Checkpoint(signed) => self.on_checkpoint(signed, out),
            Message::Status(signed) => self.on_status(&signed, out),
        }
    }

    /// PBFT 4.1: a repeat gets its cached reply; a new request is ordered by the primary, and a
    /// backup passes it on.
    fn on_request(&mut self, request: SignedRequest, out: &mut Outbox<Message>) {
        let (client, timestamp) = request.id();
        match self.clients.standing(client, timestamp) {
            Standing::Executing => {}
            Standing::Stale => self.counters.requests_stale += 1,
            Standing::Done { seq, result } => {
                self.counters.replies_repeated += 1;
                let replies = vec![self.reply(client, timestamp, seq, result)];
                out.push(Output::Reply { replies, after: self.journal.position() });
            }
            Standing::Fresh if self.is_primary() => {
                // The verifier refuses a bare request whose own proof fails, so none is lost here.
                if let Some(request) = Authentic::<SignedRequest>::by_own_check(request) {
                    let admission = self.batcher.admit(self.now, request);
                    self.counters.requests_refused += u64::from(admission == Admission::Full);
                }
            }
            Standing::Fresh => {
                self.counters.requests_forwarded += 1;
                let to = Recipients::One(self.primary());
                self.relay(to, Message::Request(request), out);
            }
        }
    }

    /// Proposes every batch that is due, as far as the high watermark allows (PBFT 4.2).
    fn propose(&mut self, out: &mut Outbox<Message>) {
        if !self.is_primary() {
            return;
        }
        self.proposed = self.proposed.max(self.log.low());
        while self.proposed < self.log.high() && self.batcher.is_due(self.now) {
            let batch = Batch::new(self.batcher.take());
            assert!(!batch.requests().is_empty(), "a due batch holds a request");
            self.proposed = self.proposed.next();
            self.counters.batches_proposed += 1;
            let body = PrePrepare {
                view: self.view,
                seq: self.proposed,
                digest: batch.digest(),
                replica: self.config.replica,
            };
            let (signed, batch) = (Signed::blank(body), Arc::new(batch));
            self.journal.write(out, || Record::Accepted(signed, Arc::clone(&batch)));
            self.say(Message::PrePrepare(signed, batch), out);
        }
    }

    /// PBFT 4.2: a pre-prepare is accepted when its signature and digest are right, it is of this
    /// view and from its primary, n lies between the watermarks, and no other was accepted for
    /// the same view and n.
    fn on_pre_prepare(
        &mut self,
        signed: Signed<PrePrepare>,
        batch: Arc<Batch>,
        out: &mut Outbox<Message>,
    ) {
        let body = signed.body;
        if !self.in_reach(body.view, body.seq) {
            return;
        }
        let (size, bytes) = (batch.requests().len(), batch_bytes(&batch));
        let fits = (1..=self.config.batch_size_max).contains(&size)
            && (size == 1 || bytes <= self.config.batch_bytes_max);
        if body.replica != self.primary() || body.digest != batch.digest() || !fits {
            self.counters.messages_improper += 1;
            return;
        }
        let Some(slot) = self.log.slot_mut(body.seq) else { return };
        match &slot.offered {
            None => slot.offered = Some((signed, batch)),
            // The digest does not bind the proofs: a copy with good ones takes a doubtful one's place.
            Some((first, _)) if first.body.digest == body.digest => {
                if slot.has_proposal() {
                    return;
                }
                slot.offered = Some((signed, batch));
            }
            Some((first, kept)) => {
                // PBFT 4.2: the same view and sequence number with two digests. The first stands.
                let first = Message::PrePrepare(*first, Arc::clone(kept));
                let second = Message::PrePrepare(signed, batch);
                self.accuse(body.replica, first, second, out);
                return;
            }
        }
        self.advance(body.seq, out);
    }

    fn on_prepare(&mut self, signed: Signed<Prepare>, out: &mut Outbox<Message>) {
        let body = signed.body;
        if !self.keeps_own(body.replica, body.seq) && !self.in_reach(body.view, body.seq) {
            return;
        }
        if body.replica == self.primary() {
            // PBFT 4.2: the primary's pre-prepare is its prepare; another one never counts.
            self.counters.messages_improper += 1;
            return;
        }
        let Some(slot) = self.log.slot_mut(body.seq) else { return };
        match slot.prepares.cast(signed) {
            Cast::New => self.advance(body.seq, out),
            Cast::Repeat => {}
            Cast::Conflict(first) => {
                let (first, second) = (Message::Prepare(first), Message::Prepare(signed));
                self.accuse(body.replica, first, second, out);
            }
        }
    }

    fn on_commit(&mut self, signed: Signed<Commit>, out: &mut Outbox<Message>) {
        let body = signed.body;
        if !self.keeps_own(body.replica, body.seq) && !self.in_reach(body.view, body.seq) {
            return;
        }
        let Some(slot) = self.log.slot_mut(body.seq) else { return };
        match slot.commits.cast(signed) {
            Cast::New => self.advance(body.seq, out),
            Cast::Repeat => {}
            Cast::Conflict(first) => {
                let (first, second) = (Message::Commit(first), Message::Commit(signed));
                self.accuse(body.replica, first, second, out);
            }
        }
    }

    fn on_checkpoint(&mut self, signed: Signed<Checkpoint>, out: &mut Outbox<Message>) {
        let body = signed.body;
        let place = self.log.place(body.seq);
        self.counters.checkpoints_beyond += u64::from(place == Place::Beyond);
        let reachable = matches!(place, Place::Window | Place::Early);
        if !reachable || !self.checkpoints.is_due(body.seq) {
            self.counters.messages_out_of_reach += 1;
            return;
        }
        match self.checkpoints.cast(signed) {
            Cast::New => {}
            Cast::Repeat => return,
            Cast::Conflict(first) => {
                let (first, second) = (Message::Checkpoint(first), Message::Checkpoint(signed));
                self.accuse(body.replica, first, second, out);
            }
        }
        self.counters.checkpoints_diverged += u64::from(self.checkpoints.diverges(body.seq));
        self.stabilise(out);
    }

    /// Whether a vote is this replica's own for a slot that is kept to repair peers: it was sealed
    /// while the watermark moved.
    fn keeps_own(&self, replica: ReplicaId, seq: Seq) -> bool {
        replica == self.config.replica
            && seq > self.log.forgotten()
            && self.log.place(seq) == Place::Past
    }

    /// Whether a message of agreement concerns a slot that is kept, in this view.
    fn in_reach(&mut self, view: View, seq: Seq) -> bool {
        let place = self.log.place(seq);
        let reachable = view == self.view && matches!(place, Place::Window | Place::Early);
        self.counters.messages_out_of_reach += u64::from(!reachable);
        self.counters.messages_early += u64::from(reachable && place == Place::Early);
        reachable
    }

    /// Says a statement of its own to every other replica, once all that it wrote is durable.
    pub(super) fn say(&self, message: Message, out: &mut Outbox<Message>) {
        let after = self.journal.position();
        out.push(Output::Say { to: Recipients::Others, message, after });
    }

    /// Sends what is signed already. It may hold an own word whose record is not durable yet.
    pub(super) fn relay(&self, to: Recipients, message: Message, out: &mut Outbox<Message>) {
        let after = self.journal.position();
        out.push(Output::Relay { to, message, after });
    }

    fn accuse(
        &mut self,
        replica: ReplicaId,
        first: Message,
        second: Message,
        out: &mut Outbox<Message>,
    ) {
        self.counters.evidence_found += 1;
        out.push(Output::Evidence(Evidence { replica, first, second }));
    }

    /// Takes a slot as far as what it holds allows.
    fn advance(&mut self, seq: Seq, out: &mut Outbox<Message>) {
        if self.log.place(seq) != Place::Window {
            return; // PBFT 4.2: acted on when the watermarks have moved up to it.
        }
        let committee = self.config.committee;
        let primary = self.primary();
        let Some(slot) = self.log.slot_mut(seq) else { return };
        let Some((offered, batch)) = &slot.offered else { return };
        let digest = offered.body.digest;
        let prepares = slot.prepares.matching(digest).count();
        if slot.stage == Stage::Open {
            // The primary vouches by its pre-prepare, the backups by their prepares.
            let accepted = Authentic::<Arc<Batch>>::by_own_check(batch)
                .or_else(|| Authentic::by_vouchers(batch, 1 + prepares, committee));
            let Some(accepted) = accepted else { return };
            slot.accepted = Some(accepted);
            slot.stage = Stage::PrePrepared;
            slot.since = Some(self.now);
            if self.config.replica != primary {
                self.journal.write(out, || Record::Accepted(*offered, Arc::clone(batch)));
                let replica = self.config.replica;
                let body = Prepare { view: self.view, seq, digest, replica };
                let message = Message::Prepare(Signed::blank(body));
                let after = self.journal.position();
                out.push(Output::Say { to: Recipients::Others, message, after });
            }
        }
        // PBFT 4.2: prepared(m, v, n, i) needs 2f (here quorum - 1) prepares from different
        // backups that match the pre-prepare. The primary's never got into the log.
        if slot.stage == Stage::PrePrepared && prepares >= committee.quorum() - 1 {
            slot.stage = Stage::Prepared;
            let body = Commit { view: self.view, seq, digest, replica: self.config.replica };
            let message = Message::Commit(Signed::blank(body));
            let after = self.journal.position();
            out.push(Output::Say { to: Recipients::Others, message, after });
        }
        // PBFT 4.2: committed-local(m, v, n, i) needs prepared and 2f + 1 (here quorum) matching
        // commits, possibly its own.
        let commits = slot.commits.matching(digest).count();
        if slot.stage == Stage::Prepared && commits >= committee.quorum() {
            slot.stage = Stage::Committed;
            self.hand_out(out);
        }
    }

    /// Moves the low watermark to the newest stable checkpoint, if there is one (PBFT 4.3), and
    /// takes up what waited above the old high watermark.
    pub(super) fn stabilise(&mut self, out: &mut Outbox<Message>) {
        let Some(stable) = self.checkpoints.newly_stable() else { return };
        let old_high = self.log.high();
        self.log.truncate(stable);
        self.checkpoints.truncate(stable, self.log.forgotten());
        self.counters.checkpoints_stable += 1;
        self.watch.progressed(self.now, &self.config);
        assert!(self.cursor.executed >= stable, "the watermark passes only what is executed");
        for seq in old_high.0 + 1..=self.log.high().0 {
            self.advance(Seq(seq), out);
        }
    }
}

fn batch_bytes(batch: &Batch) -> usize {
    batch.requests().iter().map(SignedRequest::size).sum()
}

impl Engine for Pbft {
    type Message = Message;
    type Counters = Counters;

    fn handle(&mut self, now: Instant, input: Input<Message>, out: &mut Outbox<Message>) {
        assert!(now >= self.now, "the clock fell from {:?} to {now:?}", self.now);
        self.now = now;
        match input {
            Input::Message(verified) => self.on_message(verified.into_inner(), out),
            Input::Executed(executed) => self.on_executed(executed, out),
            Input::Timeout => self.say_status(now, out),
            // The view change's issue brings recovery with it; nobody restarts a replica yet.
            Input::Recovered(_) => {}
        }
        self.propose(out);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let can_propose = self.is_primary() && self.proposed < self.log.high();
        let linger = if can_propose { self.batcher.deadline() } else { None };
        let status = self.watch.next_status;
        Some(linger.map_or(status, |deadline| deadline.min(status)))
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
