//! PBFT 4.3 and TOCS'02 5.3: a replica that messages cannot bring up fetches the state.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorumark_consensus::pbft::{
    Checkpoint, CheckpointCertificate, FetchState, Message, StateManifest, StateSlice, Voucher,
    Wanted,
};
use quorumark_consensus::{Engine, Input, Output, ReplicaId, Seq, StateAnswer, View};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::{ClientAuth, Signed};

use crate::agreement::commit_at;
use crate::cells::Shape;
use crate::checkpoints::checkpoint;
use crate::lab::{CLIENTS, Lab, Network, One, receive};

fn small(config: &mut quorumark_consensus::pbft::Config) {
    config.batch_size_max = 4;
    config.window = 8;
    config.checkpoint_interval = 2;
    config.status_interval = Duration::from_millis(40);
    config.view_timeout = Duration::from_millis(400);
}

/// Has this many batches executed, or more, one wave of requests after the other.
fn order(lab: &mut Lab, first: u64, waves: u64) {
    for timestamp in first..first + waves {
        (0..CLIENTS).for_each(|client| drop(lab.ask(client, timestamp, 0)));
        lab.run(Duration::from_millis(8));
    }
    lab.run_until_answered(50);
}

/// A lab in which the last replica missed more than any log still has.
fn behind(n: usize, seed: u64, shape: Shape, waves: u64) -> Lab {
    let mut lab = Lab::with_state(n, seed, Network::GOOD, shape, small);
    lab.cut_off(n - 1);
    order(&mut lab, 1, waves);
    assert!(lab.engine(0).stable() > Seq(2 * 8));
    lab.reconnect(n - 1);
    lab
}

/// The last replica has the same state as the first, and goes on with it.
fn caught_up(lab: &mut Lab, n: usize, first: u64) {
    order(lab, first, 4);
    lab.run(Duration::from_secs(1));
    lab.check_ledgers();
    assert_eq!(lab.engine(n - 1).executed(), lab.engine(0).executed());
    assert_eq!(lab.root(n - 1), lab.root(0));
}

#[test]
fn pbft_4_3_a_replica_fifty_checkpoints_behind_fetches_the_state_at_n_4_to_7() {
    for n in 4..=7 {
        let mut lab = behind(n, n as u64, Shape::SMALL, 110);
        assert!(lab.engine(0).stable() >= Seq(100), "fifty checkpoints");
        lab.run(Duration::from_secs(2));
        let counters = lab.engine(n - 1).counters();
        assert_eq!((counters.transfers_begun, counters.transfers_finished), (1, 1), "n = {n}");
        assert!(lab.engine(n - 1).executed() >= Seq(100));
        assert_eq!(lab.engine(n - 1).blamed().next(), None::<ReplicaId>);
        caught_up(&mut lab, n, 200);
    }
}

/// Replica 0 (the primary) stays honest; replica `who` spoils what it sends of its state.
fn poison(lab: &mut Lab, who: std::ops::Range<u16>, spoil: fn(&mut StateSlice)) {
    lab.twist = Box::new(move |from, message| match message {
        Message::StateSlice(slice) if who.contains(&from.0) && slice.total > 0 => {
            let mut bad = StateSlice::clone(slice);
            spoil(&mut bad);
            let place = (bad.tree, bad.nth, bad.offset);
            let seq = bad.signed.body.seq;
            let bad = StateSlice::blank(seq, place, bad.total, bad.bytes, from);
            Some(Message::StateSlice(Arc::new(bad)))
        }
        Message::StateManifest(manifest) if who.contains(&from.0) => {
            let mut application = manifest.application.clone();
            application.digests.reverse();
            let seq = manifest.signed.body.seq;
            let bad = StateManifest::blank(seq, application, manifest.clients.clone(), from);
            Some(Message::StateManifest(Arc::new(bad)))
        }
        _ => None,
    });
}

fn flip_last(slice: &mut StateSlice) {
    let mut bytes = slice.bytes.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    slice.bytes = Bytes::from(bytes);
}

