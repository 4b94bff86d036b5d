//! Whether signatures make a quorum for a statement: the form, the members, the signed bytes.

use quorumark_consensus::types::{ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::signed::{Domain, Signer};

use super::ring::Ring;
use super::run::Run;

/// Sequence numbers whose valid signatures are remembered, so that a signature that stands in many
/// certificates is checked once.
const CERTIFICATES_KEPT: usize = 128;

/// What a quorum signs, signer excepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statement {
    /// PBFT 4.2: `<COMMIT, v, n, D(m), i>`.
    Commit { view: View, seq: Seq, digest: Digest },
    /// PBFT 4.3: `<CHECKPOINT, n, d, i>`.
    Checkpoint { seq: Seq, state: Digest },
}

impl Statement {
    fn seq(&self) -> Seq {
        match self {
            Statement::Commit { seq, .. } | Statement::Checkpoint { seq, .. } => *seq,
        }
    }

    fn domain(&self) -> Domain {
        match self {
            Statement::Commit { .. } => Domain::Commit,
            Statement::Checkpoint { .. } => Domain::Checkpoint,
        }
    }

    /// The bytes that `signer` signs after the prefix: numbers little-endian, in the paper's order.
    fn body(&self, signer: ReplicaId, out: &mut Vec<u8>) {
        match self {
            Statement::Commit { view, seq, digest } => {
                out.extend_from_slice(&view.0.to_le_bytes());
                out.extend_from_slice(&seq.0.to_le_bytes());
                out.extend_from_slice(&digest.0);
            }
            Statement::Checkpoint { seq, state } => {
                out.extend_from_slice(&seq.0.to_le_bytes());
                out.extend_from_slice(&state.0);
            }
        }
        out.extend_from_slice(&signer.0.to_le_bytes());
    }
}

/// Decides certificates and remembers which signatures were valid.
#[derive(Debug)]
pub(super) struct Certificates {
    valid: Ring<Valid>,
    message: Vec<u8>,
    /// Who signed the certificate that is looked at.
    signed: Vec<bool>,
}

/// The valid signatures of one statement, by signer.
#[derive(Debug)]
struct Valid {
    statement: Statement,
    signatures: Vec<Option<Signature>>,
}

impl Default for Certificates {
    fn default() -> Certificates {
        let (message, signed) = (Vec::new(), Vec::new());
        Certificates { valid: Ring::new(CERTIFICATES_KEPT), message, signed }
    }
}

impl Certificates {
    /// What is wrong with a certificate, if anything: signers that are no members or sign twice,
    /// fewer than a quorum, a signature that is not valid.
    pub(super) fn flaw(
        &mut self,
        run: &mut Run,
        statement: &Statement,
        certificate: &[(ReplicaId, Signature)],
    ) -> Option<String> {
        let (n, needed) = (run.n(), run.quorum());
        if certificate.len() < needed {
            return Some(format!("{} signatures, a quorum is {needed}", certificate.len()));
        }
        self.signed.clear();
        self.signed.resize(n, false);
        for (signer, signature) in certificate {
            match self.signed.get_mut(usize::from(signer.0)) {
                None => return Some(format!("{signer} is no member")),
                Some(signed) if *signed => return Some(format!("{signer} signed twice")),
                Some(signed) => *signed = true,
            }
            if !self.is_valid(run, statement, *signer, signature) {
                return Some(format!("the signature of {signer} is not valid"));
            }
        }
        None
    }

    fn is_valid(
        &mut self,
        run: &mut Run,
        statement: &Statement,
        signer: ReplicaId,
        signature: &Signature,
    ) -> bool {
        let at = usize::from(signer.0);
        let known = self.valid.get(statement.seq().0);
        let known = known.filter(|valid| valid.statement == *statement);
        if known.and_then(|valid| *valid.signatures.get(at)?) == Some(*signature) {
            return true;
        }
        let by = Signer::Replica(signer.0);
        self.message.clear();
        let prefix = run.header.context().prefix(statement.domain(), by);
        self.message.extend_from_slice(&prefix);
        statement.body(signer, &mut self.message);
        let valid = run.signatures.is_valid(by, &self.message, signature);
        if valid && let Some(place) = self.valid.place(statement.seq().0) {
            let fresh = || Valid { statement: *statement, signatures: vec![None; run.n()] };
            let entry = place.get_or_insert_with(fresh);
            if entry.statement != *statement {
                *entry = fresh();
            }
            if let Some(place) = entry.signatures.get_mut(at) {
                *place = Some(*signature);
            }
        }
        valid
    }
}
