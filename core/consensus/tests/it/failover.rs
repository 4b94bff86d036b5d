//! PBFT 4.4 in whole committees: primaries that stop, lie or delay, and networks that lose.

use std::sync::Arc;
use std::time::Duration;

use quorumark_consensus::pbft::{Config, Message, PrePrepare};
use quorumark_consensus::{Batch, Engine, ReplicaId, Seq, View};
use quorumark_primitives::signed::Signed;

use crate::lab::{CLIENTS, Lab, Network};

pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);

pub(crate) fn small(config: &mut Config) {
    config.batch_size_max = 4;
    config.window = 16;
    config.checkpoint_interval = 4;
    config.status_interval = Duration::from_millis(40);
    config.view_timeout = TIMEOUT;
}

fn f(n: usize) -> usize {
    (n - 1) / 3
}

/// One request of each client, to every replica.
pub(crate) fn ask_wave(lab: &mut Lab, timestamp: u64) {
    for client in 0..CLIENTS {
        let request = lab.ask(client, timestamp, 0);
        lab.ask_all(&request);
    }
}

/// Every live replica ends up in the same view, active, with the same ledger.
pub(crate) fn check_agreement(lab: &mut Lab) {
    lab.run(Duration::from_secs(3));
    lab.check_ledgers();
    let live: Vec<usize> = lab.live().collect();
    let first = live[0];
    for id in live {
        let (engine, other) = (lab.engine(id), lab.engine(first));
        assert_eq!(engine.view(), other.view(), "replica {id}");
        assert!(engine.is_active(), "replica {id} is in {}", engine.view());
        assert_eq!(lab.ran(id), lab.ran(first), "replica {id}");
    }
}

/// Loses every message of a kind.
fn lose_kind(lab: &mut Lab, kind: &'static str) {
    lab.lose = Box::new(move |_, _, message| message.kind() == kind);
}

#[test]
fn pbft_4_4_a_primary_that_stops_at_any_phase_is_replaced_at_n_4_to_10() {
    for n in 4..=10 {
        for phase in ["pre-prepare", "prepare", "commit", "checkpoint", "none"] {
            for seed in 0..if n < 6 { 3 } else { 1 } {
                let mut lab = Lab::new(n, seed, Network::GOOD, small);
                (1..=3).for_each(|timestamp| ask_wave(&mut lab, timestamp));
                lab.run_until_answered(5);
                lose_kind(&mut lab, phase);
                (4..=6).for_each(|timestamp| ask_wave(&mut lab, timestamp));
                lab.run(Duration::from_millis(20));
                lab.stop(0);
                lab.lose = Box::new(|_, _, _| false);
                lab.run_until_answered(20);
                check_agreement(&mut lab);
                let late = phase == "checkpoint" || phase == "none";
                assert!(late || lab.engine(1).view() == View(1), "n = {n}, {phase}, seed {seed}");
            }
        }
    }
}

#[test]
fn pbft_4_4_f_primaries_in_a_row_that_are_silent_are_passed_over() {
    for n in [4, 7, 10, 16] {
        let mut lab = Lab::new(n, 1, Network::GOOD, small);
        ask_wave(&mut lab, 1);
        lab.run_until_answered(5);
        (0..f(n)).for_each(|id| lab.stop(id));
        ask_wave(&mut lab, 2);
        // The waits for the views of the silent primaries double from the base.
        lab.run_until_answered(5 * (1 << f(n)) + 10);
        check_agreement(&mut lab);
        assert_eq!(lab.engine(n - 1).view(), View(f(n) as u64));
    }
}

#[test]
fn pbft_4_4_what_was_prepared_at_a_quorum_is_executed_where_it_stood() {
    for n in 4..=10 {
        for seed in 0..5 {
            let mut lab = Lab::new(n, seed, Network::GOOD, small);
            lose_kind(&mut lab, "commit");
            (1..=4).for_each(|timestamp| ask_wave(&mut lab, timestamp));
            lab.run(Duration::from_millis(30));
            let prepared = lab.prepared_digests(n - 1);
            assert!(prepared.len() >= 4, "four batches at least");
            lab.stop(0);
            lab.lose = Box::new(|_, _, _| false);
            lab.run_until_answered(20);
            check_agreement(&mut lab);
            for (seq, digest) in prepared {
                assert_eq!(lab.executed_at(n - 1, seq.0), Some(digest), "n = {n}, {seq}");
            }
        }
    }
}

#[test]
fn pbft_4_4_nothing_is_lost_or_run_twice_on_bad_networks_with_many_views() {
    for (n, seeds) in [(4, 10), (5, 5), (7, 3)] {
        for seed in 0..seeds {
            let mut lab = Lab::new(n, seed, Network::BAD, |config| {
                small(config);
                config.view_timeout = Duration::from_millis(60);
            });
            for timestamp in 1..=12 {
                ask_wave(&mut lab, timestamp);
                lab.run(Duration::from_millis(15));
            }
            lab.run_until_answered(600);
            lab.check_ledgers();
        }
    }
}

