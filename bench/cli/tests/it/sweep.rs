//! `quorumark sweep`, on runs of a few milliseconds.

use serde_json::Value;

use crate::program::{Ended, Program};
use crate::refusals::refused;
use crate::schema::satisfies;

/// Six points that are over at once.
const SIX: [&str; 12] = [
    "sweep",
    "hash/sha256",
    "--param",
    "size=64B,1KiB,2KiB",
    "--param",
    "seed=1..2",
    "--duration",
    "1ms",
    "--warmup",
    "0s",
    "--repeat",
    "1",
];

/// On a busy machine points may be inconclusive; a sweep of such is done all the same.
fn six(program: &Program, more: &[&str]) -> Ended {
    program.run(&[SIX.as_slice(), more].concat()).done()
}

fn points(ended: &Ended) -> Vec<Value> {
    ended.json()["points"].as_array().unwrap().clone()
}

#[test]
fn a_sweep_is_one_record_a_point_and_one_table() {
    let program = Program::new();
    let files = ["--markdown", "s.md", "--csv", "s.csv", "--html", "s.html"];
    let ended = six(&program, &[["--out", "s"].as_slice(), &files].concat());
    let rows: Vec<Vec<&str>> =
        ended.stdout.lines().take(7).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..2], ["size", "seed"]);
    assert_eq!(
        (rows[1][..2].to_vec(), rows[6][..2].to_vec()),
        (vec!["64B", "1"], vec!["2KiB", "2"])
    );
    for (folder, seed) in [("s/0001-size=64B,seed=1", 1), ("s/0006-size=2KiB,seed=2", 2)] {
        let record = quorumark_report::Record::read(&program.path(folder)).unwrap();
        assert_eq!(record.seed, seed);
    }
    let csv = std::fs::read_to_string(program.path("s.csv")).unwrap();
    assert!(csv.starts_with("size,seed,verdict,"), "{csv}");
    assert_eq!(csv.lines().count(), 7);
    let markdown = std::fs::read_to_string(program.path("s.md")).unwrap();
    assert!(markdown.lines().nth(2).unwrap().starts_with("| 64B | 1 | "), "{markdown}");
    let again = program.run(&["report", "s", "--html", "again.html", "--csv", "all.csv"]).done();
    assert_eq!(again.stdout, "", "what was asked for is in files");
    let page = |name: &str| std::fs::read_to_string(program.path(name)).unwrap();
    assert_eq!(page("again.html"), page("s.html"), "a page is made again from the records alone");
    let command = "quorumark sweep hash/sha256 --duration 1ms --warmup 0s --repeat 1 \
                   --param size=64B,1KiB,2KiB --param seed=1,2";
    assert!(page("s.html").contains(command), "the page repeats the sweep");
    assert!(page("all.csv").lines().nth(6).unwrap().starts_with("\"s/0006-size=2KiB,seed=2\","));
    assert_eq!(program.run(&["report", "s"]).done().stdout, ended.stdout);
}

#[test]
fn what_is_finished_is_not_measured_again() {
    let program = Program::new();
    let first = six(&program, &["--out", "s", "--json"]);
    satisfies(&first.json(), "sweep");
    let first = points(&first);
    std::fs::remove_dir_all(program.path("s/0003-size=1KiB,seed=1")).unwrap();
    let ended = six(&program, &["--out", "s", "--json"]);
    let titles: Vec<&str> = ended.stderr.lines().filter(|line| line.contains(" of 6, ")).collect();
    assert_eq!(titles, ["3 of 6, size=1KiB seed=1"], "{ended:?}");
    let second = points(&ended);
    for (place, (first, second)) in first.iter().zip(&second).enumerate() {
        assert_eq!(first == second, place != 2, "{place}");
    }
}

#[test]
fn six_points_run_as_three_shards_merge_to_the_table_of_the_same_points() {
    let program = Program::new();
    let mut of_shards = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let out = format!("part-{}", &shard[..1]);
        of_shards.extend(points(&six(&program, &["--shard", shard, "--out", &out, "--json"])));
    }
    let parts = ["part-3", "part-1", "part-2"];
    let merge = |more: &[&str]| {
        program.run(&[["sweep", "--merge"].as_slice(), &parts, more].concat()).done()
    };
    let merged = points(&merge(&["--json"]));
    assert_eq!(merged.len(), 6);
    let size =
        |point: &Value| (point["settings"]["size"].clone(), point["settings"]["seed"].clone());
    let whole = points(&six(&Program::new(), &["--json"]));
    assert_eq!(
        merged.iter().map(size).collect::<Vec<_>>(),
        whole.iter().map(size).collect::<Vec<_>>()
    );
    for point in &of_shards {
        assert!(merged.contains(point), "{point}");
    }
    // The merged folder is a sweep like any other: going on with it measures nothing.
    let table = merge(&["--out", "whole"]).stdout;
    let ended = six(&program, &["--out", "whole"]);
    assert_eq!(ended.stdout, table);
    assert!(!ended.stderr.contains(" of 6, "), "{ended:?}");
}

