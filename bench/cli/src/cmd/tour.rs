//! No command: the tour. Every hot path once, in one table, in less than 40 seconds.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use quorumark_harness::{Origin, ParameterSet, Run, Scenario, scenario};
use quorumark_report::{Document, Record, Verdict, html, terminal as rendering, view};
use serde_json::json;

use super::run::measure;
use crate::exit::{self, Exit};
use crate::interrupt;
use crate::out::{OutFolder, default_path};
use crate::progress::ProgressLine;
use crate::terminal::Terminal;

/// After this long, stops that can be left out are left out.
const HURRY_AFTER: Duration = Duration::from_secs(24);

/// The file that holds the page.
pub(crate) const PAGE_FILE: &str = "index.html";

/// Arguments of the tour.
#[derive(Debug, Args)]
pub(crate) struct TourArgs {
    /// The tour's folder for records and page [default: a new one under quorumark-runs].
    #[arg(long, value_name = "DIR", help_heading = "The tour")]
    out: Option<PathBuf>,
    /// Print the tour's records as one JSON document.
    #[arg(long, help_heading = "The tour")]
    json: bool,
}

impl TourArgs {
    /// A flag that was given, if any.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let given = [("--out", self.out.is_some()), ("--json", self.json)];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}

/// One row of the table.
struct Stop {
    scenario: &'static str,
    settings: &'static [(&'static str, &'static str)],
    /// Whether it is measured however late it is.
    needed: bool,
}

/// The rows in their order. Lengths are chosen so that all of it takes about 20 seconds on two
/// cores; what is not set is the scenario's default.
const STOPS: [Stop; 6] = [
    Stop {
        scenario: "pbft/pipeline",
        settings: &[("duration", "2s"), ("warmup", "1s"), ("repeat", "2")],
        needed: true,
    },
    Stop { scenario: "pow/miner", settings: &[], needed: true },
    Stop { scenario: "merkle/root", settings: &[("rule", "bitcoin")], needed: true },
    Stop { scenario: "signature/batch-verify", settings: &[], needed: true },
    Stop { scenario: "hash/sha256d", settings: &[], needed: false },
    Stop {
        scenario: "pbft/pipeline",
        settings: &[("auth", "none"), ("duration", "2s"), ("warmup", "500ms"), ("repeat", "1")],
        needed: false,
    },
];

/// Measures every stop, writes records and page, prints the table.
///
/// The exit code is that of safety: figures from a busy machine are marked in the table, and `run`
/// is there to judge them.
pub(crate) fn tour(args: &TourArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let folder = match &args.out {
        Some(out) => OutFolder::named(out)?,
        None => OutFolder::numbered(&default_path("tour"))?,
    };
    let interrupt = interrupt::listen()?;
    exit::say_debug_build();
    let runs = measure_all(interrupt, terminal)?;
    let page = write_all(folder.path(), &runs)?;
    let records: Vec<&Record> = runs.iter().map(|run| &run.record).collect();
    let verdict = Verdict::of_all(records.iter().map(|record| record.verdict));
    if args.json {
        let page = page.display().to_string();
        terminal.print_json(&json!({ "verdict": verdict, "page": page, "records": records }))?;
    } else {
        terminal.print(&text(&records, &page, terminal))?;
    }
    Ok(match verdict {
        Verdict::Fail => Exit::Unsafe,
        _ if interrupt::interrupted() => Exit::Interrupted,
        Verdict::Void => Exit::Inconclusive,
        Verdict::Ok | Verdict::Inconclusive => Exit::Done,
    })
}

fn measure_all(interrupt: &AtomicBool, terminal: &Terminal) -> anyhow::Result<Vec<Run>> {
    let started = Instant::now();
    let mut runs: Vec<Run> = Vec::new();
    for stop in &STOPS {
        if interrupt::interrupted() && !runs.is_empty() {
            break;
        }
        if !stop.needed && started.elapsed() > HURRY_AFTER {
            let late = "left out, as the machine is slow today";
            terminal.note(&format!("{}: {late}; `quorumark run` measures it", stop.scenario));
            continue;
        }
        let (scenario, parameters) = stop.prepared()?;
        if !terminal.progress() {
            terminal.note(&format!("{}{}", stop.scenario, stop.told()));
        }
        let progress = ProgressLine::new(terminal, stop.scenario);
        match measure(scenario, &parameters, interrupt, &progress) {
            Ok(run) => runs.push(run),
            // What was measured before the interruption is kept.
            Err(_) if interrupt::interrupted() && !runs.is_empty() => break,
            Err(error) => return Err(error.context(stop.scenario)),
        }
    }
    Ok(runs)
}

impl Stop {
    /// The settings, as they are said.
    fn told(&self) -> String {
        self.settings.iter().map(|(name, value)| format!(" {name}={value}")).collect()
    }

    /// The scenario and its parameters. Neither environment nor file changes the tour, so that two
    /// tours can be compared.
    fn prepared(&self) -> anyhow::Result<(&'static dyn Scenario, ParameterSet)> {
        let scenario = scenario::find(self.scenario)?;
        let mut parameters = ParameterSet::new(scenario.spec().parameters);
        for (name, value) in self.settings {
            parameters.set(name, value, Origin::Flag("the tour".to_owned()))?;
        }
        scenario.check(&parameters)?;
        Ok((scenario, parameters))
    }
}

/// Writes each run into a folder of its own, and the page; returns the page's path.
fn write_all(folder: &Path, runs: &[Run]) -> anyhow::Result<PathBuf> {
    for (number, run) in (1..).zip(runs) {
        let name = format!("{number}-{}", run.record.scenario.replace('/', "-"));
        run.write(&folder.join(name))?;
    }
    let documents: Vec<Document<'_>> = runs.iter().map(|run| run.document(None)).collect();
    let page = folder.join(PAGE_FILE);
    fs::write(&page, html::page(&documents)).with_context(|| page.display().to_string())?;
    Ok(page)
}

/// Machine, page, and the table, which ends with how to repeat each row.
fn text(records: &[&Record], page: &Path, terminal: &Terminal) -> String {
    let machine = records.first().map(|record| view::machine_line(record)).unwrap_or_default();
    let heading = terminal.pairs(&[("machine", machine), ("page", page.display().to_string())]);
    format!("{heading}\n{}", rendering::records(records, terminal.style()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stop_of_the_tour_is_a_scenario_with_these_parameters() {
        for stop in &STOPS {
            stop.prepared().unwrap();
        }
    }

    #[test]
    fn the_tour_s_measured_spans_leave_time_for_everything_else() {
        let span = |stop: &Stop| {
            let (_, parameters) = stop.prepared().unwrap();
            let trials = u32::try_from(parameters.integer("repeat")).unwrap();
            parameters.duration("warmup") + parameters.duration("duration") * trials
        };
        let all: Duration = STOPS.iter().map(span).sum();
        assert!(all <= Duration::from_secs(20), "{all:?}");
    }
}
