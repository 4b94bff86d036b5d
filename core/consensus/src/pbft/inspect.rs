//! What a driver may look at from outside, for its trace and its checks. None of it changes anything.

use super::certificate::CheckpointCertificate;
use super::replica::Pbft;

impl Pbft {
    /// The certificate of the last stable checkpoint (PBFT 4.3); without votes at the start.
    pub fn stable_proof(&self) -> CheckpointCertificate {
        self.checkpoints.proof(self.log.low())
    }
}
