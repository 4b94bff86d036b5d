//! Two records held against each other, and a verdict that a script can act on.
//!
//! Samples become an [`estimate`] (by how much, how certainly, how much noise), estimates become
//! verdicts in [`judge`], exact counters are compared in [`counter`], and [`compare`] does all of
//! it for two records. Nothing here is random: equal records get an equal verdict.

pub mod counter;
pub mod estimate;
pub mod judge;
pub mod median;
pub mod noise;
pub mod permutation;

mod compatible;
pub(crate) mod render;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::counter::{CounterComparison, CounterFinding};
use self::judge::{Finding, Limits, MetricComparison, Question};
use crate::{Record, Verdict, Warning, row, units};

pub use compatible::Difference;
pub use render::{markdown, text};

/// The version of the JSON form of a [`Comparison`].
pub const COMPARISON_VERSION: u32 = 1;

/// The JSON Schema (draft 2020-12) of a [`Comparison`], as text.
pub const COMPARISON_SCHEMA: &str = include_str!("../../schema/comparison.schema.json");

/// The figures that answer for CPU time, and those that answer for speed: the first of each that
/// both records have is compared when no metric is named.
const NATURAL: [&[&str]; 2] = [
    &[
        "cpu_us_per_tx",
        "cpu_us_per_signature",
        "cpu_us_per_proof",
        "cpu_ns_per_hash",
        "leaves_per_cpu_s",
    ],
    &[
        "throughput_tx_per_s",
        "signatures_per_s",
        "proofs_per_s",
        "hashes_per_s",
        "leaves_per_s",
        "bytes_per_s",
        "first_commit_after_stop_ns",
        crate::criterion::TIME,
    ],
];

/// One of the two records.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// What it is called: a path, a baseline, settings.
    pub label: &'a str,
    /// The record.
    pub record: &'a Record,
}

/// What is to be compared, and how.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Metrics; the natural ones where none is named ([`natural_metrics`]).
    pub metrics: Vec<String>,
    /// What makes a change worth a word.
    pub limits: Limits,
    /// Whether the samples of the two records were taken in turn, so that those of one place are a
    /// pair.
    pub interleaved: bool,
    /// Whether both sides were run by one and the same program, whatever their records say of it.
    pub one_program: bool,
    /// The command that repeats the comparison.
    pub reproduce: String,
}

/// Why two records cannot be compared. One sentence: what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Incomparable {
    /// They are of different scenarios.
    #[error("A is {a} and B is {b}; compare records of one scenario")]
    Scenario {
        /// What A measured.
        a: String,
        /// What B measured.
        b: String,
    },
    /// One has no result.
    #[error("{side} is {verdict}, so it has no figures: {reason}; measure it again")]
    NoResult {
        /// The record's label.
        side: String,
        /// What its run was found to be.
        verdict: Verdict,
        /// Why.
        reason: String,
    },
    /// A metric that was asked for stands in no sample of a side.
    #[error("{metric}: no sample of {side} has it; `quorumark list {scenario}` names the figures")]
    Metric {
        /// The metric.
        metric: String,
        /// The record's label.
        side: String,
        /// What was measured.
        scenario: String,
    },
    /// They have no figure in common that could be compared.
    #[error("{a} and {b} have no figure in common; name one with --metric")]
    NothingInCommon {
        /// A's label.
        a: String,
        /// B's label.
        b: String,
    },
}

/// What is told of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideSummary {
    /// What it is called.
    pub label: String,
    /// When its run began: RFC 3339, UTC.
    pub started_at: String,
    /// The commit that was built.
    pub commit: Option<String>,
    /// What its run was found to be.
    pub verdict: Verdict,
    /// The command that repeats its run alone.
    pub reproduce: String,
}

/// Two records held against each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`COMPARISON_VERSION`] of the writer.
    pub schema_version: u32,
    /// What both measured.
    pub scenario: String,
    /// The verdict over all metrics and counters: the gravest.
    #[serde(rename = "verdict")]
    pub finding: Finding,
    /// One sentence why, where one metric or counter decided.
    #[serde(rename = "verdict_reason")]
    pub reason: Option<String>,
    /// The baseline.
    pub a: SideSummary,
    /// The candidate.
    pub b: SideSummary,
    /// Whether the samples were taken in turn.
    pub interleaved: bool,
    /// Whether nothing distinguishes the sides: what is found is noise, and can be learned.
    pub equal_sides: bool,
    /// The smallest change that was looked for, as a share.
    pub threshold_share: f64,
    /// Settings in which the sides differ.
    pub settings: Vec<Difference>,
    /// One entry for each metric asked for.
    pub metrics: Vec<MetricComparison>,
    /// Exact counters that both sides have.
    pub counters: Vec<CounterComparison>,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
    /// The command that repeats the comparison.
    pub reproduce: String,
}

