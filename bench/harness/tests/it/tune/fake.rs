//! Systems whose every answer is known, on a clock of their own.

#![allow(clippy::unwrap_used)] // the functions beside the tests as well

use core::time::Duration;

use quorumark_harness::tune::{
    Ask, Dimension, Direction, Goal, Limit, Plan, Reading, Relation, Sample, Search, Setup, Space,
    Tunable,
};
use quorumark_harness::{Parameter, ParameterSet, fixture};
use quorumark_report::Metrics;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

pub(super) const THROUGHPUT: &str = "throughput_tx_per_s";
pub(super) const P99: &str = "response_time_ns_p99";

/// What any measurement takes beside its span.
const OVERHEAD_MS: f64 = 400.0;
/// What the clock of a measurement runs on for each millisecond of its span.
const SLOPE: f64 = 1.3;
/// Noise of a measurement of half the longest span, and how far the machine drifts to either side.
const NOISE: f64 = 0.05;
const DRIFT: f64 = 0.04;
/// A drift comes back after so long.
const DRIFT_MS: f64 = 40_000.0;

/// A system under test.
pub(super) struct Fake {
    /// Throughput and p99 in milliseconds of what is set, without noise.
    pub(super) answer: fn(&Setting) -> (f64, f64),
    random: ChaCha8Rng,
    now_ms: f64,
}

/// What is set.
pub(super) struct Setting {
    pub(super) batch: f64,
    pub(super) linger_ms: f64,
    pub(super) threads: f64,
    pub(super) window: f64,
    pub(super) path: String,
}

impl Fake {
    pub(super) fn new(answer: fn(&Setting) -> (f64, f64), seed: u64) -> Fake {
        Fake { answer, random: fixture::random(seed, 77), now_ms: 0.0 }
    }

    /// Answers one question, and lets time pass.
    pub(super) fn measure(&mut self, space: &Space, ask: &Ask) -> Sample {
        let span_ms = ask.span.as_secs_f64() * 1e3;
        let cost_ms = OVERHEAD_MS + SLOPE * span_ms;
        let phase = core::f64::consts::TAU * (self.now_ms + cost_ms / 2.0) / DRIFT_MS;
        let pace = 1.0 + DRIFT * phase.sin();
        let (throughput, p99_ms) = (self.answer)(&setting(space, &ask.setup));
        let mut noisy =
            |value: f64| value * (NOISE * (0.5 * SPAN_MS / span_ms).sqrt() * self.normal()).exp();
        let figures = [(THROUGHPUT, noisy(throughput) * pace), (P99, noisy(p99_ms) * 1e6 / pace)];
        self.now_ms += cost_ms;
        let reading = Reading::Figures(figures.into_iter().collect::<Metrics>());
        Sample { cost_ns: (cost_ms * 1e6) as u64, reading }
    }

    /// A draw from the normal distribution (Box and Muller 1958).
    fn normal(&mut self) -> f64 {
        let mut uniform = || (f64::from(self.random.next_u32()) + 0.5) / f64::from(u32::MAX);
        let (radius, turn) = (uniform(), uniform());
        (-2.0 * radius.ln()).sqrt() * (core::f64::consts::TAU * turn).cos()
    }
}

/// The longest span.
pub(super) const SPAN_MS: f64 = 1500.0;

pub(super) fn plan(budget: Duration, seed: u64) -> Plan {
    let span_ns = (SPAN_MS * 1e6) as u64;
    Plan { budget_ns: budget.as_nanos() as u64, span_ns, seed }
}

