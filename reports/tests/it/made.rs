//! Records made from the golden one: the points of sweeps, the two sides of a comparison; and what
//! searches came to.

use quorumark_report::compare::judge::MetricComparison;
use quorumark_report::compare::{self, Comparison, Request, Side};
use quorumark_report::document::Compared;
use quorumark_report::sweep::{Axis, Row, Table};
use quorumark_report::tuning::{Offered, Slo, Tried, Tuning};
use quorumark_report::{Interval, Metrics, Point, Record, Stage, Verdict};

use crate::golden;

const THROUGHPUT: &str = "throughput_tx_per_s";
const P50: &str = "response_time_ns_p50";
const P99: &str = "response_time_ns_p99";
const CPU: &str = "cpu_us_per_tx";

/// A record whose answering figures are those of the golden one times these.
pub(crate) fn scaled(throughput: f64, latency: f64, cpu: f64) -> Record {
    let mut record = golden();
    for (name, factor) in [(THROUGHPUT, throughput), (P50, latency), (P99, latency), (CPU, cpu)] {
        let value = record.metrics.get(name).map(|value| value * factor);
        record.metrics.set(name, value);
        let spread = value.map(|value| [0.94, 1.0, 1.07].map(|share| share * value));
        let interval = Interval::of(spread.into_iter().flatten()).expect("three values");
        record.intervals.insert(name.to_owned(), interval);
    }
    record
}

/// A record of a run that offered more than was served.
pub(crate) fn void() -> Record {
    let mut record = scaled(1.0, 1.0, 1.0);
    record.verdict = Verdict::Void;
    record.verdict_reason = Some("completions were 91 % of intended".to_owned());
    record
}

/// A golden record with stages and a second trial, as a live run has them.
pub(crate) fn live() -> Record {
    let mut record = golden();
    let stage = |name: &str, busy: u64| Stage {
        name: name.to_owned(),
        replica: Some(0),
        threads: 1,
        busy_ns: busy,
        wait_ns: 2_000_000_000 - busy,
        blocked_ns: 100_000_000,
        cpu_ns: busy,
        ..Stage::default()
    };
    record.stages = vec![stage("ingress", 200_000_000), stage("verify", 1_500_000_000)];
    record
}

/// A time series of two trials.
pub(crate) fn series() -> Vec<Point> {
    let point = |trial: u32, second: u64| {
        let drift = 1.0 + 0.01 * second as f64;
        let values: Metrics =
            [(THROUGHPUT, 27_000.0 * drift), (P99, 2e7 * drift)].into_iter().collect();
        Point { sample: trial, t_ns: second * 1_000_000_000, values }
    };
    (0..2).flat_map(|trial| (1..=5).map(move |second| point(trial, second))).collect()
}

/// A sweep whose records are kept here.
pub(crate) struct Swept {
    axes: Vec<(&'static str, &'static str)>,
    points: Vec<(Vec<&'static str>, Record)>,
}

impl Swept {
    /// Batch sizes by threads: eight points, of which one is void.
    pub(crate) fn of_two() -> Swept {
        let mut points = Vec::new();
        for (place, batch) in ["1", "8", "64", "512"].into_iter().enumerate() {
            for (threads, gain) in [("1", 1.0), ("2", 1.6)] {
                let throughput = gain * [0.2, 0.6, 1.0, 0.9][place];
                let record = match (batch, threads) {
                    ("512", "1") => void(),
                    _ => scaled(throughput, 1.0 / gain, 1.0 / throughput),
                };
                points.push((vec![batch, threads], record));
            }
        }
        Swept { axes: vec![("batch_size_max", "requests"), ("verify_threads", "threads")], points }
    }

    /// A ladder of offered rates up to where latency turns.
    pub(crate) fn of_rates() -> Swept {
        let rungs = [("2.7k", 0.1, 0.2), ("14k", 0.5, 0.3), ("22k", 0.8, 0.6), ("27k", 1.0, 2.4)];
        let point = |(rate, throughput, latency): (&'static str, f64, f64)| {
            (vec![rate], scaled(throughput, latency, 1.0))
        };
        Swept { axes: vec![("rate", "per second")], points: rungs.map(point).to_vec() }
    }

    /// Batch sizes, payloads and authentication: what three parameters look like.
    pub(crate) fn of_three() -> Swept {
        let mut points = Vec::new();
        for auth in ["signature", "mac"] {
            for payload in ["16B", "512B"] {
                for batch in ["8", "64"] {
                    points.push((vec![auth, payload, batch], scaled(1.0, 1.0, 1.0)));
                }
            }
        }
        let axes = vec![("auth", ""), ("payload", ""), ("batch_size_max", "requests")];
        Swept { axes, points }
    }

    /// As the sweep's renderings take it.
    pub(crate) fn table(&self) -> Table<'_> {
        let row = |(values, record)| Row { values, record };
        let points = self.points.iter().map(|(values, record)| (values.clone(), record));
        Table {
            scenario: "pbft/pipeline",
            axes: self.axes.iter().map(|&(name, unit)| Axis { name, unit }).collect(),
            rows: points.map(row).collect(),
            reproduce: "quorumark sweep pbft/pipeline --param batch_size_max=1,8".to_owned(),
        }
    }
}

