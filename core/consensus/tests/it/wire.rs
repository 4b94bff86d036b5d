//! The canonical encoding of every message, and what hostile bytes do.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use quorumark_consensus::pbft::{
    Checkpoint, CheckpointCertificate, Commit, CommitCertificate, FetchStatement, Heard, Message,
    NewView, NewViewBody, PROTOCOL, PrePrepare, Prepare, PreparedCertificate, SlotStatus,
    StatusStatement, ViewChange, ViewChangeBody, ViewPhase, Voucher,
};
use quorumark_consensus::{
    Batch, ClientId, ClientProof, ReplicaId, Reply, Request, Seq, SignedRequest, Timestamp, View,
};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::mac::{Authenticator, Tag};
use quorumark_primitives::signed::{Context, Sealer, Signed, Signer};
use quorumark_primitives::wire::{Decode, Encode};

const CONTEXT: Context = Context { cluster: 7, protocol: PROTOCOL };

fn signature() -> impl Strategy<Value = Signature> {
    any::<[u8; 32]>().prop_map(|half| {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&half);
        Signature(bytes)
    })
}

fn proof() -> impl Strategy<Value = ClientProof> {
    let tags = proptest::collection::vec(any::<[u8; 16]>().prop_map(Tag), 0..9);
    prop_oneof![
        Just(ClientProof::None),
        signature().prop_map(ClientProof::Signature),
        tags.prop_map(|tags| ClientProof::Mac(Authenticator::new(tags))),
    ]
}

