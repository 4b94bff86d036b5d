//! The generator's way to the replicas, real or pretended.

use core::time::Duration;
use std::time;

use bytes::Bytes;
use quorumark_consensus::request::Reply;
use quorumark_consensus::types::{Instant, ReplicaId};
use quorumark_pipeline::port::open_replies;
use quorumark_pipeline::{ClientKeys, ClientPort, PortError};

/// What the generator needs of the system under test: a clock, a way there, a way back.
pub trait Port {
    /// The time on the run's clock.
    fn now(&self) -> Instant;

    /// Sends frames to a replica, or hands them back when it takes none just now.
    ///
    /// # Errors
    /// [`PortError`], with the frames.
    fn send(&mut self, to: ReplicaId, frames: Vec<Bytes>) -> Result<(), (PortError, Vec<Bytes>)>;

    /// Hands authentic replies to `visit`: all that are there, after waiting for the first until
    /// `until`. Returns how many runs of replies were not authentic.
    ///
    /// # Errors
    /// [`PortError::Stopped`].
    fn receive(&mut self, until: Instant, visit: &mut dyn FnMut(Reply)) -> Result<u64, PortError>;
}

/// The port of a cluster, with the session keys of its clients, and the cluster's clock.
#[derive(Debug)]
pub struct ClusterPort {
    port: ClientPort,
    /// By client id.
    keys: Vec<ClientKeys>,
    epoch: time::Instant,
}

impl ClusterPort {
    /// `now` is the time on the cluster's clock at this moment.
    pub fn new(port: ClientPort, keys: Vec<ClientKeys>, now: Instant) -> ClusterPort {
        let epoch = time::Instant::now();
        let epoch = epoch.checked_sub(Duration::from_nanos(now.0)).unwrap_or(epoch);
        ClusterPort { port, keys, epoch }
    }
}

impl Port for ClusterPort {
    fn now(&self) -> Instant {
        Instant(self.epoch.elapsed().as_nanos() as u64)
    }

    fn send(&mut self, to: ReplicaId, frames: Vec<Bytes>) -> Result<(), (PortError, Vec<Bytes>)> {
        self.port.try_send(to, frames)
    }

    fn receive(&mut self, until: Instant, visit: &mut dyn FnMut(Reply)) -> Result<u64, PortError> {
        let wait = until.since(self.now());
        let mut next = match self.port.try_recv()? {
            None if !wait.is_zero() => self.port.recv_timeout(wait)?,
            there => there,
        };
        let mut refused = 0;
        while let Some(frames) = next {
            for frame in frames {
                let keys = |client: quorumark_consensus::ClientId| {
                    self.keys.get(usize::try_from(client.0).ok()?)
                };
                // A frame that is no sequence of replies counts as one that is not authentic.
                refused += open_replies(&frame, keys, &mut *visit).unwrap_or(1) as u64;
            }
            next = self.port.try_recv()?;
        }
        Ok(refused)
    }
}
