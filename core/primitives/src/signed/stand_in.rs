//! Stand-in signatures: for simulations that need many runs and no cryptography.
//!
//! A stand-in signature is SipHash-1-3 of 128 bits over the signed bytes, under a key derived from
//! the cluster's secret and the signer. Whoever verifies could also sign, so it convinces nobody
//! outside one process; inside a simulator it is unforgeable by construction, because a simulated
//! replica only ever gets its own [`super::Sealer`], and nobody there searches for keys or collisions:
//! a hash made for short keys of tables is enough, and takes a quarter of the time of one made to
//! withstand that. The same holds of the tags that stand for MACs. No setting of a measured run
//! selects either.
//!
//! The tag and the cluster, with which all signed bytes of a cluster begin, are bound by the key.

use core::hash::Hasher as _;

use blake3::Hasher;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::{Context, Signer, TAG};
use crate::ed25519::{PublicKey, Signature};

const CONTEXT: &str = "quorumark/1 2026 stand-in signature key of a simulated signer";

/// Signed bytes that the key binds: the tag and the cluster.
const BOUND_BY_KEY: usize = TAG.len() + size_of::<u64>();

/// The key of one simulated signer.
#[derive(Clone)]
pub struct StandInKey([u8; 32]);

impl StandInKey {
    /// The key of `signer` in the cluster of `context`, which has this secret.
    pub fn new(context: Context, secret: &[u8; 32], signer: Signer) -> StandInKey {
        let (kind, id) = match signer {
            Signer::Replica(id) => (0, u32::from(id)),
            Signer::Client(id) => (1, id),
        };
        let mut kdf = Hasher::new_derive_key(CONTEXT);
        kdf.update(TAG);
        kdf.update(&context.cluster.to_le_bytes());
        kdf.update(secret);
        kdf.update(&[kind]);
        kdf.update(&id.to_le_bytes());
        StandInKey(kdf.finalize().into())
    }

    /// What stands for the public key in a directory: the key itself, since verifying is signing.
    pub fn entry(&self) -> PublicKey {
        PublicKey(self.0)
    }

    /// The signature of a message of the key's cluster.
    pub fn sign(&self, message: &[u8]) -> Signature {
        signature(&self.0, message)
    }
}

impl core::fmt::Debug for StandInKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("StandInKey(secret)")
    }
}

/// Whether a stand-in signature is that of `message` under the directory's `entry`.
pub fn accepts(entry: &PublicKey, message: &[u8], candidate: &Signature) -> bool {
    signature(&entry.0, message) == *candidate
}

/// The tag, and zeros behind it: as long as the signature that it stands for.
fn signature(key: &[u8; 32], message: &[u8]) -> Signature {
    let mut bytes = [0; 64];
    let rest = message.get(BOUND_BY_KEY..).unwrap_or(message);
    // In one piece: a hash that takes pieces keeps what is left over of each.
    bytes[..16].copy_from_slice(&hasher(key).hash(rest).as_bytes());
    Signature(bytes)
}

fn hasher(key: &[u8; 32]) -> SipHasher13 {
    let (halves, _) = key.as_chunks();
    SipHasher13::new_with_key(&halves[0])
}

/// The tag of the concatenation of `parts`, under the first half of the key.
pub(crate) fn tag(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = hasher(key);
    parts.iter().for_each(|part| hash.write(part));
    hash.finish128().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::{Domain, ProtocolId};
    use super::*;

    #[test]
    fn a_stand_in_signature_belongs_to_its_cluster_its_signer_its_secret_and_its_message() {
        let context = |cluster| Context { cluster, protocol: ProtocolId(1) };
        let key =
            |cluster, secret, signer| StandInKey::new(context(cluster), &[secret; 32], signer);
        let signer = Signer::Replica(2);
        let prefix = context(7).prefix(Domain::Prepare, signer);
        let message = [&prefix[..], b"body"].concat();
        let own = key(7, 1, signer);
        let signed = own.sign(&message);
        assert!(accepts(&own.entry(), &message, &signed));
        for byte in BOUND_BY_KEY..message.len() {
            let mut other = message.clone();
            other[byte] ^= 1;
            assert!(!accepts(&own.entry(), &other, &signed), "byte {byte}");
        }
        let others = [
            key(7, 1, Signer::Replica(3)),
            key(7, 1, Signer::Client(2)),
            key(7, 2, signer),
            key(8, 1, signer),
        ];
        assert!(others.iter().all(|other| !accepts(&other.entry(), &message, &signed)));
        for bit in 0..512 {
            let mut flipped = signed;
            flipped.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!accepts(&own.entry(), &message, &flipped), "bit {bit}");
        }
    }
}
