//! The head of a page of several documents: how many there are, and a table that leads to each.

use maud::{Markup, html};

use super::DETAILS_MAX;
use super::frame::{self, badge};
use crate::document::Document;
use crate::record::Record;
use crate::row::{self, Row};
use crate::{Verdict, index, view};

/// The name of the place of a document in the page.
pub(super) fn anchor(place: usize) -> String {
    format!("run-{place}")
}

/// `12 runs, 2 sweeps, 1 comparison`.
pub(super) fn counted(documents: &[Document<'_>]) -> String {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for kind in documents.iter().map(index::kind) {
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    if kinds.is_empty() {
        return "no runs".to_owned();
    }
    let told = kinds.iter().map(|(kind, count)| match count {
        1 => format!("1 {kind}"),
        _ => format!("{count} {kind}s"),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// How many runs stand, and a row for each document that leads to its part of the page.
pub(super) fn overview(documents: &[Document<'_>]) -> Markup {
    let runs: Vec<&Record> = documents.iter().filter_map(record).collect();
    let count = |verdict| runs.iter().filter(|record| record.verdict == verdict).count();
    let ok = count(Verdict::Ok);
    let table = index::table(documents, &[]);
    html! {
        p.soft { "quorumark" }
        @if runs.len() == documents.len() {
            h1 { (ok) " of " (runs.len()) " runs ok" }
        } @else {
            h1 { (counted(documents)) }
        }
        p {
            @for verdict in [Verdict::Fail, Verdict::Void, Verdict::Inconclusive] {
                @if count(verdict) > 0 { (badge(verdict.as_str())) " " (count(verdict)) " " }
            }
        }
        (frame::linked(&table, |place| (place < DETAILS_MAX).then(|| anchor(place))))
        @if runs.iter().any(|record| Row::of(record).is_marked()) {
            p.soft { (row::CONTENDED_NOTE) }
        }
        @if let Some(first) = runs.first() {
            p.soft { (view::machine_line(first)) }
        }
    }
}

fn record<'a>(document: &'a Document<'_>) -> Option<&'a Record> {
    match document {
        Document::Run(run) => Some(run.record),
        _ => None,
    }
}
