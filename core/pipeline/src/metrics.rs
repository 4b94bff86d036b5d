//! What each thread did and what each replica counted, at a cost of a few relaxed stores a batch.
//!
//! Every meter and its counts have one writer, their thread, so that counting needs no atomic
//! read-modify-write and no thread waits for another's cache line; readers may look at any time. CPU
//! time is not measured on the path at all: the kernel accounts for it per thread, and a snapshot
//! reads it from `/proc/self/task/<id>/schedstat`, where that exists.

mod counts;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

pub(crate) use self::counts::Counts;
pub use self::counts::ReplicaCounts;
use crate::idle::Idle;

/// Where on a message's way a thread works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageKind {
    /// Takes frames and decodes them.
    Ingress,
    /// Checks signatures and MACs.
    Verify,
    /// Runs the engine.
    Order,
    /// Runs the application.
    Execute,
    /// Seals, encodes and sends.
    Egress,
    /// Moves frames between a socket and a queue.
    Socket,
}

impl StageKind {
    /// The stages that every replica has, in the order of a message's way.
    pub const OF_A_REPLICA: [StageKind; 5] = [
        StageKind::Ingress,
        StageKind::Verify,
        StageKind::Order,
        StageKind::Execute,
        StageKind::Egress,
    ];
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StageKind::Ingress => "ingress",
            StageKind::Verify => "verify",
            StageKind::Order => "order",
            StageKind::Execute => "execute",
            StageKind::Egress => "egress",
            StageKind::Socket => "socket",
        })
    }
}

/// For whom a thread works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// For a replica.
    Replica(u16),
    /// For a port, on its connection to a replica, at which its counts are kept.
    PortTo(u16),
}

impl Work {
    pub(crate) fn replica(self) -> Option<u16> {
        match self {
            Work::Replica(replica) => Some(replica),
            Work::PortTo(_) => None,
        }
    }

    fn counted_at(self) -> u16 {
        match self {
            Work::Replica(replica) | Work::PortTo(replica) => replica,
        }
    }
}

/// A thread, as the kernel knows it.
#[derive(Debug, Default)]
struct Task {
    /// `/proc/self/task/<id>/schedstat`, once it runs.
    schedstat: OnceLock<String>,
    /// What that file said when the thread ended; it is gone afterwards.
    last: OnceLock<String>,
}

/// The counters of one stage on one thread; alone on its cache lines, so that no two threads share
/// one.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Meter {
    pub(crate) name: String,
    stage: StageKind,
    work: Work,
    /// The thread, which the meters of several stages may share.
    task: Arc<Task>,
    items: AtomicU64,
    batches: AtomicU64,
    busy_ns: AtomicU64,
    wait_ns: AtomicU64,
    blocked_ns: AtomicU64,
    depth_sum: AtomicU64,
    depth_max: AtomicU64,
    parks: AtomicU64,
    spins: AtomicU64,
    counts: Counts,
}

impl Meter {
    pub(crate) fn new(name: String, stage: StageKind, work: Work) -> Arc<Meter> {
        Meter::on(Arc::default(), name, stage, work)
    }

    /// The meters of the five stages of a replica that one thread does all the work of.
    pub(crate) fn of_whole(replica: u16) -> Vec<Arc<Meter>> {
        let task = Arc::<Task>::default();
        let meter = |stage: StageKind| {
            let name = format!("r{replica}-{stage}");
            Meter::on(Arc::clone(&task), name, stage, Work::Replica(replica))
        };
        StageKind::OF_A_REPLICA.map(meter).to_vec()
    }

    fn on(task: Arc<Task>, name: String, stage: StageKind, work: Work) -> Arc<Meter> {
        Arc::new(Meter {
            name,
            stage,
            work,
            task,
            items: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            wait_ns: AtomicU64::new(0),
            blocked_ns: AtomicU64::new(0),
            depth_sum: AtomicU64::new(0),
            depth_max: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            spins: AtomicU64::new(0),
            counts: Counts::default(),
        })
    }

    /// Its stage, nanoseconds of work so far, and items.
    pub(crate) fn read(&self) -> (StageKind, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (self.stage, read(&self.busy_ns), read(&self.items))
    }

    /// What was counted with it so far.
    pub(crate) fn counts(&self) -> ReplicaCounts {
        self.counts.snapshot()
    }

