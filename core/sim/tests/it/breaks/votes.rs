//! Broken votes and certificates.

use std::sync::Arc;

use quorumark_consensus::types::{ReplicaId, View};
use quorumark_primitives::ed25519::Signature;
use quorumark_sim::check::Check;
use quorumark_sim::trace::*;
use rand::RngExt;

use super::{Break, Patient, committed, digest_of, flip, said};

pub(super) const BREAKS: &[Break] = &[
    Break { name: "forged signer", seen_by: Check::Certificate, apply: forged_signer },
    Break { name: "signer twice", seen_by: Check::Certificate, apply: signer_twice },
    Break { name: "signer too few", seen_by: Check::Certificate, apply: signer_too_few },
    Break { name: "signer from outside", seen_by: Check::Certificate, apply: signer_from_outside },
    Break { name: "signed in another view", seen_by: Check::Certificate, apply: another_view },
    Break { name: "fork", seen_by: Check::Agreement, apply: fork },
    Break { name: "fork of votes", seen_by: Check::Agreement, apply: fork_of_votes },
    Break { name: "double vote", seen_by: Check::NoDoubleVote, apply: double_vote },
    Break { name: "vote forgotten", seen_by: Check::NoDoubleVote, apply: vote_forgotten },
    Break { name: "vote in a view left", seen_by: Check::NoDoubleVote, apply: view_left },
    Break { name: "two view-changes", seen_by: Check::NoDoubleVote, apply: two_view_changes },
];

type Signers = Vec<(ReplicaId, Signature)>;

/// Changes the certificate of one commit.
fn certificate(patient: &mut Patient, change: impl FnOnce(&mut Signers)) -> bool {
    patient.alter(
        |run, fact| committed(run, fact).is_some(),
        |fact| {
            let Fact::Committed(it) = fact else { return };
            let mut signers = it.certificate.to_vec();
            change(&mut signers);
            it.certificate = signers.into();
        },
    )
}

fn forged_signer(patient: &mut Patient) -> bool {
    let bit = patient.random.random_range(0..512);
    let nth = patient.random.random_range(0..patient.quorum());
    certificate(patient, |signers| signers[nth].1.0[bit / 8] ^= 1 << (bit % 8))
}

fn signer_twice(patient: &mut Patient) -> bool {
    certificate(patient, |signers| signers[0] = signers[1])
}

fn signer_too_few(patient: &mut Patient) -> bool {
    let least = patient.quorum() - 1;
    certificate(patient, |signers| signers.truncate(least))
}

fn signer_from_outside(patient: &mut Patient) -> bool {
    let n = patient.run.header.replicas;
    certificate(patient, |signers| signers[0].0 = ReplicaId(n))
}

fn another_view(patient: &mut Patient) -> bool {
    let Some(at) = patient.any(|run, fact| committed(run, fact).is_some()) else { return false };
    let Fact::Committed(it) = patient.fact(at).clone() else { return false };
    let signed = patient.certify(View(it.view.0 + 1), it.seq, it.digest);
    *patient.fact(at) = Fact::Committed(Committed { certificate: signed, ..it });
    true
}

/// A replica commits nothing where another one had committed a batch; all signed both.
fn fork(patient: &mut Patient) -> bool {
    let Some(at) = patient.any(|run, fact| {
        let Some(it) = committed(run, fact) else { return false };
        let same = run.events.iter().filter_map(|event| committed(run, &event.fact));
        same.filter(|other| other.seq == it.seq && other.replica != it.replica).count() > 0
    }) else {
        return false;
    };
    let Fact::Committed(it) = patient.fact(at).clone() else { return false };
    let (requests, digest): (Arc<[Ordered]>, _) = (Arc::from([]), digest_of(&[]));
    let certificate = patient.certify(it.view, it.seq, digest);
    *patient.fact(at) = Fact::Committed(Committed { requests, digest, certificate, ..it });
    true
}

fn fork_of_votes(patient: &mut Patient) -> bool {
    patient.alter(
        |run, fact| {
            let Some(it) = said(run, fact).filter(|it| it.kind == VoteKind::Commit) else {
                return false;
            };
            let same = run.events.iter().filter_map(|event| said(run, &event.fact));
            let same = same.filter(|other| (other.kind, other.seq) == (it.kind, it.seq));
            same.filter(|other| other.view == it.view && other.replica != it.replica).count() > 0
        },
        |fact| {
            if let Fact::Said(it) = fact {
                flip(&mut it.digest);
            }
        },
    )
}

/// Says the same again behind the place of the first, for something else.
fn contradict(patient: &mut Patient, wanted: impl Fn(&Said) -> bool) -> bool {
    let Some(at) = patient.any(|run, fact| said(run, fact).is_some_and(&wanted)) else {
        return false;
    };
    let Fact::Said(mut it) = patient.fact(at).clone() else { return false };
    flip(&mut it.digest);
    patient.insert_after(at, Fact::Said(it));
    true
}

fn double_vote(patient: &mut Patient) -> bool {
    contradict(patient, |it| it.kind != VoteKind::Commit)
}

fn two_view_changes(patient: &mut Patient) -> bool {
    contradict(patient, |it| it.kind == VoteKind::ViewChange)
}

/// A replica that restarted says something else than before.
fn vote_forgotten(patient: &mut Patient) -> bool {
    patient.alter(
        |run, fact| {
            said(run, fact).is_some_and(|it| it.incarnation > 0 && it.kind == VoteKind::Prepare)
                && run.events.iter().filter_map(|event| said(run, &event.fact)).any(|first| {
                    said(run, fact).is_some_and(|it| {
                        first.incarnation < it.incarnation
                            && first.digest == it.digest
                            && (first.kind, first.view, first.replica)
                                == (it.kind, it.view, it.replica)
                    })
                })
        },
        |fact| {
            if let Fact::Said(it) = fact {
                flip(&mut it.digest);
            }
        },
    )
}

fn view_left(patient: &mut Patient) -> bool {
    let left = |it: &Said| it.kind == VoteKind::ViewChange;
    let Some(at) = patient.any(|run, fact| said(run, fact).is_some_and(left)) else {
        return false;
    };
    let Fact::Said(it) = patient.fact(at).clone() else { return false };
    let (kind, view) = (VoteKind::Prepare, View(it.view.0 - 1));
    let seq = quorumark_consensus::types::Seq(it.seq.0 + patient.run.header.window);
    patient.insert_after(at, Fact::Said(Said { kind, view, seq, ..it }));
    true
}
