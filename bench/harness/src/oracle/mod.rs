//! The safety oracle: reads what every replica executes, and says whether it may.
//!
//! It shares no predicate with the engines: quorums, certificates and the identity of requests are
//! decided here again ([`certificate`], [`Plan`]). Agreement, order and exactly-once are checked as
//! executions arrive. Certificates and the content of batches are checked after the timed span; in a
//! trial that is too long for that, the oldest of them while it runs, once every replica that was
//! started has told of them (one that stopped never does). What the load knows is checked at the end.
//!
//! Memory: eight bytes for each run of consecutive requests in a batch, about 300 bytes a sequence
//! number, and each distinct commit signature once, within [`Bounds`]; and for each replica the
//! requests that it executed, as [`Numbers`].

pub mod certificate;
mod checks;
pub mod commit_time;
mod content;
pub mod log;
mod runs;
mod sightings;
mod thread;

use std::collections::BTreeMap;
use std::sync::Arc;

use quorumark_consensus::types::{ClientId, Instant, ReplicaId, Seq, View};
use quorumark_pipeline::CommitEvent;
use quorumark_primitives::signed::{Context, KeyDirectory};

use self::certificate::{Signatures, flaw};
use self::checks::Checks;
pub use self::checks::{Kind, NAMES};
pub use self::commit_time::{CommitTimes, SendTimes, Window};
pub use self::log::Bounds;
use self::log::{Log, Slot};
use self::runs::{Run, Runs, UNKNOWN};
use self::sightings::FirstCommits;
pub use self::sightings::Sightings;
pub use self::thread::{OracleThread, OracleTime};
use crate::scenario;
use crate::workload::{Numbers, Plan};

/// Signatures that are verified together after the span.
const SIGNATURES_TOGETHER: usize = 4096;
/// Signatures that are verified together while the trial runs: with the batches that they belong to
/// some milliseconds, for which the oracle's thread shares a core with a replica.
const SIGNATURES_AT_ONCE: usize = 256;

/// The cluster that the oracle watches.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Replicas in the committee.
    pub replicas: usize,
    /// Those of them that are neither silent on purpose nor stopped.
    pub live: usize,
    /// The replica that is stopped on purpose in the middle of the trial. What it executes until then
    /// is checked as everybody's is; it counts neither as behind nor in commit times.
    pub stopping: Option<ReplicaId>,
    /// What signatures bind.
    pub context: Context,
    /// The replicas' keys.
    pub directory: Arc<KeyDirectory>,
}

/// What the load knows at the end of a trial.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Requests of each client, the spoilt ones included; their timestamps are 1, 2, ...
    pub turns: Vec<u64>,
    /// Requests that were ordered and answered by f + 1 replicas.
    pub acknowledged: Numbers,
}

/// What the oracle found.
#[derive(Debug)]
pub struct Findings {
    /// The checks by name.
    pub checks: scenario::Oracle,
    /// Commit times within the measured span.
    pub times: CommitTimes,
    /// Requests executed, at the replica with most of them.
    pub executed: u64,
    /// Executions that were not compared or whose certificates were not checked, and batches whose
    /// content was not, because the log was full.
    pub unchecked: u64,
    /// When each view first had an execution.
    pub first_commits: BTreeMap<View, Instant>,
    /// The replicas, of those that are neither silent nor stopped, whose last execution is behind that of others.
    pub behind: Vec<(ReplicaId, Seq)>,
}

/// Watches one trial.
#[derive(Debug)]
pub struct Oracle {
    watched: Watched,
    plan: Plan,
    sends: Arc<SendTimes>,
    window: Window,
    /// The last sequence number of each replica.
    last: Vec<Seq>,
    /// The highest state that each replica says it took over.
    took_over: Vec<Seq>,
    /// What each replica executed.
    executed: Vec<Numbers>,
    /// The requests of one execution; kept for its capacity.
    runs: Runs,
    /// The largest timestamp of each client among the executed requests.
    highest: Vec<u64>,
    log: Log,
    signatures: Signatures,
    times: CommitTimes,
    checks: Checks,
    first_commits: FirstCommits,
    sightings: Arc<Sightings>,
}

