//! What a replica keeps is bounded, and what it has used up serves again, as if new.

use std::sync::Arc;
use std::time::Duration;

use quorumark_consensus::pbft::{Message, PrePrepare};
use quorumark_consensus::{
    Batch, ClientProof, Engine, Input, Output, ReplicaId, Seq, SignedRequest, View,
};
use quorumark_primitives::Digest;
use quorumark_primitives::mac::{Authenticator, Tag};
use quorumark_primitives::signed::Signed;

use crate::agreement::{commit, commit_at, executes, pre_prepare, prepare, says};
use crate::checkpoints::{checkpoint, executions, said_state};
use crate::lab::{CLIENTS, Lab, Network, One, judge, run_batch};

const WINDOW: u64 = 4;

/// Takes a backup of four through one sequence number and asks after every message that it does
/// what it did at the first one, no sooner and no later.
fn watch_one_sequence(one: &mut One, state: &mut Digest, seq: u64) {
    let (proposal, digest) = pre_prepare(one, seq, seq);
    let outputs = one.hear(proposal);
    assert_eq!((outputs.len(), says(&outputs, "prepare")), (1, 1), "{seq}: {outputs:?}");
    assert!(one.hear(prepare(seq, digest, 1)).is_empty(), "{seq}: one prepare is not enough");
    let outputs = one.hear(prepare(seq, digest, 2));
    assert_eq!((outputs.len(), says(&outputs, "commit")), (1, 1), "{seq}: {outputs:?}");
    assert!(one.hear(prepare(seq, digest, 3)).is_empty(), "{seq}: a late prepare");
    assert!(one.hear(commit(seq, digest, 0)).is_empty(), "{seq}: one commit");
    assert!(one.hear(commit(seq, digest, 1)).is_empty(), "{seq}: two commits");
    let outputs = one.hear(commit(seq, digest, 2));
    assert_eq!((outputs.len(), executes(&outputs)), (1, vec![seq]), "{outputs:?}");
    assert!(one.hear(commit(seq, digest, 3)).is_empty(), "{seq}: a late commit");
    let execution = &executions(outputs)[0];
    assert_eq!((execution.batch.digest(), &execution.fresh[..]), (digest, &[0][..]));
    let outputs = one.input(Input::Executed(run_batch(state, execution)));
    if let Some(said) = said_state(&outputs) {
        (0..3).for_each(|replica| drop(one.hear(checkpoint(seq, said, replica))));
        assert_eq!(one.engine.stable(), Seq(seq));
    }
}

#[test]
fn a_slot_that_is_used_again_knows_nothing_of_the_sequence_number_before() {
    let mut one = One::new(4, 1, |config| {
        config.window = WINDOW;
        config.checkpoint_interval = 2;
    });
    let mut state = Digest::ZERO;
    (1..=8 * WINDOW).for_each(|seq| watch_one_sequence(&mut one, &mut state, seq));
    let counters = one.engine.counters();
    assert_eq!((counters.evidence_found, counters.messages_out_of_reach), (0, 0));
    assert_eq!(counters.checkpoints_stable, 4 * WINDOW);
}

#[test]
fn a_slot_that_got_votes_only_is_used_again_as_if_new() {
    let mut one = One::new(4, 1, |config| {
        config.window = WINDOW;
        config.checkpoint_interval = 2;
    });
    let mut state = Digest::ZERO;
    for seq in 1..=8 * WINDOW {
        // Replica 3 lies about every sequence number; nobody's later vote may meet that one.
        let lie = Digest([seq as u8; 32]);
        let (proposal, digest) = pre_prepare(&mut one, seq, seq);
        let mut outputs = one.hear(prepare(seq, lie, 3));
        outputs.extend(one.hear(commit(seq, lie, 3)));
        assert!(outputs.is_empty(), "{seq}: {outputs:?}");
        outputs.extend(one.hear(proposal));
        for replica in 1..3 {
            outputs.extend(one.hear(prepare(seq, digest, replica)));
        }
        for replica in 0..3 {
            outputs.extend(one.hear(commit(seq, digest, replica)));
        }
        assert_eq!(executes(&outputs), [seq]);
        let execution = &executions(outputs)[0];
        let outputs = one.input(Input::Executed(run_batch(&mut state, execution)));
        if let Some(said) = said_state(&outputs) {
            (0..3).for_each(|replica| drop(one.hear(checkpoint(seq, said, replica))));
        }
    }
    assert_eq!(one.engine.counters().evidence_found, 0);
    assert_eq!(one.engine.executed(), Seq(8 * WINDOW));
}

