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
use super::frame::Frame;
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
    /// Whether what only reads is first asked of all without being ordered.
    read_only: bool,
    /// The view of the last answer: who the primary is.
    view: View,
    timestamp: u64,
    /// Requests without an answer, by timestamp.
    pending: BTreeMap<u64, Pending>,
    /// What it last read or wrote, by key: what a compare-and-swap expects.
    seen: BTreeMap<u64, Bytes>,
    random: Random,
    /// Where frames are put together.
    scratch: Vec<u8>,
}

/// A request without an answer.
#[derive(Debug)]
struct Pending {
    frame: Frame,
    /// The key, and the value that it writes, if it writes one.
    key: u64,
    value: Option<Bytes>,
    /// While it is asked as a read: the ordinary request that follows if that fails.
    ordinary: Option<Frame>,
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

impl Pending {
    /// By what the result of the last reply can be taken, and the replies that count: `committed`
    /// ones that are not tentative, or a quorum.
    fn decided(
        &self,
        committed: usize,
        quorum: usize,
    ) -> Option<(Acknowledgement, Vec<&Received>)> {
        let reply = self.replies.last()?;
        let equal = |known: &&Received| known.seq == reply.seq && known.result == reply.result;
        let equal = || self.replies.iter().filter(equal);
        if reply.seq == Seq(0) {
            let enough = equal().count() >= quorum;
            return enough.then(|| (Acknowledgement::ReadOnly, equal().collect()));
        }
        let final_ones = || equal().filter(|known| !known.tentative);
        if final_ones().count() >= committed {
            return Some((Acknowledgement::Committed, final_ones().collect()));
        }
        let in_view = |view| equal().filter(move |known| known.stands_in(view));
        let mut views = equal().filter(|known| known.tentative).map(|known| known.view);
        let view = views.find(|view| in_view(*view).count() >= quorum)?;
        Some((Acknowledgement::Tentative, in_view(view).collect()))
    }
}

impl Received {
    /// Whether it is replaced by a later reply of the same replica.
    fn gives_way_to(&self, reply: &Reply) -> bool {
        self.tentative && (!reply.tentative || reply.view > self.view)
    }

