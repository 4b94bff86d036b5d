//! The parts of a record as tables and lines: what the terminal, Markdown and HTML have in common.

use crate::label;
use crate::row;
use crate::table::Table;
use crate::units::{self, ABSENT};
use crate::{Record, Stage, Warning};

/// The code of the warning that a debug build carries.
pub const DEBUG_BUILD: &str = "debug-build";

/// Codes of warnings about figures without a value: the record holds both, a table shows neither.
const UNSHOWN: [&str; 2] = ["not-measured", "no-signatures"];

/// Codes of warnings that begin with a list of figures.
const NAMING: [&str; 2] = ["not-reached", "few-samples"];
/// The most figures that such a list shows.
const NAMES_MAX: usize = 3;

/// The metrics that may be shown: all that have a value, or only counts when the run has no result.
pub fn metrics(record: &Record) -> Table {
    let mut table = Table::new(&["metric"], &["value", "min", "max", "samples"]);
    let shown = |name: &str| record.verdict.has_result() || units::is_count(name);
    let valued = record.metrics.iter().filter(|(_, value)| value.is_some());
    for (name, value) in valued.filter(|(name, _)| shown(name)) {
        let spread = record.intervals.get(name);
        let end = |value: Option<f64>| value.map(|v| units::metric(name, Some(v)));
        let cells = [
            Some(name.to_owned()),
            Some(units::metric(name, value)),
            end(spread.map(crate::Interval::min)),
            end(spread.map(crate::Interval::max)),
            spread.map(|interval| interval.n().to_string()),
        ];
        table.push(cells.map(Option::unwrap_or_default));
    }
    table.without_empty_columns(|cell| !cell.is_empty())
}

/// What the table of [`stages`] is called: where there were several trials, it is of one.
pub fn stages_title(record: &Record) -> &'static str {
    match record.samples.len() {
        0 | 1 => "where the time went",
        _ => "where the time went, in the last trial",
    }
}

/// Where the time went, stage by stage.
pub fn stages(record: &Record) -> Table {
    let figures = [
        "replica", "threads", "items", "batches", "busy", "wait", "blocked", "CPU", "queue",
        "longest",
    ];
    let mut table = Table::new(&["stage"], &figures);
    for stage in &record.stages {
        table.push([
            stage.name.clone(),
            stage.replica.map_or("all".to_owned(), |replica| replica.to_string()),
            stage.threads.to_string(),
            units::thousands(stage.items as f64),
            units::thousands(stage.batches as f64),
            units::duration_ns(stage.busy_ns as f64),
            units::duration_ns(stage.wait_ns as f64),
            units::duration_ns(stage.blocked_ns as f64),
            units::duration_ns(stage.cpu_ns as f64),
            stage.queue_depth_mean.map_or(ABSENT.to_owned(), units::digits),
            stage.queue_depth_max.map_or(ABSENT.to_owned(), |depth| depth.to_string()),
        ]);
    }
    table
}

/// Busy, wait and blocked time of each stage, summed over replicas, in the order of first mention.
pub fn stage_totals(stages: &[Stage]) -> Vec<(&str, [u64; 3])> {
    let mut totals: Vec<(&str, [u64; 3])> = Vec::new();
    for stage in stages {
        let times = [stage.busy_ns, stage.wait_ns, stage.blocked_ns];
        match totals.iter_mut().find(|(name, _)| *name == stage.name) {
            Some((_, sums)) => {
                sums.iter_mut().zip(times).for_each(|(sum, ns)| *sum = sum.saturating_add(ns));
            }
            None => totals.push((&stage.name, times)),
        }
    }
    totals
}

/// Every check of the oracle.
pub fn oracle(record: &Record) -> Table {
    let mut table = Table::new(&["check"], &["evaluated", "violated"]);
    table.columns.extend(Table::new(&["first violation"], &[]).columns);
    for (name, check) in &record.oracle {
        table.push([
            name.clone(),
            units::thousands(check.evaluated as f64),
            units::thousands(check.violated as f64),
            check.first_violation.clone().unwrap_or_default(),
        ]);
    }
    table.without_empty_columns(|cell| !cell.is_empty())
}

/// The oracle in one line; `None` for a scenario without one.
pub fn oracle_line(record: &Record) -> Option<String> {
    let checks = |violated: bool| {
        let chosen =
            record.oracle.iter().filter(move |(_, check)| (check.violated > 0) == violated);
        chosen.map(|(name, check)| {
            let evaluated = units::thousands(check.evaluated as f64);
            match check.violated {
                0 if check.evaluated == 0 => format!("{name} never checked"),
                0 => format!("{name} {evaluated}"),
                count => format!("{name} VIOLATED {count} of {evaluated}"),
            }
        })
    };
    if record.oracle.is_empty() {
        return None;
    }
    let listed: Vec<String> = checks(true).chain(checks(false)).collect();
    let safe = record.oracle.values().all(|check| check.violated == 0);
    let end = if safe { "; no violation" } else { "" };
    Some(format!("{}{end}", listed.join(", ")))
}