#[test]
fn pbft_4_4_progress_goes_on_after_the_primary_stops_on_a_bad_network() {
    for (n, seeds) in [(4, 8), (7, 2)] {
        for seed in 0..seeds {
            let mut lab = Lab::new(n, seed, Network::BAD, small);
            for timestamp in 1..=10 {
                if timestamp == 5 {
                    lab.stop(0);
                }
                ask_wave(&mut lab, timestamp);
                lab.run(Duration::from_millis(15));
            }
            lab.run_until_answered(200);
            check_agreement(&mut lab);
        }
    }
}

#[test]
fn a_network_that_falls_apart_and_heals_ends_in_one_view() {
    for n in [4, 7] {
        for seed in 0..5 {
            let mut lab = Lab::new(n, seed, Network::GOOD, small);
            ask_wave(&mut lab, 1);
            lab.run_until_answered(5);
            lab.lose = Box::new(move |from, to, _| from.0 % 2 != to.0 % 2);
            ask_wave(&mut lab, 2);
            lab.run(Duration::from_secs(4));
            lab.lose = Box::new(|_, _, _| false);
            ask_wave(&mut lab, 3);
            lab.run_until_answered(200);
            check_agreement(&mut lab);
        }
    }
}

#[test]
fn pbft_4_4_a_primary_that_tells_two_halves_two_stories_is_replaced() {
    for n in 4..=10 {
        for seed in 0..3 {
            let mut lab = Lab::new(n, seed, Network::GOOD, small);
            lab.silence(0);
            let requests: Vec<_> = (0..CLIENTS).map(|client| lab.ask(client, 1, 0)).collect();
            for seq in 1..=3 {
                for replica in 1..n {
                    // The first story to the odd ones, the second to the even ones.
                    let story = (seq + replica % 2) % requests.len();
                    let batch = Arc::new(Batch::new(vec![requests[story].clone()]));
                    let (view, replica_0) = (View(0), ReplicaId(0));
                    let body = PrePrepare {
                        view,
                        seq: Seq(seq as u64),
                        digest: batch.digest(),
                        replica: replica_0,
                    };
                    lab.lie(
                        Some(replica),
                        Message::PrePrepare(Box::new(Signed::blank(body)), batch),
                    );
                }
            }
            requests.iter().for_each(|request| lab.ask_all(request));
            lab.run_until_answered(40);
            check_agreement(&mut lab);
            assert!(lab.engine(1).view() >= View(1), "n = {n}, seed {seed}");
        }
    }
}

#[test]
fn pbft_4_4_a_primary_that_delays_is_kept_up_to_the_timeout_and_replaced_above() {
    for n in [4, 7] {
        for (share, view) in [(0.9, View(0)), (1.1, View(1))] {
            let mut lab = Lab::new(n, 1, Network::GOOD, small);
            lab.slow.insert(ReplicaId(0), TIMEOUT.mul_f64(share));
            for timestamp in 1..=4 {
                ask_wave(&mut lab, timestamp);
                lab.run(2 * TIMEOUT);
            }
            lab.run_until_answered(20);
            check_agreement(&mut lab);
            assert_eq!(lab.engine(n - 1).view(), view, "n = {n}: {share} of the timeout");
        }
    }
}

#[test]
fn pbft_4_4_the_first_commit_after_a_primary_stops_takes_the_timeout_and_a_few_delays() {
    for n in 4..=10 {
        let mut lab = Lab::new(n, 2, Network::GOOD, small);
        ask_wave(&mut lab, 1);
        lab.run_until_answered(5);
        lab.stop(0);
        ask_wave(&mut lab, 2);
        // View-change, new-view, prepare, commit, and the request and its reply: six delays, and
        // the fetch of what only some have.
        lab.run(TIMEOUT + Duration::from_millis(8 * 2));
        assert!(lab.unanswered().is_empty(), "n = {n}");
    }
}

#[test]
fn pbft_4_4_a_client_that_the_primary_leaves_out_changes_the_view() {
    for n in [4, 7] {
        let mut lab = Lab::new(n, 3, Network::GOOD, small);
        // Requests of client 0 never reach the primary, from whomever.
        lab.lose = Box::new(|_, to, message| {
            matches!(message, Message::Request(request) if request.id().0.0 == 0) && to.0 == 0
        });
        let left_out = lab.ask(0, 1, 1);
        (2..n as u16).for_each(|replica| lab.ask_one(&left_out, replica));
        // The others' requests go on being executed: they do not reset the timer.
        for timestamp in 1..=40 {
            (1..CLIENTS).for_each(|client| drop(lab.ask(client, timestamp, 0)));
            lab.run(Duration::from_millis(25));
        }
        assert_eq!(lab.engine(n - 1).view(), View(1), "n = {n}");
        lab.run_until_answered(20);
        check_agreement(&mut lab);
        assert!(lab.engine(n - 1).counters().timeouts <= 1);
    }
}
