//! What a replica that lost messages, or a faulty one, gets its peers to send again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorumark_consensus::pbft::{
    Checkpoint, Config, FetchState, Message, PROTOCOL, PrePrepare, StatusStatement, ViewPhase,
    Wanted,
};
use quorumark_consensus::{
    Batch, ClientId, ClientProof, Engine, Input, Instant, Output, Recipients, ReplicaId, Request,
    Seq, SignedRequest, StateAnswer, StateWork, Timestamp, View,
};
use quorumark_primitives::Digest;
use quorumark_primitives::mac::Authenticator;
use quorumark_primitives::signed::{ClientAuth, ClientSessions, Context, Domain, Signed};
use quorumark_primitives::wire::{Decode, Encode};

use crate::agreement::{commit, commit_at, pre_prepare, prepare};
use crate::lab::{Lab, Network, One, receive, run_batch};

const SECOND: u64 = 1_000_000_000;

/// A status of a replica that waits.
fn status(replica: u16, round: u64, stable: u64, executed: u64) -> Message {
    Message::Status(Box::new(Signed::blank(StatusStatement {
        round,
        attempt: 1,
        view: View(0),
        phase: ViewPhase::Active,
        view_changes: Vec::new(),
        stable: Seq(stable),
        executed: Seq(executed),
        slots: Vec::new(),
        answers: None,
        replica: ReplicaId(replica),
    })))
}

fn relayed(outputs: &[Output<Message>]) -> Vec<&'static str> {
    let kind = |output: &Output<Message>| match output {
        Output::Relay { message, .. } => Some(message.kind()),
        _ => None,
    };
    outputs.iter().filter_map(kind).collect()
}

fn small(config: &mut Config) {
    config.batch_size_max = 1;
    config.window = 16;
    config.checkpoint_interval = 4;
    config.status_interval = Duration::from_millis(40);
}

/// Replica 1 with 1 and 2 executed, K = 2, L = 4; the state that it said after 2.
fn with_checkpoint(n: usize) -> (One, Digest) {
    let mut one = One::new(n, 1, |config| {
        config.window = 4;
        config.checkpoint_interval = 2;
    });
    let (mut state, mut said) = (Digest::ZERO, None);
    for seq in 1..=2 {
        for output in commit_at(&mut one, seq, seq) {
            let Output::Execute(execution) = output else { continue };
            let outputs = one.input(Input::Executed(run_batch(&mut state, &execution)));
            for output in &outputs {
                if let Output::Say { message: Message::Checkpoint(signed), .. } = output {
                    said = Some(signed.body.state);
                }
            }
            one.settle(outputs);
        }
    }
    (one, said.expect("a checkpoint after 2"))
}

fn checkpoint(seq: u64, state: Digest, replica: u16) -> Message {
    let replica = ReplicaId(replica);
    Message::Checkpoint(Signed::blank(Checkpoint { seq: Seq(seq), state, replica }))
}

#[test]
fn a_status_of_impossible_numbers_harms_nobody() {
    let high = u64::MAX;
    for (stable, executed) in [(0, high), (high, 0), (high, high), (0, high - 5), (3, 2)] {
        let mut one = One::new(4, 1, |_| {});
        commit_at(&mut one, 1, 1);
        one.now = Instant(4 * SECOND);
        assert_eq!(relayed(&one.hear(status(3, 1, stable, executed))), [""; 0]);
    }
}

#[test]
fn pbft_4_2_a_replica_that_gets_too_few_commits_gets_their_proof_and_stays_in_its_view() {
    let mut lab = Lab::new(4, 1, Network::GOOD, small);
    lab.lose = Box::new(|_, to, message| to.0 == 3 && matches!(message, Message::Commit(_)));
    for timestamp in 1..=3 {
        lab.ask(0, timestamp, 0);
        lab.run(Duration::from_millis(5));
    }
    lab.run_until_answered(20);
    // The timeout is five seconds.
    lab.run(Duration::from_secs(4));
    assert_eq!((lab.ran(3), lab.engine(3).view()), (3, View(0)));
    lab.run(Duration::from_secs(4));
    assert_eq!((lab.engine(3).view(), lab.engine(3).counters().timeouts), (View(0), 0));
    lab.check_ledgers();
}

