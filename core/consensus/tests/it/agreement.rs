//! PBFT 4.2: the three phases, at every committee size from 4 to 10.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quorumark_consensus::pbft::{Commit, Message, PrePrepare, Prepare};
use quorumark_consensus::{Batch, Engine, Execution, Input, Instant, Output, ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::{ClientAuth, Signed};

use crate::lab::{One, receive};

pub(crate) fn pre_prepare(one: &mut One, seq: u64, timestamp: u64) -> (Message, Digest) {
    let request = one.keys.request(0, timestamp, b"op");
    let batch = Arc::new(Batch::new(vec![request]));
    let digest = batch.digest();
    let body = PrePrepare { view: View(0), seq: Seq(seq), digest, replica: ReplicaId(0) };
    (Message::PrePrepare(Box::new(Signed::blank(body)), batch), digest)
}

pub(crate) fn prepare(seq: u64, digest: Digest, replica: usize) -> Message {
    let replica = ReplicaId(replica as u16);
    Message::Prepare(Signed::blank(Prepare { view: View(0), seq: Seq(seq), digest, replica }))
}

pub(crate) fn commit(seq: u64, digest: Digest, replica: usize) -> Message {
    let replica = ReplicaId(replica as u16);
    Message::Commit(Signed::blank(Commit { view: View(0), seq: Seq(seq), digest, replica }))
}

pub(crate) fn says(outputs: &[Output<Message>], kind: &str) -> usize {
    let said = |output: &&Output<Message>| matches!(output, Output::Say { message, .. } if message.kind() == kind);
    outputs.iter().filter(said).count()
}

pub(crate) fn executes(outputs: &[Output<Message>]) -> Vec<u64> {
    let seq = |output: &Output<Message>| match output {
        Output::Execute(execution) => Some(execution.seq.0),
        _ => None,
    };
    outputs.iter().filter_map(seq).collect()
}

/// Takes a backup to committed at `seq` with every vote that it needs.
pub(crate) fn commit_at(one: &mut One, seq: u64, timestamp: u64) -> Vec<Output<Message>> {
    let (proposal, digest) = pre_prepare(one, seq, timestamp);
    let mut all = one.hear(proposal);
    all = one.settle(all);
    for replica in 1..one.committee.n() {
        let outputs = one.hear(prepare(seq, digest, replica));
        all.extend(one.settle(outputs));
    }
    for replica in 0..one.committee.n() {
        let outputs = one.hear(commit(seq, digest, replica));
        all.extend(one.settle(outputs));
    }
    all
}

#[test]
fn pbft_4_2_prepared_needs_quorum_minus_one_prepares_from_distinct_backups() {
    for n in 4..=10 {
        let mut one = One::new(n, 1, |_| {});
        let needed = one.committee.quorum() - 1;
        let (proposal, digest) = pre_prepare(&mut one, 1, 1);
        let outputs = one.hear(proposal);
        assert_eq!(says(&outputs, "prepare"), 1, "n = {n}: a backup prepares");
        let mut prepares = 0;
        // Its own comes back first; then the others', each twice; the primary's never counts.
        assert_eq!(says(&one.hear(prepare(1, digest, 0)), "commit"), 0, "n = {n}: the primary's");
        for replica in 1..n {
            prepares += 1;
            let said = says(&one.hear(prepare(1, digest, replica)), "commit");
            assert_eq!(said, usize::from(prepares == needed), "n = {n}: {prepares} prepares");
            assert_eq!(says(&one.hear(prepare(1, digest, replica)), "commit"), 0, "a repeat");
        }
        assert!(prepares >= needed);
    }
}

#[test]
fn pbft_4_2_committed_local_needs_prepared_and_a_quorum_of_matching_commits() {
    for n in 4..=10 {
        let mut one = One::new(n, 1, |_| {});
        let quorum = one.committee.quorum();
        let (proposal, digest) = pre_prepare(&mut one, 1, 1);
        one.hear(proposal);
        (1..n).for_each(|replica| drop(one.hear(prepare(1, digest, replica))));
        for replica in 0..n {
            if replica == 0 {
                one.hear(commit(1, Digest([9; 32]), 0));
            }
            let executed = executes(&one.hear(commit(1, digest, replica)));
            // Replica 0 voted for another digest first, so its later commit does not count.
            let counted = replica;
            assert_eq!(executed.len(), usize::from(counted == quorum), "n = {n}: {counted}");
            assert!(executes(&one.hear(commit(1, digest, replica))).is_empty(), "a repeat");
        }
    }
}

#[test]
fn pbft_4_2_a_quorum_of_commits_without_prepared_executes_nothing() {
    for n in 4..=10 {
        let mut one = One::new(n, 1, |_| {});
        let (proposal, digest) = pre_prepare(&mut one, 1, 1);
        one.hear(proposal);
        for replica in 0..n {
            assert!(executes(&one.hear(commit(1, digest, replica))).is_empty());
        }
        for replica in 1..one.committee.quorum() - 1 {
            assert!(executes(&one.hear(prepare(1, digest, replica))).is_empty());
        }
        let last = one.committee.quorum() - 1;
        assert_eq!(executes(&one.hear(prepare(1, digest, last))), [1], "n = {n}");
    }
}

/// Anyone with the committee's keys can check the execution: a quorum of distinct members signed
/// commits for exactly this view, sequence number and batch.
fn check_certificate(one: &One, execution: &Execution) {
    let (view, seq) = (execution.view, execution.seq);
    let digest = execution.batch.digest();
    let mut verifier = one.keys.verifier(ClientAuth::Signature);
    let mut signers = BTreeSet::new();
    for (replica, signature) in execution.certificate.iter() {
        assert!(one.committee.contains(*replica) && signers.insert(*replica), "{replica} twice");
        let body = Commit { view, seq, digest, replica: *replica };
        let commit = Message::Commit(Signed { body, signature: *signature });
        assert!(receive(&mut verifier, &commit).is_some(), "{replica} did not sign {body:?}");
    }
    assert_eq!(signers.len(), one.committee.quorum());
}

fn execution(outputs: Vec<Output<Message>>) -> Execution {
    let executed = outputs.into_iter().find_map(|output| match output {
        Output::Execute(execution) => Some(execution),
        _ => None,
    });
    executed.expect("a batch was executed")
}

#[test]
fn the_certificate_of_an_execution_verifies_as_a_quorum_of_commits_for_it() {
    for n in 4..=10 {
        let mut one = One::new(n, 1, |_| {});
        // Replica 0 commits to something else first: its signature does not belong in there.
        one.hear(commit(1, Digest([9; 32]), 0));
        let execution = execution(commit_at(&mut one, 1, 1));
        assert_eq!((execution.view, execution.seq), (View(0), Seq(1)));
        check_certificate(&one, &execution);
        assert!(execution.certificate.iter().all(|(replica, _)| *replica != ReplicaId(0)));
    }
}

#[test]
fn a_certificate_holds_no_more_than_a_quorum_when_every_replica_committed_early() {
    for n in 4..=10 {
        let mut one = One::new(n, 1, |_| {});
        let (proposal, digest) = pre_prepare(&mut one, 1, 1);
        (0..n).for_each(|replica| drop(one.hear(commit(1, digest, replica))));
        (1..n).for_each(|replica| drop(one.hear(prepare(1, digest, replica))));
        let execution = execution(one.hear(proposal));
        assert_eq!(execution.certificate.len(), one.committee.quorum());
        check_certificate(&one, &execution);
    }
}

#[test]
fn pbft_4_2_a_pre_prepare_must_come_from_the_primary_of_this_view_and_name_its_batch() {
    let mut one = One::new(4, 1, |config| config.window = 8.max(config.checkpoint_interval * 2));
    let (proposal, digest) = pre_prepare(&mut one, 1, 1);
    let Message::PrePrepare(signed, batch) = proposal else { unreachable!() };
    let spoil = |change: fn(&mut PrePrepare)| {
        let mut body = signed.body;
        change(&mut body);
        Message::PrePrepare(Box::new(Signed::blank(body)), Arc::clone(&batch))
    };
    assert!(one.hear(spoil(|body| body.replica = ReplicaId(2))).is_empty(), "not the primary");
    assert!(one.hear(spoil(|body| body.view = View(4))).is_empty(), "another view");
    assert!(one.hear(spoil(|body| body.digest = Digest([7; 32]))).is_empty(), "another digest");
    assert!(one.hear(spoil(|body| body.seq = Seq(0))).is_empty(), "at the low watermark");
    let high = one.engine.stable().0 + 64 * 2;
    for seq in [high + 1, 2 * high, 2 * high + 1, u64::MAX] {
        let mut body = signed.body;
        body.seq = Seq(seq);
        let message = Message::PrePrepare(Box::new(Signed::blank(body)), Arc::clone(&batch));
        assert!(one.hear(message).is_empty(), "above the high watermark");
    }
    let outputs = one.hear(spoil(|_| {}));
    assert_eq!(says(&outputs, "prepare"), 1, "the good one is accepted: {digest}");
}

#[test]
fn an_empty_or_overfull_batch_is_never_prepared() {
    let mut one = One::new(4, 1, |config| config.batch_size_max = 2);
    for size in [0, 3] {
        let requests = (1..=size).map(|timestamp| one.keys.request(0, timestamp, b"op")).collect();
        let batch = Arc::new(Batch::new(requests));
        let digest = batch.digest();
        let body = PrePrepare { view: View(0), seq: Seq(1), digest, replica: ReplicaId(0) };
        assert!(one.hear(Message::PrePrepare(Box::new(Signed::blank(body)), batch)).is_empty());
    }
    assert_eq!(one.engine.counters().messages_improper, 2);
}

#[test]
fn pbft_4_2_a_second_pre_prepare_for_a_sequence_number_is_evidence_and_never_replaces_the_first() {
    let mut one = One::new(4, 1, |_| {});
    let (first, _) = pre_prepare(&mut one, 1, 1);
    let (second, other) = pre_prepare(&mut one, 1, 2);
    assert_eq!(says(&one.hear(first.clone()), "prepare"), 1);
    let outputs = one.hear(second);
    assert!(matches!(&outputs[..], [Output::Evidence(e)] if e.replica == ReplicaId(0)));
    assert!(one.hear(first).is_empty(), "a repeat is no equivocation");
    for replica in 1..4 {
        assert_eq!(says(&one.hear(prepare(1, other, replica)), "commit"), 0);
    }
}

#[test]
fn conflicting_votes_of_one_replica_are_evidence_and_the_first_stands() {
    let mut one = One::new(4, 1, |_| {});
    let (proposal, digest) = pre_prepare(&mut one, 1, 1);
    one.hear(proposal);
    for vote in [prepare, commit] {
        one.hear(vote(1, Digest([5; 32]), 3));
        let outputs = one.hear(vote(1, digest, 3));
        assert!(matches!(&outputs[..], [Output::Evidence(e)] if e.replica == ReplicaId(3)));
    }
    assert_eq!(one.engine.counters().evidence_found, 2);
}

#[test]
fn votes_that_arrive_before_their_proposal_count_when_it_comes() {
    let mut one = One::new(4, 1, |_| {});
    let (proposal, digest) = pre_prepare(&mut one, 1, 1);
    for replica in 1..4 {
        assert!(one.hear(prepare(1, digest, replica)).is_empty());
    }
    for replica in [0, 2, 3] {
        assert!(one.hear(commit(1, digest, replica)).is_empty());
    }
    let outputs = one.hear(proposal);
    assert_eq!((says(&outputs, "prepare"), says(&outputs, "commit")), (1, 1));
    assert_eq!(executes(&outputs), [1]);
}

#[test]
fn pbft_4_2_batches_commit_in_any_order_and_execute_in_sequence_without_gaps() {
    let mut one = One::new(4, 1, |_| {});
    assert!(executes(&commit_at(&mut one, 3, 3)).is_empty());
    assert!(executes(&commit_at(&mut one, 2, 2)).is_empty());
    assert_eq!(executes(&commit_at(&mut one, 1, 1)), [1, 2, 3]);
}

#[test]
fn a_batch_is_proposed_when_it_is_full_or_its_oldest_request_has_lingered() {
    let linger = Duration::from_micros(700);
    let mut one = One::new(4, 0, |config| {
        config.batch_size_max = 3;
        config.batch_linger = linger;
    });
    assert!(one.ask(0, 1).is_empty());
    assert!(one.ask(0, 2).is_empty());
    assert_eq!(one.engine.next_timeout(), Some(Instant(1) + linger));
    assert_eq!(says(&one.ask(0, 3), "pre-prepare"), 1, "full");
    assert!(one.ask(1, 1).is_empty());
    one.now = Instant(linger.as_nanos() as u64);
    assert!(one.input(Input::Timeout).is_empty(), "too early");
    one.now = Instant(1) + linger;
    assert_eq!(says(&one.input(Input::Timeout), "pre-prepare"), 1, "lingered");
}

/// "Let e be the sequence number of the last batch executed, p that of the last pre-prepare": a new
/// instance starts while p < e + W, and requests queue otherwise.
#[test]
fn tocs02_5_1_4_while_w_batches_are_under_way_requests_queue_and_become_one_batch() {
    let mut one = One::new(4, 0, |config| {
        config.batch_size_max = 3;
        config.batch_linger = Duration::ZERO;
        config.parallel_batches = 1;
    });
    let ask = |one: &mut One, timestamp| {
        let outputs = one.ask(0, timestamp);
        says(&one.settle(outputs), "pre-prepare")
    };
    assert_eq!(ask(&mut one, 1), 1, "none is under way");
    assert_eq!(ask(&mut one, 2) + ask(&mut one, 3), 0, "one is under way");
    assert!(one.engine.next_timeout() > Some(one.now), "a driver would spin");
    assert_eq!(ask(&mut one, 4), 1, "a full batch waits for none");
    assert_eq!(ask(&mut one, 5), 0);
    assert!(executes(&agree(&mut one, 2, &[2, 3, 4])).is_empty(), "the first is not committed");
    let outputs = agree(&mut one, 1, &[1]);
    assert_eq!(executes(&outputs), [1, 2]);
    assert_eq!(says(&outputs, "pre-prepare"), 1, "both are handed out: what waits is proposed");
}

/// Two backups prepare and commit what the primary proposed of client 0's requests.
fn agree(one: &mut One, seq: u64, timestamps: &[u64]) -> Vec<Output<Message>> {
    let requests = timestamps.iter().map(|nth| one.keys.request(0, *nth, b"op")).collect();
    let digest = Batch::new(requests).digest();
    let mut all = Vec::new();
    for vote in [prepare, commit] {
        for replica in [1, 2] {
            let outputs = one.hear(vote(seq, digest, replica));
            all.extend(one.settle(outputs));
        }
    }
    all
}

#[test]
fn pbft_4_2_the_primary_pipelines_up_to_the_high_watermark_and_no_further() {
    let mut one = One::new(4, 0, |config| {
        config.batch_size_max = 1;
        config.window = 8;
        config.checkpoint_interval = 4;
    });
    let proposed: usize =
        (1..=20).map(|timestamp| says(&one.ask(0, timestamp), "pre-prepare")).sum();
    assert_eq!(proposed, 8);
    assert_eq!(one.engine.waiting(), 12);
    assert!(one.ask(1, 1).is_empty(), "the window is full");
}

#[test]
fn at_a_full_window_the_next_timeout_is_not_the_linger_deadline_that_has_passed() {
    let mut one = One::new(4, 0, |config| {
        config.batch_size_max = 1;
        config.window = 4;
        config.checkpoint_interval = 2;
    });
    (1..=5).for_each(|timestamp| drop(one.ask(0, timestamp)));
    assert_eq!(one.engine.waiting(), 1, "the fifth waits for the watermark");
    one.now = one.now + Duration::from_millis(2);
    assert!(one.input(Input::Timeout).is_empty());
    let next = one.engine.next_timeout().expect("the status timeout is always set");
    assert!(next > one.now, "a driver would spin: {next:?} is not after {:?}", one.now);
}
