//! The record: everything that one run leaves behind, and all that a reader needs.
//!
//! The JSON form is published as [`RECORD_SCHEMA`] and guarded by a golden file. Every field is
//! always written, as `null` when it has no value; a reader ignores fields that it does not know,
//! so a field may be added without a new [`SCHEMA_VERSION`]. Renaming, removing or giving a field
//! another meaning needs a new version, and other versions are refused by name.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{Interval, Metrics, Verdict};

/// The version of the record's schema that this crate reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// The JSON Schema (draft 2020-12) of a record, as text.
pub const RECORD_SCHEMA: &str = include_str!("../schema/record.schema.json");

/// One run of one scenario: configuration, circumstances, verdict and figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// What was run, as `area/what`, such as `pbft/pipeline`.
    pub scenario: String,
    /// Every parameter with the value that was asked for, defaults included: text, number or flag.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What the settings came to where the tool had to decide: name to value. A name of
    /// [`Record::config`] has here what was in force in place of `auto`; others follow from several
    /// settings. Empty in records of before there was this field, and where nothing is left open.
    #[serde(default)]
    pub effective: serde_json::Map<String, serde_json::Value>,
    /// The seed of workload, keys and arrivals. Readers whose numbers are doubles lose bits above
    /// 2^53.
    pub seed: u64,
    /// When the run began: RFC 3339, UTC, such as `2026-01-31T12:00:00Z`.
    pub started_at: String,
    /// The machine, and what else it was doing.
    pub environment: Environment,
    /// Which build ran.
    pub provenance: Provenance,
    /// What the run was found to be.
    pub verdict: Verdict,
    /// One sentence why the verdict is not `ok`; `null` when it is.
    pub verdict_reason: Option<String>,
    /// What was checked for safety: check name to outcome. Empty where a scenario has no oracle.
    pub oracle: IndexMap<String, Check>,
    /// Every figure of the run: name, unit last, to value. The median over the samples where there
    /// are several.
    pub metrics: Metrics,
    /// Spread over the samples: metric name to median, minimum and maximum.
    pub intervals: IndexMap<String, Interval>,
    /// Whole latency distributions: `response_time_ns`, `service_time_ns` and the like.
    pub latency_spectrum: IndexMap<String, Spectrum>,
    /// Where the time went, stage by stage, in the order in which a request meets them.
    pub stages: Vec<Stage>,
    /// One entry a trial.
    pub samples: Vec<Sample>,
    /// What a reader must know before quoting a figure.
    pub warnings: Vec<Warning>,
    /// One sentence that names the stage that limits the run.
    pub bottleneck: Option<String>,
    /// The command that repeats the run.
    pub reproduce: String,
}

/// The outcome of one safety check of the oracle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// How many times the check was made. A check that was never made proves nothing.
    pub evaluated: u64,
    /// How many times it found a violation.
    pub violated: u64,
    /// The first violation, in words.
    pub first_violation: Option<String>,
}

/// The machine, and what else it was doing while the run was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The name the machine gives itself.
    pub hostname: Option<String>,
    /// The processor's model name.
    pub cpu_model: Option<String>,
    /// Logical cores that the process may use.
    pub cores: u32,
    /// Memory of the machine in bytes.
    pub memory_bytes: Option<u64>,
    /// Operating system and kernel version.
    pub kernel: Option<String>,
    /// Load average over one minute when the run began, in runnable threads.
    pub load_average_1m: Option<f64>,
    /// Share of the ten seconds before the run in which some thread waited for a core, 0 to 1.
    pub pressure_cpu_some_avg10: Option<f64>,
    /// Share of the CPU time during the run that a hypervisor took away, 0 to 1.
    pub steal_share: Option<f64>,
    /// Frequency governor of the first core.
    pub governor: Option<String>,
    /// What the kernel's clock reads.
    pub clocksource: Option<String>,
    /// Signs of a container or virtual machine, such as `docker` or `hypervisor kvm`.
    pub container: Vec<String>,
}

