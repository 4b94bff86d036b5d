//! SHA-256 bound to a name.

use super::{BLOCK, Digest, Sha256};
use crate::sha256;
use crate::sha256::compressed;
use crate::sha256::constants::INITIAL;

/// A name that digests are bound to, so that what is hashed under one name is never equal to what is
/// hashed under another: a tagged hash (BIP-340, "Tagged Hashes").
///
/// The digest of a message is `SHA-256(SHA-256(name) || SHA-256(name) || message)`. The two copies
/// fill the first block, whose state the compiler computes: the name costs nothing.
///
/// ```
/// use quorumark_primitives::hash::{Tag, sha256};
///
/// static NAME: Tag = Tag::new(b"example/name");
/// let name = sha256(b"example/name").0;
/// assert_eq!(NAME.sha256(b"message"), sha256(&[&name, &name, &b"message"[..]].concat()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// The state after the first block.
    state: [u32; 8],
}

impl Tag {
    /// The longest name, in bytes: the most that one block holds.
    pub const NAME_BYTES_MAX: usize = 55;

    /// The tag of a name.
    ///
    /// # Panics
    /// When the name is longer than [`Tag::NAME_BYTES_MAX`]; for a constant, when it is compiled.
    pub const fn new(name: &[u8]) -> Tag {
        assert!(name.len() <= Tag::NAME_BYTES_MAX, "a name takes at most one block");
        let name = compressed(INITIAL, padded(name));
        let mut first = [0; 16];
        let mut i = 0;
        while i < 16 {
            first[i] = name[i % 8];
            i += 1;
        }
        Tag { state: compressed(INITIAL, first) }
    }

    /// A hasher that has read the name alone.
    pub fn hasher(&self) -> Sha256 {
        Sha256 { state: self.state, block: [0; BLOCK], length: BLOCK as u64 }
    }

    /// The digest of a message.
    pub fn sha256(&self, message: &[u8]) -> Digest {
        let mut hash = self.hasher();
        hash.update(message);
        hash.finish()
    }

    /// The digest of each message: `out[i]` is that of `messages[i]`. Lengths may differ; many are
    /// hashed side by side, see [`crate::sha256`].
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn sha256_each(&self, messages: &[&[u8]], out: &mut [Digest]) {
        match (messages, out) {
            ([message], [out]) => *out = self.sha256(message),
            (messages, out) => sha256::each_after(self.state, messages, out),
        }
    }
}

/// The one block of a short message (FIPS 180-4 5.1.1), as words.
const fn padded(message: &[u8]) -> [u32; 16] {
    let mut words = [0; 16];
    let mut i = 0;
    while i <= message.len() {
        let byte = if i < message.len() { message[i] } else { 0x80 };
        words[i / 4] |= (byte as u32) << (24 - 8 * (i % 4));
        i += 1;
    }
    words[15] = message.len() as u32 * 8;
    words
}

#[cfg(test)]
mod tests {
    use super::super::sha256;
    use super::*;

    /// By the definition of BIP-340.
    fn tagged(name: &[u8], message: &[u8]) -> Digest {
        let name = sha256(name).0;
        sha256(&[&name, &name, message].concat())
    }

    #[test]
    fn a_tagged_digest_is_that_of_bip_340_for_every_length_of_name_and_message() {
        let bytes: Vec<u8> = (0..=255).collect();
        for name in 0..=Tag::NAME_BYTES_MAX {
            let name = &bytes[..name];
            let message = &bytes[..name.len() * 4];
            assert_eq!(Tag::new(name).sha256(message), tagged(name, message), "{name:?}");
        }
    }

    #[test]
    fn many_messages_of_any_lengths_have_the_digests_that_each_has_alone() {
        let tag = Tag::new(b"many");
        let bytes = [7; 300];
        for count in [0, 1, 2, 3, 8, 9, 40] {
            let messages: Vec<&[u8]> = (0..count).map(|n| &bytes[..n * 37 % 300]).collect();
            let mut digests = vec![Digest::ZERO; count];
            tag.sha256_each(&messages, &mut digests);
            let alone: Vec<_> = messages.iter().map(|message| tagged(b"many", message)).collect();
            assert_eq!(digests, alone);
        }
    }

    #[test]
    fn many_messages_of_one_length_have_the_digests_that_each_has_alone() {
        let tag = Tag::new(b"many");
        let bytes: Vec<u8> = (0..400u32).map(|i| (i * i % 251) as u8).collect();
        for length in [0, 1, 55, 56, 63, 64, 119, 120, 300] {
            let messages: Vec<&[u8]> = (0..40).map(|n| &bytes[n..][..length]).collect();
            let mut digests = vec![Digest::ZERO; messages.len()];
            tag.sha256_each(&messages, &mut digests);
            let alone: Vec<_> = messages.iter().map(|message| tagged(b"many", message)).collect();
            assert_eq!(digests, alone, "{length} bytes");
        }
    }

    #[test]
    #[should_panic = "at most one block"]
    fn a_name_of_more_than_a_block_is_refused() {
        let _ = Tag::new(&[b'n'; Tag::NAME_BYTES_MAX + 1]);
    }
}
