//! The record of a run, from its trials.

use std::time::SystemTime;

use indexmap::IndexMap;
use quorumark_report::record::SCHEMA_VERSION;
use quorumark_report::{
    Environment, Interval, Metrics, Point, Record, Sample, Verdict, Warning, stats,
};

use crate::environment::peak_rss_bytes;
use crate::latency::Latency;
use crate::parameter::ParameterSet;
use crate::scenario::{COMMON_METRICS, Closing, Measured, Objection, Oracle, Spec};
use crate::trial::{Host, LatencyInterval, Run};
use crate::{date, judge, provenance, reproduce};

/// A trial whose share of the CPU is below this has wall-clock figures that mislead.
pub const CPU_SHARE_UNDISTURBED_MIN: f64 = 0.95;

/// One trial with what the driver saw around it.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) measured: Measured,
    pub(crate) cpu_share: Option<f64>,
    /// Whether it was ended before its time.
    pub(crate) cut: bool,
}

/// The trials of one run so far.
#[derive(Debug)]
pub(crate) struct Trials {
    pub(crate) spec: Spec,
    pub(crate) started: SystemTime,
    pub(crate) trials: Vec<Trial>,
    pub(crate) interrupted: bool,
}

impl Trial {
    pub(crate) fn contended(&self) -> bool {
        self.cpu_share.is_some_and(|share| share < CPU_SHARE_UNDISTURBED_MIN)
    }

    /// What the trial was found to be by itself.
    pub(crate) fn verdict(&self) -> Verdict {
        let objected = self.measured.objection.as_ref().map_or(Verdict::Ok, |o| o.verdict);
        let violated = self.measured.oracle.values().any(|check| check.violated > 0);
        if violated { Verdict::Fail } else { objected }
    }

    fn counts(&self) -> bool {
        self.verdict().has_result()
    }

    fn sample(&self, index: u32) -> Sample {
        let mut metrics = self.measured.metrics.clone();
        if !self.counts() {
            judge::withhold(&mut metrics);
        }
        Sample {
            index,
            duration_ns: nanoseconds(self.measured.span),
            metrics,
            cpu_share: self.cpu_share,
            contended: self.contended(),
            verdict: self.verdict(),
        }
    }
}

impl Trials {
    pub(crate) fn begin(spec: Spec, started: SystemTime) -> Trials {
        Trials { spec, started, trials: Vec::new(), interrupted: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.trials.is_empty()
    }

    /// Adds a trial; the percentiles of its latencies become figures of it.
    pub(crate) fn push(&mut self, mut trial: Trial) {
        let Measured { latencies, metrics, .. } = &mut trial.measured;
        for (name, latency) in latencies {
            latency.write_metrics(name, metrics);
        }
        self.trials.push(trial);
    }

    /// The figures of the run: medians over the trials that have a result, and percentiles of all
    /// their latencies together.
    pub(crate) fn medians(&self) -> Metrics {
        let names = self.trials.iter().flat_map(|trial| trial.measured.metrics.iter());
        let mut metrics = Metrics::new();
        for (name, _) in names {
            if !metrics.contains(name) {
                metrics.set(name, stats::median(self.values(name)));
            }
        }
        for (name, latency) in self.latencies() {
            latency.write_metrics(name, &mut metrics);
        }
        let shares = self.trials.iter().filter_map(|trial| trial.cpu_share);
        metrics.set("cpu_share", stats::median(shares));
        metrics
    }

    /// The latencies of all trials that have a result, merged.
    fn latencies(&self) -> IndexMap<&'static str, Latency> {
        let mut merged: IndexMap<&'static str, Latency> = IndexMap::new();
        let counting = self.trials.iter().filter(|trial| trial.counts());
        for (name, latency) in counting.flat_map(|trial| &trial.measured.latencies) {
            merged.entry(name).or_default().merge(latency);
        }
        merged
    }

    /// One figure of the trials that have a result; of all where none has.
    fn values(&self, name: &str) -> impl Iterator<Item = f64> {
        let any = self.trials.iter().any(Trial::counts);
        let counted = self.trials.iter().filter(move |trial| !any || trial.counts());
        counted.filter_map(move |trial| trial.measured.metrics.get(name))
    }

    fn intervals(&self, metrics: &Metrics) -> IndexMap<String, Interval> {
        let spread = |name: &str| Interval::of(self.values(name)).filter(|i| i.n() > 1);
        let told = metrics.iter().filter(|(_, value)| value.is_some());
        told.filter_map(|(name, _)| Some((name.to_owned(), spread(name)?))).collect()
    }

    fn oracle(&self, closing: &Oracle) -> Oracle {
        let mut merged = Oracle::new();
        let of_trials = self.trials.iter().flat_map(|trial| &trial.measured.oracle);
        for (name, check) in of_trials.chain(closing) {
            let sum = merged.entry(name.clone()).or_default();
            sum.evaluated += check.evaluated;
            sum.violated += check.violated;
            if sum.first_violation.is_none() {
                sum.first_violation.clone_from(&check.first_violation);
            }
        }
        merged
    }

