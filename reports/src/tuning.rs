//! Searches as their pages show them: what was tried, what it came to.

use crate::Metrics;
use crate::compare::judge::MetricComparison;

/// The JSON Schema (draft 2020-12) of what a tuning leaves, as text.
pub const TUNE_SCHEMA: &str = include_str!("../schema/tune.schema.json");

/// A search for the settings that do best.
#[derive(Debug, Clone)]
pub struct Tuning<'a> {
    /// What was tuned.
    pub scenario: &'a str,
    /// What was found, in a word or three, such as `gain`.
    pub verdict: &'static str,
    /// The same in one sentence.
    pub sentence: String,
    /// What was asked for, in words.
    pub goal: String,
    /// The metric that was made as good as it gets.
    pub metric: &'a str,
    /// Parameter, default, and what is recommended where that is another.
    pub settings: Vec<[String; 3]>,
    /// Every setting that was measured, in the order of its first measurement.
    pub tried: Vec<Tried<'a>>,
    /// What was recommended held against the defaults: A are the defaults.
    pub confirmation: Option<&'a MetricComparison>,
    /// When the result was written: RFC 3339, UTC.
    pub written_at: &'a str,
    /// The command that repeats it.
    pub reproduce: &'a str,
}

/// One setting that was measured.
#[derive(Debug, Clone)]
pub struct Tried<'a> {
    /// Where it differs from the defaults: `window=512`; `defaults` where it does not.
    pub settings: String,
    /// Medians over its measurements.
    pub metrics: &'a Metrics,
    /// Measurements that count.
    pub measurements: u32,
    /// Whether no other setting has both more throughput and a lower p99.
    pub on_front: bool,
    /// Whether it is what is recommended.
    pub recommended: bool,
    /// Whether it keeps the limits; `None` where nothing counts.
    pub keeps_limits: Option<bool>,
}

/// A search for the highest rate that holds a response time.
#[derive(Debug, Clone)]
pub struct Slo<'a> {
    /// What was measured.
    pub scenario: &'a str,
    /// `holds`, `unmet` or `open`.
    pub verdict: &'static str,
    /// What was found, in one sentence.
    pub sentence: &'a str,
    /// The p99 of the response time that has to be kept, in nanoseconds.
    pub p99_ns: f64,
    /// The rate that holds, per second, where one does.
    pub rate: Option<f64>,
    /// Every rate that was offered, in order.
    pub offered: Vec<Offered>,
    /// When the result was written: RFC 3339, UTC.
    pub written_at: &'a str,
    /// The command that repeats it.
    pub reproduce: &'a str,
}

/// One rate and its trials.
#[derive(Debug, Clone)]
pub struct Offered {
    /// Requests a second.
    pub rate: f64,
    /// Whether it was confirmed, and not only looked at.
    pub confirming: bool,
    /// The p99 of each trial that has one, in nanoseconds.
    pub p99_ns: Vec<f64>,
    /// Trials in which the rate was not offered or not served.
    pub void: usize,
    /// Whether it holds; `None` where that is open.
    pub holds: Option<bool>,
}
