//! All five stages of a replica on one thread, one after the other: run to completion.
//!
//! Where cores are few, most of what a hand-over between threads costs is the switch. Here a turn
//! takes what has arrived, brings it as far as it goes, and sends what follows in one flush to each
//! peer; only before it executes it sends what it has said already, so that no vote waits for the
//! application. The hashes of a checkpoint are for when nothing has arrived, and a few for each turn,
//! so that they end where something always has. Nothing is shared that would not be between threads:
//! the engine hears its own messages sealed, and its results, as it does there.
//!
//! The functions that are never inlined are how a profile tells the stages of the thread apart.
//!
//! Invariant: it never waits for a peer. What a full inbox does not take is kept, within
//! [`FRAMES_KEPT_MAX`] and the patience, and meanwhile clients are not heard: so two replicas whose
//! inboxes are full both go on emptying them.

use std::collections::VecDeque;
use std::time::{Duration, Instant as WallInstant};

use crossbeam_channel::{Select, Sender, TryRecvError, TrySendError, never};
use quorumark_application::Application;
use quorumark_consensus::engine::{Engine, Input, Outbox};
use quorumark_consensus::types::Instant;
use quorumark_primitives::signed::Verified;

use super::{
    Clock, Decoder, Executor, Flush, Gate, Inbox, Outcome, Outgoing, Side, Task, Way, Writer,
};
use crate::link::Frames;
use crate::metrics::{Counts, StageKind, Stopwatch};
use crate::protocol::Protocol;

/// The most frames that are kept for a peer whose inbox is full; more are dropped, and repaired by
/// status messages.
const FRAMES_KEPT_MAX: usize = 4096;

/// What one thread needs to be a replica.
pub(crate) struct Whole<E: Engine, A> {
    pub(crate) decoder: Decoder,
    pub(crate) inbox: Inbox,
    pub(crate) gate: Gate<E::Message>,
    /// The most messages in one batch of verification.
    pub(crate) batch_max: usize,
    pub(crate) engine: E,
    pub(crate) clock: Clock,
    pub(crate) means: Means<A>,
    /// Where the engine's counters go when the replica stops.
    pub(crate) report: Sender<E::Counters>,
}

/// What an engine acts through.
pub(crate) struct Means<A> {
    pub(crate) executor: Executor<A>,
    pub(crate) writer: Writer,
    pub(crate) peers: Peers,
}

/// The engine, and what it is told of its own.
struct Core<E: Engine> {
    engine: E,
    /// The engine's time: the clock's, and never falling.
    now: Instant,
    out: Outbox<E::Message>,
    own: VecDeque<Verified<E::Message>>,
    outcomes: VecDeque<Outcome>,
}

impl<E, A> Whole<E, A>
where
    E: Engine,
    E::Message: Protocol,
    A: Application,
{
    /// The replica before its first turn.
    pub(crate) fn begin(self) -> Turns<E, A> {
        Turns {
            decoder: self.decoder,
            inbox: self.inbox,
            gate: self.gate,
            batch_max: self.batch_max,
            core: Core {
                engine: self.engine,
                now: Instant::START,
                out: Outbox::new(),
                own: VecDeque::new(),
                outcomes: VecDeque::new(),
            },
            clock: self.clock,
            means: self.means,
            report: self.report,
            messages: Vec::new(),
            verified: Vec::new(),
        }
    }
}

/// A replica turn after turn. Whoever calls [`Turns::pass`] is its thread.
pub(crate) struct Turns<E: Engine, A> {
    decoder: Decoder,
    inbox: Inbox,
    gate: Gate<E::Message>,
    batch_max: usize,
    core: Core<E>,
    clock: Clock,
    means: Means<A>,
    report: Sender<E::Counters>,
    /// What a turn decoded, and what of it passed: kept for their memory.
    messages: Vec<E::Message>,
    verified: Vec<Verified<E::Message>>,
}

/// What came of a look for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// There was some, and it is done.
    Worked,
    /// There was none.
    Idle {
        /// Whether what clients send counts as work just now.
        hears_clients: bool,
    },
}

