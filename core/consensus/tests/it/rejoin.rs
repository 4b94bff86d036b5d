//! PROTOCOLS, durability: a replica that lost everything votes for nothing that it may have voted
//! for, and for all that comes after.

use std::time::Duration;

use quorumark_consensus::pbft::{Config, Message, StatusStatement, ViewPhase};
use quorumark_consensus::{Engine, Input, Instant, Output, Seq, View};
use quorumark_primitives::signed::Signed;

use crate::agreement::{commit_at, says};
use crate::cells::Shape;
use crate::lab::{CLIENTS, Lab, Network, One};
use crate::view_change::{hear_view_change, one};

const WINDOW: u64 = 8;

fn small(config: &mut Config) {
    config.batch_size_max = 2;
    config.window = WINDOW;
    config.checkpoint_interval = 2;
    config.status_interval = Duration::from_millis(40);
    config.view_timeout = Duration::from_millis(300);
    config.journal = true;
}

/// Has this many waves of requests executed.
fn order(lab: &mut Lab, first: u64, waves: u64) {
    for timestamp in first..first + waves {
        (0..CLIENTS).for_each(|client| drop(lab.ask(client, timestamp, 0)));
        lab.run(Duration::from_millis(12));
    }
    lab.run_until_answered(50);
}

/// The sequence numbers of the prepares and commits that replica 3 sent.
fn voted(lab: &Lab) -> Vec<Seq> {
    let own = lab.votes.keys().filter(|(from, ..)| from.0 == 3);
    own.filter(|(_, kind, ..)| matches!(*kind, "prepare" | "commit")).map(|key| key.3).collect()
}

#[test]
fn durability_a_replica_that_lost_everything_abstains_until_it_is_past_what_it_may_have_voted_for()
{
    for (n, seed) in [(4, 1), (4, 2), (5, 3), (7, 4)] {
        let mut lab = Lab::with_state(n, seed, Network::GOOD, Shape::SMALL, small);
        order(&mut lab, 1, 12);
        let reach = lab.engine(3).stable().plus(WINDOW);
        lab.lose_disk(3);
        lab.votes.clear();
        // Power fails again before it is done: it still knows.
        lab.run(Duration::from_millis(60));
        lab.restart(3);
        assert!(lab.engine(3).abstains());
        order(&mut lab, 100, 60);
        lab.run(Duration::from_secs(2));
        order(&mut lab, 200, 20);
        assert!(!lab.engine(3).abstains(), "n = {n}: it takes part again");
        let voted = voted(&lab);
        assert!(!voted.is_empty() && voted.iter().all(|seq| *seq > reach), "n = {n}: {voted:?}");
        // With another one gone its votes are needed.
        lab.stop(n - 1 - usize::from(n == 4));
        order(&mut lab, 300, 4);
        lab.check_ledgers();
        lab.check_replies();
        assert_eq!(lab.contradictions, Vec::<String>::new());
    }
}

#[test]
fn durability_an_empty_journal_of_a_new_cluster_keeps_nobody_from_voting() {
    let mut one = One::new(4, 1, small);
    one.input(Input::Recovered(Vec::new()));
    assert!(!one.engine.abstains());
    assert_eq!(says(&commit_at(&mut one, 1, 1), "prepare"), 1);
}

#[test]
fn durability_who_abstains_says_no_word_of_agreement_and_leaves_no_view() {
    let mut one = one(4, 2);
    one.input(Input::Lost);
    let mut outputs = commit_at(&mut one, 1, 1);
    assert!(outputs.iter().any(|output| matches!(output, Output::Execute(_))), "it follows");
    outputs.extend(one.ask(1, 9));
    for replica in [0, 1, 3] {
        outputs.extend(hear_view_change(&mut one, 2, replica));
    }
    while one.now < Instant::START + Duration::from_secs(200) {
        one.now = one.engine.next_timeout().unwrap();
        outputs.extend(one.input(Input::Timeout));
    }
    assert_eq!(one.engine.view(), View(0));
    let said = outputs.iter().filter_map(|output| match output {
        Output::Say { message, .. } => Some(message.kind()),
        _ => None,
    });
    let mut said: Vec<_> = said.collect();
    said.dedup();
    assert_eq!(said, ["status"]);
}

/// The status that a replica says next.
fn next_status(one: &mut One) -> StatusStatement {
    loop {
        one.now = one.engine.next_timeout().unwrap();
        let outputs = one.input(Input::Timeout);
        let said = outputs.into_iter().find_map(|output| match output {
            Output::Say { message: Message::Status(signed), .. } => Some(signed.body),
            _ => None,
        });
        if let Some(status) = said {
            return status;
        }
    }
}

#[test]
fn durability_a_peer_answers_who_rejoins_with_its_round_and_its_own_watermark() {
    let mut lost = one(4, 2);
    lost.input(Input::Lost);
    let asked = next_status(&mut lost);
    assert_eq!(asked.phase, ViewPhase::Rejoining);
    let mut peer = one(4, 0);
    peer.now = Instant(1 << 40);
    let outputs = peer.hear(Message::Status(Box::new(Signed::blank(asked.clone()))));
    let answer = outputs.iter().find_map(|output| match output {
        Output::Say { message: Message::Status(signed), .. } => signed.body.answers,
        _ => None,
    });
    let answer = answer.expect("it is answered");
    assert_eq!((answer.replica, answer.round), (asked.replica, asked.round));
}
