//! The checkers: good traces pass, broken ones are flagged, and each checker is needed.

use std::collections::BTreeSet;
use std::time::Duration;

use quorumark_consensus::types::{ReplicaId, Seq};
use quorumark_primitives::hash::blake3;
use quorumark_sim::check::{Check, CheckSet, Checks, Exhibit, Report};
use quorumark_sim::trace::{
    EndCause, Ended, Event, Fact, LineReader, LineWriter, Panicked, TraceHash,
};
use quorumark_sim::verdict::{About, Doubt, Expectation, Outcome, Verdict};

use crate::breaks::{self, Break};
use crate::model::{self, Run};

/// Good traces, and broken ones.
const TRACES: u64 = 10_000;

#[test]
fn ten_thousand_good_traces_are_not_flagged_and_every_check_has_decided() {
    let decided = over_all_traces(|seed| {
        let report = judge(&model::run(seed), CheckSet::all());
        assert_eq!(report.first, None, "seed {seed}");
        assert_eq!(Outcome::of(&report), Outcome::Pass, "seed {seed}");
        let some = report.checks.iter().filter(|(_, findings)| findings.evaluated > 0);
        some.map(|(check, _)| *check).collect()
    });
    let expected = Check::ALL.iter().filter(|check| **check != Check::QcTree);
    assert!(decided.iter().eq(expected), "PBFT has no QC tree: {decided:?}");
}

#[test]
fn ten_thousand_broken_traces_are_all_flagged_by_the_check_that_has_to_see_it() {
    let breaks = breaks::all();
    let seen = over_all_traces(|seed| {
        let broken = &breaks[seed as usize % breaks.len()];
        let report = judge(&broken.of_seed(seed), CheckSet::all());
        let seen = report.of(broken.seen_by).unwrap();
        let name = broken.name;
        assert!(seen.violated > 0, "{name}, seed {seed}: {:?}", report.first);
        let first = seen.first.as_ref().unwrap();
        assert_eq!(first.check, broken.seen_by);
        assert!(first.line > 0 && !first.what.is_empty(), "{name}, seed {seed}: {first:?}");
        assert_ne!(Outcome::of(&report), Outcome::Pass, "{name}, seed {seed}");
        vec![broken.seen_by]
    });
    assert_eq!(seen.len(), Check::ALL.len() - 1, "each check but the QC tree's has seen some");
}

#[test]
fn with_any_one_checker_switched_off_a_named_bad_trace_passes() {
    let needed = [
        (Check::Agreement, "fork"),
        (Check::Prefix, "dropped execution"),
        (Check::Certificate, "forged signer"),
        (Check::NoDoubleVote, "double vote"),
        (Check::Durability, "acknowledged, not committed"),
        (Check::ExactlyOnce, "repeat executed"),
        (Check::Validity, "never signed"),
        (Check::State, "other root"),
        (Check::Linearizable, "read of nothing written"),
        (Check::Progress, "never answered"),
        (Check::CatchUp, "left behind"),
        (Check::Bounds, "over the cap"),
    ];
    for (check, name) in needed {
        let broken = named(name);
        let alone = (0..200)
            .map(|seed| broken.of_seed(seed))
            .find(|run| judge(run, CheckSet::all()).violated().eq([check]));
        let run = alone.unwrap_or_else(|| panic!("{name} is always seen by others too"));
        let without = judge(&run, CheckSet::all().without(check));
        assert_eq!(Outcome::of(&without), Outcome::Pass, "{name} without {}", check.word());
    }
}