    /// Notes which kernel task the calling thread is; called once, by the thread itself.
    pub(crate) fn adopt(&self) {
        if let Ok(link) = fs::read_link("/proc/thread-self")
            && let Some(task) = link.file_name().and_then(|name| name.to_str())
        {
            let _ = self.task.schedstat.set(format!("/proc/self/task/{task}/schedstat"));
        }
    }

    /// Notes what the kernel accounted to the calling thread; its last act.
    pub(crate) fn retire(&self) {
        if let Some(text) = self.scheduled() {
            let _ = self.task.last.set(text);
        }
    }

    fn scheduled(&self) -> Option<String> {
        self.task.schedstat.get().and_then(|path| fs::read_to_string(path).ok())
    }

    fn snapshot(&self) -> ThreadSnapshot {
        let scheduled = self.task.last.get().cloned().or_else(|| self.scheduled());
        let mut numbers = scheduled.iter().flat_map(|text| text.split_ascii_whitespace());
        let mut number = || numbers.next().and_then(|text| text.parse().ok());
        let (cpu_ns, runqueue_ns) = (number(), number());
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ThreadSnapshot {
            name: self.name.clone(),
            stage: self.stage,
            replica: self.work.replica(),
            items: read(&self.items),
            batches: read(&self.batches),
            busy_ns: read(&self.busy_ns),
            wait_ns: read(&self.wait_ns),
            blocked_ns: read(&self.blocked_ns),
            depth_sum: read(&self.depth_sum),
            depth_max: read(&self.depth_max),
            parks: read(&self.parks),
            spins: read(&self.spins),
            cpu_ns,
            runqueue_ns,
            thread_ns: [cpu_ns, runqueue_ns],
            shared: Arc::strong_count(&self.task) > 1,
        }
    }
}

/// Adds to a counter that the calling thread alone writes. Relaxed: the counters order nothing.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

/// Splits a thread's time into busy, waiting for input, and blocked on a full output; and, where a
/// thread does the work of several stages, among these.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    /// The stage that works now.
    meter: Arc<Meter>,
    /// Every stage of the thread.
    stages: Vec<Arc<Meter>>,
    mark: Instant,
    idle: Idle,
    timed: bool,
    probe: Option<Probe>,
}

/// What is read besides the clock whenever another stage goes on.
#[derive(Debug, Clone, Copy)]
struct Probe {
    read: fn() -> u64,
    mark: u64,
    /// By how much it rose, in the order of [`StageKind::OF_A_REPLICA`].
    risen: [u64; 5],
}

/// How a thread waits, and whether it times what it does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) idle: Idle,
    pub(crate) timed: bool,
}

