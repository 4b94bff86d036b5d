//! The world of one run: replicas, clients, network and time, all in one thread.
//!
//! Everything travels as encoded bytes, and nothing is believed that does not decode and verify; each
//! replica seals with its own key, and gets its own messages back sealed. Time is virtual, in nanoseconds; nothing takes
//! time but what is drawn: links, disks, execution, timers. What happens is told to a sink as events
//! of the trace, and judged elsewhere.

mod client;
mod digests;
mod due;
mod fault;
mod frame;
mod gauge;
mod keys;
mod network;
mod node;
mod replica;
pub(crate) mod wan;

use std::panic::{self, AssertUnwindSafe};

use quorumark_consensus::Committee;
use quorumark_consensus::pbft::{CheckedConfig, Config};
use quorumark_consensus::types::{ClientId, Instant, ReplicaId};
use quorumark_primitives::Digest;

use self::client::Client;
use self::digests::Digests;
use self::due::{Due, Sender};
use self::fault::Faults;
use self::frame::Frame;
pub(crate) use self::keys::Keys;
use self::network::{End, Network, Passage};
use self::node::Node;
use crate::queue::Queue;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::trace::{
    Auth, Crypto, Delivered, DropCause, Dropped, EndCause, Ended, Event, Fact, Header, MessageKind,
    Panicked, Party,
};

/// The most frames under way; what is sent beyond them is lost, as in a network whose queues are
/// full.
const FRAMES_MAX: usize = 1 << 20;

/// Events that are told to the sink at once. What reads them is as much code as what makes them,
/// and the two together do not fit the first-level cache of instructions: taking turns once in so
/// many events costs a fraction of taking turns with each.
const STRETCH_EVENTS: usize = 128;

/// What a run came to, beside its trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Things that happened.
    pub events: u64,
    /// Messages that arrived.
    pub messages: u64,
    /// Simulated time, in nanoseconds.
    pub simulated: u64,
    /// Operations submitted by clients.
    pub submitted: u64,
    /// Operations answered to clients.
    pub answered: u64,
    /// The highest view of any replica.
    pub views: u64,
    /// Batches committed, over all replicas.
    pub commits: u64,
}

/// One run under way.
pub(crate) struct World<'a> {
    scenario: &'a Scenario,
    committee: Committee,
    keys: Keys,
    now: u64,
    queue: Queue<Due>,
    /// Replicas by id, then twins.
    nodes: Vec<Node>,
    clients: Vec<Client>,
    network: Network,
    faults: Faults,
    /// Delays of disks and execution.
    machine: Random,
    arrivals: Random,
    /// Events that were not told to the sink yet.
    told: Vec<Event>,
    sink: &'a mut dyn FnMut(&[Event]),
    /// Where bytes are put together, to be sent or hashed.
    scratch: Vec<u8>,
    digests: Digests,
    summary: Summary,
    /// Whose turn it is, for the report of a panic.
    current: Option<ReplicaId>,
}

/// The configuration of one replica.
pub(crate) fn engine_config(scenario: &Scenario, replica: u16) -> Result<CheckedConfig, String> {
    let settings = &scenario.config;
    let committee = Committee::new(usize::from(scenario.replicas));
    let committee = committee.map_err(|error| error.to_string())?;
    let mut config = Config::new(committee, ReplicaId(replica));
    config.batch_size_max = settings.batch_size_max;
    config.batch_bytes_max = settings.batch_bytes_max;
    config.batch_linger = settings.batch_linger;
    config.parallel_batches = settings.parallel_batches;
    config.window = settings.window;
    config.checkpoint_interval = settings.checkpoint_interval;
    config.pending_max = settings.pending_max;
    config.pending_bytes_max = settings.pending_bytes_max;
    config.clients_max = settings.clients_max;
    config.client_window = settings.client_window;
    config.status_interval = settings.status_interval;
    config.view_timeout = settings.view_timeout;
    config.journal = settings.journal;
    config.read_only = settings.read_only;
    config.tentative = settings.tentative;
    config.check().map_err(|error| error.to_string())
}

