//! Whether a certificate shows that a quorum committed.
//!
//! Written against PBFT's definition and the table of signed bytes, not against the engine: quorum
//! arithmetic, the statement's bytes and the checks of its structure are this file's own.

use std::sync::Arc;

use quorumark_consensus::types::{ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::{BatchVerifier, Signature};
use quorumark_primitives::signed::{Context, Domain, KeyDirectory, Signer};

/// Bytes of a commit: view, sequence number, digest, replica.
const COMMIT_BYTES: usize = 8 + 8 + 32 + 2;

/// The replicas that must have signed: all but a third, rounded so that two such sets always share
/// a correct one (Castro and Liskov, OSDI'99, section 3: `n - f` with `f = (n - 1) / 3`).
pub fn quorum(n: usize) -> usize {
    n - (n - 1) / 3
}

/// What a commit binds, signer excepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The view.
    pub view: View,
    /// The sequence number.
    pub seq: Seq,
    /// The batch's digest.
    pub digest: Digest,
}

/// What is wrong with the form of a certificate of `n` replicas, if anything: the signers are
/// distinct members, and as many as a quorum.
pub fn flaw(signers: impl ExactSizeIterator<Item = ReplicaId>, n: usize) -> Option<String> {
    let (found, needed) = (signers.len(), quorum(n));
    if found < needed {
        return Some(format!("{found} signatures, a quorum is {needed}"));
    }
    let mut seen = vec![false; n];
    for signer in signers {
        match seen.get_mut(usize::from(signer.0)) {
            None => return Some(format!("{signer} is no member")),
            Some(seen) if *seen => return Some(format!("{signer} signed twice")),
            Some(seen) => *seen = true,
        }
    }
    None
}

/// Checks signatures of commits, many at once.
#[derive(Debug)]
pub struct Signatures {
    context: Context,
    directory: Arc<KeyDirectory>,
    batch: BatchVerifier,
    verdicts: Vec<bool>,
}

impl Signatures {
    /// For one cluster.
    pub fn new(context: Context, directory: Arc<KeyDirectory>) -> Signatures {
        // No replica aims at the oracle's weights; a fixed seed gives the same run again.
        let batch = BatchVerifier::new([0x0a; 32]);
        Signatures { context, directory, batch, verdicts: Vec::new() }
    }

    /// Adds one signature to the batch; `false`, and nothing added, when the signer has no key.
    pub fn queue(
        &mut self,
        committed: &Committed,
        signer: ReplicaId,
        signature: &Signature,
    ) -> bool {
        let Some(key) = self.directory.key(Signer::Replica(signer.0)) else { return false };
        let prefix = self.context.prefix(Domain::Commit, Signer::Replica(signer.0));
        self.batch.queue(key, &[&prefix, &statement(committed, signer)], signature);
        true
    }

    /// Signatures in the batch.
    pub fn queued(&self) -> usize {
        self.batch.len()
    }

    /// Verifies the batch: one verdict for each signature, in the order queued.
    pub fn verify(&mut self) -> &[bool] {
        self.batch.verify(&mut self.verdicts);
        &self.verdicts
    }
}

/// The bytes that `signer` signs: little-endian, in the order of PBFT's `<COMMIT, v, n, D(m), i>`.
fn statement(committed: &Committed, signer: ReplicaId) -> [u8; COMMIT_BYTES] {
    let mut bytes = [0; COMMIT_BYTES];
    bytes[..8].copy_from_slice(&committed.view.0.to_le_bytes());
    bytes[8..16].copy_from_slice(&committed.seq.0.to_le_bytes());
    bytes[16..48].copy_from_slice(&committed.digest.0);
    bytes[48..].copy_from_slice(&signer.0.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use quorumark_consensus::Committee;

    use super::*;

    #[test]
    fn the_oracle_s_quorum_is_the_committee_s_though_computed_apart() {
        for n in 1..=256 {
            assert_eq!(quorum(n), Committee::new(n).unwrap().quorum(), "n = {n}");
        }
    }

    #[test]
    fn a_certificate_needs_a_quorum_of_distinct_members() {
        let flaw = |signers: &[u16]| flaw(signers.iter().map(|id| ReplicaId(*id)), 4);
        assert_eq!(flaw(&[0, 3, 1]), None);
        assert_eq!(flaw(&[0, 1, 2, 3]), None);
        assert!(flaw(&[0, 1]).unwrap().contains("a quorum is 3"));
        assert!(flaw(&[0, 1, 1]).unwrap().contains("signed twice"));
        assert!(flaw(&[0, 1, 4]).unwrap().contains("no member"));
    }
}
