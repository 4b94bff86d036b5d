//! Execute: committed batches on the application, and what the engine asks of its state, in order.

use std::collections::VecDeque;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, select};
use quorumark_application::{Application, Settling, run, run_and_begin, serve};
use quorumark_consensus::engine::{Executed, Execution, Input, StateAnswer, StateWork, Vocabulary};
use quorumark_consensus::types::{ReplicaId, Seq};

use super::Clock;
use crate::events::CommitEvent;
use crate::link::{receive, send};
use crate::metrics::{Counts, Stopwatch};

/// What the engine asks of the application.
#[derive(Debug)]
pub(crate) enum Task {
    /// Execute a batch.
    Execute(Execution),
    /// The batch that was executed tentatively last is committed.
    Confirm(Execution),
    /// Serve or change the state.
    State(StateWork),
}

/// What comes of a [`Task`].
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A batch was executed.
    Executed(Executed),
    /// The state was served or changed.
    State(StateAnswer),
}

impl<M: Vocabulary> From<Outcome> for Input<M> {
    fn from(outcome: Outcome) -> Input<M> {
        match outcome {
            Outcome::Executed(executed) => Input::Executed(executed),
            Outcome::State(answer) => Input::State(answer),
        }
    }
}

/// The thread that executes. Results go back to the engine first, then the observer hears of them.
pub(crate) struct Execute<A> {
    pub(crate) executor: Executor<A>,
    pub(crate) committed: Receiver<Task>,
    pub(crate) results: Sender<Outcome>,
}

/// Owns the application, and tells the observer what becomes of it.
pub(crate) struct Executor<A> {
    pub(crate) replica: ReplicaId,
    pub(crate) application: A,
    pub(crate) clock: Clock,
    /// `None` once nobody observes.
    pub(crate) events: Option<Sender<Vec<CommitEvent>>>,
    /// Closed when the replica stops.
    pub(crate) stop: Receiver<()>,
    /// What the observer was not told yet.
    pub(crate) untold: Vec<CommitEvent>,
    /// The last batch that was noted for the observer, or the state that was taken over since.
    pub(crate) stands: Seq,
    /// Whether a checkpoint is hashed at once, as part of the execution.
    pub(crate) hashes_at_once: bool,
    /// Whether one was begun whose root was not told yet.
    pub(crate) settling: bool,
}

/// Batches executed before their observer hears of them.
const EVENTS_MAX: usize = 64;
/// How long an observer that takes nothing may hold up a cluster that stops.
const LAST_CALL: Duration = Duration::from_secs(1);

impl<A: Application> Execute<A> {
    pub(crate) fn run(mut self, watch: &mut Stopwatch) {
        let mut outcomes = VecDeque::new();
        while let Some(first) = self.next(&mut outcomes, watch) {
            watch.took(self.committed.len());
            let (mut batches, mut items) = (0, 0);
            let mut next = Some(first);
            while let Some(task) = next {
                batches += 1;
                items += task.items();
                self.executor.work(task, &mut outcomes);
                if self.executor.settling {
                    self.executor.settle(&mut outcomes);
                }
                self.tell(&mut outcomes, watch);
                let more = batches < EVENTS_MAX;
                next = more.then(|| self.committed.try_recv().ok()).flatten();
            }
            self.executor.publish(watch);
            watch.worked(items);
        }
    }

