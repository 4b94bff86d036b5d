//! PBFT 4.3: checkpoints, the low watermark, and what arrives early.

use quorumark_consensus::client_table::{ClientTable, Limits};
use quorumark_consensus::pbft::{Checkpoint, Message};
use quorumark_consensus::{
    Engine, Execution, Input, Output, ReplicaId, Seq, StateAnswer, StateWork,
};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::Signed;

use crate::agreement::{commit_at, pre_prepare, prepare};
use crate::lab::{One, run_batch};

pub(crate) fn checkpoint(seq: u64, state: Digest, replica: usize) -> Message {
    let replica = ReplicaId(replica as u16);
    Message::Checkpoint(Signed::blank(Checkpoint { seq: Seq(seq), state, replica }))
}

pub(crate) fn executions(outputs: Vec<Output<Message>>) -> Vec<Execution> {
    let execution = |output| match output {
        Output::Execute(execution) => Some(execution),
        _ => None,
    };
    outputs.into_iter().filter_map(execution).collect()
}

pub(crate) fn said_state(outputs: &[Output<Message>]) -> Option<Digest> {
    outputs.iter().find_map(|output| match output {
        Output::Say { message: Message::Checkpoint(signed), .. } => Some(signed.body.state),
        _ => None,
    })
}

/// A backup of n replicas with K = 2, L = 4 that committed and executed 1 and 2; the state that it
/// said after 2.
fn at_checkpoint(n: usize) -> (One, Digest) {
    let mut one = One::new(n, 1, |config| {
        config.window = 4;
        config.checkpoint_interval = 2;
    });
    let mut state = Digest::ZERO;
    let mut said = None;
    for seq in 1..=2 {
        let outputs = commit_at(&mut one, seq, seq);
        for execution in executions(outputs) {
            let executed = run_batch(&mut state, &execution);
            let outputs = one.input(Input::Executed(executed));
            said = said_state(&outputs);
            one.settle(outputs);
        }
    }
    let said = said.expect("a checkpoint is due after K sequence numbers");
    (one, said)
}

#[test]
fn pbft_4_3_a_checkpoint_is_stable_at_a_quorum_of_equal_digests_and_only_then_the_log_is_cut() {
    for n in 4..=10 {
        let (mut one, state) = at_checkpoint(n);
        let quorum = one.committee.quorum();
        // Its own counts. Unequal ones do not, a repeat does not.
        one.hear(checkpoint(2, Digest([3; 32]), n - 1));
        let mut equal = 1;
        for replica in (0..n - 1).filter(|replica| *replica != 1) {
            assert_eq!(one.engine.stable(), Seq(if equal >= quorum { 2 } else { 0 }));
            one.hear(checkpoint(2, state, replica));
            one.hear(checkpoint(2, state, replica));
            equal += 1;
            assert_eq!(one.engine.stable(), Seq(if equal >= quorum { 2 } else { 0 }), "n = {n}");
        }
        assert_eq!(one.engine.counters().checkpoints_stable, 1);
        let before = one.engine.counters().messages_out_of_reach;
        let (old, _) = pre_prepare(&mut one, 2, 2);
        assert!(one.hear(old).is_empty());
        assert_eq!(one.engine.counters().messages_out_of_reach, before + 1);
    }
}

#[test]
fn a_quorum_for_a_state_that_this_replica_did_not_reach_moves_nothing() {
    let (mut one, _) = at_checkpoint(4);
    for replica in [0, 2, 3] {
        one.hear(checkpoint(2, Digest([8; 32]), replica));
    }
    assert_eq!(one.engine.stable(), Seq(0));
}

#[test]
fn two_checkpoints_of_one_replica_for_one_sequence_number_are_evidence() {
    let (mut one, state) = at_checkpoint(4);
    one.hear(checkpoint(2, Digest([8; 32]), 3));
    let outputs = one.hear(checkpoint(2, state, 3));
    assert!(matches!(&outputs[..], [Output::Evidence(e)] if e.replica == ReplicaId(3)));
}

#[test]
fn a_checkpoint_off_the_interval_or_out_of_reach_is_not_kept() {
    let (mut one, state) = at_checkpoint(4);
    for seq in [0, 3, 7, 10, u64::MAX] {
        assert!(one.hear(checkpoint(seq, state, 3)).is_empty());
    }
    assert_eq!(one.engine.counters().messages_out_of_reach, 5);
}

