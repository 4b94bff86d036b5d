//! Records as one HTML page that opens offline: nothing is fetched, and the page forbids it.

mod chart;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::flame::{self, Folded};
use crate::record::{Point, Record};
use crate::row::{self, Row};
use crate::table::{Column, Table};
use crate::{Verdict, index, store, units, view};
use chart::Chart;

const CSS: &str = include_str!("html/page.css");
const JS: &str = include_str!("html/page.js");

/// What the page may do: run and style itself. It may load nothing, not even by accident.
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

/// Runs that are shown with their charts; all runs stand in the table.
pub const DETAILS_MAX: usize = 64;

/// A table with wider lines, in characters, stands below its chart: beside it, its last columns
/// would have to be scrolled for.
const BESIDE_CHART_MAX: usize = 64;

/// Characters to which a browser may wrap a cell of text.
const WRAPPED_TEXT: usize = 20;

/// A record and its time series, which may be empty.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its time series, as [`crate::store::read_series`] returns it.
    pub series: &'a [Point],
    /// The stacks of a sampled run, as [`Folded::read`] returns them.
    pub stacks: Option<&'a Folded>,
}

/// The page of one or more runs, about 5 MB, nearly all of it the charting script.
///
/// The answer comes first: headline and verdict of a single run, a table of several.
pub fn page(runs: &[Run<'_>]) -> String {
    let charts: Vec<Vec<Chart>> =
        runs.iter().take(DETAILS_MAX).map(|run| chart::all(run.record, run.series)).collect();
    let records: Vec<&Record> = runs.iter().map(|run| run.record).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title(&records)) }
                style { (PreEscaped(CSS)) }
            }
            body {
                @match records.as_slice() {
                    [] => p { "No run was given." },
                    [one] => (answer(one, true)),
                    several => (overview(several)),
                }
                @for (place, (run, charts)) in runs.iter().zip(&charts).enumerate() {
                    (details(run, charts, place, records.len() > 1))
                }
                @if records.len() > DETAILS_MAX {
                    p.soft { "Charts of the first " (DETAILS_MAX) " runs are shown." }
                }
                (scripts(&charts))
            }
        }
    };
    page.into_string()
}

fn title(records: &[&Record]) -> String {
    match records {
        [one] => {
            let row = Row::of(one);
            format!("quorumark: {}, {}", one.scenario, row.result)
        }
        several => format!("quorumark: {} runs", several.len()),
    }
}

/// The one answer: what was run, the figure, whether it stands.
fn answer(record: &Record, heading: bool) -> Markup {
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
            (row.result) " " (badge(record.verdict))
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

/// Several runs: how many stand, and a row for each that leads to its section.
fn overview(records: &[&Record]) -> Markup {
    let count = |verdict| records.iter().filter(|record| record.verdict == verdict).count();
    let ok = count(Verdict::Ok);
    let table = index::table(records, &[]);
    html! {
        p.soft { "quorumark" }
        h1 { (ok) " of " (records.len()) " runs ok" }
        p {
            @for verdict in [Verdict::Fail, Verdict::Void, Verdict::Inconclusive] {
                @if count(verdict) > 0 {
                    (badge(verdict)) " " (count(verdict)) " "
                }
            }
        }
        div.scroll {
            table {
                (head(&table))
                @for (place, row) in table.rows.iter().enumerate() {
                    tr {
                        @for (cell, column) in row.iter().zip(&table.columns) {
                            td class=(cell_class(column, cell)) {
                                @if column.title == "what" && place < DETAILS_MAX {
                                    a href=(format!("#run-{place}")) { (cell) }
                                } @else { (cell) }
                            }
                        }
                    }
                }
            }
        }
        @if records.iter().any(|record| Row::of(record).is_marked()) {
            p.soft { (row::CONTENDED_NOTE) }
        }
        @if let Some(first) = records.first() {
            p.soft { (view::machine_line(first)) }
        }
    }
}

/// Numbers are set to the right; a verdict has its colour.
fn cell_class<'a>(column: &Column, cell: &'a str) -> &'a str {
    match (column.numeric, column.title.as_str()) {
        (true, _) => "n",
        (false, "verdict") => cell,
        _ => "",
    }
}

fn details(run: &Run<'_>, charts: &[Chart], place: usize, several: bool) -> Markup {
    let record = run.record;
    let stacks = run.stacks.filter(|stacks| record.verdict.has_result() && !stacks.is_empty());
    html! {
        section.run[several] id=(format!("run-{place}")) {
            @if several { (answer(record, false)) }
            @for (number, chart) in charts.iter().enumerate() {
                h3 { (chart.title) }
                p.soft { (chart.caption) }
                div.pair[chart.table.width(WRAPPED_TEXT) <= BESIDE_CHART_MAX] {
                    div.chart id=(chart_id(place, number))
                        style=(format!("height:{}px", chart.height)) {}
                    (table(&chart.table))
                }
            }
            @if let Some(stacks) = stacks { (flamegraph(record, stacks)) }
            h3 { "Figures" }
            (table(&view::metrics(record)))
            @if !record.oracle.is_empty() {
                h3 { "Safety oracle" }
                (table(&view::oracle(record)))
            }
            div.pair {
                div { h3 { "Machine" } (table(&view::environment(record))) }
                div { h3 { "Build" } (table(&view::provenance(record))) }
                div { h3 { "Parameters" } (table(&view::config(record))) }
            }
            h3 { "Reproduce" }
            pre { code { (record.reproduce) } }
        }
    }
}

/// The most functions that a page names.
const FUNCTIONS_MAX: usize = 20;

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

fn table(table: &Table) -> Markup {
    html! {
        div.scroll {
            table {
                (head(table))
                @for row in &table.rows {
                    tr {
                        @for (cell, column) in row.iter().zip(&table.columns) {
                            td class=(cell_class(column, cell)) { (cell) }
                        }
                    }
                }
            }
        }
    }
}

fn head(table: &Table) -> Markup {
    html! {
        tr { @for column in &table.columns { th.n[column.numeric] { (column.title) } } }
    }
}

fn badge(verdict: Verdict) -> Markup {
    html! { span class=(format!("badge {verdict}")) { (verdict) } }
}

fn chart_id(run: usize, chart: usize) -> String {
    format!("chart-{run}-{chart}")
}

/// The charting script once, the charts as data, and the few lines that draw them.
fn scripts(charts: &[Vec<Chart>]) -> Markup {
    let plots: Vec<serde_json::Value> = charts
        .iter()
        .enumerate()
        .flat_map(|(run, charts)| {
            charts.iter().enumerate().map(move |(number, chart)| {
                serde_json::json!({ "id": chart_id(run, number), "plot": chart.plot })
            })
        })
        .collect();
    if plots.is_empty() {
        return html! {};
    }
    html! {
        noscript { p.soft { "Charts need JavaScript; the tables hold the same figures." } }
        (PreEscaped(charting_script()))
        script id="charts" type="application/json" { (PreEscaped(script_json(&plots))) }
        script { (PreEscaped(JS)) }
    }
}

/// JSON that cannot end the script element it stands in.
fn script_json(plots: &[serde_json::Value]) -> String {
    let text = serde_json::Value::from(plots).to_string();
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Plotly's own script element; the mathematics library that is embedded behind it is left out, as
/// no label has formulas and it is a third of the bytes.
fn charting_script() -> String {
    const END: &str = "</script>";
    let mut sources = plotly::Plot::offline_js_sources();
    if let Some(end) = sources.find(END) {
        sources.truncate(end + END.len());
    }
    sources
}
