//! Single rules of the checkers, each by a trace of a few facts.

use std::sync::Arc;

use bytes::Bytes;
use quorumark_consensus::types::{ClientId, Instant, ReplicaId, Seq, Timestamp, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::{SecretKey, Signature};
use quorumark_primitives::hash::{blake3, sha256};
use quorumark_primitives::signed::{KeyDirectory, Signer};
use quorumark_sim::check::{
    Check, CheckSet, Checks, FACTS_KEPT, RealSignatures, Report, SignatureCheck,
};
use quorumark_sim::trace::*;

use crate::model::{self, Keys};

const MS: u64 = 1_000_000;

#[test]
fn pbft_5_3_a_tentative_execution_counts_once_its_batch_is_committed() {
    let tentative = |replica, seq, word| executed(replica, seq, word, true);
    let good = [
        tentative(0, 1, "a"),
        rolled_back(0, 0),
        tentative(0, 1, "b"),
        committed(0, 1, "b"),
        executed(1, 1, "b", false),
    ];
    assert_eq!(violated(Check::Prefix, &good), 0, "what was rolled back never stood");
    let bad = [tentative(0, 1, "a"), committed(0, 1, "a"), executed(1, 1, "b", false)];
    assert_eq!(violated(Check::Prefix, &bad), 1);
    let again =
        [tentative(0, 1, "a"), committed(0, 1, "a"), tentative(0, 1, "a"), committed(0, 1, "a")];
    assert_eq!(violated(Check::ExactlyOnce, &again), 1);
}

#[test]
fn osdi99_5_1_what_was_acknowledged_tentatively_has_to_be_committed_in_its_place() {
    let (client, timestamp) = (ClientId(0), Timestamp(1));
    let answered = |replicas: &[u16]| {
        let replicas = replicas.iter().copied().map(ReplicaId).collect();
        let (seq, result, how) = (Seq(1), Bytes::new(), Acknowledgement::Tentative);
        Fact::Answered(Answered { client, timestamp, seq, result, how, replicas })
    };
    let Fact::Committed(other) = committed(0, 1, "a") else { unreachable!("it was just made") };
    let ordered = Ordered { client, timestamp, digest: digest("request") };
    let same = Fact::Committed(Committed { requests: Arc::from([ordered]), ..other });
    let all = [0, 1, 2];
    assert_eq!(violated(Check::Durability, &[answered(&all), same.clone()]), 0);
    assert_eq!(violated(Check::Durability, &[answered(&all), committed(0, 1, "b")]), 1);
    assert_eq!(violated(Check::Durability, &[answered(&all[1..]), same]), 1, "no quorum of them");
}

#[test]
fn what_faulty_replicas_do_is_free() {
    // Replica 3 is faulty.
    let facts = [
        said(3, 0, VoteKind::Commit, 0, 1, "a"),
        said(3, 0, VoteKind::Commit, 0, 1, "b"),
        said(3, 0, VoteKind::ViewChange, 2, 0, "c"),
        said(3, 0, VoteKind::Prepare, 0, 2, "d"),
        committed(0, 1, "a"),
        committed(3, 1, "b"),
        executed(0, 1, "a", false),
        executed(3, 1, "b", false),
        executed(3, 1, "b", false),
        checkpointed(0, 1, "a"),
        checkpointed(3, 1, "b"),
        gauge(3, 9, 1),
    ];
    for check in [Check::Agreement, Check::NoDoubleVote, Check::Prefix, Check::ExactlyOnce] {
        assert_eq!(violated(check, &facts), 0, "{}", check.word());
    }
    assert_eq!(violated(Check::State, &facts), 0);
    assert_eq!(violated(Check::Bounds, &facts), 0);
}

#[test]
fn pbft_4_4_a_vote_of_a_view_left_may_be_said_again_and_no_new_one() {
    let vote = |incarnation, seq, word| said(1, incarnation, VoteKind::Prepare, 0, seq, word);
    let leave = said(1, 0, VoteKind::ViewChange, 1, 0, "leave");
    let again = [vote(0, 1, "a"), leave.clone(), vote(1, 1, "a")];
    assert_eq!(violated(Check::NoDoubleVote, &again), 0);
    let new = [vote(0, 1, "a"), leave.clone(), vote(1, 2, "b")];
    assert_eq!(violated(Check::NoDoubleVote, &new), 1);
    let checkpoint = said(1, 0, VoteKind::Checkpoint, 0, 16, "state");
    assert_eq!(violated(Check::NoDoubleVote, &[leave, checkpoint]), 0);
}

#[test]
fn a_contradiction_across_a_restart_says_so() {
    let facts = [said(1, 0, VoteKind::Commit, 3, 5, "a"), said(1, 1, VoteKind::Commit, 3, 5, "b")];
    let report = judge(Check::NoDoubleVote, &facts);
    let violation = report.first.unwrap();
    assert_eq!(violation.replicas, [ReplicaId(1)]);
    assert!(violation.what.contains("before a restart"), "{}", violation.what);
    assert_eq!(violation.evidence.len(), 2);
    assert_eq!((violation.line, violation.evidence[0].line), (2, 1));
}

#[test]
fn what_is_too_old_to_compare_is_skipped_and_what_has_lost_its_facts_still_compared() {
    let far = FACTS_KEPT as u64 + 10;
    let mut facts: Vec<_> = (1..=far).map(|seq| committed(0, seq, "a")).collect();
    facts.push(committed(1, 1, "b"));
    let report = judge(Check::Agreement, &facts);
    let violation = report.first.unwrap();
    assert_eq!(violation.evidence.len(), 1, "the first commit is no more kept");
    facts.push(committed(0, u64::MAX, "a"));
    facts.push(committed(1, 2, "b"));
    let report = judge(Check::Agreement, &facts);
    let found = report.of(Check::Agreement).unwrap();
    assert_eq!((found.violated, found.skipped), (1, 1));
}

#[test]
fn a_replica_that_restarts_has_the_bound_anew_and_then_no_longer() {
    let story = |reaches: bool| {
        let mut facts = vec![
            executed(0, 1, "a", false),
            executed(1, 1, "a", false),
            executed(2, 1, "a", false),
            stable(0, 1, "a"),
            wait(900 * MS),
            Fact::Crashed(Crashed { replica: ReplicaId(2), disk: DiskLoss::LoseUnsynced }),
            restarted(2, 0),
            wait(900 * MS),
        ];
        if reaches {
            facts.push(executed(2, 1, "a", false));
        }
        facts.push(wait(900 * MS));
        facts
    };
    // The bound is a second; the first one ends while replica 2 has a time of its own.
    assert_eq!(violated(Check::CatchUp, &story(true)), 0);
    assert_eq!(violated(Check::CatchUp, &story(false)), 1);
}

#[test]
fn a_replica_may_go_back_only_where_it_restarts_or_is_rolled_back() {
    let once = [executed(0, 1, "a", false), executed(0, 2, "b", false)];
    let back = [&once[..], &[restarted(0, 1), executed(0, 2, "b", false)]].concat();
    assert_eq!(violated(Check::ExactlyOnce, &back), 0);
    let repeat = [&once[..], &[executed(0, 2, "b", false)]].concat();
    assert_eq!(violated(Check::ExactlyOnce, &repeat), 1);
    let beyond = [&once[..], &[restarted(0, 1), executed(0, 3, "c", false)]].concat();
    assert_eq!(violated(Check::Prefix, &beyond), 1);
}

#[test]
fn the_quorum_is_n_minus_f_and_not_2f_plus_1_at_5_and_6() {
    for n in [4, 5, 6, 7, 10, 31, 100] {
        let (quorum, keys) = (n - (n - 1) / 3, Keys([1; 32]));
        let certified = |signers: u16| {
            let (view, seq, digest) = (View(0), Seq(1), sha256(b"a"));
            let all = (0..signers).map(ReplicaId);
            let certificate =
                all.map(|by| (by, keys.commit(by, view, seq, digest))).collect::<Arc<[_]>>();
            let Fact::Committed(it) = committed(0, 1, "a") else { unreachable!() };
            Fact::Committed(Committed { certificate, ..it })
        };
        let violated = |signers| {
            let mut header = model::run(1).header;
            header.replicas = n;
            let set = CheckSet::default().with(Check::Certificate);
            let mut checks = Checks::new(set, header, Box::new(keys));
            checks.observe(&Event { at: Instant(1), fact: certified(signers) });
            checks.finish().of(Check::Certificate).unwrap().violated
        };
        assert_eq!([violated(quorum), violated(quorum - 1)], [0, 1], "n = {n}");
    }
}

#[test]
fn real_signatures_are_those_of_the_directory_s_keys() {
    let key = SecretKey::from_seed(&[5; 32]);
    let mut check = RealSignatures::new(KeyDirectory::new(vec![key.public()], Vec::new()));
    let signature = key.sign(b"prefix and body");
    assert!(check.is_valid(Signer::Replica(0), b"prefix and body", &signature));
    assert!(!check.is_valid(Signer::Replica(0), b"another body", &signature));
    assert!(!check.is_valid(Signer::Replica(1), b"prefix and body", &signature));
}

/// How often a check is violated by these facts, told one after the other.
fn violated(check: Check, facts: &[Fact]) -> u64 {
    judge(check, facts).of(check).unwrap().violated
}

fn judge(check: Check, facts: &[Fact]) -> Report {
    let mut header = model::run(1).header;
    (header.replicas, header.faulty) = (4, vec![ReplicaId(3)]);
    header.gst = Instant(0);
    let mut checks = Checks::new(CheckSet::default().with(check), header, Box::new(Keys([0; 32])));
    let mut now = 0;
    for fact in facts {
        now += match fact {
            Fact::Fault(_) => 900 * MS,
            _ => 1,
        };
        checks.observe(&Event { at: Instant(now), fact: fact.clone() });
    }
    checks.finish()
}

/// Nothing happens for nine tenths of a second: a fault that no check looks at.
fn wait(span: u64) -> Fact {
    assert_eq!(span, 900 * MS);
    Fact::Fault(Fault { kind: "none".into(), replica: None })
}

fn digest(word: &str) -> Digest {
    sha256(word.as_bytes())
}

fn said(replica: u16, incarnation: u32, kind: VoteKind, view: u64, seq: u64, word: &str) -> Fact {
    let (replica, view, seq, digest) = (ReplicaId(replica), View(view), Seq(seq), digest(word));
    let signature = Signature([0; 64]);
    Fact::Said(Said { replica, incarnation, kind, view, seq, digest, signature })
}

fn committed(replica: u16, seq: u64, word: &str) -> Fact {
    let (replica, incarnation, seq, view) = (ReplicaId(replica), 0, Seq(seq), View(0));
    let (digest, requests, certificate) = (digest(word), Arc::from([]), Arc::from([]));
    Fact::Committed(Committed { replica, incarnation, seq, view, digest, requests, certificate })
}

fn executed(replica: u16, seq: u64, word: &str, tentative: bool) -> Fact {
    Fact::Executed(Arc::new(Executed {
        replica: ReplicaId(replica),
        incarnation: 0,
        seq: Seq(seq),
        view: View(0),
        digest: digest(word),
        requests: Arc::from([]),
        fresh: Vec::new(),
        results: blake3(b""),
        tentative,
    }))
}

fn rolled_back(replica: u16, to: u64) -> Fact {
    Fact::RolledBack(RolledBack { replica: ReplicaId(replica), to: Seq(to) })
}

fn restarted(replica: u16, executed: u64) -> Fact {
    let (replica, executed) = (ReplicaId(replica), Seq(executed));
    Fact::Restarted(Restarted { replica, incarnation: 1, executed, records: 0 })
}

fn checkpointed(replica: u16, seq: u64, word: &str) -> Fact {
    let (replica, seq, root) = (ReplicaId(replica), Seq(seq), digest(word));
    Fact::Checkpointed(Checkpointed { replica, seq, root, state: root })
}

fn stable(replica: u16, seq: u64, word: &str) -> Fact {
    let (replica, seq, state) = (ReplicaId(replica), Seq(seq), digest(word));
    Fact::Stable(StableReached { replica, seq, state, certificate: Arc::from([]) })
}

fn gauge(replica: u16, value: u64, cap: u64) -> Fact {
    Fact::Gauge(Gauge { replica: ReplicaId(replica), bound: "log".into(), value, cap })
}
