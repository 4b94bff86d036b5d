//! OSDI'99 5.1, TOCS'02 5.1.2: execution before a batch is committed, and going back.

use std::sync::Arc;
use std::time::Duration;

use quorumark_consensus::pbft::{Config, Message, PrePrepare, Record};
use quorumark_consensus::{
    Batch, Engine, Execution, Input, Output, Position, ReplicaId, Reply, Seq, StateWork, View,
};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::Signed;

use crate::agreement::{commit, pre_prepare, prepare};
use crate::cells::{Cells, Shape};
use crate::failover::{ask_wave, check_agreement, small};
use crate::lab::{Lab, Network, One};
use crate::views::{
    bare, batch, commit_in, committed, expire, new_view, prepare_in, prepared, proof, quorum_with,
    view_change,
};

fn tentative(config: &mut Config) {
    config.tentative = true;
}

fn small_tentative(config: &mut Config) {
    small(config);
    tentative(config);
    config.journal = true;
}

/// A replica driven by hand, with the state machine of the lab.
struct Hand {
    one: One,
    cells: Cells,
    /// Everything that it asked of its state machine, in order.
    work: Vec<Work>,
    replies: Vec<Reply>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Work {
    Ahead(u64),
    Committed(u64),
    Confirmed(u64),
    Undone(u64),
    Asked,
}

impl Hand {
    fn new(n: usize, replica: u16, set: impl FnOnce(&mut Config)) -> Hand {
        let one = One::new(n, replica, |config| {
            tentative(config);
            set(config);
        });
        let cells = Cells::new(Shape::SMALL);
        Hand { one, cells, work: Vec::new(), replies: Vec::new() }
    }

    /// Does what the engine says, to the end; tells what of it concerns the state.
    fn act(&mut self, outputs: Vec<Output<Message>>) -> Vec<Work> {
        let done = self.work.len();
        let mut queue = self.one.settle(outputs);
        while !queue.is_empty() {
            let mut next = Vec::new();
            for output in queue {
                next.extend(self.perform(output));
            }
            queue = self.one.settle(next);
        }
        self.work[done..].to_vec()
    }

    fn perform(&mut self, output: Output<Message>) -> Vec<Output<Message>> {
        match output {
            Output::Execute(execution) => {
                let seq = execution.seq.0;
                let ahead = execution.tentative;
                self.work.push(if ahead { Work::Ahead(seq) } else { Work::Committed(seq) });
                assert_eq!(execution.certificate.is_empty(), ahead, "the proof of {seq}");
                let executed = self.cells.execute(&execution);
                return self.one.input(Input::Executed(executed));
            }
            Output::Confirm(Execution { seq, tentative, certificate, .. }) => {
                assert_eq!((tentative, certificate.len()), (false, self.one.committee.quorum()));
                self.work.push(Work::Confirmed(seq.0));
            }
            Output::State(work) => {
                match &work {
                    StateWork::Rollback { to } => self.work.push(Work::Undone(to.0)),
                    StateWork::Query { .. } => self.work.push(Work::Asked),
                    _ => {}
                }
                if let Some(answer) = self.cells.serve(work) {
                    return self.one.input(Input::State(answer));
                }
            }
            Output::Reply { replies, .. } => self.replies.extend(replies),
            _ => {}
        }
        Vec::new()
    }

    /// A batch of one request of client 0 is prepared in view 0.
    fn prepare(&mut self, seq: u64) -> (Digest, Vec<Work>) {
        let (proposal, digest) = pre_prepare(&mut self.one, seq, seq);
        let outputs = self.one.hear(proposal);
        let mut work = self.act(outputs);
        for replica in 1..self.one.committee.n() {
            let outputs = self.one.hear(prepare(seq, digest, replica));
            work.extend(self.act(outputs));
        }
        (digest, work)
    }

    fn commit(&mut self, seq: u64, digest: Digest) -> Vec<Work> {
        let mut work = Vec::new();
        for replica in 0..self.one.committee.n() {
            let outputs = self.one.hear(commit(seq, digest, replica));
            work.extend(self.act(outputs));
        }
        work
    }

    /// The same in a later view.
    fn commit_in(&mut self, view: u64, seq: u64, digest: Digest) -> Vec<Work> {
        let (mut work, n) = (Vec::new(), self.one.committee.n());
        let primary = usize::from(self.one.committee.primary(View(view)).0);
        for replica in (0..n).filter(|id| *id != primary) {
            let outputs = self.one.hear(prepare_in(view, seq, digest, replica));
            work.extend(self.act(outputs));
        }
        for replica in 0..n {
            let outputs = self.one.hear(commit_in(view, seq, digest, replica));
            work.extend(self.act(outputs));
        }
        work
    }

