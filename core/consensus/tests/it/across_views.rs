//! PBFT 4.4: what of one view counts in the next, and what does not.

use std::sync::Arc;
use std::time::Duration;

use quorumark_consensus::pbft::{
    CheckpointCertificate, CommitCertificate, FetchStatement, Message, Record, ViewPhase,
};
use quorumark_consensus::{
    Batch, ClientProof, Engine, Input, Output, Recipients, ReplicaId, Seq, SignedRequest, View,
};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::{ClientAuth, Refusal, Signed};

use crate::agreement::{commit, commit_at, executes, pre_prepare, prepare, says};
use crate::checkpoints::{checkpoint, executions, said_state};
use crate::lab::{One, judge, run_batch};
use crate::views::{
    batch, commit_in, committed, expire, new_view, pre_prepare_in, prepare_in, prepared,
    quorum_with, view_change,
};

use crate::view_change::{T, hear_view_change, one, prepare_at};

#[test]
fn pbft_4_4_a_replica_that_has_left_a_view_takes_part_in_it_no_more_but_in_checkpoints() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let (mut state, mut said) = (Digest::ZERO, None);
        for seq in 1..=2 {
            for execution in executions(commit_at(&mut one, seq, seq)) {
                let outputs = one.input(Input::Executed(run_batch(&mut state, &execution)));
                said = said.or(said_state(&outputs));
                one.settle(outputs);
            }
        }
        let (proposal, digest) = pre_prepare(&mut one, 3, 3);
        let left = one.hear(proposal);
        expire(&mut one);
        // Its own prepare, sealed after it left, counts no more; nor do others'.
        one.settle(left);
        for replica in 1..n {
            assert!(one.hear(prepare(3, digest, replica)).is_empty(), "n = {n}");
        }
        for replica in 0..n {
            assert!(one.hear(commit(3, digest, replica)).is_empty(), "n = {n}");
        }
        let said = said.expect("a checkpoint is due");
        (0..n).filter(|id| *id != 2).for_each(|id| drop(one.hear(checkpoint(2, said, id))));
        assert_eq!(one.engine.stable(), Seq(2), "n = {n}");
    }
}

#[test]
fn pbft_4_4_what_arrives_early_for_a_view_counts_once_it_is_entered() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let (body, digest) = batch(&mut one, 1);
        let signed = pre_prepare_in(&mut one, 3, 1, digest);
        assert!(one.hear(Message::PrePrepare(Box::new(signed), body)).is_empty());
        for replica in (0..n).filter(|id| *id != 3 && *id != 2) {
            assert!(one.hear(prepare_in(3, 1, digest, replica)).is_empty());
        }
        (0..n).for_each(|replica| drop(one.hear(commit_in(3, 1, digest, replica))));
        let v = quorum_with(&mut one, 3, &[]);
        let opens = new_view(&mut one, 3, v);
        let outputs = one.receive(&opens);
        let outputs = one.settle(outputs);
        assert_eq!(says(&outputs, "prepare"), 1, "n = {n}");
        assert_eq!((says(&outputs, "commit"), executes(&outputs)), (1, vec![1]), "n = {n}");
    }
}

#[test]
fn early_messages_are_bounded_by_sender_and_a_later_view_takes_the_place() {
    let mut one = one(4, 2);
    let digest = Digest([1; 32]);
    let room = 3 * 8;
    for seq in 1..=room + 5 {
        one.hear(prepare_in(3, seq, digest, 1));
    }
    let counters = one.engine.counters();
    assert_eq!((counters.messages_of_later_views, counters.messages_out_of_reach), (room, 5));
    one.hear(prepare_in(2, 1, digest, 1));
    assert_eq!(one.engine.counters().messages_of_later_views, room, "an earlier view is dropped");
    one.hear(prepare_in(4, 1, digest, 1));
    one.hear(prepare_in(4, 2, digest, 0));
    assert_eq!(one.engine.counters().messages_of_later_views, room + 2);
}

