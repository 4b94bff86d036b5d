//! PROTOCOLS, durability: what a replica said it stands by, wherever its power fails.

use std::time::Duration;

use quorumark_consensus::pbft::Record;
use quorumark_consensus::{Engine, Input, Output, Seq, View};

use crate::agreement::{pre_prepare, prepare};
use crate::cells::Shape;
use crate::lab::{CLIENTS, Lab, Network, One};
use crate::views::{expire, said_view_changes};

fn small(config: &mut quorumark_consensus::pbft::Config) {
    config.batch_size_max = 2;
    config.window = 8;
    config.checkpoint_interval = 2;
    config.status_interval = Duration::from_millis(40);
    config.view_timeout = Duration::from_millis(300);
    config.journal = true;
}

fn lab(n: usize, seed: u64) -> Lab {
    Lab::with_state(n, seed, Network::GOOD, Shape::SMALL, small)
}

fn ask_some(lab: &mut Lab, first: u64) {
    for timestamp in first..first + 3 {
        (0..CLIENTS).for_each(|client| drop(lab.ask(client, timestamp, 0)));
    }
}

/// What must hold after any restarts.
fn check(lab: &mut Lab, n: usize) {
    lab.run_until_answered(100);
    lab.run(Duration::from_secs(2));
    lab.check_ledgers();
    lab.check_replies();
    assert_eq!(lab.contradictions, Vec::<String>::new());
    for replica in 1..n {
        assert_eq!(lab.engine(replica).executed(), lab.engine(0).executed(), "r{replica} follows");
        assert_eq!(lab.root(replica), lab.root(0));
    }
}

/// How many steps an undisturbed run takes.
fn steps(n: usize) -> usize {
    let mut lab = lab(n, 1);
    ask_some(&mut lab, 1);
    let mut steps = 0;
    while !lab.unanswered().is_empty() {
        lab.step();
        steps += 1;
    }
    steps
}

#[test]
fn a_replica_that_restarts_at_any_step_of_a_run_contradicts_nothing_and_follows() {
    for (n, stride) in [(4, 1), (5, 7), (7, 29)] {
        for at in (0..steps(n)).step_by(stride) {
            // Primary and backups in turn; every seventh time everybody at once.
            let mut lab = lab(n, 1);
            ask_some(&mut lab, 1);
            (0..at).for_each(|_| lab.step());
            match at % 7 {
                0 => (0..n).for_each(|replica| lab.restart(replica)),
                turn => lab.restart(if turn % 2 == 1 { 0 } else { turn % n }),
            }
            ask_some(&mut lab, 4);
            check(&mut lab, n);
        }
    }
}

#[test]
fn restarts_one_after_the_other_in_bad_weather_contradict_nothing_and_lose_nothing() {
    for n in 4..=7 {
        for seed in 0..6 {
            let mut lab = Lab::with_state(n, seed, Network::BAD, Shape::SMALL, small);
            for round in 0..12 {
                ask_some(&mut lab, 1 + 3 * round);
                lab.run(Duration::from_millis(5 + 7 * seed));
                let first = (round as usize * 3 + seed as usize) % n;
                lab.restart(first);
                if round % 4 == 3 {
                    (0..n).for_each(|replica| lab.restart(replica));
                }
                lab.run(Duration::from_millis(20));
            }
            lab.calm();
            check(&mut lab, n);
        }
    }
}

#[test]
fn a_restarted_replica_says_again_exactly_what_it_said() {
    let mut lab = lab(4, 3);
    ask_some(&mut lab, 1);
    lab.run(Duration::from_millis(12));
    let before = lab.votes.len();
    assert!(before > 10);
    (0..4).for_each(|replica| lab.restart(replica));
    assert_eq!(lab.contradictions, Vec::<String>::new());
    check(&mut lab, 4);
    assert!(lab.engine(1).counters().view_changes_said == 0, "it stands in the view it was in");
}

#[test]
fn a_journal_without_what_a_checkpoint_outlives_restores_the_same() {
    let run = |cut: bool| {
        let mut lab = lab(4, 5);
        for round in 0..6 {
            ask_some(&mut lab, 1 + 3 * round);
            lab.run(Duration::from_millis(40));
            (0..4).filter(|_| cut).for_each(|replica| lab.cut_journal(replica));
            lab.restart(round as usize % 4);
        }
        check(&mut lab, 4);
        assert!(lab.engine(0).stable() >= Seq(8));
        lab
    };
    let (whole, cut) = (run(false), run(true));
    assert!(cut.journal_len(0) < whole.journal_len(0) / 2);
    assert_eq!(cut.root(0), whole.root(0));
}

