//! The one contract behind which every protocol stands.
//!
//! A driver (threads, sockets or a simulator) calls [`Engine::handle`] for each input with a clock
//! reading that never decreases, then drains the [`Outbox`] in order. It calls with
//! [`Input::Timeout`] once [`Engine::next_timeout`] has passed. It seals and sends what the engine
//! says, and gives each sealed message back as [`Input::Message`]: an engine has no key, and counts
//! its own vote only when it comes back signed, because certificates are shown to others.
//! It executes what it is told to execute, in the order told, and answers with
//! [`Input::Executed`]; what it is asked of the state itself it answers with [`Input::State`]. Of an
//! execution that is tentative the engine says later that it stands ([`Output::Confirm`]), or has it
//! undone ([`StateWork::Rollback`]); its results come back in either case.
//! Nothing else passes between the two.
//!
//! # Durability
//! What a replica must not forget it says as [`Output::Persist`], each record with the next
//! [`Position`] of its journal. Everything that leaves a replica names the position that must be
//! durable first, so that neither group commit nor threads can let a word out before its record:
//! *persist, then send*. Sealing may go on meanwhile, since it is deterministic: a replica that
//! restarts seals the same statement to the same bytes, so a record holds the statement and need not
//! wait for its signature. After a restart the driver gives the engine, before anything else, every
//! durable record in order as [`Input::Recovered`], with the state machine at the last stable
//! checkpoint among them. An engine that keeps no journal says everything at [`Position::START`].
//! A replica that took part before and finds nothing durable, or nothing to be trusted, is told
//! [`Input::Lost`] instead, and votes for nothing that it may have voted for. Only the host can know:
//! to a new cluster an empty journal is the beginning.
//!
//! # Time
//! A reading is best never below one of an earlier life of the same replica, since rounds of
//! questions are readings: peers pass over a round that falls, and take it only after having heard
//! nothing newer for a while. With [`Input::Lost`] it must not be below: the answers that count
//! then are told from old ones by it.

mod encoding;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::{self, Vec};

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::signed::Verified;

use crate::parts::StateRoot;
use crate::request::{Batch, Reply};
use crate::types::{ClientId, Instant, ReplicaId, Seq, View};

/// What travels between the replicas of one protocol, and what each of them must not forget.
pub trait Vocabulary: Sized {
    /// A record of the journal.
    type Record: core::fmt::Debug + Clone;
}

/// A consensus protocol at one replica.
pub trait Engine {
    /// What travels between replicas, client requests included.
    type Message: Vocabulary;
    /// What the engine reports about itself.
    type Counters: Copy + Default;

    /// Takes one input; appends what follows from it to `out`.
    ///
    /// `now` never decreases from call to call. The engine allocates nothing per message beyond
    /// what it keeps.
    fn handle(
        &mut self,
        now: Instant,
        input: Input<Self::Message>,
        out: &mut Outbox<Self::Message>,
    );

    /// When [`Input::Timeout`] is due next, if ever. May move with every input.
    fn next_timeout(&self) -> Option<Instant>;

    /// Exact counts since the start.
    fn counters(&self) -> Self::Counters;
}

/// What a driver tells an engine.
#[derive(Debug, Clone)]
pub enum Input<M: Vocabulary> {
    /// A restart: everything durable, oldest first. The first input, if it comes at all.
    Recovered(Vec<M::Record>),
    /// A restart of a replica that took part before, with nothing durable left: it must not vote
    /// until it is past what it may have voted for. The first input, in place of the records.
    Lost,
    /// A message or client request that passed the verifier, or one of the engine's own that was
    /// sealed.
    Message(Verified<M>),
    /// [`Engine::next_timeout`] has passed.
    Timeout,
    /// A batch was executed.
    Executed(Executed),
    /// The state machine did what [`Output::State`] asked of it.
    State(StateAnswer),
}