#[test]
fn an_agreement_violation_shows_the_two_signed_commits_and_who_signed_both() {
    // Where the altered commit comes first, the votes of a quorum show it before a second one does.
    let forks = (1..).map(|seed| named("fork").of_seed(seed));
    let judged = forks.map(|run| (judge(&run, CheckSet::default().with(Check::Agreement)), run));
    let commits = |evidence: &[Exhibit]| {
        evidence.iter().all(|exhibit| matches!(exhibit.fact, Fact::Committed(_)))
    };
    let shown = |(report, _): &(Report, Run)| {
        report.first.as_ref().is_some_and(|first| commits(&first.evidence))
    };
    let (report, run) = judged.take(100).find(shown).unwrap();
    let violation = report.first.unwrap();
    let commits = violation.evidence.iter().map(|exhibit| match &exhibit.fact {
        Fact::Committed(it) => it,
        other => panic!("{other:?} is no commit"),
    });
    let commits: Vec<_> = commits.collect();
    let [first, second] = commits[..] else { panic!("two commits conflict") };
    assert_eq!(first.seq, second.seq);
    assert_ne!(first.digest, second.digest);
    for commit in [first, second] {
        assert!(commit.certificate.len() >= 3);
        for (by, signature) in commit.certificate.iter() {
            let expected = run.keys.commit(*by, commit.view, commit.seq, commit.digest);
            assert_eq!(*signature, expected, "the evidence is signed");
        }
    }
    assert!(violation.what.contains("both signed by r"), "{}", violation.what);
    let json = verdict(judge(&run, CheckSet::all()), Outcome::Pass, 0).json();
    let evidence = &json["first_violation"]["evidence"];
    assert!(evidence[0]["fact"]["committed"]["certificate"][0][1].is_string(), "{json}");
    assert!(evidence[1]["fact"]["committed"]["digest"].is_string(), "{json}");
}

#[test]
fn a_trace_that_went_through_lines_gets_the_same_report_and_hash() {
    let run = model::run(3);
    let mut writer = LineWriter::new(Vec::new(), true);
    run.events.iter().for_each(|event| writer.write(event).unwrap());
    let text = writer.finish().unwrap();
    let events: Vec<Event> = LineReader::new(text.as_slice()).map(|line| line.unwrap().1).collect();
    assert_eq!(hash(&events), hash(&run.events));
    let read = Run { events, ..run.clone() };
    assert_eq!(judge(&read, CheckSet::all()), judge(&run, CheckSet::all()));
}

#[test]
fn exit_codes_are_those_of_the_harness() {
    let good = judge(&model::run(5), CheckSet::all());
    let answered = good.summary.answered;
    let unsafe_run = judge(&named("fork").of_seed(5), CheckSet::all());
    let stuck = judge(&named("never answered").of_seed(5), CheckSet::all());
    let full = judge(&named("over the cap").of_seed(5), CheckSet::all());
    let (pass, safety) = (Outcome::Pass, Outcome::SafetyViolation);
    let liveness = Outcome::LivenessViolation;
    let code =
        |report: &Report, expected, least| verdict(report.clone(), expected, least).exit_code();
    let codes = [pass, safety, liveness].map(|expected| {
        [&good, &unsafe_run, &stuck, &full].map(|report| code(report, expected, 0))
    });
    assert_eq!(codes, [[0, 10, 11, 10], [14, 0, 11, 0], [14, 10, 0, 10]]);
    assert_eq!([code(&good, pass, answered), code(&good, pass, answered + 1)], [0, 14]);
}

#[test]
fn a_panic_is_12_and_what_decides_nothing_is_4() {
    let ended = |cause, keep: usize| {
        let mut run = model::run(6);
        let last = run.events.pop().unwrap();
        run.events.truncate(keep);
        let at = if keep > 1 { last.at } else { run.header.gst };
        run.events.push(Event { at, fact: Fact::Ended(Ended { cause }) });
        run
    };
    let outcome = |run: &Run| Outcome::of(&judge(run, CheckSet::all()));
    let whole = usize::MAX;
    let doubt = Outcome::Inconclusive;
    assert_eq!(outcome(&ended(EndCause::EventsSpent, whole)), doubt(Doubt::EventsSpent));
    assert_eq!(outcome(&ended(EndCause::Duration, 1)), doubt(Doubt::NothingChecked));
    let mut early = model::run(6);
    early.header.gst = early.header.duration;
    assert_eq!(outcome(&early), doubt(Doubt::GstNeverReached));
    let mut cut = model::run(6);
    cut.events.pop();
    assert_eq!(outcome(&cut), doubt(Doubt::Unfinished));
    let code = verdict(judge(&cut, CheckSet::all()), Outcome::Pass, 0).exit_code();
    assert_eq!(code, 4);
    let mut panicked = ended(EndCause::Panic, whole);
    let (replica, message) = (Some(ReplicaId(1)), "index out of bounds".into());
    let at = panicked.events[panicked.events.len() - 1].at;
    let fact = Fact::Panicked(Panicked { replica, message });
    panicked.events.insert(panicked.events.len() - 1, Event { at, fact });
    let verdict = verdict(judge(&panicked, CheckSet::all()), Outcome::Pass, 0);
    assert_eq!((verdict.outcome, verdict.exit_code()), (Outcome::Panic, 12));
    assert_eq!(verdict.sentence(), "panic: index out of bounds");
}