impl Oracle {
    /// An oracle that has seen nothing. Commit times are taken within `window`, from `sends`.
    ///
    /// # Panics
    /// When the directory does not hold exactly the replicas' keys.
    pub fn new(watched: Watched, plan: Plan, sends: Arc<SendTimes>, window: Window) -> Oracle {
        Oracle::within(Bounds::default(), watched, plan, sends, window)
    }

    /// As [`Oracle::new`], with a log of its own bounds.
    ///
    /// # Panics
    /// As [`Oracle::new`].
    pub fn within(
        bounds: Bounds,
        watched: Watched,
        plan: Plan,
        sends: Arc<SendTimes>,
        window: Window,
    ) -> Oracle {
        assert_eq!(watched.directory.replicas(), watched.replicas, "one key a replica");
        assert!(watched.live <= watched.replicas, "{} live replicas", watched.live);
        Oracle {
            last: vec![Seq(0); watched.replicas],
            took_over: vec![Seq(0); watched.replicas],
            executed: vec![Numbers::new(); watched.replicas],
            highest: vec![0; plan.clients() as usize],
            runs: Runs::default(),
            log: Log::new(bounds),
            signatures: Signatures::new(watched.context, Arc::clone(&watched.directory)),
            times: CommitTimes::default(),
            checks: Checks::default(),
            first_commits: FirstCommits::default(),
            sightings: Arc::default(),
            watched,
            plan,
            sends,
            window,
        }
    }

    /// What it has seen so far, to be looked at while it watches.
    pub fn sightings(&self) -> Arc<Sightings> {
        Arc::clone(&self.sightings)
    }

    /// Takes one execution; those of one replica in the order in which it made them.
    pub fn observe(&mut self, event: &CommitEvent) {
        let (replica, seq) = (event.replica, event.seq);
        let member = usize::from(replica.0);
        if member >= self.watched.replicas {
            let stranger = || format!("{replica} is no member and executed {seq}");
            return self.checks.note(Kind::Order, false, stranger);
        }
        // Ahead of its last execution a replica stands where it took over a state (PBFT 4.3). What led
        // there is judged at those who executed it; that there are such, the end of the trial tells.
        let last = self.last[member].max(event.after);
        if last > self.last[member] {
            self.took_over[member] = last;
        }
        let jump = || format!("{replica} executed {seq} after {last}");
        self.checks.note(Kind::Order, seq.0 == last.0 + 1, jump);
        if seq <= last {
            // Everything else would be found a second time.
            return;
        }
        self.last[member] = seq;
        self.first_commits.note(event);
        self.sightings.note(event);
        let mut runs = std::mem::take(&mut self.runs);
        self.take_requests(event, &mut runs);
        self.compare(event, runs.as_slice());
        self.log.keep(event);
        self.runs = runs;
        if self.log.is_strained() {
            self.check_slots(self.told_by_all(), SIGNATURES_AT_ONCE);
        }
    }

    /// The replicas that were started: all but the silent ones, which are the last.
    fn started(&self) -> usize {
        self.watched.live + usize::from(self.watched.stopping.is_some())
    }

    /// The last sequence number of which every replica that was started has told, or which it passed
    /// over.
    fn told_by_all(&self) -> Seq {
        self.last.iter().take(self.started()).copied().min().unwrap_or(Seq(0))
    }

