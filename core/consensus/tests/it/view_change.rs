//! PBFT 4.4: when a replica leaves its view, with what, and in whose company.

use std::sync::Arc;
use std::time::Duration;

use quorumark_consensus::pbft::{CheckpointCertificate, Message, PrePrepare};
use quorumark_consensus::{Engine, Input, Instant, Output, Recipients, ReplicaId, Seq, View};
use quorumark_primitives::Digest;

use crate::agreement::{commit_at, executes, pre_prepare, prepare, says};
use crate::checkpoints::{checkpoint, executions, said_state};
use crate::lab::{One, run_batch};
use crate::views::{
    bare, expire, new_view, prepare_in, prepared, quorum_with, said_view_changes, view_change,
};

pub(crate) const T: Duration = Duration::from_secs(1);

pub(crate) fn one(n: usize, replica: u16) -> One {
    One::new(n, replica, |config| {
        config.view_timeout = T;
        config.status_interval = Duration::from_secs(60);
        config.batch_size_max = 1;
        config.window = 8;
        config.checkpoint_interval = 2;
    })
}

pub(crate) fn hear_view_change(one: &mut One, view: u64, replica: usize) -> Vec<Output<Message>> {
    let change = bare(one, view, replica);
    one.receive(&Message::ViewChange(Arc::new(change)))
}

/// Takes a backup to prepared at `seq` in view 0.
pub(crate) fn prepare_at(one: &mut One, seq: u64) -> Digest {
    let (proposal, digest) = pre_prepare(one, seq, seq);
    let outputs = one.hear(proposal);
    one.settle(outputs);
    (1..one.committee.n()).for_each(|replica| drop(one.hear(prepare(seq, digest, replica))));
    digest
}

#[test]
fn pbft_4_4_a_view_change_shows_the_prepared_certificates_and_nothing_else() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let first = prepare_at(&mut one, 1);
        let (proposal, _) = pre_prepare(&mut one, 2, 2);
        let outputs = one.hear(proposal);
        one.settle(outputs);
        let third = prepare_at(&mut one, 3);
        let said = said_view_changes(&expire(&mut one));
        let [said] = &said[..] else { panic!("one view-change") };
        let body = said.body();
        assert_eq!((body.view, one.engine.view()), (View(1), View(1)), "n = {n}");
        assert!(!one.engine.is_active());
        assert_eq!(body.checkpoint, CheckpointCertificate::start());
        let shown: Vec<_> = body.prepared.iter().map(|p| (p.seq().0, p.digest())).collect();
        assert_eq!(shown, [(1, first), (3, third)], "2 is only pre-prepared");
        for certificate in &body.prepared {
            assert!(certificate.is_valid(one.committee));
            assert_eq!(certificate.prepares.len(), one.committee.quorum() - 1);
        }
        // Every signature in it is good.
        one.hear(Message::ViewChange(Arc::clone(said)));
    }
}

#[test]
fn pbft_4_4_a_certificate_is_shown_in_every_later_view_until_a_checkpoint_passes_it() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let digest = prepare_at(&mut one, 1);
        let outputs = expire(&mut one);
        one.settle(outputs);
        // View 1 begins without the certificate: V does not hold this replica's word. Only one
        // that prepared, so nothing was committed, and V may well leave it out.
        let others: Vec<_> = (0..n).filter(|id| *id != 2).collect();
        let v: Vec<_> =
            others[..one.committee.quorum()].iter().map(|id| bare(&mut one, 1, *id)).collect();
        let opens = new_view(&mut one, 1, v);
        one.receive(&opens);
        assert!(one.engine.is_active(), "n = {n}: view 1 is entered");
        let said = said_view_changes(&expire(&mut one));
        let shown: Vec<_> =
            said[0].body().prepared.iter().map(|p| (p.view(), p.digest())).collect();
        assert_eq!(shown, [(View(0), digest)], "n = {n}: it is not forgotten");
    }
}

