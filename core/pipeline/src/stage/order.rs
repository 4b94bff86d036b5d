//! Order: one thread owns the engine; everything else is message passing.

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError};
use quorumark_consensus::engine::{Engine, Input, Outbox, Output, Vocabulary};
use quorumark_consensus::types::Instant;
use quorumark_primitives::signed::Verified;

use super::{Clock, Outcome, Outgoing, Task};
use crate::link::{Closed, receive, send};
use crate::metrics::{Counts, Stopwatch};

/// Feeds the engine and hands on what it says. See the crate's invariant for why it cannot stand
/// still: it empties `own` first, and sends at most one batch to `egress` a turn.
pub(crate) struct Order<E: Engine> {
    pub(crate) engine: E,
    pub(crate) clock: Clock,
    pub(crate) inputs: Inputs<E::Message>,
    pub(crate) execute: Sender<Task>,
    pub(crate) egress: Sender<Vec<Outgoing<E::Message>>>,
    /// Where the engine's counters go when the cluster stops.
    pub(crate) report: Sender<E::Counters>,
}

/// What leads into the engine, beside its timeouts.
#[derive(Debug)]
pub(crate) struct Inputs<M> {
    pub(crate) verified: Receiver<Vec<Verified<M>>>,
    pub(crate) own: Receiver<Vec<Verified<M>>>,
    pub(crate) executed: Receiver<Outcome>,
}

impl<E: Engine> Order<E> {
    pub(crate) fn run(self, watch: &mut Stopwatch) {
        let (inputs, report) = (self.inputs, self.report);
        let mut core = Core {
            engine: self.engine,
            clock: self.clock,
            now: Instant::START,
            out: Outbox::new(),
            execute: Some(self.execute),
            egress: self.egress,
        };
        let mut select = Select::new();
        select.recv(&inputs.verified);
        select.recv(&inputs.own);
        select.recv(&inputs.executed);
        while let Ok(taken) = core.turn(&inputs, watch) {
            if taken == 0 && watch.look(|| core.sees(&inputs)).is_none() {
                core.park(&mut select);
                watch.waited();
            }
        }
        let engine = core.finish(&inputs, watch);
        // Whoever stopped the cluster may have stopped listening too.
        let _ = report.try_send(engine.counters());
    }
}

/// The engine and what leads out of it.
struct Core<E: Engine> {
    engine: E,
    clock: Clock,
    /// The engine's time: the clock's, and never falling.
    now: Instant,
    out: Outbox<E::Message>,
    /// `None` once the replica stops: nothing more is executed then.
    execute: Option<Sender<Task>>,
    egress: Sender<Vec<Outgoing<E::Message>>>,
}

impl<E: Engine> Core<E> {
    /// Takes what is there and hands on what follows from it; returns how many inputs that was.
    fn turn(
        &mut self,
        inputs: &Inputs<E::Message>,
        watch: &mut Stopwatch,
    ) -> Result<usize, Closed> {
        let taken = self.take(inputs, watch)?;
        let sent = self.hand_on(watch);
        watch.worked(taken);
        sent.map(|()| taken)
    }

    /// Every own message, every result, one batch of others' messages, and a timeout that is due.
    fn take(
        &mut self,
        inputs: &Inputs<E::Message>,
        watch: &mut Stopwatch,
    ) -> Result<usize, Closed> {
        self.now = self.now.max(self.clock.now());
        let mut taken = 0;
        while let Some(own) = ready(&inputs.own)? {
            taken += self.feed(own);
        }
        while let Some(outcome) = ready(&inputs.executed)? {
            taken += 1;
            self.came_back(outcome);
        }
        if let Some(batch) = ready(&inputs.verified)? {
            watch.took(inputs.verified.len());
            taken += self.feed(batch);
        }
        if self.engine.next_timeout().is_some_and(|due| due <= self.now) {
            taken += 1;
            self.handle(Input::Timeout);
        }
        Ok(taken)
    }

    fn feed(&mut self, messages: Vec<Verified<E::Message>>) -> usize {
        let count = messages.len();
        messages.into_iter().for_each(|message| self.handle(Input::Message(message)));
        count
    }

