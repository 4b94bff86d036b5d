//! The trace: its hash, its lines.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use quorumark_consensus::types::{ClientId, Instant, ReplicaId, Seq, Timestamp, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_sim::trace::*;

#[test]
fn every_fact_reads_back_from_its_line_as_it_was_written() {
    let events = one_of_each();
    let mut writer = LineWriter::new(Vec::new(), true);
    events.iter().for_each(|event| writer.write(event).unwrap());
    let text = writer.finish().unwrap();
    let read: Vec<_> = LineReader::new(text.as_slice()).map(Result::unwrap).collect();
    let numbered: Vec<_> = (1..).zip(events).collect();
    assert_eq!(read, numbered);
}

#[test]
fn facts_of_the_network_can_be_left_out_and_keep_their_numbers() {
    let events = one_of_each();
    let mut writer = LineWriter::new(Vec::new(), false);
    events.iter().for_each(|event| writer.write(event).unwrap());
    let text = writer.finish().unwrap();
    let read: Vec<_> = LineReader::new(text.as_slice()).map(Result::unwrap).collect();
    let numbered = (1..).zip(events).filter(|(_, event)| !event.fact.is_network());
    assert_eq!(read, numbered.collect::<Vec<_>>());
    assert_eq!(read.len(), one_of_each().len() - 2);
}

