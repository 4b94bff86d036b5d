//! The points of a sweep as one table: for a terminal, as Markdown, as comma-separated values.
//! Its page is in [`crate::html`].

use serde_json::{Value, json};

use crate::compare::judge::higher_is_better;
use crate::table::Table as TextTable;
use crate::terminal::{BOLD, Style};
use crate::{Record, markdown, row};

/// The version of the JSON form of a [`Table`].
pub const SWEEP_VERSION: u32 = 1;

/// The JSON Schema (draft 2020-12) of [`Table::json`], as text.
pub const SWEEP_SCHEMA: &str = include_str!("../schema/sweep.schema.json");

/// A sweep's points in their order.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    /// What was measured.
    pub scenario: &'a str,
    /// The swept parameters.
    pub axes: Vec<Axis<'a>>,
    /// One row a point.
    pub rows: Vec<Row<'a>>,
    /// The command that repeats the sweep.
    pub reproduce: String,
}

/// A swept parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis<'a> {
    /// Its name.
    pub name: &'a str,
    /// The unit of its values, such as `requests`; empty where there is none, or where the values
    /// carry it, as `4KiB` does.
    pub unit: &'a str,
}

/// One point.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// A value for each of [`Table::axes`].
    pub values: Vec<&'a str>,
    /// What was measured there.
    pub record: &'a Record,
}

impl Table<'_> {
    /// For a terminal: the answering figures, then why points have none.
    pub fn text(&self, style: Style) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let lines = self.table().to_text(style.width).into_iter().enumerate();
        let painted = |(place, line): (usize, String)| match place {
            0 => style.paint(&line, BOLD) + "\n",
            _ => line + "\n",
        };
        let table: String = lines.map(painted).collect();
        table + &self.notes().map(|note| crate::table::plain(&note) + "\n").collect::<String>()
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let notes = self.notes().map(|note| format!("- {}\n", markdown::escape(&note)));
        let notes: String = notes.collect();
        let table = markdown::table(&self.table());
        if notes.is_empty() { table } else { format!("{table}\n{notes}") }
    }

    /// Every figure of every point, for programs: unrounded, empty where there is none (RFC 4180).
    pub fn csv(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|row| row.record.metrics.iter()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let titles = self.names().chain(["verdict"]).chain(names.iter().copied());
        let mut text = line(titles.map(str::to_owned));
        for row in &self.rows {
            let settings = row.values.iter().map(|value| (*value).to_owned());
            let verdict = core::iter::once(row.record.verdict.to_string());
            let figures = names.iter().map(|name| {
                row.record.metrics.get(name).map(|value| value.to_string()).unwrap_or_default()
            });
            text.push_str(&line(settings.chain(verdict).chain(figures)));
        }
        text
    }

    /// As one JSON document.
    pub fn json(&self) -> Value {
        let point = |row: &Row<'_>| {
            let settings = self.names().zip(&row.values);
            let settings: serde_json::Map<String, Value> =
                settings.map(|(axis, value)| (axis.to_owned(), (*value).into())).collect();
            json!({
                "settings": settings,
                "verdict": row.record.verdict,
                "verdict_reason": row.record.verdict_reason,
                "metrics": row.record.metrics,
                "reproduce": row.record.reproduce,
            })
        };
        let points: Vec<Value> = self.rows.iter().map(point).collect();
        json!({
            "schema_version": SWEEP_VERSION,
            "scenario": self.scenario,
            "points": points,
            "reproduce": self.reproduce,
        })
    }

    /// The point whose answering figure is best, and that figure; `None` where no point has a
    /// result.
    pub fn best(&self) -> Option<(&Row<'_>, &str)> {
        let metric = self.rows.iter().find_map(|point| row::headline_metric(point.record))?;
        let points = self.rows.iter().filter(|point| point.record.verdict.has_result());
        let valued = points.filter_map(|point| Some((point, point.record.metrics.get(metric)?)));
        let good = |value: f64| if higher_is_better(metric) { value } else { -value };
        let best = valued.max_by(|(_, a), (_, b)| good(*a).total_cmp(&good(*b)));
        best.map(|(point, _)| (point, metric))
    }

    /// A row's settings in words: `batch_size_max=8 verify_threads=2`.
    pub(crate) fn settings(&self, row: &Row<'_>) -> String {
        let settings = self.names().zip(&row.values);
        let settings: Vec<String> =
            settings.map(|(axis, value)| format!("{axis}={value}")).collect();
        settings.join(" ")
    }

    /// The swept parameters by name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.axes.iter().map(|axis| axis.name)
    }

    /// The points with their answering figures.
    pub(crate) fn table(&self) -> TextTable {
        let figures = ["result", "p50", "p99", "CPU per op", "of limit"];
        let numeric: Vec<&str> = self.names().chain(figures).collect();
        let mut table = TextTable::new(&[], &numeric);
        table.columns.extend(TextTable::new(&["verdict"], &[]).columns);
        for point in &self.rows {
            let shown = row::Row::of(point.record);
            let values = point.values.iter().map(|value| (*value).to_owned());
            let figures = [shown.result, shown.p50, shown.p99, shown.cpu, shown.limit_share];
            let verdict = core::iter::once(shown.verdict.to_string());
            table.push(values.chain(figures).chain(verdict));
        }
        table.without_empty_columns(|cell| cell != crate::units::ABSENT)
    }

    /// Why points are not `ok`, and what a mark means.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> + '_ {
        let marked = self.rows.iter().any(|point| row::Row::of(point.record).is_marked());
        let reason = |point: &Row<'_>| {
            let (verdict, settings) = (point.record.verdict, self.settings(point));
            Some(format!("{verdict}, {settings}: {}", row::reason(point.record)?))
        };
        let mark = marked.then(|| row::CONTENDED_NOTE.to_owned());
        mark.into_iter().chain(self.rows.iter().filter_map(reason))
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = |cell: String| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    };
    cells.map(quoted).collect::<Vec<_>>().join(",") + "\n"
}
