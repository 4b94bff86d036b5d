//! What a verdict tells beside the checks: counts, peaks, and where each ledger ends.

use std::collections::BTreeMap;

use quorumark_consensus::types::{Instant, ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::hash::blake3;

use super::reference::FACTS_KEPT;
use super::ring::Ring;
use super::run::Run;
use super::settle::Settle;
use crate::trace::{EndCause, Event, Fact, Phase};

/// Kinds of faults, and names of bounds, that are told apart; the rest are counted together.
const NAMES_MAX: usize = 256;

/// Counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events, all of them.
    pub events: u64,
    /// Messages that arrived.
    pub messages: u64,
    /// Operations that clients submitted.
    pub submitted: u64,
    /// Operations that were answered to clients.
    pub answered: u64,
    /// The highest sequence number that an honest replica committed.
    pub commits: u64,
    /// The highest view that an honest replica entered.
    pub views: u64,
    /// State transfers that honest replicas finished.
    pub transfers: u64,
    /// Restarts.
    pub restarts: u64,
    /// Conflicting statements that replicas caught.
    pub equivocations: u64,
    /// Faults injected, by kind.
    pub faults: BTreeMap<String, u64>,
    /// The highest value of each bound at an honest replica.
    pub peaks: BTreeMap<String, Peak>,
    /// Where the ledger of each replica ends.
    pub ledgers: Vec<LedgerHead>,
    /// What a replica said when it panicked first.
    pub panic: Option<String>,
    /// Why the run ended, if its trace is whole.
    pub cause: Option<EndCause>,
    /// Time of the last event.
    pub simulated: Instant,
    /// Whether the run went beyond GST.
    pub gst_reached: bool,
}

/// How full a bounded thing was at its fullest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peak {
    /// The highest value.
    pub value: u64,
    /// The cap it had then.
    pub cap: u64,
}

/// The end of a replica's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerHead {
    /// Whose.
    pub replica: ReplicaId,
    /// The last sequence number executed, or fetched.
    pub seq: Seq,
    /// BLAKE3 chained over the digests of all batches up to it; `None` where what came before is not
    /// known from the trace.
    pub chain: Option<Digest>,
}

/// Counts while a run goes on.
#[derive(Debug)]
pub(super) struct Counting {
    summary: Summary,
    settle: Settle,
    heads: Vec<(Seq, Option<Digest>)>,
    /// The chain after each sequence number, as an honest replica had it first.
    chains: Ring<Link>,
}

/// One step of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    before: Digest,
    batch: Digest,
    after: Digest,
}

impl Link {
    fn new(before: Digest, batch: Digest) -> Link {
        let mut both = [0; 64];
        both[..32].copy_from_slice(&before.0);
        both[32..].copy_from_slice(&batch.0);
        Link { before, batch, after: blake3(&both) }
    }
}

impl Counting {
    pub(super) fn new(run: &Run) -> Counting {
        let heads = vec![(Seq(0), Some(Digest::ZERO)); run.n()];
        let mut chains = Ring::new(FACTS_KEPT);
        if let Some(start) = chains.place(0) {
            let nothing = Digest::ZERO;
            *start = Some(Link { before: nothing, batch: nothing, after: nothing });
        }
        Counting { summary: Summary::default(), settle: Settle::default(), heads, chains }
    }

    pub(super) fn observe(&mut self, run: &Run, event: &Event) {
        let summary = &mut self.summary;
        summary.events += 1;
        match &event.fact {
            Fact::Delivered(_) => summary.messages += 1,
            Fact::Dropped(_) => {}
            Fact::Submitted(_) => summary.submitted += 1,
            Fact::Answered(_) => summary.answered += 1,
            Fact::Committed(it) if run.is_honest(it.replica) => {
                summary.commits = summary.commits.max(it.seq.0);
            }
            Fact::Reached(it) if it.phase == Phase::ViewEntered && run.is_honest(it.replica) => {
                let View(view) = it.view;
                summary.views = summary.views.max(view);
            }
            Fact::TransferFinished(it) => {
                summary.transfers += u64::from(run.is_honest(it.replica));
                self.stand(it.replica, it.seq);
            }
            Fact::Restarted(it) => {
                summary.restarts += 1;
                self.stand(it.replica, it.executed);
            }
            Fact::Equivocated(_) => summary.equivocations += 1,
            Fact::Fault(it) => *named(&mut summary.faults, &it.kind) += 1,
            Fact::Gauge(it) if run.is_honest(it.replica) => {
                let peak = named(&mut summary.peaks, &it.bound);
                if it.value >= peak.value {
                    *peak = Peak { value: it.value, cap: it.cap };
                }
            }
            Fact::Panicked(it) => {
                summary.panic.get_or_insert_with(|| it.message.to_string());
            }
            Fact::Ended(it) => summary.cause = Some(it.cause),
            _ => {}
        }
        if let Some(it) = self.settle.settled(run, &event.fact) {
            self.extend(it.replica, it.seq, it.digest);
        }
    }

    pub(super) fn finish(self, run: &Run) -> Summary {
        let ledgers = (0..).map(ReplicaId).zip(self.heads);
        let head = |(replica, (seq, chain))| LedgerHead { replica, seq, chain };
        let (simulated, gst) = (run.now, run.header.gst);
        let ledgers = ledgers.map(head).collect();
        Summary { ledgers, simulated, gst_reached: simulated >= gst, ..self.summary }
    }

    fn extend(&mut self, replica: ReplicaId, seq: Seq, batch: Digest) {
        let Some((head, chain)) = self.heads.get_mut(usize::from(replica.0)) else { return };
        let before = if seq == head.next() { *chain } else { None };
        (*head, *chain) = (seq, None);
        let Some(before) = before else { return };
        // Most replicas take the step that another took before: it is hashed once.
        let known = self.chains.get(seq.0).copied();
        let known = known.filter(|link| (link.before, link.batch) == (before, batch));
        let link = known.unwrap_or_else(|| Link::new(before, batch));
        *chain = Some(link.after);
        if let Some(place) = self.chains.place(seq.0) {
            place.get_or_insert(link);
        }
    }

    fn stand(&mut self, replica: ReplicaId, seq: Seq) {
        let chain = self.chains.get(seq.0).map(|link| link.after);
        if let Some(head) = self.heads.get_mut(usize::from(replica.0)) {
            *head = (seq, chain);
        }
    }
}

/// The place of a name; when there are too many names, of `other`.
fn named<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    let name = match map.len() >= NAMES_MAX && !map.contains_key(name) {
        true => "other",
        false => name,
    };
    if !map.contains_key(name) {
        map.insert(name.to_owned(), T::default());
    }
    map.get_mut(name).expect("the name was put there above")
}