impl<E, A> Turns<E, A>
where
    E: Engine,
    E::Message: Protocol,
    A: Application,
{
    /// Takes turns until the replica stops, and waits where there is nothing to do.
    pub(crate) fn run(mut self, watch: &mut Stopwatch) {
        while !self.inbox.is_stopped() {
            let Pass::Idle { hears_clients } = self.pass(watch) else { continue };
            let core = &self.core;
            let due = || core.is_due_at(self.clock.now());
            let sees = || (self.inbox.has_news() || due()).then_some(());
            if !hears_clients || watch.look(sees).is_none() {
                self.inbox.wait(&self.means.peers, core.patience(self.clock));
                watch.waited();
            }
        }
        // Whoever stopped the cluster may have stopped listening too.
        let _ = self.report.try_send(self.core.engine.counters());
    }

    /// One turn, if there is anything to do: what has arrived, and a timeout that is due.
    pub(crate) fn pass(&mut self, watch: &mut Stopwatch) -> Pass {
        let Turns { means, core, messages, verified, .. } = self;
        means.peers.send_kept(watch.counts());
        let hears_clients = means.peers.all_take();
        self.inbox.take(self.decoder, self.batch_max, hears_clients, messages, watch);
        core.now = core.now.max(self.clock.now());
        if means.executor.settling {
            watch.enter(StageKind::Execute);
            means.executor.settle(&mut core.outcomes);
        } else if messages.is_empty() && !core.is_due() {
            return Pass::Idle { hears_clients };
        }
        verify(&mut self.gate, messages, verified, self.batch_max, watch);
        core.turn(verified, means, watch);
        watch.enter(StageKind::Execute);
        means.executor.publish(watch);
        watch.enter(StageKind::Ingress);
        Pass::Worked
    }
}

/// Verifies what arrived, in batches that are no larger than they may be, and empties it.
#[inline(never)]
fn verify<M: Protocol>(
    gate: &mut Gate<M>,
    messages: &mut Vec<M>,
    verified: &mut Vec<Verified<M>>,
    batch_max: usize,
    watch: &mut Stopwatch,
) {
    watch.enter(StageKind::Verify);
    while !messages.is_empty() {
        // The last flush taken may have brought more than a batch holds.
        let rest = messages.split_off(messages.len().min(batch_max));
        watch.took(rest.len());
        watch.done(messages.len());
        gate.verify(messages, verified, watch.counts());
        messages.extend(rest);
    }
}

impl<E> Core<E>
where
    E: Engine,
    E::Message: Protocol,
{
    fn is_due(&self) -> bool {
        self.is_due_at(self.now)
    }

    fn is_due_at(&self, now: Instant) -> bool {
        self.engine.next_timeout().is_some_and(|due| due <= now)
    }

    /// How long it can wait for input.
    fn patience(&self, clock: Clock) -> Option<Duration> {
        self.engine.next_timeout().map(|due| due.since(clock.now()))
    }

    /// Brings the messages, and a timeout that is due, as far as they go, and sends what follows.
    fn turn<A: Application>(
        &mut self,
        verified: &mut Vec<Verified<E::Message>>,
        means: &mut Means<A>,
        watch: &mut Stopwatch,
    ) {
        watch.enter(StageKind::Order);
        watch.took(0);
        watch.done(verified.len());
        verified.drain(..).for_each(|message| self.handle(Input::Message(message)));
        if self.is_due() {
            watch.done(1);
            self.handle(Input::Timeout);
        }
        let mut flush = means.writer.flush();
        loop {
            let (said, tasks) = self.outputs(watch.counts());
            self.say(said, means, &mut flush, watch);
            if !tasks.is_empty() {
                means.peers.send(&mut flush.to_peers, watch.counts());
                self.execute(tasks, means, watch);
            }
            watch.enter(StageKind::Order);
            if self.own.is_empty() && self.outcomes.is_empty() {
                break;
            }
            self.hear_own(watch);
        }
        watch.enter(StageKind::Egress);
        means.send(flush, watch.counts());
    }

    /// Seals what the engine says and encodes it; the engine hears its own messages.
    #[inline(never)]
    fn say<A>(
        &mut self,
        said: Vec<Outgoing<E::Message>>,
        means: &mut Means<A>,
        flush: &mut Flush<E::Message>,
        watch: &mut Stopwatch,
    ) {
        if said.is_empty() {
            return;
        }
        watch.enter(StageKind::Egress);
        watch.took(0);
        watch.done(said.len());
        for outgoing in said {
            means.writer.prepare(outgoing, flush, watch.counts());
        }
        self.own.extend(flush.own.drain(..));
    }

    #[inline(never)]
    fn execute<A: Application>(
        &mut self,
        tasks: Vec<Task>,
        means: &mut Means<A>,
        watch: &mut Stopwatch,
    ) {
        watch.enter(StageKind::Execute);
        for task in tasks {
            watch.took(0);
            watch.done(task.items());
            means.executor.work(task, &mut self.outcomes);
        }
    }

    /// The engine's own messages first, then its results.
    fn hear_own(&mut self, watch: &mut Stopwatch) {
        watch.done(self.own.len() + self.outcomes.len());
        while let Some(own) = self.own.pop_front() {
            self.handle(Input::Message(own));
        }
        while let Some(outcome) = self.outcomes.pop_front() {
            self.handle(outcome.into());
        }
    }

    #[inline(never)]
    fn handle(&mut self, input: Input<E::Message>) {
        self.engine.handle(self.now, input, &mut self.out);
    }

    /// What the engine wants sent, and what it wants executed.
    fn outputs(&mut self, counts: &Counts) -> (Vec<Outgoing<E::Message>>, Vec<Task>) {
        let (mut said, mut tasks) = (Vec::new(), Vec::new());
        for output in self.out.drain() {
            match Way::of(output, counts) {
                Way::Out(outgoing) => said.push(outgoing),
                Way::Execute(task) => tasks.push(task),
                Way::Nowhere => {}
            }
        }
        (said, tasks)
    }
}

