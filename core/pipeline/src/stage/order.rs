//! Order: one thread owns the engine; everything else is message passing.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError};
use quorumark_consensus::engine::{Engine, Executed, Execution, Input, Outbox, Output};
use quorumark_consensus::types::Instant;
use quorumark_primitives::signed::Verified;

use super::{Clock, Outgoing};
use crate::link::{Closed, send};
use crate::metrics::{Counts, Stopwatch};

/// Feeds the engine and hands on what it says. See the crate's invariant for why it cannot stand
/// still: it empties `own` first, and sends at most one batch to `egress` a turn.
pub(crate) struct Order<E: Engine> {
    pub(crate) engine: E,
    pub(crate) clock: Clock,
    pub(crate) verified: Receiver<Vec<Verified<E::Message>>>,
    pub(crate) own: Receiver<Vec<Verified<E::Message>>>,
    pub(crate) executed: Receiver<Executed>,
    pub(crate) execute: Sender<Execution>,
    pub(crate) egress: Sender<Vec<Outgoing<E::Message>>>,
    pub(crate) counts: Arc<Counts>,
    /// Where the engine's counters go when the cluster stops.
    pub(crate) report: Sender<E::Counters>,
}

impl<E: Engine> Order<E> {
    pub(crate) fn run(mut self, watch: &mut Stopwatch) {
        let mut out = Outbox::new();
        let mut now = Instant::START;
        loop {
            now = now.max(self.clock.now());
            let items = match self.turn(now, watch, &mut out) {
                Ok(items) => items,
                Err(Closed) => break,
            };
            let sent = self.hand_on(&mut out, watch);
            watch.worked(items);
            if sent == Err(Closed) {
                break;
            }
            if items == 0 {
                self.wait();
                watch.waited();
            }
        }
        // Whoever stopped the cluster may have stopped listening too.
        let _ = self.report.try_send(self.engine.counters());
    }

    /// Takes what is there: every own message, every result, one batch of others' messages, and a
    /// timeout that is due. Returns how many inputs that was.
    fn turn(
        &mut self,
        now: Instant,
        watch: &mut Stopwatch,
        out: &mut Outbox<E::Message>,
    ) -> Result<usize, Closed> {
        let mut inputs = 0;
        while let Some(own) = ready(&self.own)? {
            inputs += own.len();
            own.into_iter().for_each(|m| self.engine.handle(now, Input::Message(m), out));
        }
        while let Some(executed) = ready(&self.executed)? {
            inputs += 1;
            self.engine.handle(now, Input::Executed(executed), out);
        }
        if let Some(batch) = ready(&self.verified)? {
            watch.took(self.verified.len());
            inputs += batch.len();
            batch.into_iter().for_each(|m| self.engine.handle(now, Input::Message(m), out));
        }
        if self.engine.next_timeout().is_some_and(|due| due <= now) {
            inputs += 1;
            self.engine.handle(now, Input::Timeout, out);
        }
        Ok(inputs)
    }

    fn hand_on(
        &mut self,
        out: &mut Outbox<E::Message>,
        watch: &mut Stopwatch,
    ) -> Result<(), Closed> {
        let mut outgoing = Vec::new();
        for output in out.drain() {
            match output {
                Output::Say { to, message } => outgoing.push(Outgoing::Say { to, message }),
                Output::Relay { to, message } => outgoing.push(Outgoing::Relay { to, message }),
                Output::Reply(replies) => outgoing.push(Outgoing::Reply(replies)),
                Output::Execute(execution) => send(&self.execute, execution, watch)?,
                Output::Evidence(_) => Counts::add(&self.counts.evidence_found, 1),
            }
        }
        if outgoing.is_empty() { Ok(()) } else { send(&self.egress, outgoing, watch) }
    }

    /// Parks until there is input, a timeout is due, or the cluster stops.
    fn wait(&self) {
        let mut select = Select::new();
        select.recv(&self.verified);
        select.recv(&self.own);
        select.recv(&self.executed);
        match self.engine.next_timeout() {
            None => {
                select.ready();
            }
            Some(due) => {
                let span = due.since(self.clock.now());
                let _ = select.ready_timeout(span);
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