#[test]
fn a_mutant_that_sends_before_it_persists_contradicts_itself() {
    let mut caught = 0;
    for at in (0..steps(4)).step_by(5) {
        let mut lab = lab(4, 1);
        lab.sync_us = (2_000, 9_000);
        lab.faulty.insert(0);
        lab.be_hasty(0);
        ask_some(&mut lab, 1);
        (0..at).for_each(|_| lab.step());
        lab.restart(0);
        ask_some(&mut lab, 4);
        lab.run(Duration::from_secs(1));
        caught += usize::from(!lab.contradictions.is_empty());
    }
    assert!(caught >= 3, "caught in {caught} runs");
}

#[test]
fn a_replica_that_lost_everything_fetches_the_state() {
    let mut lab = lab(4, 8);
    for round in 0..12 {
        ask_some(&mut lab, 1 + 3 * round);
        lab.run(Duration::from_millis(40));
    }
    lab.run_until_answered(50);
    assert!(lab.engine(0).stable() > Seq(16));
    lab.lose_disk(3);
    lab.run(Duration::from_secs(3));
    assert_eq!(lab.engine(3).counters().transfers_finished, 1);
    ask_some(&mut lab, 100);
    check(&mut lab, 4);
}

#[test]
fn a_crash_between_a_restored_state_and_its_record_goes_back_to_the_old_checkpoint() {
    let mut lab = lab(4, 8);
    ask_some(&mut lab, 1);
    lab.run_until_answered(50);
    lab.run(Duration::from_millis(100));
    let old = lab.engine(3).stable();
    assert!(old > Seq(0) && lab.keeps(3, old), "there is an old checkpoint");
    lab.cut_off(3);
    for round in 1..14 {
        ask_some(&mut lab, 1 + 3 * round);
        lab.run(Duration::from_millis(40));
    }
    lab.run_until_answered(50);
    // The disk takes long enough that power fails before the record of the new one is durable.
    lab.sync_us = (60_000, 60_000);
    lab.reconnect(3);
    while lab.engine(3).counters().transfers_finished == 0 {
        lab.step();
    }
    assert!(lab.engine(3).stable() > old.plus(16));
    lab.restart(3);
    assert_eq!(lab.engine(3).stable(), old, "the new checkpoint was not durable");
    lab.sync_us = (0, 3_000);
    lab.run(Duration::from_secs(1));
    assert!(!lab.keeps(3, old), "it is let go once the new one is durable");
    ask_some(&mut lab, 100);
    check(&mut lab, 4);
}

#[test]
fn a_journal_that_ends_between_leaving_a_view_and_its_view_change_says_it_after_the_restart() {
    let backup = || One::new(4, 2, small);
    let mut one = backup();
    let (proposal, digest) = pre_prepare(&mut one, 1, 1);
    let outputs = one.hear(proposal);
    let mut outputs = one.settle(outputs);
    (1..4).for_each(|replica| outputs.extend(one.hear(prepare(1, digest, replica))));
    outputs.extend(expire(&mut one));
    let mut records = vec![];
    for output in outputs {
        if let Output::Persist { record, .. } = output {
            records.push(record);
        }
    }
    let left = records
        .iter()
        .position(|record| matches!(record, Record::View { view: View(1), active: false }));
    records.truncate(left.unwrap() + 1);
    let before = records.len() as u64;

    let mut again = backup();
    let outputs = again.input(Input::Recovered(records));
    let said = said_view_changes(&outputs);
    assert_eq!(said.len(), 1, "it is not mute for ever: {outputs:?}");
    assert_eq!(said[0].body().view, View(1));
    let written = outputs.iter().find_map(|output| match output {
        Output::Persist { position, record: Record::ViewChange(_) } => Some(position.0),
        _ => None,
    });
    assert_eq!(written, Some(before + 1), "its record comes first");
    let shown: Vec<_> = said[0].body().prepared.iter().map(|proof| proof.digest()).collect();
    assert_eq!(shown, [digest], "what it was prepared to commit is in it");
}