#[test]
fn tocs02_5_3_no_peer_takes_anothers_place_when_states_are_asked_for() {
    let (mut one, state) = with_checkpoint(7);
    [0, 2, 3, 4, 5].into_iter().for_each(|replica| drop(one.hear(checkpoint(2, state, replica))));
    assert_eq!(one.engine.stable(), Seq(2));
    let ask = |one: &mut One, replica, round| {
        let (peer, seq, replica) = (ReplicaId(1), Seq(2), ReplicaId(replica));
        let body = FetchState { round, peer, seq, wanted: Wanted::Manifest, replica };
        worked_on(&one.hear(Message::FetchState(Signed::blank(body))))
    };
    let begun: Vec<_> = [0, 2, 3, 4, 5, 6].map(|replica| ask(&mut one, replica, 1)).to_vec();
    assert_eq!(begun, [1, 1, 1, 1, 0, 0], "four at a time");
    assert_eq!(ask(&mut one, 2, 2), 0, "it has one question");
    // As each is done the next begins, and nobody was forgotten.
    for (peer, next) in [(0, 1), (2, 1), (3, 0), (4, 0), (5, 0), (6, 0)] {
        let found = Some((1, vec![Digest::ZERO]));
        let answer = StateAnswer::Digests { at: Some(Seq(2)), found };
        let outputs = one.input(Input::State(answer));
        let answers = outputs.iter().any(|output| {
            let to = Recipients::One(ReplicaId(peer));
            matches!(output, Output::Say { to: said, message: Message::StateManifest(_), .. }
                if *said == to)
        });
        assert!(answers, "{peer}: {outputs:?}");
        assert_eq!(worked_on(&outputs), next, "{peer}");
    }
}

/// Questions of peers that the state machine is told to work on.
fn worked_on(outputs: &[Output<Message>]) -> usize {
    let works = |output: &&Output<Message>| {
        matches!(output, Output::State(StateWork::Digests { at: Some(_) }))
    };
    outputs.iter().filter(works).count()
}

#[test]
fn a_lost_link_from_the_primary_is_made_good_by_backups() {
    let mut lab = Lab::new(4, 1, Network::GOOD, small);
    lab.lose = Box::new(|from, to, message| {
        from.0 == 0 && to.0 == 3 && matches!(message, Message::PrePrepare(..))
    });
    for timestamp in 1..=5 {
        lab.ask(0, timestamp, 0);
        lab.run(Duration::from_millis(5));
    }
    lab.run_until_answered(20);
    lab.run(Duration::from_secs(5));
    assert_eq!(lab.ran(3), 5);
    lab.check_ledgers();
}

