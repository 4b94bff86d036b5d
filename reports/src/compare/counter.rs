//! Exact counters: what a program does, and not how long it takes. They are compared exactly.

use serde::{Deserialize, Serialize};

use crate::{Record, units};

/// What is counted for each operation. On a side whose samples all agree it is exact.
const COUNTERS: [&str; 7] = [
    "signatures_verified_per_tx",
    "messages_per_batch",
    "bytes_per_tx",
    "allocations_per_tx",
    "allocations_per_operation",
    "hashes_per_proof",
    "view_changes",
];

/// What was found of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterFinding {
    /// Every sample of both sides agrees.
    Equal,
    /// B counts fewer, in every sample.
    Fewer,
    /// B counts more, in every sample.
    More,
    /// Samples of one side differ, so that nothing is exact; or a side has fewer than two.
    Varies,
}

impl CounterFinding {
    /// The word shown and recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            CounterFinding::Equal => "equal",
            CounterFinding::Fewer => "fewer",
            CounterFinding::More => "more",
            CounterFinding::Varies => "varies",
        }
    }
}

/// One counter on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CounterComparison {
    /// The metric's name.
    pub metric: String,
    /// The baseline's median.
    pub a: f64,
    /// The candidate's median.
    pub b: f64,
    /// How they compare.
    #[serde(rename = "verdict")]
    pub finding: CounterFinding,
}

impl CounterComparison {
    /// A's and B's count as people read them; to the last digit where rounding would hide by how
    /// little they differ.
    pub fn shown(&self) -> [String; 2] {
        let CounterComparison { metric, a, b, finding } = self;
        let differs = [CounterFinding::Fewer, CounterFinding::More].contains(finding);
        let near = (a - b).abs() < 0.01 * a.abs().max(b.abs());
        [a, b].map(|count| match differs && near {
            true => count.to_string(),
            false => units::metric(metric, Some(*count)),
        })
    }
}

/// Every counter that both records have.
pub(super) fn compare(a: &Record, b: &Record) -> Vec<CounterComparison> {
    let of = |metric: &str| -> Option<CounterComparison> {
        let sides = [a, b].map(|record| values(record, metric));
        let medians = sides.each_ref().map(|side| crate::stats::median(side.iter().copied()));
        Some(CounterComparison {
            metric: metric.to_owned(),
            a: medians[0]?,
            b: medians[1]?,
            finding: find(&sides[0], &sides[1]),
        })
    };
    COUNTERS.into_iter().filter_map(of).collect()
}

fn values(record: &Record, metric: &str) -> Vec<f64> {
    record.samples.iter().filter_map(|sample| sample.metrics.get(metric)).collect()
}

fn find(a: &[f64], b: &[f64]) -> CounterFinding {
    // Counts over counts, computed alike on both sides: what is equal is equal to the last bit.
    let exact = |side: &[f64]| match side {
        [first, rest @ ..] if !rest.is_empty() => {
            rest.iter().all(|value| value.total_cmp(first).is_eq()).then_some(*first)
        }
        _ => None,
    };
    match (exact(a), exact(b)) {
        (Some(a), Some(b)) if b > a => CounterFinding::More,
        (Some(a), Some(b)) if b < a => CounterFinding::Fewer,
        (Some(_), Some(_)) => CounterFinding::Equal,
        _ => CounterFinding::Varies,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_exact_where_every_sample_agrees() {
        assert_eq!(find(&[4.0, 4.0, 4.0], &[4.0, 4.0]), CounterFinding::Equal);
        assert_eq!(find(&[4.0, 4.0], &[5.0, 5.0]), CounterFinding::More);
        assert_eq!(find(&[24.0, 24.0], &[23.5, 23.5]), CounterFinding::Fewer);
        assert_eq!(find(&[4.0, 4.0], &[4.0, 4.001]), CounterFinding::Varies);
        assert_eq!(find(&[4.0], &[9.0, 9.0]), CounterFinding::Varies);
    }
}
