//! Every example scenario comes to what it expects, and the swarm is not trivial.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use quorumark_primitives::Digest;
use quorumark_sim::judge::{self, Judged, Setting};
use quorumark_sim::scenario::Template;
use quorumark_sim::trace::{Acknowledgement, Fact};

/// Seeds that each example is run with.
const SEEDS: u64 = 4;

const SWARM: &str = include_str!("../../scenarios/swarm.toml");
const READS: &str = include_str!("../../scenarios/reads.toml");
const TENTATIVE: &str = include_str!("../../scenarios/tentative.toml");

fn judged(text: &str, file: &str, seeds: u64, jobs: usize) -> Vec<Judged> {
    let template = Template::parse(text, file).unwrap();
    let setting = Setting { events_max: 10_000_000, jobs, version: "test", commit: None };
    judge::seeds(&template, 0..seeds, &setting).unwrap()
}

fn failures(judged: &[Judged]) -> Vec<String> {
    let failed = judged.iter().filter(|one| one.verdict.exit_code() != 0);
    let told = failed.map(|one| format!("{}: {}", one.verdict.reproduce(), one.verdict.sentence()));
    told.collect()
}

#[test]
fn each_example_comes_to_what_it_expects() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"));
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 14, "{} examples", files.len());
    let mut failed = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        failed.extend(failures(&judged(&fs::read_to_string(&file).unwrap(), &name, SEEDS, 2)));
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn the_swarm_passes_and_most_of_its_seeds_change_the_view_and_some_transfer_a_state() {
    let runs = judged(SWARM, "swarm.toml", 20, 2);
    assert_eq!(failures(&runs), Vec::<String>::new());
    let count = |matches: fn(&Judged) -> bool| runs.iter().filter(|run| matches(run)).count();
    assert!(count(|run| run.verdict.report.summary.views > 0) >= 10);
    assert!(count(|run| run.verdict.report.summary.transfers > 0) >= 2);
    let mut answered: Vec<u64> =
        runs.iter().map(|run| run.verdict.report.summary.answered).collect();
    answered.sort_unstable();
    assert!(answered[10] >= 200, "{answered:?}");
}

#[test]
fn osdi99_5_1_reads_without_an_order_are_linearizable_and_answered_under_every_fault() {
    let swarm = format!("{SWARM}\n[config]\nread_only = true\n[workload]\nkeys = 3\n");
    for (text, seeds, least) in [(READS, 40, 200), (&swarm, 20, 10)] {
        let template = Template::parse(text, "reads.toml").unwrap();
        let setting = Setting { events_max: 10_000_000, jobs: 1, version: "test", commit: None };
        let (mut failed, mut unordered) = (Vec::new(), 0);
        for seed in 0..seeds {
            let judged = judge::one(&template, seed, &setting, |event| {
                let how = match &event.fact {
                    Fact::Answered(it) => it.how,
                    _ => return,
                };
                unordered += u64::from(how == Acknowledgement::ReadOnly);
            });
            failed.extend(failures(&[judged.unwrap()]));
        }
        assert!(failed.is_empty(), "\n{}", failed.join("\n"));
        assert!(unordered >= seeds * least, "{unordered} reads in {seeds} seeds");
    }
}

#[test]
fn osdi99_5_1_tentative_executions_are_undone_and_nothing_acknowledged_is_lost_under_every_fault() {
    let swarm = format!("{SWARM}\n[config]\ntentative = true\n[workload]\nkeys = 3\n");
    for (text, seeds) in [(TENTATIVE, 100), (&swarm, 20)] {
        let template = Template::parse(text, "tentative.toml").unwrap();
        let setting = Setting { events_max: 10_000_000, jobs: 1, version: "test", commit: None };
        let (mut failed, mut taken, mut undone) = (Vec::new(), 0, 0);
        for seed in 0..seeds {
            let judged = judge::one(&template, seed, &setting, |event| match &event.fact {
                Fact::Answered(it) => taken += u64::from(it.how == Acknowledgement::Tentative),
                Fact::RolledBack(_) => undone += 1,
                _ => {}
            });
            failed.extend(failures(&[judged.unwrap()]));
        }
        assert!(failed.is_empty(), "\n{}", failed.join("\n"));
        assert!(taken >= seeds * 50 && undone >= seeds, "{taken} taken, {undone} undone");
    }
}

#[test]
fn no_hash_depends_on_how_many_seeds_run_at_once_and_no_two_seeds_are_alike() {
    let hashes = |jobs| -> Vec<Digest> {
        judged(SWARM, "swarm.toml", 6, jobs).iter().map(|run| run.ran.trace_hash).collect()
    };
    let one = hashes(1);
    assert_eq!(one, hashes(2));
    assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), 6);
}
