//! A cluster: started, observed, stopped.

mod apart;
mod by_hand;
mod wiring;

use std::fmt;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use quorumark_application::Application;
use quorumark_consensus::engine::Engine;
use quorumark_consensus::pbft::{self, Pbft};
use quorumark_consensus::types::{Instant, ReplicaId};
use thiserror::Error;

pub use self::apart::{Apart, Seat};
pub use self::by_hand::{ByHand, Hand, Turn};
use self::wiring::Builder;
use crate::config::{Checked, ClusterConfig};
use crate::events::CommitEvent;
use crate::keys::ClusterKeys;
use crate::metrics::{Meter, ReplicaCounts, Snapshot};
use crate::port::ClientPort;
use crate::protocol::Protocol;
use crate::stage::Clock;
use crate::thread::Thread;

/// Why a cluster could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The operating system refused a socket or a thread.
    #[error("the cluster could not start: {0}; close other programs or choose fewer replicas")]
    System(#[from] io::Error),
    /// Two ports want the same client, or one a client that does not exist.
    #[error("port of clients {}..{}: ranges lie within 0..{clients} and do not overlap", range.start, range.end)]
    Port {
        /// The range asked for.
        range: Range<u32>,
        /// Clients of the cluster.
        clients: u32,
    },
}

/// A thread of the cluster panicked: what it measured cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{thread} stopped: {message}")]
pub struct StopError {
    /// The thread's name, such as `r0-execute`.
    pub thread: String,
    /// What it said.
    pub message: String,
}

/// What a replica counted in its whole life.
#[derive(Debug, Clone)]
pub struct ReplicaReport<C> {
    /// Which.
    pub replica: ReplicaId,
    /// The engine's own counters; `None` if its stage died.
    pub engine: Option<C>,
    /// The stages' counts.
    pub counts: ReplicaCounts,
}

/// What a stopped cluster leaves.
#[derive(Debug, Clone)]
pub struct ClusterReport<C> {
    /// Every started replica, in order.
    pub replicas: Vec<ReplicaReport<C>>,
}

/// A running cluster of replicas. Dropping it stops it.
pub struct Cluster<E: Engine> {
    clock: Clock,
    meters: Vec<Arc<Meter>>,
    /// Replicas that were started.
    started: usize,
    /// Of the replicas in this process.
    reports: Vec<(ReplicaId, Receiver<E::Counters>)>,
    /// The stages, and what carries replies.
    threads: Vec<Of<Thread>>,
    /// What carries messages to replicas over TCP; ends once its socket is shut.
    carriers: Vec<Of<Thread>>,
    sockets: Vec<Of<TcpStream>>,
    /// By replica: closing one tells its ingress to stop; the rest follows by itself. `None` once
    /// the replica was stopped.
    stops: Vec<Option<Sender<()>>>,
}

/// What ends with the first of its replicas: those that a connection joins, or twice the same one.
struct Of<T> {
    replicas: [ReplicaId; 2],
    part: T,
}

impl<T> Of<T> {
    fn is_of(&self, replica: ReplicaId) -> bool {
        self.replicas.contains(&replica)
    }
}

impl<E: Engine> fmt::Debug for Cluster<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads: Vec<_> = self.meters.iter().map(|meter| meter.name.as_str()).collect();
        f.debug_struct("Cluster").field("threads", &threads).finish_non_exhaustive()
    }
}

impl Cluster<Pbft> {
    /// Starts PBFT replicas with the engine settings of `config`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_pbft<A: Application + 'static>(
        config: &Checked<ClusterConfig>,
        keys: &ClusterKeys,
        ports: &[Range<u32>],
        events: Option<Sender<Vec<CommitEvent>>>,
        application: impl FnMut(ReplicaId) -> A,
    ) -> Result<(Cluster<Pbft>, Vec<ClientPort>), StartError> {
        let engine = |replica| {
            let settings = pbft::Config { replica, ..config.engine.clone() };
            Pbft::new(settings.check().expect("a checked cluster has checked engines"))
        };
        Cluster::start(config, keys, ports, events, engine, application)
    }
}

impl<E> Cluster<E>
where
    E: Engine + Send + 'static,
    E::Message: Protocol,
    E::Counters: Send,
{
    /// Starts every replica but the silent ones, and a port for each range of client ids.
    ///
    /// `events` gets what every replica executes. Whoever holds its other end must keep taking until
    /// the cluster has stopped, or drop it: a full channel holds up execution, as any full queue
    /// does.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start<A: Application + 'static>(
        config: &Checked<ClusterConfig>,
        keys: &ClusterKeys,
        ports: &[Range<u32>],
        events: Option<Sender<Vec<CommitEvent>>>,
        mut engine: impl FnMut(ReplicaId) -> E,
        mut application: impl FnMut(ReplicaId) -> A,
    ) -> Result<(Cluster<E>, Vec<ClientPort>), StartError> {
        check_ports(ports, config.clients)?;
        let mut builder = Builder::new(config, keys);
        let (wiring, client_ports) = builder.wire(ports)?;
        for (replica, wires) in wiring.into_iter().enumerate() {
            let id = ReplicaId(replica as u16);
            let parts = builder.parts(id, wires, engine(id), application(id), events.clone());
            builder.replica(id, parts)?;
        }
        Ok((builder.cluster, client_ports))
    }
}