/// Which build ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the tool.
    pub tool_version: String,
    /// Commit that was built.
    pub commit: Option<String>,
    /// Whether the sources differed from the commit.
    pub dirty: Option<bool>,
    /// Cargo profile, such as `release`.
    pub profile: String,
    /// Whether debug assertions were on: figures of such a build are no measurement.
    pub debug_build: bool,
    /// Version line of the compiler.
    pub rustc: Option<String>,
    /// Compiler flags beyond those of the profile.
    pub flags: Option<String>,
    /// Target triple.
    pub target: String,
    /// The path that each kernel took: kernel name to path, such as `sha256` to `sha-ni`.
    pub simd: IndexMap<String, String>,
    /// The global allocator.
    pub allocator: String,
}

/// What one stage did during the measured span, summed over its threads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// The stage's name.
    pub name: String,
    /// The replica that the stage belongs to; `null` when it is summed over all of them.
    pub replica: Option<u32>,
    /// Threads that ran the stage.
    pub threads: u32,
    /// Items that passed through.
    pub items: u64,
    /// Batches that they came in.
    pub batches: u64,
    /// Wall-clock time spent working.
    pub busy_ns: u64,
    /// Wall-clock time spent waiting for input.
    pub wait_ns: u64,
    /// Wall-clock time spent waiting for room downstream.
    pub blocked_ns: u64,
    /// Thread CPU time.
    pub cpu_ns: u64,
    /// Times that a thread found no input and parked; 0 in records of before there was this field.
    #[serde(default)]
    pub parks: u64,
    /// Times that a thread without input looked on and found some before it parked; 0 in records of
    /// before there was this field.
    #[serde(default)]
    pub spins: u64,
    /// Mean length of the input queue in batches.
    pub queue_depth_mean: Option<f64>,
    /// Longest input queue seen, in batches.
    pub queue_depth_max: Option<u64>,
}

/// One trial of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Place in the run, from 0.
    pub index: u32,
    /// Length of the measured span.
    pub duration_ns: u64,
    /// Figures of this trial alone.
    pub metrics: Metrics,
    /// CPU time got over CPU time wanted, 0 to 1.
    pub cpu_share: Option<f64>,
    /// Whether other work took so much of the machine that wall-clock figures mislead.
    pub contended: bool,
    /// What this trial was found to be.
    pub verdict: Verdict,
}

/// Something that a reader must know before quoting a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable name for programs, in kebab case, such as `cpu-contended`.
    pub code: String,
    /// What was seen, such as `3 of 10 samples lost the CPU`.
    pub cause: String,
    /// What to do about it, such as `close other work or raise --repeat`.
    pub remedy: String,
}

impl Warning {
    /// A warning from its three parts.
    pub fn new(
        code: impl Into<String>,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Warning {
        Warning { code: code.into(), cause: cause.into(), remedy: remedy.into() }
    }
}

/// A latency distribution as points `[quantile, ns]`, both rising.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spectrum(Vec<(f64, u64)>);

impl Spectrum {
    /// The points in rising order; those whose quantile is not within 0 and 1 are left out.
    pub fn new(points: impl IntoIterator<Item = (f64, u64)>) -> Spectrum {
        let mut points: Vec<_> =
            points.into_iter().filter(|(quantile, _)| (0.0..=1.0).contains(quantile)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Spectrum(points)
    }

    /// Quantile (0 to 1) and nanoseconds.
    pub fn points(&self) -> &[(f64, u64)] {
        &self.0
    }
}

/// One line of a run's time series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The trial that the point belongs to: [`Sample::index`].
    pub sample: u32,
    /// Time since that trial's measured span began.
    pub t_ns: u64,
    /// Figures of the slice that ends at `t_ns`, named as in [`Record::metrics`].
    #[serde(flatten)]
    pub values: Metrics,
}
