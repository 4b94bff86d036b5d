//! `quorumark run` and `report`, on runs of a few milliseconds.

use std::path::Path;

use quorumark_report::{Record, Verdict};

use crate::program::{Ended, Program};
use crate::schema::satisfies;

/// A run that is over at once.
const TINY: [&str; 8] =
    ["run", "hash/sha256", "--duration", "1ms", "--warmup", "0s", "--repeat", "2"];

fn tiny(program: &Program, more: &[&str]) -> Ended {
    program.run(&[TINY.as_slice(), more].concat())
}

fn record(ended: &Ended) -> Record {
    Record::from_json(&ended.stdout, Path::new("standard output")).unwrap()
}

/// The exit code agrees with the verdict: on a busy machine a run may be inconclusive.
fn agrees(ended: &Ended, record: &Record) {
    assert_eq!(ended.code, Some(i32::from(record.verdict.exit_code())), "{ended:?}");
    assert!(record.verdict.has_result(), "{ended:?}");
}

#[test]
fn json_is_one_record_and_the_same_one_is_written() {
    let program = Program::new();
    let ended = tiny(&program, &["--json", "--out", "o", "--set", "size=1KiB", "--seed", "7"]);
    let shown = record(&ended);
    agrees(&ended, &shown);
    satisfies(&ended.json(), "record");
    assert_eq!((shown.seed, shown.config["size"].as_str()), (7, Some("1KiB")));
    assert_eq!(shown.samples.len(), 2);
    assert!(["mimalloc", "system"].contains(&shown.provenance.allocator.as_str()));
    assert_eq!(shown, Record::read(&program.path("o")).unwrap());
    assert!(ended.stderr.contains("record: o/record.json"), "{ended:?}");
    assert_eq!(ended.stderr.contains("DEBUG BUILD"), cfg!(debug_assertions), "{ended:?}");
}

#[test]
fn the_last_line_repeats_the_run() {
    let ended = tiny(&Program::new(), &["--quiet", "--set", "size=80"]);
    let last = ended.stdout.lines().last().unwrap();
    let expected = "reproduce: quorumark run hash/sha256 --set size=80B --duration 1ms \
                    --warmup 0s --repeat 2 --seed 42";
    assert_eq!(last, expected);
    let debug_alone = ended.stderr.lines().all(|line| line.starts_with("DEBUG BUILD"));
    assert!(debug_alone, "{ended:?}");
}

#[test]
fn away_from_a_terminal_each_kind_of_work_has_one_line_when_it_begins() {
    let short = ["--duration", "1ms", "--warmup", "1ms", "--repeat", "2"];
    let ended = Program::new().run(&[["run", "hash/sha256"].as_slice(), &short].concat());
    for line in
        ["making inputs", "warming up", "trial 1 of 2, the others follow", "checking answers"]
    {
        let line = format!("hash/sha256: {line}\n");
        assert_eq!(ended.stderr.matches(&line).count(), 1, "{line} {ended:?}");
    }
    assert!(!ended.stderr.contains("trial 2"), "{ended:?}");
}

#[test]
fn without_a_folder_the_record_goes_below_quorumark_runs() {
    let program = Program::new();
    let ended = tiny(&program, &[]);
    let line = ended.stderr.lines().find_map(|line| line.strip_prefix("record: ")).unwrap();
    assert!(line.starts_with("quorumark-runs/") && program.path(line).exists(), "{ended:?}");
}

#[test]
fn a_flag_overrides_the_environment_and_that_the_file() {
    let file = "seed = 1\n\n[\"hash/sha256\"]\nsize = \"100B\"\nrepeat = 1\n";
    let program = Program::new()
        .file("quorumark.toml", file)
        .file("other.toml", "seed = 5\n")
        .variable("QUORUMARK_SEED", "2")
        .variable("QUORUMARK_LEAVES", "64");
    let config = |more: &[&str]| {
        let record = record(&tiny(&program, &[&["--json"], more].concat()));
        (record.seed, record.config["size"].clone(), record.samples.len())
    };
    assert_eq!(config(&[]), (2, "100B".into(), 2));
    assert_eq!(config(&["--seed", "3", "--set", "size=50"]), (3, "50B".into(), 2));
    assert_eq!(config(&["--config", "other.toml"]).1, "1MiB");
}

