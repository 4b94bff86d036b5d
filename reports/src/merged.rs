//! One record of several: each was a run of a process of its own, and becomes a sample.

use indexmap::IndexMap;

use crate::{Check, Interval, Metrics, Record, Sample, Verdict, stats};

/// The record of all samples of `records`, which have the scenario and configuration of the first,
/// in their order; `None` without any.
///
/// Figures are medians over the samples, checks are summed. Whole latency distributions and the
/// time of stages are of one process each and left out.
pub fn merged(records: &[Record]) -> Option<Record> {
    let mut whole = records.first()?.clone();
    let samples = records.iter().flat_map(|record| &record.samples).zip(0..);
    whole.samples = samples.map(|(sample, index)| Sample { index, ..sample.clone() }).collect();
    whole.config.insert("repeat".to_owned(), whole.samples.len().into());
    (whole.metrics, whole.intervals) = figures(records);
    whole.oracle = oracle(records);
    whole.verdict = verdict(records);
    let reason = records.iter().find(|record| record.verdict != Verdict::Ok);
    let odd = records.iter().filter(|record| record.verdict != Verdict::Ok).count();
    whole.verdict_reason = reason.map(|record| {
        let told = record.verdict_reason.as_deref().unwrap_or("no reason was recorded");
        format!("{odd} of {} runs: {told}", records.len())
    });
    let mut warnings = Vec::new();
    for warning in records.iter().flat_map(|record| &record.warnings) {
        if !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    whole.warnings = warnings;
    (whole.latency_spectrum, whole.stages, whole.bottleneck) = Default::default();
    Some(whole)
}

fn figures(records: &[Record]) -> (Metrics, IndexMap<String, Interval>) {
    let (mut metrics, mut intervals) = (Metrics::new(), IndexMap::new());
    for (name, _) in records.iter().flat_map(|record| record.metrics.iter()) {
        if metrics.contains(name) {
            continue;
        }
        let values = || records.iter().filter_map(|record| record.metrics.get(name));
        metrics.set(name, stats::median(values()));
        if let Some(interval) = Interval::of(values()).filter(|interval| interval.n() > 1) {
            intervals.insert(name.to_owned(), interval);
        }
    }
    (metrics, intervals)
}

fn oracle(records: &[Record]) -> IndexMap<String, Check> {
    let mut sums: IndexMap<String, Check> = IndexMap::new();
    for (name, check) in records.iter().flat_map(|record| &record.oracle) {
        let sum = sums.entry(name.clone()).or_default();
        sum.evaluated += check.evaluated;
        sum.violated += check.violated;
        if sum.first_violation.is_none() {
            sum.first_violation.clone_from(&check.first_violation);
        }
    }
    sums
}

/// One violation fails the whole; where at least half have no result, the whole has none.
fn verdict(records: &[Record]) -> Verdict {
    let of = |verdict| records.iter().filter(|record| record.verdict == verdict).count();
    match of(Verdict::Void) {
        _ if of(Verdict::Fail) > 0 => Verdict::Fail,
        void if 2 * void >= records.len() => Verdict::Void,
        _ if of(Verdict::Ok) == records.len() => Verdict::Ok,
        _ => Verdict::Inconclusive,
    }
}
