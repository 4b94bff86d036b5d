//! Records as text for a terminal.

use crate::row::{self, Row};
use crate::table::{Table, plain};
use crate::{Record, Verdict, label, units, view};

/// How text is laid out. The caller decides on colour: it knows the stream and `NO_COLOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether ANSI colours are written.
    pub colour: bool,
}

impl Style {
    /// `text` in a colour, where colour is on.
    pub(crate) fn paint(self, text: &str, colour: &str) -> String {
        match self.colour {
            true => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

impl Default for Style {
    fn default() -> Style {
        Style { width: 100, colour: false }
    }
}

pub(crate) const BOLD: &str = "1";
pub(crate) const RED: &str = "1;31";
pub(crate) const GREEN: &str = "1;32";
pub(crate) const YELLOW: &str = "1;33";

/// One record. The last line is `reproduce: ` and the command.
///
/// A run without a result ([`Verdict::has_result`]) shows its verdict, the reason and its counts,
/// and no figure that could be quoted.
pub fn record(record: &Record, style: Style) -> String {
    let mut page = Page { text: String::new(), style };
    page.answer(record);
    page.section("", &view::metrics(record));
    if record.verdict.has_result() {
        // Without what says nothing of this run: 80 columns hold the rest.
        let says = |cell: &str| !["all", "0 ns", units::ABSENT].contains(&cell);
        let stages = view::stages(record).without_empty_columns(says);
        page.section(view::stages_title(record), &stages);
        page.note(view::stages_note(record));
    }
    if record.samples.len() > 1 {
        page.section("trials", &view::samples(record));
        page.note(view::samples_note(record));
    }
    page.line("");
    page.facts(record);
    page.warnings(&[record]);
    page.line(&format!("reproduce: {}", plain(&record.reproduce)));
    page.text
}

/// Several records in one table: a row each, then what is wrong, then how to repeat each row.
pub fn records(records: &[&Record], style: Style) -> String {
    let mut page = Page { text: String::new(), style };
    page.table(&Row::table(records));
    page.contended_note(records);
    page.line("");
    let labels = label::of_all(records);
    for (record, label) in records.iter().zip(&labels) {
        if let Some(line) = view::oracle_line(record) {
            page.entry(&format!("oracle, {label}"), &line);
        }
    }
    for (record, label) in records.iter().zip(&labels) {
        page.verdict_reason(record, &format!("{}, {label}", record.verdict));
    }
    page.warnings(records);
    for record in records {
        page.line(&format!("reproduce: {}", plain(&record.reproduce)));
    }
    page.text
}

/// Text under construction.
struct Page {
    text: String,
    style: Style,
}

impl Page {
    fn answer(&mut self, record: &Record) {
        let row = Row::of(record);
        let colour = verdict_colour(record.verdict);
        let what = self.paint(&plain(&row.what), BOLD);
        let first = match row::interrupted(record) {
            true => format!("{}: {what}", self.paint("INTERRUPTED", YELLOW)),
            false => what,
        };
        match row::headline(record) {
            Some(headline) => {
                let headline = self.paint(&headline, BOLD);
                let verdict = self.paint(record.verdict.as_str(), colour);
                self.line(&format!("{first}: {headline}, {verdict}"));
            }
            // Where a figure would stand, the verdict stands in capitals ([`Row::result`]).
            None => self.line(&format!("{first}: {}", self.paint(&row.result, colour))),
        }
        self.contended_note(&[record]);
        self.verdict_reason(record, "why");
    }

    /// What the mark behind a figure means, where one carries it.
    fn contended_note(&mut self, records: &[&Record]) {
        let marked = records.iter().any(|record| Row::of(record).is_marked());
        self.note(marked.then_some(row::CONTENDED_NOTE));
    }

    fn note(&mut self, note: Option<&str>) {
        note.into_iter().for_each(|note| self.line(note));
    }

    fn verdict_reason(&mut self, record: &Record, title: &str) {
        if let Some(reason) = row::reason(record) {
            let title = self.paint(&plain(title), verdict_colour(record.verdict));
            self.line(&format!("{title}: {}", plain(&reason)));
        }
    }

    fn facts(&mut self, record: &Record) {
        if let Some(line) = view::oracle_line(record) {
            self.entry("oracle", &line);
        }
        if let Some(bottleneck) = record.bottleneck.as_ref().filter(|_| record.verdict.has_result())
        {
            self.entry("bottleneck", bottleneck);
        }
        if let Some(line) = view::effective_line(record) {
            self.entry("in force", &line);
        }
        self.entry("machine", &view::machine_line(record));
    }

    fn warnings(&mut self, records: &[&Record]) {
        let title = self.paint("warning", YELLOW);
        for (whose, text) in view::warning_lines(records) {
            let of = if whose.is_empty() { whose } else { format!(", {whose}") };
            self.line(&format!("{title}{}: {}", plain(&of), plain(&text)));
        }
    }

    fn section(&mut self, title: &str, table: &Table) {
        if table.rows.is_empty() {
            return;
        }
        self.line("");
        if !title.is_empty() {
            self.entry_title(title);
        }
        self.table(table);
    }

    fn table(&mut self, table: &Table) {
        for (place, line) in table.to_text(self.style.width).into_iter().enumerate() {
            let line = if place == 0 { self.paint(&line, BOLD) } else { line };
            self.line(&line);
        }
    }

    fn entry(&mut self, title: &str, text: &str) {
        let title = self.paint(&plain(title), BOLD);
        self.line(&format!("{title}: {}", plain(text)));
    }

    fn entry_title(&mut self, title: &str) {
        let title = self.paint(title, BOLD);
        self.line(&title);
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn paint(&self, text: &str, colour: &str) -> String {
        self.style.paint(text, colour)
    }
}

fn verdict_colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => GREEN,
        Verdict::Inconclusive => YELLOW,
        Verdict::Void | Verdict::Fail => RED,
    }
}
