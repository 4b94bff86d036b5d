//! The gate before an engine: whatever a message claims is checked, each signature of it.

use std::sync::Arc;

use quorumark_consensus::pbft::{Checkpoint, Message};
use quorumark_consensus::{
    Batch, ClientProof, Engine, Input, Output, ReplicaId, Seq, SignedRequest,
};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::mac::{Authenticator, Tag};
use quorumark_primitives::signed::{ClientAuth, Refusal, Signed};

use crate::agreement::{commit, pre_prepare, prepare};
use crate::lab::{One, judge};

/// One sealed message of every kind that a replica signs.
fn sealed(one: &mut One) -> Vec<Message> {
    let (proposal, digest) = pre_prepare(one, 1, 1);
    let body = Checkpoint { seq: Seq(64), state: Digest([4; 32]), replica: ReplicaId(3) };
    let checkpoint = Message::Checkpoint(Signed::blank(body));
    let mut messages = vec![proposal, prepare(1, digest, 2), commit(1, digest, 3), checkpoint];
    one.now = one.engine.next_timeout().expect("the status timeout is always set");
    messages.extend(one.input(Input::Timeout).into_iter().map(|output| match output {
        Output::Say { message, .. } => message,
        other => panic!("{other:?}"),
    }));
    messages.into_iter().map(|message| one.keys.seal(message).into_inner()).collect()
}

fn signature_of(message: &mut Message) -> &mut Signature {
    match message {
        Message::PrePrepare(signed, _) => &mut signed.signature,
        Message::Prepare(signed) => &mut signed.signature,
        Message::Commit(signed) => &mut signed.signature,
        Message::Checkpoint(signed) => &mut signed.signature,
        Message::Status(signed) => &mut signed.signature,
        other => panic!("{} has a test of its own, or a client signs it", other.kind()),
    }
}

fn refusal(one: &One, message: &Message) -> Option<Refusal> {
    judge(&mut one.keys.verifier(ClientAuth::Signature), message).err()
}

#[test]
fn a_flipped_bit_in_the_signature_of_any_kind_of_message_is_refused() {
    let mut one = One::new(4, 1, |_| {});
    let messages = sealed(&mut one);
    let kinds: Vec<_> = messages.iter().map(Message::kind).collect();
    assert_eq!(kinds, ["pre-prepare", "prepare", "commit", "checkpoint", "status"]);
    for mut message in messages {
        assert_eq!(refusal(&one, &message), None, "{}", message.kind());
        for byte in [0, 31, 32, 62] {
            signature_of(&mut message).0[byte] ^= 1;
            let kind = message.kind();
            assert_eq!(refusal(&one, &message), Some(Refusal::Signature), "{kind}, byte {byte}");
            signature_of(&mut message).0[byte] ^= 1;
        }
    }
}

#[test]
fn a_signature_of_one_kind_of_message_stands_for_no_other_kind() {
    let mut one = One::new(4, 1, |_| {});
    let digest = Digest([6; 32]);
    let mut prepared = one.keys.seal(prepare(1, digest, 2)).into_inner();
    let mut committed = commit(1, digest, 2);
    *signature_of(&mut committed) = *signature_of(&mut prepared);
    assert_eq!(refusal(&one, &committed), Some(Refusal::Signature));
}

/// A sealed pre-prepare of requests by four clients, the `nth` of which `spoil` has changed.
fn proposal_of(
    one: &mut One,
    nth: usize,
    spoil: impl Fn(SignedRequest) -> SignedRequest,
) -> Message {
    let mut requests: Vec<_> = (0..4).map(|client| one.keys.request(client, 1, b"op")).collect();
    requests[nth] = spoil(requests[nth].clone());
    let batch = Arc::new(Batch::new(requests));
    let (Message::PrePrepare(mut signed, _), _) = pre_prepare(one, 1, 1) else { unreachable!() };
    signed.body.digest = batch.digest();
    one.keys.seal(Message::PrePrepare(signed, batch)).into_inner()
}

