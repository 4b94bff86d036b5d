//! Frames of replies: what a replica answers to one client at one sequence number is a run, under one MAC.
//!
//! A frame is any number of runs, and a run is
//!
//! ```text
//! client u32 | replica u16 | length u32 | body, of that length | tag, 16 bytes
//! body: view u64 | seq u64 | tentative u8 | by reply: step varint | length varint | result
//! ```
//!
//! A step leads from the last timestamp, at first from 0, to the next: 2d where it is d higher, 2d - 1 where
//! it is d lower, modulo 2^64 (ZigZag, as in Protocol Buffers). Clients count on, so behind the first of a run
//! a reply mostly takes two bytes beside a result of fewer than 128.
//!
//! The tag is the MAC of the body by the session of the two. So a run says once what its replies have in
//! common, and costs one MAC at each end; and since every reply of it is from who made the MAC to who can
//! check it, none can be in another replica's name.

use bytes::Bytes;
use quorumark_consensus::request::{RESULT_BYTES_MAX, Reply};
use quorumark_consensus::types::{ClientId, ReplicaId, Seq, Timestamp, View};
use quorumark_primitives::mac::Tag;
use quorumark_primitives::signed::{Domain, ReplicaSessions};
use quorumark_primitives::wire::{
    Decode, Encode, FRAME_BYTES_MAX, Reader, WireError, encode_varint,
};

use crate::keys::ClientKeys;
use crate::link::Frames;

/// Bytes at which a frame is full; far below what a transport takes.
pub(crate) const REPLY_FRAME_BYTES: usize = 1 << 20;

// A frame is closed after the reply that fills it, and a reply is little more than its result.
const _: () = assert!(REPLY_FRAME_BYTES + 2 * RESULT_BYTES_MAX <= FRAME_BYTES_MAX);

/// Frames for one port, the last still growing.
#[derive(Default)]
pub(crate) struct Replies {
    full: Frames,
    growing: Vec<u8>,
}

impl Replies {
    /// Appends replies to one client, all with the same view and sequence number; a frame begins with
    /// room for `expected` bytes. Returns how many: a client without a session gets nothing, since its
    /// replies could not be told from forged ones.
    ///
    /// # Panics
    /// In debug builds, when the replies belong to several runs.
    pub(crate) fn push<'r>(
        &mut self,
        replies: impl Iterator<Item = &'r Reply>,
        sessions: &ReplicaSessions,
        expected: usize,
    ) -> u64 {
        let (mut replies, mut count) = (replies.peekable(), 0);
        while let Some(&first) = replies.peek() {
            if self.growing.is_empty() {
                self.growing.reserve(expected);
            }
            debug_assert_eq!(first.replica.0, sessions.replica(), "a replica answers for itself");
            let out = &mut self.growing;
            let start = out.len();
            first.client.encode(out);
            ReplicaId(sessions.replica()).encode(out);
            let length_at = out.len();
            0u32.encode(out);
            let body = out.len();
            first.view.encode(out);
            first.seq.encode(out);
            first.tentative.encode(out);
            let mut last = Timestamp(0);
            for reply in replies.by_ref() {
                debug_assert_eq!(run_of(reply), run_of(first), "replies of one run");
                encode_varint(step(last, reply.timestamp), out);
                last = reply.timestamp;
                encode_varint(reply.result.len() as u64, out);
                out.extend_from_slice(&reply.result);
                count += 1;
                if out.len() >= REPLY_FRAME_BYTES {
                    break;
                }
            }
            let length = (out.len() - body) as u32;
            out[length_at..body].copy_from_slice(&length.to_le_bytes());
            let Some(tag) = sessions.tag(first.client.0, Domain::Reply, &out[body..]) else {
                out.truncate(start);
                return 0;
            };
            tag.encode(out);
            if out.len() >= REPLY_FRAME_BYTES {
                self.full.push(fitted(std::mem::take(out)));
            }
        }
        count
    }

    pub(crate) fn finish(mut self) -> Frames {
        if !self.growing.is_empty() {
            self.full.push(fitted(self.growing));
        }
        self.full
    }
}