#[test]
fn under_macs_a_good_copy_of_a_proposal_takes_the_place_of_a_spoilt_one() {
    let mut one = One::new(4, 1, |_| {});
    let context = Context { cluster: 7, protocol: PROTOCOL };
    let request = Request {
        client: ClientId(0),
        timestamp: Timestamp(1),
        operation: Bytes::from_static(b"op"),
    };
    let sessions = ClientSessions::new(context, &[1; 32], 0, 4);
    let good = sessions.authenticate(Domain::Request, &request.digest().0);
    let mut spoilt = good.clone();
    spoilt.tag_mut(1).unwrap().0[0] ^= 1;
    let batch = |authenticator: &Authenticator| {
        let proof = ClientProof::Mac(authenticator.clone());
        Arc::new(Batch::new(vec![SignedRequest::new(request.clone(), proof)]))
    };
    let (good, spoilt) = (batch(&good), batch(&spoilt));
    let digest = good.digest();
    assert_eq!(digest, spoilt.digest(), "the digest binds no proof");
    let body = PrePrepare { view: View(0), seq: Seq(1), digest, replica: ReplicaId(0) };
    let sealed =
        one.keys.seal(Message::PrePrepare(Box::new(Signed::blank(body)), Arc::clone(&good)));
    let Message::PrePrepare(signed, _) = sealed.into_inner() else { unreachable!() };
    let mut verifier = one.keys.verifier(one.keys.macs(1));
    let mut hear = |one: &mut One, batch: &Arc<Batch>| {
        let frame = Message::PrePrepare(signed.clone(), Arc::clone(batch)).to_frame();
        let mut verified = None;
        let mut items = vec![Message::from_frame(&frame).unwrap()];
        verifier.verify(&mut items, |verdict| verified = verdict.ok());
        one.input(Input::Message(verified.unwrap())).len()
    };
    assert_eq!(hear(&mut one, &spoilt), 0, "nobody vouches for it yet");
    assert_eq!(hear(&mut one, &good), 1, "it prepares");
}

#[test]
fn a_replica_that_missed_checkpoint_votes_follows_its_peers_again() {
    let mut lab = Lab::new(4, 1, Network::GOOD, small);
    lab.lose = Box::new(|_, to, message| to.0 == 3 && matches!(message, Message::Checkpoint(_)));
    for timestamp in 1..=20 {
        lab.ask(0, timestamp, 0);
        lab.run(Duration::from_millis(12));
    }
    lab.lose = Box::new(|_, _, _| false);
    lab.run(Duration::from_secs(5));
    assert_eq!(lab.ran(3), 20);
    assert_eq!(lab.engine(3).stable(), lab.engine(0).stable());
}

#[test]
fn a_replica_cut_off_for_less_than_a_window_follows_its_peers_again() {
    let mut lab = Lab::new(4, 1, Network::GOOD, small);
    lab.lose = Box::new(|_, to, message| to.0 == 3 && matches!(message, Message::Checkpoint(_)));
    for timestamp in 1..=20 {
        if timestamp == 6 {
            lab.cut_off(3);
        }
        lab.ask(0, timestamp, 0);
        lab.run(Duration::from_millis(12));
    }
    lab.lose = Box::new(|_, _, _| false);
    lab.reconnect(3);
    lab.run(Duration::from_secs(5));
    assert_eq!(lab.ran(3), 20);
}

#[test]
fn one_lost_proposal_at_a_thousand_batches_a_second_is_made_good() {
    let quick = Network { delay_us: (50, 150), loss: 0.0, duplicate: 0.0 };
    let mut lab = Lab::new(4, 1, quick, |config| config.batch_linger = Duration::ZERO);
    let mut lost = false;
    lab.lose = Box::new(move |_, to, message| {
        let hit = matches!(message, Message::PrePrepare(signed, _) if signed.body.seq.0 == 100);
        let lose = hit && to.0 == 3 && !lost;
        lost |= lose;
        lose
    });
    for timestamp in 1..=800 {
        lab.ask(0, timestamp, 0);
        lab.run(Duration::from_millis(1));
    }
    lab.run(Duration::from_secs(2));
    lab.check_ledgers();
    assert_eq!(lab.engine(3).executed(), lab.engine(0).executed());
}

#[test]
fn a_slow_network_without_loss_causes_no_repeats_while_the_window_has_room() {
    let slow = Network { delay_us: (300_000, 310_000), loss: 0.0, duplicate: 0.0 };
    let mut lab = Lab::new(4, 1, slow, |config| {
        (config.window, config.checkpoint_interval) = (128, 64);
    });
    for timestamp in 1..=120 {
        lab.ask(0, timestamp, 0);
        lab.run(Duration::from_millis(10));
    }
    lab.run(Duration::from_secs(3));
    assert!(lab.engine(0).executed().0 > 100);
    let repeated: u64 = (0..4).map(|id| lab.engine(id).counters().messages_repeated).sum();
    assert_eq!(repeated, 0);
}