#[test]
fn pbft_4_4_a_later_certificate_takes_the_place_of_an_earlier_one() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let digest = prepare_at(&mut one, 1);
        let start = CheckpointCertificate::start();
        let certificate = prepared(&mut one, 0, 1, digest);
        let given = view_change(&mut one, 3, 0, start, vec![certificate]);
        let v = quorum_with(&mut one, 3, &[given]);
        let opens = new_view(&mut one, 3, v);
        let outputs = one.receive(&opens);
        assert_eq!(says(&outputs, "prepare"), 1, "the body is here");
        one.settle(outputs);
        for replica in (0..n).filter(|id| *id != 3) {
            let outputs = one.hear(prepare_in(3, 1, digest, replica));
            one.settle(outputs);
        }
        let said = said_view_changes(&expire(&mut one));
        let shown: Vec<_> =
            said[0].body().prepared.iter().map(|p| (p.view(), p.digest())).collect();
        assert_eq!(shown, [(View(3), digest)], "n = {n}");
    }
}

#[test]
fn pbft_4_4_c_proves_the_stable_checkpoint_and_p_begins_above_it() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let (mut state, mut said) = (Digest::ZERO, None);
        for seq in 1..=2 {
            for execution in executions(commit_at(&mut one, seq, seq)) {
                let outputs = one.input(Input::Executed(run_batch(&mut state, &execution)));
                said = said.or(said_state(&outputs));
                one.settle(outputs);
            }
        }
        let said = said.expect("a checkpoint is due");
        (0..n).filter(|id| *id != 2).for_each(|id| drop(one.hear(checkpoint(2, said, id))));
        assert_eq!(one.engine.stable(), Seq(2));
        let digest = prepare_at(&mut one, 3);
        let changes = said_view_changes(&expire(&mut one));
        let body = changes[0].body();
        assert_eq!((body.checkpoint.seq, body.checkpoint.state), (Seq(2), said), "n = {n}");
        assert!(body.checkpoint.is_valid(one.committee, 2));
        let shown: Vec<_> = body.prepared.iter().map(|p| (p.seq().0, p.digest())).collect();
        assert_eq!(shown, [(3, digest)]);
    }
}

#[test]
fn pbft_4_5_2_f_view_changes_move_nobody_and_one_more_moves_to_the_smallest_view() {
    for n in 4..=10 {
        let mut one = one(n, 1);
        let f = one.committee.f();
        let senders: Vec<_> = (2..n).chain([0]).collect();
        for (nth, sender) in senders[..f].iter().enumerate() {
            for view in [2, 9 - nth as u64] {
                assert!(hear_view_change(&mut one, view, *sender).is_empty());
            }
            assert_eq!(one.engine.view(), View(0), "n = {n}: {} of f + 1", nth + 1);
        }
        let outputs = hear_view_change(&mut one, 9 - f as u64, senders[f]);
        assert_eq!(one.engine.view(), View(9 - f as u64), "n = {n}: the smallest of the set");
        assert_eq!(said_view_changes(&outputs).len(), 1);
    }
}

#[test]
fn pbft_4_5_2_view_changes_for_its_own_view_or_earlier_ones_do_not_make_a_replica_join() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        prepare_at(&mut one, 1);
        let outputs = expire(&mut one);
        one.settle(outputs);
        for id in (0..n).filter(|id| *id != 2) {
            hear_view_change(&mut one, 1, id);
            assert_eq!(one.engine.view(), View(1), "n = {n}");
        }
        assert_eq!(one.engine.counters().views_joined, 0);
    }
}

#[test]
fn pbft_4_4_replayed_view_changes_change_nothing() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let v = quorum_with(&mut one, 4, &[]);
        let opens = new_view(&mut one, 4, v.clone());
        one.receive(&opens);
        assert_eq!((one.engine.view(), one.engine.is_active()), (View(4), true));
        for view in [1, 3, 4] {
            for id in 0..n {
                assert!(hear_view_change(&mut one, view, id).is_empty(), "n = {n}: {view} of {id}");
            }
        }
        let old = quorum_with(&mut one, 3, &[]);
        let old = new_view(&mut one, 3, old);
        assert!(one.receive(&old).is_empty() && one.receive(&opens).is_empty());
        assert_eq!((one.engine.view(), one.engine.is_active()), (View(4), true));
    }
}