#[test]
fn a_missing_doubled_or_unfinished_shard_is_an_error_that_names_it() {
    let program = Program::new();
    for shard in ["1/3", "2/3"] {
        let out = format!("part-{}", &shard[..1]);
        six(&program, &["--shard", shard, "--out", &out]);
    }
    let refused = |parts: &[&str]| {
        let ended = program.run(&[["sweep", "--merge"].as_slice(), parts].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert_eq!((ended.stdout.as_str(), ended.stderr.lines().count()), ("", 1), "{ended:?}");
        ended.stderr
    };
    assert!(refused(&["part-1", "part-2"]).contains("shard 3/3 is missing"));
    let doubled = refused(&["part-1", "part-2", "part-1"]);
    assert!(doubled.contains("shard 1/3 is there twice, in part-1 and in part-1"), "{doubled}");
    six(&program, &["--shard", "3/3", "--out", "part-3"]);
    std::fs::remove_dir_all(program.path("part-3/0006-size=2KiB,seed=2")).unwrap();
    let unfinished = refused(&["part-1", "part-2", "part-3"]);
    let expected = "part-3: shard 3/3 has not measured size=2KiB seed=2";
    assert!(unfinished.contains(expected), "{unfinished}");
}

#[test]
fn a_sweep_that_is_none_is_refused_in_one_line() {
    let program = Program::new().file("used/file", "");
    six(&program, &["--out", "begun"]);
    let cases: [(&[&str], &str); 11] = [
        (&["hash/sha256"], "nothing is swept"),
        (&["hash/sha256", "--param", "sise=1,2"], "did you mean size?"),
        (&["hash/sha256", "--param", "size=1,1B"], "has the value 1B twice"),
        (&["hash/sha256", "--param", "size=1", "--param", "size=2"], "is swept twice"),
        (&["hash/sha256", "--param", "size=1,2", "--set", "size=3"], "and set by --set"),
        (&["hash/sha256", "--param", "seed=1,2", "--seed", "3"], "and set by --seed"),
        (&["hash/sha256", "--param", "seed=2..1"], "is no range"),
        (&["hash/sha256", "--param", "seed=1,2", "--shard", "3/2"], "3/2: is no shard"),
        (&["hash/sha256", "--param", "seed=1,2", "--out", "used"], "holds no sweep"),
        (&["hash/sha256", "--param", "seed=1,2", "--out", "begun"], "holds another sweep"),
        (&["hash/sha256", "--rate-ladder", "auto"], "hash/sha256 has no rate"),
    ];
    for (arguments, expected) in cases {
        let ended = program.run(&[["sweep"].as_slice(), arguments].concat());
        refused(&ended, expected);
    }
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn a_plan_that_no_command_line_makes_is_refused_in_one_line() {
    let axes = |names: std::ops::Range<u32>| {
        let axis = |n| serde_json::json!({ "name": format!("p{n}"), "values": ["1", "2"] });
        names.map(axis).collect::<Vec<_>>()
    };
    let cases = [
        (axes(0..64), 1, "a sweep has at most 10000 points"),
        ([axes(0..1), axes(0..1)].concat(), 1, "p0: is swept twice"),
        (axes(0..1), 0, "it has no such points"),
    ];
    for (axes, index, expected) in cases {
        let shard = serde_json::json!({ "index": index, "of": 1 });
        let plan = serde_json::json!({
            "schema_version": 1, "scenario": "hash/sha256", "shared": [], "axes": axes,
            "shard": shard,
        });
        let program = Program::new().file("s/sweep.json", plan.to_string());
        let ended = program.run(&["sweep", "--merge", "s"]);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}

#[test]
fn an_interrupted_sweep_ends_with_130_and_loses_no_finished_point() {
    let program = Program::new();
    let long = ["sweep", "hash/sha256", "--param", "seed=1,2", "--duration", "1h", "--out", "s"];
    let ended = program.run_interrupted(&long);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("to go on, give the same command --out s"), "{ended:?}");
    let left = std::fs::read_dir(program.path("s")).unwrap().count();
    assert_eq!(left, 1, "the plan alone");
}
