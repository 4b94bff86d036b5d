//! Certificates and view messages, as replicas with the lab's keys make them.

use std::sync::Arc;

use quorumark_consensus::pbft::{
    Checkpoint, CheckpointCertificate, Commit, CommitCertificate, Message, NewView, NewViewBody,
    Plan, PrePrepare, Prepare, PreparedCertificate, ViewChange, ViewChangeBody, Voucher,
};
use quorumark_consensus::{Batch, Engine, Input, Output, ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::Signed;

use crate::lab::One;

/// One batch of one request, and its digest.
pub(crate) fn batch(one: &mut One, timestamp: u64) -> (Arc<Batch>, Digest) {
    let batch = Arc::new(Batch::new(vec![one.keys.request(0, timestamp, b"op")]));
    let digest = batch.digest();
    (batch, digest)
}

pub(crate) fn pre_prepare_in(
    one: &mut One,
    view: u64,
    seq: u64,
    digest: Digest,
) -> Signed<PrePrepare> {
    let view = View(view);
    let replica = one.committee.primary(view);
    let body = PrePrepare { view, seq: Seq(seq), digest, replica };
    // The seal binds the digest alone, so any batch does.
    let blank = Message::PrePrepare(Box::new(Signed::blank(body)), Arc::new(Batch::null()));
    let Message::PrePrepare(signed, _) = one.keys.seal(blank).into_inner() else { unreachable!() };
    *signed
}

pub(crate) fn prepare_in(view: u64, seq: u64, digest: Digest, replica: usize) -> Message {
    let (view, seq, replica) = (View(view), Seq(seq), ReplicaId(replica as u16));
    Message::Prepare(Signed::blank(Prepare { view, seq, digest, replica }))
}

pub(crate) fn commit_in(view: u64, seq: u64, digest: Digest, replica: usize) -> Message {
    let (view, seq, replica) = (View(view), Seq(seq), ReplicaId(replica as u16));
    Message::Commit(Signed::blank(Commit { view, seq, digest, replica }))
}

/// A prepared certificate by these replicas, valid or not.
pub(crate) fn prepared_by(
    one: &mut One,
    view: u64,
    seq: u64,
    digest: Digest,
    backups: &[usize],
) -> PreparedCertificate {
    let pre_prepare = pre_prepare_in(one, view, seq, digest);
    let mut voucher = |replica: &usize| {
        let sealed = one.keys.seal(prepare_in(view, seq, digest, *replica)).into_inner();
        let Message::Prepare(Signed { body, signature }) = sealed else { unreachable!() };
        Voucher { replica: body.replica, signature }
    };
    let prepares = backups.iter().map(&mut voucher).collect();
    PreparedCertificate { pre_prepare, prepares }
}

/// The backups of a view, in the order of their ids.
pub(crate) fn backups(one: &One, view: u64) -> Vec<usize> {
    let primary = one.committee.primary(View(view));
    one.committee.members().filter(|id| *id != primary).map(|id| usize::from(id.0)).collect()
}

/// A valid prepared certificate.
pub(crate) fn prepared(one: &mut One, view: u64, seq: u64, digest: Digest) -> PreparedCertificate {
    let mut backups = backups(one, view);
    backups.truncate(one.committee.quorum() - 1);
    prepared_by(one, view, seq, digest, &backups)
}

/// The certificate of a checkpoint, by the first `signers` replicas.
pub(crate) fn proof_by(
    one: &mut One,
    seq: u64,
    state: Digest,
    signers: usize,
) -> CheckpointCertificate {
    let seq = Seq(seq);
    let mut voucher = |replica| {
        let body = Checkpoint { seq, state, replica };
        let sealed = one.keys.seal(Message::Checkpoint(Signed::blank(body))).into_inner();
        let Message::Checkpoint(Signed { body, signature }) = sealed else { unreachable!() };
        Voucher { replica: body.replica, signature }
    };
    let votes = (0..signers as u16).map(ReplicaId).map(&mut voucher).collect();
    CheckpointCertificate { seq, state, votes }
}

/// A valid certificate of a checkpoint.
pub(crate) fn proof(one: &mut One, seq: u64, state: Digest) -> CheckpointCertificate {
    let quorum = one.committee.quorum();
    proof_by(one, seq, state, quorum)
}

/// A batch that was committed in view 0, with its proof.
pub(crate) fn committed(one: &mut One, seq: u64, batch: &Arc<Batch>) -> Message {
    let (view, digest) = (View(0), batch.digest());
    let mut voucher = |replica: usize| {
        let sealed = one.keys.seal(commit_in(0, seq, digest, replica)).into_inner();
        let Message::Commit(Signed { body, signature }) = sealed else { unreachable!() };
        Voucher { replica: body.replica, signature }
    };
    let commits = (0..one.committee.quorum()).map(&mut voucher).collect();
    let certificate = CommitCertificate { view, seq: Seq(seq), digest, commits };
    Message::Committed(Arc::new(certificate), Arc::clone(batch))
}

pub(crate) fn view_change(
    one: &mut One,
    view: u64,
    replica: usize,
    checkpoint: CheckpointCertificate,
    prepared: Vec<PreparedCertificate>,
) -> ViewChange {
    let (view, replica) = (View(view), ReplicaId(replica as u16));
    let body = ViewChangeBody { view, checkpoint, prepared, replica };
    let blank = Message::ViewChange(Arc::new(ViewChange::blank(body)));
    let Message::ViewChange(sealed) = one.keys.seal(blank).into_inner() else { unreachable!() };
    ViewChange::clone(&sealed)
}

/// A view-change of a replica that has nothing to show.
pub(crate) fn bare(one: &mut One, view: u64, replica: usize) -> ViewChange {
    view_change(one, view, replica, CheckpointCertificate::start(), Vec::new())
}

/// Bare view-changes of the first quorum, those given put in the place of their senders'.
pub(crate) fn quorum_with(one: &mut One, view: u64, given: &[ViewChange]) -> Vec<ViewChange> {
    let quorum = one.committee.quorum();
    let mut view_changes: Vec<_> = (0..quorum).map(|id| bare(one, view, id)).collect();
    for change in given {
        view_changes[usize::from(change.body().replica.0)] = change.clone();
    }
    view_changes
}

/// The new-view that V makes necessary.
pub(crate) fn new_view(one: &mut One, view: u64, view_changes: Vec<ViewChange>) -> Message {
    let primary = one.committee.primary(View(view));
    let plan = Plan::of(&view_changes);
    let pre_prepares = plan.pre_prepares(View(view), primary).collect();
    new_view_of(one, view, view_changes, pre_prepares)
}

/// A new-view of the primary's choice.
pub(crate) fn new_view_of(
    one: &mut One,
    view: u64,
    view_changes: Vec<ViewChange>,
    pre_prepares: Vec<PrePrepare>,
) -> Message {
    let (view, replica) = (View(view), one.committee.primary(View(view)));
    let pre_prepares = pre_prepares.into_iter().map(Signed::blank).collect();
    let body = NewViewBody { view, view_changes, pre_prepares, replica };
    one.keys.seal(Message::NewView(Arc::new(NewView::blank(body)))).into_inner()
}

/// O of a new-view.
pub(crate) fn ordered(message: &Message) -> Vec<PrePrepare> {
    let Message::NewView(new_view) = message else { panic!("{}", message.kind()) };
    new_view.body().pre_prepares.iter().map(|signed| signed.body).collect()
}

/// The view-changes that are said.
pub(crate) fn said_view_changes(outputs: &[Output<Message>]) -> Vec<Arc<ViewChange>> {
    let said = outputs.iter().filter_map(|output| match output {
        Output::Say { message: Message::ViewChange(said), .. } => Some(Arc::clone(said)),
        _ => None,
    });
    said.collect()
}

/// Lets the clock run until the engine says a view-change; all that it said on the way.
pub(crate) fn expire(one: &mut One) -> Vec<Output<Message>> {
    for _ in 0..100 {
        one.now = one.engine.next_timeout().expect("the status is always due");
        let outputs = one.input(Input::Timeout);
        if !said_view_changes(&outputs).is_empty() {
            return outputs;
        }
    }
    panic!("no timer expires")
}
