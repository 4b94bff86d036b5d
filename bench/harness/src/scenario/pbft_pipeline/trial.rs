//! One trial: a fresh cluster, its load, its oracle.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::bounded;
use quorumark_consensus::pbft::{Counters, PROTOCOL};
use quorumark_consensus::{ClientId, Instant, ReplicaId, View};
use quorumark_pipeline::{
    ClientAuthKind, ClientKeys, ClusterKeys, ClusterReport, Snapshot, StageKind,
};

use super::onlooker::Onlooker;
use super::settings::{PrimaryStop, Settings};
use super::system::{Spent, System};
use crate::load::{ClusterPort, Gauge, Generator, LoadConfig, LoadReport, Loop, Pool, Requests};
use crate::oracle::{
    Findings, Oracle, OracleThread, OracleTime, SendTimes, Sightings, Watched, Window,
};
use crate::pace::PaceThread;
use crate::pages::HugePages;
use crate::progress::Phase;
use crate::scenario::Control;
use crate::trial::RunError;
use crate::workload::Plan;

/// Batches of executions that may wait for the oracle before they hold up replicas.
const EVENTS_CAPACITY: usize = 4096;
/// How long the last results are waited for.
const DRAIN_MAX: Duration = Duration::from_secs(3);
/// How long replicas may take to execute what others have answered already.
const SETTLE_MAX: Duration = Duration::from_secs(2);
/// How often this thread looks whether it shall go on.
const LOOK: Duration = Duration::from_millis(5);
/// How often it looks when the moment matters.
const LOOK_CLOSELY: Duration = Duration::from_micros(200);
/// How long the asked number of certificates is waited for before the primary is stopped all the
/// same: far more than a checkpoint interval takes under load.
const AIM_MAX: Duration = Duration::from_secs(1);
/// The primary of view 0, the one that is stopped.
pub(super) const FIRST_PRIMARY: ReplicaId = ReplicaId(0);

/// Everything that a trial left.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) load: LoadReport,
    /// What the cluster counted within the measured span.
    pub(super) window: Snapshot,
    /// What it counted in its whole life.
    pub(super) cluster: ClusterReport<Counters>,
    pub(super) findings: Findings,
    pub(super) oracle_time: OracleTime,
    pub(super) cpu_share: Option<f64>,
    /// What a look at the pace cost within the measured span, in microseconds of CPU time.
    pub(super) pace_us: Option<f64>,
    /// Memory allocations within the measured span, of all processes.
    pub(super) allocations: Option<u64>,
    pub(super) pool_bytes: usize,
    /// Memory of the replicas' own processes at its peak, where they have any.
    pub(super) replicas_rss_bytes: Option<u64>,
    /// What is to be said of replicas that ended before they were told to, one line each.
    pub(super) lost: Vec<String>,
    /// Whether every live replica had done all there was before it was stopped.
    pub(super) settled: bool,
    /// What came of the primary's stop, where one was asked for.
    pub(super) change: Option<Change>,
}

/// The primary's stop, and the time until something was committed without it.
#[derive(Debug)]
pub(super) struct Change {
    /// When the primary took nothing more.
    pub(super) stopped_at: Instant,
    /// The view that it was the primary of.
    pub(super) view: View,
    /// What the cluster counted from then until a commit of a later view was seen, or the window
    /// ended.
    pub(super) counted: Snapshot,
}

/// What was counted of a trial while its load ran.
struct Watch {
    spent: Spent,
    pace_us: Option<f64>,
    change: Option<Change>,
}