    /// Exactly-once and validity of the executed requests; puts them into `runs`.
    fn take_requests(&mut self, event: &CommitEvent, runs: &mut Runs) {
        let at = usize::from(event.replica.0);
        runs.clear();
        for (client, timestamp) in &event.executed {
            let named = || format!("{} at {}: {client} {timestamp}", event.replica, event.seq);
            let Some(number) = self.plan.number(*client, *timestamp) else {
                let unknown = || format!("{}: no client asked for it", named());
                self.checks.note(Kind::Validity, false, unknown);
                runs.push(UNKNOWN);
                continue;
            };
            let valid = !self.plan.is_invalid(number);
            self.checks.note(Kind::Validity, valid, || format!("{}: its proof is bad", named()));
            let highest = &mut self.highest[client.0 as usize];
            *highest = (*highest).max(timestamp.0);
            let once = self.executed[at].insert(number);
            self.checks.note(Kind::ExactlyOnce, once, || format!("{}: a second time", named()));
            // Numbers of the plan are below 2^30.
            runs.push(number as u32);
        }
    }

    /// Agreement: the first execution at a sequence number is what all others must be.
    fn compare(&mut self, event: &CommitEvent, runs: &[Run]) {
        let Some((slot, known)) = self.log.slot(event, runs) else { return };
        let agrees = slot.committed.digest == event.digest && slot.executed(runs);
        let differs = || {
            let (by, seq, found) = (event.replica, event.seq, event.digest);
            format!("{by} executed {found} at {seq}, others {}", slot.committed.digest)
        };
        // The first replica at a number has nobody to agree with yet; one alone never has.
        if known || self.watched.live == 1 {
            self.checks.note(Kind::Agreement, agrees, differs);
        }
        if self.watched.stopping == Some(event.replica) {
            return;
        }
        slot.times.push(Instant(event.at_ns));
        if slot.times.len() == self.watched.live {
            let mut times = std::mem::take(&mut slot.times);
            let sent = slot.first_request.and_then(|number| self.sends.of(number.into()));
            if let Some(sent) = sent.filter(|sent| self.window.contains(*sent)) {
                self.times.note(sent, &mut times, self.watched.replicas);
            }
            self.log.complete(event);
        }
    }

    /// Checks what is left in the log, and what needs the end of the trial: what the load sent and was
    /// answered, and the states that were taken over. The last two are left out where so many replicas as
    /// are `cut_off` gave up telling what they executed: that an execution is unknown means nothing then.
    pub fn finish(mut self, sent: &Sent, cut_off: u64) -> Findings {
        self.check_sent(sent);
        if cut_off == 0 {
            self.check_acknowledged(sent);
            self.check_states();
        }
        while self.check_slots(Seq(u64::MAX), SIGNATURES_TOGETHER) {}
        self.check_apart();
        Findings {
            behind: self.behind(),
            checks: self.checks.into_report(),
            times: self.times,
            executed: self.executed.iter().map(Numbers::len).max().unwrap_or(0),
            unchecked: self.log.unchecked,
            first_commits: self.first_commits.into_map(),
        }
    }

    /// The least number with an honest replica among them.
    fn weak_quorum(&self) -> usize {
        (self.watched.replicas - 1) / 3 + 1
    }

    /// PBFT 4.3: a state that is taken over was shown by a quorum, so one honest replica beside as many
    /// as may be faulty has executed what led to it.
    fn check_states(&mut self) {
        let weak_quorum = self.weak_quorum();
        for (member, state) in self.took_over.iter().enumerate().filter(|(_, state)| state.0 > 0) {
            let others = self.last.iter().enumerate().filter(|(other, _)| *other != member);
            let had = others.filter(|(_, last)| **last >= *state).count();
            let unfounded =
                || format!("r{member} went on after {state}, which {had} others executed");
            self.checks.note(Kind::Order, had >= weak_quorum, unfounded);
        }
    }

    fn behind(&self) -> Vec<(ReplicaId, Seq)> {
        let replicas = (0..).map(ReplicaId).zip(self.last.iter().copied().take(self.started()));
        let live = replicas.filter(|(replica, _)| Some(*replica) != self.watched.stopping);
        let furthest = live.clone().map(|(_, last)| last).max().unwrap_or(Seq(0));
        live.filter(|(_, last)| *last < furthest).collect()
    }