#[test]
fn votes_of_a_view_that_was_left_do_not_count_in_the_next() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let (proposal, digest) = pre_prepare(&mut one, 1, 1);
        let outputs = one.hear(proposal);
        one.settle(outputs);
        let enough = one.committee.quorum() - 1;
        // One prepare short of prepared, the own one among them.
        let heard: Vec<_> = (1..n).filter(|id| *id != 2).take(enough - 2).collect();
        heard.iter().for_each(|id| drop(one.hear(prepare(1, digest, *id))));
        let certificate = prepared(&mut one, 0, 1, digest);
        let start = CheckpointCertificate::start();
        let given = view_change(&mut one, 3, 0, start, vec![certificate]);
        let v = quorum_with(&mut one, 3, &[given]);
        let opens = new_view(&mut one, 3, v);
        let outputs = one.receive(&opens);
        one.settle(outputs);
        let fresh: Vec<_> = (0..n).filter(|id| *id != 3 && *id != 2).collect();
        let mut said = 0;
        for (nth, id) in fresh[..enough - 1].iter().enumerate() {
            said += says(&one.hear(prepare_in(3, 1, digest, *id)), "commit");
            assert_eq!(said, usize::from(nth + 2 == enough), "n = {n}: {nth}");
        }
    }
}

#[test]
fn votes_of_an_earlier_view_never_count_in_a_later_one() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let (body, digest) = batch(&mut one, 1);
        let v = quorum_with(&mut one, 3, &[]);
        let opens = new_view(&mut one, 3, v);
        one.receive(&opens);
        let signed = pre_prepare_in(&mut one, 3, 1, digest);
        let outputs = one.hear(Message::PrePrepare(Box::new(signed), body));
        one.settle(outputs);
        for replica in (0..n).filter(|id| *id != 3) {
            assert!(one.hear(prepare(1, digest, replica)).is_empty(), "n = {n}");
        }
    }
}

#[test]
fn a_request_whose_proposal_came_to_nothing_waits_again() {
    for sealed_late in [false, true] {
        let mut one = one(4, 0);
        let proposed = one.ask(0, 1);
        assert_eq!(says(&proposed, "pre-prepare"), 1);
        (1..3).for_each(|id| drop(hear_view_change(&mut one, 1, id)));
        assert_eq!((one.engine.view(), one.engine.waiting()), (View(1), 0));
        if sealed_late {
            one.settle(proposed);
        } else {
            one.ask(0, 1);
        }
        assert_eq!(one.engine.waiting(), 1, "sealed late: {sealed_late}");
    }
}

#[test]
fn what_is_executed_is_agreed_again_in_a_new_view_and_not_executed_again() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let outputs = commit_at(&mut one, 1, 1);
        let [execution] = &executions(outputs)[..] else { panic!("1 is executed") };
        let digest = execution.batch.digest();
        one.input(Input::Executed(run_batch(&mut Digest::ZERO.clone(), execution)));
        let certificate = prepared(&mut one, 0, 1, digest);
        let start = CheckpointCertificate::start();
        let given = view_change(&mut one, 3, 0, start, vec![certificate]);
        let v = quorum_with(&mut one, 3, &[given]);
        let opens = new_view(&mut one, 3, v);
        let outputs = one.receive(&opens);
        let mut outputs = one.settle(outputs);
        for replica in (0..n).filter(|id| *id != 3) {
            let more = one.hear(prepare_in(3, 1, digest, replica));
            outputs.extend(one.settle(more));
        }
        for replica in 0..n {
            outputs.extend(one.hear(commit_in(3, 1, digest, replica)));
        }
        assert_eq!((says(&outputs, "prepare"), says(&outputs, "commit")), (1, 1), "n = {n}");
        assert!(executes(&outputs).is_empty(), "n = {n}: once");
    }
}

#[test]
fn a_replica_vouches_for_nothing_else_where_it_knows_what_was_committed() {
    // More than f are faulty here: an honest committee never gets so far.
    let mut one = one(4, 2);
    commit_at(&mut one, 1, 1);
    let (other, digest) = batch(&mut one, 66);
    let certificate = prepared(&mut one, 2, 1, digest);
    let start = CheckpointCertificate::start();
    let given = view_change(&mut one, 3, 0, start, vec![certificate]);
    let v = quorum_with(&mut one, 3, &[given]);
    let opens = new_view(&mut one, 3, v);
    one.receive(&opens);
    assert_eq!(says(&one.receive(&Message::Body(other)), "prepare"), 0);
}

