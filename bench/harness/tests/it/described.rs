//! No figure without words: what a record holds stands in its scenario's list, and what is listed
//! stands in the methodology.

use quorumark_harness::Scenario;
use quorumark_harness::scenario::{self, COMMON_METRICS, MetricSpec};
use quorumark_report::Record;

const METHODOLOGY: &str = include_str!("../../../../reports/METHODOLOGY.md");

/// The name without the quantile of a latency: what is described once for all of them.
fn base(name: &str) -> &str {
    let quantiles = ["_p50", "_p90", "_p99", "_p999", "_max"];
    let of_latency = quantiles.iter().find_map(|quantile| name.strip_suffix(quantile));
    of_latency.filter(|base| base.ends_with("_ns")).unwrap_or(name)
}

fn listed(scenario: &dyn Scenario) -> Vec<&'static str> {
    let of_all = COMMON_METRICS.iter();
    scenario.spec().metrics.iter().chain(of_all).map(|MetricSpec { name, .. }| *name).collect()
}

/// Every figure of the record, of its samples included, is one of `scenario` or of `more`.
pub(crate) fn is_listed(record: &Record, scenario: &dyn Scenario, more: &[&'static str]) {
    let known: Vec<&str> = listed(scenario).iter().chain(more).map(|name| base(name)).collect();
    let of_samples = record.samples.iter().flat_map(|sample| sample.metrics.iter());
    for (name, _) in record.metrics.iter().chain(of_samples) {
        assert!(known.contains(&base(name)), "{}: {name} is not listed", record.scenario);
    }
}

/// Each batch took exactly `expected` messages; unless a stalled machine made replicas ask for some
/// again, and then the record says how many.
pub(crate) fn has_messages_per_batch(record: &Record, expected: f64) {
    let of = |name| record.metrics.get(name).expect("a figure of every pipeline");
    let (found, repeated) = (of("messages_per_batch"), of("messages_repeated"));
    let exact = (found - expected).abs() < 1e-9;
    let more = repeated > 0.0 && found > expected;
    assert!(exact || more, "{found} a batch, {repeated} repeated: {:?}", record.config);
}

/// The figures of `pbft/pipeline`, which a view change has too.
pub(crate) fn of_the_pipeline() -> Vec<&'static str> {
    listed(scenario::find("pbft/pipeline").expect("it is a scenario"))
}

#[test]
fn every_figure_stands_in_the_methodology() {
    for scenario in scenario::all() {
        for name in listed(scenario) {
            let told = format!("`{}`", base(name));
            assert!(METHODOLOGY.contains(&told), "{}: {name}", scenario.spec().name);
        }
    }
}

#[test]
fn every_column_of_the_stages_stands_in_the_methodology() {
    let (_, section) = METHODOLOGY.split_once("## Where the time went").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    for column in ["threads", "items", "batches", "busy", "waiting", "blocked", "CPU"] {
        assert!(section.contains(column), "{column}");
    }
    assert!(section.contains("`queue`") && section.contains("`longest`"), "{section}");
}
