//! Whole committees over a network that delays, loses and repeats.

use std::time::Duration;

use quorumark_consensus::Engine;

use crate::lab::{CLIENTS, Lab, Network};

const REQUESTS: u64 = 60;

fn ask_in_waves(lab: &mut Lab, to: u16) {
    for timestamp in 1..=REQUESTS / u64::from(CLIENTS) {
        (0..CLIENTS).for_each(|client| drop(lab.ask(client, timestamp, to)));
        lab.run(Duration::from_millis(4));
    }
}

fn small(config: &mut quorumark_consensus::pbft::Config) {
    config.batch_size_max = 4;
    config.window = 16;
    config.checkpoint_interval = 4;
    config.status_interval = Duration::from_millis(40);
}

#[test]
fn every_request_is_executed_once_at_every_replica_at_n_4_to_10() {
    for n in 4..=10 {
        let mut lab = Lab::new(n, n as u64, Network::GOOD, small);
        ask_in_waves(&mut lab, 0);
        lab.run_until_answered(20);
        lab.run(Duration::from_millis(500));
        lab.check_ledgers();
        for replica in 0..n {
            assert_eq!(lab.ran(replica) as u64, REQUESTS, "n = {n}, replica {replica}");
            assert!(lab.engine(replica).stable().0 >= 4, "n = {n}: checkpoints became stable");
        }
    }
}

#[test]
fn a_committee_of_one_orders_and_executes() {
    let mut lab = Lab::new(1, 1, Network::GOOD, small);
    ask_in_waves(&mut lab, 0);
    lab.run_until_answered(5);
    lab.check_ledgers();
}

#[test]
fn progress_goes_on_with_f_silent_backups() {
    for n in [4, 5, 7, 10] {
        let mut lab = Lab::new(n, 3, Network::GOOD, small);
        let f = (n - 1) / 3;
        (n - f..n).for_each(|replica| lab.silence(replica));
        ask_in_waves(&mut lab, 0);
        lab.run_until_answered(20);
        lab.check_ledgers();
    }
}

#[test]
fn status_messages_repair_what_the_network_loses() {
    for n in 4..=7 {
        for seed in 0..3 {
            let mut lab = Lab::new(n, seed, Network::BAD, small);
            ask_in_waves(&mut lab, 0);
            lab.run_until_answered(100);
            lab.check_ledgers();
            let repeated: u64 =
                (0..n).map(|replica| lab.engine(replica).counters().messages_repeated).sum();
            assert!(repeated > 0, "a tenth of all messages was lost");
        }
    }
}

#[test]
fn a_replica_that_lost_everything_of_a_batch_learns_of_it_from_its_peers() {
    let mut lab = Lab::new(4, 5, Network::GOOD, small);
    lab.ask(0, 1, 0);
    lab.run_until_answered(10);
    lab.cut_off(3);
    lab.ask(0, 2, 0);
    lab.run_until_answered(10);
    assert_eq!(lab.ran(3), 1);
    lab.reconnect(3);
    lab.run(Duration::from_millis(500));
    assert_eq!(lab.ran(3), 2);
    lab.check_ledgers();
}

#[test]
fn requests_sent_to_backups_are_forwarded_and_executed() {
    let mut lab = Lab::new(4, 6, Network::GOOD, small);
    ask_in_waves(&mut lab, 2);
    lab.run_until_answered(10);
    lab.check_ledgers();
    assert!(lab.engine(2).counters().requests_forwarded >= REQUESTS);
}

#[test]
fn the_same_seed_gives_the_same_outputs_bit_for_bit() {
    let trace = |seed| {
        let mut lab = Lab::new(4, seed, Network::BAD, small);
        ask_in_waves(&mut lab, 0);
        lab.run(Duration::from_secs(1));
        lab.trace
    };
    assert_eq!(trace(9), trace(9));
    assert_ne!(trace(9), trace(10));
}
