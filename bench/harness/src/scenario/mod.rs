//! What can be run, by name.
//!
//! A [`Scenario`] describes itself ([`Spec`]), checks a configuration and prepares a [`Session`]:
//! keys, requests, threads, everything that is not measured. The session then measures spans, one a
//! trial, each of which gives a [`Measured`]; at the end it checks its answers. The driver is
//! [`crate::trial`].
//!
//! A new scenario is a file here and a line in [`all`].

mod hash;
mod kernel;
mod merkle;
mod pbft_pipeline;
mod pow;
mod signature;

pub(crate) use pbft_pipeline::{CONCURRENCY, PipelineReplica};
pub(crate) use signature::verifier;

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use indexmap::IndexMap;
use quorumark_report::{Check, Metrics, Point, Stage, Verdict, Warning};
use rayon::{ThreadPool, ThreadPoolBuilder};
use thiserror::Error;

use crate::latency::Latency;
use crate::parameter::{Parameter, ParameterError, ParameterSet, suggestion};
use crate::progress::Progress;
use crate::trial::RunError;
use crate::tune::Tunable;

/// What a scenario is, for `list` and for its readers.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// `area/what`.
    pub name: &'static str,
    /// One line: what is timed.
    pub description: &'static str,
    /// What can be set: the scenario's own parameters, then those of every run.
    pub parameters: Vec<Parameter>,
    /// What is measured, besides [`COMMON_METRICS`].
    pub metrics: &'static [MetricSpec],
}

/// One figure of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricSpec {
    /// The name, unit last.
    pub name: &'static str,
    /// One line: what it says.
    pub meaning: &'static str,
}

/// A [`MetricSpec`] in one line of a table.
pub(crate) const fn metric(name: &'static str, meaning: &'static str) -> MetricSpec {
    MetricSpec { name, meaning }
}

/// The figures that every record has, as `null` where they do not exist.
pub const COMMON_METRICS: [MetricSpec; 4] = [
    metric("limit_share", "share of the limit that was reached, by CPU time"),
    metric("wall_limit_share", "share of the limit that was reached, by wall-clock time"),
    metric("cpu_share", "CPU time got of CPU time wanted"),
    metric(
        "peak_rss_bytes",
        "most memory that the process, and those of its replicas, held in the run",
    ),
];

/// One thing that can be run.
pub trait Scenario: Sync {
    /// What it is. Defaults may depend on the machine.
    fn spec(&self) -> Spec;

    /// Checks what a single parameter cannot: rules across parameters.
    ///
    /// # Errors
    /// [`ParameterError::Conflict`].
    fn check(&self, parameters: &ParameterSet) -> Result<(), ParameterError> {
        let _ = parameters;
        Ok(())
    }

    /// What takes the time before the first trial, for who waits.
    fn preparation(&self) -> &'static str {
        "making inputs"
    }

    /// What takes the time after the last trial.
    fn conclusion(&self) -> &'static str {
        "checking answers"
    }

    /// Makes everything that is not measured. `parameters` is a set of [`Spec::parameters`] that
    /// passed [`Scenario::check`].
    ///
    /// # Errors
    /// [`RunError`] when the machine lacks something, such as threads or ports.
    fn prepare(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError>;

    /// The same for a session of which single trials are looked at, and that is never finished:
    /// what only a whole run needs may be left out.
    ///
    /// # Errors
    /// As [`Scenario::prepare`].
    fn prepare_briefly(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        self.prepare(parameters)
    }

    /// What can be tuned under what is set in `parameters`, and between which values: parameters
    /// that change how the work is done, and not which work it is. Nothing by default.
    ///
    /// # Errors
    /// As [`Scenario::check`].
    fn tunables(&self, parameters: &ParameterSet) -> Result<Vec<Tunable>, ParameterError> {
        let _ = parameters;
        Ok(Vec::new())
    }
}

/// A scenario made ready. Trials follow each other on it; drop ends its threads.
pub trait Session {
    /// Runs without recording. By default a trial whose figures are dropped.
    ///
    /// # Errors
    /// As [`Session::trial`].
    fn warm_up(&mut self, span: Duration, control: &Control<'_>) -> Result<(), RunError> {
        self.trial(span, control).map(drop)
    }

    /// Measures for about `span`; at least one pass, however short `span` is. Ends early, with what
    /// was measured so far, when `control` says so.
    ///
    /// # Errors
    /// [`RunError`] when measuring failed; a system under test that misbehaves is a verdict.
    fn trial(&mut self, span: Duration, control: &Control<'_>) -> Result<Measured, RunError>;

    /// After the last trial: checks answers, and adds to `metrics`, which hold the medians over the
    /// trials, what only the whole run can say (a floor measured before and after, shares of it).
    ///
    /// # Errors
    /// As [`Session::trial`].
    fn finish(&mut self, metrics: &mut Metrics) -> Result<Closing, RunError>;
}

/// How a session is told to end, and tells how it gets on.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Set by Ctrl-C.
    pub interrupt: &'a AtomicBool,
    /// Who listens.
    pub progress: &'a dyn Progress,
}

impl Control<'_> {
    /// Whether the run shall end. Asked between passes, not inside them.
    pub fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// What one trial gave.
