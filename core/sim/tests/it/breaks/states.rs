//! Broken states, answers, and times.

use std::sync::Arc;

use bytes::Bytes;
use quorumark_application::kv::{Operation, Outcome};
use quorumark_consensus::request::Request;
use quorumark_consensus::types::{ClientId, ReplicaId, Seq, Timestamp};
use quorumark_primitives::wire::Encode;
use quorumark_sim::check::Check;
use quorumark_sim::trace::*;

use super::{Break, Patient, executed, executions, flip};
use crate::model::Run;

pub(super) const BREAKS: &[Break] = &[
    Break { name: "other root", seen_by: Check::State, apply: other_root },
    Break { name: "other results", seen_by: Check::State, apply: other_results },
    Break { name: "other reply", seen_by: Check::State, apply: other_reply },
    Break { name: "forged checkpoint", seen_by: Check::State, apply: forged_checkpoint },
    Break { name: "checkpoint of few", seen_by: Check::State, apply: checkpoint_of_few },
    Break { name: "stable for another state", seen_by: Check::State, apply: stable_elsewhere },
    Break { name: "fetched wrong", seen_by: Check::State, apply: fetched_wrong },
    Break { name: "acknowledged, not committed", seen_by: Check::Durability, apply: not_committed },
    Break { name: "acknowledged by few", seen_by: Check::Durability, apply: acknowledged_by_few },
    Break { name: "acknowledged by one", seen_by: Check::Durability, apply: acknowledged_by_one },
    Break { name: "all forget", seen_by: Check::Durability, apply: all_forget },
    Break { name: "read of nothing written", seen_by: Check::Linearizable, apply: unwritten },
    Break { name: "answered twice", seen_by: Check::Linearizable, apply: answered_twice },
    Break { name: "never answered", seen_by: Check::Progress, apply: never_answered },
    Break { name: "answered late", seen_by: Check::Progress, apply: answered_late },
    Break { name: "left behind", seen_by: Check::CatchUp, apply: left_behind },
    Break { name: "over the cap", seen_by: Check::Bounds, apply: over_the_cap },
];

/// Whether an honest replica's checkpoint is also told by another one.
fn shared_checkpoint(run: &Run, fact: &Fact) -> bool {
    let Fact::Checkpointed(it) = fact else { return false };
    let others = run.events.iter().filter(|event| {
        matches!(&event.fact, Fact::Checkpointed(other) if other.seq == it.seq
            && other.replica != it.replica && run.header.is_honest(other.replica))
    });
    run.header.is_honest(it.replica) && others.count() > 0
}

fn other_root(patient: &mut Patient) -> bool {
    patient.alter(shared_checkpoint, |fact| {
        if let Fact::Checkpointed(it) = fact {
            flip(&mut it.root);
        }
    })
}

fn other_results(patient: &mut Patient) -> bool {
    let shared =
        |run: &Run, fact: &Fact| executed(run, fact).is_some_and(|it| executions(run, it.seq) > 1);
    patient.alter(shared, |fact| {
        if let Fact::Executed(it) = fact {
            flip(&mut Arc::make_mut(it).results);
        }
    })
}

fn other_reply(patient: &mut Patient) -> bool {
    let shared = |run: &Run, fact: &Fact| {
        let Fact::Replied(it) = fact else { return false };
        let others = run.events.iter().filter(|event| {
            matches!(&event.fact, Fact::Replied(other) if other.replica != it.replica
                && (other.client, other.timestamp) == (it.client, it.timestamp)
                && run.header.is_honest(other.replica))
        });
        run.header.is_honest(it.replica) && others.count() > 0
    };
    patient.alter(shared, |fact| {
        if let Fact::Replied(it) = fact {
            flip(&mut it.result);
        }
    })
}

fn stable(run: &Run, fact: &Fact) -> bool {
    matches!(fact, Fact::Stable(it) if run.header.is_honest(it.replica))
}

fn forged_checkpoint(patient: &mut Patient) -> bool {
    patient.alter(stable, |fact| {
        let Fact::Stable(it) = fact else { return };
        let mut signers = it.certificate.to_vec();
        signers[1].1.0[3] ^= 1;
        it.certificate = signers.into();
    })
}

fn checkpoint_of_few(patient: &mut Patient) -> bool {
    let least = patient.quorum() - 1;
    patient.alter(stable, |fact| {
        let Fact::Stable(it) = fact else { return };
        it.certificate = it.certificate.iter().take(least).copied().collect();
    })
}

/// A quorum vouches for another state than everybody reached.
fn stable_elsewhere(patient: &mut Patient) -> bool {
    let Some(at) = patient.any(stable) else { return false };
    let Fact::Stable(mut it) = patient.fact(at).clone() else { return false };
    flip(&mut it.state);
    let keys = patient.run.keys;
    let resigned =
        it.certificate.iter().map(|(by, _)| (*by, keys.checkpoint(*by, it.seq, it.state)));
    it.certificate = resigned.collect();
    *patient.fact(at) = Fact::Stable(it);
    true
}