/// How a timestamp follows another: the difference modulo 2^64, its sign in the lowest bit.
#[inline]
fn step(from: Timestamp, to: Timestamp) -> u64 {
    let difference = to.0.wrapping_sub(from.0) as i64;
    (difference << 1 ^ difference >> 63) as u64
}

/// The timestamp to which a step leads.
#[inline]
fn after(from: Timestamp, step: u64) -> Timestamp {
    Timestamp(from.0.wrapping_add(step >> 1 ^ (step & 1).wrapping_neg()))
}

/// What all replies of a run have in common.
pub(crate) fn run_of(reply: &Reply) -> (ClientId, View, Seq, bool) {
    (reply.client, reply.view, reply.seq, reply.tentative)
}

/// The frame of a buffer. It waits in a client's queue, whose places are counted and not their bytes:
/// so it holds on to no more than twice what it carries.
fn fitted(mut buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() > 2 * buffer.len() {
        buffer.shrink_to_fit();
    }
    Bytes::from(buffer)
}

/// A reply as it lies in its frame: looking at it counts no reference and copies nothing.
#[derive(Debug, Clone, Copy)]
pub struct ReplyView<'f> {
    /// As [`Reply::view`].
    pub view: View,
    /// As [`Reply::seq`].
    pub seq: Seq,
    /// As [`Reply::timestamp`].
    pub timestamp: Timestamp,
    /// As [`Reply::client`].
    pub client: ClientId,
    /// As [`Reply::replica`].
    pub replica: ReplicaId,
    /// As [`Reply::result`].
    pub result: &'f [u8],
    /// As [`Reply::tentative`].
    pub tentative: bool,
    /// What the result lies in.
    body: &'f Bytes,
}

impl<'f> ReplyView<'f> {
    /// The result, for as long as it is wanted: a view that holds the frame in memory.
    ///
    /// # Panics
    /// When `result` was replaced by bytes from elsewhere.
    pub fn result_bytes(&self) -> Bytes {
        self.body.slice_ref(self.result)
    }

    /// The reply, whose result holds the frame in memory.
    ///
    /// # Panics
    /// As [`ReplyView::result_bytes`].
    pub fn to_reply(&self) -> Reply {
        let ReplyView { view, seq, timestamp, client, replica, tentative, .. } = *self;
        Reply { view, seq, timestamp, client, replica, result: self.result_bytes(), tentative }
    }
}

impl<'f> From<&'f Reply> for ReplyView<'f> {
    fn from(reply: &'f Reply) -> ReplyView<'f> {
        let Reply { view, seq, timestamp, client, replica, ref result, tentative } = *reply;
        ReplyView { view, seq, timestamp, client, replica, result, tentative, body: result }
    }
}

/// Opens a frame of replies and hands each authentic one to `visit`; returns how many runs were not: of
/// clients without keys here, or with a MAC that does not match.
///
/// # Errors
/// [`WireError`] where the frame is no sequence of runs, or an authentic run none of replies; what
/// came before that place was visited.
pub fn open_replies<'k>(
    frame: &Bytes,
    keys: impl Fn(ClientId) -> Option<&'k ClientKeys>,
    visit: impl FnMut(ReplyView<'_>),
) -> Result<usize, WireError> {
    let authentic = |client, replica: ReplicaId, body: &[u8], tag: &Tag| {
        let sessions = keys(client).map(ClientKeys::sessions);
        sessions.is_some_and(|keys| keys.accepts(replica.0, Domain::Reply, body, tag))
    };
    read_replies(frame, authentic, visit)
}