impl<'a> World<'a> {
    /// A world at the start of a run, whose trace goes to `sink`.
    pub(crate) fn new(
        scenario: &'a Scenario,
        scenario_digest: Digest,
        sink: &'a mut dyn FnMut(&[Event]),
    ) -> World<'a> {
        let (n, seed) = (scenario.replicas, scenario.seed);
        let committee = Committee::new(usize::from(n)).expect("the scenario was checked");
        let keys = Keys::new(seed, scenario.real_crypto, n, scenario.workload.clients);
        let clients = (0..scenario.workload.clients)
            .map(|id| Client::new(id, &keys, committee, scenario.config.read_only, seed))
            .collect();
        let mut world = World {
            scenario,
            committee,
            now: 0,
            queue: Queue::default(),
            nodes: Vec::new(),
            clients,
            network: Network::new(&scenario.network, n, seed),
            faults: Faults::new(scenario),
            machine: Random::new(seed, "machine"),
            arrivals: Random::new(seed, "arrivals"),
            keys,
            told: Vec::with_capacity(STRETCH_EVENTS),
            sink,
            scratch: Vec::new(),
            digests: Digests::default(),
            summary: Summary::default(),
            current: None,
        };
        let header = world.header(scenario_digest);
        world.tell(Fact::Begun(Box::new(header)));
        world.nodes = (0..n).map(|replica| world.node(replica, 0)).collect();
        world
    }

    /// Runs to the end of the scenario's time, or until `events_max` things have happened.
    pub(crate) fn run(mut self, events_max: u64) -> (Summary, EndCause) {
        self.start();
        let ended = panic::catch_unwind(AssertUnwindSafe(|| self.turn_over(events_max)));
        let cause = ended.unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            let message = text.unwrap_or_else(|| "no message".to_owned()).into();
            let replica = self.current;
            self.tell(Fact::Panicked(Panicked { replica, message }));
            EndCause::Panic
        });
        self.tell(Fact::Ended(Ended { cause }));
        self.pass_on();
        let views = self.nodes.iter().map(|node| node.told.view.0).max().unwrap_or(0);
        self.summary.views = views;
        self.summary.simulated = self.now;
        (self.summary, cause)
    }

    fn start(&mut self) {
        self.begin_faults();
        for node in 0..self.nodes.len() {
            self.arm(node);
        }
        let clients = self.scenario.workload.clients;
        match self.scenario.workload.interval {
            // One stream of arrivals, dealt to the clients in turn.
            Some(_) => self.queue.push(0, Due::Submit { client: 0 }),
            None => (0..clients).for_each(|client| self.queue.push(0, Due::Submit { client })),
        }
    }

    fn turn_over(&mut self, events_max: u64) -> EndCause {
        let end = self.scenario.duration;
        while let Some((at, due)) = self.queue.pop() {
            if at > end {
                break;
            }
            if self.summary.events >= events_max {
                return EndCause::EventsSpent;
            }
            debug_assert!(at >= self.now, "time runs forward");
            self.now = at;
            self.summary.events += 1;
            self.happen(due);
        }
        self.now = end;
        EndCause::Duration
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Deliver { node, from, frame } => self.deliver(usize::from(node), from, frame),
            Due::Reply { client, from, frame } => self.reply(client, from, frame),
            Due::Timer { node } => self.timer(usize::from(node)),
            Due::Executed { node, incarnation } => self.executed(usize::from(node), incarnation),
            Due::Durable { node, incarnation } => self.durable(usize::from(node), incarnation),
            Due::Submit { client } => self.submit(client),
            Due::Retry { client, timestamp } => self.retry(client, timestamp),
            Due::Begin { event } => self.begin_event(event as usize),
            Due::End { event } => self.end_event(event as usize),
            Due::Restart { replica } => self.restart(replica),
            Due::Turn { liar } => self.turn_liar(liar as usize),
            Due::Gst => self.reach_gst(),
            Due::Late { node, to, frame } => self.late(usize::from(node), to, frame),
        }
        self.begin_due_moments();
    }

    fn header(&self, scenario: Digest) -> Header {
        let set = self.scenario;
        let faulty = set.faulty().into_iter().map(ReplicaId).collect();
        let context = self.keys.context();
        Header {
            protocol: "pbft".into(),
            cluster: context.cluster,
            protocol_id: context.protocol.0,
            replicas: set.replicas,
            faulty,
            clients: set.workload.clients,
            faulty_clients: Vec::new(),
            seed: set.seed,
            scenario,
            crypto: if set.real_crypto { Crypto::Real } else { Crypto::StandIn },
            auth: Auth::Signature,
            duration: Instant(set.duration),
            gst: Instant(set.gst),
            liveness_bound: Instant(set.expect.liveness_bound),
            window: set.config.window,
            checkpoint_interval: set.config.checkpoint_interval,
        }
    }

    /// Tells the trace; a moment that an event waits for lets it begin. Inlined, so that a fact is
    /// made where it stays and not moved there: most are far smaller than the largest.
    #[inline(always)]
    fn tell(&mut self, fact: Fact) {
        if self.told.len() == STRETCH_EVENTS {
            self.pass_on();
        }
        self.told.push(Event { at: Instant(self.now), fact });
        if self.faults.waits() {
            self.notice_last();
        }
    }

    #[cold]
    fn notice_last(&mut self) {
        if let Some(moment) = self.told.last().and_then(Event::moment) {
            self.notice(moment);
        }
    }

    /// Tells the sink what was not told yet.
    #[inline(never)]
    fn pass_on(&mut self) {
        (self.sink)(&self.told);
        self.told.clear();
    }

    /// Sends a frame to a replica; the network decides what becomes of it.
    fn send(&mut self, from: Sender, to: u16, frame: &Frame, kind: MessageKind) {
        let end = End::Replica(to);
        match self.passage(from, end, frame.len()) {
            Passage::Dropped(cause) => self.drop_frame(from, end, frame.len(), kind, cause),
            Passage::Arrives(at, again) => {
                self.carry(at, from, to, frame);
                if let Some(at) = again {
                    self.carry(at, from, to, frame);
                }
            }
        }
    }

    /// As [`World::send`], to a client.
    fn send_reply(&mut self, replica: u16, client: u32, frame: Frame) {
        let (from, end) = (Sender::Replica(replica), End::Client(client));
        match self.passage(from, end, frame.len()) {
            Passage::Dropped(cause) => {
                self.drop_frame(from, end, frame.len(), MessageKind::Reply, cause);
            }
            Passage::Arrives(at, again) => {
                let copy = again.map(|at| (at, frame.clone()));
                for (at, frame) in [(at, frame)].into_iter().chain(copy) {
                    let frame = self.network.corrupted(&frame).unwrap_or(frame);
                    self.queue.push(at, Due::Reply { client, from: replica, frame });
                }
            }
        }
    }

    fn passage(&mut self, from: Sender, to: End, bytes: usize) -> Passage {
        let start = match from {
            Sender::Replica(id) => End::Replica(id),
            Sender::Client(id) => End::Client(id),
        };
        let passage = self.network.pass(self.now, start, to, bytes);
        match self.queue.len() >= FRAMES_MAX {
            true => Passage::Dropped(DropCause::QueueFull),
            false => passage,
        }
    }

    fn carry(&mut self, at: u64, from: Sender, to: u16, frame: &Frame) {
        let frame = self.network.corrupted(frame).unwrap_or_else(|| frame.clone());
        if !self.has_twins() {
            return self.queue.push(at, Due::Deliver { node: to, from, frame });
        }
        for node in [to].into_iter().chain(self.twins_of(to)) {
            self.queue.push(at, Due::Deliver { node, from, frame: frame.clone() });
        }
    }

    fn drop_frame(
        &mut self,
        from: Sender,
        to: End,
        bytes: usize,
        kind: MessageKind,
        cause: DropCause,
    ) {
        let to = match to {
            End::Replica(id) => Party::Replica(ReplicaId(id)),
            End::Client(id) => Party::Client(ClientId(id)),
        };
        let bytes = bytes as u32;
        self.tell(Fact::Dropped(Dropped { from: party(from), to, kind, bytes, cause }));
    }

    fn delivered(&mut self, from: Sender, to: Party, bytes: usize, kind: MessageKind) {
        self.summary.messages += 1;
        let bytes = bytes as u32;
        self.tell(Fact::Delivered(Delivered { from: party(from), to, kind, bytes }));
    }

    /// A client asks for the next thing, and sees to it that it is asked again.
    fn submit(&mut self, client: u32) {
        let workload = &self.scenario.workload;
        if self.summary.submitted >= workload.operations {
            return;
        }
        self.summary.submitted += 1;
        if let Some(interval) = workload.interval {
            let next = (client + 1) % workload.clients;
            let wait = self.arrivals.exponential(interval);
            self.queue.push(self.now + wait, Due::Submit { client: next });
        }
        let Some(asking) = self.clients.get_mut(client as usize) else { return };
        let (timestamp, frame, submitted) = asking.submit(workload);
        let (primary, reads) = (asking.primary(), asking.reads(timestamp));
        self.tell(Fact::Submitted(submitted));
        self.queue.push(self.now + workload.retransmit, Due::Retry { client, timestamp });
        // OSDI'99 5.1: "a client multicasts a read-only request to all replicas".
        if workload.to_all || reads {
            self.ask_all(client, &frame);
        } else {
            self.send(Sender::Client(client), primary.0, &frame, MessageKind::Request);
        }
    }

    fn ask_all(&mut self, client: u32, frame: &Frame) {
        for replica in 0..self.scenario.replicas {
            self.send(Sender::Client(client), replica, frame, MessageKind::Request);
        }
    }

    /// PBFT 4.1: "if the client does not receive replies soon enough, it broadcasts the request to
    /// all replicas".
    fn retry(&mut self, client: u32, timestamp: u64) {
        let wait = self.scenario.workload.retransmit;
        let Some(asking) = self.clients.get_mut(client as usize) else { return };
        let Some((frame, wait)) = asking.again(timestamp, wait) else { return };
        self.queue.push(self.now + wait, Due::Retry { client, timestamp });
        self.ask_all(client, &frame);
    }

    fn reply(&mut self, client: u32, from: u16, frame: Frame) {
        let bytes = frame.len();
        let Some(asking) = self.clients.get_mut(client as usize) else { return };
        let answered = asking.reply(from, frame.bytes());
        let idle = asking.pending() == 0;
        let to = Party::Client(ClientId(client));
        self.delivered(Sender::Replica(from), to, bytes, MessageKind::Reply);
        let Some(answered) = answered else { return };
        self.summary.answered += 1;
        self.tell(Fact::Answered(answered));
        if idle && self.scenario.workload.interval.is_none() {
            self.submit(client);
        }
    }
}

fn party(sender: Sender) -> Party {
    match sender {
        Sender::Replica(id) => Party::Replica(ReplicaId(id)),
        Sender::Client(id) => Party::Client(ClientId(id)),
    }
}
