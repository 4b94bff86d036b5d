//! `sweep`: one scenario at every combination of some parameters' values.

mod folder;
mod ladder;
mod merge;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::Args;
use quorumark_harness::environment::cores;
use quorumark_harness::sweep::{Axis, Plan, Point, Shard};
use quorumark_harness::{Parameter, ParameterSet, Scenario, run_arguments, scenario};
use quorumark_report::sweep as rendering;
use quorumark_report::sweep::Table;
use quorumark_report::{Document, Record, Verdict, html};

use self::folder::SweepFolder;
pub(super) use self::folder::stored;
use super::run::measure;
use crate::exit::{self, Exit};
use crate::interrupt;
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::settings::SettingArgs;
use crate::terminal::Terminal;

/// What stands below the flags of `sweep`.
const AFTER_HELP: &str = "\
Values are listed (1,8,64), counted (1..8, both ends included; N stands for the cores of this
machine) or multiplied (1..4096*4). Several --param make every combination.

A point that is measured is kept at once, in a folder of its own below --out. The same command with
the same --out goes on where it was interrupted; nothing is measured twice.

--shard i/k measures every k-th point from the i-th on, so that k commands on one machine after the
other, or in the jobs of a batch scheduler, measure them all; --merge puts their folders together.

Examples:
  quorumark sweep pbft/pipeline --param batch_size_max=1,8,64,512 --param verify_threads=1..N
  quorumark sweep pbft/pipeline --rate-ladder auto --duration 2s      latency against throughput
  quorumark sweep merkle/root --param 'leaves=2^10..2^20*4' --out s   go on: the same again
  quorumark sweep hash/sha256d --param size=64B,1KiB,64KiB --shard 2/3 --out part-2
  quorumark sweep --merge part-1 part-2 part-3 --out whole --html whole.html

Exit codes: 0 done, whatever single points are (the table says it); 4 no point has a result;
10 a point was unsafe; 130 interrupted, finished points are kept.";

/// Arguments of `sweep`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct SweepArgs {
    /// What to measure, such as pbft/pipeline; with --merge, the folders of shards.
    #[arg(required = true, value_name = "SCENARIO")]
    what: Vec<String>,
    /// A parameter and its values, such as payload=16B,512B. Repeatable.
    #[arg(long, value_name = "NAME=VALUES")]
    param: Vec<String>,
    /// Offer load from a tenth of what the system can do to a tenth more than that, measured first.
    #[arg(long, value_name = "auto", value_parser = ["auto"], conflicts_with = "shard")]
    rate_ladder: Option<String>,
    /// Measure one of k parts, from 1 to k.
    #[arg(long, value_name = "I/K")]
    shard: Option<String>,
    /// Put the folders of all shards together, and measure nothing.
    #[arg(long, conflicts_with_all = ["param", "rate_ladder", "shard"])]
    merge: bool,
    /// Folder of the sweep; one that was begun is gone on with [default: a new one under
    /// quorumark-runs].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the table as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write every figure of every point as comma-separated values.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write one HTML page, which opens offline.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the points as one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// Measures what is missing, or merges; prints the table.
pub(crate) fn sweep(args: &SweepArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if args.merge {
        return merge::merge(args, terminal);
    }
    let [name] = args.what.as_slice() else {
        let problem = "is a second scenario";
        let remedy = "sweep one at a time, or --merge folders of shards";
        return Err(Refused::new(&args.what[1], problem, remedy).into());
    };
    let scenario = scenario::find(name)?;
    let shared = args.settings.resolve(scenario)?;
    let axes = axes(args, &shared)?;
    let shard = args.shard.as_deref().map_or(Ok(Shard::WHOLE), str::parse)?;
    let interrupt = interrupt::listen()?;
    let axes = match args.rate_ladder {
        Some(_) => ladder::with(args, scenario, &shared, axes, interrupt, terminal)?,
        None => axes,
    };
    let common = run_arguments(scenario.spec().name, &shared);
    let plan = Plan::new(scenario.spec().name, common, axes, shard)?;
    // A value that no other value goes with is told before anything is measured.
    for point in plan.points() {
        scenario.check(&point.parameters(&shared)?)?;
    }
    let folder = SweepFolder::open(args.out.as_deref(), &plan)?;
    exit::say_debug_build();
    let points = measure_all(scenario, &shared, &plan, &folder, interrupt, terminal)?;
    show(args, &plan, &points, terminal)?;
    terminal.note(&format!("records: {}", folder.path().display()));
    if interrupt::interrupted() && points.len() < plan.points().count() {
        let out = folder.path().display();
        terminal.note(&format!("to go on, give the same command --out {out}"));
    }
    Ok(exit_of(&points))
}

