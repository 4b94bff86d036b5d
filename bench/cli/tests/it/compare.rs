//! `quorumark compare` and `baseline`, on records made by hand and on runs of a few milliseconds.

use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Ended, Program, text};
use crate::refusals::refused;
use crate::schema::satisfies;

/// What keeps a measurement short.
const TINY: [&str; 4] = ["--duration", "1ms", "--warmup", "0s"];

/// A record of a real run, whose samples are then made by hand.
fn template(program: &Program) -> Value {
    let run = ["run", "hash/sha256", "--json", "--quiet", "--out", "template", "--repeat", "1"];
    let ended = program.run(&[run.as_slice(), &TINY].concat());
    let mut record = ended.json();
    record["verdict"] = "ok".into();
    record["verdict_reason"] = Value::Null;
    record
}

/// Writes the record as `name`, with samples of these CPU times and rates that go with them.
fn fabricate(program: &Program, template: &Value, name: &str, cpu_ns: &[f64]) {
    let mut record = template.clone();
    let sample = |(index, cpu_ns): (usize, &f64)| {
        let mut sample = template["samples"][0].clone();
        sample["index"] = index.into();
        sample["verdict"] = "ok".into();
        (sample["cpu_share"], sample["contended"]) = (json!(1.0), false.into());
        let figures = json!({ "cpu_ns_per_hash": cpu_ns, "bytes_per_s": 1e12 / cpu_ns });
        sample["metrics"] = figures;
        sample
    };
    record["samples"] = cpu_ns.iter().enumerate().map(sample).collect();
    std::fs::create_dir_all(program.path(name)).unwrap();
    std::fs::write(program.path(name).join("record.json"), record.to_string()).unwrap();
}

/// A steady system, and others held against it.
pub(crate) fn stored() -> Program {
    let program = Program::new();
    let template = template(&program);
    let steady: Vec<f64> = (0..10).map(|i| 100.0 + 0.1 * f64::from(i * 7 % 10)).collect();
    let scaled = |factor: f64| -> Vec<f64> { steady.iter().map(|cpu| cpu * factor).collect() };
    let restless: Vec<f64> = (0..10).map(|i| 70.0 + 6.0 * f64::from(i * 7 % 10)).collect();
    fabricate(&program, &template, "steady", &steady);
    fabricate(&program, &template, "alike", &scaled(1.001));
    fabricate(&program, &template, "slower", &scaled(1.2));
    fabricate(&program, &template, "faster", &scaled(0.8));
    fabricate(&program, &template, "restless", &restless);
    fabricate(&program, &template, "few", &steady[..9]);
    program
}

fn compare(program: &Program, b: &str, more: &[&str]) -> Ended {
    program.run(&[["compare", "steady", b].as_slice(), more].concat())
}

#[test]
fn the_exit_code_is_0_3_or_4() {
    let program = stored();
    let cases = [
        ("alike", "unchanged", 0, 0),
        ("faster", "improved", 0, 0),
        ("slower", "regressed", 0, 3),
        ("restless", "inconclusive", 4, 4),
        ("few", "insufficient", 4, 4),
    ];
    for (b, verdict, lenient, strict) in cases {
        let ended = compare(&program, b, &[]);
        assert_eq!(ended.code, Some(lenient), "{b}: {ended:?}");
        assert!(ended.stdout.starts_with(&format!("hash/sha256: {verdict}\n")), "{ended:?}");
        let ended = compare(&program, b, &["--fail-on-regression", "--json"]);
        assert_eq!(ended.code, Some(strict), "{b}: {ended:?}");
        assert_eq!(ended.json()["verdict"], verdict);
    }
}

