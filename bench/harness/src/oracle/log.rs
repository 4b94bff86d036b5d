//! What was committed at each sequence number, and the signatures that show it.

use quorumark_consensus::types::{Instant, ReplicaId};
use quorumark_pipeline::CommitEvent;
use quorumark_primitives::ed25519::Signature;

use super::certificate::Committed;

/// The most sequence numbers that the log holds; later ones are not compared, and the findings say
/// how many.
pub const SLOTS_MAX: usize = 1 << 21;
/// The most signatures that are kept for the check after the span, 68 bytes each. The certificates
/// of later executions are not checked, and the findings say how many.
pub const SIGNATURES_MAX: usize = 1 << 20;
/// The most request numbers that are kept, 4 bytes each, to check after the span what the batches
/// held; the findings say how many batches came later.
pub const NUMBERS_KEPT_MAX: usize = 1 << 23;
/// The most executions that are kept apart because they differ from the first at their number.
const APART_MAX: usize = 4096;

/// One sequence number, as the first replica that executed it had it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) committed: Committed,
    /// The numbers of the requests executed, in order; emptied once all replicas have told theirs,
    /// when as many are kept as may.
    pub(super) executed: Box<[u32]>,
    /// Whether the batch holds these requests and no repeats.
    pub(super) whole: bool,
    /// The number of the first of them.
    pub(super) first_request: Option<u32>,
    /// When replicas committed it; emptied once all have.
    pub(super) times: Vec<Instant>,
    /// The distinct commits of all certificates.
    signatures: Vec<(ReplicaId, Signature)>,
    /// Each replica's certificate, as positions among the signatures.
    certificates: Vec<(ReplicaId, Box<[u16]>)>,
}

/// An execution that differs from the first one at its number, in digest or in view.
#[derive(Debug)]
pub(super) struct Apart {
    pub(super) by: ReplicaId,
    pub(super) committed: Committed,
    pub(super) certificate: Box<[(ReplicaId, Signature)]>,
}

/// The log of a trial.
#[derive(Debug, Default)]
pub(super) struct Log {
    slots: Vec<Option<Slot>>,
    apart: Vec<Apart>,
    signatures: usize,
    numbers: usize,
    /// Executions whose certificates, and batches whose content, were not kept.
    pub(super) unchecked: u64,
}

impl Log {
    /// The slot of an execution, and whether it was there already; otherwise it is a new one, as the
    /// execution has it.
    /// `None` when its number is beyond the log.
    pub(super) fn slot(
        &mut self,
        event: &CommitEvent,
        executed: &[u32],
    ) -> Option<(&mut Slot, bool)> {
        let place = usize::try_from(event.seq.0.checked_sub(1)?).ok()?;
        if place >= SLOTS_MAX {
            self.unchecked += 1;
            return None;
        }
        if place >= self.slots.len() {
            self.slots.resize_with(place + 1, || None);
        }
        let new = || Slot {
            committed: committed(event),
            executed: executed.into(),
            whole: executed.len() == event.requests as usize,
            first_request: executed.first().copied(),
            times: Vec::new(),
            signatures: Vec::new(),
            certificates: Vec::new(),
        };
        let known = self.slots[place].is_some();
        Some((self.slots[place].get_or_insert_with(new), known))
    }

    /// Every replica has told what it executed at `event`'s number.
    pub(super) fn complete(&mut self, event: &CommitEvent) {
        let slot = self.slots.get_mut(event.seq.0 as usize - 1).and_then(Option::as_mut);
        let Some(slot) = slot else { return };
        if self.numbers + slot.executed.len() > NUMBERS_KEPT_MAX {
            self.unchecked += 1;
            slot.executed = Box::default();
            slot.whole = false;
        }
        self.numbers += slot.executed.len();
    }

    /// Keeps the certificate of an execution for later.
    pub(super) fn keep(&mut self, event: &CommitEvent) {
        let certificate = &event.certificate;
        if self.signatures + certificate.len() > SIGNATURES_MAX {
            self.unchecked += 1;
            return;
        }
        let place = event.seq.0 as usize - 1;
        let same = self.slots.get_mut(place).and_then(Option::as_mut);
        match same.filter(|slot| slot.committed == committed(event)) {
            Some(slot) => self.signatures += slot.keep(event.replica, certificate),
            None if self.apart.len() < APART_MAX => {
                let (by, committed) = (event.replica, committed(event));
                let certificate: Box<[_]> = certificate.iter().copied().collect();
                self.signatures += certificate.len();
                self.apart.push(Apart { by, committed, certificate });
            }
            None => self.unchecked += 1,
        }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().flatten()
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