#[test]
fn f_poisoning_peers_are_named_and_cost_at_most_half_the_state_again() {
    // A part for each cell: those that no request has touched are the same everywhere.
    let shape = Shape { cells: 64, leaf_bytes: 1000 };
    let spoils: [fn(&mut StateSlice); 3] = [
        flip_last,
        |slice| slice.total += 1,
        |slice| slice.bytes = slice.bytes.slice(..slice.bytes.len() / 2),
    ];
    for n in [4, 7, 10] {
        for (nth, spoil) in spoils.into_iter().enumerate() {
            let f = (n - 1) / 3;
            let mut lab = behind(n, (n + nth) as u64, shape, 110);
            poison(&mut lab, 1..1 + f as u16, spoil);
            lab.run(Duration::from_secs(4));
            let engine = lab.engine(n - 1);
            let counters = engine.counters();
            assert_eq!(counters.transfers_finished, 1, "n = {n}, spoil {nth}: {counters:#?}");
            assert!(engine.blamed().all(|replica| (1..=f as u16).contains(&replica.0)));
            assert!(counters.state_pieces_bad >= 1, "n = {n}, spoil {nth}");
            assert!(counters.state_pieces_bad <= f as u64, "each is asked no more");
            let clients = 4 * 1024 * 64;
            let bound = (lab.state_size(0) + clients) * 3 / 2;
            assert!(counters.state_bytes_fetched <= bound, "{}", counters.state_bytes_fetched);
            lab.twist = Box::new(|_, _| None);
            caught_up(&mut lab, n, 200);
        }
    }
}

#[test]
fn what_a_replica_has_already_is_not_fetched() {
    let shape = Shape { cells: 64, leaf_bytes: 1000 };
    let mut lab = Lab::with_state(4, 3, Network::GOOD, shape, small);
    order(&mut lab, 1, 40);
    lab.run(Duration::from_millis(200));
    lab.cut_off(3);
    order(&mut lab, 41, 12);
    lab.reconnect(3);
    lab.run(Duration::from_secs(2));
    let counters = lab.engine(3).counters();
    assert_eq!(counters.transfers_finished, 1);
    let cells = counters.state_bytes_fetched / 1004;
    assert!(cells <= 48, "48 requests touch at most 48 of 64 cells: {cells}");
    caught_up(&mut lab, 4, 100);
}

#[test]
fn a_part_larger_than_a_slice_comes_in_slices_even_where_messages_are_lost() {
    let shape = Shape { cells: 4, leaf_bytes: 700_000 };
    let mut lab = behind(4, 5, shape, 30);
    let mut nth = 0;
    lab.lose = Box::new(move |_, _, message| {
        nth += u32::from(matches!(message, Message::StateSlice(_)));
        matches!(message, Message::StateSlice(_)) && nth % 4 == 0
    });
    lab.run(Duration::from_secs(6));
    let counters = lab.engine(3).counters();
    assert_eq!((counters.transfers_begun, counters.transfers_finished), (1, 1));
    let bound = lab.state_size(0) * 3 / 2;
    assert!(counters.state_bytes_fetched <= bound, "{}", counters.state_bytes_fetched);
    lab.lose = Box::new(|_, _, _| false);
    caught_up(&mut lab, 4, 200);
}

/// What a replica asks of which peers, and at which checkpoint.
fn questions(outputs: &[Output<Message>]) -> Vec<FetchState> {
    let question = |output: &Output<Message>| match output {
        Output::Say { message: Message::FetchState(signed), .. } => Some(signed.body),
        _ => None,
    };
    outputs.iter().filter_map(question).collect()
}

