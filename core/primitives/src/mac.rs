//! Message authentication codes: keyed BLAKE3, cut to 16 bytes.
//!
//! A MAC convinces the one party that shares its key and nobody else, so a message to a committee
//! carries an [`Authenticator`]: one tag per receiver (Castro and Liskov, OSDI'99, section 5.2).

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::signed::stand_in;
use crate::wire::{Decode, Encode, Reader, WireError};

/// The most receivers that an [`Authenticator`] has tags for.
pub const RECEIVERS_MAX: usize = 256;

const SESSION_CONTEXT: &str = "quorumark/1 2026 session key of a client and a replica";

/// A key that two parties share. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MacKey {
    bytes: [u8; 32],
    /// Whether its tags are those of a simulation, see [`stand_in`].
    stands_in: bool,
}

impl MacKey {
    /// A key of these bytes, which have to be secret and uniformly random.
    pub fn new(bytes: [u8; 32]) -> MacKey {
        MacKey { bytes, stands_in: false }
    }

    /// The same key for a simulation: what its tags withstand is said in [`stand_in`]. No measured
    /// run takes it.
    #[must_use]
    pub fn stand_in(self) -> MacKey {
        MacKey { bytes: self.bytes, stands_in: true }
    }

    /// The key that client `client` and replica `replica` of cluster `cluster` share.
    ///
    /// This is the benchmark's key set-up: every process derives the keys it needs from one seed
    /// instead of running a key exchange with each peer. Whoever holds the seed holds every key, so
    /// it stands for the exchange and does not replace it.
    pub fn of_session(seed: &[u8; 32], cluster: u64, client: u32, replica: u16) -> MacKey {
        let mut kdf = blake3::Hasher::new_derive_key(SESSION_CONTEXT);
        kdf.update(seed);
        kdf.update(&cluster.to_le_bytes());
        kdf.update(&client.to_le_bytes());
        kdf.update(&replica.to_le_bytes());
        MacKey::new(kdf.finalize().into())
    }

    /// The tag of the concatenation of `parts`.
    ///
    /// Parts have no separators: a caller with several of variable length encodes their lengths.
    pub fn tag(&self, parts: &[&[u8]]) -> Tag {
        if self.stands_in {
            return Tag(stand_in::tag(&self.bytes, parts));
        }
        let mut hasher = blake3::Hasher::new_keyed(&self.bytes);
        parts.iter().for_each(|part| {
            hasher.update(part);
        });
        let full = hasher.finalize();
        Tag(core::array::from_fn(|i| full.as_bytes()[i]))
    }

    /// Whether `tag` is the tag of `parts`; takes the same time for every wrong tag.
    pub fn accepts(&self, parts: &[&[u8]], tag: &Tag) -> bool {
        self.tag(parts).0.ct_eq(&tag.0).into()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(secret)")
    }
}

/// A 16-byte tag: a forger is right once in 2^128 tries.
///
/// Tags are compared in constant time, by [`MacKey::accepts`] and by `==`.
#[derive(Clone, Copy, Debug)]
pub struct Tag(pub [u8; 16]);

impl PartialEq for Tag {
    fn eq(&self, other: &Tag) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Tag {}

impl Encode for Tag {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode for Tag {
    const SIZE_MIN: usize = 16;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array().map(Tag)
    }
}

/// One tag per receiver, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticator(Vec<Tag>);

impl Authenticator {
    /// An authenticator of these tags.
    ///
    /// # Panics
    /// When there are more than [`RECEIVERS_MAX`].
    pub fn new(tags: Vec<Tag>) -> Authenticator {
        assert!(tags.len() <= RECEIVERS_MAX, "{} receivers in one authenticator", tags.len());
        Authenticator(tags)
    }

    /// The tag for receiver `receiver`, if it has one.
    pub fn tag(&self, receiver: u16) -> Option<&Tag> {
        self.0.get(usize::from(receiver))
    }

    /// The tag for receiver `receiver`, to change it: how tests and Byzantine clients spoil one.
    pub fn tag_mut(&mut self, receiver: u16) -> Option<&mut Tag> {
        self.0.get_mut(usize::from(receiver))
    }

    /// Receivers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no receiver.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of its encoding.
    pub fn encoded_bytes(&self) -> usize {
        size_of::<u32>() + Tag::SIZE_MIN * self.len()
    }

    /// Reads over an authenticator, of which nothing is kept: [`Authenticator::tag_in`] finds a
    /// receiver's tag in its encoding.
    ///
    /// # Errors
    /// As decoding it.
    pub fn read_over(reader: &mut Reader<'_>) -> Result<(), WireError> {
        for _ in 0..reader.count::<Tag>(RECEIVERS_MAX, OF)? {
            Tag::decode(reader)?;
        }
        Ok(())
    }

