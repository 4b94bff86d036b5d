//! The clients' side: sending requests to replicas, and opening their replies.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError};
use quorumark_consensus::request::Reply;
use quorumark_consensus::types::{ClientId, ReplicaId};
use quorumark_primitives::mac::Tag;
use quorumark_primitives::signed::{Domain, ReplicaSessions};
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError};
use thiserror::Error;

use crate::keys::ClientKeys;
use crate::link::Frames;

/// Why frames were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PortError {
    /// The replica's inbox is full: backpressure. Nothing was sent.
    #[error("the replica's inbox is full")]
    Full,
    /// What was addressed has stopped: the replica, or for replies every replica.
    #[error("the replica has stopped, or the whole cluster")]
    Stopped,
}

/// The connections of a range of clients to every replica.
#[derive(Debug)]
pub struct ClientPort {
    pub(crate) clients: Range<u32>,
    /// `None` for a replica that was never started: what is sent to it is gone.
    pub(crate) replicas: Vec<Option<Sender<Frames>>>,
    pub(crate) inbox: Receiver<Frames>,
}

impl ClientPort {
    /// The client ids whose replies come here.
    pub fn clients(&self) -> Range<u32> {
        self.clients.clone()
    }

    /// Sends request frames to a replica, waiting while its inbox is full.
    ///
    /// # Errors
    /// [`PortError::Stopped`].
    ///
    /// # Panics
    /// When there is no such replica.
    pub fn send(&self, to: ReplicaId, frames: Vec<Bytes>) -> Result<(), PortError> {
        match &self.replicas[usize::from(to.0)] {
            None => Ok(()),
            Some(queue) => queue.send(frames).map_err(|_| PortError::Stopped),
        }
    }

    /// Sends request frames to a replica, or hands them back when its inbox is full.
    ///
    /// # Errors
    /// [`PortError`], with the frames.
    ///
    /// # Panics
    /// When there is no such replica.
    pub fn try_send(
        &self,
        to: ReplicaId,
        frames: Vec<Bytes>,
    ) -> Result<(), (PortError, Vec<Bytes>)> {
        match &self.replicas[usize::from(to.0)] {
            None => Ok(()),
            Some(queue) => queue.try_send(frames).map_err(|error| match error {
                TrySendError::Full(frames) => (PortError::Full, frames),
                TrySendError::Disconnected(frames) => (PortError::Stopped, frames),
            }),
        }
    }

    /// The next reply frames, or nothing when none come in time. Open them with [`open_replies`].
    ///
    /// # Errors
    /// [`PortError::Stopped`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Vec<Bytes>>, PortError> {
        match self.inbox.recv_timeout(timeout) {
            Ok(frames) => Ok(Some(frames)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(PortError::Stopped),
        }
    }

    /// Reply frames that are there, if any.
    ///
    /// # Errors
    /// [`PortError::Stopped`].
    pub fn try_recv(&self) -> Result<Option<Vec<Bytes>>, PortError> {
        match self.inbox.try_recv() {
            Ok(frames) => Ok(Some(frames)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(PortError::Stopped),
        }
    }
}

/// Appends a reply and its MAC; a reply frame is any number of these.
///
/// A client without a session gets nothing: its reply could not be told from a forged one.
pub(crate) fn encode_reply(reply: &Reply, sessions: &ReplicaSessions, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    reply.encode(out);
    match sessions.tag(reply.client.0, Domain::Reply, &out[start..]) {
        Some(tag) => {
            tag.encode(out);
            true
        }
        None => {
            out.truncate(start);
            false
        }
    }
}

/// Opens a frame of replies and hands each authentic one to `visit`; returns how many were not:
/// of clients without keys here, or with a MAC that does not match.
///
/// # Errors
/// [`WireError`] where the frame is no sequence of replies; replies before that place were visited.
pub fn open_replies<'k>(
    frame: &Bytes,
    keys: impl Fn(ClientId) -> Option<&'k ClientKeys>,
    mut visit: impl FnMut(Reply),
) -> Result<usize, WireError> {
    let mut reader = Reader::new(frame);
    let mut refused = 0;
    while reader.remaining() > 0 {
        let start = frame.len() - reader.remaining();
        let reply = Reply::decode(&mut reader)?;
        let end = frame.len() - reader.remaining();
        let tag = Tag::decode(&mut reader)?;
        let bytes = &frame[start..end];
        let authentic = keys(reply.client).is_some_and(|keys| {
            keys.sessions().accepts(reply.replica.0, Domain::Reply, bytes, &tag)
        });
        if authentic {
            visit(reply);
        } else {
            refused += 1;
        }
    }
    Ok(refused)
}