#[test]
fn when_the_target_moves_no_peer_is_asked_for_a_part_of_the_state_before() {
    let mut lab = behind(4, 13, Shape { cells: 4, leaf_bytes: 700_000 }, 30);
    let first = lab.engine(0).stable_proof();
    let (sender, manifests) = std::sync::mpsc::channel();
    lab.lose = Box::new(move |_, _, message| {
        if let Message::StateManifest(manifest) = message {
            sender.send(Arc::clone(manifest)).unwrap();
        }
        false
    });
    lab.run(Duration::from_secs(2));
    let manifest = manifests.recv().unwrap();
    assert_eq!(manifest.signed.body.seq, first.seq);
    order(&mut lab, 100, 12);
    let newer = lab.engine(0).stable_proof();

    let mut one = One::new(4, 3, small);
    let asked = questions(&one.receive(&Message::Stable(Arc::new(first.clone()))));
    let (application, clients) = (manifest.application.clone(), manifest.clients.clone());
    let manifest = StateManifest::blank(first.seq, application, clients, asked[0].peer);
    one.hear(Message::StateManifest(Arc::new(manifest)));
    let answer = StateAnswer::Digests { at: None, found: None };
    let asked = questions(&one.input(Input::State(answer)));
    assert_eq!(asked.len(), 3, "a part of each peer");
    one.receive(&Message::Stable(Arc::new(newer.clone())));
    for again in [80, 160] {
        one.now = one.now + Duration::from_millis(again);
        assert_eq!(questions(&one.input(Input::Timeout)).len(), 3);
    }
    // Two peers are silent for the third time when the other's next slice is late for the first.
    let Wanted::Slice { tree, nth, offset } = asked[2].wanted else { panic!("{asked:?}") };
    let (place, bytes) = ((tree, nth, offset), Bytes::from(vec![0; 256 << 10]));
    let slice = StateSlice::blank(first.seq, place, 700_004, bytes, asked[2].peer);
    assert_eq!(questions(&one.hear(Message::StateSlice(Arc::new(slice)))).len(), 1);
    one.now = one.now + Duration::from_millis(400);
    let asked = questions(&one.input(Input::Timeout));
    assert_eq!(one.engine.counters().transfers_moved, 1);
    assert_eq!(one.engine.fetching(), Some(newer.seq));
    assert!(!asked.is_empty() && asked.iter().all(|ask| ask.wanted == Wanted::Manifest));
}

#[test]
fn a_part_that_is_late_is_asked_of_another_peer_and_nobody_is_blamed() {
    // Ten slices a part. Each comes from replica 1 just in time: five seconds for the part.
    let mut lab = behind(4, 5, Shape { cells: 4, leaf_bytes: 2_500_000 }, 20);
    lab.slow.insert(ReplicaId(1), Duration::from_millis(500));
    lab.run(Duration::from_millis(4_300));
    let engine = lab.engine(3);
    assert_eq!(engine.counters().transfers_finished, 1);
    assert_eq!((engine.counters().state_pieces_bad, engine.blamed().count()), (0, 0));
    lab.slow.clear();
    caught_up(&mut lab, 4, 200);
}

#[test]
fn what_a_fetched_state_has_executed_is_waited_for_no_more() {
    let patient = |config: &mut quorumark_consensus::pbft::Config| {
        small(config);
        config.view_timeout = Duration::from_secs(10);
    };
    let mut lab = Lab::with_state(4, 12, Network::GOOD, Shape::SMALL, patient);
    let request = lab.ask(0, 1, 0);
    lab.ask_one(&request, 3);
    lab.run(Duration::from_micros(10));
    while lab.engine(3).unexecuted() == 0 {
        lab.run(Duration::from_micros(100));
    }
    lab.cut_off(3);
    order(&mut lab, 2, 60);
    assert_eq!(lab.engine(3).unexecuted(), 1);
    lab.reconnect(3);
    while lab.engine(3).counters().transfers_finished == 0 {
        lab.run(Duration::from_millis(1));
    }
    assert_eq!(lab.engine(3).unexecuted(), 0);
}

#[test]
fn a_transfer_that_is_interrupted_goes_on_with_the_parts_that_it_has() {
    let shape = Shape { cells: 64, leaf_bytes: 1000 };
    let mut lab = behind(4, 6, shape, 60);
    while lab.engine(3).counters().state_parts_fetched < 10 {
        lab.run(Duration::from_millis(1));
    }
    lab.cut_off(3);
    lab.run(Duration::from_secs(1));
    let before = lab.engine(3).counters();
    assert_eq!(before.transfers_finished, 0);
    lab.reconnect(3);
    lab.run(Duration::from_secs(4));
    let counters = lab.engine(3).counters();
    assert_eq!((counters.transfers_begun, counters.transfers_finished), (1, 1));
    assert!(counters.state_parts_fetched <= 64 + 4, "no part came twice: {before:?}");
    caught_up(&mut lab, 4, 200);
}

