//! The journal of a search, and going on from it.

#![allow(clippy::unwrap_used)] // the functions beside the tests as well

use std::fs;
use std::path::Path;

use quorumark_harness::tune::{Header, JOURNAL_VERSION, Journal, Search, Setup};
use tempfile::TempDir;

use super::fake::{self, Fake};
use super::{BUDGET, begun};

/// Measurements before the interruption.
const FIRST: usize = 33;

/// What makes a header another's.
type Change = fn(&mut Header);

pub(super) fn header(search: &Search, seed: u64) -> Header {
    Header {
        schema_version: JOURNAL_VERSION,
        scenario: "a/b".to_owned(),
        shared: vec!["run".to_owned(), "a/b".to_owned()],
        dimensions: search.space().dimensions().to_vec(),
        goal: search.goal().clone(),
        plan: fake::plan(BUDGET, seed),
    }
}

/// Goes on with the journal at `path`, up to `most` measurements; everything that was asked.
fn go_on(path: &Path, fake: &mut Fake, most: usize) -> (Search, Vec<(Setup, u64)>) {
    let mut search = begun(20.0, 7);
    let mut journal = Journal::open(path, &header(&search, 7)).unwrap();
    journal.replay(&mut search).unwrap();
    while search.measured().len() < most {
        let Some(ask) = search.next_ask() else { break };
        journal.asked(search.space(), &ask).unwrap();
        let sample = fake.measure(search.space(), &ask);
        journal.told(&ask, &sample).unwrap();
        search.tell(sample);
    }
    let asks = search.measured().iter().map(|(ask, _)| (ask.setup.clone(), ask.seed)).collect();
    (search, asks)
}

#[test]
fn a_search_that_goes_on_decides_as_one_that_was_not_interrupted() {
    let folder = TempDir::new().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let (uninterrupted, asks) = go_on(&whole, &mut Fake::new(fake::hills, 7), usize::MAX);
    let mut fake = Fake::new(fake::hills, 7);
    go_on(&parts, &mut fake, FIRST);
    // The end of the program came while the next question was written.
    let mut text = fs::read_to_string(&parts).unwrap();
    text.push_str("{\"asked\":{\"number\":33,\"sta");
    fs::write(&parts, text).unwrap();
    let (resumed, asked_in_parts) = go_on(&parts, &mut fake, usize::MAX);
    assert_eq!(asked_in_parts, asks);
    assert_eq!(resumed.outcome(), uninterrupted.outcome());
    assert_eq!(fs::read_to_string(&parts).unwrap(), fs::read_to_string(&whole).unwrap());
}

#[test]
fn a_question_without_an_answer_is_asked_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal");
    let mut fake = Fake::new(fake::hills, 7);
    go_on(&path, &mut fake, FIRST);
    let mut search = begun(20.0, 7);
    let mut journal = Journal::open(&path, &header(&search, 7)).unwrap();
    assert_eq!(journal.replay(&mut search).unwrap(), FIRST);
    let ask = search.next_ask().unwrap();
    journal.asked(search.space(), &ask).unwrap();
    drop(journal);
    let (resumed, asks) = go_on(&path, &mut fake, FIRST + 1);
    assert_eq!((asks[FIRST].0.clone(), asks[FIRST].1), (ask.setup, ask.seed));
    assert_eq!(resumed.measured().len(), FIRST + 1);
}

#[test]
fn another_plan_and_a_broken_line_are_refused_in_one_sentence() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal");
    go_on(&path, &mut Fake::new(fake::hills, 7), 3);
    let search = begun(20.0, 7);
    let other = |change: Change| {
        let mut header = header(&search, 7);
        change(&mut header);
        Journal::open(&path, &header).unwrap_err().to_string()
    };
    let cases: [(Change, &str); 5] = [
        (|header| header.scenario = "a/c".to_owned(), "differs in the scenario;"),
        (|header| header.shared.clear(), "differs in what all measurements have in common;"),
        (|header| header.goal.limits.clear(), "differs in what is asked for;"),
        (|header| header.plan.budget_ns = 1, "differs in the budget;"),
        (|header| header.plan.seed = 8, "differs in the seed or the length of a measurement;"),
    ];
    for (change, expected) in cases {
        let refused = other(change);
        assert!(refused.contains(expected) && !refused.contains('\n'), "{refused}");
    }
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"told\"", "\"tld\"", 1)).unwrap();
    let refused = other(|_| {});
    assert!(refused.contains(":3: is no line of a tuning's journal"), "{refused}");
}
