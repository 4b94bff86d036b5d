//! Forged logs, each of which breaks one rule: the oracle names that rule and no other.

#![allow(clippy::unwrap_used)] // A test stops at what it did not expect.

use std::sync::Arc;

use bytes::Bytes;
use quorumark_consensus::pbft;
use quorumark_consensus::request::{Batch, ClientProof, Request, SignedRequest};
use quorumark_consensus::types::{ClientId, Instant, ReplicaId, Seq, Timestamp, View};
use quorumark_harness::oracle::{Bounds, Findings, Oracle, SendTimes, Sent, Watched, Window};
use quorumark_harness::workload::{Numbers, Plan, Shares, Workload};
use quorumark_pipeline::CommitEvent;
use quorumark_primitives::ed25519::{SecretKey, Signature};
use quorumark_primitives::signed::{Context, KeyDirectory, Sealer, Signer};

const N: u16 = 4;
const CLIENTS: u32 = 2;
const BATCHES: u64 = 5;
const BATCH: u64 = 3;
const CONTEXT: Context = Context { cluster: 7, protocol: pbft::PROTOCOL };

fn secret(replica: u16) -> SecretKey {
    SecretKey::from_seed(&[replica as u8 + 1; 32])
}

fn plan(invalid: f64) -> Plan {
    let workload = Workload::named("fixed", 32, 1).unwrap();
    Plan::new(Arc::new(workload), CLIENTS, 1, Shares { invalid, sent_twice: 0.0 })
}

fn request(plan: &Plan, number: u64) -> SignedRequest {
    let (client, timestamp) = (plan.client(number), plan.timestamp(number));
    let operation = plan.operation(number).clone();
    SignedRequest::new(Request { client, timestamp, operation }, ClientProof::None)
}

fn commit_signature(view: View, seq: Seq, batch: &Batch, by: u16) -> (ReplicaId, Signature) {
    let replica = ReplicaId(by);
    let mut sealer = Sealer::new(CONTEXT, Signer::Replica(by), secret(by));
    let commit = pbft::Commit { view, seq, digest: batch.digest(), replica };
    (replica, sealer.sign(&commit))
}

fn execution(seq: u64, requests: Vec<SignedRequest>, signers: &[u16]) -> CommitEvent {
    let (seq, view, batch) = (Seq(seq), View(0), Batch::new(requests));
    let sign = |by: &u16| commit_signature(view, seq, &batch, *by);
    CommitEvent {
        replica: ReplicaId(0),
        certificate: signers.iter().map(sign).collect(),
        requests: batch.requests().len() as u32,
        executed: batch.requests().map(|request| request.id()).collect(),
        digest: batch.digest(),
        at_ns: 0,
        after: Seq(seq.0 - 1),
        seq,
        view,
    }
}

/// What four correct replicas execute, replica by replica, and what the load says of it.
struct Forgery {
    plan: Plan,
    logs: Vec<Vec<CommitEvent>>,
    stopping: Option<ReplicaId>,
    sent: Sent,
}

impl Forgery {
    fn honest() -> Forgery {
        let plan = plan(0.0);
        let log = |replica: u16| {
            // Each replica saw another quorum first.
            let signers: Vec<u16> = (0..3).map(|i| (replica + i) % N).collect();
            let batch = |seq: u64| {
                let numbers = (seq - 1) * BATCH..seq * BATCH;
                execution(seq, numbers.map(|i| request(&plan, i)).collect(), &signers)
            };
            (1..=BATCHES).map(batch).collect()
        };
        let logs = (0..N).map(log).collect();
        let mut acknowledged = Numbers::new();
        (0..BATCHES * BATCH).for_each(|number| {
            acknowledged.insert(number);
        });
        let turns = vec![BATCHES * BATCH / 2 + 1; CLIENTS as usize];
        Forgery { plan, logs, stopping: None, sent: Sent { turns, acknowledged } }
    }

    fn at(&mut self, replica: usize, seq: usize) -> &mut CommitEvent {
        &mut self.logs[replica][seq - 1]
    }

