//! Replicas of one cluster in processes of their own, joined by TCP over loopback.
//!
//! Each takes a [`Seat`] first: a free port, which the system chooses, so that no two want the same.
//! Once all seats are known each dials every other, and says who it is; then it takes the connections
//! of those that dial it. Dialling waits for nobody, for the system completes it, so none waits for
//! another that waits for it. The clients' process dials every replica.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use quorumark_application::Application;
use quorumark_consensus::engine::Engine;
use quorumark_consensus::pbft::{self, Pbft};
use quorumark_consensus::types::ReplicaId;

use super::wiring::{Builder, Wires};
use super::{Cluster, StartError, check_ports};
use crate::config::{Checked, ClusterConfig};
use crate::events::CommitEvent;
use crate::keys::ClusterKeys;
use crate::port::ClientPort;
use crate::protocol::Protocol;
use crate::stage::{ClientLink, Clock};
use crate::tcp::{self, Hello};

/// How long a replica waits for the others to dial it.
const MEET_TIMEOUT: Duration = Duration::from_secs(20);

/// A replica's place on the network, taken before its peers are known.
#[derive(Debug)]
pub struct Seat {
    listener: TcpListener,
}

impl Seat {
    /// Takes a free port of loopback.
    ///
    /// # Errors
    /// When the system has none.
    pub fn take() -> io::Result<Seat> {
        Ok(Seat { listener: tcp::listen()? })
    }

    /// Where it is reached.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One replica among others of its cluster that run elsewhere.
#[derive(Debug)]
pub struct Apart {
    /// Which it is.
    pub replica: ReplicaId,
    /// Its own place.
    pub seat: Seat,
    /// The places of all started replicas, its own among them, by id.
    pub seats: Vec<SocketAddr>,
    /// The client ids of each port that will dial it.
    pub ports: Vec<Range<u32>>,
    /// How long ago the cluster's clock began: one clock for all its processes.
    pub elapsed: Duration,
}

impl Cluster<Pbft> {
    /// [`Cluster::start_apart`] of a PBFT replica with the engine settings of `config`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_pbft_apart<A: Application + 'static>(
        config: &Checked<ClusterConfig>,
        keys: &ClusterKeys,
        apart: Apart,
        events: Option<Sender<Vec<CommitEvent>>>,
        application: A,
    ) -> Result<Cluster<Pbft>, StartError> {
        let settings = pbft::Config { replica: apart.replica, ..config.engine.clone() };
        let engine = Pbft::new(settings.check().expect("a checked cluster has checked engines"));
        Cluster::start_apart(config, keys, apart, events, engine, application)
    }
}

impl<E> Cluster<E>
where
    E: Engine + Send + 'static,
    E::Message: Protocol,
    E::Counters: Send,
{
    /// Starts one replica of the cluster; returns once every other and every port has dialled it.
    /// The counts of the others are 0 here.
    ///
    /// # Errors
    /// [`StartError`], also when somebody does not come in time.
    ///
    /// # Panics
    /// When it is none of the started replicas.
    pub fn start_apart<A: Application + 'static>(
        config: &Checked<ClusterConfig>,
        keys: &ClusterKeys,
        apart: Apart,
        events: Option<Sender<Vec<CommitEvent>>>,
        engine: E,
        application: A,
    ) -> Result<Cluster<E>, StartError> {
        check_ports(&apart.ports, config.clients)?;
        let mut builder = Builder::new(config, keys);
        builder.cluster.clock = Clock::started(apart.elapsed);
        let wires = builder.meet(&apart)?;
        let parts = builder.parts(apart.replica, wires, engine, application, events);
        builder.replica(apart.replica, parts)?;
        Ok(builder.cluster)
    }

    /// Dials replicas that run elsewhere, by id, from a port for each range of client ids. What is
    /// returned carries frames and has no replica; its clock began `elapsed` ago. It ends when the
    /// replicas have: stop them first.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn dial(
        config: &Checked<ClusterConfig>,
        keys: &ClusterKeys,
        seats: &[SocketAddr],
        ports: &[Range<u32>],
        elapsed: Duration,
    ) -> Result<(Cluster<E>, Vec<ClientPort>), StartError> {
        check_ports(ports, config.clients)?;
        let mut builder = Builder::<E>::new(config, keys);
        builder.cluster.clock = Clock::started(elapsed);
        let mut client_ports = Vec::new();
        for (port, range) in ports.iter().enumerate() {
            let (replies, inbox) = bounded(config.port_capacity_batches);
            let mut replicas = Vec::new();
            for (replica, seat) in seats.iter().enumerate() {
                let dialed = tcp::dial(*seat, Hello::Port(port as u32))?;
                replicas.push(Some(builder.near_end(port, replica, dialed, &replies)?));
            }
            replicas.resize_with(config.replicas, || None);
            client_ports.push(ClientPort { clients: range.clone(), replicas, inbox });
        }
        Ok((builder.cluster, client_ports))
    }
}

impl<E> Builder<'_, E>
where
    E: Engine + Send + 'static,
    E::Message: Protocol,
    E::Counters: Send,
{
    /// Dials every other replica, and takes their connections and those of the ports.
    fn meet(&mut self, apart: &Apart) -> io::Result<Wires> {
        let me = usize::from(apart.replica.0);
        assert!(me < apart.seats.len(), "{} has a seat", apart.replica);
        let (inbox, from_replicas) = self.inbox();
        let (clients, from_clients) = self.inbox();
        let mut peers = Vec::new();
        for to in 0..self.config.replicas {
            let seat = apart.seats.get(to).filter(|_| to != me);
            let queue = seat.map(|seat| {
                let dialed = tcp::dial(*seat, Hello::Replica(apart.replica.0))?;
                self.say_to(me, to, dialed)
            });
            peers.push(queue.transpose()?);
        }
        let mut awaited: BTreeSet<usize> =
            (0..apart.seats.len()).filter(|one| *one != me).collect();
        let mut links: Vec<Option<ClientLink>> = apart.ports.iter().map(|_| None).collect();
        let deadline = Instant::now() + MEET_TIMEOUT;
        while !awaited.is_empty() || links.iter().any(Option::is_none) {
            let (hello, accepted) = tcp::accept(&apart.seat.listener, deadline)?;
            match hello {
                Hello::Replica(from) if awaited.remove(&usize::from(from)) => {
                    self.hear_from(usize::from(from), me, accepted, inbox.clone())?;
                }
                Hello::Port(port) => {
                    let port = port as usize;
                    let free = links.get_mut(port).filter(|link| link.is_none());
                    if let (Some(link), Some(range)) = (free, apart.ports.get(port)) {
                        let queue = self.far_end(port, me, accepted, &clients)?;
                        *link = Some(ClientLink { clients: range.clone(), queue });
                    }
                }
                // Nobody who is awaited: the connection closes.
                Hello::Replica(_) => {}
            }
        }
        let ports = links.into_iter().flatten().collect();
        Ok(Wires { from_replicas, from_clients, peers, ports })
    }
}