impl<A> Means<A> {
    /// Sends what a turn gathered: to the peers, then to the clients.
    #[inline(never)]
    fn send<M>(&mut self, mut flush: Flush<M>, counts: &Counts) {
        self.peers.send(&mut flush.to_peers, counts);
        self.writer.reply(flush.to_ports, counts);
    }
}

impl Inbox {
    /// What has arrived, decoded: flushes of replicas first, until a batch is full.
    #[inline(never)]
    fn take<M: Protocol>(
        &mut self,
        decoder: Decoder,
        batch_max: usize,
        hears_clients: bool,
        messages: &mut Vec<M>,
        watch: &mut Stopwatch,
    ) {
        while messages.len() < batch_max
            && let Some((side, frames)) = self.next(hears_clients)
        {
            decoder.decode(side, frames.into_iter(), messages, watch.counts());
        }
        if !messages.is_empty() {
            watch.took(self.depth());
            watch.done(messages.len());
        }
    }

    /// A side that nobody sends on any more is forgotten: a committee of one has no peers, and
    /// clients may leave.
    fn next(&mut self, hears_clients: bool) -> Option<(Side, Frames)> {
        match self.from_replicas.try_recv() {
            Ok(frames) => return Some((Side::Replicas, frames)),
            Err(TryRecvError::Disconnected) => self.from_replicas = never(),
            Err(TryRecvError::Empty) => {}
        }
        if !hears_clients {
            return None;
        }
        match self.from_clients.try_recv() {
            Ok(frames) => return Some((Side::Clients, frames)),
            Err(TryRecvError::Disconnected) => self.from_clients = never(),
            Err(TryRecvError::Empty) => {}
        }
        None
    }

    /// Whether something has arrived, or the replica stops.
    fn has_news(&self) -> bool {
        self.depth() > 0 || self.is_stopped()
    }

    /// Waits until there is input, a peer takes what is kept for it, the time is over, or the
    /// replica stops.
    #[inline(never)]
    fn wait(&self, peers: &Peers, patience: Option<Duration>) {
        let mut select = Select::new();
        select.recv(&self.stop);
        select.recv(&self.from_replicas);
        let mut patience = patience;
        if peers.all_take() {
            select.recv(&self.from_clients);
        } else {
            let left = peers.patience_left();
            patience = patience.map_or(Some(left), |patience| Some(patience.min(left)));
            for queue in peers.waiting() {
                select.send(queue);
            }
        }
        match patience {
            None => drop(select.ready()),
            Some(patience) => drop(select.ready_timeout(patience)),
        }
    }
}

/// The ways from one replica to the others, none of which it waits for.
#[derive(Debug)]
pub(crate) struct Peers {
    /// By replica id; its own place, and that of a peer that was never started, lead nowhere.
    links: Vec<Option<Link>>,
    patience: Duration,
    /// How many links keep something.
    keeping: usize,
}

#[derive(Debug)]
struct Link {
    queue: Sender<Frames>,
    /// What the peer's inbox did not take, and since when.
    kept: Frames,
    since: WallInstant,
    lost_patience: bool,
}

impl Peers {
    pub(crate) fn new(queues: Vec<Option<Sender<Frames>>>, patience: Duration) -> Peers {
        let since = WallInstant::now();
        let link = |queue| Link { queue, kept: Frames::new(), since, lost_patience: false };
        let links = queues.into_iter().map(|queue| queue.map(link)).collect();
        Peers { links, patience, keeping: 0 }
    }

    /// Whether every peer took all that was sent to it.
    fn all_take(&self) -> bool {
        self.keeping == 0
    }

