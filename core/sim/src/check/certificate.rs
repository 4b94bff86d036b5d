//! Certificate: each commit is backed by a quorum of distinct valid signers.

use super::Checker;
use super::finding::{Findings, Violation};
use super::kinds::Kinds;
use super::quorum::{Certificates, Statement};
use super::run::{Run, Seen};
use crate::trace::{Committed, Fact, FactKind};

/// PBFT 4.2: committed-local needs a quorum of matching commits from different replicas; each is
/// checked against the bytes that its signer signs.
#[derive(Debug, Default)]
pub(super) struct Certificate {
    certificates: Certificates,
}

impl Checker for Certificate {
    fn hears(&self) -> Kinds {
        Kinds::of(&[FactKind::Committed])
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        let Fact::Committed(it) = &seen.event.fact else { return };
        if !run.is_honest(it.replica) {
            return;
        }
        let Committed { replica, view, seq, digest, .. } = *it;
        let statement = Statement::Commit { view, seq, digest };
        let flaw = self.certificates.flaw(run, &statement, &it.certificate);
        found.decide(flaw.is_none(), || {
            let flaw = flaw.unwrap_or_default();
            let what = format!("{replica} commits {seq} in {view} on a bad certificate: {flaw}");
            Violation::shown_by(vec![seen.exhibit()], vec![replica], what)
        });
    }
}