/// Runs one trial of `span`. `least_us` is what a transaction costs at least.
pub(super) fn run(
    settings: &Settings,
    plan: &Plan,
    seed: u64,
    span: Duration,
    least_us: f64,
    control: &Control<'_>,
) -> Result<Outcome, RunError> {
    let _pages = HugePages::allow(settings.huge_pages);
    let config = settings.checked(seed).map_err(|error| failed("configuration", &error))?;
    let keys = ClusterKeys::new(&config, PROTOCOL);
    let most = settings.requests_max(span, least_us);
    let pool = proven(plan, &keys, config.client_auth, most, control);
    if control.interrupted() {
        return Err(RunError::Interrupted);
    }
    let pool_bytes = pool.bytes();
    let requests = Requests::new(plan.clone(), config.client_auth, pool, clients(&keys, plan));

    let (events, observed) = bounded(EVENTS_CAPACITY);
    let events = settings.oracle.then_some(events);
    let started = System::start(settings, &config, &keys, plan, events);
    let (mut cluster, port) = started.map_err(|error| failed("start", &error))?;

    // The keys of many clients take their time: made before the load's clock starts.
    let port = ClusterPort::new(port, clients(&keys, plan), cluster.now());
    let start = cluster.now();
    let begin = start + settings.warmup;
    let window = Window { start: begin, end: begin + span };
    let sends = Arc::new(SendTimes::default());
    let oracle = Oracle::new(watched(settings, &keys), plan.clone(), Arc::clone(&sends), window);
    let sightings = oracle.sightings();
    let oracle = OracleThread::start(oracle, observed).map_err(|error| failed("oracle", &error))?;
    let interrupt = Arc::new(AtomicBool::new(false));
    let load = load(settings, settings.pace(start, seed), window);
    let gauge = Arc::new(Gauge::default());
    let generator = Generator::new(load, requests, sends, Arc::clone(&interrupt));
    let generator = generator.watched_by(Arc::clone(&gauge));
    let loader = Loader::start(generator, port)?;
    let watched = Onlooker { gauge: &gauge, window, control };
    let watch = watch(&mut cluster, settings, &sightings, &watched);
    interrupt.store(control.interrupted(), Ordering::Relaxed);
    let load = loader.finish();
    let settled = load.as_ref().is_ok_and(|load| settle(&mut cluster, settings, load));
    // A dead replica is why a load failed: it is told first.
    let ended = cluster.stop().map_err(|error| failed("the cluster", &error))?;
    let load = load?;
    let Watch { spent, pace_us, change } = watch?;
    let (findings, mut oracle_time) = oracle.finish(&load.requests, cut_off(&ended.report));
    oracle_time.online += ended.shipping;
    Ok(Outcome {
        load,
        window: spent.counted,
        cluster: ended.report,
        findings,
        oracle_time,
        cpu_share: spent.cpu_share,
        pace_us,
        allocations: spent.allocations,
        pool_bytes,
        replicas_rss_bytes: ended.peak_rss_bytes,
        lost: ended.lost,
        settled,
        change,
    })
}

/// The replicas that gave up telling the oracle what they executed, since it took nothing for a second
/// while the cluster stopped.
pub(super) fn cut_off(report: &ClusterReport<Counters>) -> u64 {
    report.replicas.iter().map(|replica| replica.counts.commit_events_dropped).sum()
}

/// Whom the oracle watches, and what it holds their certificates against.
fn watched(settings: &Settings, keys: &ClusterKeys) -> Watched {
    Watched {
        replicas: settings.cluster.replicas,
        live: settings.live().live,
        stopping: settings.stop.map(|_| FIRST_PRIMARY),
        context: keys.context(),
        directory: Arc::clone(keys.directory()),
    }
}

/// What the generator does: requests at this pace, recorded within the window.
fn load(settings: &Settings, pace: Loop, window: Window) -> LoadConfig {
    let engine = &settings.cluster.engine;
    LoadConfig {
        committee: settings.committee(),
        pace,
        window,
        retransmit_timeout: settings.retransmit_timeout,
        drain_max: DRAIN_MAX,
        client_window: engine.client_window,
        client_to_all: settings.client_to_all,
        read_only: engine.read_only,
    }
}

/// The requests that are proven beforehand: `most` where clients prove theirs, none otherwise.
fn proven(
    plan: &Plan,
    keys: &ClusterKeys,
    auth: ClientAuthKind,
    most: usize,
    control: &Control<'_>,
) -> Pool {
    match auth {
        ClientAuthKind::Signature | ClientAuthKind::Mac => {
            control.progress.phase(Phase::Sign { requests: most });
            Pool::made_until(plan, keys, most, || control.interrupted())
        }
        ClientAuthKind::None => Pool::default(),
    }
}

fn clients(keys: &ClusterKeys, plan: &Plan) -> Vec<ClientKeys> {
    (0..plan.clients()).map(|id| keys.client(ClientId(id))).collect()
}

/// The generator on its thread.
struct Loader(thread::JoinHandle<Result<LoadReport, quorumark_pipeline::PortError>>);

impl Loader {
    fn start(generator: Generator, mut port: ClusterPort) -> Result<Loader, RunError> {
        let named = thread::Builder::new().name("load".to_owned());
        let started = named.spawn(move || generator.run(&mut port));
        started.map(Loader).map_err(|error| failed("load generator", &error))
    }