/// One row a trial: the figures that all trials name.
pub fn samples(record: &Record) -> Table {
    let headline = row::headline_metric(record);
    let p99 = "response_time_ns_p99";
    let mut table = Table::new(&[], &["trial", "measured", "result", "p99", "CPU share"]);
    table.columns.extend(Table::new(&["contended", "verdict"], &[]).columns);
    for sample in &record.samples {
        let valid = record.verdict.has_result() && sample.verdict.has_result();
        let shown = |name: &str| match sample.metrics.get(name) {
            Some(value) if valid => units::metric(name, Some(value)),
            _ => String::new(),
        };
        table.push([
            place(sample.index),
            units::duration_ns(sample.duration_ns as f64),
            headline.map(shown).unwrap_or_default(),
            shown(p99),
            sample.cpu_share.map(units::share).unwrap_or_default(),
            if sample.contended { "yes" } else { "no" }.to_owned(),
            sample.verdict.to_string(),
        ]);
    }
    table.without_empty_columns(|cell| !cell.is_empty())
}

/// A trial's place in the run as people count, from 1: as its progress and its reasons do.
pub fn place(index: u32) -> String {
    (u64::from(index) + 1).to_string()
}

/// Every parameter with its value, and what was in force where that is another.
pub fn config(record: &Record) -> Table {
    let mut table = Table::new(&["parameter", "value", "in force"], &[]);
    for (name, asked) in &record.config {
        let in_force = record.effective.get(name).filter(|in_force| *in_force != asked);
        table.push([name.clone(), text_of(asked), in_force.map(text_of).unwrap_or_default()]);
    }
    table.push(["seed".to_owned(), record.seed.to_string(), String::new()]);
    for (name, in_force) in record.effective.iter().filter(|(n, _)| !record.config.contains_key(*n))
    {
        table.push([name.clone(), String::new(), text_of(in_force)]);
    }
    table.without_empty_columns(|cell| !cell.is_empty())
}

/// What the tool decided, in one line; `None` where nothing was left open.
pub fn effective_line(record: &Record) -> Option<String> {
    let each = record.effective.iter().map(|(name, value)| format!("{name} {}", text_of(value)));
    let told = each.collect::<Vec<_>>().join(", ");
    (!told.is_empty()).then_some(told)
}

fn text_of(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The machine and what else it was doing.
pub fn environment(record: &Record) -> Table {
    let machine = &record.environment;
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| ABSENT.to_owned());
    let number = |value: Option<f64>| value.map_or(ABSENT.to_owned(), units::digits);
    let share = |value: Option<f64>| value.map_or(ABSENT.to_owned(), units::share);
    let memory = machine.memory_bytes.map_or(ABSENT.to_owned(), |b| units::bytes(b as f64));
    let mut table = Table::new(&["property", "value"], &[]);
    table.push(["host".to_owned(), text(&machine.hostname)]);
    table.push(["CPU".to_owned(), text(&machine.cpu_model)]);
    table.push(["cores".to_owned(), machine.cores.to_string()]);
    table.push(["memory".to_owned(), memory]);
    table.push(["kernel".to_owned(), text(&machine.kernel)]);
    table.push(["load, 1 min".to_owned(), number(machine.load_average_1m)]);
    table.push(["CPU pressure, 10 s".to_owned(), share(machine.pressure_cpu_some_avg10)]);
    table.push(["stolen CPU".to_owned(), share(machine.steal_share)]);
    table.push(["governor".to_owned(), text(&machine.governor)]);
    table.push(["clock source".to_owned(), text(&machine.clocksource)]);
    table.push(["container".to_owned(), machine.container.join(", ")]);
    table.push(["started".to_owned(), record.started_at.clone()]);
    table
}

/// Which build ran, and the path that each kernel took.
pub fn provenance(record: &Record) -> Table {
    let build = &record.provenance;
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| ABSENT.to_owned());
    let mut table = Table::new(&["property", "value"], &[]);
    table.push(["version".to_owned(), build.tool_version.clone()]);
    table.push(["commit".to_owned(), commit(record, usize::MAX)]);
    table.push(["profile".to_owned(), profile(record)]);
    table.push(["compiler".to_owned(), text(&build.rustc)]);
    table.push(["flags".to_owned(), text(&build.flags)]);
    table.push(["target".to_owned(), build.target.clone()]);
    table.push(["allocator".to_owned(), build.allocator.clone()]);
    for (kernel, path) in &build.simd {
        table.push([format!("{kernel} path"), path.clone()]);
    }
    table
}

