//! What was committed at each sequence number, and the signatures that show it.

use std::collections::VecDeque;

use quorumark_consensus::types::{Instant, ReplicaId, Seq};
use quorumark_pipeline::CommitEvent;
use quorumark_primitives::ed25519::Signature;

use super::certificate::Committed;
use super::runs::{Run, count, numbers};

/// How much of a log is kept before it is checked.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most sequence numbers between the first that is kept and the last; later ones are not
    /// compared, and the findings say how many.
    pub slots: usize,
    /// With more signatures than these, 68 bytes each, the oldest are checked while the trial runs.
    pub signatures_at_ease: usize,
    /// The most signatures that are kept while a replica has yet to tell of them. The certificates of
    /// later executions are not checked, and the findings say how many.
    pub signatures: usize,
    /// With more runs of consecutive request numbers than these, 8 bytes each, the oldest batches are
    /// checked while the trial runs.
    pub runs_at_ease: usize,
    /// With more runs than these, the requests of a batch are not kept, or given up once all live replicas
    /// have told of it: its content is not checked, its digests alone are compared, and the findings count
    /// it.
    pub runs: usize,
}

impl Default for Bounds {
    /// With four replicas and up to 1,300 batches a second a trial of ten seconds and its warm-up stay at
    /// ease: all certificates are then checked after the span.
    fn default() -> Bounds {
        Bounds {
            slots: 1 << 21,
            signatures_at_ease: 1 << 16,
            signatures: 1 << 20,
            runs_at_ease: 1 << 20,
            runs: 1 << 23,
        }
    }
}

/// The most executions that are kept apart because they differ from the first at their number.
const APART_MAX: usize = 4096;

/// One sequence number, as the first replica that executed it had it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) committed: Committed,
    /// The requests executed, in order; `None` once all live replicas have told theirs, when more
    /// are kept than may be.
    executed: Option<Box<[Run]>>,
    /// Whether the batch holds these requests and no repeats.
    whole: bool,
    /// The number of the first of them.
    pub(super) first_request: Option<u32>,
    /// When replicas committed it; emptied once all have.
    pub(super) times: Vec<Instant>,
    /// The distinct commits of all certificates.
    signatures: Vec<(ReplicaId, Signature)>,
    /// Each replica's certificate, as positions among the signatures.
    certificates: Vec<(ReplicaId, Box<[u16]>)>,
}

/// An execution that differs from the first one at its number, in digest or in view, or whose number is
/// outside the log.
#[derive(Debug)]
pub(super) struct Apart {
    pub(super) by: ReplicaId,
    pub(super) committed: Committed,
    pub(super) certificate: Box<[(ReplicaId, Signature)]>,
}

/// The log of a trial, without what was taken out to be checked.
#[derive(Debug)]
pub(super) struct Log {
    bounds: Bounds,
    /// The sequence number of the first slot.
    first: u64,
    slots: VecDeque<Option<Slot>>,
    apart: Vec<Apart>,
    signatures: usize,
    runs: usize,
    /// Executions that were not compared or whose certificates were not kept, and batches whose
    /// content was not.
    pub(super) unchecked: u64,
}

impl Log {
    /// The empty log, which begins at sequence number 1.
    pub(super) fn new(bounds: Bounds) -> Log {
        Log {
            bounds,
            first: 1,
            slots: VecDeque::new(),
            apart: Vec::new(),
            signatures: 0,
            runs: 0,
            unchecked: 0,
        }
    }

    fn place(&self, seq: Seq) -> Option<usize> {
        usize::try_from(seq.0.checked_sub(self.first)?).ok()
    }

    fn at(&mut self, seq: Seq) -> Option<&mut Slot> {
        let place = self.place(seq)?;
        self.slots.get_mut(place)?.as_mut()
    }

