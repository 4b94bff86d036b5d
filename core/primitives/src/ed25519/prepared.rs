//! Public keys made ready for verification.

use std::collections::HashMap;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};

use super::PublicKey;
use super::lanes::backend;
use super::point::{Extended, Niels, decompress, to_affine};

/// Keys that a [`KeyCache`] holds: at about 500 bytes each, 8 MiB.
pub const KEY_CACHE_CAPACITY: usize = 16_384;

/// A public key with its point decompressed and negated, as the equation wants it.
#[derive(Clone, Copy, Debug)]
pub struct PreparedKey {
    public: PublicKey,
    negated: EdwardsPoint,
    halves: [Niels; 2],
}

impl PreparedKey {
    /// Decompresses a key. `None` when no point has this encoding: then no signature is valid
    /// under the key.
    ///
    /// Non-canonical encodings decompress, as ZIP-215 asks: a `y` of `p` or above is reduced, and
    /// `x = 0` takes either sign bit.
    pub fn new(public: &PublicKey) -> Option<PreparedKey> {
        let point = CompressedEdwardsY(public.0).decompress()?;
        let halves = halves_of(&public.0)?;
        Some(PreparedKey { public: *public, negated: -point, halves })
    }

    /// The key as it was given. Its bytes, not the point's canonical ones, go into the challenge.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The point `-A`.
    pub(crate) fn negated(&self) -> &EdwardsPoint {
        &self.negated
    }

    /// The point `-A`, in our coordinates.
    pub(super) fn negated_point(&self) -> Extended {
        Extended::IDENTITY.add_niels(&self.halves[0], false)
    }

    /// The points `-A` and `-2^128 A`.
    pub(super) fn halves(&self) -> &[Niels; 2] {
        &self.halves
    }
}

/// The points `-P` and `-2^128 P` of the point with this encoding.
pub(super) fn halves_of(encoding: &[u8; 32]) -> Option<[Niels; 2]> {
    let [point] = decompress(&[encoding], backend().kernels().pow_p58);
    let point = point?.extended().negated();
    let high = (0..128).fold(point, |point, _| point.doubled());
    let mut affine = Vec::new();
    to_affine(&[point, high], &mut Vec::new(), &mut affine);
    Some([affine[0].niels(), affine[1].niels()])
}

/// Prepared keys by public key, so that a signer known before costs no decompression.
///
/// It holds at most its capacity. When a new key finds it full, all of it is dropped: signers come
/// from a directory that is smaller than the cache, so this is the rare case, and each key then
/// costs one decompression again. Keys that do not decompress are remembered as such.
#[derive(Debug)]
pub struct KeyCache {
    entries: HashMap<PublicKey, Entry>,
    capacity: usize,
    prepared: u64,
}

#[derive(Debug)]
struct Entry {
    key: Option<PreparedKey>,
    /// How often the key was asked for.
    batches: u32,
}

impl Default for KeyCache {
    fn default() -> Self {
        KeyCache::with_capacity(KEY_CACHE_CAPACITY)
    }
}

impl KeyCache {
    /// An empty cache for at most `capacity` keys.
    ///
    /// # Panics
    /// When `capacity` is 0.
    pub fn with_capacity(capacity: usize) -> KeyCache {
        assert!(capacity > 0, "a key cache holds at least one key");
        KeyCache { entries: HashMap::new(), capacity, prepared: 0 }
    }

    /// The prepared form of `public`; `None` when it does not decompress.
    pub fn get(&mut self, public: &PublicKey) -> Option<&PreparedKey> {
        self.get_counted(public).map(|(key, _)| key)
    }

    /// As [`KeyCache::get`], and how often the key was asked for since it is held.
    pub(super) fn get_counted(&mut self, public: &PublicKey) -> Option<(&PreparedKey, u32)> {
        if self.entries.len() >= self.capacity && !self.entries.contains_key(public) {
            self.entries.clear();
        }
        let entry = self.entries.entry(*public).or_insert_with(|| {
            self.prepared += 1;
            Entry { key: PreparedKey::new(public), batches: 0 }
        });
        entry.batches = entry.batches.saturating_add(1);
        Some((entry.key.as_ref()?, entry.batches))
    }

    /// Keys held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Decompressions done so far.
    pub fn prepared(&self) -> u64 {
        self.prepared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ed25519::{BatchVerifier, SecretKey, Signature};

    fn public(seed: u8) -> PublicKey {
        SecretKey::from_seed(&[seed; 32]).public()
    }

    /// An encoding that no point has: `y = 2`.
    fn nowhere() -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = 2;
        bytes
    }

    #[test]
    fn a_key_is_prepared_once_while_it_is_held() {
        let mut cache = KeyCache::with_capacity(2);
        for seed in [1, 2, 1, 2, 1] {
            assert_eq!(cache.get(&public(seed)).map(PreparedKey::public), Some(&public(seed)));
        }
        assert_eq!((cache.len(), cache.prepared()), (2, 2));
        assert!(cache.get(&PublicKey(nowhere())).is_none());
        assert_eq!((cache.len(), cache.prepared()), (1, 3), "a full cache starts again");
    }

    #[test]
    fn what_does_not_decompress_is_refused_and_harms_no_neighbour() {
        let secret = SecretKey::from_seed(&[1; 32]);
        let good = secret.sign(b"message");
        let mut off_curve = good;
        off_curve.0[..32].copy_from_slice(&nowhere());
        let mut verifier = BatchVerifier::new([0; 32]);
        verifier.queue(&secret.public(), &[b"message"], &good);
        verifier.queue(&PublicKey(nowhere()), &[b"message"], &good);
        verifier.queue(&secret.public(), &[b"message"], &off_curve);
        verifier.queue(&secret.public(), &[b"message"], &Signature::BLANK);
        verifier.queue(&secret.public(), &[b"mess", b"age"], &good);
        let mut verdicts = Vec::new();
        verifier.verify(&mut verdicts);
        assert_eq!(verdicts, [true, false, false, false, true]);
    }
}