#[test]
fn a_slot_that_is_used_again_takes_a_good_copy_of_a_doubtful_proposal() {
    let mut one = One::new(4, 1, |config| {
        config.window = WINDOW;
        config.checkpoint_interval = 2;
    });
    let mut state = Digest::ZERO;
    (1..=4 * WINDOW).for_each(|seq| watch_one_sequence(&mut one, &mut state, seq));
    let good = one.keys.mac_request(1, 4);
    let none = Authenticator::new(vec![Tag([0; 16]); 4]);
    let doubtful = SignedRequest::new(good.request(), ClientProof::Mac(none));
    let mut verifier = one.keys.verifier(one.keys.macs(1));
    for (request, prepares) in [(doubtful, 0), (good, 1)] {
        let batch = Arc::new(Batch::new(vec![request]));
        let (seq, digest) = (Seq(4 * WINDOW + 1), batch.digest());
        let body = PrePrepare { view: View(0), seq, digest, replica: ReplicaId(0) };
        let sealed = one.keys.seal(Message::PrePrepare(Box::new(Signed::blank(body)), batch));
        let verified = judge(&mut verifier, sealed.get()).expect("a proposal is kept, marked");
        let outputs = one.input(Input::Message(verified));
        assert_eq!(says(&outputs, "prepare"), prepares);
    }
}

#[test]
fn a_committee_runs_through_its_slots_many_times_over() {
    for n in [4, 7] {
        let mut lab = Lab::new(n, 11, Network::GOOD, |config| {
            config.batch_size_max = 1;
            config.window = WINDOW;
            config.checkpoint_interval = 2;
        });
        let waves = 5 * WINDOW / u64::from(CLIENTS) + 2;
        for timestamp in 1..=waves {
            (0..CLIENTS).for_each(|client| drop(lab.ask(client, timestamp, 0)));
            lab.run(Duration::from_millis(20));
        }
        lab.run_until_answered(20);
        lab.run(Duration::from_secs(2));
        lab.check_ledgers();
        for replica in 0..n {
            let asked = waves * u64::from(CLIENTS);
            assert_eq!(lab.ran(replica) as u64, asked, "n = {n}, replica {replica}");
            let executed = lab.engine(replica).executed();
            assert!(executed > Seq(5 * WINDOW), "n = {n}, replica {replica}: {executed}");
        }
    }
}

/// The primary's proposal, if it makes one: its sequence number and its batch.
fn proposal(outputs: &[Output<Message>]) -> Option<(u64, Arc<Batch>)> {
    outputs.iter().find_map(|output| match output {
        Output::Say { message: Message::PrePrepare(signed, batch), .. } => {
            Some((signed.body.seq.0, Arc::clone(batch)))
        }
        _ => None,
    })
}

/// Takes a primary of four through agreement on what it just proposed, and executes it.
fn carry_out(one: &mut One, state: &mut Digest, outputs: Vec<Output<Message>>) {
    let (seq, batch) = proposal(&outputs).expect("a proposal");
    one.settle(outputs);
    for replica in [1, 2] {
        let outputs = one.hear(prepare(seq, batch.digest(), replica));
        one.settle(outputs);
    }
    one.hear(commit(seq, batch.digest(), 1));
    let outputs = one.hear(commit(seq, batch.digest(), 2));
    let [execution] = &executions(outputs)[..] else { panic!("{seq} is executed") };
    one.input(Input::Executed(run_batch(state, execution)));
}

#[test]
fn a_client_may_ask_for_more_than_its_window_once_earlier_requests_are_executed() {
    let window = 4;
    let mut one = One::new(4, 0, |config| {
        config.batch_size_max = 1;
        config.client_window = window;
    });
    let mut state = Digest::ZERO;
    for timestamp in 1..=3 * window {
        let outputs = one.ask(0, timestamp);
        carry_out(&mut one, &mut state, outputs);
    }
    assert_eq!(one.engine.counters().requests_executed, 3 * window);
    for (stale, timestamp) in [1, 2 * window].into_iter().enumerate() {
        assert!(one.ask(0, timestamp).is_empty(), "{timestamp} has left the window");
        assert_eq!(one.engine.counters().requests_stale, stale as u64 + 1);
    }
    assert!(
        matches!(&one.ask(0, 2 * window + 1)[..], [Output::Reply { .. }]),
        "still in the window"
    );
    let outputs = one.ask(0, 3 * window + 1);
    assert!(proposal(&outputs).is_some(), "a new one is ordered");
    let counters = one.engine.counters();
    assert_eq!((counters.requests_refused, one.engine.waiting()), (0, 0));
}

#[test]
fn a_request_that_has_left_the_window_is_not_executed_when_it_is_ordered_again() {
    let mut one = One::new(4, 1, |config| config.client_window = 4);
    let mut state = Digest::ZERO;
    for (seq, timestamp, fresh) in
        [(1, 1, true), (2, 5, true), (3, 1, false), (4, 5, false), (5, 2, true), (6, 2, false)]
    {
        let outputs = commit_at(&mut one, seq, timestamp);
        let [execution] = &executions(outputs)[..] else { panic!("{seq} is executed") };
        assert_eq!(!execution.fresh.is_empty(), fresh, "timestamp {timestamp} at {seq}");
        one.input(Input::Executed(run_batch(&mut state, execution)));
    }
    assert_eq!(one.engine.counters().repeats_skipped, 3);
}

