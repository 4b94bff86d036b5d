//! What can be set, and what it comes to.

use core::time::Duration;
use std::sync::Arc;

use quorumark_application::kv::{PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MIN};
use quorumark_consensus::committee::REPLICAS_MAX;
use quorumark_consensus::pbft::PROTOCOL;
use quorumark_consensus::request::BATCH_REQUESTS_MAX;
use quorumark_consensus::{Committee, Instant};
use quorumark_pipeline::{
    Checked, ClientAuthKind, ClusterConfig, ConfigError, Pinning, Stages, Transport,
};
use quorumark_primitives::signed::VerifyPath;
use quorumark_report::Warning;

use crate::environment::cores;
use crate::floor::{Floor, FloorBench, Replicas, Shape};
use crate::load::{Arrivals, Law, Loop};
use crate::parameter::{Parameter, ParameterError, ParameterSet};
use crate::processes;
use crate::scenario::run_parameters;
use crate::workload::{self, Plan, Shares, Workload};

/// The most clients of a run.
const CLIENTS_MAX: u64 = 1 << 16;
/// The most requests that a closed loop keeps in flight.
const CONCURRENCY_MAX: u64 = 1 << 16;
/// The highest rate that can be asked for.
const RATE_MAX: f64 = 1e8;
/// The fewest timestamps of a client that replicas keep apart.
const CLIENT_WINDOW_MIN: u64 = 1024;

/// The configuration of a run, read and checked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) cluster: ClusterConfig,
    pub(super) seed: u64,
    pub(super) warmup: Duration,
    /// Whether memory may come in transparent huge pages.
    pub(super) huge_pages: bool,
    pub(super) retransmit_timeout: Duration,
    pub(super) shares: Shares,
    /// Requests a second of an open loop; `None` in a closed one.
    pub(super) rate: Option<f64>,
    pub(super) concurrency: usize,
    pub(super) client_to_all: bool,
    /// Whether what replicas execute is judged.
    pub(super) oracle: bool,
    /// Whether and when the primary is stopped.
    pub(super) stop: Option<PrimaryStop>,
    /// Every parameter as `name=value`, where each replica gets a process that reads them.
    pub(super) apart: Option<Vec<String>>,
    law: Law,
    workload: &'static str,
    payload: usize,
}

/// When the primary is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PrimaryStop {
    /// How long into the measured span at the earliest.
    pub(super) after: Duration,
    /// How many sequence numbers above the last checkpoint are executed then; 0 for any number.
    pub(super) prepared: u64,
}

/// Every parameter with its default.
pub(super) fn parameters() -> Vec<Parameter> {
    let mut parameters = committee_parameters();
    parameters.extend(load_parameters());
    parameters.extend(stage_parameters());
    parameters.extend(run_parameters(Duration::from_secs(10), Duration::from_secs(2), 1));
    parameters
}

fn committee_parameters() -> Vec<Parameter> {
    let payload = PAYLOAD_BYTES_MIN as u64..=PAYLOAD_BYTES_MAX as u64;
    let silent = "replicas, the last ones, that never start; at most f";
    let signers = "keys that sign in turn; 0: one for each client; raises clients to as many";
    vec![
        Parameter::integer("replicas", "replicas", 1..=REPLICAS_MAX.into(), 4, "n"),
        Parameter::choice("processes", ["one", "per-replica"], PROCESSES),
        Parameter::choice("durability", ["none"], "nothing is written to disk"),
        Parameter::choice("transport", ["memory", "tcp"], "how encoded frames travel"),
        Parameter::choice("auth", ["signature", "mac", "none"], "how requests show their client"),
        Parameter::choice("reply_auth", ["mac"], "how replies show their replica"),
        Parameter::integer("clients", "clients", 1..=CLIENTS_MAX, 4, "identities that ask"),
        Parameter::integer("signers", "keys", 0..=CLIENTS_MAX, 0, signers),
        Parameter::size("payload", payload, 512, "bytes of an operation of workload=fixed"),
        Parameter::choice("workload", workload::NAMES, "what clients ask for"),
        Parameter::integer("silent_replicas", "replicas", 0..=REPLICAS_MAX.into(), 0, silent),
    ]
}