/// The result of one [`Execution`].
#[derive(Debug, Clone)]
pub struct Executed {
    /// The sequence number executed.
    pub seq: Seq,
    /// One result for each request of [`Execution::fresh`], in that order.
    pub results: Vec<Bytes>,
    /// The root of the application's state after `seq`, where [`Execution::checkpoint`] asked for
    /// it; the application keeps that state until [`StateWork::Retain`] lets it go. `None` there
    /// promises [`StateAnswer::Root`], before the results of the next checkpoint: what is executed
    /// meanwhile need not wait for the hashes.
    pub state_root: Option<StateRoot>,
}

/// What an engine asks of the state machine besides executions, in one order with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateWork {
    /// Tell the digests of the parts of the state kept at a checkpoint, or of the present one.
    Digests {
        /// The checkpoint; `None` for the state as it is.
        at: Option<Seq>,
    },
    /// Read one part of the state kept at a checkpoint, for a peer.
    Read {
        /// The checkpoint.
        seq: Seq,
        /// Which part of the cut (see [`crate::parts`]).
        nth: u32,
    },
    /// Answer these requests from the present state, which they must leave as it is: all that was
    /// told to be executed before is in it.
    Query {
        /// Who asks, and for what; at most [`QUERY_MAX`].
        operations: Vec<(ClientId, Bytes)>,
    },
    /// Undo the tentative execution, which was the last: be the state after `to` again. Has no
    /// answer. A state machine that cannot go back is not driven by an engine that executes
    /// tentatively.
    Rollback {
        /// The last sequence number whose execution stands.
        to: Seq,
    },
    /// Become the state after `seq`: the present one with these parts in place of its own. The new
    /// state is kept as the checkpoint's, beside what was kept before: until the checkpoint is
    /// durable a restart needs the old one, and the next [`StateWork::Retain`] lets that go.
    Restore {
        /// The checkpoint.
        seq: Seq,
        /// What the result must be.
        state: StateRoot,
        /// The parts that differ, by their place, rising.
        parts: Vec<(u32, Bytes)>,
    },
    /// Keep the checkpoints from `from` on, and one more; let go of all others, and of what undoing
    /// would need below the oldest kept. Has no answer.
    Retain {
        /// The oldest checkpoint that may still be asked for or rolled back to.
        from: Seq,
        /// An older one that a peer is fetching.
        leased: Option<Seq>,
        /// The journal must be durable up to here first: until then a restart needs the state of an
        /// older checkpoint.
        after: Position,
    },
}

/// The most [`StateWork`] and [`Output::Confirm`] that an engine has at its driver at one time,
/// [`StateWork::Retain`] aside: that is asked for at most once for each checkpoint that becomes
/// stable.
pub const STATE_WORK_MAX: usize = 12;

/// The most operations of one [`StateWork::Query`]; an engine has one at its driver at a time.
pub const QUERY_MAX: usize = 4096;

/// What the state machine answers to [`StateWork`], in the order asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateAnswer {
    /// The parts' digests, in order.
    Digests {
        /// As asked.
        at: Option<Seq>,
        /// How many leaves the state has, and the digests; `None` when it is not kept.
        found: Option<(u64, Vec<Digest>)>,
    },
    /// One part.
    Part {
        /// As asked.
        seq: Seq,
        /// As asked.
        nth: u32,
        /// The part; `None` when the checkpoint is not kept, or has no such part.
        found: Option<Bytes>,
    },
    /// The results of a query.
    Results {
        /// One for each operation, in their order; `None` where it is not one that only reads.
        results: Vec<Option<Bytes>>,
    },
    /// The root that an [`Executed`] promised.
    Root {
        /// The checkpoint.
        seq: Seq,
        /// The root of the application's state after exactly `seq`.
        state: StateRoot,
    },
    /// The state was replaced, or is as it was.
    Restored {
        /// As asked.
        seq: Seq,
        /// Whether the state is now the one asked for.
        done: bool,
    },
}

/// A place in a replica's journal: how many records stand at or before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Position(pub u64);

impl Position {
    /// Before the first record: what waits for it waits for nothing.
    pub const START: Position = Position(0);

