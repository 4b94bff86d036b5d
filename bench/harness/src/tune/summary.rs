//! A tuning as a document: everything that was measured, the front of throughput against p99, and
//! what came of it.

use indexmap::IndexMap;
use quorumark_report::Metrics;
use quorumark_report::compare::judge::MetricComparison;
use quorumark_report::stats::median;
use serde::{Deserialize, Serialize};

use super::ask::Reading;
use super::journal::Header;
use super::outcome::{Found, Outcome};
use super::search::Search;
use super::space::Setup;

/// The version of the JSON form.
pub const SUMMARY_VERSION: u32 = 1;

/// The file that holds it, inside a tuning's folder.
pub const SUMMARY_FILE: &str = "tune.json";

/// The figures of the front.
pub const FRONT: [&str; 2] = ["throughput_tx_per_s", "response_time_ns_p99"];

/// Values by parameter.
pub type Settings = IndexMap<String, String>;

/// A tuning that ended, or was ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SUMMARY_VERSION`] of the writer.
    pub schema_version: u32,
    /// What was searched, for what, and with which budget.
    pub search: Header,
    /// What was found.
    pub found: Found,
    /// Whether it was interrupted: what is recommended is the best so far.
    pub interrupted: bool,
    /// What is recommended; nothing where no setting keeps the limits.
    pub recommended: Option<Settings>,
    /// The defaults.
    pub defaults: Settings,
    /// Whether the defaults keep the limits.
    pub defaults_keep_limits: Option<bool>,
    /// What was held against the defaults, pair by pair, and the change: A are the defaults.
    pub candidate: Option<Settings>,
    /// The change.
    pub confirmation: Option<MetricComparison>,
    /// Nanoseconds spent.
    pub spent_ns: u64,
    /// Every setting that was measured, in the order of its first measurement.
    pub points: Vec<Measured>,
    /// The points, as their places, that no other beats in both throughput and p99; the highest
    /// throughput first.
    pub front: Vec<usize>,
    /// The command that repeats it.
    pub reproduce: String,
}

/// One setting and what was measured of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The setting.
    pub settings: Settings,
    /// Measurements that count.
    pub measurements: u32,
    /// Medians over these.
    pub metrics: Metrics,
    /// Whether the medians keep every limit; `None` where nothing counts.
    pub keeps_limits: Option<bool>,
    /// Why one did not count, where some did not.
    pub refused: Option<String>,
}

impl Summary {
    /// What `search` knows, and came to.
    pub fn of(search: &Search, header: Header, reproduce: String, interrupted: bool) -> Summary {
        let Outcome { found, recommended, candidate, comparison, defaults_keep } = search.outcome();
        let settings = |setup: &Setup| settings(search, setup);
        let points = points(search);
        Summary {
            schema_version: SUMMARY_VERSION,
            found,
            interrupted,
            recommended: recommended.as_ref().map(settings),
            defaults: settings(&search.space().defaults()),
            defaults_keep_limits: defaults_keep,
            candidate: candidate.as_ref().map(settings),
            confirmation: comparison,
            spent_ns: u64::try_from(search.spent().as_nanos()).unwrap_or(u64::MAX),
            front: front(&points),
            points,
            search: header,
            reproduce,
        }
    }
}

fn settings(search: &Search, setup: &Setup) -> Settings {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    search.space().settings(setup).map(pair).collect()
}

fn points(search: &Search) -> Vec<Measured> {
    let mut setups: Vec<&Setup> = Vec::new();
    for (ask, _) in search.measured() {
        if !setups.contains(&&ask.setup) {
            setups.push(&ask.setup);
        }
    }
    setups.into_iter().map(|setup| point(search, setup)).collect()
}

fn point(search: &Search, setup: &Setup) -> Measured {
    let (mut figures, mut refused): (Vec<&Metrics>, _) = (Vec::new(), None);
    for (_, sample) in search.measured().iter().filter(|(ask, _)| ask.setup == *setup) {
        match &sample.reading {
            Reading::Figures(metrics) => figures.push(metrics),
            Reading::Refused(why) | Reading::Disturbed(why) => {
                refused.get_or_insert_with(|| why.clone());
            }
        }
    }
    let mut metrics = Metrics::new();
    for (name, _) in figures.iter().flat_map(|one| one.iter()) {
        if !metrics.contains(name) {
            metrics.set(name, median(figures.iter().filter_map(|one| one.get(name))));
        }
    }
    Measured {
        settings: settings(search, setup),
        measurements: u32::try_from(figures.len()).unwrap_or(u32::MAX),
        keeps_limits: (!figures.is_empty()).then(|| search.goal().is_kept(&metrics)),
        metrics,
        refused,
    }
}

/// The places of the points that no other beats in both figures (Pareto).
fn front(points: &[Measured]) -> Vec<usize> {
    let both =
        |point: &Measured| Some((point.metrics.get(FRONT[0])?, point.metrics.get(FRONT[1])?));
    let known: Vec<(usize, (f64, f64))> = points
        .iter()
        .enumerate()
        .filter_map(|(place, point)| Some((place, both(point)?)))
        .collect();
    let beaten = |(throughput, p99): (f64, f64)| {
        let better = |(other, late): (f64, f64)| {
            other >= throughput && late <= p99 && (other > throughput || late < p99)
        };
        known.iter().any(|(_, figures)| better(*figures))
    };
    let mut front: Vec<(usize, (f64, f64))> =
        known.iter().filter(|(_, figures)| !beaten(*figures)).copied().collect();
    front.sort_by(|(_, (a, _)), (_, (b, _))| b.total_cmp(a));
    front.into_iter().map(|(place, _)| place).collect()
}