    /// What is to be done next. While nothing waits, the hashes of a checkpoint go on.
    fn next(&mut self, outcomes: &mut VecDeque<Outcome>, watch: &mut Stopwatch) -> Option<Task> {
        while self.executor.settling {
            match self.committed.try_recv() {
                Ok(task) => return Some(task),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            self.executor.settle(outcomes);
            self.tell(outcomes, watch);
            watch.worked(0);
        }
        receive(&self.committed, watch)
    }

    /// Gives results to the engine. One that is gone has no use for them; an observer still has.
    fn tell(&self, outcomes: &mut VecDeque<Outcome>, watch: &mut Stopwatch) {
        for outcome in outcomes.drain(..) {
            let _ = send(&self.results, outcome, watch);
        }
    }
}

impl Task {
    /// Requests that it executes for good: those of a tentative execution count once it is
    /// committed, since until then it may be undone.
    pub(crate) fn items(&self) -> usize {
        match self {
            Task::Execute(execution) if execution.tentative => 0,
            Task::Execute(execution) | Task::Confirm(execution) => execution.fresh.len(),
            Task::State(_) => 0,
        }
    }
}

impl<A: Application> Executor<A> {
    /// Does what the engine asks, and appends what the engine gets for it.
    pub(crate) fn work(&mut self, task: Task, outcomes: &mut VecDeque<Outcome>) {
        match task {
            Task::Execute(execution) => {
                // The root of one checkpoint comes before the next.
                while execution.checkpoint && self.settling {
                    self.settle(outcomes);
                }
                let executed = match self.hashes_at_once {
                    true => run(&mut self.application, &execution),
                    false => run_and_begin(&mut self.application, &execution),
                };
                self.settling |= execution.checkpoint && executed.state_root.is_none();
                if !execution.tentative {
                    self.note(&execution);
                }
                outcomes.push_back(Outcome::Executed(executed));
            }
            Task::Confirm(execution) => self.note(&execution),
            // Durability is `none` here: what waits for the journal waits for nothing.
            Task::State(work) => {
                let answer = serve(&mut self.application, work);
                if let Some(StateAnswer::Restored { seq, done: true }) = answer {
                    self.stands = seq;
                }
                outcomes.extend(answer.map(Outcome::State));
            }
        }
    }

    /// Does a part of what a checkpoint that was begun still needs; appends the root when it is there.
    pub(crate) fn settle(&mut self, outcomes: &mut VecDeque<Outcome>) {
        let settling = self.application.settle();
        self.settling = settling == Settling::More;
        if let Settling::Done { seq, state } = settling {
            outcomes.push_back(Outcome::State(StateAnswer::Root { seq, state }));
        }
    }

    fn note(&mut self, execution: &Execution) {
        if self.events.is_some() {
            let event = self.event(execution);
            self.untold.push(event);
        }
        self.stands = execution.seq;
    }

    /// Tells the observer, and waits for it as long as the cluster runs: it is part of what is
    /// measured. While the cluster stops, an observer that takes nothing is given up.
    pub(crate) fn publish(&mut self, watch: &mut Stopwatch) {
        let events = std::mem::take(&mut self.untold);
        let Some(observer) = self.events.as_ref().filter(|_| !events.is_empty()) else { return };
        let events = match observer.try_send(events) {
            Ok(()) => return,
            Err(TrySendError::Disconnected(_)) => {
                self.events = None;
                return;
            }
            Err(TrySendError::Full(events)) => events,
        };
        watch.worked(0);
        let sent = select! {
            send(observer, events) -> sent => sent.is_ok(),
            recv(self.stop) -> _ => observer.send_timeout(events, LAST_CALL).is_ok(),
        };
        watch.blocked();
        if !sent {
            Counts::add(&watch.counts().commit_events_dropped, 1);
            self.events = None;
        }
    }

    fn event(&self, execution: &Execution) -> CommitEvent {
        let requests = execution.batch.requests().len();
        assert!(execution.fresh.len() <= requests, "a batch executes its own requests");
        let request = |nth: &u32| execution.batch.request(*nth).expect("a place in the batch");
        let executed = execution.fresh.iter().map(|nth| request(nth).id());
        CommitEvent {
            replica: self.replica,
            seq: execution.seq,
            after: self.stands,
            view: execution.view,
            digest: execution.batch.digest(),
            requests: requests as u32,
            executed: executed.collect(),
            certificate: execution.certificate.clone(),
            at_ns: self.clock.now().0,
        }
    }
}
