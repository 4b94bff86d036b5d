//! Whether signatures of the run are valid: the one thing that a trace cannot tell by itself.

use quorumark_primitives::ed25519::{KeyCache, Signature, verify_single};
use quorumark_primitives::signed::{KeyDirectory, Signer};

/// Knows the public keys of a run, or its stand-in secret.
pub trait SignatureCheck: core::fmt::Debug {
    /// Whether `signature` is the signer's under `message`, which is the whole of the signed bytes:
    /// the prefix and the body.
    fn is_valid(&mut self, signer: Signer, message: &[u8], signature: &Signature) -> bool;
}

/// ed25519 under a run's public keys.
#[derive(Debug)]
pub struct RealSignatures {
    directory: KeyDirectory,
    keys: KeyCache,
}

impl RealSignatures {
    /// With the keys of a run.
    pub fn new(directory: KeyDirectory) -> RealSignatures {
        let replicas = directory.replicas().max(1);
        RealSignatures { directory, keys: KeyCache::with_capacity(replicas) }
    }
}

impl SignatureCheck for RealSignatures {
    fn is_valid(&mut self, signer: Signer, message: &[u8], signature: &Signature) -> bool {
        let key = self.directory.key(signer).and_then(|key| self.keys.get(key));
        key.is_some_and(|key| verify_single(key, &[message], signature))
    }
}
