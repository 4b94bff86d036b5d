//! Secret keys and signing (RFC 8032, 5.1.5 and 5.1.6).

use core::fmt;

use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::{PublicKey, Signature};

/// A secret key, expanded once so that no signature pays for it. Wiped when dropped.
pub struct SecretKey {
    expanded: ExpandedSecretKey,
    public: VerifyingKey,
}

impl SecretKey {
    /// The key of a 32-byte seed. The seed itself is not kept.
    pub fn from_seed(seed: &[u8; 32]) -> SecretKey {
        let hash: Zeroizing<[u8; 64]> = Zeroizing::new(Sha512::digest(seed).into());
        let expanded = ExpandedSecretKey::from_bytes(&hash);
        let public = VerifyingKey::from(&expanded);
        debug_assert_eq!(public, SigningKey::from_bytes(seed).verifying_key());
        SecretKey { expanded, public }
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.public.to_bytes())
    }

    /// Signs a message. The same message always gets the same signature.
    pub fn sign(&self, message: &[u8]) -> Signature {
        // The hazard of `raw_sign` is a public key that belongs to another secret one; here the
        // pair is made together and never apart.
        Signature(raw_sign::<Sha512>(&self.expanded, message, &self.public).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}