impl Stopwatch {
    /// Of a thread with these stages, the first of which begins.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn new(stages: &[Arc<Meter>]) -> Stopwatch {
        let (meter, stages) = (Arc::clone(&stages[0]), stages.to_vec());
        Stopwatch {
            meter,
            stages,
            mark: Instant::now(),
            idle: Idle::default(),
            timed: true,
            probe: None,
        }
    }

    /// Begins to attribute the rise of `read`, a counter, to the stages that work meanwhile.
    pub(crate) fn begin_probe(&mut self, read: fn() -> u64) {
        self.probe = Some(Probe { read, mark: read(), risen: [0; 5] });
    }

    /// Ends what [`Stopwatch::begin_probe`] began; by how much it rose, by stage.
    pub(crate) fn end_probe(&mut self) -> [u64; 5] {
        self.probe_lap();
        self.probe.take().map(|probe| probe.risen).unwrap_or_default()
    }

    fn probe_lap(&mut self) {
        let Some(probe) = &mut self.probe else { return };
        let now = (probe.read)();
        let stage = StageKind::OF_A_REPLICA.iter().position(|kind| *kind == self.meter.stage);
        if let Some(risen) = stage.and_then(|stage| probe.risen.get_mut(stage)) {
            *risen += now - probe.mark;
        }
        probe.mark = now;
    }

    /// The same for a thread of this manner.
    pub(crate) fn in_manner(self, Manner { idle, timed }: Manner) -> Stopwatch {
        Stopwatch { idle, timed, ..self }
    }

    /// Looks for input before the thread parks; `None` when it shall park. What is found ends the
    /// wait.
    pub(crate) fn look<T>(&mut self, look: impl FnMut() -> Option<T>) -> Option<T> {
        let found = self.idle.look(look);
        if found.is_some() {
            let span = self.lap();
            add(&self.meter.wait_ns, span);
            add(&self.meter.spins, 1);
        }
        found
    }

    /// Another stage goes on: the time since the last mark was work of the one before.
    ///
    /// # Panics
    /// When the thread has no such stage.
    pub(crate) fn enter(&mut self, stage: StageKind) {
        if self.meter.stage != stage {
            self.probe_lap();
            self.worked(0);
            let next = self.stages.iter().find(|meter| meter.stage == stage);
            self.meter = Arc::clone(next.expect("the thread has this stage"));
        }
    }

    /// `items` are done, or will be when the stage is left.
    pub(crate) fn done(&mut self, items: usize) {
        add(&self.meter.items, items as u64);
    }

    /// Nanoseconds since the last mark, which is now; 0 where nothing is timed.
    fn lap(&mut self) -> u64 {
        if !self.timed {
            return 0;
        }
        let now = Instant::now();
        let span = now.duration_since(self.mark).as_nanos() as u64;
        self.mark = now;
        span
    }

    /// The time since the last mark was spent waiting for input, parked in the end.
    pub(crate) fn waited(&mut self) {
        let span = self.lap();
        add(&self.meter.wait_ns, span);
        add(&self.meter.parks, 1);
    }

    /// Where this thread counts.
    pub(crate) fn counts(&self) -> &Counts {
        &self.meter.counts
    }

    /// The time since the last mark was work; `items` of it are done.
    pub(crate) fn worked(&mut self, items: usize) {
        let span = self.lap();
        add(&self.meter.busy_ns, span);
        add(&self.meter.items, items as u64);
    }

    /// The time since the last mark was spent waiting for room in a queue.
    pub(crate) fn blocked(&mut self) {
        let span = self.lap();
        add(&self.meter.blocked_ns, span);
    }

    /// A batch was taken from a queue that still holds `depth`.
    pub(crate) fn took(&mut self, depth: usize) {
        add(&self.meter.batches, 1);
        add(&self.meter.depth_sum, depth as u64);
        let max = self.meter.depth_max.load(Ordering::Relaxed);
        self.meter.depth_max.store(max.max(depth as u64), Ordering::Relaxed);
    }
}

/// One thread's counters at one moment, or between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadSnapshot {
    /// The thread's name, such as `r0-verify-1`.
    pub name: String,
    /// Where it works.
    pub stage: StageKind,
    /// For which replica; `None` for the threads of a client's port.
    pub replica: Option<u16>,
    /// Messages, requests or executions, by stage; a tentative execution once it is committed.
    pub items: u64,
    /// Batches taken.
    pub batches: u64,
    /// Nanoseconds of work, descheduled time included.
    pub busy_ns: u64,
    /// Nanoseconds without input.
    pub wait_ns: u64,
    /// Nanoseconds without room for output.
    pub blocked_ns: u64,
    /// Sum over batches of what the input queue still held, in its own units.
    pub depth_sum: u64,
    /// The largest of these since the start.
    pub depth_max: u64,
    /// Times that it found no input and parked: at most as many wake-ups.
    pub parks: u64,
    /// Times that it found no input, looked again, and found some before it parked.
    pub spins: u64,
    /// CPU nanoseconds, where the kernel tells; of a thread with several stages, this stage's part by
    /// its share of their busy time.
    pub cpu_ns: Option<u64>,
    /// Nanoseconds in which it could have run and had no processor, where the kernel tells; shared
    /// out as `cpu_ns`.
    pub runqueue_ns: Option<u64>,
    /// CPU and runqueue nanoseconds of the whole thread.
    pub(crate) thread_ns: [Option<u64>; 2],
    /// Whether the thread does the work of other stages of its replica too.
    pub(crate) shared: bool,
}