#[test]
fn pbft_4_4_the_primary_of_a_new_view_orders_nothing_else_up_to_max_s() {
    let mut one = one(4, 2);
    let start = CheckpointCertificate::start();
    let certificate = prepared(&mut one, 0, 3, Digest([3; 32]));
    let given = view_change(&mut one, 3, 0, start, vec![certificate]);
    let v = quorum_with(&mut one, 3, &[given]);
    let opens = new_view(&mut one, 3, v);
    one.receive(&opens);
    let (body, digest) = batch(&mut one, 1);
    let signed = pre_prepare_in(&mut one, 3, 2, digest);
    let outputs = one.hear(Message::PrePrepare(Box::new(signed), Arc::clone(&body)));
    assert_eq!(says(&outputs, "prepare"), 0, "2 is a null");
    let signed = pre_prepare_in(&mut one, 3, 4, digest);
    assert_eq!(
        says(&one.hear(Message::PrePrepare(Box::new(signed), body)), "prepare"),
        1,
        "4 is free"
    );
}

#[test]
fn a_null_request_is_for_a_new_view_alone() {
    let mut one = one(4, 2);
    let null = Arc::new(Batch::null());
    let signed = pre_prepare_in(&mut one, 0, 1, null.digest());
    assert!(one.hear(Message::PrePrepare(Box::new(signed), null)).is_empty());
    assert_eq!(one.engine.counters().messages_improper, 1);
}

#[test]
fn records_are_written_before_the_words_that_they_allow() {
    let mut one = One::new(4, 1, |config| {
        config.view_timeout = T;
        config.journal = true;
    });
    let (proposal, digest) = pre_prepare(&mut one, 1, 1);
    let mut outputs = one.hear(proposal);
    outputs = one.settle(outputs);
    for replica in 2..4 {
        let more = one.hear(prepare(1, digest, replica));
        outputs.extend(one.settle(more));
    }
    outputs.extend(expire(&mut one));
    (2..4).for_each(|id| outputs.extend(hear_view_change(&mut one, 1, id)));
    let said = std::mem::take(&mut outputs);
    let said = one.settle(said);
    let (mut position, mut records) = (0, Vec::new());
    for output in &said {
        match output {
            Output::Persist { position: at, record } => {
                position += 1;
                assert_eq!(at.0, position);
                records.push(match record {
                    Record::Accepted(signed, _) => format!("accepted {}", signed.body.view),
                    Record::Prepared(proof) => format!("prepared {}", proof.view()),
                    Record::View { view, active } => format!("{view} {active}"),
                    Record::ViewChange(change) => format!("view-change {}", change.body().view),
                    Record::NewView(opened) => format!("new-view {}", opened.body().view),
                    Record::Abstains(abstains) => format!("abstains {abstains}"),
                    Record::Stable(stable) => format!("stable {}", stable.certificate.seq),
                });
            }
            Output::Say { message, after, .. } => {
                let needs = match message.kind() {
                    "prepare" => "accepted v0",
                    "commit" => "prepared v0",
                    "view-change" => "view-change v1",
                    "new-view" => "new-view v1",
                    other => panic!("{other} is said"),
                };
                let at = records.iter().position(|record| record == needs);
                assert!(at.is_some_and(|at| (at as u64) < after.0), "{needs}: {records:?}");
            }
            _ => {}
        }
    }
    let all = [
        "accepted v0",
        "prepared v0",
        "v1 false",
        "view-change v1",
        "new-view v1",
        "v1 true",
        "accepted v1",
    ];
    assert_eq!(records, all);
}