fn load_parameters() -> Vec<Parameter> {
    let timeout = Duration::from_millis(10)..=Duration::from_secs(60);
    let concurrency = "requests in flight; a closed loop, when rate is 0";
    let rate = "requests a second, whatever waits: an open loop; 0: closed";
    let again = "wait for a result before a request is sent to all";
    let invalid = "share of requests whose proof is spoilt on purpose";
    let twice = "share of requests that are sent again, to all, once they were answered";
    vec![
        Parameter::integer(
            "concurrency",
            "requests",
            1..=CONCURRENCY_MAX,
            CONCURRENCY,
            concurrency,
        ),
        Parameter::rate("rate", RATE_MAX, 0.0, rate),
        Parameter::choice("arrivals", ["constant", "poisson"], "law of an open loop's arrivals"),
        Parameter::duration("retransmit_timeout", timeout, Duration::from_secs(1), again),
        Parameter::flag("client_to_all", false, TO_ALL),
        Parameter::flag("read_only", false, READS),
        Parameter::flag("tentative", false, TENTATIVE),
        Parameter::share("invalid_signature_share", 0.0, invalid),
        Parameter::share("retransmit_share", 0.0, twice),
    ]
}

fn stage_parameters() -> Vec<Parameter> {
    let linger = Duration::ZERO..=Duration::from_secs(10);
    let patience = Duration::from_millis(1)..=Duration::from_secs(600);
    let batch = BATCH_REQUESTS_MAX as u64;
    let interval = "sequence numbers between checkpoints; at most half of the window";
    let verify = "path of verification; dalek-single decides by another rule, for comparison";
    let together = "messages that are verified together";
    let queue = "batches that wait between two stages";
    let inbox = "flushes of senders that wait at a replica";
    // What is best for any cluster, its own defaults say.
    let default = ClusterConfig::new(4).expect("four replicas are a committee");
    let (engine, together_max) = (&default.engine, default.verify_batch_max as u64);
    let threads = default.verify_threads as u64;
    let queued = default.queue_capacity_batches as u64;
    let inboxed = default.inbox_capacity_batches as u64;
    let (high, kept) = (engine.window, engine.checkpoint_interval);
    vec![
        Parameter::integer(
            "batch_size_max",
            "requests",
            1..=batch,
            BATCH_SIZE_MAX,
            "requests of one batch",
        ),
        Parameter::duration("batch_linger", linger, engine.batch_linger, LINGER),
        Parameter::integer("parallel_batches", "batches", 1..=65_536, PARALLEL_BATCHES, AHEAD),
        Parameter::integer("verify_batch_max", "messages", 1..=4096, together_max, together),
        Parameter::integer("verify_threads", "threads", 1..=64, threads, "of each replica"),
        Parameter::choice("verify", ["batch", "single", "dalek-single"], verify),
        Parameter::integer("window", "seqs", 2..=65_536, high, "between low and high watermark"),
        Parameter::integer("checkpoint_interval", "seqs", 1..=32_768, kept, interval),
        Parameter::duration("view_timeout", patience, engine.view_timeout, PATIENCE),
        Parameter::integer("queue_capacity_batches", "batches", 1..=65_536, queued, queue),
        Parameter::integer("inbox_capacity_batches", "flushes", 1..=65_536, inboxed, inbox),
        Parameter::duration("spin", Duration::ZERO..=SPIN_MAX, default.spin, SPIN),
        Parameter::choice("stages", ["auto", "separate", "merged"], STAGES),
        Parameter::choice("pin", ["auto", "none", "by-replica"], PIN),
        Parameter::flag("huge_pages", false, HUGE_PAGES),
        Parameter::flag("stage_times", true, TIMES),
        Parameter::flag("oracle", true, ORACLE),
    ]
}

/// As many as are verified together, so that a batch of requests fills a batch of signatures. A batch's
/// votes cost the same whatever it holds: of 16 bytes without authentication a transaction in batches of
/// 256 costs two thirds more. What is kept grows with it and the window: more would not stay within
/// 200 MB.
const BATCH_SIZE_MAX: u64 = 512;
/// Three full batches: one is executed, one is on its way, one fills. With two, a request that is refused
/// leaves a few over that go alone, and the cluster runs dry.
pub(crate) const CONCURRENCY: u64 = 3 * BATCH_SIZE_MAX;
/// The longest that a thread may look for input.
const SPIN_MAX: Duration = Duration::from_millis(10);
const SPIN: &str = "how long a thread without input looks on before it parks; 0: parks at once";
const STAGES: &str =
    "threads for each stage of a replica, or one for all; auto: one where replicas share cores";
const PIN: &str =
    "threads of a replica on one core each; auto: where a core has two replicas or more";
const HUGE_PAGES: &str =
    "memory may come in transparent huge pages, which are resident whole however little is used";
const TIMES: &str = "threads time their work and waits; false shows what that costs";
const ORACLE: &str =
    "what replicas execute is judged; false shows what telling it costs, and proves nothing";