#[test]
fn a_line_that_no_writer_makes_is_refused_with_its_place() {
    let good = r#"{"n":1,"at":5,"fact":{"rolled-back":{"replica":1,"to":2}}}"#;
    let bad = [
        ("{", "line 1: is not JSON"),
        ("[]", "line 1: : must be an object"),
        (r#"{"n":1,"at":5}"#, "line 1: fact: is missing"),
        (r#"{"n":0,"at":5,"fact":{"rolled-back":{"replica":1,"to":2}}}"#, "n must not fall"),
        (r#"{"n":1,"at":5,"fact":{}}"#, "fact: must name one fact"),
        (r#"{"n":1,"at":5,"fact":{"sung":{}}}"#, "fact.sung: is no fact"),
        (r#"{"n":1,"at":5,"more":1,"fact":{"rolled-back":{"replica":1,"to":2}}}"#, "more: is no"),
        (
            r#"{"n":1,"at":5,"fact":{"rolled-back":{"replica":70000,"to":2}}}"#,
            "fact.rolled-back.replica: must be a whole number of type u16",
        ),
        (
            r#"{"n":1,"at":5,"fact":{"rolled-back":{"replica":1,"to":2,"x":3}}}"#,
            "fact.rolled-back.x: is no field here",
        ),
    ];
    assert_eq!(LineReader::new(good.as_bytes()).filter(Result::is_ok).count(), 1);
    for (line, message) in bad {
        let error = LineReader::new(line.as_bytes()).next().unwrap().unwrap_err().to_string();
        assert!(error.contains(message), "{line}: {error}");
    }
    let falling = format!("{good}\n{}\n", good.replace(":5", ":4").replace("\"n\":1", "\"n\":2"));
    let second = LineReader::new(falling.as_bytes()).nth(1).unwrap().unwrap_err();
    assert_eq!(second.to_string(), "line 2: at must not fall");
}

#[test]
fn the_hash_of_a_trace_depends_on_each_event_and_their_order_and_not_on_its_buffer() {
    let events = one_of_each();
    let whole = hash(&events);
    assert_eq!(whole, hash(&events));
    for nth in 0..events.len() {
        let mut without = events.clone();
        without.remove(nth);
        assert_ne!(hash(&without), whole, "without {}", events[nth].fact.word());
        let mut swapped = events.clone();
        swapped.swap(nth, (nth + 1) % events.len());
        assert_ne!(hash(&swapped), whole, "{} swapped", events[nth].fact.word());
    }
    let long: Vec<Event> = events.iter().cycle().take(4000).cloned().collect();
    let mut bytes = b"quorumark/trace/1".to_vec();
    long.iter().for_each(|event| event.encode(&mut bytes));
    assert_eq!(hash(&long), quorumark_primitives::hash::blake3(&bytes));
}

fn hash(events: &[Event]) -> Digest {
    let mut hash = TraceHash::new();
    events.iter().for_each(|event| hash.absorb(event));
    assert_eq!(hash.events(), events.len() as u64);
    hash.finish()
}

/// One event of each kind.
fn one_of_each() -> Vec<Event> {
    let facts = [client_facts(), replica_facts(), run_facts()].concat();
    (10..).zip(facts).map(|(at, fact)| Event { at: Instant(at), fact }).collect()
}

fn client_facts() -> Vec<Fact> {
    let (client, timestamp) = (ClientId(1), Timestamp(2));
    let parties = (Party::Client(client), Party::Replica(ReplicaId(0)));
    let (from, to, kind, bytes) = (parties.0, parties.1, MessageKind::Request, 90);
    let operation = Bytes::from_static(b"\x01op");
    vec![
        Fact::Submitted(Submitted { client, timestamp, digest: digest(1), operation }),
        Fact::Answered(Answered {
            client,
            timestamp,
            seq: Seq(1),
            result: Bytes::from_static(b"\x00"),
            how: Acknowledgement::Committed,
            replicas: vec![ReplicaId(0), ReplicaId(2)],
        }),
        Fact::Delivered(Delivered { from, to, kind, bytes }),
        Fact::Dropped(Dropped { from, to, kind, bytes, cause: DropCause::Loss }),
    ]
}

fn replica_facts() -> Vec<Fact> {
    let (replica, incarnation, seq, view) = (ReplicaId(2), 1, Seq(3), View(4));
    let (client, timestamp) = (ClientId(1), Timestamp(2));
    let requests: Arc<[Ordered]> = [Ordered { client, timestamp, digest: digest(1) }].into();
    let certificate: Arc<[_]> = [(replica, Signature([7; 64]))].into();
    let (digest, state, root) = (digest(2), digest(3), digest(4));
    let signature = Signature([8; 64]);
    let (kind, fresh, tentative) = (VoteKind::Commit, vec![0], false);
    vec![
        Fact::Replied(Replied { replica, client, timestamp, view, seq, result: root, tentative }),
        Fact::Said(Said { replica, incarnation, kind, view, seq, digest, signature }),
        Fact::Reached(Reached { replica, phase: Phase::Prepared, view, seq }),
        Fact::Committed(Committed {
            replica,
            incarnation,
            seq,
            view,
            digest,
            requests: Arc::clone(&requests),
            certificate: Arc::clone(&certificate),
        }),
        Fact::Executed(Arc::new(Executed {
            replica,
            incarnation,
            seq,
            view,
            digest,
            requests,
            fresh,
            results: root,
            tentative,
        })),
        Fact::RolledBack(RolledBack { replica, to: seq }),
        Fact::Checkpointed(Checkpointed { replica, seq, root, state }),
        Fact::Stable(StableReached { replica, seq, state, certificate }),
        Fact::TransferFinished(TransferFinished { replica, seq, state, root, bytes: 4096 }),
    ]
}

fn run_facts() -> Vec<Fact> {
    let replica = ReplicaId(3);
    let header = Header {
        protocol: Cow::Borrowed("pbft"),
        cluster: 1,
        protocol_id: 1,
        replicas: 4,
        faulty: vec![replica],
        clients: 2,
        faulty_clients: Vec::new(),
        seed: u64::MAX,
        scenario: digest(9),
        crypto: Crypto::StandIn,
        auth: Auth::Signature,
        duration: Instant(60),
        gst: Instant(20),
        liveness_bound: Instant(30),
        window: 64,
        checkpoint_interval: 16,
    };
    let (bound, message) = (Cow::Borrowed("log"), Cow::Borrowed("index out of bounds"));
    let kind = MessageKind::Prepare;
    vec![
        Fact::Begun(Box::new(header)),
        Fact::Crashed(Crashed { replica, disk: DiskLoss::LoseUnsynced }),
        Fact::Restarted(Restarted { replica, incarnation: 1, executed: Seq(16), records: 40 }),
        Fact::Fault(Fault { kind: Cow::Borrowed("partition"), replica: None }),
        Fact::Gauge(Gauge { replica, bound, value: 5, cap: 64 }),
        Fact::Equivocated(Equivocated { replica: ReplicaId(0), culprit: replica, kind }),
        Fact::Panicked(Panicked { replica: Some(replica), message }),
        Fact::Ended(Ended { cause: EndCause::Duration }),
    ]
}

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}