    /// Every replica executes these requests at one sequence number, properly certified.
    fn everywhere(&mut self, seq: usize, requests: Vec<SignedRequest>) {
        for log in &mut self.logs {
            log[seq - 1] = execution(seq as u64, requests.clone(), &[0, 1, 2]);
        }
    }

    fn judge(&self) -> Findings {
        self.judge_within(Bounds::default())
    }

    fn judge_within(&self, bounds: Bounds) -> Findings {
        self.watched_within(bounds).finish(&self.sent, 0)
    }

    /// An oracle that saw all of it.
    fn watched_within(&self, bounds: Bounds) -> Oracle {
        let directory = KeyDirectory::new((0..N).map(|r| secret(r).public()).collect(), vec![]);
        let watched = Watched {
            replicas: N.into(),
            live: usize::from(N) - usize::from(self.stopping.is_some()),
            stopping: self.stopping,
            context: CONTEXT,
            directory: Arc::new(directory),
        };
        let window = Window { start: Instant(0), end: Instant(u64::MAX) };
        let sends = Arc::new(SendTimes::default());
        (0..BATCHES * BATCH).for_each(|number| sends.record(number, Instant(1000)));
        let mut oracle = Oracle::within(bounds, watched, self.plan.clone(), sends, window);
        let longest = self.logs.iter().map(Vec::len).max().unwrap();
        for nth in 0..longest {
            for (replica, log) in (0..).zip(&self.logs) {
                let Some(event) = log.get(nth).cloned() else { continue };
                let at_ns = 2000 + u64::from(replica);
                oracle.observe(&CommitEvent { replica: ReplicaId(replica), at_ns, ..event });
            }
        }
        oracle
    }
}