    fn finish(self) -> Result<LoadReport, RunError> {
        match self.0.join() {
            Ok(report) => report.map_err(|error| failed("load generator", &error)),
            Err(_) => Err(failed("load generator", &"it panicked")),
        }
    }
}

/// Waits for the measured span to pass, with an eye on the pace, and stops the primary within it
/// where that is asked for.
fn watch(
    cluster: &mut System,
    settings: &Settings,
    sightings: &Sightings,
    onlooker: &Onlooker<'_>,
) -> Result<Watch, RunError> {
    let Onlooker { window, control, .. } = *onlooker;
    wait(cluster, window.start, control);
    control.progress.span_begins();
    let pace = PaceThread::start(settings.seed).map_err(|error| failed("pace", &error))?;
    let before = cluster.look();
    let change = match settings.stop {
        Some(stop) => {
            wait(cluster, window.start + stop.after, control);
            let changed = change(cluster, settings, stop, sightings, window, control);
            Some(changed.map_err(|error| failed("the primary", &error))?)
        }
        None => None,
    };
    onlooker.follow(cluster);
    let spent = cluster.look().since(&before);
    control.progress.span_ends();
    Ok(Watch { spent, pace_us: pace.finish(), change })
}

/// Stops the primary once as many sequence numbers above a checkpoint are executed as asked for, and
/// waits for a commit of a later view.
fn change(
    cluster: &mut System,
    settings: &Settings,
    stop: PrimaryStop,
    sightings: &Sightings,
    window: Window,
    control: &Control<'_>,
) -> Result<Change, String> {
    let interval = settings.cluster.engine.checkpoint_interval;
    let aimed = |seq: u64| stop.prepared == 0 || seq % interval == stop.prepared % interval;
    let patience = cluster.now() + AIM_MAX;
    while !aimed(sightings.seq().0) && cluster.now() < patience && !control.interrupted() {
        thread::sleep(LOOK_CLOSELY);
    }
    let (view, before) = (sightings.view(), cluster.snapshot());
    let stopped_at = cluster.stop_replica(FIRST_PRIMARY)?;
    while sightings.view() <= view && cluster.now() < window.end && !control.interrupted() {
        thread::sleep(LOOK_CLOSELY);
    }
    Ok(Change { stopped_at, view, counted: cluster.snapshot().since(&before) })
}

pub(super) fn wait(cluster: &System, until: Instant, control: &Control<'_>) {
    while !control.interrupted() {
        let left = until.since(cluster.now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(LOOK));
    }
}

/// Waits until every live replica has executed what was accepted and no more than the others, and
/// the primary has refused what was spoilt: the counts of the whole trial are exact then. Tells
/// whether replicas got there; one that had the whole of [`SETTLE_MAX`] for what is left of the
/// spoilt requests, and nothing else to do, has settled as well.
fn settle(cluster: &mut System, settings: &Settings, load: &LoadReport) -> bool {
    let deadline = cluster.now() + SETTLE_MAX;
    let accepted = load.requests.acknowledged.len();
    loop {
        let seen = cluster.snapshot();
        if !cluster.lost().is_empty() {
            return false;
        }
        let refused = seen.replicas.first().map_or(0, |replica| replica.requests_refused);
        let mut executed = executed(&seen);
        if settings.stop.is_some() {
            executed.remove(usize::from(FIRST_PRIMARY.0));
        }
        let all = executed.iter().all(|count| *count >= accepted && *count == executed[0]);
        let last = cluster.now() >= deadline;
        if all && refused >= load.sent_invalid || last {
            // With requests lost on the way, so may spoilt ones be.
            return all && load.unanswered == 0;
        }
        thread::sleep(LOOK);
    }
}

/// Requests that each started replica has executed.
fn executed(seen: &Snapshot) -> Vec<u64> {
    let of = |replica: usize| {
        let threads = seen.threads.iter().filter(|thread| thread.stage == StageKind::Execute);
        threads.filter(|t| t.replica.map(usize::from) == Some(replica)).map(|t| t.items).sum()
    };
    (0..seen.replicas.len()).map(of).collect()
}

fn failed(what: &str, error: &dyn core::fmt::Display) -> RunError {
    RunError::Failed {
        what: format!("{what}: {error}"),
        remedy: "fewer replicas, clients or a lower rate may do".to_owned(),
    }
}