#[test]
fn one_client_cannot_take_the_whole_queue() {
    let mut one = One::new(4, 0, |config| config.client_window = 4);
    (1..=6).for_each(|timestamp| drop(one.ask(0, timestamp)));
    assert_eq!((one.engine.waiting(), one.engine.counters().requests_refused), (4, 2));
    one.ask(1, 1);
    assert_eq!((one.engine.waiting(), one.engine.counters().requests_refused), (5, 2));
}

#[test]
fn above_pending_bytes_max_requests_are_refused_until_a_batch_is_proposed() {
    let half = 1 << 20;
    let mut one = One::new(4, 0, |config| config.pending_bytes_max = 2 * half);
    for timestamp in 1..=4 {
        let bytes = if timestamp % 2 == 0 { 100 } else { half };
        let request = sized(&mut one, timestamp, bytes);
        assert!(one.receive(&Message::Request(request)).is_empty());
    }
    // 1 MiB, 100 bytes; another 1 MiB is too much, another 100 bytes are not.
    assert_eq!((one.engine.waiting(), one.engine.counters().requests_refused), (3, 1));
    one.now = one.now + Duration::from_secs(1);
    assert!(proposal(&one.input(Input::Timeout)).is_some());
    for timestamp in [5, 7] {
        let request = sized(&mut one, timestamp, half);
        one.receive(&Message::Request(request));
    }
    assert_eq!((one.engine.waiting(), one.engine.counters().requests_refused), (2, 1), "2 MiB");
}

const BYTES_MAX: usize = 1024;

/// A request that counts `bytes` towards a batch.
fn sized(one: &mut One, timestamp: u64, bytes: usize) -> SignedRequest {
    let empty = one.keys.request(0, timestamp, b"").size();
    let request = one.keys.request(0, timestamp, &vec![7; bytes - empty]);
    assert_eq!(request.size(), bytes);
    request
}

/// The sizes of two requests that make one batch, and of two that just do not.
const FITTING: [usize; 2] = [BYTES_MAX / 2, BYTES_MAX / 2];
const ONE_ABOVE: [usize; 2] = [BYTES_MAX / 2, BYTES_MAX / 2 + 1];

#[test]
fn the_primary_proposes_up_to_the_bytes_of_a_batch_and_a_larger_request_by_itself() {
    let proposed = |sizes: &[usize]| {
        let mut one = One::new(4, 0, |config| {
            config.batch_size_max = 2;
            config.batch_bytes_max = BYTES_MAX;
        });
        let mut batches = Vec::new();
        for (nth, bytes) in sizes.iter().enumerate() {
            let request = sized(&mut one, nth as u64 + 1, *bytes);
            batches.extend(proposal(&one.receive(&Message::Request(request))));
        }
        one.now = one.now + Duration::from_millis(1);
        batches.extend(proposal(&one.input(Input::Timeout)));
        assert_eq!(one.engine.waiting(), 0, "{sizes:?}");
        batches.iter().map(|(_, batch)| batch.requests().len()).collect::<Vec<_>>()
    };
    assert_eq!(proposed(&FITTING), [2]);
    assert_eq!(proposed(&ONE_ABOVE), [1, 1]);
    assert_eq!(proposed(&[BYTES_MAX + 1]), [1]);
    assert_eq!(proposed(&[BYTES_MAX + 1, 100]), [1, 1]);
    assert_eq!(proposed(&[100, BYTES_MAX + 1]), [1, 1]);
}

#[test]
fn a_backup_prepares_up_to_the_bytes_of_a_batch_and_a_larger_request_by_itself() {
    let prepared = |sizes: &[usize]| {
        let mut one = One::new(4, 1, |config| config.batch_bytes_max = BYTES_MAX);
        let requests = sizes.iter().enumerate();
        let requests = requests.map(|(nth, bytes)| sized(&mut one, nth as u64 + 1, *bytes));
        let batch = Arc::new(Batch::new(requests.collect()));
        let digest = batch.digest();
        let body = PrePrepare { view: View(0), seq: Seq(1), digest, replica: ReplicaId(0) };
        let outputs = one.hear(Message::PrePrepare(Box::new(Signed::blank(body)), batch));
        let prepared = says(&outputs, "prepare") == 1;
        assert_eq!(one.engine.counters().messages_improper, u64::from(!prepared));
        prepared
    };
    assert!(prepared(&FITTING));
    assert!(!prepared(&ONE_ABOVE));
    assert!(prepared(&[BYTES_MAX + 1]));
    assert!(!prepared(&[BYTES_MAX + 1, 100]));
}