fn violated(findings: &Findings) -> Vec<&str> {
    let violated = findings.checks.iter().filter(|(_, check)| check.violated > 0);
    violated.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn an_honest_log_passes_every_check_and_each_was_made() {
    let findings = Forgery::honest().judge();
    assert_eq!(violated(&findings), Vec::<&str>::new(), "{:?}", findings.checks);
    assert!(findings.checks.values().all(|check| check.evaluated >= BATCHES), "{findings:?}");
    assert_eq!(findings.checks["certificates"].evaluated, BATCHES * u64::from(N));
    assert_eq!((findings.executed, findings.unchecked), (BATCHES * BATCH, 0));
    // The first of four replicas at each number has nobody to agree with.
    assert_eq!(findings.checks["agreement"].evaluated, BATCHES * u64::from(N - 1));
    assert!(findings.behind.is_empty());
    assert_eq!(findings.times.first.len(), BATCHES);
    assert_eq!(findings.times.last.max(), Some(1003));
}

#[test]
fn a_replica_that_was_cut_off_is_not_accused_of_what_it_could_not_tell() {
    let mut cut = Forgery::honest();
    cut.logs.iter_mut().skip(1).for_each(|log| log.truncate(BATCHES as usize - 1));
    assert_eq!(violated(&cut.judge()), ["exactly_once"]);
    let judged = |cut: &Forgery| cut.watched_within(Bounds::default()).finish(&cut.sent, 3);
    let findings = judged(&cut);
    assert_eq!(violated(&findings), Vec::<&str>::new(), "{:?}", findings.checks);
    // What was told is judged all the same.
    forge_commit(&mut cut, |commit| commit.1.0[7] ^= 1);
    assert_eq!(violated(&judged(&cut)), ["certificates"]);
}

#[test]
fn each_broken_rule_is_named_and_no_other() {
    type Forge = fn(&mut Forgery);
    let table: &[(&str, &str, Forge)] = &[
        ("agreement", "another order of the same requests", |f| {
            let requests = [5, 4, 3].map(|i| request(&f.plan, i)).to_vec();
            *f.at(2, 2) = execution(2, requests, &[0, 1, 2]);
        }),
        ("agreement", "one replica passes a request over", |f| {
            f.at(3, 4).executed.remove(1);
        }),
        ("order", "a gap", |f| {
            let left_out = f.logs[3].remove(2);
            f.logs[3][2].after = left_out.after;
        }),
        ("order", "a state that too few others had", |f| {
            f.logs[3].drain(1..3);
            f.logs[0].truncate(2);
            f.logs[1].truncate(2);
            f.sent.acknowledged = Numbers::new();
        }),
        ("order", "the same number again", |f| {
            let again = f.at(1, 3).clone();
            f.logs[1].insert(3, again);
        }),
        ("order", "two numbers swapped", |f| f.logs[0].swap(3, 4)),
        ("exactly_once", "a request in two batches", |f| {
            let requests = [11, 12, 3].map(|i| request(&f.plan, i)).to_vec();
            f.sent.acknowledged = Numbers::new();
            f.everywhere(5, requests);
        }),
        ("exactly_once", "answered, and executed nowhere", |f| {
            f.sent.acknowledged.insert(BATCHES * BATCH);
        }),
        ("exactly_once", "answered, and executed by f replicas", |f| {
            f.logs.iter_mut().skip(1).for_each(|log| log.truncate(BATCHES as usize - 1));
        }),
        ("certificates", "a flipped bit", |f| forge_commit(f, |commit| commit.1.0[7] ^= 1)),
        ("certificates", "another view", |f| f.at(1, 3).view = View(1)),
        ("certificates", "signed by one for another", |f| {
            forge_commit(f, |commit| commit.0 = ReplicaId(3));
        }),
        ("certificates", "a stranger", |f| forge_commit(f, |commit| commit.0 = ReplicaId(N))),
        ("certificates", "one short of a quorum", |f| {
            let certificate = f.at(2, 3).certificate[..2].into();
            f.at(2, 3).certificate = certificate;
        }),
        ("certificates", "the same commit twice", |f| {
            let mut certificate = f.at(2, 3).certificate.to_vec();
            certificate[2] = certificate[0];
            f.at(2, 3).certificate = certificate.into();
        }),
        ("certificates", "the commits of another number", |f| {
            let certificate = Arc::clone(&f.at(2, 4).certificate);
            f.at(2, 3).certificate = certificate;
        }),
        ("validity", "another operation", |f| {
            let mut requests = [12, 13, 14].map(|i| request(&f.plan, i)).to_vec();
            let mut forged = requests[1].request();
            forged.operation = Bytes::from_static(b"transfer everything");
            requests[1] = SignedRequest::new(forged, ClientProof::None);
            f.everywhere(5, requests);
        }),
        ("validity", "a client that does not exist", |f| {
            let mut requests = [12, 13, 14].map(|i| request(&f.plan, i)).to_vec();
            let operation = f.plan.operation(0).clone();
            let stranger =
                Request { client: ClientId(CLIENTS), timestamp: Timestamp(1), operation };
            requests.push(SignedRequest::new(stranger, ClientProof::None));
            f.everywhere(5, requests);
        }),
        ("validity", "a request that was not sent yet", |f| {
            let requests = [12, 13, 14, 90].map(|i| request(&f.plan, i)).to_vec();
            f.everywhere(5, requests);
        }),
        ("validity", "a request with a spoilt proof", |f| {
            f.plan = plan(0.05);
            assert_eq!((0..15).filter(|i| f.plan.is_invalid(*i)).count(), 1, "choose a seed");
        }),
    ];
    for (rule, what, forge) in table {
        let mut forgery = Forgery::honest();
        forge(&mut forgery);
        // Checked after the trial, and while it runs, as soon as all have told.
        for bounds in [Bounds::default(), HASTY] {
            let findings = forgery.judge_within(bounds);
            assert_eq!(violated(&findings), [*rule], "{what}: {:?}", findings.checks);
            let first = findings.checks[*rule].first_violation.as_ref().unwrap();
            assert!(first.len() > 10, "{what}: {first}");
        }
    }
}

/// Nothing is kept at ease.
const HASTY: Bounds = Bounds {
    slots: BATCHES as usize,
    signatures_at_ease: 0,
    signatures: 1000,
    runs_at_ease: 0,
    runs: 1000,
};

#[test]
fn a_log_that_is_checked_while_the_trial_runs_finds_the_same() {
    let honest = Forgery::honest();
    let (late, early) = (honest.judge(), honest.judge_within(HASTY));
    assert_eq!(late.checks, early.checks);
    assert_eq!((late.executed, late.unchecked), (early.executed, early.unchecked));
    // Two numbers are kept at a time, since no replica here is ahead of another by more.
    let few = Bounds { slots: 2, ..HASTY };
    assert_eq!(honest.judge_within(few).checks, late.checks);
    assert_eq!(honest.judge_within(few).unchecked, 0);
}

#[test]
fn certificates_that_wait_for_a_lagging_replica_are_kept_to_their_bound_and_counted_beyond() {
    let mut forgery = Forgery::honest();
    forgery.logs[3].truncate(1);
    // Numbers 2 to 5 wait for it, with four distinct commits each.
    let findings = forgery.judge_within(Bounds { signatures: 15, ..HASTY });
    assert_eq!(violated(&findings), Vec::<&str>::new(), "{:?}", findings.checks);
    assert!(findings.unchecked > 0);
    let certificates = findings.checks["certificates"].evaluated;
    assert_eq!(certificates + findings.unchecked, BATCHES * 3 + 1);
}

/// PBFT 4.3: who fell behind by a window takes over a state, and never executes what led to it.
#[test]
fn a_replica_that_took_over_a_state_goes_on_behind_it_and_no_rule_is_broken() {
    let mut forgery = Forgery::honest();
    forgery.logs[3].drain(1..3);
    assert_eq!(forgery.logs[3][1].after, Seq(3), "it says so");
    let findings = forgery.judge();
    assert_eq!(violated(&findings), Vec::<&str>::new(), "{:?}", findings.checks);
    assert!(findings.behind.is_empty());
}

#[test]
fn a_replica_that_stopped_early_is_named_and_no_rule_is_broken() {
    let mut forgery = Forgery::honest();
    forgery.logs[3].truncate(3);
    let findings = forgery.judge();
    assert_eq!(violated(&findings), Vec::<&str>::new());
    assert_eq!(findings.behind, [(ReplicaId(3), Seq(3))]);
}

#[test]
fn executions_far_ahead_of_a_lagging_replica_are_counted_and_not_compared() {
    let mut forgery = Forgery::honest();
    forgery.logs[3].truncate(1);
    // Numbers 2 and 3 wait for it, and 4 and 5 are beyond the log at three replicas.
    let findings = forgery.judge_within(Bounds { slots: 2, ..HASTY });
    assert_eq!(violated(&findings), Vec::<&str>::new(), "{:?}", findings.checks);
    assert_eq!(findings.unchecked, 2 * 3);
    assert_eq!(findings.checks["agreement"].evaluated, 3 + 2 * 2);
    // Their certificates are.
    assert_eq!(findings.checks["certificates"].evaluated, BATCHES * 3 + 1);
}

#[test]
fn what_is_no_longer_known_of_a_batch_is_counted_and_held_against_nobody() {
    let forgery = Forgery { stopping: Some(ReplicaId(3)), ..Forgery::honest() };
    // The others are through with every batch before replica 3 tells of it.
    let findings = forgery.judge_within(Bounds { runs: 0, ..HASTY });
    assert_eq!(violated(&findings), Vec::<&str>::new(), "{:?}", findings.checks);
    assert_eq!(findings.unchecked, BATCHES);
    assert_eq!(findings.checks["certificates"].evaluated, BATCHES * u64::from(N));
    // A live replica that lags takes no more: of all batches but the first the digests alone are compared.
    let mut forgery = Forgery::honest();
    forgery.logs[3].truncate(1);
    let findings = forgery.judge_within(Bounds { runs: 0, ..HASTY });
    assert_eq!(violated(&findings), Vec::<&str>::new(), "{:?}", findings.checks);
    assert_eq!(findings.unchecked, BATCHES - 1);
}

fn forge_commit(forgery: &mut Forgery, change: fn(&mut (ReplicaId, Signature))) {
    let mut certificate = forgery.at(2, 3).certificate.to_vec();
    change(&mut certificate[0]);
    forgery.at(2, 3).certificate = certificate.into();
}