impl<E: Engine> Cluster<E> {
    /// The time on the cluster's clock.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Everything counted so far. Costs a few file reads a thread, nothing on the measured path.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(self.clock.now().0, &self.meters, self.started)
    }

    /// A thread that has ended although nobody stopped the cluster or its replica: it panicked, or
    /// its input or output is gone. What is measured from then on is not the cluster that was asked
    /// for; [`Cluster::stop`] says what happened.
    pub fn ended_early(&self) -> Option<&str> {
        let mut threads = self.threads.iter().chain(&self.carriers).map(|thread| &thread.part);
        threads.find(|thread| thread.is_finished()).map(Thread::name)
    }

    /// Stops one replica for good while the others go on, as a crash would: it takes nothing more
    /// from that moment on, which is returned, and says only what it had in hand. What is sent to it
    /// afterwards is gone. Its counts, and its engine's, stand in [`Cluster::stop`]'s report.
    ///
    /// Returns once its threads have ended: after at most an application's batch, a few times
    /// `peer_patience`, and a second for an observer that takes no more events.
    ///
    /// # Errors
    /// [`StopError`] when one of its threads had panicked.
    ///
    /// # Panics
    /// When no such replica runs.
    pub fn stop_replica(&mut self, replica: ReplicaId) -> Result<Instant, StopError> {
        let stop = self.stops.get_mut(usize::from(replica.0)).and_then(Option::take);
        assert!(stop.is_some(), "{replica} runs");
        let stopped_at = self.clock.now();
        drop(stop);
        let stages = join(self.threads.extract_if(.., |thread| thread.is_of(replica)));
        for socket in self.sockets.extract_if(.., |socket| socket.is_of(replica)) {
            let _ = socket.part.shutdown(Shutdown::Both);
        }
        let carriers = join(self.carriers.extract_if(.., |thread| thread.is_of(replica)));
        stages.and(carriers).map(|()| stopped_at)
    }

    /// Stops every thread and waits for it. What was executed is still answered, what was replied
    /// to was executed by the replicas that replied, and the rest of what is in flight is lost.
    /// It takes at most an application's batch, a few times `peer_patience`, and a second for an
    /// observer that takes no more events.
    ///
    /// # Errors
    /// [`StopError`] when a thread had panicked.
    pub fn stop(mut self) -> Result<ClusterReport<E::Counters>, StopError> {
        self.halt()?;
        let counts = self.snapshot().replicas;
        let replicas = self.reports.iter().map(|(replica, report)| ReplicaReport {
            replica: *replica,
            engine: report.try_recv().ok(),
            counts: counts[usize::from(replica.0)],
        });
        Ok(ClusterReport { replicas: replicas.collect() })
    }

    /// Ingress ends when its stop closes; then verify ends, and order takes what execute still
    /// returns; execute, egress and the carriers of replies end one after the other as their
    /// inputs close. Nothing is left to say then, and the other sockets are shut.
    fn halt(&mut self) -> Result<(), StopError> {
        self.stops.clear();
        let stages = join(self.threads.drain(..));
        for socket in &self.sockets {
            let _ = socket.part.shutdown(Shutdown::Both);
        }
        let result = stages.and(join(self.carriers.drain(..)));
        assert!(self.threads.is_empty() && self.carriers.is_empty(), "every thread was joined");
        result
    }
}

/// Waits for every thread; the first that panicked is the error.
fn join(threads: impl Iterator<Item = Of<Thread>>) -> Result<(), StopError> {
    let mut first = Ok(());
    for thread in threads {
        if let Err((thread, message)) = thread.part.join() {
            first = first.and(Err(StopError { thread, message }));
        }
    }
    first
}

impl<E: Engine> Drop for Cluster<E> {
    fn drop(&mut self) {
        // A panic was reported by `stop`, or there is nobody left to report it to.
        let _ = self.halt();
    }
}

fn check_ports(ports: &[Range<u32>], clients: u32) -> Result<(), StartError> {
    for (nth, range) in ports.iter().enumerate() {
        let overlaps =
            ports[..nth].iter().any(|other| range.start < other.end && other.start < range.end);
        if overlaps || range.start >= range.end || range.end > clients {
            return Err(StartError::Port { range: range.clone(), clients });
        }
    }
    Ok(())
}
