//! One PBFT replica: its parts, and what each input goes to.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;

use quorumark_primitives::signed::Signed;

use super::batcher::{Admission, Batcher, Limits};
use super::bodies::Fetch;
use super::certificate::CheckpointCertificate;
use super::checkpoint::Checkpoints;
use super::config::CheckedConfig;
use super::early::Early;
use super::execution::Cursor;
use super::journal::{Journal, Record};
use super::log::{Log, Place};
use super::message::Message;
use super::new_view::FORWARDS_A_TIMEOUT;
use super::reads::Reads;
use super::rejoin::Rejoin;
use super::repair::Watch;
use super::serving::Serving;
use super::statement::{Checkpoint, PrePrepare, ViewPhase};
use super::timer::Timer;
use super::transfer::Transfer;
use super::view_change::ViewChanges;
use super::view_message::NewView;
use super::votes::Cast;
use crate::client_table::{ClientTable, Standing};
use crate::engine::{Engine, Evidence, Input, Outbox, Output, Recipients};
use crate::parts::StateRoot;
use crate::request::{Authentic, Batch, SignedRequest};
use crate::types::{Instant, ReplicaId, Seq, View};

/// Exact counts of what a replica did, since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Batches proposed, as primary.
    pub batches_proposed: u64,
    /// Batches committed, and handed to execution.
    pub batches_committed: u64,
    /// Batches handed to execution before they were committed.
    pub batches_tentative: u64,
    /// Such batches that were undone.
    pub batches_rolled_back: u64,
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
    /// Messages of a view that is still to be entered, kept for then.
    pub messages_of_later_views: u64,
    /// Messages at or below the low watermark, of a view that was left, or further ahead than is kept.
    pub messages_out_of_reach: u64,
    /// Messages that their sender may not say, such as a backup's pre-prepare.
    pub messages_improper: u64,
    /// Requests that only read and were answered, without being ordered.
    pub reads_answered: u64,
    /// Such requests that were passed over: the client gets its answer as an ordinary one.
    pub reads_refused: u64,
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
    /// Timers that expired: patience lost with a primary.
    pub timeouts: u64,
    /// Views joined because f + 1 replicas had left for later ones.
    pub views_joined: u64,
    /// VIEW-CHANGEs said.
    pub view_changes_said: u64,
    /// Prepared certificates in them: the sizes of P.
    pub certificates_said: u64,
    /// NEW-VIEWs said, as primary.
    pub new_views_said: u64,
    /// NEW-VIEWs of a view's primary that were not what V orders.
    pub new_views_rejected: u64,
    /// Views entered, the first not counted.
    pub views_entered: u64,
    /// Bodies asked for, each time anew.
    pub bodies_asked: u64,
    /// Bodies that came and were not waited for.
    pub bodies_unasked: u64,
    /// States that this replica began to fetch.
    pub transfers_begun: u64,
    /// Times that it went over to a newer one meanwhile.
    pub transfers_moved: u64,
    /// States fetched and taken over.
    pub transfers_finished: u64,
    /// States that did not fit: this replica is set up differently.
    pub transfers_failed: u64,
    /// Parts that came whole and were good.
    pub state_parts_fetched: u64,
    /// Bytes of parts that came, bad ones too.
    pub state_bytes_fetched: u64,
    /// Manifests and parts that were not what a quorum certified: each named its sender.
    pub state_pieces_bad: u64,
    /// Manifests and slices that nobody had been asked for, or no longer.
    pub state_pieces_unasked: u64,
    /// Manifests and slices sent to peers.
    pub state_pieces_sent: u64,
}

/// A PBFT replica behind the [`Engine`] contract.
///
/// Its memory is bounded by its configuration: the log by window and batch, the waiting requests by
/// `pending_max`, the client table by `clients_max` and `client_window`, VIEW-CHANGEs to one a
/// replica, messages of later views to three windows and two batches a replica.
#[derive(Debug)]
pub struct Pbft {
    pub(super) config: CheckedConfig,
    pub(super) view: View,
    /// Whether it takes part in the view; else it has left for it, and waits for its NEW-VIEW or for
    /// the state to begin from.
    pub(super) active: bool,
    /// The NEW-VIEW of the view; view 0 has none.
    pub(super) new_view: Option<Arc<NewView>>,
    /// max-s of the view: up to here the NEW-VIEW says what is ordered.
    pub(super) opened: Seq,
    /// The last view that this replica opened as its primary.
    pub(super) opened_view: View,
    pub(super) view_changes: ViewChanges,
    pub(super) early: Early,
    pub(super) timer: Timer,
    pub(super) fetch: Fetch,
    /// When a backup next passes on what waits.
    pub(super) next_forward: Instant,
    pub(super) log: Log,
    pub(super) batcher: Batcher,
    pub(super) cursor: Cursor,
    pub(super) clients: ClientTable,
    pub(super) reads: Reads,
    pub(super) checkpoints: Checkpoints,
    /// The last sequence number that this replica proposed.
    pub(super) proposed: Seq,
    pub(super) watch: Watch,
    pub(super) transfer: Transfer,
    pub(super) serving: Serving,
    pub(super) journal: Journal,
    /// While it must not vote: its journal was lost.
    pub(super) rejoin: Option<Rejoin>,
    pub(super) counters: Counters,
    pub(super) now: Instant,
}

