//! The generator's way to the replicas, real or pretended.

use core::time::Duration;
use std::time;

use bytes::Bytes;
use quorumark_consensus::types::{ClientId, Instant, ReplicaId};
use quorumark_pipeline::port::{ReplyView, open_replies};
use quorumark_pipeline::{ClientKeys, ClientPort, PortError};

/// The most flushes of replies that are taken at once; the others wait in the port's queue.
const ARRIVED_MAX: usize = 256;

/// What the generator needs of the system under test: a clock, a way there, a way back.
pub trait Port {
    /// The time on the run's clock.
    fn now(&self) -> Instant;

    /// Sends frames to a replica, or hands them back when it takes none just now.
    ///
    /// # Errors
    /// [`PortError`], with the frames.
    fn send(&mut self, to: ReplicaId, frames: Vec<Bytes>) -> Result<(), (PortError, Vec<Bytes>)>;

    /// Waits until replies are there, at most until `until`. They are to be taken by [`Port::receive`]
    /// before the next wait.
    ///
    /// # Errors
    /// [`PortError::Stopped`].
    fn wait(&mut self, until: Instant) -> Result<(), PortError>;

    /// Hands the authentic replies that were there when [`Port::wait`] returned to `visit`. Returns how
    /// many runs of replies were not authentic.
    fn receive(&mut self, visit: &mut dyn FnMut(ReplyView<'_>)) -> u64;
}

/// The port of a cluster, with the session keys of its clients, and the cluster's clock.
#[derive(Debug)]
pub struct ClusterPort {
    port: ClientPort,
    /// By client id.
    keys: Vec<ClientKeys>,
    epoch: time::Instant,
    /// What came, until it is opened; bounded by [`ARRIVED_MAX`].
    arrived: Vec<Vec<Bytes>>,
}

impl ClusterPort {
    /// `now` is the time on the cluster's clock at this moment.
    pub fn new(port: ClientPort, keys: Vec<ClientKeys>, now: Instant) -> ClusterPort {
        let epoch = time::Instant::now();
        let epoch = epoch.checked_sub(Duration::from_nanos(now.0)).unwrap_or(epoch);
        ClusterPort { port, keys, epoch, arrived: Vec::new() }
    }

    /// Whether replies are there that [`Port::receive`] will hand out, or refuse.
    pub fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }
}

impl Port for ClusterPort {
    fn now(&self) -> Instant {
        Instant(self.epoch.elapsed().as_nanos() as u64)
    }

    fn send(&mut self, to: ReplicaId, frames: Vec<Bytes>) -> Result<(), (PortError, Vec<Bytes>)> {
        self.port.try_send(to, frames)
    }

    fn wait(&mut self, until: Instant) -> Result<(), PortError> {
        debug_assert!(self.arrived.is_empty(), "what came before was received");
        let wait = until.since(self.now());
        let mut next = match self.port.try_recv()? {
            None if !wait.is_zero() => self.port.recv_timeout(wait)?,
            there => there,
        };
        while let Some(frames) = next {
            self.arrived.push(frames);
            let more = self.arrived.len() < ARRIVED_MAX;
            next = if more { self.port.try_recv()? } else { None };
        }
        Ok(())
    }

    fn receive(&mut self, visit: &mut dyn FnMut(ReplyView<'_>)) -> u64 {
        let keys = |client: ClientId| self.keys.get(usize::try_from(client.0).ok()?);
        let mut refused = 0;
        for frame in self.arrived.drain(..).flatten() {
            // A frame that is no sequence of replies counts as one that is not authentic.
            refused += open_replies(&frame, keys, &mut *visit).unwrap_or(1) as u64;
        }
        refused
    }
}
