//! `sim` and `decode`: exit codes, and one line for each mistake.

use crate::program::{Ended, Program};

const HEAD: &str = "schema = 1\n";
const SMALL: &str = "duration = \"2s\"\n[workload]\noperations = 20\n";

fn ran(scenario: &str, more: &[&str]) -> Ended {
    let program = Program::new().file("s.toml", format!("{HEAD}{scenario}"));
    let mut arguments = vec!["sim", "--scenario", "s.toml"];
    arguments.extend_from_slice(more);
    program.run(&arguments)
}

fn refused(scenario: &str, named: &str) {
    let ended = ran(scenario, &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!((ended.stdout.as_str(), ended.stderr.matches('\n').count()), ("", 1), "{ended:?}");
    assert!(ended.stderr.contains(named), "{named}: {ended:?}");
}

#[test]
fn a_scenario_that_cannot_be_is_refused_in_one_line_that_names_file_and_line() {
    refused("[workload]\nopertions = 4\n", "s.toml:3: opertions: no such key; did you mean");
    refused("[netwrk]\n", "s.toml:2: netwrk: no such key; did you mean network?");
    refused(
        "[[event]]\nat = \"0s\"\ndo = \"partition\"\ngroups = [[0, 1], [1, 2]]\n",
        "in two groups",
    );
    refused("[[byzantine]]\nreplica = 9\nbehaviour = \"silent\"\n", "replica 9 of 4");
    refused("[[byzantine]]\nreplica = 1\nbehaviour = \"slient\"\n", "did you mean silent?");
    let two = "[[byzantine]]\nreplica = 1\nbehaviour = \"silent\"\n\
               [[byzantine]]\nreplica = 2\nbehaviour = \"silent\"\n";
    refused(two, "2 faulty replicas of 4");
    refused("[disk]\nbit_rot = 0.1\n", "disk faults are not there yet");
    refused("[config]\nwindow = 4\ncheckpoint_interval = 16\n", "choose at most 2");
    refused("[expect]\nchecks = [\"agrement\"]\n", "did you mean agreement?");
    refused("replicas = \"four\"\n", "write replicas =");
}

#[test]
fn what_decides_nothing_is_inconclusive() {
    let nothing = format!("{SMALL}[expect]\nchecks = []\n");
    assert_eq!(ran(&nothing, &[]).code, Some(4));
    let late = format!("gst = \"5s\"\n{SMALL}");
    assert_eq!(ran(&late, &[]).code, Some(4));
    assert_eq!(ran(SMALL, &["--max-events", "50"]).code, Some(4));
}

#[test]
fn a_run_repeats_and_its_verdict_is_one_document() {
    let document = |seed: &str| {
        let ended = ran(SMALL, &["--seed", seed, "--json", "-"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.json()
    };
    let (one, again, other) = (document("1"), document("1"), document("2"));
    assert_eq!(one["trace_hash"], again["trace_hash"]);
    assert_ne!(one["trace_hash"], other["trace_hash"]);
    assert_eq!(one["verdict"], "pass");
    assert_eq!(one["operations_answered"], 20);
    let many = ran(SMALL, &["--seeds", "1..3", "--jobs", "2", "--json", "-"]).json();
    assert_eq!(many["runs"][0]["trace_hash"], one["trace_hash"]);
    assert_eq!(many["runs"][1]["trace_hash"], other["trace_hash"]);
}

#[test]
fn too_few_operations_and_too_many_faults_have_their_exit_codes() {
    let few = format!("{SMALL}[expect]\nmin_operations = 21\n");
    assert_eq!(ran(&few, &[]).code, Some(14));
    let liars = "[[byzantine]]\nreplica = 0\nbehaviour = \"equivocate\"\n\
                 [[byzantine]]\nreplica = 3\nbehaviour = \"equivocate\"\n";
    let unexpected = format!("allow_too_many_faults = true\n{SMALL}{liars}");
    let ended = ran(&unexpected, &["--json", "-"]);
    assert_eq!(ended.code, Some(10), "{ended:?}");
    let evidence = ended.json()["first_violation"]["evidence"].as_array().unwrap().len();
    assert!(evidence >= 2, "two signed commits");
    let expected = format!("{SMALL}{liars}[expect]\nverdict = \"safety-violation\"\n");
    let ended = ran(&expected, &[]).done();
    assert!(ended.value("verdict").starts_with("as expected: safety-violation: "), "{ended:?}");
}

#[test]
fn what_went_as_expected_needs_no_repeating() {
    let ended = ran(SMALL, &["--seeds", "0..2"]).done();
    assert!(!ended.stderr.contains("reproduce"), "{ended:?}");
    let few = format!("{SMALL}[expect]\nmin_operations = 21\n");
    let ended = ran(&few, &["--seeds", "3..5"]);
    let line = "reproduce: quorumark sim --scenario s.toml --seed 3\n";
    assert!(ended.stderr.ends_with(line), "{ended:?}");
}

#[test]
fn numbers_that_no_run_can_have_are_refused() {
    for (flag, value, named) in [
        ("--jobs", "0", "below 1, choose 1 to 256"),
        ("--jobs", "-1", "below 0, choose 1 to 256"),
        ("--seed", "-1", "below 0, choose 0 to 18446744073709551615"),
        ("--max-events", "99999999999999999999", "too large, choose 0 to"),
    ] {
        let ended = ran(SMALL, &[flag, value]);
        assert_eq!((ended.code, ended.stderr.matches('\n').count()), (Some(2), 1), "{ended:?}");
        assert!(ended.stderr.contains(named), "{named}: {ended:?}");
    }
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn an_interrupted_campaign_tells_the_seeds_that_were_finished() {
    let program = Program::new().file("s.toml", format!("{HEAD}{SMALL}"));
    let many = ["sim", "--scenario", "s.toml", "--seeds", "0..1000000", "--json", "-"];
    let ended = program.run_interrupted(&many);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    // Nothing is told when the interruption came before the first seed was begun.
    if !ended.stdout.is_empty() {
        let document = ended.json();
        let run = document["seeds"]["run"].as_u64().unwrap();
        assert!((1..1_000_000).contains(&run), "{}", document["seeds"]);
        assert_eq!(document["seeds"]["interrupted"], true);
        assert_eq!(document["runs"].as_array().unwrap().len() as u64, run);
    }
}

#[test]
fn the_lists_name_what_scenarios_can_say() {
    for (flag, word) in [
        ("--list-faults", "equivocate"),
        ("--list-checks", "linearizable"),
        ("--list-phases", "view-change-sent"),
        ("--print-schema", "checkpoint_interval"),
    ] {
        let ended = Program::new().run(&["sim", flag]).done();
        assert!(ended.stdout.contains(word), "{flag}");
    }
}

#[test]
fn hostile_bytes_are_rejected_by_every_surface() {
    for surface in ["message", "request", "reply", "scenario", "history", "trace"] {
        let program = Program::new();
        let ended = program.run_with_input(&["decode", "--surface", surface], b"\xff\x00\xfe");
        assert_eq!(ended.code, Some(13), "{surface}: {ended:?}");
        assert!(ended.stdout.contains("peak allocation"), "{surface}");
    }
    let program = Program::new();
    let ended = program.run_with_input(&["decode", "--surface", "scenario"], b"schema = 1\n");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