fn fetched_wrong(patient: &mut Patient) -> bool {
    let wanted = |run: &Run, fact: &Fact| matches!(fact, Fact::TransferFinished(it) if run.header.is_honest(it.replica));
    patient.alter(wanted, |fact| {
        if let Fact::TransferFinished(it) = fact {
            flip(&mut it.root);
        }
    })
}

/// A client has an answer to a request that nobody ordered.
fn not_committed(patient: &mut Patient) -> bool {
    let (client, timestamp) = (ClientId(0), Timestamp(1000));
    let operation = Operation::Get { key: 99 }.to_frame();
    let digest = Request { client, timestamp, operation: operation.clone() }.digest();
    let (seq, how) = (Seq(1), Acknowledgement::Committed);
    let result = Outcome::Absent.to_frame();
    let replicas = (0..patient.run.header.replicas).map(ReplicaId).collect();
    let last = patient.run.events.len() - 2;
    let answered = Answered { client, timestamp, seq, result, how, replicas };
    patient.insert_after(last, Fact::Answered(answered));
    let submitted = Submitted { client, timestamp, digest, operation };
    patient.insert_after(last, Fact::Submitted(submitted));
    true
}

fn answered(_: &Run, fact: &Fact) -> bool {
    matches!(fact, Fact::Answered(_))
}

fn acknowledged_by_few(patient: &mut Patient) -> bool {
    patient.alter(answered, |fact| {
        if let Fact::Answered(it) = fact {
            it.replicas.pop();
        }
    })
}

fn acknowledged_by_one(patient: &mut Patient) -> bool {
    patient.alter(answered, |fact| {
        if let Fact::Answered(it) = fact {
            let one = it.replicas[0];
            it.replicas.iter_mut().for_each(|replica| *replica = one);
        }
    })
}

/// All disks lose everything at the end, and nothing comes back.
fn all_forget(patient: &mut Patient) -> bool {
    let last = patient.run.events.len() - 2;
    for replica in (0..patient.run.header.replicas).map(ReplicaId) {
        let (incarnation, executed, records) = (9, Seq(0), 0);
        let restarted = Restarted { replica, incarnation, executed, records };
        patient.insert_after(last, Fact::Restarted(restarted));
    }
    patient.run.events.iter().any(|event| answered(&patient.run, &event.fact))
}

fn unwritten(patient: &mut Patient) -> bool {
    let read = |_: &Run, fact: &Fact| {
        let Fact::Answered(it) = fact else { return false };
        matches!(Outcome::parse(&it.result), Ok(Outcome::Value(_)))
    };
    patient.alter(read, |fact| {
        if let Fact::Answered(it) = fact {
            it.result = Bytes::from_static(b"\x02never written");
        }
    })
}

fn answered_twice(patient: &mut Patient) -> bool {
    let Some(at) = patient.any(answered) else { return false };
    let fact = patient.fact(at).clone();
    patient.insert_after(at, fact);
    true
}

fn never_answered(patient: &mut Patient) -> bool {
    let Some(at) = patient.any(answered) else { return false };
    patient.run.events.remove(at);
    true
}

fn answered_late(patient: &mut Patient) -> bool {
    let Some(at) = patient.any(answered) else { return false };
    let mut event = patient.run.events.remove(at);
    let last = patient.run.events.len() - 1;
    event.at = patient.run.events[last].at;
    patient.run.events.insert(last, event);
    true
}

/// A replica that never crashed does nothing more once it would reach the last stable checkpoint.
fn left_behind(patient: &mut Patient) -> bool {
    let events = &patient.run.events;
    let stables = events.iter().filter_map(|event| match &event.fact {
        Fact::Stable(it) if patient.run.header.is_honest(it.replica) => Some(it.seq),
        _ => None,
    });
    let Some(last) = stables.max() else { return false };
    let crashed = |replica: ReplicaId| {
        events.iter().any(|event| matches!(&event.fact, Fact::Crashed(it) if it.replica == replica))
    };
    let ids = (0..patient.run.header.replicas).map(ReplicaId);
    let mut steady = ids.filter(|id| patient.run.header.is_honest(*id) && !crashed(*id));
    let (Some(_), Some(victim)) = (steady.next(), steady.next()) else { return false };
    patient.run.events.retain(|event| match &event.fact {
        Fact::Committed(it) => it.replica != victim || it.seq < last,
        Fact::Executed(it) => it.replica != victim || it.seq < last,
        Fact::Checkpointed(it) => it.replica != victim || it.seq < last,
        Fact::Stable(it) => it.replica != victim || it.seq < last,
        Fact::TransferFinished(it) => it.replica != victim || it.seq < last,
        _ => true,
    });
    true
}

fn over_the_cap(patient: &mut Patient) -> bool {
    let gauge = |run: &Run, fact: &Fact| matches!(fact, Fact::Gauge(it) if run.header.is_honest(it.replica));
    patient.alter(gauge, |fact| {
        if let Fact::Gauge(it) = fact {
            it.value = it.cap + 1;
        }
    })
}