fn request() -> impl Strategy<Value = SignedRequest> {
    let operation = proptest::collection::vec(any::<u8>(), 0..40);
    (any::<u32>(), any::<u64>(), operation, proof()).prop_map(
        |(client, timestamp, operation, proof)| {
            let request = Request {
                client: ClientId(client),
                timestamp: Timestamp(timestamp),
                operation: Bytes::from(operation),
            };
            SignedRequest::new(request, proof)
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let numbers = (any::<u64>(), any::<u64>(), any::<[u8; 32]>(), any::<u16>(), signature());
    let requests = proptest::collection::vec(request(), 0..5);
    let slots = proptest::collection::vec(any::<[bool; 3]>(), 0..8);
    (numbers, requests, slots, 0..11u8).prop_map(
        |((view, seq, digest, replica, signature), requests, slots, kind)| {
            let (view, seq) = (View(view), Seq(seq));
            let (digest, replica) = (Digest(digest), ReplicaId(replica));
            match kind {
                0 => Message::Request(requests.into_iter().next().unwrap_or_else(|| {
                    let operation = Bytes::new();
                    let (client, timestamp) = (ClientId(0), Timestamp(0));
                    let request = Request { client, timestamp, operation };
                    SignedRequest::new(request, ClientProof::None)
                })),
                1 => {
                    let body = PrePrepare { view, seq, digest, replica };
                    Message::PrePrepare(
                        Box::new(Signed { body, signature }),
                        Arc::new(Batch::new(requests)),
                    )
                }
                2 => {
                    let body = Prepare { view, seq, digest, replica };
                    Message::Prepare(Signed { body, signature })
                }
                3 => {
                    let body = Commit { view, seq, digest, replica };
                    Message::Commit(Signed { body, signature })
                }
                4 => {
                    let body = Checkpoint { seq, state: digest, replica };
                    Message::Checkpoint(Signed { body, signature })
                }
                5 => {
                    let slots = slots.into_iter().map(|[pre_prepared, prepared, committed]| {
                        SlotStatus { pre_prepared, prepared, committed }
                    });
                    let slots = slots.collect();
                    let body = StatusStatement {
                        round: seq.0,
                        attempt: 3,
                        view,
                        phase: [
                            ViewPhase::Changing,
                            ViewPhase::Opened,
                            ViewPhase::Active,
                            ViewPhase::Rejoining,
                        ][usize::from(replica.0) % 4],
                        view_changes: vec![replica; usize::from(replica.0) % 5],
                        stable: seq,
                        executed: seq,
                        slots,
                        answers: (seq.0 % 2 == 0).then_some(Heard { replica, round: view.0 }),
                        replica,
                    };
                    Message::Status(Box::new(Signed { body, signature }))
                }
                6 => {
                    let view_change = view_change(view, seq, digest, replica, signature);
                    Message::ViewChange(Arc::new(view_change))
                }
                7 => {
                    let view_changes = vec![view_change(view, seq, digest, replica, signature); 3];
                    let body = PrePrepare { view, seq, digest, replica };
                    let pre_prepares = vec![Signed { body, signature }; slots.len()];
                    let body = NewViewBody { view, view_changes, pre_prepares, replica };
                    Message::NewView(Arc::new(NewView::blank(body)))
                }
                8 => {
                    let digests = vec![digest; slots.len()];
                    let body = FetchStatement { round: seq.0, digests, replica };
                    Message::Fetch(Signed { body, signature })
                }
                9 => Message::Body(Arc::new(Batch::new(requests))),
                _ => {
                    let commits = vec![Voucher { replica, signature }; slots.len()];
                    let certificate = CommitCertificate { view, seq, digest, commits };
                    Message::Committed(Arc::new(certificate), Arc::new(Batch::new(requests)))
                }
            }
        },
    )
}

fn view_change(
    view: View,
    seq: Seq,
    digest: Digest,
    replica: ReplicaId,
    signature: Signature,
) -> ViewChange {
    let votes = vec![Voucher { replica, signature }; usize::from(replica.0) % 4];
    let checkpoint = CheckpointCertificate { seq, state: digest, votes: votes.clone() };
    let pre_prepare = Signed { body: PrePrepare { view, seq, digest, replica }, signature };
    let prepared = vec![PreparedCertificate { pre_prepare, prepares: votes }; 2];
    ViewChange::blank(ViewChangeBody { view, checkpoint, prepared, replica })
}

proptest! {
    #[test]
    fn every_message_decodes_to_itself_and_no_longer_or_shorter_frame_does(
        message in message(),
        extra in any::<u8>(),
    ) {
        let frame = message.to_frame();
        prop_assert_eq!(&Message::from_frame(&frame).unwrap(), &message);
        prop_assert!(Message::from_frame(&frame.slice(..frame.len() - 1)).is_err());
        let mut longer = frame.to_vec();
        longer.push(extra);
        prop_assert!(Message::from_frame(&Bytes::from(longer)).is_err());
    }

    #[test]
    fn frames_that_are_decoded_together_give_what_each_gives_alone(
        messages in proptest::collection::vec((message(), 0..9u8), 0..20),
        requests in proptest::collection::vec((request(), 0..9u8), 0..80),
    ) {
        let requests = requests.into_iter().map(|(request, cut)| {
            (if cut % 2 == 0 { Message::Request(request) } else { Message::Read(request) }, cut)
        });
        // One in nine is cut short.
        let cut = |(message, cut): (Message, u8)| {
            let frame = message.to_frame();
            frame.slice(..frame.len() - usize::from(cut == 0))
        };
        let mut frames: Vec<Bytes> = messages.into_iter().chain(requests).map(cut).collect();
        let middle = frames.len() / 2;
        frames.rotate_left(middle);
        let alone: Vec<Message> =
            frames.iter().filter_map(|frame| Message::from_frame(frame).ok()).collect();
        let mut together = Vec::new();
        let count = frames.len();
        let refused = Message::decode_each(frames.into_iter(), &mut together);
        prop_assert_eq!(refused, count - alone.len());
        prop_assert_eq!(together, alone);
    }

    #[test]
    fn a_request_that_is_a_view_of_its_encoding_says_what_it_was_made_of(
        client: u32,
        timestamp: u64,
        operation in proptest::collection::vec(any::<u8>(), 0..80),
        proof in proof(),
    ) {
        let (client, timestamp) = (ClientId(client), Timestamp(timestamp));
        let request = Request { client, timestamp, operation: operation.into() };
        let signed = SignedRequest::new(request.clone(), proof.clone());
        let frame = signed.to_frame();
        prop_assert_eq!(signed.size(), frame.len());
        let read = [
            signed,
            SignedRequest::from_frame(&frame).unwrap(),
            SignedRequest::from_slice(&frame).unwrap(),
        ];
        for signed in read {
            prop_assert_eq!((signed.client(), signed.timestamp()), (client, timestamp));
            prop_assert_eq!(signed.operation(), &request.operation[..]);
            prop_assert_eq!(signed.proof(), proof.clone());
            prop_assert_eq!(signed.digest(), request.digest());
            prop_assert_eq!(signed.request(), request.clone());
        }
    }

    #[test]
    fn a_batch_of_any_size_decodes_to_itself_with_the_digests_of_its_requests(
        requests in proptest::collection::vec(request(), 0..100),
    ) {
        let batch = Batch::new(requests);
        prop_assert_eq!(&Batch::from_frame(&batch.to_frame()).unwrap(), &batch);
    }

    #[test]
    fn a_proposal_that_was_sealed_lives_in_its_own_frame_and_says_what_it_said(
        requests in proptest::collection::vec(request(), 1..40),
    ) {
        let batch = Batch::new(requests);
        let (view, seq, replica) = (View(1), Seq(2), ReplicaId(0));
        let body = PrePrepare { view, seq, digest: batch.digest(), replica };
        let say = |batch| Message::PrePrepare(Box::new(Signed::blank(body)), Arc::new(batch));
        let mut sealer = Sealer::stand_in(CONTEXT, Signer::Replica(0), &[7; 32]);
        let expected = sealer.seal_own(say(batch.clone()));
        let (sealed, frame) = sealer.seal_own_frame(say(batch), &mut vec![1, 2, 3]);
        prop_assert_eq!(&sealed, &expected);
        prop_assert_eq!(&frame, &expected.to_frame());
        let Message::PrePrepare(_, batch) = sealed.get() else { unreachable!("it was made above") };
        for request in batch.requests() {
            prop_assert!(frame.as_ptr_range().contains(&request.operation().as_ptr_range().start));
        }
    }

    #[test]
    fn a_proposal_that_somebody_else_holds_stays_where_it_is(request in request()) {
        let batch = Arc::new(Batch::new(vec![request]));
        let (view, seq, replica) = (View(1), Seq(2), ReplicaId(0));
        let body = PrePrepare { view, seq, digest: batch.digest(), replica };
        let said = Message::PrePrepare(Box::new(Signed::blank(body)), Arc::clone(&batch));
        let mut sealer = Sealer::stand_in(CONTEXT, Signer::Replica(0), &[7; 32]);
        let (sealed, frame) = sealer.seal_own_frame(said, &mut Vec::new());
        prop_assert_eq!(&Message::from_frame(&frame).unwrap(), sealed.get());
        let Message::PrePrepare(_, sealed) = sealed.get() else { unreachable!("it was made above") };
        prop_assert!(Arc::ptr_eq(sealed, &batch));
    }

    #[test]
    fn a_frame_that_decodes_is_the_canonical_one(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        tag in 0..11u8,
    ) {
        let mut bytes = bytes;
        bytes.insert(0, tag);
        let frame = Bytes::from(bytes);
        let alone = Message::from_frame(&frame).ok();
        if let Some(message) = &alone {
            prop_assert_eq!(message.to_frame(), frame.clone());
        }
        let mut among_others = Vec::new();
        Message::decode_each([frame].into_iter(), &mut among_others);
        prop_assert_eq!(among_others, Vec::from_iter(alone));
    }

    #[test]
    fn a_changed_byte_never_panics_and_never_decodes_to_the_same_message(
        message in message(),
        place in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let mut bytes = message.to_frame().to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        if let Ok(changed) = Message::from_frame(&Bytes::from(bytes)) {
            prop_assert_ne!(changed, message);
        }
    }
}

#[test]
fn a_reply_decodes_to_itself() {
    let reply = Reply {
        view: View(1),
        seq: Seq(2),
        timestamp: Timestamp(3),
        client: ClientId(4),
        replica: ReplicaId(5),
        result: Bytes::from_static(b"result"),
        tentative: true,
    };
    assert_eq!(Reply::from_frame(&reply.to_frame()), Ok(reply));
}

#[test]
fn the_digest_of_a_batch_binds_its_requests_and_their_order() {
    let request = |timestamp| {
        let request = Request {
            client: ClientId(1),
            timestamp: Timestamp(timestamp),
            operation: Bytes::from_static(b"op"),
        };
        SignedRequest::new(request, ClientProof::None)
    };
    let digest = |timestamps: &[u64]| {
        Batch::new(timestamps.iter().map(|timestamp| request(*timestamp)).collect()).digest()
    };
    assert_eq!(digest(&[1, 2]), digest(&[1, 2]));
    assert_ne!(digest(&[1, 2]), digest(&[2, 1]));
    assert_ne!(digest(&[1, 2]), digest(&[1, 2, 2]));
}