    /// Whether it counts towards a quorum of tentative replies of `view`: a committed one does in
    /// any.
    fn stands_in(&self, view: View) -> bool {
        !self.tentative || self.view == view
    }
}

impl Client {
    pub(super) fn new(
        id: u32,
        keys: &Keys,
        committee: Committee,
        read_only: bool,
        seed: u64,
    ) -> Client {
        use quorumark_primitives::signed::Signer;
        Client {
            id: ClientId(id),
            sealer: keys.sealer(Signer::Client(id)),
            sessions: keys.of_client(id),
            committee,
            read_only,
            view: View(0),
            timestamp: 0,
            pending: BTreeMap::new(),
            seen: BTreeMap::new(),
            random: Random::new(seed, &format!("client/{id}")),
            scratch: Vec::new(),
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
    pub(super) fn submit(&mut self, workload: &Workload) -> (u64, Frame, Submitted) {
        self.timestamp += 1;
        let key = self.random.below(workload.keys);
        let (operation, value) = self.operation(key, workload.mix);
        let timestamp = Timestamp(self.timestamp);
        let request = Request { client: self.id, timestamp, operation: operation.clone() };
        let client = self.id;
        let signed = SignedRequest::prove(request, |digest| {
            ClientProof::Signature(self.sealer.sign(&RequestStatement { client, digest }))
        });
        let digest = signed.digest();
        let reads = self.read_only && value.is_none();
        let (frame, ordinary) = if reads {
            let ordinary = self.framed(&Message::Request(signed.clone()));
            (self.framed(&Message::Read(signed)), Some(ordinary))
        } else {
            (self.framed(&Message::Request(signed)), None)
        };
        let replies = Vec::new();
        let pending = Pending { frame: frame.clone(), key, value, ordinary, replies, sent: 1 };
        let before = self.pending.insert(self.timestamp, pending);
        debug_assert!(before.is_none(), "a timestamp is used once");
        (self.timestamp, frame, Submitted { client: self.id, timestamp, digest, operation })
    }

    fn framed(&mut self, message: &Message) -> Frame {
        Frame::of(message, &mut self.scratch)
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

    /// Whether a request is asked of all without being ordered.
    pub(super) fn reads(&self, timestamp: u64) -> bool {
        self.pending.get(&timestamp).is_some_and(|pending| pending.ordinary.is_some())
    }

    /// The frame to send again, and after how long to look again; `None` when it is answered.
    ///
    /// OSDI'99 5.1: a read without a quorum of equal replies "retransmits the request as a regular
    /// read-write request after its retransmission timer expires".
    pub(super) fn again(&mut self, timestamp: u64, wait: u64) -> Option<(Frame, u64)> {
        let pending = self.pending.get_mut(&timestamp)?;
        let doublings = pending.sent.min(DOUBLINGS_MAX);
        pending.sent = pending.sent.saturating_add(1);
        if let Some(ordinary) = pending.ordinary.take() {
            pending.frame = ordinary;
            pending.replies.clear();
        }
        Some((pending.frame.clone(), wait.saturating_mul(1 << doublings)))
    }

    /// Takes a reply; the answer, if it completes one (PBFT 4.1: f + 1 equal replies; a quorum where
    /// nothing was ordered, and of every request where reads are not ordered: see the engine's
    /// `reads`). OSDI'99 5.1: a tentative reply never counts towards f + 1, only towards a quorum of
    /// one view: see the engine's `tentative`.
    pub(super) fn reply(&mut self, from: u16, frame: &[u8]) -> Option<Answered> {
        let reply = self.authentic(from, frame)?;
        let committee = self.committee;
        let (timestamp, seq) = (reply.timestamp, reply.seq);
        let pending = self.pending.get_mut(&timestamp.0)?;
        if pending.ordinary.is_some() != (reply.seq == Seq(0)) {
            return None; // Late, from when it was asked as a read; or no answer to a read.
        }
        let known = pending.replies.iter().position(|known| known.replica == reply.replica);
        match known.and_then(|at| pending.replies.get(at).map(|known| (at, known))) {
            // A committed reply takes the place of a tentative one, and one of a later view that of
            // an earlier; any other second one is passed over.
            Some((at, known)) if known.gives_way_to(&reply) => {
                drop(pending.replies.swap_remove(at))
            }
            Some(_) => return None,
            None => {}
        }
        pending.replies.push(Received {
            replica: reply.replica,
            view: reply.view,
            seq: reply.seq,
            result: reply.result,
            tentative: reply.tentative,
        });
        let committed = if self.read_only { committee.quorum() } else { committee.weak_quorum() };
        let (how, counted) = pending.decided(committed, committee.quorum())?;
        let replicas: Vec<ReplicaId> = counted.iter().map(|known| known.replica).collect();
        debug_assert!(replicas.len() >= committee.weak_quorum(), "one of them is honest");
        // The lowest view among them: one liar cannot send the client to a primary far ahead.
        let view = counted.iter().map(|known| known.view).min().unwrap_or_default();
        self.view = self.view.max(view);
        let Pending { key, value, mut replies, .. } = self.pending.remove(&timestamp.0)?;
        let result = replies.pop()?.result;
        self.remember(key, value, &result);
        Some(Answered { client: self.id, timestamp, seq, result, how, replicas })
    }

    /// A reply under the MAC of the replica that it names, which has to be its sender.
    fn authentic(&self, from: u16, frame: &[u8]) -> Option<Reply> {
        let body = frame.get(..frame.len().checked_sub(Tag::SIZE_MIN)?)?;
        let mut reader = Reader::of_slice(frame);
        let reply = Reply::decode(&mut reader).ok()?;
        let tag = Tag::decode(&mut reader).ok()?;
        reader.finish().ok()?;
        let own = reply.client == self.id && reply.replica.0 == from;
        (own && self.sessions.accepts(from, Domain::Reply, body, &tag)).then_some(reply)
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

#[cfg(test)]
mod tests {
    use super::*;

    const GETS: Workload = Workload {
        clients: 1,
        operations: 9,
        keys: 1,
        mix: [1, 0, 0],
        interval: None,
        retransmit: 1,
        to_all: false,
    };

    /// A client that asked for something, and the keys of its replicas.
    fn asking(read_only: bool, mix: [u64; 3]) -> (Client, Keys, u64) {
        let keys = Keys::new(1, false, 4, 1);
        let mut client = Client::new(0, &keys, Committee::new(4).unwrap(), read_only, 1);
        let (timestamp, ..) = client.submit(&Workload { mix, ..GETS });
        (client, keys, timestamp)
    }

    fn hear(client: &mut Client, keys: &Keys, replica: u16, seq: u64) -> Option<Acknowledgement> {
        hear_in(client, keys, replica, seq, (seq == 0).then_some(0))
    }

    /// A reply that is tentative in a view, or committed.
    fn hear_in(
        client: &mut Client,
        keys: &Keys,
        replica: u16,
        seq: u64,
        tentative: Option<u64>,
    ) -> Option<Acknowledgement> {
        let reply = Reply {
            view: View(tentative.unwrap_or(0)),
            seq: Seq(seq),
            timestamp: Timestamp(1),
            client: ClientId(0),
            replica: ReplicaId(replica),
            result: Bytes::from_static(b"result"),
            tentative: tentative.is_some(),
        };
        let mut frame = reply.to_frame().to_vec();
        let tag = keys.of_replica(replica).tag(0, Domain::Reply, &frame).unwrap();
        tag.encode(&mut frame);
        client.reply(replica, &frame).map(|answered| answered.how)
    }

    #[test]
    fn osdi99_5_1_a_read_takes_a_quorum_and_no_answer_that_names_an_order() {
        let (mut client, keys, timestamp) = asking(true, [1, 0, 0]);
        assert!(client.reads(timestamp));
        assert_eq!((0..2).find_map(|id| hear(&mut client, &keys, id, 0)), None);
        assert_eq!(hear(&mut client, &keys, 3, 7), None);
        assert_eq!(hear(&mut client, &keys, 2, 0), Some(Acknowledgement::ReadOnly));
    }

    #[test]
    fn osdi99_5_1_a_read_given_up_is_an_ordinary_request_and_late_answers_count_no_more() {
        let (mut client, keys, timestamp) = asking(true, [1, 0, 0]);
        assert_eq!((0..2).find_map(|id| hear(&mut client, &keys, id, 0)), None);
        let (frame, _) = client.again(timestamp, 1).unwrap();
        assert!(matches!(Message::from_slice(frame.bytes()), Ok(Message::Request(_))));
        assert_eq!((2..4).find_map(|id| hear(&mut client, &keys, id, 0)), None);
        assert_eq!((0..2).find_map(|id| hear(&mut client, &keys, id, 5)), None);
        assert_eq!(hear(&mut client, &keys, 2, 5), Some(Acknowledgement::Committed));
    }

    #[test]
    fn a_write_takes_a_quorum_where_reads_are_not_ordered_and_f_plus_one_elsewhere() {
        for (read_only, needed) in [(false, 2), (true, 3)] {
            let (mut client, keys, timestamp) = asking(read_only, [0, 1, 0]);
            assert!(!client.reads(timestamp));
            let how: Vec<_> = (0..needed).map(|id| hear(&mut client, &keys, id, 5)).collect();
            let (last, before) = how.split_last().unwrap();
            assert!(before.iter().all(Option::is_none), "read_only = {read_only}");
            assert_eq!(*last, Some(Acknowledgement::Committed));
        }
    }
    #[test]
    fn osdi99_5_1_a_tentative_reply_is_never_counted_for_f_plus_one() {
        let (mut client, keys, _) = asking(false, [0, 1, 0]);
        assert_eq!(hear_in(&mut client, &keys, 0, 5, Some(0)), None);
        assert_eq!(hear_in(&mut client, &keys, 1, 5, Some(0)), None);
        assert_eq!(hear_in(&mut client, &keys, 1, 5, Some(0)), None, "a repeat");
        assert_eq!(hear_in(&mut client, &keys, 0, 5, None), None, "one committed, one tentative");
        assert_eq!(hear_in(&mut client, &keys, 1, 5, None), Some(Acknowledgement::Committed));
    }

    #[test]
    fn osdi99_5_1_a_quorum_of_tentative_replies_is_of_one_view_and_committed_ones_count_with_any() {
        let (mut client, keys, _) = asking(false, [0, 1, 0]);
        assert_eq!(hear_in(&mut client, &keys, 0, 5, Some(0)), None);
        assert_eq!(hear_in(&mut client, &keys, 1, 5, Some(0)), None);
        assert_eq!(hear_in(&mut client, &keys, 2, 5, Some(9)), None, "of another view");
        let third = hear_in(&mut client, &keys, 3, 5, Some(0));
        assert_eq!(third, Some(Acknowledgement::Tentative));
        let (mut client, keys, _) = asking(false, [0, 1, 0]);
        assert_eq!(hear_in(&mut client, &keys, 0, 5, Some(0)), None);
        assert_eq!(hear_in(&mut client, &keys, 1, 5, Some(1)), None);
        assert_eq!(hear_in(&mut client, &keys, 2, 5, None), None);
        // Replica 0 enters view 1 and answers again; it counts there alone.
        assert_eq!(hear_in(&mut client, &keys, 0, 5, Some(1)), Some(Acknowledgement::Tentative));
    }
}
