//! Predictions held against live runs of the same machine.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::stats::median;
use crate::table::Table;
use crate::terminal::Style;
use crate::units;

/// The version of [`Check`].
pub const PREDICTION_VERSION: u32 = 1;

/// The JSON Schema (draft 2020-12) of a [`Check`], as text.
pub const PREDICTION_SCHEMA: &str = include_str!("../schema/prediction.schema.json");

/// The JSON Schema (draft 2020-12) of what `calibrate` writes, as text.
pub const COSTS_SCHEMA: &str = include_str!("../schema/costs.schema.json");

/// What `predict --check` found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// [`PREDICTION_VERSION`].
    pub schema_version: u32,
    /// Which protocol.
    pub protocol: String,
    /// When it began: RFC 3339, UTC.
    pub started_at: String,
    /// Times that the costs were measured, each before the live runs that are held against them.
    pub rounds: u32,
    /// Each figure of each committee.
    pub points: Vec<Point>,
    /// Which build, as a record says it.
    pub provenance: Map<String, Value>,
    /// On which machine, as a record says it.
    pub environment: Map<String, Value>,
    /// The command that repeats it.
    pub reproduce: String,
}

/// One figure of one committee.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// n.
    pub replicas: u32,
    /// `saturated`, or `half_load`: half of the throughput that was predicted.
    pub load: String,
    /// The figure, as a record names it.
    pub metric: String,
    /// By round: what was predicted, and what came of the live run; `None` where that has no figure.
    pub rounds: Vec<(f64, Option<f64>)>,
}

impl Point {
    /// The median of what was predicted in rounds that have a live figure.
    pub fn predicted(&self) -> Option<f64> {
        median(self.pairs().map(|(predicted, _)| predicted))
    }

    /// The median of the live runs.
    pub fn live(&self) -> Option<f64> {
        median(self.pairs().map(|(_, live)| live))
    }

    /// By what share the prediction is too high, or below 0 too low: the median over the rounds, each
    /// of which is held against the costs of its own time.
    pub fn error_share(&self) -> Option<f64> {
        median(self.pairs().filter(|(_, live)| *live > 0.0).map(|(said, live)| said / live - 1.0))
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        self.rounds.iter().filter_map(|(predicted, live)| Some((*predicted, (*live)?)))
    }
}

impl Check {
    /// The point that the prediction misses most, and by what.
    pub fn worst(&self) -> Option<(&Point, f64)> {
        let errors = self.points.iter().filter_map(|point| Some((point, point.error_share()?)));
        errors.max_by(|one, other| one.1.abs().total_cmp(&other.1.abs()))
    }

    /// A row for each figure: predicted, live, and the error.
    pub fn table(&self) -> Table {
        let numbers = ["predicted", "live", "error", "errors of the rounds"];
        let mut table = Table::new(&["replicas", "load", "figure"], &numbers);
        for point in &self.points {
            let value = |value| units::metric(&point.metric, value);
            let errors = point.pairs().map(|(said, live)| percent(said / live - 1.0));
            table.push([
                point.replicas.to_string(),
                point.load.replace('_', " "),
                point.metric.clone(),
                value(point.predicted()),
                value(point.live()),
                point.error_share().map_or_else(|| units::ABSENT.to_owned(), percent),
                errors.collect::<Vec<_>>().join(" "),
            ]);
        }
        table
    }

    /// For a terminal.
    pub fn text(&self, style: Style) -> String {
        let lines = self.table().to_text(style.width).join("\n");
        format!("{lines}\n\n{}\nreproduce: {}\n", self.sentence(), self.reproduce)
    }

    /// The answer, in one sentence.
    pub fn sentence(&self) -> String {
        match self.worst() {
            Some((point, error)) => format!(
                "the prediction misses by at most {}: {} at n = {}, {}",
                percent(error),
                point.metric,
                point.replicas,
                point.load.replace('_', " ")
            ),
            None => "no live run has a figure to hold the prediction against".to_owned(),
        }
    }
}

/// `+12.3 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}
