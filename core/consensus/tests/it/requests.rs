//! PBFT 4.1: clients, exactly-once execution, forwarding; and who vouches for a request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorumark_consensus::pbft::{Message, PrePrepare};
use quorumark_consensus::{
    Batch, ClientId, ClientProof, Engine, Input, Output, Recipients, ReplicaId, Request, Seq,
    SignedRequest, Timestamp, View,
};
use quorumark_primitives::Digest;
use quorumark_primitives::mac::{Authenticator, Tag};
use quorumark_primitives::signed::Signed;
use quorumark_primitives::wire::{Decode, Encode};

use crate::agreement::{commit_at, prepare};
use crate::lab::{One, run_batch};

#[test]
fn pbft_4_1_a_backup_forwards_a_request_to_the_primary() {
    let mut one = One::new(4, 2, |_| {});
    let outputs = one.ask(0, 1);
    assert!(matches!(
        &outputs[..],
        [Output::Relay { to: Recipients::One(ReplicaId(0)), message: Message::Request(_), .. }]
    ));
}

#[test]
fn pbft_4_1_where_clients_send_to_all_a_backup_relays_what_is_repeated_or_waits() {
    let set = |config: &mut quorumark_consensus::pbft::Config| config.clients_send_to_all = true;
    let relays = |outputs: &[Output<Message>]| {
        let to_primary = |output: &&Output<Message>| {
            let to = Recipients::One(ReplicaId(0));
            matches!(output, Output::Relay { to: said, message: Message::Request(_), .. }
                if *said == to)
        };
        outputs.iter().filter(to_primary).count()
    };
    let mut one = One::new(4, 2, set);
    assert!(one.ask(0, 1).is_empty(), "the primary has it as soon");
    assert_eq!(relays(&one.ask(0, 1)), 1, "its client lost patience");
    let mut one = One::new(4, 2, set);
    one.ask(0, 1);
    // A quarter of the timeout.
    one.now = one.now + Duration::from_millis(5_000 / 4);
    assert!(one.engine.next_timeout().is_some_and(|due| due <= one.now));
    assert_eq!(relays(&one.input(Input::Timeout)), 1);
    assert_eq!(one.engine.counters().timeouts, 0);
}

#[test]
fn pbft_4_1_a_repeat_of_an_executed_request_gets_the_same_reply_and_runs_once() {
    let mut one = One::new(4, 1, |_| {});
    let mut state = Digest::ZERO;
    let mut first = None;
    for output in commit_at(&mut one, 1, 7) {
        if let Output::Execute(execution) = output {
            for output in one.input(Input::Executed(run_batch(&mut state, &execution))) {
                if let Output::Reply { replies, .. } = output {
                    first = Some(replies[0].clone());
                }
            }
        }
    }
    let outputs = one.ask(0, 7);
    let [Output::Reply { replies: again, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(again[0], first.expect("the execution was answered"));
    // Ordered a second time, by a primary that wants it to run twice: it does not.
    let fresh: Vec<_> = commit_at(&mut one, 2, 7)
        .into_iter()
        .filter_map(|output| match output {
            Output::Execute(execution) => Some(execution.fresh),
            _ => None,
        })
        .collect();
    assert_eq!(fresh, [Vec::<u32>::new()]);
    assert_eq!(one.engine.counters().repeats_skipped, 1);
}

#[test]
fn a_request_that_waits_or_is_ordered_is_not_ordered_again() {
    let mut one = One::new(4, 0, |config| config.batch_size_max = 2);
    one.ask(0, 1);
    assert!(one.ask(0, 1).is_empty());
    assert_eq!(one.engine.waiting(), 1);
    assert_eq!(one.ask(0, 2).len(), 1, "one batch of two");
    assert!(one.ask(0, 1).is_empty() && one.ask(0, 2).is_empty());
    assert_eq!(one.engine.waiting(), 0);
}

#[test]
fn above_pending_max_requests_are_refused_and_counted() {
    let mut one = One::new(4, 0, |config| config.pending_max = 3);
    for timestamp in 1..=5 {
        one.ask(0, timestamp);
    }
    assert_eq!((one.engine.waiting(), one.engine.counters().requests_refused), (3, 2));
}

#[test]
fn the_digest_of_a_request_binds_its_client_its_timestamp_and_its_operation() {
    let digest = |client, timestamp, operation: &'static [u8]| {
        let (client, timestamp) = (ClientId(client), Timestamp(timestamp));
        Request { client, timestamp, operation: Bytes::from_static(operation) }.digest()
    };
    let base = digest(1, 2, b"op");
    assert_eq!(digest(1, 2, b"op"), base);
    for (other, field) in [
        (digest(3, 2, b"op"), "client"),
        (digest(1 << 24, 2, b"op"), "client"),
        (digest(1, 3, b"op"), "timestamp"),
        (digest(1, 2 | 1 << 56, b"op"), "timestamp"),
        (digest(1, 2, b"oq"), "operation"),
        (digest(1, 2, b"op\0"), "operation"),
        (digest(1, 2, b""), "operation"),
    ] {
        assert_ne!(other, base, "{field}");
    }
}

/// A proposal whose one request has a MAC entry that is bad for the replica that hears it.
fn doubtful_proposal(one: &mut One) -> (Message, Digest) {
    let request = Request {
        client: ClientId(0),
        timestamp: Timestamp(1),
        operation: Bytes::from_static(b"op"),
    };
    let tags = one.committee.members().map(|_| Tag([0; 16])).collect();
    let authenticator = Authenticator::new(tags);
    let request = SignedRequest::new(request, ClientProof::Mac(authenticator));
    let batch = Arc::new(Batch::new(vec![request]));
    let digest = batch.digest();
    let body = PrePrepare { view: View(0), seq: Seq(1), digest, replica: ReplicaId(0) };
    let mut message = Message::PrePrepare(Box::new(Signed::blank(body)), batch);
    let sealed = one.keys.seal(message.clone());
    message = Message::from_frame(&sealed.get().to_frame()).unwrap();
    (message, digest)
}

#[test]
fn under_macs_a_request_with_a_bad_entry_needs_f_plus_1_replicas_that_vouch() {
    for n in 4..=10 {
        let mut one = One::new(n, 1, |_| {});
        let (proposal, digest) = doubtful_proposal(&mut one);
        let mut verifier = one.keys.verifier(one.keys.macs(1));
        let mut verified = None;
        verifier.verify(&mut vec![proposal], |verdict| verified = verdict.ok());
        let verified = verified.expect("a bad entry alone does not refuse the proposal");
        assert!(one.input(Input::Message(verified)).is_empty(), "n = {n}: not vouched for yet");
        // The primary vouches by its proposal; each prepare of a backup is one more.
        for vouchers in 2..=one.committee.weak_quorum() {
            let outputs = one.hear(prepare(1, digest, vouchers));
            let prepares = outputs.iter().filter(|output| {
                matches!(output, Output::Say { message: Message::Prepare(_), .. })
            });
            let enough = vouchers == one.committee.weak_quorum();
            assert_eq!(prepares.count(), usize::from(enough), "n = {n}, {vouchers} vouchers");
        }
    }
}
