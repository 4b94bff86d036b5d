//! Every example scenario comes to what it expects.

use std::fs;
use std::path::Path;

use quorumark_sim::judge::{self, Setting};
use quorumark_sim::scenario::Template;

/// Seeds that each example is run with.
const SEEDS: u64 = 4;

fn setting() -> Setting {
    Setting { events_max: u64::MAX, jobs: 2, version: "test", commit: None }
}

#[test]
fn each_example_comes_to_what_it_expects() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"));
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} examples", files.len());
    let mut failures = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let template = Template::parse(&fs::read_to_string(&file).unwrap(), &name).unwrap();
        let judged = judge::seeds(&template, 0..SEEDS, &setting()).unwrap();
        let failed = judged.iter().filter(|one| one.verdict.exit_code() != 0);
        failures.extend(
            failed.map(|one| format!("{}: {}", one.verdict.reproduce(), one.verdict.sentence())),
        );
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