const PROCESSES: &str =
    "all replicas in the run's process, or one process for each (with transport=tcp)";
const TO_ALL: &str = "requests go to every replica at once, the mode in which protocols compare";
const READS: &str =
    "reads are answered without being ordered (OSDI'99 5.1), and every result takes a quorum";
const TENTATIVE: &str = "a batch is executed once it is prepared, and a quorum of tentative replies taken (OSDI'99 5.1)";
const PATIENCE: &str = "how long a backup waits for its oldest request before it leaves the view";
/// As the paper's implementation has it: here the links are fast, and no honest primary is slow.
const PARALLEL_BATCHES: u64 = 1;
const LINGER: &str = "how long the oldest request of a batch waits for company";
const AHEAD: &str = "batches under way from which on only a full one is proposed (TOCS'02 5.1.4)";

impl Settings {
    /// Reads a set of [`parameters`].
    ///
    /// # Errors
    /// [`ParameterError::Conflict`] for values that do not go together.
    pub(super) fn read(parameters: &ParameterSet) -> Result<Settings, ParameterError> {
        let rate = Some(parameters.rate("rate")).filter(|rate| *rate > 0.0);
        let settings = Settings {
            cluster: cluster(parameters)?,
            seed: parameters.integer("seed"),
            warmup: parameters.duration("warmup"),
            huge_pages: parameters.flag("huge_pages"),
            retransmit_timeout: parameters.duration("retransmit_timeout"),
            shares: Shares {
                invalid: parameters.share("invalid_signature_share"),
                sent_twice: parameters.share("retransmit_share"),
            },
            rate,
            concurrency: parameters.count("concurrency"),
            client_to_all: parameters.flag("client_to_all"),
            oracle: parameters.flag("oracle"),
            stop: None,
            apart: (parameters.choice("processes") == "per-replica").then(|| assigned(parameters)),
            law: match parameters.choice("arrivals") {
                "poisson" => Law::Poisson,
                _ => Law::Constant,
            },
            workload: parameters.choice("workload"),
            payload: parameters.size("payload"),
        };
        settings.check()?;
        Ok(settings)
    }