    /// Its timer expires: it leaves the view.
    fn leave(&mut self) -> Vec<Work> {
        let outputs = expire(&mut self.one);
        self.act(outputs)
    }

    fn ask_again(&mut self, timestamp: u64) -> Option<Reply> {
        self.replies.clear();
        let outputs = self.one.ask(0, timestamp);
        self.act(outputs);
        self.replies.pop()
    }
}

#[test]
fn osdi99_5_1_a_prepared_batch_is_executed_once_all_before_it_is_committed_and_then_stands() {
    for n in 4..=10 {
        let mut hand = Hand::new(n, 1, |_| {});
        let (first, work) = hand.prepare(1);
        assert_eq!(work, [Work::Ahead(1)], "n = {n}");
        let reply = hand.replies.pop().unwrap();
        assert_eq!((reply.seq, reply.view, reply.tentative), (Seq(1), View(0), true));
        assert_eq!(hand.one.engine.executed(), Seq(0), "nothing goes by it");
        assert_eq!(hand.one.engine.tentative(), Some(Seq(1)));
        // The next is prepared too, and waits: what is before it is not committed.
        let (second, work) = hand.prepare(2);
        assert_eq!(work, [], "n = {n}");
        assert!(hand.ask_again(1).unwrap().tentative, "so is its repeat");
        assert_eq!(hand.commit(1, first), [Work::Confirmed(1), Work::Ahead(2)], "n = {n}");
        assert_eq!(hand.one.engine.executed(), Seq(1));
        let reply = hand.ask_again(1).unwrap();
        assert_eq!((reply.seq, reply.tentative), (Seq(1), false), "and from now on it is final");
        assert_eq!(hand.commit(2, second), [Work::Confirmed(2)]);
        let counters = hand.one.engine.counters();
        assert_eq!((counters.batches_committed, counters.batches_tentative), (2, 2));
        assert_eq!((counters.requests_executed, counters.batches_rolled_back), (2, 0));
    }
}

#[test]
fn osdi99_5_1_results_that_come_after_the_commit_are_final() {
    let mut one = One::new(4, 1, tentative);
    let (proposal, digest) = pre_prepare(&mut one, 1, 1);
    let mut outputs = one.hear(proposal);
    (1..4).for_each(|replica| outputs.extend(one.hear(prepare(1, digest, replica))));
    let ahead = outputs.into_iter().find_map(|output| match output {
        Output::Execute(execution) => Some(execution),
        _ => None,
    });
    let mut outputs = Vec::new();
    (0..4).for_each(|replica| outputs.extend(one.hear(commit(1, digest, replica))));
    assert!(matches!(&outputs[..], [Output::Confirm(_)]), "{outputs:?}");
    assert_eq!(one.engine.executed(), Seq(0));
    let executed = Cells::new(Shape::SMALL).execute(&ahead.unwrap());
    let outputs = one.input(Input::Executed(executed));
    let [Output::Reply { replies, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(!replies[0].tentative);
    assert_eq!(one.engine.executed(), Seq(1));
}

#[test]
fn pbft_4_3_no_batch_is_executed_ahead_at_a_checkpoint() {
    let mut hand = Hand::new(4, 1, |config| config.checkpoint_interval = 2);
    let (first, _) = hand.prepare(1);
    hand.commit(1, first);
    let (second, work) = hand.prepare(2);
    assert_eq!(work, [], "the state after 2 is to be signed");
    assert_eq!(hand.commit(2, second), [Work::Committed(2)]);
    assert_eq!(hand.prepare(3).1, [Work::Ahead(3)]);
}

#[test]
fn pbft_4_4_who_leaves_the_view_undoes_what_is_not_committed_to_the_very_root() {
    for n in 4..=10 {
        let mut hand = Hand::new(n, 1, |_| {});
        let (first, _) = hand.prepare(1);
        hand.commit(1, first);
        let stands = hand.cells.root();
        hand.prepare(2);
        assert_ne!(hand.cells.root(), stands);
        assert_eq!(hand.leave(), [Work::Undone(1)], "n = {n}");
        assert_eq!(hand.cells.root(), stands);
        assert_eq!(hand.one.engine.tentative(), None);
        assert_eq!(hand.ask_again(2), None, "its request waits again");
        assert!(!hand.ask_again(1).unwrap().tentative, "what is committed stays");
    }
}

#[test]
fn pbft_4_4_a_new_view_that_moves_a_replica_on_undoes_it_too() {
    let mut hand = Hand::new(4, 2, |_| {});
    hand.prepare(1);
    let view_changes = quorum_with(&mut hand.one, 1, &[]);
    let opened = new_view(&mut hand.one, 1, view_changes);
    let outputs = hand.one.receive(&opened);
    assert_eq!(hand.act(outputs), [Work::Undone(0)]);
    assert_eq!(hand.one.engine.view(), View(1));
}

#[test]
fn pbft_4_4_a_null_in_its_place_is_executed_instead_and_the_request_runs_once_later() {
    let mut hand = Hand::new(4, 2, |_| {});
    hand.prepare(1);
    hand.leave();
    // V holds a certificate for 2, and not this replica's for 1.
    let (later, digest) = batch(&mut hand.one, 9);
    let certificate = prepared(&mut hand.one, 0, 2, digest);
    let start = quorumark_consensus::pbft::CheckpointCertificate::start();
    let given = [view_change(&mut hand.one, 1, 1, start, vec![certificate])];
    let mut view_changes = quorum_with(&mut hand.one, 1, &given);
    view_changes[2] = bare(&mut hand.one, 1, 3);
    let opened = new_view(&mut hand.one, 1, view_changes);
    let outputs = hand.one.receive(&opened);
    hand.act(outputs);
    let outputs = hand.one.receive(&Message::Body(later));
    hand.act(outputs);
    let null = Batch::null().digest();
    assert_eq!(hand.commit_in(1, 1, null), [Work::Ahead(1), Work::Confirmed(1)]);
    assert_eq!(hand.commit_in(1, 2, digest), [Work::Ahead(2), Work::Confirmed(2)]);
    // The request of the batch that was undone is ordered again.
    let again = Arc::new(Batch::new(vec![hand.one.keys.request(0, 1, b"op")]));
    let body =
        PrePrepare { view: View(1), seq: Seq(3), digest: again.digest(), replica: ReplicaId(1) };
    let outputs =
        hand.one.hear(Message::PrePrepare(Box::new(Signed::blank(body)), Arc::clone(&again)));
    hand.act(outputs);
    assert_eq!(hand.commit_in(1, 3, again.digest()), [Work::Ahead(3), Work::Confirmed(3)]);
    let reply = hand.ask_again(1).unwrap();
    assert_eq!((reply.seq, reply.tentative), (Seq(3), false));
    // The same two requests and nothing else: what was undone left no trace.
    let mut straight = Hand::new(4, 2, |_| {});
    let (_, first) = batch(&mut straight.one, 9);
    assert_eq!(first, digest);
    for (seq, batch) in [(1, batch(&mut straight.one, 9).0), (2, again)] {
        let certificate = committed(&mut straight.one, seq, &batch);
        let outputs = straight.one.receive(&certificate);
        assert_eq!(straight.act(outputs), [Work::Committed(seq)]);
    }
    assert_eq!(hand.cells.root(), straight.cells.root());
}

#[test]
fn pbft_4_2_a_certificate_of_another_batch_in_its_place_undoes_it() {
    let mut hand = Hand::new(4, 1, |_| {});
    hand.prepare(1);
    let before = Cells::new(Shape::SMALL).root();
    assert_ne!(hand.cells.root(), before);
    let (other, _) = batch(&mut hand.one, 7);
    let certificate = committed(&mut hand.one, 1, &other);
    let outputs = hand.one.receive(&certificate);
    assert_eq!(hand.act(outputs), [Work::Undone(0), Work::Committed(1)]);
    assert!(!hand.ask_again(7).unwrap().tentative);
    assert_eq!(hand.ask_again(1), None, "the other request was not executed");
}

#[test]
fn pbft_4_3_what_is_not_committed_is_undone_before_a_state_is_fetched() {
    let mut hand = Hand::new(4, 1, |config| {
        config.window = 4;
        config.checkpoint_interval = 2;
    });
    let (first, work) = hand.prepare(1);
    assert_eq!(work, [Work::Ahead(1)]);
    let certificate = proof(&mut hand.one, 40, Digest([7; 32]));
    let outputs = hand.one.receive(&Message::Stable(Arc::new(certificate)));
    let place = |wanted: fn(&Output<Message>) -> bool| outputs.iter().position(wanted).unwrap();
    let undone = place(|o| matches!(o, Output::State(StateWork::Rollback { to: Seq(0) })));
    let asked = place(|o| matches!(o, Output::Say { message: Message::FetchState(_), .. }));
    assert!(undone < asked);
    assert_eq!(hand.act(outputs), [Work::Undone(0)]);
    assert_eq!(hand.one.engine.fetching(), Some(Seq(40)));
    assert_eq!(hand.commit(1, first), [], "nothing is executed meanwhile, nor ahead");
}

#[test]
fn pbft_4_4_the_timer_follows_a_request_that_is_executed_and_not_committed() {
    for n in [4, 7] {
        let mut hand = Hand::new(n, 1, |config| config.view_timeout = Duration::from_secs(1));
        let outputs = hand.one.ask(0, 1);
        hand.act(outputs);
        hand.prepare(1);
        hand.one.input(Input::Timeout);
        assert_eq!(hand.one.engine.waiting(), 1, "it is not forgotten before it is committed");
        assert_eq!(hand.leave(), [Work::Undone(0)]);
        assert_eq!(hand.one.engine.view(), View(1));
        assert_eq!(hand.one.engine.waiting(), 1, "it waits for the next primary");
    }
}

#[test]
fn osdi99_5_1_a_read_waits_for_what_it_would_reflect_and_goes_before_the_next() {
    let mut hand = Hand::new(4, 1, |config| config.read_only = true);
    let (first, _) = hand.prepare(1);
    let (second, _) = hand.prepare(2);
    let read = hand.one.keys.request(2, 1, b"read");
    let outputs = hand.one.receive(&Message::Read(read));
    assert_eq!(hand.act(outputs), [], "the state is ahead");
    let expected = [Work::Confirmed(1), Work::Asked, Work::Ahead(2)];
    assert_eq!(hand.commit(1, first), expected);
    assert_eq!(hand.commit(2, second), [Work::Confirmed(2)]);
}

/// Others may have answered a write that is undone here: it will be committed, and a read without it
/// would miss it.
#[test]
fn osdi99_5_1_after_an_undo_reads_wait_until_its_sequence_number_is_committed() {
    let mut hand = Hand::new(4, 2, |config| config.read_only = true);
    let (digest, _) = hand.prepare(1);
    let read = |hand: &mut Hand, timestamp| {
        let read = hand.one.keys.request(2, timestamp, b"read");
        let outputs = hand.one.receive(&Message::Read(read));
        hand.act(outputs)
    };
    assert_eq!(read(&mut hand, 1), [], "it comes before the undo");
    assert_eq!(hand.leave(), [Work::Undone(0)]);
    assert_eq!(read(&mut hand, 2), []);
    let certificate = prepared(&mut hand.one, 0, 1, digest);
    let start = quorumark_consensus::pbft::CheckpointCertificate::start();
    let given = [view_change(&mut hand.one, 1, 1, start, vec![certificate])];
    let view_changes = quorum_with(&mut hand.one, 1, &given);
    let opened = new_view(&mut hand.one, 1, view_changes);
    let outputs = hand.one.receive(&opened);
    assert_eq!(hand.act(outputs), [], "no read yet");
    let work = hand.commit_in(1, 1, digest);
    assert_eq!(work.last(), Some(&Work::Asked), "{work:?}");
    assert_eq!(read(&mut hand, 3), [Work::Asked]);
}

#[test]
fn durability_a_tentative_reply_waits_for_the_record_of_its_certificate_and_nothing_else_is_kept() {
    let mut one = One::new(4, 1, |config| {
        tentative(config);
        config.journal = true;
    });
    let (proposal, digest) = pre_prepare(&mut one, 1, 1);
    let outputs = one.hear(proposal);
    let mut all = one.settle(outputs);
    for replica in 1..4 {
        let outputs = one.hear(prepare(1, digest, replica));
        all.extend(one.settle(outputs));
    }
    let mut last = Position::START;
    let mut prepared_at = None;
    let mut records = Vec::new();
    let mut ahead = None;
    for output in all {
        match output {
            Output::Persist { position, record } => {
                last = position;
                prepared_at = matches!(record, Record::Prepared(_)).then_some(position);
                records.push(record);
            }
            Output::Execute(execution) => ahead = Some(execution),
            _ => {}
        }
    }
    let executed = Cells::new(Shape::SMALL).execute(&ahead.unwrap());
    let outputs = one.input(Input::Executed(executed));
    let [Output::Reply { after, replies }] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(replies[0].tentative && prepared_at == Some(last) && *after == last);
    // After a restart the batch is prepared and not executed.
    let mut again = One::new(4, 1, |config| {
        tentative(config);
        config.journal = true;
    });
    let outputs = again.input(Input::Recovered(records));
    let undone = |o: &Output<Message>| matches!(o, Output::State(StateWork::Rollback { .. }));
    assert!(!outputs.iter().any(undone));
    assert_eq!(again.engine.executed(), Seq(0));
}

#[test]
fn durability_who_abstains_executes_nothing_ahead() {
    let mut hand = Hand::new(4, 1, |config| config.journal = true);
    let outputs = hand.one.input(Input::Lost);
    hand.act(outputs);
    let (digest, work) = hand.prepare(1);
    assert_eq!(work, [], "it shows no certificate in a view change");
    assert_eq!(hand.commit(1, digest), [Work::Committed(1)]);
}

/// A committee in which nothing is committed any more: what is asked is answered tentatively alone.
fn uncommitted(n: usize, seed: u64) -> Lab {
    let mut lab = Lab::new(n, seed, Network::GOOD, small_tentative);
    ask_wave(&mut lab, 1);
    lab.run_until_answered(5);
    // A checkpoint is not executed ahead: the next batch shall be none.
    while (0..n).any(|id| lab.engine(id).executed().0 % 4 > 1) {
        let next = 1 + lab.asked.len() as u64;
        ask_wave(&mut lab, next);
        lab.run_until_answered(5);
    }
    lab.run(Duration::from_millis(100));
    lab.lose = Box::new(|_, _, message| message.kind() == "commit");
    lab
}

#[test]
fn osdi99_5_1_an_operation_acknowledged_by_a_quorum_of_tentative_replies_survives_the_view_change()
{
    for n in 4..=10 {
        for seed in 0..3 {
            let mut lab = uncommitted(n, seed);
            let roots: Vec<_> = (0..n).map(|id| lab.root(id)).collect();
            let executed: Vec<_> = (0..n).map(|id| lab.engine(id).executed()).collect();
            let request = lab.ask(0, 1_000, 0);
            lab.run(Duration::from_millis(50));
            let seq = lab.acknowledged_at(&request).expect("a quorum answered tentatively");
            for id in 0..n {
                assert_eq!(lab.engine(id).executed(), executed[id], "nothing is committed");
                assert_eq!(lab.engine(id).tentative(), Some(seq));
                assert_ne!(lab.root(id), roots[id]);
            }
            lab.stop(0);
            while (1..n).any(|id| lab.engine(id).view() == View(0)) {
                lab.step();
                for id in (1..n).filter(|id| !lab.engine(*id).is_active()) {
                    assert_eq!(lab.root(id), roots[id], "{id} is back where it was");
                }
            }
            lab.lose = Box::new(|_, _, _| false);
            ask_wave(&mut lab, 1_001);
            lab.run_until_answered(40);
            check_agreement(&mut lab);
            lab.check_replies();
            assert_eq!(lab.acknowledged_at(&request), Some(seq), "n = {n}, seed {seed}");
        }
    }
}

#[test]
fn osdi99_5_1_in_bad_weather_everything_is_executed_once_and_what_was_acknowledged_stays() {
    let (mut ahead, mut undone) = (0, 0);
    for seed in 0..24 {
        let n = 4 + seed as usize % 4;
        let mut lab = Lab::new(n, seed, Network::BAD, small_tentative);
        for wave in 1..=12 {
            ask_wave(&mut lab, wave);
            lab.run(Duration::from_millis(20));
            if wave % 4 == 0 {
                // Whoever is primary is cut off for longer than the others wait.
                let primary = (0..n).map(|id| lab.engine(id).view().0).max().unwrap() as usize % n;
                lab.cut_off(primary);
                lab.run(Duration::from_millis(700));
                lab.reconnect(primary);
                lab.restart((primary + 1) % n);
            }
        }
        lab.calm();
        lab.run_until_answered(100);
        lab.run(Duration::from_secs(3));
        lab.check_ledgers();
        lab.check_replies();
        assert!(lab.contradictions.is_empty(), "seed {seed}: {:?}", lab.contradictions);
        for id in 0..n {
            ahead += lab.engine(id).counters().batches_tentative;
            undone += lab.engine(id).counters().batches_rolled_back;
            let (engine, first) = (lab.engine(id), lab.engine(0));
            assert_eq!(engine.executed(), first.executed(), "seed {seed}, replica {id}");
            assert_eq!(lab.root(id), lab.root(0), "seed {seed}, replica {id}");
        }
    }
    assert!(ahead > 100 && undone > 10, "{ahead} ahead, {undone} undone");
}