/// Two sides that were measured in turn, and what was found.
pub(crate) struct Pair {
    pub(crate) found: Comparison,
    pub(crate) records: [Record; 2],
}

impl Pair {
    /// B needs a fifth more CPU time and is served as fast; twelve pairs.
    pub(crate) fn regressed() -> Pair {
        let wave = |place: usize| 1.0 + 0.02 * ((place * 7) % 5) as f64;
        let side = |cpu: f64, step: usize, label: &str| {
            let mut record = golden();
            let sample = record.samples[0].clone();
            record.samples = (0..12)
                .map(|place| {
                    let mut sample = sample.clone();
                    sample.index = place as u32;
                    sample.contended = false;
                    let quick = 1.0 + 0.002 * ((place * step) % 7) as f64;
                    sample.metrics.set(CPU, 72.0 * cpu * wave(place) * quick);
                    sample.metrics.set(THROUGHPUT, 27_000.0 / wave(place) * quick);
                    sample.metrics.set(P99, 2e7 * wave(place) * quick);
                    sample.metrics.set("signatures_verified_per_tx", 4.0 * cpu);
                    sample
                })
                .collect();
            record.config.insert("batch_size_max".to_owned(), label.into());
            record
        };
        let records = [side(1.0, 3, "256"), side(1.2, 5, "8")];
        let [a, b] = &records;
        let request = Request {
            metrics: [CPU, THROUGHPUT, P99].map(str::to_owned).to_vec(),
            interleaved: true,
            reproduce: "quorumark compare pbft/pipeline --b batch_size_max=8".to_owned(),
            ..Request::default()
        };
        let (a, b) = (Side { label: "main", record: a }, Side { label: "mine", record: b });
        let found = compare::compare(a, b, &request).expect("two comparable records");
        Pair { found, records }
    }

    pub(crate) fn compared(&self) -> Compared<'_> {
        let [a, b] = &self.records;
        Compared { found: &self.found, records: Some([a, b]) }
    }
}

/// A tuning that found a gain, and an objective that holds.
pub(crate) struct Searches {
    metrics: Vec<Metrics>,
    confirmation: MetricComparison,
}

impl Searches {
    pub(crate) fn made() -> Searches {
        let tried = [(27_000.0, 2e7), (30_000.0, 2.4e7), (22_000.0, 1e7), (25_000.0, 3e7)];
        let metrics = |(throughput, p99): (f64, f64)| {
            [(THROUGHPUT, throughput), (P99, p99)].into_iter().collect::<Metrics>()
        };
        let confirmation = Pair::regressed().found.metrics.swap_remove(0);
        Searches { metrics: tried.map(metrics).to_vec(), confirmation }
    }

    pub(crate) fn tuning(&self) -> Tuning<'_> {
        let names = ["defaults", "window=512", "window=64", "verify=single"];
        let tried =
            self.metrics.iter().zip(names).enumerate().map(|(place, (metrics, name))| Tried {
                settings: name.to_owned(),
                metrics,
                measurements: 3,
                on_front: place < 3,
                recommended: place == 1,
                keeps_limits: Some(place != 3),
            });
        Tuning {
            scenario: "pbft/pipeline",
            verdict: "gain",
            sentence: "throughput_tx_per_s +11.0 % against the defaults".to_owned(),
            goal: "maximize throughput_tx_per_s, response_time_ns_p99 <= 25.0 ms".to_owned(),
            metric: THROUGHPUT,
            settings: vec![
                ["window".to_owned(), "256".to_owned(), "512".to_owned()],
                ["verify".to_owned(), "batch".to_owned(), String::new()],
            ],
            tried: tried.collect(),
            confirmation: Some(&self.confirmation),
            written_at: "2026-02-01T12:00:00Z",
            reproduce: "quorumark tune pbft/pipeline --maximize throughput",
        }
    }

    pub(crate) fn slo(&self) -> Slo<'_> {
        let step = |rate: f64, confirming, p99_ns: &[f64], void, holds| Offered {
            rate,
            confirming,
            p99_ns: p99_ns.to_vec(),
            void,
            holds: Some(holds),
        };
        Slo {
            scenario: "pbft/pipeline",
            verdict: "holds",
            sentence: "12.0k/s holds p99 <= 20ms",
            p99_ns: 2e7,
            rate: Some(12_000.0),
            offered: vec![
                step(10_000.0, false, &[9e6, 1.1e7], 0, true),
                step(16_000.0, false, &[2.6e7], 1, false),
                step(12_000.0, true, &[1.4e7, 1.2e7, 1.6e7, 1.5e7, 1.3e7, 1.7e7], 0, true),
            ],
            written_at: "2026-02-01T13:00:00Z",
            reproduce: "quorumark slo pbft/pipeline --p99 20ms",
        }
    }
}
