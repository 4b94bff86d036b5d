//! Secret keys and signing (RFC 8032, 5.1.5 and 5.1.6).
//!
//! # Constant time
//! `[r]B` is a sum over a table with a row of eight multiples for each of the 64 digits of `r`. Of
//! every row every entry is read, and the wanted one is masked out; the additions, the inversion
//! and the encoding are the same instructions for all numbers (see `field`). So neither a branch
//! nor an address depends on a secret. Scalars are curve25519-dalek's, which keep the same rule.
//! What is left on the stack by inlined arithmetic and inside of the hash is not wiped.
//!
//! Where there is no such kernel, ed25519-dalek signs. The signatures are the same, byte for byte.

use core::fmt;
use std::sync::OnceLock;

use curve25519_dalek::Scalar;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

use super::lanes::{Backend, Quad, SecretRows, backend};
use super::point::Affine;
use super::table::Table;
use super::{PublicKey, Signature};

/// Bits of a digit of `r`.
const DIGIT_BITS: u32 = 4;

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
        self.sign_with(backend(), message)
    }

    /// [`SecretKey::sign`] with a given backend: the same signature.
    pub fn sign_with(&self, backend: Backend, message: &[u8]) -> Signature {
        let Some(accumulate) = backend.kernels().accumulate_secret else {
            // The hazard of `raw_sign` is a public key that belongs to another secret one; here the
            // pair is made together and never apart.
            let signature = raw_sign::<Sha512>(&self.expanded, message, &self.public);
            return Signature(signature.to_bytes());
        };
        let r = Zeroizing::new(hashed([&self.expanded.hash_prefix, message, &[]]));
        let commitment = base_times(&r, accumulate);
        let k = hashed([&commitment, self.public.as_bytes(), message]);
        let s = k * self.expanded.scalar + *r;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&commitment);
        signature[32..].copy_from_slice(s.as_bytes());
        Signature(signature)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

/// SHA-512 of the parts, as a scalar.
fn hashed(parts: [&[u8]; 3]) -> Scalar {
    let mut hash = Sha512::new();
    parts.iter().for_each(|part| hash.update(part));
    let bytes: Zeroizing<[u8; 64]> = Zeroizing::new(hash.finalize().into());
    Scalar::from_bytes_mod_order_wide(&bytes)
}

/// The encoding of `[scalar]B`, in constant time.
fn base_times(scalar: &Scalar, accumulate: fn(&mut Quad, &SecretRows, &[i8; 64])) -> [u8; 32] {
    static ROWS: OnceLock<Table> = OnceLock::new();
    let rows = ROWS.get_or_init(|| Table::of_base(DIGIT_BITS)).rows_of_eight();
    let digits = Zeroizing::new(secret_digits(scalar));
    let mut sums = Quad::IDENTITY;
    accumulate(&mut sums, rows, &digits);
    let sum = sums.sum();
    sums.0.zeroize();
    let inverse = sum.z.inverted();
    Affine { x: sum.x.mul(&inverse), y: sum.y.mul(&inverse) }.to_bytes()
}

/// The digits of a scalar below the group order, from -8 to 8, without a branch.
fn secret_digits(scalar: &Scalar) -> [i8; 64] {
    let mut digits = [0; 64];
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(scalar.as_bytes()) {
        *pair = [(byte & 15) as i8, (byte >> 4) as i8];
    }
    let mut carry = 0;
    for digit in &mut digits {
        let sum = *digit + carry;
        carry = (sum + 8) >> 4;
        *digit = sum - (carry << 4);
    }
    assert_eq!(carry, 0, "a scalar is below 2^253");
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_8032_every_backend_makes_the_same_signature() {
        for seed in 0..64u8 {
            let secret = SecretKey::from_seed(&[seed; 32]);
            let message = vec![seed; usize::from(seed) * 3];
            let expected = secret.sign_with(Backend::PORTABLE, &message);
            for backend in Backend::available() {
                assert_eq!(secret.sign_with(backend, &message), expected, "{backend}");
            }
        }
    }

    #[test]
    fn a_secret_key_shows_its_public_half_alone() {
        let secret = SecretKey::from_seed(&[7; 32]);
        let shown = format!("{secret:?}");
        assert_eq!(shown, format!("SecretKey(of {:?})", secret.public()));
    }
}