    fn series(&self) -> Vec<Point> {
        let mut series = Vec::new();
        for (index, trial) in (0..).zip(&self.trials).filter(|(_, trial)| trial.counts()) {
            let measured = &trial.measured;
            if measured.series.is_empty() {
                let t_ns = nanoseconds(measured.span);
                series.push(Point { sample: index, t_ns, values: measured.metrics.clone() });
            }
            let of_trial = measured.series.iter().cloned();
            series.extend(of_trial.map(|point| Point { sample: index, ..point }));
        }
        series
    }

    fn intervals_of_latency(&self) -> Vec<LatencyInterval> {
        let mut start = core::time::Duration::ZERO;
        let mut intervals = Vec::new();
        for trial in &self.trials {
            let span = trial.measured.span;
            for (name, latency) in trial.measured.latencies.iter().filter(|_| trial.counts()) {
                intervals.push(LatencyInterval { name, start, span, latency: latency.clone() });
            }
            start += span;
        }
        intervals
    }
}

/// The run, from everything that was seen of it.
pub(crate) fn run(
    trials: Trials,
    mut metrics: Metrics,
    closing: Closing,
    environment: Environment,
    parameters: &ParameterSet,
    host: &Host<'_>,
) -> Run {
    set_common(&trials.spec, &mut metrics);
    let oracle = trials.oracle(&closing.oracle);
    let objections = objections(&trials, &closing);
    let cut = trials.trials.iter().any(|trial| trial.cut);
    let interruption = judge::interruption(trials.interrupted, cut, trials.trials.len());
    let judges = !parameters.contains("oracle") || parameters.flag("oracle");
    let (verdict, verdict_reason) =
        judge::verdict(&oracle, judges, objections, &metrics, interruption.clone());
    let withheld = if verdict.has_result() { None } else { judge::withhold(&mut metrics) };
    let mut provenance = provenance::capture(host.allocator, host.tool_version);
    provenance.simd.extend(closing.simd.clone());
    let shown = verdict.has_result();
    let spectra = if shown { trials.latencies() } else { IndexMap::new() };
    let spectra = spectra.iter().map(|(name, latency)| ((*name).to_owned(), latency.spectrum()));
    let last = trials.trials.last().map(|trial| &trial.measured);
    let record = Record {
        schema_version: SCHEMA_VERSION,
        scenario: trials.spec.name.to_owned(),
        config: parameters.to_json(),
        effective: closing.effective.clone(),
        seed: parameters.integer("seed"),
        started_at: date::rfc3339(trials.started),
        environment,
        provenance,
        verdict,
        verdict_reason,
        intervals: trials.intervals(&metrics),
        latency_spectrum: spectra.collect(),
        stages: last.map(|measured| measured.stages.clone()).unwrap_or_default(),
        samples: (0..).zip(&trials.trials).map(|(index, t)| t.sample(index)).collect(),
        warnings: warnings(&trials, &closing, withheld, interruption, &metrics),
        bottleneck: last.and_then(|measured| measured.bottleneck.clone()),
        reproduce: reproduce::command(trials.spec.name, parameters),
        oracle,
        metrics,
    };
    let (latencies, series) = if shown {
        (trials.intervals_of_latency(), trials.series())
    } else {
        (Vec::new(), Vec::new())
    };
    Run { record, latencies, series, started: trials.started, interrupted: trials.interrupted }
}

/// Names every figure that the scenario has, absent where it was not measured.
fn set_common(spec: &Spec, metrics: &mut Metrics) {
    if let Some(bytes) = peak_rss_bytes() {
        let elsewhere = metrics.get("replicas_peak_rss_bytes").unwrap_or_default();
        metrics.set("peak_rss_bytes", bytes as f64 + elsewhere);
    }
    for metric in spec.metrics.iter().chain(&COMMON_METRICS) {
        if !metrics.contains(metric.name) {
            metrics.set(metric.name, None);
        }
    }
}

fn objections(trials: &Trials, closing: &Closing) -> Vec<Objection> {
    let of_trials: Vec<&Objection> =
        trials.trials.iter().filter_map(|trial| trial.measured.objection.as_ref()).collect();
    let mut objections: Vec<Objection> = judge::of_trials(&of_trials, trials.trials.len());
    objections.extend(closing.objection.clone());
    objections
}

fn warnings(
    trials: &Trials,
    closing: &Closing,
    withheld: Option<Warning>,
    interruption: Option<String>,
    metrics: &Metrics,
) -> Vec<Warning> {
    // What a trial that was cut short lacks is no reason to change anything but to run it again.
    let whole = trials.trials.iter().filter(|trial| !trial.cut);
    let of_trials = whole.flat_map(|trial| &trial.measured.warnings);
    let of_end = closing.warnings.iter().filter(|_| interruption.is_none());
    let mut warnings: Vec<Warning> = Vec::new();
    for warning in of_trials.chain(of_end).chain(&withheld) {
        if !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    match interruption {
        Some(interruption) => warnings.push(judge::interrupted(interruption)),
        None => {
            let contended = trials.trials.iter().filter(|trial| trial.contended()).count();
            warnings.extend(judge::contention(contended, trials.trials.len()));
            let absent = judge::absent(metrics, &warnings);
            warnings.extend(absent);
        }
    }
    warnings.extend(judge::debug_build());
    warnings
}

fn nanoseconds(span: core::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