#[test]
fn a_verdict_tells_what_the_interface_promises() {
    let run = model::run(5);
    let verdict = verdict(judge(&run, CheckSet::all()), Outcome::Pass, 3);
    let json = verdict.json();
    for key in [
        "schema",
        "version",
        "commit",
        "scenario_sha256",
        "seed",
        "verdict",
        "first_violation",
        "checks",
        "faults",
        "operations_answered",
        "commits",
        "views",
        "messages",
        "events",
        "simulated_ns",
        "wall_ns",
        "peaks",
        "ledgers",
        "trace_hash",
        "reproduce",
    ] {
        assert!(json.get(key).is_some(), "{key} is missing");
    }
    assert_eq!(json["verdict"], "pass");
    assert!(json["checks"]["qc-tree"].is_null(), "PBFT has no tree to check");
    assert_eq!(json["events"], run.events.len());
    assert_eq!(json["peaks"]["log"]["cap"], 64);
    assert_eq!(json["reproduce"], "quorumark sim --scenario 'it'\\''s.toml' --seed 5");
    let heads = &verdict.report.summary.ledgers;
    let highest = heads.iter().max_by_key(|head| head.seq).unwrap();
    let level = heads.iter().filter(|head| head.seq == highest.seq);
    assert!(level.clone().count() >= 3, "the model ends with everybody up to date");
    assert!(level.clone().all(|head| head.chain == highest.chain && head.chain.is_some()));
    assert!(highest.seq > Seq(4));
}

#[test]
fn checks_are_chosen_by_their_words() {
    assert_eq!(CheckSet::from_words(["all"]), Ok(CheckSet::all()));
    let two = CheckSet::default().with(Check::State).with(Check::Progress);
    assert_eq!(CheckSet::from_words(["progress", "state"]), Ok(two));
    assert_eq!(CheckSet::from_words(["state", "luck"]), Err("luck"));
    assert!(CheckSet::from_words([]).unwrap().is_empty());
}

/// Does the same with each seed, on two threads; returns all checks that it named.
fn over_all_traces(of_seed: impl Fn(u64) -> Vec<Check> + Sync) -> BTreeSet<Check> {
    let half = |first| (first..TRACES).step_by(2).flat_map(&of_seed).collect::<BTreeSet<_>>();
    std::thread::scope(|scope| {
        let odd = scope.spawn(|| half(1));
        let even = half(0);
        even.into_iter().chain(odd.join().expect("the other half holds too")).collect()
    })
}

/// Judges a run.
fn judge(run: &Run, set: CheckSet) -> Report {
    let mut checks = Checks::new(set, run.header.clone(), Box::new(run.keys));
    run.events.iter().for_each(|event| checks.observe(event));
    checks.finish()
}

fn named(name: &str) -> Break {
    let mut all = breaks::all().into_iter();
    all.find(|broken| broken.name == name).unwrap_or_else(|| panic!("no break is named {name}"))
}

fn verdict(report: Report, outcome: Outcome, operations_min: u64) -> Verdict {
    let about = About {
        name: "model".to_owned(),
        scenario: "it's.toml".to_owned(),
        scenario_sha256: blake3(b"scenario"),
        seed: 5,
        version: "0.1.0",
        commit: None,
        trace_hash: blake3(b"trace"),
        wall: Duration::from_millis(3),
    };
    Verdict::new(report, Expectation { outcome, operations_min }, about)
}

fn hash(events: &[Event]) -> quorumark_primitives::Digest {
    let mut hash = TraceHash::new();
    events.iter().for_each(|event| hash.absorb(event));
    hash.finish()
}
