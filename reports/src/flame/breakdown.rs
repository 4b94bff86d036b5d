//! Who used the CPU: stage by stage, and function by function.

use indexmap::IndexMap;

use super::{Folded, shortened};
use crate::table::Table;
use crate::units::{self, ABSENT};
use crate::{Record, Stage};

/// Letters of a function's name that a table shows.
const FUNCTION_LETTERS: usize = 72;

/// What the columns of [`breakdown`] say, for who reads the table alone.
pub const BREAKDOWN_NOTE: &str = "samples: share of all samples, found on a core; CPU: share of the \
    CPU time by the stages' own clocks; busy, wait and blocked: shares of the wall time of a stage's \
    threads, so that wait and blocked are what it spent off its work";

/// Stage by stage: the share of the samples that found it on a core, its share of the CPU time by
/// the stage's own clocks, and how the wall time of its threads is spent by its timers. Where the
/// record has no stages, and for threads that are none, the samples alone speak.
pub fn breakdown(record: &Record, folded: &Folded) -> Table {
    let figures = ["threads", "samples", "CPU", "busy", "wait", "blocked"];
    let mut table = Table::new(&["stage"], &figures);
    let sampled = sampled(folded);
    let total = folded.total();
    let cpu_ns: u64 = record.stages.iter().map(|stage| stage.cpu_ns).sum();
    for (name, stage) in totals(&record.stages) {
        let seen = sampled.get(name.as_str()).map_or(0, |seen| seen.samples);
        let wall = stage.busy_ns + stage.wait_ns + stage.blocked_ns;
        table.push([
            name,
            stage.threads.to_string(),
            share(seen, total),
            share(stage.cpu_ns, cpu_ns),
            share(stage.busy_ns, wall),
            share(stage.wait_ns, wall),
            share(stage.blocked_ns, wall),
        ]);
    }
    for (name, seen) in &sampled {
        if !record.stages.iter().any(|stage| stage.name == *name) {
            let figures = [seen.threads.len().to_string(), share(seen.samples, total)];
            let absent = core::iter::repeat_n(ABSENT.to_owned(), 4);
            table.push([(*name).to_owned()].into_iter().chain(figures).chain(absent));
        }
    }
    table
}

/// The functions that were found on a core most often themselves, of all stages together.
pub fn hottest(folded: &Folded, rows_max: usize) -> Table {
    let mut alone: IndexMap<&str, (u64, IndexMap<&str, u64>)> = IndexMap::new();
    for (mut frames, count) in folded.iter() {
        let stage = frames.next().unwrap_or_default();
        let Some(innermost) = frames.skip(1).last() else { continue };
        let (all, stages) = alone.entry(innermost).or_default();
        *all += count;
        *stages.entry(stage).or_default() += count;
    }
    alone.sort_by(|a, (seen, _), b, (more, _)| more.cmp(seen).then(a.cmp(b)));
    let mut table = Table::new(&[], &["samples"]);
    table.columns.extend(Table::new(&["mostly in", "function"], &[]).columns);
    for (function, (seen, stages)) in alone.iter().take(rows_max) {
        let mostly = stages.iter().max_by_key(|(_, count)| **count).map_or("", |(name, _)| name);
        let share = share(*seen, folded.total());
        table.push([share, mostly.to_owned(), shortened(function, FUNCTION_LETTERS)]);
    }
    table
}

/// What was seen of one stage.
#[derive(Default)]
struct Seen<'a> {
    samples: u64,
    threads: Vec<&'a str>,
}

fn sampled(folded: &Folded) -> IndexMap<&str, Seen<'_>> {
    let mut stages: IndexMap<&str, Seen<'_>> = IndexMap::new();
    for (mut frames, count) in folded.iter() {
        let seen = stages.entry(frames.next().unwrap_or_default()).or_default();
        seen.samples += count;
        let thread = frames.next().unwrap_or_default();
        if !seen.threads.contains(&thread) {
            seen.threads.push(thread);
        }
    }
    stages.sort_by(|_, a, _, b| b.samples.cmp(&a.samples));
    stages
}

/// The stages, each summed over its replicas, in the record's order.
fn totals(stages: &[Stage]) -> IndexMap<String, Stage> {
    let mut totals: IndexMap<String, Stage> = IndexMap::new();
    for stage in stages {
        let sum = totals.entry(stage.name.clone()).or_default();
        sum.threads += stage.threads;
        sum.cpu_ns += stage.cpu_ns;
        sum.busy_ns += stage.busy_ns;
        sum.wait_ns += stage.wait_ns;
        sum.blocked_ns += stage.blocked_ns;
    }
    totals
}

fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => ABSENT.to_owned(),
        _ => units::share(part as f64 / whole as f64),
    }
}
