//! Broken ledgers: what is executed, in which order, and whether it was asked for.

use std::sync::Arc;

use quorumark_consensus::types::Seq;
use quorumark_sim::check::Check;
use quorumark_sim::trace::*;

use super::{Break, Patient, digest_of, executed, executions, flip};
use crate::model::Run;

pub(super) const BREAKS: &[Break] = &[
    Break { name: "swap", seen_by: Check::Prefix, apply: swap },
    Break { name: "out of order", seen_by: Check::Prefix, apply: out_of_order },
    Break { name: "dropped execution", seen_by: Check::Prefix, apply: dropped_execution },
    Break { name: "dropped commit", seen_by: Check::Prefix, apply: dropped_commit },
    Break { name: "other batch executed", seen_by: Check::Prefix, apply: other_batch },
    Break { name: "fetched from nowhere", seen_by: Check::Prefix, apply: fetched_from_nowhere },
    Break { name: "double execution", seen_by: Check::ExactlyOnce, apply: double_execution },
    Break { name: "repeat executed", seen_by: Check::ExactlyOnce, apply: repeat_executed },
    Break { name: "twice in a batch", seen_by: Check::ExactlyOnce, apply: twice_in_a_batch },
    Break { name: "lacked request", seen_by: Check::ExactlyOnce, apply: lacked_request },
    Break { name: "never signed", seen_by: Check::Validity, apply: never_signed },
    Break { name: "not bound", seen_by: Check::Validity, apply: not_bound },
    Break { name: "told wrong", seen_by: Check::Validity, apply: told_wrong },
];

/// The places of a replica's execution and of its next one, with nothing between that moves it.
fn neighbours(run: &Run, at: usize) -> Option<usize> {
    let it = executed(run, &run.events[at].fact)?;
    let later = run.events.iter().enumerate().skip(at + 1);
    let mut own = later.filter(|(_, event)| match &event.fact {
        Fact::Executed(other) => other.replica == it.replica,
        Fact::Restarted(other) => other.replica == it.replica,
        Fact::TransferFinished(other) => other.replica == it.replica,
        _ => false,
    });
    let (next, event) = own.next()?;
    executed(run, &event.fact).filter(|other| other.seq == it.seq.next()).map(|_| next)
}

/// The places of an execution that others did too, and of its replica's next one.
fn followed(patient: &mut Patient) -> Option<(usize, usize)> {
    let shared =
        |run: &Run, fact: &Fact| executed(run, fact).is_some_and(|it| executions(run, it.seq) > 1);
    (0..20).find_map(|_| {
        let first = patient.any(shared)?;
        Some((first, neighbours(&patient.run, first)?))
    })
}

/// A replica executes two neighbouring batches each in the other's place.
fn swap(patient: &mut Patient) -> bool {
    let Some((first, second)) = followed(patient) else { return false };
    let facts = (patient.fact(first).clone(), patient.fact(second).clone());
    let (Fact::Executed(mut one), Fact::Executed(mut two)) = facts else { return false };
    let seqs = (one.seq, two.seq);
    (Arc::make_mut(&mut two).seq, Arc::make_mut(&mut one).seq) = seqs;
    *patient.fact(first) = Fact::Executed(two);
    *patient.fact(second) = Fact::Executed(one);
    true
}

fn out_of_order(patient: &mut Patient) -> bool {
    let Some((first, second)) = followed(patient) else { return false };
    let fact = patient.fact(first).clone();
    *patient.fact(first) = patient.fact(second).clone();
    *patient.fact(second) = fact;
    true
}

fn dropped_execution(patient: &mut Patient) -> bool {
    let Some((first, _)) = followed(patient) else { return false };
    patient.run.events.remove(first);
    true
}

fn dropped_commit(patient: &mut Patient) -> bool {
    let Some((first, _)) = followed(patient) else { return false };
    let Fact::Executed(it) = patient.fact(first).clone() else { return false };
    patient.run.events.remove(first);
    let commit = patient.run.events[..first].iter().rposition(|event| {
        matches!(&event.fact, Fact::Committed(other)
            if (other.replica, other.seq) == (it.replica, it.seq))
    });
    commit.is_some_and(|at| {
        patient.run.events.remove(at);
        true
    })
}

/// A replica executes nothing at a sequence number where others executed a batch.
fn other_batch(patient: &mut Patient) -> bool {
    let wanted =
        |run: &Run, fact: &Fact| executed(run, fact).is_some_and(|it| executions(run, it.seq) > 1);
    patient.alter(wanted, |fact| {
        let Fact::Executed(it) = fact else { return };
        let it = Arc::make_mut(it);
        (it.requests, it.digest) = (Arc::from([]), digest_of(&[]));
        it.fresh.clear();
    })
}

fn fetched_from_nowhere(patient: &mut Patient) -> bool {
    let wanted = |run: &Run, fact: &Fact| matches!(fact, Fact::TransferFinished(it) if run.header.is_honest(it.replica));
    patient.alter(wanted, |fact| {
        if let Fact::TransferFinished(it) = fact {
            it.seq = Seq(it.seq.0 + 100);
        }
    })
}

fn double_execution(patient: &mut Patient) -> bool {
    let Some(at) = patient.any(|run, fact| executed(run, fact).is_some()) else { return false };
    let fact = patient.fact(at).clone();
    patient.insert_after(at, fact);
    true
}

/// Everybody executes a request again that an earlier batch held.
fn repeat_executed(patient: &mut Patient) -> bool {
    let repeats = |it: &Executed| it.fresh.len() < it.requests.len();
    patient.rewrite(repeats, |it| it.fresh = (0..it.requests.len() as u32).collect())
}

fn twice_in_a_batch(patient: &mut Patient) -> bool {
    patient.rewrite(|it| !it.fresh.is_empty(), |it| it.fresh.insert(0, 0))
}

fn lacked_request(patient: &mut Patient) -> bool {
    patient.rewrite(|_| true, |it| it.fresh.push(99))
}

/// Everybody executes what its client never asked for.
fn never_signed(patient: &mut Patient) -> bool {
    patient.rewrite(
        |it| !it.requests.is_empty(),
        |it| {
            let mut requests = it.requests.to_vec();
            flip(&mut requests[0].digest);
            (it.digest, it.requests) = (digest_of(&requests), requests.into());
        },
    )
}

/// Everybody executes the requests in another order than was voted for.
fn not_bound(patient: &mut Patient) -> bool {
    patient.rewrite(
        |it| it.requests.len() > 1 && it.fresh.len() == it.requests.len(),
        |it| it.requests = it.requests.iter().rev().cloned().collect(),
    )
}

fn told_wrong(patient: &mut Patient) -> bool {
    patient.alter(
        |_, fact| matches!(fact, Fact::Submitted(_)),
        |fact| {
            if let Fact::Submitted(it) = fact {
                flip(&mut it.digest);
            }
        },
    )
}