/// The swept parameters: at least one, and none that a flag sets as well.
fn axes(args: &SweepArgs, shared: &ParameterSet) -> anyhow::Result<Vec<Axis>> {
    if args.param.is_empty() && args.rate_ladder.is_none() {
        let remedy = "write --param NAME=VALUE,VALUE or --rate-ladder auto";
        return Err(Refused::new("sweep", "nothing is swept", remedy).into());
    }
    let mut axes = Vec::new();
    for text in &args.param {
        let axis = Axis::parse(text, shared, cores())?;
        if let Some(flag) = args.settings.flag_that_sets(&axis.name) {
            let problem = format!("is swept, and set by {flag}");
            return Err(Refused::new(&axis.name, problem, "keep one of them").into());
        }
        axes.push(axis);
    }
    Ok(axes)
}

/// Every point that has a record, those of earlier commands included.
fn measure_all(
    scenario: &'static dyn Scenario,
    shared: &ParameterSet,
    plan: &Plan,
    folder: &SweepFolder,
    interrupt: &AtomicBool,
    terminal: &Terminal,
) -> anyhow::Result<Vec<(Point, Record)>> {
    let (mut points, of) = (Vec::new(), plan.points().count());
    for (number, point) in (1..).zip(plan.points()) {
        if let Some(record) = folder.record_of(&point)? {
            points.push((point, record));
            continue;
        }
        if interrupt::interrupted() {
            continue;
        }
        let title = format!("{number} of {of}, {point}");
        if !terminal.progress() {
            terminal.note(&title);
        }
        let progress = ProgressLine::new(terminal, title);
        let run = match measure(scenario, &point.parameters(shared)?, interrupt, &progress) {
            Ok(run) if run.interrupted => continue,
            Ok(run) => run,
            Err(_) if interrupt::interrupted() => continue,
            Err(error) => return Err(error.context(point.to_string())),
        };
        drop(progress);
        folder.keep(&point, &run)?;
        points.push((point, run.record));
    }
    Ok(points)
}

/// Prints, and writes the files that were asked for.
fn show(
    args: &SweepArgs,
    plan: &Plan,
    points: &[(Point, Record)],
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let table = table(plan, points);
    for (file, text) in [(&args.markdown, table.markdown()), (&args.csv, table.csv())] {
        if let Some(file) = file {
            super::report::write(file, &text)?;
            terminal.note(&format!("written: {}", file.display()));
        }
    }
    if let Some(file) = &args.html {
        super::report::write(file, &html::page(&[Document::Sweep(table.clone())]))?;
        terminal.note(&format!("page: {}", file.display()));
    }
    match args.json {
        true => terminal.print_json(&table.json()),
        false => terminal.print(&table.text(terminal.style())),
    }
}

/// The points of `plan` that are measured, for the renderings.
pub(super) fn table<'a>(plan: &'a Plan, points: &'a [(Point, Record)]) -> Table<'a> {
    let parameters = scenario::find(&plan.scenario).map(|scenario| scenario.spec().parameters);
    let parameters = parameters.unwrap_or_default();
    let unit = |name: &str| {
        let known = parameters.iter().find(|parameter| parameter.name == name);
        known.map(Parameter::unit_beside_values).unwrap_or_default()
    };
    let axes =
        plan.axes.iter().map(|axis| rendering::Axis { name: &axis.name, unit: unit(&axis.name) });
    let rows = points.iter().map(|(point, record)| {
        let values = point.settings.iter().map(|(_, value)| value.as_str()).collect();
        rendering::Row { values, record }
    });
    Table {
        scenario: &plan.scenario,
        axes: axes.collect(),
        rows: rows.collect(),
        reproduce: plan.command(),
    }
}

fn exit_of(points: &[(Point, Record)]) -> Exit {
    let verdicts = || points.iter().map(|(_, record)| record.verdict);
    if verdicts().any(|verdict| verdict == Verdict::Fail) {
        return Exit::Unsafe;
    }
    match interrupt::interrupted() {
        true => Exit::Interrupted,
        false if verdicts().any(Verdict::has_result) => Exit::Done,
        false => Exit::Inconclusive,
    }
}