/// 5,880 combinations, of which those with more threads than half a batch do not go together.
pub(super) fn space() -> Space {
    let linger = Duration::ZERO..=Duration::from_secs(1);
    let parameters = ParameterSet::new(vec![
        Parameter::integer("batch", "requests", 1..=1024, 32, ""),
        Parameter::duration("linger", linger, Duration::from_millis(1), ""),
        Parameter::integer("threads", "threads", 1..=8, 2, ""),
        Parameter::integer("window", "seqs", 1..=1024, 64, ""),
        Parameter::choice("path", ["plain", "tables", "wide"], ""),
    ]);
    let tunables = [
        Tunable::log2("batch", 16, 1024),
        Tunable::values("linger", &["0s", "250us", "500us", "1ms", "2ms", "4ms", "8ms"]),
        Tunable::integers("threads", 1, 8),
        Tunable::log2("window", 16, 256),
        Tunable::values("path", &["plain", "tables", "wide"]),
    ];
    let dimension = |one: &Tunable| Dimension::new(one.name, &one.values, &parameters).unwrap();
    let dimensions = tunables.iter().map(dimension).collect();
    Space::new(dimensions, |setup| setup.0[2] < 8 << setup.0[0]).unwrap()
}

fn setting(space: &Space, setup: &Setup) -> Setting {
    let texts: Vec<&str> = space.settings(setup).map(|(_, value)| value).collect();
    let number = |text: &str| text.parse::<f64>().unwrap();
    let linger_ms = match texts[1].strip_suffix("us") {
        Some(us) => number(us) / 1e3,
        None => number(texts[1].trim_end_matches(['m', 's'])),
    };
    Setting {
        batch: number(texts[0]),
        linger_ms,
        threads: number(texts[2]),
        window: number(texts[3]),
        path: texts[4].to_owned(),
    }
}

/// Two hills: the defaults stand near the lower one, with other threads, batch and path than the
/// higher. On the higher the limit on p99 cuts off the summit, so that batch and linger trade off.
pub(super) fn hills(set: &Setting) -> (f64, f64) {
    let (peak, best_batch, best_threads) = match set.path.as_str() {
        "plain" => (0.8, 5.0, 2.0),
        "tables" => (1.0, 9.0, 6.0),
        _ => (0.5, 7.0, 4.0),
    };
    let (batch, window) = (set.batch.log2(), set.window.log2());
    let linger = (set.linger_ms + 0.125).log2();
    let lost = 0.03 * (batch - best_batch).powi(2)
        + 0.02 * (set.threads - best_threads).powi(2)
        + 0.03 * (window - 7.0).powi(2)
        + 0.02 * (linger - 1.0).powi(2);
    let p99_ms = 4.0 * (set.batch / 64.0).sqrt() * (1.0 + set.linger_ms / 2.0);
    (30_000.0 * peak * (-lost).exp(), p99_ms)
}

/// Whatever is set, it is the same.
pub(super) fn flat(_: &Setting) -> (f64, f64) {
    (20_000.0, 8.0)
}

/// Throughput, with p99 at most so many milliseconds.
pub(super) fn throughput_within(p99_ms: f64) -> Goal {
    let bound = p99_ms * 1e6;
    let limit = Limit { metric: P99.to_owned(), relation: Relation::AtMost, bound };
    Goal { metric: THROUGHPUT.to_owned(), direction: Direction::Maximize, limits: vec![limit] }
}

/// The true figures of a setup.
pub(super) fn truth(answer: fn(&Setting) -> (f64, f64), setup: &Setup) -> (f64, f64) {
    answer(&setting(&space(), setup))
}

/// The best throughput of any setup that keeps the limit.
pub(super) fn optimum(answer: fn(&Setting) -> (f64, f64), p99_ms: f64) -> f64 {
    let all = space().all(1 << 20).unwrap();
    let figures = all.iter().map(|setup| truth(answer, setup));
    figures.filter(|(_, p99)| *p99 <= p99_ms).map(|(best, _)| best).fold(0.0, f64::max)
}

/// Runs a search to its end, or to `most` measurements.
pub(super) fn search(search: &mut Search, fake: &mut Fake, most: usize) {
    while search.measured().len() < most {
        let Some(ask) = search.next_ask() else { return };
        let sample = fake.measure(search.space(), &ask);
        search.tell(sample);
    }
}