    /// The same with a primary that is stopped.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub(super) fn stopping(self, stop: PrimaryStop) -> Result<Settings, ParameterError> {
        let settings = Settings { stop: Some(stop), ..self };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), ParameterError> {
        let silent = self.cluster.silent_replicas;
        let (f, n) = (self.committee().f(), self.committee().n());
        if self.stop.is_some() && silent >= f {
            let names = format!("silent_replicas={silent}, replicas={n}");
            let problem =
                format!("{n} replicas go on with at most {f} missing, the primary is one");
            let remedy = "choose fewer silent replicas, or at least 4 replicas".to_owned();
            return Err(ParameterError::Conflict { names, problem, remedy });
        }
        if silent > f {
            let names = format!("silent_replicas={silent}, replicas={n}");
            let problem = format!("{n} replicas go on with at most {f} silent ones");
            let remedy = format!("choose silent_replicas up to {f}, or more replicas");
            return Err(ParameterError::Conflict { names, problem, remedy });
        }
        self.check_apart()?;
        self.check_oracle()?;
        let (auth, invalid) = (self.cluster.client_auth, self.shares.invalid);
        if invalid > 0.0 && auth == ClientAuthKind::None {
            let names = format!("invalid_signature_share={invalid}, auth=none");
            let problem = "without authentication no request is invalid".to_owned();
            let remedy = "choose auth=signature or auth=mac".to_owned();
            return Err(ParameterError::Conflict { names, problem, remedy });
        }
        if invalid >= 1.0 {
            let names = format!("invalid_signature_share={invalid}");
            let problem = "no valid request is left to measure".to_owned();
            let remedy = "choose a share below 1".to_owned();
            return Err(ParameterError::Conflict { names, problem, remedy });
        }
        self.checked(self.seed).map(drop).map_err(conflict)
    }

    fn check_apart(&self) -> Result<(), ParameterError> {
        if self.apart.is_none() {
            return Ok(());
        }
        let n = self.cluster.replicas;
        let (with, problem, remedy) = if self.cluster.transport != Transport::Tcp {
            ("transport=memory".to_owned(), "processes share no memory", "transport=tcp")
        } else if n > processes::REPLICAS_MAX {
            (format!("replicas={n}"), "at most 32 replicas get a process each", "processes=one")
        } else if self.stop.is_some() {
            let problem = "the primary is stopped within the run's process";
            ("stop_after".to_owned(), problem, "processes=one")
        } else {
            return Ok(());
        };
        let names = format!("processes=per-replica, {with}");
        let (problem, remedy) = (problem.to_owned(), format!("choose {remedy}"));
        Err(ParameterError::Conflict { names, problem, remedy })
    }

    fn check_oracle(&self) -> Result<(), ParameterError> {
        let (with, problem) = match (self.oracle, self.stop, &self.apart) {
            (true, ..) | (false, None, None) => return Ok(()),
            (false, Some(_), _) => ("stop_after", "it sees the first commit after the stop"),
            (false, None, Some(_)) => {
                ("processes=per-replica", "processes tell what they execute in any case")
            }
        };
        let names = format!("oracle=false, {with}");
        let (problem, remedy) = (problem.to_owned(), "choose oracle=true".to_owned());
        Err(ParameterError::Conflict { names, problem, remedy })
    }

    /// The cluster of one trial.
    pub(super) fn checked(&self, seed: u64) -> Result<Checked<ClusterConfig>, ConfigError> {
        ClusterConfig { seed, cluster: seed, ..self.cluster.clone() }.check()
    }

    pub(super) fn committee(&self) -> Committee {
        self.cluster.engine.committee
    }

    /// The replicas that work to the end, for the floor: a silent one verifies nothing.
    pub(super) fn live(&self) -> Replicas {
        let missing = self.cluster.silent_replicas + usize::from(self.stop.is_some());
        let live = self.cluster.replicas - missing;
        let engine = &self.cluster.engine;
        let replies = match engine.read_only || engine.tentative {
            true => self.committee().quorum(),
            false => self.committee().weak_quorum(),
        };
        Replicas { live, replies }
    }

    /// What was decided for the user, as a record tells it.
    pub(super) fn effective(&self) -> serde_json::Map<String, serde_json::Value> {
        let cluster = &self.cluster;
        let started = cluster.replicas - cluster.silent_replicas;
        let pin = match &cluster.pinning {
            Pinning::None => "none",
            Pinning::ByReplica(_) => "by-replica",
        };
        // A merged replica has no verifying thread beside its only one, which verifies too.
        let verifying = started * cluster.verify_threads;
        [
            ("stages", cluster.stages.to_string().into()),
            ("pin", pin.into()),
            ("verifying_threads", verifying.into()),
            ("transport", cluster.transport.to_string().into()),
        ]
        .map(|(name, value): (&str, serde_json::Value)| (name.to_owned(), value))
        .into_iter()
        .collect()
    }

    pub(super) fn workload(&self) -> Workload {
        Workload::named(self.workload, self.payload, self.seed)
            .expect("the parameter's words are the workloads' names")
    }

    /// Says so when `read_only` was asked for, and clients of `workload` read nothing.
    pub(super) fn without_effect(&self, workload: &Workload) -> Option<Warning> {
        let idle = self.cluster.engine.read_only && !workload.has_reads();
        idle.then(|| {
            let name = self.workload;
            let cause = format!("read_only=true, and workload={name} has no read to answer so");
            Warning::new("no-reads", cause, "choose one with reads, such as workload=ycsb-a")
        })
    }

    pub(super) fn plan(&self, workload: Arc<Workload>, seed: u64) -> Plan {
        Plan::new(workload, self.cluster.clients, seed, self.shares)
    }

    /// What measures the floor under this load: as many signatures together as a replica may find
    /// together, and none where clients do not sign.
    pub(super) fn floor_bench(&self, workload: &Workload) -> FloorBench {
        let signed = self.cluster.client_auth == ClientAuthKind::Signature;
        self.bench(workload, if signed { self.cluster.signers as usize } else { 0 })
    }

    /// The same with signatures in any case, for what replicas sign.
    pub(super) fn signed_floor_bench(&self, workload: &Workload) -> FloorBench {
        self.bench(workload, self.cluster.signers as usize)
    }

    fn bench(&self, workload: &Workload, signers: usize) -> FloorBench {
        let (batch, clients) = (self.cluster.engine.batch_size_max, self.cluster.clients as usize);
        // In a closed loop no batch holds more than is in flight.
        let together = if self.rate.is_some() { batch } else { batch.min(self.concurrency) };
        let shape = Shape {
            payload: workload.operation_bytes_mean().max(1.0) as usize,
            batch: self.cluster.verify_batch_max.max(batch),
            signers,
            replies: together.div_ceil(clients),
        };
        FloorBench::new(shape, PROTOCOL, self.seed)
    }

    /// The floor under the way in which clients authenticate: a request's MAC is checked by each
    /// replica, and was made before the span; nothing costs nothing, which leaves
    /// digests and the MACs of replies. `limit_share` holds in each of these; `yardstick_share`
    /// compares signatures, and is absent without them.
    pub(super) fn floor(&self, measured: Floor) -> Floor {
        let verify_us = match self.cluster.client_auth {
            ClientAuthKind::Signature => measured.verify_us,
            ClientAuthKind::Mac => measured.mac_us,
            ClientAuthKind::None => 0.0,
        };
        Floor { verify_us, ..measured }
    }

    /// The load of a trial that begins at `start`.
    pub(super) fn pace(&self, start: Instant, seed: u64) -> Loop {
        match self.rate {
            Some(rate) => Loop::Open(Arrivals::new(self.law, rate, start, seed)),
            None => Loop::Closed(self.concurrency),
        }
    }

    /// Requests that a load of this length can send at most, when one costs `least_us` of CPU.
    pub(super) fn requests_max(&self, span: Duration, least_us: f64) -> usize {
        let physical = f64::from(cores()) * 1e6 / least_us.max(0.1);
        let rate = self.rate.map_or(physical, |rate| rate.min(physical));
        let valid = rate * (self.warmup + span).as_secs_f64();
        (valid / (1.0 - self.shares.invalid)) as usize + self.concurrency
    }
}