    fn check_sent(&mut self, sent: &Sent) {
        for (client, highest) in self.highest.iter().enumerate() {
            let turns = sent.turns.get(client).copied().unwrap_or(0);
            let client = ClientId(client as u32);
            let never = || format!("{client} t{highest} was executed, and never sent");
            self.checks.note(Kind::Validity, *highest <= turns, never);
        }
    }

    /// What f + 1 replicas answered, as many executed.
    fn check_acknowledged(&mut self, sent: &Sent) {
        let weak_quorum = self.weak_quorum();
        for number in sent.acknowledged.iter() {
            let by = self.executed.iter().filter(|executed| executed.contains(number)).count();
            let missing = || {
                let (client, timestamp) = (self.plan.client(number), self.plan.timestamp(number));
                format!("{client} {timestamp} was answered, and executed by {by} replicas")
            };
            self.checks.note(Kind::ExactlyOnce, by >= weak_quorum, missing);
        }
    }

    /// Takes slots out of the log, the oldest first and none above `last`, until they are `together` or hold
    /// as many signatures, and checks them; `false` when there was none.
    fn check_slots(&mut self, last: Seq, together: usize) -> bool {
        let mut slots = Vec::new();
        while self.signatures.queued().max(slots.len()) < together {
            let Some(slot) = self.log.take_first(last) else { break };
            for (by, signature) in slot.signatures() {
                self.signatures.queue(&slot.committed, *by, signature);
            }
            slots.push(slot);
        }
        slots.iter().for_each(|slot| self.check_content(slot));
        self.check_certificates(&slots);
        !slots.is_empty()
    }

    /// What a batch held is what its clients asked for.
    fn check_content(&mut self, slot: &Slot) {
        let expected = slot.content().and_then(|runs| content::digest(&self.plan, runs));
        let Some(expected) = expected else { return };
        let (seq, found) = (slot.committed.seq, slot.committed.digest);
        let other = || format!("{seq} holds other operations than its clients asked for");
        self.checks.note(Kind::Validity, expected == found, other);
    }

    /// Verifies what is queued, which are the signatures of `slots`, and with it their certificates.
    fn check_certificates(&mut self, slots: &[Slot]) {
        let Oracle { watched, checks, signatures, .. } = self;
        let mut verdicts = signatures.verify().iter();
        for slot in slots {
            // Only the signatures of members are queued; `flaw` refuses the others.
            let valid: Vec<bool> = slot
                .signatures()
                .iter()
                .map(|(by, _)| {
                    usize::from(by.0) < watched.replicas && verdicts.next() == Some(&true)
                })
                .collect();
            for (by, positions) in slot.certificates() {
                let commits = positions.iter().map(|at| usize::from(*at));
                let signers = commits.clone().map(|at| slot.signatures()[at].0);
                let form = flaw(signers, watched.replicas);
                let all = commits.clone().all(|at| valid[at]);
                let said = || told(*by, &slot.committed, form.as_deref());
                checks.note(Kind::Certificates, form.is_none() && all, said);
            }
        }
    }

    /// The certificates of executions that differ from the first at their number.
    fn check_apart(&mut self) {
        let Oracle { watched, log, checks, signatures, .. } = self;
        for apart in log.apart() {
            let form = flaw(apart.certificate.iter().map(|(by, _)| *by), watched.replicas);
            let all = apart.certificate.iter().all(|(by, signature)| {
                signatures.queue(&apart.committed, *by, signature) && signatures.verify() == [true]
            });
            let said = || told(apart.by, &apart.committed, form.as_deref());
            checks.note(Kind::Certificates, form.is_none() && all, said);
        }
    }
}

fn told(by: ReplicaId, committed: &certificate::Committed, flaw: Option<&str>) -> String {
    let what = flaw.unwrap_or("a signature does not verify");
    format!("{by} executed {} of {}: {what}", committed.seq, committed.view)
}