/// As [`open_replies`], with what `authentic` says of a run's client, replica, body and tag: to look at a
/// frame without keys.
///
/// # Errors
/// As [`open_replies`].
pub fn read_replies(
    frame: &Bytes,
    authentic: impl Fn(ClientId, ReplicaId, &[u8], &Tag) -> bool,
    mut visit: impl FnMut(ReplyView<'_>),
) -> Result<usize, WireError> {
    let mut reader = Reader::new(frame);
    let mut refused = 0;
    while reader.remaining() > 0 {
        let (client, replica) = (ClientId::decode(&mut reader)?, ReplicaId::decode(&mut reader)?);
        let body = reader.slice(FRAME_BYTES_MAX, "replies")?;
        let tag = Tag::decode(&mut reader)?;
        if !authentic(client, replica, body, &tag) {
            refused += 1;
            continue;
        }
        let body = &reader.keep(body);
        let mut reader = Reader::new(body);
        let (view, seq) = (View::decode(&mut reader)?, Seq::decode(&mut reader)?);
        let tentative = bool::decode(&mut reader)?;
        let mut timestamp = Timestamp(0);
        while reader.remaining() > 0 {
            timestamp = after(timestamp, reader.varint("a step to the next timestamp")?);
            let length = reader.varint("the length of a result")?;
            let result = reader.slice_of(length, RESULT_BYTES_MAX, "result")?;
            visit(ReplyView { view, seq, timestamp, client, replica, result, tentative, body });
        }
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::ClusterConfig;
    use crate::keys::ClusterKeys;
    use crate::protocol::Protocol;
    use quorumark_consensus::pbft::Message;

    /// The keys of replica 1 and of four clients.
    fn keys() -> (Arc<ReplicaSessions>, Vec<ClientKeys>) {
        let config = ClusterConfig::new(4).unwrap().check().unwrap();
        let keys = ClusterKeys::new(&config, Message::ID);
        (keys.sessions(1), (0..4).map(|id| keys.client(ClientId(id))).collect())
    }

    fn reply(replica: u16, client: u32, timestamp: u64, result: usize) -> Reply {
        Reply {
            view: View(3),
            seq: Seq(9),
            timestamp: Timestamp(timestamp),
            client: ClientId(client),
            replica: ReplicaId(replica),
            result: Bytes::from(vec![timestamp as u8; result]),
            tentative: false,
        }
    }

    fn frames(runs: &[Vec<Reply>], sessions: &ReplicaSessions) -> Frames {
        let mut replies = Replies::default();
        for run in runs {
            replies.push(run.iter(), sessions, 0);
        }
        replies.finish()
    }

    fn opened(frame: &Bytes, keys: &[ClientKeys]) -> (Result<usize, WireError>, Vec<Reply>) {
        let mut visited = Vec::new();
        let find = |client: ClientId| keys.get(client.0 as usize);
        (open_replies(frame, find, |reply| visited.push(reply.to_reply())), visited)
    }

    #[test]
    fn runs_of_several_clients_are_opened_each_by_its_own_key() {
        let (sessions, keys) = keys();
        let run = |client| (0..5).map(|nth| reply(1, client, nth, nth as usize)).collect();
        let runs: Vec<Vec<Reply>> = (0..3).map(run).collect();
        let frames = frames(&runs, &sessions);
        assert_eq!(frames.len(), 1);
        assert_eq!(opened(&frames[0], &keys), (Ok(0), runs.concat()));
        // Who has the keys of two clients opens theirs, and is told of the third run.
        assert_eq!(opened(&frames[0], &keys[..2]), (Ok(1), runs[..2].concat()));
    }

    #[test]
    fn no_changed_byte_brings_a_reply_that_was_not_sent() {
        let (sessions, keys) = keys();
        let runs = [vec![reply(1, 0, 1, 3), reply(1, 0, 2, 0)], vec![reply(1, 2, 7, 40)]];
        let frame = frames(&runs, &sessions).remove(0);
        for at in 0..frame.len() {
            let mut bytes = frame.to_vec();
            bytes[at] ^= 1;
            let (refused, visited) = opened(&bytes.into(), &keys);
            assert!(refused != Ok(0), "byte {at}");
            assert!(visited.iter().all(|reply| runs.concat().contains(reply)), "byte {at}");
        }
        for end in 1..frame.len() {
            let (refused, visited) = opened(&frame.slice(..end), &keys);
            assert!(refused.is_err() || visited == runs[0], "cut after {end}");
        }
    }

    #[test]
    fn what_a_replica_says_in_the_name_of_another_is_not_heard() {
        let (sessions, keys) = keys();
        let frame = frames(&[vec![reply(1, 0, 1, 3)]], &sessions).remove(0);
        for (at, other) in [(0, 2), (4, 2)] {
            let mut bytes = frame.to_vec();
            bytes[at] = other;
            assert_eq!(opened(&bytes.into(), &keys), (Ok(1), vec![]), "byte {at} names who");
        }
        // With a key of its own to each client a replica can say what it likes, of itself.
        let (refused, heard) = opened(&frame, &keys);
        assert_eq!(
            (refused, heard[0].replica, heard[0].client),
            (Ok(0), ReplicaId(1), ClientId(0))
        );
    }

    #[test]
    fn timestamps_in_any_order_come_back() {
        let (sessions, keys) = keys();
        let timestamps = [5, 6, 7, 3, 0, u64::MAX, 1, u64::MAX / 2, u64::MAX, u64::MAX, 1 << 63, 0];
        let run: Vec<Reply> = timestamps.iter().map(|at| reply(1, 0, *at, 1)).collect();
        let frames = frames(std::slice::from_ref(&run), &sessions);
        assert_eq!(opened(&frames[0], &keys), (Ok(0), run));
        assert_eq!(step(Timestamp(7), Timestamp(8)), 2, "a byte");
    }

    #[test]
    fn an_authentic_run_that_holds_no_replies_is_an_error() {
        let (sessions, _) = keys();
        let frame = frames(&[vec![reply(1, 0, 300, 3)]], &sessions).remove(0);
        let body = 10 + 17;
        assert_eq!(frame[body..body + 3], [600u64 as u8 | 0x80, 600u64.wrapping_shr(7) as u8, 3]);
        // Cut within the step, and with a result that is longer than any may be.
        let huge = [&[2][..], &[0xff, 0xff, 0xff, 0x7f]].concat();
        for replies in [&frame[body..body + 1], &huge] {
            let mut bytes = frame[..body].to_vec();
            bytes[6..10].copy_from_slice(&(17 + replies.len() as u32).to_le_bytes());
            bytes.extend_from_slice(replies);
            bytes.extend([0; 16]);
            let mut visited = 0;
            let read = read_replies(&bytes.into(), |_, _, _, _| true, |_| visited += 1);
            assert!(read.is_err() && visited == 0, "{read:?}");
        }
    }

    #[test]
    fn a_full_frame_is_closed_and_the_run_goes_on_in_the_next() {
        let (sessions, keys) = keys();
        let run: Vec<Reply> = (0..5).map(|nth| reply(1, 0, nth, REPLY_FRAME_BYTES / 2)).collect();
        let frames = frames(&[run.clone(), vec![reply(1, 1, 9, 1)]], &sessions);
        assert_eq!(frames.len(), 3);
        let opened: Vec<_> = frames.iter().map(|frame| opened(frame, &keys)).collect();
        assert!(opened.iter().all(|(refused, _)| *refused == Ok(0)));
        let visited: Vec<_> = opened.into_iter().flat_map(|(_, visited)| visited).collect();
        assert_eq!((&visited[..5], visited[5].client), (&run[..], ClientId(1)));
    }

    #[test]
    fn no_run_is_empty_where_its_head_fills_a_frame() {
        let (sessions, keys) = keys();
        // Head, common part, step, length and tag take 10 + 17 + 1 + 3 + 16 bytes beside a result.
        let nearly = REPLY_FRAME_BYTES - 47 - 5;
        let runs = [vec![reply(1, 0, 0, nearly)], vec![reply(1, 1, 1, 1), reply(1, 1, 2, 1)]];
        let frames = frames(&runs, &sessions);
        let heard: Vec<_> = frames.iter().map(|frame| opened(frame, &keys).1.len()).collect();
        assert_eq!(heard, [2, 1]);
    }

    #[test]
    fn a_client_without_a_session_gets_nothing() {
        let (sessions, _) = keys();
        let mut replies = Replies::default();
        assert_eq!(replies.push([reply(1, 9, 1, 3)].iter(), &sessions, 0), 0);
        assert!(replies.finish().is_empty());
    }

    #[test]
    fn a_small_frame_of_replies_holds_on_to_no_large_buffer() {
        let held = |room: usize, bytes: usize| {
            let mut buffer = Vec::with_capacity(room);
            buffer.resize(bytes, 7);
            let frame = fitted(buffer);
            assert_eq!((frame.len(), frame.iter().all(|byte| *byte == 7)), (bytes, true));
            Vec::from(frame).capacity()
        };
        assert!(held(REPLY_FRAME_BYTES, 100) <= 200);
        assert!(held(150, 100) >= 150, "what fits is not copied");
    }
}
