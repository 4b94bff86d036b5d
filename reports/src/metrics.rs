//! Named numbers, in the order in which they were measured.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize, Serializer};

/// Above this, an `f64` no longer holds every integer.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// A flat, ordered map from metric name to value.
///
/// A name ends in its unit (`response_time_ns_p99`, `throughput_tx_per_s`). A value is finite, or
/// absent (`null` in JSON): a metric that was asked for and does not exist stays in the map, so
/// that a reader can tell "not measured" from "not known to this version".
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Metrics(IndexMap<String, Option<f64>>);

impl Metrics {
    /// No metrics yet.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// Sets `name` to `value`; a value that is not finite is kept as absent.
    ///
    /// A name that was set before keeps its place and takes the new value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Option<f64>>) {
        self.0.insert(name.into(), value.into().filter(|number| number.is_finite()));
    }

    /// The value of `name`; `None` when it is absent or was never set.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied().flatten()
    }

    /// Whether `name` was set, with a value or as absent.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Names and values in the order in which they were first set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<f64>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// How many names were set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no name was set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<Option<f64>>> FromIterator<(N, V)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Metrics {
        let mut metrics = Metrics::new();
        pairs.into_iter().for_each(|(name, value)| metrics.set(name, value));
        metrics
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value.map(Number))))
    }
}

/// Writes whole numbers without a fraction: `256`, not `256.0`.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < INTEGER_MAX {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_whole_numbers_have_no_fraction() {
        let metrics: Metrics = [("b_ns", 2.0), ("a_share", 0.5)].into_iter().collect();
        assert_eq!(serde_json::to_string(&metrics).unwrap(), r#"{"b_ns":2,"a_share":0.5}"#);
    }

    #[test]
    fn what_is_not_finite_becomes_null_and_is_still_named() {
        let mut metrics = Metrics::new();
        metrics.set("a", f64::NAN);
        metrics.set("b", f64::INFINITY);
        metrics.set("c", None);
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(text, r#"{"a":null,"b":null,"c":null}"#);
        assert!(metrics.contains("a") && metrics.get("a").is_none());
        assert_eq!(serde_json::from_str::<Metrics>(&text).unwrap(), metrics);
    }

    #[test]
    fn setting_again_keeps_the_place() {
        let mut metrics: Metrics = [("a", 1.0), ("b", 2.0)].into_iter().collect();
        metrics.set("a", 3.0);
        assert_eq!(metrics.iter().collect::<Vec<_>>(), [("a", Some(3.0)), ("b", Some(2.0))]);
    }
}