/// Every parameter with its value, as a process reads it.
fn assigned(parameters: &ParameterSet) -> Vec<String> {
    let each = parameters.iter();
    each.map(|setting| format!("{}={}", setting.parameter.name, setting.value)).collect()
}

fn cluster(parameters: &ParameterSet) -> Result<ClusterConfig, ParameterError> {
    let mut config = ClusterConfig::new(parameters.count("replicas")).map_err(conflict)?;
    let signers = parameters.integer("signers") as u32;
    config.clients = (parameters.integer("clients") as u32).max(signers);
    config.signers = if signers == 0 { config.clients } else { signers };
    config.transport = parameters.choice("transport").parse::<Transport>().map_err(conflict)?;
    config.client_auth = parameters.choice("auth").parse::<ClientAuthKind>().map_err(conflict)?;
    config.silent_replicas = parameters.count("silent_replicas");
    config.verify_threads = parameters.count("verify_threads");
    config.verify_batch_max = parameters.count("verify_batch_max");
    config.verify_path = match parameters.choice("verify") {
        "single" => VerifyPath::Single,
        "dalek-single" => VerifyPath::DalekSingle,
        _ => VerifyPath::Batch,
    };
    config.queue_capacity_batches = parameters.count("queue_capacity_batches");
    config.inbox_capacity_batches = parameters.count("inbox_capacity_batches");
    config.spin = parameters.duration("spin");
    config.stage_times = parameters.flag("stage_times");
    let cores = quorumark_pipeline::cores();
    config.stages = match parameters.choice("stages") {
        // One thread cannot be several verifying ones: who asks for these asks for stages.
        "auto" if config.replicas > cores.len() && config.verify_threads == 1 => Stages::Merged,
        "auto" => Stages::Separate,
        stages => stages.parse::<Stages>().map_err(conflict)?,
    };
    let by_replica = match parameters.choice("pin") {
        "auto" => config.replicas >= 2 * cores.len(),
        pin => pin == "by-replica",
    };
    if by_replica {
        config.pinning = Pinning::ByReplica(cores);
    }
    config.engine.batch_size_max = parameters.count("batch_size_max");
    config.engine.batch_linger = parameters.duration("batch_linger");
    config.engine.parallel_batches = parameters.integer("parallel_batches");
    config.engine.view_timeout = parameters.duration("view_timeout");
    config.engine.clients_send_to_all = parameters.flag("client_to_all");
    config.engine.read_only = parameters.flag("read_only");
    config.engine.tentative = parameters.flag("tentative");
    config.engine.window = parameters.integer("window");
    config.engine.checkpoint_interval = parameters.integer("checkpoint_interval");
    // In flight are at most half a window for each client: see the generator.
    let share = parameters.integer("concurrency").div_ceil(config.clients.into());
    config.engine.client_window = CLIENT_WINDOW_MIN.max(4 * share);
    Ok(config)
}

pub(super) fn conflict(error: ConfigError) -> ParameterError {
    let text = error.to_string();
    let (names, problem) = text.split_once(": ").unwrap_or(("the cluster", &text));
    ParameterError::Conflict {
        names: names.to_owned(),
        problem: problem.to_owned(),
        remedy: "`quorumark list pbft/pipeline` tells the defaults".to_owned(),
    }
}