#[test]
fn records_are_rendered_again_without_measuring() {
    let program = Program::new();
    for (folder, seed) in [("runs/a", "1"), ("runs/b", "2")] {
        let ended = tiny(&program, &["--out", folder, "--seed", seed, "--json"]);
        agrees(&ended, &record(&ended));
    }
    let both = program.run(&["report", "runs"]).done();
    assert_eq!(both.stdout.matches("reproduce: ").count(), 2);
    let one = program.run(&["report", "runs/a/record.json"]).done();
    assert!(one.stdout.lines().last().unwrap().ends_with("--seed 1"), "{one:?}");

    let files = ["--html", "page.html", "--markdown", "page.md"];
    let ended = program.run(&[["report", "runs/a", "runs/b"].as_slice(), &files].concat()).done();
    assert_eq!(ended.stdout, "");
    let page = std::fs::read_to_string(program.path("page.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("hash/sha256"));
    assert!(std::fs::read_to_string(program.path("page.md")).unwrap().contains("hash/sha256"));

    // What a shell makes of runs/a/*: the record, and what stands beside it.
    let all = program.run(&["report", "runs/a/record.json", "runs/a/samples.jsonl"]).done();
    let left_out = "runs/a/samples.jsonl: stands beside a record and is none; left out\n";
    assert_eq!(all.stderr, left_out);
    let alone = program.run(&["report", "runs/a/samples.jsonl"]);
    assert_eq!(alone.code, Some(2), "{alone:?}");
    assert!(alone.stderr.contains("name the folder that it stands in"), "{alone:?}");
}

#[test]
fn the_pbft_pipeline_gives_a_record_with_the_figures_that_others_rely_on() {
    let short = ["--duration", "100ms", "--warmup", "50ms", "--repeat", "1", "--concurrency", "32"];
    let program = Program::new();
    let ended = program.run(&[["run", "pbft/pipeline", "--json"].as_slice(), &short].concat());
    let record = record(&ended);
    // A machine that is busy with other tests may make so short a run void; never unsafe, and the
    // exit code says which.
    assert_eq!(ended.code, Some(i32::from(record.verdict.exit_code())), "{ended:?}");
    assert_ne!(record.verdict, Verdict::Fail, "{ended:?}");
    for line in ["floor, up to", "signing ", "trial 1 of 1", "floor again"] {
        assert!(ended.stderr.contains(line), "{line} is missing: {ended:?}");
    }
    let bottleneck = record.bottleneck.as_deref().unwrap_or_default();
    assert!(!bottleneck.contains("limit"), "limit_share says it once: {bottleneck}");
    assert_eq!(ended.code, Some(i32::from(record.verdict.exit_code())), "{ended:?}");
    assert!(record.oracle.values().all(|check| check.violated == 0), "{ended:?}");
    let relied_on = [
        "throughput_tx_per_s",
        "cpu_us_per_tx",
        "limit_share",
        "yardstick_share",
        "response_time_ns_p50",
        "service_time_ns_p99",
        "signatures_verified_per_tx",
        "cpu_share",
        "peak_rss_bytes",
    ];
    for name in relied_on {
        assert!(record.metrics.contains(name), "{name}");
    }
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn an_interrupted_run_ends_with_130_and_keeps_what_was_measured() {
    let program = Program::new();
    let long = ["run", "hash/sha256", "--duration", "1h", "--warmup", "0s", "--json", "--out", "o"];
    let ended = program.run_interrupted(&long);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    // Nothing is kept when the interruption came before the first pass, not even a folder.
    assert_eq!(program.path("o").exists(), !ended.stdout.is_empty(), "{ended:?}");
    if !ended.stdout.is_empty() {
        let record = record(&ended);
        assert!(record.warnings.iter().any(|warning| warning.code == "interrupted"));
        let reason = record.verdict_reason.as_deref().unwrap_or_default();
        assert!(reason.starts_with("interrupted in sample"), "{reason}");
        assert_eq!(record, Record::read(&program.path("o")).unwrap());
    }
}

#[test]
fn without_a_name_the_report_lists_all_runs_the_latest_first() {
    let program = Program::new();
    let none = program.run(&["report"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(
        none.stderr.starts_with("error: quorumark-runs: is not here; name a run's"),
        "{none:?}"
    );
    for (folder, seed) in [("quorumark-runs/a", "1"), ("quorumark-runs/tour/1-hash", "2")] {
        let ended = tiny(&program, &["--out", folder, "--seed", seed, "--json"]);
        let mut record = record(&ended);
        record.started_at = format!("2026-01-0{seed}T00:00:00Z");
        record.write(&program.path(folder)).unwrap();
    }
    let list = program.run(&["report"]).done().stdout;
    let place = |text: &str| list.find(text).unwrap_or_else(|| panic!("{text}: {list}"));
    assert!(place("2026-01-02 00:00:00") < place("2026-01-01 00:00:00"));
    assert!(list.contains("quorumark-runs/tour/1-hash") && list.contains("seed=2"), "{list}");
    program.run(&["report", "--html", "all.html", "--quiet"]).done();
    let page = std::fs::read_to_string(program.path("all.html")).unwrap();
    assert!(page.contains("2026-01-02 00:00:00") && page.contains("href=\"#run-1\""));
}

#[test]
fn the_list_has_one_line_for_a_sweep_and_for_a_comparison_and_the_page_a_part_for_each() {
    let program = Program::new();
    tiny(&program, &["--out", "quorumark-runs/alone"]);
    let short = ["--duration", "1ms", "--warmup", "0s", "--quiet"];
    let sweep = ["sweep", "hash/sha256", "--param", "size=64B,1KiB", "--repeat", "1"];
    program.run(&[&sweep[..], &short, &["--out", "quorumark-runs/s"]].concat()).done();
    let compare = ["compare", "hash/sha256", "--b", "size=2KiB", "--out", "quorumark-runs/c"];
    program.run(&[&compare[..], &short].concat());
    let list = program.run(&["report"]).done().stdout;
    for place in ["quorumark-runs/alone", "quorumark-runs/s", "quorumark-runs/c"] {
        let lines = list.lines().filter(|line| line.ends_with(place));
        assert_eq!(lines.count(), 1, "{place}: {list}");
    }
    assert!(list.contains("sweep of hash/sha256 over size") && !list.contains("0001-"), "{list}");
    program.run(&["report", "--html", "all.html", "--quiet"]).done();
    let page = std::fs::read_to_string(program.path("all.html")).unwrap();
    assert!(page.contains("1 comparison") && page.contains("1 sweep"));
    for place in 0..3 {
        assert!(page.contains(&format!("href=\"#run-{place}\"")), "{place}");
    }
}

#[test]
fn records_become_csv_and_what_benchmarking_services_take() {
    let program = Program::new();
    let ended = tiny(&program, &["--out", "runs/a", "--json"]);
    let mut record = record(&ended);
    record.verdict = Verdict::Ok;
    record.write(&program.path("runs/a")).unwrap();
    record.verdict = Verdict::Inconclusive;
    record.write(&program.path("runs/b")).unwrap();

    let csv = program.run(&["report", "runs", "--csv", "-"]).done().stdout;
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 3, "{csv}");
    assert!(lines[0].contains(&"config.size") && lines[0].contains(&"cpu_share"), "{csv}");
    assert_eq!(lines[1][0], "runs/a");
    let both = ["report", "runs", "--csv", "all.csv", "--markdown", "all.md", "--quiet"];
    assert_eq!(program.run(&both).done().stdout, "");
    assert_eq!(std::fs::read_to_string(program.path("all.csv")).unwrap(), csv);
    assert!(program.path("all.md").exists());

    let ended = program.run(&["report", "runs", "--export", "bmf"]).done();
    assert!(ended.stderr.contains("is inconclusive; left out"), "{ended:?}");
    let document = ended.json();
    let (_, measures) = document.as_object().unwrap().iter().next().unwrap();
    let rate = &measures["bytes_per_s"];
    assert!(rate["value"].is_number() && rate["lower_value"].is_number(), "{document}");
    let smaller = ["report", "runs/a", "--export", "github-action-benchmark"];
    let list = program.run(&smaller).done().json();
    for entry in list.as_array().unwrap() {
        assert!(entry["name"].is_string() && entry["value"].is_number(), "{entry}");
        assert!(!entry["name"].as_str().unwrap().ends_with("_per_s"), "a rate is no cost: {entry}");
    }
    let nothing = program.run(&["report", "runs/b", "--export", "bmf"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(4), "{}\n"), "{nothing:?}");
}