    /// The slot of an execution, and whether it was there already; otherwise it is a new one, as the
    /// execution has it.
    /// `None` when its number is outside the log.
    pub(super) fn slot(
        &mut self,
        event: &CommitEvent,
        executed: &[Run],
    ) -> Option<(&mut Slot, bool)> {
        let Some(place) = self.place(event.seq).filter(|place| *place < self.bounds.slots) else {
            self.unchecked += 1;
            return None;
        };
        if place >= self.slots.len() {
            self.slots.resize_with(place + 1, || None);
        }
        let known = self.slots[place].is_some();
        let keeps = self.runs <= self.bounds.runs;
        match (known, keeps) {
            (true, _) => {}
            (false, true) => self.runs += executed.len(),
            (false, false) => self.unchecked += 1,
        }
        let new = || Slot {
            committed: committed(event),
            executed: keeps.then(|| executed.into()),
            whole: count(executed) == event.requests as usize,
            first_request: numbers(executed).next(),
            times: Vec::new(),
            signatures: Vec::new(),
            certificates: Vec::new(),
        };
        Some((self.slots[place].get_or_insert_with(new), known))
    }

    /// Notes that every live replica has told what it executed at `event`'s number: gives its requests up
    /// where more runs are kept than may be.
    pub(super) fn complete(&mut self, event: &CommitEvent) {
        if self.runs <= self.bounds.runs {
            return;
        }
        let Some(slot) = self.at(event.seq) else { return };
        let Some(executed) = slot.executed.take() else { return };
        self.runs -= executed.len();
        self.unchecked += 1;
    }

    /// Whether what is kept is more than is kept at ease.
    pub(super) fn is_strained(&self) -> bool {
        self.signatures > self.bounds.signatures_at_ease || self.runs > self.bounds.runs_at_ease
    }

    /// Takes out the first slot, if its sequence number is at most `last`. What is told later at this
    /// number is not compared; its certificate is checked apart.
    pub(super) fn take_first(&mut self, last: Seq) -> Option<Slot> {
        while self.first <= last.0 {
            let slot = self.slots.pop_front()?;
            self.first += 1;
            // Nothing was told at a number that all replicas passed over with a state.
            let Some(slot) = slot else { continue };
            self.signatures -= slot.signatures.len();
            self.runs -= slot.executed.as_ref().map_or(0, |executed| executed.len());
            return Some(slot);
        }
        None
    }

    /// Keeps the certificate of an execution for later.
    pub(super) fn keep(&mut self, event: &CommitEvent) {
        let certificate = &event.certificate;
        if self.signatures + certificate.len() > self.bounds.signatures {
            self.unchecked += 1;
            return;
        }
        let room_apart = self.apart.len() < APART_MAX;
        match self.at(event.seq).filter(|slot| slot.committed == committed(event)) {
            Some(slot) => self.signatures += slot.keep(event.replica, certificate),
            None if room_apart => {
                let (by, committed) = (event.replica, committed(event));
                let certificate: Box<[_]> = certificate.iter().copied().collect();
                self.signatures += certificate.len();
                self.apart.push(Apart { by, committed, certificate });
            }
            None => self.unchecked += 1,
        }
    }

    pub(super) fn apart(&self) -> &[Apart] {
        &self.apart
    }
}

impl Slot {
    /// Keeps a certificate, each commit once; returns how many commits were new.
    fn keep(&mut self, by: ReplicaId, certificate: &[(ReplicaId, Signature)]) -> usize {
        let before = self.signatures.len();
        let position = |commit: &(ReplicaId, Signature)| {
            let known = self.signatures.iter().position(|known| known == commit);
            known.unwrap_or_else(|| {
                self.signatures.push(*commit);
                self.signatures.len() - 1
            }) as u16
        };
        let positions = certificate.iter().map(position).collect();
        self.certificates.push((by, positions));
        self.signatures.len() - before
    }

    /// Whether a replica that executed `runs` did as the first; so it is said to have where that is no
    /// longer known.
    pub(super) fn executed(&self, runs: &[Run]) -> bool {
        self.executed.as_ref().is_none_or(|executed| **executed == *runs)
    }

    /// The requests that the batch holds, in order, where that is known.
    pub(super) fn content(&self) -> Option<&[Run]> {
        self.executed.as_deref().filter(|_| self.whole)
    }

    /// The distinct commits.
    pub(super) fn signatures(&self) -> &[(ReplicaId, Signature)] {
        &self.signatures
    }

    /// Each replica's certificate, as positions among [`Slot::signatures`].
    pub(super) fn certificates(&self) -> &[(ReplicaId, Box<[u16]>)] {
        &self.certificates
    }
}

/// What an execution says was committed.
fn committed(event: &CommitEvent) -> Committed {
    Committed { view: event.view, seq: event.seq, digest: event.digest }
}
