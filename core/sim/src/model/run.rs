//! The loop of a prediction: events in virtual time, threads on cores.

use core::mem;

use quorumark_consensus::committee::Committee;
use quorumark_consensus::request::Reply;
use quorumark_primitives::signed::Signer;

use super::costs::{Costs, Item};
use super::load::Load;
use super::network::Network;
use super::replica::{Parcel, Replica, Turns};
use super::scheduler::{Next, Scheduler};
use super::{ModelError, Outcome, Regions, Settings};
use crate::queue::Queue;
use crate::world::Keys;

/// Bytes of a write's reply on the wire: step, length and a result of one byte. The 43 bytes that each run
/// of a client has besides are left out.
const REPLY_BYTES: usize = 3;
/// Looks at the pace a second, as in a live run.
const PACE_INTERVAL: u64 = 40_000_000;
/// The fewest response times of which one in a hundred can be told.
const P99_MIN: usize = 1000;

/// What happens at a time.
#[derive(Debug)]
enum Event {
    /// A thread that was woken can run.
    Runs(usize),
    /// The thread that has this core has done its work, if the core's turn is still this one.
    Done {
        core: usize,
        turn: u64,
    },
    /// Threads of a core change places.
    Tick(usize),
    /// A thread that sleeps until a time wakes.
    Timer(usize),
    ToReplica {
        replica: usize,
        parcel: Parcel,
        from_clients: bool,
    },
    ToClients(Vec<Reply>),
}

/// Whose thread it is. Threads are numbered in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Replica(usize),
    Load,
    Oracle,
    Pace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asleep,
    /// Woken, and on its way to a core.
    Woken,
    /// Has a core, or waits for one.
    Up,
}

#[derive(Debug)]
struct Thread {
    role: Role,
    state: State,
    /// Whether what runs is the tail of a turn: calls that wake others, or falling asleep.
    tail: bool,
    /// When it wants to be woken, and whether an event says so.
    timer: Option<u64>,
}

/// One prediction under way.
pub(super) struct Model<'a> {
    settings: &'a Settings,
    costs: &'a Costs,
    now: u64,
    events: Queue<Event>,
    scheduler: Scheduler,
    threads: Vec<Thread>,
    replicas: Vec<Replica>,
    load: Load,
    network: Network,
    /// Nanoseconds of work that wait for the oracle.
    oracle_ns: f64,
    pace_due: u64,
    /// Times that a thread of a replica or of the clients fell asleep.
    parks: u64,
    /// What was counted when the measured span began.
    before: Counted,
}

/// What is counted up to a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    batches: u64,
    sent: u64,
    used: u64,
    parks: u64,
}