    /// The tag for receiver `receiver` in the encoding of an authenticator, if it has one.
    pub fn tag_in(encoding: &[u8], receiver: u16) -> Option<Tag> {
        let (count, tags) = encoding.split_first_chunk()?;
        let (tags, _) = tags.as_chunks();
        let tags = tags.get(..u32::from_le_bytes(*count) as usize)?;
        tags.get(usize::from(receiver)).copied().map(Tag)
    }
}

/// What a wire error calls an authenticator.
const OF: &str = "authenticator";

impl Encode for Authenticator {
    fn encode(&self, out: &mut Vec<u8>) {
        crate::wire::encode_sequence(&self.0, out);
    }
}

impl Decode for Authenticator {
    const SIZE_MIN: usize = 4;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.sequence(RECEIVERS_MAX, OF).map(Authenticator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(client: u32, replica: u16) -> MacKey {
        MacKey::of_session(&[7; 32], 1, client, replica)
    }

    #[test]
    fn a_tag_is_accepted_by_its_key_and_message_only() {
        let tag = key(1, 2).tag(&[b"mess", b"age"]);
        assert!(key(1, 2).accepts(&[b"message"], &tag));
        assert!(!key(1, 2).accepts(&[b"massage"], &tag));
        assert!(!key(2, 1).accepts(&[b"message"], &tag));
        let other_cluster = MacKey::of_session(&[7; 32], 2, 1, 2);
        assert!(!other_cluster.accepts(&[b"message"], &tag));
    }

    #[test]
    fn every_flipped_bit_of_a_tag_is_refused() {
        let tag = key(1, 2).tag(&[b"message"]);
        for bit in 0..128 {
            let mut flipped = tag;
            flipped.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!key(1, 2).accepts(&[b"message"], &flipped), "bit {bit}");
        }
    }

    #[test]
    fn a_stand_in_tag_is_accepted_by_its_key_and_message_only_and_by_no_real_key() {
        let own = key(1, 2).stand_in();
        let tag = own.tag(&[b"mess", b"age"]);
        assert!(own.accepts(&[b"message"], &tag));
        assert!(!own.accepts(&[b"massage"], &tag));
        assert!(!key(1, 2).accepts(&[b"message"], &tag));
        assert!(!key(2, 1).stand_in().accepts(&[b"message"], &tag));
    }

    #[test]
    fn the_tag_is_keyed_blake3_cut_to_sixteen_bytes() {
        let full = blake3::keyed_hash(&[9; 32], b"message");
        assert_eq!(MacKey::new([9; 32]).tag(&[b"message"]).0, full.as_bytes()[..16]);
    }

    #[test]
    fn an_authenticator_is_bounded_and_comes_back_from_its_encoding() {
        for receivers in [0, 1, 4, 5, 9] {
            let tags: Vec<Tag> =
                (0..receivers).map(|replica| key(1, replica).tag(&[b"message"])).collect();
            let mut other = Authenticator::new(tags.clone());
            let authenticator = Authenticator::new(tags.clone());
            let frame = authenticator.to_frame();
            assert_eq!(Authenticator::from_frame(&frame), Ok(authenticator.clone()));
            assert_eq!(frame.len(), authenticator.encoded_bytes());
            let mut reader = Reader::new(&frame);
            assert_eq!((Authenticator::read_over(&mut reader), reader.remaining()), (Ok(()), 0));
            let cut = frame.slice(..frame.len() - 1);
            assert!(Authenticator::from_frame(&cut).is_err(), "{receivers}");
            assert!(Authenticator::read_over(&mut Reader::new(&cut)).is_err(), "{receivers}");
            let found = |receiver| Authenticator::tag_in(&frame, receiver);
            assert!((0..=receivers).all(|nth| found(nth) == authenticator.tag(nth).copied()));
            let read = |receiver| authenticator.tag(receiver).copied();
            assert!((0..receivers).all(|nth| read(nth) == tags.get(usize::from(nth)).copied()));
            assert_eq!((authenticator.len(), read(receivers)), (tags.len(), None));
            assert!(other.tag_mut(receivers).is_none());
            for receiver in 0..receivers {
                other.tag_mut(receiver).unwrap().0[3] ^= 1;
                assert_ne!(other, authenticator);
                other.tag_mut(receiver).unwrap().0[3] ^= 1;
            }
        }
        let too_many = vec![Tag([0; 16]); RECEIVERS_MAX + 1];
        let mut out = Vec::new();
        crate::wire::encode_sequence(&too_many, &mut out);
        assert!(Authenticator::read_over(&mut Reader::of_slice(&out)).is_err());
        assert!(Authenticator::from_frame(&out.into()).is_err());
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", MacKey::new([0xab; 32])), "MacKey(secret)");
    }
}
