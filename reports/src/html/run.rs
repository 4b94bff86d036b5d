//! One run: the answer, its charts, and everything that its record holds.

mod charts;

use maud::{Markup, PreEscaped, html};

use super::frame::{self, Drawings, badge, table};
use crate::document::Run;
use crate::flame::{self, Folded};
use crate::record::Record;
use crate::row::{self, Row};
use crate::{store, units, view};

/// The most functions that a page names.
const FUNCTIONS_MAX: usize = 20;

/// What the page of one run is called.
pub(super) fn title(record: &Record) -> String {
    format!("{}, {}", record.scenario, Row::of(record).result)
}

/// The one answer: what was run, the figure, whether it stands.
pub(super) fn answer(record: &Record, heading: bool) -> Markup {
    let row = Row::of(record);
    html! {
        @if heading {
            p.soft { (row.what) }
            h1 { (verdict_headline(record, &row)) }
        } @else {
            h2 { (row.what) ": " (verdict_headline(record, &row)) }
        }
        @if row.is_marked() { p.soft { (row::CONTENDED_NOTE) } }
        @if let Some(reason) = &row.reason {
            p class=(record.verdict) { (reason) }
        }
        @if record.verdict.has_result() {
            ul.tiles {
                @for (name, value) in tiles(record, &row) {
                    li { span.soft { (name) } b { (value) } }
                }
            }
        }
        @if let Some(bottleneck) = record.bottleneck.as_ref().filter(|_| row.reason.is_none()) {
            p { b { "Bottleneck: " } (bottleneck) }
        }
        @if let Some(oracle) = view::oracle_line(record) {
            p { b { "Oracle: " } (oracle) }
        }
        @for warning in view::shown_warnings(record) {
            p.warning { b { "Warning: " } (warning.cause) "; " (warning.remedy) }
        }
    }
}

/// The figure with its verdict, or the verdict alone where there is no figure.
fn verdict_headline(record: &Record, row: &Row) -> Markup {
    html! {
        @if row::interrupted(record) { span.inconclusive { "INTERRUPTED" } " " }
        @if record.verdict.has_result() {
            (row.result) " " (badge(record.verdict.as_str()))
        } @else {
            span class=(record.verdict) { (row.result) }
        }
    }
}

fn tiles(record: &Record, row: &Row) -> Vec<(String, String)> {
    let spread = row::headline_metric(record)
        .and_then(|name| Some((name, record.intervals.get(name)?)))
        .filter(|(_, interval)| interval.n() > 1);
    let spread = spread.map(|(name, interval)| {
        let [min, max] = [interval.min(), interval.max()].map(|v| units::metric(name, Some(v)));
        (format!("over {} trials", interval.n()), format!("{min} to {max}"))
    });
    let figures = [
        ("response p50", &row.p50),
        ("response p99", &row.p99),
        ("CPU per operation", &row.cpu),
        ("of the limit", &row.limit_share),
    ];
    let figures = figures.into_iter().filter(|(_, value)| *value != units::ABSENT);
    figures.map(|(name, value)| (name.to_owned(), value.clone())).chain(spread).collect()
}

/// What stands below the answer: charts, flamegraph, and the whole record as tables.
pub(super) fn details(run: &Run<'_>, drawings: &mut Drawings) -> Markup {
    let record = run.record;
    let stacks = run.stacks.filter(|stacks| record.verdict.has_result() && !stacks.is_empty());
    html! {
        @for chart in charts::all(record, run.series) { (drawings.place(&chart)) }
        @if let Some(stacks) = stacks { (flamegraph(record, stacks)) }
        h3 { "Figures" }
        (table(&view::metrics(record)))
        @if !record.oracle.is_empty() {
            h3 { "Safety oracle" }
            (table(&view::oracle(record)))
        }
        (circumstances(record))
        (frame::reproduce(&record.reproduce))
    }
}

/// Machine, build and parameters, side by side where there is room.
pub(super) fn circumstances(record: &Record) -> Markup {
    html! {
        div.pair {
            div { h3 { "Machine" } (table(&view::environment(record))) }
            div { h3 { "Build" } (table(&view::provenance(record))) }
            div { h3 { "Parameters" } (table(&view::config(record))) }
        }
    }
}

/// Where a sampled run was found, as a picture and two tables.
fn flamegraph(record: &Record, stacks: &Folded) -> Markup {
    html! {
        h3 { "Flamegraph" }
        p.soft {
            "The share of the samples in which a stage, a thread of it, or a function was found on a "
            "core; called functions stand below their callers. Hover for names, click to enlarge, "
            "click the first row for the whole. The run's folder holds it as "
            code { (store::FLAMEGRAPH_FILE) } " and its stacks as " code { (store::FOLDED_FILE) } "."
        }
        div.scroll { div.wide { (PreEscaped(flame::inline(stacks, &record.scenario))) } }
        (table(&flame::breakdown(record, stacks)))
        p.soft { (flame::BREAKDOWN_NOTE) }
        (table(&flame::hottest(stacks, FUNCTIONS_MAX)))
    }
}