#[test]
fn a_comparison_shows_change_interval_and_verdict_and_ends_with_its_command() {
    let program = stored();
    let ended = compare(&program, "slower", &["--metric", "cpu", "--threshold", "5%"]).done();
    for part in
        ["cpu_ns_per_hash", "+20.0 %", " to ", "regressed", "beyond 5 %", "10 samples a side"]
    {
        assert!(ended.stdout.contains(part), "{part} is missing: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("bytes_per_s"), "{ended:?}");
    let last = ended.stdout.lines().last().unwrap();
    let expected = "reproduce: quorumark compare steady slower --metric cpu --threshold 5%";
    assert_eq!(last, expected);
    let files = ["--markdown", "c.md", "--html", "c.html", "--json"];
    let ended = compare(&program, "slower", &files).done();
    let json = ended.json();
    let change = json["metrics"][0]["change_share"].as_f64().unwrap();
    assert!((change - 0.2).abs() < 1e-9, "{json}");
    let markdown = std::fs::read_to_string(program.path("c.md")).unwrap();
    assert!(markdown.starts_with("## hash/sha256: regressed\n"), "{markdown}");
    let page = std::fs::read_to_string(program.path("c.html")).unwrap();
    assert!(page.contains("B is <span class=\"badge regressed\">regressed</span>"));
    assert!(page.contains("cpu_ns_per_hash: samples in the order"), "each sample is shown");
}

#[test]
fn a_baseline_is_saved_listed_compared_and_removed() {
    let program = stored();
    program.run(&["baseline", "save", "main", "steady"]).done();
    let again = program.run(&["baseline", "save", "main", "slower"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.stderr.contains("--replace"), "{again:?}");
    let listed = program.run(&["baseline", "list", "--json"]).done().json();
    assert_eq!(listed["baselines"][0]["name"], "main");
    assert_eq!(listed["baselines"][0]["samples"], 10);
    assert!(program.run(&["baseline", "list"]).done().stdout.contains("hash/sha256"));
    let ended = program.run(&["compare", "main", "slower", "--fail-on-regression"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    program.run(&["baseline", "save", "main", "slower", "--replace"]).done();
    let misspelt = program.run(&["compare", "mian", "slower"]);
    assert!(misspelt.stderr.contains("did you mean main?"), "{misspelt:?}");
    program.run(&["baseline", "rm", "main"]).done();
    let gone = program.run(&["baseline", "rm", "main"]);
    assert_eq!(gone.code, Some(2), "{gone:?}");
    assert!(program.run(&["baseline", "list"]).done().stderr.contains("no baselines here"));
}

#[test]
fn what_cannot_be_compared_is_refused_in_one_line() {
    let program = stored().file("broken.json", "{\"schema_version\": 1, \"scen");
    let other = ["run", "hash/blake3", "--quiet", "--out", "other", "--repeat", "1"];
    program.run(&[other.as_slice(), &TINY].concat());
    let cases: [(&[&str], &str); 13] = [
        (&["steady", "other"], "A is hash/sha256 and B is hash/blake3"),
        (&["steady", "broken.json"], "broken.json: is not a record"),
        (&["steady", "nowhere"], "is neither a file nor a baseline"),
        (&["steady", "slower", "--set", "size=1"], "--set: belongs to a measurement"),
        (&["steady", "slower", "--a", "size=1"], "--a: belongs to a measurement"),
        (&["steady", "slower", "--metric", "cpu_ns_pre_hash"], "did you mean cpu_ns_per_hash?"),
        (&["steady", "slower", "--threshold", "much"], "threshold=much (--threshold)"),
        (&["steady"], "is one record, and two are compared"),
        (&["hash/sha257"], "did you mean hash/sha256?"),
        (&["hash/sha256", "--a", "sise=1"], "did you mean size?"),
        (&["hash/sha256", "--b", "repeat=3"], "write --repeat once for both"),
        (&["hash/sha256", "--a-binary", "nowhere"], "nowhere: cannot be run"),
        (&["hash/sha256", "--metric", "p99"], "p99: no such metric"),
    ];
    for (arguments, expected) in cases {
        let ended = program.run(&[["compare"].as_slice(), arguments].concat());
        refused(&ended, expected);
    }
    let program = program.file("quorumark-baselines/noise-floors.json", "{");
    let ended = compare(&program, "slower", &[]);
    refused(&ended, "delete it, it is learned again");
}

/// Measures two settings in turn. What comes of it is the machine's; the exit code has to agree.
fn live(program: &Program, more: &[&str]) -> Value {
    let compare = ["compare", "hash/sha256", "--json", "--out", "o"];
    let ended = program.run(&[compare.as_slice(), &TINY, more].concat());
    let found = ended.json();
    let undecided = ["inconclusive", "insufficient"].iter().any(|word| found["verdict"] == *word);
    assert_eq!(ended.code, Some(if undecided { 4 } else { 0 }), "{ended:?}");
    found
}

#[test]
fn two_settings_are_measured_in_turn_as_ten_pairs() {
    let program = Program::new();
    let found = live(&program, &["--a", "size=1KiB", "--b", "size=2KiB", "--metric", "cpu"]);
    satisfies(&found, "comparison");
    assert_eq!(found["interleaved"], true);
    assert_eq!(found["equal_sides"], false);
    assert_eq!(found["settings"], json!([{ "name": "size", "a": "1KiB", "b": "2KiB" }]));
    assert_eq!(found["metrics"][0]["pairs"], 10);
    let expected = "quorumark compare hash/sha256 --duration 1ms --warmup 0s --repeat 10 --seed 42 \
                    --a size=1KiB --b size=2KiB --metric cpu";
    assert_eq!(found["reproduce"], expected);
    for side in ["o/a", "o/b"] {
        let record = quorumark_report::Record::read(&program.path(side)).unwrap();
        assert_eq!(record.samples.len(), 10, "{side}");
    }
    let kept = std::fs::read_to_string(program.path("o/comparison.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), found);
    let shown = program.run(&["report", "o", "--html", "o.html"]).done();
    assert!(shown.stderr.contains("page: o.html"), "{shown:?}");
    let page = std::fs::read_to_string(program.path("o.html")).unwrap();
    assert!(page.contains("cpu_ns_per_hash: pairs in the order"), "each pair is shown");
    let text = program.run(&["report", "o"]).done().stdout;
    assert!(text.starts_with("hash/sha256: ") && text.contains("10 pairs"), "{text}");
}

#[test]
fn equal_sides_teach_the_noise_of_the_machine() {
    let program = Program::new();
    let first = live(&program, &[]);
    assert_eq!(first["equal_sides"], true);
    let file = program.path("quorumark-baselines/noise-floors.json");
    let learned: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let entries = learned["entries"].as_array().unwrap();
    assert_eq!(entries.len(), first["metrics"].as_array().unwrap().len());
    std::fs::rename(program.path("o"), program.path("first")).unwrap();
    let second = live(&program, &[]);
    let floor = second["metrics"][0]["noise_floor_share"].as_f64().unwrap();
    let before = entries[0]["change_share"].as_f64().unwrap();
    assert!(floor >= before * 0.999_999, "{floor} {before}");
}

#[test]
fn two_builds_are_run_in_turn_each_by_its_own_program() {
    let program = Program::new();
    let this = Path::new(env!("CARGO_BIN_EXE_quorumark"));
    let found = live(&program, &["--a-binary", text(this), "--set", "size=64B"]);
    assert_eq!(found["a"]["label"], text(this));
    assert_eq!(found["metrics"][0]["pairs"], 10);
    let record = quorumark_report::Record::read(&program.path("o/a")).unwrap();
    assert_eq!((record.samples.len(), record.config["size"].as_str()), (10, Some("64B")));
    let third = quorumark_report::Record::read(&program.path("o/b/003")).unwrap();
    assert_eq!((third.samples.len(), third.seed), (1, 44));
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn an_interrupted_comparison_keeps_whole_pairs_and_ends_with_130() {
    let program = Program::new();
    let long = ["compare", "hash/sha256", "--duration", "1h", "--warmup", "0s", "--out", "o"];
    let ended = program.run_interrupted(&long);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(!program.path("o").exists(), "{ended:?}");
}
