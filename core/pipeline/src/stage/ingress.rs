//! Ingress: frames in, decoded messages out.

use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, never, select};
use quorumark_consensus::committee::Committee;
use quorumark_consensus::types::ReplicaId;

use crate::link::{Closed, Frames, send};
use crate::metrics::{Counts, Stopwatch};
use crate::protocol::Protocol;

/// Takes frames from replicas and clients, replicas first: what is already ordered must not wait
/// for what is not.
#[derive(Debug)]
pub(crate) struct Ingress<M> {
    pub(crate) replica: ReplicaId,
    pub(crate) committee: Committee,
    pub(crate) from_replicas: Receiver<Frames>,
    pub(crate) from_clients: Receiver<Frames>,
    /// Closed when the cluster stops.
    pub(crate) stop: Receiver<()>,
    pub(crate) verify: Sender<Vec<M>>,
    pub(crate) batch_max: usize,
    pub(crate) counts: Arc<Counts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Replicas,
    Clients,
}

impl<M: Protocol> Ingress<M> {
    pub(crate) fn run(mut self, watch: &mut Stopwatch) {
        while let Some((side, frames)) = self.wait() {
            watch.waited();
            watch.took(self.from_replicas.len() + self.from_clients.len());
            let mut batch = Vec::with_capacity(frames.len());
            self.decode(side, frames, &mut batch);
            while batch.len() < self.batch_max
                && let Some((side, frames)) = self.take()
            {
                self.decode(side, frames, &mut batch);
            }
            let items = batch.len();
            let sent = if batch.is_empty() { Ok(()) } else { send(&self.verify, batch, watch) };
            watch.worked(items);
            if sent == Err(Closed) {
                return;
            }
        }
    }

    /// What is there, without waiting.
    fn take(&self) -> Option<(Side, Frames)> {
        let replicas = self.from_replicas.try_recv().map(|frames| (Side::Replicas, frames));
        replicas
            .or_else(|_| self.from_clients.try_recv().map(|frames| (Side::Clients, frames)))
            .ok()
    }

    /// What is there or comes next; `None` when the cluster stops. A side that nobody sends on any
    /// more is forgotten: a committee of one has no peers, and clients may leave.
    fn wait(&mut self) -> Option<(Side, Frames)> {
        loop {
            if let Some(taken) = self.take() {
                return Some(taken);
            }
            select! {
                recv(self.from_replicas) -> frames => match frames {
                    Ok(frames) => return Some((Side::Replicas, frames)),
                    Err(_) => self.from_replicas = never(),
                },
                recv(self.from_clients) -> frames => match frames {
                    Ok(frames) => return Some((Side::Clients, frames)),
                    Err(_) => self.from_clients = never(),
                },
                recv(self.stop) -> _ => return None,
            }
        }
    }

    fn decode(&self, side: Side, frames: Frames, batch: &mut Vec<M>) {
        for frame in frames {
            Counts::add(&self.counts.bytes_received, frame.len() as u64);
            self.decode_one(side, &frame, batch);
        }
    }

    /// Cheap checks come before signatures, and drop only what no later state would take.
    fn decode_one(&self, side: Side, frame: &Bytes, batch: &mut Vec<M>) {
        let Ok(message) = M::from_frame(frame) else {
            Counts::add(&self.counts.frames_undecodable, 1);
            return;
        };
        let proper = match message.sender() {
            None => true,
            Some(sender) => {
                side == Side::Replicas && sender != self.replica && self.committee.contains(sender)
            }
        };
        if proper {
            Counts::add(&self.counts.received[message.kind()], 1);
            batch.push(message);
        } else {
            Counts::add(&self.counts.messages_improper, 1);
        }
    }
}
