//! Egress: seal, encode once, send.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use quorumark_consensus::engine::Recipients;
use quorumark_consensus::request::Reply;
use quorumark_consensus::types::ReplicaId;
use quorumark_primitives::signed::{ReplicaSessions, Sealer, Verified};
use quorumark_primitives::wire::FRAME_BYTES_MAX;

use crate::link::{Closed, Frames, PeerLink, receive, send};
use crate::metrics::{Counts, Stopwatch};
use crate::protocol::Protocol;
use crate::replies::{REPLY_FRAME_BYTES, Replies, run_of};

/// What the engine wants sent.
#[derive(Debug)]
pub(crate) enum Outgoing<M> {
    /// To seal first.
    Say { to: Recipients, message: M },
    /// As it is.
    Relay { to: Recipients, message: M },
    /// To clients.
    Reply(Vec<Reply>),
}

/// The way to the port of a range of clients.
#[derive(Debug)]
pub(crate) struct ClientLink {
    pub(crate) clients: Range<u32>,
    pub(crate) queue: Sender<Frames>,
}

/// Signs for its replica and sends for it.
#[derive(Debug)]
pub(crate) struct Egress<M> {
    pub(crate) writer: Writer,
    pub(crate) outgoing: Receiver<Vec<Outgoing<M>>>,
    /// Own messages, sealed, on their way back to the engine.
    pub(crate) own: Sender<Vec<Verified<M>>>,
    /// By replica id; its own place leads nowhere.
    pub(crate) peers: Vec<PeerLink>,
}

/// Seals what a replica says and encodes it, once for all who get it.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) replica: ReplicaId,
    pub(crate) sealer: Sealer,
    pub(crate) sessions: Arc<ReplicaSessions>,
    pub(crate) replicas: usize,
    pub(crate) ports: Vec<ClientLink>,
    /// Where messages are encoded, one after the other.
    pub(crate) scratch: Vec<u8>,
    /// Bytes of replies that the last flush had for a port: room for the next one's.
    pub(crate) replies_before: usize,
    /// Scratch: the clients of replies, and the replies' places.
    pub(crate) by_client: Vec<u64>,
}

/// What one flush gathers.
pub(crate) struct Flush<M> {
    pub(crate) own: Vec<Verified<M>>,
    pub(crate) to_peers: Vec<Frames>,
    pub(crate) to_ports: Vec<Replies>,
}

impl<M: Protocol> Egress<M> {
    pub(crate) fn run(mut self, watch: &mut Stopwatch) {
        while let Some(batch) = receive(&self.outgoing, watch) {
            watch.took(self.outgoing.len());
            let items = batch.len();
            let mut flush = self.writer.flush();
            for outgoing in batch {
                self.writer.prepare(outgoing, &mut flush, watch.counts());
            }
            let sent = self.send(flush, watch);
            watch.worked(items);
            if sent == Err(Closed) {
                return;
            }
        }
    }

    fn send(&mut self, flush: Flush<M>, watch: &mut Stopwatch) -> Result<(), Closed> {
        let Flush { own, to_peers, to_ports } = flush;
        let engine = if own.is_empty() { Ok(()) } else { send(&self.own, own, watch) };
        for (peer, frames) in self.peers.iter_mut().zip(to_peers) {
            if !frames.is_empty() {
                peer.send(frames, watch);
            }
        }
        self.writer.reply(to_ports, watch.counts());
        engine
    }
}

impl Writer {
    pub(crate) fn flush<M>(&self) -> Flush<M> {
        Flush {
            own: Vec::new(),
            to_peers: vec![Frames::new(); self.replicas],
            to_ports: self.ports.iter().map(|_| Replies::default()).collect(),
        }
    }

    pub(crate) fn prepare<M: Protocol>(
        &mut self,
        outgoing: Outgoing<M>,
        flush: &mut Flush<M>,
        counts: &Counts,
    ) {
        match outgoing {
            Outgoing::Say { to, message } => {
                let signed = self.sealer.signatures();
                let (sealed, frame) = self.sealer.seal_own_frame(message, &mut self.scratch);
                Counts::add(&counts.signatures_made, self.sealer.signatures() - signed);
                self.address(to, sealed.kind(), &frame, flush, counts);
                flush.own.push(sealed);
            }
            Outgoing::Relay { to, message } => {
                self.scratch.clear();
                message.encode(&mut self.scratch);
                let frame = Bytes::copy_from_slice(&self.scratch);
                self.address(to, message.kind(), &frame, flush, counts);
            }
            Outgoing::Reply(replies) => self.answer(&replies, flush, counts),
        }
    }

    /// Shares a message's frame among its recipients.
    fn address<M>(
        &self,
        to: Recipients,
        kind: usize,
        frame: &Bytes,
        flush: &mut Flush<M>,
        counts: &Counts,
    ) {
        assert!(to != Recipients::One(self.replica), "an engine sends nothing to itself");
        assert!(frame.len() <= FRAME_BYTES_MAX, "a message fits a frame");
        let mut copies = 0;
        for (peer, frames) in flush.to_peers.iter_mut().enumerate() {
            let addressed = match to {
                Recipients::Others => peer != usize::from(self.replica.0),
                Recipients::One(one) => peer == usize::from(one.0),
            };
            if addressed {
                frames.push(frame.clone());
                copies += 1;
            }
        }
        Counts::add(&counts.sent[kind], copies);
        Counts::add(&counts.bytes_sent, copies * frame.len() as u64);
    }

    fn answer<M>(&mut self, replies: &[Reply], flush: &mut Flush<M>, counts: &Counts) {
        self.by_client.clear();
        // The client, and the place in the lower half.
        let places = (0..).zip(replies).map(|(nth, reply)| u64::from(reply.client.0) << 32 | nth);
        self.by_client.extend(places);
        // Stable: replies of one client are in order already, and stay so; few clients take few passes.
        self.by_client.sort_by_key(|place| place >> 32);
        let of = |place: &u64| &replies[*place as u32 as usize];
        let together = |one: &u64, next: &u64| run_of(of(one)) == run_of(of(next));
        let mut sent = 0;
        for run in self.by_client.chunk_by(together) {
            let client = of(&run[0]).client.0;
            let port = self.ports.iter().position(|port| port.clients.contains(&client));
            if let Some(port) = port.and_then(|port| flush.to_ports.get_mut(port)) {
                sent += port.push(run.iter().map(of), &self.sessions, self.replies_before);
            }
        }
        Counts::add(&counts.replies_sent, sent);
    }

    /// Hands replies to the ports. A port that is full is passed over: its clients ask again.
    pub(crate) fn reply(&mut self, to_ports: Vec<Replies>, counts: &Counts) {
        for (port, replies) in self.ports.iter().zip(to_ports) {
            let frames = replies.finish();
            if !frames.is_empty() {
                let bytes = frames.iter().map(Bytes::len).sum::<usize>();
                self.replies_before = bytes.min(REPLY_FRAME_BYTES);
                Counts::add(&counts.bytes_to_clients, bytes as u64);
                if port.queue.try_send(frames).is_err() {
                    Counts::add(&counts.client_flushes_dropped, 1);
                }
            }
        }
    }
}