#[test]
fn pbft_4_4_two_view_changes_of_a_replica_for_one_view_are_evidence() {
    let mut one = one(4, 2);
    hear_view_change(&mut one, 5, 3);
    let certificate = prepared(&mut one, 0, 1, Digest([1; 32]));
    let start = CheckpointCertificate::start();
    let second = view_change(&mut one, 5, 3, start, vec![certificate]);
    let outputs = one.receive(&Message::ViewChange(Arc::new(second)));
    assert!(matches!(&outputs[..], [Output::Evidence(found)] if found.replica == ReplicaId(3)));
    assert!(hear_view_change(&mut one, 5, 3).is_empty(), "the first stands");
}

/// Whether a timeout at `after` from the start makes it say a view-change.
fn leaves_at(one: &mut One, after: Duration) -> bool {
    one.now = Instant::START + after;
    !said_view_changes(&one.input(Input::Timeout)).is_empty()
}

#[test]
fn pbft_4_4_neither_pre_prepares_nor_executions_of_others_reset_the_timer() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        let waits = one.keys.request(3, 77, b"op");
        one.receive(&Message::Request(waits));
        let came = one.now;
        for step in 1..=2 {
            one.now = came + T / 4 * step;
            let outputs = commit_at(&mut one, step.into(), step.into());
            assert_eq!(executes(&outputs), [u64::from(step)]);
            let (proposal, _) = pre_prepare(&mut one, 4 + u64::from(step), 90 + u64::from(step));
            one.hear(proposal);
        }
        let due = came.since(Instant::START) + T;
        assert!(!leaves_at(&mut one, due - Duration::from_nanos(1)), "n = {n}");
        assert!(leaves_at(&mut one, due), "n = {n}: the oldest request waits still");
    }
}

#[test]
fn pbft_4_4_a_backup_whose_requests_are_all_executed_waits_for_nothing() {
    let mut one = one(4, 2);
    one.ask(0, 1);
    commit_at(&mut one, 1, 1);
    assert!(!leaves_at(&mut one, 100 * T));
    assert_eq!(one.engine.view(), View(0));
}

#[test]
fn a_request_that_its_client_has_overtaken_starts_no_view_change() {
    let mut one = One::new(4, 2, |config| {
        config.view_timeout = T;
        config.client_window = 4;
    });
    one.ask(0, 1);
    commit_at(&mut one, 1, 50);
    assert!(!leaves_at(&mut one, 100 * T), "1 is below the window of client 0 now");
}

#[test]
fn pbft_4_4_the_primary_does_not_suspect_itself() {
    let mut one = one(4, 0);
    let outputs = one.ask(0, 1);
    one.settle(outputs);
    assert!(!leaves_at(&mut one, 100 * T));
}

#[test]
fn pbft_4_4_the_next_timer_starts_at_a_quorum_and_doubles_each_time() {
    for n in 4..=10 {
        let mut one = one(n, 2);
        one.ask(0, 1);
        let mut timeout = T;
        // The primaries of 1, 3, 4, ... say nothing; 2 would be this replica's own view.
        let outputs = expire(&mut one);
        one.settle(outputs);
        for view in 1..=n as u64 - 1 {
            assert_eq!(one.engine.view(), View(view), "n = {n}");
            let others: Vec<_> = (0..n).filter(|id| *id != 2).collect();
            let missing = one.committee.quorum() - 1;
            for id in &others[..missing - 1] {
                hear_view_change(&mut one, view, *id);
            }
            let now = one.now.since(Instant::START);
            assert!(!leaves_at(&mut one, now + 50 * timeout), "n = {n}, {view}: no quorum");
            let since = one.now.since(Instant::START);
            hear_view_change(&mut one, view, others[missing - 1]);
            assert!(!leaves_at(&mut one, since + timeout - Duration::from_nanos(1)), "n = {n}");
            one.now = Instant::START + since + timeout;
            let outputs = one.input(Input::Timeout);
            assert_eq!(said_view_changes(&outputs).len(), 1, "n = {n}, view {view}");
            one.settle(outputs);
            timeout *= 2;
        }
    }
}