    /// Sends one flush to each peer, or keeps it for later.
    fn send(&mut self, to_peers: &mut [Frames], counts: &Counts) {
        for (link, frames) in self.links.iter_mut().zip(to_peers) {
            let frames = std::mem::take(frames);
            if let Some(link) = link
                && !frames.is_empty()
            {
                let kept = !link.kept.is_empty();
                link.send(frames, counts);
                self.keeping =
                    self.keeping - usize::from(kept) + usize::from(!link.kept.is_empty());
            }
        }
    }

    /// Tries again what is kept; drops it when the patience is over.
    fn send_kept(&mut self, counts: &Counts) {
        if self.all_take() {
            return;
        }
        self.keeping = 0;
        for link in self.links.iter_mut().flatten().filter(|link| !link.kept.is_empty()) {
            let kept = std::mem::take(&mut link.kept);
            if let Err(TrySendError::Full(kept)) = link.queue.try_send(kept) {
                if link.since.elapsed() < self.patience {
                    link.kept = kept;
                    self.keeping += 1;
                } else {
                    link.lost_patience = true;
                    Counts::add(&counts.flushes_dropped, 1);
                }
            }
        }
    }

    /// How long the first peer that keeps it waiting still may.
    fn patience_left(&self) -> Duration {
        let keeping = self.links.iter().flatten().filter(|link| !link.kept.is_empty());
        let left = keeping.map(|link| self.patience.saturating_sub(link.since.elapsed()));
        left.min().unwrap_or(self.patience)
    }

    /// The inboxes that were full.
    fn waiting(&self) -> impl Iterator<Item = &Sender<Frames>> {
        let keeping = self.links.iter().flatten().filter(|link| !link.kept.is_empty());
        keeping.map(|link| &link.queue)
    }
}

impl Link {
    /// As between threads: a full inbox has the patience once, and is tried each time after that.
    fn send(&mut self, mut frames: Frames, counts: &Counts) {
        if self.kept.len() + frames.len() > FRAMES_KEPT_MAX && !self.kept.is_empty() {
            Counts::add(&counts.flushes_dropped, 1);
            return;
        }
        let first = self.kept.is_empty();
        if !first {
            self.kept.append(&mut frames);
            frames = std::mem::take(&mut self.kept);
        }
        match self.queue.try_send(frames) {
            Err(TrySendError::Full(_)) if self.lost_patience => {
                Counts::add(&counts.flushes_dropped, 1);
            }
            Err(TrySendError::Full(frames)) => {
                self.kept = frames;
                if first {
                    self.since = WallInstant::now();
                }
            }
            // A peer that is gone is passed over.
            Ok(()) | Err(TrySendError::Disconnected(_)) => self.lost_patience = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use crossbeam_channel::bounded;

    use super::*;

    fn flush(frames: usize) -> Vec<Frames> {
        vec![Frames::new(), vec![Bytes::from_static(b"frame"); frames]]
    }

    #[test]
    fn a_full_peer_is_kept_for_in_order_and_given_what_waited_when_it_takes_again() {
        let counts = Counts::default();
        let (queue, inbox) = bounded(1);
        let mut peers = Peers::new(vec![None, Some(queue)], Duration::from_secs(600));
        for frames in [1, 2, 3] {
            peers.send(&mut flush(frames), &counts);
        }
        assert!(!peers.all_take());
        assert_eq!(peers.waiting().count(), 1);
        peers.send_kept(&counts);
        assert_eq!(inbox.try_recv().unwrap().len(), 1);
        peers.send_kept(&counts);
        assert!(peers.all_take());
        assert_eq!(inbox.try_recv().unwrap().len(), 5);
        assert_eq!(counts.snapshot().flushes_dropped, 0);
    }

    #[test]
    fn a_full_peer_costs_the_patience_once_and_what_is_kept_is_bounded() {
        let counts = Counts::default();
        let (queue, inbox) = bounded(1);
        let mut peers = Peers::new(vec![None, Some(queue)], Duration::ZERO);
        peers.send(&mut flush(1), &counts);
        peers.send(&mut flush(FRAMES_KEPT_MAX), &counts);
        peers.send(&mut flush(1), &counts);
        assert_eq!(counts.snapshot().flushes_dropped, 1, "one more than is kept");
        peers.send_kept(&counts);
        assert_eq!(counts.snapshot().flushes_dropped, 2, "the patience is over");
        peers.send(&mut flush(1), &counts);
        assert_eq!(counts.snapshot().flushes_dropped, 3, "at once");
        assert!(peers.all_take());
        drop(inbox.recv());
        peers.send(&mut flush(1), &counts);
        assert_eq!((inbox.len(), counts.snapshot().flushes_dropped), (1, 3));
        drop(inbox);
        peers.send(&mut flush(1), &counts);
        assert!(peers.all_take(), "a peer that is gone is passed over");
    }
}
