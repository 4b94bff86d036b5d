//! OSDI'99 5.1, TOCS'02 5.1.3: requests that only read, answered without being ordered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorumark_consensus::engine::QUERY_MAX;
use quorumark_consensus::pbft::{Config, Message};
use quorumark_consensus::{
    ClientId, Engine, Input, Output, ReplicaId, Reply, Seq, SignedRequest, StateAnswer, StateWork,
    Timestamp,
};

use crate::failover::small;
use crate::lab::{Lab, Network, One};

fn with_reads(config: &mut Config) {
    config.read_only = true;
}

fn read(one: &mut One, client: u32, timestamp: u64) -> Vec<Output<Message>> {
    let request = one.keys.request(client, timestamp, b"read");
    one.receive(&Message::Read(request))
}

/// The operations that the one query among the outputs asks for.
fn queried(outputs: &[Output<Message>]) -> Vec<(ClientId, Bytes)> {
    match outputs {
        [Output::State(StateWork::Query { operations })] => operations.clone(),
        outputs => panic!("one query is asked: {outputs:?}"),
    }
}

fn answer(one: &mut One, results: Vec<Option<&'static [u8]>>) -> Vec<Output<Message>> {
    let results = results.into_iter().map(|result| result.map(Bytes::from_static)).collect();
    one.input(Input::State(StateAnswer::Results { results }))
}

fn replies(outputs: &[Output<Message>]) -> Vec<Reply> {
    let replies = outputs.iter().filter_map(|output| match output {
        Output::Reply { replies, .. } => Some(replies.clone()),
        _ => None,
    });
    replies.flatten().collect()
}

#[test]
fn osdi99_5_1_every_replica_answers_a_read_at_once_from_its_state_at_n_4_to_10() {
    for n in 4..=10 {
        for replica in 0..n as u16 {
            let mut one = One::new(n, replica, with_reads);
            let asked = read(&mut one, 2, 7);
            assert_eq!(queried(&asked), [(ClientId(2), Bytes::from_static(b"read"))]);
            let said = answer(&mut one, vec![Some(b"value")]);
            let [reply] = &replies(&said)[..] else { panic!("one reply alone: {said:?}") };
            assert_eq!((reply.client, reply.timestamp), (ClientId(2), Timestamp(7)));
            assert_eq!((&reply.result[..], reply.replica.0), (&b"value"[..], replica));
            // It counts as what takes a quorum, and names no place in the order.
            assert_eq!((reply.seq, reply.tentative), (Seq(0), true));
            assert_eq!(one.engine.waiting(), 0, "nothing waits to be ordered");
            assert_eq!(one.engine.counters().reads_answered, 1);
        }
    }
}

#[test]
fn osdi99_5_1_a_read_leaves_the_exactly_once_table_as_it_was() {
    let mut one = One::new(4, 0, |config| {
        with_reads(config);
        config.batch_size_max = 1;
    });
    read(&mut one, 0, 5);
    answer(&mut one, vec![Some(b"value")]);
    // The client has no quorum of equal replies: the same request comes as an ordinary one.
    let request = one.keys.request(0, 5, b"read");
    let ordered = one.receive(&Message::Request(request));
    assert!(
        matches!(&ordered[..], [Output::Say { message: Message::PrePrepare(..), .. }]),
        "it is ordered: {ordered:?}"
    );
}

#[test]
fn osdi99_5_1_a_request_that_writes_is_not_answered_as_a_read() {
    let mut one = One::new(4, 1, with_reads);
    read(&mut one, 0, 1);
    assert!(answer(&mut one, vec![None]).is_empty());
    assert_eq!(one.engine.counters().reads_refused, 1);
}

#[test]
fn reads_are_refused_where_they_are_not_switched_on() {
    let mut one = One::new(4, 1, |_| {});
    assert!(read(&mut one, 0, 1).is_empty());
    assert_eq!(one.engine.counters().reads_refused, 1);
}

#[test]
fn reads_that_come_meanwhile_are_asked_together_and_their_number_is_bounded() {
    let mut one = One::new(4, 1, with_reads);
    assert_eq!(queried(&read(&mut one, 0, 1)).len(), 1);
    let request = Arc::new(one.keys.request(1, 1, b"read"));
    for _ in 0..=QUERY_MAX {
        assert!(one.receive(&Message::Read(SignedRequest::clone(&request))).is_empty());
    }
    assert_eq!(one.engine.counters().reads_refused, 1);
    let said = answer(&mut one, vec![Some(b"value")]);
    assert_eq!(replies(&said).len(), 1);
    assert_eq!(queried(&said[1..]).len(), QUERY_MAX);
}

/// The replicas that answer a read of `client`.
fn answering(lab: &mut Lab, client: u32, timestamp: u64) -> BTreeSet<u16> {
    let request = lab.keys.request(client, timestamp, b"read");
    let (id, message) = (request.id(), Message::Read(request));
    (0..10).map(ReplicaId).take(lab.live().count()).for_each(|to| lab.transmit(to, &message));
    lab.run(Duration::from_millis(20));
    lab.replies.remove(&id).unwrap_or_default().into_keys().map(|replica| replica.0).collect()
}

/// Has as many batches executed, one after the other.
fn execute(lab: &mut Lab, timestamps: std::ops::RangeInclusive<u64>) {
    for timestamp in timestamps {
        lab.ask(0, timestamp, 0);
        lab.run_until_answered(5);
    }
}

#[test]
fn after_a_restart_reads_wait_until_all_that_may_have_been_executed_is_again() {
    for n in [4, 7] {
        let mut lab = Lab::new(n, 3, Network::GOOD, |config| {
            small(config);
            with_reads(config);
            config.journal = true;
        });
        execute(&mut lab, 1..=7);
        let all: BTreeSet<u16> = (0..n as u16).collect();
        assert_eq!(answering(&mut lab, 1, 1), all);
        let (stable, window) = (lab.engine(2).stable(), 16);
        lab.restart(2);
        assert!(!answering(&mut lab, 1, 2).contains(&2), "its state is that of {stable}");
        execute(&mut lab, 8..=stable.0 + window - 1);
        assert!(!answering(&mut lab, 1, 3).contains(&2));
        execute(&mut lab, stable.0 + window..=stable.0 + window);
        assert_eq!(answering(&mut lab, 1, 4), all, "n = {n}");
    }
}
