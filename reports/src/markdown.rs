//! Records as Markdown.

use crate::row::{self, Row};
use crate::table::{Table, plain};
use crate::{Record, label, view};

/// One record, under a heading of the second level.
///
/// A run without a result shows its verdict, the reason and its counts, and no figure that could
/// be quoted.
pub fn record(record: &Record) -> String {
    let row = Row::of(record);
    let first = if row::interrupted(record) { "INTERRUPTED: " } else { "" };
    let mut text = format!("## {first}{}: {}\n\n", escape(&row.what), escape(&row.result));
    text.push_str(&format!("Verdict: **{}**.", record.verdict));
    if let Some(reason) = row::reason(record) {
        text.push_str(&format!(" {}", escape(&reason)));
    }
    text.push_str("\n\n");
    contended_note(&mut text, &[record]);
    section(&mut text, "Figures", &view::metrics(record));
    if record.verdict.has_result() {
        section(&mut text, "Where the time went", &view::stages(record));
        note(&mut text, view::stages_note(record));
        if let Some(bottleneck) = &record.bottleneck {
            text.push_str(&format!("Bottleneck: {}\n\n", escape(bottleneck)));
        }
    }
    section(&mut text, "Trials", &view::samples(record));
    note(&mut text, view::samples_note(record).filter(|_| !record.samples.is_empty()));
    section(&mut text, "Safety oracle", &view::oracle(record));
    warnings(&mut text, &[record]);
    section(&mut text, "Parameters", &view::config(record));
    section(&mut text, "Machine", &view::environment(record));
    section(&mut text, "Build", &view::provenance(record));
    text.push_str("### Reproduce\n\n");
    text.push_str(&command(record));
    text
}

/// Several records in one table, then what is wrong, then how to repeat each row.
pub fn records(records: &[&Record]) -> String {
    let mut text = table(&Row::table(records));
    text.push('\n');
    contended_note(&mut text, records);
    for (record, label) in records.iter().zip(label::of_all(records)) {
        if let Some(reason) = row::reason(record) {
            let label = escape(&label);
            text.push_str(&format!("- **{}**, {label}: {}\n", record.verdict, escape(&reason)));
        }
    }
    warnings(&mut text, records);
    if let Some(first) = records.first() {
        text.push_str(&format!("Machine: {}\n\n", escape(&view::machine_line(first))));
    }
    text.push_str("Reproduce:\n\n");
    records.iter().for_each(|record| text.push_str(&command(record)));
    text
}

/// A table with its alignment row. Cells cannot end a cell, a row or the table.
pub fn table(table: &Table) -> String {
    let titles = table.columns.iter().map(|column| escape(&column.title));
    let mut text = line(titles);
    text.push_str(&line(
        table.columns.iter().map(|column| if column.numeric { "---:" } else { ":---" }.to_owned()),
    ));
    table.rows.iter().for_each(|row| text.push_str(&line(row.iter().map(|cell| escape(cell)))));
    text
}

fn section(text: &mut String, title: &str, content: &Table) {
    if !content.rows.is_empty() {
        text.push_str(&format!("### {title}\n\n{}\n", table(content)));
    }
}

/// What the mark behind a figure means, where one carries it.
fn contended_note(text: &mut String, records: &[&Record]) {
    let marked = records.iter().any(|record| Row::of(record).is_marked());
    note(text, marked.then_some(row::CONTENDED_NOTE));
}

fn note(text: &mut String, note: Option<&str>) {
    note.into_iter().for_each(|note| text.push_str(&format!("{}\n\n", escape(note))));
}

fn warnings(text: &mut String, records: &[&Record]) {
    for (whose, warning) in view::warning_lines(records) {
        let of = if whose.is_empty() { whose } else { format!(", {whose}") };
        text.push_str(&format!("- warning{}: {}\n", escape(&of), escape(&warning)));
    }
    if !text.ends_with("\n\n") {
        text.push('\n');
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

/// An indented block: no text on one line can end it.
fn command(record: &Record) -> String {
    format!("    {}\n", plain(&record.reproduce))
}

/// Backslashes before what Markdown would act on, and no HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '[' | ']' => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_break_out_of_its_table() {
        let mut hostile = Table::new(&["name"], &["n"]);
        hostile.push(["a | b\n<script>x</script> [l](http://e)", "1"]);
        let text = table(&hostile);
        assert_eq!(text.lines().count(), 3);
        assert_eq!(
            text.lines().nth(2).unwrap(),
            r"| a \| b &lt;script>x&lt;/script> \[l\](http://e) | 1 |"
        );
        assert_eq!(text.lines().nth(1).unwrap(), "| :--- | ---: |");
    }
}
