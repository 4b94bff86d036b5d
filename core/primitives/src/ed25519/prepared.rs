//! Public keys made ready for verification.

use std::collections::HashMap;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};

use super::PublicKey;

/// Keys that a [`KeyCache`] holds: at about 250 bytes each, 4 MiB.
pub const KEY_CACHE_CAPACITY: usize = 16_384;

/// A public key with its point decompressed and negated, as the equation wants it.
#[derive(Clone, Copy, Debug)]
pub struct PreparedKey {
    public: PublicKey,
    negated: EdwardsPoint,
}

impl PreparedKey {
    /// Decompresses a key. `None` when no point has this encoding: then no signature is valid
    /// under the key.
    ///
    /// Non-canonical encodings decompress, as ZIP-215 asks: a `y` of `p` or above is reduced, and
    /// `x = 0` takes either sign bit.
    pub fn new(public: &PublicKey) -> Option<PreparedKey> {
        let point = CompressedEdwardsY(public.0).decompress()?;
        Some(PreparedKey { public: *public, negated: -point })
    }

    /// The key as it was given. Its bytes, not the point's canonical ones, go into the challenge.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The point `-A`.
    pub(crate) fn negated(&self) -> &EdwardsPoint {
        &self.negated
    }
}

/// Prepared keys by public key, so that a signer known before costs no decompression.
///
/// It holds at most its capacity. When a new key finds it full, all of it is dropped: signers come
/// from a directory that is smaller than the cache, so this is the rare case, and each key then
/// costs one decompression again. Keys that do not decompress are remembered as such.
#[derive(Debug)]
pub struct KeyCache {
    entries: HashMap<PublicKey, Option<PreparedKey>>,
    capacity: usize,
    prepared: u64,
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
        if self.entries.len() >= self.capacity && !self.entries.contains_key(public) {
            self.entries.clear();
        }
        let entry = self.entries.entry(*public).or_insert_with(|| {
            self.prepared += 1;
            PreparedKey::new(public)
        });
        entry.as_ref()
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
