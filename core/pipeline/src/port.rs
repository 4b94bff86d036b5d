//! The clients' side: sending requests to replicas, and opening their replies.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError};
use quorumark_consensus::types::ReplicaId;
use thiserror::Error;

use crate::link::Frames;
pub use crate::replies::{ReplyView, open_replies, read_replies};

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
