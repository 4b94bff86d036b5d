//! PBFT 4.4: which NEW-VIEW opens a view, and which does not, at every committee size from 4 to 10.

use std::sync::Arc;

use bytes::Bytes;
use quorumark_consensus::pbft::{
    CheckpointCertificate, Message, PrePrepare, PreparedCertificate, ViewChange,
};
use quorumark_consensus::{Batch, Engine, Input, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::ClientAuth;
use quorumark_primitives::wire::{Decode, Encode};

use crate::agreement::{executes, says};
use crate::checkpoints::{executions, said_state};
use crate::lab::{One, run_batch};
use crate::views::{
    backups, bare, batch, committed, new_view, new_view_of, ordered, prepared, prepared_by, proof,
    proof_by, quorum_with, view_change,
};

/// The view that is opened in most tests, and the replica that hears of it.
const VIEW: u64 = 3;
const ME: u16 = 2;
const L: u64 = 4;
const K: u64 = 2;

fn backup(n: usize) -> One {
    One::new(n, ME, |config| {
        config.window = L;
        config.checkpoint_interval = K;
    })
}

/// The message is rejected, and changes nothing.
fn rejects(one: &mut One, wrong: &Message, why: &str) {
    let before = one.engine.counters();
    assert_eq!(one.receive(wrong).len(), 0, "{why}");
    let after = one.engine.counters();
    let judged = |counters: &quorumark_consensus::pbft::Counters| {
        counters.new_views_rejected + counters.messages_improper
    };
    assert_eq!(judged(&after), judged(&before) + 1, "{why}");
    assert_eq!((one.engine.view(), one.engine.is_active()), (View(0), true), "{why}");
}

fn enters(one: &mut One, right: &Message) {
    one.receive(right);
    assert_eq!((one.engine.view(), one.engine.is_active()), (View(VIEW), true));
}

#[test]
fn pbft_4_4_new_view_takes_the_highest_view_certificate() {
    for n in 4..=10 {
        let mut one = backup(n);
        let (older, newer) = (Digest([1; 32]), Digest([2; 32]));
        let old = prepared(&mut one, 0, 1, older);
        let new = prepared(&mut one, 2, 1, newer);
        let start = CheckpointCertificate::start;
        for (first, second) in [(&old, &new), (&new, &old)] {
            let given = [
                view_change(&mut one, VIEW, 0, start(), vec![first.clone()]),
                view_change(&mut one, VIEW, 1, start(), vec![second.clone()]),
            ];
            let view_changes = quorum_with(&mut one, VIEW, &given);
            let right = new_view(&mut one, VIEW, view_changes.clone());
            assert_eq!(ordered(&right)[0].digest, newer, "n = {n}");
            let lower = PrePrepare { digest: older, ..ordered(&right)[0] };
            let wrong = new_view_of(&mut one, VIEW, view_changes, vec![lower]);
            let mut fresh = backup(n);
            rejects(&mut fresh, &wrong, "the certificate of the lower view");
            enters(&mut fresh, &right);
        }
    }
}

/// V with one certificate at 1 and one at 3.
fn gapped(one: &mut One) -> (Vec<ViewChange>, Digest, Digest) {
    let (first, third) = (Digest([1; 32]), Digest([3; 32]));
    let certificates = vec![prepared(one, 0, 1, first), prepared(one, 1, 3, third)];
    let given = view_change(one, VIEW, 1, CheckpointCertificate::start(), certificates);
    (quorum_with(one, VIEW, &[given]), first, third)
}

#[test]
fn pbft_4_4_new_view_orders_every_number_up_to_max_s_and_nulls_where_nothing_is_prepared() {
    for n in 4..=10 {
        let mut one = backup(n);
        let (view_changes, first, third) = gapped(&mut one);
        let right = new_view(&mut one, VIEW, view_changes);
        let null = Batch::null().digest();
        let digests: Vec<_> = ordered(&right).iter().map(|body| body.digest).collect();
        assert_eq!(digests, [first, null, third], "n = {n}");
        enters(&mut one, &right);
    }
}

#[test]
fn pbft_4_4_a_new_view_whose_o_differs_in_anything_is_rejected() {
    for n in 4..=10 {
        let mut one = backup(n);
        let (view_changes, ..) = gapped(&mut one);
        let right = new_view(&mut one, VIEW, view_changes.clone());
        let o = ordered(&right);
        let null = Batch::null().digest();
        let spoil = |change: &dyn Fn(&mut Vec<PrePrepare>)| {
            let mut o = o.clone();
            change(&mut o);
            o
        };
        let wrong: [(Vec<PrePrepare>, &str); 9] = [
            (Vec::new(), "it orders nothing"),
            (spoil(&|o| o.truncate(2)), "it omits the last prepared"),
            (spoil(&|o| *o = o[1..].to_vec()), "it omits the first prepared"),
            (spoil(&|o| o[0].digest = null), "a null for what is prepared"),
            (spoil(&|o| o[1].digest = Digest([9; 32])), "a batch where nothing is prepared"),
            (spoil(&|o| o[2].digest = Digest([9; 32])), "another digest than the prepared one"),
            (spoil(&|o| o.push(PrePrepare { seq: Seq(4), digest: null, ..o[2] })), "above max-s"),
            (spoil(&|o| o.swap(0, 1)), "out of order"),
            (spoil(&|o| o[0].view = View(VIEW + n as u64)), "of another view"),
        ];
        for (o, why) in wrong {
            let wrong = new_view_of(&mut one, VIEW, view_changes.clone(), o);
            rejects(&mut one, &wrong, why);
        }
        enters(&mut one, &right);
    }
}

#[test]
fn pbft_4_4_a_new_view_begins_at_the_highest_checkpoint_that_v_proves() {
    for n in 4..=10 {
        let mut one = backup(n);
        let state = Digest([7; 32]);
        let low = prepared(&mut one, 0, 1, Digest([1; 32]));
        let high = prepared(&mut one, 0, 4, Digest([4; 32]));
        let proven = proof(&mut one, K, state);
        let given = [
            view_change(&mut one, VIEW, 0, CheckpointCertificate::start(), vec![low]),
            view_change(&mut one, VIEW, 1, proven, vec![high]),
        ];
        let view_changes = quorum_with(&mut one, VIEW, &given);
        let right = new_view(&mut one, VIEW, view_changes.clone());
        let seqs: Vec<_> = ordered(&right).iter().map(|body| body.seq.0).collect();
        assert_eq!(seqs, [3, 4], "n = {n}: min-s = 2, max-s = 4");
        let mut o = ordered(&right);
        let first = o[0];
        o.insert(0, PrePrepare { seq: Seq(2), digest: Batch::null().digest(), ..first });
        o.insert(0, PrePrepare { seq: Seq(1), digest: Digest([1; 32]), ..first });
        let wrong = new_view_of(&mut one, VIEW, view_changes.clone(), o);
        rejects(&mut one, &wrong, "min-s too low");
        let wrong = new_view_of(&mut one, VIEW, view_changes, ordered(&right)[1..].to_vec());
        rejects(&mut one, &wrong, "min-s too high");
    }
}

#[test]
fn pbft_4_4_v_holds_a_quorum_of_distinct_senders_for_exactly_this_view() {
    for n in 4..=10 {
        let mut one = backup(n);
        let quorum = one.committee.quorum();
        let full = quorum_with(&mut one, VIEW, &[]);
        let right = new_view(&mut one, VIEW, full.clone());
        let mut twice = full.clone();
        twice[1] = full[0].clone();
        let mut other_view = full.clone();
        other_view[0] = bare(&mut one, VIEW + 1, 0);
        let mut earlier = full.clone();
        earlier[0] = bare(&mut one, VIEW - 1, 0);
        let mut too_many = full.clone();
        too_many.push(bare(&mut one, VIEW, quorum));
        let swapped: Vec<_> = full.iter().rev().cloned().collect();
        for (v, why) in [
            (full[1..].to_vec(), "one too few"),
            (twice, "a sender twice"),
            (other_view, "for a later view"),
            (earlier, "for an earlier view"),
            (too_many, "one too many"),
            (swapped, "another spelling"),
        ] {
            let wrong = new_view_of(&mut one, VIEW, v, Vec::new());
            rejects(&mut one, &wrong, why);
        }
        enters(&mut one, &right);
    }
}

#[test]
fn pbft_4_4_a_new_view_of_another_than_its_primary_is_rejected() {
    for n in 4..=10 {
        let mut one = backup(n);
        let v = quorum_with(&mut one, VIEW, &[]);
        let right = new_view(&mut one, VIEW, v);
        let Message::NewView(said) = &right else { unreachable!() };
        let mut body = said.body().clone();
        body.replica = quorumark_consensus::ReplicaId(1);
        let usurped = quorumark_consensus::pbft::NewView::blank(body);
        let usurped = one.keys.seal(Message::NewView(Arc::new(usurped))).into_inner();
        rejects(&mut one, &usurped, "a backup's");
        enters(&mut one, &right);
    }
}

/// Certificates that prove nothing, each with what is wrong with it.
fn bad_certificates(one: &mut One) -> Vec<(PreparedCertificate, &'static str)> {
    let (digest, view, seq) = (Digest([5; 32]), 1, 1);
    let enough = one.committee.quorum() - 1;
    let all = backups(one, view);
    let primary = usize::from(one.committee.primary(View(view)).0);
    let mut with_primary = all[..enough].to_vec();
    with_primary[enough - 1] = primary;
    with_primary.sort_unstable();
    let mut twice = all[..enough].to_vec();
    twice[1] = twice[0];
    let reversed: Vec<_> = all[..enough].iter().rev().copied().collect();
    let mut bad = vec![
        (prepared_by(one, view, seq, digest, &all[..enough - 1]), "one prepare too few"),
        (prepared_by(one, view, seq, digest, &twice), "a backup twice"),
        (prepared_by(one, view, seq, digest, &with_primary), "the primary's prepare"),
        (prepared_by(one, view, seq, digest, &reversed), "another spelling"),
        (prepared(one, VIEW, seq, digest), "of the view that it leads to"),
        (prepared(one, VIEW + 1, seq, digest), "of a later view"),
        (prepared(one, view, 0, digest), "at h"),
        (prepared(one, view, L + 1, digest), "above h + L"),
    ];
    let mut usurped = prepared(one, view, seq, digest);
    usurped.pre_prepare.body.replica = quorumark_consensus::ReplicaId(0);
    let blank = Message::PrePrepare(Box::new(usurped.pre_prepare), Arc::new(Batch::null()));
    let Message::PrePrepare(signed, _) = one.keys.seal(blank).into_inner() else { unreachable!() };
    usurped.pre_prepare = *signed;
    bad.push((usurped, "proposed by a backup"));
    bad
}

#[test]
fn pbft_4_4_a_view_change_with_a_bad_certificate_counts_for_nothing() {
    for n in 4..=10 {
        let mut one = backup(n);
        let full = quorum_with(&mut one, VIEW, &[]);
        let right = new_view(&mut one, VIEW, full.clone());
        let mut bad: Vec<(ViewChange, &str)> = Vec::new();
        for (certificate, why) in bad_certificates(&mut one) {
            let start = CheckpointCertificate::start();
            bad.push((view_change(&mut one, VIEW, 0, start, vec![certificate]), why));
        }
        let good = prepared(&mut one, 1, 1, Digest([5; 32]));
        let start = CheckpointCertificate::start();
        let twice = vec![good.clone(), good];
        bad.push((view_change(&mut one, VIEW, 0, start, twice), "one number twice"));
        let quorum = one.committee.quorum();
        let state = Digest([7; 32]);
        let mut repeated = proof(&mut one, K, state);
        repeated.votes[1] = repeated.votes[0];
        let lone = CheckpointCertificate { seq: Seq(K), state, votes: Vec::new() };
        let zero = CheckpointCertificate { state, ..CheckpointCertificate::start() };
        for (checkpoint, why) in [
            (proof_by(&mut one, K, state, quorum - 1), "C of one too few"),
            (repeated, "C with a signer twice"),
            (proof(&mut one, K + 1, state), "C where no checkpoint is due"),
            (lone, "h without a proof"),
            (zero, "a state at 0"),
        ] {
            bad.push((view_change(&mut one, VIEW, 0, checkpoint, Vec::new()), why));
        }
        for (change, why) in bad {
            let mut v = full.clone();
            v[0] = change.clone();
            let wrong = new_view(&mut one, VIEW, v);
            rejects(&mut one, &wrong, why);
            // By itself it is improper, and nobody follows it.
            rejects(&mut one, &Message::ViewChange(Arc::new(change)), why);
        }
        enters(&mut one, &right);
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_new_view_is_refused() {
    let mut one = backup(4);
    let state = Digest([7; 32]);
    let certificate = prepared(&mut one, 0, 3, Digest([3; 32]));
    let proven = proof(&mut one, K, state);
    let given = view_change(&mut one, VIEW, 1, proven, vec![certificate]);
    let v = quorum_with(&mut one, VIEW, &[given]);
    let frame = new_view(&mut one, VIEW, v).to_frame();
    let mut verifier = one.keys.verifier(ClientAuth::Signature);
    let mut refused = 0;
    for place in (1..frame.len()).step_by(7) {
        let mut bytes = frame.to_vec();
        bytes[place] ^= 1;
        let Ok(message) = Message::from_frame(&Bytes::from(bytes)) else { continue };
        verifier.verify(&mut vec![message], |verdict| {
            assert!(verdict.is_err(), "byte {place} is bound by no signature");
        });
        refused += 1;
    }
    assert!(refused > 100, "{refused} of {} bytes", frame.len());
}

/// A new-view that begins at the checkpoint K, and orders one batch above it.
fn behind(n: usize) -> (One, Vec<Arc<Batch>>, Message, Digest) {
    let mut one = backup(n);
    // What the committee executed, from a replica that did the same.
    let mut twin = backup(n);
    let batches: Vec<_> = (1..=K).map(|timestamp| batch(&mut one, timestamp).0).collect();
    let (mut state, mut said) = (Digest::ZERO, None);
    for (batch, seq) in batches.iter().zip(1..) {
        let message = committed(&mut twin, seq, batch);
        let outputs = twin.receive(&message);
        let [execution] = &executions(outputs)[..] else { panic!("{seq} is executed") };
        let outputs = twin.input(Input::Executed(run_batch(&mut state, execution)));
        said = said.or(said_state(&outputs));
    }
    let proven = proof(&mut one, K, said.expect("a checkpoint is due"));
    let (above, digest) = batch(&mut one, 9);
    let certificate = prepared(&mut one, 0, K + 1, digest);
    let given = view_change(&mut one, VIEW, 1, proven, vec![certificate]);
    let v = quorum_with(&mut one, VIEW, &[given]);
    let opens = new_view(&mut one, VIEW, v);
    let mut batches = batches;
    batches.push(above);
    (one, batches, opens, digest)
}

#[test]
fn pbft_4_4_a_replica_behind_min_s_enters_once_it_has_the_state_without_a_further_message() {
    for n in 4..=10 {
        let (mut one, batches, opens, digest) = behind(n);
        one.receive(&opens);
        assert_eq!(one.engine.awaited_state(), Some((View(VIEW), Seq(K))));
        assert!(!one.engine.is_active(), "n = {n}: it is behind");
        let mut state = Digest::ZERO;
        let mut last = Vec::new();
        for seq in 1..=K {
            let message = committed(&mut one, seq, &batches[seq as usize - 1]);
            let outputs = one.receive(&message);
            assert_eq!(executes(&outputs), [seq], "what was committed is executed in any view");
            let [execution] = &executions(outputs)[..] else { unreachable!() };
            assert_eq!(execution.view, View(0), "as its certificate says");
            last = one.input(Input::Executed(run_batch(&mut state, execution)));
        }
        assert!(one.engine.is_active(), "n = {n}: entered with what it held");
        assert_eq!((one.engine.view(), one.engine.stable()), (View(VIEW), Seq(K)));
        assert_eq!(says(&last, "fetch"), 1, "the body above min-s is asked for");
        let outputs = one.receive(&Message::Body(Arc::clone(&batches[K as usize])));
        assert!(outputs.iter().any(|output| matches!(output,
            quorumark_consensus::Output::Say { message: Message::Prepare(said), .. }
                if said.body.digest == digest && said.body.view == View(VIEW))));
    }
}

#[test]
fn pbft_4_4_a_second_new_view_of_a_primary_is_evidence_and_the_first_stands() {
    for n in 4..=10 {
        let mut one = backup(n);
        let v = quorum_with(&mut one, VIEW, &[]);
        let first = new_view(&mut one, VIEW, v);
        let (v, ..) = gapped(&mut one);
        let second = new_view(&mut one, VIEW, v);
        enters(&mut one, &first);
        assert_eq!(one.receive(&first).len(), 0, "a repeat changes nothing");
        assert_eq!(one.engine.counters().evidence_found, 0);
        one.receive(&second);
        assert_eq!(one.engine.counters().evidence_found, 1, "n = {n}");
    }
}

#[test]
fn pbft_4_4_without_the_body_nothing_is_prepared_and_no_other_body_is_taken() {
    for n in 4..=10 {
        let mut one = backup(n);
        let (wanted, digest) = batch(&mut one, 1);
        let (other, _) = batch(&mut one, 2);
        let certificate = prepared(&mut one, 0, 1, digest);
        let start = CheckpointCertificate::start();
        let given = view_change(&mut one, VIEW, 1, start, vec![certificate]);
        let v = quorum_with(&mut one, VIEW, &[given]);
        let opens = new_view(&mut one, VIEW, v);
        let outputs = one.receive(&opens);
        assert_eq!((says(&outputs, "prepare"), says(&outputs, "fetch")), (0, 1), "n = {n}");
        assert_eq!(says(&one.receive(&Message::Body(other)), "prepare"), 0);
        assert_eq!(one.engine.counters().bodies_unasked, 1);
        assert_eq!(says(&one.receive(&Message::Body(Arc::clone(&wanted))), "prepare"), 1);
        assert_eq!(says(&one.receive(&Message::Body(wanted)), "prepare"), 0, "once");
    }
}
