//! A sweep: its best point, a line or a heat map of each figure, latency against throughput, and
//! the table of all points.

mod charts;
mod latency;

use maud::{Markup, html};

use super::frame::{self, Drawings, table};
use crate::compare::judge::higher_is_better;
use crate::record::Record;
use crate::sweep::Table;
use crate::{Verdict, units, view};

/// What the page of a sweep is called.
pub(super) fn title(sweep: &Table<'_>) -> String {
    let axes: Vec<&str> = sweep.names().collect();
    format!("{} over {}", sweep.scenario, axes.join(", "))
}

/// The best point with its figure, and how many points stand.
pub(super) fn answer(sweep: &Table<'_>, heading: bool) -> Markup {
    let best = sweep.best();
    let what = format!("sweep of {}: {}", title(sweep), counted(sweep.rows.len()));
    let headline = match best {
        Some((point, metric)) => {
            let value = units::metric(metric, point.record.metrics.get(metric));
            format!("{value} at {}", sweep.settings(point))
        }
        None => "no point has a result".to_owned(),
    };
    html! {
        @if heading { p.soft { (what) } h1 { (headline) } } @else { h2 { (what) ": " (headline) } }
        p {
            @for verdict in [Verdict::Ok, Verdict::Inconclusive, Verdict::Void, Verdict::Fail] {
                @let count = sweep.rows.iter().filter(|r| r.record.verdict == verdict).count();
                @if count > 0 { (frame::badge(verdict.as_str())) " " (count) " " }
            }
        }
        @if let Some((_, metric)) = best {
            @let way = if higher_is_better(metric) { "highest" } else { "lowest" };
            p.soft {
                "That is the " (way) " " code { (metric) } " that was measured. Each point is one "
                "run, and the best of many is partly luck: " code { "quorumark compare" }
                " tells whether it differs from another beyond noise, and "
                code { "quorumark tune" } " confirms what it finds on fresh seeds."
            }
        }
        @for note in sweep.notes() { p.warning { (note) } }
    }
}

/// The charts, and everything as tables.
pub(super) fn details(sweep: &Table<'_>, drawings: &mut Drawings) -> Markup {
    html! {
        @for chart in charts::all(sweep) { (drawings.place(&chart)) }
        @if let Some(chart) = latency::against_throughput(sweep) { (drawings.place(&chart)) }
        h3 { "Points" }
        (table(&sweep.table()))
        h3 { "Machine and build" }
        @for line in machines(sweep) { p { (line) } }
        (frame::reproduce(&sweep.reproduce))
    }
}

/// `1 point`, `6 points`.
fn counted(points: usize) -> String {
    if points == 1 { "1 point".to_owned() } else { format!("{points} points") }
}

/// Where the points were measured, each machine and build once: shards may have run anywhere.
fn machines(sweep: &Table<'_>) -> Vec<String> {
    let told = |record: &Record| {
        let host = record.environment.hostname.as_deref().unwrap_or("unknown host");
        let cpu = record.environment.cpu_model.as_deref().unwrap_or("unknown CPU");
        format!("{host}: {cpu}, {} cores; {}", record.environment.cores, view::build_line(record))
    };
    let mut lines: Vec<String> = Vec::new();
    for line in sweep.rows.iter().map(|point| told(point.record)) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.len() > 1 {
        let several = format!(
            "The points come from {} machines or builds: what differs between them may be these, \
             and not the settings.",
            lines.len()
        );
        lines.insert(0, several);
    }
    lines
}
