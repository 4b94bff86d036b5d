//! Predictions held against live runs of the same machine.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::compare::render::signed;
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
    /// Times that the costs were measured, each beside the live runs that are held against them.
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
    /// `saturated`, or `half_load`: half of the live throughput of the same round.
    pub load: String,
    /// The figure, as a record names it.
    pub metric: String,
    /// One entry for each round that had a load to offer.
    pub rounds: Vec<Round>,
}

/// One figure in one round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Requests a second that were offered, live and in the prediction; `None` at saturation.
    #[serde(default)]
    pub offered: Option<f64>,
    /// What was predicted from costs that were measured beside the live run.
    pub predicted: f64,
    /// The same with every cost brought to the pace that the core had during the live run; `None`
    /// where that is not known.
    pub at_pace: Option<f64>,
    /// What came of the live run; `None` where it has no figure.
    pub live: Option<f64>,
}

/// What is held against the live run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// What was predicted from the costs as they were measured.
    Predicted,
    /// The same at the pace of the run.
    AtPace,
}

impl Point {
    /// The median over the rounds that have a live figure.
    pub fn said(&self, which: Against) -> Option<f64> {
        median(self.pairs(which).map(|(said, _)| said))
    }

    /// The median of the live runs.
    pub fn live(&self) -> Option<f64> {
        median(self.pairs(Against::Predicted).map(|(_, live)| live))
    }

    /// By what share the prediction is too high, or below 0 too low: the median over the rounds, each
    /// of which is held against the costs of its own time.
    pub fn error_share(&self, which: Against) -> Option<f64> {
        median(self.errors(which))
    }

    /// The least and the greatest error of a round.
    pub fn error_range(&self, which: Against) -> Option<[f64; 2]> {
        let least = self.errors(which).min_by(f64::total_cmp)?;
        Some([least, self.errors(which).max_by(f64::total_cmp)?])
    }

    fn errors(&self, which: Against) -> impl Iterator<Item = f64> {
        let pairs = self.pairs(which).filter(|(_, live)| *live > 0.0);
        pairs.map(|(said, live)| said / live - 1.0)
    }

    fn pairs(&self, which: Against) -> impl Iterator<Item = (f64, f64)> {
        self.rounds.iter().filter_map(move |round| {
            let said = match which {
                Against::Predicted => Some(round.predicted),
                Against::AtPace => round.at_pace,
            };
            said.zip(round.live)
        })
    }
}

impl Check {
    /// The point that the prediction misses most, and by what.
    pub fn worst(&self, which: Against) -> Option<(&Point, f64)> {
        let error = |point| Some((point, Point::error_share(point, which)?));
        let errors = self.points.iter().filter_map(error);
        errors.max_by(|one, other| one.1.abs().total_cmp(&other.1.abs()))
    }

    /// A row for each figure: predicted, live, and the error with its range over the rounds, as it was
    /// predicted and at the pace of the run.
    pub fn table(&self) -> Table {
        let numbers =
            ["predicted", "at the run's pace", "live", "error", "from", "to", "error at pace"];
        let mut table = Table::new(&["replicas", "load", "figure"], &numbers);
        for point in &self.points {
            let value = |value| units::metric(&point.metric, value);
            let error = |which| {
                let error = point.error_share(which);
                error.map_or_else(|| units::ABSENT.to_owned(), signed)
            };
            let range = point.error_range(Against::Predicted).map(|range| range.map(signed));
            let [from, to] = range.unwrap_or([units::ABSENT; 2].map(str::to_owned));
            table.push([
                point.replicas.to_string(),
                point.load.replace('_', " "),
                point.metric.clone(),
                value(point.said(Against::Predicted)),
                value(point.said(Against::AtPace)),
                value(point.live()),
                error(Against::Predicted),
                from,
                to,
                error(Against::AtPace),
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
        let told = |which| {
            let (point, error) = self.worst(which)?;
            let (metric, load) = (&point.metric, point.load.replace('_', " "));
            Some(format!("{} ({metric} at n = {}, {load})", signed(error), point.replicas))
        };
        match (told(Against::Predicted), told(Against::AtPace)) {
            (Some(predicted), Some(at_pace)) => format!(
                "the prediction misses by at most {predicted}; at the pace that the core had during \
                 the live runs, by at most {at_pace}"
            ),
            (Some(predicted), None) => format!("the prediction misses by at most {predicted}"),
            (None, _) => "no live run has a figure to hold the prediction against".to_owned(),
        }
    }
}