    fn came_back(&mut self, outcome: Outcome) {
        self.handle(outcome.into());
    }

    fn handle(&mut self, input: Input<E::Message>) {
        self.engine.handle(self.now, input, &mut self.out);
    }

    fn hand_on(&mut self, watch: &mut Stopwatch) -> Result<(), Closed> {
        let mut outgoing = Vec::new();
        let mut out = std::mem::take(&mut self.out);
        for output in out.drain() {
            match Way::of(output, watch.counts()) {
                Way::Out(said) => outgoing.push(said),
                Way::Execute(task) => self.order(task, watch)?,
                Way::Nowhere => {}
            }
        }
        self.out = out;
        if outgoing.is_empty() { Ok(()) } else { send(&self.egress, outgoing, watch) }
    }

    fn order(&self, task: Task, watch: &mut Stopwatch) -> Result<(), Closed> {
        self.execute.as_ref().map_or(Ok(()), |execute| send(execute, task, watch))
    }

    /// Whether there is input, or a timeout is due; a neighbour that is gone is seen by the next turn.
    fn sees(&self, inputs: &Inputs<E::Message>) -> Option<()> {
        let Inputs { verified, own, executed } = inputs;
        let there = !(verified.is_empty() && own.is_empty() && executed.is_empty());
        let due = || self.engine.next_timeout().is_some_and(|due| due <= self.clock.now());
        (there || due()).then_some(())
    }

    /// Waits until there is input, a timeout is due, or a neighbour is gone.
    fn park(&self, select: &mut Select<'_>) {
        match self.engine.next_timeout() {
            None => {
                select.ready();
            }
            Some(due) => {
                let _ = select.ready_timeout(due.since(self.clock.now()));
            }
        }
    }

    /// The replica stops: what was handed to execution still gets its replies, then egress ends.
    ///
    /// Own messages are taken until egress is gone, so that it never waits for this stage.
    fn finish(mut self, inputs: &Inputs<E::Message>, watch: &mut Stopwatch) -> E {
        self.execute = None;
        loop {
            self.now = self.now.max(self.clock.now());
            inputs.own.try_iter().for_each(|own| {
                self.feed(own);
            });
            if self.hand_on(watch).is_err() {
                break;
            }
            let Some(outcome) = receive(&inputs.executed, watch) else { break };
            self.came_back(outcome);
            watch.worked(1);
        }
        drop(self.egress);
        inputs.own.iter().for_each(drop);
        self.engine
    }
}

/// Where an output of an engine goes.
pub(crate) enum Way<M> {
    /// To egress.
    Out(Outgoing<M>),
    /// To execution.
    Execute(Task),
    Nowhere,
}

impl<M: Vocabulary> Way<M> {
    pub(crate) fn of(output: Output<M>, counts: &Counts) -> Way<M> {
        match output {
            // Durability is `none` here: engines keep no journal, and nothing waits for one.
            Output::Persist { .. } => Way::Nowhere,
            Output::Say { to, message, .. } => Way::Out(Outgoing::Say { to, message }),
            Output::Relay { to, message, .. } => Way::Out(Outgoing::Relay { to, message }),
            Output::Reply { replies, .. } => Way::Out(Outgoing::Reply(replies)),
            Output::Execute(execution) => Way::Execute(Task::Execute(execution)),
            Output::Confirm(execution) => Way::Execute(Task::Confirm(execution)),
            Output::State(work) => Way::Execute(Task::State(work)),
            Output::Evidence(_) => {
                Counts::add(&counts.evidence_found, 1);
                Way::Nowhere
            }
        }
    }
}

/// What is there, if anything; an end that is gone means that the cluster stops, or a stage died.
fn ready<T>(queue: &Receiver<T>) -> Result<Option<T>, Closed> {
    match queue.try_recv() {
        Ok(item) => Ok(Some(item)),
        Err(TryRecvError::Empty) => Ok(None),
        Err(TryRecvError::Disconnected) => Err(Closed),
    }
}
