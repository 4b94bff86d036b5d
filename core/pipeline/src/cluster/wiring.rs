//! How a cluster is wired and started, part by part.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, never};
use quorumark_application::Application;
use quorumark_consensus::engine::{Engine, STATE_WORK_MAX};
use quorumark_consensus::types::{ReplicaId, Seq};
use quorumark_primitives::signed::{ClientAuth, Verified, Verifier};

use super::{Cluster, Of};
use crate::config::{Checked, ClientAuthKind, ClusterConfig, Pinning, Stages, Transport};
use crate::events::CommitEvent;
use crate::idle::Idle;
use crate::keys::ClusterKeys;
use crate::link::{Frames, PeerLink};
use crate::metrics::{Manner, Meter, StageKind, Stopwatch, Work};
use crate::port::ClientPort;
use crate::protocol::Protocol;
use crate::stage::{
    ClientLink, Clock, Decoder, Egress, Execute, Executor, Gate, Inbox, Ingress, Inputs, Means,
    Order, Outgoing, Peers, Recall, Task, Verify, Whole, Writer,
};
use crate::tcp::{self, Hello, WhenFull};
use crate::thread::Thread;

/// Wires and starts a cluster part by part; what was started is stopped if a later part fails.
pub(super) struct Builder<'a, E: Engine> {
    pub(super) config: &'a Checked<ClusterConfig>,
    keys: &'a ClusterKeys,
    /// By replica: closes when it stops.
    stopped: Vec<Receiver<()>>,
    pub(super) cluster: Cluster<E>,
}

/// What a writer does when a replica of its connection stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenStopped {
    /// Ends at once: what it carries would not be read, or would not have been said.
    Quit,
    /// Writes until its queue closes: replies.
    Drain,
}

/// The queues that lead into and out of one replica.
pub(super) struct Wires {
    pub(super) from_replicas: Receiver<Frames>,
    pub(super) from_clients: Receiver<Frames>,
    /// By replica id; its own place, and that of a peer that was never started, lead nowhere.
    pub(super) peers: Vec<Option<Sender<Frames>>>,
    pub(super) ports: Vec<ClientLink>,
}

/// What a replica is made of, whichever threads do its work.
pub(super) struct Parts<E, A> {
    inbox: Inbox,
    /// As [`Wires::peers`].
    peers: Vec<Option<Sender<Frames>>>,
    engine: E,
    pub(super) executor: Executor<A>,
    writer: Writer,
}

/// One end of a queue of frames, and the other.
pub(super) type Queue = (Sender<Frames>, Receiver<Frames>);

