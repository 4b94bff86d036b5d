//! Execute: committed batches on the application, in order.

use crossbeam_channel::{Receiver, Sender};
use quorumark_application::{Application, run};
use quorumark_consensus::engine::{Executed, Execution};
use quorumark_consensus::types::ReplicaId;

use super::Clock;
use crate::events::CommitEvent;
use crate::link::{Closed, send};
use crate::metrics::Stopwatch;

/// Owns the application. Results go back to the engine first, then the observer hears of them.
pub(crate) struct Execute<A> {
    pub(crate) replica: ReplicaId,
    pub(crate) application: A,
    pub(crate) clock: Clock,
    pub(crate) committed: Receiver<Execution>,
    pub(crate) results: Sender<Executed>,
    /// `None` once nobody observes.
    pub(crate) events: Option<Sender<Vec<CommitEvent>>>,
}

impl<A: Application> Execute<A> {
    pub(crate) fn run(mut self, watch: &mut Stopwatch) {
        while let Ok(first) = self.committed.recv() {
            watch.waited();
            watch.took(self.committed.len());
            let mut events = Vec::new();
            let mut items = 0;
            let mut next = Some(first);
            while let Some(execution) = next {
                items += execution.fresh.len();
                if self.execute(&execution, watch) == Err(Closed) {
                    return;
                }
                if self.events.is_some() {
                    events.push(self.event(&execution));
                }
                next = self.committed.try_recv().ok();
            }
            if let Some(observer) = &self.events
                && send(observer, events, watch) == Err(Closed)
            {
                self.events = None;
            }
            watch.worked(items);
        }
    }

    fn execute(&mut self, execution: &Execution, watch: &mut Stopwatch) -> Result<(), Closed> {
        let executed = run(&mut self.application, execution);
        send(&self.results, executed, watch)
    }

    fn event(&self, execution: &Execution) -> CommitEvent {
        let requests = execution.batch.requests();
        let executed = execution.fresh.iter().map(|nth| requests[*nth as usize].id());
        CommitEvent {
            replica: self.replica,
            seq: execution.seq,
            view: execution.view,
            digest: execution.batch.digest(),
            requests: requests.len() as u32,
            executed: executed.collect(),
            certificate: execution.certificate.clone(),
            at_ns: self.clock.now().0,
        }
    }
}