impl<'a> Model<'a> {
    pub(super) fn new(settings: &'a Settings, costs: &'a Costs) -> Result<Model<'a>, ModelError> {
        let n = settings.replicas;
        let committee = Committee::new(n)?;
        let keys = Keys::new(settings.seed, false, n as u16, settings.clients);
        let local = settings.regions == Regions::Local;
        let turns = Turns {
            replicas: n,
            verify_batch_max: settings.verify_batch_max,
            keys: costs.keys,
            sockets: !local,
        };
        let replica = |id: usize| {
            let sealer = keys.sealer(Signer::Replica(id as u16));
            Ok(Replica::new(settings.engine(id)?, sealer, turns))
        };
        let replicas = (0..n).map(replica).collect::<Result<_, ModelError>>()?;
        let start = settings.warmup.as_nanos() as u64;
        let load = Load::new(
            settings.pace,
            &keys,
            settings.clients,
            settings.payload,
            settings.regions.count(),
            committee.weak_quorum(),
            [start, start + settings.span.as_nanos() as u64],
        );
        let cores = if local { settings.cores } else { n + 1 };
        let scheduler = Scheduler::new(cores, costs.ns(Item::Tick) as u64);
        let network = Network::new(settings.regions, settings.bandwidth, n, settings.seed);
        let mut model = Model {
            settings,
            costs,
            now: 0,
            events: Queue::default(),
            scheduler,
            threads: Vec::new(),
            replicas,
            load,
            network,
            oracle_ns: 0.0,
            pace_due: 0,
            parks: 0,
            before: Counted::default(),
        };
        model.spawn(local);
        Ok(model)
    }

    /// Threads where a live run has them: those of a replica keep to a core where cores have two
    /// replicas or more each.
    fn spawn(&mut self, local: bool) {
        let (n, cores) = (self.settings.replicas, self.settings.cores.max(1));
        let pinned = |replica: usize| match local {
            true => (n >= 2 * cores).then_some(replica % cores),
            false => Some(replica),
        };
        for replica in 0..n {
            self.thread(Role::Replica(replica), pinned(replica));
        }
        self.thread(Role::Load, if local { None } else { Some(n) });
        if local && self.settings.watched {
            self.thread(Role::Oracle, None);
            self.thread(Role::Pace, None);
        }
    }

    fn thread(&mut self, role: Role, pinned: Option<usize>) {
        let number = self.scheduler.spawn(pinned);
        debug_assert_eq!(number, self.threads.len(), "both count threads alike");
        self.threads.push(Thread { role, state: State::Asleep, tail: false, timer: None });
    }

    pub(super) fn run(mut self) -> Outcome {
        let start = self.settings.warmup.as_nanos() as u64;
        let end = start + self.settings.span.as_nanos() as u64;
        let load = self.settings.replicas;
        for thread in load..self.threads.len() {
            self.threads[thread].state = State::Woken;
            self.events.push(0, Event::Runs(thread));
        }
        while let Some((at, event)) = self.events.pop() {
            if at >= end {
                break;
            }
            if self.now < start && at >= start {
                self.before = self.counted();
            }
            self.now = at;
            self.happens(event);
        }
        self.outcome()
    }

    fn counted(&self) -> Counted {
        Counted {
            batches: self.replicas[0].batches,
            sent: self.load.sent,
            // CPU time of replicas and clients.
            used: (0..=self.settings.replicas).map(|thread| self.scheduler.used(thread)).sum(),
            parks: self.parks,
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Runs(thread) => {
                self.threads[thread].state = State::Up;
                let (core, takes) = self.scheduler.wake(thread, self.now);
                if takes {
                    let next = self.scheduler.switch(core, self.now);
                    self.go_on(core, next);
                }
                self.tick(core);
            }
            Event::Done { core, turn } => {
                if self.scheduler.turns(core) == turn {
                    self.done(core);
                }
            }
            Event::Tick(core) => {
                if self.scheduler.ticked(core, self.now) {
                    let next = self.scheduler.switch(core, self.now);
                    self.go_on(core, next);
                }
                self.tick(core);
            }
            Event::Timer(thread) => {
                self.threads[thread].timer = None;
                if self.threads[thread].state == State::Asleep {
                    self.threads[thread].state = State::Woken;
                    self.happens(Event::Runs(thread));
                }
            }
            Event::ToReplica { replica, parcel, from_clients } => {
                self.replicas[replica].hear(parcel, from_clients);
                self.wake(replica, self.now, self.costs.ns(Item::WakeDelay));
            }
            Event::ToClients(replies) => {
                self.load.hear(replies);
                let load = self.settings.replicas;
                self.wake(load, self.now, self.costs.ns(Item::WakeDelay));
            }
        }
    }

    fn tick(&mut self, core: usize) {
        if let Some(at) = self.scheduler.tick(core, self.now) {
            self.events.push(at, Event::Tick(core));
        }
    }

    /// Wakes a thread that sleeps; tells whether it did.
    fn wake(&mut self, thread: usize, at: u64, delay: f64) -> bool {
        let sleeps = self.threads[thread].state == State::Asleep;
        if sleeps {
            self.threads[thread].state = State::Woken;
            self.events.push(at + delay as u64, Event::Runs(thread));
        }
        sleeps
    }

    /// The core was given to a thread, or to nobody.
    fn go_on(&mut self, core: usize, next: Next) {
        let mut next = next;
        while let Next::Runs { thread, left } = next {
            if left > 0 {
                return self.until(core, left);
            }
            // A fresh thread, or one that had just ended its work when it lost the core.
            match self.begin(thread, true) {
                Some(work) => {
                    self.scheduler.work(core, self.now, work);
                    return self.until(core, work);
                }
                None => {
                    self.threads[thread].state = State::Asleep;
                    self.threads[thread].tail = false;
                    next = self.scheduler.sleep(core, self.now);
                    self.set_timer(thread);
                }
            }
        }
    }

    fn until(&mut self, core: usize, left: u64) {
        let turn = self.scheduler.turns(core);
        self.events.push(self.now + left, Event::Done { core, turn });
    }

    /// The thread that has the core has done what it had to do.
    fn done(&mut self, core: usize) {
        let Some(thread) = self.scheduler.running(core) else { return };
        let tail =
            if mem::take(&mut self.threads[thread].tail) { 0 } else { self.finish(thread, core) };
        if tail > 0 {
            self.threads[thread].tail = true;
            self.scheduler.work(core, self.now, tail);
            return self.until(core, tail);
        }
        match self.begin(thread, false) {
            Some(work) => {
                self.scheduler.work(core, self.now, work);
                self.until(core, work);
            }
            None => {
                self.threads[thread].state = State::Asleep;
                let next = self.scheduler.sleep(core, self.now);
                self.set_timer(thread);
                self.go_on(core, next);
            }
        }
    }

    /// Gives a thread its next turn: how long that takes. One that comes from sleep pays for it.
    fn begin(&mut self, thread: usize, woken: bool) -> Option<u64> {
        let (now, costs) = (self.now, self.costs);
        let ns = match self.threads[thread].role {
            Role::Replica(replica) => self.replicas[replica].turn(now, costs),
            Role::Load => self.load.turn(now, costs),
            Role::Oracle => Some(mem::take(&mut self.oracle_ns)).filter(|ns| *ns > 0.0),
            Role::Pace if now >= self.pace_due => {
                self.pace_due = now + PACE_INTERVAL;
                Some(costs.ns(Item::PaceLook))
            }
            Role::Pace => None,
        }?;
        let parked = if woken { costs.ns(Item::Park) } else { 0.0 };
        Some(((ns + parked) as u64).max(1))
    }

    /// Sends what the thread's turn left; what its calls that wake others take.
    fn finish(&mut self, thread: usize, core: usize) -> u64 {
        match self.threads[thread].role {
            Role::Replica(replica) => self.finish_replica(replica, core),
            Role::Load => {
                let (now, mut tail) = (self.now, 0.0);
                let parcels = self.load.end(now);
                // Without faults the first primary stays.
                for (region, parcel) in parcels.into_iter().enumerate() {
                    if parcel.messages.is_empty() {
                        continue;
                    }
                    let at = self.network.requests(now, region, 0);
                    tail += self.hand_over(0, core, now + tail as u64);
                    self.deliver(at + tail as u64, 0, parcel, true);
                }
                tail as u64
            }
            Role::Oracle | Role::Pace => 0,
        }
    }

    fn finish_replica(&mut self, replica: usize, core: usize) -> u64 {
        let said = mem::take(&mut self.replicas[replica].said);
        let local = self.settings.regions == Regions::Local;
        let mut tail = 0.0;
        for (peer, parcel) in said.to_replicas.into_iter().enumerate() {
            if parcel.messages.is_empty() {
                continue;
            }
            if local {
                tail += self.hand_over(peer, core, self.now + tail as u64);
                self.deliver(self.now + tail as u64, peer, parcel, false);
            } else {
                tail += self.socket_ns(parcel.bytes);
                let leaves = self.now + tail as u64;
                let at = self.network.between(leaves, replica, peer, parcel.bytes);
                self.deliver(at, peer, parcel, false);
            }
        }
        if !said.replies.is_empty() {
            tail += self.reply(replica, said.replies, core, tail);
        }
        if self.settings.watched && local && !said.executed.is_empty() {
            let per = self.costs.ns(Item::OracleRequest);
            let of = |requests: &u64| self.costs.ns(Item::OracleBatch) + *requests as f64 * per;
            self.oracle_ns += said.executed.iter().map(of).sum::<f64>();
            let oracle = self.settings.replicas + 1;
            tail += self.hand_over(oracle, core, self.now + tail as u64);
        }
        tail as u64
    }

    /// Sends replies to the clients of each region.
    fn reply(&mut self, replica: usize, replies: Vec<Reply>, core: usize, before: f64) -> f64 {
        let regions = self.settings.regions.count();
        let mut by_region: Vec<Vec<Reply>> = Vec::new();
        by_region.resize_with(regions, Vec::new);
        for reply in replies {
            by_region[reply.client.0 as usize % regions].push(reply);
        }
        let mut tail = 0.0;
        for (region, replies) in by_region.into_iter().enumerate() {
            if replies.is_empty() {
                continue;
            }
            let load = self.settings.replicas;
            if self.settings.regions == Regions::Local {
                let at = self.now + (before + tail) as u64;
                tail += self.hand_over(load, core, at);
                self.events.push(self.now + (before + tail) as u64, Event::ToClients(replies));
            } else {
                let bytes = replies.len() * REPLY_BYTES;
                tail += self.socket_ns(bytes);
                let leaves = self.now + (before + tail) as u64;
                let at = self.network.replies(leaves, replica, region, bytes);
                self.events.push(at, Event::ToClients(replies));
            }
        }
        tail
    }

    fn socket_ns(&self, bytes: usize) -> f64 {
        let per_byte = self.costs.ns(Item::SocketSendByte);
        self.costs.ns(Item::SocketSend) + bytes as f64 * per_byte
    }

    /// What handing a flush to another thread of the machine costs its sender: a call, if it sleeps.
    fn hand_over(&mut self, thread: usize, core: usize, at: u64) -> f64 {
        if self.settings.regions != Regions::Local {
            return 0.0;
        }
        let near = self.scheduler.core_of(thread) == core;
        let delay = if near { Item::WakeNear } else { Item::WakeDelay };
        let call = self.costs.ns(Item::WakeCall);
        match self.wake(thread, at + call as u64, self.costs.ns(delay)) {
            true => call,
            false => 0.0,
        }
    }

    fn deliver(&mut self, at: u64, replica: usize, parcel: Parcel, from_clients: bool) {
        self.events.push(at.max(self.now), Event::ToReplica { replica, parcel, from_clients });
    }

    /// A thread sleeps until its next time, if it has one.
    fn set_timer(&mut self, thread: usize) {
        self.parks += u64::from(thread < self.settings.replicas);
        let due = match self.threads[thread].role {
            Role::Replica(replica) => self.replicas[replica].next_timeout(),
            Role::Load => self.load.next_arrival(),
            Role::Oracle => None,
            Role::Pace => Some(self.pace_due),
        };
        let Some(due) = due else { return };
        let late = self.costs.ns(Item::TimerLate) as u64;
        let at = due.max(self.now) + late;
        let timer = &mut self.threads[thread].timer;
        // An earlier one finds nothing to do, and sets the next.
        if timer.is_none_or(|set| set > at) {
            *timer = Some(at);
            self.events.push(at, Event::Timer(thread));
        }
    }

    fn outcome(mut self) -> Outcome {
        let (counted, before) = (self.counted(), self.before);
        let seconds = self.settings.span.as_secs_f64();
        let used = (counted.used - before.used) as f64;
        let times = &mut self.load.times;
        times.sort_unstable();
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied();
        let accepted = times.len() as f64;
        let batches = counted.batches - before.batches;
        let sent = counted.sent - before.sent;
        let cores = match self.settings.regions {
            Regions::Local => self.settings.cores as f64,
            _ => 1.0,
        };
        let busiest = (0..self.settings.replicas).map(|thread| self.scheduler.used(thread));
        let total = (self.settings.warmup + self.settings.span).as_nanos() as f64;
        let busy_share = match self.settings.regions {
            Regions::Local => used / (seconds * 1e9 * cores),
            _ => busiest.max().unwrap_or(0) as f64 / total,
        };
        Outcome {
            throughput_tx_per_s: accepted / seconds,
            response_time_ns_p50: at(0.5),
            response_time_ns_p99: at(0.99).filter(|_| times.len() >= P99_MIN),
            batch_size_mean: sent as f64 / batches.max(1) as f64,
            cpu_us_per_tx: used / 1e3 / accepted.max(1.0),
            parks_per_tx: (counted.parks - before.parks) as f64 / accepted.max(1.0),
            busy_share,
            views_left: self.replicas.iter().map(Replica::views_left).max().unwrap_or(0),
        }
    }
}