#[test]
fn when_peers_have_dropped_the_snapshot_the_target_moves_and_good_parts_stay() {
    let shape = Shape { cells: 64, leaf_bytes: 1000 };
    let mut lab = behind(4, 7, shape, 60);
    while lab.engine(3).counters().state_parts_fetched < 10 {
        lab.run(Duration::from_millis(1));
    }
    let first = lab.engine(3).fetching().unwrap();
    lab.cut_off(3);
    // Longer than any lease, and past the last two checkpoints.
    lab.run(Duration::from_secs(3));
    order(&mut lab, 100, 12);
    lab.reconnect(3);
    lab.run(Duration::from_secs(6));
    let counters = lab.engine(3).counters();
    assert_eq!((counters.transfers_moved, counters.transfers_finished), (1, 1), "{counters:#?}");
    assert!(lab.engine(3).stable() > first);
    assert!(counters.state_parts_fetched < 2 * 64, "parts that stayed the same came once");
    caught_up(&mut lab, 4, 200);
}

#[test]
fn a_lease_keeps_a_snapshot_for_a_slow_peer_while_the_others_go_on() {
    let shape = Shape { cells: 64, leaf_bytes: 1000 };
    let mut lab = behind(4, 8, shape, 60);
    while lab.engine(3).counters().state_parts_fetched < 1 {
        lab.run(Duration::from_millis(1));
    }
    let first = lab.engine(3).fetching().unwrap();
    // Slow: only every second slice arrives, while many checkpoints become stable.
    let mut nth = 0;
    lab.lose = Box::new(move |_, to, message| {
        nth += u32::from(matches!(message, Message::StateSlice(_)));
        to.0 == 3 && matches!(message, Message::StateSlice(_)) && nth % 2 != 0
    });
    order(&mut lab, 100, 20);
    assert_eq!(lab.engine(3).fetching(), Some(first), "the target stays");
    assert!(lab.engine(0).stable() > first.plus(16));
    lab.lose = Box::new(|_, _, _| false);
    lab.run(Duration::from_secs(3));
    let counters = lab.engine(3).counters();
    assert_eq!(counters.transfers_moved, 0);
    caught_up(&mut lab, 4, 200);
}

#[test]
fn pbft_4_3_a_certificate_that_is_forged_or_too_small_starts_no_transfer() {
    let mut one = One::new(4, 3, |config| {
        config.window = 4;
        config.checkpoint_interval = 2;
    });
    let state = Digest([7; 32]);
    let seq = Seq(40);
    let vote = |one: &mut One, replica: u16, state: Digest| {
        let body = Checkpoint { seq, state, replica: ReplicaId(replica) };
        let sealed = one.keys.seal(Message::Checkpoint(Signed::blank(body)));
        let Message::Checkpoint(signed) = sealed.into_inner() else { unreachable!() };
        Voucher { replica: ReplicaId(replica), signature: signed.signature }
    };
    let good: Vec<_> = (0..3).map(|replica| vote(&mut one, replica, state)).collect();
    let other = vote(&mut one, 2, Digest([8; 32]));
    let offer = |one: &mut One, seq: Seq, votes: Vec<Voucher>| {
        let certificate = CheckpointCertificate { seq, state, votes };
        let message = Message::Stable(Arc::new(certificate));
        let verified = receive(&mut one.keys.verifier(ClientAuth::Signature), &message);
        if let Some(verified) = verified {
            one.input(Input::Message(verified));
        }
        one.engine.fetching()
    };
    let (first, second) = (good[0], good[1]);
    assert_eq!(offer(&mut one, seq, good[..2].to_vec()), None, "too few");
    assert_eq!(offer(&mut one, seq, vec![first, first, second]), None, "one twice");
    assert_eq!(offer(&mut one, seq, vec![first, second, other]), None, "another state");
    assert_eq!(offer(&mut one, Seq(42), good.clone()), None, "another sequence number");
    assert_eq!(offer(&mut one, seq, good.iter().rev().copied().collect()), None, "out of order");
    assert_eq!(offer(&mut one, seq, good), Some(seq));
}