    /// The position of the record that follows.
    pub fn next(self) -> Position {
        Position(self.0.saturating_add(1))
    }
}

/// To whom a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipients {
    /// Every replica but the sender.
    Others,
    /// One replica.
    One(ReplicaId),
}

/// What an engine tells its driver.
#[derive(Debug)]
pub enum Output<M: Vocabulary> {
    /// Append this record to the journal. Positions rise by one.
    Persist {
        /// The record's place.
        position: Position,
        /// What must not be forgotten.
        record: M::Record,
    },
    /// Seal this message, hand it back as an input, and send it once the journal is durable up to
    /// `after`.
    Say {
        /// To whom.
        to: Recipients,
        /// The message, its own signature still blank.
        message: M,
        /// What must be durable before it leaves.
        after: Position,
    },
    /// Send this message as it is: it already carries every signature it needs.
    Relay {
        /// To whom.
        to: Recipients,
        /// A retransmitted or forwarded message.
        message: M,
        /// What must be durable before it leaves.
        after: Position,
    },
    /// Execute a batch that is committed, or tentatively one that is prepared. Executions are output
    /// in sequence order, without gaps but for those that a restored state closes; what is undone
    /// is executed again, or another batch in its place.
    Execute(Execution),
    /// The batch that was executed tentatively last is committed: its execution stands, and nothing
    /// is to be executed. In one order with executions, for whoever keeps a ledger.
    Confirm(Execution),
    /// Ask the state machine for its state, or give it another. Done in one order with executions.
    State(StateWork),
    /// Send these replies, each to its client.
    Reply {
        /// What to answer, to whom.
        replies: Vec<Reply>,
        /// What must be durable before they leave. Execution may run ahead of the disk, replies may
        /// not.
        after: Position,
    },
    /// A replica provably broke the protocol: two conflicting messages under its signature.
    /// Rare and large: it lies apart, so that no other output is moved about with room for it.
    Evidence(Box<Evidence<M>>),
}

/// A batch, ready to execute.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Its place in the total order.
    pub seq: Seq,
    /// The view in which it committed; while tentative, in which it was prepared.
    pub view: View,
    /// The ordered requests.
    pub batch: Arc<Batch>,
    /// Positions in the batch of the requests to execute; the others are repeats of requests that
    /// were ordered before, and must not be executed again.
    pub fresh: Vec<u32>,
    /// Whether the state root after this batch is wanted; never of a tentative execution.
    pub checkpoint: bool,
    /// Whether it is executed before it is committed, and may have to be undone.
    pub tentative: bool,
    /// The quorum of signatures that committed it, for whoever wants to check; none while tentative.
    pub certificate: Arc<[(ReplicaId, Signature)]>,
}

/// Two messages that no honest replica signs both of.
#[derive(Debug, Clone)]
pub struct Evidence<M> {
    /// Who signed both.
    pub replica: ReplicaId,
    /// The message seen first, which the engine keeps to.
    pub first: M,
    /// The message that conflicts with it.
    pub second: M,
}

/// Where an engine puts its outputs; owned by the driver and reused from call to call.
#[derive(Debug)]
pub struct Outbox<M: Vocabulary> {
    outputs: Vec<Output<M>>,
}

impl<M: Vocabulary> Default for Outbox<M> {
    fn default() -> Self {
        Outbox { outputs: Vec::new() }
    }
}

impl<M: Vocabulary> Outbox<M> {
    /// An empty outbox.
    pub fn new() -> Outbox<M> {
        Outbox::default()
    }

    /// Appends one output.
    pub fn push(&mut self, output: Output<M>) {
        self.outputs.push(output);
    }

    /// Takes every output, oldest first, and leaves the capacity.
    pub fn drain(&mut self) -> vec::Drain<'_, Output<M>> {
        self.outputs.drain(..)
    }

    /// Every output that waits, oldest first.
    pub fn outputs(&self) -> impl Iterator<Item = &Output<M>> {
        self.outputs.iter()
    }

    /// Outputs waiting.
    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }
}
