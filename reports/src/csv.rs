//! Records as comma-separated values (RFC 4180), one line a record, for spreadsheets and scripts.

use crate::{Record, label, units};

/// What stands in the first columns of [`records`]; `config.` and the parameter's name head those
/// that follow, and the names of the figures the last ones.
const FIRST: [&str; 12] = [
    "run",
    "label",
    "scenario",
    "started_at",
    "commit",
    "dirty",
    "profile",
    "hostname",
    "cores",
    "seed",
    "verdict",
    "contended_samples",
];

/// A heading and a line for each record, with the place that it was read from. Every parameter and
/// every figure that one of them names has a column; a figure without a value is empty, and so are
/// those of a run without a result, which could else be quoted. Numbers are whole, not rounded.
pub fn records(runs: &[(&str, &Record)]) -> String {
    let records: Vec<&Record> = runs.iter().map(|(_, record)| *record).collect();
    let parameters = named(records.iter().flat_map(|record| record.config.keys()));
    let figures = named(records.iter().flat_map(|r| r.metrics.iter().map(|(name, _)| name)));
    let titles = FIRST.map(str::to_owned).into_iter();
    let titles = titles.chain(parameters.iter().map(|name| format!("config.{name}")));
    let mut text = line(titles.chain(figures.iter().cloned()));
    for ((place, record), label) in runs.iter().zip(label::of_all(&records)) {
        let cells = first(place, label, record).into_iter();
        let cells = cells.chain(parameters.iter().map(|name| parameter(record, name)));
        text.push_str(&line(cells.chain(figures.iter().map(|name| figure(record, name)))));
    }
    text
}

/// Each name once, in the order of first mention.
fn named<N: AsRef<str>>(names: impl Iterator<Item = N>) -> Vec<String> {
    let mut seen: indexmap::IndexSet<String> = indexmap::IndexSet::new();
    names.for_each(|name| {
        seen.insert(name.as_ref().to_owned());
    });
    seen.into_iter().collect()
}

fn first(place: &str, label: String, record: &Record) -> [String; 12] {
    let build = &record.provenance;
    [
        place.to_owned(),
        label,
        record.scenario.clone(),
        record.started_at.clone(),
        build.commit.clone().unwrap_or_default(),
        build.dirty.map(|dirty| dirty.to_string()).unwrap_or_default(),
        build.profile.clone(),
        record.environment.hostname.clone().unwrap_or_default(),
        record.environment.cores.to_string(),
        record.seed.to_string(),
        record.verdict.to_string(),
        record.samples.iter().filter(|sample| sample.contended).count().to_string(),
    ]
}

fn parameter(record: &Record, name: &str) -> String {
    match record.config.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Null) | None => String::new(),
        Some(value) => value.to_string(),
    }
}

fn figure(record: &Record, name: &str) -> String {
    let shown = record.verdict.has_result() || units::is_count(name);
    let value = record.metrics.get(name).filter(|_| shown);
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.map(|cell| quoted(&cell)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// RFC 4180, 2: what holds a comma, a quote or a line's end stands in quotes, quotes doubled.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_break_its_line() {
        let cells = ["a,b", "say \"x\"", "two\nlines", "plain"].map(str::to_owned);
        assert_eq!(line(cells.into_iter()), "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",plain\r\n");
    }
}