#[test]
fn neither_a_replayed_nor_a_hasty_status_is_answered() {
    let mut one = One::new(4, 0, |config| config.batch_size_max = 1);
    for timestamp in 1..=3 {
        let outputs = one.ask(0, timestamp);
        one.settle(outputs);
    }
    let old = one.keys.seal(status(3, 1, 0, 0));
    for period in 2..=6 {
        one.now = Instant(period * 3 * SECOND);
        let replayed = one.input(Input::Message(old.clone()));
        assert_eq!(relayed(&replayed).is_empty(), period > 2, "answered once");
        one.now = Instant(one.now.0 + 2 * SECOND);
        assert!(!relayed(&one.hear(status(3, period, 0, 0))).is_empty(), "the true one is");
        assert!(relayed(&one.hear(status(3, period + 100, 0, 0))).is_empty(), "too soon");
        one.now = Instant(one.now.0 + 1);
        one.engine.handle(one.now, Input::Timeout, &mut quorumark_consensus::Outbox::new());
    }
}

#[test]
fn one_status_causes_no_more_than_two_batches_of_bytes() {
    let mut one = One::new(4, 0, |config| config.batch_size_max = 1);
    let operation = vec![7; 1 << 20];
    for timestamp in 1..=32 {
        let request = Message::Request(one.keys.request(0, timestamp, &operation));
        let mut verifier = one.keys.verifier(ClientAuth::Signature);
        let verified = receive(&mut verifier, &request).unwrap();
        let outputs = one.input(Input::Message(verified));
        one.settle(outputs);
    }
    one.now = Instant(4 * SECOND);
    let outputs = one.hear(status(3, 1, 0, 0));
    let bytes = outputs.iter().map(|output| match output {
        Output::Relay { message, .. } => message.to_frame().len(),
        _ => 0,
    });
    let bytes = bytes.sum::<usize>();
    assert!(((1 << 20)..(9 << 20)).contains(&bytes), "{bytes} bytes for one status");
}

#[test]
fn a_proposal_that_arrived_early_is_not_asked_for() {
    let mut one = One::new(4, 1, |config| {
        config.window = 4;
        config.checkpoint_interval = 2;
    });
    let (proposal, _) = pre_prepare(&mut one, 5, 5);
    one.hear(proposal);
    one.now = Instant(4 * SECOND);
    let outputs = one.input(Input::Timeout);
    let Output::Say { message: Message::Status(said), .. } = &outputs[0] else { panic!() };
    assert!(said.body.slots[4].pre_prepared && !said.body.slots[3].pre_prepared);
}

#[test]
fn after_a_pause_of_its_own_a_replica_hears_what_came_before_it_asks() {
    let mut one = One::new(4, 1, |_| {});
    one.now = Instant(4 * SECOND);
    for seq in 1..=2 {
        let (proposal, _) = pre_prepare(&mut one, seq, seq);
        let outputs = one.hear(proposal);
        assert!(
            matches!(&outputs[..], [Output::Say { message: Message::Prepare(_), .. }]),
            "it prepares {seq} and asks for nothing: {outputs:?}"
        );
    }
    let outputs = one.input(Input::Timeout);
    let Output::Say { message: Message::Status(said), .. } = &outputs[0] else { panic!() };
    assert!(said.body.slots.iter().all(|slot| slot.pre_prepared), "both were heard");
}

#[test]
fn what_was_said_just_now_is_not_said_again() {
    let mut one = One::new(4, 0, |config| config.batch_size_max = 1);
    one.hear(prepare(1, Digest([9; 32]), 3));
    one.now = Instant(4 * SECOND);
    let outputs = one.ask(0, 1);
    one.settle(outputs);
    assert_eq!(relayed(&one.hear(status(1, 1, 0, 0))), [""; 0]);
    one.now = Instant(8 * SECOND);
    assert_eq!(relayed(&one.hear(status(1, 2, 0, 0))), ["pre-prepare"]);
}