/// Holds B, the candidate, against A, the baseline.
///
/// # Errors
/// [`Incomparable`].
pub fn compare(a: Side<'_>, b: Side<'_>, request: &Request) -> Result<Comparison, Incomparable> {
    compatible::check(a, b)?;
    let metrics = match request.metrics.as_slice() {
        [] => natural_metrics(a.record, b.record),
        named => named.to_vec(),
    };
    if metrics.is_empty() {
        let (a, b) = (a.label.to_owned(), b.label.to_owned());
        return Err(Incomparable::NothingInCommon { a, b });
    }
    let questions: Vec<Question> =
        metrics.iter().map(|metric| question(metric, a, b, request)).collect::<Result<_, _>>()?;
    let metrics = judge::judge(&questions, &request.limits);
    let counters = counter::compare(a.record, b.record);
    let (finding, reason) = overall(&metrics, &counters);
    Ok(Comparison {
        schema_version: COMPARISON_VERSION,
        scenario: a.record.scenario.clone(),
        finding,
        reason,
        a: summary(a),
        b: summary(b),
        interleaved: request.interleaved,
        equal_sides: compatible::are_equal(a.record, b.record, request.one_program),
        threshold_share: request.limits.threshold,
        settings: compatible::differences(a.record, b.record),
        metrics,
        counters,
        warnings: compatible::warnings(a, b),
        reproduce: request.reproduce.clone(),
    })
}

/// The figure for CPU time and the figure for speed that both records have samples of.
pub fn natural_metrics(a: &Record, b: &Record) -> Vec<String> {
    let both = |metric: &str| has(a, metric) && has(b, metric);
    let first = |names: &[&str]| names.iter().find(|name| both(name)).map(|n| (*n).to_owned());
    NATURAL.iter().filter_map(|names| first(names)).collect()
}

/// Whether some sample of `record` has `metric`.
pub fn has(record: &Record, metric: &str) -> bool {
    record.samples.iter().any(|sample| sample.metrics.get(metric).is_some())
}

fn question(
    metric: &str,
    a: Side<'_>,
    b: Side<'_>,
    request: &Request,
) -> Result<Question, Incomparable> {
    if let Some(side) = [a, b].into_iter().find(|side| !has(side.record, metric)) {
        return Err(Incomparable::Metric {
            metric: metric.to_owned(),
            side: side.label.to_owned(),
            scenario: side.record.scenario.clone(),
        });
    }
    let paired = request.interleaved;
    let [of_a, of_b] = samples([a.record, b.record], metric, paired);
    let doubt = compatible::doubt(a, b).or_else(|| contended(metric, a, b));
    Ok(Question { metric: metric.to_owned(), a: of_a, b: of_b, paired, doubt })
}

/// The samples of `metric` that count on both sides, in their order; equally many where they were
/// taken in pairs.
pub fn samples(records: [&Record; 2], metric: &str, paired: bool) -> [Vec<f64>; 2] {
    let values = |record: &Record| -> Vec<Option<f64>> {
        record.samples.iter().map(|sample| sample.metrics.get(metric)).collect()
    };
    let [a, b] = records.map(values);
    if !paired {
        return [a, b].map(|side| side.into_iter().flatten().collect());
    }
    // A pair counts only whole.
    let (a, b) = a.into_iter().zip(b).filter_map(|(a, b)| a.zip(b)).unzip();
    [a, b]
}

/// Wall-clock figures of a machine that was busy with other work say nothing.
fn contended(metric: &str, a: Side<'_>, b: Side<'_>) -> Option<String> {
    let contended = |side: Side<'_>| row::mostly_contended(side.record);
    let name = if contended(a) { "A" } else { "B" };
    (units::is_wall_clock(metric) && (contended(a) || contended(b))).then(|| {
        format!(
            "most samples of {name} lost the CPU, and this is wall-clock time; close other work"
        )
    })
}

fn summary(side: Side<'_>) -> SideSummary {
    SideSummary {
        label: side.label.to_owned(),
        started_at: side.record.started_at.clone(),
        commit: side.record.provenance.commit.clone(),
        verdict: side.record.verdict,
        reproduce: side.record.reproduce.clone(),
    }
}

/// The gravest finding, and the first that is as grave, in words.
fn overall(
    metrics: &[MetricComparison],
    counters: &[CounterComparison],
) -> (Finding, Option<String>) {
    let of_metrics = metrics.iter().map(|metric| (metric.finding, told(metric)));
    let of_counters = counters.iter().map(|counter| {
        let finding = match counter.finding {
            CounterFinding::More => Finding::Regressed,
            CounterFinding::Fewer => Finding::Improved,
            CounterFinding::Equal | CounterFinding::Varies => Finding::Unchanged,
        };
        let [a, b] = counter.shown();
        (finding, Some(format!("{} from {a} to {b}", counter.metric)))
    });
    let all: Vec<_> = of_metrics.chain(of_counters).collect();
    let gravest = all.iter().map(|(finding, _)| *finding).max().unwrap_or(Finding::Insufficient);
    if gravest == Finding::Unchanged {
        return (gravest, None);
    }
    let reason = all.into_iter().find(|(finding, _)| *finding == gravest);
    (gravest, reason.and_then(|(_, told)| told))
}

/// What decided about a metric, in one clause.
fn told(metric: &MetricComparison) -> Option<String> {
    let name = &metric.metric;
    match (&metric.reason, metric.change_share) {
        (Some(reason), _) => Some(format!("{name}: {reason}")),
        (None, Some(change)) => Some(format!("{name} {}", render::signed(change))),
        (None, None) => None,
    }
}