#[test]
fn pbft_4_4_who_has_gone_further_counts_for_the_timer() {
    // Each keeps the view-change of the highest view alone; without this rule three replicas, each
    // a view apart and one silent, would wait for each other forever.
    let mut one = one(4, 2);
    one.ask(0, 1);
    let outputs = expire(&mut one);
    one.settle(outputs);
    hear_view_change(&mut one, 1, 0);
    hear_view_change(&mut one, 6, 3);
    let since = one.now.since(Instant::START);
    assert!(leaves_at(&mut one, since + T), "0 at 1, itself at 1, 3 at 6: a quorum has left");
}

#[test]
fn pbft_4_4_the_primary_of_the_view_opens_it_at_a_quorum_with_its_own_view_change() {
    for n in 4..=10 {
        let mut one = one(n, 1);
        let digest = prepare_at(&mut one, 1);
        let outputs = expire(&mut one);
        let quorum = one.committee.quorum();
        let others: Vec<_> = (0..n).filter(|id| *id != 1).collect();
        // A quorum of others is not enough before its own word is sealed.
        for id in &others[..quorum - 1] {
            assert_eq!(says(&hear_view_change(&mut one, 1, *id), "new-view"), 0, "n = {n}");
        }
        let outputs = one.settle(outputs);
        assert_eq!(says(&outputs, "new-view"), 1, "n = {n}");
        assert_eq!(says(&outputs, "prepare"), 0, "a primary says no prepare");
        assert!(one.engine.is_active() && one.engine.view() == View(1));
        for output in &outputs {
            if let Output::Say { message: Message::NewView(said), .. } = output {
                let o: Vec<_> = said.body().pre_prepares.iter().map(|o| o.body).collect();
                let body = PrePrepare { view: View(1), seq: Seq(1), digest, replica: ReplicaId(1) };
                assert_eq!(o, [body]);
                assert_eq!(said.body().view_changes.len(), quorum);
            }
        }
        hear_view_change(&mut one, 1, others[quorum - 1]);
        assert_eq!(one.engine.counters().new_views_said, 1, "once");
    }
}

#[test]
fn pbft_4_4_a_view_change_too_few_does_not_open_the_view() {
    for n in 4..=10 {
        let mut one = one(n, 1);
        prepare_at(&mut one, 1);
        let outputs = expire(&mut one);
        one.settle(outputs);
        let others: Vec<_> = (0..n).filter(|id| *id != 1).collect();
        for id in &others[..one.committee.quorum() - 2] {
            hear_view_change(&mut one, 1, *id);
            hear_view_change(&mut one, 1, *id);
        }
        assert_eq!(one.engine.counters().new_views_said, 0, "n = {n}");
    }
}

#[test]
fn pbft_4_4_the_new_primary_proposes_the_requests_that_it_knew_as_a_backup() {
    for n in 4..=10 {
        let mut one = one(n, 1);
        let asked = one.keys.request(2, 5, b"op");
        one.receive(&Message::Request(asked.clone()));
        // One it knows from a proposal of the old primary alone, which the new view leaves out.
        let (proposal, _) = pre_prepare(&mut one, 1, 8);
        let outputs = one.hear(proposal);
        one.settle(outputs);
        let outputs = expire(&mut one);
        let others: Vec<_> = (0..n).filter(|id| *id != 1).collect();
        others.iter().for_each(|id| drop(hear_view_change(&mut one, 1, *id)));
        let outputs = one.settle(outputs);
        let mut proposed: Vec<_> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::Say { message: Message::PrePrepare(_, batch), .. } => Some(batch),
                _ => None,
            })
            .flat_map(|batch| batch.requests().map(|request| request.id()))
            .collect();
        proposed.sort_unstable();
        let known = one.keys.request(0, 8, b"op").id();
        assert_eq!(proposed, [known, asked.id()], "n = {n}");
    }
}

#[test]
fn a_backup_that_enters_a_view_sends_what_waits_to_its_primary() {
    let mut one = one(4, 2);
    let asked = one.keys.request(2, 5, b"op");
    one.receive(&Message::Request(asked.clone()));
    let v = quorum_with(&mut one, 3, &[]);
    let opens = new_view(&mut one, 3, v);
    let outputs = one.receive(&opens);
    assert!(outputs.iter().any(|output| matches!(output,
        Output::Relay { to: Recipients::One(ReplicaId(3)), message: Message::Request(request), .. }
            if *request == asked)));
}