impl Pbft {
    /// A replica at the start of view 0, with nothing ordered.
    pub fn new(config: CheckedConfig) -> Pbft {
        let n = config.committee.n();
        Pbft {
            view: View(0),
            active: true,
            new_view: None,
            opened: Seq(0),
            opened_view: View(0),
            view_changes: ViewChanges::new(n),
            early: Early::new(n, 3 * config.window as usize, 2 * config.batch_bytes_max),
            timer: Timer::new(config.view_timeout),
            fetch: Fetch::default(),
            next_forward: Instant::START + config.view_timeout / FORWARDS_A_TIMEOUT,
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
            clients: ClientTable::new(config.table_limits()),
            reads: Reads::default(),
            checkpoints: Checkpoints::new(config.committee, config.checkpoint_interval),
            proposed: Seq(0),
            watch: Watch::new(&config),
            transfer: Transfer::new(config.committee),
            serving: Serving::new(config.committee),
            journal: Journal::new(config.journal),
            rejoin: None,
            counters: Counters::default(),
            now: Instant::START,
            config,
        }
    }

    /// The view it is in, or has left for.
    pub fn view(&self) -> View {
        self.view
    }

    /// Whether it takes part in its view; else it waits to enter it.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// The low watermark: its last stable checkpoint.
    pub fn stable(&self) -> Seq {
        self.log.low()
    }

    /// The last sequence number whose results are back.
    pub fn executed(&self) -> Seq {
        self.cursor.executed
    }

    /// Requests that this replica knows of and that are not executed: those that wait, and those
    /// that it took over into the log.
    pub fn unexecuted(&self) -> usize {
        self.batcher.unexecuted()
    }

    /// Requests that wait to be proposed.
    pub fn waiting(&self) -> usize {
        self.batcher.len()
    }

    pub(super) fn is_primary(&self) -> bool {
        self.primary() == self.config.replica
    }

    pub(super) fn primary(&self) -> ReplicaId {
        self.config.committee.primary(self.view)
    }

    pub(super) fn on_message(&mut self, message: Message, out: &mut Outbox<Message>) {
        if message.sender().is_some_and(|sender| !self.config.committee.contains(sender)) {
            self.counters.messages_improper += 1;
            return;
        }
        match message {
            Message::Request(request) => self.on_request(request, out),
            Message::Read(request) => self.on_read(request),
            Message::PrePrepare(signed, batch) => self.on_pre_prepare(*signed, batch, out),
            Message::Prepare(signed) => self.on_prepare(signed, out),
            Message::Commit(signed) => self.on_commit(signed, out),
            Message::Checkpoint(signed) => self.on_checkpoint(signed, out),
            Message::Status(signed) => self.on_status(&signed, out),
            Message::ViewChange(view_change) => self.on_view_change(view_change, out),
            Message::NewView(new_view) => self.on_new_view(new_view, out),
            Message::Fetch(signed) => self.on_fetch(&signed, out),
            Message::Body(batch) => self.on_body(&batch, out),
            Message::Committed(certificate, batch) => self.on_committed(certificate, batch, out),
            Message::Stable(certificate) => self.consider_state(&certificate, out),
            Message::FetchState(signed) => self.on_fetch_state(signed.body, out),
            Message::StateManifest(manifest) => self.on_manifest(&manifest),
            Message::StateSlice(slice) => self.on_state_slice(&slice, out),
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
            Standing::Fresh => {
                // PBFT 4.1: "if the replica is not the primary, it relays the request to the primary".
                // There it comes from a client that lost patience. Where clients send to all at
                // first, the primary has it as soon: then it is relayed when the client repeats it,
                // or when it has waited (see `forward_waiting`).
                let first = self.config.clients_send_to_all && !self.batcher.waits(request.id());
                if self.active && !self.is_primary() && !first {
                    self.counters.requests_forwarded += 1;
                    let to = Recipients::One(self.primary());
                    self.relay(to, Message::Request(request.clone()), out);
                }
                // PBFT 4.4: a backup that knows of a request waits for its execution, and keeps it
                // for the primary to come. The verifier refuses a bare request whose own proof
                // fails, so none is lost here, and none starts a timer.
                if let Some(request) = Authentic::<SignedRequest>::by_own_check(request) {
                    let admission = self.batcher.admit(self.now, request);
                    self.counters.requests_refused += u64::from(admission == Admission::Full);
                }
            }
        }
    }

    /// Proposes every batch that is due, as far as the high watermark allows (PBFT 4.2).
    fn propose(&mut self, out: &mut Outbox<Message>) {
        if !self.is_primary() || !self.active || self.abstains() {
            return;
        }
        self.proposed = self.proposed.max(self.log.low());
        while self.proposed < self.log.high()
            && (self.batcher.is_full() || self.takes_fewer() && self.batcher.has_lingered(self.now))
        {
            let batch = Batch::new(self.batcher.take());
            assert!(!batch.is_null(), "a due batch holds a request");
            self.proposed = self.proposed.next();
            self.counters.batches_proposed += 1;
            let body = PrePrepare {
                view: self.view,
                seq: self.proposed,
                digest: batch.digest(),
                replica: self.config.replica,
            };
            let (signed, batch) = (Signed::blank(body), Arc::new(batch));
            self.journal.write(out, || Record::Accepted(Box::new(signed), Arc::clone(&batch)));
            self.say(Message::PrePrepare(Box::new(signed), batch), out);
        }
    }

