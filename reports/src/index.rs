//! Many runs as one list: when each was made, by which build, what came of it, where it lies.

use crate::row::Row;
use crate::table::Table;
use crate::{Record, label};

/// Characters of a commit that are shown.
const COMMIT: usize = 12;

/// A row for each run, with the place of `places` that it was read from, where they are told.
pub fn table(records: &[&Record], places: &[&str]) -> Table {
    let mut table = Table::new(&["started", "what"], &["result", "p99", "CPU per op", "of limit"]);
    table.columns.extend(Table::new(&["verdict", "commit", "run"], &[]).columns);
    let places = places.iter().copied().chain(core::iter::repeat(""));
    for ((record, what), place) in records.iter().zip(label::of_all(records)).zip(places) {
        let row = Row::of(record);
        let started = record.started_at.trim_end_matches('Z').replacen('T', " ", 1);
        let figures = [row.result, row.p99, row.cpu, row.limit_share];
        let rest = [row.verdict.to_string(), commit(record), place.to_owned()];
        table.push([started, what].into_iter().chain(figures).chain(rest));
    }
    table.without_empty_columns(|cell| !cell.is_empty())
}

/// The first characters of the commit, and a `+` where the sources differed from it.
fn commit(record: &Record) -> String {
    let Some(commit) = &record.provenance.commit else { return "unknown".to_owned() };
    let dirty = if record.provenance.dirty == Some(true) { "+" } else { "" };
    commit.chars().take(COMMIT).chain(dirty.chars()).collect()
}
