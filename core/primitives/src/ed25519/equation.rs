//! The verification equation for one signature, and the parts that a batch reuses.

use curve25519_dalek::Scalar;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest, Sha512};

use super::{PreparedKey, PublicKey, Signature};

/// Verifies one signature of the concatenation of `parts` under a prepared key.
///
/// The verdict is that of ZIP-215, the same as in any batch.
pub fn verify_single(key: &PreparedKey, parts: &[&[u8]], signature: &Signature) -> bool {
    let commitment = CompressedEdwardsY(signature.commitment());
    match response(signature) {
        Some(s) => holds(&s, &challenge(&commitment, key.public(), parts), &commitment, key),
        None => false,
    }
}

/// `S` as a scalar, when it is canonical (RFC 8032, 5.1.7, step 1: below the group order).
pub(super) fn response(signature: &Signature) -> Option<Scalar> {
    Scalar::from_canonical_bytes(signature.response()).into()
}

/// `k = SHA-512(R || A || M)` as a scalar, over the encodings as they were received.
pub(super) fn challenge(
    commitment: &CompressedEdwardsY,
    key: &PublicKey,
    parts: &[&[u8]],
) -> Scalar {
    let mut hash = Sha512::new();
    hash.update(commitment.as_bytes());
    hash.update(key.0);
    parts.iter().for_each(|part| hash.update(part));
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// Whether `[8]([S]B - [k]A - R) = 0`.
///
/// When `[S]B - [k]A` encodes to the very bytes of `R`, the difference is zero and nothing is left
/// to check; every signature of an honest signer ends here, without decompressing `R`. All others
/// take the full rule.
pub(super) fn holds(
    s: &Scalar,
    k: &Scalar,
    commitment: &CompressedEdwardsY,
    key: &PreparedKey,
) -> bool {
    let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(k, key.negated(), s);
    if expected.compress().as_bytes() == commitment.as_bytes() {
        return true;
    }
    commitment.decompress().is_some_and(|r| vanishes(&(expected - r)))
}

/// Whether a point is zero but for its small-order component.
fn vanishes(point: &EdwardsPoint) -> bool {
    point.mul_by_cofactor().is_identity()
}
