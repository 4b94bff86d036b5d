//! The campaigns of `campaigns/`, with a few seeds each, and what their verdicts alone do not say.
//! `.ci/nightly campaigns` runs all of their seeds.

use std::path::Path;
use std::{env, fs, thread};

use quorumark_sim::judge::{self, Judged, Setting};
use quorumark_sim::scenario::Template;
use quorumark_sim::trace::{Fact, TransferFinished};

const SETTING: Setting = Setting { events_max: 20_000_000, jobs: 2, version: "test", commit: None };

fn text(name: &str) -> String {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/campaigns"));
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Every seed below `seeds`, each as it expects.
fn well(text: &str, name: &str, seeds: u64) -> Vec<Judged> {
    let template = Template::parse(text, name).unwrap();
    let judged = judge::seeds(&template, 0..seeds, &SETTING).unwrap();
    for one in &judged {
        let verdict = &one.verdict;
        assert_eq!(verdict.exit_code(), 0, "{}: {}", verdict.reproduce(), verdict.sentence());
    }
    judged
}

#[test]
fn pbft_4_4_a_primary_silent_in_any_phase_is_followed_within_four_timers_and_loses_nothing() {
    for phase in ["pre-prepared", "prepared", "committed", "checkpoint"] {
        let name = format!("view-change-{phase}.toml");
        for judged in well(&text(&name), &name, 12) {
            assert!(judged.verdict.report.summary.views > 0, "{}", judged.verdict.reproduce());
        }
    }
}

#[test]
fn pbft_4_4_f_faulty_primaries_in_a_row_are_all_left_and_every_request_is_answered() {
    for name in ["faulty-primaries.toml", "faulty-primaries-drawn.toml"] {
        for judged in well(&text(name), name, 2) {
            assert!(judged.verdict.report.summary.views >= 5, "{}", judged.verdict.reproduce());
        }
    }
}

#[test]
fn durability_ten_crashes_contradict_no_vote_and_lose_nothing_acknowledged() {
    let restarts = |name: &str, seeds| -> u64 {
        let judged = well(&text(name), name, seeds);
        judged.iter().map(|one| one.verdict.report.summary.restarts).sum()
    };
    assert!(restarts("crashes.toml", 12) > 12 * 5, "crashes of who is down already do not count");
    assert!(restarts("crash-at-a-moment.toml", 30) >= 30);
}

/// How many seeds of poisoned transfers are compared with clean ones; 4 where it is not set.
const TRANSFER_SEEDS: &str = "QUORUMARK_TRANSFER_SEEDS";

/// The transfers of one seed, which passes.
fn transfers(text: &str, seed: u64) -> Vec<TransferFinished> {
    let template = Template::parse(text, "fifty-checkpoints-behind.toml").unwrap();
    let mut finished = Vec::new();
    let judged = judge::one(&template, seed, &SETTING, |event| {
        if let Fact::TransferFinished(it) = &event.fact {
            finished.push(it.clone());
        }
    });
    let verdict = judged.unwrap().verdict;
    assert_eq!(verdict.exit_code(), 0, "{}", verdict.sentence());
    finished
}

#[test]
fn pbft_4_3_a_replica_fifty_checkpoints_behind_downloads_at_most_half_the_state_again() {
    let poisoned = text("fifty-checkpoints-behind.toml");
    let clean = poisoned.replace("\"poison-state\"", "\"silent-to\"");
    let hold = |seed| {
        let (good, bad) = (transfers(&clean, seed), transfers(&poisoned, seed));
        let (good, bad) = (good.first().unwrap(), bad.first().unwrap());
        assert!(good.seq.0 >= 50 * 4, "seed {seed}: behind by {}", good.seq);
        assert!(bad.seq.0 >= 50 * 4, "seed {seed}: behind by {}", bad.seq);
        let fits = bad.bytes * 2 <= good.bytes * 3;
        assert!(fits, "seed {seed}: {} bytes, {} without poison", bad.bytes, good.bytes);
    };
    let seeds = env::var(TRANSFER_SEEDS).ok();
    let seeds = seeds.map_or(4, |seeds| seeds.parse().expect("a number of seeds"));
    thread::scope(|scope| {
        scope.spawn(|| (1..seeds).step_by(2).for_each(hold));
        (0..seeds).step_by(2).for_each(hold);
    });
}

#[test]
fn the_log_stays_within_two_windows_and_nothing_passes_its_cap() {
    let short = text("hundred-thousand-batches.toml")
        .replace("100000", "4000")
        .replace("\"210s\"", "\"10s\"");
    let judged = well(&short, "hundred-thousand-batches.toml", 1);
    let summary = &judged[0].verdict.report.summary;
    assert_eq!(summary.commits, 4_000, "a batch for each request");
    let log = summary.peaks["log"];
    assert!(log.value > 0 && log.value <= 2 * 64, "{log:?}");
}

#[test]
fn thirty_one_replicas_order_and_lose_their_primary() {
    let judged = well(&text("thirty-one-replicas.toml"), "thirty-one-replicas.toml", 1);
    assert_eq!(judged[0].verdict.report.summary.views, 1);
}