#[derive(Debug, Default)]
pub struct Measured {
    /// Wall-clock length of the measured span.
    pub span: Duration,
    /// Figures of this trial.
    pub metrics: Metrics,
    /// What was checked during the trial; summed over the trials. A violation fails the run.
    pub oracle: Oracle,
    /// Void or inconclusive, with one sentence why; `None` when the figures stand.
    pub objection: Option<Objection>,
    /// Stage by stage; those of the last trial go into the record.
    pub stages: Vec<Stage>,
    /// Latencies by metric name without quantile, such as `response_time_ns`; merged over the
    /// trials, and their percentiles set as metrics of trial and run.
    pub latencies: IndexMap<&'static str, Latency>,
    /// The time series of the trial; `sample` is filled in by the driver.
    pub series: Vec<Point>,
    /// What a reader must know. Equal ones of several trials appear once.
    pub warnings: Vec<Warning>,
    /// The stage that limits, in one sentence.
    pub bottleneck: Option<String>,
}

/// What the end of a session adds.
#[derive(Debug, Default)]
pub struct Closing {
    /// What was checked after the timed spans.
    pub oracle: Oracle,
    /// What speaks against the figures of the whole run.
    pub objection: Option<Objection>,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
    /// Kernel name to the path that it took in this run, where a parameter chose it.
    pub simd: IndexMap<String, String>,
    /// What the settings came to where the scenario had to decide.
    pub effective: serde_json::Map<String, serde_json::Value>,
}

/// Checks by name, with how often each was made.
pub type Oracle = IndexMap<String, Check>;

/// Notes one check: `violation` says in words what was found, `None` that all was well.
pub fn note(oracle: &mut Oracle, name: &str, violation: Option<String>) {
    let check = oracle.entry(name.to_owned()).or_default();
    check.evaluated += 1;
    if let Some(violation) = violation {
        check.violated += 1;
        check.first_violation.get_or_insert(violation);
    }
}

/// Why figures do not stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// [`Verdict::Inconclusive`] or [`Verdict::Void`].
    pub verdict: Verdict,
    /// One sentence.
    pub reason: String,
}

/// No scenario has the name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name}: no such scenario; {remedy}")]
pub struct UnknownScenario {
    /// The name given.
    pub name: String,
    /// The name that was probably meant, or where they are listed.
    pub remedy: String,
}

/// Every scenario, in the order in which they are listed.
pub fn all() -> Vec<&'static dyn Scenario> {
    vec![
        &pbft_pipeline::PbftPipeline,
        &pbft_pipeline::PbftViewChange,
        &pow::PowMiner,
        &merkle::MerkleRoot,
        &merkle::MerkleProof,
        &signature::Operation::Sign,
        &signature::Operation::Verify,
        &signature::Operation::BatchVerify,
        &hash::Hash::Sha256,
        &hash::Hash::Sha256d,
        &hash::Hash::Blake3,
    ]
}

/// The scenario `name`.
///
/// # Errors
/// [`UnknownScenario`], with the name that was probably meant.
pub fn find(name: &str) -> Result<&'static dyn Scenario, UnknownScenario> {
    let scenarios = all();
    if let Some(found) = scenarios.iter().find(|scenario| scenario.spec().name == name) {
        return Ok(*found);
    }
    let names: Vec<&'static str> = scenarios.iter().map(|scenario| scenario.spec().name).collect();
    let of_area: Vec<&str> = names.iter().copied().filter(|known| is_part(name, known)).collect();
    let remedy = match suggestion(name, names) {
        Some(near) => format!("did you mean {near}?"),
        None if name == "tour" => "the tour is `quorumark` without a command".to_owned(),
        None if !of_area.is_empty() => format!("did you mean {}?", of_area.join(" or ")),
        None => "`quorumark list` names them".to_owned(),
    };
    Err(UnknownScenario { name: name.to_owned(), remedy })
}

/// Whether `name` is the area of a scenario, or what it measures there: `pbft`, `miner`.
fn is_part(name: &str, scenario: &str) -> bool {
    scenario.split('/').any(|part| part == name)
}

/// The shortest trial: within less, clocks and the scheduler's own granularity decide.
pub const DURATION_MIN: Duration = Duration::from_millis(1);
/// The longest trial, and the longest warm-up.
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);

/// The parameters of every run: how long, how often, from which seed.
pub fn run_parameters(duration: Duration, warmup: Duration, repeat: u64) -> [Parameter; 4] {
    let (lengths, warmups) = (DURATION_MIN..=DURATION_MAX, Duration::ZERO..=DURATION_MAX);
    let length = "length of one trial; a stock crate that is timed beside has its share of it";
    [
        Parameter::duration("duration", lengths, duration, length),
        Parameter::duration("warmup", warmups, warmup, "load before the first trial, not recorded"),
        Parameter::integer("repeat", "trials", 1..=1000, repeat, "trials; figures are medians"),
        Parameter::integer("seed", "", 0..=u64::MAX, 42, "seeds workload, keys and arrivals"),
    ]
}

/// `count` threads named after their work, so that a profile tells them apart.
pub(crate) fn pool(count: usize, work: &'static str) -> Result<ThreadPool, RunError> {
    let named = move |index| format!("{work}-{index}");
    let pool = ThreadPoolBuilder::new().num_threads(count).thread_name(named).build();
    pool.map_err(|error| RunError::Failed {
        what: format!("{count} threads cannot be started: {error}"),
        remedy: "set fewer threads".to_owned(),
    })
}
