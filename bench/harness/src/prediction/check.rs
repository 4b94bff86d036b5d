//! Predictions held against live runs.
//!
//! The machine is not the same from one minute to the next, so each round measures the costs anew,
//! predicts, and runs live at once. What is predicted is fixed before the run that it is held against:
//! the rate of half load is half of the predicted throughput, for both.

use core::time::Duration;
use std::time::SystemTime;

use quorumark_report::prediction::{Check, PREDICTION_VERSION, Point, Round};
use quorumark_sim::model::Regions;

use super::{Ask, Prediction, prediction};
use crate::calibrate::{self, calibrate};
use crate::environment::{self, Before};
use crate::parameter::{Origin, ParameterSet, Value};
use crate::progress::Quiet;
use crate::scenario::{self, Control};
use crate::trial::{Host, RunError};
use crate::tune::{self, Live};
use crate::{date, provenance};

/// The figures that are held against each other: at saturation, and at half load.
const FIGURES: [(&str, &str); 2] =
    [("saturated", "throughput_tx_per_s"), ("half_load", "response_time_ns_p50")];
/// What is run live.
const SCENARIO: &str = "pbft/pipeline";

/// What is checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Sizes of committees.
    pub replicas: Vec<usize>,
    /// Times that everything is measured.
    pub rounds: u32,
    /// How long each live run is measured.
    pub span: Duration,
    /// Of all that is drawn.
    pub seed: u64,
}

/// Calibrates, predicts and runs live, round by round; `told` hears what goes on.
///
/// # Errors
/// [`RunError`]; a live run that is unsafe is one.
pub fn check(plan: &Plan, host: &Host<'_>, told: &dyn Fn(&str)) -> Result<Check, RunError> {
    let (before, started) = (Before::now(), SystemTime::now());
    let mut points: Vec<Point> = Vec::new();
    for replicas in &plan.replicas {
        points.extend(FIGURES.map(|(load, metric)| Point {
            replicas: *replicas as u32,
            load: load.to_owned(),
            metric: metric.to_owned(),
            rounds: Vec::new(),
        }));
    }
    for round in 0..plan.rounds {
        for (place, replicas) in plan.replicas.iter().enumerate() {
            told(&format!("round {} of {}: n = {replicas}", round + 1, plan.rounds));
            let seed = plan.seed.wrapping_add(u64::from(round));
            let file = calibrate(&calibrate::Plan { seed, ..calibrate::Plan::default() }, host)?;
            let costs = file.costs().map_err(|error| calibrate::failed(&error))?;
            let ask = Ask {
                replicas: *replicas,
                regions: Regions::Local,
                cores: file.cores as usize,
                bandwidth: None,
                rate: None,
                watched: true,
                seed,
            };
            let said = prediction(&ask, &costs).map_err(|error| calibrate::failed(&error))?;
            for (nth, rate) in [None, Some(said.rate)].into_iter().enumerate() {
                let found = live(plan, *replicas, rate, seed, host, FIGURES[nth].1)?;
                let slower = found.pace_us.zip(file.pace_us).map(|(live, then)| live / then);
                let again = slower.map(|slower| costs.clone().slowed(slower));
                let ask = Ask { rate: Some(said.rate), ..ask };
                let again = again.map(|costs| prediction(&ask, &costs)).transpose();
                let again = again.map_err(|error| calibrate::failed(&error))?;
                points[FIGURES.len() * place + nth].rounds.push(Round {
                    predicted: figures(&said)[nth],
                    at_pace: again.map(|again| figures(&again)[nth]),
                    live: found.figure,
                });
            }
        }
    }
    Ok(Check {
        schema_version: PREDICTION_VERSION,
        protocol: "pbft".to_owned(),
        started_at: date::rfc3339(started),
        rounds: plan.rounds,
        points,
        provenance: calibrate::map(&provenance::capture(host.allocator, host.tool_version)),
        environment: calibrate::map(&environment::capture(&before)),
        reproduce: reproduce(plan),
    })
}

/// [`FIGURES`] of a prediction.
fn figures(said: &Prediction) -> [f64; 2] {
    let p50 = said.half.response_time_ns_p50.unwrap_or(0) as f64;
    [said.saturated.throughput_tx_per_s, p50]
}

/// What a live run says; nothing where it was disturbed.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    figure: Option<f64>,
    pace_us: Option<f64>,
}

/// One live run with the defaults.
fn live(
    plan: &Plan,
    replicas: usize,
    rate: Option<f64>,
    seed: u64,
    host: &Host<'_>,
    metric: &str,
) -> Result<Found, RunError> {
    let scenario = scenario::find(SCENARIO).map_err(|error| calibrate::failed(&error))?;
    let mut parameters = ParameterSet::new(scenario.spec().parameters);
    let origin = || Origin::Flag("--check".to_owned());
    parameters.set("replicas", &replicas.to_string(), origin())?;
    parameters.set("warmup", &Value::Duration(plan.span / 4).to_string(), origin())?;
    if let Some(rate) = rate {
        parameters.set("rate", &Value::Rate(rate.round()).to_string(), origin())?;
    }
    let control = Control { interrupt: host.interrupt, progress: &Quiet };
    let kept = [metric, "pace_us"].map(str::to_owned);
    match tune::measure(scenario, &parameters, (plan.span, seed), &kept, &control)? {
        Live::Unsafe(violation) => Err(calibrate::failed(&violation)),
        Live::Sample(sample) => Ok(match sample.reading {
            tune::Reading::Figures(metrics) => {
                Found { figure: metrics.get(metric), pace_us: metrics.get("pace_us") }
            }
            tune::Reading::Refused(_) | tune::Reading::Disturbed(_) => Found::default(),
        }),
    }
}

fn reproduce(plan: &Plan) -> String {
    let replicas: Vec<String> = plan.replicas.iter().map(usize::to_string).collect();
    let (sizes, rounds, seed) = (replicas.join(","), plan.rounds, plan.seed);
    format!("quorumark predict pbft --check {sizes} --rounds {rounds} --seed {seed}")
}