    /// Whether a batch is proposed that is not full. TOCS'02 5.1.4: the primary "starts a new protocol
    /// instance" while fewer than W are under way, and queues requests otherwise. There it is under
    /// way until it is executed, here until it is handed to execution, which is apart.
    fn takes_fewer(&self) -> bool {
        let under_way = self.proposed.0.saturating_sub(self.cursor.handed.0);
        under_way < self.config.parallel_batches
    }

    fn on_timeout(&mut self, out: &mut Outbox<Message>) {
        // What its client has overtaken will never be executed, and is waited for no more.
        while let Some((_, oldest)) = self.batcher.oldest()
            && let id = oldest.id()
            && self.is_settled(id.0, id.1)
        {
            self.batcher.executed(id);
        }
        self.lose_patience(out);
        self.fetch_bodies(out);
        self.forward_waiting(out);
    }

    pub(super) fn on_checkpoint(&mut self, signed: Signed<Checkpoint>, out: &mut Outbox<Message>) {
        let body = signed.body;
        let place = self.log.place(body.seq);
        if place == Place::Beyond && self.checkpoints.is_due(body.seq) {
            self.counters.checkpoints_beyond += 1;
            if let Some(certificate) = self.transfer.cast(signed, self.config.committee) {
                self.consider_state(&certificate, out);
            }
        }
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
        if body.seq > self.cursor.executed
            && let Some(certificate) = self.checkpoints.certified(body.seq)
        {
            self.consider_state(&certificate, out);
        }
        self.counters.checkpoints_diverged += u64::from(self.checkpoints.diverges(body.seq));
        self.stabilise(out);
    }

    /// Says a statement of its own to every other replica, once all that it wrote is durable. A
    /// vote stays unsaid while this replica must not vote.
    pub(super) fn say(&self, message: Message, out: &mut Outbox<Message>) {
        if self.abstains() && message.is_vote() {
            return;
        }
        let after = self.journal.position();
        out.push(Output::Say { to: Recipients::Others, message, after });
    }

    /// Sends what is signed already. It may hold an own word whose record is not durable yet.
    pub(super) fn relay(&self, to: Recipients, message: Message, out: &mut Outbox<Message>) {
        let after = self.journal.position();
        out.push(Output::Relay { to, message, after });
    }

    pub(super) fn accuse(
        &mut self,
        replica: ReplicaId,
        first: Message,
        second: Message,
        out: &mut Outbox<Message>,
    ) {
        self.counters.evidence_found += 1;
        out.push(Output::Evidence(Box::new(Evidence { replica, first, second })));
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
        self.keep_state(stable, out);
        self.take_up(old_high, out);
    }
}

impl Pbft {
    /// Stands at a checkpoint that was not executed here: its state was fetched, or recovered.
    pub(super) fn stand_at(&mut self, certificate: &CheckpointCertificate, application: StateRoot) {
        let seq = certificate.seq;
        self.cursor = Cursor::at(seq);
        self.checkpoints.adopt(certificate);
        self.log.truncate(seq);
        self.checkpoints.truncate(seq, self.log.forgotten());
        self.counters.checkpoints_stable += 1;
        self.watch.progressed(self.now, &self.config);
        self.keep_only(seq, application);
    }

    /// Takes up what waited above the old high watermark.
    pub(super) fn take_up(&mut self, old_high: Seq, out: &mut Outbox<Message>) {
        for seq in old_high.0 + 1..=self.log.high().0 {
            self.advance(Seq(seq), out);
        }
    }
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
            Input::Timeout => {
                self.on_timeout(out);
                self.say_status(now, out);
            }
            Input::State(answer) => self.on_state(answer, out),
            Input::Recovered(records) => self.on_recovered(records, out),
            Input::Lost => self.on_lost(out),
        }
        if self.transfer.is_wanted() {
            self.transfer_state(out);
        }
        if self.phase() == ViewPhase::Opened {
            self.enter_when_ready(out);
        }
        if self.abstains() {
            self.end_abstention(out);
        }
        self.propose(out);
        self.ask_reads(out);
        self.execute_ahead(out);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let speaks = self.active && !self.abstains();
        let can_propose = speaks && self.is_primary() && self.proposed < self.log.high();
        let linger = if can_propose && self.takes_fewer() { self.batcher.deadline() } else { None };
        let mut next = self.watch.next_status;
        let mut sooner = |due: Option<Instant>| next = due.map_or(next, |due| due.min(next));
        sooner(linger);
        sooner(self.patience_ends());
        sooner(self.fetch.next());
        sooner(self.next_forward());
        sooner(self.transfer.deadline(self.config.replica));
        Some(next)
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