impl<'a, E> Builder<'a, E>
where
    E: Engine + Send + 'static,
    E::Message: Protocol,
    E::Counters: Send,
{
    pub(super) fn new(config: &'a Checked<ClusterConfig>, keys: &'a ClusterKeys) -> Builder<'a, E> {
        let started = config.replicas - config.silent_replicas;
        let (stops, stopped) = (0..started).map(|_| bounded(0)).map(|(s, r)| (Some(s), r)).unzip();
        let cluster = Cluster {
            clock: Clock::start(),
            meters: Vec::new(),
            started,
            reports: Vec::new(),
            threads: Vec::new(),
            carriers: Vec::new(),
            sockets: Vec::new(),
            stops,
        };
        Builder { config, keys, stopped, cluster }
    }

    fn spawn(
        &mut self,
        stage: StageKind,
        work: Work,
        name: String,
        body: impl FnOnce(&mut Stopwatch) + Send + 'static,
    ) -> io::Result<Thread> {
        let meters = vec![Meter::new(name.clone(), stage, work)];
        self.start(name, meters, work, body)
    }

    /// Starts a thread that has the stages of these meters.
    fn start(
        &mut self,
        name: String,
        meters: Vec<Arc<Meter>>,
        work: Work,
        body: impl FnOnce(&mut Stopwatch) + Send + 'static,
    ) -> io::Result<Thread> {
        let core = match (&self.config.pinning, work.replica()) {
            (Pinning::ByReplica(cores), Some(replica)) if !cores.is_empty() => {
                Some(cores[usize::from(replica) % cores.len()])
            }
            _ => None,
        };
        let manner = Manner { idle: Idle::new(self.config.spin), timed: self.config.stage_times };
        let thread = Thread::spawn(name, &meters, core, manner, body)?;
        self.cluster.meters.extend(meters);
        Ok(thread)
    }

    fn stage(
        &mut self,
        stage: StageKind,
        id: ReplicaId,
        name: &str,
        body: impl FnOnce(&mut Stopwatch) + Send + 'static,
    ) -> io::Result<()> {
        let part = self.spawn(stage, Work::Replica(id.0), format!("{id}-{name}"), body)?;
        self.cluster.threads.push(Of { replicas: [id, id], part });
        Ok(())
    }

    pub(super) fn inbox(&self) -> Queue {
        bounded(self.config.inbox_capacity_batches)
    }

    /// Makes the inboxes of replicas and ports, and the ways that lead to them.
    pub(super) fn wire(
        &mut self,
        ports: &[Range<u32>],
    ) -> io::Result<(Vec<Wires>, Vec<ClientPort>)> {
        let started = self.cluster.started;
        let replicas: Vec<Queue> = (0..started).map(|_| self.inbox()).collect();
        let clients: Vec<Queue> = (0..started).map(|_| self.inbox()).collect();
        let replies: Vec<Queue> =
            ports.iter().map(|_| bounded(self.config.port_capacity_batches)).collect();
        let listeners = match self.config.transport {
            Transport::Memory => Vec::new(),
            Transport::Tcp => (0..started).map(|_| tcp::listen()).collect::<io::Result<_>>()?,
        };
        let mut wires = Vec::new();
        for from in 0..started {
            let mut peers = Vec::new();
            for to in 0..self.config.replicas {
                let queue = match replicas.get(to).filter(|_| to != from) {
                    None => None,
                    Some((inbox, _)) => {
                        Some(self.peer_queue(from, to, inbox, listeners.get(to))?)
                    }
                };
                peers.push(queue);
            }
            let (from_replicas, from_clients) = (replicas[from].1.clone(), clients[from].1.clone());
            wires.push(Wires { from_replicas, from_clients, peers, ports: Vec::new() });
        }
        let mut client_ports = Vec::new();
        for (port, range) in ports.iter().enumerate() {
            let mut queues = Vec::new();
            for (replica, wires) in wires.iter_mut().enumerate() {
                let (to_replica, to_port) = (&clients[replica].0, &replies[port].0);
                let listener = listeners.get(replica);
                let (there, back) =
                    self.port_queues(port, replica, to_replica, to_port, listener)?;
                queues.push(Some(there));
                wires.ports.push(ClientLink { clients: range.clone(), queue: back });
            }
            queues.resize_with(self.config.replicas, || None);
            let inbox = replies[port].1.clone();
            client_ports.push(ClientPort { clients: range.clone(), replicas: queues, inbox });
        }
        Ok((wires, client_ports))
    }

    /// The queue on which `from` puts what goes to `to`: the inbox itself, or a writer's queue.
    fn peer_queue(
        &mut self,
        from: usize,
        to: usize,
        inbox: &Sender<Frames>,
        listener: Option<&TcpListener>,
    ) -> io::Result<Sender<Frames>> {
        let Some(listener) = listener else { return Ok(inbox.clone()) };
        let (dialed, accepted) = tcp::connect(listener, Hello::Replica(from as u16))?;
        let queue = self.say_to(from, to, dialed)?;
        self.hear_from(from, to, accepted, inbox.clone())?;
        Ok(queue)
    }

    /// The end of the connection between two replicas at the one that speaks.
    pub(super) fn say_to(
        &mut self,
        from: usize,
        to: usize,
        dialed: TcpStream,
    ) -> io::Result<Sender<Frames>> {
        let ends = [ReplicaId(from as u16), ReplicaId(to as u16)];
        let name = format!("r{from}-to-r{to}");
        self.writer(Work::Replica(from as u16), ends, name, dialed, WhenStopped::Quit)
    }

    /// The end of the connection between two replicas at the one that hears.
    pub(super) fn hear_from(
        &mut self,
        from: usize,
        to: usize,
        accepted: TcpStream,
        inbox: Sender<Frames>,
    ) -> io::Result<()> {
        let ends = [ReplicaId(from as u16), ReplicaId(to as u16)];
        let name = format!("r{to}-from-r{from}");
        self.reader(Work::Replica(to as u16), ends, name, accepted, inbox, WhenFull::Wait)
    }

    /// The queues between a port and a replica, there and back.
    fn port_queues(
        &mut self,
        port: usize,
        replica: usize,
        to_replica: &Sender<Frames>,
        to_port: &Sender<Frames>,
        listener: Option<&TcpListener>,
    ) -> io::Result<(Sender<Frames>, Sender<Frames>)> {
        let Some(listener) = listener else { return Ok((to_replica.clone(), to_port.clone())) };
        let (dialed, accepted) = tcp::connect(listener, Hello::Port(port as u32))?;
        let back = self.far_end(port, replica, accepted, to_replica)?;
        Ok((self.near_end(port, replica, dialed, to_port)?, back))
    }

    /// The replica's end of the connection of a port: where its replies go.
    pub(super) fn far_end(
        &mut self,
        port: usize,
        replica: usize,
        accepted: TcpStream,
        to_replica: &Sender<Frames>,
    ) -> io::Result<Sender<Frames>> {
        let (ends, far) = ([ReplicaId(replica as u16); 2], Work::Replica(replica as u16));
        let (name, stream) = (format!("r{replica}-to-p{port}"), accepted.try_clone()?);
        let back = self.writer(far, ends, name, stream, WhenStopped::Drain)?;
        let (name, inbox) = (format!("r{replica}-from-p{port}"), to_replica.clone());
        self.reader(far, ends, name, accepted, inbox, WhenFull::Wait)?;
        Ok(back)
    }

    /// The port's end of its connection to a replica: where requests go.
    pub(super) fn near_end(
        &mut self,
        port: usize,
        replica: usize,
        dialed: TcpStream,
        to_port: &Sender<Frames>,
    ) -> io::Result<Sender<Frames>> {
        let (ends, near) = ([ReplicaId(replica as u16); 2], Work::PortTo(replica as u16));
        let (name, stream) = (format!("p{port}-to-r{replica}"), dialed.try_clone()?);
        let there = self.writer(near, ends, name, stream, WhenStopped::Quit)?;
        let (name, inbox) = (format!("p{port}-from-r{replica}"), to_port.clone());
        self.reader(near, ends, name, dialed, inbox, WhenFull::Drop)?;
        Ok(there)
    }

    fn writer(
        &mut self,
        work: Work,
        replicas: [ReplicaId; 2],
        name: String,
        stream: TcpStream,
        when_stopped: WhenStopped,
    ) -> io::Result<Sender<Frames>> {
        // Replies that find no place are dropped, and a client asks again only after a while: they
        // have the places of a port over either transport, however few an inbox has.
        let stops = replicas.map(|replica| self.stopped[usize::from(replica.0)].clone());
        let (capacity, stopped) = match when_stopped {
            WhenStopped::Quit => (self.config.inbox_capacity_batches, stops),
            WhenStopped::Drain => (self.config.port_capacity_batches, [never(), never()]),
        };
        let (queue, frames) = bounded(capacity);
        self.cluster.sockets.push(Of { replicas, part: stream.try_clone()? });
        let part = self.spawn(StageKind::Socket, work, name, move |watch| {
            tcp::write(stream, &frames, &stopped, watch);
        })?;
        match when_stopped {
            WhenStopped::Quit => self.cluster.carriers.push(Of { replicas, part }),
            WhenStopped::Drain => self.cluster.threads.push(Of { replicas, part }),
        }
        Ok(queue)
    }

    fn reader(
        &mut self,
        work: Work,
        replicas: [ReplicaId; 2],
        name: String,
        stream: TcpStream,
        inbox: Sender<Frames>,
        when_full: WhenFull,
    ) -> io::Result<()> {
        self.cluster.sockets.push(Of { replicas, part: stream.try_clone()? });
        let part = self.spawn(StageKind::Socket, work, name, move |watch| {
            tcp::read(stream, inbox, when_full, watch);
        })?;
        match when_full {
            WhenFull::Wait => self.cluster.carriers.push(Of { replicas, part }),
            WhenFull::Drop => self.cluster.threads.push(Of { replicas, part }),
        }
        Ok(())
    }

    /// Starts one replica.
    pub(super) fn replica<A: Application + 'static>(
        &mut self,
        id: ReplicaId,
        parts: Parts<E, A>,
    ) -> io::Result<()> {
        match self.config.stages {
            Stages::Separate => self.separate(id, parts),
            Stages::Merged => self.merged(id, parts),
        }
    }

    /// What replica `id` is made of.
    pub(super) fn parts<A>(
        &self,
        id: ReplicaId,
        wires: Wires,
        engine: E,
        application: A,
        events: Option<Sender<Vec<CommitEvent>>>,
    ) -> Parts<E, A> {
        let executor = Executor {
            replica: id,
            application,
            clock: self.cluster.clock,
            events,
            stop: self.stopped[usize::from(id.0)].clone(),
            untold: Vec::new(),
            stands: Seq(0),
            hashes_at_once: false,
            settling: false,
        };
        let writer = Writer {
            replica: id,
            sealer: self.keys.sealer(id.0),
            sessions: self.keys.sessions(id.0),
            replicas: self.config.replicas,
            ports: wires.ports,
            scratch: Vec::new(),
            replies_before: 0,
            by_client: Vec::new(),
        };
        let inbox = Inbox {
            from_replicas: wires.from_replicas,
            from_clients: wires.from_clients,
            stop: self.stopped[usize::from(id.0)].clone(),
        };
        Parts { inbox, peers: wires.peers, engine, executor, writer }
    }

    /// All stages of a replica, for one thread.
    pub(super) fn whole<A: Application>(
        &mut self,
        id: ReplicaId,
        parts: Parts<E, A>,
    ) -> Whole<E, A> {
        let Parts { inbox, peers, engine, executor, writer } = parts;
        Whole {
            decoder: self.decoder(id),
            inbox,
            gate: Gate::new(self.verifier(id, 0), Recall::new()),
            batch_max: self.config.verify_batch_max,
            engine,
            clock: self.cluster.clock,
            means: Means { executor, writer, peers: Peers::new(peers, self.config.peer_patience) },
            report: self.report(id),
        }
    }

    /// One thread for all stages of a replica.
    fn merged<A: Application + 'static>(
        &mut self,
        id: ReplicaId,
        parts: Parts<E, A>,
    ) -> io::Result<()> {
        let whole = self.whole(id, parts);
        let (meters, work) = (Meter::of_whole(id.0), Work::Replica(id.0));
        let name = format!("{id}-whole");
        let part = self.start(name, meters, work, |watch| whole.begin().run(watch))?;
        self.cluster.threads.push(Of { replicas: [id, id], part });
        Ok(())
    }

    /// Threads for each stage of a replica, and the queues between them.
    fn separate<A: Application + 'static>(
        &mut self,
        id: ReplicaId,
        parts: Parts<E, A>,
    ) -> io::Result<()> {
        let Parts { inbox, peers, engine, executor, writer } = parts;
        let capacity = self.config.queue_capacity_batches;
        // See the crate's invariant for the three capacities that are not `capacity`.
        let window = self.config.engine.window as usize + 1;
        let (to_order, verified) = bounded(capacity);
        let tasks = 2 * window + STATE_WORK_MAX;
        let (to_execute, committed) = bounded(tasks);
        let (results, executed) = bounded(tasks);
        let (to_egress, outgoing) = bounded(capacity);
        let (own_back, own) = bounded(capacity + 2);

        self.inbound(id, inbox, &to_order)?;
        drop(to_order);
        self.order(id, engine, Inputs { verified, own, executed }, to_execute, to_egress)?;
        let execute = Execute { executor, committed, results };
        self.stage(StageKind::Execute, id, "execute", |watch| execute.run(watch))?;
        let patience = self.config.peer_patience;
        let peers = peers.into_iter().map(|queue| PeerLink::new(queue, patience)).collect();
        let egress = Egress { writer, outgoing, own: own_back, peers };
        self.stage(StageKind::Egress, id, "egress", |watch| egress.run(watch))
    }

    /// What leads to the engine: ingress, and the verifying threads that share its queue.
    fn inbound(
        &mut self,
        id: ReplicaId,
        inbox: Inbox,
        to_order: &Sender<Vec<Verified<E::Message>>>,
    ) -> io::Result<()> {
        let (to_verify, decoded) = bounded(self.config.queue_capacity_batches);
        let ingress = Ingress {
            decoder: self.decoder(id),
            inbox,
            verify: to_verify,
            batch_max: self.config.verify_batch_max,
        };
        self.stage(StageKind::Ingress, id, "ingress", |watch| ingress.run(watch))?;
        let recall = Recall::new();
        for thread in 0..self.config.verify_threads {
            let verify = Verify {
                gate: Gate::new(self.verifier(id, thread), recall.clone()),
                decoded: decoded.clone(),
                order: to_order.clone(),
                batch_max: self.config.verify_batch_max,
            };
            let name = format!("verify-{thread}");
            self.stage(StageKind::Verify, id, &name, |watch| verify.run(watch))?;
        }
        Ok(())
    }

    /// The engine's thread, and the place where its counters will be.
    fn order(
        &mut self,
        id: ReplicaId,
        engine: E,
        inputs: Inputs<E::Message>,
        execute: Sender<Task>,
        egress: Sender<Vec<Outgoing<E::Message>>>,
    ) -> io::Result<()> {
        let (report, clock) = (self.report(id), self.cluster.clock);
        let order = Order { engine, clock, inputs, execute, egress, report };
        self.stage(StageKind::Order, id, "order", |watch| order.run(watch))
    }

    fn report(&mut self, id: ReplicaId) -> Sender<E::Counters> {
        let (report, reported) = bounded(1);
        self.cluster.reports.push((id, reported));
        report
    }

    fn decoder(&self, id: ReplicaId) -> Decoder {
        Decoder { replica: id, committee: self.config.engine.committee }
    }

    fn verifier(&self, id: ReplicaId, thread: usize) -> Verifier {
        let auth = match self.config.client_auth {
            ClientAuthKind::Signature => ClientAuth::Signature,
            ClientAuthKind::Mac => ClientAuth::Mac(self.keys.sessions(id.0)),
            ClientAuthKind::None => ClientAuth::None,
        };
        let directory = Arc::clone(self.keys.directory());
        let weights = self.keys.weights(id.0, thread);
        Verifier::new(self.keys.context(), directory, auth, weights)
            .with_path(self.config.verify_path)
    }
}

#[cfg(test)]
mod tests {
    use quorumark_consensus::pbft::{Message, Pbft};

    use super::*;

    #[test]
    fn replies_have_the_places_of_a_port_over_either_transport() {
        for transport in [Transport::Memory, Transport::Tcp] {
            let mut config = ClusterConfig::new(4).unwrap();
            config.transport = transport;
            (config.inbox_capacity_batches, config.port_capacity_batches) = (1, 7);
            let config = config.check().unwrap();
            let keys = ClusterKeys::new(&config, Message::ID);
            let mut builder = Builder::<Pbft>::new(&config, &keys);
            let (wires, ports) = builder.wire(&[0..2, 2..4]).unwrap();
            let links = wires.iter().flat_map(|wires| &wires.ports);
            let places: Vec<_> = links.map(|link| link.queue.capacity()).collect();
            assert_eq!(places, [Some(7); 4 * 2], "{transport}");
            drop((wires, ports));
        }
    }
}