#[test]
fn what_arrives_above_the_high_watermark_is_acted_on_when_the_watermarks_reach_it() {
    let (mut one, state) = at_checkpoint(4);
    let (proposal, digest) = pre_prepare(&mut one, 5, 9);
    assert!(one.hear(proposal).is_empty(), "5 lies above h + L = 4");
    one.hear(prepare(5, digest, 2));
    assert_eq!(one.engine.counters().messages_early, 2);
    one.hear(checkpoint(2, state, 0));
    let outputs = one.hear(checkpoint(2, state, 2));
    assert_eq!(one.engine.stable(), Seq(2));
    let said = outputs.iter().filter_map(|output| match output {
        Output::Say { message, .. } => Some(message.kind()),
        Output::State(StateWork::Retain { .. }) => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(said.collect::<Vec<_>>(), ["prepare"]);
}

#[test]
fn a_proposal_at_exactly_the_new_high_watermark_is_taken_up_and_one_above_is_not() {
    let (mut one, state) = at_checkpoint(4);
    for (seq, timestamp) in [(6, 9), (7, 10)] {
        let (proposal, _) = pre_prepare(&mut one, seq, timestamp);
        assert!(one.hear(proposal).is_empty(), "{seq} lies above h + L = 4");
    }
    one.hear(checkpoint(2, state, 0));
    let outputs = one.hear(checkpoint(2, state, 2));
    assert_eq!(one.engine.stable(), Seq(2));
    let prepared = outputs.iter().filter_map(|output| match output {
        Output::Say { message: Message::Prepare(signed), .. } => Some(signed.body.seq),
        Output::State(StateWork::Retain { .. }) => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(prepared.collect::<Vec<_>>(), [Seq(6)], "h + L = 6");
}

/// A backup of four with K = 2, L = 4 that committed 1 to `last`, and what it handed out.
fn committed_to(last: u64) -> (One, Vec<Execution>) {
    let mut one = One::new(4, 1, |config| {
        config.window = 4;
        config.checkpoint_interval = 2;
    });
    let outputs = (1..=last).flat_map(|seq| commit_at(&mut one, seq, seq)).collect();
    (one, executions(outputs))
}

#[test]
fn execution_pauses_at_a_checkpoint_so_that_its_digest_covers_exactly_that_sequence() {
    let (mut one, handed) = committed_to(4);
    let seqs: Vec<_> = handed.iter().map(|execution| execution.seq.0).collect();
    assert_eq!(seqs, [1, 2], "3 waits for the results of 2");
    assert!(handed[1].checkpoint && !handed[0].checkpoint);
    let mut state = Digest::ZERO;
    let first = run_batch(&mut state, &handed[0]);
    assert!(executions(one.input(Input::Executed(first))).is_empty());
    let second = run_batch(&mut state, &handed[1]);
    let later = executions(one.input(Input::Executed(second)));
    assert_eq!(later.iter().map(|execution| execution.seq.0).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn pbft_4_3_a_vote_waits_for_the_root_and_execution_does_not() {
    let (mut one, handed) = committed_to(3);
    let mut state = Digest::ZERO;
    one.input(Input::Executed(run_batch(&mut state, &handed[0])));
    let mut second = run_batch(&mut state, &handed[1]);
    let root = second.state_root.take().unwrap();
    let outputs = one.input(Input::Executed(second));
    assert_eq!(said_state(&outputs), None);
    let [third] = &executions(outputs)[..] else { panic!("3 is handed out") };
    // What is executed meanwhile is no part of the state that is voted for.
    one.input(Input::Executed(run_batch(&mut state, third)));
    assert_eq!(one.engine.executed(), Seq(3));
    let answer = |seq| Input::State(StateAnswer::Root { seq: Seq(seq), state: root });
    for other in [1, 3, 4] {
        assert_eq!(said_state(&one.input(answer(other))), None, "{other} is not awaited");
    }
    let (_, said) = at_checkpoint(4);
    let outputs = one.input(answer(2));
    assert_eq!(said_state(&outputs), Some(said));
    one.settle(outputs);
    assert_eq!(said_state(&one.input(answer(2))), None, "it is said once");
    one.hear(checkpoint(2, said, 0));
    assert_eq!(one.engine.stable(), Seq(0));
    one.hear(checkpoint(2, said, 2));
    assert_eq!(one.engine.stable(), Seq(2), "its own vote counts");
}

#[test]
#[should_panic(expected = "a root comes before the next checkpoint")]
fn a_driver_that_owes_two_roots_is_told_so() {
    let mut one = One::new(4, 1, |config| {
        config.window = 4;
        config.checkpoint_interval = 1;
    });
    let mut state = Digest::ZERO;
    for seq in 1..=2 {
        for execution in executions(commit_at(&mut one, seq, seq)) {
            let mut executed = run_batch(&mut state, &execution);
            executed.state_root = None;
            one.input(Input::Executed(executed));
        }
    }
}

#[test]
fn the_client_table_is_part_of_the_checkpointed_state() {
    let mut table = ClientTable::new(Limits::new(8, 16));
    let before = table.root();
    assert!(table.begin(quorumark_consensus::ClientId(1), quorumark_consensus::Timestamp(1)));
    assert_ne!(table.root(), before);
}
