//! Clients: what they ask for, when they ask again, and which answer they take.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorumark_application::kv::{Operation, Outcome};
use quorumark_consensus::Committee;
use quorumark_consensus::pbft::Message;
use quorumark_consensus::request::{ClientProof, Reply, Request, RequestStatement, SignedRequest};
use quorumark_consensus::types::{ClientId, ReplicaId, Seq, Timestamp, View};
use quorumark_primitives::mac::Tag;
use quorumark_primitives::signed::{ClientSessions, Domain, Sealer};
use quorumark_primitives::wire::{Decode, Encode, Reader};

use super::Keys;
use crate::random::Random;
use crate::scenario::Workload;
use crate::trace::{Acknowledgement, Answered, Submitted};

/// How often the time before a client sends again doubles at most.
const DOUBLINGS_MAX: u32 = 4;

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    id: ClientId,
    sealer: Sealer,
    sessions: ClientSessions,
    committee: Committee,
    /// The view of the last answer: who the primary is.
    view: View,
    timestamp: u64,
    /// Requests without an answer, by timestamp.
    pending: BTreeMap<u64, Pending>,
    /// What it last read or wrote, by key: what a compare-and-swap expects.
    seen: BTreeMap<u64, Bytes>,
    random: Random,
}

/// A request without an answer.
#[derive(Debug)]
struct Pending {
    frame: Bytes,
    /// The key, and the value that it writes, if it writes one.
    key: u64,
    value: Option<Bytes>,
    replies: Vec<Received>,
    sent: u32,
}

/// What one replica answered.
#[derive(Debug)]
struct Received {
    replica: ReplicaId,
    view: View,
    seq: Seq,
    result: Bytes,
    tentative: bool,
}

impl Client {
    pub(super) fn new(id: u32, keys: &Keys, committee: Committee, seed: u64) -> Client {
        use quorumark_primitives::signed::Signer;
        Client {
            id: ClientId(id),
            sealer: keys.sealer(Signer::Client(id)),
            sessions: keys.of_client(id),
            committee,
            view: View(0),
            timestamp: 0,
            pending: BTreeMap::new(),
            seen: BTreeMap::new(),
            random: Random::new(seed, &format!("client/{id}")),
        }
    }

    /// The primary, as far as it knows.
    pub(super) fn primary(&self) -> ReplicaId {
        self.committee.primary(self.view)
    }

    /// Requests without an answer.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The next request: its frame, and what the trace is told.
    pub(super) fn submit(&mut self, workload: &Workload) -> (u64, Bytes, Submitted) {
        self.timestamp += 1;
        let key = self.random.below(workload.keys);
        let (operation, value) = self.operation(key, workload.mix);
        let timestamp = Timestamp(self.timestamp);
        let request = Request { client: self.id, timestamp, operation: operation.clone() };
        let digest = request.digest();
        let proof = self.sealer.sign(&RequestStatement { client: self.id, digest });
        let signed = SignedRequest::new(request, ClientProof::Signature(proof));
        let frame = Message::Request(signed).to_frame();
        let pending = Pending { frame: frame.clone(), key, value, replies: Vec::new(), sent: 1 };
        let before = self.pending.insert(self.timestamp, pending);
        debug_assert!(before.is_none(), "a timestamp is used once");
        (self.timestamp, frame, Submitted { client: self.id, timestamp, digest, operation })
    }

    /// An operation on `key`, and the value that it writes. Values tell their writer and request, so
    /// no two writes are alike.
    fn operation(&mut self, key: u64, mix: [u64; 3]) -> (Bytes, Option<Bytes>) {
        let [get, put, cas] = mix;
        let drawn = self.random.below((get + put + cas).max(1));
        let mut value = self.id.0.to_le_bytes().to_vec();
        value.extend_from_slice(&self.timestamp.to_le_bytes());
        let value = Bytes::from(value);
        if drawn < get {
            return (Operation::Get { key }.to_frame(), None);
        }
        let operation = if drawn < get + put {
            Operation::Put { key, value: &value }.to_frame()
        } else {
            let expected = self.seen.get(&key).map(|bytes| bytes.as_ref());
            Operation::CompareAndSwap { key, expected, value: &value }.to_frame()
        };
        (operation, Some(value))
    }