#[test]
fn a_quorum_of_votes_beyond_reach_starts_a_transfer_and_fewer_do_not() {
    for n in 4..=10 {
        let mut one = One::new(n, 0, |config| {
            config.window = 4;
            config.checkpoint_interval = 2;
        });
        let quorum = one.committee.quorum();
        one.hear(checkpoint(40, Digest([8; 32]), 1));
        for replica in 2..n {
            one.hear(checkpoint(40, Digest([7; 32]), replica));
            let expected = (replica > quorum).then_some(Seq(40));
            assert_eq!(one.engine.fetching(), expected, "n = {n}, {replica} votes");
        }
    }
}

#[test]
fn nothing_is_executed_while_a_state_is_fetched() {
    let mut one = One::new(4, 1, |config| {
        config.window = 4;
        config.checkpoint_interval = 2;
    });
    for replica in [0, 2, 3] {
        one.hear(checkpoint(40, Digest([7; 32]), replica));
    }
    assert_eq!(one.engine.fetching(), Some(Seq(40)));
    let outputs = commit_at(&mut one, 1, 1);
    assert!(!outputs.iter().any(|output| matches!(output, Output::Execute(_))));
}

#[test]
fn a_question_that_is_replayed_or_for_another_is_not_answered() {
    let mut lab = Lab::new(4, 9, Network::GOOD, small);
    order(&mut lab, 1, 10);
    let seq = lab.engine(1).stable();
    let ask = |round, peer| {
        let (peer, replica) = (ReplicaId(peer), ReplicaId(3));
        let body = FetchState { round, peer, seq, wanted: Wanted::Manifest, replica };
        Message::FetchState(Signed::blank(body))
    };
    let sent = |lab: &Lab| lab.engine(1).counters().state_pieces_sent;
    for (round, peer, answers) in [(5, 1, 1), (5, 1, 1), (4, 1, 1), (9, 2, 1), (6, 1, 2)] {
        lab.tell(1, ask(round, peer));
        lab.run(Duration::from_millis(20));
        assert_eq!(sent(&lab), answers, "round {round} to {peer}");
    }
}

#[test]
fn a_question_of_a_peer_whose_clock_began_again_is_answered_after_a_while() {
    let mut lab = Lab::new(4, 9, Network::GOOD, small);
    order(&mut lab, 1, 10);
    let seq = lab.engine(1).stable();
    let ask = |lab: &mut Lab, round| {
        let (peer, replica, wanted) = (ReplicaId(1), ReplicaId(3), Wanted::Manifest);
        let body = FetchState { round, peer, seq, wanted, replica };
        lab.tell(1, Message::FetchState(Signed::blank(body)));
        lab.run(Duration::from_millis(20));
        lab.engine(1).counters().state_pieces_sent
    };
    assert_eq!((ask(&mut lab, u64::MAX), ask(&mut lab, 3)), (1, 1));
    lab.run(Duration::from_millis(32 * 40));
    assert_eq!(ask(&mut lab, 4), 2);
}

#[test]
fn pbft_4_4_a_replica_whose_transfer_ends_after_the_new_view_enters_it_without_another_message() {
    let mut lab = behind(4, 11, Shape::SMALL, 60);
    lab.stop(0);
    let mut new_views = 0;
    lab.lose = Box::new(move |_, to, message| match message {
        // The primary's NEW-VIEW comes once, and the state only after it.
        Message::NewView(_) if to.0 == 3 => {
            new_views += 1;
            new_views > 1
        }
        Message::StateSlice(_) if to.0 == 3 => new_views == 0,
        _ => false,
    });
    // With replica 0 gone, the other three are a quorum: nothing goes on without replica 3.
    for timestamp in 100..104 {
        (0..CLIENTS).for_each(|client| drop(lab.ask(client, timestamp, 1)));
    }
    lab.run_until_answered(100);
    let engine = lab.engine(3);
    assert_eq!(engine.counters().transfers_finished, 1);
    assert!(engine.is_active() && engine.view() > View(0));
    lab.check_ledgers();
}
