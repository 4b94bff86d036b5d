//! Signatures of the model: keyed BLAKE3, written apart from the simulator's.

use quorumark_consensus::types::{ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::hash::blake3_keyed;
use quorumark_primitives::signed::{Context, Domain, ProtocolId, Signer};
use quorumark_sim::check::SignatureCheck;

/// What every signature of the model binds.
pub(crate) const CONTEXT: Context = Context { cluster: 7, protocol: ProtocolId(1) };

/// Signs for every replica, and checks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys(pub(crate) [u8; 32]);

impl Keys {
    pub(crate) fn commit(self, by: ReplicaId, view: View, seq: Seq, digest: Digest) -> Signature {
        self.vote(Domain::Commit, by, view, seq, digest)
    }

    /// A vote of PBFT 4.2.
    pub(crate) fn vote(
        self,
        domain: Domain,
        by: ReplicaId,
        view: View,
        seq: Seq,
        digest: Digest,
    ) -> Signature {
        let parts = [&view.0.to_le_bytes()[..], &seq.0.to_le_bytes(), &digest.0];
        self.sign(domain, by, &parts.concat())
    }

    pub(crate) fn checkpoint(self, by: ReplicaId, seq: Seq, state: Digest) -> Signature {
        self.sign(Domain::Checkpoint, by, &[&seq.0.to_le_bytes()[..], &state.0].concat())
    }

    fn sign(self, domain: Domain, by: ReplicaId, body: &[u8]) -> Signature {
        let signer = Signer::Replica(by.0);
        let prefix = CONTEXT.prefix(domain, signer);
        self.tag(signer, &[&prefix[..], body, &by.0.to_le_bytes()].concat())
    }

    fn tag(self, signer: Signer, message: &[u8]) -> Signature {
        let Signer::Replica(id) = signer else { unreachable!("only replicas sign here") };
        let key = blake3_keyed(&self.0, &id.to_le_bytes());
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&blake3_keyed(&key.0, message).0);
        Signature(bytes)
    }
}

impl SignatureCheck for Keys {
    fn is_valid(&mut self, signer: Signer, message: &[u8], signature: &Signature) -> bool {
        self.tag(signer, message) == *signature
    }
}
