//! Whatever was left behind as one list: when each was measured, by which build, what came of it,
//! where it lies.

use crate::compare::Comparison;
use crate::compare::render::signed;
use crate::document::{Compared, Document};
use crate::prediction::{Against, Check};
use crate::row::Row;
use crate::table::Table;
use crate::tuning::{Slo, Tuning};
use crate::{Record, Verdict, label, sweep, units};

/// Characters of a commit that are shown.
const COMMIT: usize = 12;

/// What a document is, in one word.
pub fn kind(document: &Document<'_>) -> &'static str {
    match document {
        Document::Run(_) => "run",
        Document::Sweep(_) => "sweep",
        Document::Comparison(_) => "comparison",
        Document::Tuning(_) => "tuning",
        Document::Slo(_) => "objective",
        Document::Prediction(_) => "prediction",
    }
}

/// A row for each document, with the place of `places` that it was read from, where they are told.
pub fn table(documents: &[Document<'_>], places: &[&str]) -> Table {
    let mut table = Table::new(&["started", "what"], &["result", "p99", "CPU per op", "of limit"]);
    table.columns.extend(Table::new(&["verdict", "commit", "run"], &[]).columns);
    let runs: Vec<&Record> = documents.iter().filter_map(run).collect();
    let mut labels = label::of_all(&runs).into_iter();
    let places = places.iter().copied().chain(core::iter::repeat(""));
    for (document, place) in documents.iter().zip(places) {
        let line = match document {
            Document::Run(run) => Line::of_run(run.record, labels.next().unwrap_or_default()),
            Document::Sweep(sweep) => Line::of_sweep(sweep),
            Document::Comparison(Compared { found, .. }) => Line::of_comparison(found),
            Document::Tuning(tuning) => Line::of_tuning(tuning),
            Document::Slo(slo) => Line::of_slo(slo),
            Document::Prediction(check) => Line::of_prediction(check),
        };
        let started = document.started_at().trim_end_matches('Z').replacen('T', " ", 1);
        let rest = [line.verdict, line.commit, place.to_owned()];
        table.push([started, line.what].into_iter().chain(line.figures).chain(rest));
    }
    table.without_empty_columns(|cell| !cell.is_empty())
}

fn run<'a>(document: &'a Document<'_>) -> Option<&'a Record> {
    match document {
        Document::Run(run) => Some(run.record),
        _ => None,
    }
}

/// What is told of a document, time and place aside.
#[derive(Default)]
struct Line {
    what: String,
    /// Result, p99, CPU per operation, share of the limit.
    figures: [String; 4],
    verdict: String,
    commit: String,
}

impl Line {
    fn of_run(record: &Record, what: String) -> Line {
        let row = Row::of(record);
        let figures = [row.result, row.p99, row.cpu, row.limit_share];
        Line { what, figures, verdict: row.verdict.to_string(), commit: commit(record) }
    }

    fn of_sweep(sweep: &sweep::Table<'_>) -> Line {
        let axes: Vec<&str> = sweep.names().collect();
        let points = sweep.rows.len();
        let best = sweep.best();
        let result = best.map(|(point, metric)| {
            format!("best {}", units::metric(metric, point.record.metrics.get(metric)))
        });
        let verdicts = sweep.rows.iter().map(|point| point.record.verdict);
        let (ok, first) =
            (verdicts.clone().filter(|v| *v == Verdict::Ok).count(), sweep.rows.first());
        Line {
            what: format!("sweep of {} over {}", sweep.scenario, axes.join(", ")),
            figures: [result.unwrap_or_default(), String::new(), String::new(), String::new()],
            verdict: format!("{ok} of {points} ok"),
            commit: first.map(|point| commit(point.record)).unwrap_or_default(),
        }
    }

    fn of_comparison(found: &Comparison) -> Line {
        let decided = found.metrics.iter().find(|metric| metric.finding == found.finding);
        let change = decided.and_then(|metric| metric.change_share).map(signed);
        Line {
            what: format!("{}: {} against {}", found.scenario, found.b.label, found.a.label),
            figures: [change.unwrap_or_default(), String::new(), String::new(), String::new()],
            verdict: found.finding.to_string(),
            commit: found.b.commit.as_deref().map(shortened).unwrap_or_default(),
        }
    }
}

impl Line {
    fn of_tuning(tuning: &Tuning<'_>) -> Line {
        let change = tuning.confirmation.and_then(|found| found.change_share).map(signed);
        Line {
            what: format!("tuning of {}: {}", tuning.scenario, tuning.goal),
            figures: [change.unwrap_or_default(), String::new(), String::new(), String::new()],
            verdict: tuning.verdict.to_owned(),
            commit: String::new(),
        }
    }

    fn of_prediction(check: &Check) -> Line {
        let error = check.worst(Against::Predicted).map(|(_, error)| signed(error));
        let commit = check.provenance.get("commit").and_then(serde_json::Value::as_str);
        Line {
            what: format!("{} predicted, off by at most", check.protocol),
            figures: [error.unwrap_or_default(), String::new(), String::new(), String::new()],
            verdict: String::new(),
            commit: commit.map(shortened).unwrap_or_default(),
        }
    }

    fn of_slo(slo: &Slo<'_>) -> Line {
        let rate = slo.rate.map(|rate| format!("{}/s", units::count(rate)));
        let p99 = format!("<= {}", units::duration_ns(slo.p99_ns));
        Line {
            what: format!("objective of {}", slo.scenario),
            figures: [rate.unwrap_or_default(), p99, String::new(), String::new()],
            verdict: slo.verdict.to_owned(),
            commit: String::new(),
        }
    }
}

/// The first characters of the commit, and a `+` where the sources differed from it.
fn commit(record: &Record) -> String {
    let Some(commit) = &record.provenance.commit else { return "unknown".to_owned() };
    let dirty = if record.provenance.dirty == Some(true) { "+" } else { "" };
    shortened(commit) + dirty
}

fn shortened(commit: &str) -> String {
    commit.chars().take(COMMIT).collect()
}
