//! Records in the forms that services for continuous benchmarking take.
//!
//! Only figures with a direction are exported: rates, CPU time of one operation, latencies, shares of
//! the limit, allocations and memory. A run that is not `ok` is not: its figures are not to be quoted,
//! and a service would raise an alarm about the neighbours.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::compare::judge::higher_is_better;
use crate::{Record, Verdict, label};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Costs: time, memory.
    Smaller,
    /// Rates, shares of a limit.
    Bigger,
}

/// Which way of a figure is better; `None` for one that is not exported.
pub fn better(name: &str) -> Option<Better> {
    const LATENCIES: [&str; 3] =
        ["response_time_ns_p50", "response_time_ns_p99", "first_commit_after_stop_ns"];
    let cost = (name.starts_with("cpu_") && name.contains("_per_"))
        || name.starts_with("allocations_per_")
        || name == "peak_rss_bytes"
        || LATENCIES.contains(&name);
    let gain = name.ends_with("_per_s") || name.ends_with("_per_cpu_s") || name == "limit_share";
    let direction = if higher_is_better(name) { Better::Bigger } else { Better::Smaller };
    (cost || gain).then_some(direction)
}

/// Whether a run's figures are exported.
pub fn is_exported(record: &Record) -> bool {
    record.verdict == Verdict::Ok
}

/// Bencher Metric Format (bencher.dev): run to figure to value, with the least and the largest of its
/// trials where there were several.
pub fn bmf(records: &[&Record]) -> Value {
    let mut document = Map::new();
    for (record, label) in exported(records) {
        let measures: Map<String, Value> = figures(record)
            .map(|(name, value, _)| {
                let mut measure = json!({ "value": value });
                if let Some(spread) = record.intervals.get(name).filter(|spread| spread.n() > 1) {
                    measure["lower_value"] = spread.min().into();
                    measure["upper_value"] = spread.max().into();
                }
                (name.to_owned(), measure)
            })
            .collect();
        document.insert(label, measures.into());
    }
    document.into()
}

/// What github-action-benchmark takes as `customSmallerIsBetter` or `customBiggerIsBetter`: one list
/// for each direction, since the tool has one direction a file.
pub fn github_action_benchmark(records: &[&Record], direction: Better) -> Value {
    let mut list = Vec::new();
    for (record, label) in exported(records) {
        let commit = record.provenance.commit.as_deref().unwrap_or("unknown commit");
        for (name, value, _) in figures(record).filter(|(_, _, better)| *better == direction) {
            let mut entry = json!({
                "name": format!("{label}: {name}"),
                "unit": unit(name),
                "value": value,
                "extra": format!("{commit}\n{}", record.reproduce),
            });
            if let Some(spread) = record.intervals.get(name).filter(|spread| spread.n() > 1) {
                entry["range"] = format!("{} to {}", spread.min(), spread.max()).into();
            }
            list.push(entry);
        }
    }
    list.into()
}

/// The records that are exported, by labels that do not depend on what else is exported: a service
/// knows a figure by its name. Of several with one label the latest counts.
fn exported<'a>(records: &[&'a Record]) -> impl Iterator<Item = (&'a Record, String)> {
    let mut latest: IndexMap<String, &Record> = IndexMap::new();
    for record in records.iter().copied().filter(|record| is_exported(record)) {
        let known = latest.entry(label::of(record)).or_insert(record);
        if record.started_at > known.started_at {
            *known = record;
        }
    }
    latest.into_iter().map(|(label, record)| (record, label))
}

fn figures(record: &Record) -> impl Iterator<Item = (&str, f64, Better)> {
    let valued = record.metrics.iter().filter_map(|(name, value)| Some((name, value?)));
    valued.filter_map(|(name, value)| Some((name, value, better(name)?)))
}

/// The unit that a name ends in: `us/tx`, `tx/s`, `ns`, `share`.
fn unit(name: &str) -> String {
    let (amount, per) = name.split_once("_per_").unwrap_or((name, ""));
    let known = |word: &&str| ["ns", "us", "ms", "share", "bytes"].contains(word);
    let last = amount.rsplit('_').next().unwrap_or(amount);
    // A statistic (`_p99`) may follow the unit.
    let word = amount.rsplit('_').take(2).find(known).unwrap_or(last);
    if per.is_empty() { word.to_owned() } else { format!("{word}/{}", per.replace('_', "-")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_s_name_tells_its_unit_and_which_way_is_better() {
        let cases = [
            ("throughput_tx_per_s", "tx/s", Some(Better::Bigger)),
            ("leaves_per_cpu_s", "leaves/cpu-s", Some(Better::Bigger)),
            ("cpu_us_per_tx", "us/tx", Some(Better::Smaller)),
            ("response_time_ns_p99", "ns", Some(Better::Smaller)),
            ("allocations_per_tx", "allocations/tx", Some(Better::Smaller)),
            ("limit_share", "share", Some(Better::Bigger)),
            ("peak_rss_bytes", "bytes", Some(Better::Smaller)),
            ("view_changes", "changes", None),
            ("pace_us", "us", None),
        ];
        for (name, shown, direction) in cases {
            assert_eq!((unit(name).as_str(), better(name)), (shown, direction), "{name}");
        }
    }
}