#[test]
fn a_flipped_bit_in_the_signature_of_any_request_of_a_proposal_is_refused() {
    let mut one = One::new(4, 1, |_| {});
    let flip = |request: SignedRequest| {
        let ClientProof::Signature(mut signature) = request.proof() else { unreachable!() };
        signature.0[5] ^= 8;
        SignedRequest::new(request.request(), ClientProof::Signature(signature))
    };
    for nth in 0..4 {
        let good = proposal_of(&mut one, nth, |request| request);
        assert_eq!(refusal(&one, &good), None);
        let bad = proposal_of(&mut one, nth, flip);
        assert_eq!(refusal(&one, &bad), Some(Refusal::Signature), "request {nth}");
        // The batch's digest binds no proofs: it is the gate alone that tells the two apart.
        let digest = |message: &Message| match message {
            Message::PrePrepare(signed, _) => signed.body.digest,
            other => panic!("{other:?}"),
        };
        assert_eq!(digest(&good), digest(&bad));
    }
}

#[test]
fn a_request_that_shows_nothing_is_refused_where_clients_sign() {
    let mut one = One::new(4, 1, |_| {});
    let strip = |request: SignedRequest| SignedRequest::new(request.request(), ClientProof::None);
    let bad = proposal_of(&mut one, 2, strip);
    assert_eq!(refusal(&one, &bad), Some(Refusal::ClientAuth));
    for bare in [Message::Request, Message::Read] {
        let bare = bare(strip(one.keys.request(0, 1, b"op")));
        assert_eq!(refusal(&one, &bare), Some(Refusal::ClientAuth));
    }
}

#[test]
fn a_bare_request_with_a_bad_mac_for_this_replica_is_refused_and_by_no_other_replica() {
    let one = One::new(4, 1, |_| {});
    let good = one.keys.mac_request(1, 4);
    let ClientProof::Mac(authenticator) = &good.proof() else { unreachable!() };
    for spoiled in 0..4u16 {
        let tags = (0..4).map(|replica| match authenticator.tag(replica) {
            Some(tag) if replica != spoiled => *tag,
            _ => Tag([0; 16]),
        });
        let proof = ClientProof::Mac(Authenticator::new(tags.collect()));
        let bad = Message::Request(SignedRequest::new(good.request(), proof));
        for replica in 0..4 {
            let mut verifier = one.keys.verifier(one.keys.macs(replica));
            assert!(judge(&mut verifier, &Message::Request(good.clone())).is_ok());
            let expected = (replica == spoiled).then_some(Refusal::Mac);
            assert_eq!(judge(&mut verifier, &bad).err(), expected, "replica {replica}");
        }
    }
}

#[test]
fn a_proposal_of_requests_with_good_macs_is_prepared_at_once() {
    let mut one = One::new(4, 1, |_| {});
    let batch = Arc::new(Batch::new(vec![one.keys.mac_request(1, 4)]));
    let (Message::PrePrepare(mut signed, _), _) = pre_prepare(&mut one, 1, 1) else {
        unreachable!()
    };
    signed.body.digest = batch.digest();
    let proposal = one.keys.seal(Message::PrePrepare(signed, batch)).into_inner();
    let mut verifier = one.keys.verifier(one.keys.macs(1));
    let verified = judge(&mut verifier, &proposal).expect("every claim holds");
    let outputs = one.input(Input::Message(verified));
    assert!(matches!(&outputs[..], [Output::Say { message: Message::Prepare(_), .. }]));
}

#[test]
fn a_statement_of_who_is_no_member_is_improper_and_counts_for_nothing() {
    let mut one = One::new(4, 1, |_| {});
    // The directory knows a fifth key, as when a committee of five runs beside.
    one.keys = crate::lab::Keys::new(5);
    let (proposal, digest) = pre_prepare(&mut one, 1, 1);
    one.hear(proposal);
    let Message::PrePrepare(mut foreign, batch) = pre_prepare(&mut one, 2, 2).0 else {
        unreachable!()
    };
    foreign.body.replica = ReplicaId(4);
    let body = Checkpoint { seq: Seq(64), state: Digest([4; 32]), replica: ReplicaId(4) };
    let strangers = [
        Message::PrePrepare(foreign, batch),
        prepare(1, digest, 4),
        commit(1, digest, 4),
        Message::Checkpoint(Signed::blank(body)),
    ];
    for (before, message) in strangers.into_iter().enumerate() {
        let kind = message.kind();
        assert!(one.hear(message).is_empty(), "{kind}");
        assert_eq!(one.engine.counters().messages_improper, before as u64 + 1, "{kind}");
    }
    assert!(one.hear(prepare(1, digest, 1)).is_empty(), "one prepare, of quorum - 1 = 2");
    assert_eq!(one.hear(prepare(1, digest, 2)).len(), 1, "the members' prepares count");
}
