//! Predictions held against live runs.
//!
//! The machine is not the same from one second to the next, so each round measures the costs anew,
//! in slices with the live runs between them: both have the same moments. Of what the live runs
//! say, a prediction is told one thing, the rate that is offered: half load is half of the throughput
//! that the same round had live, so that an error at saturation is not counted again.

use core::time::Duration;
use std::time::SystemTime;

use quorumark_report::prediction::{Check, PREDICTION_VERSION, Point, Round};
use quorumark_sim::model::Regions;
use quorumark_sim::model::costs::{CostFile, Costs};

use super::{Ask, Prediction, prediction};
use crate::assemble::CPU_SHARE_UNDISTURBED_MIN;
use crate::calibrate::{self, Calibration};
use crate::environment::{self, Before};
use crate::parameter::{Origin, ParameterSet, Value};
use crate::progress::Quiet;
use crate::scenario::{self, Control};
use crate::trial::{Host, RunError};
use crate::tune::{self, Live, Reading};
use crate::{date, provenance};

/// The figures that are held against each other: at saturation, and at half load.
const FIGURES: [(&str, &str); 2] =
    [("saturated", "throughput_tx_per_s"), ("half_load", "response_time_ns_p50")];
/// What is run live.
const SCENARIO: &str = "pbft/pipeline";
/// Runs at most, one after the other, for one that got it.
const TRIES: usize = 3;

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

/// Calibrates, runs live and predicts, round by round; `told` hears what goes on.
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
    for nth in 0..plan.rounds {
        let said = |what: &str| told(&format!("round {} of {}: {what}", nth + 1, plan.rounds));
        for (of, rounds) in points.chunks_mut(FIGURES.len()).zip(round(plan, nth, host, &said)?) {
            of.iter_mut().zip(rounds).for_each(|(point, round)| point.rounds.extend(round));
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

/// One round: by size of the committee, [`FIGURES`] of it; `None` where no load could be offered.
fn round(
    plan: &Plan,
    nth: u32,
    host: &Host<'_>,
    told: &dyn Fn(&str),
) -> Result<Vec<[Option<Round>; 2]>, RunError> {
    let seed = plan.seed.wrapping_add(u64::from(nth));
    let ran =
        |replicas, rate, place: usize| live(plan, replicas, rate, seed, host, FIGURES[place].1);
    let costs = calibrate::Plan { seed, ..calibrate::Plan::default() };
    let mut calibration = Calibration::begin(&costs);
    let mut found = Vec::new();
    for replicas in &plan.replicas {
        told(&format!("costs, n = {replicas}"));
        calibration.slice(host)?;
        told(&format!("live at saturation, n = {replicas}"));
        let saturated = ran(*replicas, None, 0)?;
        told(&format!("costs, n = {replicas}"));
        calibration.slice(host)?;
        told(&format!("live at half load, n = {replicas}"));
        let rate = saturated.figure.map(|throughput| (throughput / 2.0).max(1.0));
        let half = rate.map(|rate| ran(*replicas, Some(rate), 1)).transpose()?;
        found.push((saturated, rate, half.unwrap_or_default()));
    }
    told("costs");
    calibration.slice(host)?;
    let file = calibration.finish(host)?;
    told("predictions");
    let of = |(replicas, (saturated, rate, half)): (&usize, (Found, Option<f64>, Found))| {
        let ask = Ask {
            replicas: *replicas,
            regions: Regions::Local,
            cores: file.cores as usize,
            bandwidth: None,
            rate,
            watched: true,
            seed,
        };
        let held = |place, found, offered| held(&ask, &file, place, found, offered);
        let half = rate.map(|rate| held(1, half, Some(rate))).transpose()?;
        Ok([Some(held(0, saturated, None)?), half])
    };
    plan.replicas.iter().zip(found).map(of).collect()
}

/// One live figure and what is predicted of it.
fn held(
    ask: &Ask,
    file: &CostFile,
    place: usize,
    found: Found,
    offered: Option<f64>,
) -> Result<Round, RunError> {
    let costs = file.costs().map_err(|error| calibrate::failed(&error))?;
    let said = |costs: &Costs| {
        let said = prediction(ask, costs).map_err(|error| calibrate::failed(&error))?;
        Ok::<f64, RunError>(figures(&said)[place])
    };
    let slower = found.pace_us.zip(file.pace_us).map(|(live, then)| live / then);
    let at_pace = slower.map(|slower| said(&costs.clone().slowed(slower))).transpose()?;
    Ok(Round { offered, predicted: said(&costs)?, at_pace, live: found.figure })
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

/// A live run with the defaults, again while it did not get the cores that it wanted.
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
    // The warm-up stays the default's: memory grows for two windows, and costs until then.
    if let Some(rate) = rate {
        parameters.set("rate", &Value::Rate(rate.round()).to_string(), origin())?;
    }
    let control = Control { interrupt: host.interrupt, progress: &Quiet };
    let kept = [metric, "pace_us", "cpu_share"].map(str::to_owned);
    for _ in 0..TRIES {
        match tune::measure(scenario, &parameters, (plan.span, seed), &kept, &control)? {
            Live::Unsafe(violation) => return Err(calibrate::failed(&violation)),
            Live::Sample(sample) => {
                if let Some(found) = undisturbed(&sample.reading, metric) {
                    return Ok(found);
                }
            }
        }
    }
    Ok(Found::default())
}

/// What a run says that had the cores to itself: what the hypervisor gives to others is no cost of
/// a step.
fn undisturbed(reading: &Reading, metric: &str) -> Option<Found> {
    let Reading::Figures(metrics) = reading else { return None };
    let alone = metrics.get("cpu_share").is_none_or(|share| share >= CPU_SHARE_UNDISTURBED_MIN);
    alone.then(|| Found { figure: metrics.get(metric), pace_us: metrics.get("pace_us") })
}

fn reproduce(plan: &Plan) -> String {
    let replicas: Vec<String> = plan.replicas.iter().map(usize::to_string).collect();
    let (sizes, rounds, seed) = (replicas.join(","), plan.rounds, plan.seed);
    format!("quorumark predict pbft --check {sizes} --rounds {rounds} --seed {seed}")
}

#[cfg(test)]
mod tests {
    use quorumark_report::Metrics;

    use super::*;

    #[test]
    fn a_live_run_that_did_not_get_its_cores_is_held_against_nothing() {
        let reading = |share: Option<f64>| {
            let mut metrics = Metrics::default();
            metrics.set("throughput_tx_per_s", Some(9e3));
            metrics.set("cpu_share", share);
            Reading::Figures(metrics)
        };
        let figure = |reading: &Reading| {
            undisturbed(reading, "throughput_tx_per_s").and_then(|found| found.figure)
        };
        assert_eq!(figure(&reading(Some(0.96))), Some(9e3));
        assert_eq!(figure(&reading(None)), Some(9e3), "where the system does not tell");
        assert_eq!(figure(&reading(Some(0.65))), None);
        assert_eq!(figure(&Reading::Disturbed("drift".to_owned())), None);
    }
}