#[test]
fn pbft_4_4_bodies_of_views_that_were_left_are_there_to_be_fetched() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let (proposal, digest) = pre_prepare(&mut one, 1, 1);
        let outputs = one.hear(proposal);
        one.settle(outputs);
        // The next view orders a null there, for all that V says.
        let certificate = prepared(&mut one, 0, 2, Digest([2; 32]));
        let start = CheckpointCertificate::start();
        let given = view_change(&mut one, 3, 0, start, vec![certificate]);
        let v = quorum_with(&mut one, 3, &[given]);
        let opens = new_view(&mut one, 3, v);
        one.receive(&opens);
        let fetch = |round, replica| {
            let digests = vec![Digest([9; 32]), digest, digest];
            let replica = ReplicaId(replica);
            Message::Fetch(Signed::blank(FetchStatement { round, digests, replica }))
        };
        let outputs = one.hear(fetch(1, 3));
        let [Output::Relay { to: Recipients::One(ReplicaId(3)), message, .. }] = &outputs[..]
        else {
            panic!("n = {n}: {outputs:?}")
        };
        assert!(matches!(message, Message::Body(batch) if batch.digest() == digest));
        assert!(one.hear(fetch(2, 3)).is_empty(), "too soon");
        assert_eq!(one.hear(fetch(1, 1)).len(), 1, "another peer's");
    }
}

#[test]
fn a_commit_certificate_of_too_few_or_of_one_twice_commits_nothing() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let (body, _) = batch(&mut one, 1);
        let Message::Committed(good, body) = committed(&mut one, 1, &body) else { unreachable!() };
        let mut few = CommitCertificate::clone(&good);
        few.commits.pop();
        let mut twice = CommitCertificate::clone(&good);
        twice.commits[1] = twice.commits[0];
        for bad in [few, twice] {
            let message = Message::Committed(Arc::new(bad), Arc::clone(&body));
            assert!(one.receive(&message).is_empty(), "n = {n}");
        }
        let mut far = CommitCertificate::clone(&good);
        far.seq = Seq(2);
        let mut verifier = one.keys.verifier(ClientAuth::Signature);
        let forged = Message::Committed(Arc::new(far), Arc::clone(&body));
        assert_eq!(judge(&mut verifier, &forged).err(), Some(Refusal::Signature));
        let good = Message::Committed(good, body);
        assert_eq!(executes(&one.receive(&good)), [1]);
        assert!(one.receive(&good).is_empty(), "once");
    }
}

#[test]
fn under_macs_a_certificate_vouches_for_a_body_whose_own_entry_is_bad() {
    let mut one = one(4, 2);
    let good = one.keys.mac_request(1, 4);
    let ClientProof::Mac(mut entries) = good.proof() else { unreachable!() };
    entries.tag_mut(2).expect("an entry for every replica").0[0] ^= 1;
    let spoilt = SignedRequest::new(good.request(), ClientProof::Mac(entries));
    let body = Arc::new(Batch::new(vec![spoilt]));
    let certificate = prepared(&mut one, 0, 1, body.digest());
    let start = CheckpointCertificate::start();
    let given = view_change(&mut one, 3, 0, start, vec![certificate]);
    let v = quorum_with(&mut one, 3, &[given]);
    let opens = new_view(&mut one, 3, v);
    one.receive(&opens);
    let mut verifier = one.keys.verifier(one.keys.macs(2));
    let verified = judge(&mut verifier, &Message::Body(body)).expect("it is kept, marked");
    assert_eq!(says(&one.input(Input::Message(verified)), "prepare"), 1);
}

#[test]
fn a_status_says_whose_view_changes_it_has_and_peers_send_the_rest() {
    let mut one = one(4, 2);
    prepare_at(&mut one, 1);
    let outputs = expire(&mut one);
    one.settle(outputs);
    one.now = one.engine.next_timeout().expect("a status is due");
    let outputs = one.input(Input::Timeout);
    let [Output::Say { message: Message::Status(said), .. }] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(said.body.phase, ViewPhase::Changing);
    assert_eq!(said.body.view_changes, [ReplicaId(2)]);
    // A peer that lacks this replica's view-change gets it, and one that has it does not.
    for (round, had, sent) in [(1, vec![ReplicaId(3)], 1), (2, vec![ReplicaId(2)], 0)] {
        one.now = one.now + Duration::from_secs(60);
        let mut body = said.body.clone();
        (body.round, body.replica, body.view_changes) = (round, ReplicaId(3), had);
        let outputs = one.hear(Message::Status(Box::new(Signed::blank(body))));
        let relayed = outputs.iter().filter(|output| {
            matches!(output, Output::Relay { message: Message::ViewChange(_), .. })
        });
        assert_eq!(relayed.count(), sent);
    }
}