#[test]
fn no_client_takes_the_whole_queue() {
    let mut one = One::new(4, 0, |config| {
        config.pending_max = 2000;
        config.window = 2;
        config.checkpoint_interval = 1;
        config.client_window = 100;
    });
    (1..=300).for_each(|timestamp| drop(one.ask(0, timestamp)));
    let refused = one.engine.counters().requests_refused;
    assert_eq!(refused, 200);
    one.ask(1, 1);
    assert_eq!(one.engine.counters().requests_refused, refused);
}

#[test]
fn a_replica_whose_state_a_quorum_contradicts_counts_it() {
    let (mut one, _) = with_checkpoint(4);
    for replica in [0, 2, 3] {
        one.hear(checkpoint(2, Digest([8; 32]), replica));
    }
    assert_eq!(one.engine.counters().checkpoints_diverged, 1);
    assert_eq!(one.engine.stable(), Seq(0));
}

#[test]
fn an_early_lie_does_not_void_a_later_certificate() {
    let (mut one, state) = with_checkpoint(7);
    for replica in [5, 6] {
        one.hear(checkpoint(2, Digest([1; 32]), replica));
    }
    for replica in [0, 2, 3, 5, 6] {
        one.hear(checkpoint(2, state, replica));
    }
    assert_eq!(one.engine.stable(), Seq(2), "own, 0, 2, 3 and the truth of 5 are a quorum");
    assert_eq!(one.engine.counters().evidence_found, 1);
}

#[test]
fn an_own_vote_sealed_late_is_kept_for_peers_that_lack_it() {
    let mut one = One::new(4, 1, |config| {
        config.window = 4;
        config.checkpoint_interval = 1;
    });
    let (proposal, digest) = pre_prepare(&mut one, 1, 1);
    let mut outputs = one.hear(proposal);
    for replica in 1..4 {
        outputs.extend(one.hear(prepare(1, digest, replica)));
    }
    for replica in [0, 2, 3] {
        outputs.extend(one.hear(commit(1, digest, replica)));
    }
    let (mut own_commit, mut state) = (None, None);
    for output in outputs {
        match output {
            Output::Say { message: message @ Message::Commit(_), .. } => own_commit = Some(message),
            Output::Execute(execution) => {
                let executed = run_batch(&mut Digest::ZERO.clone(), &execution);
                for output in one.input(Input::Executed(executed)) {
                    if let Output::Say { message: Message::Checkpoint(signed), .. } = output {
                        state = Some(signed.body.state);
                    }
                }
            }
            _ => {}
        }
    }
    for replica in [0, 2, 3] {
        one.hear(checkpoint(1, state.unwrap(), replica));
    }
    assert_eq!(one.engine.stable(), Seq(1), "stable before its own commit was sealed");
    one.hear(own_commit.unwrap());
    one.now = Instant(4 * SECOND);
    assert!(relayed(&one.hear(status(3, 1, 0, 0))).contains(&"commit"));
}

#[test]
fn a_peer_whose_clock_began_again_is_answered_once_nothing_newer_was_heard_for_a_while() {
    let mut one = One::new(4, 1, |_| {});
    commit_at(&mut one, 1, 1);
    let interval = 3 * SECOND;
    let mut answered = |at: u64, round: u64| {
        one.now = Instant(at);
        !relayed(&one.hear(status(3, round, 0, 0))).is_empty()
    };
    let begin = 4 * SECOND;
    assert!(answered(begin, 1 << 40));
    assert!(!answered(begin + interval, 7), "a round that falls may be a replay");
    assert!(!answered(begin + 32 * interval - 1, 8));
    assert!(answered(begin + 32 * interval, 9), "nothing newer for 32 intervals");
    assert!(answered(begin + 33 * interval, 10), "from then on its rounds rise again");
}