impl ThreadSnapshot {
    fn since(&self, earlier: &ThreadSnapshot) -> ThreadSnapshot {
        // A thread that had not noted yet which task it is had not run yet either.
        let between = |now: Option<u64>, then: Option<u64>| {
            now.map(|now| now.saturating_sub(then.unwrap_or_default()))
        };
        let cpu_ns = between(self.thread_ns[0], earlier.thread_ns[0]);
        let runqueue_ns = between(self.thread_ns[1], earlier.thread_ns[1]);
        ThreadSnapshot {
            name: self.name.clone(),
            stage: self.stage,
            replica: self.replica,
            items: self.items - earlier.items,
            batches: self.batches - earlier.batches,
            busy_ns: self.busy_ns - earlier.busy_ns,
            wait_ns: self.wait_ns - earlier.wait_ns,
            blocked_ns: self.blocked_ns - earlier.blocked_ns,
            depth_sum: self.depth_sum - earlier.depth_sum,
            depth_max: self.depth_max,
            parks: self.parks - earlier.parks,
            spins: self.spins - earlier.spins,
            cpu_ns,
            runqueue_ns,
            thread_ns: [cpu_ns, runqueue_ns],
            shared: self.shared,
        }
    }
}

/// Shares the times of a thread out among its stages, by their busy time; where none was busy or
/// nothing was timed, the first has it all.
fn share_out(threads: &mut [ThreadSnapshot]) {
    let mut busy = HashMap::new();
    for thread in threads.iter().filter(|thread| thread.shared) {
        *busy.entry(thread.replica).or_insert(0) += u128::from(thread.busy_ns);
    }
    let mut last = None;
    for thread in threads.iter_mut().filter(|thread| thread.shared) {
        let first = last.replace(thread.replica) != Some(thread.replica);
        let all = busy.get(&thread.replica).copied().unwrap_or_default();
        let part = |time: Option<u64>| match all {
            0 => time.map(|time| if first { time } else { 0 }),
            all => time.map(|time| (u128::from(time) * u128::from(thread.busy_ns) / all) as u64),
        };
        [thread.cpu_ns, thread.runqueue_ns] = thread.thread_ns.map(part);
    }
}

/// Everything a cluster counts, at one moment or between two.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When: nanoseconds on the cluster's clock; between two snapshots, the span.
    pub at_ns: u64,
    /// Every thread.
    pub threads: Vec<ThreadSnapshot>,
    /// Every started replica, in order.
    pub replicas: Vec<ReplicaCounts>,
}

impl Snapshot {
    pub(crate) fn take(at_ns: u64, meters: &[Arc<Meter>], replicas: usize) -> Snapshot {
        let mut counts = vec![ReplicaCounts::default(); replicas];
        for meter in meters {
            let sum = &mut counts[usize::from(meter.work.counted_at())];
            *sum = sum.plus(&meter.counts.snapshot());
        }
        let mut threads: Vec<_> = meters.iter().map(|meter| meter.snapshot()).collect();
        share_out(&mut threads);
        Snapshot { at_ns, threads, replicas: counts }
    }

    /// What happened since `earlier`, a snapshot of the same cluster.
    ///
    /// # Panics
    /// When it is of another cluster.
    pub fn since(&self, earlier: &Snapshot) -> Snapshot {
        assert_eq!(self.threads.len(), earlier.threads.len(), "snapshots of one cluster");
        let threads = self.threads.iter().zip(&earlier.threads);
        let mut threads: Vec<_> = threads.map(|(now, then)| now.since(then)).collect();
        share_out(&mut threads);
        let replicas = self.replicas.iter().zip(&earlier.replicas);
        Snapshot {
            at_ns: self.at_ns - earlier.at_ns,
            threads,
            replicas: replicas.map(|(now, then)| now.since(then)).collect(),
        }
    }

    /// Adds what another process counted of the same cluster up to about the same moment.
    pub fn add(&mut self, part: &Snapshot) {
        self.threads.extend_from_slice(&part.threads);
        for (sum, counts) in self.replicas.iter_mut().zip(&part.replicas) {
            *sum = sum.plus(counts);
        }
    }

    /// The sum over all replicas.
    pub fn totals(&self) -> ReplicaCounts {
        self.replicas.iter().fold(ReplicaCounts::default(), |sum, counts| sum.plus(counts))
    }

    /// CPU nanoseconds of all threads, where the kernel tells of every one.
    pub fn cpu_ns(&self) -> Option<u64> {
        self.threads.iter().map(|thread| thread.cpu_ns).sum()
    }
}