/// The record's warnings; of a debug build, first of all that it is one.
pub fn warnings(record: &Record) -> Vec<Warning> {
    let said = record.warnings.iter().any(|warning| warning.code == DEBUG_BUILD);
    let debug = (record.provenance.debug_build && !said).then(|| {
        Warning::new(
            DEBUG_BUILD,
            "DEBUG BUILD: assertions were on, its figures are no measurement",
            "build with --release",
        )
    });
    debug.into_iter().chain(record.warnings.iter().cloned()).collect()
}

/// Each warning once, as it is shown, with the runs that it holds for: their labels, `every run`,
/// or nothing where there is one run only.
pub fn warning_lines(records: &[&Record]) -> Vec<(String, String)> {
    let labels = label::of_all(records);
    let mut held: Vec<(Warning, Vec<&str>)> = Vec::new();
    for (record, label) in records.iter().zip(&labels) {
        for warning in shown_warnings(record) {
            match held.iter_mut().find(|(known, _)| *known == warning) {
                Some((_, runs)) => runs.push(label.as_str()),
                None => held.push((warning, vec![label.as_str()])),
            }
        }
    }
    let line = |(warning, runs): (Warning, Vec<&str>)| {
        let whose = match records.len() {
            1 => String::new(),
            all if runs.len() == all => "every run".to_owned(),
            _ => runs.join("; "),
        };
        (whose, format!("{}; {}", warning.cause, warning.remedy))
    };
    held.into_iter().map(line).collect()
}

/// The warnings without those that only say which figures have no value: their rows are not shown.
/// Where one names many figures, their number is told, and where they are named.
pub fn shown_warnings(record: &Record) -> Vec<Warning> {
    let said = |warning: &Warning| !UNSHOWN.contains(&warning.code.as_str());
    warnings(record).into_iter().filter(said).map(brief).collect()
}

/// The warning with a long list of figures counted.
fn brief(mut warning: Warning) -> Warning {
    if NAMING.contains(&warning.code.as_str())
        && let Some((names, what)) = warning.cause.split_once(": ")
    {
        let count = names.split(", ").count();
        if count > NAMES_MAX {
            warning.cause = format!("{count} figures (the record's warnings name them): {what}");
        }
    }
    warning
}

/// What a reader of the stages must know, where a thread used more CPU than its work took.
pub fn stages_note(record: &Record) -> Option<&'static str> {
    let more = record.stages.iter().any(|stage| stage.cpu_ns > stage.busy_ns);
    more.then_some(
        "CPU is of the whole threads, waking and polling included; busy is wall time of work alone",
    )
}

/// What a reader of the trials must know, where another kernel was timed beside the scenario's.
pub fn samples_note(record: &Record) -> Option<&'static str> {
    let ratio = |(name, value): (&str, Option<f64>)| name.starts_with("ratio_") && value.is_some();
    record.metrics.iter().any(ratio).then_some(
        "measured is the time of the scenario's own passes; the rest of `duration` went to the \
         stock crate that is timed between them",
    )
}

/// Machine and build in one line.
pub fn machine_line(record: &Record) -> String {
    let machine = &record.environment;
    let cpu = machine.cpu_model.as_deref().unwrap_or("unknown CPU");
    let paths: Vec<String> =
        record.provenance.simd.iter().map(|(kernel, path)| format!("{kernel} {path}")).collect();
    let parts = [
        format!("{cpu}, {} cores", machine.cores),
        machine
            .load_average_1m
            .map(|load| format!("load {}", units::digits(load)))
            .unwrap_or_default(),
        paths.join(", "),
        build_line(record),
    ];
    parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// The build in a few words: `release build of 0123456789ab`.
pub fn build_line(record: &Record) -> String {
    format!("{} build of {}", profile(record), commit(record, 12))
}

fn profile(record: &Record) -> String {
    let debug = if record.provenance.debug_build { " (DEBUG, not a measurement)" } else { "" };
    format!("{}{debug}", record.provenance.profile)
}

fn commit(record: &Record, length: usize) -> String {
    let Some(commit) = &record.provenance.commit else { return "unknown commit".to_owned() };
    let dirty = if record.provenance.dirty == Some(true) { " with changes" } else { "" };
    format!("{}{dirty}", commit.chars().take(length).collect::<String>())
}