    /// The frame to send again, and after how long to look again; `None` when it is answered.
    pub(super) fn again(&mut self, timestamp: u64, wait: u64) -> Option<(Bytes, u64)> {
        let pending = self.pending.get_mut(&timestamp)?;
        let doublings = pending.sent.min(DOUBLINGS_MAX);
        pending.sent = pending.sent.saturating_add(1);
        Some((pending.frame.clone(), wait.saturating_mul(1 << doublings)))
    }

    /// Takes a reply; the answer, if it completes one (PBFT 4.1: f + 1 equal replies; a quorum where
    /// the execution was tentative).
    pub(super) fn reply(&mut self, from: u16, frame: Bytes) -> Option<Answered> {
        let reply = self.authentic(from, frame)?;
        let committee = self.committee;
        let pending = self.pending.get_mut(&reply.timestamp.0)?;
        let known = pending.replies.iter().position(|known| known.replica == reply.replica);
        match known.and_then(|at| pending.replies.get(at).map(|known| (at, known.tentative))) {
            // A committed reply takes the place of a tentative one; any other second one is passed
            // over.
            Some((at, true)) if !reply.tentative => drop(pending.replies.swap_remove(at)),
            Some(_) => return None,
            None => {}
        }
        pending.replies.push(Received {
            replica: reply.replica,
            view: reply.view,
            seq: reply.seq,
            result: reply.result.clone(),
            tentative: reply.tentative,
        });
        let equal = || {
            let replies = pending.replies.iter();
            replies.filter(|known| known.seq == reply.seq && known.result == reply.result)
        };
        let committed = equal().filter(|known| !known.tentative).count();
        let how = if committed >= committee.weak_quorum() {
            Acknowledgement::Committed
        } else if equal().count() >= committee.quorum() {
            Acknowledgement::Tentative
        } else {
            return None;
        };
        let replicas: Vec<ReplicaId> = equal().map(|known| known.replica).collect();
        debug_assert!(replicas.len() >= committee.weak_quorum(), "one of them is honest");
        // The lowest view among them: one liar cannot send the client to a primary far ahead.
        self.view = self.view.max(equal().map(|known| known.view).min().unwrap_or_default());
        let pending = self.pending.remove(&reply.timestamp.0)?;
        self.remember(pending.key, pending.value, &reply.result);
        Some(Answered {
            client: self.id,
            timestamp: reply.timestamp,
            seq: reply.seq,
            result: reply.result,
            how,
            replicas,
        })
    }

    /// A reply under the MAC of the replica that it names, which has to be its sender.
    fn authentic(&self, from: u16, frame: Bytes) -> Option<Reply> {
        let body = frame.slice(..frame.len().checked_sub(Tag::SIZE_MIN)?);
        let mut reader = Reader::new(frame);
        let reply = Reply::decode(&mut reader).ok()?;
        let tag = Tag::decode(&mut reader).ok()?;
        reader.finish().ok()?;
        let own = reply.client == self.id && reply.replica.0 == from;
        (own && self.sessions.accepts(from, Domain::Reply, &body, &tag)).then_some(reply)
    }

    fn remember(&mut self, key: u64, written: Option<Bytes>, result: &Bytes) {
        match (Outcome::parse(result), written) {
            (Ok(Outcome::Done), Some(value)) => {
                self.seen.insert(key, value);
            }
            (Ok(Outcome::Value(value)), None) => {
                self.seen.insert(key, Bytes::copy_from_slice(value));
            }
            (Ok(Outcome::Absent), None) => {
                self.seen.remove(&key);
            }
            _ => {}
        }
    }
}
