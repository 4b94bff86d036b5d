//! The page around all parts: its head, its tables, and the charting script once.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Value, json};

use super::chart::Chart;
use crate::table::{Column, Table};

const CSS: &str = include_str!("page.css");
const JS: &str = include_str!("page.js");

/// What the page may do: run and style itself. It may load nothing, not even by accident.
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

/// A table with wider lines, in characters, stands below its chart: beside it, its last columns
/// would have to be scrolled for.
const BESIDE_CHART_MAX: usize = 64;

/// Characters to which a browser may wrap a cell of text.
const WRAPPED_TEXT: usize = 20;

/// The charts of a page, in the order in which they stand in it.
#[derive(Default)]
pub(super) struct Drawings(Vec<Value>);

impl Drawings {
    /// The chart under its heading, its table beside it; it is drawn by the page's script.
    pub(super) fn place(&mut self, chart: &Chart) -> Markup {
        let id = format!("chart-{}", self.0.len());
        self.0.push(json!({ "id": id, "plot": chart.plot }));
        html! {
            h3 { (chart.title) }
            p.soft { (chart.caption) }
            div.pair[chart.table.width(WRAPPED_TEXT) <= BESIDE_CHART_MAX] {
                div.chart id=(id) style=(format!("height:{}px", chart.height)) {}
                (table(&chart.table))
            }
        }
    }

    /// The charting script once, the charts as data, and the few lines that draw them.
    fn scripts(&self) -> Markup {
        if self.0.is_empty() {
            return html! {};
        }
        html! {
            noscript { p.soft { "Charts need JavaScript; the tables hold the same figures." } }
            (PreEscaped(charting_script()))
            script id="charts" type="application/json" { (PreEscaped(script_json(&self.0))) }
            script { (PreEscaped(JS)) }
        }
    }
}

/// The page of `title` and `body`, which `drawings` belong to.
pub(super) fn page(title: &str, body: &Markup, drawings: &Drawings) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(CSS)) }
            }
            body { (body) (drawings.scripts()) }
        }
    };
    page.into_string()
}

/// A table, which scrolls where it is wider than the page.
pub(super) fn table(table: &Table) -> Markup {
    linked(table, |_| None)
}

/// A table whose column `what` leads to where `place` says for each row, if anywhere.
pub(super) fn linked(table: &Table, place: impl Fn(usize) -> Option<String>) -> Markup {
    html! {
        div.scroll {
            table {
                tr { @for column in &table.columns { th.n[column.numeric] { (column.title) } } }
                @for (number, row) in table.rows.iter().enumerate() {
                    tr {
                        @for (cell, column) in row.iter().zip(&table.columns) {
                            td class=(cell_class(column, cell)) {
                                @match place(number).filter(|_| column.title == "what") {
                                    Some(place) => a href=(format!("#{place}")) { (cell) },
                                    None => (cell),
                                }
                            }
                        }
                    }
                }
            }
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

/// A verdict in its colour, framed.
pub(super) fn badge(verdict: &str) -> Markup {
    html! { span class=(format!("badge {verdict}")) { (verdict) } }
}

/// The command that repeats what is shown.
pub(super) fn reproduce(command: &str) -> Markup {
    html! {
        h3 { "Reproduce" }
        pre { code { (command) } }
    }
}

/// JSON that cannot end the script element it stands in.
fn script_json(plots: &[Value]) -> String {
    let text = Value::from(plots).to_string();
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
