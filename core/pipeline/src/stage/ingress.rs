//! Ingress: frames in, decoded messages out.

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TryRecvError, never, select};
use quorumark_consensus::committee::Committee;
use quorumark_consensus::types::ReplicaId;

use crate::link::{Closed, Frames, send};
use crate::metrics::{Counts, Stopwatch};
use crate::protocol::Protocol;

/// Takes frames from replicas and clients, replicas first: what is already ordered must not wait
/// for what is not.
#[derive(Debug)]
pub(crate) struct Ingress<M> {
    pub(crate) decoder: Decoder,
    pub(crate) inbox: Inbox,
    pub(crate) verify: Sender<Vec<M>>,
    /// The most messages that are handed on at once.
    pub(crate) batch_max: usize,
}

/// What leads into a replica.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) from_replicas: Receiver<Frames>,
    pub(crate) from_clients: Receiver<Frames>,
    /// Closed when the replica stops.
    pub(crate) stop: Receiver<()>,
}

/// From whom a frame comes, as the connection tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Replicas,
    Clients,
}

/// Makes messages of the frames that reach one replica.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoder {
    pub(crate) replica: ReplicaId,
    pub(crate) committee: Committee,
}

impl<M: Protocol> Ingress<M> {
    /// Gathers what is there into batches, and hands one on when it is full or nothing more is
    /// there. A stop is heeded before each flush, however many wait.
    pub(crate) fn run(mut self, watch: &mut Stopwatch) {
        let mut batch = Vec::new();
        while !self.inbox.is_stopped() {
            let done = match self.take() {
                Some((side, frames)) => self.decode(side, frames, &mut batch, watch),
                None if !batch.is_empty() => self.hand_on(&mut batch, watch),
                None => {
                    let next = watch.look(|| self.take()).or_else(|| {
                        let next = self.wait();
                        watch.waited();
                        next
                    });
                    let Some((side, frames)) = next else { return };
                    self.decode(side, frames, &mut batch, watch)
                }
            };
            if done == Err(Closed) {
                return;
            }
        }
    }

    /// What is there, without waiting.
    fn take(&self) -> Option<(Side, Frames)> {
        let replicas = self.inbox.from_replicas.try_recv().map(|frames| (Side::Replicas, frames));
        replicas
            .or_else(|_| self.inbox.from_clients.try_recv().map(|frames| (Side::Clients, frames)))
            .ok()
    }

    /// What comes next; `None` when the cluster stops. A side that nobody sends on any more is
    /// forgotten: a committee of one has no peers, and clients may leave.
    fn wait(&mut self) -> Option<(Side, Frames)> {
        loop {
            select! {
                recv(self.inbox.from_replicas) -> frames => match frames {
                    Ok(frames) => return Some((Side::Replicas, frames)),
                    Err(_) => self.inbox.from_replicas = never(),
                },
                recv(self.inbox.from_clients) -> frames => match frames {
                    Ok(frames) => return Some((Side::Clients, frames)),
                    Err(_) => self.inbox.from_clients = never(),
                },
                recv(self.inbox.stop) -> _ => return None,
            }
        }
    }

    /// Decodes one flush; hands on whenever a batch is full, so that no flush makes a larger one.
    fn decode(
        &self,
        side: Side,
        frames: Frames,
        batch: &mut Vec<M>,
        watch: &mut Stopwatch,
    ) -> Result<(), Closed> {
        let mut frames = frames.into_iter();
        while frames.len() > 0 {
            let fit = self.batch_max - batch.len();
            self.decoder.decode(side, frames.by_ref().take(fit), batch, watch.counts());
            if batch.len() >= self.batch_max {
                self.hand_on(batch, watch)?;
            }
        }
        Ok(())
    }

    fn hand_on(&self, batch: &mut Vec<M>, watch: &mut Stopwatch) -> Result<(), Closed> {
        let items = batch.len();
        assert!((1..=self.batch_max).contains(&items), "a batch of {items} messages");
        watch.took(self.inbox.depth());
        let sent = send(&self.verify, std::mem::take(batch), watch);
        watch.worked(items);
        sent
    }
}

impl Inbox {
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Flushes that wait.
    pub(crate) fn depth(&self) -> usize {
        self.from_replicas.len() + self.from_clients.len()
    }
}

impl Decoder {
    /// Appends the messages of a flush. Cheap checks come before signatures, and drop only what no
    /// later state would take.
    pub(crate) fn decode<M: Protocol>(
        &self,
        side: Side,
        frames: impl Iterator<Item = Bytes>,
        messages: &mut Vec<M>,
        counts: &Counts,
    ) {
        let (first, mut bytes) = (messages.len(), 0);
        let counted = frames.inspect(|frame| bytes += frame.len());
        let undecodable = M::decode_each(counted, messages);
        Counts::add(&counts.bytes_received, bytes as u64);
        Counts::add(&counts.frames_undecodable, undecodable as u64);
        let improper = messages.extract_if(first.., |message| !self.is_proper(side, message));
        Counts::add(&counts.messages_improper, improper.count() as u64);
        for message in messages.iter().skip(first) {
            Counts::add(&counts.received[message.kind()], 1);
        }
    }

    fn is_proper<M: Protocol>(&self, side: Side, message: &M) -> bool {
        match message.sender() {
            None => message.is_request() || side == Side::Replicas,
            Some(sender) => {
                side == Side::Replicas && sender != self.replica && self.committee.contains(sender)
            }
        }
    }
}
