//! `quorumark tune`, on measurements of a few milliseconds.

use std::fs;

use crate::program::{Ended, Program};
use crate::refusals::refused;
use crate::schema::satisfies;

/// A search over eight setups of which the shortest message is hashed most often.
const SHORT: [&str; 14] = [
    "tune",
    "hash/sha256d",
    "--maximize",
    "hashes_per_s",
    "--param",
    "size=64B,1KiB,4KiB,16KiB",
    "--param",
    "path=auto,portable",
    "--budget",
    "1500ms",
    "--duration",
    "4ms",
    "--warmup",
    "0s",
];

fn short(program: &Program, more: &[&str]) -> Ended {
    program.run(&[SHORT.as_slice(), more].concat())
}

#[test]
fn what_is_found_is_a_configuration_that_a_run_takes() {
    let program = Program::new();
    let ended = short(&program, &["--out", "t", "--json"]);
    let document = ended.json();
    assert!(document["points"].as_array().unwrap().len() > 1, "{document}");
    let shown = program.run(&["report", "t", "--html", "t.html"]).done();
    assert!(shown.stderr.contains("page: t.html"), "{shown:?}");
    let page = fs::read_to_string(program.path("t.html")).unwrap();
    assert!(page.contains("tuning of hash/sha256d: maximize hashes_per_s"));
    assert!(program.run(&["report", "t"]).done().stdout.contains("reproduce: quorumark tune"));
    satisfies(&document, "tune");
    assert!(document["spent_ns"].as_u64().unwrap() < 2_500_000_000, "{document}");
    // A machine that others use disturbs every measurement of a debug build at times.
    if document["found"] == "unknown" {
        assert_eq!(ended.code, Some(4), "{ended:?}");
        return;
    }
    ended.done();
    let toml = fs::read_to_string(program.path("t/tuned.toml")).unwrap();
    assert!(toml.contains("[\"hash/sha256d\"]") && toml.contains("size = \""), "{toml}");
    let config = ["config", "show", "hash/sha256d", "--config", "t/tuned.toml", "--json"];
    let shown = program.run(&config).done();
    for (name, value) in document["recommended"].as_object().unwrap() {
        assert!(toml.contains(&format!("{name} = {value}")), "{toml}");
        assert!(shown.stdout.contains(value.as_str().unwrap()), "{shown:?}");
    }
    let run = ["run", "hash/sha256d", "--config", "t/tuned.toml", "--duration", "1ms"];
    let ended = program.run(&[run.as_slice(), &["--warmup", "0s", "--repeat", "1"]].concat());
    assert!(ended.stdout.contains("reproduce: quorumark run hash/sha256d"), "{ended:?}");
}

#[test]
fn a_tuning_that_ended_is_told_again_from_its_journal_and_another_is_refused() {
    let program = Program::new();
    let first = short(&program, &["--out", "t"]);
    let journal = fs::read_to_string(program.path("t/tune.jsonl")).unwrap();
    let second = short(&program, &["--out", "t"]);
    assert_eq!((second.code, &second.stdout), (first.code, &first.stdout));
    assert!(second.stderr.contains("goes on after"), "{second:?}");
    assert_eq!(fs::read_to_string(program.path("t/tune.jsonl")).unwrap(), journal);
    let other = short(&program, &["--out", "t", "--seed", "7"]);
    refused(&other, "holds another tuning: it differs in");
}

#[test]
fn limits_that_nothing_keeps_end_with_5_and_leave_no_configuration() {
    let program = Program::new();
    let ended = short(&program, &["--subject-to", "hashes_per_s>=1000G", "--out", "t"]);
    if ended.code == Some(4) {
        return;
    }
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(
        ended.stdout.contains("nothing that was measured is likely to keep hashes_per_s >="),
        "{ended:?}"
    );
    assert!(program.path("t/tune.json").exists() && !program.path("t/tuned.toml").exists());
}

#[test]
fn a_tuning_that_is_none_is_refused_in_one_line() {
    let program = Program::new().file("used/file", "");
    let cases: [(&[&str], &str); 11] = [
        (&["hash/sha256d"], "--maximize"),
        (&["merkle/rot", "--maximize", "leaves_per_s"], "did you mean merkle/root?"),
        (&["hash/sha256d", "--maximize", "hashes_per_s"], "nothing of it is tuned by itself"),
        (&["pow/miner", "--maximize", "hashes_pre_s"], "did you mean hashes_per_s?"),
        (&["pow/miner", "--maximize", "hashes_per_s", "--budget", "3"], "3 (--budget): is not a"),
        (
            &["pow/miner", "--maximize", "hashes_per_s", "--param", "paht=auto"],
            "did you mean path?",
        ),
        (
            &[
                "pow/miner",
                "--maximize",
                "hashes_per_s",
                "--param",
                "path=auto",
                "--set",
                "path=auto",
            ],
            "is tuned, and set by --set",
        ),
        (&["pow/miner", "--maximize", "hashes_per_s", "--subject-to", "cpu<60"], "is no limit"),
        (&["pow/miner", "--maximize", "hashes_per_s", "--repeat", "3"], "has no meaning here"),
        (&["pow/miner", "--maximize", "hashes_per_s", "--out", "used"], "holds no tuning"),
        (
            &["pow/miner", "--maximize", "hashes_per_s", "--duration", "2h"],
            "is longer than the budget",
        ),
    ];
    for (arguments, expected) in cases {
        let ended = program.run(&[["tune"].as_slice(), arguments].concat());
        refused(&ended, expected);
    }
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn an_interrupted_tuning_ends_with_130_and_says_how_far_it_came() {
    let program = Program::new();
    let long = ["tune", "pow/miner", "--maximize", "hashes_per_s", "--budget", "4h", "--out", "t"];
    let ended = program.run_interrupted(&[long.as_slice(), &["--duration", "1h"]].concat());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(program.path("t/tune.jsonl").exists() && program.path("t/tune.json").exists());
}
